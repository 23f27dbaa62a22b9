"""From outcomes to lines, against what they must say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lsp_keras.evaluation.share import Share
from lsp_keras.runs import FitConfig
from lsp_keras.runs.settings.protocol import find_protocol
from lsp_keras.tables.intervals import BRACKETS, Verdicts
from lsp_keras.tables.measure import Measured
from lsp_keras.tables.notes import explain, header
from lsp_keras.tables.outcomes import Outcome
from lsp_keras.tables.rows import Plan, Row
from lsp_keras.tables.tabulate import tabulate

CONFIG = FitConfig.of(lsp=False, width=8)
PGD = next(column for column in find_protocol("lsp_standard") if column.name == "pgd")


def outcome(clean: int, robust: int, flags: tuple[str, ...] = ()) -> Measured:
    """Of 100 images, the first ones."""
    each = [np.arange(100) < count for count in (clean, robust)]
    found = Outcome(
        Verdicts(Share(clean, 100), each[0]),
        Verdicts(Share(robust, 100), each[1]),
        flags,
        1.0,
        {},
        Path("record.json"),
    )
    return Measured(Path("run"), {"pgd": found}, 90.0)


def plan(**changed: Any) -> Plan:
    rows = [
        Row("plain", CONFIG),
        Row("lsp", CONFIG, controls=("random",), published={"clean": 94.0, "pgd": 28.0}),
        Row("random", CONFIG),
    ]
    return Plan(**{"title": "T", "rows": rows, "columns": [PGD], "seeds": 2, **changed})


RESULTS = {
    "plain": {0: outcome(80, 20), 1: outcome(82, 22)},
    "lsp": {0: outcome(80, 40), 1: outcome(82, 42)},
    "random": {0: outcome(80, 30, ("unmoved_images",)), 1: Measured(failure="It broke.")},
}


def lines(**changed: Any) -> dict[str, dict[str, str]]:
    table = tabulate(plan(**changed), RESULTS)
    return {line.name: {k: str(v) for k, v in line.values.items()} for line in table.lines}


def test_rows_show_means_signs_and_time() -> None:
    found = lines()
    assert found["plain"]["seeds"] == "2"
    assert found["plain"]["clean"].startswith("81.0 [")
    assert found["plain"]["pgd"].endswith("sd 1.4")
    assert found["plain"]["training"] == "90 s"
    assert found["random"]["signs"] == "unmoved_images"
    assert found["random"]["seeds"] == "1"


def test_a_network_that_guesses_is_not_called_free_of_signs() -> None:
    measured = outcome(9, 9)
    guessing = {"pgd": replace(measured.outcomes["pgd"], is_judgeable=False)}
    table = tabulate(plan(), {**RESULTS, "plain": {0: replace(measured, outcomes=guessing)}})
    assert str(table.lines[0].values["signs"]) == "no better than guessing"


def test_rows_are_compared_with_baseline_and_controls_by_seed() -> None:
    found = lines(baseline="plain")
    # +20 in both seeds, on nested images.
    assert found["lsp less plain"]["pgd"].startswith("+20.0 [+1")
    assert found["lsp less plain"]["pgd"].endswith("sd 0.0")
    # One seed in common is too few to call it a gain.
    assert found["lsp less random"]["pgd"].startswith("+10.0")
    assert found["lsp"]["gain"] == "not known"
    assert "plain less plain" not in found


def test_a_smaller_scale_is_never_the_papers_setting() -> None:
    small = lines(scale="tiny")
    assert small["lsp, published at full scale"] == {"clean": "94.00", "pgd": "28.00"}
    assert small["lsp, scale tiny less published"] == {"clean": "-13.0", "pgd": "+13.0"}
    full = lines(scale="paper")
    assert full["lsp, ours less published"]["clean"] == "-13.0"
    assert "lsp, published" in full


def test_rows_in_doubt_lie_below_those_that_are_not() -> None:
    table = tabulate(plan(order_by="pgd"), RESULTS)
    names = [line.name for line in table.lines if not line.is_detail]
    assert names == ["lsp", "plain", "random"]
    unmeasured = {**RESULTS, "lsp": {}}
    table = tabulate(plan(order_by="pgd"), unmeasured)
    names = [line.name for line in table.lines if not line.is_detail]
    assert names == ["plain", "random", "lsp"]


def test_notes_say_what_brackets_are_and_what_is_missing() -> None:
    notes = tabulate(plan(seeds=3), RESULTS).notes
    assert notes[0] == BRACKETS
    assert "pgd is pgd" in " ".join(notes)
    assert "random, seed 1, failed: It broke." in notes
    assert "plain, seed 2: not trained." in notes


def test_headers_name_the_attack_behind_a_column() -> None:
    headers = {column.name: header(column) for column in find_protocol("lsp_standard")}
    assert headers["cw"] == "cw = cw_l2_fixed_c"
    assert headers["pgd"] == "pgd 2/255"
    assert headers["pgd_l2"] == "pgd_l2 = pgd L2 128/255"
    assert headers["aa_torchattacks"] == "aa_torchattacks = autoattack_torchattacks 2/255"
    other = {column.name: header(column) for column in find_protocol("lsp_adversarial")}
    assert other["cw"] == "cw = cw_linf 8/255"


def test_notes_name_meaning_and_version_of_an_attack() -> None:
    notes = {column.name: explain(column) for column in find_protocol("lsp_standard")}
    assert notes["aa"].endswith("; L-inf 2/255; version standard.")
    assert "torchattacks" in notes["aa_torchattacks"]
    assert "fixed constant" in notes["cw"]
    assert "; no bound; constant 0.01" in notes["cw"]
