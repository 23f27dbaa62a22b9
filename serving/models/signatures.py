"""What a SavedModel's signatures take and give."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.serving.errors import InvalidArgumentError, UnimplementedError

Array = npt.NDArray[Any]
Tensors = dict[str, Array]
DEFAULT_SIGNATURE = "serving_default"
# Most dimensions of an array, by the version of NumPy.
MAX_RANK = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32
# As TensorFlow's C++ code names types in messages, where it differs from the Python name.
_CPP_NAMES = {"float32": "float", "float64": "double", "float16": "half"}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
        tensor_name: Name of the tensor in the graph; empty for sparse and composite tensors.
        dtype: Type of the elements, one of TensorFlow's.
        shape: Shape of the tensor: `None` for an unknown size, or for an unknown rank as a whole.
    """

    tensor_name: str
    dtype: tf.DType
    shape: tuple[int | None, ...] | None

    @classmethod
    def from_proto(cls, info: Any) -> "TensorSpec":
        """From the `TensorInfo` of a SavedModel."""
        shape = None
        if not info.tensor_shape.unknown_rank:
            sizes = (dimension.size for dimension in info.tensor_shape.dim)
            shape = tuple(None if size < 0 else size for size in sizes)
        return cls(info.name, tf.as_dtype(info.dtype), shape)

    @property
    def numpy_dtype(self) -> npt.DTypeLike:
        """NumPy's type for it; strings are objects."""
        return self.dtype.as_numpy_dtype

    @property
    def type_name(self) -> str:
        """As TensorFlow Serving's messages say it, for example `float`."""
        return type_name(self.dtype)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether a tensor of that shape fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            expected in (None, size) for size, expected in zip(shape, self.shape, strict=True)
        )


@dataclass(frozen=True)
class Signature:
    """A function that clients can call."""

    name: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @classmethod
    def from_proto(cls, name: str, proto: Any) -> "Signature":
        """From the `SignatureDef` of a SavedModel."""
        inputs = {key: TensorSpec.from_proto(proto.inputs[key]) for key in sorted(proto.inputs)}
        outputs = {key: TensorSpec.from_proto(proto.outputs[key]) for key in sorted(proto.outputs)}
        return cls(name, proto.method_name, inputs, outputs)

    def check_inputs(self, inputs: Mapping[str, Array]) -> None:
        """Raises unless names, types and shapes are those of the signature.

        Raises:
            InvalidArgumentError: They are not; the message says which and what was expected.
            UnimplementedError: The signature takes sparse or composite tensors.
        """
        self.check_input_names(inputs)
        for name in self.inputs:
            self.check_input(name, dtype_of(inputs[name]), inputs[name].shape)

    def check_input(self, name: str, dtype: tf.DType, shape: tuple[int, ...]) -> None:
        """Raises unless a tensor of that type and shape fits one of the inputs."""
        spec = self.inputs[name]
        if not spec.tensor_name:
            raise UnimplementedError(f"Input {name} is a sparse or composite tensor.")
        if dtype != spec.dtype:
            raise InvalidArgumentError(
                f"Input {name} has type {type_name(dtype)}; the signature expects {spec.type_name}."
            )
        if not spec.accepts(shape):
            raise InvalidArgumentError(
                f"Input {name} has shape {_shape_text(shape)}; the signature "
                f"expects {_shape_text(spec.shape or ())}."
            )

    def check_input_names(self, names: Collection[str]) -> None:
        """Raises `InvalidArgumentError` unless the names are those of the inputs."""
        sent, expected = set(names), set(self.inputs)
        if sent != expected:
            raise InvalidArgumentError(_names_message(sent, expected))

    def check_output_filter(self, names: list[str]) -> None:
        """Raises `InvalidArgumentError` where a name is no output, or there twice."""
        seen: set[str] = set()
        for name in names:
            if name not in self.outputs:
                raise InvalidArgumentError(
                    f"output tensor alias not found in signature: {name} "
                    f"Outputs expected to be in the set {{{_joined(self.outputs)}}}."
                )
            if name in seen:
                raise InvalidArgumentError(f"duplicate output tensor alias: {name}")
            seen.add(name)


def type_name(dtype: tf.DType) -> str:
    """Name of a type as TensorFlow's C++ code writes it."""
    return _CPP_NAMES.get(dtype.name, dtype.name)


def type_name_of(array: Array) -> str:
    """The same for the type of an array."""
    return type_name(dtype_of(array))


def dtype_of(array: Array) -> tf.DType:
    """TensorFlow's type of an array's elements."""
    return tf.string if array.dtype == object else tf.as_dtype(array.dtype)


def as_strings(values: list[bytes], shape: tuple[int, ...]) -> Array:
    """String tensor; NumPy would cut trailing zero bytes if it chose the type itself."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def as_array(value: Any) -> Array:
    """What a session returns, always as an array: a string scalar comes as bytes."""
    if isinstance(value, np.ndarray):
        return value
    return as_strings([value], ()) if isinstance(value, bytes) else np.asarray(value)


def _joined(names: Any) -> str:
    return ",".join(sorted(names))


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"


def _names_message(sent: set[str], expected: set[str]) -> str:
    names = [_joined(part) for part in (sent, expected, sent - expected, expected - sent)]
    return (
        f"input size does not match signature: {len(sent)}!={len(expected)} "
        f"len({{{names[0]}}}) != len({{{names[1]}}}). Sent extra: {{{names[2]}}}. "
        f"Missing but required: {{{names[3]}}}."
    )
