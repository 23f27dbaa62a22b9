"""Counters and histograms in Prometheus's text format, under TensorFlow Serving's names."""

import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

REQUEST_COUNT = ":tensorflow:serving:request_count"
REQUEST_LATENCY = ":tensorflow:serving:request_latency"
BATCH_SIZE = "lsp_keras_serving_batch_size"
PENDING = "lsp_keras_serving_pending_requests"
MEMORY = "lsp_keras_serving_request_memory_bytes"
VERSIONS = "lsp_keras_serving_available_version"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Upper bounds as TensorFlow Serving has them: 10 microseconds times powers of 1.8.
_LATENCY_BOUNDS = tuple(10 * 1.8**power for power in range(33))
_BATCH_BOUNDS = tuple(2.0**power for power in range(11))

Labels = tuple[tuple[str, str], ...]
Gauges = Callable[[], Sequence[tuple[str, Labels, float]]]


@dataclass
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: Labels) -> list[str]:
        count, lines = 0, []
        limits = [f"{bound:.6g}" for bound in self.bounds] + ["+Inf"]
        for limit, number in zip(limits, self.counts, strict=True):
            count += number
            lines.append(f"{name}_bucket{{{_text((*labels, ('le', limit)))}}} {count}")
        lines.append(f"{name}_sum{{{_text(labels)}}} {self.total:.6g}")
        lines.append(f"{name}_count{{{_text(labels)}}} {count}")
        return lines


class Metrics:
    """What a server counts. Called on the event loop only, so nothing is locked."""

    def __init__(self) -> None:
        self._counts: dict[Labels, int] = {}
        self._latencies: dict[Labels, _Histogram] = {}
        self._batches: dict[Labels, _Histogram] = {}
        self._gauges: list[Gauges] = []

    def count_request(
        self, model: str, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        """One more request.

        Args:
            model: Name of the model; empty for a model that is not served, lest clients add names.
            api: Name of the call: `predict`, `Predict`, `classify` and so on.
            entrypoint: Protocol of the call, `REST` or `GRPC`.
            status: Canonical code, `OK` for success.
            seconds: Time that the request took.
        """
        key = (("model_name", model), ("status", status))
        self._counts[key] = self._counts.get(key, 0) + 1
        labels = (("model_name", model), ("API", api), ("entrypoint", entrypoint))
        histogram = self._latencies.setdefault(labels, _Histogram(_LATENCY_BOUNDS))
        histogram.add(seconds * 1e6)

    def count_batch(self, signature: str, rows: int) -> None:
        """One more batch with that many rows."""
        labels = (("signature", signature),)
        self._batches.setdefault(labels, _Histogram(_BATCH_BOUNDS)).add(rows)

    def add_gauges(self, gauges: Gauges) -> None:
        """Numbers that are read when the metrics are: `(name, labels, value)`."""
        self._gauges.append(gauges)

    def render(self) -> str:
        """The page for Prometheus."""
        lines = [f"# TYPE {REQUEST_COUNT} counter"]
        lines += [f"{REQUEST_COUNT}{{{_text(key)}}} {n}" for key, n in sorted(self._counts.items())]
        lines += _histogram_lines(REQUEST_LATENCY, self._latencies)
        lines += _histogram_lines(BATCH_SIZE, self._batches)
        seen = set()
        for name, labels, value in (item for gauges in self._gauges for item in gauges()):
            if name not in seen:
                lines.append(f"# TYPE {name} gauge")
            seen.add(name)
            lines.append(f"{name}{{{_text(labels)}}} {value:g}")
        return "\n".join(lines) + "\n"


def _histogram_lines(name: str, histograms: Mapping[Labels, _Histogram]) -> list[str]:
    if not histograms:
        return []
    lines = [f"# TYPE {name} histogram"]
    for labels, histogram in sorted(histograms.items()):
        lines += histogram.lines(name, labels)
    return lines


def _text(labels: Labels) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
