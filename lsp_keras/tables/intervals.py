"""Means over seeds and differences between rows, with the one interval that all tables show."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.stats

from lsp_keras.evaluation.share import Share, wilson_interval
from lsp_keras.validation import InputError

BRACKETS = (
    "Brackets are 95 % intervals for other test images and, where a row has two seeds or more, "
    "for other seeds: Wilson's interval of the images and Student's t of the seeds, added as the "
    "root of the sum of their squares. With one seed they say nothing about other seeds."
)
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: Percent, or points for a difference.
        low: Lower end of the 95 % interval.
        high: Upper end.
        deviation: Standard deviation over the seeds, `None` for one.
        seeds: Number of seeds.
        images: Number of test images.
    """

    value: float
    low: float
    high: float
    deviation: float | None
    seeds: int
    images: int


@dataclass(frozen=True)
class Verdicts:
    """How one seed's network did on the test images.

    Attributes:
        share: Images that stand.
        each: Whether each image stands, bool `(n,)`; `None` where only the number is known.
    """

    share: Share
    each: Booleans | None = None


def accuracy(seeds: Sequence[Verdicts]) -> Estimate:
    """Mean accuracy over the seeds.

    Args:
        seeds: Verdicts of one seed or more, on the same images.
    """
    values = [item.share.value for item in seeds]
    mean = statistics.fmean(values)
    total = _common_total(seeds)
    low, high = seeds[0].share.interval if len(seeds) == 1 else wilson_interval(mean, total)
    return _estimate(values, mean - low, high - mean, total)


def difference(own: Sequence[Verdicts], other: Sequence[Verdicts]) -> Estimate:
    """Mean difference of accuracy, seed by seed and on the same images.

    The images' part is Newcombe's interval of two shares, paired image by image where verdicts
    are known of all, else for two samples, which is too wide rather than too narrow.

    Args:
        own: Verdicts of the first method, one for each seed.
        other: Verdicts of the second method, of the same seeds in the same order.

    References:
        Newcombe, Improved Confidence Intervals for the Difference between Binomial Proportions
        Based on Paired Data, 1998, method 10 without its correction.
    """
    pairs = list(zip(own, other, strict=True))
    total = _common_total([*own, *other])
    values = [first.share.value - second.share.value for first, second in pairs]
    first, second = (statistics.fmean(item.share.value for item in group) for group in (own, other))
    (low1, high1), (low2, high2) = wilson_interval(first, total), wilson_interval(second, total)
    relation = _correlation(own, other)
    below = _hypotenuse(first - low1, high2 - second, relation)
    above = _hypotenuse(high1 - first, second - low2, relation)
    return _estimate(values, below, above, total)


def _estimate(values: Sequence[float], below: float, above: float, total: int) -> Estimate:
    """The mean of shares, with what the images leave open below and above it."""
    mean = statistics.fmean(values)
    deviation = statistics.stdev(values) if len(values) > 1 else None
    spread = 0.0
    if deviation is not None:
        quantile = float(scipy.stats.t.ppf(0.975, len(values) - 1))
        spread = quantile * deviation / math.sqrt(len(values))
    return Estimate(
        value=100 * mean,
        low=100 * (mean - math.hypot(below, spread)),
        high=100 * (mean + math.hypot(above, spread)),
        deviation=None if deviation is None else 100 * deviation,
        seeds=len(values),
        images=total,
    )


def _hypotenuse(one: float, other: float, relation: float) -> float:
    """Length of the difference of two lengths that are correlated."""
    return math.sqrt(max(one**2 - 2 * relation * one * other + other**2, 0.0))


def _correlation(own: Sequence[Verdicts], other: Sequence[Verdicts]) -> float:
    """Of the images' mean verdicts; 0 where it is not known or one side is constant."""
    means = []
    for group in (own, other):
        known = [item.each for item in group if item.each is not None]
        if len(known) < len(group):
            return 0.0
        means.append(np.mean(known, axis=0))
    if min(np.std(mean) for mean in means) == 0.0:
        return 0.0
    return max(float(np.corrcoef(*means)[0, 1]), 0.0)


def _common_total(items: Sequence[Verdicts]) -> int:
    totals = {item.share.total for item in items}
    if len(totals) != 1:
        raise InputError(
            "Accuracies are compared on the same test images. "
            f"Received: {', '.join(map(str, sorted(totals)))} images."
        )
    return totals.pop()
