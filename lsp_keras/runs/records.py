"""Records of evaluations, each under a name of its own."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lsp_keras.storage import write_json

_TRIES = 100


def write_record(folder: Path, label: str, record: dict[str, Any]) -> Path:
    """Writes a record under a name that says when it was made and with what.

    Args:
        folder: Where it goes.
        label: What follows the moment in its name; empty for nothing.
        record: JSON values.

    Returns:
        Path of the record; no other process has one of the same name.
    """
    for _ in range(_TRIES):
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = folder / f"{moment}{f'-{label}' if label else ''}.json"
        try:
            write_json(path, record, replace=False)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"There are records of every moment in {folder}.")
