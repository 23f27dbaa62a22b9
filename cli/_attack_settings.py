"""Options of `lsp-keras attack` for the settings of every attack, read off the signatures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from lsp_keras import registry
from lsp_keras.cli._paths import MachinePath
from lsp_keras.cli._sections import SectionedCommand
from lsp_keras.cli._setting_options import SettingOption, option_names, option_type, with_default
from lsp_keras.runs.settings.flags import settings_by_unit, together
from lsp_keras.runs.settings.toml_file import read_config
from lsp_keras.runs.settings.units import Unit
from lsp_keras.validation import InputError

# Of the threat model, which all attacks of an evaluation share.
_SHARED = ("epsilon", "norm")
# Names from before every command called these alike; understood for one version.
_OLD_NAMES = {"num_steps": "--steps", "num_restarts": "--restarts"}
_PREFIX = "attack_"
_TITLE = "Settings of the attacks, for those that have them"
_SECTION = "attacks"


class AttackCommand(SectionedCommand):
    """Shows the settings of the attacks under a heading of their own."""

    titles = (_TITLE,)


def attack_setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds an option for each setting of each attack, and `--settings`.

    The command gets the options as `attack_NAME`, and the file as `settings`.
    """
    by_name = settings_by_unit("attack")
    for name, units in reversed(by_name.items()):
        if name in _SHARED:
            continue
        argument = together(list(units.values()))
        names = [option_names(name, argument.kinds)]
        names += [_OLD_NAMES[name]] if name in _OLD_NAMES else []
        whose = f"{', '.join(units)}: " if len(units) < len(registry.names("attack")) else ""
        text = with_default(argument) if len(units) == 1 else argument.help
        command = click.option(
            *names,
            f"{_PREFIX}{name}",
            cls=SettingOption,
            type=option_type(argument.kinds, argument.choices, argument.registered),
            default=None,
            help=f"{whose}{text}",
            title=_TITLE,
        )(command)
    return click.option(
        "--settings",
        type=MachinePath(path_type=Path, dir_okay=False, exists=True),
        help="TOML file with a section such as [attacks.pgd] for each attack's settings; options "
        "override it. Without --suite or --attacks these attacks run.",
    )(command)


def typed_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were typed, by the names of the attacks' arguments."""
    return {
        name.removeprefix(_PREFIX): value for name, value in options.items() if value is not None
    }


def read_settings(path: Path | None) -> dict[str, dict[str, Any]]:
    """Settings by attack, of a TOML file.

    Raises:
        InputError: It is no TOML file, or names an attack or a setting that there is not.
    """
    if path is None:
        return {}
    document = read_config(path)
    sections = document.get(_SECTION)
    if set(document) != {_SECTION} or not isinstance(sections, dict):
        raise InputError(
            f"{path} must hold sections such as [attacks.pgd] and nothing else. "
            f"Received: {', '.join(document) or 'nothing'}."
        )
    units = {name: Unit("attack", name, settings) for name, settings in sections.items()}
    for unit in units.values():
        for name in set(_SHARED) & set(unit.given):
            raise InputError(
                f"`{name}` belongs to the threat model that all attacks share: use --{name}."
            )
    return {unit.name: dict(unit.given) for unit in units.values()}
