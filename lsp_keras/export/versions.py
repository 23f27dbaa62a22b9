"""Version folders of a served model: `models/NAME/VERSION`."""

from pathlib import Path

from lsp_keras.storage import move_new
from lsp_keras.validation import InputError

# TensorFlow Serving's versions are 64-bit integers.
_LARGEST = 2**63 - 1


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
        version = max(existing, default=0) + 1
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
