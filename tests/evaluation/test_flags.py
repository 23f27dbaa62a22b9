import sys

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import Cascade
from lsp_keras.attacks.apgd import APGD
from lsp_keras.attacks.bim import BIM
from lsp_keras.attacks.cw_l2_fixed_c import CWL2FixedC
from lsp_keras.attacks.cw_linf import CWLinf
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.mim import MIM
from lsp_keras.attacks.noise import Noise
from lsp_keras.attacks.pgd import PGD
from lsp_keras.attacks.spsa import SPSA
from lsp_keras.attacks.square import Square
from lsp_keras.evaluation import Share, evaluate
from lsp_keras.evaluation.flags import black_box_beats_white_box, fgsm_beats_iterative
from lsp_keras.types import ThreatModel

# The name `evaluate` in the package is the function.
evaluate_module = sys.modules["lsp_keras.evaluation.evaluate"]
ATTACKS = {"fgsm": FGSM(epsilon=0.1), "pgd": PGD(epsilon=0.1)}


def names(report) -> list[str]:
    return [flag.name for flag in report.flags]


def run(logits_fn, images, labels):
    attacks = {name: type(attack)(epsilon=0.0275) for name, attack in ATTACKS.items()}
    return evaluate(logits_fn, images, labels, attacks=attacks, threat=ThreatModel.parse("0.0275"))


def test_fgsm_ahead_of_pgd_is_the_first_thing_the_statement_says() -> None:
    flag = fgsm_beats_iterative(ATTACKS, {"fgsm": Share(30, 100), "pgd": Share(40, 100)})
    assert flag.name == "fgsm_beats_iterative"
    assert flag.is_raised
    assert abs(flag.number - 0.1) < 1e-12
    assert "10.0 points more" in str(flag)


def test_fgsm_behind_or_level_raises_nothing() -> None:
    level = fgsm_beats_iterative(ATTACKS, {"fgsm": Share(40, 100), "pgd": Share(40, 100)})
    assert not level.is_raised
    assert fgsm_beats_iterative({"fgsm": ATTACKS["fgsm"]}, {"fgsm": Share(1, 2)}) is None


def test_one_image_is_no_lead() -> None:
    shares = {"fgsm": Share(5, 20), "pgd": Share(6, 20)}
    assert not fgsm_beats_iterative(ATTACKS, shares).is_raised
    assert fgsm_beats_iterative(ATTACKS, shares | {"pgd": Share(7, 20)}).is_raised


@pytest.mark.parametrize("kind", [APGD, BIM, CWLinf, MIM, PGD])
def test_every_attack_of_many_steps_is_compared_with_one_step(kind) -> None:
    attacks = {"fgsm": FGSM(epsilon=0.1), "other": kind(epsilon=0.1)}
    flag = fgsm_beats_iterative(attacks, {"fgsm": Share(30, 100), "other": Share(40, 100)})
    assert flag.is_raised


def test_attacks_that_search_for_the_nearest_image_are_not_compared_with_one_step() -> None:
    attacks = {"fgsm": FGSM(epsilon=0.1, norm="l2"), "other": CWL2FixedC(epsilon=0.1)}
    assert fgsm_beats_iterative(attacks, {"fgsm": Share(3, 9), "other": Share(9, 9)}) is None


def lead_of_square(**standing: int) -> list[float]:
    """Numbers of the flags for attacks that leave so many of a hundred images, in this order."""
    kinds = {"noise": Noise, "pgd": PGD, "square": Square, "spsa": SPSA}
    flag = black_box_beats_white_box(
        {name: kinds[name](epsilon=0.1) for name in standing},
        {name: Share(count, 100) for name, count in standing.items()},
    )
    return [round(flag.number, 6)] if flag is not None and flag.is_raised else []


def test_the_square_attack_is_compared_with_gradient_attacks_before_it() -> None:
    assert lead_of_square(pgd=50, square=40) == [0.1]
    assert lead_of_square(pgd=50, noise=70, square=40) == [0.1]
    assert lead_of_square(pgd=50, spsa=40) == [0.1]
    assert lead_of_square(pgd=50, noise=40) == [0.1]
    assert lead_of_square(pgd=40, square=40) == []
    assert lead_of_square(pgd=40, noise=70, square=50) == []


def test_without_a_white_box_there_is_nothing_to_beat() -> None:
    assert lead_of_square(noise=90, square=40) == []
    assert lead_of_square(square=40) == []


def test_parts_of_an_ensemble_are_compared_too(contrast_model, contrast_examples) -> None:
    parts = {"pgd": PGD(epsilon=0.0275), "square": Square(epsilon=0.0275, num_queries=50)}
    cascade = Cascade(attacks=parts, epsilon=0.0275)
    report = evaluate(
        lambda x: contrast_model(tf.round(x * 255) / 255),
        *contrast_examples,
        attacks={"cascade": cascade},
        threat=ThreatModel.parse("0.0275"),
    )
    assert names(report)[0] == "black_box_beats_white_box"


def test_a_model_behind_rounding_leaves_images_unmoved(contrast_model, contrast_examples) -> None:
    report = run(lambda x: contrast_model(tf.round(x * 255) / 255), *contrast_examples)
    assert names(report) == ["unmoved_images"]
    # All that stand: PGD's random start alone breaks some.
    assert report.flags[0].number == report.worst_case.value > 0.5
    assert report.statement.startswith("Gradient attacks are blind here")


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_no_scale_of_the_logits_stops_an_attack(contrast_model, contrast_examples, scale) -> None:
    report = run(lambda x: scale * contrast_model(x), *contrast_examples)
    assert names(report) == []
    assert report.worst_case.count == 4


def test_a_sign_that_fails_loses_neither_the_others_nor_the_report(
    contrast_model, contrast_examples, monkeypatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no such tensor\nmore of it")

    monkeypatch.setattr(evaluate_module, "output_spread", fails)
    report = run(lambda x: contrast_model(tf.round(x * 255) / 255), *contrast_examples)
    assert names(report) == ["unmoved_images"]
    assert report.unchecked == {"randomized_outputs": "no such tensor"}
    assert report.statement.endswith("Not checked, randomized_outputs: no such tensor.")


def test_a_model_with_noise_is_randomized(contrast_model, contrast_examples) -> None:
    report = run(
        lambda x: contrast_model(x + tf.random.normal(tf.shape(x), stddev=1e-3)),
        *contrast_examples,
    )
    assert "randomized_outputs" in names(report)


def test_a_plain_model_raises_no_flag(contrast_model, contrast_examples) -> None:
    report = run(contrast_model, *contrast_examples)
    assert names(report) == []
    assert report.statement.startswith("Robust accuracy 40.0 % [")
    assert np.isfinite(report.seconds)
