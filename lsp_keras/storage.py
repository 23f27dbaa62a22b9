"""Files that are whole or absent, a cache folder, and fingerprints of what results depend on."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary name beside `path`; what was written under it takes its place at the end.

    Works for a file and for a folder that does not exist yet. After an error the temporary
    file is gone and an older `path` is untouched.

    Example:
        >>> with atomic_path("report.json") as temporary:
        ...     _ = temporary.write_text("{}")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept because writers such as Keras's choose the format by it.
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def cache_dir(path: Path | str | None = None) -> Path:
    """Where encoders, neighbor tables and large datasets are kept.

    Args:
        path: The user's choice; default `$XDG_CACHE_HOME/lsp-keras` or `~/.cache/lsp-keras`.
    """
    if path is not None:
        return Path(path)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lsp-keras"


def fingerprint(*parts: Any) -> str:
    """Hexadecimal digest (16 characters) of arrays, bytes and JSON values.

    Equal parts give equal digests on every machine; an array counts with dtype and shape.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\x00")
    return digest.hexdigest()
