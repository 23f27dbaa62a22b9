"""Errors of the file system in one sentence, whatever library they came through."""

import errno
from collections.abc import Iterator

# What is wrong with a path that a user chose, or with the place it leads to.
_PLACES = {
    errno.EACCES: "may not be read or written",
    errno.EDQUOT: "is over the quota of its owner",
    errno.EEXIST: "exists already",
    errno.EFBIG: "would be larger than files may be",
    errno.EISDIR: "is a folder, not a file",
    errno.ELOOP: "is a link that leads back to itself",
    errno.ENAMETOOLONG: "is a name that is too long for the file system",
    errno.ENOENT: "is not there",
    errno.ENOSPC: "lies on a device with no space left",
    errno.ENOTDIR: "lies below something that is no folder",
    errno.EPERM: "may not be changed",
    errno.EROFS: "lies on a device that can only be read",
}
# How TensorFlow and HDF5 word it, whose errors carry no number.
_NO_SPACE = "No space left on device"
_LONGEST = 120


def file_system_error(error: BaseException) -> str | None:
    """What is wrong with which file, or `None` where the error is about something else."""
    for item in _chain(error):
        if isinstance(item, OSError) and item.errno in _PLACES:
            path = item.filename2 or item.filename
            return f"{_shown(path)} {_PLACES[item.errno]}."
        if _NO_SPACE in str(item):
            return "There is no space left on the device that was written to."
    return None


def _shown(path: object) -> str:
    if path is None:
        return "A file that was written or read"
    text = str(path)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it followed from."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__
