"""Tiny ImageNet: everyday things in 200 classes, 64x64 (TFDS, with a builder of our own)."""

from lsp_keras.datasets._tfds import TFDSSource
from lsp_keras.datasets._tiny_imagenet_builder import TinyImagenet

__all__ = ["tiny_imagenet"]

# Importing the builder has made its name known to TFDS.
tiny_imagenet = TFDSSource(
    TinyImagenet.name, augmentation="crop_flip", manual_file="tiny-imagenet-200.zip"
)
