"""The package's deployment files, copied."""

import shutil
from importlib import resources
from pathlib import Path

from lsp_keras.storage import atomic_path
from lsp_keras.validation import InputError


def copy_files(folder: Path) -> list[Path]:
    """Copies all deployment files; the folder is there with all of them or not at all.

    Args:
        folder: Folder, which must not exist yet or be empty.

    Returns:
        The files.

    Raises:
        InputError: There is something under that name.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise _exists(folder)
    try:
        with (
            resources.as_file(resources.files("lsp_keras.serving").joinpath("deploy")) as source,
            atomic_path(folder, replace=False) as new,
        ):
            shutil.copytree(source, new)
    except FileExistsError as error:
        # Another process was faster.
        raise _exists(folder) from error
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _exists(folder: Path) -> InputError:
    return InputError(f"{folder} exists already. Name a new folder, or an empty one.")
