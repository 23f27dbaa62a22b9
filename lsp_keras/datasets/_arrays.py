"""A dataset from the user's own arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.datasets._base import Chunks, OpenSource, SourceSplit, one_line
from lsp_keras.datasets._cut import Counts, cut_test
from lsp_keras.datasets._load import assemble
from lsp_keras.storage import cache_dir, fingerprint
from lsp_keras.types import Dataset, Images, Integers
from lsp_keras.validation import InputError, check_positive

Arrays = tuple[npt.ArrayLike, npt.ArrayLike]


def from_arrays(
    train: Arrays,
    test: Arrays | None = None,
    *,
    validation: Arrays | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    augmentation: str | None = None,
    validation_size: int | None = None,
    seed: int = 0,
) -> Dataset:
    """The user's images as a dataset, cut and ordered as `load` does it.

    Args:
        train: Images and labels to train on: uint8 `(n, height, width, channels)` or, gray,
            `(n, height, width)`; int `(n,)`, counted from 0.
        test: Images and labels to test on. Without them a fifth of each class is cut off.
        validation: Images and labels to choose an epoch by. Without them they are cut from
            `train`.
        class_names: Names of the labels, in their order; default the numbers. A line break in a
            name becomes a space.
        name: Name of the dataset, for records.
        augmentation: Name of the augmentation that suits the images, or `None`.
        validation_size: Number of training images that are held out; default a tenth, at most
            1,000.
        seed: Seed of the order of each split.

    Returns:
        The dataset, which trainers, miners and evaluations take.

    Raises:
        InputError: Images are not uint8 or not of one size, or labels do not fit them.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
        >>> dataset = from_arrays((images, np.arange(40) % 2), class_names=["even", "odd"])
        >>> len(dataset.train), len(dataset.validation), len(dataset.test)
        (29, 3, 8)
    """
    check_positive("seed", seed, allow_zero=True)
    parts = {"train": train, "validation": validation, "test": test}
    given = {part: _checked(part, *arrays) for part, arrays in parts.items() if arrays is not None}
    shape = given["train"][0].shape[1:]
    for part, (images, _) in given.items():
        if images.shape[1:] != shape:
            raise InputError(
                f"All images must have one shape. Those of train have {shape}, those of {part} "
                f"{images.shape[1:]}."
            )
    names = _class_names(class_names, [labels.max() for _, labels in given.values()])
    splits = {part: _split(*arrays) for part, arrays in given.items()}
    if test is None:
        images, labels = given["train"]
        for part, rows in zip(("train", "test"), cut_test(labels), strict=True):
            splits[part] = _split(images, labels, rows)
    opened = OpenSource(
        class_names=names,
        image_shape=(shape[0], shape[1], shape[2]),
        split_sizes={part: len(split.labels) for part, split in splits.items()},
        train=splits["train"],
        test=splits["test"],
        version=fingerprint(*(array for arrays in given.values() for array in arrays)),
        citation="",
        validation=splits.get("validation"),
    )
    counts = Counts(validation=validation_size)
    return assemble(name, augmentation, opened, counts, seed, Path(cache_dir()) / "images")


def _checked(part: str, images: Any, labels: Any) -> tuple[Images, Integers]:
    """The arrays of a split, with a channel axis and int64 labels."""
    shapes = {np.shape(image) for image in images}
    if len(shapes) != 1:
        listed = ", ".join(str(shape) for shape in sorted(shapes)[:3]) or "none"
        raise InputError(
            f"The {part} images must have one shape (height, width, channels). "
            f"Received: {listed}. `lsp_keras.ops.resizing.fit_images` resizes images."
        )
    pixels, numbers = np.asarray(images), np.asarray(labels)
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] not in (1, 3):
        raise InputError(
            f"The {part} images must be uint8 (n, height, width, 1 or 3). Received: {pixels.dtype} "
            f"{pixels.shape}. Floats in [0, 1] become uint8 by np.rint(255 * x).astype('uint8')."
        )
    if numbers.shape != (len(pixels),) or not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(
            f"The {part} labels must be {len(pixels)} integers, one for each image. "
            f"Received: {numbers.dtype} {numbers.shape}."
        )
    return pixels, numbers.astype(np.int64)


def _class_names(given: Sequence[str] | None, largest: Sequence[int]) -> tuple[str, ...]:
    names = tuple(map(str, range(max(largest) + 1)) if given is None else map(one_line, given))
    if len(names) < 2 or len(set(names)) != len(names):
        raise InputError(f"There must be two or more different class names. Received: {names}.")
    return names


def _split(images: Images, labels: Integers, rows: Integers | None = None) -> SourceSplit:
    def read(positions: Integers) -> Chunks:
        yield images[positions], labels[positions]

    rows = np.arange(len(labels)) if rows is None else rows
    return SourceSplit(rows, labels[rows], read)
