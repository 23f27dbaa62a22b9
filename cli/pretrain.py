"""`lsp-keras pretrain`: train an encoder without labels."""

import json
from pathlib import Path
from typing import Any

import click

from lsp_keras.cli._options import data_options, image_options, quiet_option, train_options
from lsp_keras.cli._paths import MachinePath, check_suffix


@click.command()
@train_options
@image_options
@click.option("--model", default="resnet18", show_default=True, help="Backbone of the encoder.")
@click.option(
    "--width", default=64, show_default=True, help="Filters of the backbone's first stage."
)
@click.option(
    "--epochs",
    type=int,
    help="Passes over the training images.  [default: 200, fewer where there are few images]",
)
@click.option(
    "--batch-size",
    type=int,
    help="Images in a batch.  [default: 512, less where there are few images]",
)
@click.option(
    "--learning-rate",
    default=0.06,
    show_default=True,
    help="Learning rate at a batch of 512; it is scaled with the batch.",
)
@click.option(
    "--queue-size",
    type=int,
    help="Keys that a query is compared with.  [default: 4096, at most half of the images]",
)
@click.option(
    "--momentum",
    default=0.99,
    show_default=True,
    help="Share of its weights that the momentum network keeps in each step.",
)
@click.option("--temperature", default=0.1, show_default=True, help="Temperature of InfoNCE.")
@click.option(
    "--symmetric/--no-symmetric",
    default=True,
    show_default=True,
    help="Let both views be queries; twice the time per epoch.",
)
@click.option(
    "--batch-norm-splits",
    default=8,
    show_default=True,
    help="Parts of a batch that BatchNorm normalizes by themselves.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of weights, views and queue.")
@click.option(
    "--monitor-every", default=5, show_default=True, help="Epochs between k-NN measurements."
)
@click.option("--restart", is_flag=True, help="Forget an earlier encoder with these settings.")
@click.option(
    "--output",
    type=MachinePath(dir_okay=False, path_type=Path),
    help="Copy the encoder and its record here.  [default: the cache folder only]",
)
@data_options
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print the encoder's record as JSON.")
def command(
    dataset: str,
    num_train: int | None,
    validation_size: int | None,
    data_seed: int,
    reading: dict[str, Any],
    data_dir: Path | None,
    cache_dir: Path | None,
    seed: int,
    monitor_every: int,
    restart: bool,
    output: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train an encoder with MoCo v2, to find neighbors with; no label is used.

    An interrupted training goes on when the same command is given again.

    \b
    lsp-keras pretrain --dataset cifar10 --output encoder.keras
    lsp-keras mine --dataset cifar10 --encoder encoder.keras
    """
    check_suffix("--output", output, ".keras")
    from lsp_keras import datasets
    from lsp_keras.pretraining import PretrainSettings, encoder_folder, find_or_pretrain
    from lsp_keras.runs.header import describe_pretraining
    from lsp_keras.storage import read_json
    from lsp_keras.training.progress import ThroughputProgress

    images = datasets.load(
        dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        num_train=num_train,
        validation_size=validation_size,
        seed=data_seed,
        **reading,
    )
    options = PretrainSettings(**settings, seed=seed)
    folder = encoder_folder(images, options, cache_dir)
    click.echo(describe_pretraining(options, images, folder), err=True)
    _say_what_is_there(folder, restart)
    encoder = find_or_pretrain(
        images,
        options,
        cache_dir=cache_dir,
        monitor_every=monitor_every,
        restart=restart,
        callbacks=[ThroughputProgress(len(images.train))],
    )
    record = read_json(encoder.with_suffix(".json"))
    if output is not None:
        encoder = _copy(encoder, output)
    click.echo(json.dumps(record | {"path": str(encoder)}, indent=2) if as_json else _text(record))
    click.echo(f"Find neighbors with it: lsp-keras mine --encoder {encoder}", err=True)


def _say_what_is_there(folder: Path, restart: bool) -> None:
    if restart:
        return
    if (folder / "encoder.json").exists():
        click.echo(f"This encoder was trained before: {folder}.", err=True)
    elif any((folder / name).exists() for name in ("state.npz", "previous.npz")):
        click.echo(f"Going on with the interrupted training in {folder}.", err=True)


def _copy(encoder: Path, output: Path) -> Path:
    """Copies encoder and record; returns the copy."""
    import shutil

    from lsp_keras.storage import atomic_path

    for source, target in (
        (encoder, output),
        (encoder.with_suffix(".json"), output.with_suffix(".json")),
    ):
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    return output


def _text(record: dict[str, Any]) -> str:
    measured = [row for row in record["history"] if "knn_accuracy" in row]
    seconds = sum(row["seconds"] for row in record["history"])
    lines = [
        f"Trained on {record['num_images']:,} images of {record['dataset']} "
        f"in {seconds / 60:.1f} minutes; epochs: {len(record['history'])}."
    ]
    if measured:
        lines.append(f"k-NN accuracy on held-out images: {measured[-1]['knn_accuracy']:.1%}")
    return "\n".join(lines)
