"""Whether an exported run sees its own test files as training saw them."""

from pathlib import Path

from lsp_keras.datasets import encoded_files, load
from lsp_keras.export import Agreement, compare_files
from lsp_keras.runs.files.moved import present_name
from lsp_keras.runs.settings.config import READING, config_from, images_seed, read_config
from lsp_keras.runs.subjects.test_images import recorded_shape

_NUM_FILES = 32


def check_files(run: Path, folder: Path, *, num_files: int = _NUM_FILES) -> Agreement | None:
    """Sends test files of a run to its exported model.

    Args:
        run: Folder of the run.
        folder: The exported version.
        num_files: Number of files, the head of the test split.

    Returns:
        How far the answers agree; `None` for a run on images that do not come from a folder.

    Raises:
        InputError: The run's images cannot be read any more.
    """
    values = read_config(run / "config.toml")
    if "dataset" not in values:
        return None
    config = config_from(values, source=str(run / "config.toml"))
    if not config.dataset.name.startswith("folder:"):
        return None
    name = present_name(config.dataset.name, run)
    reading = {setting: getattr(config, setting) for setting in READING} | recorded_shape(run)
    test = load(name, validation_size=0, seed=images_seed(values), **reading).test.take(num_files)
    files = encoded_files(name, test, **reading)
    return None if files is None else compare_files(folder, files, test.images)
