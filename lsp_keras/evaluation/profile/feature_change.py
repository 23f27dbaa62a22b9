"""How far a perturbation moves the features of each layer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.evaluation.diagnosis.surface import random_signs
from lsp_keras.evaluation.profile.layers import KernelLayer
from lsp_keras.inference.batches import ranges
from lsp_keras.types import Floats

_NUM_DIRECTIONS = 8


@dataclass(frozen=True)
class FeatureChange:
    """Relative change |h(x + d) - h(x)| / |h(x)| of one layer's output, mean over the images.

    Attributes:
        layer: Name of the layer.
        adversarial: Change under the adversarial perturbation.
        random: Change under random ones of the same length, mean over directions.
        unevenness: Standard deviation over the random directions divided by their mean: 0
            where the features move alike in all of them.
    """

    layer: str
    adversarial: float
    random: float
    unevenness: float

    @property
    def ratio(self) -> float:
        """Adversarial over random change: how much one direction stands out."""
        return self.adversarial / self.random if self.random > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {"ratio": self.ratio}


def feature_changes(
    model: keras.Model,
    layers: Sequence[KernelLayer],
    images: Floats,
    adversarial: Floats,
    *,
    seed: int,
    batch_size: int,
    num_directions: int = _NUM_DIRECTIONS,
) -> list[FeatureChange]:
    """Measures how the output of each layer, batch normalization included, moves.

    A random direction is the adversarial one with random signs, so it has the same length in
    every norm; it is not clipped to [0, 1], which would shorten it.

    Args:
        model: Functional model with these layers.
        layers: Layers that are measured, one or more.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        adversarial: Adversarial images from an attack, float32, shaped as `images`.
        seed: Seed of the random directions.
        batch_size: Images at once.
        num_directions: Random directions for each image.
    """
    features = _compiled(model, layers)
    perturbation = adversarial - images
    moves = [perturbation] + [
        perturbation * random_signs(images.shape, seed + place) for place in range(num_directions)
    ]
    # (1 + directions, layers, n): every layer's relative change under every perturbation.
    changes = np.concatenate(
        [
            _relative_changes(features, images[start:stop], [move[start:stop] for move in moves])
            for start, stop in ranges(len(images), batch_size)
        ],
        axis=-1,
    )
    towards, sideways = changes[0], changes[1:]
    means, deviations = sideways.mean(axis=0), sideways.std(axis=0)
    unevenness = np.divide(deviations, means, out=np.zeros_like(means), where=means > 0)
    return [
        FeatureChange(
            layer.name, *(float(row[place].mean()) for row in (towards, means, unevenness))
        )
        for place, layer in enumerate(layers)
    ]


def _relative_changes(features: Any, images: Floats, moves: Sequence[Floats]) -> Floats:
    """`(moves, layers, images)`; 0 where the features themselves are 0."""
    clean = features(images)
    lengths = [tf.norm(part, axis=1) for part in clean]
    return np.array(
        [
            [
                tf.math.divide_no_nan(tf.norm(moved - still, axis=1), length).numpy()
                for moved, still, length in zip(
                    features(images + move), clean, lengths, strict=True
                )
            ]
            for move in moves
        ]
    )


def _compiled(model: keras.Model, layers: Sequence[KernelLayer]) -> Any:
    """Flat float32 outputs of the layers, as a function of images."""
    inner = keras.Model(model.inputs, [layer.output for layer in layers])

    @tf.function(
        input_signature=[tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.float32)],
        autograph=False,
    )
    def features(images: Any) -> list[Any]:
        outputs = keras.tree.flatten(inner(images, training=False))
        return [tf.reshape(tf.cast(part, tf.float32), [tf.shape(part)[0], -1]) for part in outputs]

    return features
