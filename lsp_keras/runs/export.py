"""A run's model as a SavedModel, with what lies beside it: class names, resizing, records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lsp_keras.classifiers import Classifier, PixelRange, load_classifier, probe, sample_rows
from lsp_keras.evaluation.provenance import model_fingerprint, versions
from lsp_keras.export import ExportOptions, export_model, make_card
from lsp_keras.runs.files.records import find_records
from lsp_keras.runs.settings.config import read_config
from lsp_keras.runs.subjects.own_images import is_on, own_datasets
from lsp_keras.runs.subjects.test_images import load_test_images
from lsp_keras.storage import read_json
from lsp_keras.validation import InputError
from lsp_keras.zoo import locate

_DATASET = "dataset.json"


class Exported(NamedTuple):
    """A SavedModel that was written.

    Attributes:
        folder: Folder of the version.
        classifier: Classifier that it was made of, with what was found out of it.
    """

    folder: Path
    classifier: Classifier


def export_run(
    source: Path | str,
    base_path: Path | str,
    *,
    class_names: Sequence[str] | None = None,
    version: int | None = None,
    weights: str = "best",
    pixel_range: PixelRange | str | None = None,
    output: str | None = None,
    dataset: str | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    float16: bool = False,
    xla: bool = False,
    max_batch_size: int | None = None,
    resize: str | None = None,
) -> Exported:
    """Writes a run's model, or any other, in the layout that TensorFlow Serving reads.

    Args:
        source: Folder of a run, `zoo:NAME`, a model's file, or a SavedModel.
        base_path: Folder of the served model, or an address such as `gs://bucket/models/svhn`.
        class_names: Names of the classes in label order; default those of `dataset`, else those
            that lie beside the model.
        version: Number of the version; default the one after the newest.
        weights: Weights of a run, as `lsp_keras.classifiers.load_classifier` takes them.
        pixel_range: Range of pixels that the model takes, likewise.
        output: Output that classifies, likewise.
        dataset: Name of a dataset of the model's classes, on whose images it is compared with the
            SavedModel; default random images.
        data_dir: Folder of prepared TFDS datasets.
        cache_dir: Folder for what can be computed again.
        float16: Whether the SavedModel computes in half precision, see
            `lsp_keras.export.ExportOptions`.
        xla: Whether it is compiled with XLA, likewise.
        max_batch_size: Most images in a request, likewise.
        resize: How files of another size are resized, likewise; default as in training.

    Raises:
        InputError: There is no such model, or nothing names its classes.
    """
    source = locate(source)
    if not source.exists():
        raise InputError(f"There is no run or model at {source}.")
    names = list(class_names) if class_names is not None else None
    if names is None and dataset is None:
        names = _names_beside(source if source.is_dir() else source.parent)
    classifier = load_classifier(source, weights=weights, pixel_range=pixel_range, output=output)
    images = None
    if dataset is not None:
        classifier, images, known = _probed(classifier, dataset, data_dir, cache_dir)
        names = names or known
    options = ExportOptions(
        float16=float16,
        xla=xla,
        max_batch_size=max_batch_size,
        resize=resize or _trained_with(classifier.run),
    )
    folder = export_model(
        classifier,
        base_path,
        class_names=names or [],
        version=version,
        options=options,
        card=_card(classifier, names or []),
        images=images,
    )
    return Exported(folder, classifier)


def _probed(
    classifier: Classifier, dataset: str, data_dir: Path | None, cache_dir: Path | None
) -> tuple[Classifier, Any, list[str]]:
    """The classifier probed on a dataset's test images, a few of them, and names of classes."""
    test = load_test_images(
        classifier, dataset=dataset, data_dir=data_dir, cache_dir=cache_dir, num_examples=None
    )
    split = test.split.select(sample_rows(len(test.split)))
    found = probe(classifier, split.images.astype(np.float32) / np.float32(255), split.labels)
    return found, split.images, list(test.info.class_names)


def _names_beside(folder: Path) -> list[str]:
    """Names of the classes that the run was trained on."""
    record = folder / _DATASET
    if not record.is_file():
        raise InputError(
            f"{folder} has no {_DATASET} that names the classes. Give them in label order, "
            "for example: --class-names cat,dog."
        )
    names = read_json(record).get("class_names")
    if not isinstance(names, list):
        raise InputError(f"{record} names no classes. Give them by --class-names.")
    return [str(name) for name in names]


def _trained_with(run: Path | None) -> str:
    """How the run's images were resized."""
    record = _dataset_record(run)
    return "crop" if record is None else str(record.get("resize", "crop"))


def _card(classifier: Classifier, class_names: Sequence[str]) -> dict[str, Any]:
    """The card, from what lies in the run's folder."""
    run = classifier.run
    fingerprint = model_fingerprint(classifier.source)
    found = [item for _, item in find_records(run / "evaluations", fingerprint)] if run else []
    datasets = own_datasets(run)
    return make_card(
        class_names=class_names,
        fingerprint=str(fingerprint),
        versions=versions(),
        dataset=_dataset_record(run),
        training=read_config(run / "config.toml") if run else None,
        # The newest last; what was measured on other data says nothing of these classes.
        evaluations=[item for item in found[::-1] if is_on(datasets, item)],
    )


def _dataset_record(run: Path | None) -> dict[str, Any] | None:
    record = run / _DATASET if run else None
    return read_json(record) if record is not None and record.is_file() else None
