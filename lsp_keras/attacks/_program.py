"""What is compiled of an attack for one model and one image shape."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from lsp_keras.attacks._problem import Problem
from lsp_keras.inference.logits import attackable_logits
from lsp_keras.inference.row_function import RowFunction
from lsp_keras.inference.traced import TracedModel
from lsp_keras.types import Examples, Floats

_INTEGERS = tf.TensorSpec([None], tf.int64)
_SEED = tf.TensorSpec([], tf.int64)
_COUNT = tf.TensorSpec([], tf.int32)


class Program:
    """The model and the attack on it as graphs that accept any number of images.

    Every graph is a concrete function: it cannot retrace, whatever it is called with.

    Args:
        attack: The attack.
        model: The model, shared with other attacks.
    """

    def __init__(self, attack: Any, model: TracedModel) -> None:
        self._attack = attack
        self._model = model
        self._images = model.images
        self._parts: dict[Any, Program] = {}

    def part(self, attack: Any) -> "Program":
        """The program of another attack on the same model, compiled once."""
        if attack not in self._parts:
            self._parts[attack] = Program(attack, self._model)
        return self._parts[attack]

    def predict(self, images: Floats) -> Any:
        """Logits `(batch, classes)`."""
        return self._model.predict([images])

    def perturb(self, batch: Examples, _state: Mapping[str, Any], seed: int) -> Any:
        """`{"images": ...}`, the attack's images projected to ball and box."""
        return {"images": self._perturb(_rows(batch), tf.constant(seed, tf.int64))}

    def begin(self, batch: Examples, _state: Mapping[str, Any], seed: int, turn: int) -> Any:
        """State at the start of a staged attack's turn."""
        return self._begin(_rows(batch), tf.constant(seed, tf.int64), tf.constant(turn))

    def advance(
        self,
        batch: Examples,
        state: Mapping[str, npt.NDArray[Any]],
        seed: int,
        turn: int,
        first: int,
        last: int,
    ) -> Any:
        """State after a window of a staged attack's steps."""
        counts = map(tf.constant, (turn, first, last))
        return self._advance([*_rows(batch), dict(state)], tf.constant(seed, tf.int64), *counts)

    @cached_property
    def _perturb(self) -> RowFunction:
        logits_fn = self._model.attacked

        @tf.function(autograph=False)
        def perturb(images: Any, labels: Any, indices: Any, seed: Any) -> Any:
            return self._attack.perturb(logits_fn, images, labels, seed=seed, indices=indices)

        rows = (self._images, _INTEGERS, _INTEGERS)
        return self._of_rows(perturb.get_concrete_function(*rows, _SEED))

    @cached_property
    def _begin(self) -> RowFunction:
        logits_fn = attackable_logits(self._model.attacked)

        @tf.function(autograph=False)
        def begin(images: Any, labels: Any, indices: Any, seed: Any, turn: Any) -> Any:
            return self._attack.begin(Problem(logits_fn, images, labels, seed, indices), turn)

        rows = (self._images, _INTEGERS, _INTEGERS)
        return self._of_rows(begin.get_concrete_function(*rows, _SEED, _COUNT))

    @cached_property
    def _advance(self) -> RowFunction:
        logits_fn = attackable_logits(self._model.attacked)

        @tf.function(autograph=False)
        def advance(
            images: Any,
            labels: Any,
            indices: Any,
            state: Any,
            seed: Any,
            turn: Any,
            first: Any,
            last: Any,
        ) -> Any:
            problem = Problem(logits_fn, images, labels, seed, indices)
            return self._attack.advance(problem, state, turn=turn, first=first, last=last)

        state = {
            key: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
            for key, tensor in self._begin.function.structured_outputs.items()
        }
        rows = (self._images, _INTEGERS, _INTEGERS, state)
        return self._of_rows(advance.get_concrete_function(*rows, _SEED, _COUNT, _COUNT, _COUNT))

    def _of_rows(self, function: Any) -> RowFunction:
        return RowFunction(function, couples_rows=self._attack.couples_images)


def _rows(batch: Examples) -> list[npt.NDArray[Any]]:
    return [batch.images, batch.labels, batch.indices]
