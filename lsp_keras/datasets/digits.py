"""Handwritten digits of scikit-learn, resized to 16x16 RGB; needs no download."""

from collections.abc import Iterator

import numpy as np

from lsp_keras.datasets._base import Folders, OpenSource, ReadOptions, Source, SourceSplit
from lsp_keras.datasets._cut import cut_test
from lsp_keras.ops.resizing import fit_images
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

    def open(self, folders: Folders, options: ReadOptions) -> OpenSource:
        from sklearn.datasets import load_digits

        options.refuse_splits("digits")
        size, channels = options.size or (_SIZE, _SIZE), options.channels or 3
        bunch = load_digits()
        # 17 gray levels, 0 to 16, are stretched to 0 to 255.
        gray = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        resized = fit_images(gray[..., np.newaxis], size, options.resize)
        images = np.repeat(resized, channels, axis=-1)
        labels = bunch.target.astype(np.int64)

        def read(positions: Integers) -> Iterator[tuple[Images, Integers]]:
            yield images[positions], labels[positions]

        train, test = cut_test(labels)
        return OpenSource(
            class_names=tuple(str(name) for name in bunch.target_names),
            image_shape=(*size, channels),
            split_sizes={"train": len(train), "test": len(test)},
            train=SourceSplit(train, labels[train], read),
            test=SourceSplit(test, labels[test], read),
            version=f"digits {len(labels)} {options}",
            citation=_CITATION,
            resize=options.resize,
        )


digits = _Digits()
