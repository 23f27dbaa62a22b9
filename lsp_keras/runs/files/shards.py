"""Records of an evaluation that several processes share: where they lie, and their merging."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsp_keras.evaluation import Report, merge
from lsp_keras.runs.files.records import records_at, write_record
from lsp_keras.storage import read_json, write_json
from lsp_keras.validation import InputError

Record = dict[str, Any]

_FOLDER = "shards"


def shard_folder(records: Path, label: str, record: Mapping[str, Any]) -> Path:
    """Where the shards of one evaluation are kept."""
    return records / _FOLDER / f"{label}-{record['shard']['evaluation']}"


def write_shard(records: Path, label: str, record: Record) -> Path:
    """Writes the record of a shard; that of the same shard is replaced."""
    shard = record["shard"]
    # For the process that started this one.
    shard["records"] = str(records)
    folder = shard_folder(records, label, record)
    path = folder / f"{shard['index']}-of-{shard['count']}.json"
    write_json(path, record)
    return path


def merge_shards(model: Path) -> list[tuple[Report, Path | None]]:
    """Reports made of the shards of a model or in a folder, with the records that were written.

    Args:
        model: Run, file of a model, folder with its records, or folder with the shards of one
            evaluation.

    Raises:
        InputError: There are none, or those of one evaluation are not complete.
    """
    groups = _groups(model)
    reports = [(folder, _merged(folder, files)) for folder, files in groups.items()]
    written: list[tuple[Report, Path | None]] = []
    for folder, report in reports:
        path = None
        if folder.parent.name == _FOLDER:
            label = folder.name.rpartition("-")[0]
            path = write_record(folder.parent.parent, label, report.to_dict())
            # The record holds what they said.
            shutil.rmtree(folder, ignore_errors=True)
        written.append((report, path))
    return written


def _groups(model: Path) -> dict[Path, list[Path]]:
    """Files of shards by the folder they lie in, one evaluation in each."""
    places = records_at(model)
    folders = [folder for place in places for folder in sorted(place.glob(f"{_FOLDER}/*/"))]
    groups = {folder: sorted(folder.glob("*.json")) for folder in folders or [model]}
    groups = {folder: files for folder, files in groups.items() if files}
    if not groups:
        looked = " or ".join(str(place / _FOLDER) for place in places)
        raise InputError(f"There are no shards in {looked}: they come from attack --shard I/N.")
    return groups


def _merged(folder: Path, files: Sequence[Path]) -> Report:
    try:
        return merge([read_json(path) for path in files])
    except InputError as error:
        raise InputError(f"{error} They lie in {folder}.") from error
