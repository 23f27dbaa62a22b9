"""The documentation as a site: built without a warning, complete, and fetching nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lsp_keras import registry
from lsp_keras.cli.main import group

ROOT = Path(__file__).parents[1]
# What a page loads by itself, other than links that somebody must click.
_LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]+src=\"(?P<a>[^\"]+)|<link[^>]+href=\"(?P<b>[^\"]+)"
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs", reason="needs MkDocs: pip install 'lsp-keras[docs]'")
    pytest.importorskip("mkdocstrings", reason="needs mkdocstrings: pip install 'lsp-keras[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_nothing_is_fetched(site) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        for match in _LOADED.finditer(page.read_text(encoding="utf-8")):
            loaded = match["a"] or match["b"]
            assert not loaded.startswith(("http:", "https:", "//")), f"{page.name}: {loaded}"


def test_each_command_has_a_page_with_its_options(site) -> None:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        page = (site / "commands" / f"{name}.html").read_text(encoding="utf-8")
        shown = [option for option in command.params if not getattr(option, "hidden", False)]
        for option in shown:
            if isinstance(option, click.Option):
                assert option.opts[0] in page, f"{name}: {option.opts[0]}"


def test_each_unit_has_its_docstring_on_a_page(site) -> None:
    for kind, package in (("attack", "attacks"), ("method", "methods"), ("model", "models")):
        page = (site / "python" / f"{package}.html").read_text(encoding="utf-8")
        for stem in registry.names(kind):
            name = registry.unit_name(kind, stem)
            assert f'id="lsp_keras.{package}.{stem}.{name}"' in page


def test_links_to_files_of_the_repository_become_pages_or_names(site) -> None:
    lsp = (site / "lsp.html").read_text(encoding="utf-8")
    assert 'href="benchmarks.html#training-step"' in lsp
    architecture = (site / "architecture.html").read_text(encoding="utf-8")
    assert "tests/test_architecture.py" in architecture
    assert "../tests/" not in architecture
