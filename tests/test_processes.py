"""Locks between processes, which end with their holder however it ends."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lsp_keras.processes import BusyError, is_abandoned, locked, process_mark

HOLDER = """
import sys, time
from pathlib import Path
from lsp_keras.processes import locked
with locked(Path(sys.argv[1]), "The run"):
    print("held", flush=True)
    time.sleep(100)
"""
# Takes the lock many times and counts in a file, which loses counts where two hold it at once.
COUNTER = """
import sys
from pathlib import Path
from lsp_keras.processes import locked
path, count = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(200):
    with locked(path, "The count", wait=True):
        count.write_text(str(int(count.read_text()) + 1))
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_a_lock_that_is_held_names_its_holder(tmp_path: Path, holder) -> None:
    with (
        pytest.raises(BusyError, match=rf"^The run is in use: process {holder.pid} on .* writes"),
        locked(tmp_path / "lock", "The run"),
    ):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, holder) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock", "The run"):
        pass
    assert not (tmp_path / "lock").exists()


def test_waiting_says_for_whom_and_goes_on(tmp_path: Path, holder) -> None:
    said: list[str] = []
    threading.Timer(0.3, holder.kill).start()
    with locked(tmp_path / "lock", "The encoder", wait=True, announce=said.append):
        pass
    assert len(said) == 1
    assert said[0].startswith(f"The encoder is being made by process {holder.pid} on ")


def test_no_two_processes_hold_it_at_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    command = [sys.executable, "-c", COUNTER, str(tmp_path / "lock"), str(count)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert count.read_text() == "600"


def test_a_mark_tells_running_processes_from_ended_ones(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code = "from lsp_keras.processes import process_mark; print(process_mark())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert is_abandoned(f"{ended.stdout.strip()}-0123abcd", file)
    assert not is_abandoned(f"{process_mark()}-0123abcd", file)
    # The number is used again by another process.
    machine, number, _ = process_mark().split("-")
    assert is_abandoned(f"{machine}-{number}-1-0123abcd", file)
    assert not is_abandoned("notes of mine", file)
