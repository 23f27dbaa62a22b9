"""Compressed bodies: whole, cut, damaged, and larger than they look."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_keras.serving.codecs.gzip_body import MAX_MEMBERS, MAX_RATIO, RATIO_FREE_BYTES, inflate
from lsp_keras.serving.errors import InvalidArgumentError, RequestTooLargeError, ServingError

LARGE = 100 << 20


def inflated(body: bytes, max_bytes: int = LARGE) -> bytes:
    return inflate(body, max_bytes, lambda size: None)


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), st.integers(0, 9))
def test_all_members_are_inflated(parts: list[bytes], padding: int) -> None:
    body = b"".join(gzip.compress(part) for part in parts) + bytes(padding)
    assert inflated(body) == b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 257, 999_999])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_contents_of_any_size_come_out_whole(rng, size: int, level: int) -> None:
    # Half noise, half zeros, so that pieces end in the midst of literals and of matches.
    contents = rng.bytes(size // 2) + bytes(size - size // 2)
    assert inflated(gzip.compress(contents, level)) == contents


@given(st.binary(max_size=200))
def test_any_bytes_are_contents_or_an_error_of_ours(body: bytes) -> None:
    try:
        contents = inflated(body)
    except ServingError:
        return
    assert contents == gzip.decompress(body)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_body_that_is_cut_short_is_refused(contents: bytes, data) -> None:
    body = gzip.compress(contents)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    with pytest.raises(InvalidArgumentError, match="gzip"):
        inflated(cut)


def test_contents_of_just_the_largest_size_are_taken() -> None:
    body = gzip.compress(bytes(1000))
    assert inflated(body, 1000) == bytes(1000)
    with pytest.raises(RequestTooLargeError, match="larger than 999 bytes"):
        inflated(body, 999)


def test_contents_may_not_be_large_in_proportion() -> None:
    few = gzip.compress(bytes(RATIO_FREE_BYTES))
    assert len(inflated(few)) == RATIO_FREE_BYTES > MAX_RATIO * len(few)
    many = gzip.compress(bytes(RATIO_FREE_BYTES + 1))
    with pytest.raises(RequestTooLargeError, match=f"more than {MAX_RATIO} times its size"):
        inflated(many)


def bomb(num_bytes: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    zeros = bytes(1 << 20)
    pieces = [compressor.compress(zeros) for _ in range(num_bytes >> 20)]
    return b"".join([*pieces, compressor.flush()])


def test_a_bomb_takes_no_more_than_what_is_allowed() -> None:
    body = bomb(600 << 20)
    tracemalloc.start()
    with pytest.raises(RequestTooLargeError, match="larger than 1048576 bytes"):
        inflated(body, 1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 << 20


def test_a_budget_stops_it() -> None:
    sizes = []

    def grow(size: int) -> None:
        sizes.append(size)
        if sum(sizes) > 3 << 20:
            raise RequestTooLargeError("the budget is spent")

    with pytest.raises(RequestTooLargeError, match="the budget is spent"):
        inflate(bomb(50 << 20) + bytes(1 << 20), LARGE, grow)
    assert sum(sizes) <= 4 << 20


def test_members_are_counted() -> None:
    empty = gzip.compress(b"")
    assert inflated(empty * MAX_MEMBERS) == b""
    with pytest.raises(InvalidArgumentError, match=f"more than {MAX_MEMBERS} members"):
        inflated(empty * (MAX_MEMBERS + 1))
