"""The record of a run's settings."""

from pathlib import Path

import pytest

from lsp_keras.runs.settings.config import (
    FitConfig,
    config_from,
    read_config,
    run_settings,
    unit_flags,
    write_config,
)
from lsp_keras.validation import InputError


def test_what_is_written_is_a_recipe(tmp_path: Path) -> None:
    config = FitConfig.of(dataset="svhn", adv=True, num_train=100, learning_rate=0.2, lsp=False)
    write_config(tmp_path / "config.toml", config)
    assert config_from(read_config(tmp_path / "config.toml"), source="test") == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": "wide"}, "`width` must be of type int. Received: 'wide'"),
        ({"width": True}, "`width` must be of type int. Received: True"),
        ({"lsp": "yes"}, "`lsp` must be of type bool"),
        ({"epsilon": "8"}, "did you mean 8/255"),
        ({"validation_epsilon": "0"}, r"`epsilon` must be in \(0, 1\]"),
        ({"attack_step_size": "two"}, "number or a fraction"),
        ({"model": "resnet1"}, "Did you mean 'resnet18'"),
        ({"method": "att"}, "Unknown method: 'att'"),
        ({"adv": True, "method": "standard"}, "leave one out"),
        ({"epoch": 3}, "Unknown setting 'epoch' in the test. Did you mean 'epochs'"),
        ({"width": 1.5}, "`width` must be of type int. Received: 1.5"),
        ({"model": {"with": 4}}, "`with` is no setting of the model resnet18.*'width'"),
        ({"model": 3}, "`model` in the test must be a name or a section"),
        ({"method": {"name": 3}}, "The method's name must be of type str"),
        ({"padding": 3}, "Name the augmentation whose padding is set"),
        ({"lsp_divergence": "l3"}, "Unknown divergence: 'l3'"),
        ({"regularizers": {"lps": {}}}, "Unknown regularizer: 'lps'. Did you mean 'lsp'"),
        ({"regularizers": {"lsp": 3}}, "`regularizers.lsp` in the test must be a section"),
        ({"regularizers": "lsp"}, "`regularizers` in the test must be a section"),
        ({"adv": 1}, "`adv` must be of type bool"),
        ({"beta": 2.0}, "`beta` is no setting of the method standard.*hat, mart, .*trades"),
        ({"momentum": 1.0}, r"`momentum` must be in \[0, 1\)"),
        ({"augmentation": "flip"}, "Unknown augmentation: 'flip'"),
        ({"lfr": True, "form": "double_backpro"}, "Did you mean 'double_backprop'"),
        (
            {"method": "hat", "helper": "a.keras", "helper_epochs": 2},
            "`helper` names a trained",
        ),
        ({"encoder": "a", "embeddings": "b"}, "Received: encoder, embeddings"),
    ],
)
def test_wrong_settings_say_what_to_do(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config_from(values, source="the test")


def test_an_integer_is_a_float_too() -> None:
    assert config_from({"learning_rate": 1}, source="test").learning_rate == 1


def test_labels_name_dataset_and_method() -> None:
    assert FitConfig.of(dataset="svhn", adv=True).label == "svhn-at+lsp"
    assert FitConfig.of(dataset="folder:some/cats", lsp=False).label == "cats-standard"
    assert FitConfig.of(dataset="tfds:mnist").label == "tfds-mnist-standard+lsp"
    assert FitConfig.of(method="hat", lsp=False, lfr=True).label == "digits-hat+lfr"
    assert FitConfig.of(method="mixup", adr=True, lfr=True).label == "digits-mixup+lsp+lfr+adr"


def test_a_file_from_before_a_setting_existed_gives_its_default(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('method = "at"\nlsp = false\n')
    assert config_from(read_config(tmp_path / "config.toml"), source="test") == FitConfig.of(
        method="at", lsp=False
    )


def test_every_setting_has_help() -> None:
    texts = [text for _, _, text in run_settings().values()]
    texts += [flag.argument.help for flag in unit_flags() if flag.place != flag.place[:2]]
    assert all(text.endswith(".") and len(text) > 4 for text in texts), texts


def test_sections_and_options_say_the_same() -> None:
    sections = {
        "dataset": "svhn",
        "method": {"name": "trades", "beta": 3.0},
        "model": {"width": 8},
        "attack": {"num_steps": 5},
        "regularizers": {"lsp": False, "lfr": {"warmup_epochs": 2}},
    }
    flat = {"dataset": "svhn", "method": "trades", "beta": 3.0, "width": 8, "attack_steps": 5}
    flat |= {"lsp": False, "lfr": True, "lfr_warmup": 2}
    assert config_from(sections, source="test") == config_from(flat, source="test")
    assert (
        config_from(sections, source="test").flat().items()
        >= {
            "method": "trades",
            "beta": 3.0,
            "num_steps": 5,
            "lfr_warmup_epochs": 2,
            "lsp": False,
        }.items()
    )


def test_settings_of_what_is_switched_off_are_left_out() -> None:
    """Files from before sections list the settings of all regularizers."""
    config = FitConfig.of(lfr=False, lfr_weight=0.5, adr_weight=2.0)
    assert config == FitConfig.of()


def test_another_unit_keeps_what_it_has_too_but_a_method_nothing() -> None:
    config = FitConfig.of(method="trades", beta=3.0, width=8, epsilon="4/255", num_restarts=2)
    changed = config.changed(method="mart", model="preact_resnet18", attack="mim")
    assert (
        changed.to_dict().items()
        >= {
            "method": "mart",
            "model": {"name": "preact_resnet18", "width": 8},
            "attack": {"name": "mim", "epsilon": "4/255"},
        }.items()
    )


def test_a_step_that_keras_would_not_compile_is_refused() -> None:
    with pytest.raises(InputError, match="--no-deterministic"):
        FitConfig.of(xla=True)
    assert FitConfig.of(xla=True, deterministic=False).xla
