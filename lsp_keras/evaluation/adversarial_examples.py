"""Attacked images, kept beside the verdicts on them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import AttackResult
from lsp_keras.storage import atomic_path
from lsp_keras.types import Examples


class AdversarialExamples:
    """One compressed `.npz` file for each attack, read without pickle.

    Each holds, for the images that the attack was run on: `indices` int64 `(n,)`, `labels`
    int64 `(n,)`, `predictions` int64 `(n,)`, `success` bool `(n,)`, `distances` float32 `(n,)`
    in the attack's norm, `clean` and `adversarial` float32 `(n, height, width, channels)`.

    Args:
        folder: Where the files go; files of the same attacks are replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays: dict[str, list[dict[str, npt.NDArray[Any]]]] = {}

    def add(self, name: str, examples: Examples, result: AttackResult) -> None:
        """Adds what an attack made of some images, all floats; `name` as the report has it."""
        self._arrays.setdefault(name, []).append(
            {
                "indices": examples.indices,
                "labels": examples.labels,
                "predictions": result.logits.argmax(axis=1),
                "success": result.success,
                "distances": result.distances,
                "clean": examples.images,
                "adversarial": result.images,
            }
        )

    def write(self) -> list[Path]:
        """Writes all files and returns their paths."""
        return [self._write(name, parts) for name, parts in self._arrays.items()]

    def _write(self, name: str, parts: list[dict[str, npt.NDArray[Any]]]) -> Path:
        path = self._folder / f"{name.replace('/', '+')}.npz"
        arrays: Any = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        return path
