import pytest
from scipy.stats import binomtest

from lsp_keras.evaluation import Share
from lsp_keras.validation import InputError


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10), (433, 1000)])
def test_interval_equals_scipys_wilson(count, total) -> None:
    theirs = binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert Share(count, total).interval == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_record_and_text() -> None:
    share = Share(50, 100)
    assert str(share) == "50.0 % [40.4, 59.6]"
    assert share.to_dict()["value"] == 0.5
    assert share.to_dict()["count"] == 50


@pytest.mark.parametrize(("count", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(count, total) -> None:
    with pytest.raises(InputError, match="`count` must be in"):
        Share(count, total)
