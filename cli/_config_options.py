"""Options made from the settings of a training run, and their merging with a recipe."""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any

import click
from click.core import ParameterSource

from lsp_keras import registry
from lsp_keras.cli._sections import SectionedCommand
from lsp_keras.cli._setting_options import (
    SettingOption,
    dashed,
    option_names,
    option_type,
    with_default,
)
from lsp_keras.runs import FitConfig, find_recipe
from lsp_keras.runs.settings.config import config_from_layers, run_settings, unit_flags
from lsp_keras.runs.settings.flags import REGULARIZERS, SECTIONS, Flag
from lsp_keras.runs.settings.resolve import BUDGET, INHERITED
from lsp_keras.runs.settings.setting import plain_types
from lsp_keras.runs.settings.units import is_foreign
from lsp_keras.signatures import Argument
from lsp_keras.validation import InputError

# Where each group of the run's own settings begins.
_GROUPS = {
    "data_dir": "Data",
    "num_neighbors": "Neighbors",
    "start_from": "Model",
    "epochs": "Training",
    "validation_epsilon": "The epoch that is kept, and the end of the run",
    "tensorboard": "Run",
}
_ALIASES = {"start_from": ("--from",)}
# Begins what an argument's text says of its default.
_OWN_DEFAULT = re.compile(r", default | Default: ")
_SECTION_TITLES = {
    "dataset": "Data",
    "augmentation": "Augmentation",
    "model": "Model",
    "method": "Method",
    "attack": "Attack in training",
}
OTHERS = "Settings of what is not chosen here"
# The order in which the groups are shown.
TITLES = (
    "Method",
    "Attack in training",
    "Regularizers",
    "Model",
    "Data",
    "Augmentation",
    "Neighbors",
    "Training",
    "The epoch that is kept, and the end of the run",
    "Run",
    OTHERS,
)


class FitCommand(SectionedCommand):
    """Shows the settings of the method, attack and model that the command line chooses."""

    titles = TITLES
    others = OTHERS

    def chosen(self, arguments: list[str]) -> dict[str, str]:
        """As the options before `--help` and the recipe say; without them, the defaults."""
        units = _config_so_far(arguments).units()
        chosen = {section: unit.name for section, unit in units.items()}
        return chosen | {name: name for name in registry.names("regularizer")}


def _config_so_far(arguments: list[str]) -> FitConfig:
    words = [word for argument in arguments for word in argument.split("=", 1)]
    follows = dict(pairwise(words))
    typed: dict[str, Any] = {
        section: follows[f"--{section}"] for section in SECTIONS if f"--{section}" in follows
    }
    if "--adv" in words and "method" not in typed:
        typed["method"] = "at"
    recipe = follows.get("--recipe")
    try:
        return config_from_layers({"recipe": find_recipe(recipe) if recipe else {}, "typed": typed})
    except InputError:
        return FitConfig()


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds one option for each setting of a run and its units, and `--recipe`."""
    options = [*map(_unit_option, unit_flags()), _adv_option(), *_run_options()]
    for option in reversed(options):
        command = option(command)
    return click.option(
        "--recipe",
        metavar="NAME|FILE",
        help="Start from a published setting or a TOML file; other options override it.",
    )(command)


def config_from_options(
    ctx: click.Context, recipe: str | None, options: dict[str, Any]
) -> FitConfig:
    """The recipe's settings, overridden by what was written on the command line.

    Raises:
        InputError: A setting is unknown or wrong.
    """
    typed = {
        name: value
        for name, value in options.items()
        if ctx.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)
    }
    layers: dict[str, dict[str, Any]] = {}
    if recipe is not None:
        layers[f"recipe {recipe}"] = find_recipe(recipe, note=_note_old_names)
    _bring_model(typed, layers)
    config = config_from_layers({**layers, "the command line": typed})
    _refuse_idle(config, typed)
    return config


def _bring_model(typed: dict[str, Any], layers: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes the run or file to start from the model, where no other one is named."""
    start = typed.get("start_from")
    named = "model" in typed or any("model" in layer for layer in layers.values())
    if start is not None and not named and is_foreign(start):
        typed["model"] = typed.pop("start_from")


def _unit_option(flag: Flag) -> Callable[..., Any]:
    argument = flag.argument
    title = _SECTION_TITLES.get(flag.section, "Regularizers")
    if flag.place == (REGULARIZERS, flag.section):
        names = [option_names(flag.section, (bool,))]
        text = f"Add the regularizer {flag.section}."
    else:
        names = [option_names(name, argument.kinds) for name in (flag.name, *flag.hidden)]
        text = argument.help
    return click.option(
        *names,
        flag.name,
        cls=SettingOption,
        type=option_type(argument.kinds, argument.choices, argument.registered),
        default=None,
        help=text,
        title=title,
        section=flag.section,
        help_by_unit={unit: _help(item, flag.section) for unit, item in flag.units.items()},
    )


def _help(argument: Argument, section: str) -> str:
    """An argument's text with its default in a run, which may be another than the constructor's."""
    default = _default_in_a_run(argument.name, section)
    if default is None:
        return with_default(argument)
    text = _OWN_DEFAULT.split(argument.help)[0].rstrip(".")
    return f"{text}.  [default: {default}]"


def _default_in_a_run(name: str, section: str) -> str | None:
    if section == "attack":
        return "a quarter of epsilon" if name == "step_size" else None
    if section == "method" and name == "step_size":
        return "the attack's where it is given, else epsilon"
    if name in BUDGET:
        return "the attack's"
    return "the run's" if name in INHERITED else None


def _adv_option() -> Callable[..., Any]:
    return click.option(
        "--adv/--no-adv",
        cls=SettingOption,
        default=None,
        help="Short for --method at: train on adversarial images, LSP+ instead of LSP.",
        title="Method",
        section="method",
    )


def _run_options() -> list[Callable[..., Any]]:
    title, options = "", []
    for name, (annotation, default, text) in run_settings().items():
        title = _GROUPS.get(name, title)
        kinds, choices = plain_types(annotation)
        plain = tuple(kind for kind in kinds if kind is not NoneType)
        options.append(
            click.option(
                *_ALIASES.get(name, ()),
                option_names(name, plain),
                name,
                cls=SettingOption,
                type=option_type(plain, choices),
                default=default,
                show_default=default is not None,
                help=text,
                title=title,
            )
        )
    return options


def _note_old_names(path: Path, old: Mapping[str, tuple[str, ...]]) -> None:
    places = ", ".join(f"{name} is {_spelled(place)}" for name, place in old.items())
    click.echo(
        f"Note: {path} has settings outside of their sections, which the next version will not "
        f"read: {places}.",
        err=True,
    )


def _spelled(place: tuple[str, ...]) -> str:
    """`[method] beta`; a switch is a section of its own."""
    if len(place) == 2 and place[0] == REGULARIZERS:
        return f"[{'.'.join(place)}]"
    return f"[{'.'.join(place[:-1])}] {place[-1]}"


def _refuse_idle(config: FitConfig, typed: dict[str, Any]) -> None:
    """Raises `InputError` for a typed option of something that is switched off."""
    places = {flag.name: flag.place for flag in unit_flags()}
    for name in typed:
        place = places.get(name, ())
        if len(place) > 2 and place[0] == REGULARIZERS and place[1] not in config.regularizers:
            raise InputError(f"{dashed(name)} does nothing without {dashed(place[1])}.")
    if "awp_warmup" in typed and not config.awp:
        raise InputError("--awp-warmup does nothing without --awp.")
