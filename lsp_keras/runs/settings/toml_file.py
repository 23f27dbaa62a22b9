"""Files of settings, as anybody may have written them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_keras.validation import InputError

_LONGEST_FILE = 2**20


def read_config(path: Path | str) -> dict[str, Any]:
    """Settings of a TOML file.

    Raises:
        InputError: There is no such file, it is not TOML, or is no file of settings.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if not path.is_file():
        raise InputError(f"{path} is not a TOML file: it is no file at all.")
    if path.stat().st_size > _LONGEST_FILE:
        raise InputError(f"{path} is no file of settings: it is over {_LONGEST_FILE:,} bytes long.")
    try:
        # Editors on Windows begin a file with a byte order mark.
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        _check_integers(values)
    except RecursionError as error:
        raise InputError(f"{path} is no file of settings: it is nested too deep.") from error
    # Also for numbers of more digits than Python reads.
    except ValueError as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error
    return values


def _check_integers(value: Any) -> None:
    """Raises `ValueError` for an integer of more than the 64 bits that TOML has."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("it holds an integer of more than 64 bits")
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            _check_integers(item)
