"""Clean, FGSM and PGD accuracy of every training method on the same images and seeds.

Runs `lsp-keras fit` and `lsp-keras attack` for each row, by default the last epoch's weights under
2/255 and 8/255. Finished runs are used again, so that an interrupted benchmark goes on where it
was. Everything after `--` is passed to every fit.

Rows of LSP stand beside two controls: the same passes with weight 0, and the plain method with
equal compute, which is as many more epochs as an LSP step costs more.

    python benchmarks/methods.py --epochs 6 --seeds 2 -- --dataset cifar10 --num-train 5000
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _report import print_header
from _runs import Row, print_table, read_experiment

CORE = {
    "standard": Row("--method standard --no-lsp", repeated=True),
    "standard, 9 x steps": Row("--method standard --no-lsp", epochs_factor=9),
    "standard + lsp, weight 0": Row("--method standard --lsp-weight 0"),
    "LSP": Row("--method standard", repeated=True),
    "AT": Row("--method at --no-lsp", repeated=True),
    "AT, 3 x steps": Row("--method at --no-lsp", epochs_factor=3),
    "LSP+": Row("--method at", repeated=True),
}
OTHERS = {
    f"{method}{' + lsp' if lsp else ''}": Row(f"--method {method}{'' if lsp else ' --no-lsp'}")
    for method in ("mixup", "cutmix", "augmix", "trades", "mart", "hat")
    for lsp in (False, True)
}
REGULARIZED = {
    "standard + lfr": Row("--method standard --no-lsp --lfr"),
    "AT + adr": Row("--method at --no-lsp --adr --adr-counterpart-share 0.5"),
}
ROWS = CORE | OTHERS | REGULARIZED


def main() -> None:
    """Trains, attacks and prints one Markdown table."""
    experiment = read_experiment(str(__doc__), epsilons="2/255,8/255", runs_dir="runs/methods")
    # Plain rows first: what two rows need, such as HAT's helper, is then made once.
    rows = experiment.chosen(ROWS)
    results = experiment.measure({name: rows[name] for name in sorted(rows, key=_with_lsp)})
    print_header(Path(__file__))
    print_table({name: results[name] for name in rows})


def _with_lsp(name: str) -> bool:
    return "lsp" in name.lower()


if __name__ == "__main__":
    main()
