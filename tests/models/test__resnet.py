import numpy as np
import pytest

from lsp_keras.models.preact_resnet18 import preact_resnet18
from lsp_keras.models.resnet14 import resnet14
from lsp_keras.models.resnet18 import resnet18
from lsp_keras.models.resnet34 import resnet34
from lsp_keras.models.wide_resnet import wide_resnet
from lsp_keras.validation import InputError


def test_convolutions_start_with_the_variance_of_he() -> None:
    kernel = np.asarray(resnet18(10, width=32).get_layer("stage4_block2_conv1").kernel)
    assert kernel.var() == pytest.approx(2 / (9 * 256), rel=0.02)


def test_pytorchs_initialization_is_uniform_with_a_third_of_one_over_fan_in() -> None:
    """torch.nn.Conv2d and Linear: kaiming_uniform_(a=sqrt(5)), bias within 1 / sqrt(fan_in)."""
    model = resnet18(1000, width=32, initialization="pytorch")
    kernel = np.asarray(model.get_layer("stage4_block2_conv1").kernel)
    bound = (9 * 256) ** -0.5
    assert np.abs(kernel).max() == pytest.approx(bound, rel=1e-3)
    assert kernel.var() == pytest.approx(bound**2 / 3, rel=0.01)
    dense = model.get_layer("logits")
    for weights in (np.asarray(dense.kernel), np.asarray(dense.bias)):
        assert np.abs(weights).max() == pytest.approx(256**-0.5, rel=0.01)
        assert weights.var() == pytest.approx(1 / (3 * 256), rel=0.1)
    again = resnet18(1000, width=32, initialization="pytorch")
    np.testing.assert_array_equal(dense.bias, again.get_layer("logits").bias)


@pytest.mark.parametrize("build", [resnet18, resnet34, preact_resnet18, wide_resnet])
def test_images_are_taken_as_they_are_without_normalization(build) -> None:
    options = {"input_shape": (16, 16, 3), "width": 2, "mean": (0.3,), "std": (0.2,)}
    plain, normalized = (build(10, **options, normalize=value) for value in (False, True))
    plain.set_weights(normalized.get_weights()[: len(plain.get_weights())])
    images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    scaled = (images - 0.3) / 0.2
    np.testing.assert_allclose(plain(scaled), normalized(images), rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(plain(images)) - np.asarray(normalized(images))).max() > 1e-3


def test_layers_of_equal_shape_start_unequal() -> None:
    model = resnet18(10, width=2, input_shape=(16, 16, 3))
    first, second = (model.get_layer(f"stage1_block{index}_conv1").kernel for index in (1, 2))
    assert np.abs(np.asarray(first) - np.asarray(second)).max() > 0.1


@pytest.mark.parametrize(
    ("build", "stem", "size"),
    [
        (resnet14, "auto", 16),
        (resnet14, "small", 32),
        (resnet14, "imagenet", 8),
        (resnet18, "auto", 32),
        (resnet18, "half", 16),
        (preact_resnet18, None, 32),
    ],
)
def test_a_stem_sets_the_size_of_the_first_stage(build, stem: str | None, size: int) -> None:
    model = build(10, width=2, **({} if stem is None else {"stem": stem}))
    assert model.get_layer("stage1_block1_conv2").output.shape == (None, size, size, 2)


def test_large_images_get_the_stem_of_imagenet() -> None:
    for build in (resnet14, resnet18):
        model = build(10, width=2, input_shape=(96, 96, 3))
        assert model.get_layer("stage1_block1_conv2").output.shape == (None, 24, 24, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (8, 8, 3)}, r"16 pixels or more in .* Received: input_shape=\(8, 8"),
        ({"input_shape": (15, 32, 3)}, "Resize the images first"),
        ({"mean": (0.5, 0.5)}, "one value for each of the 3 channels"),
        ({"std": (0.5, 0.0, 0.5)}, "`std` must be greater than zero"),
        ({"width": 0}, "`width` must be greater than zero"),
        ({"initialization": "pytorh"}, "`initialization` must be one .* Did you mean 'pytorch'"),
    ],
)
def test_refuses_what_it_cannot_build(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resnet18(10, **options)  # type: ignore[arg-type]
