"""TensorFlow Serving's configuration files, in its own text formats."""

from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from lsp_keras.serving.errors import InvalidArgumentError, UnimplementedError
from lsp_keras.serving.models.config_protos import BatchingParameters, MonitoringConfig, SSLConfig
from lsp_keras.serving.models.versions import ModelConfig, VersionPolicy
from lsp_keras.validation import InputError, check_file

Message = TypeVar("Message")
LONGEST_FILE = 2**24
DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"


def read_text_proto(path: Path, message: Message) -> Message:
    """The message, filled from a text file.

    Raises:
        InputError: The file is missing or has another form.
    """
    check_file(path, LONGEST_FILE)
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the configuration file {path}: {error}.") from error
    except text_format.ParseError as error:
        raise InputError(f"Invalid protobuf file: '{path}': {error}") from error
    except RecursionError:
        raise InputError(f"Invalid protobuf file: '{path}': it is nested too deeply.") from None
    return message


def read_model_config(path: Path) -> list[ModelConfig]:
    """Models of a `--model_config_file`.

    Raises:
        InputError: The file is missing, has another form or names what is not supported.
    """
    proto = read_text_proto(path, model_server_config_pb2.ModelServerConfig())
    try:
        return model_configs(proto)
    except (InvalidArgumentError, UnimplementedError) as error:
        raise InputError(f"{path}: {error.message}") from error


def model_configs(proto: Any) -> list[ModelConfig]:
    """Models of a `ModelServerConfig`.

    Raises:
        InvalidArgumentError: It is no list of models, or one of them is incomplete.
        UnimplementedError: A model is for another platform than TensorFlow.
    """
    if proto.WhichOneof("config") != "model_config_list":
        raise InvalidArgumentError(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    return [_model_config(entry) for entry in proto.model_config_list.config]


def _model_config(entry: Any) -> ModelConfig:
    if entry.model_platform not in ("", "tensorflow"):
        raise UnimplementedError(
            f"Model {entry.name} has the platform {entry.model_platform!r}; "
            "only 'tensorflow' is served."
        )
    policy = _version_policy(entry.model_version_policy)
    if not entry.base_path:
        # It would be the folder that the server was started in.
        raise InvalidArgumentError(f"Model {entry.name} has no base path.")
    return ModelConfig(entry.name, Path(entry.base_path), policy, dict(entry.version_labels))


def _version_policy(proto: Any) -> VersionPolicy:
    choice = proto.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy(latest=None)
    if choice == "specific":
        if not proto.specific.versions:
            raise InvalidArgumentError("A specific version policy must name versions.")
        return VersionPolicy(specific=frozenset(proto.specific.versions))
    return VersionPolicy(latest=proto.latest.num_versions or 1)


def read_metrics_path(path: Path) -> str | None:
    """URL path of the metrics in a `--monitoring_config_file`; `None` where it is disabled."""
    config = read_text_proto(path, MonitoringConfig()).prometheus_config
    if not config.enable:
        return None
    return config.path or DEFAULT_METRICS_PATH


def read_ssl_config(path: Path) -> Any:
    """An `--ssl_config_file`: key, certificate and authority as PEM texts."""
    return read_text_proto(path, SSLConfig())


def read_batching_parameters(path: Path) -> Any:
    """A `--batching_parameters_file`."""
    return read_text_proto(path, BatchingParameters())
