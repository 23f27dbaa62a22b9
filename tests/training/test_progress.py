import io

import pytest

from lsp_keras.training import ThroughputProgress
from lsp_keras.training import progress as _progress


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_progress, "time", clock)
    return clock


def run_epoch(callback: ThroughputProgress, clock: Clock, seconds: list[float]) -> dict[str, float]:
    """One epoch whose steps take these seconds, then a validation of 100 seconds."""
    callback.set_params({"epochs": 5, "steps": len(seconds)})
    callback.on_epoch_begin(1)
    for step, duration in enumerate(seconds):
        clock.now += duration
        callback.on_train_batch_end(step)
    clock.now += 100
    logs = {"loss": 0.51239}
    callback.on_epoch_end(1, logs)
    return logs


def test_rate_leaves_out_the_first_step_and_the_validation(clock: Clock) -> None:
    stream = io.StringIO()
    logs = run_epoch(ThroughputProgress(50, stream=stream), clock, [30.0, 1.0, 1.0, 1.0, 1.0])
    assert logs["images_per_second"] == pytest.approx(10.0)
    _, estimate, epoch = stream.getvalue().splitlines()
    # Four epochs are left, of five steps of a second.
    assert estimate.startswith("Estimate: 20 s for 4 epochs of 5 steps of 1 s")
    # The epoch took 134 seconds, three are left.
    assert epoch == "epoch 2/5  loss 0.5124  images_per_second 10  7 min left"


def test_a_log_gets_a_line_every_half_minute(clock: Clock) -> None:
    stream = io.StringIO()
    run_epoch(ThroughputProgress(400, stream=stream), clock, [1.0] + [4.0] * 19)
    lines = [line for line in stream.getvalue().splitlines() if "images/s" in line]
    # After 33 and 65 seconds of 77; 20 images in a step of 4 seconds.
    assert [line.split()[2] for line in lines] == ["9/20", "17/20"]
    assert all("  5 images/s  " in line for line in lines)
    # 11 steps of this epoch and three epochs of 20.
    assert lines[0].endswith("5 min left")


def test_the_first_step_tells_no_time(clock: Clock) -> None:
    stream = Terminal()
    run_epoch(ThroughputProgress(50, stream=stream), clock, [30.0, 1.0, 1.0, 1.0, 1.0])
    drawn = [line for line in stream.getvalue().split("\r") if "images/s" in line]
    assert " 1/5 " in drawn[0]
    assert "left" not in drawn[0]
    # Three steps of this epoch and three epochs of five.
    assert "18 s left" in drawn[1]


def test_the_time_is_estimated_once(clock: Clock) -> None:
    stream = io.StringIO()
    callback = ThroughputProgress(50, stream=stream)
    for _ in range(2):
        run_epoch(callback, clock, [1.0] * 5)
    assert stream.getvalue().count("Estimate") == 1


def test_rate_of_a_single_step_is_that_of_the_step(clock: Clock) -> None:
    logs = run_epoch(ThroughputProgress(50, stream=io.StringIO()), clock, [2.0])
    assert logs["images_per_second"] == pytest.approx(25.0)


def test_terminal_sees_a_bar_with_the_rate(clock: Clock) -> None:
    stream = Terminal()
    run_epoch(ThroughputProgress(400, stream=stream), clock, [1.0, 0.5, 0.5, 0.5])
    bars = stream.getvalue().split("\r")
    assert "2/4  200 images/s" in bars[2]
    assert bars[2].count("█") == 12
    assert "epoch 2/5  loss" in bars[-1]
