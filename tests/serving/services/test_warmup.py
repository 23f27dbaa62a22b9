"""Requests stored with a model run before it serves."""

import asyncio
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from lsp_keras.serving.errors import InvalidArgumentError, UnimplementedError
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.options import LoadOptions
from lsp_keras.serving.server import load_servable, running
from lsp_keras.serving.services.warmup import MAX_RECORDS, WARMUP_FILE, warm_up


@pytest.fixture
def version(affine_folder, tmp_path) -> Path:
    return Path(shutil.copytree(affine_folder / "1", tmp_path / "1"))


def predict_log(width: int) -> prediction_log_pb2.PredictionLog:
    record = prediction_log_pb2.PredictionLog()
    request = record.predict_log.request
    request.model_spec.name = "whatever"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[0.0] * width]))
    return record


def classify_log() -> prediction_log_pb2.PredictionLog:
    record = prediction_log_pb2.PredictionLog()
    request = record.classify_log.request
    request.model_spec.signature_name = "classify"
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(1.0)
    return record


def write(version: Path, *records: prediction_log_pb2.PredictionLog) -> None:
    (version / WARMUP_FILE).parent.mkdir()
    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
        for record in records:
            writer.write(record.SerializeToString())


def test_all_records_are_run(version) -> None:
    write(version, predict_log(3), classify_log())
    servable = load_servable(version, LoadOptions(warmup=False))
    assert servable._calls == {}
    assert warm_up(servable) == 2
    assert {name for name, _ in servable._calls} == {"serving_default", "classify"}
    servable.close()


def test_a_failing_record_fails_the_load(version) -> None:
    write(version, predict_log(3), predict_log(2))
    with pytest.raises(InvalidArgumentError, match="Warm-up request 1 failed: Input x has shape"):
        load_servable(version, LoadOptions())
    load_servable(version, LoadOptions(warmup=False)).close()


def test_files_that_cannot_be_used(version) -> None:
    write(version, prediction_log_pb2.PredictionLog())
    with pytest.raises(UnimplementedError, match="Unsupported log_type for warmup: None"):
        load_servable(version, LoadOptions())
    (version / WARMUP_FILE).write_bytes(b"no record " * 10)
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        load_servable(version, LoadOptions())
    shutil.rmtree(version / WARMUP_FILE.parent)
    write(version, *[predict_log(3)] * (MAX_RECORDS + 1))
    with pytest.raises(InvalidArgumentError, match="exceeds the maximum"):
        load_servable(version, LoadOptions())


def test_a_server_starts_where_an_event_loop_runs_as_in_a_notebook(version) -> None:
    write(version, predict_log(3))

    async def cell() -> bool:
        with running([ModelConfig("affine", version.parent)]) as server:
            return bool(server.rest_port)

    assert asyncio.run(cell())
