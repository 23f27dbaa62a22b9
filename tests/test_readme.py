"""The README's Python runs as it stands, and its links lead somewhere."""

import re
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_examples_run(capsys) -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    assert "It is not from AutoAttack" in capsys.readouterr().out


def test_links_into_the_tree_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


def test_every_command_of_the_readme_exists() -> None:
    from lsp_keras.cli.main import group

    commands = set(re.findall(r"lsp-keras ([a-z]+)", README))
    assert commands <= set(group.list_commands(click.Context(group)))
