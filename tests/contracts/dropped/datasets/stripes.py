"""Random images, brighter in the stripe of their class."""

from collections.abc import Iterator

import numpy as np

from lsp_keras.datasets import Folders, OpenSource, ReadOptions, Source, SourceSplit
from lsp_keras.types import Images, Integers

__all__ = ["Stripes"]

_SIZE = 16


class Stripes(Source):
    """As many classes as stripes.

    Args:
        num_stripes: Number of stripes, which divides 16.
    """

    augmentation = "crop"

    def __init__(self, *, num_stripes: int = 2) -> None:
        self.num_stripes = num_stripes

    def open(self, folders: Folders, options: ReadOptions) -> OpenSource:
        options.refuse_splits("stripes")
        labels = np.arange(200, dtype=np.int64) % self.num_stripes
        images = np.random.default_rng(0).integers(0, 100, (200, _SIZE, _SIZE, 3))
        width = _SIZE // self.num_stripes
        for image, label in zip(images, labels, strict=True):
            image[:, label * width : (label + 1) * width] += 100
        pixels = images.astype(np.uint8)

        def read(positions: Integers) -> Iterator[tuple[Images, Integers]]:
            yield pixels[positions], labels[positions]

        return OpenSource(
            class_names=tuple(f"stripe {number}" for number in range(self.num_stripes)),
            image_shape=(_SIZE, _SIZE, 3),
            split_sizes={"train": 160, "test": 40},
            train=SourceSplit(np.arange(160), labels[:160], read),
            test=SourceSplit(np.arange(160, 200), labels[160:], read),
            version=f"stripes {self.num_stripes}",
            citation="Made for a test; nobody has published it.",
            resize=options.resize,
        )
