import json

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.evaluation import diagnose
from lsp_keras.evaluation._diagnose import sweep_of_radii
from lsp_keras.evaluation._flags import (
    accuracy_stays_up,
    black_box_beats_pgd,
    more_steps_hurt,
    temperature_matters,
)
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

THREAT = ThreatModel.parse("0.0275")


def run(model, examples):
    return diagnose(model, *examples, threat=THREAT, num_queries=100)


def test_a_plain_model_raises_nothing(contrast_model, contrast_examples) -> None:
    found = run(contrast_model, contrast_examples)
    assert found.flags == []
    assert found.verdict == "No sign of gradient masking in 7 kinds of checks."
    assert found.clean_accuracy == 0.9
    assert found.epsilon_curve[0.0275] == 0.4
    assert found.epsilon_curve[0.5] == 0.0
    assert found.step_curve[10] == found.fgsm_accuracy == 0.4
    record = json.loads(json.dumps(found.to_dict()))
    assert next(iter(record)) == "verdict"
    assert record["accuracy_by_epsilon"][-1] == {"epsilon": 0.5, "accuracy": 0.0}


def test_a_quantized_input_is_found_out(contrast_model, contrast_examples) -> None:
    found = run(lambda x: contrast_model(tf.round(x * 255) / 255), contrast_examples)
    names = {flag.name for flag in found.flags}
    assert names >= {"zero_gradients", "black_box_beats_white_box", "accuracy_stays_up"}
    assert found.verdict.startswith("The measured robustness is not to be trusted: ")


def test_a_huge_scale_of_logits_is_found_out(contrast_model, contrast_examples) -> None:
    # The loss of a correct image is exactly 0 in float32, and so is its gradient.
    found = run(lambda x: contrast_model(x) * 1e5, contrast_examples)
    assert {flag.name for flag in found.flags} >= {"zero_gradients", "temperature_matters"}
    assert found.temperature_curve[1000.0] == 0.4


def test_flags_of_curves() -> None:
    assert accuracy_stays_up(0.5, 0.5)[0].number == 0.5
    assert accuracy_stays_up(0.0, 0.5) == []
    assert more_steps_hurt({1: 0.6, 10: 0.4, 50: 0.5})[0].number == pytest.approx(0.1)
    assert more_steps_hurt({1: 0.6, 10: 0.4, 50: 0.4}) == []
    assert temperature_matters({0.1: 0.5, 1.0: 0.5, 10.0: 0.2})[0].number == pytest.approx(0.3)
    assert temperature_matters({1.0: 0.5, 10.0: 0.49}) == []
    assert black_box_beats_pgd(0.3, 0.5)[0].number == pytest.approx(0.2)
    assert black_box_beats_pgd(0.5, 0.4) == []


def test_radii_end_where_no_classifier_can_stand() -> None:
    assert sweep_of_radii(ThreatModel.parse("8/255"))[-1] == 0.5
    assert sweep_of_radii(ThreatModel.parse("0.3")) == [0.075, 0.15, 0.3, 0.5]


def test_l1_is_refused() -> None:
    with pytest.raises(InputError, match="L-inf or L2"):
        diagnose(
            lambda x: x,
            np.zeros((1, 2, 2, 1)),
            [0],
            threat=ThreatModel.parse("1", "l1"),
        )
