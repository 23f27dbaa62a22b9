"""`lsp-keras list`: what can be chosen."""

import json
from collections.abc import Mapping

import click

from lsp_keras import registry, zoo

_PLURALS = {"loss": "losses"}
_KINDS = {_PLURALS.get(kind, f"{kind}s"): kind for kind in registry.KINDS if kind != "recipe"}


@click.command()
@click.argument("kind", type=click.Choice([*_KINDS, "recipes", "zoo"]))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object by name.")
def command(kind: str, as_json: bool) -> None:
    """List the names of KIND with one line on each; recipes with the accuracies to expect.

    The zoo's networks come with the package: `lsp-keras attack zoo:NAME`.
    """
    if kind == "recipes":
        _list_recipes(as_json)
        return
    if kind == "zoo":
        rows = {f"{zoo.PREFIX}{name}": zoo.card(name)["summary"] for name in zoo.names()}
    else:
        rows = {name: registry.summary(_KINDS[kind], name) for name in registry.names(_KINDS[kind])}
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if kind == "datasets":
        rows["tfds:NAME"] = "Any image-classification dataset of TFDS."
        rows["folder:PATH"] = "Your own images, one folder for each class."
        rows["prepared:PATH"] = "What `lsp-keras data prepare` wrote."
    _print(rows)


def _list_recipes(as_json: bool) -> None:
    from lsp_keras.cli._recipes import print_recipes, recipe_records

    if as_json:
        click.echo(json.dumps(recipe_records(), indent=2))
    else:
        print_recipes()


def _print(rows: Mapping[str, str]) -> None:
    width = max(map(len, rows))
    for name, summary in rows.items():
        click.echo(f"{name:{width}}  {summary}")
