"""Public names of a package, imported only when they are asked for."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


class _Face(ModuleType):
    """A package that imports a public name when it is first read.

    A function often has the name of the file that defines it (`evaluate`, `fit`). Importing that
    file would put the module in the function's place, so a module never takes a public name.
    """

    _homes: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(self._homes[name]), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in self._homes):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})


def show(package: str) -> None:
    """Imports the names below a package's `if TYPE_CHECKING:` when they are first read.

    Type checkers see ordinary imports; at run time nothing of them is imported before its use.

    Args:
        package: The package's `__name__`.
    """
    module = sys.modules[package]
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    module.__dict__["_homes"] = dict(_homes(tree))
    module.__class__ = _Face


def _homes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for block in tree.body:
        if isinstance(block, ast.If):
            for node in block.body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield from ((alias.name, node.module) for alias in node.names)
