import keras
import numpy as np
import pytest

from lsp_keras.models import resnet18


def test_parameters_of_a_hand_count_at_width_1() -> None:
    convolutions = 27 + 4 * 9 + (9 * 2 + 3 * 9 * 4 + 2) + (9 * 8 + 3 * 9 * 16 + 8)
    convolutions += 9 * 32 + 3 * 9 * 64 + 32
    batch_norms = 2 * (5 * 1 + 5 * 2 + 5 * 4 + 5 * 8)
    model = resnet18(3, input_shape=(16, 16, 3), width=1)
    trainable = sum(weight.value.shape.num_elements() for weight in model.trainable_weights)
    assert trainable == convolutions + batch_norms + 8 * 3 + 3


def test_first_convolution_sees_normalized_images() -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)
    model = resnet18(2, input_shape=(16, 16, 3), width=2, mean=mean, std=std)
    images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    inner = keras.Model(model.input, model.get_layer("normalization").output)
    expected = (images - np.asarray(mean)) / np.asarray(std)
    np.testing.assert_allclose(inner(images), expected, rtol=1e-5, atol=1e-6)


def test_strided_convolution_pads_like_pytorch() -> None:
    """The first output of a stride-2 convolution is centered on the first pixel."""
    model = resnet18(2, input_shape=(16, 16, 3), width=2)
    convolution = model.get_layer("stage2_block1_conv1")
    padding = model.get_layer("stage2_block1_conv1_padding")
    inputs = np.random.default_rng(0).normal(size=(1, 6, 6, 2)).astype(np.float32)
    outputs = np.asarray(convolution(padding(inputs)))
    kernel = np.asarray(convolution.kernel)
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for row in range(3):
        for column in range(3):
            patch = padded[0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected = np.einsum("hwc,hwcf->f", patch, kernel)
            np.testing.assert_allclose(outputs[0, row, column], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 16), (25, 25), (16, 41), (33, 16)])
def test_takes_any_size_from_16_up(shape: tuple[int, int]) -> None:
    model = resnet18(2, input_shape=(*shape, 3), width=2)
    last = model.get_layer("stage4_block2_add").output
    assert tuple(last.shape[1:3]) == tuple(-(-side // 8) for side in shape)
