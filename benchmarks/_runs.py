"""Training runs of a benchmark: fit, attack, one row of a Markdown table each."""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scipy.stats

Accuracies = Mapping[str, Mapping[str, float]]

_REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        arguments: Arguments of `lsp-keras fit`, beside those that all rows share.
        epochs_factor: The row trains so many times the epochs of the others.
        repeated: Whether it is trained with every seed, else with the first alone.
    """

    arguments: str
    epochs_factor: int = 1
    repeated: bool = False


@dataclass(frozen=True)
class Experiment:
    """What all rows share.

    Attributes:
        fit: Arguments of `lsp-keras fit`.
        epochs: Epochs of a row with factor 1.
        seeds: 0, 1, ... up to this number.
        epsilons: L-inf radii of FGSM and PGD.
        num_examples: Test images to attack, or `None` for all.
        runs_dir: Where the runs are kept; finished ones are used again.
        jobs: Runs at a time; more than one share the cores evenly.
        names: Names of the rows to measure, or `None` for all.
    """

    fit: Sequence[str]
    epochs: int
    seeds: int
    epsilons: Sequence[str]
    num_examples: int | None
    runs_dir: Path
    jobs: int
    names: Sequence[str] | None

    def chosen(self, rows: Mapping[str, Row]) -> dict[str, Row]:
        """Those of the rows that the command line names, in their order."""
        unknown = set(self.names or ()) - set(rows)
        if unknown:
            sys.exit(f"--rows: no row is called {', '.join(unknown)}; choose from {list(rows)}.")
        return {name: row for name, row in rows.items() if self.names is None or name in self.names}

    def measure(self, rows: Mapping[str, Row]) -> dict[str, list[Accuracies]]:
        """Trains and attacks every row, and returns its accuracies for each seed."""
        tasks = [
            (name, seed)
            for name, row in rows.items()
            for seed in range(self.seeds if row.repeated else 1)
        ]
        with ThreadPoolExecutor(self.jobs) as pool:
            measured = list(
                pool.map(lambda task: self._measure(task[0], task[1], rows[task[0]]), tasks)
            )
        results: dict[str, list[Accuracies]] = {name: [] for name in rows}
        for (name, _), accuracies in zip(tasks, measured, strict=True):
            results[name].append(accuracies)
        return results

    def _measure(self, name: str, seed: int, row: Row) -> Accuracies:
        run = self.runs_dir / f"{name.lower().replace(' ', '-').replace(',', '')}-{seed}"
        kept = run / "accuracies.json"
        if kept.exists():
            return dict(json.loads(kept.read_text()))
        resume = ["--resume"] if (run / "config.toml").exists() else []
        epochs = str(row.epochs_factor * self.epochs)
        self._lsp_keras(
            *["fit", "--seed", str(seed), "--epochs", epochs, *self.fit, *row.arguments.split()],
            *["--name", run.name, "--runs-dir", str(run.parent), *resume],
        )
        accuracies = self._attack(run)
        kept.write_text(json.dumps(accuracies))
        return accuracies

    def _attack(self, run: Path) -> Accuracies:
        """Of the last epoch, so that no choice of an epoch adds to the noise."""
        accuracies = {}
        limit = ["--num-examples", str(self.num_examples)] if self.num_examples else []
        for epsilon in self.epsilons:
            record = self._lsp_keras(
                *["attack", str(run), "--weights", "last", "--attacks", "fgsm,pgd"],
                *["--epsilon", epsilon, *limit],
            )
            accuracies["clean"] = record["clean_accuracy"]
            for attack, found in record["attacks"].items():
                accuracies[f"{attack.upper()} {epsilon}"] = found["accuracy"]
        return accuracies

    def _lsp_keras(self, *arguments: str) -> Any:
        return lsp_keras(*arguments, jobs=self.jobs)


def lsp_keras(*arguments: str, jobs: int = 1) -> Any:
    """Runs a command and returns what it prints as JSON; progress goes to the terminal.

    Args:
        arguments: Command and options.
        jobs: Commands that run at a time and share the cores.
    """
    print(f"$ lsp-keras {' '.join(arguments)}", file=sys.stderr, flush=True)
    environment = dict(os.environ, PYTHONPATH=str(_REPOSITORY))
    if jobs > 1:
        threads = str(max(1, (os.cpu_count() or 1) // jobs))
        environment |= {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", "lsp_keras", *arguments, "--json"]
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return json.loads(found.stdout)


def read_experiment(description: str, *, epsilons: str, runs_dir: str) -> Experiment:
    """The command line; what follows `--` goes to `fit`.

    Args:
        description: What `--help` says first.
        epsilons: Default radii, with commas between.
        runs_dir: Default folder of the runs.
    """
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1, help="0, 1, ... up to this number")
    parser.add_argument("--epsilons", default=epsilons, help="radii of FGSM and PGD")
    parser.add_argument("--num-examples", type=int, help="test images to attack")
    parser.add_argument("--runs-dir", type=Path, default=Path(runs_dir))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these")
    options = parser.parse_args(sys.argv[1:end])
    return Experiment(
        fit=sys.argv[end + 1 :],
        epochs=options.epochs,
        seeds=options.seeds,
        epsilons=options.epsilons.split(","),
        num_examples=options.num_examples,
        runs_dir=options.runs_dir,
        jobs=options.jobs,
        names=options.rows,
    )


def print_table(results: Mapping[str, Sequence[Accuracies]]) -> None:
    """One Markdown line for each row."""
    _print_head("method", results)
    for row, measured in results.items():
        cells = [summarize([values[column] for values in measured]) for column in measured[0]]
        print(f"| {row} | {len(measured)} | {' | '.join(cells)} |", flush=True)


def print_differences(results: Mapping[str, Sequence[Accuracies]], baseline: str) -> None:
    """One Markdown line for each other row: what it has over the baseline, seed by seed."""
    _print_head(f"method, minus {baseline}", results)
    for row in (name for name in results if name != baseline):
        pairs = list(zip(results[row], results[baseline], strict=True))
        cells = [
            summarize_differences(
                [100 * (own[column]["value"] - other[column]["value"]) for own, other in pairs]
            )
            for column in results[row][0]
        ]
        print(f"| {row} | {len(pairs)} | {' | '.join(cells)} |", flush=True)


def _print_head(first: str, results: Mapping[str, Sequence[Accuracies]]) -> None:
    columns = next(iter(results.values()))[0]
    print(f"| {first} | seeds | {' | '.join(columns)} |")
    print("|---|---|" + "---|" * len(columns))


def summarize_differences(differences: Sequence[float]) -> str:
    """Mean and, of two or more, its 95 % interval by Student's t."""
    mean = statistics.mean(differences)
    if len(differences) == 1:
        return f"{mean:+.1f}"
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = error * scipy.stats.t.ppf(0.975, len(differences) - 1)
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def summarize(accuracies: Sequence[Mapping[str, float]]) -> str:
    """Mean and range over the seeds, or the 95 % interval of a single one; in percent."""
    values = [100 * accuracy["value"] for accuracy in accuracies]
    low, high = min(values), max(values)
    if len(values) == 1:
        low, high = 100 * accuracies[0]["low"], 100 * accuracies[0]["high"]
    return f"{statistics.mean(values):.1f} [{low:.1f}, {high:.1f}]"
