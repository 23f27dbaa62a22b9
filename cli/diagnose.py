"""`lsp-keras diagnose`: is the measured robustness real?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lsp_keras.cli._options import attack_options, norm_option, quiet_option
from lsp_keras.cli._paths import MachinePath
from lsp_keras.processes import single_threaded_operators
from lsp_keras.runs.files.records import diagnosis_folder, journal_folder, write_record
from lsp_keras.validation import InputError


@click.command()
@click.argument("model", metavar="RUN|MODEL", type=MachinePath(path_type=Path))
@click.option("--profile", is_flag=True, help="Also measure certainty, layers and features.")
@click.option(
    "--signs/--no-signs",
    default=True,
    show_default=True,
    help="Look for signs of gradient masking.",
)
@click.option(
    "--against",
    metavar="RUN|MODEL",
    type=MachinePath(path_type=Path),
    help="Model to measure too, on the same test images, side by side.",
)
@click.option(
    "--transfer-from",
    metavar="RUN|MODEL",
    type=MachinePath(path_type=Path),
    help="Plain model, to see whether images made against it break this one.",
)
@attack_options
@norm_option
@click.option(
    "--num-examples",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="The first so many test images, or all where there are fewer.",
)
@click.option(
    "--output",
    type=MachinePath(path_type=Path, file_okay=False),
    help="Folder for record and plots.  [default: RUN/diagnosis, or evaluations/NAME/diagnosis for "
    "a model outside of a run]",
)
@click.option(
    "--details", is_flag=True, help="Also print accuracies, answers and layers, number by number."
)
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of text.")
def command(
    model: Path,
    profile: bool,
    signs: bool,
    against: Path | None,
    transfer_from: Path | None,
    epsilon: str | None,
    norm: str,
    num_examples: int,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    weights: str,
    pixel_range: str | None,
    model_output: str | None,
    batch_size: int,
    seed: int,
    output: Path | None,
    details: bool,
    as_json: bool,
) -> None:
    """Look for signs that a model only misleads its attackers.

    With --profile, measure besides how sure the model is of its answers (margins, confidence,
    entropy, calibration, gaps between training and test), the singular values of its layers,
    and how far attacks move its features. Record and plots are kept. Killed, the same command
    goes on where it stopped.

    \b
    lsp-keras diagnose runs/svhn-at+lsp --num-examples 500 --transfer-from runs/svhn-standard
    lsp-keras diagnose runs/svhn-at --profile --no-signs --against runs/svhn-standard
    """
    if not (signs or profile):
        raise InputError("--no-signs leaves nothing to do without --profile.")
    if transfer_from is not None and not signs:
        raise InputError("--transfer-from is one of the signs that --no-signs leaves out.")
    single_threaded_operators()

    from lsp_keras.classifiers import load_classifier
    from lsp_keras.cli._report_table import print_reading
    from lsp_keras.runs.header import describe_test
    from lsp_keras.runs.subjects.subject import load_rival, load_subject
    from lsp_keras.types import DEFAULT_EPSILONS, ThreatModel

    threat = ThreatModel.parse(epsilon or DEFAULT_EPSILONS[norm], norm)
    source = None if transfer_from is None else load_classifier(transfer_from, weights=weights)
    options: dict[str, Any] = {
        "weights": weights,
        "pixel_range": pixel_range,
        "output": model_output,
        "dataset": dataset,
        "data_dir": data_dir,
        "cache_dir": cache_dir,
    }
    subjects = [load_subject(model, num_examples=num_examples, **options)]
    if against is not None:
        subjects.append(load_rival(subjects[0], against, **options))
    tested = subjects[0]
    num_tested, num_test = len(tested.test), len(tested.dataset.test)
    click.echo(describe_test(tested.dataset.info, num_tested, num_test), err=True)
    folder = diagnosis_folder(tested.classifier, output)
    findings = [
        _measure(
            subject,
            threat,
            source=source,
            signs=signs,
            profile=profile,
            cache_dir=cache_dir,
            batch_size=batch_size,
            seed=seed,
            journal=journal_folder(folder),
        )
        for subject in subjects
    ]
    record = _record(findings)
    # Before anything is printed: whoever reads the output may close it.
    path = _write(record, findings, folder)
    print_reading(record)
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        from lsp_keras.cli._diagnose_table import print_findings

        print_findings(findings, details=details)
    click.echo(f"Record and plots: {path}", err=True)


def _measure(
    subject: Any,
    threat: Any,
    *,
    source: Any | None,
    signs: bool,
    profile: bool,
    cache_dir: Path | None,
    batch_size: int,
    seed: int,
    journal: Path,
) -> Any:
    """The subject's findings."""
    from lsp_keras.cli._progress import step_progress
    from lsp_keras.runs.subjects.subject import Findings, diagnose_subject, profile_subject

    diagnosis = certainty = None
    options: dict[str, Any] = {"batch_size": batch_size, "seed": seed}
    if signs:
        with step_progress(f"Diagnosing {subject.name}") as progress:
            diagnosis = diagnose_subject(
                subject,
                threat,
                transfer_from=source,
                cache_dir=cache_dir,
                progress=progress,
                journal=journal,
                **options,
            )
    if profile:
        with step_progress(f"Profiling {subject.name}") as progress:
            certainty = profile_subject(subject, threat, progress=progress, **options)
    return Findings(subject.name, diagnosis, certainty)


def _record(findings: Sequence[Any]) -> dict[str, Any]:
    """The first model's record, the second one's under `against`."""
    first, *others = [item.to_dict() for item in findings]
    return first | ({"against": others[0]} if others else {})


def _write(record: dict[str, Any], findings: Sequence[Any], folder: Path) -> Path:
    """Writes the record and its plots; returns the record's path."""
    from lsp_keras.plots.diagnosis import draw_findings

    path = write_record(folder, "", record)
    draw_findings(path.with_suffix(""), findings)
    return path
