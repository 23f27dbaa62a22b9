"""Vision transformers with small patches, for small images."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from lsp_keras.models import _resnet
from lsp_keras.models._resnet import Style
from lsp_keras.validation import InputError, check_positive

__all__ = ["vit"]

_NORM_EPSILON = 1e-6
_MLP_RATIO = 4
_HEAD_SIZE = 64
_SMALL_PATCH, _LARGE_PATCH = 4, 16


def vit(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 192,
    depth: int = 12,
    patch_size: int | None = None,
    num_heads: int | None = None,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.5,),
    activation: str = "gelu",
    seed: int = 0,
) -> keras.Model:
    """Vision transformer; ViT-Ti with patches of 4 pixels has 5,362,762 parameters for 10 classes.

    With 224 pixels, patches of 16 and 1,000 classes these are ViT-Ti/16 (5,717,416 parameters)
    and, with width 384, ViT-S/16 (22,050,664). Only layers built into Keras.

    Args:
        num_classes: Number of logits.
        input_shape: Shape of an image, `(height, width, channels)`, both sizes at least 16.
        width: Numbers in a token.
        depth: Number of blocks.
        patch_size: Side of a patch in pixels. Default: 4, and 16 where both sizes are 96 or more.
        num_heads: Heads of the attention, which share the width. Default: one for 64 numbers.
        mean: Mean of each channel over the training images, on the [0, 1] scale; one number stands
            for all.
        std: Standard deviation of each channel, as `mean`.
        activation: Name of a Keras activation.
        seed: Seed of the initial weights.

    Returns:
        Model from images `(batch, height, width, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`. The layer `features` is the class token, normalized.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> vit(10, width=64, depth=2).output_shape
        (None, 10)

    References:
        Dosovitskiy et al., An Image is Worth 16x16 Words, 2021; Touvron et al., Training
        data-efficient image transformers, 2021, whose sizes these are.

    Differs from the reference:
        Weights start truncated normal with deviation 0.02, the last layer as in
        `lsp_keras.models.resnet18`. No dropout and no stochastic depth.
    """
    mean, std = _resnet.check_arguments(num_classes, input_shape, width, mean, std)
    is_large = min(input_shape[:2]) >= _resnet.LARGE_SIZE
    patch_size = patch_size or (_LARGE_PATCH if is_large else _SMALL_PATCH)
    num_heads = num_heads or max(width // _HEAD_SIZE, 1)
    _check(width, depth, num_heads)
    style = Style(activation, seed)
    images = keras.Input(input_shape, name="images")
    tokens = _embed(_resnet.normalized(images, mean, std), width, patch_size, style)
    for index in range(depth):
        name = f"block{index + 1}"
        tokens = _attend(tokens, num_heads, name, style)
        tokens = _transform(tokens, name, style)
    features = keras.layers.LayerNormalization(
        epsilon=_NORM_EPSILON, dtype="float32", name="features"
    )(tokens[:, 0])
    return keras.Model(images, _resnet.logits(features, num_classes, style), name="vit")


def _embed(images: Any, width: int, patch_size: int, style: Style) -> Any:
    """Class token and patches with their positions, `(batch, 1 + patches, width)`."""
    patches = keras.layers.Conv2D(
        width,
        patch_size,
        patch_size,
        # A side that is no multiple of the patch is filled up with zeros, the mean color.
        padding="same",
        kernel_initializer=_initializer("stem_conv", style),
        name="stem_conv",
    )(images)
    patches = keras.layers.Reshape((-1, width), name="patches")(patches)
    # One for each image, so that the class token is a layer's weight as all others are.
    ones = ops.ones_like(patches[:, :1, :1])
    token = _dense(width, "class_token", style, use_bias=False)(ones)
    tokens = keras.layers.Concatenate(axis=1, name="tokens")([token, patches])
    count = tokens.shape[1]
    # The unit matrix for each image: a layer of it adds a row of its weights to each token.
    places = ops.cumsum(ops.ones_like(tokens[:, :, 0]), axis=1) - 1
    rows = ops.one_hot(ops.cast(places, "int32"), count, dtype=tokens.dtype)
    positions = _dense(width, "positions", style, use_bias=False)(rows)
    return keras.layers.Add(name="embedding")([tokens, positions])


def _attend(tokens: Any, num_heads: int, name: str, style: Style) -> Any:
    """The tokens, each with what it reads from all others."""
    count, width = tokens.shape[1:]
    values = _normalize(tokens, f"{name}_norm1")

    def heads(part: str) -> Any:
        projected = _dense(width, f"{name}_{part}", style)(values)
        return keras.layers.Reshape((count, num_heads, width // num_heads))(projected)

    read = ops.dot_product_attention(heads("query"), heads("key"), heads("value"))
    read = keras.layers.Reshape((count, width))(read)
    outputs = _dense(width, f"{name}_projection", style)(read)
    return keras.layers.Add(name=f"{name}_add1")([tokens, outputs])


def _transform(tokens: Any, name: str, style: Style) -> Any:
    """The tokens, each changed by itself."""
    width = tokens.shape[-1]
    values = _normalize(tokens, f"{name}_norm2")
    values = _dense(_MLP_RATIO * width, f"{name}_mlp1", style)(values)
    values = _resnet.activate(values, f"{name}_activation", style)
    values = _dense(width, f"{name}_mlp2", style)(values)
    return keras.layers.Add(name=f"{name}_add2")([tokens, values])


def _dense(units: int, name: str, style: Style, *, use_bias: bool = True) -> keras.layers.Dense:
    return keras.layers.Dense(
        units, use_bias=use_bias, kernel_initializer=_initializer(name, style), name=name
    )


def _normalize(tokens: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=_NORM_EPSILON, name=name)(tokens)


def _initializer(name: str, style: Style) -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=0.02, seed=style.layer_seed(name))


def _check(width: int, depth: int, num_heads: int) -> None:
    check_positive("depth", depth)
    if width % num_heads:
        raise InputError(
            f"`width` must be a multiple of `num_heads`, {num_heads}. Received: width={width}."
        )
