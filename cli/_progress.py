"""Progress on the terminal, or as plain lines where there is none."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Between plain lines of one stage.
_LINE_SECONDS = 30.0


class _Lines:
    """Says on stderr how far a job is: at once, then every half minute, and at its end."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self, name: str, share: float, what: str) -> None:
        """Says it, if it is time to.

        Args:
            name: Name of the job.
            share: Share of it that is done.
            what: What is to be said beside the share.
        """
        now = time.monotonic()
        started = self._started.setdefault(name, now)
        done = share >= 1
        if self._said.get(name, -_LINE_SECONDS) + _LINE_SECONDS > now and not done:
            return
        self._said[name] = now
        spent = now - started
        left = f", {spent / share * (1 - share):.0f} s left" if 0 < share < 1 and spent > 0 else ""
        print(f"{name}: {share:.0%}, {what}, {spent:.0f} s{left}", file=sys.stderr, flush=True)


@contextmanager
def attack_progress() -> Iterator[Callable[[str, float, int, int], None]]:
    """Shows one line for each attack on stderr: work done, images standing, time left.

    Yields:
        The callback that `lsp_keras.evaluation.evaluate` takes as `progress`.
    """
    if not sys.stderr.isatty():
        say = _Lines()
        yield lambda name, share, images, standing: say(
            name, share, f"{standing:,} of {images:,} standing"
        )
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description:>18}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[standing]:,} of {task.fields[images]:,} standing"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks = {}

    def update(name: str, share: float, images: int, standing: int) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(escape(name), total=1.0, images=images, standing=standing)
        bars.update(tasks[name], completed=share, standing=standing)

    with bars:
        yield update


@contextmanager
def stage_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows one line on stderr for each stage of a job, such as mining.

    Yields:
        A callback that takes the stage's name, what is done and the total.
    """
    if not sys.stderr.isatty():
        say = _Lines()
        yield lambda stage, done, total: say(stage, done / max(total, 1), f"{done:,} of {total:,}")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    tasks = {}
    with Progress(console=Console(stderr=True)) as bars:

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(escape(stage), total=total)
            bars.update(tasks[stage], completed=done)

        yield update


@contextmanager
def step_progress(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Shows one bar on stderr for a number of steps that each have a description.

    Yields:
        A callback that takes the description, the step's number and the number of steps.
    """
    if not sys.stderr.isatty():
        say = _Lines()
        yield lambda what, count, total: say(title, count / max(total, 1), what)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task(escape(title), total=None)

        def update(what: str, count: int, total: int) -> None:
            bars.update(task, description=escape(f"{title}: {what}"), completed=count, total=total)

        yield update
