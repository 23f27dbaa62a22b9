"""`lsp-keras table`: the paper's tables, made again."""

from typing import Any

import click

from lsp_keras.cli._paths import as_file_name
from lsp_keras.cli._table_options import make_table, table_options
from lsp_keras.processes import single_threaded_operators


@click.command()
@click.argument("number", type=click.IntRange(1, 7))
@click.option("--dataset", default="cifar10", show_default=True, help="Dataset, as `fit` takes it.")
@click.option(
    "--scale",
    type=click.Choice(["tiny", "small", "paper"]),
    default="small",
    show_default=True,
    help="Images, width, epochs and attacks. tiny: seconds; small: minutes a row on two cores; "
    "paper: as published.",
)
@click.option("--rows", help="Rows to show, with commas between.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of seeds, from 0 on.",
)
@click.option(
    "--autoattack",
    type=click.Choice(["none", "standard", "torchattacks", "both"]),
    help="Version of AutoAttack; torchattacks runs ten steps.  [default: standard; tiny: none]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@table_options
def command(
    number: int,
    dataset: str,
    scale: str,
    rows: str | None,
    seeds: int,
    autoattack: str | None,
    as_json: bool,
    surroundings: dict[str, Any],
) -> None:
    """Train and attack what one of the LSP paper's Tables 1 to 7 needs; print ours beside theirs.

    Runs are found by their settings and used again, records likewise; a table that was killed
    goes on where it stopped. A number of a smaller scale is marked as one.

    \b
    lsp-keras table 1 --dataset digits --scale tiny
    lsp-keras table 2 --scale small --seeds 3
    lsp-keras table 3 --scale paper --autoattack both
    """
    single_threaded_operators()

    from lsp_keras.tables.paper import Request, paper_plan
    from lsp_keras.tables.scales import find_scale, sizes_of

    places = {name: surroundings[name] for name in ("data_dir", "cache_dir")}
    request = Request(
        number,
        dataset,
        find_scale(scale),
        sizes_of(dataset, **places),
        rows=[name.strip() for name in rows.split(",")] if rows else (),
        seeds=seeds,
        autoattack=autoattack,
        data_dir=surroundings["data_dir"],
    )
    stem = f"table_{number}_{as_file_name(dataset)}_{scale}"
    make_table(paper_plan(request), stem, surroundings, as_json=as_json)
