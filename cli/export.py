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
    if not locate(source).exists():
        raise InputError(f"There is no run or model at {source}.")
    if isinstance(base_path, Path) and base_path.is_file():
        raise InputError(
            f"--to {base_path} is a file. Give the folder of the served model, such as "
            f"models/{base_path.stem}; each export adds a version to it."
        )
    from lsp_keras.runs import export_run

    names = class_names.split(",") if class_names is not None else None
    folder, classifier = export_run(
        source,
        base_path,
        class_names=None if names is None else [name.strip() for name in names],
        version=version,
        weights=weights,
        pixel_range=pixel_range,
        output=model_output,
        dataset=dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        float16=float16,
        xla=xla,
        max_batch_size=max_batch_size,
        resize=resize,
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
