"""REST: from URLs and bodies to the services and back."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from tensorflow_serving.apis import classification_pb2, regression_pb2

from lsp_keras.serving.authentication import Token
from lsp_keras.serving.codecs.json_document import json_cost
from lsp_keras.serving.codecs.json_encode import encode_error
from lsp_keras.serving.codecs.json_examples import (
    decode_examples,
    encode_classification,
    encode_regression,
)
from lsp_keras.serving.codecs.json_protos import encode_metadata, encode_status
from lsp_keras.serving.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ServingError,
)
from lsp_keras.serving.execution.calls import SMALL_BYTES, Call, Offload
from lsp_keras.serving.execution.memory import MemoryBudget
from lsp_keras.serving.models.manager import ModelSpec
from lsp_keras.serving.models.versions import version_number
from lsp_keras.serving.observability.requests import Observation, Observer
from lsp_keras.serving.rest.bodies import BodyReader
from lsp_keras.serving.services.inference import InferenceService, fill_spec
from lsp_keras.serving.services.management import ManagementService

logger = logging.getLogger(__name__)

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION_URL = re.compile(_MODEL + ":(?P<method>classify|regress|predict)", re.ASCII | re.I)
_STATUS_URL = re.compile(_MODEL + "(?P<metadata>/metadata)?", re.ASCII | re.I)
_NAMELESS_URL = re.compile(
    r"/v1/models(?:/versions/\d+|/labels/[^/:]+)(?:/metadata)?", re.ASCII | re.I
)
_METHODS = ("predict", "classify", "regress")
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
        timeout: Seconds for a request, its body included.
        max_request_bytes: Largest body, before and after it is inflated.
        cors: Whether pages of other sites may call.
    """

    timeout: float = 30.0
    max_request_bytes: int = MAX_BODY_BYTES
    cors: bool = False


class RestHandlers:
    """Answers under `/v1/`.

    Args:
        inference: Service that answers predictions.
        management: Service that answers status and metadata.
        observer: Observer that is told of each request.
        token: What clients must send.
        budget: Memory for all requests.
        offload: Where large bodies are inflated and decoded.
        options: Limits of the requests.
    """

    def __init__(
        self,
        inference: InferenceService,
        management: ManagementService,
        observer: Observer,
        token: Token,
        budget: MemoryBudget,
        offload: Offload,
        options: RestOptions,
    ) -> None:
        self._inference = inference
        self._management = management
        self._observer = observer
        self._token = token
        self._budget = budget
        self._offload = offload
        self._options = options
        self._bodies = BodyReader(offload, options.max_request_bytes)

    async def answer(self, request: Request) -> Response:
        """Answer to any request; errors become a status and a JSON body."""
        response = await respond(lambda: self._dispatch(request))
        if self._options.cors:
            response.headers.update(_CORS_HEADERS)
        return response

    async def _dispatch(self, request: Request) -> bytes:
        path = full_path(request)
        if not path.lower().startswith("/v1/"):
            raise NotFoundError(f"Not found: {path}")
        if request.method == "OPTIONS":
            return _preflight(request.headers.get("origin", ""))
        if request.method == "GET" and path.lower() == "/v1/models":
            return self._list_models(request)
        match = _match(request.method, request.scope["query_string"], path)
        groups = match.groupdict()
        method, metadata = groups.get("method"), groups.get("metadata") == "/metadata"
        api = method or ("metadata" if metadata else "status")
        with self._observer.request("REST", api) as observation:
            observation.model = unquote(match["name"])
            self._token.check(request.headers.get("authorization"))
            spec = _model_spec(match)
            if method:
                return await self._infer(method, spec, request, observation)
            return self._describe(spec, metadata=metadata)

    async def _infer(
        self, method: str, spec: ModelSpec, request: Request, observation: Observation
    ) -> bytes:
        timeout = self._options.timeout
        async with asyncio.timeout(timeout):
            with self._budget.lease() as lease:
                call = Call.within(lease, timeout)
                body = await self._bodies.read(request.headers, request.stream(), call)
                observation.request_bytes = call.size
                if method == "predict":
                    return await self._inference.predict_json(spec, body, call)
                return await self._infer_examples(method, spec, body, call)

    async def _infer_examples(self, method: str, spec: ModelSpec, body: bytes, call: Call) -> bytes:
        request_class, answer, encode = {
            "classify": (
                classification_pb2.ClassificationRequest,
                self._inference.classify,
                encode_classification,
            ),
            "regress": (
                regression_pb2.RegressionRequest,
                self._inference.regress,
                encode_regression,
            ),
        }[method]

        def decode() -> Any:
            if len(body) > SMALL_BYTES:
                call.lease.grow(json_cost(body))
            signature, examples = decode_examples(body, call.deadline)
            request = request_class(input=examples)
            fill_spec(request.model_spec, spec, signature)
            return request

        request = await self._offload.run(call, call.size, decode)
        result = (await answer(request, call)).result
        return await self._offload.run(call, result.ByteSize(), lambda: encode(result))

    def _list_models(self, request: Request) -> bytes:
        """All models: TensorFlow Serving refuses this URL."""
        with self._observer.request("REST", "models"):
            self._token.check(request.headers.get("authorization"))
            models = self._management.models()
        listed = [{"name": name, "versions": versions} for name, versions in models.items()]
        return orjson.dumps({"models": listed})

    def _describe(self, spec: ModelSpec, *, metadata: bool) -> bytes:
        if metadata:
            return encode_metadata(self._management.metadata(spec, ["signature_def"]))
        return encode_status(self._management.status(spec))


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


def _preflight(origin: str) -> bytes:
    """Answer to a browser's question whether a page may call, as TensorFlow Serving gives it.

    Raises:
        FailedPreconditionError: It comes from no browser.
    """
    if not re.search("https?://", origin):
        raise FailedPreconditionError("Origin header is missing in CORS preflight")
    return b""


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
    # In any case of letters TensorFlow Serving's pattern takes a method, but it knows only these.
    if match and match.groupdict().get("method", "predict") in _METHODS:
        return match
    if method == "GET" and not query and _NAMELESS_URL.fullmatch(path):
        raise InvalidArgumentError("Missing model name in request.")
    raise InvalidArgumentError(f"Malformed request: {method} {path}")


def _model_spec(match: "re.Match[str]") -> ModelSpec:
    version = version_number(match["version"]) if match["version"] else None
    if match["version"] and version is None:
        raise InvalidArgumentError(f"Failed to convert version: {match['version']} to numeric.")
    label = unquote(match["label"]) if match["label"] else None
    return ModelSpec(unquote(match["name"]), version, label)
