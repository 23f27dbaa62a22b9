"""The record of a run's settings."""

from pathlib import Path

import pytest

from lsp_keras.runs.config import (
    FitConfig,
    config_from,
    read_config,
    settings,
    write_config,
)
from lsp_keras.validation import InputError


def test_what_is_written_is_a_recipe(tmp_path: Path) -> None:
    config = FitConfig(dataset="svhn", adv=True, num_train=100, learning_rate=0.2, lsp=False)
    write_config(tmp_path / "config.toml", config)
    assert config_from(read_config(tmp_path / "config.toml"), source="test") == config


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
        ({"momentum": 1.0}, r"`momentum` must be in \[0, 1\)"),
        ({"augmentation": "flip"}, "`augmentation` must be one of"),
        ({"lfr_form": "double_backpro"}, "Did you mean 'double_backprop'"),
        ({"helper": "a.keras", "helper_epochs": 2}, "`helper` names a trained one. Leave one out"),
        ({"encoder": "a", "embeddings": "b"}, "Received: encoder, embeddings"),
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
    assert FitConfig(method="hat", lsp=False, lfr=True).label == "digits-hat+lfr"
    assert FitConfig(method="mixup", adr=True, lfr=True).label == "digits-mixup+lsp+lfr+adr"


def test_a_file_from_before_a_setting_existed_gives_its_default(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('method = "at"\nlsp = false\n')
    assert config_from(read_config(tmp_path / "config.toml"), source="test") == FitConfig(
        method="at", lsp=False
    )


def test_every_setting_has_help() -> None:
    assert all(text.endswith(".") and len(text) > 10 for _, _, text in settings().values())
