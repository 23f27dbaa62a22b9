"""Tiny ImageNet: everyday things in 200 classes, 64x64 (TFDS, with a builder of our own)."""

from lsp_keras.datasets.from_tfds.source import TFDSSource
from lsp_keras.datasets.from_tfds.tiny_imagenet import TinyImagenet

__all__ = ["tiny_imagenet"]

# Importing the builder has made its name known to TFDS.
tiny_imagenet = TFDSSource(
    TinyImagenet.name, augmentation="crop_flip", manual_file="tiny-imagenet-200.zip"
)
