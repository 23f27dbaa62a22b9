"""Several attacks, each on what the ones before it left standing."""

import abc
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from lsp_keras.attacks._base import Attack, Progress
from lsp_keras.attacks._inputs import check_finite
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._program import Program
from lsp_keras.inference.chunks import predict_in_chunks
from lsp_keras.ops.norms import expand
from lsp_keras.ops.projections import project
from lsp_keras.types import Examples, Floats


class Ensemble(Attack):
    """An image counts as robust only if every part fails on it."""

    shows_moves = False

    @abc.abstractmethod
    def parts(self, num_classes: int) -> Mapping[str, Attack]:
        """The attacks by name, in the order they run; the same objects at every call."""

    def run(self, problem: Problem) -> tf.Tensor:
        """See `Attack.run`: all parts in one graph, nothing dropped."""
        images = problem.images
        found, broken = images, tf.zeros_like(problem.labels, tf.bool)
        for part in self.parts(problem.clean_logits.shape[1]).values():
            candidates = project(part.run(problem), images, self.epsilon, self.norm)
            found = tf.where(expand(broken, images), found, candidates)
            broken |= problem.is_broken(problem.logits_fn(candidates))
        return found

    def search(
        self,
        program: Program,
        batch: Examples,
        seed: int,
        *,
        num_classes: int,
        batch_size: int,
        progress: Progress | None,
    ) -> Floats:
        """See `Attack.search`: each part on the survivors of the ones before."""
        found = batch.images.copy()
        standing = np.arange(len(found))
        parts = self.parts(num_classes)
        for position, part in enumerate(parts.values()):
            survivors = batch.take(standing)
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
                progress(position + 1, len(parts), len(standing))
            if not standing.size:
                break
        return found
