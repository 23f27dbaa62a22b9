import keras
import numpy as np
import pytest

from lsp_keras.evaluation.profile.layers import kernel_layers
from lsp_keras.evaluation.profile.singular_values import (
    convolution_singular_values,
    dense_singular_values,
    spectrum,
)


def circular_matrix(kernel, grid, strides=(1, 1), rates=(1, 1)) -> np.ndarray:
    """The convolution's matrix `(outputs, inputs)`, written out entry by entry."""
    height, width, num_inputs, num_outputs = kernel.shape
    rows, columns = grid[0] // strides[0], grid[1] // strides[1]
    matrix = np.zeros((rows, columns, num_outputs, *grid, num_inputs))
    for row, column, i, j in np.ndindex(rows, columns, height, width):
        y = (row * strides[0] + i * rates[0]) % grid[0]
        x = (column * strides[1] + j * rates[1]) % grid[1]
        matrix[row, column, :, y, x, :] += kernel[i, j].T
    return matrix.reshape(rows * columns * num_outputs, -1)


def singular_values(matrix) -> np.ndarray:
    return np.linalg.svd(matrix, compute_uv=False)


@pytest.mark.parametrize(
    ("shape", "grid", "strides"),
    [
        ((3, 3, 2, 4), (6, 5), (1, 1)),
        ((3, 3, 4, 2), (4, 4), (1, 1)),
        ((3, 3, 2, 5), (6, 4), (2, 2)),
        ((3, 3, 2, 3), (6, 4), (3, 2)),
        ((1, 1, 3, 6), (4, 6), (2, 2)),
        ((5, 5, 2, 3), (4, 2), (2, 1)),
        ((3, 3, 2, 2), (1, 1), (1, 1)),
    ],
    ids=str,
)
def test_they_are_those_of_the_dense_matrix(shape, grid, strides) -> None:
    kernel = np.random.default_rng(0).normal(size=shape)
    ours = convolution_singular_values(kernel, grid, strides=strides)
    theirs = singular_values(circular_matrix(kernel, grid, strides))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_groups_are_blocks() -> None:
    kernel = np.random.default_rng(1).normal(size=(3, 3, 2, 6))
    parts = [circular_matrix(part, (4, 4)) for part in np.split(kernel, 2, axis=-1)]
    theirs = np.sort(np.concatenate([singular_values(part) for part in parts]))[::-1]
    ours = convolution_singular_values(kernel, (4, 4), groups=2)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_an_averaging_kernel_keeps_constants_and_removes_alternation() -> None:
    kernel = np.full((1, 2, 1, 1), 0.5)
    values = convolution_singular_values(kernel, (1, 4))
    # |cos(k pi / 4)| for frequencies 0 to 3.
    np.testing.assert_allclose(values, [1.0, np.sqrt(0.5), np.sqrt(0.5), 0.0], atol=1e-12)


def test_dense() -> None:
    np.testing.assert_allclose(dense_singular_values(np.array([[3.0, 0.0], [0.0, -4.0]])), [4, 3])


def one_layer(*layers, shape=(6, 6, 2)) -> keras.Model:
    model = keras.Sequential([keras.Input(shape), *layers])
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.5, 2.0, w.shape) for w in model.get_weights()])
    return model


def test_batch_norm_is_folded_in() -> None:
    model = one_layer(keras.layers.Conv2D(3, 3, use_bias=False), keras.layers.BatchNormalization())
    conv, norm = model.layers
    (item,) = kernel_layers(model)
    found = spectrum(item)
    assert (found.layer, found.batch_norm) == (conv.name, norm.name)
    # "valid" padding: the kernel is applied at 4 x 4 positions.
    assert (found.grid, found.strides) == ((4, 4), (1, 1))
    gamma, variance = (np.asarray(value, float) for value in (norm.gamma, norm.moving_variance))
    scale = gamma / np.sqrt(variance + norm.epsilon)
    theirs = singular_values(circular_matrix(np.asarray(conv.kernel, float) * scale, (4, 4)))
    np.testing.assert_allclose(found.values, theirs, rtol=1e-9, atol=1e-9)


def test_batch_norm_behind_an_activation_is_not() -> None:
    model = one_layer(
        keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.BatchNormalization()
    )
    assert [item.batch_norm for item in kernel_layers(model)] == [None]


def test_batch_norm_on_one_of_two_branches_is_not() -> None:
    images = keras.Input((4, 4, 2))
    shared = keras.layers.Conv2D(3, 1)(images)
    outputs = keras.layers.Add()([keras.layers.BatchNormalization()(shared), shared])
    assert [item.batch_norm for item in kernel_layers(keras.Model(images, outputs))] == [None]


def test_a_strided_layer_counts_the_grid_it_covers() -> None:
    model = one_layer(keras.layers.Conv2D(4, 3, strides=2, padding="same"))
    (item,) = kernel_layers(model)
    found = spectrum(item)
    assert (found.grid, found.strides) == ((6, 6), (2, 2))
    kernel = np.asarray(item.layer.kernel, float)
    theirs = singular_values(circular_matrix(kernel, (6, 6), (2, 2)))
    np.testing.assert_allclose(found.values, theirs, rtol=1e-9, atol=1e-9)


def test_dilated_and_depthwise_layers() -> None:
    dilated = one_layer(keras.layers.Conv2D(2, 2, dilation_rate=2, padding="same"))
    (item,) = kernel_layers(dilated)
    theirs = circular_matrix(np.asarray(item.layer.kernel, float), (6, 6), rates=(2, 2))
    np.testing.assert_allclose(spectrum(item).values, singular_values(theirs), atol=1e-9)
    depthwise = one_layer(keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"))
    (item,) = kernel_layers(depthwise)
    kernel = np.asarray(item.layer.kernel, float)
    parts = [circular_matrix(kernel[:, :, [channel]], (6, 6)) for channel in range(2)]
    theirs = np.sort(np.concatenate([singular_values(part) for part in parts]))[::-1]
    np.testing.assert_allclose(spectrum(item).values, theirs, atol=1e-9)


def test_the_record() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    model.set_weights([np.diag([3.0, 4.0])])
    record = spectrum(kernel_layers(model)[0]).to_dict()
    assert (record["kind"], record["count"]) == ("dense", 2)
    assert (record["largest"], record["mean"], record["smallest"]) == (4.0, 3.5, 3.0)
    assert record["stable_rank"] == pytest.approx(25 / 16)
    assert (record["quantiles"][0], record["quantiles"][10]) == (3.0, 3.5)


def test_models_without_a_graph_have_no_layers_to_look_at() -> None:
    assert kernel_layers(lambda images: images) == []
