"""Requests stored with a model, which a server runs before it answers any."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from lsp_keras.export.preprocessing import ENCODED_FEATURE

WARMUP_FILE = Path("assets.extra/tf_serving_warmup_requests")


def write_warmup(folder: Path, image_shape: tuple[int, int, int], model_name: str) -> None:
    """Writes one request for each signature: a single black image.

    Args:
        folder: Folder of the version.
        image_shape: Shape of an image, `(height, width, channels)`.
        model_name: Name under which the model will be served.
    """
    black = np.zeros((1, *image_shape), np.uint8)
    file = tf.io.encode_png(black[0]).numpy()
    inputs: dict[str, dict[str, Any]] = {
        "serving_default": {"images": black.astype(np.float32)},
        "serving_uint8": {"images": black},
        "serving_bytes": {"image_bytes": [file]},
    }
    records = [_predict_log(model_name, name, tensors) for name, tensors in inputs.items()]
    records.append(_classify_log(model_name, file))
    path = folder / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record.SerializeToString())


def _predict_log(model_name: str, signature: str, tensors: dict[str, Any]) -> Any:
    record = prediction_log_pb2.PredictionLog()
    request = record.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = model_name, signature
    for name, value in tensors.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return record


def _classify_log(model_name: str, file: bytes) -> Any:
    record = prediction_log_pb2.PredictionLog()
    request = record.classify_log.request
    request.model_spec.name, request.model_spec.signature_name = model_name, "classify"
    example = request.input.example_list.examples.add()
    example.features.feature[ENCODED_FEATURE].bytes_list.value.append(file)
    return record
