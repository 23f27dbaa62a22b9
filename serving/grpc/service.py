"""gRPC: from messages to the services and back.

Messages come as bytes, since gRPC itself would parse them on the event loop whatever they hold.
Methods are declared as if clients sent streams, of which the first message is read: to clients it
is the same, and a message that does not arrive can be given up, for which gRPC has no option.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from lsp_keras.serving.codecs.wire import wire_cost
from lsp_keras.serving.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    ServingError,
    truncate,
)
from lsp_keras.serving.execution.calls import SMALL_BYTES, Call, Offload
from lsp_keras.serving.execution.memory import MemoryBudget
from lsp_keras.serving.grpc.descriptors import service_names
from lsp_keras.serving.observability.requests import Observation, Observer
from lsp_keras.serving.services.inference import InferenceService, model_spec
from lsp_keras.serving.services.management import ManagementService

logger = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
Method = Callable[[Any, Call], Awaitable[Any]]
# As TensorFlow Serving tells its health service, and as clients know the services.
HEALTH_NAMES = (
    "PredictionService",
    "ModelService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class RequestReader:
    """Parses messages within the memory budget, large ones off the event loop.

    Args:
        budget: Memory for all requests.
        offload: Where large messages are parsed.
        receive_seconds: Time for a message to arrive.
    """

    def __init__(
        self, budget: MemoryBudget, offload: Offload, receive_seconds: float = 30.0
    ) -> None:
        self._budget = budget
        self._offload = offload
        self._receive_seconds = receive_seconds

    def lease(self) -> Any:
        """Memory for one request."""
        return self._budget.lease()

    async def receive(self, context: Any) -> bytes:
        """The bytes of a request's message.

        Raises:
            InvalidArgumentError: The client sends none.
            DeadlineExceededError: It did not arrive in time.
        """
        try:
            async with asyncio.timeout(self._receive_seconds):
                data = await context.read()
        except TimeoutError:
            raise DeadlineExceededError("The message did not arrive in time.") from None
        if data is grpc.aio.EOF:
            raise InvalidArgumentError("The call has no message.")
        return bytes(data)

    async def read(self, message_class: Any, data: bytes, call: Call) -> Any:
        """The message.

        Args:
            message_class: Its type.
            data: As it was sent.
            call: Its request.

        Raises:
            ServingError: It is none, or would take more memory than there is.
        """

        def parse() -> Any:
            if len(data) > SMALL_BYTES:
                call.lease.grow(wire_cost(data, message_class.DESCRIPTOR))
            try:
                return message_class.FromString(data)
            except DecodeError:
                raise InvalidArgumentError("The message cannot be parsed.") from None

        call.size = len(data)
        call.lease.grow(len(data))
        return await self._offload.run(call, call.size, parse)


class _Handlers:
    """Counts requests and turns errors into statuses.

    Args:
        reader: Parses the messages.
        observer: Told of each request.
    """

    name: str

    def __init__(self, reader: RequestReader, observer: Observer) -> None:
        self._reader = reader
        self._observer = observer

    def methods(self) -> dict[str, tuple[Any, Any, Method]]:
        """Request's and response's type of each method, and what answers it."""
        raise NotImplementedError

    def handler(self) -> grpc.GenericRpcHandler:
        """All methods, for a server."""
        return grpc.method_handlers_generic_handler(
            self.name,
            {
                name: grpc.stream_unary_rpc_method_handler(
                    self._answer_with(name, request_class, method),
                    response_serializer=response_class.SerializeToString,
                )
                for name, (request_class, response_class, method) in self.methods().items()
            },
        )

    def _answer_with(self, api: str, request_class: Any, method: Method) -> Any:
        async def answer(_: Any, context: Any) -> Any:
            try:
                with (
                    self._observer.request("GRPC", api) as observation,
                    self._reader.lease() as lease,
                ):
                    data = await self._reader.receive(context)
                    call = Call.within(lease, context.time_remaining())
                    observation.request_bytes = len(data)
                    request = await self._reader.read(request_class, data, call)
                    _note_model(observation, request)
                    return await method(request, call)
            except ServingError as error:
                await _abort(context, error)
            except Exception:
                logger.exception("request failed")
                await _abort(context, InternalError("Internal server error."))

        return answer


def _note_model(observation: Observation, request: Any) -> None:
    if isinstance(request, inference_pb2.MultiInferenceRequest):
        observation.model = request.tasks[0].model_spec.name if request.tasks else ""
    elif not isinstance(request, model_management_pb2.ReloadConfigRequest):
        observation.model = request.model_spec.name


async def _abort(context: Any, error: ServingError) -> None:
    await context.abort(_CODES[error.number], truncate(error.message))


class PredictionService(_Handlers):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata.

    Args:
        inference: Answers predictions.
        management: Answers metadata.
        reader: Parses the messages.
        observer: Told of each request.
    """

    name = "tensorflow.serving.PredictionService"

    def __init__(
        self,
        inference: InferenceService,
        management: ManagementService,
        reader: RequestReader,
        observer: Observer,
    ) -> None:
        super().__init__(reader, observer)
        self._inference = inference
        self._management = management

    def methods(self) -> dict[str, tuple[Any, Any, Method]]:
        inference = self._inference
        return {
            "Predict": (
                predict_pb2.PredictRequest,
                predict_pb2.PredictResponse,
                inference.predict,
            ),
            "Classify": (
                classification_pb2.ClassificationRequest,
                classification_pb2.ClassificationResponse,
                inference.classify,
            ),
            "Regress": (
                regression_pb2.RegressionRequest,
                regression_pb2.RegressionResponse,
                inference.regress,
            ),
            "MultiInference": (
                inference_pb2.MultiInferenceRequest,
                inference_pb2.MultiInferenceResponse,
                inference.multi_inference,
            ),
            "GetModelMetadata": (
                get_model_metadata_pb2.GetModelMetadataRequest,
                get_model_metadata_pb2.GetModelMetadataResponse,
                self._metadata,
            ),
        }

    async def _metadata(self, request: Any, call: Call) -> Any:
        return self._management.metadata(model_spec(request), list(request.metadata_field))


class ModelService(_Handlers):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        management: Answers both.
        reader: Parses the messages.
        observer: Told of each request.
    """

    name = "tensorflow.serving.ModelService"

    def __init__(
        self, management: ManagementService, reader: RequestReader, observer: Observer
    ) -> None:
        super().__init__(reader, observer)
        self._management = management

    def methods(self) -> dict[str, tuple[Any, Any, Method]]:
        return {
            "GetModelStatus": (
                get_model_status_pb2.GetModelStatusRequest,
                get_model_status_pb2.GetModelStatusResponse,
                self._status,
            ),
            "HandleReloadConfigRequest": (
                model_management_pb2.ReloadConfigRequest,
                model_management_pb2.ReloadConfigResponse,
                self._reload,
            ),
        }

    async def _status(self, request: Any, call: Call) -> Any:
        return self._management.status(model_spec(request))

    async def _reload(self, request: Any, call: Call) -> Any:
        await self._management.reload(request.config)
        return model_management_pb2.ReloadConfigResponse()


def make_server(
    prediction: PredictionService,
    model: ModelService,
    *,
    health: health_aio.HealthServicer | None,
    max_request_bytes: int = -1,
    max_connections: int = 1000,
    handshake_seconds: float = 10.0,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> grpc.aio.Server:
    """gRPC server with all services and reflection, not yet bound to a port.

    Args:
        prediction: Answers `PredictionService`.
        model: Answers `ModelService`.
        health: Answers gRPC's health checks, if wanted.
        max_request_bytes: Largest message; -1 for gRPC's own limit of 2 GB.
        max_connections: Connections at once; further ones are closed.
        handshake_seconds: Time for a connection to become one of HTTP/2, TLS included.
        interceptors: Called around every request.
    """
    options = [
        ("grpc.max_receive_message_length", max_request_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_allowed_incoming_connections", max_connections),
        ("grpc.server_handshake_timeout_ms", round(1000 * handshake_seconds)),
        ("grpc.max_concurrent_streams", 256),
        # A client that has gone without a word is noticed.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # A batch of images in one frame and one window, instead of many of 16 and 64 KB.
        ("grpc.http2.max_frame_size", 4 * 1024 * 1024),
        ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
        # Two servers on one port would share its connections at random.
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options, interceptors=tuple(interceptors))
    server.add_generic_rpc_handlers((prediction.handler(), model.handler()))
    names = [*service_names(), reflection.SERVICE_NAME]
    if health:
        names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(names, server)
    return server
