"""Records of evaluations that a table needs: found beside their run, else made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_keras.evaluation import evaluate, model_fingerprint
from lsp_keras.evaluation.flags import REMARKS
from lsp_keras.evaluation.report import unpack_verdicts
from lsp_keras.evaluation.share import Share
from lsp_keras.runs.protocol import Column
from lsp_keras.runs.records import write_record
from lsp_keras.runs.test_images import describe, load_test_images
from lsp_keras.storage import read_json
from lsp_keras.tables.intervals import Verdicts
from lsp_keras.types import EvaluationProgress, ThreatModel
from lsp_keras.validation import InputError

if TYPE_CHECKING:
    from lsp_keras.attacks import Attack
    from lsp_keras.classifiers import Classifier

_SEED = 0


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
    """

    clean: Verdicts
    robust: Verdicts
    flags: Sequence[str]
    seconds: float
    hardware: Mapping[str, Any]
    path: Path


@dataclass(frozen=True)
class Evaluation:
    """How a model's records are found and made.

    Attributes:
        num_examples: Test images, or `None` for all.
        data_dir: Overrides that of the run.
        cache_dir: Folder for what is prepared.
        found_only: Whether nothing is attacked.
        batch_size: Images attacked at once.
        records_dir: Where records of models go that lie outside of a run.
        progress: Told how far an attack is.
    """

    num_examples: int | None
    data_dir: Path | None = None
    cache_dir: Path | None = None
    found_only: bool = False
    batch_size: int = 128
    records_dir: Path | None = None
    progress: EvaluationProgress | None = None

    def outcomes(
        self, classifier: "Classifier", columns: Sequence[Column], weights: str
    ) -> dict[str, Outcome]:
        """By column the newest record of its attack on these images, or a new one.

        Args:
            classifier: Located in its run.
            columns: Attacks and their balls.
            weights: Which of the run's models it is.

        Returns:
            Without the columns that have no record, where none may be made.
        """
        folders = self._folders(classifier)
        found: dict[str, Outcome] = {}
        missing: dict[ThreatModel, dict[str, Attack]] = {}
        for column in columns:
            attack = column.build()
            outcome = find_outcome(classifier, attack, self.num_examples, folders)
            if outcome is not None:
                found[column.name] = outcome
            else:
                missing.setdefault(column.threat, {})[column.name] = attack
        if not self.found_only:
            for threat, attacks in missing.items():
                found |= self._attack(classifier, threat, attacks, weights)
        return found

    def _attack(
        self,
        classifier: "Classifier",
        threat: ThreatModel,
        attacks: Mapping[str, "Attack"],
        weights: str,
    ) -> dict[str, Outcome]:
        """Attacks of one ball, whose record is written."""
        folder = classifier.records or self.records_dir
        if folder is None:
            raise InputError(f"{classifier.path} lies in no run, where its record could be kept.")
        test = load_test_images(
            classifier,
            dataset=None,
            data_dir=self.data_dir,
            cache_dir=self.cache_dir,
            num_examples=self.num_examples,
        )
        record = evaluate(
            classifier,
            test.split.images,
            test.split.labels,
            indices=test.split.indices,
            attacks=attacks,
            threat=threat,
            batch_size=self.batch_size,
            seed=_SEED,
            progress=self.progress,
            journal=folder / ".unfinished",
            context=describe(classifier, test, weights),
        ).to_dict()
        path = write_record(folder, f"table-{'-'.join(attacks)}", record)
        return {name: _outcome(record, name, path) for name in attacks}

    def _folders(self, classifier: "Classifier") -> list[Path]:
        own = [] if classifier.run is None else [classifier.run / "evaluations"]
        return own if self.records_dir is None else [*own, self.records_dir]


def find_outcome(
    classifier: "Classifier", attack: "Attack", num_examples: int | None, folders: Sequence[Path]
) -> Outcome | None:
    """The newest record of an attack on a model's first test images.

    Args:
        classifier: The model as it is: records of other weights do not count.
        attack: Attack with its settings, which must be the same.
        num_examples: Test images; `None` for all of the split.
        folders: Where records lie.
    """
    own = model_fingerprint(classifier.source)
    paths = [path for folder in folders for path in folder.glob("*.json")]
    for path in sorted(paths, key=lambda path: path.name, reverse=True):
        try:
            record = read_json(path)
            entry = _entry(record, attack)
        except (InputError, KeyError, TypeError, AttributeError):
            continue
        if (
            entry is not None
            and record.get("model_fingerprint") == own
            and record.get("seed") == _SEED
            and record.get("num_examples") == (num_examples or _whole_split(record))
        ):
            return _outcome(record, entry, path)
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


def _outcome(record: Mapping[str, Any], name: str, path: Path) -> Outcome:
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
    )


def _verdicts(share: Mapping[str, Any], digits: str | None) -> Verdicts:
    counted = Share(int(share["count"]), int(share["total"]))
    return Verdicts(counted, None if digits is None else unpack_verdicts(digits, counted.total))
