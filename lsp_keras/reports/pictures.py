"""Images inside the page: attacked ones with the answers to them, and queries with neighbors."""

import base64
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npz
from lsp_keras.runs.subjects.subject import Subject
from lsp_keras.types import Floats, Integers, as_floats

logger = logging.getLogger(__name__)

# What a file of attacked images holds; see `Attacked`.
_KEPT = {
    **dict.fromkeys(("indices", "labels", "predictions"), ArraySpec(kinds="iu", ndim=1)),
    "success": ArraySpec(kinds="b", ndim=1),
    **dict.fromkeys(("clean", "adversarial"), ArraySpec(kinds="f", ndim=4)),
}
_MOST_BYTES = 2**33
_NUM_PICTURES = 6
_NUM_QUERIES = 4
_NUM_NEIGHBORS = 8
# Float images in [0, 1] to logits.
Predict = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Attacked:
    """The attacked images of one attack, as `AdversarialExamples` keeps them.

    Attributes:
        attack: Name of the attack.
        indices: Indices of the images, int `(n,)`.
        labels: Labels, int `(n,)`.
        predictions: Predictions under attack, int `(n,)`.
        success: Whether the attack succeeded on each image, bool `(n,)`.
        clean: Clean images, float32 `(n, height, width, channels)` in [0, 1].
        adversarial: The same images, attacked.
    """

    attack: str
    indices: Integers
    labels: Integers
    predictions: Integers
    success: npt.NDArray[np.bool_]
    clean: Floats
    adversarial: Floats


def load_attacked(folder: Path) -> Attacked | None:
    """Those of the strongest attack that was kept: the one that broke the most images."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        try:
            kept = read_npz(path, _KEPT, most_bytes=_MOST_BYTES)
        except ArrayFileError as error:
            logger.warning("%s is damaged and left out: %s", path, error)
            continue
        found.append(Attacked(attack=path.stem.replace("+", "/"), **kept))
    return max(found, key=lambda item: int(item.success.sum()), default=None)


def probabilities(logits: Floats) -> Floats:
    """Softmax of logits, `(n, classes)`."""
    logits = logits.astype(np.float64)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)


def picture_rows(
    attacked: Attacked, predict: Predict, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Some attacked images of different classes: fooled and not, as far as there are both.

    Args:
        attacked: Images and verdicts.
        predict: The model, asked once more for its confidence.
        class_names: Names of the classes, in label order.
    """
    rows = _chosen(attacked)
    before, after = (
        probabilities(predict(images[rows])) for images in (attacked.clean, attacked.adversarial)
    )
    return [
        {
            "truth": class_names[attacked.labels[row]],
            "before": _answer(before[place], class_names),
            "after": _answer(after[place], class_names),
            "fooled": bool(attacked.success[row]),
            "clean": data_uri(attacked.clean[row]),
            "adversarial": data_uri(attacked.adversarial[row]),
            "difference": data_uri(_enlarged(attacked.adversarial[row] - attacked.clean[row])),
        }
        for place, row in enumerate(rows)
    ]


def neighbor_rows(subject: Subject, images: Any, distances: Any) -> list[dict[str, Any]]:
    """Test images of different classes with their nearest training images.

    Args:
        subject: The model's images.
        images: Neighbors of the first `n` test images, uint8 `(n, m, height, width, channels)`.
        distances: Distances to the neighbors in the feature space, float `(n, m)`.
    """
    test = subject.test.take(len(images))
    rows = _of_different_classes(np.arange(len(test)), test.labels, _NUM_QUERIES)
    names = subject.dataset.info.class_names
    return [
        {
            "query": data_uri(as_floats(test.images[row])),
            "class": names[test.labels[row]],
            "neighbors": [
                {"image": data_uri(as_floats(image)), "distance": f"{distance:.3g}"}
                for image, distance in zip(
                    images[row][:_NUM_NEIGHBORS], distances[row][:_NUM_NEIGHBORS], strict=True
                )
            ],
        }
        for row in rows
    ]


def data_uri(pixels: Floats) -> str:
    """An image in [0, 1] as a PNG that the page itself holds."""
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    file = io.BytesIO()
    values = np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    Image.fromarray(values).save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _chosen(attacked: Attacked) -> list[int]:
    """Half of them fooled, half not, where there are enough of both; no class twice in a half."""
    fooled = np.flatnonzero(attacked.success)
    standing = np.flatnonzero(~attacked.success)
    half = _NUM_PICTURES // 2
    first = _of_different_classes(fooled, attacked.labels, _NUM_PICTURES)
    second = _of_different_classes(standing, attacked.labels, _NUM_PICTURES)
    num_second = min(len(second), max(half, _NUM_PICTURES - len(first)))
    return [*first[: _NUM_PICTURES - num_second], *second[:num_second]]


def _of_different_classes(rows: Integers, labels: Integers, count: int) -> list[int]:
    first = {int(labels[row]): int(row) for row in rows[::-1]}
    return sorted(first.values())[:count]


def _answer(shares: Floats, class_names: Sequence[str]) -> str:
    best = int(shares.argmax())
    return f"{class_names[best]}, {100 * shares[best]:.0f} % sure"


def _enlarged(difference: Floats) -> Floats:
    largest = float(np.abs(difference).max())
    shown = 0.5 + 0.5 * difference / largest if largest else np.full_like(difference, 0.5)
    return shown.astype(np.float32)
