"""Loops around a model."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def in_turn(condition: Callable[..., tf.Tensor], body: Callable[..., Any], start: Any) -> Any:
    """`tf.while_loop` whose iterations never overlap.

    Iterations that do not need each other's results would run ten at once: that takes the memory
    of ten passes, and convolutions that oneDNN fuses with a sum do not bear it (see
    `RowFunction`).
    """
    return tf.while_loop(condition, body, start, parallel_iterations=1)
