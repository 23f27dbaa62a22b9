"""How many images each measurement of a report gets, so that all of them take about a budget."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsp_keras.validation import InputError

_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smh])+")
# Gradient steps that an image costs at most, as AutoAttack's standard version, the attacks of a
# diagnosis and those of a profile count them: a query of Square is about two fifths of a step.
_STANDING, _BROKEN = 100 + 900 + 1800 + 2000, 150
_DIAGNOSED, _PROFILED = 1000, 80
# Seconds that compiling takes, whatever the number of images.
_OVERHEADS = {"autoattack": 30.0, "diagnosis": 40.0, "profile": 15.0}
_SHARES = {"autoattack": 0.6, "diagnosis": 0.3, "profile": 0.1}
_FEWEST = {"autoattack": 30, "diagnosis": 30, "profile": 20}
_MOST = {"autoattack": 1000, "diagnosis": 200, "profile": 200}
QUICK_IMAGES = 200


@dataclass(frozen=True)
class Plan:
    """What a budget allows.

    Attributes:
        images: Number of images by measurement; 0 for one that is left out.
        left_out: Why, by measurement.
    """

    images: Mapping[str, int]
    left_out: Mapping[str, str] = field(default_factory=dict)


def parse_budget(text: str) -> float:
    """Seconds of a duration such as `"15m"`, `"90s"` or `"1h30m"`.

    Raises:
        InputError: It is none.

    Example:
        >>> parse_budget("1h30m")
        5400.0
    """
    if not _DURATION.fullmatch(text):
        raise InputError(
            f"`budget` must be a duration such as 15m, 90s or 1h30m. Received: {text!r}."
        )
    return sum(float(count) * _UNITS[unit] for count, unit in re.findall(r"([\d.]+)([smh])", text))


def make_plan(budget: float, num_images: int, quick: Mapping[str, Any]) -> Plan:
    """Images for each measurement after the first one, whose times tell how fast the model is.

    It depends on that record alone, so that a report that was killed goes on with the same.

    Args:
        budget: Seconds for everything.
        num_images: Images that there are, or that the user wants.
        quick: Record of the quick suite.
    """
    left = max(budget - quick["seconds"], 0.0)
    step = seconds_per_step(quick)
    standing = quick["worst_case_accuracy"]["value"]
    costs = {
        "autoattack": step * (standing * _STANDING + (1.0 - standing) * _BROKEN),
        "diagnosis": step * _DIAGNOSED,
        "profile": step * _PROFILED,
    }
    images: dict[str, int] = {}
    left_out: dict[str, str] = {}
    for name, cost in costs.items():
        most = min(num_images, _MOST[name])
        needed = min(_FEWEST[name], most)
        affordable = int((_SHARES[name] * left - _OVERHEADS[name]) / max(cost, 1e-9))
        images[name] = min(most, affordable) if affordable >= needed else 0
        if not images[name]:
            whole = (_OVERHEADS[name] + needed * cost) / _SHARES[name] + quick["seconds"]
            left_out[name] = (
                f"the budget was too small; --budget {format_duration(whole)} would do for "
                f"{needed} images"
            )
    return Plan(images, left_out)


def seconds_per_step(quick: Mapping[str, Any]) -> float:
    """Seconds that a gradient step takes for one image; what compiling takes is left out."""
    iterative, single = quick["attacks"]["pgd"], quick["attacks"]["fgsm"]
    images = max(quick["clean_accuracy"]["count"], 1)
    steps = iterative["config"]["num_steps"] - 1
    # One step takes what many do besides the steps: compiling, mostly.
    most = float(iterative["seconds"])
    return max(most - single["seconds"], most / 10) / (images * max(steps, 1))


def format_duration(seconds: float) -> str:
    """The next whole minute or hour as `parse_budget` reads it.

    Example:
        >>> format_duration(200.0), format_duration(5000.0)
        ('4m', '1h24m')
    """
    minutes = max(int(-(-seconds // 60)), 1)
    hours, rest = divmod(minutes, 60)
    return f"{hours}h{f'{rest}m' if rest else ''}" if hours else f"{minutes}m"
