"""REST: from URLs and bodies to the services and back."""

import asyncio
import logging
import re
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from tensorflow_serving.apis import classification_pb2, regression_pb2

from lsp_keras.serving.authentication import Token
from lsp_keras.serving.codecs.json_encode import encode_error
from lsp_keras.serving.codecs.json_examples import (
    decode_examples,
    encode_classification,
    encode_regression,
)
from lsp_keras.serving.codecs.json_protos import encode_metadata, encode_status
from lsp_keras.serving.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    RequestTooLargeError,
    ServingError,
)
from lsp_keras.serving.models.manager import ModelSpec
from lsp_keras.serving.observability.requests import Observation, Observer
from lsp_keras.serving.services.inference import InferenceService, fill_spec
from lsp_keras.serving.services.management import ManagementService

logger = logging.getLogger(__name__)

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION_URL = re.compile(_MODEL + ":(?P<method>classify|regress|predict)", re.ASCII | re.I)
_STATUS_URL = re.compile(_MODEL + "(?P<metadata>/metadata)?", re.ASCII | re.I)
_LARGEST_VERSION = 2**63 - 1
MAX_BODY_BYTES = 100 * 1024 * 1024
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


@dataclass(frozen=True)
class RestOptions:
    """Limits of the REST handlers.

    Attributes:
        timeout: Seconds for a request.
        max_request_bytes: Largest body, before and after it is inflated.
        cors: Whether pages of other sites may call.
    """

    timeout: float = 30.0
    max_request_bytes: int = MAX_BODY_BYTES
    cors: bool = False


class RestHandlers:
    """Answers under `/v1/`.

    Args:
        inference: Answers predictions.
        management: Answers status and metadata.
        observer: Told of each request.
        token: What clients must send.
        options: Limits.
    """

    def __init__(
        self,
        inference: InferenceService,
        management: ManagementService,
        observer: Observer,
        token: Token,
        options: RestOptions,
    ) -> None:
        self._inference = inference
        self._management = management
        self._observer = observer
        self._token = token
        self._options = options

    async def answer(self, request: Request) -> Response:
        """Answer to any request; errors become a status and a JSON body."""
        if self._options.cors and request.method == "OPTIONS":
            return Response(headers=_CORS_HEADERS)
        response = await respond(lambda: self._dispatch(request))
        if self._options.cors:
            response.headers.update(_CORS_HEADERS)
        return response

    async def _dispatch(self, request: Request) -> bytes:
        path = full_path(request)
        if not path.lower().startswith("/v1/"):
            raise NotFoundError(f"Not found: {path}")
        match = _match(request.method, request.scope["query_string"], path)
        groups = match.groupdict()
        method, metadata = groups.get("method"), groups.get("metadata")
        api = method or ("metadata" if metadata else "status")
        with self._observer.request("REST", api.lower()) as observation:
            observation.model = unquote(match["name"])
            self._token.check(request.headers.get("authorization"))
            spec = _model_spec(match)
            if method:
                return await self._infer(method.lower(), spec, request, observation)
            return self._describe(spec, metadata=bool(metadata))

    async def _infer(
        self, method: str, spec: ModelSpec, request: Request, observation: Observation
    ) -> bytes:
        body = await self._body(request)
        observation.request_bytes = len(body)
        timeout = self._options.timeout
        async with asyncio.timeout(timeout):
            if method == "predict":
                return await self._inference.predict_json(spec, body, timeout)
            return await self._infer_examples(method, spec, body)

    async def _infer_examples(self, method: str, spec: ModelSpec, body: bytes) -> bytes:
        signature, examples = decode_examples(body)
        timeout = self._options.timeout
        if method == "classify":
            classification = classification_pb2.ClassificationRequest(input=examples)
            fill_spec(classification.model_spec, spec, signature)
            classified = await self._inference.classify(classification, timeout)
            return encode_classification(classified.result)
        regression = regression_pb2.RegressionRequest(input=examples)
        fill_spec(regression.model_spec, spec, signature)
        regressed = await self._inference.regress(regression, timeout)
        return encode_regression(regressed.result)

    def _describe(self, spec: ModelSpec, *, metadata: bool) -> bytes:
        if metadata:
            return encode_metadata(self._management.metadata(spec, ["signature_def"]))
        return encode_status(self._management.status(spec))

    async def _body(self, request: Request) -> bytes:
        """The body, inflated if it is compressed."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._options.max_request_bytes:
                raise self._too_large()
        if request.headers.get("content-encoding", "").lower() != "gzip":
            return bytes(body)
        return self._inflate(bytes(body))

    def _inflate(self, body: bytes) -> bytes:
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            inflated = inflater.decompress(body, self._options.max_request_bytes)
        except zlib.error:
            raise InvalidArgumentError("The body could not be inflated as gzip.") from None
        if inflater.unconsumed_tail:
            raise self._too_large()
        if not inflater.eof:
            raise InvalidArgumentError("The gzip body is cut short.")
        return inflated

    def _too_large(self) -> RequestTooLargeError:
        return RequestTooLargeError(
            f"The request body is larger than {self._options.max_request_bytes} bytes."
        )


async def respond(call: Callable[[], Awaitable[bytes]]) -> Response:
    """What the call returns as JSON; its errors become a status and a JSON body."""
    try:
        return json_response(await call(), 200)
    except ServingError as error:
        return json_response(encode_error(error), error.http_status)
    except TimeoutError:
        return json_response(encode_error(DeadlineExceededError("Timed out.")), 504)
    except ClientDisconnect:
        return Response(status_code=499)
    except Exception:
        logger.exception("request failed")
        return json_response(encode_error(InternalError("Internal server error.")), 500)


def json_response(body: bytes, status: int) -> Response:
    """A response with a JSON body."""
    return Response(body, status, media_type="application/json")


def full_path(request: Request) -> str:
    """Path and query string, still percent-encoded."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return (raw + b"?" + query if query else raw).decode("latin-1")


def _match(method: str, query: bytes, path: str) -> "re.Match[str]":
    """The parts of a URL.

    Raises:
        InvalidArgumentError: It is none of TensorFlow Serving's.
    """
    pattern = {"POST": _PREDICTION_URL, "GET": _STATUS_URL}.get(method)
    match = pattern.fullmatch(path) if pattern and not query else None
    if match:
        return match
    if method == "GET" and path.lower() in ("/v1/models", "/v1/models/metadata"):
        raise InvalidArgumentError("Missing model name in request.")
    raise InvalidArgumentError(f"Malformed request: {method} {path}")


def _model_spec(match: "re.Match[str]") -> ModelSpec:
    version = int(match["version"]) if match["version"] else None
    if version is not None and version > _LARGEST_VERSION:
        raise InvalidArgumentError(f"Failed to convert version: {match['version']} to numeric.")
    label = unquote(match["label"]) if match["label"] else None
    return ModelSpec(unquote(match["name"]), version, label)
