"""`lsp-keras fit`: train a classifier."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_keras.choices import DISTRIBUTIONS
from lsp_keras.cli._config_options import (
    FitCommand,
    config_from_options,
    config_options,
)
from lsp_keras.cli._options import cache_option, quiet_option
from lsp_keras.cli._paths import MachinePath

if TYPE_CHECKING:
    from lsp_keras.runs.fit import FitResult


@click.command(cls=FitCommand)
@config_options
@click.option("--name", help="Name of the run.  [default: dataset and method, numbered]")
@click.option(
    "--runs-dir",
    type=MachinePath(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder for runs.",
)
@click.option(
    "--distribute",
    type=click.Choice(DISTRIBUTIONS),
    default="none",
    show_default=True,
    help="Over what each batch is spread: mirrored, all GPUs here; multi_worker, the processes in "
    "$TF_CONFIG; slurm, the tasks of an srun; auto, whichever of them there is.",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@cache_option
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    recipe: str | None,
    name: str | None,
    runs_dir: Path,
    distribute: str,
    resume: bool,
    cache_dir: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a classifier: LSP by default, LSP+ with --adv, or any other method and regularizers.

    \b
    lsp-keras fit --dataset svhn --adv
    lsp-keras fit --dataset svhn --adv --resume
    lsp-keras fit --recipe cifar10_hat --lfr --ema-decay 0.999
    lsp-keras fit --dataset folder:photos --no-lsp --width 16
    """
    config = config_from_options(ctx, recipe, options)
    from lsp_keras.cli._progress import stage_progress
    from lsp_keras.runs import fit

    with stage_progress() as progress:
        result = fit(
            config,
            runs_dir=runs_dir,
            name=name,
            resume=resume,
            cache_dir=cache_dir,
            distribute=distribute,
            progress=progress,
            announce=lambda text: click.echo(text, err=True),
        )
    if as_json:
        click.echo(json.dumps(_record(result), indent=2))
        return
    _print(result)
    click.echo(f"Measure it on the test images: lsp-keras attack {result.path}", err=True)


def _record(result: "FitResult") -> dict[str, Any]:
    record = {"run": str(result.path), "best_epoch": result.best_epoch, **result.best}
    if result.best_average is not None:
        record["ema_epoch"] = result.average_epoch
        record |= {k: v for k, v in result.best_average.items() if k.startswith("val_ema")}
    return record


def _print(result: "FitResult") -> None:
    click.echo(
        f"Run: {result.path}\n"
        f"Best epoch: {result.best_epoch} of {len(result.history)}: {result.sentence}."
    )
    if result.average_sentence is not None:
        click.echo(
            f"Best epoch of the averaged weights (ema.keras): {result.average_epoch}: "
            f"{result.average_sentence}."
        )
