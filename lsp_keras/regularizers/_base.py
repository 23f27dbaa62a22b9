"""The contract of every regularizer: named per-example terms that any method can add."""

import abc
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import tensorflow as tf

Batch = Mapping[str, tf.Tensor]
# What a regularizer may need of the pipeline: `neighbor_images` with `neighbor_distances`, and
# `features` of a frozen encoder.
NEIGHBORS = "neighbors"
FEATURES = "features"


class Outputs(NamedTuple):
    """What a pass of the classifier gives.

    Attributes:
        logits: Logits, float32 `(batch, classes)`.
        features: Features that the last layer reads, float32 `(batch, units)`; `None` where nobody
            asked.
    """

    logits: tf.Tensor
    features: tf.Tensor | None = None


@dataclass(frozen=True)
class Anchor:
    """Where a method's regularizers start from.

    Attributes:
        images: Images that the method trains on, float32 `(batch, height, width, channels)`: clean
            ones, or adversarial ones for `at`.
        logits: Logits of `images` in training mode, float32 `(batch, classes)`.
        riders: Logits of the images that each regularizer sent along in the same pass, by its name.
        metric_logits: What metrics see, where the method did not train on `images` themselves;
            `None` stands for `logits`.
        features: Features of `images` that the last layer reads, float32 `(batch, units)`, where a
            regularizer asked for them by `uses_features`.
        clean: Outputs for the batch's clean images, in training mode and with gradient, where
            the method computed them beside those of `images`.
    """

    images: tf.Tensor
    logits: tf.Tensor
    riders: Mapping[str, tf.Tensor] = field(default_factory=dict)
    metric_logits: tf.Tensor | None = None
    features: tf.Tensor | None = None
    clean: Outputs | None = None


@dataclass(frozen=True)
class Step:
    """One training step, as regularizers see it.

    Attributes:
        classifier: The model being trained.
        batch: What the pipeline yielded: `images`, `labels`, `indices` and more.
        anchor: Images that the method trained on, and their logits.
        seed: Seed that differs in every step, an int64 scalar.
        iteration: Number of steps before this one, an int64 scalar.
        prepared: Result of each regularizer's `prepare`, by its name.
    """

    classifier: keras.Model
    batch: Batch
    anchor: Anchor
    seed: tf.Tensor
    iteration: tf.Tensor
    prepared: Mapping[str, Any] = field(default_factory=dict)

    @property
    def clean(self) -> Outputs | None:
        """Outputs for the batch's clean images where the method computed them, else `None`."""
        if self.anchor.images is self.batch["images"]:
            return Outputs(self.anchor.logits, self.anchor.features)
        return self.anchor.clean


class Regularizer(abc.ABC):
    """Adds named per-example terms to the loss of any method.

    Subclasses write `term_weights`, `terms` and a constructor with keyword-only arguments that
    keeps each as an attribute of the same name; `name` is one of them.

    Args:
        name: Name that tells two regularizers of one kind apart; the terms are logged under it.

    Attributes:
        uses_features: Whether the method's passes must return the classifier's features too.
    """

    uses_features: bool = False

    def __init__(self, *, name: str) -> None:
        self.name = name

    @abc.abstractmethod
    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float | tf.Tensor]:
        """What each term is multiplied by.

        Args:
            iteration: Number of steps done, for weights that warm up.

        Returns:
            The same names in every step. Under a weight of the Python number 0 the term is
            measured and logged, and the gradient does not see it.
        """

    @abc.abstractmethod
    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        """The terms before weighting, float32 `(batch,)`, under the names of `term_weights`."""

    @property
    def needs(self) -> frozenset[str]:
        """What batches must hold beside images and labels: `NEIGHBORS`, `FEATURES`, or nothing."""
        return frozenset()

    @property
    def uses_whole_batch(self) -> bool:
        """Whether one image's terms depend on others of the batch; default not.

        A replica's part of the batch will not do then.
        """
        return False

    def check(self, classifier: keras.Model) -> None:  # noqa: B027 (optional)
        """Raises `InputError` where the classifier does not suit the term; default never."""

    def prepare(
        self,
        classifier: keras.Model,
        batch: Batch,
        *,
        adversarial: tf.Tensor | None,
        seed: tf.Tensor,
    ) -> Any:
        """Work that no gradient of the weights passes through, such as an attack.

        It runs before the gradient tape starts and once in each step.

        Args:
            classifier: The model being trained.
            batch: What the pipeline yielded.
            adversarial: Adversarial versions of `batch["images"]` where the method made some.
            seed: Seed that differs in every step, an int64 scalar.

        Returns:
            What `terms` finds in `step.prepared[self.name]`; default nothing.
        """
        return None

    def riders(self, batch: Batch) -> tf.Tensor | None:
        """Images that must pass the classifier in one batch with the anchor's.

        They share its BatchNorm statistics; their logits come back in `Anchor.riders`.

        Returns:
            float32 `(count, height, width, channels)`, or `None`.
        """
        return None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: `type(self)(**self.get_config())` is its equal."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"
