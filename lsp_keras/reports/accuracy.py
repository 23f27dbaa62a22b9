"""Accuracy by attack and by class, and what is taken for what, from records and answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.evaluation.report import unpack_verdicts
from lsp_keras.evaluation.share import Share
from lsp_keras.types import Integers, radius_text

Record = Mapping[str, Any]
_SETTINGS = ("version", "num_steps", "num_restarts", "num_queries", "objective")
# More classes than these are shown by their most frequent confusions alone.
_MOST_IN_MATRIX = 20
_NUM_CONFUSIONS = 12


def attack_rows(evaluations: Sequence[Record]) -> list[dict[str, Any]]:
    """A row for clean images and for each attack, those of the first record first."""
    rows = []
    for number, record in enumerate(evaluations):
        if number == 0:
            rows.append(_row("no attack", record["clean_accuracy"], record, {}))
        for name, attack in record["attacks"].items():
            rows.append(_row(name, attack["accuracy"], record, attack))
        if number == 0:
            rows.append(_row("worst of these", record["worst_case_accuracy"], record, {}))
    return rows


def _row(name: str, share: Mapping[str, Any], record: Record, attack: Record) -> dict[str, Any]:
    config = attack.get("config", {})
    settings = [
        f"{key.removeprefix('num_').replace('_', ' ')} {config[key]}"
        for key in _SETTINGS
        if config.get(key) is not None
    ]
    if isinstance(config.get("step_size"), float):
        settings.append(f"step {radius_text(config['step_size'], record['threat_model']['norm'])}")
    return {
        "name": name,
        "share": share,
        "text": str(Share(share["count"], share["total"])),
        "settings": ", ".join(settings),
        "seconds": attack.get("seconds"),
        "seed": record["seed"],
    }


def class_rows(
    record: Record, labels: Integers, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Clean and robust accuracy of each class.

    Args:
        record: Record of an evaluation, with its verdicts.
        labels: Labels of the record's images in the record's order, int `(n,)`.
        class_names: Names of the classes, in label order.

    Returns:
        Empty for a record without verdicts.
    """
    verdicts = record.get("verdicts", {})
    if not {"clean", "worst_case"} <= verdicts.keys():
        return []
    clean, robust = (
        unpack_verdicts(verdicts[kind], len(labels)) for kind in ("clean", "worst_case")
    )
    rows = []
    for label, name in enumerate(class_names):
        own = labels == label
        if own.any():
            total = int(own.sum())
            shares = [Share(int(kind[own].sum()), total) for kind in (clean, robust)]
            rows.append({"name": name, "clean": shares[0], "robust": shares[1]})
    return rows


def agrees(record: Record, correct: npt.NDArray[np.bool_]) -> bool:
    """Whether a record is of these images: its clean verdicts are those found now.

    A model of another precision or on another machine may differ on an image or two.

    Args:
        record: Record of an evaluation.
        correct: Whether the model is right on each of the first test images, bool `(m,)`.
    """
    verdicts = record.get("verdicts", {}).get("clean")
    count = min(len(correct), record["num_examples"])
    if verdicts is None or not count:
        return False
    found = unpack_verdicts(verdicts, record["num_examples"])[:count]
    return float((found != correct[:count]).mean()) <= 0.01


def confusion(
    labels: Integers, predictions: Integers, class_names: Sequence[str]
) -> dict[str, Any]:
    """What each class is taken for.

    Args:
        labels: Labels, int `(n,)`.
        predictions: Predicted classes, int `(n,)`.
        class_names: Names of the classes, in label order.

    Returns:
        `rows`: each with `name`, `total` and `cells` of `count` and `share` of the class's images,
        none where there are too many classes; `mistakes`: the most frequent ones.
    """
    num_classes = len(class_names)
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    totals = counts.sum(axis=1)
    rows = [
        {
            "name": name,
            "total": int(total),
            "cells": [
                {"count": int(count), "share": count / max(total, 1), "right": place == label}
                for place, count in enumerate(row)
            ],
        }
        for label, (name, total, row) in enumerate(zip(class_names, totals, counts, strict=True))
        if total
    ]
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_NUM_CONFUSIONS]
    mistakes = [
        {
            "truth": class_names[truth],
            "answer": class_names[answer],
            "count": int(wrong[truth, answer]),
            "total": int(totals[truth]),
        }
        for truth, answer in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[truth, answer]
    ]
    return {
        "names": list(class_names) if num_classes <= _MOST_IN_MATRIX else [],
        "rows": rows if num_classes <= _MOST_IN_MATRIX else [],
        "mistakes": mistakes,
    }
