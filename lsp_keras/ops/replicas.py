"""Values and variables that all replicas of a `tf.distribute` strategy share."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def sum_over_replicas(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Each tensor summed over the replicas; the tensors themselves where there is one."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return list(tensors)
    context = tf.distribute.get_replica_context()
    return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))


def assign_all(variables: Sequence[Any], values: Sequence[tf.Tensor]) -> None:
    """Gives Keras variables values that are the same in every replica."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return

    def update(strategy: tf.distribute.Strategy, *values: Any) -> None:
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(
                variable.value, lambda copy, new: copy.assign(new), args=(value,), group=False
            )

    tf.distribute.get_replica_context().merge_call(update, args=tuple(values))
