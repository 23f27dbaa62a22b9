"""`lsp-keras serve`: TensorFlow Serving if it is installed, else the embedded server."""

import logging
import os
import shutil
from pathlib import Path

import click

from lsp_keras.validation import InputError

BINARY = "tensorflow_model_server"


@click.command()
@click.argument("model", metavar="MODEL_FOLDER", type=click.Path(path_type=Path))
@click.option("--model-name", "--model_name", help="In URLs.  [default: the folder's name]")
@click.option(
    "--rest-api-port", "--rest_api_port", default=8501, show_default=True, help="0: any free port."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on (embedded server); 0.0.0.0 for all.",
)
@click.option(
    "--embedded", is_flag=True, help=f"Use the embedded server even if {BINARY} is on PATH."
)
def command(
    model: Path, model_name: str | None, rest_api_port: int, host: str, embedded: bool
) -> None:
    """Serve a folder of exported versions over REST until Ctrl-C.

    \b
    lsp-keras serve models/svhn
    curl http://localhost:8501/v1/models/svhn
    """
    base_path = model.resolve()
    _check_folder(base_path)
    name = model_name or base_path.name
    binary = None if embedded else shutil.which(BINARY)
    if binary:
        click.echo(f"Using {binary}.", err=True)
        _replace_process(binary, name, base_path, rest_api_port)
    click.echo(f"Using the embedded server; {BINARY} is not on PATH or not wanted.", err=True)
    _serve_embedded(name, base_path, host, rest_api_port)


def _check_folder(base_path: Path) -> None:
    if not base_path.is_dir():
        raise InputError(f"There is no folder {base_path}. Make one with `lsp-keras export`.")
    if (base_path / "saved_model.pb").is_file():
        raise InputError(
            f"{base_path} is one version. Give the folder above it, {base_path.parent}."
        )
    if not any(path.name.isdecimal() for path in base_path.iterdir()):
        raise InputError(
            f"{base_path} has no version folder such as {base_path}/1. "
            "Make one with `lsp-keras export`."
        )


def _replace_process(binary: str, name: str, base_path: Path, port: int) -> None:
    flags = [f"--model_name={name}", f"--model_base_path={base_path}", f"--rest_api_port={port}"]
    os.execv(binary, [binary, *flags])


def _serve_embedded(name: str, base_path: Path, host: str, port: int) -> None:
    from serving.errors import ServingError
    from serving.server import Server, ServerOptions
    from serving.versions import ModelConfig

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = ServerOptions(host=host, rest_api_port=port)
    server = Server([ModelConfig(name, base_path)], options)
    try:
        server.load()
    except ServingError as error:
        raise click.ClickException(error.message) from error
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    url = f"http://{host}:{server.rest_port}/v1/models/{name}"
    click.echo(f"Serving {name} at {url} (Ctrl-C stops).", err=True)
    server.run()
