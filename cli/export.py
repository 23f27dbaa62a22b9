"""`lsp-keras export`: a SavedModel from a run or a saved Keras model."""

import json
from pathlib import Path

import click

from lsp_keras.validation import InputError


@click.command()
@click.argument("source", metavar="RUN|MODEL.keras", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "base_path",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the served model; each export adds a version folder to it.",
)
@click.option("--version", type=int, help="Version number.  [default: the next one]")
@click.option(
    "--class-names",
    help="Comma-separated, in label order; needed for a MODEL.keras outside a run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    source: Path, base_path: Path, version: int | None, class_names: str | None, as_json: bool
) -> None:
    """Write a SavedModel that TensorFlow Serving and `lsp-keras serve` load.

    \b
    lsp-keras export RUN --to models/svhn
    lsp-keras export model.keras --to models/pets --class-names cat,dog
    """
    model_file = _model_file(source)
    names = _class_names(source, class_names)
    import keras

    from lsp_keras.export import export_model

    model = keras.saving.load_model(model_file, compile=False, safe_mode=True)
    folder = export_model(model, base_path, class_names=names, version=version)
    if as_json:
        click.echo(json.dumps({"path": str(folder), "version": int(folder.name)}))
    else:
        click.echo(f"Wrote {folder}.")
        click.echo(f"Serve it with: lsp-keras serve {base_path}", err=True)


def _model_file(source: Path) -> Path:
    model_file = source / "model.keras" if source.is_dir() else source
    if not model_file.is_file():
        raise InputError(
            f"There is no model at {model_file}. Give the folder of a run or a .keras file."
        )
    return model_file


def _class_names(source: Path, given: str | None) -> list[str]:
    """From the option, else from the dataset the run was trained on."""
    if given is not None:
        return [name.strip() for name in given.split(",")]
    folder = source if source.is_dir() else source.parent
    record = folder / "dataset.json"
    if not record.is_file():
        raise InputError(
            f"{folder} has no dataset.json that names the classes. Give them in label order, "
            "for example: --class-names cat,dog."
        )
    return [str(name) for name in json.loads(record.read_text(encoding="utf-8"))["class_names"]]
