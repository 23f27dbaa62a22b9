from types import SimpleNamespace

from lsp_keras.cli._diagnose_table import statement
from lsp_keras.runs.subject import Findings


def flag(name: str) -> SimpleNamespace:
    class Named(SimpleNamespace):
        def __str__(self) -> str:
            return f"What {name} means. What to do."

    return Named(name=name)


def test_the_verdict_is_the_first_sentence_and_then_comes_what_to_do() -> None:
    diagnosis = SimpleNamespace(
        verdict="It is not to be trusted: ragged.",
        flags=[flag("ragged")],
        remarks=[flag("few")],
        skipped={"transfer": "no model was given"},
    )
    assert statement(Findings("run", diagnosis, None), named=True).splitlines() == [
        "run: It is not to be trusted: ragged.",
        "- ragged: What ragged means. What to do.",
        "Remark, few: What few means. What to do.",
        "Not checked, transfer: no model was given.",
    ]


def test_without_a_search_for_signs_that_is_said() -> None:
    said = statement(Findings("run", None, None), named=False)
    assert said == "Signs of gradient masking were not looked for."
