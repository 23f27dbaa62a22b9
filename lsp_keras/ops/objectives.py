"""What an attacker maximizes: one value per example, larger is more adversarial.

Every objective has the signature `(labels, logits)` with these names, so that CleverHans can
call it as its `loss_fn`.
"""

from collections.abc import Callable

import tensorflow as tf

from lsp_keras.validation import InputError, check_choice

Objective = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_SMALLEST_GAP = 1e-12


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Negative log-probability of the true class.

    Args:
        labels: int `(batch,)`.
        logits: float `(batch, classes)`.

    Returns:
        `(batch,)`.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def margin(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Largest other logit less the true one: positive where the example is misclassified.

    Args:
        labels: int `(batch,)`.
        logits: float `(batch, classes)`.

    Returns:
        `(batch,)`.

    References:
        Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, 2017, f_6.
    """
    return largest_other(labels, logits) - true_logit(labels, logits)


def dlr(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Difference of logits ratio, the same for all positive scalings of the logits.

    Args:
        labels: int `(batch,)`.
        logits: float `(batch, classes)`, three classes or more.

    Returns:
        `(batch,)`.

    References:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness, 2020, Eq. 6.
    """
    _check_num_classes(logits, 3, "DLR")
    top = tf.math.top_k(logits, 3).values
    return margin(labels, logits) / (top[:, 0] - top[:, 2] + _SMALLEST_GAP)


def targeted_dlr(labels: tf.Tensor, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Difference of logits ratio towards one target class.

    Args:
        labels: int `(batch,)`.
        logits: float `(batch, classes)`, four classes or more.
        targets: int `(batch,)`, the class to reach.

    Returns:
        `(batch,)`.

    References:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness, 2020, Eq. 7.
    """
    _check_num_classes(logits, 4, "targeted DLR")
    top = tf.math.top_k(logits, 4).values
    gap = top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + _SMALLEST_GAP
    return (true_logit(targets, logits) - true_logit(labels, logits)) / gap


def true_logit(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Logit of the given class, `(batch,)`."""
    return tf.gather(logits, labels, axis=1, batch_dims=1)


def largest_other(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Largest logit of all other classes, `(batch,)`."""
    # A product with the mask would move the maximum to 0 where all others are negative, and a
    # subtracted constant fails for logits larger than the constant.
    is_label = tf.one_hot(labels, tf.shape(logits)[1], on_value=True, off_value=False)
    return tf.reduce_max(tf.where(is_label, logits.dtype.min, logits), axis=1)


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": cross_entropy,
    "margin": margin,
    "dlr": dlr,
}


def get(objective: str | Objective) -> Objective:
    """An objective by name; a function is returned unchanged.

    Raises:
        InputError: There is none of that name.
    """
    if not isinstance(objective, str):
        return objective
    return OBJECTIVES[check_choice("objective", objective, OBJECTIVES)]


def _check_num_classes(logits: tf.Tensor, minimum: int, name: str) -> None:
    if logits.shape[-1] is not None and logits.shape[-1] < minimum:
        raise InputError(
            f"The {name} objective needs at least {minimum} classes. Received logits of "
            f"{logits.shape[-1]} classes. Use 'cross_entropy' or 'margin'."
        )
