"""The command group; every other file in this folder is one command."""

import contextlib
import importlib
import logging
import os
import sys
from pathlib import Path

import click

import lsp_keras
from lsp_keras.cli._errors import file_system_error
from lsp_keras.storage import own_temporary_files
from lsp_keras.validation import InputError, nearest


class CommandFiles(click.Group):
    """Group whose commands are the files beside this one, imported only when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """File stems, less those with a leading underscore and this one."""
        stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
        return sorted(stem for stem in stems if not stem.startswith("_") and stem != "main")

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command that `cli/NAME.py` defines as `command`."""
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"lsp_keras.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As Click does, and names the command that was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(error.message + hint, ctx) from error


@click.group(
    cls=CommandFiles,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--verbose", is_flag=True, help="Show TensorFlow's own messages.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(lsp_keras.__version__, prog_name="lsp-keras")
@click.pass_context
def group(ctx: click.Context, verbose: bool, debug: bool) -> None:
    """From an image dataset to an adversarially robust classifier in production.

    \b
    lsp-keras fit --dataset digits --adv     train with LSP+
    lsp-keras attack RUN                     measure its robustness
    lsp-keras export RUN --to models/digits  write a SavedModel
    lsp-keras serve models/digits            serve it over REST
    """
    ctx.obj = {"verbose": verbose}
    # A GPU's memory is taken as it is needed: others may use the same one.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        logging.getLogger("tensorflow").setLevel(logging.ERROR)


def main() -> None:
    """Runs the command line.

    Exits with 2 for wrong input, which a full disk or a wrong path is too, with 1 for a failure,
    and with 130 after Ctrl-C.
    """
    debug = "--debug" in sys.argv
    try:
        # A server may outlive what cleans up the folder of temporary files.
        with contextlib.nullcontext() if "serve" in sys.argv else own_temporary_files():
            sys.exit(group.main(prog_name="lsp-keras", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except InputError as error:
        if debug:
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if debug or (error.name or "").startswith("lsp_keras"):
            raise
        click.echo(
            f"Error: This command needs {error.name}, which is not installed. "
            "Install everything with: pip install 'lsp-keras[train]', or what serving needs with: "
            "pip install 'lsp-keras[serve]'.",
            err=True,
        )
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has what they wanted; what Python flushes at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        place = file_system_error(error)
        if place is not None:
            click.echo(f"Error: {place}", err=True)
            sys.exit(2)
        click.echo(f"Error: {type(error).__name__}: {error}", err=True)
        click.echo("Run with `lsp-keras --debug ...` for the traceback.", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
