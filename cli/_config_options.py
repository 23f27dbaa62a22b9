"""Options made from the settings of a training run, and their merging with a recipe."""

import types
import typing
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from lsp_keras.runs import FitConfig, find_recipe
from lsp_keras.runs.config import config_from, settings
from lsp_keras.validation import InputError

_OF_METHOD = ("adv", "method", "beta", "gamma", "helper", "helper_epochs")
# What switches on the settings whose names start with it.
_SWITCHES = {"lsp": "--lsp", "lfr": "--lfr", "adr": "--adr", "lfrc": "--lfrc", "awp": "--awp"}


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds one option for each setting of `FitConfig`, and `--recipe`."""
    for name, (annotation, default, text) in reversed(settings().items()):
        command = _option(name, annotation, default, text)(command)
    return click.option(
        "--recipe",
        metavar="NAME|FILE",
        help="Start from a published setting or a TOML file; other options override it.",
    )(command)


def _option(name: str, annotation: Any, default: Any, text: str) -> Callable[..., Any]:
    flag = f"--{name.replace('_', '-')}"
    if annotation is bool:
        return click.option(
            f"{flag}/--no-{flag[2:]}", default=default, show_default=True, help=text
        )
    kinds = [kind for kind in typing.get_args(annotation) if kind is not types.NoneType]
    kind = kinds[0] if kinds else annotation
    return click.option(
        flag, type=kind, default=default, show_default=default is not None, help=text
    )


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
    values = {} if recipe is None else _less_other_method(find_recipe(recipe), typed)
    source = "the command line" if recipe is None else f"recipe {recipe}"
    config = config_from(values | typed, source=source)
    _refuse_idle(config, typed)
    return config


def _less_other_method(recipe: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """The recipe, without its method and that method's numbers where another one was typed."""
    method = _method(typed)
    if method is None or method == _method(recipe):
        return recipe
    return {name: value for name, value in recipe.items() if name not in _OF_METHOD}


def _method(values: dict[str, Any]) -> str | None:
    """The method that settings name, by itself or by `adv`."""
    method: str | None = values.get("method")
    if method is None and "adv" in values:
        return "at" if values["adv"] else "standard"
    return method


def _refuse_idle(config: FitConfig, typed: dict[str, Any]) -> None:
    """Raises `InputError` for a typed option of something that is switched off."""
    for name in typed:
        switch, separator, _ = name.partition("_")
        if separator and switch in _SWITCHES and not getattr(config, switch):
            raise InputError(
                f"--{name.replace('_', '-')} does nothing without {_SWITCHES[switch]}."
            )
