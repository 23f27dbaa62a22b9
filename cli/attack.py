"""`lsp-keras attack`: how robust a model is."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli._attacks import SUITES, build_attacks
from cli._options import data_options


@click.command()
@click.argument("model", metavar="RUN|MODEL.keras", type=click.Path(path_type=Path))
@click.option(
    "--suite",
    type=click.Choice(list(SUITES)),
    default="quick",
    show_default=True,
    help="quick: FGSM, PGD. paper: PGD, CW under L-inf, AutoAttack. autoattack: that alone.",
)
@click.option(
    "--attacks",
    "names",
    help="Instead of a suite: names from `lsp-keras list attacks`, with commas between.",
)
@click.option("--epsilon", help="Radius on the [0, 1] scale.  [default: 8/255; L2: 128/255]")
@click.option(
    "--norm",
    type=click.Choice(["linf", "l2", "l1"]),
    default="linf",
    show_default=True,
    help="Norm of the perturbation.",
)
@click.option("--steps", type=click.IntRange(1), help="Steps of iterative attacks.")
@click.option("--step-size", help="Length of a step, such as 2/255.")
@click.option("--restarts", type=click.IntRange(1), help="Random starts of attacks that have them.")
@click.option("--num-examples", type=click.IntRange(1), help="Only the first so many test images.")
@click.option("--dataset", help="Other than the run's own; needed for a file outside of a run.")
@data_options
@click.option(
    "--weights",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which epoch of a run.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="Images attacked at once; changes no verdict.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of random draws.")
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of a table.")
def command(
    model: Path,
    suite: str,
    names: str | None,
    epsilon: str | None,
    norm: str,
    steps: int | None,
    step_size: str | None,
    restarts: int | None,
    num_examples: int | None,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    weights: str,
    batch_size: int,
    seed: int,
    as_json: bool,
) -> None:
    """Attack a model's test images and measure what accuracy is left.

    The record of a run's evaluation is kept in RUN/evaluations. Killed, the same command goes
    on where it stopped.

    \b
    lsp-keras attack runs/svhn-at+lsp --attacks fgsm,pgd --epsilon 8/255 --steps 20
    lsp-keras attack runs/svhn-at+lsp --suite autoattack --num-examples 1000
    """
    from cli._progress import attack_progress
    from cli._report_table import print_report
    from cli._test_images import describe, load_test_images
    from lsp_keras.evaluation import evaluate, load_classifier
    from lsp_keras.types import DEFAULT_EPSILONS, ThreatModel

    threat = ThreatModel.parse(epsilon or DEFAULT_EPSILONS[norm], norm)
    attacks = build_attacks(
        [name.strip() for name in names.split(",")] if names is not None else SUITES[suite],
        threat,
        {"num_steps": steps, "step_size": step_size, "num_restarts": restarts},
    )
    classifier = load_classifier(model, weights=weights)
    test = load_test_images(
        classifier.run,
        dataset=dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        num_examples=num_examples,
    )
    with attack_progress() as progress:
        report = evaluate(
            classifier.model,
            test.split.images,
            test.split.labels,
            indices=test.split.indices,
            attacks=attacks,
            threat=threat,
            batch_size=batch_size,
            seed=seed,
            progress=progress,
            journal=classifier.run / "evaluations" / ".unfinished" if classifier.run else None,
            context=describe(classifier, test, weights),
        )
    record = report.to_dict()
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        print_report(report)
    if classifier.run is not None:
        label = "-".join(attacks) if names is not None else suite
        path = _write(record, classifier.run / "evaluations", label)
        click.echo(f"Record: {path}", err=True)


def _write(record: dict[str, Any], folder: Path, label: str) -> Path:
    """Writes the record under a name that says when it was made and with what."""
    from lsp_keras.storage import write_json

    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    path = folder / f"{moment}-{label}.json"
    write_json(path, record)
    return path
