"""What an attacker maximizes: one value per example, larger is more adversarial.

Every objective has the signature `(labels, logits)` with these names, so that CleverHans can
call it as its `loss_fn`. A comparison has `(clean_logits, logits)`: it measures how far an image
is from its clean original, whatever the label; `bind` makes an objective of it.
"""

from collections.abc import Callable

import tensorflow as tf

from lsp_keras.validation import InputError, check_choice

Objective = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Comparison = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

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


def kl(clean_logits: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """KL(f(x) || f(x')), the divergence of the prediction from the clean one, in nats.

    Where the two are equal, its value and its gradient are zero. Both stay finite for all finite
    logits, since nothing but their logarithms is subtracted.

    Args:
        clean_logits: float `(batch, classes)`, f(x).
        logits: float `(batch, classes)`, f(x').

    Returns:
        `(batch,)`, zero or more up to rounding.

    Example:
        >>> certain, even = tf.constant([[0.0, -200.0]]), tf.constant([[0.0, 0.0]])
        >>> round(float(kl(certain, even)[0]), 4)
        0.6931

    References:
        Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy, 2019,
        Eq. 5: the second term, with the multi-class surrogate of the reference code.
    """
    clean = tf.nn.log_softmax(clean_logits)
    return tf.reduce_sum(tf.exp(clean) * (clean - tf.nn.log_softmax(logits)), axis=1)


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

COMPARISONS: dict[str, Comparison] = {"kl": kl}


def get(objective: str | Objective) -> Objective:
    """An objective by name; a function is returned unchanged.

    Raises:
        InputError: There is none of that name.
    """
    if not isinstance(objective, str):
        return objective
    return OBJECTIVES[check_choice("objective", objective, OBJECTIVES)]


def is_comparison(objective: str | Objective) -> bool:
    """Whether the name is that of a comparison with the clean image.

    Raises:
        InputError: It is the name of neither an objective nor a comparison.
    """
    if not isinstance(objective, str):
        return False
    return check_choice("objective", objective, [*OBJECTIVES, *COMPARISONS]) in COMPARISONS


def bind(objective: str | Objective, clean_logits: Callable[[], tf.Tensor]) -> Objective:
    """An objective by name, where it may also be that of a comparison.

    Args:
        objective: A name in `OBJECTIVES` or `COMPARISONS`, or a function.
        clean_logits: Computes the clean images' logits; called once, for a comparison only.

    Returns:
        The objective; a comparison is bound to the clean logits and ignores the labels.

    Raises:
        InputError: There is none of that name.
    """
    if not isinstance(objective, str) or not is_comparison(objective):
        return get(objective)
    compare, clean = COMPARISONS[objective], clean_logits()

    def bound(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return compare(clean, logits)

    return bound


def _check_num_classes(logits: tf.Tensor, minimum: int, name: str) -> None:
    if logits.shape[-1] is not None and logits.shape[-1] < minimum:
        raise InputError(
            f"The {name} objective needs at least {minimum} classes. Received logits of "
            f"{logits.shape[-1]} classes. Use 'cross_entropy' or 'margin'."
        )
