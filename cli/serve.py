"""`lsp-keras serve`: TensorFlow Serving if it is installed, else the embedded server."""

import gc
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from lsp_keras.cli._paths import MachinePath
from lsp_keras.places import MODEL_SUFFIXES
from lsp_keras.serving.flags import FLAGS, OWN_FLAGS, UPSTREAM_FLAGS, Flag
from lsp_keras.validation import InputError
from lsp_keras.zoo import PREFIX

BINARY = "tensorflow_model_server"


def _add_flags(function: Callable[..., None]) -> Callable[..., None]:
    """Adds every flag, with underscores as TensorFlow Serving has it and with hyphens."""
    for flag in reversed(FLAGS):
        function = _option(flag)(function)
    return function


def _option(flag: Flag) -> Callable[[Callable[..., None]], Callable[..., None]]:
    names = dict.fromkeys([f"--{flag.name}", f"--{flag.name.replace('_', '-')}"])
    kind = MachinePath(path_type=Path, dir_okay=True) if flag.kind is Path else flag.kind
    shown = flag.default not in (None, "")
    if flag.kind is bool:
        # `--flag`, `--flag=true` and `--flag=false`, as TensorFlow's own flags.
        return click.option(
            *names,
            type=bool,
            is_flag=False,
            flag_value="true",
            default=flag.default,
            help=flag.help,
            show_default=shown,
        )
    return click.option(*names, type=kind, default=flag.default, help=flag.help, show_default=shown)


@click.command()
@click.argument("model", metavar="[MODEL_FOLDER]", required=False, type=MachinePath(path_type=Path))
@click.option(
    "--embedded", is_flag=True, help=f"Use the embedded server even if {BINARY} is on PATH."
)
@_add_flags
@click.pass_context
def command(ctx: click.Context, /, model: Path | None, embedded: bool, **flags: Any) -> None:
    """Serve exported models over REST and gRPC until Ctrl-C.

    \b
    lsp-keras serve models/svhn
    lsp-keras serve --model_config_file=models.config
    curl http://localhost:8501/v1/models/svhn

    Flags are those of tensorflow_model_server, followed by the embedded server's own.
    """
    if model:
        flags["model_base_path"] = model
    if flags["model_base_path"] and not flags["model_config_file"]:
        base_path = flags["model_base_path"].resolve()
        _check_folder(flags["model_base_path"], base_path)
        flags |= {"model_base_path": base_path, "model_name": flags["model_name"] or base_path.name}
    binary, reason = _choose_binary(ctx, embedded)
    if binary:
        click.echo(f"Using {binary}.", err=True)
        os.execv(binary, [binary, *_upstream_arguments(ctx, flags)])
    click.echo(f"Using the embedded server: {reason}.", err=True)
    _serve_embedded(flags)


def _check_folder(given: Path, base_path: Path) -> None:
    from lsp_keras.serving.models.versions import find_versions

    if _is_keras_model(given):
        to = f"models/{given.stem.removeprefix(PREFIX)}"
        raise InputError(
            f"{given} is a Keras model, and a server loads SavedModels. Write one and serve its "
            f"folder: lsp-keras export {given} --to {to}, then lsp-keras serve {to}."
        )
    if base_path.is_file():
        raise InputError(
            f"{base_path} is a file. Give the folder of a model that `lsp-keras export` wrote, "
            "which holds one folder for each version."
        )
    if not base_path.is_dir():
        raise InputError(f"There is no folder {base_path}. Make one with `lsp-keras export`.")
    if (base_path / "saved_model.pb").is_file():
        raise InputError(
            f"{base_path} is one version. Give the folder above it, {base_path.parent}."
        )
    if not find_versions(base_path):
        raise InputError(
            f"{base_path} has no version folder such as {base_path}/1. "
            "Make one with `lsp-keras export`."
        )


def _is_keras_model(path: Path) -> bool:
    """Whether it is a file of Keras, a run's folder or a model of the zoo."""
    if str(path).startswith(PREFIX) or (path / "model.keras").is_file():
        return True
    return path.is_file() and path.suffix in MODEL_SUFFIXES


def _choose_binary(ctx: click.Context, embedded: bool) -> tuple[str | None, str]:
    """TensorFlow Serving's binary, or `None` and why not."""
    own = [flag.name for flag in OWN_FLAGS if _is_given(ctx, flag)]
    if embedded:
        return None, "--embedded was given"
    if own:
        return None, f"--{own[0]} is a flag of its own"
    return shutil.which(BINARY), f"{BINARY} is not on PATH"


def _is_given(ctx: click.Context, flag: Flag) -> bool:
    source = ctx.get_parameter_source(flag.name)
    return source is not None and source.name == "COMMANDLINE"


def _upstream_arguments(ctx: click.Context, flags: Mapping[str, Any]) -> list[str]:
    """What the user gave, and what has no default that both servers share."""
    always = {"rest_api_port", "model_name", "model_base_path"}
    arguments = []
    for flag in UPSTREAM_FLAGS:
        value = flags[flag.name]
        if (flag.name in always and value) or _is_given(ctx, flag):
            text = str(value).lower() if flag.kind is bool else str(value)
            arguments.append(f"--{flag.name}={text}")
    return arguments


def _serve_embedded(flags: Mapping[str, Any]) -> None:
    from lsp_keras.serving.errors import ServingError
    from lsp_keras.serving.flag_options import models, server_options
    from lsp_keras.serving.models.config_watcher import ConfigWatcher
    from lsp_keras.serving.observability.requests import configure_logging
    from lsp_keras.serving.server import Server

    configure_logging(as_json=flags["log_format"] == "json")
    if not (click.get_current_context().obj or {}).get("verbose"):
        _absorb_first_messages()
    server = Server(models(flags), server_options(flags))
    try:
        _spare_the_collector()
        server.load()
        seconds = flags["model_config_file_poll_wait_seconds"]
        if flags["model_config_file"] and seconds > 0:
            ConfigWatcher(flags["model_config_file"], server.manager, seconds).start()
        _announce(server.manager.models(), flags)
        server.run()
    except ServingError as error:
        raise click.ClickException(error.message) from error
    except OSError as error:
        raise click.ClickException(f"Cannot listen: {error.strerror or error}.") from error


def _spare_the_collector() -> None:
    """Exempts what is imported from garbage collection, whose full rounds stop all requests.

    TensorFlow's modules hold hundreds of thousands of objects that stay until the end; looking
    through them takes a fifth of a second. Models are loaded after this, and freed as ever.
    """
    gc.collect()
    gc.freeze()


def _absorb_first_messages() -> None:
    """Lets TensorFlow's first graph session say what it says once, to nobody.

    Those lines come from C++ before its log level is read.
    """
    import tensorflow as tf

    with tf.Graph().as_default(), Path(os.devnull).open("w") as nowhere:
        constant = tf.constant(0)
        terminal = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            tf.compat.v1.Session().run(constant)
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _announce(models: Mapping[str, list[int]], flags: Mapping[str, Any]) -> None:
    scheme = "https" if flags["tls_cert"] else "http"
    for name in models:
        if flags["rest_api_port"]:
            url = f"{scheme}://{flags['host']}:{flags['rest_api_port']}/v1/models/{name}"
            click.echo(f"Serving {name} at {url} (Ctrl-C stops).", err=True)
    if flags["port"]:
        click.echo(f"gRPC at {flags['host']}:{flags['port']}.", err=True)
