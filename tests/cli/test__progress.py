"""Progress in a pipe: plain lines, at once and at the end."""

import sys

import pytest

from lsp_keras.cli import _progress


class Clock:
    """Time that moves only when told to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_progress, "time", clock)
    return clock


def test_a_pipe_gets_a_line_at_once_every_half_minute_and_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with _progress.stage_progress() as progress:
        for done in range(0, 101, 10):
            progress("search", done, 100)
            clock.now += 10
    assert capsys.readouterr().err.splitlines() == [
        "search: 0%, 0 of 100, 0 s",
        "search: 30%, 30 of 100, 30 s, 70 s left",
        "search: 60%, 60 of 100, 60 s, 40 s left",
        "search: 90%, 90 of 100, 90 s, 10 s left",
        "search: 100%, 100 of 100, 100 s",
    ]


def test_attacks_and_steps_have_lines_of_their_own(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with _progress.attack_progress() as progress:
        progress("pgd", 0.5, 200, 150)
        progress("fgsm", 1.0, 200, 120)
    with _progress.step_progress("Diagnosing it") as progress:
        progress("one step", 0, 4)
    assert capsys.readouterr().err.splitlines() == [
        "pgd: 50%, 150 of 200 standing, 0 s",
        "fgsm: 100%, 120 of 200 standing, 0 s",
        "Diagnosing it: 0%, one step, 0 s",
    ]


@pytest.mark.parametrize("name", ["[/x] run", "[red]run"])
def test_a_terminal_shows_names_that_look_like_styles(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with _progress.attack_progress() as attacked:
        attacked(name, 1.0, 4, 2)
    assert name in capsys.readouterr().err
    for watched in (_progress.stage_progress(), _progress.step_progress(name)):
        with watched as progress:
            progress(name, 1, 1)
        assert name in capsys.readouterr().err
