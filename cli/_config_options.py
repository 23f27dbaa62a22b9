"""Options made from the settings of a training run, and their merging with a recipe."""

import types
import typing
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from lsp_keras.recipes._config import FitConfig, config_from, find_recipe, settings


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
    if recipe is None:
        return config_from(typed, source="the command line")
    values = find_recipe(recipe)
    if "method" in typed:
        values.pop("adv", None)
    elif typed.get("adv"):
        values.pop("method", None)
    return config_from(values | typed, source=f"recipe {recipe}")
