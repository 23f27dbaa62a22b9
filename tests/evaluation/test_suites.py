from typing import Any

import pytest

from lsp_keras.evaluation import SUITES, build_attacks, cascade, evaluate
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

THREAT = ThreatModel.parse("0.0275")


def test_suites_name_attacks_for_any_classifier(contrast_model, contrast_examples) -> None:
    report = evaluate(contrast_model, *contrast_examples, suite="quick", threat="0.0275")
    assert [record.name for record in report.attacks] == ["fgsm", "pgd"]
    assert report.worst_case.count == 4
    with pytest.raises(InputError, match="Did you mean 'quick'"):
        evaluate(contrast_model, *contrast_examples, suite="quik")


def test_options_go_to_the_attacks_that_have_them() -> None:
    attacks: dict[str, Any] = build_attacks(
        ["fgsm", "pgd"], THREAT, {"num_steps": 3, "num_restarts": None}
    )
    assert attacks["pgd"].num_steps == 3
    assert attacks["pgd"].num_restarts == 1
    assert {attack.epsilon for attack in attacks.values()} == {0.0275}


def test_a_cascade_is_one_attack_with_the_parts_of_the_others(
    contrast_model, contrast_examples
) -> None:
    attacks = cascade(build_attacks(["fgsm", "noise"], THREAT), THREAT)
    report = evaluate(contrast_model, *contrast_examples, attacks=attacks, threat=THREAT)
    assert [item.name for item in report.attacks] == ["cascade/fgsm", "cascade/noise", "cascade"]
    assert report.to_dict()["attacks"]["cascade"]["config"]["attacks"] == ["fgsm", "noise"]
    assert [item.accuracy.count for item in report.attacks] == [4, 4, 4]


def test_the_black_box_suite_needs_no_gradients() -> None:
    attacks = build_attacks(SUITES["black-box"], THREAT)
    assert not any(attack.uses_gradients for attack in attacks.values())
