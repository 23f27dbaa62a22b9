"""Names that moved are where the changelog says."""

import re
from importlib import import_module
from pathlib import Path

import pytest

CHANGELOG = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
MOVED = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|$", CHANGELOG, re.MULTILINE)


def found(path: str) -> bool:
    """Whether a dotted path leads to a module or to a name in one."""
    try:
        import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return bool(module) and hasattr(import_module(module), name)
    return True


def test_every_moved_name_is_where_the_changelog_says() -> None:
    pytest.importorskip("tensorflow_serving", reason="the server's files need it")
    assert len(MOVED) > 80
    assert not [new for _, new in MOVED if not found(new)]


def test_nothing_is_named_twice() -> None:
    old = [before for before, _ in MOVED]
    assert sorted(set(old)) == sorted(old)
