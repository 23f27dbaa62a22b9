"""An evaluation that several processes share: options, one command for them all, and the merge."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lsp_keras.validation import InputError

Command = TypeVar("Command", bound=Callable[..., Any])
Record = dict[str, Any]

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
    from lsp_keras.runs.files.shards import shard_folder

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
