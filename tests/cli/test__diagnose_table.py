from types import SimpleNamespace

from lsp_keras.cli._diagnose_table import print_findings, statement
from lsp_keras.runs.subjects.subject import Findings
from lsp_keras.types import Flag, ThreatModel


def test_the_verdict_is_the_first_sentence_and_then_comes_what_to_do() -> None:
    diagnosis = SimpleNamespace(lines=["It is not to be trusted: ragged.", "- ragged: Mend it."])
    assert statement(Findings("run", diagnosis, None), named=True).splitlines() == [
        "run: It is not to be trusted: ragged.",
        "- ragged: Mend it.",
    ]


def test_without_a_search_for_signs_that_is_said() -> None:
    said = statement(Findings("run", None, None), named=False)
    assert said == "Signs of gradient masking were not looked for."


def test_failed_checks_come_first_and_other_numbers_are_folded(capsys) -> None:
    checks = [
        Flag("fine", 0.01, 0.02, "a measure", "It is fine.", ""),
        Flag("bad", 0.5, 0.02, "a measure", "It is bad.", ""),
    ]
    diagnosis = SimpleNamespace(
        lines=["Not to be trusted: bad."],
        checks=checks,
        threat=ThreatModel.parse("8/255", "linf"),
        single_accuracies={"clean": 0.5},
        sweeps={"radius": {8 / 255: 0.25}},
    )
    findings = [Findings("[red]run", diagnosis, None)]
    print_findings(findings)
    short = capsys.readouterr().out
    # A name that looks like a style is printed as it is.
    assert "[red]run" in short
    assert short.index("FAIL  0.5 (0.02)") < short.index("pass  0.01 (0.02)")
    assert "PGD, radius" not in short
    assert "With --details, and in the record: accuracy." in short
    print_findings(findings, details=True)
    assert "PGD, radius: 8/255  25.0 %" in " ".join(capsys.readouterr().out.split("  "))
