"""Does a local structure help? LSP's targets beside their controls, under AutoAttack.

Plain rows train on clean images and are attacked at 2/255; adversarial rows train by N-FGSM with
averaged weights and label smoothing and are attacked at 8/255. Differences are paired by seed, with
95 % intervals by Student's t. A row counts as a gain only if its differences from the base and from
each of its controls lie above zero.

A run is found by the fingerprint of its settings, whatever its folder is called; what is missing is
trained, what was cut off is resumed, what was attacked is not attacked again. Everything after `--`
is passed to every fit. `--table-only` prints what there is.

    python benchmarks/lsp_experiment.py --seeds 3 --jobs 2 -- --dataset cifar10 --width 8 \
        --epochs 12 --validation-size 500 --features pixels
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _report import print_header
from _runs import lsp_keras, summarize, summarize_differences
from scipy import stats

from lsp_keras.cli._config_options import config_from_options
from lsp_keras.cli.fit import command as fit_command
from lsp_keras.runs import FitConfig
from lsp_keras.tables.found_runs import find_run, is_finished, key_of


@dataclass(frozen=True)
class Base:
    """What LSP is added to.

    Attributes:
        fit: Arguments of `lsp-keras fit`.
        epsilon: L-inf radius of AutoAttack.
        weights: Which of a run's models is attacked.
    """

    fit: str
    epsilon: str
    weights: str


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        fit: Arguments beside those of its base.
        controls: Rows that it must be better than, beside `plain`.
        seeds: Most seeds that are run; `None` is all.
    """

    fit: str
    controls: tuple[str, ...] = ()
    seeds: int | None = None


BASES = {
    "standard": Base("--method standard", "2/255", "last"),
    "adversarial": Base("--method fast_at --ema-decay 0.998 --label-smoothing 0.1", "8/255", "ema"),
}
IN_BATCH = "--lsp --lsp-neighbors batch"
GROUPED = f"{IN_BATCH} --group-size 32"


def rows_of(name: str, options: str) -> dict[str, Row]:
    """A form of LSP with its controls."""
    controls = {f"{name}, {control}": control for control in ("uniform", "shuffled", "random")}
    own = f"{IN_BATCH} {options}"
    return {
        name: Row(own, tuple(controls)),
        **{row: Row(f"{own} --lsp-control {control}") for row, control in controls.items()},
    }


ROWS = {
    "plain": Row("--no-lsp"),
    **rows_of("shares", "--lsp-target shares"),
    **rows_of("ranks", "--lsp-target ranks"),
    **rows_of("kernel", "--lsp-target kernel --lsp-weight 0.1"),
    **rows_of("kernel at weight 1", "--lsp-target kernel"),
    "grouped, weight 0": Row(f"{GROUPED} --lsp-weight 0"),
    "shares, grouped": Row(GROUPED, ("grouped, weight 0", "shares, uniform", "shares, random")),
    "kernel, grouped": Row(
        f"{GROUPED} --lsp-target kernel --lsp-weight 0.1",
        ("grouped, weight 0", "kernel, random"),
    ),
    "lfrc": Row("--no-lsp --lfrc"),
    "shares, fresh": Row("--lsp", seeds=1),
}


@dataclass(frozen=True)
class Outcome:
    """One run under AutoAttack; accuracies as `attack --json` gives them."""

    clean: dict[str, float]
    robust: dict[str, float]


Outcomes = dict[int, Outcome]


@dataclass(frozen=True)
class Experiment:
    """The command line.

    Attributes:
        fit: What is passed to every fit.
        runs_dir: Where runs are looked for and made.
        num_examples: Test images that are attacked.
        jobs: Runs at a time; more than one share the cores evenly.
        table_only: Whether nothing is trained or attacked.
    """

    fit: Sequence[str]
    runs_dir: Path
    num_examples: int
    jobs: int
    table_only: bool

    def outcome(self, base: Base, row: Row, seed: int) -> Outcome | None:
        """Of one run, found or made; `None` where it is not there and may not be made."""
        arguments = [*base.fit.split(), *row.fit.split(), *self.fit, "--seed", str(seed)]
        config = config_of(arguments)
        run = find_run(self.runs_dir, config)
        found = None if run is None else self._attacked(run, base)
        if found is not None or self.table_only:
            return found
        if run is None or not is_finished(run, config):
            run = self._fit(arguments, config, run)
        return outcome_of(
            lsp_keras(
                *["attack", str(run), "--suite", "autoattack", "--epsilon", base.epsilon],
                *["--weights", base.weights, "--num-examples", str(self.num_examples)],
                jobs=self.jobs,
            )
        )

    def _fit(self, arguments: list[str], config: FitConfig, run: Path | None) -> Path:
        name = f"{config.label}-{config.seed}-{key_of(config)}" if run is None else run.name
        resume = [] if run is None else ["--resume"]
        place = ["--name", name, "--runs-dir", str(self.runs_dir)]
        lsp_keras("fit", *arguments, *place, *resume, jobs=self.jobs)
        return self.runs_dir / name

    def _attacked(self, run: Path, base: Base) -> Outcome | None:
        """From the newest record of the same attack on as many images."""
        for path in sorted((run / "evaluations").glob("*.json"), reverse=True):
            record = json.loads(path.read_text())
            if (
                record["is_autoattack"]
                and record["threat_model"]["epsilon_text"] == base.epsilon
                and record["num_examples"] == self.num_examples
                and record["model"]["weights"] == base.weights
            ):
                return outcome_of(record)
        return None


def outcome_of(record: Mapping[str, Any]) -> Outcome:
    """What the table shows of an evaluation's record."""
    return Outcome(record["clean_accuracy"], record["worst_case_accuracy"])


def config_of(arguments: Sequence[str]) -> FitConfig:
    """The settings that `lsp-keras fit` would make of the arguments."""
    with fit_command.make_context("fit", list(arguments)) as context:
        options = dict(context.params)
        recipe = options.pop("recipe", None)
        for name in ("name", "runs_dir", "resume", "cache_dir", "as_json"):
            options.pop(name, None)
        return config_from_options(context, recipe, options)


def print_table(base: str, results: Mapping[str, Outcomes]) -> None:
    """One line for each row: accuracies, differences paired by seed, and the verdict."""
    epsilon = BASES[base].epsilon
    print(f"\n## {base}, AutoAttack at {epsilon}\n")
    print(f"| row | seeds | clean | AutoAttack {epsilon} | minus plain | minus controls | gain |")
    print("|---|---|---|---|---|---|---|")
    for name, outcomes in results.items():
        if outcomes:
            clean = summarize([item.clean for item in outcomes.values()])
            robust = summarize([item.robust for item in outcomes.values()])
            cells = [clean, robust, *comparisons(name, results)]
            print(f"| {name} | {len(outcomes)} | {' | '.join(cells)} |", flush=True)


def comparisons(name: str, results: Mapping[str, Outcomes]) -> Iterator[str]:
    """Difference from the base, from each control, and whether all lie above zero."""
    rivals = () if name == "plain" else ("plain", *ROWS[name].controls)
    found = {rival: paired(results[name], results.get(rival, {})) for rival in rivals}
    texts = {
        rival: summarize_differences(values) if values else "-" for rival, values in found.items()
    }
    yield texts.pop("plain", "")
    yield "; ".join(f"{rival}: {text}" for rival, text in texts.items())
    yield "" if not ROWS[name].controls else "yes" if all(map(above_zero, found.values())) else "no"


def paired(one: Outcomes, other: Outcomes) -> list[float]:
    """Differences of robust accuracy in points, of the seeds that both have."""
    seeds = sorted(one.keys() & other.keys())
    return [100 * (one[seed].robust["value"] - other[seed].robust["value"]) for seed in seeds]


def above_zero(differences: Sequence[float]) -> bool:
    """Whether the 95 % interval of the mean lies above zero."""
    if len(differences) < 2:
        return False
    return bool(stats.ttest_1samp(differences, 0.0).confidence_interval(0.95).low > 0)


def main() -> None:
    """Trains, attacks and prints one table for each base."""
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parse(sys.argv[1:end])
    experiment = Experiment(
        fit=sys.argv[end + 1 :],
        runs_dir=options.runs_dir,
        num_examples=options.num_examples,
        jobs=options.jobs,
        table_only=options.table_only,
    )
    # One seed of everything before the next, so that an early end leaves whole comparisons.
    tasks = [
        (base, row, seed)
        for seed in range(options.seeds)
        for base in options.bases
        for row in options.rows
        if seed < (ROWS[row].seeds or options.seeds)
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        found = list(pool.map(lambda t: experiment.outcome(BASES[t[0]], ROWS[t[1]], t[2]), tasks))
    results: dict[str, dict[str, Outcomes]] = {
        base: {row: {} for row in options.rows} for base in options.bases
    }
    for (base, row, seed), outcome in zip(tasks, found, strict=True):
        if outcome is not None:
            results[base][row][seed] = outcome
    print_header(Path(__file__))
    for base in options.bases:
        print_table(base, results[base])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options before `--`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", nargs="+", choices=BASES, default=list(BASES))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3, help="0, 1, ... up to this number")
    parser.add_argument("--num-examples", type=int, default=1000, help="test images")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/lsp_experiment"))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--table-only", action="store_true", help="train and attack nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
