"""Files of settings that strangers wrote end in one sentence, and soon."""

import os
import sys
from pathlib import Path

import pytest

from lsp_keras.runs.settings.config import config_from
from lsp_keras.runs.settings.toml_file import read_config
from lsp_keras.validation import InputError

BAD: dict[str, bytes] = {
    "no toml": b"width = = 3",
    "another encoding": "w\xefdth = 3".encode("latin-1"),
    "a byte order mark of UTF-16": "width = 3".encode("utf-16"),
    "noise": bytes(range(256)),
    "zeros": bytes(1000),
    "5,000 digits": b"width = " + b"9" * 5000,
    "100 digits": b"width = " + b"9" * 100,
    "100 digits in a list": b"width = [[1, [" + b"9" * 100 + b"]]]",
    "nested lists": b"width = " + b"[" * 100_000,
    "closed nested lists": b"width = " + b"[" * 5000 + b"]" * 5000,
    "nested tables": b"width = " + b"{a = " * 5000 + b"1" + b"}" * 5000,
    "a long key": b"a." * 5000 + b"a = 1",
    "the same twice": b"width = 3\nwidth = 4",
    "megabytes": b"width = 3\n" + b"# comment\n" * 200_000,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_settings_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(BAD[name])
    with pytest.raises(InputError) as caught:
        config_from(read_config(path), source="mine.toml")
    assert len(str(caught.value)) < 500 + len(str(path))
    assert len(str(caught.value).splitlines()) == 1


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes("\ufeffepochs = 3\n".encode())
    assert read_config(path) == {"epochs": 3}


def test_the_largest_integers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"a = {2**63 - 1}\nb = {-(2**63)}\n")
    assert read_config(path) == {"a": 2**63 - 1, "b": -(2**63)}


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "device.toml").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "device"):
        with pytest.raises(InputError, match="it is no file at all"):
            read_config(tmp_path / f"{name}.toml")
    for name in ("absent", "broken"):
        (tmp_path / "broken.toml").unlink(missing_ok=True)
        (tmp_path / "broken.toml").symlink_to(tmp_path / "gone")
        with pytest.raises(InputError, match="There is no file"):
            read_config(tmp_path / f"{name}.toml")


@pytest.mark.parametrize(
    "text",
    [
        *("epochs = nan", "epochs = inf", "epochs = -1", "epochs = 1e3"),
        *("learning_rate = nan", "learning_rate = -inf", "seed = -1", "seed = 4294967296"),
        *("seed = 9223372036854775807", "data_seed = -1", 'epsilon = "1e999999999/255"'),
        *('epsilon = "nan"', "method = 3", "method = [1]", "evaluation = 'paper'"),
        *("evaluation = ''", "[method]\nname = ['at']", "[regularizers]\nlsp = 3"),
        *("regularizers = 3", "model = {}\nmodel.name = 3"),
        *("[model.width]\nx = 1", "cycle_momentum = true\nschedule = 'step'"),
    ],
)
def test_values_out_of_range_are_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError):
        config_from(read_config(path), source="mine.toml")


def test_reading_a_deep_file_leaves_the_recursion_limit(tmp_path: Path) -> None:
    before = sys.getrecursionlimit()
    path = tmp_path / "mine.toml"
    path.write_bytes(BAD["nested lists"])
    with pytest.raises(InputError, match="nested too deep"):
        read_config(path)
    assert sys.getrecursionlimit() == before
