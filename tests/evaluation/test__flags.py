import numpy as np
import tensorflow as tf

from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation import Share, evaluate
from lsp_keras.evaluation._flags import fgsm_beats_iterative
from lsp_keras.types import ThreatModel

ATTACKS = {"fgsm": FGSM(epsilon=0.1), "pgd": PGD(epsilon=0.1)}


def names(report) -> list[str]:
    return [flag.name for flag in report.flags]


def run(logits_fn, images, labels):
    attacks = {name: type(attack)(epsilon=0.0275) for name, attack in ATTACKS.items()}
    return evaluate(logits_fn, images, labels, attacks=attacks, threat=ThreatModel.parse("0.0275"))


def test_fgsm_ahead_of_pgd_is_the_first_thing_the_statement_says() -> None:
    flags = fgsm_beats_iterative(ATTACKS, {"fgsm": Share(30, 100), "pgd": Share(40, 100)})
    assert [flag.name for flag in flags] == ["fgsm_beats_iterative"]
    assert abs(flags[0].number - 0.1) < 1e-12
    assert "10.0 points more" in str(flags[0])


def test_fgsm_behind_or_level_raises_nothing() -> None:
    assert not fgsm_beats_iterative(ATTACKS, {"fgsm": Share(40, 100), "pgd": Share(40, 100)})
    assert not fgsm_beats_iterative({"fgsm": ATTACKS["fgsm"]}, {"fgsm": Share(1, 2)})


def test_a_model_behind_rounding_has_zero_gradients(contrast_model, contrast_examples) -> None:
    report = run(lambda x: contrast_model(tf.round(x * 255) / 255), *contrast_examples)
    assert names(report) == ["zero_gradients"]
    assert report.flags[0].number == 1.0
    assert report.statement.startswith("Gradient attacks are blind here")


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
