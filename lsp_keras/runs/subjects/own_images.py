"""Which records of evaluations are of a run's own images."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.files.moved import known_names
from lsp_keras.runs.settings.config import config_from, read_config
from lsp_keras.storage import read_json


def own_datasets(run: Path | None) -> set[str]:
    """Names that records may have the dataset of a run by; none for a model outside of one.

    Raises:
        InputError: The settings of the run, or what it recorded of its data, cannot be read.
    """
    if run is None:
        return set()
    folder = RunFolder(run)
    values = read_config(folder.config)
    names: set[str] = set()
    if "dataset" in values:
        config = config_from(values, source=str(folder.config))
        names |= known_names(config.dataset.name, run)
    if folder.dataset.is_file():
        names.add(str(read_json(folder.dataset).get("name")))
    return names


def is_on(datasets: Collection[str], record: Mapping[str, Any]) -> bool:
    """Whether a record is of a dataset of one of these names; one that names none is not.

    Args:
        datasets: Names of datasets.
        record: Record of an evaluation, as anybody may have written it.
    """
    dataset = record.get("dataset")
    name = dataset.get("name") if isinstance(dataset, Mapping) else None
    return isinstance(name, str) and name in datasets
