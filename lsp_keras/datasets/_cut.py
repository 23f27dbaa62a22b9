"""Which images belong to which split, and in which order: functions of labels and a seed."""

from typing import NamedTuple

import numpy as np

from lsp_keras.types import Integers
from lsp_keras.validation import InputError

_MAX_VALIDATION = 1000
_TEST_SEED = 0
# Tells the draws for different splits apart.
_TRAIN_STREAM, _TEST_STREAM, _VALIDATION_STREAM = 0, 1, 2


class Rows(NamedTuple):
    """Rows of the source's splits, each part in a fair order."""

    train: Integers
    validation: Integers
    test: Integers


class Counts(NamedTuple):
    """How many images are asked for; `None` means all, or the default validation size."""

    train: int | None = None
    validation: int | None = None
    test: int | None = None


def choose_rows(
    train: Integers, test: Integers, counts: Counts, seed: int, validation: Integers | None = None
) -> Rows:
    """Cuts the validation split from the training images, then limits train and test.

    All parts are in a fair order, see `fair_order`. A smaller limit with the same seed gives the
    head of a larger one, and the validation split does not depend on the limits.

    Args:
        train: Labels of the source's training images.
        test: Labels of its test images.
        counts: What the user asked for. The default validation size is a tenth of the training
            images, at most 1,000; of a validation split of the source's own, at most 1,000.
        seed: Seed of the orders.
        validation: Labels of the source's own validation images, where it has a split for them:
            then none are cut from the training images.

    Raises:
        InputError: More is asked for than there is, or nothing is left to train on.
    """
    order = fair_order(train, seed, _TRAIN_STREAM)
    if validation is None:
        count = _cut_size(len(train), counts.validation)
        held_out, order = order[:count], order[count:]
    else:
        wanted = counts.validation
        count = min(len(validation), _MAX_VALIDATION) if wanted is None else wanted
        if not 0 <= count <= len(validation):
            raise InputError(
                f"`validation_size` must be in [0, {len(validation)}], the validation images "
                f"there are. Received: validation_size={count}."
            )
        held_out = fair_order(validation, seed, _VALIDATION_STREAM)[:count]
    _check_limit("num_train", counts.train, len(order))
    _check_limit("num_test", counts.test, len(test))
    return Rows(
        train=order[: counts.train],
        validation=held_out,
        test=fair_order(test, seed, _TEST_STREAM)[: counts.test],
    )


def fair_order(labels: Integers, seed: int, stream: int = 0) -> Integers:
    """A random order of which every head holds the classes in nearly their overall shares.

    The k-th image of a class of n is due at (k + 1/2) / n, and images come as they are due. So
    the first p images hold p s images of a class with the share s, to within 1/2 + s c / 2 for
    c classes.

    Args:
        labels: Labels, int `(n,)`.
        seed: Seed of the order of each class's images, and of the classes where they are due at
            once.
        stream: Number that tells draws with the same seed apart.

    Returns:
        int64 `(n,)`, a permutation.

    Example:
        >>> labels = np.array([0, 0, 0, 0, 1, 1])
        >>> labels[fair_order(labels, seed=0)].tolist()
        [0, 1, 0, 0, 1, 0]
    """
    generator = np.random.default_rng([seed, stream])
    shuffled = generator.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    _, starts, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    places = np.arange(len(labels)) - np.repeat(starts, counts)
    due = (places + 0.5) / np.repeat(counts, counts)
    return by_class[np.lexsort((generator.random(len(labels)), due))]


def _cut_size(num_train: int, wanted: int | None) -> int:
    if wanted is None:
        return min(num_train // 10, _MAX_VALIDATION)
    if not 0 <= wanted < num_train:
        raise InputError(
            f"`validation_size` must be in [0, {num_train}): it is cut from the {num_train} "
            f"training images. Received: validation_size={wanted}."
        )
    return wanted


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
        labels: Labels, int `(n,)`.
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
