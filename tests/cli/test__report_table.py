"""An evaluation on the terminal."""

from types import SimpleNamespace

from lsp_keras.cli._report_table import print_report
from lsp_keras.evaluation.share import Share


def test_what_looks_like_a_style_is_printed_as_it_is(capsys) -> None:
    share = Share(1, 4)
    attack = SimpleNamespace(name="[red]mine", accuracy=share, seconds=1.0)
    said = "Not looked for: steps (cannot read [/tmp/x] or [bold]y)."
    report = SimpleNamespace(
        statement=said, flags=["a"], clean=share, attacks=[attack], worst_case=share
    )
    print_report(report)
    printed = capsys.readouterr().out
    assert said in " ".join(printed.split())
    assert "[red]mine" in printed
