import pytest

from lsp_keras.reports.plan import format_duration, make_plan, parse_budget, seconds_per_step
from lsp_keras.validation import InputError


def record(*, standing: float = 0.5, pgd: float = 11.0, fgsm: float = 2.0):
    """A quick record of 100 images of which 90 are right."""
    return {
        "seconds": pgd + fgsm,
        "clean_accuracy": {"count": 90},
        "worst_case_accuracy": {"value": standing},
        "attacks": {
            "fgsm": {"seconds": fgsm, "config": {}},
            "pgd": {"seconds": pgd, "config": {"num_steps": 10}},
        },
    }


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("0.5h", 1800)]
)
def test_durations(text, seconds) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["15", "m", "", "15 m", "-1m", "1d"])
def test_what_is_no_duration_is_said(text) -> None:
    with pytest.raises(InputError, match="must be a duration such as 15m"):
        parse_budget(text)


def test_a_step_costs_what_many_take_beyond_one() -> None:
    assert seconds_per_step(record()) == pytest.approx(9.0 / (90 * 9))


def test_a_larger_budget_never_runs_less() -> None:
    plans = [make_plan(60.0 * minutes, 1000, record()).images for minutes in (1, 5, 15, 60, 6000)]
    for name in ("autoattack", "diagnosis", "profile"):
        counts = [plan[name] for plan in plans]
        assert counts == sorted(counts)
    assert plans[0] == {"autoattack": 0, "diagnosis": 0, "profile": 0}
    assert plans[-1] == {"autoattack": 1000, "diagnosis": 200, "profile": 200}


def test_a_model_that_withstands_costs_more_images_less() -> None:
    weak, strong = (make_plan(7200.0, 1000, record(standing=share)) for share in (0.0, 0.9))
    assert weak.images["autoattack"] > strong.images["autoattack"] > 0
    assert weak.images["diagnosis"] == strong.images["diagnosis"] > 0


def test_the_budget_that_is_named_would_do() -> None:
    first = make_plan(20.0, 1000, record())
    for name, why in first.left_out.items():
        budget = why.partition("--budget ")[2].split()[0]
        assert make_plan(parse_budget(budget), 1000, record()).images[name] >= 20


def test_few_images_are_all_used() -> None:
    assert make_plan(36000.0, 7, record()).images == {
        "autoattack": 7,
        "diagnosis": 7,
        "profile": 7,
    }


def test_durations_are_rounded_up() -> None:
    assert [format_duration(seconds) for seconds in (1, 60, 61, 3600, 3601)] == [
        *("1m", "1m", "2m", "1h", "1h1m")
    ]
