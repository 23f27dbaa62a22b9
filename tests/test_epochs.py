"""Which of two epochs is the better one."""

import itertools
import math

import pytest

from lsp_keras.epochs import rank


@pytest.mark.parametrize(
    ("metric", "other"),
    [
        ("val_accuracy", "val_robust_accuracy"),
        ("val_robust_accuracy", "val_accuracy"),
        ("val_ema_accuracy", "val_ema_robust_accuracy"),
        ("val_ema_robust_accuracy", "val_ema_accuracy"),
    ],
)
def test_metric_then_the_other_accuracy_then_the_loss(metric: str, other: str) -> None:
    def of(first: float, second: float, loss: float) -> tuple[float, ...]:
        return rank(metric, {metric: first, other: second, "loss": loss, "epoch": 7.0})

    worst_to_best = [
        of(math.nan, 1.0, 0.0),
        of(0.5, 0.6, 0.1),
        of(0.5, 0.7, math.nan),
        of(0.5, 0.7, 3.0),
        of(0.5, 0.7, 2.0),
        of(0.6, 0.0, 9.0),
    ]
    for worse, better in itertools.pairwise(worst_to_best):
        assert worse < better
    assert of(0.5, 0.7, 2.0) == of(0.5, 0.7, 2.0)


def test_a_metric_of_ones_own_has_no_other_accuracy() -> None:
    assert rank("score", {"score": 1.0, "val_accuracy": 0.3, "loss": 2.0}) == (1.0, -2.0)
    assert rank("score", {}) == (-math.inf, -math.inf)
