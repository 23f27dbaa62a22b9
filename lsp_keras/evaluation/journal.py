"""Verdicts kept as they are found, so that a killed evaluation goes on where it stopped."""

import contextlib
import json
import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import Attack
from lsp_keras.evaluation.report import pack_verdicts, unpack_verdicts
from lsp_keras.storage import fingerprint, write_json
from lsp_keras.types import Examples

logger = logging.getLogger(__name__)

# Changes with what the files hold, so that an older program's are not read as this one's.
_FORMAT = "stands and moved"
Booleans = npt.NDArray[np.bool_]
# More than a piece takes besides its findings, each of which takes a quarter of a byte.
_SLACK = 1000
_MOST_ROWS = 3
_TRIES = 10


class Journal:
    """One small file for each finished piece of work.

    A verdict depends on the model, the image, its index, the attack and the seed only, so what
    was found before the interruption is what would be found again. Two processes with the same
    evaluation may share a journal: each writes whole files, and misses none that is gone.

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
        *,
        batch_size: int,
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
            batch_size,
        )
        return cls(folder / key)

    def read(self, name: str, start: int, count: int) -> Booleans | None:
        """Findings of a piece of work, `None` where it is not finished or its file is damaged.

        Args:
            name: Name of the attack.
            start: Place of the first image.
            count: Number of images.

        Returns:
            bool `(..., count)`, as `write` got it.
        """
        path = self._path(name, start)
        if path is None:
            return None
        try:
            if path.stat().st_size > count + _SLACK:
                raise ValueError("it is too long")
            piece = json.loads(path.read_text(encoding="utf-8"))
            rows = piece["rows"]
            shape = (count,) if rows is None else (min(int(rows), _MOST_ROWS), count)
            findings = unpack_verdicts(piece["findings"], math.prod(shape)).reshape(shape)
            if piece != _piece(name, start, findings):
                raise ValueError("it is of other work, or changed")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.warning("%s is damaged and done again: %s", path, error)
            return None
        return findings

    def write(self, name: str, start: int, findings: Booleans) -> None:
        """Keeps the findings of a finished piece of work.

        Args:
            name: Name of the attack.
            start: Place of the first image.
            findings: Findings on the images, bool `(n,)` or `(k, n)`.
        """
        path = self._path(name, start)
        if path is None:
            return
        for _ in range(_TRIES):
            # Another process with the same evaluation may be done with it and clear it away.
            with contextlib.suppress(FileNotFoundError):
                write_json(path, _piece(name, start, findings))
                return

    def close(self) -> None:
        """Removes the files: the report holds what they said."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str, start: int) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{name.replace('/', '+')}-{start}.json"


def _piece(name: str, start: int, findings: Booleans) -> dict[str, Any]:
    """What a file holds: findings of certain work, with a checksum."""
    content = {
        "attack": name,
        "start": start,
        "count": findings.shape[-1],
        "rows": None if findings.ndim == 1 else len(findings),
        "findings": pack_verdicts(findings),
    }
    return {**content, "checksum": fingerprint(content)}
