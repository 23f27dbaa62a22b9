"""A model that is diagnosed, with all that its diagnosis can use."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsp_keras.types import Dataset, Examples, Progress, TestSplit, ThreatModel
from lsp_keras.validation import InputError


@dataclass(frozen=True)
class Subject:
    """A loaded model and its images.

    Attributes:
        name: Short, for tables and plots.
        classifier: A `lsp_keras.classifiers.Classifier`.
        dataset: The images of its run.
        test: The test images that are measured.
        context: What a record says of model and images.
        settings: Settings of the run, empty for a model outside of one.
    """

    name: str
    classifier: Any
    dataset: Dataset
    test: Examples
    context: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """What was measured of one subject.

    Attributes:
        name: The subject's.
        diagnosis: A `lsp_keras.evaluation.Diagnosis`, or `None`.
        profile: A `lsp_keras.evaluation.Profile`, or `None`.
    """

    name: str
    diagnosis: Any | None
    profile: Any | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, the verdict first."""
        profile = {} if self.profile is None else {"profile": self.profile.to_dict()}
        return profile if self.diagnosis is None else self.diagnosis.to_dict() | profile


def load_subject(
    path: Path,
    *,
    weights: str,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    num_examples: int,
    pixel_range: str | None = None,
    output: str | None = None,
    beside: Subject | None = None,
) -> Subject:
    """Loads a model and its images.

    Args:
        path: A run's folder, a .keras file or a SavedModel.
        weights: Epoch of a run: `"best"`, `"last"` or `"ema"`.
        dataset: Other than the run's own.
        data_dir: Folder of TFDS's data; default that of the run.
        cache_dir: Folder for what is prepared.
        num_examples: The first so many test images, or all where there are fewer.
        pixel_range: Range of pixels that the model takes, such as `"0,255"`; default what it shows.
        output: Name or number of the output that classifies, for a model with several.
        beside: Measure the test images of this one instead of the run's own.

    Raises:
        InputError: The model or its images are not there, or it was trained on other data than
            the one beside it and `dataset` does not overrule that.
    """
    from lsp_keras.classifiers import load_classifier
    from lsp_keras.runs import read_config
    from lsp_keras.runs.subjects.test_images import describe, fitted, load_images

    classifier = load_classifier(path, weights=weights, pixel_range=pixel_range, output=output)
    run = classifier.run
    settings = {} if run is None else read_config(run / "config.toml")
    if beside is not None and dataset is None:
        dataset = _same_dataset(path, run, settings, beside)
    images = load_images(
        run,
        dataset=dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        image_shape=classifier.image_shape,
    )
    measured = images.test.take(num_examples) if beside is None else beside.test
    measured = fitted(measured, classifier)
    described = TestSplit(images.info, measured, len(images.test), measured.indices)
    return Subject(
        name=path.resolve().name if run is None else run.resolve().name,
        classifier=classifier,
        dataset=images,
        test=measured,
        context=describe(classifier, described, weights),
        settings=settings,
    )


def _same_dataset(
    path: Path, run: Path | None, settings: Mapping[str, Any], first: Subject
) -> str | None:
    """Name of the dataset of two models that are measured side by side; `None` for its own."""
    from lsp_keras.runs.files.moved import images_name

    name = first.settings.get("dataset")
    own = settings.get("dataset", name)
    if own == name:
        # Not the name in the settings: a folder may lie elsewhere now.
        has_own = run is not None and "dataset" in settings
        return None if has_own or name is None else str(first.context["dataset"]["name"])
    # One folder may have several names.
    places = ((own, run), (name, first.classifier.run))
    named = [images_name(text, place) for text, place in places if isinstance(text, str)]
    if len(named) == len(places) and len(set(named)) == 1:
        return None
    raise InputError(
        f"--against must be a model of the same images: {path} was trained on {own}, not on "
        f"{name}. Name a --dataset to compare them all the same."
    )


def load_rival(
    first: Subject,
    path: Path,
    *,
    weights: str,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    pixel_range: str | None = None,
    output: str | None = None,
) -> Subject:
    """Loads a model to be measured beside another, on the same test images.

    Args:
        first: The other.
        path: Run or model, as `load_subject` takes it.
        weights: Epoch of a run: `"best"`, `"last"` or `"ema"`.
        dataset: Other than the runs' own.
        data_dir: Folder of TFDS's data; default that of the run.
        cache_dir: Folder for what is prepared.
        pixel_range: Range of pixels that the model takes, such as `"0,255"`; default what it shows.
        output: Name or number of the output that classifies, for a model with several.

    Raises:
        InputError: It was trained on other data, and `dataset` does not overrule that.
    """
    rival = load_subject(
        path,
        weights=weights,
        dataset=dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        num_examples=len(first.test),
        pixel_range=pixel_range,
        output=output,
        beside=first,
    )
    return replace(rival, name=f"{rival.name} (2)") if rival.name == first.name else rival


def diagnose_subject(
    subject: Subject,
    threat: ThreatModel,
    *,
    transfer_from: Any | None,
    cache_dir: Path | None,
    batch_size: int,
    seed: int,
    progress: Progress | None,
    journal: Path | None = None,
) -> Any:
    """The subject's `lsp_keras.evaluation.Diagnosis`.

    Args:
        subject: What to diagnose.
        threat: What the attacker may do.
        transfer_from: A plain model, or `None`.
        cache_dir: Where the run's encoder may be.
        batch_size: Images attacked at once.
        seed: Seed of the attacks' random draws.
        progress: Callback told how far it is, as `lsp_keras.evaluation.diagnose` takes it.
        journal: Folder for verdicts, as `lsp_keras.evaluation.diagnose` takes it.
    """
    from lsp_keras.evaluation import diagnose
    from lsp_keras.runs import structure_of

    structure, source = None, "the model does not lie in a run's folder"
    if subject.settings:
        structure, source = structure_of(
            subject.settings,
            subject.dataset,
            subject.test.images,
            cache_dir=cache_dir,
            run=subject.classifier.run,
        )
    return diagnose(
        subject.classifier,
        subject.test.images,
        subject.test.labels,
        threat=threat,
        batch_size=batch_size,
        seed=seed,
        transfer_from=transfer_from,
        structure=structure,
        autoattack=_autoattack_record(subject, threat),
        progress=progress,
        journal=journal,
        context={**subject.context, "lsp_neighbors": source},
    )


def profile_subject(
    subject: Subject, threat: ThreatModel, *, batch_size: int, seed: int, progress: Progress | None
) -> Any:
    """The subject's `lsp_keras.evaluation.Profile`, on as many training as test images.

    Args:
        subject: What to measure.
        threat: What the attacker may do.
        batch_size: Images at once.
        seed: Seed of attack and directions.
        progress: Callback told how far it is, as `lsp_keras.evaluation.profile` takes it.
    """
    from lsp_keras.evaluation import profile
    from lsp_keras.runs.subjects.test_images import fitted

    train = fitted(subject.dataset.train.take(len(subject.test)), subject.classifier)
    return profile(
        subject.classifier,
        train=(train.images, train.labels),
        test=(subject.test.images, subject.test.labels),
        threat=threat,
        batch_size=batch_size,
        seed=seed,
        progress=progress,
        context=subject.context,
    )


def _autoattack_record(subject: Subject, threat: ThreatModel) -> dict[str, Any] | None:
    """The newest record of AutoAttack with these weights, on these images and in this ball."""
    from lsp_keras.evaluation import model_fingerprint
    from lsp_keras.runs.files.records import find_records, known_records
    from lsp_keras.runs.subjects.own_images import is_on, own_datasets

    name = subject.context["dataset"]["name"]
    own = own_datasets(subject.classifier.run)
    datasets = own | {name} if name in own else {name}
    fingerprint = model_fingerprint(subject.classifier.source)
    for folder in known_records(subject.classifier):
        for _, record in find_records(folder, fingerprint):
            ball = record.get("threat_model", {})
            same = (ball.get("norm"), ball.get("epsilon")) == (threat.norm, threat.epsilon)
            if record.get("is_autoattack") and same and is_on(datasets, record):
                return record
    return None
