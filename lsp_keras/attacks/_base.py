"""The contract of every attack: what is checked before, enforced after, and never left to it."""

import abc
import functools
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.attacks._inputs import check_batch, check_finite, check_labels
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._program import Program
from lsp_keras.inference.batches import ranges
from lsp_keras.inference.chunks import in_chunks, predict_in_chunks
from lsp_keras.inference.logits import LogitsFn, attackable_logits
from lsp_keras.inference.traced import TracedModel
from lsp_keras.ops.norms import norm_of
from lsp_keras.ops.projections import project
from lsp_keras.types import Examples, Floats, Norm, SearchProgress, ThreatModel
from lsp_keras.validation import check_choice

_MODELS_KEPT = 4
_FINAL = ("__call__", "perturb")
# Twice what float32 rounds a pixel by: less is no move.
_HAIR = 2.0**-23


@dataclass(frozen=True)
class AttackResult:
    """What an attack found.

    Attributes:
        images: Images inside the ball and the pixel box, float32 `(n, height, width, channels)`:
            the clean image where that is misclassified already.
        success: Whether each of `images` is misclassified, bool `(n,)`; recomputed, never reported
            by the attack itself.
        logits: Logits of `images`, float32 `(n, classes)`.
        distances: Norm of each perturbation, float32 `(n,)`.
        moved: Whether the attack moved each image, bool `(n,)`: false where an attack that uses
            gradients returned the image or a random start of its own as it was, since the model
            gave it no slope to climb.
    """

    images: Floats
    success: npt.NDArray[np.bool_]
    logits: Floats
    distances: Floats
    moved: npt.NDArray[np.bool_]


class Attack(abc.ABC):
    """Finds a misclassified image within `epsilon` of each given one.

    Subclasses write `run` and a constructor with keyword-only arguments that keeps each as an
    attribute of the same name. `perturb` and `__call__` are final, so that no subclass can
    leave its budget or report a success that is none.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"`, `"l2"` or `"l1"`, one of `supported_norms`.

    Attributes:
        supported_norms: Norms it knows.
        uses_gradients: Whether it needs the model's gradients, not its answers alone.
        is_iterative: Whether it takes many steps, each from where the one before ended.
        makes_queries: Whether it chooses among images by the model's answers alone.
        shows_moves: Whether an image that stands shows if the attack moved it at all; false of
            attacks that return the clean image wherever they fail.
        couples_images: Whether an image's result depends on the others in its batch, which must
            then stay whole.
    """

    supported_norms: ClassVar[tuple[Norm, ...]] = ("linf", "l2")
    uses_gradients: bool = True
    is_iterative: bool = True
    makes_queries: bool = False
    shows_moves: bool = True
    couples_images: bool = False

    def __init__(self, *, epsilon: float | str, norm: Norm = "linf") -> None:
        self.norm = norm
        check_choice("norm", norm, self.supported_norms)
        self.epsilon = ThreatModel.parse(epsilon, norm).epsilon
        # Programs are kept by the model they were compiled for; the bound frees old models.
        self._program = functools.lru_cache(maxsize=_MODELS_KEPT)(self._compiled_for)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        overridden = [name for name in _FINAL if name in cls.__dict__]
        if overridden:
            raise TypeError(
                f"{cls.__name__} must not override {overridden[0]!r}: it enforces the budget "
                "and recomputes success. Write `run` instead."
            )

    @abc.abstractmethod
    def run(self, problem: Problem) -> tf.Tensor:
        """Adversarial candidates, in graph operations only.

        Args:
            problem: The model and the batch to attack.

        Returns:
            float32, as the images; whatever lies outside the budget is projected back.
        """

    def starts(self, problem: Problem) -> Sequence[tf.Tensor]:
        """Points that an attack without any gradient would end at, as the images."""
        return [problem.images]

    def _compiled_for(
        self, logits_fn: LogitsFn | TracedModel, image_shape: tuple[int, ...]
    ) -> Program:
        if isinstance(logits_fn, TracedModel):
            return Program(self, logits_fn)
        return Program(self, TracedModel(logits_fn, image_shape))

    @final
    def perturb(
        self,
        logits_fn: LogitsFn,
        images: tf.Tensor,
        labels: tf.Tensor,
        *,
        seed: int | tf.Tensor,
        indices: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Adversarial images for use inside a training step: no values are checked.

        Args:
            logits_fn: A Keras model, called with `training=False`, or images -> logits.
            images: Images, float32 `(batch, height, width, channels)` in [0, 1].
            labels: Labels, int `(batch,)`.
            seed: Seed of the random draws, an integer or an integer scalar tensor.
            indices: Keys of each image's draws, int `(batch,)`; default its place in the batch.

        Returns:
            float32, as `images`, inside the ball and the box. No gradient flows through it.
        """
        images = tf.convert_to_tensor(images, tf.float32)
        if indices is None:
            indices = tf.range(tf.shape(images)[0])
        problem = Problem(
            attackable_logits(logits_fn),
            images,
            tf.cast(labels, tf.int64),
            tf.cast(seed, tf.int64),
            tf.cast(indices, tf.int64),
        )
        candidates = self.run(problem)
        return tf.stop_gradient(project(candidates, images, self.epsilon, self.norm))

    @final
    def __call__(
        self,
        logits_fn: LogitsFn | TracedModel,
        images: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        seed: int,
        indices: npt.ArrayLike | None = None,
        batch_size: int | None = None,
        progress: SearchProgress | None = None,
    ) -> AttackResult:
        """Attacks images and measures what came of it.

        Compiled once for each model and image shape, whatever the number of images. Without a
        GPU each core of the processor takes its share of a batch. The attack runs on a functional
        model with its batch normalizations folded into the convolutions before them; what it
        finds is checked on the model itself.

        Args:
            logits_fn: A Keras model, called with `training=False`, or images -> logits, those of
                an image independent of the others in its batch; or what `TracedModel` made of
                one for several attacks.
            images: Images, float `(batch, height, width, channels)` in [0, 1].
            labels: Labels, int `(batch,)`.
            seed: Seed of the random draws, an integer.
            indices: Keys of each image's draws, int `(batch,)`; default its place in the batch.
            batch_size: Images on the device at once, default all.
            progress: Function that is called with the work done, all work and the number of images
                standing.

        Raises:
            InputError: Images or labels are not what the model expects.
            NonFiniteError: The model's logits or the attack's images are not finite: such an
                attack has failed and says nothing about robustness.
        """
        batch = check_batch(images, labels, indices)
        batch_size = min(batch_size or len(batch.images), len(batch.images))
        program = self._program(logits_fn, batch.images.shape[1:])
        clean_logits = _predict(program, batch.images, batch_size, "clean")
        check_labels(batch.labels, clean_logits.shape[1])
        # A clean mistake is broken at distance 0; an attack could only turn it correct.
        correct = np.flatnonzero(clean_logits.argmax(axis=1) == batch.labels)
        adversarial = batch.images.copy()
        if correct.size:
            adversarial[correct] = self.search(
                program,
                batch.select(correct),
                seed,
                num_classes=clean_logits.shape[1],
                batch_size=batch_size,
                progress=progress,
            )
        check_finite(adversarial, f"images found by {type(self).__name__}")
        originals = tf.constant(batch.images)
        moved = project(tf.constant(adversarial), originals, self.epsilon, self.norm)
        adversarial = moved.numpy()
        logits = _predict(program, adversarial, batch_size, "adversarial")
        return AttackResult(
            images=adversarial,
            success=logits.argmax(axis=1) != batch.labels,
            logits=logits,
            distances=norm_of(moved - originals, self.norm).numpy(),
            moved=self._left_its_starts(batch, seed, adversarial, batch_size),
        )

    def _left_its_starts(
        self, batch: Examples, seed: int, found: Floats, batch_size: int
    ) -> npt.NDArray[np.bool_]:
        """`AttackResult.moved`; true of attacks of which it would say nothing."""
        moved = np.ones(len(found), bool)
        if not self.uses_gradients or not self.shows_moves:
            return moved
        for first, end in ranges(len(found), batch_size):
            part = batch.select(np.arange(first, end))
            arrays = part.images, part.labels, np.int64(seed), part.indices
            problem = Problem(_no_logits, *map(tf.constant, arrays))
            for start in self.starts(problem):
                start = project(start, problem.images, self.epsilon, self.norm)
                steps = norm_of(found[first:end] - start, "linf").numpy()
                moved[first:end] &= steps > _HAIR
        return moved

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
        """Candidates for a whole set of correctly classified images, batch by batch.

        Attacks that can drop what is broken on the way override this; whatever it returns is
        projected and verified.

        Args:
            program: The compiled attack.
            batch: The images.
            seed: Seed of the random draws.
            num_classes: Number of logits.
            batch_size: Images on the device at once.
            progress: Function that is called with the work done, all work and the number of images
                standing.
        """

        total = len(batch)
        return in_chunks(
            program.perturb,
            batch,
            {},
            batch_size,
            seed,
            on_rows=lambda done: progress(done, total, total) if progress else None,
        )["images"]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: `type(attack)(**attack.get_config())` is its equal."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def _no_logits(images: tf.Tensor) -> tf.Tensor:
    """Stands for a model where only starts are drawn."""
    raise RuntimeError("Starts do not depend on the model.")


def _predict(program: Program, images: Floats, batch_size: int, what: str) -> Floats:
    """Logits of all images.

    Raises:
        NonFiniteError: Some are NaN or infinite.
    """
    logits = predict_in_chunks(program.predict, images, batch_size)
    check_finite(logits, f"logits of the {what} images")
    return logits
