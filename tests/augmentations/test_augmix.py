"""AugMix: operations and chains against Pillow, then the draws themselves."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from scipy import stats

from lsp_keras.augmentations._augmix_operations import (
    NO_OPERATION,
    OPERATIONS,
    apply_operations,
)
from lsp_keras.augmentations.augmix import AugMix, AugMixDraws
from lsp_keras.datasets import make_batches
from lsp_keras.types import Examples
from lsp_keras.validation import InputError

SIDE = 32
IMAGES = np.random.default_rng(0).integers(0, 256, size=(3, SIDE, SIDE, 3)).astype(np.uint8)
BILINEAR = Image.Resampling.BILINEAR


def reference(name: str, levels: np.ndarray, strength: float, sign: int) -> np.ndarray:
    """One operation as the official code makes it, at a fixed strength and direction."""
    image = Image.fromarray(levels.astype(np.uint8))
    if name in ("autocontrast", "equalize"):
        result = getattr(ImageOps, name)(image)
    elif name == "posterize":
        result = ImageOps.posterize(image, 4 - int(strength * 4 / 10))
    elif name == "solarize":
        result = ImageOps.solarize(image, 256 - int(strength * 256 / 10))
    elif name == "rotate":
        result = image.rotate(sign * int(strength * 30 / 10), resample=BILINEAR)
    else:
        shear, shift = sign * strength * 0.3 / 10, sign * int(strength * (SIDE / 3) / 10)
        matrix = {
            "shear_x": (1, shear, 0, 0, 1, 0),
            "shear_y": (1, 0, 0, shear, 1, 0),
            "translate_x": (1, 0, shift, 0, 1, 0),
            "translate_y": (1, 0, 0, 0, 1, shift),
        }[name]
        result = image.transform(image.size, Image.Transform.AFFINE, matrix, resample=BILINEAR)
    return np.asarray(result, int)


@pytest.mark.parametrize("strength", [0.3, 2.9, 9.9])
@pytest.mark.parametrize("sign", [-1, 1])
def test_every_operation_is_that_of_the_official_code(strength: float, sign: int) -> None:
    kinds = np.arange(NO_OPERATION, len(OPERATIONS))
    found = apply_operations(
        tf.repeat(tf.constant(IMAGES[:1], tf.int32), len(kinds), axis=0),
        tf.constant(kinds),
        tf.fill([len(kinds)], strength),
        tf.fill([len(kinds)], float(sign)),
    ).numpy()
    np.testing.assert_array_equal(found[0], IMAGES[0])
    for name, result in zip(OPERATIONS, found[1:], strict=True):
        expected = reference(name, IMAGES[0], strength, sign)
        assert np.abs(result - expected).max() <= 1, name


def kind(name: str) -> int:
    return OPERATIONS.index(name)


def test_chains_are_applied_in_order_and_mixed_by_their_weights() -> None:
    draws = AugMixDraws(
        operations=tf.constant(
            [[[kind("solarize"), kind("posterize")], [kind("equalize"), NO_OPERATION]]]
        ),
        strengths=tf.constant([[[2.9, 2.9], [1.0, 1.0]]]),
        signs=tf.ones([1, 2, 2]),
        weights=tf.constant([[0.25, 0.75]]),
        share=tf.constant([0.4]),
    )
    image = IMAGES[:1].astype(np.float32) / 255
    found = AugMix(num_chains=2, max_depth=2).apply(tf.constant(image), draws)[0]
    first = reference("posterize", reference("solarize", IMAGES[0], 2.9, 1), 2.9, 1)
    second = reference("equalize", IMAGES[0], 1.0, 1)
    mixture = (0.25 * first + 0.75 * second) / 255
    np.testing.assert_allclose(found, 0.6 * image[0] + 0.4 * mixture, atol=1e-6)
    assert np.abs(first - reference("posterize", IMAGES[0], 2.9, 1)).max() > 50


def test_share_of_zero_is_the_image_itself() -> None:
    augmix = AugMix()
    images = tf.constant(np.random.default_rng(1).random((3, 8, 8, 3), np.float32))
    draws = augmix.draw(images, seed=0, indices=tf.range(3))
    np.testing.assert_array_equal(augmix.apply(images, draws._replace(share=tf.zeros(3))), images)


@pytest.fixture(scope="module")
def draws() -> AugMixDraws:
    return AugMix().draw(tf.zeros([3000, 8, 8, 3]), seed=4, indices=tf.range(3000))


def test_chains_have_one_to_three_operations_all_alike_frequent(draws: AugMixDraws) -> None:
    used = draws.operations.numpy() != NO_OPERATION
    depths = used.sum(axis=2)
    # A chain ends where its depth says.
    np.testing.assert_array_equal(used, np.arange(3) < depths[..., None])
    assert stats.chisquare(np.bincount(depths.ravel(), minlength=4)[1:]).pvalue > 1e-3
    assert stats.chisquare(np.bincount(draws.operations.numpy()[used])).pvalue > 1e-3
    assert draws.operations.numpy().max() == len(OPERATIONS) - 1


def test_strengths_and_directions_are_those_of_severity_three(draws: AugMixDraws) -> None:
    strengths = draws.strengths.numpy().ravel()
    assert stats.kstest(strengths, stats.uniform(0.1, 2.9).cdf).pvalue > 1e-3
    signs = draws.signs.numpy().ravel()
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.mean()) < 5 / np.sqrt(len(signs))


def test_weights_are_dirichlet_and_the_share_is_uniform(draws: AugMixDraws) -> None:
    weights = draws.weights.numpy()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    for chain in weights.T:
        # The marginal of Dirichlet(1, 1, 1).
        assert stats.kstest(chain, stats.beta(1, 2).cdf).pvalue > 1e-3
    assert stats.kstest(draws.share.numpy(), "uniform").pvalue > 1e-3


def test_one_chain_has_all_the_weight() -> None:
    draws = AugMix(num_chains=1).draw(tf.zeros([4, 8, 8, 3]), seed=0, indices=tf.range(4))
    assert draws.weights.numpy().tolist() == [[1.0]] * 4


def test_it_runs_in_the_pipeline() -> None:
    split = Examples(IMAGES, np.arange(3), np.arange(3))
    augmix = AugMix()
    batch = next(iter(make_batches(split, batch_size=3, seed=5, epoch=2, augment=augmix)))
    images = tf.constant(IMAGES.astype(np.float32) / 255)
    expected = augmix(images, seed=5, indices=tf.range(3), counter=2)
    np.testing.assert_allclose(batch["images"], expected, atol=1e-6)


@pytest.mark.parametrize("severity", [0.1, 10.5, -1.0])
def test_severity_out_of_range_is_refused(severity: float) -> None:
    with pytest.raises(InputError, match=r"`severity` must be in \(0.1, 10\]"):
        AugMix(severity=severity)


def test_chains_and_depth_must_be_positive() -> None:
    with pytest.raises(InputError, match="`num_chains` must be greater than zero"):
        AugMix(num_chains=0)
    with pytest.raises(InputError, match="`max_depth` must be greater than zero"):
        AugMix(max_depth=0)
