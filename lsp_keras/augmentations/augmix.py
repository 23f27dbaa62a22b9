"""AugMix: an image is mixed with chains of random operations applied to it."""

from typing import NamedTuple

import tensorflow as tf

from lsp_keras.augmentations._augmix_operations import (
    NO_OPERATION,
    OPERATIONS,
    apply_operations,
)
from lsp_keras.augmentations._base import Augmentation
from lsp_keras.ops import random
from lsp_keras.validation import InputError, check_positive

__all__ = ["AugMix"]

_WEAKEST = 0.1
_LARGEST_SEVERITY = 10
_WHITE = 255.0


class AugMixDraws(NamedTuple):
    """What each mixed image is made of.

    Attributes:
        operations: Places of the operations in `OPERATIONS`, int32 `(batch, chains, depth)`;
            `NO_OPERATION` after the end of a shorter chain.
        strengths: Strengths of the operations, float32 `(batch, chains, depth)` in [0.1, severity).
        signs: Signs of the strengths, float32 `(batch, chains, depth)`, -1 or 1.
        weights: Weights of the chains, float32 `(batch, chains)`; rows sum to one.
        share: Share of all chains together in the result, float32 `(batch,)` in [0, 1).
    """

    operations: tf.Tensor
    strengths: tf.Tensor
    signs: tf.Tensor
    weights: tf.Tensor
    share: tf.Tensor


class AugMix(Augmentation):
    """Mixes each image with the results of some chains of operations.

    Weights of the chains are Dirichlet(1), the share of the chains is Beta(1, 1). Pixels count
    as 8-bit levels within the chains. The training method `augmix` makes two such views of each
    image and adds a loss that ties them together.

    Args:
        severity: Largest strength of an operation, in (0.1, 10].
        num_chains: Chains that are mixed ("width" in the paper).
        max_depth: Most operations in a chain; each has a random number from one up to this.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> images = tf.zeros([2, 8, 8, 3])
        >>> AugMix()(images, seed=0, indices=tf.range(2)).shape
        TensorShape([2, 8, 8, 3])

    References:
        Hendrycks et al., AugMix: A Simple Data Processing Method to Improve Robustness and
        Uncertainty, ICLR 2020, Algorithm 1; github.com/google-research/augmix.

    Differs from the reference:
        Moved pixels are rounded to the nearest level, where Pillow cuts off. Autocontrast is
        computed in whole numbers, which can differ by one level from Pillow's floats.
    """

    def __init__(self, *, severity: float = 3.0, num_chains: int = 3, max_depth: int = 3) -> None:
        if not _WEAKEST < severity <= _LARGEST_SEVERITY:
            raise InputError(
                f"`severity` must be in ({_WEAKEST}, {_LARGEST_SEVERITY}]. "
                f"Received: severity={severity}."
            )
        check_positive("num_chains", num_chains)
        check_positive("max_depth", max_depth)
        self.severity = severity
        self.num_chains = num_chains
        self.max_depth = max_depth

    def draw(
        self, images: tf.Tensor, *, seed: int, indices: tf.Tensor, counter: int | tf.Tensor = 0
    ) -> AugMixDraws:
        chains, depth = self.num_chains, self.max_depth
        steps = chains * depth
        # One uniform draw for each number, (batch, 3 steps + 2 chains).
        values = random.uniform(seed, indices, (3 * steps + 2 * chains,), counter=counter)
        kinds, strengths, signs, lengths, cuts, share = tf.split(
            values, [steps, steps, steps, chains, chains - 1, 1], axis=1
        )
        kinds, strengths, signs = (
            tf.reshape(part, [-1, chains, depth]) for part in (kinds, strengths, signs)
        )
        num_steps = 1 + tf.cast(lengths * depth, tf.int32)
        used = tf.range(depth) < num_steps[..., tf.newaxis]
        return AugMixDraws(
            operations=tf.where(used, tf.cast(kinds * len(OPERATIONS), tf.int32), NO_OPERATION),
            strengths=_WEAKEST + (self.severity - _WEAKEST) * strengths,
            signs=tf.where(signs < 0.5, -1.0, 1.0),
            weights=_spacings(cuts),
            share=share[:, 0],
        )

    def apply(self, images: tf.Tensor, draws: AugMixDraws) -> tf.Tensor:
        levels = tf.cast(tf.round(images * _WHITE), tf.int32)
        chains = tf.repeat(levels, self.num_chains, axis=0)
        for step in range(self.max_depth):
            parts = (draws.operations, draws.strengths, draws.signs)
            chains = apply_operations(
                chains, *(tf.reshape(part[:, :, step], [-1]) for part in parts)
            )
        chains = tf.reshape(
            tf.cast(chains, tf.float32) * (1.0 / _WHITE), [-1, self.num_chains, *images.shape[1:]]
        )
        mixture = tf.reduce_sum(_per_image(draws.weights) * chains, axis=1)
        mixed = images + _per_image(draws.share) * (mixture - images)
        return tf.ensure_shape(tf.clip_by_value(mixed, 0.0, 1.0), images.shape)


def _spacings(cuts: tf.Tensor) -> tf.Tensor:
    """Lengths of the parts into which uniform cuts divide [0, 1]: a draw from Dirichlet(1)."""
    ordered = tf.sort(cuts, axis=1)
    ends = tf.pad(ordered, [[0, 0], [0, 1]], constant_values=1.0)
    return ends - tf.pad(ordered, [[0, 0], [1, 0]])


def _per_image(values: tf.Tensor) -> tf.Tensor:
    return values[..., tf.newaxis, tf.newaxis, tf.newaxis]
