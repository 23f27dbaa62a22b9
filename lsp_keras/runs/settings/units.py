"""A chosen unit with the settings given for it, checked against its constructor's signature."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsp_keras import registry
from lsp_keras.choices import DEFAULT_EPSILONS
from lsp_keras.places import MODEL_SUFFIXES, check_local
from lsp_keras.signatures import REQUIRED, Argument
from lsp_keras.validation import InputError, check_choice, nearest

# What a run gives every unit itself, so that it is no setting of the unit's own.
_GIVEN_BY_THE_RUN = {"num_classes", "num_images", "name", "seed"}
_NO_AUGMENTATION = "none"
_STEPS = re.compile(r"\b(Training steps|Steps)\b")


@dataclass(frozen=True)
class Unit:
    """A registered unit and what is set of it.

    Attributes:
        kind: Kind of the unit, as the registry names it.
        name: Name of the unit; for a dataset also one with a scheme, such as `"folder:photos"`.
        given: Settings that differ from what the constructor would take by itself.

    Raises:
        InputError: There is no such unit or setting, or a value is of the wrong type.
    """

    kind: str
    name: str
    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _checked_name(self.kind, self.name))
        known = settings_of(self.kind, self.name)
        for name, value in self.given.items():
            if name not in known:
                raise InputError(self._unknown(name, value))
            check_value(name, value, known[name])

    def __getitem__(self, name: str) -> Any:
        """A setting's value: the given one, or the constructor's default."""
        if name in self.given:
            return self.given[name]
        return settings_of(self.kind, self.name)[name].default

    def get(self, name: str, default: Any = None) -> Any:
        """As `[]`; the default for a unit that has no such setting."""
        return self[name] if name in settings_of(self.kind, self.name) else default

    def with_defaults(self, **defaults: Any) -> "Unit":
        """The unit with every setting that has a value written out.

        Args:
            defaults: Values that come before the constructor's own, where it has the setting.
        """
        known = settings_of(self.kind, self.name)
        values = {name: argument.default for name, argument in known.items()}
        values |= {name: value for name, value in defaults.items() if name in known}
        values |= {name: value for name, value in self.given.items() if value is not None}
        written = {k: v for k, v in values.items() if v is not None and v is not REQUIRED}
        return replace(self, given=written)

    def to_plain(self) -> str | dict[str, Any]:
        """As TOML holds it: the name, or a table of name and settings."""
        values = {name: value for name, value in self.given.items() if value is not None}
        return {"name": self.name, **values} if values else self.name

    def _unknown(self, name: str, value: Any) -> str:
        others = [
            other for other in registry.names(self.kind) if name in settings_of(self.kind, other)
        ]
        hint = nearest(name, settings_of(self.kind, self.name))
        if others:
            hint = f" {self.kind.capitalize()}s that have it: {', '.join(others)}."
        return (
            f"`{name}` is no setting of the {self.kind} {self.name}. "
            f"Received: {name}={value}.{hint}"
        )


def settings_of(kind: str, name: str) -> dict[str, Argument]:
    """What a run can set of a unit, by name, read without importing it.

    These are the constructor's arguments that take plain values, less those that the run gives
    itself. Training is counted in epochs: `warmup_steps` is set as `warmup_epochs`. For a
    `helper`, which is a model, the run takes a path or the epochs to train one.
    """
    if kind == "dataset" and _scheme_or_size(name)[1]:
        return {}
    if kind == "augmentation" and name == _NO_AUGMENTATION:
        return {}
    if kind == "model" and is_foreign(name):
        return {}
    stem = _scheme_or_size(name)[0] if kind == "dataset" else name
    found: dict[str, Argument] = {}
    for argument in registry.arguments(kind, stem).values():
        for setting in _in_a_run(kind, argument):
            found[setting.name] = setting
    return found


def is_foreign(model: str) -> bool:
    """Whether a model is none of the registry's: a file, a run's folder, or one with a colon.

    These are `"FILE.keras"`, `"RUN"`, `"zoo:NAME"`, `"module:function"`, `"applications:NAME"` and
    `"hub:PRESET"`.
    """
    return ":" in model or model.endswith(MODEL_SUFFIXES) or Path(model).is_dir()


def nested(kind: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as given, with choices in their shortest form: a name without settings of its own.

    Args:
        kind: Kind of the unit.
        name: Name of the unit.
        given: Settings of the unit, in which a choice may be a mapping without a name.
    """
    known = settings_of(kind, name) if given else {}
    return {
        key: _shortest(value, known[key])
        if key in known and known[key].registered and isinstance(value, Mapping)
        else value
        for key, value in given.items()
    }


def _shortest(value: Mapping[str, Any], argument: Argument) -> str | dict[str, Any]:
    chosen, given = registry.split({"name": argument.default, **value})
    return {"name": chosen, **given} if given else chosen


def check_value(name: str, value: Any, argument: Argument) -> None:
    """Raises `InputError` unless the argument takes a value of that type, or that choice."""
    if value is None and (argument.optional or argument.default is REQUIRED):
        return
    if argument.registered is not None:
        chosen, given = registry.split(value)
        Unit(argument.registered, registry.check_chosen(argument.registered, chosen), given)
        return
    kinds = (*argument.kinds, int) if float in argument.kinds else argument.kinds
    if type(value) not in kinds:
        expected = " or ".join(kind.__name__ for kind in argument.kinds)
        raise InputError(f"`{name}` must be of type {expected}. Received: {value!r}.")
    if argument.choices:
        check_choice(name, value, argument.choices)


def _in_a_run(kind: str, argument: Argument) -> list[Argument]:
    if argument.name in _GIVEN_BY_THE_RUN:
        return []
    if argument.name == "warmup_steps":
        text = _STEPS.sub("Epochs", argument.help)
        return [replace(argument, name="warmup_epochs", help=text)]
    if argument.name == "helper" and not argument.is_setting:
        return list(_HELPER)
    if kind == "attack" and argument.name == "epsilon":
        return [replace(argument, default=DEFAULT_EPSILONS["linf"])]
    return [argument] if argument.is_setting else []


_HELPER = (
    Argument(
        "helper",
        (str,),
        optional=True,
        default=None,
        help="Helper model: a run or a .keras file. Default: trained first, and cached.",
    ),
    Argument(
        "helper_epochs",
        (int,),
        optional=True,
        default=None,
        help="Epochs of the helper's training. Default: epochs.",
    ),
)


def _checked_name(kind: str, name: str) -> str:
    if kind == "dataset" or (kind == "augmentation" and name == _NO_AUGMENTATION):
        # Datasets have schemes and sizes too: their loader tells what it does not know.
        return name
    if kind == "model" and is_foreign(name):
        check_local(name)
        return name
    return registry.check(kind, name)


def _scheme_or_size(name: str) -> tuple[str, bool]:
    """A dataset's stem, and whether it is not a registered one."""
    stem = name.partition("@")[0].replace("-", "_")
    return stem, stem not in registry.names("dataset")
