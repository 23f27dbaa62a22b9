"""A run that several processes share: the chief writes its folder, the others have a copy."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from lsp_keras.ops.workers import Workers
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.validation import InputError

_REFUSED = "refused: "
_READ = ("config.toml", "dataset.json", "history.csv", "last.keras", "model.keras", "ema.keras")


@contextlib.contextmanager
def shared_folder(
    workers: Workers, claim: Callable[[], AbstractContextManager[RunFolder]], *, resume: bool
) -> Iterator[tuple[RunFolder, Path]]:
    """The folder to work in, and the run's own.

    Only the chief works in the run's own folder. The others work in a copy, so that every process
    does the same things in the same order; it is gone at the end.

    Args:
        workers: All processes.
        claim: Function that finds or makes the run's folder and locks it.
        resume: Whether the run goes on.

    Raises:
        InputError: The folder cannot be claimed, or a process that needs its files cannot see it.
    """
    with contextlib.ExitStack() as stack:
        if workers.is_chief:
            try:
                folder = stack.enter_context(claim())
            except InputError as error:
                workers.told(f"{_REFUSED}{error}")
                raise
            workers.told(str(folder.path.absolute()))
            path = folder.path
        else:
            told = workers.told("")
            if told.startswith(_REFUSED):
                raise InputError(told.removeprefix(_REFUSED))
            path = Path(told)
            folder = RunFolder(Path(stack.enter_context(tempfile.TemporaryDirectory())) / path.name)
            folder.path.mkdir()
            if resume and path.is_dir():
                _copy(path, folder.path)
        _check_seen(workers, folder, resume)
        yield folder, path


def _check_seen(workers: Workers, folder: RunFolder, resume: bool) -> None:
    (blind,) = workers.total([float(resume and not folder.config.exists())])
    if blind:
        raise InputError(
            f"{int(blind)} of {workers.count} workers cannot see the run that is to go on. Put "
            "--runs-dir on a file system that all of them share."
        )


def _copy(source: Path, target: Path) -> None:
    for name in _READ:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    if (source / "checkpoints").is_dir():
        shutil.copytree(source / "checkpoints", target / "checkpoints")
