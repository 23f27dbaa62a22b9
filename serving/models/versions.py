"""Which versions of a model are to be served."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class VersionPolicy:
    """Choice among the version folders that exist.

    Attributes:
        latest: Serve this many of the newest; `None` with no `specific` versions: all.
        specific: Serve exactly these.
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
        name: In URLs and requests.
        base_path: Folder with the version folders.
        policy: Which of them.
        labels: Names for versions, such as `stable` and `canary`.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)


def find_versions(base_path: Path) -> dict[int, Path]:
    """Version folders: those whose name is an integer; leading zeros are allowed."""
    if not base_path.is_dir():
        return {}
    folders = (path for path in base_path.iterdir() if path.name.isdecimal() and path.is_dir())
    return {int(path.name): path for path in sorted(folders)}
