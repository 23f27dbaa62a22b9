"""Status and metadata in JSON."""

from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2


def encode_status(response: Any) -> bytes:
    """Body for a `GetModelStatusResponse`."""
    return _to_json(response)


def encode_metadata(response: Any) -> bytes:
    """Body for a `GetModelMetadataResponse`, its `Any` unpacked as TensorFlow Serving does."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return b'{"model_spec":%s,"metadata":{"signature_def":%s}}' % (
        _to_json(response.model_spec),
        _to_json(signatures),
    )


def _to_json(message: Any) -> bytes:
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return text.encode()
