"""What records of evaluations say of an attack."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_keras.evaluation import model_fingerprint
from lsp_keras.evaluation.flags import REMARKS
from lsp_keras.evaluation.report import unpack_verdicts
from lsp_keras.evaluation.share import Share
from lsp_keras.runs.subjects.own_images import is_on, own_datasets
from lsp_keras.storage import read_json
from lsp_keras.tables.intervals import Verdicts
from lsp_keras.validation import InputError

if TYPE_CHECKING:
    from lsp_keras.attacks import Attack
    from lsp_keras.classifiers import Classifier

# Seed of the attacks' draws in every table.
SEED = 0


@dataclass(frozen=True)
class Outcome:
    """What a record says of one attack.

    Attributes:
        clean: Images that are classified correctly.
        robust: Images that the attack left.
        flags: Signs that the numbers overstate robustness.
        seconds: What the attack took.
        hardware: Machine that it was measured on.
        path: The record.
        is_judgeable: Whether the network is better than guessing.
    """

    clean: Verdicts
    robust: Verdicts
    flags: Sequence[str]
    seconds: float
    hardware: Mapping[str, Any]
    path: Path
    is_judgeable: bool = True


def find_outcome(
    classifier: "Classifier", attack: "Attack", num_examples: int | None, folders: Sequence[Path]
) -> Outcome | None:
    """The newest record of an attack on a model's first test images, those of its own dataset.

    Args:
        classifier: The model as it is: records of other weights do not count, and for one without
            a run there is no dataset of its own.
        attack: Attack with its settings, which must be the same.
        num_examples: Test images; `None` for all of the split.
        folders: Where records lie.
    """
    own = model_fingerprint(classifier.source)
    datasets = own_datasets(classifier.run)
    paths = [path for folder in folders for path in folder.glob("*.json")]
    for path in sorted(paths, key=lambda path: path.name, reverse=True):
        try:
            record = read_json(path)
            entry = _entry(record, attack)
            if (
                entry is not None
                and record.get("model_fingerprint") == own
                and is_on(datasets, record)
                and record.get("seed") == SEED
                and record.get("num_examples") == (num_examples or _whole_split(record))
            ):
                return outcome_of(record, entry, path)
        # Others may keep files there, and records that say less.
        except (InputError, KeyError, TypeError, AttributeError, ValueError):
            continue
    return None


def _whole_split(record: Mapping[str, Any]) -> int:
    return int(record["dataset"]["num_images_in_split"])


def _entry(record: Mapping[str, Any], attack: "Attack") -> str | None:
    """The name under which a record has this attack with these settings, in this ball."""
    config = json.loads(json.dumps(attack.get_config(), default=str))
    wanted = {"attack": type(attack).__name__, "config": config}
    if record["threat_model"]["norm"] != attack.norm:
        return None
    for name, entry in record["attacks"].items():
        if {key: entry[key] for key in wanted} == wanted:
            return str(name)
    return None


def outcome_of(record: Mapping[str, Any], name: str, path: Path) -> Outcome:
    entry = record["attacks"][name]
    robust, clean = entry["accuracy"], record["clean_accuracy"]
    kept = record.get("verdicts", {})
    # Older records hold which images all attacks left: those of an attack that left no more.
    alone = robust["count"] == record["worst_case_accuracy"]["count"]
    digits = kept.get(name, kept.get("worst_case") if alone else None)
    return Outcome(
        clean=_verdicts(clean, kept.get("clean")),
        robust=_verdicts(robust, digits),
        flags=[flag["name"] for flag in record["flags"] if flag["name"] not in REMARKS],
        seconds=float(entry["seconds"]),
        hardware=record["hardware"],
        path=path,
        is_judgeable=bool(record.get("is_judgeable", True)),
    )


def _verdicts(share: Mapping[str, Any], digits: str | None) -> Verdicts:
    counted = Share(int(share["count"]), int(share["total"]))
    return Verdicts(counted, None if digits is None else unpack_verdicts(digits, counted.total))
