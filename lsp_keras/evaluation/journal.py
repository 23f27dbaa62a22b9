"""Verdicts kept as they are found, so that a killed evaluation goes on where it stopped."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import Attack
from lsp_keras.evaluation.examples import Examples
from lsp_keras.storage import atomic_path, fingerprint

# Changes with what the files hold, so that an older program's are not read as this one's.
_FORMAT = "stands and moved"
Booleans = npt.NDArray[np.bool_]


class Journal:
    """One small file for each finished piece of work.

    A verdict depends on the model, the image, its index, the attack and the seed only, so what
    was found before the interruption is what would be found again.

    Args:
        folder: Where to keep the files, `None` to keep none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def open(
        cls,
        folder: Path | None,
        model_fingerprint: str | None,
        examples: Examples,
        attacks: Mapping[str, Attack],
        seed: int,
    ) -> "Journal":
        """The journal of exactly this evaluation; none for a model without a fingerprint."""
        if folder is None or model_fingerprint is None:
            return cls(None)
        key = fingerprint(
            _FORMAT,
            model_fingerprint,
            np.asarray(examples.images),
            np.asarray(examples.labels),
            np.asarray(examples.indices),
            {name: repr(attack) for name, attack in attacks.items()},
            seed,
            examples.batch_size,
        )
        return cls(folder / key)

    def read(self, name: str, start: int) -> Booleans | None:
        """Findings of the piece of work, `None` where it is not finished."""
        path = self._path(name, start)
        if path is None or not path.is_file():
            return None
        return np.load(path, allow_pickle=False)

    def write(self, name: str, start: int, findings: Booleans) -> None:
        """Keeps the findings of a finished piece of work: which images stand, and which moved."""
        path = self._path(name, start)
        if path is None:
            return
        with atomic_path(path) as temporary:
            np.save(temporary, findings, allow_pickle=False)

    def close(self) -> None:
        """Removes the files: the report holds what they said."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str, start: int) -> Path | None:
        return (
            None if self._folder is None else self._folder / f"{name.replace('/', '+')}-{start}.npy"
        )
