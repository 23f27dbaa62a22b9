"""Records of evaluations that a table needs: found beside their run, else made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_keras.evaluation import evaluate
from lsp_keras.runs.files.records import journal_folder, write_record
from lsp_keras.runs.settings.protocol import Column
from lsp_keras.runs.subjects.test_images import describe, load_test_images
from lsp_keras.tables.outcomes import SEED, Outcome, find_outcome, outcome_of
from lsp_keras.types import EvaluationProgress, ThreatModel
from lsp_keras.validation import InputError

if TYPE_CHECKING:
    from lsp_keras.attacks import Attack
    from lsp_keras.classifiers import Classifier


@dataclass(frozen=True)
class Evaluation:
    """How a model's records are found and made.

    Attributes:
        num_examples: Test images, or `None` for all.
        data_dir: Folder of the data, in place of the run's.
        cache_dir: Folder for what is prepared.
        found_only: Whether nothing is attacked.
        batch_size: Images attacked at once.
        records_dir: Where records of models go that lie outside of a run.
        progress: Function that is told how far an attack is.
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
            classifier: Classifier that was found in its run.
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
            seed=SEED,
            progress=self.progress,
            journal=journal_folder(folder),
            context=describe(classifier, test, weights),
        ).to_dict()
        path = write_record(folder, f"table-{'-'.join(attacks)}", record)
        return {name: outcome_of(record, name, path) for name in attacks}

    def _folders(self, classifier: "Classifier") -> list[Path]:
        own = [] if classifier.run is None else [classifier.run / "evaluations"]
        return own if self.records_dir is None else [*own, self.records_dir]
