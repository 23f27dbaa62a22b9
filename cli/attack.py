"""`lsp-keras attack`: how robust a model is."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lsp_keras.choices import NORMS
from lsp_keras.cli._attack_plan import SUITES, make_plan
from lsp_keras.cli._attack_settings import (
    AttackCommand,
    attack_setting_options,
    read_settings,
    typed_settings,
)
from lsp_keras.cli._options import attack_options, quiet_option
from lsp_keras.cli._paths import MachinePath
from lsp_keras.cli._sections import typed_words
from lsp_keras.cli._shards import (
    check_choice_of_work,
    evaluate_by_workers,
    shard_options,
)
from lsp_keras.processes import single_threaded_operators
from lsp_keras.shards import Shard
from lsp_keras.validation import InputError


@click.command(cls=AttackCommand)
@click.argument("model", metavar="[RUN|MODEL]", required=False, type=MachinePath(path_type=Path))
@click.option("--url", help="Attack a served model instead: http://HOST:PORT/v1/models/NAME.")
@click.option(
    "--suite",
    type=click.Choice(SUITES),
    help="quick: FGSM, PGD. autoattack: that alone. black-box: noise, Square, SPSA. paper: the "
    "evaluation that the run's recipe states, in all its balls; lsp-standard and lsp-adversarial "
    "are the LSP paper's two.  [default: quick; with --url: black-box]",
)
@click.option(
    "--attacks",
    "names",
    help="Instead of a suite: names from `lsp-keras list attacks`, with commas between.",
)
@click.option("--cascade", is_flag=True, help="Run each attack only on what the ones before left.")
@attack_options
@click.option(
    "--norm",
    type=click.Choice(NORMS),
    help="Norm of the perturbation.  [default: linf]",
)
@attack_setting_options
@click.option(
    "--num-examples",
    type=click.IntRange(1),
    help="Number of test images to attack, the first ones.  [default: all]",
)
@click.option(
    "--save-examples",
    type=MachinePath(path_type=Path, file_okay=False),
    help="Folder for the attacked images: an .npz and a PNG sheet for each attack.",
)
@click.option(
    "--output",
    type=MachinePath(path_type=Path, file_okay=False),
    help="Folder for the record.  [default: RUN/evaluations, or evaluations/NAME for a model "
    "outside of a run]",
)
@shard_options
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of a table.")
def command(
    model: Path | None,
    url: str | None,
    suite: str | None,
    names: str | None,
    cascade: bool,
    epsilon: str | None,
    norm: str | None,
    settings: Path | None,
    num_examples: int | None,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    weights: str,
    pixel_range: str | None,
    model_output: str | None,
    batch_size: int,
    seed: int,
    save_examples: Path | None,
    output: Path | None,
    shard: str | None,
    workers: int | None,
    merge: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Attack a model's test images and measure what accuracy is left.

    The model is a run's folder, zoo:NAME, a .keras file, a SavedModel's folder, or with --url one
    that is served, which can be attacked without gradients only. The record of the evaluation, one
    for each ball, is kept. Killed, the same command goes on where it stopped. Several processes or
    machines share an evaluation by --shard, and --merge makes the record of their findings: the
    same numbers as from one.

    \b
    lsp-keras attack runs/svhn-at+lsp --attacks fgsm,pgd --epsilon 8/255 --num-steps 20
    lsp-keras attack runs/svhn-at+lsp --suite autoattack --num-examples 1000
    lsp-keras attack runs/cifar10-at --suite paper
    lsp-keras attack runs/cifar10-at --suite autoattack --workers 8
    lsp-keras attack --url http://localhost:8501/v1/models/svhn --dataset svhn
    """
    check_choice_of_work(shard, workers, merge, model)
    if merge and model is not None:
        from lsp_keras.runs.files.shards import merge_shards

        _show(merge_shards(output or model), as_json)
        return
    share = None if shard is None else Shard.parse(shard)
    single_threaded_operators()

    from lsp_keras.cli._target import open_target
    from lsp_keras.runs.files.records import records_folder
    from lsp_keras.runs.header import describe_test
    from lsp_keras.runs.subjects.test_images import describe, load_test_images

    if suite is not None and names is not None:
        raise InputError("Give --suite or --attacks, not both.")
    by_attack = read_settings(settings)
    if suite is None and names is None and by_attack:
        names = ",".join(by_attack)
    plan = make_plan(
        model,
        suite or ("black-box" if url else "quick"),
        names,
        epsilon=epsilon,
        norm=norm,
        cascade=cascade,
        settings=typed_settings(options),
        by_attack=by_attack,
    )
    if workers is not None:
        words = typed_words(click.get_current_context())
        found = evaluate_by_workers(words, workers, plan.label, quiet="--quiet" in words)
        _show(found, as_json)
        return
    load_images = functools.partial(
        load_test_images,
        dataset=dataset,
        data_dir=data_dir,
        cache_dir=cache_dir,
        num_examples=num_examples,
        shard=share,
    )
    reading = {"pixel_range": pixel_range, "output": model_output}
    with open_target(model, url, weights, load_images, plan.attacks, reading) as target:
        classifier, test = target
        folder = records_folder(classifier, output)
        header = describe_test(test.info, len(test.split), test.source_size)
        click.echo(f"{header}\nAttacks: {', '.join(plan.attacks)}.", err=True)
        evaluated = {
            "batch_size": batch_size,
            "seed": seed,
            "examples_dir": _own_folder(save_examples, share),
            "context": describe(classifier, test, weights),
        }
        records = [
            _evaluate(
                classifier, test, threat, attacks, share, folder, plan.label, as_json, evaluated
            )
            for threat, attacks in plan.groups.items()
        ]
    if as_json:
        click.echo(json.dumps(records[0] if len(records) == 1 else records, indent=2))


def _evaluate(
    classifier: Any,
    test: Any,
    threat: Any,
    attacks: Mapping[str, Any],
    share: Shard | None,
    records: Path,
    label: str,
    as_json: bool,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of the attacks within one ball, printed and kept."""
    from lsp_keras import evaluation
    from lsp_keras.cli._progress import attack_progress
    from lsp_keras.cli._report_table import print_reading, print_report
    from lsp_keras.runs.files.records import journal_folder, write_record
    from lsp_keras.runs.files.shards import write_shard

    with attack_progress() as progress:
        report = evaluation.evaluate(
            classifier,
            test.split.images,
            test.split.labels,
            indices=test.split.indices,
            attacks=attacks,
            threat=threat,
            progress=progress,
            journal=journal_folder(records),
            **options,
        )
    record = report.to_dict()
    # Before anything is printed: whoever reads the output may close it.
    if share is None:
        kept = f"Record: {write_record(records, label, record)}"
    else:
        record = evaluation.shard_record(report, share, test.positions)
        path = write_shard(records, label, record)
        kept = f"Shard {share}: {path}\nOnce all are there: attack {records} --merge."
    print_reading(record)
    if not as_json:
        print_report(report)
    if options["examples_dir"] is not None:
        _draw_sheets(options["examples_dir"], report, test.info.class_names)
    click.echo(kept, err=True)
    return record


def _show(found: Sequence[tuple[Any, Path | None]], as_json: bool) -> None:
    """Prints reports, and where their records are."""
    from lsp_keras.cli._report_table import print_report

    for report, path in found:
        if not as_json:
            print_report(report)
        if path is not None:
            click.echo(f"Record: {path}", err=True)
    if as_json:
        records = [report.to_dict() for report, _ in found]
        click.echo(json.dumps(records[0] if len(records) == 1 else records, indent=2))


def _own_folder(folder: Path | None, share: Shard | None) -> Path | None:
    """Where attacked images go: each shard's to a folder of its own."""
    if folder is None or share is None:
        return folder
    return folder / f"{share.index}-of-{share.count}"


def _draw_sheets(folder: Path, report: Any, class_names: Any) -> None:
    """One PNG beside each file of attacked images."""
    from lsp_keras.plots.examples import draw_examples

    for name in (item.name.replace("/", "+") for item in report.attacks):
        if (folder / f"{name}.npz").is_file():
            draw_examples(folder / f"{name}.npz", folder / f"{name}.png", class_names)
    click.echo(f"Attacked images: {folder}", err=True)
