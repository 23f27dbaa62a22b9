"""Names of what can be chosen: one file without a leading underscore is one choice.

The file's stem is its name in the registry, on the command line, in recipes and in the docs;
a hyphen in a name is read as an underscore. Listing names imports nothing. What a file offers
is the first name in its `__all__`.
"""

import importlib
from pathlib import Path
from typing import Any

from lsp_keras.validation import InputError, check_choice, listing, nearest

_ROOT = Path(__file__).parent
_PACKAGES = {
    "attack": "attacks",
    "augmentation": "augmentations",
    "dataset": "datasets",
    "loss": "losses",
    "method": "methods",
    "model": "models",
    "regularizer": "regularizers",
}


def names(kind: str) -> list[str]:
    """Names of everything of one kind, sorted.

    Args:
        kind: `"attack"`, `"augmentation"`, `"dataset"`, `"loss"`, `"method"`, `"model"`,
            `"recipe"` or `"regularizer"`.

    Raises:
        InputError: There is no such kind.
    """
    check_choice("kind", kind, [*_PACKAGES, "recipe"])
    if kind == "recipe":
        return sorted(path.stem for path in (_ROOT / "recipes").glob("*.toml"))
    files = (_ROOT / _PACKAGES[kind]).glob("*.py")
    return sorted(path.stem for path in files if not path.stem.startswith("_"))


def check(kind: str, name: str) -> str:
    """The file stem that a name stands for.

    Raises:
        InputError: There is none; the message lists the names and the nearest match.
    """
    stem = name.replace("-", "_")
    choices = names(kind)
    if stem not in choices:
        raise InputError(
            f"Unknown {kind}: {name!r}.{nearest(stem, choices)} It must be {listing(choices)}."
        )
    return stem


def get(kind: str, name: str) -> Any:
    """The class or function of that kind and name.

    Raises:
        InputError: There is none.
    """
    stem = check(kind, name)
    module = importlib.import_module(f"lsp_keras.{_PACKAGES[kind]}.{stem}")
    return getattr(module, module.__all__[0])


def summary(kind: str, name: str) -> str:
    """First line of the file's docstring, read without importing it."""
    import ast

    path = _ROOT / _PACKAGES[kind] / f"{name}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]
