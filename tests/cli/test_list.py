"""`lsp-keras list`."""

import json

import pytest
from click.testing import CliRunner

from lsp_keras import registry
from lsp_keras.cli.list import command


@pytest.mark.parametrize(
    ("plural", "kind"),
    [(f"{kind}s", kind) for kind in ("attack", "dataset", "method", "model", "regularizer")],
)
def test_every_choice_is_listed_with_a_summary(plural: str, kind: str) -> None:
    rows = json.loads(CliRunner().invoke(command, [plural, "--json"]).stdout)
    assert list(rows) == registry.names(kind)
    assert all(rows.values())


def test_recipes_show_what_was_published_of_them() -> None:
    lines = CliRunner().invoke(command, ["recipes"]).stdout.splitlines()
    assert lines[0] == "Local Structure Preserving, Table 1: percent as published, attacks at 2/255"
    row = next(line for line in lines if line.startswith("cifar10_mixup"))
    assert row.split() == ["cifar10_mixup", "94.96", "59.40", "47.78", "12.23", "0.17"]
    assert {line.partition(" ")[0] for line in lines} >= set(registry.names("recipe"))
    assert any("autoattack-torchattacks" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_recipes_as_json() -> None:
    records = json.loads(CliRunner().invoke(command, ["recipes", "--json"]).stdout)
    assert list(records) == registry.names("recipe")
    (expected,) = records["svhn_lsp_plus"]["expected"]
    assert (expected["epsilon"], expected["accuracy_percent"]["pgd"]) == ("8/255", 62.33)
    assert "10 iterations" in expected["notes"]["aa"]
    assert "pgd_l2" not in expected["notes"]
    assert records["digits_demo"]["expected"] == []
    tables = [item["source"][-1] for item in records["cifar10_lsp"]["expected"]]
    assert tables == ["1", "3", "4", "5", "6", "7"]


def test_the_users_own_data_are_mentioned() -> None:
    output = CliRunner().invoke(command, ["datasets"]).stdout
    assert "folder:PATH" in output
    assert "tfds:NAME" in output
