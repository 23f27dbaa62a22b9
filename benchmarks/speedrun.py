"""Time to a given accuracy under AutoAttack, by recipe.

A recipe is trained with its own schedule squeezed into ever more epochs, until the network holds
the target on the first test images. The time is that of the whole command that trained it: start
of Python, loading of the data, compiling, training, and the validation of every epoch; AutoAttack
is not counted. `tries` adds the shorter runs that missed the target. Finished runs are used again,
with the time that they took. Everything after `--` is passed to every fit.

    python benchmarks/speedrun.py --recipes cifar10_robust_cpu --target 0.4 --epochs 12,20,30
"""

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _report import print_header
from _runs import lsp_keras, summarize

from lsp_keras.runs import find_recipe


@dataclass(frozen=True)
class Try:
    """One training run and what AutoAttack left of it.

    Attributes:
        epochs: Epochs of the run.
        seconds: Seconds of the command, by the clock.
        processor_seconds: Seconds of the command, all cores together.
        clean: Accuracy with its 95 % interval, as `attack --json` gives it.
        robust: Accuracy under AutoAttack, with its interval too.
    """

    epochs: int
    seconds: float
    processor_seconds: float
    clean: dict[str, float]
    robust: dict[str, float]


def main() -> None:
    """Runs every recipe and prints one line for each."""
    options, extra = parse()
    print_header(Path(__file__))
    print(f"Target: {options.target:.1%} under AutoAttack at {options.epsilon}, ", end="")
    print(f"{options.num_examples} test images.\n")
    print("| recipe | seed | epochs | clean | AutoAttack | min | CPU min | CPU min, all tries |")
    print("|---|---|---|---|---|---|---|---|")
    for recipe in options.recipes:
        for seed in range(options.seeds):
            print_row(recipe, seed, climb(recipe, seed, options, extra), options.target)


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The command line, and what follows `--`."""
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=["cifar10_robust_cpu"])
    parser.add_argument("--target", type=float, default=0.4, help="accuracy in [0, 1]")
    parser.add_argument("--epochs", default="12,20,30", help="tried in this order")
    parser.add_argument("--seeds", type=int, default=1, help="0, 1, ... up to this number")
    parser.add_argument("--epsilon", default="8/255")
    parser.add_argument("--num-examples", type=int, default=300)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/speedrun"))
    return parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]


def climb(recipe: str, seed: int, options: argparse.Namespace, extra: list[str]) -> list[Try]:
    """Tries of growing length; the last one holds the target, or is the longest."""
    tries: list[Try] = []
    for epochs in options.epochs.split(","):
        tries.append(attempt(recipe, seed, epochs, options, extra))
        if tries[-1].robust["value"] >= options.target:
            break
    return tries


def attempt(
    recipe: str, seed: int, epochs: str, options: argparse.Namespace, extra: list[str]
) -> Try:
    """Trains and attacks one network, or reads what an earlier call found."""
    run = options.runs_dir / f"{Path(recipe).stem}-{epochs}-{seed}"
    kept = run / "speedrun.json"
    if kept.exists():
        return Try(**json.loads(kept.read_text()))
    began, before = time.perf_counter(), processor_seconds()
    lsp_keras(
        *["fit", "--recipe", recipe, "--epochs", epochs, "--seed", str(seed), *extra],
        *["--name", run.name, "--runs-dir", str(run.parent)],
    )
    seconds, processor = time.perf_counter() - began, processor_seconds() - before
    record = lsp_keras(
        *["attack", str(run), "--attacks", "autoattack", "--epsilon", options.epsilon],
        *["--num-examples", str(options.num_examples), "--weights", kept_weights(recipe)],
    )
    robust = record["attacks"]["autoattack"]["accuracy"]
    found = Try(int(epochs), seconds, processor, record["clean_accuracy"], robust)
    kept.write_text(json.dumps(asdict(found)))
    return found


def kept_weights(recipe: str) -> str:
    """The averaged weights where the recipe keeps some."""
    return "ema" if find_recipe(recipe).get("ema_decay") else "best"


def processor_seconds() -> float:
    """Of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def print_row(recipe: str, seed: int, tries: list[Try], target: float) -> None:
    """The try that counts, and the cost of all of them."""
    last = tries[-1]
    held = "" if last.robust["value"] >= target else " (missed)"
    cells = [
        *(recipe, seed, last.epochs, summarize([last.clean]), summarize([last.robust]) + held),
        f"{last.seconds / 60:.1f}",
        f"{last.processor_seconds / 60:.1f}",
        f"{sum(item.processor_seconds for item in tries) / 60:.1f}",
    ]
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
