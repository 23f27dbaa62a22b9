"""`lsp-keras diagnose`: is the measured robustness real?"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli._options import data_options


@click.command()
@click.argument("model", metavar="RUN|MODEL.keras", type=click.Path(path_type=Path))
@click.option("--epsilon", help="Radius on the [0, 1] scale.  [default: 8/255; L2: 128/255]")
@click.option(
    "--norm",
    type=click.Choice(["linf", "l2"]),
    default="linf",
    show_default=True,
    help="Norm of the perturbation.",
)
@click.option(
    "--num-examples",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="The first so many test images, or all where there are fewer.",
)
@click.option("--dataset", help="Other than the run's own; needed for a file outside of a run.")
@data_options
@click.option(
    "--weights",
    type=click.Choice(["best", "last", "ema"]),
    default="best",
    show_default=True,
    help="Which epoch of a run; ema: the best average of its weights.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="Images attacked at once; changes no verdict.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of random draws.")
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of text.")
def command(
    model: Path,
    epsilon: str | None,
    norm: str,
    num_examples: int,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    weights: str,
    batch_size: int,
    seed: int,
    as_json: bool,
) -> None:
    """Look for signs that a model only misleads its attackers.

    Of a run, the record and its plots are kept in RUN/diagnosis.

    \b
    lsp-keras diagnose runs/svhn-at+lsp --num-examples 500
    """
    from cli._progress import step_progress
    from cli._test_images import describe, load_test_images
    from lsp_keras.evaluation import diagnose, load_classifier
    from lsp_keras.types import DEFAULT_EPSILONS, ThreatModel

    threat = ThreatModel.parse(epsilon or DEFAULT_EPSILONS[norm], norm)
    classifier = load_classifier(model, weights=weights)
    test = load_test_images(
        classifier.run,
        dataset=dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        num_examples=None,
    )
    split = test.split.take(num_examples)
    with step_progress("Diagnosing") as progress:
        diagnosis = diagnose(
            classifier.model,
            split.images,
            split.labels,
            threat=threat,
            batch_size=batch_size,
            seed=seed,
            progress=progress,
            context=describe(classifier, test, weights),
        )
    click.echo(json.dumps(diagnosis.to_dict(), indent=2) if as_json else _text(diagnosis))
    if classifier.run is not None:
        click.echo(f"Record: {_write(diagnosis, classifier.run / 'diagnosis')}", err=True)


def _text(diagnosis: Any) -> str:
    """The verdict, each sign with what to do, and the curves."""
    lines = [diagnosis.verdict, *(f"- {flag.name}: {flag}" for flag in diagnosis.flags)]
    lines.append(f"Clean accuracy {100 * diagnosis.clean_accuracy:.1f} %")
    for title, curve in _curves(diagnosis).items():
        points = ", ".join(f"{key:.3g}: {100 * value:.1f} %" for key, value in curve.items())
        lines.append(f"Accuracy by {title}: {points}")
    lines.append(
        f"FGSM {100 * diagnosis.fgsm_accuracy:.1f} %, square attack "
        f"{100 * diagnosis.square_accuracy:.1f} %"
    )
    return "\n".join(lines)


def _curves(diagnosis: Any) -> dict[str, Any]:
    return {
        "radius": diagnosis.epsilon_curve,
        "steps": diagnosis.step_curve,
        "divisor of the logits": diagnosis.temperature_curve,
    }


def _write(diagnosis: Any, folder: Path) -> Path:
    """Writes the record and its plots; returns the record's path."""
    from cli._plots import plot_curves
    from lsp_keras.storage import write_json

    stem = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    path = folder / f"{stem}.json"
    write_json(path, diagnosis.to_dict())
    plot_curves(folder / f"{stem}.png", _curves(diagnosis), diagnosis.verdict)
    return path
