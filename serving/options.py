"""How a server is to run."""

import os
import re
import resource
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from lsp_keras.serving.execution.batching import BatchingOptions
from lsp_keras.serving.models.config_files import DEFAULT_METRICS_PATH
from lsp_keras.serving.models.servable import TAGS
from lsp_keras.serving.rest.handlers import MAX_BODY_BYTES
from lsp_keras.validation import InputError, check_positive, shown

MAX_GRPC_BYTES = 64 << 20
DEFAULT_CONNECTIONS = 4096
# For models, logs, libraries and connections that are being accepted or closed.
_OTHER_FILES = 192
_MANY_FILES = 1 << 20
# gRPC keeps its options as int32.
_LARGEST_OPTION = 2**31 - 1
_LARGEST_PORT = 2**16 - 1
# What a route can be made of and a client can ask for as it is written.
_METRICS_PATH = re.compile(r"/[^\s{}?#%]*")
_POSITIVE = (
    "rest_timeout",
    "num_threads",
    "max_pending",
    "max_request_bytes",
    "max_memory_bytes",
    "header_seconds",
    "max_header_bytes",
)


@dataclass(frozen=True)
class TLSOptions:
    """Certificates, as PEM.

    Attributes:
        key: The server's private key.
        certificate: The server's certificate chain.
        client_authority: Authority that clients' certificates must be signed by, if any.
    """

    key: bytes
    certificate: bytes
    client_authority: bytes | None = None


@dataclass(frozen=True)
class LoadOptions:
    """How models are loaded.

    Attributes:
        tags: Tags of the graph in a SavedModel.
        max_retries: Number of times that a version which will not load is tried again.
        retry_seconds: Seconds between two tries.
        warmup: Whether to run the requests stored with a model.
        warmup_iterations: How often each.
        intra_op_threads: Threads within an operation; 0 lets TensorFlow choose.
        inter_op_threads: Operations that run at once; 0 lets TensorFlow choose.
        gpu_memory_fraction: Share of each GPU's memory, taken at once; 0 takes it as needed.
        allow_labels_for_unavailable: Whether labels are accepted on versions that are not
            available.
    """

    tags: tuple[str, ...] = TAGS
    max_retries: int = 5
    retry_seconds: float = 60.0
    warmup: bool = True
    warmup_iterations: int = 1
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    gpu_memory_fraction: float = 0.0
    allow_labels_for_unavailable: bool = False

    def session_config(self) -> Any:
        """The same for TensorFlow."""
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=self.intra_op_threads,
            inter_op_parallelism_threads=self.inter_op_threads,
        )
        config.gpu_options.allow_growth = not self.gpu_memory_fraction
        config.gpu_options.per_process_gpu_memory_fraction = self.gpu_memory_fraction
        return config


@dataclass(frozen=True)
class ServerOptions:
    """Ports, limits and times of a server.

    Attributes:
        host: Address to listen on; loopback unless said otherwise.
        grpc_port: Port of gRPC, 0 for any free port, `None` for no gRPC.
        rest_port: Port of REST, 0 for any free port, `None` for no REST.
        rest_timeout: Seconds for a REST request, and for the message of a gRPC request to arrive.
        cors: Whether pages of other sites may call the REST API.
        page: Whether to show a web page at `/`.
        metrics_path: Where Prometheus reads; `None` for no metrics.
        health: Whether to answer gRPC health checks.
        log_requests: Whether to log each request.
        max_request_bytes: Largest REST body, before and after it is inflated.
        max_grpc_bytes: Largest gRPC message; -1 for gRPC's own limit of 2 GB.
        max_memory_bytes: Memory that requests may take together while they are read and
            decoded, by an estimate.
        max_connections: Connections of REST and of gRPC, each; 0 for as many as the process may
            open files for, `DEFAULT_CONNECTIONS` at most.
        header_seconds: Seconds for the head of a REST request, and for handshakes.
        max_header_bytes: Largest head of a REST request.
        num_threads: Model calls that run at once.
        max_pending: Model calls that run or wait; more are refused.
        drain_seconds: Seconds for requests that run when the server stops.
        poll_seconds: Seconds between looks for new versions; 0 for none after the start.
        token: What clients must send as bearer token, if anything.
        tls: Certificates for gRPC and REST.
        grpc_tls: Certificates for gRPC alone, if they differ.
        batching: How to batch, if at all.
        load: How models are loaded.
    """

    host: str = "127.0.0.1"
    grpc_port: int | None = 8500
    rest_port: int | None = 8501
    rest_timeout: float = 30.0
    cors: bool = False
    page: bool = True
    metrics_path: str | None = DEFAULT_METRICS_PATH
    health: bool = True
    log_requests: bool = False
    max_request_bytes: int = MAX_BODY_BYTES
    max_grpc_bytes: int = MAX_GRPC_BYTES
    max_memory_bytes: int = 1 << 30
    max_connections: int = 0
    header_seconds: float = 10.0
    max_header_bytes: int = 64 * 1024
    num_threads: int = 2 * (os.cpu_count() or 1)
    max_pending: int = 1024
    drain_seconds: float = 30.0
    poll_seconds: float = 1.0
    token: str | None = None
    tls: TLSOptions | None = None
    grpc_tls: TLSOptions | None = None
    batching: BatchingOptions | None = None
    load: LoadOptions = field(default_factory=LoadOptions)

    def __post_init__(self) -> None:
        if self.grpc_port is None and self.rest_port is None:
            raise InputError("At least one of gRPC and REST needs a port.")
        if self.grpc_port == self.rest_port and self.rest_port != 0:
            raise InputError(
                f"gRPC and REST need different ports. Received: {self.rest_port} for both."
            )
        for name in _POSITIVE:
            check_positive(name, getattr(self, name))
        for name in ("max_connections", "drain_seconds"):
            check_positive(name, getattr(self, name), allow_zero=True)
        self._check_ranges()
        if self.max_connections > possible_connections():
            raise InputError(
                f"`max_connections` may be {possible_connections()} at most, for the process may "
                f"open {_file_limit()} files. Received: {self.max_connections}. Raise the limit "
                "with `ulimit -n`."
            )

    def _check_ranges(self) -> None:
        for name in ("grpc_port", "rest_port"):
            if not 0 <= (getattr(self, name) or 0) <= _LARGEST_PORT:
                raise InputError(
                    f"`{name}` must be from 0 to {_LARGEST_PORT}. Received: {getattr(self, name)}."
                )
        if self.max_grpc_bytes != -1 and not 1 <= self.max_grpc_bytes <= _LARGEST_OPTION:
            raise InputError(
                f"`max_grpc_bytes` must be -1 or from 1 to {_LARGEST_OPTION}. "
                f"Received: {self.max_grpc_bytes}."
            )
        if round(1000 * self.header_seconds) > _LARGEST_OPTION:
            raise InputError(
                f"`header_seconds` must be less than {_LARGEST_OPTION // 1000}. "
                f"Received: {self.header_seconds:g}."
            )
        if self.metrics_path is not None and not _METRICS_PATH.fullmatch(self.metrics_path):
            raise InputError(
                "`metrics_path`, the `path` of a monitoring config, must begin with / and hold no "
                f"spaces and none of {{}}?#%. Received: {shown(self.metrics_path)}."
            )

    def connections(self) -> int:
        """Connections of REST and of gRPC, each."""
        return self.max_connections or min(DEFAULT_CONNECTIONS, possible_connections())


def possible_connections() -> int:
    """How many connections both REST and gRPC may have within the process's limit of files."""
    return max(1, (_file_limit() - _OTHER_FILES) // 2)


def _file_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY_FILES if soft == resource.RLIM_INFINITY else soft
