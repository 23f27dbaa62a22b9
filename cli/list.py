"""`lsp-keras list`: what can be chosen."""

import json

import click

from lsp_keras import registry
from lsp_keras.validation import InputError

_KINDS = {f"{kind}s": kind for kind in ("attack", "dataset", "method", "model", "regularizer")}


@click.command()
@click.argument("kind", type=click.Choice([*_KINDS, "recipes"]))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of name: summary.")
def command(kind: str, as_json: bool) -> None:
    """List the names of KIND with one line on each."""
    rows = _recipes() if kind == "recipes" else _choices(_KINDS[kind])
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        raise InputError(f"There are no {kind}.")
    width = max(map(len, rows))
    for name, summary in rows.items():
        click.echo(f"{name:{width}}  {summary}")
    if kind == "datasets":
        click.echo(f"{'tfds:NAME':{width}}  Any image-classification dataset of TFDS.")
        click.echo(f"{'folder:PATH':{width}}  Your own images, one folder for each class.")


def _choices(kind: str) -> dict[str, str]:
    return {name: registry.summary(kind, name) for name in registry.names(kind)}


def _recipes() -> dict[str, str]:
    from lsp_keras.recipes import recipe_summary

    return {name: recipe_summary(name) for name in registry.names("recipe")}
