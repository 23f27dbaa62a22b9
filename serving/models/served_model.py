"""The versions of one model and the life of each."""

import enum
import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from lsp_keras.serving.errors import InternalError, NotFoundError, ServingError
from lsp_keras.serving.models.servable import Servable
from lsp_keras.serving.models.versions import ModelConfig, find_versions

# Path, size and time of change of each file in a folder.
Files = tuple[tuple[str, int, int], ...]

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
        number: Number that its folder is called by.
        state: Where it is in its life.
        error: Why it could not be loaded.
        attempts: Number of loads that failed since its folder appeared.
        retry_at: When it may be tried again, on the monotonic clock.
        tried: Files of its folder as they were when the load failed.
        servable: Servable while it is available or still in use.
        users: Handles that are held.
    """

    number: int
    state: State = State.START
    error: ServingError | None = None
    attempts: int = 0
    retry_at: float = 0.0
    tried: Files = ()
    servable: Servable | None = None
    users: int = 0


@dataclass(frozen=True)
class VersionStatus:
    """What the status calls answer for a version."""

    number: int
    state: State
    error: ServingError | None


@dataclass(frozen=True)
class LoadPolicy:
    """How versions are loaded.

    Attributes:
        load: Function that makes a servable of a version folder.
        max_retries: How often a version that will not load is tried again.
        retry_seconds: Seconds between two tries.
    """

    load: Callable[[Path], Servable] = Servable
    max_retries: int = 5
    retry_seconds: float = 60.0


class ServableHandle:
    """Keeps a version loaded until it is released, once for each time it is retained."""

    def __init__(self, version: Version, servable: Servable, changed: threading.Condition) -> None:
        self.number = version.number
        self.servable = servable
        self._version = version
        self._changed = changed
        self.retain()

    def retain(self) -> None:
        """Keeps it for one more user; valid while another still holds it."""
        with self._changed:
            self._version.users += 1

    def release(self) -> None:
        """One user less."""
        with self._changed:
            self._version.users -= 1
            if not self._version.users:
                self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class ServedModel:
    """A model, kept in step with its folder.

    Args:
        config: Name, folder, policy and labels of the model.
        policy: How its versions are loaded.
    """

    def __init__(self, config: ModelConfig, policy: LoadPolicy) -> None:
        self.config = config
        self._policy = policy
        self._versions: dict[int, Version] = {}
        # Reentrant, so that a handle can be made while the version is being chosen.
        self._changed = threading.Condition(threading.RLock())
        self._unloads: list[threading.Thread] = []
        self._sees_folder = True

    def reconcile(self) -> None:
        """Loads versions that appeared, then unloads those that are no longer wanted.

        An available version stays while its successors will not load, and until the requests
        that run on it are done. While the base path cannot be read, as when a network mount
        blinks, everything stays as it is. One thread at a time may call this.
        """
        try:
            folders = find_versions(self.config.base_path)
        except OSError as error:
            self._lose_sight(error)
            return
        self._sees_folder = True
        wanted = self.config.policy.choose(folders)
        for number in sorted(wanted):
            version = self._versions.setdefault(number, Version(number))
            if self._should_load(version, folders[number]):
                self._start(version, folders[number])
        available = set(self.available())
        if not wanted or wanted & available:
            for number in available - wanted:
                self._unload(self._versions[number])
        self._forget(self._versions.keys() - folders.keys())

    def _lose_sight(self, error: OSError) -> None:
        """Says once that the base path has gone."""
        if self._sees_folder:
            logger.error(
                "model %s: cannot read %s (%s); its loaded versions stay",
                self.config.name,
                self.config.base_path,
                error.strerror or error,
            )
        self._sees_folder = False

    def _forget(self, vanished: Collection[int]) -> None:
        """Drops what is known of versions that have no folder any more and are not in use."""
        with self._changed:
            for number in vanished:
                if self._versions[number].state in (State.START, State.END):
                    del self._versions[number]

    def stop(self) -> None:
        """Unloads everything, after the requests that run."""
        for number in self.available():
            self._unload(self._versions[number])
        for thread in self._unloads:
            thread.join()

    def available(self) -> list[int]:
        """Versions that answer requests, newest first."""
        return [v.number for v in self.status() if v.state is State.AVAILABLE]

    def status(self) -> list[VersionStatus]:
        """All versions that have a folder or are still in use, newest first."""
        with self._changed:
            versions = sorted(self._versions.values(), key=lambda v: v.number, reverse=True)
            return [VersionStatus(v.number, v.state, v.error) for v in versions]

    def handle(self, number: int | None) -> ServableHandle:
        """A version that stays loaded until the handle is released.

        Args:
            number: Number of the version, `None` for the newest.

        Raises:
            NotFoundError: It is not available.
        """
        with self._changed:
            ready = [v for v in self._versions.values() if v.state is State.AVAILABLE]
            if number is not None:
                ready = [version for version in ready if version.number == number]
            newest = max(ready, key=lambda v: v.number, default=None)
            if newest is None or newest.servable is None:
                raise NotFoundError(not_found_message(self.config.name, number))
            return ServableHandle(newest, newest.servable, self._changed)

    def _should_load(self, version: Version, folder: Path) -> bool:
        if version.state is State.END and version.attempts:
            if list_files(folder) != version.tried:
                # Somebody has mended it, or was still writing it.
                version.attempts = 0
                return True
            tries_left = version.attempts <= self._policy.max_retries
            return tries_left and time.monotonic() >= version.retry_at
        return version.state in (State.START, State.END)

    def _start(self, version: Version, folder: Path) -> None:
        name = self.config.name
        self._set(version, State.LOADING)
        tried = list_files(folder)
        try:
            servable = self._policy.load(folder)
        except Exception as error:
            version.attempts += 1
            version.retry_at = time.monotonic() + self._policy.retry_seconds
            version.tried = tried
            reason = _as_serving_error(error)
            logger.error(
                "model %s version %d failed to load: %s",
                name,
                version.number,
                reason,
                exc_info=None if reason is error else error,
            )
            self._set(version, State.END, reason)
            return
        version.attempts = 0
        version.servable = servable
        self._set(version, State.AVAILABLE)
        logger.info("model %s version %d is available", name, version.number)

    def _unload(self, version: Version) -> None:
        """Unloads in a thread: a slow request must not delay the next version's load."""
        self._set(version, State.UNLOADING)
        thread = threading.Thread(target=self._finish, args=(version,), name="unloader")
        self._unloads = [other for other in self._unloads if other.is_alive()] + [thread]
        thread.start()

    def _finish(self, version: Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not version.users)
            servable, version.servable = version.servable, None
        if servable:
            try:
                servable.close()
            except Exception:
                logger.exception("model %s version %d", self.config.name, version.number)
        self._set(version, State.END)
        logger.info("model %s version %d is unloaded", self.config.name, version.number)

    def _set(self, version: Version, state: State, error: ServingError | None = None) -> None:
        with self._changed:
            version.state, version.error = state, error


def _as_serving_error(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    return InternalError(f"{type(error).__name__}: {error}")


def list_files(folder: Path) -> Files:
    """What tells whether a folder has changed: path, size and time of each file in it."""
    files = []
    try:
        for path in sorted(folder.rglob("*")):
            status = path.stat()
            files.append((str(path), status.st_size, status.st_mtime_ns))
    except OSError:
        # Some file has just gone; what was seen so far is another state in any case.
        logger.debug("cannot list %s", folder, exc_info=True)
    return tuple(files)


def not_found_message(name: str, number: int | None) -> str:
    """As TensorFlow Serving words it."""
    wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return f"Servable not found for request: {wanted}"
