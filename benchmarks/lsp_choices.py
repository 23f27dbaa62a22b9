"""LSP's open choices, one changed at a time: clean, FGSM and PGD accuracy at 2/255.

Each row is standard training with LSP at its defaults but for what its name says. The control
without a loss is `plain`; those for the batch that BatchNorm sees are the rows with weight 0. The
second table compares each row with the defaults, seed by seed. Everything after `--` is passed to
every fit.

    python benchmarks/lsp_choices.py --epochs 6 --seeds 2 -- --dataset cifar10 --num-train 2500
"""

import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _report import print_header
from _runs import Row, print_differences, print_table, read_experiment

CONTROLS = {
    "plain": Row("--no-lsp"),
    "defaults": Row(""),
}
BATCH_NORM = {
    "joint, weight 0": Row("--neighbor-batch-norm joint --lsp-weight 0"),
    "joint": Row("--neighbor-batch-norm joint"),
    "separate_update, weight 0": Row("--neighbor-batch-norm separate_update --lsp-weight 0"),
    "separate_update": Row("--neighbor-batch-norm separate_update"),
    "inference": Row("--neighbor-batch-norm inference"),
}
DIVERGENCES = {
    f"{divergence}, weight {weight}": Row(f"--divergence {divergence} --lsp-weight {weight}")
    for divergence, weight in (
        ("sum_of_squares", 1),
        ("sum_of_squares", 10),
        ("mean_of_squares", 1),
        ("mean_of_squares", 10),
        ("kl", 1),
        ("cosine", 1),
        ("l1", 1),
    )
}
OPTIONS = {
    "no gradient into neighbors": Row("--no-neighbor-gradient"),
    "normalized logits": Row("--normalize-logits"),
    "augmented neighbors": Row("--augment-neighbors"),
    "raw features": Row("--no-normalize-features"),
    "random neighbors": Row("--space global"),
}
WEIGHTS = {f"weight {weight}": Row(f"--lsp-weight {weight}") for weight in (0.1, 0.5, 2, 5, 10)}
COUNTS = {f"m = {count}": Row(f"--num-neighbors {count}") for count in (2, 4, 16)}


def main() -> None:
    """Trains, attacks and prints one Markdown table."""
    experiment = read_experiment(str(__doc__), epsilons="2/255", runs_dir="runs/lsp_choices")
    rows = CONTROLS | BATCH_NORM | DIVERGENCES | OPTIONS | WEIGHTS | COUNTS
    rows = {name: replace(row, repeated=True) for name, row in rows.items()}
    results = experiment.measure(experiment.chosen(rows))
    print_header(Path(__file__))
    print_table(results)
    if "defaults" in results:
        print()
        print_differences(results, "defaults")


if __name__ == "__main__":
    main()
