"""Public names of a package, imported only when they are asked for."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from lsp_keras import registry


class _Face(ModuleType):
    """A package that imports a public name when it is first read.

    A function often has the name of the file that defines it (`evaluate`, `resnet18`). Importing
    that file would put the module in the function's place, so a module never takes a public name.
    """

    _face_homes: dict[str, str]
    _face_kind: str | None

    def __getattr__(self, name: str) -> Any:
        if name in self._face_homes:
            value = getattr(import_module(self._face_homes[name]), name)
        elif name in self._face_units():
            value = registry.get(str(self._face_kind), self._face_units()[name])
        else:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and self._face_shows(name)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._face_homes, *self._face_units()})

    def _face_shows(self, name: str) -> bool:
        """Whether a file of that name defines a public object of the same name."""
        if name in self._face_homes or self._face_kind is None:
            return name in self._face_homes
        known = name in registry.names(self._face_kind)
        return known and registry.unit_name(self._face_kind, name) == name

    def _face_units(self) -> dict[str, str]:
        """Registered units of the package's kind: name of the object to name in the registry."""
        if self._face_kind is None:
            return {}
        return {
            registry.unit_name(self._face_kind, stem): stem
            for stem in registry.names(self._face_kind)
        }


def show(package: str, *, kind: str | None = None) -> None:
    """Imports the names below a package's `if TYPE_CHECKING:` when they are first read.

    Type checkers see ordinary imports; at run time nothing of them is imported before its use.

    Args:
        package: The package's `__name__`.
        kind: Kind of the units that its files register; they are public names too, so that a new
            file needs no other edit.
    """
    module = sys.modules[package]
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    module.__dict__.update(_face_homes=dict(_homes(tree)), _face_kind=kind)
    module.__class__ = _Face
    if kind is not None:
        module.__dict__["__all__"] = sorted({*module.__all__, *module._face_units()})
    # What was imported on the way here may have put a file in the place of its function.
    for name in [name for name, value in vars(module).items() if isinstance(value, ModuleType)]:
        if module._face_shows(name):
            delattr(module, name)


def _homes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for block in tree.body:
        if isinstance(block, ast.If):
            for node in block.body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    yield from ((alias.name, node.module) for alias in node.names)
