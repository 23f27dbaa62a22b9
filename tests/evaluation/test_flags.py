import numpy as np
import tensorflow as tf

from lsp_keras.attacks import Cascade
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.noise import Noise
from lsp_keras.attacks.pgd import PGD
from lsp_keras.attacks.square import Square
from lsp_keras.evaluation import Share, evaluate
from lsp_keras.evaluation.flags import black_box_beats_white_box, fgsm_beats_iterative
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


def lead_of_square(**standing: int) -> list[float]:
    """Numbers of the flags for attacks that leave so many of a hundred images, in this order."""
    kinds = {"noise": Noise, "pgd": PGD, "square": Square}
    flags = black_box_beats_white_box(
        {name: kinds[name](epsilon=0.1) for name in standing},
        {name: Share(count, 100) for name, count in standing.items()},
    )
    return [round(flag.number, 6) for flag in flags]


def test_the_square_attack_is_compared_with_gradient_attacks_before_it() -> None:
    assert lead_of_square(pgd=50, square=40) == [0.1]
    assert lead_of_square(pgd=50, noise=70, square=40) == [0.1]
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
