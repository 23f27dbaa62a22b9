"""The command group: what every command shares."""

import errno
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest

from lsp_keras.cli.main import group, main
from lsp_keras.validation import InputError

HEAVY = ("tensorflow", "keras", "sklearn", "matplotlib", "starlette", "scann")


@pytest.fixture
def failing(monkeypatch):
    """Runs `lsp-keras` with a command that raises; returns the exit code."""

    def run(error: BaseException, *options: str) -> int:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(group, "get_command", lambda ctx, name: command)
        monkeypatch.setattr(sys, "argv", ["lsp-keras", *options, "fail"])
        with pytest.raises(SystemExit) as exit_info:
            main()
        assert isinstance(exit_info.value.code, int)
        return exit_info.value.code

    return run


def test_help_of_every_command_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from lsp_keras.cli.main import group\n"
        "for name in group.list_commands(None):\n"
        "    result = CliRunner().invoke(group, [name, '--help'])\n"
        "    assert result.exit_code == 0 and result.output.startswith('Usage'), name\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_longest_help_takes_less_than_half_a_second() -> None:
    # The best of three: another process may hold the processor's caches during one of them.
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "lsp_keras", "fit", "--help"]
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(spent) < 0.5


def options() -> Iterator[tuple[str, click.Option]]:
    """Every option of every command, by the command's name."""
    context = click.Context(group)
    commands: list[tuple[str, Any]] = [
        (name, group.get_command(context, name)) for name in group.list_commands(context)
    ]
    while commands:
        name, command = commands.pop()
        commands += [(name, inner) for inner in getattr(command, "commands", {}).values()]
        yield from ((name, item) for item in command.params if isinstance(item, click.Option))


def test_every_option_has_help() -> None:
    assert not [f"{name} --{option.name}" for name, option in options() if not option.help]


def test_every_help_says_what_the_option_is_by_itself() -> None:
    # What stands on the command line has no class and no other option above it.
    leaning = re.compile(r"(\w+: )?(Of|Its|See|As|By|Likewise|That)\b|.*\bsee above\b")
    found = [
        f"{name} --{option.name}: {option.help}"
        for name, option in options()
        if leaning.match(option.help or "")
    ]
    assert not found


def test_wrong_input_is_one_line_and_exit_2(failing, capsys) -> None:
    assert failing(InputError("`width` must be greater than zero.")) == 2
    assert capsys.readouterr().err == "Error: `width` must be greater than zero.\n"


def test_a_failure_is_one_line_and_exit_1(failing, capsys) -> None:
    assert failing(RuntimeError("disk full")) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: RuntimeError: disk full\n")
    assert "--debug" in error


def chained(error: BaseException, cause: BaseException) -> BaseException:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "", "runs/a"), "runs/a lies on a device with no space left."),
        (OSError(errno.ENAMETOOLONG, "", "n" * 300), "is a name that is too long for the file"),
        (FileNotFoundError(errno.ENOENT, "", "data"), "data is not there."),
        (PermissionError(errno.EACCES, "", "/root/x"), "/root/x may not be read or written."),
        (OSError(errno.ELOOP, "", "a"), "a is a link that leads back to itself."),
        (OSError(errno.ENOSPC, ""), "A file that was written or read lies on a device with no"),
        (RuntimeError("failed; No space left on device [Op: Save]"), "There is no space left"),
        (
            chained(ValueError("I/O operation on closed file"), OSError(errno.ENOSPC, "", "b")),
            "b lies on a device with no space left.",
        ),
    ],
)
def test_what_the_file_system_refuses_is_one_line_and_exit_2(
    failing, capsys, error: BaseException, message: str
) -> None:
    assert failing(error) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert len(line) < 250


def test_an_interrupt_exits_with_130(failing, capsys) -> None:
    assert failing(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_debug_shows_the_traceback(monkeypatch) -> None:
    @click.command()
    def command() -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(group, "get_command", lambda ctx, name: command)
    monkeypatch.setattr(sys, "argv", ["lsp-keras", "--debug", "fail"])
    with pytest.raises(RuntimeError, match="disk full"):
        main()


def test_unknown_commands_are_refused(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["lsp-keras", "atack"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    assert "No such command 'atack'. Did you mean 'attack'?" in capsys.readouterr().err


def test_an_output_that_is_closed_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "lsp_keras", "list", "attacks"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
