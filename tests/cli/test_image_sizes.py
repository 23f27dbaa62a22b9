"""A size that no model takes is refused wherever a command can be given one."""

from pathlib import Path

import keras
import pytest
from click.testing import CliRunner

from lsp_keras.cli.main import group
from lsp_keras.validation import InputError

READING = (
    ("data", "show", "DATASET"),
    ("data", "prepare", "DATASET", "--to", "new"),
    ("mine", "--dataset", "DATASET"),
    ("pretrain", "--dataset", "DATASET"),
    ("fit", "--dataset", "DATASET", "--name", "small"),
)
TARGETED = (
    ("attack", "model.keras", "--dataset", "DATASET"),
    ("diagnose", "model.keras", "--dataset", "DATASET"),
    ("export", "model.keras", "--dataset", "DATASET", "--to", "new"),
)


def refused(arguments: tuple[str, ...], dataset: str) -> str:
    words = [dataset if word == "DATASET" else word for word in arguments]
    done = CliRunner().invoke(group, words)
    assert isinstance(done.exception, InputError), done.output
    return str(done.exception)


@pytest.mark.parametrize("size", ["15", "32x15"])
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_side_below_16_is_refused(arguments, size, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = f"from 16 to 4096. Received: {size!r}."
    assert refused(arguments, f"digits@{size}").endswith(message)
    assert refused((*arguments, "--image-size", size), "digits").endswith(message)
    assert not list(tmp_path.iterdir())


def test_a_side_below_16_is_refused_in_a_recipe(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text('dataset = "digits"\nimage_size = "15"\n')
    assert "from 16 to 4096" in refused(("fit", "--recipe", "own.toml"), "")


@pytest.mark.parametrize("arguments", TARGETED, ids=" ".join)
def test_a_side_below_16_is_refused_for_a_target(arguments, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = keras.Input((16, 16, 3))
    logits = keras.layers.Dense(10)(keras.layers.Flatten()(images))
    keras.Model(images, logits).save("model.keras")
    assert "from 16 to 4096" in refused(arguments, "digits@15")
