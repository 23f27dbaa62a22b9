"""A compiled function of many rows on all cores of the processor at once."""

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

# Operators after which it shows which call came first, by the beginning of their names.
_ORDERED = (
    "AssignSub",
    "AssignVariable",
    "EagerPyFunc",
    "Multinomial",
    "PyFunc",
    "Random",
    "RngReadAndSkip",
    "StatefulRandom",
    "StatefulStandard",
    "StatefulTruncated",
    "StatefulUniform",
)
_FUSION_LOCK = threading.Lock()


class RowFunction:
    """Calls a function of rows once on each core's share of them, and joins the results.

    Small convolutions gain little from a second core, a second batch gains all of it. On a
    GPU, and where the model draws at random or writes variables so that the order of calls would
    show, one call takes all rows.

    Args:
        function: Concrete function `(*rows, *scalars)` -> tensors `(batch, ...)`.
        couples_rows: Whether a row's result depends on the others, so that one call takes all.
    """

    def __init__(self, function: Any, *, couples_rows: bool = False) -> None:
        self.function = function
        whole = couples_rows or _depends_on_order(function)
        splits = not whole and not tf.config.list_logical_devices("GPU")
        self._most_parts = num_cores() if splits else 1

    def __call__(self, rows: list[Any], *scalars: tf.Tensor) -> Any:
        """What the function returns, as arrays.

        Args:
            rows: Arrays `(batch, ...)`, the first one, and mappings of them.
            scalars: The same for every share.
        """

        def share(places: Any) -> Any:
            own = tf.nest.map_structure(lambda values: tf.constant(values[places]), rows)
            found = self.function(*own, *scalars)
            return tf.nest.map_structure(lambda tensor: tensor.numpy(), found)

        if self._most_parts == 1:
            return share(slice(None))
        count = len(rows[0])
        shares = np.array_split(np.arange(count), min(self._most_parts, count))
        with _without_fusion(), ThreadPoolExecutor(len(shares)) as executor:
            parts = list(executor.map(share, shares))
        return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


@contextlib.contextmanager
def _without_fusion() -> Iterator[None]:
    """Keeps TensorFlow from fusing operators in what new threads call, and costs little.

    A convolution that oneDNN fuses with its bias and a sum keeps the sum's place in the operator
    itself (TensorFlow 2.20): two calls at once mix up their results, or crash.
    """
    options = tf.config.optimizer
    with _FUSION_LOCK:
        before = options.get_experimental_options().get("remapping")
        options.set_experimental_options({"remapping": False})
        try:
            yield
        finally:
            options.set_experimental_options({"remapping": before})


def num_cores() -> int:
    """Cores that this process may use, where the system tells, else those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _depends_on_order(function: Any) -> bool:
    definition = function.graph.as_graph_def()
    inner = chain.from_iterable(part.node_def for part in definition.library.function)
    return any(node.op.startswith(_ORDERED) for node in chain(definition.node, inner))
