"""A parser of HTTP/1.1 for a server that speaks nothing else.

httptools takes what follows the head of a request that offers another protocol for that protocol's,
although a server may go on in HTTP/1.1. Java's HttpClient offers HTTP/2 with its first request,
`curl --http2` with each: the bodies of their requests would be lost.
"""

from typing import Any, Protocol

import httptools


class Receiver(Protocol):
    """What is told of a request's parts, uvicorn's protocol for instance."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class PlainParser:
    """httptools' parser, to which offers of another protocol mean nothing.

    The head of a request with an offer is read twice. At the first time `offers_protocol` is true
    when the receiver is told of the end of the head and of the request, which it must not heed.

    Args:
        receiver: Receiver of the requests' parts.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser = _parser(receiver)

    def feed_data(self, data: bytes) -> None:
        """Parses what has arrived.

        Raises:
            httptools.HttpParserError: It is no HTTP.
        """
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                if not self.offers_protocol():
                    raise
                data = self._plain_head() + data[offer.args[0] :]
                self._parser = _parser(self._receiver)

    def offers_protocol(self) -> bool:
        """Whether the request goes on in HTTP/1.1 all the same."""
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def _plain_head(self) -> bytes:
        """The head without the offer."""
        version = self._parser.get_http_version().encode()
        lines = [self._parser.get_method() + b" " + self._receiver.url + b" HTTP/" + version]
        for name, value in self._receiver.headers:
            if name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def should_upgrade(self) -> bool:
        """Whether the connection is for another protocol now."""
        return self._parser.should_upgrade()

    def should_keep_alive(self) -> bool:
        """Whether the connection stays open after the request."""
        return self._parser.should_keep_alive()

    def get_http_version(self) -> str:
        """Of the request."""
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        """Of the request."""
        return self._parser.get_method()


def _parser(receiver: Receiver) -> Any:
    parser = httptools.HttpRequestParser(receiver)
    # As uvicorn does, where httptools can: a request is answered whatever follows it.
    if hasattr(parser, "set_dangerous_leniencies"):
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
