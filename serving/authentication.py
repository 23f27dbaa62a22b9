"""Bearer tokens for REST and gRPC."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from lsp_keras.serving.errors import UnauthenticatedError

MESSAGE = "Send the header `Authorization: Bearer TOKEN` with the server's token."
# Load balancers and orchestrators ask for these without a token.
_OPEN_SERVICES = ("/grpc.health.v1.Health/",)


class Token:
    """The token that clients must send, if there is one.

    Args:
        value: Token that lets a client in; `None` lets everybody in.
    """

    def __init__(self, value: str | None) -> None:
        self._expected = None if value is None else value.encode()

    @property
    def is_set(self) -> bool:
        """Whether clients must send one."""
        return self._expected is not None

    def check(self, header: str | bytes | None) -> None:
        """Raises unless the header carries the token.

        Args:
            header: Value of `Authorization`, or `None`.

        Raises:
            UnauthenticatedError: It is missing or another.
        """
        if self._expected is None:
            return
        sent = (header or b"") if not isinstance(header, str) else header.encode()
        scheme, _, token = sent.partition(b" ")
        # Takes the same time wherever the first difference is.
        same = hmac.compare_digest(token.strip(b" "), self._expected)
        if not same or scheme.lower() != b"bearer":
            raise UnauthenticatedError(MESSAGE)


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Refuses gRPC requests without the token, health checks apart."""

    def __init__(self, token: Token) -> None:
        self._token = token

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """The handler, or one that refuses."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN_SERVICES):
            return handler
        headers = dict(handler_call_details.invocation_metadata or ())
        try:
            self._token.check(headers.get("authorization"))
        except UnauthenticatedError:
            return _refusal(handler)
        return handler


def _refusal(handler: Any) -> Any:
    """A handler of the same form that answers UNAUTHENTICATED."""

    async def refuse(_: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, MESSAGE)

    if handler.response_streaming or handler.request_streaming:

        async def refuse_stream(request: Any, context: Any) -> Any:
            await refuse(request, context)
            yield

        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    return grpc.unary_unary_rpc_method_handler(refuse)
