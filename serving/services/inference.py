"""What a server answers, apart from how requests reach it."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from lsp_keras.serving.codecs.json_decode import JsonRequest, decode_predict
from lsp_keras.serving.codecs.json_encode import encode_predict
from lsp_keras.serving.codecs.tensor_proto import decode_tensor, encode_tensor
from lsp_keras.serving.codecs.tf_examples import (
    INPUTS,
    check_classify,
    check_regress,
    classification_result,
    regression_result,
    serialized_examples,
)
from lsp_keras.serving.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    UnimplementedError,
)
from lsp_keras.serving.execution.executor import Executor
from lsp_keras.serving.models.manager import ModelSpec
from lsp_keras.serving.models.servable import Servable
from lsp_keras.serving.models.served_model import ServableHandle
from lsp_keras.serving.models.signatures import DEFAULT_SIGNATURE, Signature, Tensors

CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
# Bodies up to this size are parsed on the event loop, for a thread would cost more.
_SMALL_BODY = 32 * 1024
_SMALL_OUTPUT = 4096


class Models(Protocol):
    """Something that finds the version that a request means."""

    def handle(self, spec: ModelSpec) -> ServableHandle:
        """The version, loaded until the handle is released."""


class InferenceService:
    """Predictions by the models of a manager.

    Args:
        models: Holds the models.
        executor: Runs them.
    """

    def __init__(self, models: Models, executor: Executor) -> None:
        self._models = models
        self._executor = executor

    async def predict_json(self, spec: ModelSpec, body: bytes, timeout: float | None) -> bytes:
        """Answer to a predict request in JSON.

        Raises:
            ServingError: With the status and in the words of TensorFlow Serving.
        """
        with self._models.handle(spec) as handle:
            request = await _decode(handle.servable, body)
            request.signature.check_inputs(request.inputs)
            outputs = await self._run(handle, request.signature, request.inputs, timeout)
            return await _encode(request, outputs)

    async def predict(self, request: Any, timeout: float | None) -> Any:
        """`PredictResponse` to a `PredictRequest`.

        Raises:
            ServingError: Unknown model, version, label or signature, inputs that do not fit, or
                what the model reports.
        """
        with self._models.handle(model_spec(request)) as handle:
            signature = find_signature(handle.servable, request.model_spec.signature_name)
            names = list(request.output_filter)
            signature.check_output_filter(names)
            signature.check_input_names(request.inputs)
            inputs = {name: decode_tensor(request.inputs[name], name) for name in request.inputs}
            signature.check_inputs(inputs)
            outputs = await self._run(handle, signature, inputs, timeout)
        response = predict_pb2.PredictResponse()
        for name in names or outputs:
            response.outputs[name].CopyFrom(encode_tensor(outputs[name]))
        _fill_spec(response.model_spec, request.model_spec.name, signature.name, handle.number)
        return response

    async def classify(self, request: Any, timeout: float | None) -> Any:
        """`ClassificationResponse` to a `ClassificationRequest`."""
        response = classification_pb2.ClassificationResponse()
        with self._models.handle(model_spec(request)) as handle:
            signature = _task_signature(handle.servable, request.model_spec.signature_name)
            check_classify(signature)
            outputs, count = await self._run_examples(handle, signature, request.input, timeout)
        response.result.CopyFrom(classification_result(outputs, count))
        _fill_spec(response.model_spec, request.model_spec.name, signature.name, handle.number)
        return response

    async def regress(self, request: Any, timeout: float | None) -> Any:
        """`RegressionResponse` to a `RegressionRequest`."""
        response = regression_pb2.RegressionResponse()
        with self._models.handle(model_spec(request)) as handle:
            signature = _task_signature(handle.servable, request.model_spec.signature_name)
            check_regress(signature)
            outputs, count = await self._run_examples(handle, signature, request.input, timeout)
        response.result.CopyFrom(regression_result(outputs, count))
        _fill_spec(response.model_spec, request.model_spec.name, signature.name, handle.number)
        return response

    async def multi_inference(self, request: Any, timeout: float | None) -> Any:
        """`MultiInferenceResponse`: several classify and regress signatures on one input."""
        _check_tasks(request.tasks)
        response = inference_pb2.MultiInferenceResponse()
        with self._models.handle(_spec(request.tasks[0].model_spec)) as handle:
            for task in request.tasks:
                signature = _task_signature(handle.servable, task.model_spec.signature_name)
                classify = task.method_name == CLASSIFY_METHOD
                (check_classify if classify else check_regress)(signature)
                outputs, count = await self._run_examples(handle, signature, request.input, timeout)
                result = response.results.add()
                if classify:
                    result.classification_result.CopyFrom(classification_result(outputs, count))
                else:
                    result.regression_result.CopyFrom(regression_result(outputs, count))
                _fill_spec(result.model_spec, task.model_spec.name, signature.name, handle.number)
        return response

    async def _run_examples(
        self, handle: ServableHandle, signature: Signature, proto: Any, timeout: float | None
    ) -> tuple[Tensors, int]:
        examples = serialized_examples(proto)
        inputs = {INPUTS: examples}
        signature.check_inputs(inputs)
        return await self._run(handle, signature, inputs, timeout), len(examples)

    async def _run(
        self, handle: ServableHandle, signature: Signature, inputs: Tensors, timeout: float | None
    ) -> Tensors:
        if timeout is not None and timeout <= 0:
            raise DeadlineExceededError("Timed out.")
        return await self._executor.run(handle, signature, inputs, timeout)


def model_spec(request: Any) -> ModelSpec:
    """Which model a request means.

    Raises:
        InvalidArgumentError: The request has no `model_spec`.
    """
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return _spec(request.model_spec)


def _spec(proto: Any) -> ModelSpec:
    choice = proto.WhichOneof("version_choice")
    return ModelSpec(
        proto.name,
        proto.version.value if choice == "version" else None,
        proto.version_label if choice == "version_label" else None,
    )


def fill_spec(proto: Any, spec: ModelSpec, signature: str) -> None:
    """Writes name, version or label, and signature into a request's `model_spec`."""
    proto.name, proto.signature_name = spec.name, signature
    if spec.version is not None:
        proto.version.value = spec.version
    if spec.label is not None:
        proto.version_label = spec.label


def find_signature(servable: Servable, name: str) -> Signature:
    """Signature by name, the default one for an empty name.

    Raises:
        FailedPreconditionError: There is none of that name.
    """
    wanted = name or DEFAULT_SIGNATURE
    try:
        return servable.signatures[wanted]
    except KeyError:
        raise FailedPreconditionError(f'Serving signature key "{wanted}" not found.') from None


def _json_signature(servable: Servable, name: str) -> Signature:
    try:
        return find_signature(servable, name)
    except FailedPreconditionError:
        raise InvalidArgumentError(
            f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def'
        ) from None


def _task_signature(servable: Servable, name: str) -> Signature:
    try:
        return find_signature(servable, name)
    except FailedPreconditionError:
        raise InvalidArgumentError(
            f"No signature was found with the name: {name or DEFAULT_SIGNATURE}"
        ) from None


async def _decode(servable: Servable, body: bytes) -> JsonRequest:
    def decode() -> JsonRequest:
        return decode_predict(body, lambda name: _json_signature(servable, name))

    return decode() if len(body) <= _SMALL_BODY else await asyncio.to_thread(decode)


async def _encode(request: JsonRequest, outputs: Tensors) -> bytes:
    def encode() -> bytes:
        return encode_predict(request.signature, outputs, by_rows=request.by_rows)

    size = sum(array.size for array in outputs.values())
    return encode() if size <= _SMALL_OUTPUT else await asyncio.to_thread(encode)


def _check_tasks(tasks: Sequence[Any]) -> None:
    if not tasks:
        raise InvalidArgumentError("Inference request must have at least one task.")
    seen = set()
    for task in tasks:
        spec = task.model_spec
        if not spec.name:
            raise InvalidArgumentError("Found ModelSpec with an empty model name.")
        if spec.name != tasks[0].model_spec.name:
            raise InvalidArgumentError(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise InvalidArgumentError(f"Duplicate evaluation of signature: {name}")
        if task.method_name not in (CLASSIFY_METHOD, REGRESS_METHOD):
            raise UnimplementedError(f"Unsupported signature method_name: {task.method_name}")
        seen.add(name)


def _fill_spec(proto: Any, name: str, signature: str, number: int) -> None:
    proto.name = name
    proto.signature_name = signature
    proto.version.value = number
