import numpy as np

from lsp_keras.attacks.noise import Noise


def test_noise_lies_on_the_surface_and_more_draws_break_more(linear) -> None:
    images, labels = linear.images_at(0.002, "linf")
    one = Noise(epsilon=0.02, num_draws=1)(linear.logits_fn, images, labels, seed=0)
    many = Noise(epsilon=0.02, num_draws=50)(linear.logits_fn, images, labels, seed=0)
    np.testing.assert_allclose(one.distances, 0.02, rtol=1e-4)
    assert one.success.sum() < many.success.sum() == len(images)


def test_a_draw_changes_the_score_as_chance_has_it(linear) -> None:
    # On the cube's surface the change of a linear score is about epsilon |w|_2 / sqrt(3).
    images = np.full((300, 6, 6, 3), 0.5, np.float32)
    found = Noise(epsilon=0.1, num_draws=1).perturb(
        linear.logits_fn, images, np.zeros(300, int), seed=0
    )
    scores = linear.logits_fn(found).numpy()[:, 0]
    expected = 0.1 * np.linalg.norm(linear.weights) / np.sqrt(3)
    np.testing.assert_allclose(scores.std(), expected, rtol=0.1)
