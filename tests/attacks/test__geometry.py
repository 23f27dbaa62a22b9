import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linprog, minimize

from lsp_keras.attacks._geometry import GEOMETRIES, move_to_plane


def problem(seed: int, strength: float) -> tuple[np.ndarray, np.ndarray, float]:
    """An image, a normal, and a share of what a move inside the box can gain at most."""
    rng = np.random.default_rng(seed)
    image, normal = rng.random(12), rng.normal(size=12)
    normal[3] = 0.0
    most = np.maximum(normal * (1 - image), -normal * image).sum()
    return image, normal, strength * most


def found(image, normal, gap, norm) -> np.ndarray:
    as_tensor = lambda values: tf.constant(np.reshape(values, [1, 2, 2, 3]), tf.float32)  # noqa: E731
    move = move_to_plane(
        as_tensor(image), as_tensor(normal), tf.constant([gap], tf.float32), GEOMETRIES[norm]
    )
    return move.numpy().ravel()


@pytest.mark.parametrize("strength", [0.05, 0.4, 0.8, 0.99])
@pytest.mark.parametrize("sign", [1, -1])
def test_linf_move_is_the_linear_programs(strength, sign) -> None:
    image, normal, gap = problem(1, strength)
    normal = sign * normal
    best = linprog(
        np.append(np.zeros(12), 1.0),
        A_ub=np.block([[np.eye(12), -np.ones((12, 1))], [-np.eye(12), -np.ones((12, 1))]]),
        b_ub=np.zeros(24),
        A_eq=[[*normal, 0.0]],
        b_eq=[sign * gap],
        bounds=[*zip(-image, 1 - image, strict=True), (0, None)],
    )
    move = found(image, normal, sign * gap, "linf")
    assert np.abs(move).max() == pytest.approx(best.fun, rel=1e-4)
    assert normal @ move == pytest.approx(sign * gap, rel=1e-4)


@pytest.mark.parametrize("strength", [0.05, 0.4, 0.8, 0.99])
def test_l2_move_is_the_quadratic_programs(strength) -> None:
    image, normal, gap = problem(2, strength)
    best = minimize(
        lambda move: move @ move,
        np.zeros(12),
        jac=lambda move: 2 * move,
        bounds=list(zip(-image, 1 - image, strict=True)),
        constraints={"type": "eq", "fun": lambda move: normal @ move - gap},
        options={"ftol": 1e-12, "maxiter": 1000},
    ).x
    np.testing.assert_allclose(found(image, normal, gap, "l2"), best, atol=1e-3)


@pytest.mark.parametrize("strength", [0.05, 0.4, 0.8, 0.99])
@pytest.mark.parametrize("sign", [1, -1])
def test_l1_move_is_the_linear_programs(strength, sign) -> None:
    image, normal, gap = problem(5, strength)
    normal = sign * normal
    # Moves up and down are variables of their own, which makes the norm linear.
    best = linprog(
        np.ones(24),
        A_eq=[np.concatenate([normal, -normal])],
        b_eq=[sign * gap],
        bounds=[(0, room) for room in np.concatenate([1 - image, image])],
    )
    move = found(image, normal, sign * gap, "l1")
    np.testing.assert_allclose(move, best.x[:12] - best.x[12:], atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_plane_outside_of_the_box_is_approached_as_far_as_the_box_goes(norm) -> None:
    image, normal, gap = problem(3, 1.5)
    corner = np.where(normal > 0, 1.0, np.where(normal < 0, 0.0, image))
    np.testing.assert_allclose(image + found(image, normal, gap, norm), corner, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_no_gap_is_no_move(norm) -> None:
    image, normal, _ = problem(4, 0.0)
    np.testing.assert_array_equal(found(image, normal, 0.0, norm), 0.0)
