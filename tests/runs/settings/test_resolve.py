"""Defaults that depend on other settings."""

import pytest

from lsp_keras import registry
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.settings.resolve import attacks, helped, in_force, resolve
from lsp_keras.validation import InputError


def test_a_methods_own_defaults_are_written_out() -> None:
    config = resolve(FitConfig.of(method="hat", epochs=5))
    assert config.method.given == {
        "beta": 2.5,
        "gamma": 0.5,
        "stretch": 2.0,
        "helper_epochs": 5,
        "warmup_epochs": 0,
    }
    assert config.model.given.items() >= {"width": 64, "activation": "relu"}.items()


@pytest.mark.parametrize("method", registry.names("method"))
def test_resolved_settings_resolve_to_themselves(method: str) -> None:
    # The divergence that these two climb is PGD's alone.
    attack = "pgd" if method in ("hat", "trades") else "mim"
    config = FitConfig.of(method=method, lfr=True, adr=True, epsilon="4/255", attack=attack)
    assert resolve(resolve(config)) == resolve(config)
    assert in_force(resolve(config)) == in_force(config)


def test_the_step_is_a_quarter_of_the_radius() -> None:
    assert resolve(FitConfig.of(epsilon="16/255")).attack["step_size"] == "4/255"
    assert resolve(FitConfig.of(step_size="1/255")).attack["step_size"] == "1/255"
    assert "step_size" not in resolve(FitConfig.of(attack="fgsm")).attack.given


def test_regularizers_take_the_attacks_budget_unless_they_have_their_own() -> None:
    config = FitConfig.of(lfr=True, adr=True, epsilon="4/255", num_steps=3, lfr_num_steps=7)
    lfr, adr = (in_force(config).regularizers[name] for name in ("lfr", "adr"))
    assert (lfr["epsilon"], lfr["step_size"], lfr["num_steps"]) == ("4/255", "1/255", 7)
    assert (adr["epsilon"], adr["step_size"], adr["num_steps"]) == ("4/255", "1/255", 3)
    # Not in the file, where it would outlive a change of the attack.
    assert resolve(config).regularizers["lfr"].given.keys() & {"epsilon", "num_steps"} == {
        "num_steps"
    }


def test_the_attack_is_that_of_the_method_unless_another_is_asked_for() -> None:
    trades = FitConfig.of(method="trades")
    assert in_force(trades).attack["objective"] == "kl"
    assert in_force(trades.changed(objective="margin")).attack["objective"] == "margin"
    assert in_force(resolve(trades).changed(method="at")).attack["objective"] == "cross_entropy"


@pytest.mark.parametrize("method", ["trades", "hat"])
@pytest.mark.parametrize("attack", ["mim", "bim", "fgsm", "apgd"])
def test_an_attack_that_cannot_be_the_published_one_says_whose_its_objective_is(
    method, attack
) -> None:
    config = FitConfig.of(method=method, attack=attack)
    with pytest.raises(InputError, match=r"'kl', which is pgd's alone\. Choose --attack pgd"):
        in_force(config)
    asked = in_force(config.changed(objective="margin"))
    assert (asked.attack.name, asked.attack["objective"]) == (attack, "margin")
    # One without objectives has nothing to refuse.
    assert in_force(FitConfig.of(method=method, attack="noise")).attack.get("objective") is None


def test_a_method_with_a_step_of_its_own_follows_what_is_asked_for() -> None:
    config = FitConfig.of(method="fast_at", epsilon="4/255")
    assert in_force(config).method["epsilon"] == "4/255"
    assert in_force(config).method["step_size"] is None
    assert in_force(config.changed(step_size="5/255")).method["step_size"] == "5/255"


def test_what_the_run_counts_itself_is_no_setting() -> None:
    with pytest.raises(InputError, match="Unknown setting 'num_images'"):
        FitConfig.of(method="fgsm_pgi", num_images=3)


def test_epochs_are_compared_under_attack_where_the_method_attacks() -> None:
    at = resolve(FitConfig.of(method="fast_at", epsilon="4/255"))
    assert (at.validation_epsilon, at.select_by) == ("4/255", "robust")
    standard = resolve(FitConfig.of(epsilon="4/255"))
    assert (standard.validation_epsilon, standard.select_by) == ("2/255", "clean")


def test_what_a_method_needs() -> None:
    assert [name for name in registry.names("method") if helped(FitConfig.of(method=name))] == [
        "hat"
    ]
    assert attacks(FitConfig.of(method="mart"))
    assert not attacks(FitConfig.of(method="mixup"))


def test_the_folder_of_the_data_is_known_from_everywhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(FitConfig.of(data_dir="data/tfds")).data_dir == str(tmp_path / "data" / "tfds")
    assert resolve(FitConfig.of(data_dir="/data")).data_dir == "/data"
    assert resolve(FitConfig.of()).data_dir is None
