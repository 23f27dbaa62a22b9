"""CIFAR-10: animals and vehicles in ten classes, 32x32 (TFDS)."""

from lsp_keras.datasets.from_tfds.source import TFDSSource

__all__ = ["cifar10"]

_CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

cifar10 = TFDSSource("cifar10", augmentation="crop_flip", class_names=_CLASS_NAMES)
