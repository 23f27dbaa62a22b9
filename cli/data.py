"""`lsp-keras data`: what datasets there are, and what is in them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_keras.cli._options import data_options, image_options, quiet_option
from lsp_keras.cli._paths import MachinePath, as_file_name
from lsp_keras.cli.list import command as list_choices

if TYPE_CHECKING:
    from lsp_keras.types import Dataset


@click.group()
def command() -> None:
    """Look at the datasets."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of name: summary.")
@click.pass_context
def list_datasets(ctx: click.Context, as_json: bool) -> None:
    """List the datasets with one line on each."""
    ctx.invoke(list_choices, kind="datasets", as_json=as_json)


@command.command("show")
@click.argument("name")
@click.option(
    "--sheet",
    type=MachinePath(dir_okay=False, path_type=Path),
    help="PNG of some images of each class.  [default: NAME_sheet.png in the current folder]",
)
@image_options
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print the facts as a JSON object.")
def show_dataset(
    name: str,
    sheet: Path | None,
    reading: dict[str, Any],
    data_dir: Path | None,
    cache_dir: Path | None,
    as_json: bool,
) -> None:
    """Show what is used of dataset NAME and what is not, its classes and pixel statistics.

    A contact sheet is drawn too.

    NAME is one of `lsp-keras data list`, tfds:NAME, folder:PATH or prepared:PATH; @SIZE at its
    end, as in stl10@32, resizes the images.
    """
    from lsp_keras.datasets import load
    from lsp_keras.plots.contact_sheet import contact_sheet
    from lsp_keras.storage import atomic_path

    dataset = load(name, data_dir=data_dir, cache_dir=cache_dir, **reading)
    path = sheet or Path(f"{as_file_name(name)}_sheet.png")
    with atomic_path(path) as temporary:
        contact_sheet(dataset.train, dataset.info.class_names).save(temporary, format="PNG")
    facts = _facts(dataset)
    if as_json:
        click.echo(json.dumps(facts | {"sheet": str(path)}, indent=2))
        return
    _print(facts)
    click.echo(f"\nContact sheet: {path.resolve()}")


@command.command("prepare")
@click.argument("name")
@click.option(
    "--to",
    required=True,
    type=MachinePath(file_okay=False, path_type=Path),
    help="New folder for the files.",
)
@image_options
@data_options
@quiet_option
def prepare_dataset(
    name: str,
    to: Path,
    reading: dict[str, Any],
    data_dir: Path | None,
    cache_dir: Path | None,
) -> None:
    """Write dataset NAME so that training on it takes no memory for its images.

    Images are brought to their size once and lie as PNG files in one ArrayRecord file for each
    split, with labels, statistics and fingerprint beside them. prepared:DIR then names the dataset
    and gives the same batches, bit for bit.

    \b
    lsp-keras data prepare folder:photos --image-size 224 --to photos224
    lsp-keras fit --dataset prepared:photos224
    """
    from lsp_keras.cli._progress import stage_progress
    from lsp_keras.datasets import prepare

    with stage_progress() as progress:
        dataset = prepare(
            name,
            to,
            data_dir=data_dir,
            cache_dir=cache_dir,
            progress=progress,
            announce=lambda text: click.echo(text, err=True),
            **reading,
        )
    total = sum(len(split) for split in (dataset.train, dataset.validation, dataset.test))
    click.echo(f"Wrote {total:,} images to {to}. Name them --dataset prepared:{to}")


def _facts(dataset: "Dataset") -> dict[str, Any]:
    """What is shown, as JSON values."""
    import numpy as np

    info = dataset.info
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    counts = {
        name: np.bincount(split.labels, minlength=info.num_classes).tolist()
        for name, split in splits.items()
    }
    return {
        "name": info.name,
        "image_shape": list(info.image_shape),
        "num_classes": info.num_classes,
        "source_splits": dict(info.split_sizes),
        "splits": {name: len(split) for name, split in splits.items()},
        "mean": list(info.mean),
        "std": list(info.std),
        "augmentation": info.augmentation,
        "resize": info.resize,
        "left_out": dict(info.left_out),
        "notes": list(info.notes),
        "classes": [
            {"name": name} | {split: counts[split][label] for split in splits}
            for label, name in enumerate(info.class_names)
        ],
        "citation": info.citation,
    }


def _print(facts: dict[str, Any]) -> None:
    """The facts as a list, and the images of each class as a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows = {
        "Images": " x ".join(map(str, facts["image_shape"])),
        "In the source": _counts(facts["source_splits"]),
        "Used here": _counts(facts["splits"]),
        "Mean": _numbers(facts["mean"]),
        "Standard deviation": _numbers(facts["std"]),
        "Augmentation": facts["augmentation"] or "none",
    }
    click.echo(f"{facts['name']}: {facts['num_classes']} classes")
    for title, text in rows.items():
        click.echo(f"  {title:<20}{text}")
    for note in facts["notes"]:
        click.echo(f"  {note}")
    table = Table("Class", *facts["splits"])
    for column in table.columns[1:]:
        column.justify = "right"
    for row in facts["classes"]:
        # Any folder may be a class, also one that Rich would take for a style.
        table.add_row(escape(row["name"]), *(f"{row[split]:,}" for split in facts["splits"]))
    Console().print(table)
    if facts["citation"]:
        click.echo(facts["citation"])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values) + " on the [0, 1] scale"
