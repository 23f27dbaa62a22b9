"""`lsp-keras deploy`: files to run a model server with, copied to be edited."""

from pathlib import Path

import click

from lsp_keras.cli._paths import MachinePath


@click.group()
def command() -> None:
    """Write files for Docker Compose, Kubernetes, Prometheus and Grafana."""


@command.command()
@click.argument("folder", metavar="DIR", type=MachinePath(path_type=Path))
def init(folder: Path) -> None:
    """Copy the deployment files into a new folder DIR, to be edited.

    \b
    lsp-keras deploy init deploy
    MODELS=$PWD/models docker compose -f deploy/compose/docker-compose.yaml up
    """
    from lsp_keras.cli._deployment import copy_files

    for path in copy_files(folder):
        click.echo(path)
    click.echo(f"\nName your models in {folder / 'config/models.config'}, then:", err=True)
    compose = folder / "compose/docker-compose.yaml"
    click.echo(f"  MODELS=$PWD/models docker compose -f {compose} up", err=True)
    click.echo(
        "  kubectl kustomize --load-restrictor LoadRestrictionsNone "
        f"{folder / 'kubernetes'} | kubectl apply -f -",
        err=True,
    )
