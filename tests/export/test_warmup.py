"""The stored warm-up requests cover every signature."""

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from lsp_keras.export.warmup import WARMUP_FILE, write_warmup


def test_one_request_for_each_signature(tmp_path) -> None:
    write_warmup(tmp_path, (4, 5, 3), "toy")
    contents = tf.data.TFRecordDataset(str(tmp_path / WARMUP_FILE)).as_numpy_iterator()
    records = [prediction_log_pb2.PredictionLog.FromString(content) for content in contents]
    predicts = [record.predict_log.request for record in records[:3]]
    assert [request.model_spec.signature_name for request in predicts] == [
        "serving_default",
        "serving_uint8",
        "serving_bytes",
    ]
    assert {request.model_spec.name for request in predicts} == {"toy"}
    floats, integers, files = (dict(request.inputs) for request in predicts)
    assert tf.make_ndarray(floats["images"]).shape == (1, 4, 5, 3)
    assert tf.make_ndarray(integers["images"]).dtype == "uint8"
    (file,) = files["image_bytes"].string_val
    assert tf.io.decode_png(file).shape == (4, 5, 3)
    example = records[3].classify_log.request.input.example_list.examples[0]
    assert list(example.features.feature["image/encoded"].bytes_list.value) == [file]
