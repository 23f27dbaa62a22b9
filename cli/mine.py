"""`lsp-keras mine`: find the neighbors of the training images."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from lsp_keras.choices import IndexName, SpaceName
from lsp_keras.cli._options import data_options, image_options, quiet_option, train_options
from lsp_keras.cli._paths import MachinePath, check_suffix
from lsp_keras.shards import Shard
from lsp_keras.validation import InputError

if TYPE_CHECKING:
    from lsp_keras.neighbors import FeatureSource
    from lsp_keras.types import Dataset


@click.command()
@train_options
@image_options
@click.option(
    "--features", type=click.Choice(["pixels"]), help="Search among the pixels, as is the default."
)
@click.option(
    "--encoder",
    type=MachinePath(path_type=Path),
    help="Search among the outputs of a .keras encoder.",
)
@click.option(
    "--embeddings",
    type=MachinePath(path_type=Path),
    help="Search among the rows of an .npy file, one for each image of the training split.",
)
@click.option("--num-neighbors", default=8, show_default=True, help="Neighbors of each image.")
@click.option(
    "--space",
    type=click.Choice(get_args(SpaceName)),
    default="local",
    show_default=True,
    help="local: the nearest images; global: random ones, with their distances.",
)
@click.option(
    "--normalize/--no-normalize",
    default=True,
    show_default=True,
    help="Divide features by their Euclidean norm first.",
)
@click.option(
    "--index",
    type=click.Choice(get_args(IndexName)),
    default="auto",
    show_default=True,
    help="auto: ScaNN, exact or a tree by the number of images.",
)
@click.option(
    "--exact-below",
    default=20_000,
    show_default=True,
    help="Number of images below which auto is exact.",
)
@click.option(
    "--min-recall",
    default=0.99,
    show_default=True,
    help="Recall on a sample that the tree must reach; it is searched more widely until then.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of samples and random neighbors.")
@click.option(
    "--output",
    type=MachinePath(dir_okay=False, path_type=Path),
    help="Write the table here too, for `fit --neighbors`.  [default: the cache folder only]",
)
@click.option(
    "--keep-features",
    is_flag=True,
    help="Keep the features beside the table, for `fit --lsp-neighbors batch`.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Encode every N-th image only, from the I-th on, counted from 0, and stop there. Once all "
    "are there, the same command without it searches. With N alone, $JOB_COMPLETION_INDEX or "
    "$SLURM_ARRAY_TASK_ID is I.",
)
@click.option(
    "--sheet",
    type=MachinePath(dir_okay=False, path_type=Path),
    help="Draw queries with their neighbors and distances as PNG.",
)
@data_options
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of a table.")
def command(
    dataset: str,
    num_train: int | None,
    validation_size: int | None,
    data_seed: int,
    reading: dict[str, Any],
    data_dir: Path | None,
    cache_dir: Path | None,
    features: str | None,
    encoder: Path | None,
    embeddings: Path | None,
    space: str,
    output: Path | None,
    keep_features: bool,
    shard: str | None,
    sheet: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Find the nearest others of each training image and say what they are like.

    \b
    lsp-keras mine --dataset cifar10 --encoder encoder.keras --sheet sheet.png
    lsp-keras mine --dataset cifar10 --embeddings rows.npy --output table.npz
    """
    if sum(choice is not None for choice in (features, encoder, embeddings)) > 1:
        raise InputError("Choose one of --features, --encoder and --embeddings.")
    check_suffix("--output", output, ".npz")
    from lsp_keras import datasets
    from lsp_keras.cli._progress import stage_progress
    from lsp_keras.neighbors import (
        MiningSettings,
        diagnose,
        features_path,
        find_features,
        find_or_mine,
        save_table,
        table_path,
    )
    from lsp_keras.neighbors.feature_shards import with_feature_shards, write_feature_shard
    from lsp_keras.plots.neighbors import draw_sheet
    from lsp_keras.runs.header import describe_data, describe_device
    from lsp_keras.storage import atomic_path, write_json

    images = datasets.load(
        dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        num_train=num_train,
        validation_size=validation_size,
        seed=data_seed,
        **reading,
    )
    train = images.train
    mining = MiningSettings(**settings)
    source = _feature_source(images, encoder, embeddings)
    click.echo(f"{describe_data(images)}\n{describe_device()}", err=True)
    if shard is not None:
        with stage_progress() as progress:
            part = write_feature_shard(
                train.images,
                source,
                Shard.parse(shard),
                cache_dir=cache_dir,
                progress=progress,
            )
        click.echo(f"Features of the shard {shard}: {part}", err=True)
        return
    source = with_feature_shards(train.images, source, cache_dir=cache_dir)
    work = f"{mining.num_neighbors} neighbors of each of {len(train):,} images by {source.name}"
    click.echo(f"Mining: {work}.", err=True)
    with stage_progress() as progress:
        where: dict[str, Any] = {"space": space, "cache_dir": cache_dir, "progress": progress}
        noted = {"dataset": dataset, "split": "train"}
        table = find_or_mine(train.images, mining, source, source=noted, **where)
        if keep_features:
            find_features(train.images, mining, source, **where)
    record = {"provenance": dict(table.provenance), "diagnosis": diagnose(table, train.labels)}
    cached = table_path(train.images, mining, source, space=space, cache_dir=cache_dir)
    if output is not None:
        save_table(output, table)
        if keep_features:
            with atomic_path(features_path(output)) as temporary:
                shutil.copyfile(features_path(cached), temporary)
    write_json((output or cached).with_suffix(".json"), record)
    if sheet is not None:
        names = images.info.class_names
        draw_sheet(sheet, train.images, table, labels=train.labels, class_names=names)
    click.echo(json.dumps(record, indent=2) if as_json else _text(record))
    click.echo(f"Table: {output or cached}", err=True)


def _feature_source(
    images: "Dataset", encoder: Path | None, embeddings: Path | None
) -> "FeatureSource":
    from lsp_keras.neighbors import FeatureSource
    from lsp_keras.runs.features import embeddings_file_source, encoder_source

    if encoder is not None:
        return encoder_source(encoder, images.info.image_shape)
    if embeddings is not None:
        return embeddings_file_source(embeddings, images)
    return FeatureSource()


def _text(record: dict[str, Any]) -> str:
    from lsp_keras.neighbors import Contrast

    provenance, figures = record["provenance"], record["diagnosis"]
    source, settings = provenance["source"], provenance["settings"]
    rows = {
        "images": f"{figures['num_images']:,} of {source['dataset']}, {source['split']}",
        "features": f"{source['features']}, {provenance['num_dimensions']} dimensions"
        + (", L2-normalized" if settings["normalize"] else ""),
        "neighbors": f"{figures['num_neighbors']} of each, {_search(provenance)}",
        "label purity": f"{figures['label_purity']:.1%} (random others: "
        f"{figures['chance_purity']:.1%}); labels chose no neighbor",
        "mutual": f"{figures['mutual_share']:.1%} of pairs name each other",
        "hubness": f"skewness {figures['hubness_skewness']:.2f}; at most "
        f"{figures['max_occurrence']:,} times a neighbor, {figures['never_a_neighbor']:.1%} never",
        "distances": ", ".join(
            f"{float(share):.0%}: {value:.3g}"
            for share, value in figures["distance_quantiles"].items()
        ),
        "contrast": Contrast(**figures["contrast"]).sentence().removeprefix("Contrast: "),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())


def _search(provenance: dict[str, Any]) -> str:
    if provenance["space"] == "global":
        return "drawn at random"
    recall = provenance["recall"]
    return (
        f"{provenance['index']['name']}, recall {recall['value']:.4f} on {recall['images']:,} "
        f"images against {recall['against']}"
    )
