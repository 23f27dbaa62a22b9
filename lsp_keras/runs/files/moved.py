"""Datasets in folders that lie elsewhere now than when a run was trained on them."""

import os
from pathlib import Path

from lsp_keras.storage import read_json
from lsp_keras.validation import InputError

_SCHEMES = ("folder", "prepared")


def scheme_of_folder(name: str) -> str | None:
    """`"folder"` or `"prepared"` for the name of a dataset that is a path; `None` for another."""
    scheme, colon, _ = name.partition(":")
    return scheme if colon and scheme in _SCHEMES else None


def folder_record(name: str, run: Path) -> dict[str, str] | None:
    """Where the folder of a dataset lies, absolute and seen from the run's folder.

    Args:
        name: Name of a dataset.
        run: Folder of the run.

    Returns:
        What the run keeps of it; `None` for a dataset that is not named by its folder.
    """
    if scheme_of_folder(name) is None:
        return None
    folder = _split(name)[0].resolve()
    return {"absolute": str(folder), "relative": os.path.relpath(folder, run.resolve())}


def present_name(name: str, run: Path) -> str:
    """The name of a run's dataset, with the place where its folder lies now.

    Args:
        name: Name of the dataset as the run's settings state it.
        run: Folder of the run.

    Raises:
        InputError: It is a folder and lies in none of the places that the run knows.
    """
    scheme = scheme_of_folder(name)
    if scheme is None:
        return name
    written, size = _split(name)
    places = _places(name, run)
    for place in places:
        if place.is_dir():
            shown = written if written.resolve() == place.resolve() else place
            return f"{scheme}:{shown}{size}"
    listed = ", ".join(dict.fromkeys(str(place) for place in places[::-1]))
    raise InputError(
        f"The images of {run} are not where they were: there is no {listed}. Move them back, or "
        f"say where they are: --dataset {scheme}:PATH."
    )


def known_names(name: str, run: Path) -> set[str]:
    """All names that records of evaluations may have a run's dataset by.

    Args:
        name: Name of the dataset as the run's settings state it.
        run: Folder of the run.
    """
    scheme = scheme_of_folder(name)
    if scheme is None:
        return {name}
    size = _split(name)[1]
    places = [place for known in _places(name, run) for place in (known, known.resolve())]
    return {name, *(f"{scheme}:{place}{size}" for place in places)}


def images_name(name: str, run: Path | None) -> str:
    """One name for the images of a dataset, whatever their size and from wherever it is named.

    Args:
        name: Name of the dataset as a run's settings state it.
        run: Folder of the run; `None` for settings that have none yet.
    """
    scheme = scheme_of_folder(name)
    if scheme is None:
        from lsp_keras.datasets import split_size

        return split_size(name)[0]
    places = _places(name, run)
    found = next((place for place in places if place.is_dir()), places[0])
    return f"{scheme}:{found.resolve()}"


def _places(name: str, run: Path | None) -> list[Path]:
    """Where the folder of a dataset may lie: as its run recorded it, else as it was named.

    What is named relative to a working folder may be something else in another one.
    """
    record = None if run is None else _record(run)
    places = [_split(name)[0]]
    if run is not None and record is not None:
        places = [Path(record["absolute"]), run / record["relative"], *places]
    return places


def _split(name: str) -> tuple[Path, str]:
    """The folder, and what follows it from the `@` on."""
    from lsp_keras.datasets import split_size

    base, size = split_size(name)
    return Path(base.partition(":")[2]).expanduser(), "" if size is None else f"@{size}"


def _record(run: Path) -> dict[str, str] | None:
    path = run / "dataset.json"
    if not path.is_file():
        return None
    folder = read_json(path).get("folder")
    if not isinstance(folder, dict):
        return None
    if not all(isinstance(folder.get(key), str) for key in ("absolute", "relative")):
        raise InputError(f"{path} is damaged: its `folder` does not say where the images are.")
    return folder
