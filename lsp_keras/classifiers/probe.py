"""What a classifier's answers to images tell of it, and whether they can be right."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.classifiers.answers import LOGITS, Answers, check_outputs, recognize
from lsp_keras.classifiers.classifier import Classifier
from lsp_keras.classifiers.endings import is_graph
from lsp_keras.classifiers.pixels import (
    BYTES,
    SYMMETRIC,
    PixelRange,
    replace_source,
    standardized,
)
from lsp_keras.classifiers.tf_graph import without_ending
from lsp_keras.types import Floats, Integers
from lsp_keras.validation import InputError

_GOOD = 0.9
_FEWEST = 16
_STANDARD_ERRORS = 3.0
# Of images on which only one of two readings is right.
_PAIRED = 2.5
_LEAD = 0.03
_ALL = 0.99
_AT_ONCE = 32
_ASSUMED = "Pixels in [0, 1] are assumed, since no layer tells of others"

Booleans = npt.NDArray[np.bool_]


def probe(classifier: Classifier, images: Floats, labels: Integers | None = None) -> Classifier:
    """The classifier with what its answers to images tell.

    Args:
        classifier: Classifier, as `read` returns it.
        images: Images, float32 `(n, height, width, channels)` in [0, 1]; 128 real ones tell enough.
        labels: Labels, int `(n,)`, without which the range of the pixels cannot be checked.

    Raises:
        InputError: The images do not fit, the answers are no classes, or another range of pixels
            makes the model much more accurate than the one that was found or assumed.
    """
    check_image_shape(classifier, images)
    if classifier.probed:
        return classifier
    outputs = _answers_to(classifier, classifier.pixels, images)
    found = _completed(classifier, outputs, images)
    if labels is not None:
        _check_labels(found, labels)
        found = _check_range(found, images, labels, outputs)
    elif found.pixels.source is None:
        found = found.with_findings(f"{_ASSUMED}.")
    return replace(found, probed=True)


def check_image_shape(classifier: Classifier, images: Floats) -> None:
    """Raises `InputError` where the model takes images of another shape."""
    wanted, given = classifier.image_shape, images.shape[1:]
    if len(given) != 3 or any(
        size is not None and size != other for size, other in zip(wanted, given, strict=False)
    ):
        raise InputError(
            f"The model takes images of shape {wanted}. Received: {given}. "
            "Choose the dataset that it was trained on, or resize the images."
        )


def _answers_to(classifier: Classifier, pixels: PixelRange, images: Floats) -> Floats:
    parts = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
    answers = [np.asarray(classifier.raw(pixels.apply(tf.constant(part)))) for part in parts]
    return check_outputs(np.concatenate(answers))


def _completed(classifier: Classifier, outputs: Floats, images: Floats) -> Classifier:
    """The classifier with the kind of its answers and a model of logits."""
    if classifier.answers is not None:
        return replace(classifier, classes=classifier.classes or outputs.shape[1])
    one_unit = outputs.shape[1] == 1
    answers = Answers(recognize(outputs, classifier.precision), one_unit)
    model: Any = classifier.model
    if answers.kind != LOGITS or one_unit or not _answers_rows(classifier, images):
        model, answers = _logits_of(classifier, answers, images.shape[1:])
    found = replace(
        classifier,
        model=model,
        answers=answers,
        classes=2 if one_unit else outputs.shape[1],
    )
    if one_unit and answers.kind == LOGITS:
        return found.with_findings("Its one unit is read as the second class's logit of two.")
    return found


def _answers_rows(classifier: Classifier, images: Floats) -> bool:
    """Whether the model as it is takes images in [0, 1] and answers one tensor of rows."""
    if is_graph(classifier.model):
        return len(classifier.model.outputs[0].shape) == 2
    if not classifier.pixels.is_unit:
        return False
    answer = classifier.model(tf.constant(images[:1]))
    return isinstance(answer, tf.Tensor) and answer.shape.rank == 2


def _logits_of(classifier: Classifier, answers: Answers, shape: Any) -> tuple[Any, Answers]:
    """A function of images in [0, 1] that returns logits, and what is known of it."""
    own = classifier.own_answers
    if answers.are_probabilities and classifier.has_gradients:
        found = without_ending(own, tuple(shape))
        if found is not None:
            before, kind = found
            answers = replace(answers, kind=kind, exact=True)
            linear = Answers(LOGITS, answers.one_unit)
            return lambda images: linear.logits(before(images)), answers
    answers = replace(answers, exact=answers.kind == LOGITS)
    return lambda images: answers.logits(own(images)), answers


def _check_labels(classifier: Classifier, labels: Integers) -> None:
    largest = int(labels.max(initial=0))
    if classifier.classes is not None and largest >= classifier.classes:
        raise InputError(
            f"The model answers {classifier.num_classes} classes, and the labels go up to "
            f"{largest}. Choose the dataset that it was trained on."
        )


def _check_range(
    classifier: Classifier, images: Floats, labels: Integers, outputs: Floats
) -> Classifier:
    """The classifier, with a remark on answers that are all the same.

    Raises:
        InputError: Another range of pixels is clearly the right one.
    """
    right = _is_right(classifier, outputs, labels)
    known = classifier.pixels.source is not None
    if len(labels) < _FEWEST or (known and right.mean() >= _GOOD):
        return classifier if known else classifier.with_findings(f"{_ASSUMED}.")
    tried = []
    for candidate in _candidates(classifier, images):
        try:
            answers = _answers_to(classifier, candidate, images)
        except Exception:
            continue  # It refuses such pixels, a server in words of its own.
        tried.append((candidate, _is_right(classifier, answers, labels)))
    best, pixels = right, classifier.pixels
    for candidate, found in tried:
        if found.mean() > best.mean():
            best, pixels = found, candidate
    if _is_clear(right, best, labels):
        # To a network of ReLUs a wider range looks much like a shifted one: all that may be meant.
        likely = [
            candidate
            for candidate, found in tried
            if _is_clear(right, found, labels) and not _is_clear(found, best, labels)
        ]
        message = (
            f"The model is right on {right.mean():.0%} of {len(labels)} images with pixels in "
            f"{classifier.pixels} ({classifier.pixels.source or 'assumed'}), and on "
            f"{best.mean():.0%} with pixels in {pixels}."
        )
        if classifier.pixels.source != "given":
            raise InputError(
                f"{message} Say what it takes: "
                f"{' or '.join(f'--pixel-range={item.option}' for item in likely)} "
                "(`pixel_range=` in Python)."
            )
        return classifier.with_findings(message)
    if not known:
        hint = "" if best is right else f"; in {pixels} it would be right on {best.mean():.1%}"
        found_right = f"it is right on {right.mean():.1%} of {len(labels)} images"
        classifier = classifier.with_findings(f"{_ASSUMED}: {found_right}{hint}.")
    if np.unique(np.argmax(_as_rows(classifier, outputs), axis=1)).size == 1:
        return classifier.with_findings(f"It answers one class to all {len(labels)} probed images.")
    return classifier


def _candidates(classifier: Classifier, images: Floats) -> Iterator[PixelRange]:
    for candidate in (PixelRange(), BYTES, SYMMETRIC, standardized(images)):
        if replace_source(classifier.pixels, None) != candidate:
            yield candidate


def _is_clear(right: Booleans, best: Booleans, labels: Integers) -> bool:
    """Whether the better answers are better by more than luck, and no single class."""
    gained, lost = int(np.sum(best & ~right)), int(np.sum(right & ~best))
    largest = int(np.bincount(labels).max())
    chance = largest + _STANDARD_ERRORS * np.sqrt(largest * (1 - largest / len(labels)))
    return bool(
        gained - lost > _PAIRED * np.sqrt(gained + lost)
        and gained - lost > _LEAD * len(labels)
        and best.sum() > min(chance, _ALL * len(labels))
    )


def _is_right(classifier: Classifier, outputs: Floats, labels: Integers) -> Booleans:
    right: Booleans = np.argmax(_as_rows(classifier, outputs), axis=1) == labels
    return right


def _as_rows(classifier: Classifier, outputs: Floats) -> Floats:
    if classifier.answers is None or not classifier.answers.one_unit:
        return outputs
    return np.asarray(classifier.answers.probabilities(tf.constant(outputs)))
