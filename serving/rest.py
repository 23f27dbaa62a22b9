"""REST: from URLs and bodies to the inference service and back."""

import logging
import re
import zlib
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import (
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    RequestTooLargeError,
    ServingError,
)
from serving.inference import InferenceService
from serving.json_encode import encode_error
from serving.manager import ModelSpec
from serving.workers import Workers

logger = logging.getLogger(__name__)

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION_URL = re.compile(_MODEL + ":(?P<method>classify|regress|predict)", re.ASCII | re.I)
_STATUS_URL = re.compile(_MODEL + "(?P<metadata>/metadata)?", re.ASCII | re.I)
_LARGEST_VERSION = 2**63 - 1
MAX_INFLATED_BYTES = 100 * 1024 * 1024


class RestHandlers:
    """Answers under `/v1/`.

    Args:
        service: Answers the requests.
        workers: Run it.
        timeout: Seconds for a request.
        max_request_bytes: Largest body.
    """

    def __init__(
        self,
        service: InferenceService,
        workers: Workers,
        *,
        timeout: float = 30.0,
        max_request_bytes: int = MAX_INFLATED_BYTES,
    ) -> None:
        self._service = service
        self._workers = workers
        self._timeout = timeout
        self._max_request_bytes = max_request_bytes

    def app(self) -> Starlette:
        """The application to serve."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=methods)])

    async def answer(self, request: Request) -> Response:
        """Answer to any request; errors become a status and a JSON body."""
        try:
            body = await self._dispatch(request)
        except ServingError as error:
            return _json(encode_error(error), error.http_status)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:
            logger.exception("request failed")
            return _json(encode_error(InternalError("Internal server error.")), 500)
        return _json(body, 200)

    async def _dispatch(self, request: Request) -> bytes:
        path = full_path(request)
        if not path.lower().startswith("/v1/"):
            raise NotFoundError(f"Not found: {path}")
        if request.scope["query_string"]:
            raise _malformed(request.method, path)
        if request.method == "POST":
            return await self._post(request, path)
        if request.method == "GET":
            return await self._get(path)
        raise _malformed(request.method, path)

    async def _post(self, request: Request, path: str) -> bytes:
        match = _PREDICTION_URL.fullmatch(path)
        if not match:
            raise _malformed("POST", path)
        spec = _model_spec(match)
        if match["method"].lower() != "predict":
            raise _malformed("POST", path)
        body = await self._body(request)
        timeout = self._timeout
        return await self._workers.run(timeout, self._service.predict_json, spec, body, timeout)

    async def _get(self, path: str) -> bytes:
        if path.lower() in ("/v1/models", "/v1/models/metadata"):
            raise InvalidArgumentError("Missing model name in request.")
        match = _STATUS_URL.fullmatch(path)
        if not match:
            raise _malformed("GET", path)
        spec = _model_spec(match)
        if match["metadata"]:
            return self._service.metadata_json(spec)
        return self._service.status_json(spec)

    async def _body(self, request: Request) -> bytes:
        """The body, inflated if it is compressed."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_request_bytes:
                raise self._too_large()
        if request.headers.get("content-encoding", "").lower() != "gzip":
            return bytes(body)
        return self._inflate(bytes(body))

    def _inflate(self, body: bytes) -> bytes:
        limit = min(self._max_request_bytes, MAX_INFLATED_BYTES)
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            inflated = inflater.decompress(body, limit)
        except zlib.error:
            raise InvalidArgumentError("The body could not be inflated as gzip.") from None
        if inflater.unconsumed_tail:
            raise self._too_large()
        if not inflater.eof:
            raise InvalidArgumentError("The gzip body is cut short.")
        return inflated

    def _too_large(self) -> RequestTooLargeError:
        return RequestTooLargeError(
            f"The request body is larger than {self._max_request_bytes} bytes."
        )


def full_path(request: Request) -> str:
    """Path and query string, still percent-encoded."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return (raw + b"?" + query if query else raw).decode("latin-1")


def _model_spec(match: "re.Match[str]") -> ModelSpec:
    version = int(match["version"]) if match["version"] else None
    if version is not None and version > _LARGEST_VERSION:
        raise InvalidArgumentError(f"Failed to convert version: {match['version']} to numeric.")
    label = unquote(match["label"]) if match["label"] else None
    return ModelSpec(unquote(match["name"]), version, label)


def _malformed(method: str, path: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"Malformed request: {method} {path}")


def _json(body: bytes, status: int) -> Response:
    return Response(body, status, media_type="application/json")
