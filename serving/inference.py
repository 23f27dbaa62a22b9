"""What a server answers, apart from how requests reach it."""

from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    ServingError,
    truncate,
)
from serving.json_decode import decode_predict
from serving.json_encode import encode_predict
from serving.manager import ModelManager, ModelSpec
from serving.model import VersionStatus
from serving.servable import Servable
from serving.signatures import DEFAULT_SIGNATURE, Signature


class InferenceService:
    """Predictions, status and metadata of the models of a manager."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def predict_json(self, spec: ModelSpec, body: bytes, timeout: float | None) -> bytes:
        """Answer to a predict request in JSON.

        Raises:
            ServingError: With the status and in the words of TensorFlow Serving.
        """
        with self._manager.use(spec) as (_, servable):
            request = decode_predict(body, lambda name: _json_signature(servable, name))
            outputs = servable.run(request.signature, request.inputs, timeout)
            return encode_predict(request.signature, outputs, by_rows=request.by_rows)

    def status_json(self, spec: ModelSpec) -> bytes:
        """States of a model's versions in JSON."""
        return _to_json(status_response(self._manager.status(spec)))

    def metadata_json(self, spec: ModelSpec) -> bytes:
        """Signatures of a model in JSON."""
        response = self.metadata(spec, ["signature_def"])
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return b'{"model_spec":%s,"metadata":{"signature_def":%s}}' % (
            _to_json(response.model_spec),
            _to_json(signatures),
        )

    def metadata(self, spec: ModelSpec, fields: Sequence[str]) -> Any:
        """`GetModelMetadataResponse` with a model's signatures.

        Raises:
            InvalidArgumentError: Another field than `signature_def` is asked for, or none.
        """
        if not fields:
            raise InvalidArgumentError(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in fields:
            if field != "signature_def":
                raise InvalidArgumentError(f"Metadata field {field} is not supported")
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._manager.use(spec) as (number, servable):
            for name, proto in servable.signature_protos.items():
                signatures.signature_def[name].CopyFrom(proto)
        response.model_spec.name = spec.name
        response.model_spec.version.value = number
        response.metadata["signature_def"].Pack(signatures)
        return response


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


def status_response(versions: Sequence[VersionStatus]) -> Any:
    """`GetModelStatusResponse` for these versions."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in versions:
        entry = response.model_version_status.add(version=version.number)
        entry.state = version.state.value
        entry.status.error_code = _error_code(version.error)
        entry.status.error_message = truncate(version.error.message) if version.error else ""
    return response


def _error_code(error: ServingError | None) -> int:
    return error.number if error else 0


def _to_json(message: Any) -> bytes:
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return text.encode()
