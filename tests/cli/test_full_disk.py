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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if not can_mount(small):
        pytest.skip("may not mount a small file system")
    run = tmp_path / "run"
    run.mkdir()
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.save(run / "model.keras")
    (run / "config.toml").write_text('dataset = "digits"\nnum_test = 350\n')
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
    listing = [sys.executable, "-c", RUNNER, json.dumps(commands)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{MOUNT}; find {small} -type f", "sh", str(small), *listing],
        capture_output=True,
        text=True,
        cwd=tmp_path,
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
