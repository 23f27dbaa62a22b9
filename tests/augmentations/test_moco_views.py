"""Views of MoCo: each part with a fixed draw, then the draws themselves."""

import numpy as np
import tensorflow as tf

from lsp_keras.augmentations._moco_views import MoCoView, ViewDraws


def draws(count: int = 1, **changes: object) -> ViewDraws:
    """Draws that change nothing, but for what is named."""
    plain = {
        "boxes": [[0.0, 0.0, 1.0, 1.0]] * count,
        "flip": [False] * count,
        "brightness": [1.0] * count,
        "contrast": [1.0] * count,
        "saturation": [1.0] * count,
        "hue": [0.0] * count,
        "gray": [False] * count,
    }
    return ViewDraws(**{name: tf.constant(value) for name, value in (plain | changes).items()})


def noise(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((1, 8, 8, channels), np.float32)


def test_a_draw_of_no_change_gives_the_image() -> None:
    np.testing.assert_allclose(MoCoView().apply(noise(), draws()), noise(), atol=1e-5)


def test_box_of_the_right_half_is_stretched_over_the_width() -> None:
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None] / 10, (1, 8, 8, 3))
    view = MoCoView().apply(ramp, draws(boxes=[[0.0, 0.5, 1.0, 1.0]]))
    # Centers of eight pixels of half a width from 4 on: 3.75 + i / 2; the last one lies beyond
    # the center of the last pixel, so the samples end there.
    np.testing.assert_allclose(view[0, 0, :, 0], np.linspace(3.75, 7, 8) / 10, atol=1e-5)


def test_flip_mirrors_left_and_right() -> None:
    view = MoCoView().apply(noise(), draws(flip=[True]))
    np.testing.assert_allclose(view, noise()[:, :, ::-1], atol=1e-5)


def test_brightness_scales_and_is_cut_at_white() -> None:
    view = MoCoView().apply(noise(), draws(brightness=[1.4]))
    np.testing.assert_allclose(view, np.minimum(1.4 * noise(), 1), atol=1e-5)


def test_contrast_shrinks_towards_the_mean_luminance() -> None:
    mean = (noise() @ np.array([0.299, 0.587, 0.114], np.float32)).mean()
    view = MoCoView().apply(noise(), draws(contrast=[0.6]))
    np.testing.assert_allclose(view, mean + 0.6 * (noise() - mean), atol=1e-5)


def test_no_saturation_and_gray_are_the_luminance() -> None:
    luminance = (noise() @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    for change in ({"saturation": [0.0]}, {"gray": [True]}):
        view = MoCoView().apply(noise(), draws(**change))
        np.testing.assert_allclose(view, np.broadcast_to(luminance, view.shape), atol=1e-5)


def test_half_a_turn_of_the_hue_mirrors_the_color_at_the_gray_of_its_luminance() -> None:
    color = np.full((1, 8, 8, 3), [0.5, 0.3, 0.35], np.float32)
    luminance = color[0, 0, 0] @ np.array([0.299, 0.587, 0.114])
    view = MoCoView().apply(color, draws(hue=[0.5]))
    np.testing.assert_allclose(view[0, 0, 0], 2 * luminance - color[0, 0, 0], atol=1e-4)


def test_gray_images_keep_one_channel() -> None:
    view = MoCoView().apply(noise(1), draws(brightness=[0.5], gray=[True]))
    np.testing.assert_allclose(view, noise(1), atol=1e-5)


def test_draws_have_the_published_shares_and_ranges() -> None:
    drawn = MoCoView().draw(tf.zeros([4000, 8, 8, 3]), seed=1, indices=tf.range(4000), counter=0)
    top, left, bottom, right = np.moveaxis(drawn.boxes.numpy(), 1, 0)
    height, width = bottom - top, right - left
    assert drawn.boxes.numpy().min() >= 0
    assert drawn.boxes.numpy().max() <= 1 + 1e-6
    assert 0.2 - 1e-5 <= (height * width).min() <= 0.21
    assert 0.74 < (width / height).min() < 0.77
    jittered = drawn.brightness.numpy() != 1
    for share, expected in ((jittered, 0.8), (drawn.gray, 0.2), (drawn.flip, 0.5)):
        assert abs(np.mean(share) - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)
    assert 0.6 <= drawn.brightness.numpy().min() < 0.61
    assert np.abs(drawn.hue.numpy()).max() <= 0.1
    assert (
        not MoCoView(flip=False)
        .draw(tf.zeros([9, 8, 8, 3]), seed=1, indices=tf.range(9), counter=0)
        .flip.numpy()
        .any()
    )


def test_a_view_belongs_to_seed_index_and_counter() -> None:
    images = tf.constant(np.repeat(noise(), 3, axis=0))
    view = MoCoView()
    together = view(images, seed=4, indices=tf.constant([5, 6, 7]), counter=2)
    alone = view(images[:1], seed=4, indices=tf.constant([6]), counter=2)
    np.testing.assert_allclose(together[1], alone[0], atol=1e-6)
    others = [
        view(images[:1], seed=seed, indices=tf.constant([index]), counter=counter)
        for seed, index, counter in ((3, 6, 2), (4, 5, 2), (4, 6, 3))
    ]
    assert all(np.abs(other - alone).max() > 0.01 for other in others)
