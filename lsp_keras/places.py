"""Where users want things: folders of this machine, and buckets of a store.

What a command reads and writes on the way lies in folders of the machine, since it renames, locks
and maps files. A bucket gets what is finished, by `publish`.
"""

import os
import re
from pathlib import Path
from typing import Any

from lsp_keras.validation import InputError, first_line

# What a model's file in one of Keras's formats ends in.
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
# One slash is left of two where such an address went through `pathlib.Path`.
_ADDRESS = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+):/{1,2}")
# Of addresses of served models.
SERVERS = ("http", "https", "grpc", "grpcs")
_INSTALL = {
    "s3": "pip install fsspec s3fs",
    "az": "pip install fsspec adlfs",
}


def scheme_of(path: Any) -> str | None:
    """`"gs"` of `gs://bucket/x`; `None` for a path of this machine.

    Example:
        >>> scheme_of("gs://bucket/x"), scheme_of(Path("gs://bucket/x")), scheme_of("models/x")
        ('gs', 'gs', None)
    """
    found = _ADDRESS.match(str(path))
    return None if found is None else found.group(1).lower()


def check_local(path: Any) -> None:
    """Refuses an address in a bucket, of which `pathlib` would make a folder called `gs:`.

    Raises:
        InputError: It is one.
    """
    scheme = scheme_of(path)
    if scheme == "file":
        raise InputError(f"{address(path)} is a path of this machine: leave out the file://.")
    if scheme in SERVERS:
        raise InputError(f"{address(path)} is a served model, no file: name it by --url.")
    if scheme is not None:
        raise InputError(
            f"{address(path)} lies in a store, and this must be a path of the machine: files are "
            "renamed, locked and mapped here. Mount the bucket (gcsfuse, mountpoint-s3), or copy "
            "what is finished. Only `export --to` writes to a store."
        )


def address(path: Any) -> str:
    """The address as it was typed, both slashes in it."""
    return _ADDRESS.sub(lambda found: f"{found.group(1)}://", str(path))


def place(path: Any) -> Any:
    """The path as an object with the methods of `pathlib.Path`, in a store too.

    Args:
        path: Text or path; `gs://bucket/x` goes through TensorFlow's file system.

    Raises:
        InputError: Nothing installed reads and writes such addresses, or it cannot be reached.
    """
    scheme = scheme_of(path)
    if scheme is None:
        return Path(path)
    if scheme == "file":
        check_local(path)
    bucket = address(path).partition("://")[2]
    if not bucket or bucket.startswith("/"):
        raise InputError(f"{address(path)} names no bucket.")
    from etils import epath

    if scheme in _INSTALL:
        # Else it asks TensorFlow's file system, which of these stores knows none.
        os.environ.setdefault("EPATH_USE_TF", "no")
    try:
        found = epath.Path(address(path))
        found.exists()
    except Exception as error:
        # Each store and each library has errors of its own.
        raise InputError(_refusal(scheme, address(path), error)) from error
    return found


def _refusal(scheme: str, path: str, error: Exception) -> str:
    reason = first_line(error)
    remedy = f" {_INSTALL[scheme]} may bring what is missing." if scheme in _INSTALL else ""
    if isinstance(error, KeyError):
        reason = f"no library here knows {scheme}://; gs://, s3:// and az:// are known"
    return f"{path} cannot be read or written: {reason.rstrip('.')}.{remedy}"


def publish(folder: Path, target: Any, *, last: str) -> None:
    """Copies a finished folder to a store, which cannot rename it into its place at once.

    Args:
        folder: Folder on this machine.
        target: Place that `place` named; it must not exist yet.
        last: File whose presence says that all others are there: it is written last.

    Raises:
        FileExistsError: Something is there already.
    """
    if target.exists():
        raise FileExistsError(f"There is something at {target} already.")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in [*(item for item in files if item.name != last), folder / last]:
        copy = target / path.relative_to(folder).as_posix()
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
