"""What the gradient attacks share: norm orders as CleverHans writes them, starts, step sizes."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from lsp_keras.attacks._problem import Problem
from lsp_keras.ops import random
from lsp_keras.ops.norms import expand, l2_norm
from lsp_keras.ops.projections import project
from lsp_keras.types import Norm
from lsp_keras.validation import InputError, check_positive, parse_fraction

CLEVERHANS_ORDERS: Mapping[Norm, float] = {"linf": np.inf, "l2": 2}
_STEPS_PER_RADIUS = 2.5
_RADIUS_STREAM = 1 << 32
_GAUSSIAN_SCALE = 0.001


def default_step_size(epsilon: float, num_steps: int) -> float:
    """Lets the attack cross its ball 1.25 times, and never more than `epsilon` in one step.

    References:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018:
        step size 2.5 epsilon / steps.
    """
    return min(epsilon, _STEPS_PER_RADIUS * epsilon / num_steps)


def check_step_size(step_size: float | str, epsilon: float) -> float:
    """Step size as a number.

    Raises:
        InputError: It is not positive, or larger than `epsilon`.
    """
    size = parse_fraction(step_size)
    check_positive("step_size", size)
    if size > epsilon:
        raise InputError(
            f"`step_size` must not exceed `epsilon`. Received: step_size={size:g}, "
            f"epsilon={epsilon:g}."
        )
    return size


def check_count(name: str, value: int) -> int:
    """The value, if it is an integer of at least 1.

    Raises:
        InputError: It is not.
    """
    if not isinstance(value, int) or value < 1:
        raise InputError(f"`{name}` must be an integer of at least 1. Received: {value!r}.")
    return value


def uniform_start(
    problem: Problem, epsilon: float, norm: Norm, counter: int | tf.Tensor
) -> tf.Tensor:
    """A uniformly random point of each image's ball, clipped to the pixel box.

    Args:
        problem: Problem whose images, seed and indices are used.
        epsilon: Radius.
        norm: Norm of the ball, `"linf"` or `"l2"`.
        counter: Number of the draw, for example the restart.
    """
    images, seed, indices = problem.images, problem.seed, problem.indices
    shape = problem.image_shape
    if norm == "linf":
        delta = random.uniform(seed, indices, shape, counter=counter, low=-epsilon, high=epsilon)
    else:
        direction = random.normal(seed, indices, shape, counter=counter)
        stream = tf.cast(counter, tf.int64) + _RADIUS_STREAM
        fraction = random.uniform(seed, indices, (), counter=stream)
        radius = epsilon * fraction ** (1.0 / np.prod(shape))
        delta = direction * expand(radius / l2_norm(direction), direction)
    return project(images + delta, images, epsilon, norm)


def gaussian_start(
    problem: Problem, epsilon: float, norm: Norm, counter: int | tf.Tensor
) -> tf.Tensor:
    """The image with normal noise of standard deviation 0.001, whatever the ball.

    As in the reference it may lie outside the pixel box by that much; the first step clips it.

    Args:
        problem: Problem whose images, seed and indices are used.
        epsilon: Radius of the ball, not used, like `norm`: starts have one signature.
        norm: Norm, not used either.
        counter: Number of the draw, for example the restart.

    References:
        Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy, 2019,
        Algorithm 1; the scale is that of the reference code.
    """
    noise = random.normal(problem.seed, problem.indices, problem.image_shape, counter=counter)
    return problem.images + _GAUSSIAN_SCALE * noise


STARTS = {"uniform": uniform_start, "gaussian": gaussian_start}
