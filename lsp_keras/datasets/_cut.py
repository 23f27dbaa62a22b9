"""Which images belong to which split: functions of counts, labels and a seed alone."""

from typing import NamedTuple

import numpy as np

from lsp_keras.types import Integers
from lsp_keras.validation import InputError

_MAX_VALIDATION = 1000
_TEST_SEED = 0
# Tells the draws for different splits apart.
_TRAIN_STREAM, _TEST_STREAM = 0, 1


class Rows(NamedTuple):
    """Ascending rows of the source's own training and test images."""

    train: Integers
    validation: Integers
    test: Integers


class Counts(NamedTuple):
    """How many images are asked for; `None` means all, or the default validation size."""

    train: int | None = None
    validation: int | None = None
    test: int | None = None


def choose_rows(num_train: int, num_test: int, counts: Counts, seed: int) -> Rows:
    """Cuts the validation split from the training images, then limits train and test.

    A smaller limit with the same seed chooses a subset of the images of a larger one, and the
    validation split does not depend on the limits.

    Args:
        num_train: Training images of the source.
        num_test: Test images of the source.
        counts: What the user asked for. The default validation size is a tenth of the training
            images, at most 1,000.
        seed: Of the permutations.

    Raises:
        InputError: More is asked for than there is, or nothing is left to train on.
    """
    validation = counts.validation
    if validation is None:
        validation = min(num_train // 10, _MAX_VALIDATION)
    if not 0 <= validation < num_train:
        raise InputError(
            f"`validation_size` must be in [0, {num_train}): it is cut from the {num_train} "
            f"training images. Received: validation_size={validation}."
        )
    _check_limit("num_train", counts.train, num_train - validation)
    _check_limit("num_test", counts.test, num_test)
    train_order = np.random.default_rng([seed, _TRAIN_STREAM]).permutation(num_train)
    test_order = np.random.default_rng([seed, _TEST_STREAM]).permutation(num_test)
    return Rows(
        train=np.sort(train_order[validation:][: counts.train]),
        validation=np.sort(train_order[:validation]),
        test=np.sort(test_order[: counts.test]),
    )


def _check_limit(name: str, limit: int | None, available: int) -> None:
    if limit is not None and not 0 < limit <= available:
        raise InputError(
            f"`{name}` must be in [1, {available}], the images there are. Received: {name}={limit}."
        )


def cut_test(labels: Integers, fraction: float = 0.2) -> tuple[Integers, Integers]:
    """Splits images that come without a test split, with the same share of each class.

    The cut has a seed of its own, so that runs with different seeds are tested on the same
    images.

    Args:
        labels: int `(n,)`.
        fraction: Share of each class to test on, rounded to whole images.

    Returns:
        Ascending rows to train on and rows to test on.

    Raises:
        InputError: No class has enough images to give one.
    """
    order = np.random.default_rng(_TEST_SEED).permutation(len(labels))
    in_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        in_test[rows[: round(len(rows) * fraction)]] = True
    if not in_test.any():
        raise InputError(
            f"{len(labels)} images are too few to cut a test split from. Give each class at "
            "least three, or make the folders train and test."
        )
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
