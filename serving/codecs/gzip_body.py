"""Inflates gzip bodies, whose small size says nothing of what is in them."""

import zlib
from collections.abc import Callable

from lsp_keras.serving.errors import InvalidArgumentError, RequestTooLargeError

# A body may inflate to this many times its size; JSON of random numbers reaches 3, of images
# that are mostly zero 50, zeros alone 1,000.
MAX_RATIO = 100
# Below this size the ratio does not matter.
RATIO_FREE_BYTES = 1 << 20
# A gzip file may consist of several, one after the other.
MAX_MEMBERS = 1000
_PIECE_BYTES = 256 << 10


def inflate(body: bytes, max_bytes: int, grow: Callable[[int], None]) -> bytes:
    """The contents of a gzip body, of all its members.

    Args:
        body: Body of the request, as it was sent.
        max_bytes: Largest contents.
        grow: Function that is told of each piece before it is kept, and raises to stop.

    Raises:
        InvalidArgumentError: It is no gzip, or cut short.
        RequestTooLargeError: The contents are too large, by themselves or for the body's size.
    """
    pieces: list[bytes] = []
    limit = min(max_bytes, max(RATIO_FREE_BYTES, MAX_RATIO * len(body)))
    left, position = limit, 0
    for _ in range(MAX_MEMBERS):
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        while not inflater.eof:
            waiting = inflater.unconsumed_tail
            if not waiting:
                waiting = body[position : position + _PIECE_BYTES]
                position += len(waiting)
            # One byte more than is allowed tells contents of the size that is from larger ones.
            piece = _inflate_piece(inflater, waiting, min(_PIECE_BYTES, left + 1))
            if len(piece) > left:
                raise _too_large(limit, max_bytes)
            grow(len(piece))
            pieces.append(piece)
            left -= len(piece)
        position -= len(inflater.unused_data)
        if _ends(body, position):
            return b"".join(pieces)
    raise InvalidArgumentError(f"The gzip body has more than {MAX_MEMBERS} members.")


def _ends(body: bytes, position: int) -> bool:
    """Whether nothing follows but zeros, with which some programs fill up blocks."""
    if position == len(body):
        return True
    return body[position] == 0 and body.count(b"\0", position) == len(body) - position


def _inflate_piece(inflater: "zlib._Decompress", waiting: bytes, size: int) -> bytes:
    try:
        piece = inflater.decompress(waiting, size)
    except zlib.error:
        raise InvalidArgumentError("The body could not be inflated as gzip.") from None
    # Even without further input zlib may have output to give.
    if not waiting and not piece and not inflater.eof:
        raise InvalidArgumentError("The gzip body is cut short.")
    return piece


def _too_large(limit: int, max_bytes: int) -> RequestTooLargeError:
    if limit == max_bytes:
        return RequestTooLargeError(f"The request body is larger than {max_bytes} bytes.")
    return RequestTooLargeError(
        f"The request body inflates to more than {MAX_RATIO} times its size and "
        f"{RATIO_FREE_BYTES} bytes."
    )
