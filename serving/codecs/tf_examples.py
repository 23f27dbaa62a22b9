"""Classification and regression of `tf.Example`s: what goes in and what comes out."""

from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2, regression_pb2

from lsp_keras.serving.errors import (
    InvalidArgumentError,
    UnimplementedError,
)
from lsp_keras.serving.models.signatures import Array, Signature, Tensors, as_strings, type_name_of

INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"
# Copies of a context, one for each example, however small the examples are.
MAX_COPIED_BYTES = 16 << 20


def copied_bytes(proto: Any) -> int:
    """Bytes that the copies of an `Input`'s context take."""
    if proto.WhichOneof("kind") != "example_list_with_context":
        return 0
    with_context = proto.example_list_with_context
    return int(with_context.context.ByteSize()) * len(with_context.examples)


def serialized_examples(proto: Any) -> Array:
    """Each example of an `Input`, serialized, with the context's features merged in.

    Raises:
        InvalidArgumentError: There is no example.
        UnimplementedError: The input has another kind.
    """
    kind = proto.WhichOneof("kind")
    if kind == "example_list":
        examples = [example.SerializeToString() for example in proto.example_list.examples]
    elif kind == "example_list_with_context":
        context = proto.example_list_with_context.context.SerializeToString()
        # Messages merge when their encodings are joined; the example's features win.
        examples = [
            context + example.SerializeToString()
            for example in proto.example_list_with_context.examples
        ]
    elif kind is None:
        examples = []
    else:
        raise UnimplementedError(f"Input with kind {kind} not supported.")
    if not examples:
        raise InvalidArgumentError("Input is empty.")
    return as_strings(examples, (len(examples),))


def check_classify(signature: Signature) -> None:
    """Raises unless the signature maps `inputs` to `classes`, `scores` or both."""
    _check_single_input(signature, "classification")
    if len(signature.outputs) not in (1, 2):
        raise InvalidArgumentError(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    if not {CLASSES, SCORES} & signature.outputs.keys():
        raise InvalidArgumentError(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {signature.name}'
        )


def check_regress(signature: Signature) -> None:
    """Raises unless the signature maps `inputs` to `outputs`."""
    _check_single_input(signature, "regression")
    if len(signature.outputs) != 1:
        raise InvalidArgumentError("Expected one output Tensor.")
    if OUTPUTS not in signature.outputs:
        raise InvalidArgumentError(f"No regression outputs found in SignatureDef: {signature.name}")


def _check_single_input(signature: Signature, task: str) -> None:
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if INPUTS not in signature.inputs:
        raise InvalidArgumentError(f"No {task} inputs found in SignatureDef: {signature.name}")


def classification_result(outputs: Tensors, num_examples: int) -> Any:
    """`ClassificationResult` of the outputs `classes` and `scores`.

    Raises:
        InvalidArgumentError: They have other types or shapes.
    """
    classes, scores = outputs.get(CLASSES), outputs.get(SCORES)
    if classes is not None:
        _check_matrix(CLASSES, classes, "DT_STRING", num_examples)
    if scores is not None:
        _check_matrix(SCORES, scores, "DT_FLOAT", num_examples)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise InvalidArgumentError(
            "Tensors class and score should match in dim_size(1). "
            f"Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = classification_pb2.ClassificationResult()
    for row in range(num_examples):
        entry = result.classifications.add()
        labels = [] if classes is None else classes[row].tolist()
        values = [] if scores is None else scores[row].tolist()
        for column in range(max(len(labels), len(values))):
            added = entry.classes.add()
            if labels:
                added.label = labels[column].decode(errors="replace")
            if values:
                added.score = values[column]
    return result


def regression_result(outputs: Tensors, num_examples: int) -> Any:
    """`RegressionResult` of the output `outputs`.

    Raises:
        InvalidArgumentError: It has another type or shape.
    """
    values = outputs[OUTPUTS]
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise InvalidArgumentError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {list(values.shape)}"
        )
    if len(values) != num_examples:
        raise InvalidArgumentError(
            f"Input batch size did not match output batch size: {num_examples} vs. {len(values)}"
        )
    _check_type("output", values, "DT_FLOAT")
    result = regression_pb2.RegressionResult()
    for value in values.reshape(-1).tolist():
        result.regressions.add(value=value)
    return result


def _check_matrix(name: str, array: Array, expected: str, num_examples: int) -> None:
    if array.ndim != 2:
        raise InvalidArgumentError(
            f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}"
        )
    _check_type(name, array, expected)
    if len(array) != num_examples:
        raise InvalidArgumentError(
            f"Expected {name} output batch size of {num_examples}. Got: {len(array)}"
        )


def _check_type(name: str, array: Array, expected: str) -> None:
    wanted = np.dtype(object if expected == "DT_STRING" else np.float32)
    if array.dtype != wanted:
        raise InvalidArgumentError(
            f"Expected {name} Tensor of {expected}. Got: {type_name_of(array)}"
        )
