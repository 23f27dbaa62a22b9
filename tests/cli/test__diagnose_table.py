from types import SimpleNamespace

from lsp_keras.cli._diagnose_table import statement
from lsp_keras.runs.subject import Findings


def test_the_verdict_is_the_first_sentence_and_then_comes_what_to_do() -> None:
    diagnosis = SimpleNamespace(lines=["It is not to be trusted: ragged.", "- ragged: Mend it."])
    assert statement(Findings("run", diagnosis, None), named=True).splitlines() == [
        "run: It is not to be trusted: ragged.",
        "- ragged: Mend it.",
    ]


def test_without_a_search_for_signs_that_is_said() -> None:
    said = statement(Findings("run", None, None), named=False)
    assert said == "Signs of gradient masking were not looked for."
