"""Attacks that run in turns and windows, so that broken images can be dropped on the way."""

import abc
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._program import Program
from lsp_keras.inference.chunks import in_chunks
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand
from lsp_keras.types import Examples, Floats, SearchProgress

State: TypeAlias = dict[str, tf.Tensor]


class StagedAttack(Attack):
    """An attack of one or more turns (restarts, targets), each of many steps.

    A turn carries a state of per-example tensors. Two of them have a fixed meaning:
    `"adversarial"`, the best images so far, and `"broken"`, where they are misclassified
    within the budget. Called on a batch, the attack stops after every window of steps, drops
    what is broken and packs the survivors into full batches again.
    """

    @abc.abstractmethod
    def num_turns(self, num_classes: int) -> int:
        """How many times `begin` is called."""

    @property
    @abc.abstractmethod
    def window_ends(self) -> Sequence[int]:
        """Numbers of steps after which broken images are dropped; the last ends the turn."""

    @abc.abstractmethod
    def begin(self, problem: Problem, turn: tf.Tensor) -> State:
        """State before the first step of a turn; every tensor is `(batch, ...)`."""

    @abc.abstractmethod
    def advance(
        self, problem: Problem, state: State, *, turn: tf.Tensor, first: tf.Tensor, last: tf.Tensor
    ) -> State:
        """State after the steps `first` to `last - 1`, in one `tf.while_loop`."""

    def run(self, problem: Problem) -> tf.Tensor:
        """Runs all turns in one graph and drops nothing."""

        def one_turn(
            turn: tf.Tensor, found: tf.Tensor, broken: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            state = self.begin(problem, turn)
            first, last = tf.constant(0), tf.constant(self.window_ends[-1])
            state = self.advance(problem, state, turn=turn, first=first, last=last)
            # An image that an earlier turn broke keeps what broke it.
            found = tf.where(expand(broken, found), found, state["adversarial"])
            return turn + 1, found, broken | state["broken"]

        num_turns = self.num_turns(problem.clean_logits.shape[1])
        start = (tf.constant(0), problem.images, tf.zeros_like(problem.labels, tf.bool))
        return in_turn(lambda turn, *_: turn < num_turns, one_turn, start)[1]

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
        """Goes on with survivors only, in full batches."""
        found = batch.images.copy()
        # Rows that no turn has broken so far; `rows` are places among them within the turn.
        standing = np.arange(len(found))
        total = self.num_turns(num_classes) * self.window_ends[-1]
        for turn in range(self.num_turns(num_classes)):
            survivors = batch.select(standing)
            # The turn starts on the survivors of the turns before, in full batches.
            state = in_chunks(program.begin, survivors, {}, batch_size, seed, turn)
            rows, start = np.arange(len(standing)), 0
            for end in self.window_ends:
                broken = state["broken"]
                found[standing[rows]] = state["adversarial"]
                # What a window has broken is kept and dropped from the state.
                rows, state = rows[~broken], {key: part[~broken] for key, part in state.items()}
                if progress is not None:
                    progress(turn * self.window_ends[-1] + start, total, len(rows))
                if not rows.size:
                    break
                window = survivors.select(rows)
                state = in_chunks(
                    program.advance, window, state, batch_size, seed, turn, start, end
                )
                start = end
            else:
                found[standing[rows]] = state["adversarial"]
                rows = rows[~state["broken"]]
            standing = standing[rows]
            if not standing.size:
                break
        if progress is not None:
            progress(total, total, len(standing))
        return found
