"""A classifier that hides its gradient on purpose, for the last row of the board."""

from typing import Any

import keras

from lsp_keras.models.resnet18 import resnet18

_LEVELS = 7


def rounded_resnet18(num_classes: int, *, input_shape: tuple[int, int, int], seed: int = 0) -> Any:
    """ResNet-18 of width 8 behind pixels that are rounded to eight levels.

    Rounding has a gradient of zero, so that attacks by gradients find nothing to climb, while
    attacks by answers alone break the network as any other: it is masked, not robust.

    Args:
        num_classes: Length of the logits.
        input_shape: Shape of an image with pixels in [0, 1], `(height, width, channels)`.
        seed: Seed of the initial weights.

    References:
        Athalye et al., Obfuscated Gradients Give a False Sense of Security, ICML 2018, Section 4.1.
    """
    images = keras.Input(input_shape, name="images")
    # The product with zero stands for the gradient that rounding has not.
    rounded = keras.ops.round(_LEVELS * images) / _LEVELS + 0.0 * images
    logits = resnet18(num_classes, input_shape=input_shape, width=8, seed=seed)(rounded)
    return keras.Model(images, logits, name="rounded_resnet18")
