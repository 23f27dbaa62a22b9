"""Plans in files."""

from pathlib import Path

import pytest

from lsp_keras.tables.found_runs import key_of
from lsp_keras.tables.plans import Changes, plan_from, plan_names, read_plan
from lsp_keras.tables.rows import seeds_of
from lsp_keras.tables.scales import SCALES, Sizes
from lsp_keras.validation import InputError

SIZES = Sizes(50_000, 10_000)
FILE = """
title = "Mine"
dataset = "digits"
num_examples = 100
order_by = "aa"
baseline = "plain"
seeds = 2

[settings]
epochs = 3
lsp = false

[columns.pgd]
attack = "pgd"
epsilon = "8/255"

[columns.aa]
attack = "autoattack"
epsilon = "8/255"

[[rows]]
name = "plain"

[[rows]]
name = "at"
seeds = 1
weights = "ema"
settings = { method = "at", ema_decay = 0.99 }
"""


def mine(tmp_path: Path, text: str = FILE) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_rows_share_settings_and_change_their_own(tmp_path: Path) -> None:
    plan = plan_from(read_plan(mine(tmp_path)), Changes(SIZES))
    plain, at = plan.rows
    assert (plain.config.epochs, plain.config.method.name, plain.weights) == (3, "standard", "best")
    assert (at.config.epochs, at.config.ema_decay, at.weights) == (3, 0.99, "ema")
    assert [seeds_of(row, plan.seeds) for row in plan.rows] == [[0, 1], [0]]
    # All of the first seed comes before the second.
    assert [(row.name, seed) for row, seed in plan.tasks()] == [
        ("plain", 0),
        ("at", 0),
        ("plain", 1),
    ]
    assert (plan.order_by, plan.baseline, plan.num_examples) == ("aa", "plain", 100)
    assert plan.title == "Mine: 100 test images"


def test_a_command_changes_dataset_rows_seeds_and_scale(tmp_path: Path) -> None:
    changes = Changes(Sizes(1000, 50), "svhn", SCALES["tiny"], ["at"], 4)
    plan = plan_from(read_plan(mine(tmp_path)), changes)
    (row,) = plan.rows
    assert (row.config.dataset.name, row.config.epochs, row.config.model["width"]) == ("svhn", 2, 4)
    assert (plan.seeds, plan.num_examples, plan.baseline) == (4, 50, None)
    # AutoAttack is left out at this scale, and what sorted by it sorts by the last column.
    assert [column.name for column in plan.columns] == ["pgd"]
    assert plan.order_by == "pgd"
    assert "Mine, on svhn at scale tiny" in plan.title
    assert "not the published setting" in plan.title


@pytest.mark.parametrize("name", plan_names())
def test_plans_of_the_package_name_runs_that_differ(name: str) -> None:
    plan = plan_from(read_plan(name), Changes(SIZES))
    assert len({key_of(row.config) + row.weights for row in plan.rows}) == len(plan.rows)
    names = [row.name for row in plan.rows]
    assert {control for row in plan.rows for control in row.controls} <= set(names)
    assert plan.baseline is None or plan.baseline in names
    for column in plan.columns:
        column.build()


def test_the_board_is_what_was_promised() -> None:
    plan = plan_from(read_plan("board"), Changes(SIZES))
    assert len({row.config.method.name for row in plan.rows}) >= 6
    assert plan.order_by == "aa"
    assert {row.config.epochs for row in plan.rows if "width 16" not in row.name} <= {15, 30}
    flagship = next(row for row in plan.rows if "width 16" in row.name)
    assert (flagship.num_examples, flagship.config.model["width"]) == (1000, 16)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('baseline = "plain"', 'basline = "plain"', "Unknown key 'basline'.*'baseline'"),
        ('name = "plain"', 'name = "plain"\nwieghts = "last"', "Unknown key 'wieghts' in a row"),
        ('dataset = "digits"', "", "must have `dataset`"),
        ('attack = "pgd"\n', "", "column 'pgd' must have `attack`"),
        ("epochs = 3", "epoch = 3", "Unknown setting 'epoch'"),
        ('name = "plain"', "", "a row of .* must have `name`"),
        ("seeds = 2", 'seeds = "two"', "`seeds` in .* must be an integer. Received: 'two'"),
        ("seeds = 2", "seeds = true", "`seeds` in .* must be an integer. Received: True"),
        ('title = "Mine"', "title = 5", "`title` in .* must be text. Received: 5"),
        ("[settings]\nepochs = 3\nlsp = false", "settings = 3", "`settings` in .* a table"),
        ('name = "plain"', 'name = "plain"\ncontrols = "at"', "`controls` in a row .* a list"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    name = mine(tmp_path, FILE.replace(old, new))
    with pytest.raises(InputError, match=message):
        plan_from(read_plan(name), Changes(SIZES))


@pytest.mark.parametrize("rows", ["5", "[]", "[5]", "['plain']", "{}"])
def test_rows_are_tables(tmp_path: Path, rows: str) -> None:
    top = 'title = "a"\ndataset = "digits"\n'
    with pytest.raises(InputError, match=r"rows|a row of"):
        read_plan(mine(tmp_path, f"{top}rows = {rows}\n[columns.pgd]\nattack = 'pgd'"))


@pytest.mark.parametrize("columns", ["5", "{}", "{ a = 5 }", "{ a = ['pgd'] }"])
def test_columns_are_tables(tmp_path: Path, columns: str) -> None:
    text = f"title = 'a'\ndataset = 'digits'\ncolumns = {columns}\nrows = [{{ name = 'a' }}]"
    with pytest.raises(InputError, match="column"):
        read_plan(mine(tmp_path, text))


def test_an_unknown_plan_names_those_there_are() -> None:
    with pytest.raises(InputError, match="one of 'board', "):
        read_plan("bord")


def test_rows_that_are_compared_are_of_the_same_images(tmp_path: Path) -> None:
    text = FILE.replace('method = "at",', 'data_seed = 1, method = "at",')
    with pytest.raises(InputError, match="plain and at cannot be compared image by image"):
        plan_from(read_plan(mine(tmp_path, text)), Changes(SIZES))
    alone = text.replace('baseline = "plain"\n', "")
    assert len(plan_from(read_plan(mine(tmp_path, alone)), Changes(SIZES)).rows) == 2
