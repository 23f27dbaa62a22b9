"""A loss that is not finite stops the run and says which term it was."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from lsp_keras.errors import NonFiniteLossError

_MARK = "term-not-finite:"


def check_finite(values: tf.Tensor, term: str) -> tf.Tensor:
    """The values; running the graph fails where one of them is not finite.

    XLA drops the check; `lsp_keras.training.run_training` then notices after the epoch.
    """
    return tf.debugging.check_numerics(values, f"{_MARK}{term};")


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turns TensorFlow's report of a failed check into one sentence.

    Raises:
        NonFiniteLossError: A check made by `check_finite` failed.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(f"{_MARK}([^;]*);", error.message)
        if found is None:
            raise
        raise NonFiniteLossError(message(found.group(1))) from None


def message(term: str) -> str:
    """What went wrong and how to mend it."""
    return (
        f"The loss is not finite: its term `{term}` is NaN or infinite, so training stopped. "
        "Lower the learning rate or the term's weight, or clip the gradient."
    )
