"""Descriptors of TensorFlow Serving's gRPC services, for reflection.

The modules `prediction_service_pb2` and `model_service_pb2` of tensorflow-serving-api, which
should hold them, cannot be imported with the protobuf versions that TensorFlow works with; its
message modules and stubs can.
"""

from google.protobuf import descriptor_pb2, descriptor_pool
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

_PACKAGE = "tensorflow.serving"
_FOLDER = "tensorflow_serving/apis"
# Service, its methods and their messages without `Request` and `Response`, message modules.
_SERVICES = {
    "PredictionService": (
        {
            "Classify": "Classification",
            "Regress": "Regression",
            "Predict": "Predict",
            "MultiInference": "MultiInference",
            "GetModelMetadata": "GetModelMetadata",
        },
        [
            classification_pb2,
            regression_pb2,
            predict_pb2,
            inference_pb2,
            get_model_metadata_pb2,
        ],
    ),
    "ModelService": (
        {"GetModelStatus": "GetModelStatus", "HandleReloadConfigRequest": "ReloadConfig"},
        [get_model_status_pb2, model_management_pb2],
    ),
}
_FILES = {"PredictionService": "prediction_service.proto", "ModelService": "model_service.proto"}


def service_names() -> list[str]:
    """Full names of the services, after making sure that reflection finds them."""
    pool = descriptor_pool.Default()
    for service, file_name in _FILES.items():
        try:
            pool.FindFileByName(f"{_FOLDER}/{file_name}")
        except KeyError:
            pool.AddSerializedFile(_file(service, file_name).SerializeToString())
    return [f"{_PACKAGE}.{service}" for service in _SERVICES]


def _file(service: str, file_name: str) -> descriptor_pb2.FileDescriptorProto:
    methods, modules = _SERVICES[service]
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_FOLDER}/{file_name}",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[module.DESCRIPTOR.name for module in modules],
    )
    entry = file.service.add(name=service)
    for method, message in methods.items():
        entry.method.add(
            name=method,
            input_type=f".{_PACKAGE}.{message}Request",
            output_type=f".{_PACKAGE}.{message}Response",
        )
    return file
