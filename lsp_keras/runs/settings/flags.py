"""Every setting of every unit under the name that a user types, read off the signatures.

A setting of a chosen method, model, attack, augmentation or dataset has its own name where no
other setting has it, as in `beta`, and else that of its section before it, as in
`attack_learning_rate`; with the section it is always understood. One of a regularizer begins with
the regularizer's name, as in `lsp_weight`.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lsp_keras import registry
from lsp_keras.runs.settings.units import settings_of
from lsp_keras.signatures import Argument

# The unit that a section holds where none is named; an augmentation is the dataset's own.
SECTIONS: Mapping[str, str | None] = {
    "dataset": "digits",
    "model": "resnet18",
    "attack": "pgd",
    "method": "standard",
    "augmentation": None,
}
REGULARIZERS = "regularizers"
# Names from before settings had sections, which are read for one version.
OLD_NAMES = {
    "attack_steps": ("attack", "num_steps"),
    "lfr_warmup": (REGULARIZERS, "lfr", "warmup_epochs"),
}
_CHOICE_HELP = {
    "dataset": "A name from `lsp-keras list datasets`, tfds:NAME, folder:PATH or prepared:PATH.",
    "augmentation": "How training images are changed. Default: what suits the dataset.",
    "model": "A name from `lsp-keras list models`, a run, FILE.keras, zoo:NAME, "
    "module:function, applications:NAME or hub:PRESET.",
    "method": "A name from `lsp-keras list methods`.",
    "attack": "The attack in training; a name from `lsp-keras list attacks`.",
}

Place = tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """A unit's setting as an option.

    Attributes:
        name: What is typed, with underscores.
        place: Where its value stands in a recipe, such as `("method", "beta")`.
        argument: What it takes.
        units: The argument of each unit that has the setting, by the unit's name.
        hidden: Other names that are understood.
    """

    name: str
    place: Place
    argument: Argument
    units: Mapping[str, Argument] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """What its unit is chosen as: `"method"`, or a regularizer's name."""
        return self.place[1] if self.place[0] == REGULARIZERS else self.place[0]


@functools.cache
def flags(reserved: tuple[str, ...]) -> tuple[Flag, ...]:
    """The settings of all units, each section's choice before its settings.

    Args:
        reserved: Names that are taken: those of the run's own settings.
    """
    taken = {*reserved, *SECTIONS, *registry.names("regularizer"), *OLD_NAMES}
    found: list[Flag] = []
    for section in SECTIONS:
        found.append(Flag(section, (section, "name"), _choice(section)))
        found.extend(_named(settings_by_unit(section), section, taken, found))
    for name in registry.names("regularizer")[::-1]:
        found.append(Flag(name, (REGULARIZERS, name), Argument(name, (bool,))))
        found.extend(_of_regularizer(name))
    found.extend(_of_choices(found, taken))
    return tuple(_with_hidden(found, taken))


def _choice(section: str) -> Argument:
    choices = () if section in ("dataset", "model") else tuple(registry.names(section))
    if section == "augmentation":
        choices = (*choices, "none")
    return Argument(section, (str,), choices=choices, help=_CHOICE_HELP[section])


def settings_by_unit(section: str) -> dict[str, dict[str, Argument]]:
    """`{setting: {unit: argument}}`."""
    found: dict[str, dict[str, Argument]] = {}
    for unit in registry.choices(section):
        for name, argument in settings_of(section, unit).items():
            found.setdefault(name, {})[unit] = argument
    return found


def _named(
    settings: Mapping[str, Mapping[str, Argument]],
    section: str,
    taken: set[str],
    before: Iterable[Flag],
) -> list[Flag]:
    used = taken | {flag.name for flag in before}
    return [
        Flag(
            name if name not in used else f"{section}_{name}",
            (section, name),
            together(list(units.values())),
            units,
        )
        for name, units in settings.items()
    ]


def _of_regularizer(regularizer: str) -> list[Flag]:
    return [
        Flag(
            f"{regularizer}_{name}",
            (REGULARIZERS, regularizer, name),
            argument,
            {regularizer: argument},
        )
        for name, argument in settings_of("regularizer", regularizer).items()
    ]


def _of_choices(found: list[Flag], taken: set[str]) -> list[Flag]:
    """Settings of units that are chosen by a unit's setting, such as a divergence's."""
    inner: list[Flag] = []
    for flag in found:
        kind = flag.argument.registered
        if kind is not None:
            named = _named(settings_by_unit(kind), kind, taken, [*found, *inner])
            inner += [replace(item, place=(*flag.place, item.place[-1])) for item in named]
    return inner


def _with_hidden(found: list[Flag], taken: set[str]) -> Iterable[Flag]:
    """Adds names that are understood as well: with the section, and short ones of regularizers."""
    used = taken | {flag.name for flag in found}
    short = [flag.place[-1] for flag in found if len(flag.place) > 2]
    old = {place: name for name, place in OLD_NAMES.items()}
    for flag in found:
        is_choice = flag.name == flag.section
        names = [] if is_choice else [f"{flag.section}_{flag.place[-1]}"]
        if len(flag.place) > 2 and short.count(flag.place[-1]) == 1:
            names.append(flag.place[-1])
        names = [name for name in dict.fromkeys(names) if name not in used]
        used |= set(names)
        yield replace(flag, hidden=(*names, *([old[flag.place]] if flag.place in old else [])))


def together(arguments: list[Argument]) -> Argument:
    """One argument that takes what any of them takes."""
    kinds = tuple(dict.fromkeys(kind for item in arguments for kind in item.kinds))
    choices = tuple(dict.fromkeys(choice for item in arguments for choice in item.choices))
    listed = all(item.choices for item in arguments)
    return replace(arguments[0], kinds=kinds, choices=choices if listed else ())
