"""Models whose best perturbation is known, and one that is none of that."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import brentq, linprog

IMAGE_SHAPE = (6, 6, 3)


class LinearProblem:
    """Two classes that meet in a plane through the gray image, and two that lie far below.

    Images `gray + scale * direction` lie the farther from the plane the larger `scale` is, so
    they can be put at any distance wanted.
    """

    def __init__(self, weights: np.ndarray) -> None:
        rng = np.random.default_rng(3)
        self.weights = weights.astype(np.float32).ravel()
        sides = np.resize([1.0, -1.0], (8, 1))
        lengths = rng.uniform(0.3, 1.0, size=(8, self.weights.size))
        directions = sides * lengths * np.sign(self.weights)
        self._directions = directions.astype(np.float32).reshape(8, *weights.shape)

    def logits_fn(self, images: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(images - 0.5, [-1, self.weights.size])
        score = tf.linalg.matvec(flat, tf.constant(self.weights))
        low = tf.zeros_like(score) - 30.0
        return tf.stack([score, -score, low, low - 1.0], axis=1)

    def images_at(self, distance: float, norm: str) -> tuple[np.ndarray, np.ndarray]:
        """Eight images at this distance from the decision plane, and their labels."""
        scores = self._directions.reshape(8, -1) @ self.weights
        if norm == "l1":
            scale = np.array([self._scale_at(distance, row) for row in range(8)])
        else:
            dual = {"linf": 1, "l2": 2}[norm]
            scale = distance * np.linalg.norm(self.weights, dual) / np.abs(scores)
        images = 0.5 + scale.reshape(-1, 1, 1, 1) * self._directions
        return images.astype(np.float32), np.where(scores > 0, 0, 1)

    def _scale_at(self, distance: float, row: int) -> float:
        """The scale at which an image has this L1 distance; the box makes it no simple ratio."""
        direction = self._directions[row].ravel()

        def excess(scale: float) -> float:
            image = 0.5 + scale * direction
            # Moves up and down are variables of their own, which makes the norm linear.
            best = linprog(
                np.ones(2 * image.size),
                A_eq=[np.concatenate([self.weights, -self.weights])],
                b_eq=[-scale * direction @ self.weights],
                bounds=[(0, room) for room in np.concatenate([1.0 - image, image])],
            )
            return best.fun - distance

        return brentq(excess, 1e-4, 0.49, rtol=1e-6)


@pytest.fixture(scope="session")
def linear() -> LinearProblem:
    return LinearProblem(np.random.default_rng(3).normal(size=IMAGE_SHAPE))


@pytest.fixture(scope="session")
def linear_problem() -> type[LinearProblem]:
    """To build one with other weights."""
    return LinearProblem


@pytest.fixture(scope="session")
def small_model() -> keras.Model:
    """A convolutional network with BatchNorm and dropout, both different in training mode."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(5),
        ]
    )


@pytest.fixture(scope="session")
def batch(small_model) -> tuple[np.ndarray, np.ndarray]:
    """Twelve random images with the labels that the model gives them, the last one wrong."""
    images = np.random.default_rng(0).random((12, *IMAGE_SHAPE), dtype=np.float32)
    labels = small_model(images, training=False).numpy().argmax(axis=1)
    labels[-1] = (labels[-1] + 1) % 5
    return images, labels
