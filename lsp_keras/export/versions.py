"""Version folders of a served model: `models/NAME/VERSION`."""

import contextlib
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsp_keras.places import publish
from lsp_keras.storage import move_new
from lsp_keras.validation import InputError

# TensorFlow Serving's versions are 64-bit integers.
_LARGEST = 2**63 - 1
_CLAIM = ".claim"
# Exports that take longer than this were killed.
_LONGEST_EXPORT = 24 * 3600
_LONGEST_WAIT = 0.5


def existing_versions(base_path: Path) -> list[int]:
    """Versions under `base_path`, sorted: whatever has a 64-bit integer for a name."""
    if not base_path.is_dir():
        return []
    names = (path.name for path in base_path.iterdir())
    versions = (int(name) for name in names if name.isascii() and name.isdecimal())
    return sorted(version for version in versions if version <= _LARGEST)


def choose_version(base_path: Path, version: int | None) -> Path:
    """Folder of a new version.

    Args:
        base_path: Folder of the model.
        version: A positive integer, or `None` for the one after the newest.

    Raises:
        InputError: The version is not positive, or exists.
    """
    existing = existing_versions(base_path)
    if version is None:
        claimed = [number for number, _ in _claims(base_path)]
        version = max([*existing, *claimed], default=0) + 1
    if not 1 <= version <= _LARGEST:
        raise InputError(
            f"`version` must be 1 or more and fit in 64 bits. Received: version={version}."
        )
    if version in existing:
        raise InputError(
            f"Version {version} exists already in {base_path}; a served version is never "
            f"overwritten. Leave `version` out for the next one, {existing[-1] + 1}."
        )
    return base_path / str(version)


def place_version(written: Path, base_path: Path, version: int | None) -> Path:
    """Moves a complete SavedModel to its version's folder, which appears at once.

    Args:
        written: Folder on the same device.
        base_path: Folder of the model.
        version: Number of the version, as `choose_version` takes it; where others export at the
            same time, the default is the first one that is left.

    Raises:
        InputError: The version exists.
    """
    while True:
        folder = choose_version(base_path, version)
        try:
            move_new(written, folder)
        except FileExistsError:
            continue
        return folder


def publish_version(written: Path, base_path: Any, version: int | None, *, marker: str) -> Any:
    """Copies a complete SavedModel to its version's folder in a store, which cannot rename.

    A number is claimed by a file of its own beside the versions, and given up where another
    export's claim lies there too: of two exports at most one goes on. So it is in stores that list
    a file as soon as it is written, as those of Google, Amazon and Microsoft do.

    Args:
        written: Folder of this machine.
        base_path: Place of the model in the store.
        version: Number of the version, as `choose_version` takes it; where others export at the
            same time, the default is one that is left.
        marker: File that is written last.

    Raises:
        InputError: The version exists, or another export writes it.
    """
    while True:
        folder = choose_version(base_path, version)
        with _claimed(base_path, int(folder.name)) as is_ours:
            if is_ours and not folder.exists():
                publish(written, folder, last=marker)
                return folder
        if version is not None:
            raise InputError(
                f"Version {version} is being written to {base_path} by another export right now. "
                "Leave `version` out for the next one."
            )
        # Both gave way: they come back at different times.
        time.sleep(random.uniform(0.0, _LONGEST_WAIT))


@contextlib.contextmanager
def _claimed(base_path: Any, version: int) -> Iterator[bool]:
    """Claims a number; whether nobody else does."""
    base_path.mkdir(parents=True, exist_ok=True)
    claim = base_path / f"{_CLAIM}-{version}-{int(time.time())}-{secrets.token_hex(8)}"
    # Written before others are looked for, so that of two at least one sees the other.
    claim.write_text("")
    try:
        names = [name for number, name in _claims(base_path) if number == version]
        yield names == [claim.name]
    finally:
        claim.unlink(missing_ok=True)


def _claims(base_path: Any) -> Iterator[tuple[int, str]]:
    """Numbers that exports have claimed, and the names of the claims."""
    for path in base_path.iterdir() if base_path.is_dir() else ():
        kind, *numbers = path.name.split("-")
        if kind != _CLAIM or len(numbers) != 3 or not all(map(str.isdecimal, numbers[:2])):
            continue
        version, seconds, _ = numbers
        if time.time() - int(seconds) < _LONGEST_EXPORT:
            yield int(version), path.name
