"""Runs a command to its end, then kills it at random moments until that end is reached again.

    python kill_commands.py FOLDER COMMAND KILLS SEED

`FOLDER/whole` is left by one unbroken call, `FOLDER/killed-1`, `killed-2`, ... by calls of which
each was killed by SIGKILL but the last; there are as many as it takes for so many kills, and after
five the next call of a folder is left alone, since a command that does not go on but begins again
might never come to its end. Prints the number of kills of each and, at the end on stderr, what all
children together took. Children are forked after the imports, which take most of the time.
"""

import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lsp_keras.cli.main import group

DATA = ("--dataset", "digits", "--num-train", "96", "--validation-size", "32")
NETWORK = ("--model", "vit", "--width", "8", "--depth", "1")


def fit(folder: Path) -> list[str]:
    resume = ["--resume"] if (folder / "run" / "config.toml").exists() else []
    return [
        *("fit", "--name", "run", "--runs-dir", str(folder), *DATA, *NETWORK, "--no-lsp"),
        *("--num-test", "48", "--batch-size", "32", "--epochs", "6", "--ema-decay", "0.9"),
        *("--cache-dir", str(folder / "cache"), *resume),
    ]


def attack(folder: Path) -> list[str]:
    options = ["--attacks", "fgsm,apgd", "--epsilon", "4/255", "--batch-size", "4"]
    return ["attack", str(folder / "run"), *options, "--num-examples", "48"]


def mine(folder: Path) -> list[str]:
    names = ["--output", str(folder / "table.npz"), "--sheet", str(folder / "sheet.png")]
    return ["mine", "--dataset", "digits", *names, "--cache-dir", str(folder / "cache")]


def pretrain(folder: Path) -> list[str]:
    return [
        *("pretrain", *DATA, "--width", "2", "--epochs", "4", "--batch-size", "32"),
        *("--batch-norm-splits", "2", "--queue-size", "64", "--monitor-every", "2"),
        *("--cache-dir", str(folder / "cache"), "--output", str(folder / "encoder.keras")),
    ]


def export(folder: Path) -> list[str]:
    return ["export", str(folder / "run"), "--to", str(folder / "model")]


MOST_KILLS = 5
COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    function.__name__: function for function in (fit, attack, mine, pretrain, export)
}


def start(folder: Path, command: str) -> int:
    """A child that runs the command in the folder."""
    child = os.fork()
    if child == 0:
        folder.mkdir(parents=True, exist_ok=True)
        log = os.open(folder / f"{command}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = 1
        try:
            group.main(COMMANDS[command](folder), standalone_mode=False)
            status = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return child


def finish(child: int) -> None:
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(f"The command ended with status {status}.")


def kill_until_done(
    folder: Path, command: str, seconds: float, draw: random.Random, most: int
) -> int:
    """Kills child after child, each after a random part of the whole time, until one ends.

    Args:
        folder: Where the command works.
        command: Its name.
        seconds: Time that an unbroken call takes.
        draw: Source of the moments.
        most: Number of kills after which a child is left alone.

    Returns:
        Number of kills.
    """
    kills = 0
    while True:
        child = start(folder, command)
        if kills == most:
            finish(child)
            return kills
        end = time.monotonic() + draw.uniform(0.0, seconds)
        while time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                if status:
                    sys.exit(f"The command ended with status {status} after {kills} kills.")
                return kills
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1


def main() -> None:
    top, command, kills, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    folders = [top / "whole", *(top / f"killed-{number}" for number in range(1, 3 * kills))]
    if command in ("attack", "export"):
        finish(start(folders[0], "fit"))
    started = time.monotonic()
    finish(start(folders[0], command))
    seconds = time.monotonic() - started
    draw, done = random.Random(seed), 0
    for folder in folders[1:]:
        if command in ("attack", "export"):
            shutil.copytree(folders[0] / "run", folder / "run")
            shutil.rmtree(folder / "run" / "evaluations", ignore_errors=True)
        most = min(MOST_KILLS, kills - done)
        count = kill_until_done(folder, command, seconds, draw, most)
        print(folder.name, count, flush=True)
        done += count
        if done >= kills:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} processor seconds", file=sys.stderr)


if __name__ == "__main__":
    # What the commands import by themselves, before children are forked.
    import lsp_keras.cli.attack
    import lsp_keras.evaluation
    import lsp_keras.export
    import lsp_keras.plots.neighbors
    import lsp_keras.pretraining
    import lsp_keras.runs.fit
    import lsp_keras.runs.subjects.test_images  # noqa: F401

    main()
