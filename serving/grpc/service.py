"""gRPC: from messages to the services and back.

Methods are declared as if clients sent streams, of which the first message is read: to clients it
is the same, and a message that does not arrive can be given up, for which gRPC has no option.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
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

from lsp_keras.serving.errors import InternalError, ServingError, truncate
from lsp_keras.serving.execution.calls import Call
from lsp_keras.serving.grpc.descriptors import service_names
from lsp_keras.serving.grpc.reader import RequestReader
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


class _Handlers:
    """Counts requests and turns errors into statuses.

    Args:
        reader: Reader that parses the messages.
        observer: Observer that is told of each request.
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
        inference: Service that answers predictions.
        management: Service that answers metadata.
        reader: Reader that parses the messages.
        observer: Observer that is told of each request.
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
        management: Service that answers both.
        reader: Reader that parses the messages.
        observer: Observer that is told of each request.
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
        prediction: Servicer of `PredictionService`.
        model: Servicer of `ModelService`.
        health: Service that answers gRPC's health checks, if wanted.
        max_request_bytes: Largest message; -1 for gRPC's own limit of 2 GB.
        max_connections: Connections at once; further ones are closed.
        handshake_seconds: Time for a connection to become one of HTTP/2, TLS included.
        interceptors: Interceptors that are called around every request.
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
