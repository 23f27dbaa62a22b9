"""Processes on one machine or several: who wrote a file, and locks that end with their holder."""

import contextlib
import fcntl
import functools
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lsp_keras.places import check_local
from lsp_keras.validation import InputError

_DAY = 24 * 3600


class BusyError(InputError):
    """Another process is at work on the same files."""


def single_threaded_operators() -> None:
    """Leaves the cores to attacks, which give each a batch of its own, unless the user chose.

    That is faster than sharing every operator of TensorFlow among the cores. It must be said before
    the first of them runs.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def process_mark() -> str:
    """Which process this is: machine, number and start, in a form that file names can hold."""
    return f"{_machine()}-{_own(os.getpid())}"


def is_abandoned(mark: str, path: Path) -> bool:
    """Whether the process that made a file has ended.

    Args:
        mark: What follows the prefix in the file's name, beginning with a `process_mark`.
        path: The file. Of a process on another machine it is abandoned after a day.
    """
    machine, pid, start, *_ = [*mark.split("-"), "", "", ""]
    if not pid.isdecimal():
        return False
    if machine == _machine():
        return _start(int(pid)) != start
    with contextlib.suppress(OSError):
        return time.time() - path.lstat().st_mtime > _DAY
    return False


@contextlib.contextmanager
def locked(
    path: Path, what: str, *, wait: bool = False, announce: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Holds a lock that no other process can hold, and that ends with this one however it ends.

    Args:
        path: The lock's file; made, and removed at the end.
        what: What is locked, as the subject of a sentence.
        wait: Whether to wait for the process that holds it.
        announce: Function that gets a sentence before waiting.

    Raises:
        BusyError: Another process holds the lock, and it is not waited for.
    """
    check_local(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _take(descriptor, path, what, wait, announce)
            # The last holder may have removed the file between opening and locking it.
            if _is_at(descriptor, path):
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(
    descriptor: int,
    path: Path,
    what: str,
    wait: bool,
    announce: Callable[[str], None] | None,
) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
    if not wait:
        raise BusyError(f"{what} is in use: {holder} writes to {path.parent} right now.")
    if announce is not None:
        announce(f"{what} is being made by {holder}; waiting for it.")
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


@functools.cache
def _machine() -> str:
    """Eight digits for this machine; containers have process numbers of their own."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.blake2b(f"{socket.gethostname()}{namespace}".encode(), digest_size=4).hexdigest()


@functools.cache
def _own(pid: int) -> str:
    return f"{pid}-{_start(pid)}"


def _start(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; `None` where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = stat.rpartition(")")[2].split()
        return None if state == "Z" else fields[18]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "0"
