"""Settings from several sources, one over the other: recipes, and what a user typed.

Each source becomes a tree first: `{"epochs": 3, "method": {"name": "trades", "beta": 6.0},
"regularizers": {"lsp": {...}}, "switches": {"lsp": True}}`.
"""

from collections.abc import Mapping
from typing import Any

from lsp_keras import registry
from lsp_keras.runs.settings.flags import OLD_NAMES, REGULARIZERS, SECTIONS, Flag, Place, flags
from lsp_keras.runs.settings.units import settings_of
from lsp_keras.validation import InputError, nearest

Tree = dict[str, Any]

SWITCHES = "switches"
_METHOD_OF_ADV = {True: "at", False: "standard"}


def to_tree(values: Mapping[str, Any], own: tuple[str, ...], *, source: str) -> Tree:
    """Settings by section.

    Args:
        values: Sections, the run's own settings, and any unit's setting under its option's name;
            or a tree already.
        own: Names of the run's own settings.
        source: Where the values come from, for error messages.

    Raises:
        InputError: A name is unknown, or a section holds no settings.
    """
    if SWITCHES in values:
        return dict(values)
    known = by_name(own)
    tree: Tree = {SWITCHES: {}}
    for name, value in _without_adv(values).items():
        if name in own:
            tree[name] = value
        elif name in SECTIONS:
            _put(tree, (name,), _node(value, f"`{name}` in {source}"))
        elif name == REGULARIZERS:
            _put_regularizers(tree, value, source)
        elif name in known:
            place = known[name].place
            _put(tree, (SWITCHES, name) if place == (REGULARIZERS, name) else place, value)
        else:
            raise InputError(f"Unknown setting {name!r} in {source}.{nearest(name, _names(own))}")
    return tree


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> Tree:
    """One tree over another.

    Where the upper one chooses another unit, its settings below are left out that the new unit
    has not. Those of another method are all left out: `beta` means something else in each.
    """
    merged: Tree = dict(lower)
    for name, value in upper.items():
        before = merged.get(name)
        if name in SECTIONS:
            merged[name] = _merge_units(name, before or {}, value)
        elif isinstance(value, Mapping) or isinstance(before, Mapping):
            merged[name] = _merge_nodes(_named(before), _named(value))
        else:
            merged[name] = value
    return merged


def by_name(own: tuple[str, ...]) -> dict[str, Flag]:
    """Every unit's setting by each name that is understood."""
    return {name: flag for flag in flags(own) for name in (*flag.hidden, flag.name)}


def flat_names(values: Mapping[str, Any], own: tuple[str, ...]) -> dict[str, Place]:
    """Settings of units that stand outside of a section, and where they belong."""
    known = by_name(own)
    flat = {name: known[name].place for name in values if name in known and name not in SECTIONS}
    return flat | {name: ("method", "name") for name in values if name == "adv"}


def _without_adv(values: Mapping[str, Any]) -> dict[str, Any]:
    """`adv` as the method that it is short for."""
    left = {name: value for name, value in values.items() if name != "adv"}
    if "adv" not in values:
        return left
    adv = values["adv"]
    if not isinstance(adv, bool):
        raise InputError(f"`adv` must be of type bool. Received: {adv!r}.")
    method = left.get("method")
    name = method.get("name") if isinstance(method, Mapping) else method
    if adv and name not in (None, "at"):
        raise InputError(
            f"--adv is short for --method at. Received both --adv and --method {name}; "
            "leave one out."
        )
    return {"method": _METHOD_OF_ADV[adv], **left} if name is None else left


def _put_regularizers(tree: Tree, value: Any, source: str) -> None:
    if not isinstance(value, Mapping):
        raise InputError(f"`{REGULARIZERS}` in {source} must be a section. Received: {value!r}.")
    for name, settings in value.items():
        stem = registry.check("regularizer", name)
        if isinstance(settings, bool):
            _put(tree, (SWITCHES, stem), settings)
            continue
        _put(tree, (SWITCHES, stem), True)
        if not isinstance(settings, Mapping):
            raise InputError(
                f"`{REGULARIZERS}.{name}` in {source} must be a section, true or false. "
                f"Received: {settings!r}."
            )
        _put(tree, (REGULARIZERS, stem), dict(settings))


def _put(tree: Tree, place: Place, value: Any) -> None:
    """Sets a value below its sections; a section adds to what is there."""
    *sections, last = place
    for section in sections:
        before = tree.get(section, {})
        tree[section] = {"name": before} if isinstance(before, str) else dict(before)
        tree = tree[section]
    before = tree.get(last)
    if isinstance(before, Mapping) or isinstance(value, Mapping):
        tree[last] = {**_named(before), **_named(value)}
    else:
        tree[last] = value


def _node(value: Any, what: str) -> Tree:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping):
        raise InputError(f"{what} must be a name or a section. Received: {value!r}.")
    return dict(value)


def _named(value: Any) -> Tree:
    """A choice as a node: a name, or nothing, becomes one."""
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else {"name": value}


def _merge_nodes(lower: Tree, upper: Tree) -> Tree:
    if "name" in upper and upper["name"] != lower.get("name", upper["name"]):
        return upper
    return merge(lower, upper)


def _merge_units(section: str, lower: Tree, upper: Tree) -> Tree:
    name = upper.get("name")
    if name is None or name == lower.get("name", SECTIONS[section]):
        return merge(lower, upper)
    if section == "method" and "name" in lower:
        return upper
    known = settings_of(section, name)
    return merge({key: value for key, value in lower.items() if key in known}, upper)


def _names(own: tuple[str, ...]) -> list[str]:
    return [*own, *SECTIONS, REGULARIZERS, *by_name(own), *OLD_NAMES]
