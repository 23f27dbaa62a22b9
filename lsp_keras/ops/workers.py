"""Processes that train one model together, each on some of its replicas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from lsp_keras.validation import InputError

_LONGEST = 2**14
_DIGITS = 12


@dataclass(frozen=True)
class Workers:
    """The processes of a `tf.distribute` strategy, as one of them sees them.

    Each method is called by all of them at the same place, or none goes on.

    Attributes:
        strategy: The strategy; any, the default one too, which has one worker.
    """

    strategy: tf.distribute.Strategy

    @property
    def num_replicas(self) -> int:
        """Copies of the model, over all processes."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def num_local(self) -> int:
        """Copies of the model in this process."""
        return len(self.strategy.extended.worker_devices)

    @property
    def count(self) -> int:
        """Number of processes."""
        # The default strategy does not say which devices it uses.
        return 1 if self.num_replicas == 1 else self.num_replicas // self.num_local

    @property
    def index(self) -> int:
        """Which of them this is; the one of number 0 is the chief."""
        if self.count == 1:
            return 0
        ids = self.strategy.experimental_distribute_values_from_function(
            lambda context: np.int64(context.replica_id_in_sync_group)
        )
        first = self.strategy.experimental_local_results(ids)[0]
        return int(first) // self.num_local

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Each number summed over all processes, in double precision."""
        if self.count == 1:
            return [float(number) for number in numbers]
        own = np.asarray(numbers, np.float64)
        values = self.strategy.experimental_distribute_values_from_function(
            lambda context: (
                own if context.replica_id_in_sync_group % self.num_local == 0 else 0.0 * own
            )
        )
        summed = self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)
        return [float(number) for number in summed.numpy()]

    def told(self, text: str) -> str:
        """The chief's text; that of the others does not count."""
        encoded = text.encode()[:_LONGEST] if self.is_chief else b""
        padded = np.zeros(_LONGEST)
        padded[: len(encoded)] = np.frombuffer(encoded, np.uint8)
        summed = np.rint(self.total(padded.tolist())).astype(np.uint8)
        return bytes(summed).rstrip(b"\x00").decode(errors="ignore")

    def wait(self) -> None:
        """Returns once all have come here."""
        self.total([0.0])

    def check_agreement(self, digest: str, what: str) -> None:
        """Raises `InputError` where a process has another digest, such as a fingerprint, than 0.

        Args:
            digest: Hexadecimal digits.
            what: What it is of, as the subject of a sentence.
        """
        theirs = self.told(digest[:_DIGITS])
        (differing,) = self.total([float(theirs != digest[:_DIGITS])])
        if differing:
            raise InputError(
                f"{what} differs between the workers: {int(differing)} of {self.count} have "
                "another than the chief. Share the data and --cache-dir among all machines."
            )


def workers_of(model: Any) -> Workers:
    """The processes that train a Keras model, or those of the scope where nothing trains it yet."""
    strategy = getattr(model, "distribute_strategy", None)
    return Workers(tf.distribute.get_strategy() if strategy is None else strategy)
