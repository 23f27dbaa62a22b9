"""Fast adaptive boundary attack: the nearest misclassified image, found from the boundary."""

from collections.abc import Sequence

import tensorflow as tf

from lsp_keras.attacks._geometry import GEOMETRIES, move_to_plane
from lsp_keras.attacks._gradient import check_count
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._staged import StagedAttack, State
from lsp_keras.attacks.apgd import ranked_class
from lsp_keras.ops import objectives
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand, linf_norm, norm_of, unit_largest
from lsp_keras.types import Norm

__all__ = ["FAB"]

_LARGEST_SHARE = 0.1
_OVERSHOOT = 1.05
_BACKWARD = 0.9
_SMALLEST = 1e-12
_SMALLEST_MOVE = 1e-8
_NOT_FOUND = 1e10


class FAB(StagedAttack):
    """Steps onto the linearized decision boundary, biased towards the clean image.

    It looks for the smallest perturbation, whatever the budget; an image counts as broken as
    soon as one within the budget is found.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"`, `"l2"` or `"l1"`.
        num_steps: Steps of each turn.
        num_restarts: Starts, for each target where there are targets; the first is the clean
            image, later ones are random.
        targeted: Whether to run once for each of the classes that follow the label's in the
            clean logits, instead of towards the nearest boundary at every step.
        num_targets: Most target classes.

    References:
        Croce and Hein, Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary
        Attack, 2020, Algorithm 1, with AutoAttack's settings.

    Differs from the reference:
        Under L-inf and L2 the projection onto a plane inside the box is solved by Newton's
        method instead of sorting; the solution is the same.
    """

    supported_norms = ("linf", "l2", "l1")
    shows_moves = False

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        num_steps: int = 100,
        num_restarts: int = 1,
        targeted: bool = False,
        num_targets: int = 9,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = check_count("num_steps", num_steps)
        self.num_restarts = check_count("num_restarts", num_restarts)
        self.targeted = targeted
        self.num_targets = check_count("num_targets", num_targets)

    def num_turns(self, num_classes: int) -> int:
        """Restarts, times targets where there are targets."""
        return self.num_restarts * (min(self.num_targets, num_classes - 1) if self.targeted else 1)

    @property
    def window_ends(self) -> Sequence[int]:
        """Every ten steps, and early."""
        ends = [3, 6, *range(10, self.num_steps, 10)]
        return [*(end for end in ends if end < self.num_steps), self.num_steps]

    def begin(self, problem: Problem, turn: tf.Tensor) -> State:
        """The clean image, or half a radius away from it."""
        images, labels = problem.images, problem.labels
        direction = GEOMETRIES[self.norm].draw_direction(
            images, seed=problem.seed, indices=problem.indices, counter=turn
        )
        is_restart = tf.cast(turn % self.num_restarts > 0, tf.float32)
        start = images + is_restart * 0.5 * self.epsilon * direction
        targets = labels
        if self.targeted:
            targets = ranked_class(problem.clean_logits, 1 + turn // self.num_restarts)
        return {
            "targets": targets,
            "current": tf.clip_by_value(start, 0.0, 1.0),
            "distance": tf.fill(tf.shape(labels), _NOT_FOUND),
            "adversarial": images,
            "broken": tf.zeros_like(labels, tf.bool),
        }

    def advance(
        self, problem: Problem, state: State, *, turn: tf.Tensor, first: tf.Tensor, last: tf.Tensor
    ) -> State:
        images = problem.images

        def step(count: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
            current = state["current"]
            # The nearest linearized boundary: gap (batch,), normal shaped like the images.
            gap, normal = self._nearest_plane(problem, current, state["targets"])
            # A point beyond it, pulled towards the clean image.
            moved = self._toward_plane(images, current, gap, normal)
            # Kept where misclassified and closer; from there the next step goes back.
            is_broken = problem.is_broken(problem.logits_fn(moved))
            return count + 1, self._remember(images, state, moved, is_broken)

        return in_turn(lambda count, _: count < last, step, (first, state))[1]

    def _nearest_plane(
        self, problem: Problem, current: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Lead of the label `(batch,)` and the gradient of the other class's lead.

        Both are in parts of the gradient's largest entry, which moves no plane.
        """
        labels = problem.labels
        if self.targeted:
            lead, normal = _plane(problem, targets, current)
            return -lead, normal
        num_classes = problem.logits_fn(current).shape[1]
        geometry = GEOMETRIES[self.norm]

        def compare(
            other: tf.Tensor, nearest: tf.Tensor, gap: tf.Tensor, normal: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            classes = tf.fill(tf.shape(labels), tf.cast(other, tf.int64))
            lead, gradient = _plane(problem, classes, current)
            # The distance to a plane is the lead over the gradient's dual norm, (batch,).
            distance = tf.abs(lead) / (geometry.dual_norm(gradient) + _SMALLEST)
            # NaN must surface in the result, not lose to a number.
            closer = tf.logical_not((distance >= nearest) | tf.math.is_nan(nearest))
            closer &= classes != labels
            return (
                other + 1,
                tf.where(closer, distance, nearest),
                tf.where(closer, -lead, gap),
                tf.where(expand(closer, normal), gradient, normal),
            )

        start = (
            tf.constant(0),
            tf.fill(tf.shape(labels), tf.float32.max),
            tf.zeros_like(labels, tf.float32),
            tf.zeros_like(current),
        )
        return in_turn(lambda other, *_: other < num_classes, compare, start)[2:]

    def _toward_plane(
        self, images: tf.Tensor, current: tf.Tensor, gap: tf.Tensor, normal: tf.Tensor
    ) -> tf.Tensor:
        """Steps 6 to 9 of Algorithm 1: both points to the plane, then their convex mean."""
        geometry = GEOMETRIES[self.norm]
        # The projection of the current point onto the plane inside the box.
        from_current = move_to_plane(current, normal, gap, geometry)
        # That of the clean image, whose gap differs by <normal, current - image>.
        gap_of_original = gap + tf.reduce_sum(normal * (current - images), axis=[1, 2, 3])
        from_original = move_to_plane(images, normal, gap_of_original, geometry)
        near = tf.maximum(norm_of(from_current, self.norm), _SMALLEST_MOVE)
        far = tf.maximum(norm_of(from_original, self.norm), _SMALLEST_MOVE)
        # alpha = |d_1| / (|d_1| + |d_2|) of the two moves, at most 0.1; (batch, 1, 1, 1).
        share = expand(tf.minimum(near / (near + far), _LARGEST_SHARE), images)
        # The convex mean of both, each a little beyond its plane.
        ahead = (1.0 - share) * (current + _OVERSHOOT * from_current)
        ahead += share * (images + _OVERSHOOT * from_original)
        return tf.clip_by_value(ahead, 0.0, 1.0)

    def _remember(
        self, images: tf.Tensor, state: State, moved: tf.Tensor, is_broken: tf.Tensor
    ) -> State:
        """Keeps the closest misclassified point, and goes back towards the image from it."""
        distance = norm_of(moved - images, self.norm)
        closer = is_broken & (distance < state["distance"])
        # NaN must surface in the result, not lose to a number.
        kept = closer | tf.math.is_nan(distance)
        back = images + _BACKWARD * (moved - images)
        return state | {
            "current": tf.where(expand(is_broken, images), back, moved),
            "distance": tf.where(closer, distance, state["distance"]),
            "adversarial": tf.where(expand(kept, images), moved, state["adversarial"]),
            "broken": state["broken"] | (closer & (distance <= self.epsilon)),
        }


def _plane(problem: Problem, classes: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Lead of these classes over the label and its gradient, both over its largest entry."""
    lead, gradient, _ = problem.value_and_gradient(_lead_of(classes), images)
    largest = linf_norm(gradient)
    return lead / tf.where(tf.equal(largest, 0.0), 1.0, largest), unit_largest(gradient)


def _lead_of(classes: tf.Tensor) -> objectives.Objective:
    """Objective: how far the logit of these classes lies above the label's."""

    def lead(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return objectives.true_logit(classes, logits) - objectives.true_logit(labels, logits)

    return lead
