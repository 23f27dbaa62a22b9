"""What an attacker maximizes: one value per example, larger is more adversarial.

Every objective has the signature `(labels, logits)` with these names, so that CleverHans can
call it as its `loss_fn`. A comparison has `(clean_logits, logits)`: it measures how far an image
is from its clean original, whatever the label; `bind` makes an objective of it.

An attack must not depend on the scale of the logits: the same classifier with its logits
multiplied by a constant, or with one added, has to look equally robust. `margin` and `dlr` are
so by their form. `cross_entropy`, the loss, is not: from logits of 20 on, float32 rounds the
label's probability to 1 and the gradient to 0. The names "cross_entropy" and "kl" in
`OBJECTIVES` and `COMPARISONS` therefore stand for forms of it that climb in the same sense and
never vanish; "softmax_cross_entropy" and "softmax_kl" are the losses themselves, for comparisons
with other tools.
"""

from collections.abc import Callable, Collection

import tensorflow as tf

from lsp_keras.validation import InputError, check_choice, listing

Objective = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Comparison = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_SMALLEST_GAP = 1e-12
# Distance of the largest logit from the third largest after `at_common_scale`. A ResNet-18 or a
# small network as usually trained, adversarially or not, has 8 to 20 by itself.
_COMMON_GAP = 12.0
_SMALLEST_SCALE = 1e-30


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Negative log-probability of the true class.

    Args:
        labels: Labels, int `(batch,)`.
        logits: Logits, float `(batch, classes)`.

    Returns:
        `(batch,)`.
    """
    labels = tf.cast(labels, tf.int64)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def log_odds(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Logarithm of the odds against the true class, log((1 - p) / p).

    The cross-entropy is softplus of it, so both rise together; but where the probability p rounds
    to 1 and the cross-entropy to 0, the odds and their slope are as exact as anywhere else.

    Args:
        labels: Labels, int `(batch,)`.
        logits: Logits, float `(batch, classes)`.

    Returns:
        `(batch,)`, positive where the true class has less than half of the probability.
    """
    return tf.reduce_logsumexp(_others(labels, logits), axis=1) - true_logit(labels, logits)


def ascending_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The log odds against the true class of logits `at_common_scale`: "cross_entropy" in attacks.

    Args:
        labels: Labels, int `(batch,)`.
        logits: Logits, float `(batch, classes)`.

    Returns:
        `(batch,)`; its gradient treats the scale as a constant.
    """
    return log_odds(labels, at_common_scale(logits, logits))


def at_common_scale(logits: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Logits divided by a scale, so that their multiples all become the same.

    Args:
        logits: Logits, float `(batch, classes)`.
        reference: Logits of the same images that set the scale, likewise; no gradient flows
            into them.

    Returns:
        As `logits`. The largest of the reference would lie 12 above the third largest (the
        second of two): a single class far below all others changes nothing.
    """
    ranked = tf.math.top_k(reference, tf.minimum(3, tf.shape(reference)[1])).values
    gap = tf.stop_gradient(ranked[:, 0] - ranked[:, -1])
    is_flat = tf.abs(gap) < _SMALLEST_SCALE
    factor = tf.where(is_flat, 1.0, _COMMON_GAP / tf.where(is_flat, 1.0, gap))
    return logits * factor[:, tf.newaxis]


def margin(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Largest other logit less the true one: positive where the example is misclassified.

    Args:
        labels: Labels, int `(batch,)`.
        logits: Logits, float `(batch, classes)`.

    Returns:
        `(batch,)`.

    References:
        Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, 2017, f_6.
    """
    return largest_other(labels, logits) - true_logit(labels, logits)


def dlr(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Difference of logits ratio, the same for all positive scalings of the logits.

    Args:
        labels: Labels, int `(batch,)`.
        logits: Logits of three classes or more, float `(batch, classes)`.

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
        labels: Labels, int `(batch,)`.
        logits: Logits of four classes or more, float `(batch, classes)`.
        targets: Classes to reach, int `(batch,)`.

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
        clean_logits: Logits f(x) of the clean images, float `(batch, classes)`.
        logits: Logits f(x') of the perturbed images, float `(batch, classes)`.

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


def ascending_kl(clean_logits: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """`kl` of logits at the clean ones' common scale, with a slope that does not vanish.

    The gradient of the divergence with respect to the logits is p' - p. Where both round to 0 or
    1 it is found from the logits themselves and divided by the largest probability of the other
    classes, so that only its length differs: "kl" in attacks.

    Args:
        clean_logits: Logits f(x) of the clean images, float `(batch, classes)`.
        logits: Logits f(x') of the perturbed images, float `(batch, classes)`.

    Returns:
        `(batch,)`.
    """
    clean = tf.stop_gradient(at_common_scale(clean_logits, clean_logits))
    moved = at_common_scale(logits, clean_logits)

    @tf.custom_gradient
    def divergence(moved: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return upstream[:, tf.newaxis] * _direction_of_kl(clean, moved)

        return kl(clean, moved), gradient

    return divergence(moved)


def _direction_of_kl(clean: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """p' - p up to a positive factor for each example, `(batch, classes)`."""
    log_p, log_q = tf.nn.log_softmax(clean), tf.nn.log_softmax(logits)
    # log q - log p without the difference of two rounded logarithms.
    rise = logits - clean
    mean_rise = tf.reduce_logsumexp(log_p + rise, axis=1, keepdims=True)
    change = rise - mean_rise
    larger = tf.maximum(log_p, log_q)
    top = tf.one_hot(tf.argmax(clean, axis=1), tf.shape(clean)[1], on_value=True, off_value=False)
    lowest = tf.fill(tf.shape(larger), larger.dtype.min)
    unit = tf.reduce_max(tf.where(top, lowest, larger), axis=1, keepdims=True)
    # |q - p| = max(p, q) (1 - exp(-|log q - log p|)).
    sizes = -tf.exp(larger - unit) * tf.math.expm1(-tf.abs(change))
    others = tf.where(top, 0.0, tf.sign(change) * sizes)
    # The entries of q - p sum to 0: what the top class loses is what the others gain.
    return tf.where(top, -tf.reduce_sum(others, axis=1, keepdims=True), others)


def true_logit(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Logit of the given class, `(batch,)`."""
    return tf.gather(logits, tf.cast(labels, tf.int64), axis=1, batch_dims=1)


def largest_other(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Largest logit of all other classes, `(batch,)`."""
    return tf.reduce_max(_others(labels, logits), axis=1)


def _others(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The logits with the smallest number there is in the label's place."""
    # A product with the mask would move the maximum to 0 where all others are negative, and a
    # subtracted constant fails for logits larger than the constant.
    labels = tf.cast(labels, tf.int64)
    is_label = tf.one_hot(labels, tf.shape(logits)[1], on_value=True, off_value=False)
    return tf.where(is_label, logits.dtype.min, logits)


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": ascending_cross_entropy,
    "margin": margin,
    "dlr": dlr,
    "softmax_cross_entropy": cross_entropy,
}

COMPARISONS: dict[str, Comparison] = {"kl": ascending_kl, "softmax_kl": kl}


def get(objective: str | Objective) -> Objective:
    """An objective by name; a function is returned unchanged.

    Raises:
        InputError: There is none of that name, or it is a comparison's.
    """
    if not isinstance(objective, str):
        return objective
    return OBJECTIVES[check_objective(objective, OBJECTIVES)]


def check_objective(objective: str, choices: Collection[str]) -> str:
    """The name, if it is one of the choices of an attack that compares nothing.

    Raises:
        InputError: It is not; of a comparison the message says whose it is.
    """
    if objective in COMPARISONS:
        raise InputError(
            f"`objective` {objective!r} is a divergence from the clean image's answer, which only "
            "PGD climbs. Attack by PGD (--attack pgd), or give this attack an objective "
            f"(--objective): {listing(choices)}."
        )
    return check_choice("objective", objective, choices)


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
        clean_logits: Function that computes the clean images' logits; called once, for a comparison
            only.

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
