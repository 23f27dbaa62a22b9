"""`lsp-keras board`: ordered, flagged and resumed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def words(folder: Path, *arguments: str) -> list[str]:
    options = ["--dataset", "digits", "--scale", "tiny", "--seeds", "1", *arguments]
    places = ["--runs-dir", str(folder / "runs"), "--output", str(folder / "tables")]
    return [sys.executable, "-m", "lsp_keras", "board", *options, *places]


def board(folder: Path, *arguments: str) -> list[str]:
    """The lines of the table."""
    done = subprocess.run(
        words(folder, *arguments), capture_output=True, text=True, check=True, timeout=280
    )
    return [line for line in done.stdout.splitlines() if line.startswith("| ")]


@pytest.mark.slow
def test_a_killed_board_goes_on_to_the_same_table(tmp_path: Path) -> None:
    rows = ("--rows", "standard,mixup")
    started = subprocess.Popen(words(tmp_path / "killed", *rows), start_new_session=True)
    history = tmp_path / "killed" / "runs"
    while not list(history.glob("*/history.csv")) and started.poll() is None:
        time.sleep(0.2)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    resumed = board(tmp_path / "killed", *rows)
    whole = board(tmp_path / "whole", *rows)
    # All but the last cells: time and command.
    assert [line.split("|")[:-3] for line in resumed] == [line.split("|")[:-3] for line in whole]
    assert "lsp-keras fit --dataset digits --method mixup" in "".join(whole)


@pytest.mark.slow
def test_the_masked_network_is_flagged_and_last(tmp_path: Path) -> None:
    lines = board(tmp_path, "--rows", "masked: pixels rounded to 8 levels;standard")
    assert [line.split("|")[1].strip()[:8] for line in lines[2:]] == ["standard", "masked: "]
    assert "unmoved_images" in lines[-1]
    # Two epochs of 256 digits: it need not be better than guessing, but it hides nothing.
    assert "unmoved_images" not in lines[-2]
