"""`lsp-keras fit` as a user runs it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lsp_keras.cli.main import main

# Traced in a fraction of the time that a ResNet takes.
NETWORK = "--model vit --width 8 --depth 1"
TINY = (  # noqa: SIM905
    "--num-train 64 --validation-size 16 --num-test 16 --batch-size 16 --epochs 4 "
    "--attack-steps 2 --num-neighbors 3 --features pixels --adv --name digits --runs-dir"
).split()


def weights(run: Path) -> list[np.ndarray]:
    with np.load(run / "checkpoints" / "state.npz") as arrays:
        return [arrays[name] for name in sorted(arrays.files) if "/" in name]


def kill_after_epoch(command: list[str], history: Path, epochs: int) -> None:
    """Starts a fit and kills it with SIGKILL once so many epochs are written."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    deadline = time.monotonic() + 600
    try:
        while not (history.exists() and len(history.read_text().splitlines()) > epochs):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def check_resumed(run_cli, options: list[str], whole: Path, broken: Path) -> None:
    """The broken run, resumed by a command, ends like one that was never broken."""
    unbroken = run_cli("fit", *options, whole, "--json")
    assert unbroken.returncode == 0, unbroken.stderr
    assert "images_per_second" in unbroken.stderr
    refused = run_cli("fit", *options, broken)
    assert refused.returncode == 2
    assert "Go on with it by --resume" in refused.stderr
    resumed = run_cli("fit", *options, broken, "--resume", "--json")
    assert resumed.returncode == 0, resumed.stderr
    pairs = zip(weights(whole / "digits"), weights(broken / "digits"), strict=True)
    assert all(np.array_equal(left, right) for left, right in pairs)
    best = [json.loads(run.stdout)["val_robust_accuracy"] for run in (unbroken, resumed)]
    assert best[0] == best[1]


@pytest.mark.usefixtures("small_network")
@pytest.mark.slow
def test_an_interrupted_run_resumes_to_the_same_weights(
    run_cli, tmp_path: Path, interrupted_before
) -> None:
    with interrupted_before(2):
        assert run_cli("fit", *TINY, tmp_path / "broken").returncode == 130
    with (tmp_path / "broken" / "digits" / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    check_resumed(run_cli, TINY, tmp_path / "whole", tmp_path / "broken")


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a machine that may be busy
def test_a_killed_run_resumes_to_the_same_weights(run_cli, tmp_path: Path) -> None:
    options = [*NETWORK.split(), *TINY]
    command = [sys.executable, "-m", "lsp_keras", "fit", *options, str(tmp_path / "killed")]
    kill_after_epoch(command, tmp_path / "killed" / "digits" / "history.csv", 2)
    check_resumed(run_cli, options, tmp_path / "whole", tmp_path / "killed")


@pytest.mark.usefixtures("small_network")
@pytest.mark.slow
def test_a_method_with_all_regularizers_is_one_command(tmp_path: Path, monkeypatch, capsys) -> None:
    words = "--method hat --helper-epochs 1 --lfr --adr --epochs 1 --num-train 32 --num-test 16"
    words += " --validation-size 16 --batch-size 16 --attack-steps 1 --features pixels"
    folders = ["--runs-dir", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]
    monkeypatch.setattr(sys, "argv", ["lsp-keras", "fit", *words.split(), *folders])
    with pytest.raises(SystemExit) as exit_info:
        main()
    printed = capsys.readouterr()
    assert exit_info.value.code == 0, printed.err
    assert f"Run: {tmp_path / 'digits-hat+lsp+lfr+adr'}" in printed.out
    assert "1 epochs of standard training" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epsilon", "8"], "did you mean 8/255"),
        (["--dataset", "cifar"], "Did you mean 'cifar10'"),
        (["--model", "resnet"], "It must be one of 'preact_resnet18', 'resnet14', "),
        (["--recipe", "cifar10_lps"], "Did you mean 'cifar10_lsp'"),
        (["--resume"], "Leave out --resume to start it"),
        (["--schedule", "linear"], "'--schedule': 'linear' is not one of"),
        (["--divergence", "l3"], "'l3' is not one of"),
        (["--epohcs", "3"], "No such option"),
        (["--encoder", "absent.keras"], "There is no encoder at absent.keras"),
        (["--adv", "--beta", "2"], "`beta` is no setting of the method at"),
        (["--method", "mart", "--label-smoothing", "0.1"], "has no label smoothing"),
        (["--method", "hat", "--helper", "absent.keras"], "absent.keras is not there"),
        (["--lfr-warmup", "3"], "--lfr-warmup-epochs does nothing without --lfr"),
    ],
)
def test_wrong_settings_exit_with_2_and_leave_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    runs = tmp_path / "runs"
    monkeypatch.setattr(sys, "argv", ["lsp-keras", "fit", *arguments, "--runs-dir", str(runs)])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err
    assert not runs.exists()
