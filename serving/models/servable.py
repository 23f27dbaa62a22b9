"""One loaded version of a model."""

import gc
import re
import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

from lsp_keras.serving.errors import InternalError, InvalidArgumentError, from_canonical
from lsp_keras.serving.models.signatures import Signature, Tensors, as_array
from lsp_keras.validation import InputError, check_file

TAGS = ("serve",)
# When runs are cancelled. Few, for each needs a call of its own, which takes as long to make as a
# first request, and twice the memory of all weights that are constants of the graph.
TIMEOUTS_MS = (1 << 10, 1 << 12, 1 << 15, 1 << 20)

# `{{function_node __inference_f_7}}`, `[[{{node g/Assert}}]]`, `[[node g (defined at f.py:1)]]`.
_NODES = re.compile(r"\s{0,4}(?:\[\[(?:\{\{|node )[^\[\]]*\]\]|\{\{(?:function_)?node [^{}]*\}\})")
_ORIGINS = "\nErrors may have originated from an input operation."
# What TensorFlow's loader raises for a SavedModel that is no SavedModel.
_DAMAGED = (DecodeError, OSError, RuntimeError, ValueError, KeyError, TypeError)


class Servable:
    """A SavedModel in a session of its own, as TensorFlow Serving runs it.

    A session runs every SavedModel, of TensorFlow 1 and 2 and of any library, and reports
    errors in the words of TensorFlow's C++ core; calling one costs a tenth of what a
    restored function costs.

    Args:
        path: Version folder, with `saved_model.pb`.
        tags: Tags of the graph to load.
        config: Thread pools and devices, a `tf.compat.v1.ConfigProto`.

    Raises:
        ServingError: It cannot be loaded.
    """

    def __init__(
        self, path: Path, *, tags: Collection[str] = TAGS, config: Any | None = None
    ) -> None:
        self.path = path
        config = _without_fusion(config or config_pb2.ConfigProto())
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        self._calls: dict[tuple[str, int], Any] = {}
        self._calls_lock = threading.Lock()
        try:
            self.signature_protos = self._load(tags)
            self.signatures = _signatures(self.signature_protos)
        except BaseException:
            self.close()
            raise

    def _load(self, tags: Collection[str]) -> dict[str, Any]:
        _check_files(self.path)
        loader = tf.compat.v1.saved_model.loader.load
        try:
            with self._graph.as_default():
                meta_graph = loader(self._session, list(tags), str(self.path))
        except tf.errors.OpError as error:
            raise from_canonical(error.error_code, clean_message(error.message)) from error
        except _DAMAGED as error:
            raise InvalidArgumentError(f"{type(error).__name__}: {error}") from error
        # The loader's own signatures are internal to it.
        protos = meta_graph.signature_def
        return {name: protos[name] for name in sorted(protos) if not name.startswith("__")}

    def run(self, signature: Signature, inputs: Tensors, timeout: float | None = None) -> Tensors:
        """Outputs of a signature.

        Args:
            signature: Signature of this servable.
            inputs: Inputs by name, checked against the signature.
            timeout: Seconds; the run is cancelled at the next of `TIMEOUTS_MS`, if there is one.

        Raises:
            ServingError: What the graph itself reports.
        """
        try:
            # What a damaged signature names may be no tensor of the graph.
            call = self._call(signature, _timeout_ms(timeout))
            values = call(*(inputs[name] for name in signature.inputs))
        except tf.errors.OpError as error:
            raise from_canonical(error.error_code, clean_message(error.message)) from error
        except UnicodeDecodeError as error:
            # The message quotes bytes that a client sent. TensorFlow's bindings do not get to its
            # code then, which is nearly always that the bytes are wrong.
            message = error.object.decode(errors="replace")
            raise InvalidArgumentError(clean_message(message)) from error
        except (RuntimeError, TypeError, ValueError) as error:
            raise InternalError("The model could not be run.") from error
        return {
            name: as_array(value) for name, value in zip(signature.outputs, values, strict=True)
        }

    def _call(self, signature: Signature, timeout_ms: int) -> Any:
        """The compiled call; `make_callable` is public but eight times slower."""
        key = (signature.name, timeout_ms)
        call = self._calls.get(key)
        if call is None:
            options = config_pb2.CallableOptions()
            options.feed.extend(spec.tensor_name for spec in signature.inputs.values())
            options.fetch.extend(spec.tensor_name for spec in signature.outputs.values())
            options.run_options.timeout_in_ms = timeout_ms
            with self._calls_lock:
                call = self._calls.setdefault(
                    key, self._session._make_callable_from_options(options)
                )
        return call

    def close(self) -> None:
        """Frees the session; no call may be running."""
        self._calls.clear()
        self._session.close()
        del self._session, self._graph
        # A TensorFlow graph refers to itself, so that only the collector frees it.
        gc.collect()


def clean_message(message: str) -> str:
    """TensorFlow's message without the names of graph nodes, which mean nothing to clients.

    Example:
        >>> clean_message("{{function_node __inf_7}} x must be positive\\n\\t [[{{node Assert}}]]")
        'x must be positive'
    """
    return _NODES.sub("", message.split(_ORIGINS, 1)[0]).strip()


def _check_files(folder: Path) -> None:
    """Raises where the loader would read for ever: from a pipe or a device in the folder."""
    for path in folder.rglob("*"):
        try:
            check_file(path, sys.maxsize)
        except InputError as error:
            name = path.relative_to(folder)
            raise InvalidArgumentError(f"{name} is no file, but a pipe or a device.") from error


def _signatures(protos: Mapping[str, Any]) -> Mapping[str, Signature]:
    try:
        return {name: Signature.from_proto(name, proto) for name, proto in protos.items()}
    except TypeError as error:
        raise InvalidArgumentError(f"A signature has an unknown type: {error}") from error


def _without_fusion(config: Any) -> Any:
    """The config with operators left as they are where oneDNN would fuse them.

    A convolution that oneDNN fuses with its bias and a sum keeps the sum's place in the operator
    itself (TensorFlow 2.20): two requests at once get each other's answers, or the process dies.
    """
    unfused = config_pb2.ConfigProto()
    unfused.CopyFrom(config)
    if not tf.config.list_physical_devices("GPU"):
        rewrites = unfused.graph_options.rewrite_options
        rewrites.remapping = rewriter_config_pb2.RewriterConfig.OFF
    return unfused


def _timeout_ms(timeout: float | None) -> int:
    """The next of `TIMEOUTS_MS`; 0 for none."""
    if timeout is None:
        return 0
    return next((limit for limit in TIMEOUTS_MS if limit >= 1000 * timeout), 0)
