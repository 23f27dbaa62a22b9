"""Several attacks, each on what the ones before it left standing, and the pass without any."""

import abc
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import numpy as np
import tensorflow as tf

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._inputs import check_finite
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._program import Program
from lsp_keras.inference.chunks import predict_in_chunks
from lsp_keras.ops.norms import expand
from lsp_keras.ops.projections import project
from lsp_keras.types import Examples, Floats, Integers, Norm, SearchProgress
from lsp_keras.validation import InputError

_Found: TypeAlias = tuple[tf.Tensor, tf.Tensor]


State = TypeVar("State")


def in_cascade(
    parts: Mapping[str, Attack], state: State, run: Callable[[str, Attack, State], State]
) -> State:
    """Runs each part on what the ones before it left.

    Args:
        parts: Attacks by name, in the order they run.
        state: What is left at first, in whatever form `run` keeps it.
        run: Function of `(name, part, state)` that returns what the part left.

    Returns:
        What the last part left.
    """
    for name, part in parts.items():
        state = run(name, part, state)
    return state


class Ensemble(Attack):
    """An image counts as robust only if every part fails on it."""

    shows_moves = False

    @abc.abstractmethod
    def parts(self, num_classes: int) -> Mapping[str, Attack]:
        """The attacks by name, in the order they run; the same objects at every call."""

    def run(self, problem: Problem) -> tf.Tensor:
        """Runs all parts in one graph and drops nothing."""
        images = problem.images

        def run_part(_: str, part: Attack, state: _Found) -> _Found:
            found, broken = state
            candidates = project(part.run(problem), images, self.epsilon, self.norm)
            found = tf.where(expand(broken, images), found, candidates)
            return found, broken | problem.is_broken(problem.logits_fn(candidates))

        parts = self.parts(problem.clean_logits.shape[1])
        nothing_broken = tf.zeros_like(problem.labels, tf.bool)
        return in_cascade(parts, (images, nothing_broken), run_part)[0]

    def search(
        self,
        program: Program,
        batch: Examples,
        seed: int,
        *,
        num_classes: int,
        batch_size: int,
        progress: SearchProgress | None,
    ) -> Floats:
        """Runs each part on the survivors of the ones before."""
        found, parts = batch.images.copy(), self.parts(num_classes)
        places = {part: number for number, part in enumerate(parts.values(), 1)}

        def run_part(_: str, part: Attack, standing: Integers) -> Integers:
            if not standing.size:
                return standing
            survivors = batch.select(standing)
            candidates = part.search(
                program.part(part),
                survivors,
                seed,
                num_classes=num_classes,
                batch_size=batch_size,
                progress=None,
            )
            moved = project(
                tf.constant(candidates), tf.constant(survivors.images), self.epsilon, self.norm
            ).numpy()
            check_finite(moved, f"images found by {type(part).__name__}")
            found[standing] = moved
            logits = predict_in_chunks(program.predict, moved, batch_size)
            standing = standing[logits.argmax(axis=1) == survivors.labels]
            if progress is not None:
                progress(places[part], len(parts), len(standing))
            return standing

        in_cascade(parts, np.arange(len(found)), run_part)
        return found


class Cascade(Ensemble):
    """The given attacks, each on what the ones before it left standing.

    Args:
        attacks: Attacks by name, in the order they run, all with this radius and norm.
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball, `"linf"`, `"l2"` or `"l1"`.

    Raises:
        InputError: There are none, or one has another radius or norm.
    """

    supported_norms = ("linf", "l2", "l1")

    def __init__(
        self, *, attacks: Mapping[str, Attack], epsilon: float | str, norm: Norm = "linf"
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        for name, attack in attacks.items():
            if (attack.epsilon, attack.norm) != (self.epsilon, self.norm):
                raise InputError(
                    f"All attacks of a cascade share one ball. Received: {name} with "
                    f"epsilon={attack.epsilon:g}, norm={attack.norm!r}, in a cascade with "
                    f"epsilon={self.epsilon:g}, norm={self.norm!r}."
                )
        if not attacks:
            raise InputError("`attacks` must name at least one attack. Received: none.")
        self.attacks = dict(attacks)
        self.uses_gradients = any(attack.uses_gradients for attack in attacks.values())

    def parts(self, num_classes: int) -> Mapping[str, Attack]:
        """The given attacks."""
        return self.attacks


class Unperturbed(Attack):
    """Finds exactly the clean mistakes, so that clean accuracy is measured like any other.

    Args:
        epsilon: Radius of the ball, not used.
        norm: Norm of the ball, `"linf"`, `"l2"` or `"l1"`, not used.
    """

    supported_norms = ("linf", "l2", "l1")
    uses_gradients = False
    is_iterative = False

    def run(self, problem: Problem) -> tf.Tensor:
        return problem.images
