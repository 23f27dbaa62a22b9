"""Image folders that lie elsewhere now than when a run was trained on them."""

import os
from pathlib import Path

from lsp_keras.storage import read_json
from lsp_keras.validation import InputError

_SCHEME = "folder:"


def folder_record(name: str, run: Path) -> dict[str, str] | None:
    """Where an image folder lies, absolute and seen from the run's folder.

    Args:
        name: Name of a dataset.
        run: Folder of the run.

    Returns:
        What the run keeps of it; `None` for a dataset that is no image folder.
    """
    if not name.startswith(_SCHEME):
        return None
    folder = _split(name)[0].resolve()
    return {"absolute": str(folder), "relative": os.path.relpath(folder, run.resolve())}


def present_name(name: str, run: Path) -> str:
    """The name of a run's dataset, with the place where an image folder lies now.

    Args:
        name: Name of the dataset as the run's settings state it.
        run: Folder of the run.

    Raises:
        InputError: It is an image folder and lies in none of the places that the run knows.
    """
    if not name.startswith(_SCHEME):
        return name
    written, size = _split(name)
    record = _record(run)
    places = [written]
    if record:
        places += [Path(record["absolute"]), run / record["relative"]]
    for place in places:
        if place.is_dir():
            return f"{_SCHEME}{place}{size}"
    listed = ", ".join(dict.fromkeys(str(place) for place in places))
    raise InputError(
        f"The images of {run} are not where they were: there is no {listed}. Move them back, or "
        "say where they are: --dataset folder:PATH."
    )


def _split(name: str) -> tuple[Path, str]:
    """The folder, and what follows it from the `@` on."""
    from lsp_keras.datasets import split_size

    base, size = split_size(name)
    return Path(base.removeprefix(_SCHEME)).expanduser(), "" if size is None else f"@{size}"


def _record(run: Path) -> dict[str, str] | None:
    path = run / "dataset.json"
    if not path.is_file():
        return None
    folder: dict[str, str] | None = read_json(path).get("folder")
    return folder
