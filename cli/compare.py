"""`lsp-keras compare`: runs side by side."""

from pathlib import Path
from typing import Any

import click

from lsp_keras.choices import NORMS
from lsp_keras.cli._options import weights_option
from lsp_keras.cli._paths import MachinePath
from lsp_keras.cli._plan_options import plan_of_file, plan_options
from lsp_keras.cli._table_options import make_table, table_options
from lsp_keras.processes import single_threaded_operators
from lsp_keras.validation import InputError


@click.command()
@click.argument("runs", metavar="[RUN...]", nargs=-1, type=MachinePath(path_type=Path))
@click.option("--table", "name", metavar="NAME|FILE", help="Rows from a file instead; see below.")
@click.option("--attacks", help="Names of attacks, with commas between.  [default: fgsm,pgd]")
@click.option(
    "--epsilon", help="Radius on the [0, 1] scale.  [default: 8/255; L2: 128/255; L1: 12]"
)
@click.option("--norm", type=click.Choice(NORMS), help="Norm of the perturbation.  [default: linf]")
@weights_option
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@table_options
def command(
    runs: tuple[Path, ...],
    name: str | None,
    attacks: str | None,
    epsilon: str | None,
    norm: str | None,
    weights: str,
    as_json: bool,
    changes: dict[str, Any],
    surroundings: dict[str, Any],
) -> None:
    """Compare runs seed by seed, on the same test images.

    Runs that differ in their seed alone are one row; each row is compared with the first. With
    --seeds N, seeds 0 to N - 1 of each run's settings are found, or trained. With --table, rows,
    columns and controls stand in a file: methods, lsp_choices, lsp_standard, lsp_adversarial, or
    one of your own, as lsp_keras/recipes/tables has them.

    \b
    lsp-keras compare runs/at-0 runs/at-1 runs/at+lsp-0 runs/at+lsp-1 --epsilon 8/255
    lsp-keras compare runs/at runs/at+lsp --seeds 3 --attacks autoattack --num-examples 1000
    lsp-keras compare --table methods --rows standard,LSP --seeds 2
    """
    single_threaded_operators()
    if bool(runs) == (name is not None):
        raise InputError("Give runs to compare, or a --table, and not both.")
    if name is not None:
        given = {"--attacks": attacks, "--epsilon": epsilon, "--norm": norm}
        idle = [option for option, value in given.items() if value is not None]
        if idle:
            raise InputError(f"A --table states its attacks. Leave out {', '.join(idle)}.")
        plan, stem = plan_of_file(name, changes, surroundings)
    else:
        plan, stem = _plan_of_runs(runs, attacks, epsilon, norm or "linf", weights, changes)
    make_table(plan, stem, surroundings, as_json=as_json, commands=True)


def _plan_of_runs(
    runs: tuple[Path, ...],
    attacks: str | None,
    epsilon: str | None,
    norm: str,
    weights: str,
    changes: dict[str, Any],
) -> tuple[Any, str]:
    from lsp_keras.tables.compare import attack_columns, runs_plan
    from lsp_keras.types import DEFAULT_EPSILONS, ThreatModel

    idle = [f"--{key}" for key in ("dataset", "scale", "rows") if changes[key]]
    if idle:
        raise InputError(f"Runs have their own settings. Leave out {', '.join(idle)}.")
    threat = ThreatModel.parse(epsilon or DEFAULT_EPSILONS[norm], norm)
    names = [name.strip() for name in (attacks or "fgsm,pgd").split(",")]
    plan = runs_plan(
        runs,
        attack_columns(names, threat),
        weights=weights,
        seeds=changes["seeds"],
        num_examples=changes["num_examples"],
    )
    return plan, "compare"
