import pytest

from lsp_keras.evaluation.diagnosis import signs as _signs

MANY = 10_000


def record(accuracy: float, *names: str) -> dict:
    return {
        "flags": [{"name": name, "advice": f"Mend {name}."} for name in names],
        "worst_case_accuracy": {"value": accuracy},
    }


@pytest.mark.parametrize(
    ("flag", "number"),
    [
        (_signs.accuracy_stays_up(0.5, 0.5, MANY), 0.5),
        (_signs.more_steps_hurt({1: 0.6, 10: 0.4, 50: 0.5}, MANY), 0.1),
        (_signs.more_steps_hurt({1: 0.3, 10: 0.6, 50: 0.4}, MANY), 0.3),
        (_signs.temperature_matters({0.1: 0.5, 1.0: 0.5, 10.0: 0.2}, MANY), 0.3),
        (_signs.temperature_matters({0.1: 0.3, 1.0: 0.5, 10.0: 0.6}, MANY), 0.2),
        (_signs.fgsm_beats_iterative(0.3, 0.4, MANY), 0.1),
        (_signs.black_box_beats_white_box(0.01, MANY), 0.01),
        (_signs.transfer_beats_white_box(0.01, MANY), 0.01),
        (_signs.adaptive_beats_plain(0.03, MANY), 0.03),
        (_signs.unstable_gradients(0.2, 0.01), 0.2),
        (_signs.unfinished_optimization(0.7), 0.7),
        (_signs.autoattack_flags(record(0.4, "zero_gradients", "few_classes")), 1.0),
        (_signs.autoattack_far_below(0.5, record(0.3)), 0.2),
        (_signs.constant_decides({0.01: 0.5, 0.1: 0.2, 1.0: 0.4}, 3.0, MANY), 0.3),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_is_above_its_threshold_is_raised(flag, number) -> None:
    assert flag.number == pytest.approx(number)
    assert flag.is_raised
    assert all((flag.measure, flag.meaning, flag.advice))


@pytest.mark.parametrize(
    "flag",
    [
        _signs.accuracy_stays_up(0.0, 0.5, MANY),
        _signs.more_steps_hurt({1: 0.6, 10: 0.4, 50: 0.4}, MANY),
        _signs.temperature_matters({0.1: 0.6, 1.0: 0.5, 10.0: 0.46}, MANY),
        _signs.fgsm_beats_iterative(0.5, 0.4, MANY),
        _signs.black_box_beats_white_box(0.001, MANY),
        _signs.transfer_beats_white_box(0.0, MANY),
        _signs.adaptive_beats_plain(0.01, MANY),
        _signs.unstable_gradients(0.05, 0.01),
        _signs.unfinished_optimization(0.1),
        _signs.autoattack_flags(record(0.4, "few_classes", "probability_outputs")),
        _signs.autoattack_far_below(0.5, record(0.45)),
        _signs.constant_decides({0.01: 0.2, 0.1: 0.5}, 3.0, MANY),
    ],
    ids=lambda flag: flag.name,
)
def test_what_is_below_is_not(flag) -> None:
    assert not flag.is_raised


@pytest.mark.parametrize(
    "sign",
    [
        lambda share, count: _signs.accuracy_stays_up(share, 0.5, count),
        lambda share, count: _signs.more_steps_hurt({1: 0.5, 2: 0.5 + share}, count),
        lambda share, count: _signs.temperature_matters({1.0: share, 10.0: 0.0}, count),
        lambda share, count: _signs.fgsm_beats_iterative(0.5, 0.5 + share, count),
        _signs.black_box_beats_white_box,
        _signs.transfer_beats_white_box,
        _signs.adaptive_beats_plain,
    ],
)
def test_one_image_of_few_raises_nothing_and_two_do(sign) -> None:
    assert not sign(1 / 20, 20).is_raised
    assert sign(2 / 20, 20).is_raised


def test_the_divisor_that_helps_is_named() -> None:
    flag = _signs.temperature_matters({0.1: 0.5, 1.0: 0.5, 10.0: 0.2}, MANY)
    assert "divided by 10, PGD breaks 30.0 points more" in flag.meaning


def test_autoattack_hands_on_its_advice() -> None:
    flag = _signs.autoattack_flags(record(0.4, "zero_gradients", "randomized_outputs"))
    assert "zero_gradients, randomized_outputs" in flag.meaning
    assert flag.advice == "Mend zero_gradients. Mend randomized_outputs."
