"""Which epoch of a run is the best, where several have the same accuracy too."""

import math
from collections.abc import Mapping

Rank = tuple[float, ...]

_ACCURACIES = ("val_accuracy", "val_robust_accuracy")
_AVERAGED = ("val_ema_accuracy", "val_ema_robust_accuracy")


def rank(metric: str, logs: Mapping[str, float]) -> Rank:
    """What epochs are compared by: a later epoch is the best if its rank is not smaller.

    A few hundred held-out images give many epochs the same accuracy, and the first of them has
    learned least. So of equal ones the other accuracy decides (clean where the metric is robust,
    robust where it is clean), then the loss, then the epoch: the later one is better.

    Args:
        metric: Name of what is to be large, such as `"val_robust_accuracy"`.
        logs: Values of an epoch by name; what is missing or not finite counts as worst.

    Example:
        >>> rank("val_accuracy", {"val_accuracy": 0.5, "loss": 2.0})
        (0.5, -inf, -2.0)
    """
    pairs = (_ACCURACIES, _AVERAGED)
    others = [name for pair in pairs if metric in pair for name in pair if name != metric]
    accuracies = [_finite(logs.get(name)) for name in (metric, *others)]
    loss = _finite(logs.get("loss"))
    return (*accuracies, -loss if math.isfinite(loss) else -math.inf)


def _finite(value: float | None) -> float:
    return float(value) if value is not None and math.isfinite(value) else -math.inf
