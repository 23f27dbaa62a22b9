"""What a report needs to know of a model: found where it was kept, else measured now."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsp_keras.evaluation import evaluate, model_fingerprint
from lsp_keras.evaluation.provenance import reading_fingerprint
from lsp_keras.reports.plan import QUICK_IMAGES, Plan, make_plan
from lsp_keras.runs.files.records import (
    diagnosis_folder,
    find_records,
    journal_folder,
    known_records,
    records_folder,
    write_record,
)
from lsp_keras.runs.subjects.subject import Subject, diagnose_subject, profile_subject
from lsp_keras.storage import fingerprint, read_json, write_json
from lsp_keras.types import EvaluationProgress, Progress, ThreatModel
from lsp_keras.validation import InputError

_RECORD = "record.json"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Attributes:
        threat: What the attacker may do.
        budget: Seconds for what is not known yet.
        num_images: Largest number of test images.
        batch_size: Images attacked at once.
        seed: Seed of the attacks.
        cache_dir: Where encoders are kept.
        output: Folder for records, `None` for the model's own.
    """

    threat: ThreatModel
    budget: float
    num_images: int = 1000
    batch_size: int = 128
    seed: int = 0
    cache_dir: Path | None = None
    output: Path | None = None


@dataclass(frozen=True)
class Measured:
    """What is known of one model.

    Attributes:
        subject: The model and its images.
        request: What was asked for.
        evaluations: Records of attacks in the ball, the one that says most first.
        diagnosis: Record of a diagnosis, or `None`.
        profile: Record of a profile, or `None`.
        examples: Folder of the attacked images of the quick suite.
        left_out: Why something was not measured, by its name.
        sources: Where each record lies, by what it is of.
    """

    subject: Subject
    request: Request
    evaluations: Sequence[Record]
    diagnosis: Record | None
    profile: Record | None
    examples: Path
    left_out: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Watchers:
    """Who is told how far it has come.

    Attributes:
        announce: Function that is called with a sentence before each measurement.
        attacks: Function that makes a callback for an evaluation.
        steps: Function that makes a callback for a diagnosis or a profile, from its title.
    """

    announce: Callable[[str], None] = lambda text: None
    attacks: Callable[[], Any] = contextlib.nullcontext
    steps: Callable[[str], Any] = lambda title: contextlib.nullcontext()


def measure(subject: Subject, request: Request, watchers: Watchers | None = None) -> Measured:
    """Finds the records of a model and makes those that are missing, as far as the budget goes.

    What was measured before counts if it is of the same weights, images and ball. Killed, the
    same request goes on where it stopped.

    Args:
        subject: The model with its images, at least as many as are asked for.
        request: What is to be measured.
        watchers: Who is told.

    Raises:
        InputError: Images and model do not fit.
    """
    work = _Work(subject, request, watchers or Watchers())
    quick = work.quick()
    plan = _plan(subject, request, quick)
    strongest = work.autoattack(plan.images["autoattack"])
    diagnosis = work.diagnosis(plan.images["diagnosis"])
    profile = work.profile(plan.images["profile"])
    made = {"autoattack": strongest, "diagnosis": diagnosis, "profile": profile}
    return Measured(
        subject=subject,
        request=request,
        evaluations=[*([] if strongest is None else [strongest]), quick],
        diagnosis=diagnosis,
        profile=profile,
        examples=work.examples,
        left_out={name: why for name, why in plan.left_out.items() if made[name] is None},
        sources=work.sources,
    )


def _plan(subject: Subject, request: Request, quick: Record) -> Plan:
    """What is worth measuring after the quick suite, and on how many images."""
    reason = None
    if not subject.classifier.has_gradients:
        reason = "a served model shows no gradients, which it needs"
    elif not quick["is_judgeable"]:
        reason = "the model is no better than guessing"
    if reason is None:
        return make_plan(request.budget, min(request.num_images, len(subject.test)), quick)
    names = ("autoattack", "diagnosis", "profile")
    return Plan(dict.fromkeys(names, 0), dict.fromkeys(names, reason))


class _Work:
    """Finds or makes each record of one subject."""

    def __init__(self, subject: Subject, request: Request, watchers: Watchers) -> None:
        self._subject = subject
        self._request = request
        self._watchers = watchers
        self._fingerprint = model_fingerprint(subject.classifier.source)
        self._records = records_folder(subject.classifier, request.output)
        self._diagnoses = diagnosis_folder(subject.classifier, request.output)
        self.examples = self._records / f"report-{self._key()}"
        self.sources: dict[str, Path] = {}

    def quick(self) -> Record:
        """Record of the quick suite, or for a served model of attacks without gradients."""
        path = self.examples / _RECORD
        self.sources["quick"] = path
        with contextlib.suppress(InputError):
            return read_json(path)
        suite = "quick" if self._subject.classifier.has_gradients else "black-box"
        count = min(QUICK_IMAGES, self._request.num_images)
        record = self._evaluated(suite, count, examples_dir=self.examples)
        write_json(path, record)
        return record

    def autoattack(self, count: int) -> Record | None:
        """The record of AutoAttack on the most images, made where there is none."""
        known = [
            (path, record)
            for folder in known_records(self._subject.classifier, self._request.output)
            for path, record in find_records(folder, self._fingerprint)
            if record.get("is_autoattack") and self._is_of_these_images(record)
        ]
        if known:
            path, record = max(known, key=lambda item: item[1]["num_examples"])
            self.sources["autoattack"] = path
            return record
        if not count:
            return None
        made = self._evaluated("autoattack", count)
        self.sources["autoattack"] = write_record(self._records, "autoattack", made)
        return made

    def diagnosis(self, count: int) -> Record | None:
        """The newest record of a diagnosis."""
        for path, record in find_records(self._diagnoses, self._fingerprint):
            if "checks" in record and self._is_of_these_images(record):
                self.sources["diagnosis"] = path
                return record
        if not count:
            return None
        with self._told("Diagnosing", count) as progress:
            found = diagnose_subject(
                self._fewer(count),
                self._request.threat,
                transfer_from=None,
                cache_dir=self._request.cache_dir,
                progress=progress,
                journal=journal_folder(self._diagnoses),
                batch_size=self._request.batch_size,
                seed=self._request.seed,
            )
        record = found.to_dict()
        self.sources["diagnosis"] = write_record(self._diagnoses, "", record)
        return record

    def profile(self, count: int) -> Record | None:
        """The newest record of a profile."""
        for path in sorted(self._diagnoses.glob("*.json"), reverse=True):
            with contextlib.suppress(InputError):
                record = read_json(path).get("profile", {})
                same = record.get("model_fingerprint") == self._fingerprint is not None
                if same and self._is_of_these_images(record):
                    self.sources["profile"] = path
                    return record
        if not count:
            return None
        with self._told("Profiling", count) as progress:
            found = profile_subject(
                self._fewer(count),
                self._request.threat,
                progress=progress,
                batch_size=self._request.batch_size,
                seed=self._request.seed,
            )
        record = found.to_dict()
        self.sources["profile"] = write_record(self._diagnoses, "profile", {"profile": record})
        return record

    def _evaluated(
        self, suite: str, count: int, examples_dir: Path | None = None
    ) -> dict[str, Any]:
        test = self._subject.test.take(count)
        title = "AutoAttack" if suite == "autoattack" else f"the suite {suite}"
        self._watchers.announce(f"{self._subject.name}: {title} on {len(test):,} images.")
        progress: EvaluationProgress | None
        with self._watchers.attacks() as progress:
            report = evaluate(
                self._subject.classifier,
                test.images,
                test.labels,
                indices=test.indices,
                suite=suite,
                threat=self._request.threat,
                batch_size=self._request.batch_size,
                seed=self._request.seed,
                progress=progress,
                journal=journal_folder(self._records),
                examples_dir=examples_dir,
                context=self._subject.context,
            )
        return report.to_dict()

    @contextlib.contextmanager
    def _told(self, title: str, count: int) -> Iterator[Progress | None]:
        self._watchers.announce(f"{title} {self._subject.name} on {count:,} images.")
        with self._watchers.steps(f"{title} {self._subject.name}") as progress:
            yield progress

    def _fewer(self, count: int) -> Subject:
        return replace(self._subject, test=self._subject.test.take(count))

    def _is_of_these_images(self, record: Record) -> bool:
        ball = record.get("threat_model", {})
        threat = self._request.threat
        own = self._subject.context["dataset"]["name"]
        return (
            (ball.get("norm"), ball.get("epsilon")) == (threat.norm, threat.epsilon)
            and record.get("dataset", {}).get("name") == own
            and record.get("num_examples", 0) <= len(self._subject.dataset.test)
            and self._is_read_alike(record.get("classifier", {}))
        )

    def _is_read_alike(self, reading: Record) -> bool:
        """Whether nothing says that the model's pixels or answers were taken for others."""
        own = self._subject.classifier.describe()
        return all(
            None in (reading.get(name), own[name]) or reading[name] == own[name]
            for name in ("pixel_range", "answers")
        )

    def _key(self) -> str:
        threat = self._request.threat
        count = min(QUICK_IMAGES, self._request.num_images)
        return fingerprint(
            reading_fingerprint(self._fingerprint, self._subject.classifier),
            [threat.norm, threat.epsilon, self._request.seed],
            self._subject.context["dataset"]["name"],
            # A folder of the same name may hold other images by now.
            self._subject.test.images[:count],
        )
