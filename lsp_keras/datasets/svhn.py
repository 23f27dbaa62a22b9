"""SVHN: house numbers photographed from the street, cropped to one digit, 32x32 (TFDS)."""

from lsp_keras.datasets.from_tfds.source import TFDSSource

__all__ = ["svhn"]

svhn = TFDSSource("svhn_cropped", augmentation="crop")
