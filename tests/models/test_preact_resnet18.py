import keras
import numpy as np

from lsp_keras.models import preact_resnet18


def test_shortcut_of_a_strided_block_starts_after_its_activation() -> None:
    model = preact_resnet18(2, input_shape=(16, 16, 3), width=2)
    shortcut = model.get_layer("stage2_block1_shortcut_conv")
    assert shortcut.input is model.get_layer("stage2_block1_activation1").output


def test_block_without_stride_adds_its_own_input() -> None:
    model = preact_resnet18(2, input_shape=(16, 16, 3), width=2)
    first, second = model.get_layer("stage1_block2_add").input
    assert second is model.get_layer("stage1_block1_add").output
    assert first is model.get_layer("stage1_block2_conv2").output


def test_features_are_the_mean_of_normalized_activated_maps() -> None:
    model = preact_resnet18(2, input_shape=(16, 16, 3), width=2)
    parts = keras.Model(
        model.input,
        [model.get_layer("stage4_block2_add").output, model.get_layer("features").output],
    )
    maps, features = parts(np.random.default_rng(0).random((3, 16, 16, 3), dtype=np.float32))
    # Fresh moving averages are 0 and 1.
    expected = np.maximum(np.asarray(maps) / np.sqrt(1 + 1e-5), 0).mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
