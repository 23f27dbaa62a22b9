"""The record of a run's settings."""

from pathlib import Path

import pytest

from lsp_keras import registry
from lsp_keras.recipes._config import (
    FitConfig,
    config_from,
    find_recipe,
    read_config,
    recipe_summary,
    settings,
    write_config,
)
from lsp_keras.validation import InputError


def test_what_is_written_is_a_recipe(tmp_path: Path) -> None:
    config = FitConfig(dataset="svhn", adv=True, num_train=100, learning_rate=0.2, lsp=False)
    write_config(tmp_path / "config.toml", config)
    assert config_from(find_recipe(str(tmp_path / "config.toml")), source="test") == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 0}, "`width` must be greater than zero"),
        ({"width": "wide"}, "`width` must be of type int. Received: 'wide'"),
        ({"width": True}, "`width` must be of type int. Received: True"),
        ({"lsp": "yes"}, "`lsp` must be of type bool"),
        ({"epsilon": "8"}, "did you mean 8/255"),
        ({"validation_epsilon": "0"}, r"`epsilon` must be in \(0, 1\]"),
        ({"attack_step_size": "two"}, "number or a fraction"),
        ({"model": "resnet"}, "Did you mean 'resnet18'"),
        ({"method": "att"}, "Unknown method: 'att'"),
        ({"adv": True, "method": "standard"}, "leave one out"),
        ({"epoch": 3}, "Unknown setting 'epoch' in the test. Did you mean 'epochs'"),
        ({"lsp_weight": -1.0}, "`lsp_weight` must be zero or more"),
    ],
)
def test_wrong_settings_say_what_to_do(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config_from(values, source="the test")


def test_an_integer_is_a_float_too() -> None:
    assert config_from({"learning_rate": 1}, source="test").learning_rate == 1


def test_labels_name_dataset_and_method() -> None:
    assert FitConfig(dataset="svhn", adv=True).label == "svhn-at+lsp"
    assert FitConfig(dataset="folder:some/cats", lsp=False).label == "cats-standard"
    assert FitConfig(dataset="tfds:mnist").label == "tfds-mnist-standard+lsp"


@pytest.mark.parametrize("name", registry.names("recipe"))
def test_every_recipe_is_valid_and_says_what_it_is(name: str) -> None:
    config_from(find_recipe(name), source=name)
    assert len(recipe_summary(name)) > 20


def test_files_that_are_not_recipes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_config(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("width = = 3")
    with pytest.raises(InputError, match=r"bad\.toml is not a TOML file"):
        find_recipe(str(tmp_path / "bad.toml"))
    with pytest.raises(
        InputError, match=r"Unknown recipe: 'cifar10_lps'\. Did you mean 'cifar10_lsp'"
    ):
        find_recipe("cifar10_lps")


def test_every_setting_has_help() -> None:
    assert all(text.endswith(".") and len(text) > 10 for _, _, text in settings().values())
