"""`lsp-keras board`: robust networks in the order of AutoAttack."""

from typing import Any

import click

from lsp_keras.cli._plan_options import plan_of_file, plan_options
from lsp_keras.cli._table_options import make_table, table_options
from lsp_keras.processes import single_threaded_operators


@click.command()
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@table_options
def command(as_json: bool, changes: dict[str, Any], surroundings: dict[str, Any]) -> None:
    """Train and attack the rows of the board, ordered by accuracy under AutoAttack.

    Networks with signs of masking stand below all others. Rows are runs found by their settings;
    the command that makes a row stands beside it in the files. The whole board takes many hours
    of two cores; killed, it goes on where it stopped.

    \b
    lsp-keras board --found-only
    lsp-keras board --rows standard,N-FGSM --seeds 1
    lsp-keras board --dataset digits --scale tiny
    """
    single_threaded_operators()
    plan, stem = plan_of_file("board", changes, surroundings)
    make_table(plan, stem, surroundings, as_json=as_json, commands=True)
