"""Applies a model configuration file again when it changes."""

import logging
import threading
from pathlib import Path

from lsp_keras.serving.errors import ServingError
from lsp_keras.serving.models.config_files import LONGEST_FILE, read_model_config
from lsp_keras.serving.models.manager import ModelManager
from lsp_keras.validation import InputError, check_file

logger = logging.getLogger(__name__)


class ConfigWatcher:
    """Reads the file every so often, in a thread.

    Args:
        path: A `--model_config_file`, in force already.
        manager: Manager that gets the new configuration, and keeps the old one where the new is
            wrong.
        seconds: Seconds between two looks.
    """

    def __init__(self, path: Path, manager: ModelManager, seconds: float) -> None:
        self._path = path
        self._manager = manager
        self._seconds = seconds
        self._applied = self._contents()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="config-watcher", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(self._seconds):
            contents = self._contents()
            if contents != self._applied:
                self._applied = contents
                self._apply()

    def _apply(self) -> None:
        try:
            self._manager.configure(read_model_config(self._path))
        except (InputError, ServingError) as error:
            logger.error("configuration %s is not applied: %s", self._path, error)
        except Exception:
            # The thread must live to see the file mended.
            logger.exception("configuration %s is not applied", self._path)
        else:
            logger.info("configuration %s is applied", self._path)

    def _contents(self) -> bytes:
        try:
            check_file(self._path, LONGEST_FILE)
            return self._path.read_bytes()
        except (OSError, InputError):
            return b""
