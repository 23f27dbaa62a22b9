"""Clean, FGSM and PGD accuracy of standard, LSP, AT and LSP+ on the same images and seeds.

Runs `lsp-keras fit` and `lsp-keras attack` for each row; finished runs are used again, so that an
interrupted benchmark goes on where it was. Everything after `--` is passed to every fit.

    python benchmarks/methods.py --dataset cifar10 -- --num-train 4000 --width 16 --epochs 10
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _report import print_header

ROWS = {
    "standard": ["--no-lsp"],
    "LSP": [],
    "AT": ["--adv", "--no-lsp"],
    "LSP+": ["--adv"],
}


def main() -> None:
    """Trains, attacks and prints one Markdown table."""
    options = parse()
    results = {row: [measure(row, seed, options) for seed in range(options.seeds)] for row in ROWS}
    print_header(Path(__file__))
    columns = list(next(iter(results.values()))[0])
    print(f"| method | {' | '.join(columns)} |")
    print("|---|" + "---|" * len(columns))
    for row, measured in results.items():
        cells = [summarize([values[column] for values in measured]) for column in columns]
        print(f"| {row} | {' | '.join(cells)} |")


def parse() -> argparse.Namespace:
    """The command line; what follows `--` is in `fit`."""
    own, _, fit = " ".join(sys.argv[1:]).partition(" -- ")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--seeds", type=int, default=1, help="0, 1, ... up to this number")
    parser.add_argument("--epsilons", default="2/255,8/255", help="radii of FGSM and PGD")
    parser.add_argument("--num-examples", type=int, help="test images to attack")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/methods"))
    options = parser.parse_args(own.split())
    options.fit = fit.split()
    return options


def measure(row: str, seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Accuracies of one training run, by column."""
    run = options.runs_dir / f"{options.dataset}-{row.lower()}-{seed}"
    resume = ["--resume"] if (run / "config.toml").exists() else []
    lsp_keras(
        *["fit", "--dataset", options.dataset, "--seed", str(seed), *ROWS[row], *options.fit],
        *["--name", run.name, "--runs-dir", str(run.parent), *resume],
    )
    accuracies = {}
    for epsilon in options.epsilons.split(","):
        limit = ["--num-examples", str(options.num_examples)] if options.num_examples else []
        record = lsp_keras(
            *["attack", str(run), "--attacks", "fgsm,pgd", "--epsilon", epsilon], *limit
        )
        accuracies["clean"] = record["clean_accuracy"]
        for name, found in record["attacks"].items():
            accuracies[f"{name.upper()} {epsilon}"] = found["accuracy"]
    return accuracies


def lsp_keras(*arguments: str) -> Any:
    """Runs a command and returns what it prints as JSON; its progress goes to the terminal."""
    print(f"$ lsp-keras {' '.join(arguments)}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "cli.main", *arguments, "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def summarize(accuracies: list[dict[str, float]]) -> str:
    """Mean and range over the seeds, or the 95 % interval of a single one; in percent."""
    values = [100 * accuracy["value"] for accuracy in accuracies]
    low, high = min(values), max(values)
    if len(values) == 1:
        low, high = 100 * accuracies[0]["low"], 100 * accuracies[0]["high"]
    return f"{statistics.mean(values):.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
