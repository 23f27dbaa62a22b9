"""A command whose help groups its options by what they belong to, the chosen units first."""

from collections.abc import Mapping

import click

from lsp_keras.cli._setting_options import SettingOption

_ARGUMENTS = "lsp_keras.arguments"


def typed_words(ctx: click.Context) -> list[str]:
    """What was typed after the name of a `SectionedCommand`."""
    return list(ctx.meta[_ARGUMENTS])


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
