"""What a server answers, apart from how requests reach it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from lsp_keras.serving.codecs.json_decode import JsonRequest, decode_predict, signature_name
from lsp_keras.serving.codecs.json_document import json_cost, parse_document
from lsp_keras.serving.codecs.json_encode import encode_predict
from lsp_keras.serving.codecs.tensor_proto import (
    MAX_TENSOR_BYTES,
    TensorForm,
    decode_tensor,
    encode_tensor,
)
from lsp_keras.serving.codecs.tf_examples import (
    INPUTS,
    MAX_COPIED_BYTES,
    check_classify,
    check_regress,
    classification_result,
    copied_bytes,
    regression_result,
    serialized_examples,
)
from lsp_keras.serving.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    UnimplementedError,
)
from lsp_keras.serving.execution.calls import SMALL_BYTES, Call, Offload
from lsp_keras.serving.execution.executor import Executor
from lsp_keras.serving.models.manager import ModelSpec
from lsp_keras.serving.models.servable import Servable
from lsp_keras.serving.models.served_model import ServableHandle
from lsp_keras.serving.models.signatures import DEFAULT_SIGNATURE, Array, Signature, Tensors

CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
_OWN_LIMITS = dict.fromkeys(["max_repeated_bytes", "max_empty_bytes"], MAX_TENSOR_BYTES)


class Models(Protocol):
    """Something that finds the version that a request means."""

    def handle(self, spec: ModelSpec) -> ServableHandle:
        """The version, loaded until the handle is released."""


class InferenceService:
    """Predictions by the models of a manager.

    Args:
        models: Manager that holds the models.
        executor: Executor that runs them.
        offload: Where large requests are decoded and large answers encoded.
    """

    def __init__(self, models: Models, executor: Executor, offload: Offload) -> None:
        self._models = models
        self._executor = executor
        self._offload = offload

    async def predict_json(self, spec: ModelSpec, body: bytes, call: Call) -> bytes:
        """Answer to a predict request in JSON.

        Raises:
            ServingError: With the status and in the words of TensorFlow Serving.
        """
        handle, request = await self._read_json(spec, body, call)
        with handle:
            request.signature.check_inputs(request.inputs)
            outputs = await self._run(handle, request.signature, request.inputs, call)
        return await self._offload.run(
            call,
            _size(outputs),
            lambda: encode_predict(outputs, by_rows=request.by_rows),
        )

    async def _read_json(
        self, spec: ModelSpec, body: bytes, call: Call
    ) -> tuple[ServableHandle, JsonRequest]:
        """The servable, to be released, and the request, of which only its tensors are left."""
        # A body that is no JSON is said to be none before its model is looked for.
        document = await self._offload.run(call, call.size, lambda: _parse(body, call))
        handle = self._models.handle(spec)
        try:
            return handle, await self._offload.run(
                call, call.size, lambda: _decode(handle.servable, document)
            )
        except BaseException:
            handle.release()
            raise

    async def predict(self, request: Any, call: Call) -> Any:
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
            inputs = await self._offload.run(
                call, call.size, lambda: _decode_inputs(request.inputs, signature, call)
            )
            outputs = await self._run(handle, signature, inputs, call)
        chosen = {name: outputs[name] for name in names or outputs}
        response = await self._offload.run(call, _size(chosen), lambda: _predict_response(chosen))
        _fill_spec(response.model_spec, request.model_spec.name, signature.name, handle.number)
        return response

    async def classify(self, request: Any, call: Call) -> Any:
        """`ClassificationResponse` to a `ClassificationRequest`."""
        response = classification_pb2.ClassificationResponse()
        with self._models.handle(model_spec(request)) as handle:
            signature = _task_signature(handle.servable, request.model_spec.signature_name)
            check_classify(signature)
            examples = await self._examples(request.input, call)
            response.result.CopyFrom(await self._classify(handle, signature, examples, call))
        _fill_spec(response.model_spec, request.model_spec.name, signature.name, handle.number)
        return response

    async def regress(self, request: Any, call: Call) -> Any:
        """`RegressionResponse` to a `RegressionRequest`."""
        response = regression_pb2.RegressionResponse()
        with self._models.handle(model_spec(request)) as handle:
            signature = _task_signature(handle.servable, request.model_spec.signature_name)
            check_regress(signature)
            examples = await self._examples(request.input, call)
            response.result.CopyFrom(await self._regress(handle, signature, examples, call))
        _fill_spec(response.model_spec, request.model_spec.name, signature.name, handle.number)
        return response

    async def multi_inference(self, request: Any, call: Call) -> Any:
        """`MultiInferenceResponse`: several classify and regress signatures on one input."""
        _check_tasks(request.tasks)
        response = inference_pb2.MultiInferenceResponse()
        with self._models.handle(_spec(request.tasks[0].model_spec)) as handle:
            signatures = [_check_task(handle.servable, task) for task in request.tasks]
            examples = await self._examples(request.input, call)
            for task, signature in zip(request.tasks, signatures, strict=True):
                result = response.results.add()
                if task.method_name == CLASSIFY_METHOD:
                    classified = await self._classify(handle, signature, examples, call)
                    result.classification_result.CopyFrom(classified)
                else:
                    regressed = await self._regress(handle, signature, examples, call)
                    result.regression_result.CopyFrom(regressed)
                _fill_spec(result.model_spec, task.model_spec.name, signature.name, handle.number)
        return response

    async def _examples(self, proto: Any, call: Call) -> Tensors:
        copied = copied_bytes(proto)
        if copied > MAX_COPIED_BYTES and not call.is_own:
            raise InvalidArgumentError(
                f"The copies of the context, one for each example, would take {copied} bytes; "
                f"they may take {MAX_COPIED_BYTES}."
            )
        # Once here and once in TensorFlow.
        call.lease.grow(2 * copied)
        return await self._offload.run(
            call, call.size + copied, lambda: {INPUTS: serialized_examples(proto)}
        )

    async def _classify(
        self, handle: ServableHandle, signature: Signature, examples: Tensors, call: Call
    ) -> Any:
        outputs = await self._run_examples(handle, signature, examples, call)
        count = len(examples[INPUTS])
        return await self._offload.run(
            call, _size(outputs), lambda: classification_result(outputs, count)
        )

    async def _regress(
        self, handle: ServableHandle, signature: Signature, examples: Tensors, call: Call
    ) -> Any:
        outputs = await self._run_examples(handle, signature, examples, call)
        count = len(examples[INPUTS])
        return await self._offload.run(
            call, _size(outputs), lambda: regression_result(outputs, count)
        )

    async def _run_examples(
        self, handle: ServableHandle, signature: Signature, examples: Tensors, call: Call
    ) -> Tensors:
        signature.check_inputs(examples)
        return await self._run(handle, signature, examples, call)

    async def _run(
        self, handle: ServableHandle, signature: Signature, inputs: Tensors, call: Call
    ) -> Tensors:
        return await self._executor.run(handle, signature, inputs, call.remaining())


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


def _parse(body: bytes, call: Call) -> dict[str, Any]:
    if len(body) > SMALL_BYTES:
        call.lease.grow(json_cost(body))
    document = parse_document(body, call.deadline)
    # Wrong whatever the model is.
    signature_name(document)
    return document


def _decode(servable: Servable, document: dict[str, Any]) -> JsonRequest:
    return decode_predict(document, lambda name: _json_signature(servable, name))


def _decode_inputs(protos: Mapping[str, Any], signature: Signature, call: Call) -> Tensors:
    """Tensors of a request, each checked before memory is taken for it."""

    def decode(name: str) -> Array:
        def check(form: TensorForm) -> None:
            signature.check_input(name, form.dtype, form.shape)
            call.lease.grow(form.num_bytes)

        return decode_tensor(protos[name], name, check, **limits)

    limits = _OWN_LIMITS if call.is_own else {}
    return {name: decode(name) for name in protos}


def _predict_response(outputs: Tensors) -> Any:
    response = predict_pb2.PredictResponse()
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(encode_tensor(array))
    return response


def _size(outputs: Tensors) -> int:
    """Bytes of the outputs as text or in messages, roughly."""
    return sum(map(_size_of, outputs.values()))


def _size_of(array: Array) -> int:
    # Rows without numbers have to be gone through too.
    size = 8 * math.prod(max(length, 1) for length in array.shape)
    return size + sum(map(len, array.flat)) if array.dtype == object else size


def _check_task(servable: Servable, task: Any) -> Signature:
    name = task.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.signatures:
        raise InvalidArgumentError(f"Requested signature not found in model graph: {name}")
    signature = servable.signatures[name]
    (check_classify if task.method_name == CLASSIFY_METHOD else check_regress)(signature)
    return signature


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
