"""A command whose help groups its options by what they belong to, the chosen units first."""

from collections.abc import Mapping
from typing import Any

import click

from lsp_keras.validation import InputError, parse_fraction

_ARGUMENTS = "lsp_keras.arguments"


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
        help_by_unit: Its help by the units that have it; empty for the choice itself.
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


class SectionedCommand(click.Command):
    """Shows its `SettingOption`s under their titles, those of chosen units before all others.

    Subclasses say what is chosen and in which order titles stand.
    """

    titles: tuple[str, ...] = ()
    others: str = "Others"

    def chosen(self, arguments: list[str]) -> Mapping[str, str]:
        """The unit of each section, by the command line before `--help`."""
        return {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's; keeps what was typed for the help."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes one block for each title, then the options without one."""
        chosen = self.chosen(ctx.meta.get(_ARGUMENTS, []))
        blocks: dict[str, list[tuple[str, str]]] = {title: [] for title in self.titles}
        plain: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            if not isinstance(parameter, SettingOption):
                record = parameter.get_help_record(ctx)
                plain += [record] if record is not None else []
                continue
            unit = chosen.get(parameter.section or "", None)
            here = not parameter.help_by_unit or unit in parameter.help_by_unit
            record = parameter.described(ctx, unit if here else None)
            title = self.titled(parameter, chosen) if here else self.others
            blocks.setdefault(title, []).extend([record] if record is not None else [])
        for title, records in {**blocks, "Files and output": plain}.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def titled(self, option: SettingOption, chosen: Mapping[str, str]) -> str:
        """Heading of an option of a chosen unit."""
        return option.title
