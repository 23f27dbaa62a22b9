"""gRPC: from messages to the inference service and back."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import (
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from lsp_keras.serving.errors import InternalError, ServingError, truncate
from lsp_keras.serving.grpc.descriptors import service_names
from lsp_keras.serving.observability.requests import Observer
from lsp_keras.serving.services.inference import InferenceService, model_spec
from lsp_keras.serving.services.management import ManagementService

logger = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}


async def _abort(context: Any, error: ServingError) -> None:
    await context.abort(_CODES[error.number], truncate(error.message))


class _Handlers:
    """Counts requests and turns errors into statuses."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    async def answer(
        self, api: str, spec: Any, request: Any, context: Any, call: Callable[[], Awaitable[Any]]
    ) -> Any:
        """What the call returns; its errors become a status."""
        try:
            with self._observer.request("GRPC", api) as observation:
                observation.model = spec.name
                observation.request_bytes = request.ByteSize()
                return await call()
        except ServingError as error:
            await _abort(context, error)
        except Exception:
            logger.exception("request failed")
            await _abort(context, InternalError("Internal server error."))


class PredictionService(_Handlers, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(
        self, inference: InferenceService, management: ManagementService, observer: Observer
    ) -> None:
        super().__init__(observer)
        self._inference = inference
        self._management = management

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Outputs for input tensors."""
        return await self._infer("Predict", self._inference.predict, request, context)

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Classes and scores for examples."""
        return await self._infer("Classify", self._inference.classify, request, context)

    async def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A number for each example."""
        return await self._infer("Regress", self._inference.regress, request, context)

    async def _infer(
        self,
        api: str,
        method: Callable[[Any, float | None], Awaitable[Any]],
        request: Any,
        context: Any,
    ) -> Any:
        timeout = context.time_remaining()
        return await self.answer(
            api, request.model_spec, request, context, lambda: method(request, timeout)
        )

    async def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Several classifications and regressions of the same examples."""
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        timeout = context.time_remaining()
        return await self.answer(
            "MultiInference",
            spec,
            request,
            context,
            lambda: self._inference.multi_inference(request, timeout),
        )

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Signatures."""

        async def call() -> Any:
            return self._management.metadata(model_spec(request), list(request.metadata_field))

        return await self.answer("GetModelMetadata", request.model_spec, request, context, call)


class ModelService(_Handlers, model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, management: ManagementService, observer: Observer) -> None:
        super().__init__(observer)
        self._management = management

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        """States of a model's versions."""

        async def call() -> Any:
            return self._management.status(model_spec(request))

        return await self.answer("GetModelStatus", request.model_spec, request, context, call)

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Replaces all models by those of the request."""

        async def call() -> Any:
            await self._management.reload(request.config)
            return model_management_pb2.ReloadConfigResponse()

        spec = model_pb2.ModelSpec()
        return await self.answer("HandleReloadConfigRequest", spec, request, context, call)


def make_server(
    prediction: PredictionService,
    model: ModelService,
    *,
    health: health_aio.HealthServicer | None,
    max_request_bytes: int = -1,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> grpc.aio.Server:
    """gRPC server with all services and reflection, not yet bound to a port.

    Args:
        prediction: Answers `PredictionService`.
        model: Answers `ModelService`.
        health: Answers gRPC's health checks, if wanted.
        max_request_bytes: Largest message; -1 for gRPC's own limit of 2 GB.
        interceptors: Called around every request.
    """
    options = [
        ("grpc.max_receive_message_length", max_request_bytes),
        ("grpc.max_send_message_length", -1),
        # A batch of images in one frame and one window, instead of many of 16 and 64 KB.
        ("grpc.http2.max_frame_size", 4 * 1024 * 1024),
        ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
        # Two servers on one port would share its connections at random.
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options, interceptors=tuple(interceptors))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, server)
    names = [*service_names(), reflection.SERVICE_NAME]
    if health:
        names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(names, server)
    return server
