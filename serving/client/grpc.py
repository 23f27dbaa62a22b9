"""The client's gRPC side."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from lsp_keras.serving.client.base import (
    Array,
    ClientError,
    SignatureInfo,
    Target,
    TemporaryError,
    reading,
)
from lsp_keras.serving.codecs.tensor_proto import MAX_TENSOR_BYTES, decode_tensor, encode_tensor
from lsp_keras.serving.errors import ServingError

_TEMPORARY_CODES = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
# gRPC's own default of 4 MB is less than a batch of photographs.
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcConnection:
    """A server's gRPC API.

    Args:
        address: Address of the server, `host:port`.
        target: The model.
        timeout: Seconds for each request.
        token: Bearer token that is sent, if any.
        secure: Whether to use TLS.
        certificates: File with the authorities to trust instead of the usual ones.
    """

    def __init__(
        self,
        address: str,
        target: Target,
        timeout: float,
        token: str | None,
        *,
        secure: bool,
        certificates: bytes | None,
    ) -> None:
        self._address = address
        self._target = target
        self._timeout = timeout
        self._metadata = [("authorization", f"Bearer {token}")] if token is not None else []
        if secure:
            credentials = grpc.ssl_channel_credentials(certificates)
            self._channel = grpc.secure_channel(address, credentials, _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, _OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def signatures(self) -> dict[str, SignatureInfo]:
        """What the model offers."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill(request.model_spec)
        response = self._call(self._predictions.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        with reading(self._address):
            return {
                name: SignatureInfo(_types(proto.inputs), _types(proto.outputs))
                for name, proto in signatures.signature_def.items()
            }

    def predict(
        self, name: str, info: SignatureInfo, inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Outputs by name."""
        request = predict_pb2.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = name
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(encode_tensor(value))
        response = self._call(self._predictions.Predict, request)
        try:
            return {
                key: decode_tensor(proto, key, max_empty_bytes=MAX_TENSOR_BYTES)
                for key, proto in response.outputs.items()
            }
        except ServingError as error:
            message = f"The answer of {self._address} cannot be read: {error.message}"
            raise ClientError(message, "UNREADABLE") from error

    def status(self) -> list[dict[str, Any]]:
        """States of the model's versions, newest first."""
        request = get_model_status_pb2.GetModelStatusRequest()
        self._fill(request.model_spec)
        response = self._call(self._models.GetModelStatus, request)
        states = get_model_status_pb2.ModelVersionStatus.State
        with reading(self._address):
            return [
                {
                    "version": str(entry.version),
                    "state": states.Name(entry.state),
                    "status": {"error_message": entry.status.error_message},
                }
                for entry in response.model_version_status
            ]

    def close(self) -> None:
        """Frees the connection."""
        self._channel.close()

    def _fill(self, spec: Any) -> None:
        spec.name = self._target.model
        if self._target.version is not None:
            spec.version.value = self._target.version
        if self._target.label is not None:
            spec.version_label = self._target.label

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            kind = TemporaryError if error.code() in _TEMPORARY_CODES else ClientError
            raise kind(str(error.details()), error.code().name) from error


def _types(infos: Any) -> dict[str, str]:
    return {name: types_pb2.DataType.Name(infos[name].dtype) for name in infos}
