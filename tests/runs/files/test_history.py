"""Histories of runs, as anybody may have written them."""

from pathlib import Path

import pytest

from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.files.history import load_history, read_table
from lsp_keras.runs.helper_model import _epochs_done
from lsp_keras.tables.found_runs import is_finished
from lsp_keras.tables.measure import training_seconds
from lsp_keras.validation import InputError

# No text, a cell longer than the reader takes.
STRANGE = [b"\xff\xfe", b"epoch\n" + b"1" * 200_000]


def write(folder: Path, content: bytes) -> Path:
    (folder / "history.csv").write_bytes(content)
    return folder


@pytest.mark.parametrize("content", STRANGE)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes) -> None:
    from lsp_keras.runs import FitConfig

    run = write(tmp_path, content)
    for read in (load_history, lambda run: is_finished(run, FitConfig.of(lsp=False))):
        with pytest.raises(InputError, match=r"history\.csv is not a history of `lsp-keras fit`"):
            read(run)
    # A helper is trained anew, and a table says no time.
    assert _epochs_done(RunFolder(run)) == 0
    assert training_seconds(run) is None


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    run = write(tmp_path, b"\xef\xbb\xbfepoch,loss\r\n1,0.5\r\n2,0.25\r\n")
    assert load_history(run).columns == {"epoch": [1.0, 2.0], "loss": [0.5, 0.25]}
    assert read_table(run / "nowhere.csv") == []


@pytest.mark.parametrize(
    ("rates", "seconds"),
    [(("100", "50"), 3.0), (("100", ""), None), (("100", "0"), None), (("100", "fast"), None)],
)
def test_training_took_what_its_images_a_second_say(
    tmp_path: Path, rates: tuple[str, str], seconds: float | None
) -> None:
    rows = "".join(f"{epoch},{rate}\n" for epoch, rate in enumerate(rates, start=1))
    run = write(tmp_path, f"epoch,images_per_second\n{rows}".encode())
    assert training_seconds(run) is None
    (run / "dataset.json").write_text('{"num_images": {"train": 100, "validation": 10}}')
    assert training_seconds(run) == seconds
