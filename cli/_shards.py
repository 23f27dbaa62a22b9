"""An evaluation that several processes share: options, one command for them all, and the merge."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lsp_keras.validation import InputError

Command = TypeVar("Command", bound=Callable[..., Any])
Record = dict[str, Any]

_FOLDER = "shards"
# Options of the command as it was typed that its workers do not get; True where a value follows.
_NOT_FOR_WORKERS = {"--workers": True, "--json": False, "--quiet": False}


def shard_options(command: Command) -> Command:
    """Adds `--shard`, `--workers` and `--merge`."""
    shard = click.option(
        "--shard",
        metavar="I/N",
        help="Attack every N-th image only, from the I-th on, counted from 0. With N alone, "
        "$JOB_COMPLETION_INDEX or $SLURM_ARRAY_TASK_ID is I.",
    )
    workers = click.option(
        "--workers",
        type=click.IntRange(1),
        help="Start so many processes here, one shard and one GPU each, and merge what they find.",
    )
    merge = click.option(
        "--merge",
        is_flag=True,
        help="Attack nothing: make the record of all images from the shards of the model, or in "
        "the folder that is named.",
    )
    return shard(workers(merge(command)))


def check_choice_of_work(
    shard: str | None, workers: int | None, merge: bool, model: Path | None
) -> None:
    """Refuses options that contradict each other."""
    given = [
        name
        for name, value in {"--shard": shard, "--workers": workers, "--merge": merge}.items()
        if value
    ]
    if len(given) > 1:
        raise InputError(f"Give one of {', '.join(given)}.")
    if merge and model is None:
        raise InputError("--merge needs the run, or the folder with the shards.")


def shard_folder(records: Path, label: str, record: Mapping[str, Any]) -> Path:
    """Where the shards of one evaluation are kept."""
    return records / _FOLDER / f"{label}-{record['shard']['evaluation']}"


def write_shard(records: Path, label: str, record: Record) -> Path:
    """Writes the record of a shard; that of the same shard is replaced."""
    from lsp_keras.storage import write_json

    shard = record["shard"]
    # For the process that started this one.
    shard["records"] = str(records)
    folder = shard_folder(records, label, record)
    path = folder / f"{shard['index']}-of-{shard['count']}.json"
    write_json(path, record)
    return path


def merged(model: Path) -> list[tuple[Any, Path | None]]:
    """Reports made of the shards of a model or in a folder, with the records that were written.

    Args:
        model: Run, file of a model, folder with its records, or folder with the shards of one
            evaluation.

    Raises:
        InputError: There are none, or those of one evaluation are not complete.
    """
    from lsp_keras.evaluation import merge
    from lsp_keras.runs.files.records import write_record

    groups = _groups(model)
    reports = [(folder, _merged_or_named(folder, files, merge)) for folder, files in groups.items()]
    written: list[tuple[Any, Path | None]] = []
    for folder, report in reports:
        path = None
        if folder.parent.name == _FOLDER:
            label = folder.name.rpartition("-")[0]
            path = write_record(folder.parent.parent, label, report.to_dict())
            # The record holds what they said.
            shutil.rmtree(folder, ignore_errors=True)
        written.append((report, path))
    return written


def _groups(model: Path) -> dict[Path, list[Path]]:
    """Files of shards by the folder they lie in, one evaluation in each."""
    from lsp_keras.runs.files.records import records_at

    places = records_at(model)
    folders = [folder for place in places for folder in sorted(place.glob(f"{_FOLDER}/*/"))]
    groups = {folder: sorted(folder.glob("*.json")) for folder in folders or [model]}
    groups = {folder: files for folder, files in groups.items() if files}
    if not groups:
        looked = " or ".join(str(place / _FOLDER) for place in places)
        raise InputError(f"There are no shards in {looked}: they come from attack --shard I/N.")
    return groups


def _merged_or_named(
    folder: Path, files: Sequence[Path], merge: Callable[[Sequence[Record]], Any]
) -> Any:
    from lsp_keras.storage import read_json

    try:
        return merge([read_json(path) for path in files])
    except InputError as error:
        raise InputError(f"{error} They lie in {folder}.") from error


def evaluate_by_workers(
    typed: Sequence[str], count: int, label: str, *, quiet: bool
) -> list[tuple[Any, Path | None]]:
    """Reports that so many processes on this machine make together, one for each ball.

    Args:
        typed: The command line after `attack`.
        count: Number of processes; each sees one GPU where there are some.
        label: Part of the record's name.
        quiet: Whether the first of them, too, says nothing on the way.

    Raises:
        click.ClickException: One of them failed.
    """
    from lsp_keras.evaluation import merge
    from lsp_keras.runs.files.records import write_record

    by_ball = zip(*_outcomes(_without(typed), count, quiet), strict=True)
    reports: list[tuple[Any, Path | None]] = []
    for shards in by_ball:
        report = merge(shards)
        records = Path(shards[0]["shard"]["records"])
        path = write_record(records, label, report.to_dict())
        shutil.rmtree(shard_folder(records, label, shards[0]), ignore_errors=True)
        reports.append((report, path))
    return reports


def _outcomes(arguments: Sequence[str], count: int, quiet: bool) -> list[list[Record]]:
    """What each of the processes found, its records one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{index}.json" for index in range(count)]
        running = [
            _start([*arguments, *(["--quiet"] if index or quiet else [])], index, count, path)
            for index, path in enumerate(files)
        ]
        try:
            failed = [index for index, process in enumerate(running) if process.wait() != 0]
        finally:
            for process in running:
                process.kill()
        if failed:
            raise click.ClickException(
                f"The shards {', '.join(map(str, failed))} of {count} failed. Repeat the command "
                f"with --shard {failed[0]}/{count} in place of --workers, and so on, then --merge."
            )
        found = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return [item if isinstance(item, list) else [item] for item in found]


def _start(
    arguments: Sequence[str], index: int, count: int, path: Path
) -> "subprocess.Popen[bytes]":
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    # Empty hides all of them, and goes on to do so.
    known = list(map(str, range(count))) if devices is None else devices.split(",")
    command = [sys.executable, "-m", "lsp_keras", "attack", *arguments]
    command += ["--shard", f"{index}/{count}", "--json"]
    with path.open("wb") as results:
        return subprocess.Popen(
            command,
            stdout=results,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": known[index % len(known)]},
        )


def _without(typed: Sequence[str]) -> list[str]:
    """The command line without what the workers do not get."""
    kept: list[str] = []
    skip = False
    for word in typed:
        name, has_value, _ = word.partition("=")
        if skip:
            skip = False
        elif name in _NOT_FOR_WORKERS:
            skip = _NOT_FOR_WORKERS[name] and not has_value
        else:
            kept.append(word)
    return kept
