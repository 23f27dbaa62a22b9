"""Runs that a table needs: found by their fingerprint, else trained, in a process of their own."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lsp_keras.processes import locked
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.settings.config import FitConfig, write_config
from lsp_keras.storage import scratch_folder
from lsp_keras.tables.found_runs import find_run, is_finished, key_of
from lsp_keras.validation import InputError

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Training:
    """Where runs lie, and how one that is missing is trained.

    Attributes:
        runs_dir: Folder of runs.
        cache_dir: Folder for encoders, neighbor tables and helpers; default the user's.
        found_only: Whether nothing is trained.
        in_process: Whether runs are trained in this process, which is faster for tiny ones; a
            process of its own for each has all cores and gives its memory back.
        environment: Environment of the processes that train; default this one's.
        announce: Function that is told what is trained.
    """

    runs_dir: Path
    cache_dir: Path | None = None
    found_only: bool = False
    in_process: bool = False
    environment: Mapping[str, str] | None = None
    announce: Announce = lambda text: None

    def run_of(self, config: FitConfig) -> Path | None:
        """The finished run of these settings; `None` where it may not be trained.

        Raises:
            InputError: The settings or their data do not fit.
            TrainingError: Training failed.
        """
        run = find_run(self.runs_dir, config)
        if run is not None and is_finished(run, config):
            return run
        if self.found_only:
            return None
        name = _name(config) if run is None else run.name
        place = RunFolder(self.runs_dir / name)
        if place.config.is_file():
            # A process that was left alone when a table was killed may still be at it.
            with locked(place.lock, f"The run {place.path}", wait=True, announce=self.announce):
                pass
        if not is_finished(place.path, config):
            self.announce(f"Training {place.path}.")
            train = self._here if self.in_process else self._in_child
            train(config, name, resume=place.config.is_file())
        return place.path

    def _here(self, config: FitConfig, name: str, *, resume: bool) -> None:
        import keras

        from lsp_keras.runs import fit

        try:
            fit(
                config,
                runs_dir=self.runs_dir,
                name=name,
                resume=resume,
                cache_dir=self.cache_dir,
                announce=self.announce,
            )
        finally:
            keras.mixed_precision.set_global_policy("float32")

    def _in_child(self, config: FitConfig, name: str, *, resume: bool) -> None:
        with scratch_folder(self.runs_dir) as folder:
            write_config(folder / "recipe.toml", config)
            command = [sys.executable, "-m", "lsp_keras", "fit", "--name", name, "--json"]
            command += ["--recipe", str(folder / "recipe.toml"), "--runs-dir", str(self.runs_dir)]
            command += ["--resume"] if resume else []
            command += ["--cache-dir", str(self.cache_dir)] if self.cache_dir else []
            done = subprocess.run(
                command, stdout=subprocess.DEVNULL, check=False, env=self.environment
            )
        if done.returncode:
            raise InputError(
                f"Training {self.runs_dir / name} failed with status {done.returncode}; its own "
                "words stand above."
            )


def _name(config: FitConfig) -> str:
    """Of a new run's folder: what it is, its seed, and its fingerprint."""
    return f"{config.label}-{config.seed}-{key_of(config)}"
