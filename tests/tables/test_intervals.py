"""Means and differences, against numbers computed by hand."""

import math

import numpy as np
import pytest

from lsp_keras.evaluation.share import Share
from lsp_keras.tables.intervals import Verdicts, accuracy, difference
from lsp_keras.validation import InputError

# Student's t at .975 with 1, 2 degrees of freedom, from a table.
T1, T2 = 12.706205, 4.302653


def of(*counts: int, total: int = 100) -> list[Verdicts]:
    return [Verdicts(Share(count, total)) for count in counts]


def bits(digits: str) -> Verdicts:
    each = np.array([digit == "1" for digit in digits])
    return Verdicts(Share(int(each.sum()), len(each)), each)


def test_one_seed_has_the_interval_of_its_images() -> None:
    found = accuracy(of(50))
    assert (found.value, found.seeds, found.images) == (50.0, 1, 100)
    assert (found.low, found.high) == pytest.approx((40.383, 59.617), abs=1e-3)
    assert found.deviation is None
    assert accuracy(of(0)).low == 0.0
    assert accuracy(of(100)).high == 100.0


def test_seeds_widen_the_interval_by_students_t() -> None:
    # Mean 50; deviations -6, 0, 6: s = 6.
    found = accuracy(of(44, 50, 56))
    assert (found.value, found.deviation) == pytest.approx((50.0, 6.0))
    seeds, images = T2 * 6 / math.sqrt(3), 9.617
    assert found.high - 50 == pytest.approx(math.hypot(seeds, images), abs=1e-2)
    assert 50 - found.low == pytest.approx(math.hypot(seeds, images), abs=1e-2)


def test_differences_are_paired_by_seed() -> None:
    # +4 and +6 though the seeds themselves are 20 apart.
    found = difference(of(54, 36), of(50, 30))
    assert found.value == pytest.approx(5.0)
    assert found.deviation == pytest.approx(math.sqrt(2))
    seeds = T1 * math.sqrt(2) / math.sqrt(2)
    # Newcombe's interval of 45 and 40 of 100 for two samples, by hand from both Wilson intervals.
    (low1, high1), (low2, high2) = (35.615, 54.758), (30.940, 49.801)
    assert 5 - found.low == pytest.approx(math.hypot(seeds, 45 - low1, high2 - 40), abs=0.02)
    assert found.high - 5 == pytest.approx(math.hypot(seeds, high1 - 45, 40 - low2), abs=0.02)


def test_verdicts_on_the_same_images_narrow_it() -> None:
    own = bits("1" * 60 + "0" * 40)
    other = bits("1" * 50 + "0" * 50)
    paired = difference([own], [other])
    alone = difference([Verdicts(own.share)], [Verdicts(other.share)])
    assert paired.value == pytest.approx(10.0)
    assert paired.low > 0 > alone.low
    # phi = (50 * 40 - 0 * 10) / sqrt(60 * 40 * 50 * 50).
    phi = 2000 / math.sqrt(60 * 40 * 50 * 50)
    (low1, _), (_, high2) = own.share.interval, other.share.interval
    one, two = 0.6 - low1, high2 - 0.5
    assert 10 - paired.low == pytest.approx(
        100 * math.sqrt(one**2 - 2 * phi * one * two + two**2), rel=1e-6
    )


def test_a_network_beside_itself_differs_by_nothing() -> None:
    same = difference([bits("1100")], [bits("1100")])
    assert (same.value, same.low, same.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)


def test_other_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"same test images.* 100, 200 images"):
        accuracy([*of(50), *of(50, total=200)])
