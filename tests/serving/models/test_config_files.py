"""TensorFlow Serving's own text formats."""

from pathlib import Path

import pytest

from lsp_keras.serving.models.config_files import (
    read_batching_parameters,
    read_metrics_path,
    read_model_config,
    read_ssl_config,
)
from lsp_keras.serving.models.versions import ModelConfig, VersionPolicy
from lsp_keras.validation import InputError

# As in TensorFlow Serving's guide.
MODELS = """
model_config_list {
  config {
    name: 'first'
    base_path: '/models/first'
    model_platform: 'tensorflow'
  }
  config {
    name: 'second'
    base_path: '/models/second'
    model_version_policy { specific { versions: 42 versions: 43 } }
    version_labels { key: 'stable' value: 42 }
    version_labels { key: 'canary' value: 43 }
  }
  config { name: 'all' base_path: '/m' model_version_policy: { all {} } }
  config { name: 'two' base_path: '/m' model_version_policy { latest { num_versions: 2 } } }
}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.txt"
    path.write_text(text)
    return path


def test_a_model_config_file(tmp_path) -> None:
    assert read_model_config(write(tmp_path, MODELS)) == [
        ModelConfig("first", Path("/models/first"), VersionPolicy(latest=1)),
        ModelConfig(
            "second",
            Path("/models/second"),
            VersionPolicy(specific=frozenset({42, 43})),
            {"stable": 42, "canary": 43},
        ),
        ModelConfig("all", Path("/m"), VersionPolicy(latest=None)),
        ModelConfig("two", Path("/m"), VersionPolicy(latest=2)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list { conf", "Invalid protobuf file: '.*config.txt': 1:"),
        ("", "Only ModelConfigList is currently supported"),
        (
            "model_config_list { config { name: 'm' model_platform: 'torch' } }",
            "Model m has the platform 'torch'",
        ),
        (
            "model_config_list { config { model_version_policy { specific {} } } }",
            "must name versions",
        ),
        ("model_config_list { config { name: 'm' } }", "Model m has no base path"),
        (
            "custom_model_config {" + 2000 * "[type.googleapis.com/google.protobuf.Any] {",
            "nested too deeply",
        ),
    ],
)
def test_wrong_model_config_files(tmp_path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_model_config(write(tmp_path, text))
    with pytest.raises(InputError, match="Cannot read the configuration file"):
        read_model_config(tmp_path / "missing")


def test_batching_parameters(tmp_path) -> None:
    text = """
        max_batch_size { value: 128 }
        batch_timeout_micros { value: 0 }
        max_enqueued_batches { value: 1000000 }
        num_batch_threads { value: 8 }
        thread_pool_name { value: 'shared' }
        allowed_batch_sizes: 32
        allowed_batch_sizes: 128
        pad_variable_length_inputs: true
    """
    parameters = read_batching_parameters(write(tmp_path, text))
    assert parameters.max_batch_size.value == 128
    assert parameters.HasField("batch_timeout_micros")
    assert list(parameters.allowed_batch_sizes) == [32, 128]
    assert parameters.pad_variable_length_inputs


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true, path: "/m" }', "/m"),
        ("", None),
    ],
)
def test_the_monitoring_config_names_the_metrics_path(tmp_path, text, path) -> None:
    assert read_metrics_path(write(tmp_path, text)) == path


def test_the_ssl_config_holds_pem_texts(tmp_path) -> None:
    config = read_ssl_config(write(tmp_path, 'server_key: "key\\n" client_verify: true'))
    assert (config.server_key, config.client_verify) == ("key\n", True)
