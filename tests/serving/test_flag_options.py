"""From TensorFlow Serving's flags to options, and configuration files that change."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lsp_keras.ops.image_files.decoding import MAX_PIXELS, MAX_TRANSPARENT_PIXELS
from lsp_keras.serving.codecs import tensor_proto
from lsp_keras.serving.codecs.gzip_body import MAX_MEMBERS, MAX_RATIO
from lsp_keras.serving.codecs.tf_examples import MAX_COPIED_BYTES
from lsp_keras.serving.codecs.wire import MAX_FIELDS
from lsp_keras.serving.errors import MAX_MESSAGE_LENGTH, MAX_REST_MESSAGE_LENGTH
from lsp_keras.serving.execution.batching import MAX_PADDING_BYTES, BatchingOptions
from lsp_keras.serving.flag_options import models, server_options
from lsp_keras.serving.flags import FLAGS
from lsp_keras.serving.models.config_files import LONGEST_FILE
from lsp_keras.serving.models.config_watcher import ConfigWatcher
from lsp_keras.serving.models.manager import ModelManager
from lsp_keras.serving.models.servable import TIMEOUTS_MS
from lsp_keras.serving.models.served_model import LoadPolicy
from lsp_keras.serving.models.versions import LARGEST_VERSION, ModelConfig
from lsp_keras.serving.options import DEFAULT_CONNECTIONS, ServerOptions, possible_connections
from lsp_keras.serving.rest.protocol import ConnectionLimits
from lsp_keras.serving.services.warmup import MAX_RECORDS
from lsp_keras.validation import InputError


def flags(**given: Any) -> dict[str, Any]:
    return {flag.name: flag.default for flag in FLAGS} | given


def test_the_defaults_of_flags_are_those_of_the_options() -> None:
    assert server_options(flags()) == ServerOptions()


def test_flags_in_upstreams_units(tmp_path) -> None:
    batching = tmp_path / "batching.config"
    batching.write_text("max_batch_size { value: 4 }")
    token = tmp_path / "token"
    token.write_text("secret\n")
    given = flags(
        port=0,
        rest_api_timeout_in_ms=1500,
        load_retries_interval_micros=2_000_000,
        saved_model_tags="serve,gpu",
        enable_batching=True,
        batching_parameters_file=batching,
        token_file=token,
    )
    options = server_options(given)
    assert (options.grpc_port, options.rest_timeout) == (None, 1.5)
    assert (options.load.retry_seconds, options.load.tags) == (2.0, ("serve", "gpu"))
    assert options.batching == BatchingOptions(max_batch_size=4)
    assert options.token == "secret"


@pytest.mark.parametrize("contents", ["Größe", "two words", "a\x00b", "a\x7fb", "one\ntwo"])
def test_a_token_that_not_every_client_can_send_is_refused(tmp_path, contents: str) -> None:
    token = tmp_path / "token"
    token.write_text(contents)
    with pytest.raises(InputError, match="one word of visible ASCII characters"):
        server_options(flags(token_file=token))


@pytest.mark.parametrize(("mode", "is_said"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_token_file_that_others_can_read_is_said(tmp_path, caplog, mode, is_said) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(mode)
    assert server_options(flags(token_file=token)).token == "secret"
    assert ("others can read the token file" in caplog.text) == is_said


def test_more_connections_than_files_are_refused() -> None:
    possible = possible_connections()
    assert ServerOptions(max_connections=possible).connections() == possible
    assert ServerOptions().connections() == min(DEFAULT_CONNECTIONS, possible)
    with pytest.raises(InputError, match=f"`max_connections` may be {possible} at most"):
        ServerOptions(max_connections=possible + 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batching_parameters_file": Path("b")}, "needs --enable_batching"),
        ({"tls_key": Path("k")}, "--tls_key and --tls_cert need each other"),
        ({"token_file": Path("nowhere")}, "--token_file: cannot read nowhere"),
        ({"port": 0, "rest_api_port": 0}, "needs a port"),
    ],
)
def test_flags_that_contradict_each_other(given, message) -> None:
    with pytest.raises(InputError, match=message):
        server_options(flags(**given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": 70_000}, "`grpc_port` must be from 0 to 65535. Received: 70000"),
        ({"rest_api_port": -1}, "`rest_port` must be from 0 to 65535"),
        ({"max_grpc_bytes": 2**31}, "`max_grpc_bytes` must be -1 or from 1 to 2147483647"),
        ({"max_grpc_bytes": 0}, "`max_grpc_bytes` must be -1 or from 1 to 2147483647"),
        ({"max_connections": -1}, "`max_connections` must be zero or more"),
        ({"header_timeout_in_ms": 2**31}, "`header_seconds` must be less than 2147483"),
        ({"drain_seconds": float("nan")}, "`drain_seconds` must be zero or more"),
    ],
)
def test_numbers_that_no_server_starts_with(given, message) -> None:
    with pytest.raises(InputError, match=message):
        server_options(flags(**given))


@pytest.mark.parametrize(
    "path", ["metrics", "", "/a b", "/{name}", "/{a:b}", "/a?b", "/a#b", "/%41", "/a\n"]
)
def test_a_path_of_the_metrics_that_no_url_has_is_refused(tmp_path, path: str) -> None:
    with pytest.raises(InputError, match="must begin with / and hold no spaces"):
        ServerOptions(metrics_path=path)
    file = tmp_path / "monitoring.config"
    written = path.replace("\n", "\\n")
    file.write_text(f'prometheus_config {{ enable: true path: "{written}" }}')
    if path:
        with pytest.raises(InputError, match="must begin with / and hold no spaces"):
            server_options(flags(monitoring_config_file=file))


def test_models_come_from_a_file_or_a_folder(tmp_path) -> None:
    (config,) = models(flags(model_base_path=tmp_path / "svhn"))
    assert (config.name, config.base_path) == ("svhn", tmp_path / "svhn")
    file = tmp_path / "models.config"
    file.write_text('model_config_list { config { name: "m" base_path: "/m" } }')
    (config,) = models(flags(model_config_file=file))
    assert (config.name, config.base_path) == ("m", Path("/m"))
    with pytest.raises(InputError, match="Name a model's folder"):
        models(flags())


class FakeServable:
    """Stands for a loaded folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def close(self) -> None:
        pass


def test_a_changed_configuration_file_is_applied_and_a_wrong_one_is_not(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "1").mkdir(parents=True)
    file = tmp_path / "models.config"

    def write(name: str) -> None:
        text = f'model_config_list {{ config {{ name: "{name}" base_path: "{tmp_path / name}" }} }}'
        file.write_text(text)

    write("a")
    manager = ModelManager(LoadPolicy(FakeServable))  # type: ignore[arg-type]
    manager.configure(models(flags(model_config_file=file)))
    watcher = ConfigWatcher(file, manager, 0.01)
    watcher.start()
    write("b")
    for _ in range(500):
        if manager.models() == {"b": [1]}:
            break
        time.sleep(0.01)
    file.write_text("no configuration")
    time.sleep(0.1)
    shutil.rmtree(tmp_path / "a")
    write("a")
    time.sleep(0.1)
    watcher.stop()
    assert manager.models() == {"b": [1]}


class Forgetful(ModelManager):
    """A manager with a fault that nobody foresaw."""

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        if any(config.name == "unforeseen" for config in configs):
            raise TypeError("nobody thought of this")
        super().configure(configs)


@pytest.mark.parametrize(
    "wrong", ['name: "a" base_path: "/a\\000b"', 'name: "unforeseen" base_path: "/m"', "]"]
)
def test_whatever_is_wrong_with_a_configuration_the_next_one_is_applied(
    tmp_path, caplog, wrong: str
) -> None:
    file = tmp_path / "models.config"

    def write(config: str) -> None:
        file.write_text(f"model_config_list {{ config {{ {config} }} }}")

    def wait_for(models: dict[str, list[int]]) -> None:
        for _ in range(500):
            if manager.models() == models:
                return
            time.sleep(0.01)
        pytest.fail(f"{models} are not served within five seconds")

    (tmp_path / "a/1").mkdir(parents=True)
    write(f'name: "first" base_path: "{tmp_path / "a"}"')
    manager = Forgetful(LoadPolicy(FakeServable))  # type: ignore[arg-type]
    manager.configure(models(flags(model_config_file=file)))
    watcher = ConfigWatcher(file, manager, 0.01)
    watcher.start()
    write(wrong)
    for _ in range(500):
        if "is not applied" in caplog.text:
            break
        time.sleep(0.01)
    assert "is not applied" in caplog.text
    assert manager.models() == {"first": [1]}
    write(f'name: "next" base_path: "{tmp_path / "a"}"')
    wait_for({"next": [1]})
    watcher.stop()


def _listed(seconds: Sequence[int]) -> str:
    return f"the next of {', '.join(map(str, seconds[:-1]))} and {seconds[-1]} s"


def test_the_documentation_gives_every_limit_its_default() -> None:
    text = (Path(__file__).parents[2] / "docs/serving.md").read_text(encoding="utf-8")
    table = text.split("## Limits", 1)[1].split("## Where", 1)[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    shown = {row[1].strip("`-"): row[2] for row in rows if len(row) == 4 and "--" in row[1]}
    limits = {flag.name: str(flag.default) for flag in FLAGS if flag.name in shown}
    assert shown.keys() >= {flag.name for flag in FLAGS if flag.name.startswith("max_")} - {
        "max_num_load_retries"
    }
    shown.pop("", None)
    assert shown == limits
    constants = {
        "gzip: contents per byte": MAX_RATIO,
        "gzip: members": MAX_MEMBERS,
        "depth of JSON lists": "64; 32 with NumPy 1",
        "copies of a context": f"{MAX_COPIED_BYTES} bytes",
        "time for a model's run": _listed([round(limit / 1000) for limit in TIMEOUTS_MS]),
        "what a batch is padded by": f"{MAX_PADDING_BYTES} bytes",
        "tensor that repeats": f"{tensor_proto.MAX_REPEATED_BYTES} bytes",
        "fields of a gRPC message": MAX_FIELDS,
        "dimensions of a gRPC tensor": "64; 32 with NumPy 1",
        "what an empty gRPC tensor spans": f"{tensor_proto.MAX_EMPTY_BYTES} bytes",
        "bytes of a gRPC tensor": tensor_proto.MAX_TENSOR_BYTES,
        "pixels of an image file": f"{MAX_PIXELS}; {MAX_TRANSPARENT_PIXELS} with transparency",
        "bytes of an error": f"{MAX_MESSAGE_LENGTH}; {MAX_REST_MESSAGE_LENGTH} over REST",
        "warm-up requests": MAX_RECORDS,
        "number of a version": LARGEST_VERSION,
        "bytes of a configuration file": LONGEST_FILE,
        "time without progress": f"{ConnectionLimits().idle_seconds:.0f} s",
    }
    for limit, constant in constants.items():
        (default,) = [row[2] for row in rows if row and row[0].startswith(limit)]
        assert default == str(constant)
