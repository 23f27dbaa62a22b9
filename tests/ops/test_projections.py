import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from lsp_keras.ops.norms import norm_of
from lsp_keras.ops.projections import project, project_ball, rounding_tolerance

NORMS = ["linf", "l2", "l1"]


@pytest.mark.parametrize(
    ("norm", "expected"),
    [("linf", [1.0, -1.0, 0.5]), ("l2", [0.6, -0.8, 0.0]), ("l1", [0.0, -1.0, 0.0])],
)
def test_hand_computed_projections_onto_the_unit_ball(norm, expected) -> None:
    delta = {"linf": [3.0, -4.0, 0.5], "l2": [3.0, -4.0, 0.0], "l1": [3.0, -4.0, 0.5]}[norm]
    result = project_ball(tf.constant([delta]), 1.0, norm)
    np.testing.assert_allclose(result[0], expected, atol=1e-6)


def test_l1_projection_is_the_nearest_point_of_the_ball() -> None:
    rng = np.random.default_rng(0)
    delta = rng.normal(size=6)
    ours = project_ball(tf.constant(delta[np.newaxis], tf.float32), 1.5, "l1")[0].numpy()
    # With positive and negative parts the ball is a simplex, a smooth problem for SLSQP.
    found = minimize(
        lambda parts: np.sum((parts[:6] - parts[6:] - delta) ** 2),
        np.full(12, 0.1),
        bounds=[(0, None)] * 12,
        constraints={"type": "ineq", "fun": lambda parts: 1.5 - parts.sum()},
        options={"ftol": 1e-12, "maxiter": 500},
    ).x
    np.testing.assert_allclose(ours, found[:6] - found[6:], atol=1e-4)


@pytest.mark.parametrize("epsilon", [0.3, 1.5, 4.0])
def test_l1_projection_is_the_nearest_point_of_ball_and_box(epsilon) -> None:
    rng = np.random.default_rng(2)
    original = rng.random(10)
    original[:2] = [0.0, 1.0]
    image = original + rng.normal(size=10)
    shape = (1, 1, 1, 10)
    ours = project(
        tf.constant(image.reshape(shape), tf.float32),
        tf.constant(original.reshape(shape), tf.float32),
        epsilon,
        "l1",
    )
    found = minimize(
        lambda parts: np.sum((original + parts[:10] - parts[10:] - image) ** 2),
        np.full(20, 0.01),
        bounds=[(0, room) for room in np.concatenate([1 - original, original])],
        constraints={"type": "ineq", "fun": lambda parts: epsilon - parts.sum()},
        options={"ftol": 1e-13, "maxiter": 1000},
    ).x
    np.testing.assert_allclose(np.ravel(ours), original + found[:10] - found[10:], atol=1e-4)


def test_l1_projection_by_hand_where_the_box_binds() -> None:
    # Room of 0.1 stops the first entry; the others share what it leaves of 0.5.
    original = tf.constant([[[[0.9, 0.5, 0.5]]]])
    result = project(tf.constant([[[[2.9, 0.9, 0.2]]]]), original, 0.5, "l1")
    np.testing.assert_allclose(np.ravel(result), [1.0, 0.75, 0.35], atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_points_inside_are_left_exactly_as_they_are(norm) -> None:
    delta = tf.constant([[0.01, -0.02, 0.03], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(project_ball(delta, 0.5, norm), delta)


@pytest.mark.parametrize("norm", NORMS)
def test_each_example_may_have_its_own_radius(norm) -> None:
    radii = tf.constant([0.1, 2.0])
    result = project_ball(tf.constant([[3.0, -4.0], [3.0, -4.0]]), radii, norm)
    np.testing.assert_allclose(norm_of(result, norm), [0.1, 2.0], rtol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("epsilon", [1 / 255, 8 / 255, 0.5])
def test_projected_images_keep_box_and_budget_up_to_rounding(norm, epsilon) -> None:
    rng = np.random.default_rng(1)
    originals = rng.random((16, 8, 8, 3), dtype=np.float32)
    images = originals + rng.normal(size=originals.shape).astype(np.float32)
    result = project(tf.constant(images), tf.constant(originals), epsilon, norm).numpy()
    assert result.min() >= 0.0
    assert result.max() <= 1.0
    exact = (result.astype(np.float64) - originals).reshape(16, -1)
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    excess = np.linalg.norm(exact, order, axis=1).max() - epsilon
    assert excess <= rounding_tolerance(epsilon, norm, 192)
    assert rounding_tolerance(epsilon, norm, 192) < 2e-5
