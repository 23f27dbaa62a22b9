"""`lsp-keras pretrain`."""

import json
from pathlib import Path

import keras
import pytest
from click.testing import CliRunner, Result

from lsp_keras.cli.pretrain import command
from lsp_keras.validation import InputError

TINY = ["--num-train", "64", "--validation-size", "40", "--width", "4", "--epochs", "1"]


def invoke(tmp_path: Path, *arguments: str) -> Result:
    options = [*TINY, "--no-symmetric", "--cache-dir", str(tmp_path / "cache"), *arguments]
    return CliRunner().invoke(command, options, catch_exceptions=False)


def test_encoder_is_trained_once_and_copied_with_its_record(tmp_path: Path) -> None:
    output = tmp_path / "encoder.keras"
    first = invoke(tmp_path, "--output", str(output))
    assert "Trained on 64 images of digits in" in first.stdout
    assert "k-NN accuracy on held-out images" in first.stdout
    assert keras.saving.load_model(output, safe_mode=True).output_shape == (None, 32)
    second = invoke(tmp_path, "--json")
    assert "was trained before" in second.stderr
    printed = json.loads(second.stdout)
    record = json.loads(output.with_suffix(".json").read_text())
    assert {name: printed[name] for name in record} == record
    assert record["settings"]["width"] == 4


def test_queue_larger_than_the_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`queue_size` must be .* at most the 64 training images"):
        invoke(tmp_path, "--queue-size", "4096")
