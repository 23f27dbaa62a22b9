"""`lsp-keras predict`: classes of image files, from a running server."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_keras.cli._paths import MachinePath

if TYPE_CHECKING:
    from lsp_keras.serving.client.client import Prediction


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=MachinePath())
@click.option(
    "--url",
    default="http://localhost:8501",
    show_default=True,
    help="Server, http:// or grpc://, or a model: http://localhost:8501/v1/models/NAME.",
)
@click.option("--model", help="Name of the model, unless the URL says it or there is one.")
@click.option("--version", type=int, help="Version of the model.  [default: the newest]")
@click.option("--label", help="Label of a version, in place of its number.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait.")
@click.option("--token", envvar="LSP_KERAS_TOKEN", help="Bearer token.  [env: LSP_KERAS_TOKEN]")
@click.option(
    "--certificates",
    type=MachinePath(path_type=Path),
    help="PEM file with the authorities to trust, for https:// and grpcs://.  [default: the usual]",
)
def command(
    images: tuple[str, ...],
    url: str,
    model: str | None,
    version: int | None,
    label: str | None,
    timeout: float,
    token: str | None,
    certificates: Path | None,
) -> None:
    """Print the class and the probabilities of each image file as JSON.

    \b
    lsp-keras predict --url http://localhost:8501/v1/models/svhn house_number.png
    """
    from lsp_keras.serving.client.client import Client, ClientError

    try:
        with Client(
            url,
            model=model,
            version=version,
            label=label,
            timeout=timeout,
            token=token,
            certificates=certificates,
        ) as client:
            predictions = client.predict_images(images)
    except ClientError as error:
        hint = " Start one with: lsp-keras serve MODEL_FOLDER" if _unreachable(error) else ""
        raise click.ClickException(f"{error}{hint}") from error
    records = [_record(path, item) for path, item in zip(images, predictions, strict=True)]
    click.echo(json.dumps(records, indent=2, ensure_ascii=False))


def _unreachable(error: Any) -> bool:
    return error.code in ("UNREACHABLE", "UNAVAILABLE")


def _record(path: str, prediction: "Prediction") -> dict[str, Any]:
    """What to print for one image."""
    return {
        # As JSON can hold it: not every name is UTF-8.
        "image": os.fsencode(path).decode(errors="replace"),
        "class": prediction.name,
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": list(prediction.probabilities),
    }
