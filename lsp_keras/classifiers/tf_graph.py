"""A TensorFlow function without its closing softmax or sigmoid."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from lsp_keras.classifiers.answers import OPERATIONS, kind_of

_PASSING = ("Identity", "Cast", "Squeeze", "Reshape", "StopGradient")
# They live in this process, not in the graph, or answer differently at each call.
_UNMOVABLE = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
_LAST = -1


def without_ending(
    function: Callable[[tf.Tensor], tf.Tensor], shape: tuple[int, ...]
) -> tuple[Callable[[tf.Tensor], tf.Tensor], str] | None:
    """The function up to the activation it ends with, on the weights of this moment.

    Args:
        function: Function of float32 images that returns answers `(batch, k)`.
        shape: Shape of an image, `(height, width, channels)`.

    Returns:
        The function of images that returns what the activation is given, and the kind of
        answers it made of it; `None` where the graph does not end so.
    """
    spec = tf.TensorSpec([None, *shape], tf.float32)
    try:
        concrete = tf.function(function, autograph=False).get_concrete_function(spec)
        frozen = convert_variables_to_constants_v2(concrete, aggressive_inlining=True)
    except (tf.errors.OpError, ValueError, TypeError, NotImplementedError, AttributeError):
        return None
    operations = frozen.graph.get_operations()
    if any(operation.type in _UNMOVABLE for operation in operations):
        return None
    ending = frozen.outputs[0].op
    while ending.type in _PASSING:
        ending = ending.inputs[0].op
    if ending.type not in OPERATIONS or len(frozen.inputs) != 1:
        return None
    definition, source, target = (
        frozen.graph.as_graph_def(),
        frozen.inputs[0].name,
        ending.inputs[0].name,
    )

    def before(images: tf.Tensor) -> tf.Tensor:
        (found,) = tf.graph_util.import_graph_def(
            definition, input_map={source: images}, return_elements=[target], name=""
        )
        return found

    width = concrete.outputs[0].shape[_LAST]

    def rows(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.reshape(before(images), [-1, width]), tf.float32)

    compiled: Any = tf.function(rows, autograph=False, input_signature=[spec])
    return compiled, kind_of(OPERATIONS[ending.type])
