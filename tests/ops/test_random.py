import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from lsp_keras.ops import random

DRAWS = [random.uniform, random.normal, random.signs]
SHAPE = (8, 8, 3)


def splitmix64(state: int, count: int) -> list[int]:
    """The generator as published, in Python's integers."""
    values = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        mixed = state
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        values.append(mixed ^ (mixed >> 31))
    return values


def test_the_first_stream_is_splitmix64_from_zero() -> None:
    draws = random.uniform(0, tf.constant([0]), (5,))[0].numpy()
    np.testing.assert_array_equal(draws, [(value >> 40) / 2**24 for value in splitmix64(0, 5)])


@pytest.mark.parametrize("draw", DRAWS)
def test_draws_belong_to_the_image_not_to_its_place(draw) -> None:
    indices = tf.range(100, 120)
    together = draw(7, indices, SHAPE, counter=3).numpy()
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(
        draw(7, indices.numpy()[order], SHAPE, counter=3), together[order]
    )
    alone = [draw(7, [index], SHAPE, counter=3)[0] for index in indices]
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("draw", DRAWS)
def test_each_image_may_have_a_counter_of_its_own(draw) -> None:
    together = draw(7, [4, 4, 5], SHAPE, counter=tf.constant([1, 2, 2])).numpy()
    alone = [draw(7, [index], SHAPE, counter=count)[0] for index, count in ((4, 1), (4, 2), (5, 2))]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("draw", DRAWS)
def test_seed_index_and_counter_each_give_new_draws(draw) -> None:
    base = draw(0, [0], SHAPE)[0].numpy().ravel()
    others = [draw(1, [0], SHAPE), draw(0, [1], SHAPE), draw(0, [0], SHAPE, counter=1)]
    for other in others:
        assert abs(np.corrcoef(base, other[0].numpy().ravel())[0, 1]) < 0.25


def test_uniform_draws_are_uniform_within_and_across_images() -> None:
    draws = random.uniform(5, tf.range(2000), (50,)).numpy()
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    assert stats.kstest(draws.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(draws[:, 0], "uniform").pvalue > 1e-3
    # Neighboring images and neighboring entries are unrelated.
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 0.02


def test_uniform_draws_respect_their_ends() -> None:
    draws = random.uniform(5, tf.range(100), (50,), low=-0.1, high=0.3).numpy()
    assert draws.min() >= np.float32(-0.1)
    assert draws.max() <= np.float32(0.3)
    assert abs(draws.mean() - 0.1) < 0.01


def test_normal_draws_are_standard_normal() -> None:
    draws = random.normal(5, tf.range(1000), (50,)).numpy().ravel()
    assert np.isfinite(draws).all()
    assert stats.kstest(draws, "norm").pvalue > 1e-3


def test_signs_are_fair() -> None:
    draws = random.signs(5, tf.range(1000), (50,)).numpy()
    assert set(np.unique(draws)) == {-1.0, 1.0}
    assert abs(draws.mean()) < 0.02


@pytest.mark.parametrize("concentration", [0.2, 1.0, 3.0])
def test_symmetric_beta_draws_follow_their_distribution(concentration: float) -> None:
    draws = random.symmetric_beta(5, tf.range(1000), (5,), concentration=concentration).numpy()
    assert draws.shape == (1000, 5)
    expected = stats.beta(concentration, concentration)
    assert stats.kstest(draws.ravel(), expected.cdf).pvalue > 1e-3


def test_symmetric_beta_inverts_the_distribution_function() -> None:
    levels = random.uniform(5, tf.range(200), ()).numpy()
    draws = random.symmetric_beta(5, tf.range(200), (), concentration=0.5).numpy()
    # Beta(1/2, 1/2) is the arcsine distribution.
    np.testing.assert_allclose(draws, np.sin(np.pi * levels / 2) ** 2, atol=2e-6)


def test_permutations_hold_each_place_once_and_reach_every_order() -> None:
    orders = [tuple(random.permutation(seed, tf.range(3)).numpy()) for seed in range(120)]
    counts = [orders.count(order) for order in set(orders)]
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    # Six orders, 20 times each; five standard deviations of a binomial count are 20.4.
    assert len(counts) == 6
    assert max(counts) < 41
    other = random.permutation(3, tf.range(50), counter=1).numpy()
    assert (other != random.permutation(3, tf.range(50)).numpy()).any()


def test_a_tensor_seed_draws_the_same_inside_a_graph() -> None:
    @tf.function
    def compiled(seed: tf.Tensor, counter: tf.Tensor) -> tf.Tensor:
        return random.uniform(seed, tf.range(3), (4,), counter=counter)

    inside = compiled(tf.constant(9), tf.constant(2))
    np.testing.assert_array_equal(inside, random.uniform(9, tf.range(3), (4,), counter=2))
