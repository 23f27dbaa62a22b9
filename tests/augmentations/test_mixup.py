"""Mixup: a fixed draw by hand, then the draws themselves."""

import numpy as np
import tensorflow as tf
from scipy import stats

from lsp_keras.augmentations._mixup import MixupDraws, apply_mixup, draw_mixup


@tf.function
def draw(seed: tf.Tensor, size: int = 4, alpha: float = 1.0) -> MixupDraws:
    return draw_mixup(seed=seed, indices=tf.range(size), alpha=alpha)


def draw_many(count: int, **options: float) -> list[MixupDraws]:
    return [draw(tf.constant(seed), **options) for seed in range(count)]


def test_images_are_blended_with_their_partners() -> None:
    images = tf.reshape(tf.constant([0.0, 0.4, 1.0]), [3, 1, 1, 1])
    draws = MixupDraws(partners=tf.constant([2, 1, 0]), coefficient=tf.constant(0.75))
    blended = apply_mixup(images, draws)[:, 0, 0, 0]
    np.testing.assert_allclose(blended, [0.25, 0.4, 0.75], rtol=1e-6)


def test_one_coefficient_per_batch_is_uniform_for_alpha_one() -> None:
    draws = draw_many(300)
    assert all(draw.coefficient.shape == () for draw in draws)
    coefficients = [float(draw.coefficient) for draw in draws]
    assert stats.kstest(coefficients, "uniform").pvalue > 1e-3


def test_alpha_moves_the_coefficient_towards_the_ends_or_the_middle() -> None:
    def distances_from_half(alpha: float) -> float:
        draws = draw_many(50, alpha=alpha)
        return float(np.mean([abs(draw.coefficient - 0.5) for draw in draws]))

    assert distances_from_half(0.1) > 0.4
    assert distances_from_half(50.0) < 0.1


def test_partners_are_an_order_of_the_batch_that_the_seed_decides() -> None:
    first, again, other = (draw(tf.constant(seed), size=30) for seed in (1, 1, 2))
    assert sorted(first.partners.numpy()) == list(range(30))
    np.testing.assert_array_equal(first.partners, again.partners)
    assert first.coefficient == again.coefficient
    assert (first.partners.numpy() != other.partners.numpy()).any()
    assert first.coefficient != other.coefficient
