"""A classifier as attacks, training and export see it, whatever the model is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.classifiers.answers import Answers
from lsp_keras.classifiers.pixels import PixelRange
from lsp_keras.inference.logits import inference_logits
from lsp_keras.types import Flag, Floats
from lsp_keras.zoo import is_in_zoo

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Classifier:
    """A model, what it takes and what it answers.

    `lsp_keras.classifiers.read` makes one from the model alone, `probe` completes it with what
    its answers to images tell.

    Attributes:
        model: Function that maps float32 images in [0, 1] to float32 logits; a Keras model where it
            can be one, on the layers and weights of the one that was read.
        raw: The model as it was read: images on its own scale to its own answers `(n, k)`.
        image_shape: Shape of an image, `(height, width, channels)`, `None` where any size will do.
        pixels: The scale of its pixels.
        answers: What it answers; `None` before a probe where its layers do not tell.
        classes: Number of logits, `None` before a probe where that is not known.
        precision: Type in which the model that was read computes.
        source: What was read, for its fingerprint and its number of weights.
        class_names: Names of the classes in label order, where the model knows them.
        has_gradients: Whether gradients of the images can be taken.
        path: File, folder or URL.
        run: The run's folder, `None` for a model outside of one.
        findings: Sentences on what a user should know of the reading.
        probed: Whether it has answered images.
    """

    model: Any
    raw: Callable[[tf.Tensor], tf.Tensor]
    image_shape: Shape
    pixels: PixelRange
    answers: Answers | None
    classes: int | None
    precision: str
    source: Any
    class_names: tuple[str, ...] | None = None
    has_gradients: bool = True
    path: Path | str | None = None
    run: Path | None = None
    findings: tuple[str, ...] = ()
    probed: bool = False

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Logits `(n, classes)` of images in [0, 1]."""
        return inference_logits(self.model)(images)

    def own_answers(self, images: tf.Tensor) -> tf.Tensor:
        """What the model itself answers to images in [0, 1], `(n, k)`."""
        return self.raw(self.pixels.apply(images))

    def own_probabilities(self, images: Floats, batch_size: int = 32) -> Floats:
        """The model's own probabilities, `(n, classes)`, computed from its own answers."""
        if self.answers is None:
            raise ValueError("The classifier must be probed first.")
        parts = [
            np.asarray(self.answers.probabilities(self.own_answers(tf.constant(part))))
            for part in _parts(images, batch_size)
        ]
        return np.concatenate(parts)

    def with_findings(self, *sentences: str) -> "Classifier":
        """The same classifier with more to say."""
        return replace(self, findings=(*self.findings, *sentences))

    def located(self, path: Path | str, run: Path | None) -> "Classifier":
        """The same classifier with where it was read from."""
        return replace(self, path=path, run=run)

    @property
    def records(self) -> Path | None:
        """Folder for records of evaluations, `None` where there is no run to keep them in."""
        return None if self.run is None or is_in_zoo(self.run) else self.run / "evaluations"

    def count_params(self) -> int | None:
        """Number of weights, where it is known."""
        if hasattr(self.source, "count_params"):
            return int(self.source.count_params())
        return None

    def describe(self) -> dict[str, Any]:
        """As a record holds it."""
        return {
            "image_shape": list(self.image_shape),
            "pixel_range": str(self.pixels),
            "pixel_range_from": self.pixels.source or "assumed",
            "answers": None if self.answers is None else str(self.answers),
            "num_classes": self.classes,
            "precision": self.precision,
            "summary": self.summary,
            "findings": list(self.findings),
        }

    @property
    def summary(self) -> str:
        """What was found out of the model, in one sentence."""
        sizes = "x".join("any" if size is None else str(size) for size in self.image_shape)
        known = "unknown" if self.answers is None else str(self.answers)
        half = "" if self.precision == "float32" else f" in {self.precision}, read in float32"
        return (
            f"The model takes {sizes} images with pixels in {self.pixels} "
            f"({self.pixels.source or 'assumed'}) and answers {known}{half}."
        )

    @property
    def num_classes(self) -> int:
        """Number of logits of a classifier that was probed."""
        if self.classes is None:
            raise ValueError("The classifier must be probed first.")
        return self.classes

    @property
    def flags(self) -> list[Flag]:
        """What a statement on this model must say of its answers."""
        answers = self.answers
        if answers is None or not answers.are_probabilities:
            return []
        return [_probability_outputs(answers)]

    @property
    def keras_model(self) -> keras.Model | None:
        """`model` where it is a Keras one."""
        return self.model if isinstance(self.model, keras.Model) else None


def _parts(images: Floats, size: int) -> list[Floats]:
    return [images[start : start + size] for start in range(0, len(images), size)]


def _probability_outputs(answers: Answers) -> Flag:
    if answers.exact:
        meaning = f"The model answers {answers}; the logits before them were used."
        advice = "Nothing to do: the numbers are those of the logits."
    else:
        meaning = f"The model answers {answers}; logits were computed from them."
        advice = "Saturated probabilities hide gradients: give the model's logits if you can."
    measure = "1 where the model returns probabilities"
    return Flag("probability_outputs", 1.0, 0.0, measure, meaning, advice)
