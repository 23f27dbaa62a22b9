"""Which folder a run gets, and that no two processes write to one."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lsp_keras.runs.files.folder import existing_run, new_run, resumed_run
from lsp_keras.runs.settings.config import FitConfig, write_config
from lsp_keras.validation import InputError

CONFIG = FitConfig.of(dataset="digits", adv=True)


def start(runs: Path, name: str | None, config: FitConfig) -> Path:
    with new_run(runs, name, config) as folder:
        write_config(folder.config, config)
    return folder.path


def test_the_same_command_twice_makes_two_runs(tmp_path: Path) -> None:
    names = [start(tmp_path, None, CONFIG).name for _ in range(3)]
    assert names == ["digits-at+lsp", "digits-at+lsp-2", "digits-at+lsp-3"]


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    start(tmp_path, "mine", CONFIG)
    message = "Go on with it by --resume, or choose another --name"
    with pytest.raises(InputError, match=message), new_run(tmp_path, "mine", CONFIG):
        pass


def test_resume_finds_the_newest_run_with_the_same_settings(tmp_path: Path) -> None:
    start(tmp_path, None, CONFIG)
    second = start(tmp_path, None, CONFIG)
    start(tmp_path, None, CONFIG.changed(epochs=3))
    assert existing_run(tmp_path, None, CONFIG).path == second
    moved = CONFIG.changed(data_dir="elsewhere", num_test=5)
    assert existing_run(tmp_path, None, moved).path == second


def test_resume_says_what_differs(tmp_path: Path) -> None:
    start(tmp_path, "mine", CONFIG)
    with pytest.raises(InputError, match=r"width \(64, not 16\), epochs \(30, not 3\)"):
        existing_run(tmp_path, "mine", CONFIG.changed(width=16, epochs=3))


def test_an_image_folder_may_have_been_moved(tmp_path: Path) -> None:
    for scheme, other in (("folder", "prepared"), ("prepared", "folder")):
        started = CONFIG.changed(dataset=f"{scheme}:photos")
        start(tmp_path, scheme, started)
        moved = started.changed(dataset=f"{scheme}:/elsewhere/photos")
        assert existing_run(tmp_path, scheme, moved).path == tmp_path / scheme
        for name in ("svhn", f"{other}:photos"):
            with pytest.raises(InputError, match="dataset"):
                existing_run(tmp_path, scheme, started.changed(dataset=name))


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run .*digits-at\+lsp to resume"):
        existing_run(tmp_path, None, CONFIG)


def test_a_run_from_before_a_setting_existed_is_found(tmp_path: Path) -> None:
    run = tmp_path / "digits-at+lsp"
    run.mkdir()
    (run / "config.toml").write_text('adv = true\nmethod = "at"\nselect_by = "robust"\n')
    config = FitConfig.of(adv=True, method="at", select_by="robust", tensorboard=True)
    assert existing_run(tmp_path, None, config).path == run
    with pytest.raises(InputError, match=r"awp \(0.0, not 0.01\)"):
        existing_run(tmp_path, None, config.changed(awp=0.01))


# Starts or resumes a run, writes its settings with a width of its own, and stays until told to go.
RUNNER = """
import sys
from pathlib import Path
from lsp_keras.runs.settings.config import FitConfig, write_config
from lsp_keras.runs.files.folder import new_run, resumed_run
runs, name, how, width = sys.argv[1:]
config = FitConfig.of(dataset="digits", width=int(width))
claim = new_run if how == "new" else resumed_run
with claim(Path(runs), name or None, config) as folder:
    if how == "new" and width != "0":
        write_config(folder.config, config)
    print(folder.path.name, flush=True)
    sys.stdin.readline()
"""


class Runner:
    """A process that holds a run; `name` is what it got, or its error."""

    def __init__(self, runs: Path, name: str, how: str = "new", width: int = 8) -> None:
        command = [sys.executable, "-c", RUNNER, str(runs), name, how, str(width)]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(command, text=True, **pipes)

    @property
    def name(self) -> str:
        return self.process.stdout.readline().strip()

    def end(self) -> str:
        """Lets it go on; returns the last line of its errors."""
        _, errors = self.process.communicate("\n")
        return errors.strip().splitlines()[-1] if errors.strip() else ""

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_runs_started_together_each_get_a_folder(tmp_path: Path) -> None:
    runners = {width: Runner(tmp_path, "", width=width) for width in (8, 12, 16, 20)}
    names = {width: runner.name for width, runner in runners.items()}
    assert sorted(names.values()) == ["digits-standard+lsp"] + [
        f"digits-standard+lsp-{number}" for number in (2, 3, 4)
    ]
    assert [runner.end() for runner in runners.values()] == [""] * 4
    for width, name in names.items():
        assert f"width = {width}\n" in (tmp_path / name / "config.toml").read_text()
        assert [path.name for path in (tmp_path / name).iterdir()] == ["config.toml"]


def test_of_two_with_one_name_one_is_refused(tmp_path: Path) -> None:
    runners = [Runner(tmp_path, "mine") for _ in range(2)]
    names = [runner.name for runner in runners]
    assert sorted(names) == ["", "mine"]
    errors = [runner.end() for runner in runners]
    assert "There is a run" in errors[names.index("")]


def test_a_run_is_resumed_by_one_process_at_a_time(tmp_path: Path) -> None:
    first = Runner(tmp_path, "mine")
    assert first.name == "mine"
    config = FitConfig.of(dataset="digits", width=8)
    in_use = rf"mine is in use: process {first.process.pid} on "
    with pytest.raises(InputError, match=in_use), resumed_run(tmp_path, "mine", config):
        pass
    first.end()
    second = Runner(tmp_path, "mine", "resume")
    assert second.name == "mine"
    third = Runner(tmp_path, "mine", "resume")
    assert third.name == ""
    assert f"process {second.process.pid} on " in third.end()
    second.kill()
    with resumed_run(tmp_path, "mine", config) as folder:
        assert folder.path == tmp_path / "mine"


def test_what_a_killed_process_only_claimed_is_free_again(tmp_path: Path) -> None:
    runner = Runner(tmp_path, "mine", width=0)
    assert runner.name == "mine"
    runner.kill()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [".lock"]
    assert start(tmp_path, "mine", CONFIG) == tmp_path / "mine"


def test_a_folder_with_anything_in_it_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "digits-at+lsp").mkdir()
    (tmp_path / "digits-at+lsp" / "notes.txt").write_text("mine")
    (tmp_path / "digits-at+lsp-2").write_text("a file")
    assert start(tmp_path, None, CONFIG).name == "digits-at+lsp-3"
    assert [path.name for path in (tmp_path / "digits-at+lsp").iterdir()] == ["notes.txt"]


def test_nothing_stays_of_a_run_that_failed_before_it_began(tmp_path: Path) -> None:
    for runs in (tmp_path, tmp_path / "new"):
        with pytest.raises(RuntimeError), new_run(runs, None, CONFIG):
            raise RuntimeError
        assert list(tmp_path.iterdir()) == []


def test_leftovers_go_when_a_run_is_resumed(tmp_path: Path) -> None:
    run = start(tmp_path, "mine", CONFIG)
    (run / "checkpoints").mkdir()
    mark = subprocess.run(
        [sys.executable, "-c", "from lsp_keras.processes import *; print(process_mark())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for folder in (run, run / "checkpoints"):
        (folder / f".tmp-{mark}-01234567.npz").write_bytes(os.urandom(9))
    with resumed_run(tmp_path, "mine", CONFIG):
        pass
    assert sorted(path.name for path in run.rglob("*")) == ["checkpoints", "config.toml"]
