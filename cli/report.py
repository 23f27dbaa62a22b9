"""`lsp-keras report`: one page to hand over."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_keras.cli._options import attack_options, norm_option, quiet_option
from lsp_keras.cli._paths import MachinePath
from lsp_keras.places import SERVERS
from lsp_keras.processes import single_threaded_operators

if TYPE_CHECKING:
    from lsp_keras.runs.subjects.subject import Subject

_SCHEMES = tuple(f"{scheme}://" for scheme in SERVERS)


@click.command()
@click.argument("models", metavar="RUN|MODEL|zoo:NAME|URL...", nargs=-1, required=True)
@click.option(
    "--to",
    "page",
    type=MachinePath(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="HTML file to write.",
)
@click.option(
    "--budget",
    default="15m",
    show_default=True,
    help="About how long to measure what is not known yet: 90s, 15m, 2h. It decides on how many "
    "images AutoAttack, diagnosis and profile run, and whether they do.",
)
@click.option("--evidence", is_flag=True, help="Add what an auditor asks (EU AI Act, NIST).")
@attack_options
@norm_option
@click.option(
    "--num-examples",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="At most so many test images, the first ones.",
)
@click.option(
    "--output",
    type=MachinePath(path_type=Path, file_okay=False),
    help="Folder for the records.  [default: the run's, or evaluations/NAME]",
)
@quiet_option
def command(
    models: tuple[str, ...],
    page: Path,
    budget: str,
    evidence: bool,
    epsilon: str | None,
    norm: str,
    num_examples: int,
    batch_size: int,
    seed: int,
    cache_dir: Path | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Write one self-contained HTML page on a model's robustness, or on that of several.

    What was measured before is taken from its records; what is missing is measured now, as far as
    the budget goes: FGSM and PGD, AutoAttack, signs of gradient masking, a profile. Killed, the
    same command goes on where it stopped. A served model gives its answers only, so black-box
    attacks are all that runs.

    \b
    lsp-keras report runs/svhn-at+lsp --to report.html
    lsp-keras report zoo:cifar10_robust runs/mine --budget 2h --evidence
    """
    single_threaded_operators()

    from lsp_keras.cli._progress import attack_progress, step_progress
    from lsp_keras.reports.measure import Request, Watchers, measure
    from lsp_keras.reports.page import write_page
    from lsp_keras.reports.plan import parse_budget
    from lsp_keras.reports.view import view_of
    from lsp_keras.types import DEFAULT_EPSILONS, ThreatModel

    request = Request(
        threat=ThreatModel.parse(epsilon or DEFAULT_EPSILONS[norm], norm),
        budget=parse_budget(budget) / len(models),
        num_images=num_examples,
        batch_size=batch_size,
        seed=seed,
        cache_dir=cache_dir,
        output=output,
    )
    watchers = Watchers(lambda text: click.echo(text, err=True), attack_progress, step_progress)
    views = []
    for model in models:
        with _opened(model, num_examples, cache_dir, options) as subject:
            views.append(view_of(measure(subject, request, watchers), model, evidence=evidence))
    write_page(page, views, command=shlex.join(["lsp-keras", *sys.argv[1:]]))
    for view in views:
        click.echo(f"{view['name']}: {view['statement']}", err=True)
    click.echo(page)


@contextmanager
def _opened(
    model: str, num_examples: int, cache_dir: Path | None, options: dict[str, Any]
) -> Iterator["Subject"]:
    """The model with its images, while it is measured."""
    from lsp_keras.runs.subjects.subject import load_subject

    if not model.startswith(_SCHEMES):
        yield load_subject(
            Path(model),
            weights=options["weights"],
            dataset=options["dataset"],
            data_dir=options["data_dir"],
            cache_dir=cache_dir,
            num_examples=num_examples,
            pixel_range=options["pixel_range"],
            output=options["model_output"],
        )
        return
    with _served(model, num_examples, cache_dir, options) as subject:
        yield subject


@contextmanager
def _served(
    url: str, num_examples: int, cache_dir: Path | None, options: dict[str, Any]
) -> Iterator["Subject"]:
    """A served model with the images of the dataset that was named."""
    from lsp_keras.cli._target import open_target
    from lsp_keras.runs.files.records import model_name
    from lsp_keras.runs.subjects.subject import Subject
    from lsp_keras.runs.subjects.test_images import describe, load_images
    from lsp_keras.types import TestSplit

    dataset = load_images(
        None,
        dataset=options["dataset"],
        data_dir=options["data_dir"],
        cache_dir=cache_dir,
    )
    images = dataset.test.take(num_examples)
    test = TestSplit(dataset.info, images, len(dataset.test), images.indices)
    reading = {"pixel_range": options["pixel_range"], "output": options["model_output"]}
    with open_target(None, url, options["weights"], lambda _: test, {}, reading) as target:
        classifier, _ = target
        context = describe(classifier, test, options["weights"])
        yield Subject(model_name(classifier), classifier, dataset, test.split, context)
