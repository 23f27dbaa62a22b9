"""Bodies of requests: read within limits, and inflated."""

from collections.abc import AsyncIterator, Mapping

from lsp_keras.serving.codecs.gzip_body import inflate
from lsp_keras.serving.errors import RequestTooLargeError
from lsp_keras.serving.execution.calls import SMALL_BYTES, Call, Offload


class BodyReader:
    """Reads bodies, counting each piece against the memory budget.

    Args:
        offload: Where large bodies are inflated.
        max_bytes: Largest body, before and after it is inflated.
    """

    def __init__(self, offload: Offload, max_bytes: int) -> None:
        self._offload = offload
        self._max_bytes = max_bytes

    async def read(
        self, headers: Mapping[str, str], pieces: AsyncIterator[bytes], call: Call
    ) -> bytes:
        """The body of a request.

        Args:
            headers: The request's.
            pieces: The body as it arrives.
            call: The request; its size becomes the body's.

        Raises:
            RequestTooLargeError: The body is too large, by itself or once it is inflated.
            InvalidArgumentError: It is no gzip, although the headers say so.
            OverloadedError: Other requests hold too much memory.
        """
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and _exceeds(declared, self._max_bytes):
            raise self._too_large()
        body = bytearray()
        async for piece in pieces:
            if len(body) + len(piece) > self._max_bytes:
                raise self._too_large()
            call.lease.grow(len(piece))
            body += piece
        contents = bytes(body)
        if "gzip" in headers.get("content-encoding", "").lower():
            # Even a small one may hold much, so that it always goes to a thread.
            size = SMALL_BYTES + len(contents)
            contents = await self._offload.run(
                call, size, lambda: inflate(contents, self._max_bytes, call.lease.grow)
            )
        call.size = len(contents)
        return contents

    def _too_large(self) -> RequestTooLargeError:
        return RequestTooLargeError(f"The request body is larger than {self._max_bytes} bytes.")


def _exceeds(digits: str, limit: int) -> bool:
    """Whether the number is larger; Python refuses to read thousands of digits."""
    stripped = digits.lstrip("0")
    return len(stripped) > len(str(limit)) or int(stripped or "0") > limit
