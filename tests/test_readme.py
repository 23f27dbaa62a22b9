"""The README's Python runs as it stands, and its links lead somewhere."""

import re
import runpy
from pathlib import Path

import click
import pytest

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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            None,
            "See docs/a.md, b (docs/c.md), [d](https://e.f) and (g: h.png in the source "
            "distribution).",
        ),
        (
            "https://x.y",
            "See [docs/a.md](https://x.y/blob/v1/docs/a.md), [b](https://x.y/blob/v1/docs/c.md#z), "
            "[d](https://e.f) and ![g](https://x.y/raw/v1/h.png).",
        ),
    ],
)
def test_an_index_page_gets_no_link_into_the_tree(source: str | None, expected: str) -> None:
    readme = "See [docs/a.md](docs/a.md), [b](docs/c.md#z), [d](https://e.f) and ![g](h.png)."
    setup = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")
    assert setup["for_index"](readme, source, "1") == expected
    links = re.findall(r"\]\(([^)]+)\)", setup["for_index"](README, "https://x.y", "1"))
    assert all(link.startswith(("https://", "#")) for link in links)


def test_every_command_of_the_readme_exists() -> None:
    from lsp_keras.cli.main import group

    commands = set(re.findall(r"lsp-keras ([a-z]+)", README))
    assert commands <= set(group.list_commands(click.Context(group)))
