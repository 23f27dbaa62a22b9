"""How far a loss can be trusted as an attacker's guide: its stability, and what is left to gain."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lsp_keras.ops import random
from lsp_keras.ops.gradients import image_gradient
from lsp_keras.ops.norms import expand, l1_norm, l2_norm, unit_largest
from lsp_keras.ops.objectives import ascending_cross_entropy, cross_entropy
from lsp_keras.types import Floats, Integers, Norm, ThreatModel

_NUM_DIRECTIONS = 16
_NUM_NEIGHBORS = 4

Logits = Callable[[tf.Tensor], tf.Tensor]


def instability(
    logits_fn: Logits,
    images: Floats,
    labels: Integers,
    *,
    radius: float,
    norm: Norm,
    seed: int,
    num_directions: int = _NUM_DIRECTIONS,
) -> float:
    """Relative change of the loss under a small random perturbation, each at most 1.

    The mean over images and directions d of min(|loss(x) - loss(x + d)| / |loss(x)|, 1). Where
    it is large, the loss is so ragged that its gradient says nothing about the next step.

    Args:
        logits_fn: Function of images that returns float32 logits.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        labels: Labels, int `(n,)`.
        radius: Size of the perturbation: uniform in [-radius, radius] for each entry under L-inf,
            of that length in a uniform direction under L2.
        norm: Norm of the ball, `"linf"` or `"l2"`.
        seed: Seed of the directions.
        num_directions: Directions for each image.

    Returns:
        In [0, 1].

    References:
        Pintor et al., Indicators of Attack Failure, 2022: "unstable predictions".
    """
    pixels = tf.constant(images)
    reference = cross_entropy(labels, logits_fn(pixels)).numpy()
    changes = []
    for counter in range(num_directions):
        moved = tf.clip_by_value(pixels + _noise(pixels, radius, norm, seed, counter), 0.0, 1.0)
        changes.append(np.abs(cross_entropy(labels, logits_fn(moved)).numpy() - reference))
    changed = np.stack(changes)
    # A loss of exactly 0 that changes at all has changed beyond measure.
    relative = np.divide(
        changed, np.abs(reference), out=(changed > 0).astype(np.float32), where=reference != 0
    )
    return float(np.minimum(relative, 1.0).mean())


def disagreement(
    logits_fn: Logits,
    images: Floats,
    labels: Integers,
    *,
    radius: float,
    norm: Norm,
    seed: int,
    num_directions: int = _NUM_NEIGHBORS,
) -> float:
    """How much the direction of the gradient changes under a small random perturbation.

    The mean over images and directions d of (1 - cos(g(x), g(x + d))) / 2, g being the gradient
    of an attack's objective. Where gradients are shattered, that of one point says nothing of the
    next one's, although each looks sound and the loss itself may be smooth on average.

    Args:
        logits_fn: Function of images that returns float32 logits.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        labels: Labels, int `(n,)`.
        radius: Size of the perturbation, see `instability`.
        norm: Norm of the ball, `"linf"` or `"l2"`.
        seed: Seed of the directions.
        num_directions: Directions for each image.

    Returns:
        In [0, 1]: 0 where all gradients agree, 0.5 where they are orthogonal; images without a
        gradient count as 0.

    References:
        Balduzzi et al., The Shattered Gradients Problem, 2017, for the name.
    """
    pixels = tf.constant(images)
    here = _slopes(logits_fn, pixels, labels)
    changes = []
    for counter in range(num_directions):
        moved = tf.clip_by_value(pixels + _noise(pixels, radius, norm, seed, counter), 0.0, 1.0)
        there = _slopes(logits_fn, moved, labels)
        products = tf.reduce_sum(here * there, axis=[1, 2, 3])
        lengths = l2_norm(here) * l2_norm(there)
        cosine = tf.math.divide_no_nan(products, lengths)
        changes.append(tf.where(lengths > 0.0, 0.5 * (1.0 - cosine), 0.0).numpy())
    return float(np.mean(changes))


def saturation(logits_fn: Logits, images: Floats, labels: Integers) -> float:
    """Share of rightly classified images whose softmax cross-entropy has no slope in float32.

    There the label's probability rounds to 1: an attack that climbs the cross-entropy, as other
    tools' do, gets a gradient of exactly zero from it.

    Args:
        logits_fn: Function of images that returns float32 logits.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        labels: Labels, int `(n,)`.

    Returns:
        In [0, 1], 0 where none is classified rightly.
    """
    probabilities = tf.nn.softmax(logits_fn(tf.constant(images))).numpy()
    own = probabilities[np.arange(len(labels)), labels]
    right = probabilities.argmax(axis=1) == labels
    return float(np.mean(own[right] >= 1.0)) if right.any() else 0.0


def unfinished(
    logits_fn: Logits,
    images: Floats,
    adversarial: Floats,
    labels: Integers,
    *,
    threat: ThreatModel,
) -> Floats:
    """What the loss could still rise, to first order, in parts of what the whole ball offers.

    `epsilon |g|* - <x' - x, g>` divided by `epsilon |g|*`, with g the gradient at x' and |g|*
    its dual norm (L1 for L-inf, L2 for L2): 0 at a maximum in the ball, 1 where x' - x is no
    better than no perturbation. Entries that the pixel box holds back are left out of g.

    Args:
        logits_fn: Function of images that returns float32 logits.
        images: Clean images x, float32 `(n, height, width, channels)`.
        adversarial: Adversarial images x' of the attack, float32, shaped as `images`.
        labels: Labels, int `(n,)`.
        threat: The ball.

    Returns:
        float32 `(n,)` in [0, 2], 0 where there is no gradient at all.

    References:
        Wang et al., On the Convergence and Robustness of Adversarial Training, 2019, Eq. 5
        (First-Order Stationary Condition).

    Differs from the reference:
        Relative, since the loss's scale differs from model to model, and aware of the box.
    """
    point = tf.constant(adversarial)
    gradient = _slopes(logits_fn, point, labels)
    held = ((point >= 1.0) & (gradient > 0.0)) | ((point <= 0.0) & (gradient < 0.0))
    gradient = tf.where(held, 0.0, gradient)
    dual = {"linf": l1_norm, "l2": l2_norm}[threat.norm](gradient)
    reached = tf.reduce_sum((point - images) * gradient, axis=[1, 2, 3])
    left = 1.0 - tf.math.divide_no_nan(reached, threat.epsilon * dual)
    return tf.where(dual > 0.0, left, 0.0).numpy()


def _noise(images: tf.Tensor, radius: float, norm: Norm, seed: int, counter: int) -> tf.Tensor:
    indices, shape = tf.range(len(images)), tuple(images.shape[1:])
    if norm == "linf":
        return random.uniform(seed, indices, shape, counter=counter, low=-radius, high=radius)
    direction = random.normal(seed, indices, shape, counter=counter)
    return radius * direction / expand(l2_norm(direction), direction)


def _slopes(logits_fn: Logits, images: tf.Tensor, labels: Integers) -> tf.Tensor:
    """Gradients of what attacks climb, each in parts of its largest entry."""

    def climbed(points: tf.Tensor) -> tuple[tf.Tensor]:
        return (ascending_cross_entropy(labels, logits_fn(points)),)

    return unit_largest(image_gradient(climbed, images)[1])
