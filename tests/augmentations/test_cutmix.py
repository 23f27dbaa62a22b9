"""CutMix: boxes by hand, a fixed draw, then the draws themselves."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from lsp_keras.augmentations._cutmix import (
    CutMixDraws,
    apply_cutmix,
    clipped_box,
    draw_cutmix,
    remaining_share,
)


@pytest.mark.parametrize(
    ("kept", "center", "box"),
    [
        # Half the side of an 8x12 image: 4x6 pixels, half of them 2x3, around (4, 6).
        (0.75, (0.5, 0.5), (2, 3, 6, 9)),
        (0.75, (0.0, 0.0), (0, 0, 2, 3)),
        (0.75, (0.99, 0.99), (5, 8, 8, 12)),
        # Sides 8 * 0.9 = 7.2 and 12 * 0.9 = 10.8: 7 and 10, half of them 3 and 5.
        (0.19, (0.5, 0.5), (1, 1, 7, 11)),
        (0.0, (0.5, 0.5), (0, 0, 8, 12)),
        (1.0, (0.5, 0.5), (4, 6, 4, 6)),
    ],
)
def test_box_has_the_images_proportions_and_ends_at_its_edges(
    kept: float, center: tuple[float, float], box: tuple[int, ...]
) -> None:
    found = clipped_box((8, 12), tf.constant(kept), tf.constant(center))
    assert tuple(found.numpy()) == box


def test_share_is_counted_after_the_box_was_cut_off() -> None:
    box = clipped_box((8, 12), tf.constant(0.75), tf.constant([0.0, 0.0]))
    assert float(remaining_share((8, 12), box)) == pytest.approx(1 - 6 / 96)
    assert float(remaining_share((8, 12), tf.constant([4, 6, 4, 6]))) == 1.0


def test_pixels_of_the_box_come_from_the_partner() -> None:
    images = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4, 1)
    draws = CutMixDraws(
        partners=tf.constant([1, 0]), coefficient=tf.constant(8 / 12), box=tf.constant([1, 0, 3, 2])
    )
    mixed = apply_cutmix(tf.constant(images), draws)[0, :, :, 0]
    np.testing.assert_array_equal(mixed, [[0, 1, 2, 3], [16, 17, 6, 7], [20, 21, 10, 11]])


@tf.function
def draw(seed: tf.Tensor, probability: float = 1.0) -> CutMixDraws:
    return draw_cutmix(
        tf.zeros([4, 8, 12, 3]),
        seed=seed,
        indices=tf.range(4),
        alpha=1.0,
        probability=probability,
    )


def draw_many(count: int, **options: float) -> list[CutMixDraws]:
    return [draw(tf.constant(seed), **options) for seed in range(count)]


def test_drawn_coefficient_is_the_share_of_pixels_that_stay() -> None:
    images = tf.reshape(tf.range(4.0), [4, 1, 1, 1]) * tf.ones([1, 8, 12, 3])
    for draws in draw_many(10):
        mixed = apply_cutmix(images, draws)
        for image, partner, result in zip(range(4), draws.partners.numpy(), mixed, strict=True):
            expected = 1.0 if partner == image else float(draws.coefficient)
            assert np.mean(result.numpy() == image) == pytest.approx(expected)


def test_batches_are_mixed_as_often_as_the_probability_says() -> None:
    assert all(draws.coefficient == 1.0 for draws in draw_many(20, probability=0.0))
    # Boxes narrower than two pixels are empty too; of the shares drawn from Beta(1, 1) that is
    # a share of (2 / 8)^2 at most.
    mixed = np.mean([draws.coefficient < 1 for draws in draw_many(300, probability=0.5)])
    assert 0.5 * (1 - 1 / 16) - 4 * 0.5 / np.sqrt(300) < mixed < 0.5 + 4 * 0.5 / np.sqrt(300)


def official_box(rng: np.random.Generator) -> tuple[int, int, int, int]:
    """The official code's box for an 8x12 image, after NumPy's draws."""
    ratio = np.sqrt(1 - rng.beta(1, 1))
    height, width = int(8 * ratio), int(12 * ratio)
    row, column = int(rng.integers(8)), int(rng.integers(12))
    top, left = max(row - height // 2, 0), max(column - width // 2, 0)
    return top, left, min(row + height // 2, 8), min(column + width // 2, 12)


def test_boxes_are_distributed_as_those_of_the_official_code() -> None:
    found = np.stack([draws.box for draws in draw_many(400)])
    rng = np.random.default_rng(0)
    expected = np.stack([official_box(rng) for _ in range(4000)])
    for place in range(4):
        counts, wanted = (np.bincount(boxes[:, place], minlength=13) for boxes in (found, expected))
        usual = wanted > 100
        scale = counts[usual].sum() / wanted[usual].sum()
        assert stats.chisquare(counts[usual], scale * wanted[usual]).pvalue > 1e-3
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (found, expected)]
    assert abs(areas[0].mean() - areas[1].mean()) < 4 * areas[1].std() / np.sqrt(400)
