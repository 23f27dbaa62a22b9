"""Every argument of every unit can be set: typed, and in a file."""

from typing import Any

import click
import pytest

from lsp_keras import registry
from lsp_keras.cli import attack, fit
from lsp_keras.cli._config_options import config_from_options
from lsp_keras.runs import FitConfig
from lsp_keras.runs.settings.flags import SECTIONS
from lsp_keras.runs.settings.units import settings_of
from lsp_keras.signatures import Argument

# What a run makes or knows itself; whoever adds to this list takes a setting from the user.
GIVEN = {
    "dataset": set(),
    "augmentation": set(),
    "model": {"num_classes", "input_shape", "mean", "std", "seed"},
    "method": {"classifier", "attack", "regularizers", "num_images", "seed", "name"},
    "attack": set(),
    "regularizer": {"name"},
}
# Arguments that are set under another name.
RENAMED = {"warmup_steps": "warmup_epochs"}
ARGUMENTS = [
    pytest.param(kind, unit, argument, id=f"{kind}-{unit}-{argument.name}")
    for kind in GIVEN
    for unit in registry.names(kind)
    for argument in registry.arguments(kind, unit).values()
]


def other_value(argument: Argument) -> Any:
    """A value of its type that is not the default."""
    if argument.choices or argument.registered:
        choices = argument.choices or registry.choices(argument.registered or "")
        return next((item for item in choices if item != argument.default), choices[0])
    kind = (argument.kinds or (str,))[0]
    if kind is bool:
        return not argument.default
    return {int: 3, float: "0.25" if str in argument.kinds else 0.25, str: "another"}[kind]


def parse(command: click.Command, *arguments: str) -> click.Context:
    return command.make_context("command", list(arguments))


def flag(name: str, value: Any) -> list[str]:
    dashed = name.replace("_", "-")
    return (
        [f"--{'' if value else 'no-'}{dashed}"]
        if isinstance(value, bool)
        else [f"--{dashed}", str(value)]
    )


@pytest.mark.parametrize(("kind", "unit", "argument"), ARGUMENTS)
def test_an_argument_can_be_typed_and_written(kind: str, unit: str, argument: Argument) -> None:
    if argument.name in GIVEN[kind]:
        assert argument.name not in settings_of(kind, unit)
        return
    name = RENAMED.get(argument.name, argument.name)
    value = other_value(argument)
    section = unit if kind == "regularizer" else kind
    choice = (
        ["--lsp", f"--{unit.replace('_', '-')}"] if kind == "regularizer" else [f"--{kind}", unit]
    )
    ctx = parse(fit.command, *choice, *flag(f"{section}_{name}", value))
    config = config_from_options(ctx, None, unit_options(ctx))
    table = {name: value}
    if kind == "regularizer":
        written = FitConfig.of(regularizers={unit: table})
        assert config.regularizers[unit][name] == value
    else:
        written = FitConfig.of(**{kind: {"name": unit, **table}})
        assert getattr(config, kind)[name] == value
    assert config == written
    assert FitConfig.of(**config.to_dict()) == config


def unit_options(ctx: click.Context) -> dict[str, Any]:
    own = ("recipe", "name", "runs_dir", "resume", "cache_dir", "as_json")
    return {name: value for name, value in ctx.params.items() if name not in own}


@pytest.mark.parametrize("command", [fit.command, attack.command], ids=["fit", "attack"])
def test_no_option_has_two_meanings(command: click.Command) -> None:
    spelled = [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
    assert sorted(spelled) == sorted(set(spelled))
    names = [option.name for option in command.params]
    assert len(names) == len(set(names))


def test_every_setting_of_every_attack_can_be_typed() -> None:
    options = {name for option in attack.command.params for name in option.opts}
    for name in registry.names("attack"):
        for setting in settings_of("attack", name):
            assert f"--{setting.replace('_', '-')}" in options


@pytest.mark.parametrize(
    ("old", "name", "value"),
    [("--attack-steps", "num_steps", 3), ("--attack-step-size", "step_size", "1/255")],
)
def test_old_names_are_understood_and_hidden(old: str, name: str, value: Any) -> None:
    ctx = parse(fit.command, old, str(value))
    assert config_from_options(ctx, None, unit_options(ctx)).attack[name] == value
    assert old not in fit.command.get_help(ctx)
    for word, setting in (("--steps", "attack_num_steps"), ("--restarts", "attack_num_restarts")):
        ctx = parse(attack.command, word, "3")
        assert ctx.params[setting] == 3
        assert f"  {word}" not in attack.command.get_help(ctx)


def test_help_shows_the_chosen_method_first() -> None:
    """The method's own settings before those of everything else."""
    ctx = click.Context(fit.command, info_name="fit")
    fit.command.parse_args(ctx, ["--method", "hat"])
    text = fit.command.get_help(ctx)
    positions = [text.index(word) for word in ("--stretch", "--epsilon", "--lsp-weight", "--alpha")]
    assert positions == sorted(positions)
    assert text.index("\nMethod:") < text.index("--stretch")
    assert text.index("cutmix, mixup") > text.index("\nSettings of what is not chosen here:")


@pytest.mark.parametrize("section", SECTIONS)
def test_help_names_every_section(section: str) -> None:
    ctx = click.Context(fit.command, info_name="fit")
    assert f"--{section}" in fit.command.get_help(ctx)
