"""Where the records of a model's evaluations are kept, and which of them are of its weights."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_keras.storage import read_json, write_json
from lsp_keras.validation import InputError
from lsp_keras.zoo import is_in_zoo, locate

if TYPE_CHECKING:
    from lsp_keras.classifiers import Classifier

# In the working folder, as `runs` is: for models that lie in no run.
OUTSIDE = Path("evaluations")
_DIGITS = 8
_TRIES = 100


def records_folder(classifier: "Classifier", output: Path | None = None) -> Path:
    """Where records of attacks on a model go.

    Args:
        classifier: The model; what was found of it in the package's zoo is not written there.
        output: Folder that the user chose.

    Returns:
        `output`, else `RUN/evaluations`, else `evaluations/NAME-FINGERPRINT` in the working
        folder.
    """
    if output is not None:
        return output
    if classifier.records is not None:
        return classifier.records
    from lsp_keras.evaluation import model_fingerprint

    fingerprint = model_fingerprint(classifier.source)
    name = model_name(classifier)
    return OUTSIDE / (name if fingerprint is None else f"{name}-{fingerprint[:_DIGITS]}")


def known_records(classifier: "Classifier", output: Path | None = None) -> list[Path]:
    """Folders that may hold records of a model: where its own go, and its run's in the zoo."""
    own = [] if classifier.run is None else [classifier.run / "evaluations"]
    return list(dict.fromkeys([records_folder(classifier, output), *own]))


def diagnosis_folder(classifier: "Classifier", output: Path | None = None) -> Path:
    """Where records of diagnoses go: likewise, `RUN/diagnosis` or a folder beside the records."""
    if output is not None:
        return output
    records = records_folder(classifier)
    return (records.parent if classifier.records is not None else records) / "diagnosis"


def journal_folder(records: Path) -> Path:
    """Where what is found on the way is kept until the record is written."""
    return records / ".unfinished"


def model_name(classifier: "Classifier") -> str:
    """A short name: that of the run, the file, or the served model; safe as a folder's name."""
    if classifier.run is not None:
        run = classifier.run.resolve()
        return f"zoo-{run.name}" if is_in_zoo(run) else run.name
    path = str(classifier.path or "model")
    if "://" in path:
        path = path.partition("://")[2].replace("/v1/models/", "/")
        return _safe(path)
    return _file_name(Path(path))


def records_at(model: Path) -> list[Path]:
    """Folders that may hold what was found of a model, or that are such folders themselves.

    Args:
        model: Run, `zoo:NAME`, file of a model, SavedModel, or folder of records.
    """
    path = locate(model)
    own = [path / "evaluations", path]
    if is_in_zoo(path):
        return _outside(f"zoo-{path.name}")
    if (path / "config.toml").is_file():
        return own
    of_its_run = [path.parent / "evaluations"] if path.is_file() else []
    return [*own, *of_its_run, *_outside(_file_name(path))]


def _outside(name: str) -> list[Path]:
    """Folders of records of models of that name outside of runs, whatever their weights."""
    return sorted(OUTSIDE.glob(f"{name}-{'[0-9a-f]' * _DIGITS}"))


def _file_name(path: Path) -> str:
    found = path.resolve()
    # A SavedModel lies in the folder of its version.
    return _safe(f"{found.parent.name}-{found.name}" if found.name.isdigit() else found.stem)


def _safe(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "model"


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


def find_records(folder: Path, fingerprint: str | None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Records of a model with these weights, the newest first.

    Files that are damaged or no records are passed over, for others may keep files there too.

    Args:
        folder: Where they lie; it need not exist.
        fingerprint: Fingerprint of the model; `None` finds nothing.
    """
    if fingerprint is None:
        return
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            record = read_json(path)
        except InputError:
            continue
        if record.get("model_fingerprint") == fingerprint:
            yield path, record
