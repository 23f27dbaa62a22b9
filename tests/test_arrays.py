"""Array files of strangers: refused in a sentence, in little time and memory."""

import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npy, read_npz

NUMBERS = ArraySpec(kinds="iuf", ndim=2)
LIMIT = 10**6


def npy_bytes(array: np.ndarray, **options: bool) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def with_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    size = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + size + text.encode("latin1")


def claiming(shape: str, dtype: str = "'<f4'") -> bytes:
    return with_header(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}\n")


GOOD = npy_bytes(np.arange(6.0, dtype=np.float32).reshape(2, 3))
BAD_ARRAYS: dict[str, bytes] = {
    "empty": b"",
    "text": b"1,2,3\n4,5,6\n",
    "pickle": pickle.dumps([[1.0]]),
    "strings": npy_bytes(np.asarray([["a", "b"]])),
    "objects": npy_bytes(np.asarray([[None, 1]], object), allow_pickle=True),
    "complex": npy_bytes(np.ones((2, 3), complex)),
    "dates": npy_bytes(np.zeros((2, 3), "datetime64[s]")),
    "records": npy_bytes(np.zeros((2, 3), [("a", "f4")])),
    "booleans": npy_bytes(np.zeros((2, 3), bool)),
    "scalar": npy_bytes(np.array(1, np.float32)),
    "one dimension": npy_bytes(np.ones(3)),
    "truncated": GOOD[:-1],
    "truncated header": GOOD[:20],
    "longer": GOOD + b"\x00",
    "terabytes": claiming("(1000000, 1000000)"),
    "more than numbers hold": claiming(f"({10**30}, {10**30})"),
    "negative": claiming("(-1, 3)"),
    "no integers": claiming("(2.5, 3)"),
    "wide strings": claiming("(1, 1)", "'<U1000000000'"),
    "4 GB of header": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 100,
    "long header": with_header(" " * 60_000 + "{}"),
    "nested header": with_header("(" * 9_000),
    "code in the header": with_header("__import__('os')"),
    "unknown version": b"\x93NUMPY\x09\x00" + GOOD[8:],
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_npy_files_of_strangers_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.npy").write_bytes(BAD_ARRAYS[name])
    with pytest.raises(ArrayFileError) as caught:
        read_npy(tmp_path / "a.npy", NUMBERS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_npz_files_with_such_arrays_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.npy", BAD_ARRAYS[name])
    with pytest.raises(ArrayFileError):
        read_npz(tmp_path / "a.npz", {"rows": NUMBERS}, most_bytes=LIMIT)


def test_arrays_of_numbers_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(GOOD)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy", NUMBERS), [[0, 1, 2], [3, 4, 5]])
    np.savez_compressed(tmp_path / "a.npz", rows=np.ones((2, 3), np.int64), text=np.asarray("x"))
    found = read_npz(tmp_path / "a.npz", None, most_bytes=LIMIT)
    assert found["rows"].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert str(found["text"]) == "x"
    with pytest.raises(ArrayFileError, match="rows has the shape"):
        read_npz(tmp_path / "a.npz", {"rows": ArraySpec(rows=3)}, most_bytes=LIMIT)
    with pytest.raises(ArrayFileError, match="it holds no other"):
        read_npz(tmp_path / "a.npz", {"other": NUMBERS}, most_bytes=LIMIT)


def nothing(path: Path) -> None:
    pass


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    "make", [nothing, os.mkfifo, Path.mkdir, loop, lambda path: path.symlink_to("/dev/zero")]
)
def test_what_is_no_file_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a")
    for read in (
        lambda: read_npy(tmp_path / "a", NUMBERS),
        lambda: read_npz(tmp_path / "a", None, most_bytes=LIMIT),
    ):
        with pytest.raises(ArrayFileError, match=r"no file|no such file"):
            read()


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_a_flipped_bit_never_gives_other_numbers(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, rows=np.arange(12.0).reshape(4, 3))
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << place % 8
    path.write_bytes(content)
    try:
        rows = read_npz(path, {"rows": NUMBERS}, most_bytes=LIMIT)["rows"]
    except ArrayFileError:
        return
    np.testing.assert_array_equal(rows, np.arange(12.0).reshape(4, 3))


def test_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("rows.npy", "w", force_zip64=True) as file,
    ):
        file.write(claiming(f"({2**28}, 1)"))
        for _ in range(2**10):
            file.write(bytes(2**20))
    assert path.stat().st_size < 2**21
    code = (
        "import resource, sys\n"
        "from lsp_keras.arrays import ArraySpec, ArrayFileError, read_npz\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    read_npz(sys.argv[1], {'rows': ArraySpec()}, most_bytes=2**24)\n"
        "except ArrayFileError as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    sentence, kilobytes = result.stdout.splitlines()
    assert sentence == "it unpacks to more than 16,777,216 bytes"
    assert int(kilobytes) < 16_000
