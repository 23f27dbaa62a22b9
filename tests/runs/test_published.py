"""The published settings, and what was published of them."""

import re
from itertools import product
from pathlib import Path

import pytest

from lsp_keras import registry
from lsp_keras.runs import expected_accuracies, find_recipe, recipe_summary
from lsp_keras.runs.config import FitConfig, config_from
from lsp_keras.validation import InputError

RECIPES = registry.names("recipe")
FOLDER = Path(registry.__file__).parent / "recipes"
TABLE_1 = product(
    ("cifar10", "stl10", "svhn", "tiny_imagenet"),
    ("standard", "mixup", "cutmix", "augmix", "lsp"),
)
TABLE_2 = product(("cifar10", "svhn", "tiny_imagenet"), ("at", "trades", "mart", "hat", "lsp_plus"))
ROWS = [f"{dataset}_{method}" for dataset, method in (*TABLE_1, *TABLE_2)]
OWN = ("cifar10_robust", "cifar10_robust_cpu", "digits_demo", "svhn_robust")
EXPECTED = expected_accuracies()
# What a recipe's own name says.
FREE = ("#", "extends", "dataset", "method", "lsp")


def load(name: str) -> FitConfig:
    return config_from(find_recipe(name), source=name)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid_and_says_what_it_is(name: str) -> None:
    load(name)
    assert 20 < len(recipe_summary(name)) < 80


def test_every_published_row_has_one_recipe_and_one_expectation() -> None:
    assert sorted(EXPECTED) == sorted(ROWS)
    assert set(RECIPES) == {*ROWS, *OWN}


@pytest.mark.parametrize("name", ROWS)
def test_a_recipe_is_the_row_it_is_named_for(name: str) -> None:
    config = load(name)
    method = name.removeprefix(f"{config.dataset.name}_")
    assert ("lsp" in config.regularizers) == (method in ("lsp", "lsp_plus"))
    assert config.method.name == {"lsp": "standard", "lsp_plus": "at"}.get(method, method)
    preact = config.dataset.name == "tiny_imagenet"
    assert config.model.name == ("preact_resnet18" if preact else "resnet18")
    table = 2 if method in ("at", "trades", "mart", "hat", "lsp_plus") else 1
    assert EXPECTED[name].source.endswith(f"Table {table}")
    # The paper selects and attacks at the same radius.
    assert config.validation_epsilon == EXPECTED[name].epsilon
    assert (config.epochs, config.schedule) == {1: (100, "step"), 2: (50, "one_cycle")}[table]


@pytest.mark.parametrize("name", [name for name in OWN if name.endswith(("robust", "cpu"))])
def test_robust_recipes_train_cheaply_on_all_images_and_average(name: str) -> None:
    config = load(name)
    assert (config.attack["epsilon"], config.num_train) == ("8/255", None)
    assert not config.regularizers
    assert config.ema_decay is not None
    assert config.label_smoothing > 0
    passes = 1 if config.method.name == "fast_at" else config.attack["num_steps"]
    assert passes <= 3
    # A sixteenth of the filters' products, or a GPU.
    assert (config.model["width"] == 64) == config.xla


def test_rows_of_a_table_differ_in_what_the_paper_says() -> None:
    betas = [load(f"cifar10_{name}").method["beta"] for name in ("trades", "mart", "hat")]
    assert betas == [6, 5, 2.5]
    assert load("svhn_hat").method["gamma"] == 0.5
    assert load("stl10_lsp").num_neighbors == 8
    assert load("svhn_trades").attack["step_size"] == "1/255"
    assert load("svhn_lsp_plus").attack == load("svhn_at").attack


def test_expected_accuracies_are_the_papers() -> None:
    # One row of each table, read in the paper.
    assert list(EXPECTED["svhn_lsp"].accuracy_percent.values()) == [
        96.78,
        77.19,
        78.86,
        52.92,
        45.74,
    ]
    assert EXPECTED["tiny_imagenet_lsp_plus"].accuracy_percent == {
        "clean": 52.57,
        "fgsm": 25.53,
        "cw": 21.98,
        "pgd": 23.58,
        "aa": 17.63,
    }


@pytest.mark.parametrize("name", ROWS)
def test_expected_accuracies_stand_in_one_place(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text()
    assert not re.search(r"\b\d\d\.\d\d?\b", text)


def test_every_value_has_its_source() -> None:
    for name in ROWS:
        for line in (FOLDER / f"{name}.toml").read_text().splitlines():
            setting, section = line.partition(" ")[0], line.startswith("[")
            named = line.startswith("name = ")
            if line and not (section or named) and setting not in FREE:
                assert re.search(r"# (Section \d|HAT's setting|our choice)", line), line


def test_a_users_file_extends_a_recipe_or_another_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "svhn_trades"\n[model]\nwidth = 16\n')
    (tmp_path / "longer.toml").write_text('extends = "mine.toml"\nepochs = 70\n')
    mine = config_from(find_recipe(tmp_path / "longer.toml"), source="mine")
    assert mine == load("svhn_trades").changed(width=16, epochs=70)


def test_a_file_from_before_sections_is_read_and_noted(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(
        'extends = "cifar10_at"\nadv = true\nwidth = 8\nlfr = true\nlfr_warmup = 2\n'
    )
    noted = {}
    values = find_recipe(tmp_path / "old.toml", note=lambda path, old: noted.update({path: old}))
    expected = load("cifar10_at").changed(width=8, regularizers={"lfr": {"warmup_epochs": 2}})
    assert config_from(values, source="old") == expected
    assert noted == {
        tmp_path / "old.toml": {
            "adv": ("method", "name"),
            "width": ("model", "width"),
            "lfr": ("regularizers", "lfr"),
            "lfr_warmup": ("regularizers", "lfr", "warmup_epochs"),
        }
    }
    for name in RECIPES:
        find_recipe(name, note=lambda path, old: pytest.fail(f"{path}: {old}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "me.toml"', "extends itself"),
        ("extends = 3", "must be a recipe's name or a file. Received: 3"),
        ('extends = "cifar10_lps"', "Did you mean 'cifar10_lsp'"),
        ('extends = "absent.toml"', "There is no file"),
    ],
)
def test_a_wrong_base_is_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "me.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        find_recipe(tmp_path / "me.toml")


def test_files_that_are_not_recipes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        find_recipe(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("width = = 3")
    with pytest.raises(InputError, match=r"bad\.toml is not a TOML file"):
        find_recipe(tmp_path / "bad.toml")
    with pytest.raises(
        InputError, match=r"Unknown recipe: 'cifar10_lps'\. Did you mean 'cifar10_lsp'"
    ):
        find_recipe("cifar10_lps")
