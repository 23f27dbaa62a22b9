"""Carries a plan out: a run for each row and seed, a record for each of its columns."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from lsp_keras.classifiers import load_classifier
from lsp_keras.errors import TrainingError
from lsp_keras.runs.files.history import load_history
from lsp_keras.tables.outcomes import Outcome
from lsp_keras.tables.records import Evaluation
from lsp_keras.tables.rows import Plan, Row
from lsp_keras.tables.training import Training
from lsp_keras.validation import InputError
from lsp_keras.zoo import locate


@dataclass(frozen=True)
class Measured:
    """What came of one seed of one row.

    Attributes:
        run: Folder of the run, `None` where there is none.
        outcomes: Outcomes by column; what was not made is left out.
        seconds: What training took, validation not counted; `None` where it is not known.
        failure: Why there is nothing, empty where there is something.
    """

    run: Path | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    seconds: float | None = None
    failure: str = ""


Results = Mapping[str, Mapping[int, Measured]]


def measure(
    plan: Plan,
    training: Training,
    evaluation: Evaluation,
    *,
    jobs: int = 1,
    announce: Callable[[str], None] = lambda text: None,
) -> dict[str, dict[int, Measured]]:
    """Trains and attacks what is missing; a row that fails leaves the others be.

    Args:
        plan: Rows and columns.
        training: How runs are found or made.
        evaluation: How records are found or made.
        jobs: Trainings at a time.
        announce: Function that is told of each row.

    Returns:
        By row and seed.

    Raises:
        InputError: Nothing at all could be measured.
    """
    results: dict[str, dict[int, Measured]] = {row.name: {} for row in plan.rows}
    tasks = plan.tasks()
    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        ahead = [pool.submit(_run_of, training, *task) for task in tasks if jobs > 1]
        for place, (row, seed) in enumerate(tasks):
            announce(f"{row.name}, seed {seed} ({place + 1} of {len(tasks)})")
            try:
                run = ahead[place].result() if ahead else _run_of(training, row, seed)
                own = replace(evaluation, num_examples=_images(plan, row))
                results[row.name][seed] = _measured(plan, row, run, own)
            except (InputError, TrainingError) as error:
                # Notes and comments of a table are lines.
                failure = " ".join(str(error).split())
                announce(f"{row.name}, seed {seed} failed: {failure}")
                results[row.name][seed] = Measured(failure=failure)
    _refuse_failures(results)
    return results


def _run_of(training: Training, row: Row, seed: int) -> Path | None:
    if row.runs:
        return row.runs[seed]
    return training.run_of(row.config.changed(seed=seed))


def _images(plan: Plan, row: Row) -> int | None:
    return plan.num_examples if row.num_examples is None else row.num_examples


def _measured(plan: Plan, row: Row, run: Path | None, evaluation: Evaluation) -> Measured:
    if run is None:
        return Measured()
    classifier = load_classifier(str(run), weights=row.weights)
    outcomes = evaluation.outcomes(classifier, plan.columns, row.weights)
    return Measured(run, outcomes, training_seconds(locate(run)))


def training_seconds(run: Path) -> float | None:
    """Seconds of a run's training steps, from the images a second of its history.

    Returns:
        `None` where its files do not say it of each epoch.
    """
    try:
        history = load_history(run)
    except InputError:
        return None
    rates, count = history.columns.get("images_per_second", []), history.num_images.get("training")
    # What is missing of an epoch is NaN, and not above zero.
    if count is None or not rates or not all(rate > 0 for rate in rates):
        return None
    return sum(count / rate for rate in rates)


def _refuse_failures(results: Results) -> None:
    """One wrong path fails every row alike: then it is an error, not a table."""
    everything: Sequence[Measured] = [item for row in results.values() for item in row.values()]
    if everything and all(item.failure for item in everything):
        raise InputError(everything[0].failure)
