"""`lsp-keras list`."""

import json

import pytest
from click.testing import CliRunner

from cli.list import command
from lsp_keras import registry


@pytest.mark.parametrize(
    ("plural", "kind"),
    [(f"{kind}s", kind) for kind in ("attack", "dataset", "method", "model", "regularizer")],
)
def test_every_choice_is_listed_with_a_summary(plural: str, kind: str) -> None:
    rows = json.loads(CliRunner().invoke(command, [plural, "--json"]).stdout)
    assert list(rows) == registry.names(kind)
    assert all(rows.values())


def test_recipes_say_what_they_reproduce() -> None:
    output = CliRunner().invoke(command, ["recipes"]).stdout
    assert "cifar10_lsp_plus  LSP+ on CIFAR-10 as in the LSP paper's Table 2" in output


def test_the_users_own_data_are_mentioned() -> None:
    output = CliRunner().invoke(command, ["datasets"]).stdout
    assert "folder:PATH" in output
    assert "tfds:NAME" in output
