"""From command-line flags to options."""

import logging
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_keras.serving.execution.batching import BatchingOptions
from lsp_keras.serving.models.config_files import (
    DEFAULT_METRICS_PATH,
    LONGEST_FILE,
    read_batching_parameters,
    read_metrics_path,
    read_model_config,
    read_ssl_config,
)
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.options import LoadOptions, ServerOptions, TLSOptions
from lsp_keras.validation import InputError, check_file

logger = logging.getLogger(__name__)
Flags = Mapping[str, Any]


def models(flags: Flags) -> list[ModelConfig]:
    """Models to serve, from `model_config_file` or else `model_base_path`.

    Raises:
        InputError: Neither flag is set, or what it names cannot be served.
    """
    if flags["model_config_file"]:
        return read_model_config(flags["model_config_file"])
    if not flags["model_base_path"]:
        raise InputError("Name a model's folder, or give --model_config_file.")
    base_path = Path(flags["model_base_path"]).resolve()
    return [ModelConfig(flags["model_name"] or base_path.name, base_path)]


def server_options(flags: Flags) -> ServerOptions:
    """Options of the server.

    Raises:
        InputError: A flag has a wrong value, or a file it names is missing.
    """
    threads = (
        {"num_threads": flags["rest_api_num_threads"]} if flags["rest_api_num_threads"] else {}
    )
    return ServerOptions(
        host=flags["host"],
        grpc_port=flags["port"] or None,
        rest_port=flags["rest_api_port"] or None,
        rest_timeout=flags["rest_api_timeout_in_ms"] / 1000,
        cors=flags["rest_api_enable_cors_support"],
        page=flags["page"],
        metrics_path=_metrics_path(flags["monitoring_config_file"]),
        health=flags["enable_grpc_healthcheck_service"],
        log_requests=flags["log_requests"],
        max_request_bytes=flags["max_request_bytes"],
        max_grpc_bytes=flags["max_grpc_bytes"],
        max_memory_bytes=flags["max_memory_bytes"],
        max_connections=flags["max_connections"],
        max_header_bytes=flags["max_header_bytes"],
        header_seconds=flags["header_timeout_in_ms"] / 1000,
        max_pending=flags["max_pending"],
        drain_seconds=flags["drain_seconds"],
        poll_seconds=flags["file_system_poll_wait_seconds"],
        token=_token(flags["token_file"]),
        tls=_tls(flags["tls_key"], flags["tls_cert"]),
        grpc_tls=_grpc_tls(flags["ssl_config_file"]),
        batching=_batching(flags),
        load=_load_options(flags),
        **threads,
    )


def _load_options(flags: Flags) -> LoadOptions:
    return LoadOptions(
        tags=tuple(flags["saved_model_tags"].split(",")),
        max_retries=flags["max_num_load_retries"],
        retry_seconds=flags["load_retries_interval_micros"] / 1e6,
        warmup=flags["enable_model_warmup"],
        warmup_iterations=flags["num_request_iterations_for_warmup"],
        intra_op_threads=flags["tensorflow_intra_op_parallelism"],
        inter_op_threads=flags["tensorflow_inter_op_parallelism"],
        gpu_memory_fraction=flags["per_process_gpu_memory_fraction"],
        allow_labels_for_unavailable=flags["allow_version_labels_for_unavailable_models"],
    )


def _metrics_path(file: Path | None) -> str | None:
    return read_metrics_path(file) if file else DEFAULT_METRICS_PATH


def _batching(flags: Flags) -> BatchingOptions | None:
    file = flags["batching_parameters_file"]
    if not flags["enable_batching"]:
        if file:
            raise InputError("--batching_parameters_file needs --enable_batching.")
        return None
    return BatchingOptions.from_proto(read_batching_parameters(file)) if file else BatchingOptions()


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    contents = _read(file, "token_file").strip()
    if not contents:
        raise InputError(f"The token file {file} is empty.")
    # Nothing else can be sent in a header that every client writes alike.
    if not all(0x21 <= byte <= 0x7E for byte in contents):
        raise InputError(f"The token file {file} must hold one word of visible ASCII characters.")
    if file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        logger.warning("others can read the token file %s; `chmod 600` it", file)
    return contents.decode("ascii")


def _tls(key: Path | None, certificate: Path | None) -> TLSOptions | None:
    if key is None and certificate is None:
        return None
    if key is None or certificate is None:
        raise InputError("--tls_key and --tls_cert need each other.")
    return TLSOptions(_read(key, "tls_key"), _read(certificate, "tls_cert"))


def _grpc_tls(file: Path | None) -> TLSOptions | None:
    if file is None:
        return None
    config = read_ssl_config(file)
    authority = config.custom_ca.encode() if config.client_verify else None
    return TLSOptions(config.server_key.encode(), config.server_cert.encode(), authority)


def _read(file: Path, flag: str) -> bytes:
    check_file(file, LONGEST_FILE)
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"--{flag}: cannot read {file}: {error.strerror}.") from error
