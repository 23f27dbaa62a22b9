"""A recipe's settings under the options that a user types."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from lsp_keras.cli._config_options import config_from_options, config_options
from lsp_keras.runs import FitConfig, find_recipe
from lsp_keras.runs.settings.config import config_from
from lsp_keras.validation import InputError


def parse(*arguments: str) -> FitConfig:
    """The settings that a command line stands for."""

    @click.command()
    @config_options
    @click.pass_context
    def command(ctx: click.Context, /, recipe: str | None, **options: Any) -> FitConfig:
        return config_from_options(ctx, recipe, options)

    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    config: FitConfig = result.return_value
    return config


def recipe(name: str) -> FitConfig:
    return config_from(find_recipe(name), source=name)


def test_without_a_recipe_defaults_hold() -> None:
    assert parse("--beta", "3", "--method", "trades") == FitConfig.of(method="trades", beta=3.0)


def test_options_override_a_recipe() -> None:
    expected = recipe("cifar10_trades").changed(width=16, beta=3.0)
    assert parse("--recipe", "cifar10_trades", "--width", "16", "--beta", "3") == expected


def test_another_method_leaves_the_recipes_method_and_its_numbers() -> None:
    plain = recipe("cifar10_at")
    assert parse("--recipe", "cifar10_hat", "--method", "mart") == plain.changed(method="mart")
    assert parse("--recipe", "cifar10_hat", "--adv") == plain.changed(adv=True)
    assert parse("--recipe", "cifar10_at", "--no-adv") == plain.changed(adv=False)


@pytest.mark.parametrize("option", [("--method", "trades"), ("--no-lsp",)])
def test_the_same_method_keeps_its_numbers(option: tuple[str, ...]) -> None:
    assert parse("--recipe", "cifar10_trades", *option) == recipe("cifar10_trades")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lfr-weight", "0.1"], "--lfr-weight does nothing without --lfr"),
        (["--adr-weight", "2"], "--adr-weight does nothing without --adr"),
        (["--no-lsp", "--lsp-weight", "2"], "--lsp-weight does nothing without --lsp"),
        (["--awp-warmup", "5"], "--awp-warmup does nothing without --awp"),
    ],
)
def test_an_option_of_something_switched_off_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(*arguments)
