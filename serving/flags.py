"""The server's command-line flags; importing this imports no TensorFlow.

Names, meanings and defaults of upstream flags are those of `tensorflow_model_server`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Kind = type[int] | type[float] | type[bool] | type[str] | type[Path]


@dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        name: Name with underscores, as TensorFlow Serving spells flags.
        kind: Kind of the flag's value.
        default: Where it is left out.
        help: Help text, one line.
        upstream: Whether `tensorflow_model_server` has it too.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    upstream: bool = True


UPSTREAM_FLAGS = [
    Flag("port", int, 8500, "Port for gRPC; 0: none."),
    Flag("rest_api_port", int, 8501, "Port for REST; 0: none."),
    Flag("rest_api_timeout_in_ms", int, 30000, "Time limit of a REST request."),
    Flag("rest_api_num_threads", int, 0, "Model calls that run at once; 0: by CPU count."),
    Flag("rest_api_enable_cors_support", bool, False, "Let pages of other sites call REST."),
    Flag("model_name", str, "", "Name in URLs; default: the folder's name."),
    Flag(
        "model_base_path", Path, None, "Folder of the model, as TensorFlow Serving's flag says it."
    ),
    Flag(
        "model_config_file", Path, None, "File with several models, as text of ModelServerConfig."
    ),
    Flag(
        "model_config_file_poll_wait_seconds",
        int,
        0,
        "Seconds between two readings of the config file; 0: never read again.",
    ),
    Flag(
        "file_system_poll_wait_seconds",
        int,
        1,
        "Seconds between two looks for versions; 0: at start only.",
    ),
    Flag(
        "allow_version_labels_for_unavailable_models",
        bool,
        False,
        "Accept labels of versions that are not served.",
    ),
    Flag(
        "max_num_load_retries",
        int,
        5,
        "Number of times that a version which will not load is tried again.",
    ),
    Flag(
        "load_retries_interval_micros",
        int,
        60_000_000,
        "Microseconds between two tries to load a version.",
    ),
    Flag("saved_model_tags", str, "serve", "Comma-separated tags of the graph to load."),
    Flag("enable_model_warmup", bool, True, "Run the requests stored with a model."),
    Flag(
        "num_request_iterations_for_warmup",
        int,
        1,
        "Number of times that each stored request is run.",
    ),
    Flag("enable_batching", bool, False, "Put rows of several requests into one call."),
    Flag("batching_parameters_file", Path, None, "File with the text of BatchingParameters."),
    Flag("monitoring_config_file", Path, None, "File with the text of MonitoringConfig."),
    Flag("ssl_config_file", Path, None, "File with the text of SSLConfig, for gRPC."),
    Flag("enable_grpc_healthcheck_service", bool, True, "Answer gRPC health checks."),
    Flag("tensorflow_intra_op_parallelism", int, 0, "Threads in an operation; 0: automatic."),
    Flag("tensorflow_inter_op_parallelism", int, 0, "Operations at once; 0: automatic."),
    Flag(
        "per_process_gpu_memory_fraction",
        float,
        0.0,
        "Share of each GPU's memory to take at once; 0: as needed.",
    ),
]
OWN_FLAGS = [
    Flag("host", str, "127.0.0.1", "Address to listen on; 0.0.0.0: all.", upstream=False),
    Flag("page", bool, True, "Show a web page at /.", upstream=False),
    Flag("token_file", Path, None, "File with the token that clients must send.", upstream=False),
    Flag("tls_key", Path, None, "Private key (PEM) for REST and gRPC.", upstream=False),
    Flag("tls_cert", Path, None, "Certificate chain (PEM) for REST and gRPC.", upstream=False),
    Flag("max_request_bytes", int, 100 << 20, "Largest REST body.", upstream=False),
    Flag("max_grpc_bytes", int, 64 << 20, "Largest gRPC message; -1: 2 GB.", upstream=False),
    Flag("max_memory_bytes", int, 1 << 30, "Memory for all requests together.", upstream=False),
    Flag(
        "max_connections",
        int,
        0,
        "Most connections of REST and gRPC each; 0: by `ulimit -n`.",
        upstream=False,
    ),
    Flag("max_header_bytes", int, 64 << 10, "Largest head of a REST request.", upstream=False),
    Flag(
        "header_timeout_in_ms",
        int,
        10000,
        "Time for the head of a REST request, and for handshakes.",
        upstream=False,
    ),
    Flag("max_pending", int, 1024, "Most model calls that run or wait.", upstream=False),
    Flag(
        "drain_seconds",
        float,
        30.0,
        "Seconds for running requests when the server stops.",
        upstream=False,
    ),
    Flag("log_requests", bool, False, "Log each request.", upstream=False),
    Flag("log_format", str, "text", "Format of the log: text or json.", upstream=False),
]
FLAGS = UPSTREAM_FLAGS + OWN_FLAGS
