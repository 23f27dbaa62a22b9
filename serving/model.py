"""The versions of one model and the life of each."""

import contextlib
import enum
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from serving.errors import NotFoundError, ServingError
from serving.servable import Servable
from serving.versions import ModelConfig, find_versions

logger = logging.getLogger(__name__)


class State(enum.Enum):
    """Of a version, as TensorFlow Serving numbers them."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass
class Version:
    """One version, loaded or not.

    Attributes:
        number: As its folder is called.
        state: Where it is in its life.
        error: Why it could not be loaded.
        attempts: Loads that failed since its folder appeared.
        servable: While it is available or still in use.
        users: Requests that run on it.
    """

    number: int
    state: State = State.START
    error: ServingError | None = None
    attempts: int = 0
    servable: Servable | None = None
    users: int = 0


@dataclass(frozen=True)
class VersionStatus:
    """What the status calls answer for a version."""

    number: int
    state: State
    error: ServingError | None


class ServedModel:
    """A model, kept in step with its folder.

    Args:
        config: Its name, folder, policy and labels.
        load: Makes a servable of a version folder.
        max_load_retries: How often a version that will not load is tried again.
    """

    def __init__(
        self, config: ModelConfig, load: Callable[[Path], Servable], max_load_retries: int
    ) -> None:
        self.config = config
        self._load = load
        self._max_load_retries = max_load_retries
        self._versions: dict[int, Version] = {}
        self._changed = threading.Condition()

    def reconcile(self) -> None:
        """Loads versions that appeared, then unloads those that are no longer wanted.

        An available version stays while its successors will not load, and until the requests
        that run on it are done. One thread at a time may call this.
        """
        folders = find_versions(self.config.base_path)
        wanted = self.config.policy.choose(folders)
        for number in sorted(wanted):
            version = self._versions.setdefault(number, Version(number))
            if self._should_load(version):
                self._start(version, folders[number])
        available = set(self.available())
        if wanted and not wanted & available:
            return
        for number in available - wanted:
            self._unload(self._versions[number])
        for number in self._versions.keys() - wanted:
            self._versions[number].attempts = 0

    def stop(self) -> None:
        """Unloads everything, after the requests that run."""
        for number in self.available():
            self._unload(self._versions[number])

    def available(self) -> list[int]:
        """Versions that answer requests, newest first."""
        with self._changed:
            ready = [v.number for v in self._versions.values() if v.state is State.AVAILABLE]
        return sorted(ready, reverse=True)

    def status(self) -> list[VersionStatus]:
        """All versions ever seen, newest first."""
        with self._changed:
            versions = sorted(self._versions.values(), key=lambda v: v.number, reverse=True)
            return [VersionStatus(v.number, v.state, v.error) for v in versions]

    @contextlib.contextmanager
    def use(self, number: int | None) -> Iterator[tuple[int, Servable]]:
        """A version that stays loaded inside the `with` block.

        Args:
            number: `None` for the newest.

        Raises:
            NotFoundError: It is not available.
        """
        version, servable = self._acquire(number)
        try:
            yield version.number, servable
        finally:
            with self._changed:
                version.users -= 1
                if not version.users:
                    self._changed.notify_all()

    def _acquire(self, number: int | None) -> tuple[Version, Servable]:
        with self._changed:
            if number is None:
                ready = [v for v in self._versions.values() if v.state is State.AVAILABLE]
                version = max(ready, key=lambda v: v.number, default=None)
            else:
                version = self._versions.get(number)
            if version is None or version.state is not State.AVAILABLE or not version.servable:
                raise NotFoundError(not_found_message(self.config.name, number))
            version.users += 1
            return version, version.servable

    def _should_load(self, version: Version) -> bool:
        if version.state is State.START:
            return True
        failed = version.state is State.END and version.error is not None
        if failed and version.attempts:
            return version.attempts <= self._max_load_retries
        return version.state is State.END

    def _start(self, version: Version, folder: Path) -> None:
        name = self.config.name
        self._set(version, State.LOADING)
        try:
            servable = self._load(folder)
        except ServingError as error:
            version.attempts += 1
            logger.error("model %s version %d failed to load: %s", name, version.number, error)
            self._set(version, State.END, error)
            return
        version.attempts = 0
        version.servable = servable
        self._set(version, State.AVAILABLE)
        logger.info("model %s version %d is available", name, version.number)

    def _unload(self, version: Version) -> None:
        self._set(version, State.UNLOADING)
        with self._changed:
            self._changed.wait_for(lambda: not version.users)
            servable, version.servable = version.servable, None
        if servable:
            servable.close()
        self._set(version, State.END)
        logger.info("model %s version %d is unloaded", self.config.name, version.number)

    def _set(self, version: Version, state: State, error: ServingError | None = None) -> None:
        with self._changed:
            version.state, version.error = state, error


def not_found_message(name: str, number: int | None) -> str:
    """As TensorFlow Serving words it."""
    wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return f"Servable not found for request: {wanted}"
