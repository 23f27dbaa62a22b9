"""`lsp-keras plot`: the course of training runs as a picture."""

from pathlib import Path

import click

from lsp_keras.cli._paths import MachinePath

_SUFFIXES = (".png", ".pdf", ".svg")


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=MachinePath(path_type=Path))
@click.option(
    "--output",
    type=MachinePath(dir_okay=False, path_type=Path),
    help="Picture to write: .png, .pdf or .svg.  [default: RUN/history.png]",
)
def command(runs: tuple[Path, ...], output: Path | None) -> None:
    """Draw losses, accuracies and speed of a run over its epochs.

    Several runs are drawn together, one panel for each quantity. A run that goes on is drawn as
    far as it has come.

    \b
    lsp-keras plot runs/svhn-at+lsp
    lsp-keras plot runs/svhn-at runs/svhn-at+lsp --output svhn.png
    """
    from lsp_keras.plots.runs import plot_run, plot_runs
    from lsp_keras.runs.files.history import load_history
    from lsp_keras.validation import InputError

    if output is None and len(runs) > 1:
        raise InputError(
            "Several runs share no folder: say where to draw them by --output FILE.png."
        )
    output = output or runs[0] / "history.png"
    if output.suffix.lower() not in _SUFFIXES:
        raise InputError(f"--output must end in {', '.join(_SUFFIXES)}. Received: {output}.")
    histories = [load_history(run) for run in runs]
    if len(histories) == 1:
        plot_run(output, histories[0])
    else:
        plot_runs(output, histories)
    click.echo(output)
