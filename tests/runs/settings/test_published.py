"""The published settings, and what was published of them."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lsp_keras import registry
from lsp_keras.runs import expected_accuracies, find_recipe, recipe_summary
from lsp_keras.runs.settings.config import FitConfig, config_from
from lsp_keras.validation import InputError

RECIPES = registry.names("recipe")
FOLDER = Path(registry.__file__).parent / "recipes"
TABLE_1 = product(
    ("cifar10", "stl10", "svhn", "tiny_imagenet"),
    ("standard", "mixup", "cutmix", "augmix", "lsp"),
)
TABLE_2 = product(("cifar10", "svhn", "tiny_imagenet"), ("at", "trades", "mart", "hat", "lsp_plus"))
ROWS = [f"{dataset}_{method}" for dataset, method in (*TABLE_1, *TABLE_2)]
# Tables 3 to 6, by what each recipe changes of `cifar10_lsp`.
ABLATIONS: dict[str, dict[str, Any]] = {
    "global": {"space": "global"},
    **{name: {"divergence": name} for name in ("kl", "cosine", "l1")},
    **{f"neighbors_{m}": {"num_neighbors": m} for m in (2, 4, 16, 32)},
    **{f"weight_{w}".replace(".", "_"): {"weight": float(w)} for w in ("0.1", "0.5", 2, 5, 10)},
}
EXPECTED = {(item.source.rpartition(" ")[2], item.recipe): item for item in expected_accuracies()}
MAIN = {recipe: item for (table, recipe), item in EXPECTED.items() if table in "12"}
# What a recipe's own name says.
FREE = ("#", "extends", "dataset", "method", "lsp")


def load(name: str) -> FitConfig:
    return config_from(find_recipe(name), source=name)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid_and_says_what_it_is(name: str) -> None:
    load(name)
    assert 20 < len(recipe_summary(name)) < 80


def test_every_published_row_has_one_recipe_and_one_expectation() -> None:
    assert sorted(MAIN) == sorted(ROWS)
    ablations = [f"cifar10_lsp_{name}" for name in ABLATIONS]
    assert {*ROWS, *ablations} <= set(RECIPES)
    # Rows of Tables 3 to 7, several of which are a row of Table 1.
    counts = [len([recipe for table, recipe in EXPECTED if table == name]) for name in "1234567"]
    assert counts == [20, 15, 3, 4, 5, 6, 5]
    assert {recipe for _, recipe in EXPECTED} == {*ROWS, *ablations}


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_its_name_says(name: str) -> None:
    config, base = load(f"cifar10_lsp_{name}"), load("cifar10_lsp")
    (setting, value) = next(iter(ABLATIONS[name].items()))
    own = setting in ("space", "num_neighbors")
    assert (getattr(config, setting) if own else config.regularizers["lsp"][setting]) == value
    option = setting if setting != "weight" else "lsp_weight"
    changed = base.changed(**{option: value})
    assert config == changed
    assert config != base


def test_table_2_is_trained_as_hat_is() -> None:
    for name in ("cifar10_at", "svhn_hat", "tiny_imagenet_lsp_plus"):
        config = load(name)
        assert config.cycle_momentum
        assert config.model["normalize"] is False
        assert config.model["initialization"] == "pytorch"
    plain = load("cifar10_lsp")
    assert not plain.cycle_momentum
    assert plain.model.with_defaults()["normalize"] is True


def test_every_recipe_of_the_paper_states_its_evaluation() -> None:
    for (table, recipe), row in EXPECTED.items():
        stated = "lsp_adversarial" if table == "2" else "lsp_standard"
        assert load(recipe).evaluation == stated, recipe
        assert row.epsilon == ("8/255" if table == "2" else "2/255")


@pytest.mark.parametrize("name", ROWS)
def test_a_recipe_is_the_row_it_is_named_for(name: str) -> None:
    config = load(name)
    method = name.removeprefix(f"{config.dataset.name}_")
    assert ("lsp" in config.regularizers) == (method in ("lsp", "lsp_plus"))
    assert config.method.name == {"lsp": "standard", "lsp_plus": "at"}.get(method, method)
    preact = config.dataset.name == "tiny_imagenet"
    assert config.model.name == ("preact_resnet18" if preact else "resnet18")
    table = 2 if method in ("at", "trades", "mart", "hat", "lsp_plus") else 1
    assert MAIN[name].source.endswith(f"Table {table}")
    # The paper selects and attacks at the same radius.
    assert config.validation_epsilon == MAIN[name].epsilon
    assert (config.epochs, config.schedule) == {1: (100, "step"), 2: (50, "one_cycle")}[table]


@pytest.mark.parametrize("name", [name for name in RECIPES if "_robust" in name])
def test_robust_recipes_train_cheaply_on_all_images_and_average(name: str) -> None:
    config = load(name)
    assert (config.validation_epsilon or config.attack["epsilon"]) == "8/255"
    assert config.num_train is None
    assert not config.regularizers
    assert config.ema_decay is not None
    assert config.label_smoothing > 0
    passes = 1 if config.method.name == "fast_at" else config.attack["num_steps"]
    assert passes <= 3
    # The one of a single step is for a GPU.
    assert (config.method.name == "fast_at") == config.xla


def test_rows_of_a_table_differ_in_what_the_paper_says() -> None:
    betas = [load(f"cifar10_{name}").method["beta"] for name in ("trades", "mart", "hat")]
    assert betas == [6, 5, 2.5]
    assert load("svhn_hat").method["gamma"] == 0.5
    assert load("stl10_lsp").num_neighbors == 8
    assert load("svhn_trades").attack["step_size"] == "1/255"
    assert load("svhn_lsp_plus").attack == load("svhn_at").attack


def test_expected_accuracies_are_the_papers() -> None:
    # One row of each table, read in the paper.
    assert list(MAIN["svhn_lsp"].accuracy_percent.values()) == [
        96.78,
        77.19,
        78.86,
        52.92,
        45.74,
    ]
    assert MAIN["tiny_imagenet_lsp_plus"].accuracy_percent == {
        "clean": 52.57,
        "fgsm": 25.53,
        "cw": 21.98,
        "pgd": 23.58,
        "aa": 17.63,
    }

    assert EXPECTED["3", "cifar10_lsp_global"].accuracy_percent == {
        "clean": 93.56,
        "cw": 44.17,
        "pgd": 21.26,
    }
    assert EXPECTED["4", "cifar10_lsp"].accuracy_percent["pgd"] == 15.87
    assert EXPECTED["5", "cifar10_lsp_neighbors_32"].accuracy_percent["cw"] == 64.45
    assert EXPECTED["6", "cifar10_lsp_weight_0_1"].accuracy_percent["pgd"] == 8.98
    assert EXPECTED["7", "cifar10_cutmix"].accuracy_percent == {"pgd": 13.14, "pgd_l2": 22.38}


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
