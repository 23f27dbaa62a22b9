import keras
import numpy as np

from lsp_keras.evaluation.profile.layers import kernel_layers
from lsp_keras.models import preact_resnet18, resnet18


def test_a_resnet_has_all_its_convolutions_with_their_batch_norms() -> None:
    model = resnet18(3, width=1, input_shape=(16, 16, 3), mean=[0.5] * 3, std=[0.2] * 3)
    layers = kernel_layers(model)
    kinds = [type(item.layer).__name__ for item in layers]
    # Stem, 8 blocks of 2, 3 shortcuts.
    assert kinds == ["Conv2D"] * 20 + ["Dense"]
    assert all(item.batch_norm is not None for item in layers[:-1])
    assert len({item.batch_norm_name for item in layers[:-1]}) == 20
    assert layers[-1].name == "logits"
    assert layers[-1].batch_norm is None


def test_batch_norm_in_front_of_a_convolution_is_not_folded_into_it() -> None:
    model = preact_resnet18(3, width=1, input_shape=(16, 16, 3), mean=[0.5] * 3, std=[0.2] * 3)
    folded = [item.batch_norm_name for item in kernel_layers(model) if item.batch_norm]
    # The second batch norm of each block follows its first convolution alone.
    assert len(folded) == 8


def test_the_folded_kernel_computes_both() -> None:
    conv, norm = keras.layers.Conv2D(2, 1, use_bias=False), keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((3, 3, 2)), conv, norm])
    generator = np.random.default_rng(0)
    conv.set_weights([generator.normal(size=(1, 1, 2, 2))])
    norm.set_weights([generator.uniform(0.5, 2.0, 2) for _ in range(4)])
    (item,) = kernel_layers(model)
    first, second = generator.uniform(size=(2, 1, 3, 3, 2))
    difference = np.asarray(model(first)) - np.asarray(model(second))
    expected = (first - second) @ item.folded_kernel[0, 0]
    np.testing.assert_allclose(difference, expected, atol=1e-5)


def test_layers_of_a_nested_model_and_other_layers_are_left_out() -> None:
    inner = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1)])
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            inner,
            keras.layers.Flatten(),
            keras.layers.Dense(3, "relu", name="hidden"),
            keras.layers.Dense(2, name="last"),
        ]
    )
    assert [item.name for item in kernel_layers(model)] == ["hidden", "last"]
