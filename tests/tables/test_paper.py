"""The paper's tables as plans."""

from typing import Any

import pytest

from lsp_keras import registry
from lsp_keras.cli._config_options import config_from_options
from lsp_keras.cli.fit import command
from lsp_keras.tables.commands import fit_command
from lsp_keras.tables.found_runs import key_of
from lsp_keras.tables.paper import Request, paper_plan
from lsp_keras.tables.rows import Plan
from lsp_keras.tables.scales import SCALES, Sizes
from lsp_keras.validation import InputError

SIZES = Sizes(50_000, 10_000)


def plan(number: int, dataset: str = "cifar10", scale: str = "tiny", **more: Any) -> Plan:
    return paper_plan(Request(number, dataset, SCALES[scale], SIZES, **more))


@pytest.mark.parametrize(
    ("number", "dataset", "rows", "columns"),
    [
        (1, "cifar10", 5, ["fgsm", "cw", "pgd", "aa"]),
        (2, "svhn", 5, ["fgsm", "cw", "pgd", "aa"]),
        (3, "cifar10", 3, ["cw", "pgd"]),
        (4, "cifar10", 4, ["cw", "pgd"]),
        (5, "cifar10", 5, ["cw", "pgd"]),
        (6, "cifar10", 6, ["cw", "pgd"]),
        (7, "cifar10", 5, ["pgd", "pgd_l2"]),
        (1, "digits", 5, ["fgsm", "cw", "pgd", "aa"]),
    ],
)
def test_each_table_has_the_papers_rows_and_columns(
    number: int, dataset: str, rows: int, columns: list[str]
) -> None:
    found = plan(number, dataset, "paper")
    assert len(found.rows) == rows
    assert [column.name for column in found.columns] == columns
    assert all(bool(row.published) == (dataset != "digits") for row in found.rows)


def test_published_numbers_stand_beside_their_own_row_and_table() -> None:
    one = {row.name: row.published for row in plan(1, scale="paper").rows}
    assert one["lsp"] == {"clean": 94.22, "fgsm": 61.16, "cw": 62.53, "pgd": 28.0, "aa": 15.11}
    # The same recipe has other figures in Table 4.
    four = {row.name: row.published for row in plan(4).rows}
    assert four["lsp"] == {"clean": 93.65, "cw": 58.14, "pgd": 15.87}


def test_the_title_says_what_a_smaller_scale_is() -> None:
    tiny = plan(2, rows=["at"])
    assert tiny.title.endswith(
        "at scale tiny: 256 training images, 2 epochs, resnet18 of width 4, attacks of 2 steps, "
        "64 test images: not the published setting"
    )
    assert "smaller than the published setting" in tiny.notes[0]
    full = plan(2, scale="paper")
    assert full.title.endswith("at scale paper: the published setting, all test images")
    assert not any("smaller" in note for note in full.notes)


def test_both_versions_of_autoattack_are_there_on_request() -> None:
    assert "aa" not in [column.name for column in plan(1).columns]
    both = plan(1, autoattack="both", scale="small")
    names = [column.name for column in both.columns]
    assert names[-2:] == ["aa", "aa_torchattacks"]
    assert both.rows[0].published["aa_torchattacks"] == both.rows[0].published["aa"] == 2.44


def test_a_small_dataset_is_taken_whole() -> None:
    found = paper_plan(Request(1, "svhn", SCALES["small"], Sizes(729, 274)))
    assert found.num_examples == 274
    assert {row.config.num_train for row in found.rows} == {None}


def test_unknown_rows_and_tables_are_named() -> None:
    with pytest.raises(InputError, match="Did you mean 'standard'"):
        plan(1, rows=["standart"])
    with pytest.raises(InputError, match="one of '1', '2'"):
        plan(8)


@pytest.mark.parametrize(("dataset", "scale"), [("svhn", "small"), ("cifar10", "paper")])
def test_commands_lead_to_the_same_runs(dataset: str, scale: str) -> None:
    rows = [row for number in (2, 6) for row in plan(number, dataset, scale).rows]
    assert {row.recipe for row in rows} <= set(registry.names("recipe"))
    for row in rows:
        words = fit_command(row.config, row.recipe).split()[2:]
        with command.make_context("fit", words) as context:
            options = dict(context.params)
            recipe = options.pop("recipe", None)
            for name in ("name", "runs_dir", "resume", "cache_dir", "as_json", "quiet"):
                options.pop(name, None)
            again = config_from_options(context, recipe, options)
        assert key_of(again) == key_of(row.config), words
