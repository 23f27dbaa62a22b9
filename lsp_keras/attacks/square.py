"""Square attack: random search with squares, no gradients."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from lsp_keras.attacks import _square_proposals as _squares
from lsp_keras.attacks._gradient import check_count
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._staged import StagedAttack, State
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand
from lsp_keras.types import Norm
from lsp_keras.validation import InputError

__all__ = ["Square"]

_SHRINK_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_SCHEDULE_LENGTH = 10_000
_STREAMS_PER_TURN = 1 << 24


class Square(StagedAttack):
    """Keeps a random change of one square wherever it lowers the margin.

    Needs the model's answers only, so it tells real robustness from misleading gradients.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"`, `"l2"` or `"l1"`.
        num_queries: Forward passes of each restart.
        num_restarts: Number of random starts.
        initial_share: Share of the image that the first squares cover.
        rescale_schedule: Whether the squares shrink as they would over 10,000 queries, whatever
            `num_queries` is; AutoAttack's do not.

    References:
        Andriushchenko et al., Square Attack: a Query-Efficient Black-Box Adversarial Attack
        via Random Search, 2020, Algorithms 1 to 3; schedule as in AutoAttack.
        Croce and Hein, Mind the Box, ICML 2021, Section 5, for L1.

    Differs from the reference:
        Place and signs of a square are drawn for each image from its index; AutoAttack's code
        draws one for the whole batch and never reaches the last row and column.
    """

    supported_norms = ("linf", "l2", "l1")
    uses_gradients = False
    makes_queries = True

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        num_queries: int = 5000,
        num_restarts: int = 1,
        initial_share: float = 0.8,
        rescale_schedule: bool = False,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_queries = check_count("num_queries", num_queries)
        self.num_restarts = check_count("num_restarts", num_restarts)
        if not 0.0 < initial_share <= 1.0:
            raise InputError(f"`initial_share` must be in (0, 1]. Received: {initial_share!r}.")
        self.initial_share = initial_share
        self.rescale_schedule = rescale_schedule

    def num_turns(self, num_classes: int) -> int:
        """Restarts."""
        return self.num_restarts

    @property
    def window_ends(self) -> Sequence[int]:
        """Roughly doubling, at most 500 queries apart."""
        ends = [5, 10, 25, 50, 100, 200, 350, 500, 750, *range(1000, self.num_queries, 500)]
        return [*(end for end in ends if end < self.num_queries), self.num_queries]

    def begin(self, problem: Problem, turn: tf.Tensor) -> State:
        """Stripes (L-inf) or a grid of tiles."""
        draws = _squares.Draws(problem.seed, problem.indices, _stream(turn, 0))
        start = _squares.STARTS[self.norm](problem.images, self.epsilon, draws)
        margin = problem.margin(start)
        return {"adversarial": start, "margin": margin, "broken": margin > 0.0}

    def advance(
        self, problem: Problem, state: State, *, turn: tf.Tensor, first: tf.Tensor, last: tf.Tensor
    ) -> State:
        images, seed, indices = problem.images, problem.seed, problem.indices
        height, width, _ = problem.image_shape
        sides = tf.constant(_square_sides(self, height, width), tf.int32)
        propose = _squares.PROPOSALS[self.norm]

        def query(count: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
            draws = _squares.Draws(seed, indices, _stream(turn, count + 1))
            current = state["adversarial"]
            # A change of one square, or of two windows under L2 and L1.
            proposal = propose(images, current, self.epsilon, sides[count], draws)
            margin = problem.margin(proposal)
            # Kept where the margin rises, (batch,).
            # NaN must surface, not lose to a number.
            better = tf.logical_not(margin <= state["margin"]) & ~state["broken"]
            return count + 1, {
                "adversarial": tf.where(expand(better, images), proposal, current),
                "margin": tf.where(better, margin, state["margin"]),
                "broken": state["broken"] | (better & (margin > 0.0)),
            }

        return in_turn(lambda count, _: count < last, query, (first, state))[1]


def _stream(turn: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Counter of the random draws for one query of one restart."""
    return tf.cast(turn, tf.int64) * _STREAMS_PER_TURN + tf.cast(count, tf.int64)


def _square_sides(attack: Square, height: int, width: int) -> np.ndarray:
    """Side of the square at each query, int `(num_queries,)`."""
    queries = np.arange(attack.num_queries)
    if attack.rescale_schedule:
        queries = queries * _SCHEDULE_LENGTH // attack.num_queries
    # The share of the image is halved after each of these numbers of queries.
    halvings = np.searchsorted(_SHRINK_AFTER, queries, side="left")
    shares = attack.initial_share / 2.0**halvings
    sides = np.rint(np.sqrt(shares * height * width)).astype(int)
    if attack.norm != "linf":
        # A pyramid needs a middle and something around it.
        sides = np.maximum(sides, 3)
        sides += 1 - sides % 2
    return np.clip(sides, 1, min(height, width))
