"""Options made from settings: their names, types and help."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from lsp_keras import registry
from lsp_keras.signatures import Argument
from lsp_keras.validation import InputError, parse_fraction


class _NumberOrFraction(click.ParamType[str]):
    name = "number|fraction"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """The text as it was written, if it is a number."""
        try:
            parse_fraction(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return str(value)


number_or_fraction = _NumberOrFraction()


class SettingOption(click.Option):
    """An option that knows where it is shown; other names than its first are not shown.

    Args:
        title: Heading that it stands under.
        section: What its unit is chosen as: `"method"`, or a regularizer's name.
        help_by_unit: Help text by the units that have the setting; empty for the choice itself.
    """

    def __init__(
        self,
        *arguments: Any,
        title: str = "",
        section: str | None = None,
        help_by_unit: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.title = title
        self.section = section
        self.help_by_unit = help_by_unit or {}

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Click's, with the first name alone."""
        names, opposites = self.opts, self.secondary_opts
        self.opts, self.secondary_opts = names[:1], opposites[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts, self.secondary_opts = names, opposites

    def described(self, ctx: click.Context, unit: str | None) -> tuple[str, str] | None:
        """Name and help for one unit, or for all that have it where it is `None`."""
        record = self.get_help_record(ctx)
        if record is None or not self.help_by_unit:
            return record
        if unit is not None:
            return record[0], self.help_by_unit[unit]
        return record[
            0
        ], f"{', '.join(self.help_by_unit)}: {next(iter(self.help_by_unit.values()))}"


def option_names(name: str, kinds: Sequence[type]) -> str:
    """`--name`, and `--no-name` beside it for a switch."""
    flag = dashed(name)
    return f"{flag}/--no-{flag[2:]}" if tuple(kinds) == (bool,) else flag


def dashed(name: str) -> str:
    """A setting's name as it is typed."""
    return f"--{name.replace('_', '-')}"


def option_type(
    kinds: Sequence[type], choices: Sequence[str], registered: str | None = None
) -> Any:
    """Click's type of a setting; `None` for a switch.

    Args:
        kinds: The plain types that it accepts.
        choices: The values that it accepts, where they are listed.
        registered: Kind of unit that it names.
    """
    choices = choices if registered is None else registry.choices(registered)
    if choices:
        return click.Choice(list(choices))
    if tuple(kinds) == (bool,):
        return None
    return number_or_fraction if {float, str} <= set(kinds) else kinds[0]


def with_default(argument: Argument) -> str:
    """An argument's text with its default."""
    value = argument.default
    if isinstance(value, bool):
        value = "on" if value else "off"
    known = isinstance(value, int | float | str)
    return f"{argument.help}  [default: {value}]" if known else argument.help
