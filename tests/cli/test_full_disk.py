"""Commands on a device without space: one sentence, exit 2, and nothing half-written stays."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

# Runs several commands one after the other, in one process to import TensorFlow once.
RUNNER = """
import contextlib, io, json, sys
from lsp_keras.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["lsp-keras", *arguments]
    errors = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            main()
        except SystemExit as error:
            code = error.code
    print(json.dumps([code, errors.getvalue()]), flush=True)
"""
# A mount in a namespace of its own, which ends with the process.
MOUNT = 'mount -t tmpfs -o size=12k tmpfs "$1" && shift && "$@"'


def can_mount(folder: Path) -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    command = [unshare, "-m", "sh", "-c", MOUNT, "sh", str(folder), "true"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Where a small file system will lie."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not can_mount(folder):
        pytest.skip("may not mount a small file system")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with room."""
    folder = tmp_path / "run"
    folder.mkdir()
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.save(folder / "model.keras")
    (folder / "config.toml").write_text('dataset = "digits"\nnum_test = 350\n')
    return folder


def check(commands: list[list[str]], small: Path, folder: Path) -> None:
    """Runs the commands where `small` is full at once, and looks at what they say and leave."""
    listing = [sys.executable, "-c", RUNNER, json.dumps(commands)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{MOUNT}; find {small} -type f", "sh", str(small), *listing],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    lines = done.stdout.splitlines()
    results = [json.loads(line) for line in lines[: len(commands)]]
    for command, (code, errors) in zip(commands, results, strict=True):
        last = errors.strip().splitlines()[-1]
        assert code == 2, (command, errors)
        assert last.startswith("Error: "), (command, errors)
        assert "no space left" in last, (command, errors)
        assert "Traceback" not in errors
    assert not [line for line in lines[len(commands) :] if ".tmp-" in line]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_is_one_sentence(small: Path, run: Path, tmp_path: Path) -> None:
    classes = ",".join("0123456789")
    data = ["--dataset", "digits", "--cache-dir", str(tmp_path / "cache")]
    commands = [
        [
            *("fit", *data, "--num-train", "64", "--no-lsp", "--width", "8", "--epochs", "1"),
            *("--runs-dir", str(small), "--batch-size", "32"),
        ],
        ["mine", *data, "--output", str(small / "table.npz")],
        ["mine", "--dataset", "digits", "--cache-dir", str(small / "cache")],
        ["export", str(run), "--to", str(small / "model"), "--class-names", classes],
        ["attack", str(run), "--attacks", "fgsm", "--save-examples", str(small / "images")],
    ]
    check(commands, small, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_is_one_sentence_in_pretraining(small: Path, tmp_path: Path) -> None:
    tiny = ["--dataset", "digits", "--num-train", "64", "--width", "2", "--epochs", "1"]
    pretrain = ["pretrain", *tiny, "--batch-size", "32", "--batch-norm-splits", "1"]
    commands = [
        [*pretrain, "--cache-dir", str(tmp_path / "room"), "--output", str(small / "own.keras")],
        [*pretrain, "--cache-dir", str(small / "cache")],
    ]
    check(commands, small, tmp_path)
    # What had room is whole.
    (encoder,) = (tmp_path / "room" / "encoders").glob("*/encoder.keras")
    keras.saving.load_model(encoder)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_is_one_sentence_in_a_diagnosis(small: Path, run: Path, tmp_path: Path) -> None:
    diagnose = ["diagnose", str(run), "--num-examples", "8", "--no-signs", "--profile"]
    check([[*diagnose, "--output", str(small / "diagnosis")]], small, tmp_path)
    assert sorted(path.name for path in run.iterdir()) == ["config.toml", "model.keras"]
