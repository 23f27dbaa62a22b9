"""Sentences on what of a source is used, and on what its splits are too small for."""

import math
from collections.abc import Iterator

import numpy as np

from lsp_keras.datasets._base import OpenSource
from lsp_keras.types import Examples

# Below, chance decides between epochs more than training does.
_FEW_VALIDATION = 100
_CLASSES_NAMED = 5


def describe_use(
    source: OpenSource, train: Examples, validation: Examples, test: Examples
) -> Iterator[str]:
    """What was found, what is used of it, and what is left out, by reason."""
    used = f"{len(train):,} to train on, {len(validation):,} to validate, {len(test):,} to test on"
    yield f"Images: {used}."
    own = 0 if source.validation is None else len(source.validation.labels)
    if len(validation) < own:
        yield (
            f"Of the {own:,} validation images {own - len(validation):,} are not used: "
            "--validation-size takes more."
        )
    yield from describe_left_out(source)


def describe_left_out(source: OpenSource) -> Iterator[str]:
    """What is not used, by reason."""
    if source.left_out:
        listed = ", ".join(f"{reason} ({count:,})" for reason, count in source.left_out.items())
        yield f"Left out: {listed}."


def describe_gaps(
    class_names: tuple[str, ...], train: Examples, validation: Examples, test: Examples
) -> Iterator[str]:
    """Splits that miss classes, and what few validation images mean."""
    for name, split in (("training", train), ("validation", validation), ("test", test)):
        missing = np.setdiff1d(np.arange(len(class_names)), split.labels)
        if len(split) and len(missing):
            shown = [class_names[label] for label in missing[:_CLASSES_NAMED]]
            rest = f" and {len(missing) - len(shown):,} more" if len(missing) > len(shown) else ""
            yield f"No {name} images of {', '.join(shown)}{rest}."
    count = len(validation)
    if 0 < count < _FEW_VALIDATION:
        # The standard error of a share is largest at one half.
        error = 0.5 / math.sqrt(count)
        yield (
            f"Only {count} validation images choose the epoch that is kept: an accuracy of 50 % "
            f"on them is uncertain by {error:.0%} either way (one standard error), so that the "
            "choice between epochs that differ by less is chance. Hold out more by "
            "--validation-size."
        )
