"""`lsp-keras figure`: the paper's figures, made again."""

import os
from pathlib import Path
from typing import Any

import click

from lsp_keras.cli._options import data_options, quiet_option
from lsp_keras.cli._paths import MachinePath, as_file_name
from lsp_keras.processes import single_threaded_operators
from lsp_keras.validation import InputError

_SUFFIXES = (".png", ".pdf", ".svg")


@click.command()
@click.argument("number", type=click.Choice(["2d", "3"]))
@click.option("--dataset", default="cifar10", show_default=True, help="Dataset, as `fit` takes it.")
@click.option(
    "--scale",
    type=click.Choice(["tiny", "small", "paper"]),
    default="small",
    show_default=True,
    help="Scale of the runs, as of `table`.",
)
@click.option("--num-examples", type=click.IntRange(1), default=200, help="Test images of 2d.")
@click.option(
    "--runs-dir",
    type=MachinePath(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs: those of the same settings are used.",
)
@click.option(
    "--jobs",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="1 trains in a process of its own, 0 in this one.",
)
@click.option(
    "--output",
    type=MachinePath(dir_okay=False, path_type=Path),
    help="Picture to write: .png, .pdf or .svg.  [default: tables/figure_NUMBER_....png]",
)
@data_options
@quiet_option
def command(
    number: str,
    dataset: str,
    scale: str,
    num_examples: int,
    runs_dir: Path,
    jobs: int,
    output: Path | None,
    data_dir: Path | None,
    cache_dir: Path | None,
) -> None:
    """Train what a figure of the LSP paper needs, and draw it.

    3: cross-entropy and LSP loss over training, without training on the latter. 2d: how far an
    image's neighbors are in the encoder's features and in the logits, before LSP and after.

    \b
    lsp-keras figure 3 --dataset digits --scale tiny
    lsp-keras figure 2d --scale small
    """
    output = output or Path("tables") / f"figure_{number}_{as_file_name(dataset)}_{scale}.png"
    if output.suffix.lower() not in _SUFFIXES:
        raise InputError(f"--output must end in {', '.join(_SUFFIXES)}. Received: {output}.")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    environment = dict(os.environ)
    single_threaded_operators()

    from lsp_keras.tables.figures import distance_rows, loss_rows
    from lsp_keras.tables.paper import Request
    from lsp_keras.tables.scales import find_scale, sizes_of
    from lsp_keras.tables.training import Training

    sizes = sizes_of(dataset, data_dir=data_dir, cache_dir=cache_dir)
    request = Request(1, dataset, find_scale(scale), sizes, data_dir=data_dir)
    rows = loss_rows(request) if number == "3" else distance_rows(request)
    training = Training(
        runs_dir,
        cache_dir,
        in_process=jobs == 0,
        environment=environment,
        announce=lambda text: click.echo(text, err=True),
    )
    runs = {row.name: training.run_of(row.config) for row in rows}
    what = request.scale.describe(rows[0].config, None).replace(", all test images", "")
    title = f"{dataset}, scale {scale}: {what}"
    places = {"num_images": num_examples, "data_dir": data_dir, "cache_dir": cache_dir}
    _draw(number, output, runs, title, places)
    click.echo(output)


def _draw(
    number: str, output: Path, runs: dict[str, Any], title: str, places: dict[str, Any]
) -> None:
    from lsp_keras.plots.paper import draw_distances, draw_losses
    from lsp_keras.runs.files.history import load_history
    from lsp_keras.tables.figures import distances

    if number == "3":
        draw_losses(output, {name: load_history(run) for name, run in runs.items()}, title)
        return
    named = {"standard": "before: without LSP", "lsp": "after: with LSP"}
    found = {named[name]: distances(run, runs["lsp"], **places) for name, run in runs.items()}
    draw_distances(output, found, title)
