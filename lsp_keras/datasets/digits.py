"""Handwritten digits of scikit-learn, resized to 16x16 RGB; needs no download."""

from collections.abc import Iterator

import numpy as np

from lsp_keras.datasets._base import Folders, OpenSource, Source, SourceSplit
from lsp_keras.datasets._cut import cut_test
from lsp_keras.datasets._resize import resize
from lsp_keras.types import Images, Integers

__all__ = ["digits"]

_SIZE = 16
_CITATION = (
    "E. Alpaydin and C. Kaynak. Optical Recognition of Handwritten Digits. "
    "UCI Machine Learning Repository, 1998. https://doi.org/10.24432/C50P49"
)


class _Digits(Source):
    """1,797 digits of 8x8 pixels; a fifth of each class is the test split."""

    augmentation = "crop"

    def open(self, folders: Folders, size: int | None) -> OpenSource:
        """See the base class."""
        from sklearn.datasets import load_digits

        size = size or _SIZE
        bunch = load_digits()
        # 17 gray levels, 0 to 16, are stretched to 0 to 255.
        gray = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        images = resize(np.repeat(gray[..., np.newaxis], 3, axis=-1), size)
        labels = bunch.target.astype(np.int64)

        def read(positions: Integers) -> Iterator[tuple[Images, Integers]]:
            yield images[positions], labels[positions]

        train, test = cut_test(labels)
        return OpenSource(
            class_names=tuple(str(name) for name in bunch.target_names),
            image_shape=(size, size, 3),
            split_sizes={"train": len(train), "test": len(test)},
            train=SourceSplit(train, read),
            test=SourceSplit(test, read),
            version=f"digits {len(labels)}",
            citation=_CITATION,
        )


digits = _Digits()
