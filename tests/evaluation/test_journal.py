"""A journal's pieces: checked when they are read, and safe from another process's end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.evaluation.examples import check_examples
from lsp_keras.evaluation.journal import Journal

VERDICTS = np.asarray([True, False, True, True, False])


def journal_in(folder: Path, seed: int = 0) -> Journal:
    images = np.zeros((5, 4, 4, 1), np.float32)
    examples = check_examples(images, np.zeros(5, np.int64), None)
    attacks = {"fgsm": FGSM(epsilon=0.1)}
    return Journal.open(folder, "a model", examples, attacks, batch_size=2, seed=seed)


def piece(folder: Path) -> Path:
    (path,) = folder.rglob("*.json")
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Journal:
    journal = journal_in(tmp_path)
    journal.write("autoattack/apgd", 2, VERDICTS)
    return journal


def test_what_was_written_is_read_by_the_same_evaluation_only(tmp_path: Path, kept) -> None:
    found = journal_in(tmp_path).read("autoattack/apgd", 2, 5)
    np.testing.assert_array_equal(found, VERDICTS)
    assert journal_in(tmp_path).read("autoattack/apgd", 0, 5) is None
    assert journal_in(tmp_path).read("fab", 2, 5) is None
    assert journal_in(tmp_path, seed=1).read("autoattack/apgd", 2, 5) is None


@pytest.mark.parametrize("place", range(0, 200, 3))
def test_no_flipped_bit_changes_a_verdict(tmp_path: Path, kept, place: int) -> None:
    path = piece(tmp_path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << place % 7
    path.write_bytes(content)
    found = kept.read("autoattack/apgd", 2, 5)
    assert found is None or np.array_equal(found, VERDICTS)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b'{"findings": 3}', b'{"findings": "b0"}', b"\xff\xfe"),
        *(bytes(range(50)), b"[" * 900, b" " * 10**6, b"[" * 10**6, b"\x93NUMPY\x01\x00"),
    ],
)
def test_damaged_pieces_are_done_again(tmp_path: Path, kept, content: bytes, caplog) -> None:
    piece(tmp_path).write_bytes(content)
    assert kept.read("autoattack/apgd", 2, 5) is None
    assert "is damaged and done again" in caplog.text
    kept.write("autoattack/apgd", 2, VERDICTS)
    np.testing.assert_array_equal(kept.read("autoattack/apgd", 2, 5), VERDICTS)


@pytest.mark.parametrize("count", [0, 4, 6, 9, 5000])
def test_a_piece_of_another_length_is_not_taken(kept, count: int) -> None:
    assert kept.read("autoattack/apgd", 2, count) is None


def test_several_findings_of_each_image_are_kept(tmp_path: Path) -> None:
    journal, both = journal_in(tmp_path), np.stack([VERDICTS, ~VERDICTS])
    journal.write("pgd", 0, both)
    np.testing.assert_array_equal(journal.read("pgd", 0, 5), both)
    assert journal.read("pgd", 0, 10) is None


def test_a_piece_under_another_name_is_not_taken(tmp_path: Path, kept) -> None:
    shutil.copy(piece(tmp_path), piece(tmp_path).with_name("fab-0.json"))
    assert kept.read("fab", 0, 5) is None


def test_of_two_processes_that_share_one_the_first_may_end(tmp_path: Path, kept) -> None:
    other = journal_in(tmp_path)
    other.close()
    assert kept.read("autoattack/apgd", 2, 5) is None
    kept.write("fab", 0, VERDICTS)
    assert json.loads(piece(tmp_path).read_text())["attack"] == "fab"
    kept.close()
    assert list(tmp_path.iterdir()) == []
