"""A model's logits, and attacked images, for any number of images in batches of one size."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from lsp_keras.inference.logits import LogitsFn, inference_logits
from lsp_keras.types import Floats, Integers


def compiled(logits_fn: LogitsFn, image_shape: tuple[int, ...]) -> LogitsFn:
    """The model in inference mode, traced once for any number of images.

    Many attacks on it compile in half the time: each traces a call where it would trace all
    layers anew.

    Args:
        logits_fn: A Keras model, called with `training=False`, or images -> logits.
        image_shape: Shape of an image, `(height, width, channels)`.
    """
    function: LogitsFn = tf.function(
        inference_logits(logits_fn), input_signature=[_any_number(image_shape)], autograph=False
    )
    return function


def predictor(function: LogitsFn, batch_size: int) -> Callable[[Floats], Floats]:
    """The model as a function of arrays.

    Args:
        function: Function that `compiled` returned.
        batch_size: Images at once.

    Returns:
        Maps float32 `(n, height, width, channels)` in [0, 1] to float32 `(n, classes)`.
    """

    def predict(images: Floats) -> Floats:
        return np.concatenate([function(part).numpy() for part in _parts(images, batch_size)])

    return predict


class Perturbs(Protocol):
    """The part of an attack that changes images and checks nothing."""

    def perturb(
        self, logits_fn: LogitsFn, images: Any, labels: Any, *, seed: Any, indices: Any
    ) -> tf.Tensor:
        """Images of the same shape."""


def perturb(
    attack: Perturbs,
    logits_fn: LogitsFn,
    images: Floats,
    labels: Integers,
    *,
    seed: int,
    batch_size: int,
) -> Floats:
    """Adversarial images of all images, also of those that are misclassified already.

    An attack that is called leaves the latter as they are, since they are broken; what is
    measured of a model's features and margins must not mix attacked images with clean ones.

    Args:
        attack: Attack with its own budget.
        logits_fn: A Keras model, called with `training=False`, or images -> logits.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        labels: Labels, int `(n,)`.
        seed: Seed of the attack's random draws, which belong to an image's place.
        batch_size: Images at once.

    Returns:
        float32, as `images`.
    """
    integers = tf.TensorSpec([None], tf.int64)
    function = tf.function(
        lambda pixels, targets, indices: attack.perturb(
            logits_fn, pixels, targets, seed=seed, indices=indices
        ),
        input_signature=[_any_number(images.shape[1:]), integers, integers],
        autograph=False,
    )
    indices = np.arange(len(images))
    arrays = (images, labels.astype(np.int64), indices)
    parts = zip(*(_parts(array, batch_size) for array in arrays), strict=True)
    return np.concatenate([function(*part).numpy() for part in parts])


def _any_number(image_shape: tuple[int, ...]) -> tf.TensorSpec:
    return tf.TensorSpec([None, *image_shape], tf.float32)


def ranges(total: int, size: int) -> list[tuple[int, int]]:
    """Start and end of each batch of so many images, the last one shorter."""
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def _parts(array: Floats | Integers, batch_size: int) -> list[Floats | Integers]:
    return [array[start:stop] for start, stop in ranges(len(array), batch_size)]
