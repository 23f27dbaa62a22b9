"""Progress on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def attack_progress() -> Iterator[Callable[[str, float, int, int], None]]:
    """Shows one line for each attack on stderr: work done, images standing, time left.

    Yields:
        The callback that `lsp_keras.evaluation.evaluate` takes as `progress`.
    """
    from rich.console import Console
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
            tasks[name] = bars.add_task(name, total=1.0, images=images, standing=standing)
        bars.update(tasks[name], completed=share, standing=standing)

    with bars:
        yield update


@contextmanager
def stage_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows one line on stderr for each stage of a job, such as mining.

    Yields:
        A callback that takes the stage's name, what is done and the total.
    """
    from rich.console import Console
    from rich.progress import Progress

    tasks = {}
    with Progress(console=Console(stderr=True)) as bars:

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield update


@contextmanager
def step_progress(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Shows one bar on stderr for a number of steps that each have a description.

    Yields:
        A callback that takes the description, the step's number and the number of steps.
    """
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=None)

        def update(what: str, count: int, total: int) -> None:
            bars.update(task, description=f"{title}: {what}", completed=count, total=total)

        yield update
