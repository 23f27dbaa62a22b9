"""`lsp-keras predict`: classes of image files, from a running server."""

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--url",
    default="http://localhost:8501",
    show_default=True,
    help="Server, or one of its models: http://localhost:8501/v1/models/NAME.",
)
@click.option("--model", help="Name of the model, unless the URL says it.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait.")
def command(images: tuple[str, ...], url: str, model: str | None, timeout: float) -> None:
    """Print the class and the probabilities of each image file as JSON.

    \b
    lsp-keras predict --url http://localhost:8501/v1/models/svhn house_number.png
    """
    from serving.client import Client, ClientError

    try:
        predictions = Client(url, model=model, timeout=timeout).predict_files(images)
    except ClientError as error:
        raise click.ClickException(str(error)) from error
    records = [_record(path, row) for path, row in zip(images, predictions, strict=True)]
    click.echo(json.dumps(records, indent=2, ensure_ascii=False))


def _record(path: str, prediction: dict[str, Any]) -> dict[str, Any]:
    """What to print for one image."""
    label = prediction["classes"]
    return {
        "image": str(Path(path)),
        "class": prediction["class_names"],
        "label": label,
        "probability": prediction["probabilities"][label],
        "probabilities": prediction["probabilities"],
    }
