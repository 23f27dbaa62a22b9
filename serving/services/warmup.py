"""Requests stored with a model, run before it answers any."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from lsp_keras.serving.errors import InvalidArgumentError, ServingError, UnimplementedError
from lsp_keras.serving.execution.calls import Offload, own_call
from lsp_keras.serving.models.manager import ModelSpec
from lsp_keras.serving.models.servable import Servable
from lsp_keras.serving.models.served_model import ServableHandle, Version
from lsp_keras.serving.models.signatures import Signature, Tensors
from lsp_keras.serving.services.inference import InferenceService

logger = logging.getLogger(__name__)
WARMUP_FILE = Path("assets.extra/tf_serving_warmup_requests")
MAX_RECORDS = 1000


class _OnlyServable:
    """Stands for the manager: every request means this servable."""

    def __init__(self, servable: Servable) -> None:
        self._version = Version(0)
        self._servable = servable

    def handle(self, spec: ModelSpec) -> ServableHandle:
        return ServableHandle(self._version, self._servable, threading.Condition())


class _InlineExecutor:
    """Runs in the calling thread, which is the one that loads."""

    async def run(
        self, handle: ServableHandle, signature: Signature, inputs: Tensors, timeout: float | None
    ) -> Tensors:
        return handle.servable.run(signature, inputs)


def warm_up(servable: Servable, *, iterations: int = 1) -> int:
    """Runs the stored requests of a servable.

    Args:
        servable: Servable that was just loaded.
        iterations: How often to run each.

    Returns:
        The number of requests stored, 0 where there is no file.

    Raises:
        ServingError: A record is malformed or its request fails; the version must not serve.
    """
    path = servable.path / WARMUP_FILE
    if not path.is_file():
        return 0
    records = _read(path)
    service = InferenceService(_OnlyServable(servable), _InlineExecutor(), Offload(None))
    for number, record in enumerate(records):
        try:
            for _ in range(iterations):
                asyncio.run(_replay(service, record))
        except ServingError as error:
            raise type(error)(f"Warm-up request {number} failed: {error.message}") from error
    logger.info("ran %d warm-up requests of %s", len(records), servable.path)
    return len(records)


def _read(path: Path) -> list[Any]:
    try:
        dataset = tf.data.TFRecordDataset(str(path)).take(MAX_RECORDS + 1)
        contents = list(dataset.as_numpy_iterator())
        records = [prediction_log_pb2.PredictionLog.FromString(content) for content in contents]
    except (tf.errors.OpError, DecodeError) as error:
        raise InvalidArgumentError(f"The warm-up file {WARMUP_FILE} cannot be read.") from error
    if len(records) > MAX_RECORDS:
        raise InvalidArgumentError(
            f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {WARMUP_FILE}"
        )
    return records


async def _replay(service: InferenceService, record: Any) -> None:
    kind = record.WhichOneof("log_type")
    if kind == "predict_log":
        await service.predict(record.predict_log.request, own_call())
    elif kind == "classify_log":
        await service.classify(record.classify_log.request, own_call())
    elif kind == "regress_log":
        await service.regress(record.regress_log.request, own_call())
    elif kind == "multi_inference_log":
        await service.multi_inference(record.multi_inference_log.request, own_call())
    else:
        raise UnimplementedError(f"Unsupported log_type for warmup: {kind}")
