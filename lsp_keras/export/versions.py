"""Version folders of a served model: `models/NAME/VERSION`."""

from pathlib import Path

from lsp_keras.validation import InputError


def existing_versions(base_path: Path) -> list[int]:
    """Versions under `base_path`, sorted: folders whose name is an integer."""
    if not base_path.is_dir():
        return []
    folders = (path for path in base_path.iterdir() if path.is_dir())
    return sorted(int(path.name) for path in folders if path.name.isdecimal())


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
    if version < 1:
        raise InputError(f"`version` must be 1 or more. Received: version={version}.")
    if version in existing:
        raise InputError(
            f"Version {version} exists already in {base_path}; a served version is never "
            f"overwritten. Leave `version` out for the next one, {existing[-1] + 1}."
        )
    return base_path / str(version)
