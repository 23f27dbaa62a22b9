"""Which versions of a model are to be served."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Of an int64, in which TensorFlow Serving's messages carry versions.
LARGEST_VERSION = 2**63 - 1


@dataclass(frozen=True)
class VersionPolicy:
    """Choice among the version folders that exist.

    Attributes:
        latest: Number of the newest versions to serve; `None` with no `specific` versions: all.
        specific: Versions to serve, and no others.
    """

    latest: int | None = 1
    specific: frozenset[int] = frozenset()

    def choose(self, versions: Iterable[int]) -> set[int]:
        """The versions to serve among those that exist."""
        if self.specific:
            return set(versions) & self.specific
        newest_first = sorted(versions, reverse=True)
        return set(newest_first if self.latest is None else newest_first[: self.latest])


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve.

    Attributes:
        name: Name in URLs and requests.
        base_path: Folder with the version folders.
        policy: Policy that chooses the versions to serve.
        labels: Names for versions, such as `stable` and `canary`.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)


def find_versions(base_path: Path) -> dict[int, Path]:
    """Version folders: those whose name is a version number.

    Raises:
        OSError: The base path is missing or cannot be read, so that nothing is known.
    """
    named = [(version_number(path.name), path) for path in sorted(base_path.iterdir())]
    return {number: path for number, path in named if number is not None and path.is_dir()}


def version_number(name: str) -> int | None:
    """The version that a folder of that name holds, or `None`.

    ASCII digits up to the largest int64 are a version; leading zeros are allowed.
    """
    if not (name.isascii() and name.isdigit()):
        return None
    digits = name.lstrip("0")
    # Python refuses to read thousands of digits at once.
    if len(digits) > len(str(LARGEST_VERSION)):
        return None
    number = int(digits or "0")
    return number if number <= LARGEST_VERSION else None
