"""Running attacks over a data set, piece by piece."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import Attack, Ensemble, in_cascade
from lsp_keras.evaluation.adversarial_examples import AdversarialExamples
from lsp_keras.evaluation.journal import Journal
from lsp_keras.evaluation.report import AttackRecord, AttackTraits
from lsp_keras.evaluation.share import Share
from lsp_keras.inference.traced import TracedModel
from lsp_keras.types import EvaluationProgress, Examples, Integers

Booleans = npt.NDArray[np.bool_]
CLEAN = "clean"
# Batches of a piece of work, which is held as floats and written to the journal at once.
_BATCHES_PER_PIECE = 8


@dataclass(frozen=True)
class Runner:
    """What every attack of one evaluation shares.

    Attributes:
        moved: Whether some gradient attack moved each image so far, bool `(n,)`; filled on the way.
        model: The model, traced once for all attacks.
        num_classes: Number of logits.
        examples: The images.
        batch_size: Images attacked at once.
        seed: Seed of the random draws.
        journal: Journal of finished pieces of work.
        progress: Callback told how far the evaluation is, as `evaluate` takes it.
        kept: Where the attacked images go, if anywhere.
    """

    model: TracedModel
    num_classes: int
    examples: Examples
    batch_size: int
    seed: int
    journal: Journal
    progress: EvaluationProgress | None
    kept: AdversarialExamples | None
    moved: Booleans

    def record(
        self, name: str, attack: Attack, standing: Booleans
    ) -> tuple[Booleans, list[AttackRecord]]:
        """What stands after the attack, with a record for it and for each of its parts."""
        started = time.monotonic()
        records: list[AttackRecord] = []
        if isinstance(attack, Ensemble):

            def run_part(part_name: str, part: Attack, standing: Booleans) -> Booleans:
                standing, part_records = self.record(part_name, part, standing)
                records.extend(part_records)
                return standing

            parts = _parts(name, attack, self.num_classes)
            standing = in_cascade(parts, standing, run_part)
        else:
            standing = self.attack(name, attack, standing)
        seconds = time.monotonic() - started
        own = AttackRecord(
            name,
            type(attack).__name__,
            attack.get_config(),
            share_of(standing),
            seconds,
            AttackTraits.of(attack),
        )
        return standing, [*records, own]

    def attack(self, name: str, attack: Attack, standing: Booleans) -> Booleans:
        """Which of the standing examples still stand after the attack, `(n,)`."""
        robust = standing.copy()
        rows = np.flatnonzero(standing)
        for start, chosen in self._pieces(rows):
            findings = self.journal.read(name, start, len(chosen))
            # The journal holds no images: those that are asked for are found again.
            if findings is None or (self.kept is not None and name != CLEAN):
                report = self._progress(name, start, len(chosen), len(rows), int(robust.sum()))
                piece = self.examples.select(chosen).as_floats()
                result = attack(
                    self.model,
                    piece.images,
                    piece.labels,
                    seed=self.seed,
                    indices=piece.indices,
                    batch_size=self.batch_size,
                    progress=report,
                )
                findings = np.stack([~result.success, result.moved])
                self.journal.write(name, start, findings)
                if self.kept is not None and name != CLEAN:
                    self.kept.add(name, piece, result)
            robust[chosen], moved = findings
            if attack.uses_gradients and attack.shows_moves:
                self.moved[chosen] |= moved
            if self.progress is not None:
                share = (start + len(chosen)) / len(rows)
                self.progress(name, share, len(rows), int(robust.sum()))
        return robust

    def _pieces(self, rows: Integers) -> Iterator[tuple[int, Integers]]:
        """Start and rows of pieces of work, each small enough to be held as floats."""
        size = self.batch_size * _BATCHES_PER_PIECE
        for start in range(0, len(rows), size):
            yield start, rows[start : start + size]

    def _progress(
        self, name: str, start: int, size: int, total: int, standing: int
    ) -> Callable[[int, int, int], None] | None:
        """An attack's progress within a piece as progress within all rows."""
        if self.progress is None:
            return None
        report = self.progress

        def within(done: int, work: int, left: int) -> None:
            # What stands at the end is said once, after the verdicts on the model itself.
            if done < work:
                share = (start + size * done / work) / total
                report(name, share, total, standing - size + left)

        return within


def _parts(name: str, ensemble: Ensemble, num_classes: int) -> dict[str, Attack]:
    """An ensemble's parts by the names of their records."""
    return {f"{name}/{part}": attack for part, attack in ensemble.parts(num_classes).items()}


def share_of(verdicts: Booleans) -> Share:
    """Share of examples that stand."""
    return Share(int(verdicts.sum()), len(verdicts))
