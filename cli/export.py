"""`lsp-keras export`: a SavedModel from a run or a saved Keras model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from lsp_keras.choices import ResizeMode
from lsp_keras.cli._options import data_options, reading_options, weights_option
from lsp_keras.cli._paths import MachinePath, Place
from lsp_keras.validation import InputError
from lsp_keras.zoo import locate

if TYPE_CHECKING:
    from lsp_keras.export import Agreement


@click.command()
@click.argument("source", metavar="RUN|MODEL.keras", type=MachinePath(path_type=Path))
@click.option(
    "--to",
    "base_path",
    required=True,
    type=Place(path_type=Path),
    help="Folder of the served model, or gs://BUCKET/NAME; each export adds a version folder to "
    "it.",
)
@click.option("--version", type=int, help="Version number.  [default: the next one]")
@click.option(
    "--class-names",
    help="Names of the classes in label order, with commas between; needed for a MODEL.keras "
    "outside a run.",
)
@weights_option
@reading_options
@click.option(
    "--dataset",
    help="Dataset of the model: the names of its classes, and images on which the SavedModel is "
    "compared with the model.  [default: random images]",
)
@data_options
@click.option("--float16", is_flag=True, help="Export in half precision: half the size, for GPUs.")
@click.option("--xla", is_flag=True, help="Compile the classifier with XLA.")
@click.option("--max-batch-size", type=int, help="Most images in a request; more are an error.")
@click.option(
    "--resize",
    type=click.Choice(get_args(ResizeMode)),
    help="How image files of another size are resized.  [default: as for training, else crop]",
)
@click.option(
    "--check/--no-check",
    default=True,
    help="Send test files of a run on an image folder to the model and compare what it sees.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    source: Path,
    base_path: Path | str,
    version: int | None,
    class_names: str | None,
    weights: str,
    pixel_range: str | None,
    model_output: str | None,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    float16: bool,
    xla: bool,
    max_batch_size: int | None,
    resize: str | None,
    check: bool,
    as_json: bool,
) -> None:
    """Write a SavedModel that TensorFlow Serving and `lsp-keras serve` load.

    \b
    lsp-keras export RUN --to models/svhn
    lsp-keras export model.keras --to models/pets --class-names cat,dog
    lsp-keras export zoo:cifar10_robust --to models/cifar10
    """
    # What can be checked without TensorFlow is checked at once.
    source = locate(source)
    if not source.exists():
        raise InputError(f"There is no run or model at {source}.")
    if isinstance(base_path, Path) and base_path.is_file():
        raise InputError(
            f"--to {base_path} is a file. Give the folder of the served model, such as "
            f"models/{base_path.stem}; each export adds a version to it."
        )
    names = None
    if class_names is not None or dataset is None:
        names = _class_names(source if source.is_dir() else source.parent, class_names)
    from lsp_keras.classifiers import load_classifier
    from lsp_keras.export import ExportOptions, export_model

    classifier = load_classifier(
        source, weights=weights, pixel_range=pixel_range, output=model_output
    )
    images = None
    if dataset is not None:
        classifier, images, known = _probed(classifier, dataset, data_dir, cache_dir)
        names = names or known
    folder = export_model(
        classifier,
        base_path,
        class_names=names or [],
        version=version,
        options=ExportOptions(
            float16=float16,
            xla=xla,
            max_batch_size=max_batch_size,
            resize=resize or _trained_with(classifier.run),
        ),
        card=_card(classifier, names or []),
        images=images,
    )
    agreement = _agreement(classifier.run, folder) if check and classifier.run else None
    if as_json:
        record: dict[str, Any] = {"path": str(folder), "version": int(folder.name)}
        if agreement is not None:
            record["files"] = agreement._asdict()
        click.echo(json.dumps(record))
    else:
        for finding in classifier.findings:
            click.echo(finding, err=True)
        click.echo(f"Wrote {folder}. Its probabilities are the model's own.")
        if isinstance(base_path, Path):
            click.echo(f"Serve it with: lsp-keras serve {base_path}", err=True)


def _probed(
    classifier: Any, dataset: str, data_dir: Path | None, cache_dir: Path | None
) -> tuple[Any, Any, list[str]]:
    """The classifier probed on a dataset's test images, a few of them, and names of classes."""
    import numpy as np

    from lsp_keras.classifiers import probe, sample_rows
    from lsp_keras.runs.subjects.test_images import load_test_images

    test = load_test_images(
        classifier, dataset=dataset, data_dir=data_dir, cache_dir=cache_dir, num_examples=None
    )
    split = test.split.select(sample_rows(len(test.split)))
    found = probe(classifier, split.images.astype(np.float32) / np.float32(255), split.labels)
    return found, split.images, list(test.info.class_names)


def _class_names(folder: Path, given: str | None) -> list[str]:
    """From the option, else from the dataset the run was trained on."""
    if given is not None:
        return [name.strip() for name in given.split(",")]
    record = folder / "dataset.json"
    if not record.is_file():
        raise InputError(
            f"{folder} has no dataset.json that names the classes. Give them in label order, "
            "for example: --class-names cat,dog."
        )
    names = _read(record).get("class_names")
    if not isinstance(names, list):
        raise InputError(f"{record} names no classes. Give them by --class-names.")
    return [str(name) for name in names]


def _trained_with(run: Path | None) -> str:
    """How the run's images were resized."""
    record = run / "dataset.json" if run else None
    return str(_read(record).get("resize", "crop")) if record and record.is_file() else "crop"


def _agreement(run: Path, folder: Path) -> "Agreement | None":
    """What the model answers to test files of the run, beside what it should; says so."""
    from lsp_keras.runs.subjects.served_files import check_files

    try:
        agreement = check_files(run, folder)
    except InputError as error:
        click.echo(f"Not compared on the run's test files: {error}", err=True)
        return None
    if agreement is not None:
        click.echo(
            f"Sent {agreement.num_files} of the run's test files to it: logits differ by at most "
            f"{agreement.largest_difference:.2g} from those of the pixels that training saw; "
            f"{agreement.same_classes} get the same class.",
            err=True,
        )
    return agreement


def _card(classifier: Any, class_names: list[str]) -> dict[str, Any]:
    """The card, from what lies in the run's folder."""
    from lsp_keras.evaluation.provenance import model_fingerprint, versions
    from lsp_keras.export import make_card
    from lsp_keras.runs import read_config
    from lsp_keras.runs.files.records import find_records
    from lsp_keras.runs.subjects.own_images import is_on, own_datasets

    run = classifier.run
    record = run / "dataset.json" if run else None
    fingerprint = model_fingerprint(classifier.source)
    found = [item for _, item in find_records(run / "evaluations", fingerprint)] if run else []
    datasets = own_datasets(run)
    return make_card(
        class_names=class_names,
        fingerprint=str(fingerprint),
        versions=versions(),
        dataset=_read(record) if record and record.is_file() else None,
        training=read_config(run / "config.toml") if run else None,
        # The newest last; what was measured on other data says nothing of these classes.
        evaluations=[item for item in found[::-1] if is_on(datasets, item)],
    )


def _read(path: Path) -> dict[str, Any]:
    from lsp_keras.storage import read_json

    return read_json(path)
