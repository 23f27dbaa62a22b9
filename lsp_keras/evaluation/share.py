"""Shares of a finite sample, with the interval that the sample size leaves open."""

import math
from dataclasses import dataclass
from typing import Any

from lsp_keras.validation import InputError

_NORMAL_QUANTILE = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """`count` of `total` examples.

    Attributes:
        count: Examples that have the property.
        total: Examples looked at.

    Raises:
        InputError: `count` is not in [0, total], or `total` is 0.

    Example:
        >>> print(Share(50, 100))
        50.0 % [40.4, 59.6]
    """

    count: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.total or self.total == 0:
            raise InputError(
                f"`count` must be in [0, total] and `total` positive. Received: "
                f"count={self.count}, total={self.total}."
            )

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval.

        References:
            Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
        """
        low, high = wilson_interval(self.value, self.total)
        # At 0 and 1 the ends are exact in theory and off by rounding in floating point.
        return 0.0 if self.count == 0 else low, 1.0 if self.count == self.total else high

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        low, high = self.interval
        return {
            "value": self.value,
            "low": low,
            "high": high,
            "count": self.count,
            "total": self.total,
        }

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def wilson_interval(share: float, total: int) -> tuple[float, float]:
    """95 % confidence interval of a share, which may be a mean of several on the same examples.

    Args:
        share: Number in [0, 1].
        total: Examples looked at.

    References:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    square = _NORMAL_QUANTILE**2 / total
    center = (share + square / 2.0) / (1.0 + square)
    variance = share * (1.0 - share) / total + square / (4.0 * total)
    half = _NORMAL_QUANTILE * math.sqrt(variance) / (1.0 + square)
    return center - half, center + half
