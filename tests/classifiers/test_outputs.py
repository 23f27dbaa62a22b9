import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import inference_logits
from lsp_keras.classifiers.outputs import find_logits
from lsp_keras.validation import InputError

IMAGES = np.random.default_rng(0).random((6, 4, 4, 1), dtype=np.float32)
# So large that the softmax of it is exactly 0 and 1 in float32.
SCALE = 500.0


def features() -> tuple:
    inputs = keras.Input((4, 4, 1))
    return inputs, keras.layers.Flatten()(inputs)


def with_fused_softmax(kernel):
    inputs, flat = features()
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(flat))
    model.layers[-1].set_weights([kernel, np.zeros(3)])
    return model


def with_softmax_layer(kernel, layer):
    inputs, flat = features()
    dense = keras.layers.Dense(3)
    model = keras.Model(inputs, layer(dense(flat)))
    dense.set_weights([kernel, np.zeros(3)])
    return model


@pytest.mark.parametrize(
    "build",
    [
        with_fused_softmax,
        lambda kernel: with_softmax_layer(kernel, keras.layers.Softmax()),
        lambda kernel: with_softmax_layer(kernel, keras.layers.Activation("softmax")),
    ],
)
def test_the_logits_before_a_softmax_are_found_exactly(build) -> None:
    kernel = np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32) * SCALE
    outputs = find_logits(build(kernel), IMAGES)
    found = inference_logits(outputs.logits_fn)(tf.constant(IMAGES))
    np.testing.assert_allclose(found, IMAGES.reshape(6, 16) @ kernel, rtol=1e-4, atol=1e-2)
    assert [flag.name for flag in outputs.flags] == ["probability_outputs"]
    assert "used the logits before it" in str(outputs.flags[0])


def test_an_opaque_model_gives_log_probabilities_and_a_warning() -> None:
    kernel = tf.constant(np.random.default_rng(1).normal(size=(16, 3)), tf.float32)

    def probabilities(images):
        return tf.nn.softmax(tf.reshape(images, [-1, 16]) @ kernel)

    outputs = find_logits(probabilities, IMAGES)
    found = inference_logits(outputs.logits_fn)(tf.constant(IMAGES)).numpy()
    expected = IMAGES.reshape(6, 16) @ kernel.numpy()
    differences = found - expected
    np.testing.assert_allclose(differences, differences[:, :1].repeat(3, axis=1), atol=1e-5)
    assert "Saturated probabilities hide gradients" in str(outputs.flags[0])


def test_logits_are_left_alone(contrast_model) -> None:
    outputs = find_logits(contrast_model, IMAGES)
    assert outputs.logits_fn is contrast_model
    assert (outputs.num_classes, outputs.flags) == (2, [])


def test_a_single_output_is_refused() -> None:
    with pytest.raises(InputError, match="at least two classes"):
        find_logits(lambda images: tf.reduce_sum(images, axis=[2, 3])[:, :1], IMAGES)
