"""What can be chosen by name: one file without a leading underscore is one choice.

The file's stem is its name in the registry, on the command line, in recipes and in the docs;
a hyphen in a name is read as an underscore. Its unit is the one public object that the stem
names, whatever the capitals: `cw_l2` is `CWL2`, the method `at` is `ATTrainer` and the loss
`mart` is `mart_loss`. Its settings are its constructor's arguments. Listing names, summaries and
settings imports no file.

Another package adds units by entry points in a group of that kind, such as
`"lsp_keras.methods": {"mine": "my_package.mine:MineTrainer"}`.
"""

import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lsp_keras.signatures import REQUIRED, Argument, arguments_of, attribute_of, read_source
from lsp_keras.validation import InputError, check_choice, listing, nearest

_ROOT = Path(__file__).parent
_PACKAGES = {
    "attack": "attacks",
    "augmentation": "augmentations",
    "dataset": "datasets",
    "divergence": "ops.divergences",
    "loss": "losses",
    "method": "methods",
    "model": "models",
    "regularizer": "regularizers",
}
KINDS = (*_PACKAGES, "recipe")
# What a method can give a loss that it knows nothing else of.
_OF_LABELS = {"labels", "logits"}
# What a unit's name may end with beside the file's stem.
_SUFFIXES = {"loss": "loss", "method": "trainer"}


class _Place(NamedTuple):
    """Where a unit is defined."""

    module: str
    path: Path
    unit: str | None


def names(kind: str) -> list[str]:
    """Names of everything of one kind, sorted.

    Args:
        kind: Kind of the units, one of `KINDS`.

    Raises:
        InputError: There is no such kind.
    """
    check_choice("kind", kind, KINDS)
    if kind == "recipe":
        return sorted(path.stem for path in (_ROOT / "recipes").glob("*.toml"))
    stems = {path.stem for path in _folder(kind).glob("*.py") if not path.stem.startswith("_")}
    return sorted(stems | set(_entry_points(kind)))


def check(kind: str, name: str) -> str:
    """The file stem that a name stands for.

    Raises:
        InputError: There is none; the message lists the names and the nearest match.
    """
    stem = name.replace("-", "_")
    known = names(kind)
    if stem not in known:
        raise InputError(
            f"Unknown {kind}: {name!r}.{nearest(stem, known)} It must be {listing(known)}."
        )
    return stem


def get(kind: str, name: str) -> Any:
    """The class, function or object of that kind and name.

    Raises:
        InputError: There is none, or its file does not define what its name says.
    """
    unit = unit_name(kind, name)
    return getattr(importlib.import_module(_place(kind, check(kind, name)).module), unit)


def unit_name(kind: str, name: str) -> str:
    """Name of the object that a choice stands for, read without importing its file.

    Raises:
        InputError: The file does not define exactly one public object that its stem names.
    """
    stem = check(kind, name)
    place = _place(kind, stem)
    if place.unit is not None:
        return place.unit
    public = read_source(place.path).public
    found = [item for item in public if _folded(item) in _expected(kind, stem)]
    if len(found) != 1:
        raise InputError(
            f"{place.path} must define one public object named {stem!r}, whatever the capitals"
            f"{_suffix_hint(kind)}. It defines {', '.join(public) or 'none'}."
        )
    return found[0]


def choices(kind: str) -> list[str]:
    """Names that a setting of some unit may choose from.

    These are all of the kind, but of the losses those of `(labels, logits)` alone: others need
    what only one method has.
    """
    return [
        name for name in names(kind) if kind != "loss" or set(required(kind, name)) == _OF_LABELS
    ]


def check_chosen(kind: str, name: str) -> str:
    """The file stem that a name stands for, if a setting may choose it.

    Raises:
        InputError: There is no such name, or a setting cannot choose it.
    """
    stem = check(kind, name)
    if stem not in choices(kind):
        raise InputError(
            f"The {kind} {stem} needs {', '.join(sorted(required(kind, stem)))}. It must be "
            f"{listing(choices(kind))}."
        )
    return stem


def split(choice: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and the arguments of a choice, which is a name or a mapping with a `name`.

    Raises:
        InputError: It is neither.

    Example:
        >>> split({"name": "kl"})
        ('kl', {})
    """
    if isinstance(choice, str):
        return choice, {}
    given = dict(choice) if isinstance(choice, Mapping) else {}
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise InputError(
            f"A choice must be a name, or a mapping with a `name`. Received: {choice!r}."
        )
    return name, given


def bound(kind: str, choice: str | Mapping[str, Any]) -> Any:
    """A function with arguments of its own filled in.

    Args:
        kind: A kind whose units are functions, such as `"divergence"`.
        choice: Name of a unit, or a mapping with its `name` and its arguments.

    Raises:
        InputError: There is none of that name, or it has no such argument.
    """
    name, given = split(choice)
    known = [item.name for item in arguments(kind, name).values() if item.is_setting]
    for argument in given:
        if argument not in known:
            raise InputError(
                f"`{argument}` is no setting of the {kind} {name}.{nearest(argument, known)}"
            )
    return functools.partial(get(kind, name), **given) if given else get(kind, name)


def name_of(kind: str, unit: Any) -> str | None:
    """The name under which a class, function or object is registered, `None` if it is not."""
    module = getattr(unit, "__module__", None)
    for name in names(kind):
        if _place(kind, name).module == module and get(kind, name) is unit:
            return name
    return None


def arguments(kind: str, name: str) -> dict[str, Argument]:
    """Arguments of a choice's constructor or function, read without importing its file.

    Raises:
        InputError: There is no such choice.
    """
    stem = check(kind, name)
    return arguments_of(_place(kind, stem).path, unit_name(kind, stem))


def required(kind: str, name: str) -> list[str]:
    """Names of the arguments that a choice's constructor or function has no default for."""
    return [item.name for item in arguments(kind, name).values() if item.default is REQUIRED]


def attribute(kind: str, name: str, attribute: str) -> Any:
    """A literal attribute of a choice's class, read without importing its file, or `None`."""
    stem = check(kind, name)
    return attribute_of(_place(kind, stem).path, unit_name(kind, stem), attribute)


def summary(kind: str, name: str) -> str:
    """First line of the file's docstring, read without importing it."""
    place = _place(kind, check(kind, name))
    return read_source(place.path).docstring.partition("\n")[0]


def _folder(kind: str) -> Path:
    return _ROOT.joinpath(*_PACKAGES[kind].split("."))


def _place(kind: str, stem: str) -> _Place:
    path = _folder(kind) / f"{stem}.py"
    if path.is_file():
        return _Place(f"{_ROOT.name}.{_PACKAGES[kind]}.{stem}", path, None)
    module, _, unit = _entry_points(kind)[stem].partition(":")
    return _Place(module, _file_of(module), unit)


@functools.cache
def _entry_points(kind: str) -> dict[str, str]:
    """`{name: "module:object"}` of what other packages register."""
    group = f"{_ROOT.name}.{_PACKAGES[kind].rpartition('.')[2]}"
    return {
        item.name.replace("-", "_"): item.value
        for item in importlib.metadata.entry_points(group=group)
    }


def _file_of(module: str) -> Path:
    """A module's file, found without importing the packages that it lies in."""
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is not None and not parts and spec.origin is not None:
        return Path(spec.origin)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        base = Path(folder).joinpath(*parts)
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                return file
    raise InputError(f"An entry point names the module {module}, which is not installed.")


def _expected(kind: str, stem: str) -> set[str]:
    return {_folded(stem), _folded(stem) + _SUFFIXES.get(kind, "")}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _suffix_hint(kind: str) -> str:
    return f", with or without {_SUFFIXES[kind]!r} at its end" if kind in _SUFFIXES else ""
