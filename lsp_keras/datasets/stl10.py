"""STL-10: animals and vehicles in ten classes, 96x96; few of its images have labels (TFDS)."""

from lsp_keras.datasets.from_tfds.source import TFDSSource

__all__ = ["stl10"]

stl10 = TFDSSource("stl10", augmentation="crop_flip")
