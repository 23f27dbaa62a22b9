"""The paper's evaluations, value by value, and where a run finds its own."""

import re
from pathlib import Path

import pytest

from lsp_keras import registry
from lsp_keras.runs import expected_accuracies
from lsp_keras.runs.settings.protocol import (
    attacks_by_threat,
    find_protocol,
    protocol_of,
    protocols,
)
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

FOLDER = Path(registry.__file__).parent / "recipes" / "evaluations"


def attack_of(name: str, column: str):
    (found,) = (item for item in find_protocol(name) if item.name == column)
    return found.build()


def test_attacks_without_adversarial_training_are_those_of_section_421() -> None:
    fgsm, cw, pgd, wide = (attack_of("lsp_standard", c) for c in ("fgsm", "cw", "pgd", "pgd_l2"))
    assert (fgsm.norm, fgsm.epsilon) == ("linf", 2 / 255)
    assert (type(cw).__name__, cw.constant, cw.norm) == ("CWL2FixedC", 0.01, "l2")
    # No two 96x96 images are as far apart as the radius.
    assert cw.epsilon > (96 * 96 * 3) ** 0.5
    assert (pgd.epsilon, pgd.num_steps, pgd.step_size) == (2 / 255, 10, 1 / 255)
    assert (wide.norm, wide.epsilon) == ("l2", 128 / 255)


def test_attacks_on_adversarial_training_are_those_of_section_422() -> None:
    cw, pgd = (attack_of("lsp_adversarial", column) for column in ("cw", "pgd"))
    assert (type(cw).__name__, cw.epsilon) == ("CWLinf", 8 / 255)
    assert (pgd.epsilon, pgd.num_steps, pgd.step_size) == (8 / 255, 10, 2 / 255)
    for name in ("aa", "aa_torchattacks"):
        assert attack_of("lsp_adversarial", name).epsilon == 8 / 255


@pytest.mark.parametrize("name", ["lsp_standard", "lsp_adversarial"])
def test_one_evaluation_for_each_ball(name: str) -> None:
    groups = attacks_by_threat(find_protocol(name))
    names = [column for group in groups.values() for column in group]
    assert sorted(names) == sorted(column.name for column in find_protocol(name))
    for threat, attacks in groups.items():
        assert {(attack.norm, attack.epsilon) for attack in attacks.values()} == {
            (threat.norm, threat.epsilon)
        }
    main = ThreatModel.parse("2/255" if name == "lsp_standard" else "8/255")
    cw = ["cw"] if name == "lsp_adversarial" else []
    assert list(groups[main]) == ["fgsm", *cw, "pgd", "aa", "aa_torchattacks"]


def test_every_published_column_is_attacked() -> None:
    columns = {name: {column.name for column in find_protocol(name)} for name in protocols()}
    for row in expected_accuracies():
        name = "lsp_adversarial" if row.epsilon == "8/255" else "lsp_standard"
        assert set(row.accuracy_percent) - {"clean"} <= columns[name], row.recipe


def test_every_value_has_its_source() -> None:
    for path in FOLDER.glob("*.toml"):
        for line in path.read_text().splitlines():
            if "=" in line and not line.startswith(("#", 'attack = "fgsm', 'attack = "pgd"')):
                known = r"# (Section \d|Table \d|our choice|not bounded)"
                assert re.search(known, line) or line.startswith(("attack", "norm")), line


def test_a_run_says_which_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('dataset = "digits"\nevaluation = "lsp_standard"\n')
    assert protocol_of(tmp_path) == find_protocol("lsp_standard")
    (tmp_path / "config.toml").write_text('dataset = "digits"\n')
    for run in (tmp_path, None):
        with pytest.raises(
            InputError, match=r"Choose --suite lsp-adversarial or --suite lsp-standard"
        ):
            protocol_of(run)
    (tmp_path / "config.toml").write_text('evaluation = "lsp_standart"\n')
    with pytest.raises(InputError, match="Did you mean 'lsp_standard'"):
        protocol_of(tmp_path)
