"""`tf.Example`s with a context."""

import pytest
import tensorflow as tf
from tensorflow_serving.apis import input_pb2

from lsp_keras.serving.codecs.tf_examples import copied_bytes, serialized_examples


def example(name: str, size: int) -> tf.train.Example:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a" * size]))
    return tf.train.Example(features=tf.train.Features(feature={name: feature}))


@pytest.mark.parametrize("context", [None, example("c", 0), example("c", 300)])
@pytest.mark.parametrize("sizes", [[], [5], [0, 7, 1000]])
def test_the_copies_of_a_context_are_told_before_they_are_made(context, sizes: list[int]) -> None:
    message, plain = input_pb2.Input(), input_pb2.Input()
    for size in sizes:
        message.example_list_with_context.examples.add().CopyFrom(example("e", size))
        plain.example_list.examples.add().CopyFrom(example("e", size))
    message.example_list_with_context.context.CopyFrom(context or tf.train.Example())
    assert copied_bytes(plain) == copied_bytes(input_pb2.Input()) == 0
    expected = total(message) - total(plain) if sizes else 0
    assert copied_bytes(message) == expected


def total(message: input_pb2.Input) -> int:
    return sum(len(serialized) for serialized in serialized_examples(message))
