"""gRPC as TensorFlow Serving answers it, with the official client stubs over a real socket."""

import time
from collections.abc import Iterator

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from lsp_keras.serving.grpc.service import HEALTH_NAMES


@pytest.fixture(scope="module")
def channel(server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def request(signature: str = "", **inputs: object) -> predict_pb2.PredictRequest:
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "affine"
    message.model_spec.signature_name = signature
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return message


def error_of(call, message: object, **options: object) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(message, timeout=10, **options)
    return raised.value.code().name, raised.value.details()


def add_example(message, **features: float) -> None:
    feature = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in features.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    message.input.example_list.examples.add().CopyFrom(example)


def test_predict_answers_typed_fields_and_the_model_spec(stub) -> None:
    response = stub.Predict(request(x=np.array([[1, 2, 3]], np.float32)), timeout=10)
    output = response.outputs["y"]
    assert list(output.float_val) == [2.5, 4.5, 6.5]
    assert output.tensor_content == b""
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == (
        "affine",
        "serving_default",
        1,
    )


def test_output_filter_chooses_outputs(stub) -> None:
    message = request("echo", floats=[1.5], integers=np.int64(3), text=[b"a\0"])
    message.output_filter.extend(["text", "integers"])
    outputs = stub.Predict(message, timeout=10).outputs
    assert sorted(outputs) == ["integers", "text"]
    assert list(outputs["text"].string_val) == [b"a\0"]
    assert outputs["integers"].int64_val == [3]
    message.output_filter.append("text")
    code, details = error_of(stub.Predict, message)
    assert (code, details) == ("INVALID_ARGUMENT", "duplicate output tensor alias: text")
    message.output_filter[:] = ["nothing"]
    code, details = error_of(stub.Predict, message)
    assert code == "INVALID_ARGUMENT"
    assert details.startswith("output tensor alias not found in signature: nothing Outputs")


def test_a_short_value_list_repeats_its_last_value(stub) -> None:
    message = request(x=np.array([[0, 0, 0], [0, 0, 0]], np.float32))
    tensor = message.inputs["x"]
    tensor.tensor_content = b""
    tensor.float_val[:] = [1.0, 2.0]
    values = stub.Predict(message, timeout=10).outputs["y"].float_val
    assert list(values) == [2.5, 4.5, 4.5, 4.5, 4.5, 4.5]


@pytest.mark.parametrize(
    ("change", "code", "details"),
    [
        ({"model": "other"}, "NOT_FOUND", "Servable not found for request: Latest(other)"),
        ({"version": 9}, "NOT_FOUND", "Servable not found for request: Specific(affine, 9)"),
        ({"label": "no"}, "INVALID_ARGUMENT", "Unrecognized servable version label: no"),
        (
            {"signature": "no"},
            "FAILED_PRECONDITION",
            'Serving signature key "no" not found.',
        ),
        (
            {"rename": "z"},
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=1 len({z}) != len({x}). "
            "Sent extra: {z}. Missing but required: {x}.",
        ),
        ({"dims": 4}, "INVALID_ARGUMENT", "tensor parsing error: x"),
        ({"dims": -1}, "INVALID_ARGUMENT", "tensor parsing error: x"),
        ({"dims": 2**40}, "INVALID_ARGUMENT", "tensor parsing error: x"),
        (
            {"value": np.array([[1, 2, 3]], np.float64)},
            "INVALID_ARGUMENT",
            "Input x has type double; the signature expects float.",
        ),
        (
            {"value": np.array([1, 2, 3], np.float32)},
            "INVALID_ARGUMENT",
            "Input x has shape [3]; the signature expects [-1,3].",
        ),
    ],
)
def test_wrong_requests(stub, change, code, details) -> None:
    message = request(change.get("signature", ""), x=change.get("value", np.ones((1, 3), "f4")))
    message.model_spec.name = change.get("model", "affine")
    if "version" in change:
        message.model_spec.version.value = change["version"]
    if "label" in change:
        message.model_spec.version_label = change["label"]
    if "dims" in change:
        message.inputs["x"].tensor_shape.dim[0].size = change["dims"]
    if "rename" in change:
        message.inputs[change["rename"]].CopyFrom(message.inputs.pop("x"))
    assert error_of(stub.Predict, message) == (code, details)


def test_long_messages_are_cut(stub) -> None:
    message = request(x=np.ones((1, 3), np.float32))
    message.model_spec.name = "m" * 5000
    code, details = error_of(stub.Predict, message)
    assert (code, len(details)) == ("NOT_FOUND", 1024 + len("...TRUNCATED"))
    assert details.endswith("mmm...TRUNCATED")


@pytest.mark.parametrize("letter", ["\U0001f600", "\u4e00", "é", "\n"])
def test_long_messages_of_any_letters_arrive(stub, letter: str) -> None:
    message = request(x=np.ones((1, 3), np.float32))
    message.model_spec.name = letter * 5000
    for _ in range(5):
        code, details = error_of(stub.Predict, message)
        assert code == "NOT_FOUND"
        assert details.endswith(letter * 100 + "...TRUNCATED")
        assert 1020 < len(details.removesuffix("...TRUNCATED").encode()) <= 1024


def test_the_clients_deadline_bounds_the_run(stub, server) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(request("slow", steps=np.int32(2**31 - 1)), timeout=0.2)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # The run itself is cancelled too, so that its thread is free again.
    for _ in range(100):
        if not server._workers.pending:
            return
        time.sleep(0.05)
    pytest.fail("the cancelled run still holds its thread")


def test_classify(stub) -> None:
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name = "affine"
    message.model_spec.signature_name = "classify"
    add_example(message, x=2.0)
    add_example(message, x=-1.0)
    response = stub.Classify(message, timeout=10)
    classes = [
        [(entry.label, entry.score) for entry in row.classes]
        for row in response.result.classifications
    ]
    assert classes == [[("low", -2.0), ("high", 2.0)], [("low", 1.0), ("high", -1.0)]]
    assert response.model_spec.signature_name == "classify"


def test_the_context_is_merged_into_every_example(stub) -> None:
    message = regression_pb2.RegressionRequest()
    message.model_spec.name = "affine"
    message.model_spec.signature_name = "regress"
    add_example(message, x=5.0)
    example = message.input.example_list.examples[0]
    context = message.input.example_list_with_context
    context.context.CopyFrom(example)
    context.examples.add()
    add = context.examples.add()
    add.features.feature["x"].float_list.value.append(1.0)
    response = stub.Regress(message, timeout=10)
    assert [entry.value for entry in response.result.regressions] == [10.0, 2.0]


@pytest.mark.parametrize(("size", "count"), [(20_000, 5000), (1 << 20, 17)])
def test_a_context_for_many_examples_is_refused_at_once(stub, size: int, count: int) -> None:
    message = regression_pb2.RegressionRequest()
    message.model_spec.name, message.model_spec.signature_name = "affine", "regress"
    with_context = message.input.example_list_with_context
    with_context.context.features.feature["x"].float_list.value.append(1.0)
    with_context.context.features.feature["more"].bytes_list.value.append(b"a" * size)
    for _ in range(count):
        with_context.examples.add()
    before = resident_bytes()
    code, details = error_of(stub.Regress, message)
    assert (code, "copies of the context" in details) == ("INVALID_ARGUMENT", True)
    assert resident_bytes() - before < 32 << 20
    del with_context.examples[16_000_000 // size :]
    assert len(stub.Regress(message, timeout=10).result.regressions) == len(with_context.examples)


def test_multi_inference(stub) -> None:
    message = inference_pb2.MultiInferenceRequest()
    add_example(message, x=3.0)
    for signature in ("classify", "regress"):
        task = message.tasks.add(method_name=f"tensorflow/serving/{signature}")
        task.model_spec.name, task.model_spec.signature_name = "affine", signature
    results = stub.MultiInference(message, timeout=10).results
    assert results[0].classification_result.classifications[0].classes[1].score == 3.0
    assert results[1].regression_result.regressions[0].value == 6.0
    assert results[1].model_spec.signature_name == "regress"
    message.tasks.add().CopyFrom(message.tasks[0])
    code, details = error_of(stub.MultiInference, message)
    assert (code, details) == (
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: classify",
    )
    message.tasks[2].model_spec.name = "other"
    assert "must access the same model name" in error_of(stub.MultiInference, message)[1]


def test_a_model_needs_a_name(stub, models) -> None:
    message = request(x=np.zeros((1, 3), "f4"))
    message.model_spec.name = ""
    expected = ("INVALID_ARGUMENT", "ModelSpec has no name specified.")
    assert error_of(stub.Predict, message) == expected
    assert error_of(stub.Classify, classification_message("")) == expected


def classification_message(name: str) -> classification_pb2.ClassificationRequest:
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name = name
    return message


def test_bytes_that_are_no_message_are_refused(channel) -> None:
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    assert error_of(call, b"\xff\xff") == ("INVALID_ARGUMENT", "The message cannot be parsed.")


def claim(dtype: tf.DType, *shape: int, **values: object) -> predict_pb2.PredictRequest:
    """A request of forty bytes for a tensor of any size."""
    message = request()
    message.model_spec.signature_name = "echo"
    message.inputs["floats"].CopyFrom(
        tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, **values)
    )
    for size in shape:
        message.inputs["floats"].tensor_shape.dim.add(size=size)
    message.inputs["integers"].CopyFrom(tf.make_tensor_proto(np.int64(1)))
    message.inputs["text"].CopyFrom(tf.make_tensor_proto("a"))
    return message


@pytest.mark.parametrize(
    ("message", "details"),
    [
        (claim(tf.float32, 100_000_000, float_val=[1.0]), "1 values for 100000000 places"),
        (claim(tf.float32, 10_000, 10_000), "0 values for 100000000 places"),
        (claim(tf.string, 30_000_000), "0 values for 30000000 places"),
        (claim(tf.string, 1000, string_val=[b"x"]), "has type string; the signature expects"),
        (claim(tf.float32, *[2**30] * 60, float_val=[1.0]), "tensor parsing error: floats"),
    ],
)
def test_small_messages_with_large_claims_are_refused_at_once(stub, message, details) -> None:
    before = resident_bytes()
    for _ in range(20):
        code, text = error_of(stub.Predict, message)
        assert code == "INVALID_ARGUMENT"
        assert details in text
    assert resident_bytes() - before < 32 << 20


def resident_bytes() -> int:
    return psutil.Process().memory_info().rss


def test_a_large_message_is_counted_and_given_back(stub, server) -> None:
    x = np.arange(900_000, dtype=np.float32).reshape(-1, 3)
    response = stub.Predict(request(x=x), timeout=30)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), 2 * x + 0.5)
    assert server._budget.used == 0


def test_tasks_on_signatures_of_another_form(stub) -> None:
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name = "affine"
    assert error_of(stub.Classify, message) == (
        "INVALID_ARGUMENT",
        "No classification inputs found in SignatureDef: serving_default",
    )
    message.model_spec.signature_name = "classify"
    assert error_of(stub.Classify, message) == ("INVALID_ARGUMENT", "Input is empty.")
    message.model_spec.signature_name = "no"
    assert error_of(stub.Classify, message) == (
        "INVALID_ARGUMENT",
        "No signature was found with the name: no",
    )


def test_metadata(stub) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "affine"
    response = stub.GetModelMetadata(message, timeout=10)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert "classify" in signatures.signature_def
    assert response.model_spec.version.value == 1
    message.metadata_field[:] = ["other"]
    assert error_of(stub.GetModelMetadata, message) == (
        "INVALID_ARGUMENT",
        "Metadata field other is not supported",
    )


def test_status(models) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    assert error_of(models.GetModelStatus, message) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    message.model_spec.name = "affine"
    (status,) = models.GetModelStatus(message, timeout=10).model_version_status
    assert (status.version, status.state, status.status.error_code) == (1, 30, 0)
    message.model_spec.version.value = 2
    assert error_of(models.GetModelStatus, message) == (
        "NOT_FOUND",
        "Could not find version 2 of model affine",
    )


def test_reload_of_a_wrong_configuration_changes_nothing(models, stub) -> None:
    message = model_management_pb2.ReloadConfigRequest()
    code, details = error_of(models.HandleReloadConfigRequest, message)
    assert code == "INVALID_ARGUMENT"
    assert "Only ModelConfigList is currently supported" in details
    entry = message.config.model_config_list.config.add(name="affine", base_path="/nowhere")
    entry.model_platform = "tensorflow"
    code, details = error_of(models.HandleReloadConfigRequest, message)
    assert (code, details) == (
        "INVALID_ARGUMENT",
        "Could not find base path /nowhere for servable affine",
    )
    for path in ("/a\0b", "/" + "a" * 300):
        entry.base_path = path
        code, details = error_of(models.HandleReloadConfigRequest, message)
        assert (code, "Could not find base path" in details) == ("INVALID_ARGUMENT", True)
    assert stub.Predict(request(x=np.zeros((1, 3), "f4")), timeout=10)


@pytest.mark.parametrize("contents", [b"\xff", b"\x0a\xff\xff", b"{}", b"\0"])
def test_bytes_that_are_no_example_are_the_clients_fault(stub, contents: bytes) -> None:
    code, details = error_of(stub.Predict, request("classify", inputs=[contents]))
    assert (code, "Could not parse example" in details) == ("INVALID_ARGUMENT", True)


def test_health_and_reflection(channel) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    for name in ("", *HEALTH_NAMES):
        assert check(health_pb2.HealthCheckRequest(service=name), timeout=10).status == 1
    code, _ = error_of(check, health_pb2.HealthCheckRequest(service="other"))
    assert code == "NOT_FOUND"
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) >= {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    }
    file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
    assert [method.name for method in file.service[0].method] == [
        "Classify",
        "Regress",
        "Predict",
        "MultiInference",
        "GetModelMetadata",
    ]
