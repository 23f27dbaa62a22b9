"""Which of a source's splits are trained on, tested on and used to choose an epoch."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lsp_keras.datasets._base import ReadOptions
from lsp_keras.types import Integers
from lsp_keras.validation import InputError

_TRAIN, _TEST, _VALIDATION = "train", "test", "validation"


class ChosenSplits(NamedTuple):
    """Names of splits.

    Attributes:
        train: Split to train on.
        test: Split to test on.
        validation: Split to choose an epoch by; `None` where images are cut from `train`.
        left_out: Number of images without a label, by a reason that names their split.
        notes: Sentences on what was chosen.
    """

    train: str
    test: str
    validation: str | None
    left_out: Mapping[str, int]
    notes: tuple[str, ...]


def choose_splits(
    name: str,
    sizes: Mapping[str, int],
    labels: Callable[[str], Integers],
    options: ReadOptions,
) -> ChosenSplits:
    """The usual splits, or those that the user names; test labels are often kept secret.

    Args:
        name: Name of the dataset, for messages.
        sizes: Number of images in each split.
        labels: Function that maps the name of a split to its labels, -1 where an image has none.
        options: May name splits.

    Raises:
        InputError: There is no split to train or to test on.
    """
    labeled = functools.cache(lambda split: int((labels(split) >= 0).sum()))
    candidates = (options.split_test,) if options.split_test else (_TEST, _VALIDATION)
    present = [split for split in candidates if options.split_test or split in sizes]
    test = next((split for split in present if labeled(split)), None)
    train = options.split_train or _TRAIN
    if test is None or not (options.split_train or train in sizes) or not labeled(train):
        raise InputError(_missing(name, sizes, present))
    if train == test:
        raise InputError(f"{name} would be tested on the images it is trained on, those of {test}.")
    validation = _VALIDATION if _VALIDATION in sizes and labeled(_VALIDATION) else None
    if validation in (train, test) or options.split_train or options.split_test:
        validation = None
    notes = []
    if test != present[0]:
        notes.append(f"The labels of the split {present[0]} are secret: {test} is tested on.")
    used = [split for split in (train, test, validation) if split is not None]
    notes += [
        f"The split {split} of {size:,} images is not used."
        for split, size in sizes.items()
        if split not in used and not any(other.startswith(f"{split}[") for other in used)
    ]
    dropped = {split: len(labels(split)) - labeled(split) for split in used}
    left_out = {f"no label, in the split {split}": n for split, n in dropped.items() if n}
    return ChosenSplits(train, test, validation, left_out, tuple(notes))


def _missing(name: str, sizes: Mapping[str, int], present: list[str]) -> str:
    held = ", ".join(f"{split} ({size:,} images)" for split, size in sizes.items())
    secret = f" No image of {' or '.join(present)} has a label." if present else ""
    return (
        f"TFDS dataset {name!r} must have the splits 'train' and 'test' or 'validation', with "
        f"labels. It has: {held}.{secret} Name others by --split-train and --split-test."
    )
