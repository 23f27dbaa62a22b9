"""What MkDocs makes of this repository beside the pages in docs/.

Commands get a page each, made from the commands; packages get one made from their docstrings;
Markdown files of the repository that docs/ links to become pages; and the order of all pages is
written down here once, so that a page that is added appears.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from lsp_keras import registry  # noqa: E402
from lsp_keras.cli.main import group  # noqa: E402

# Markdown files outside of docs/, by the page that each becomes.
OUTSIDE = {
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
# Kinds of units and the packages that hold them, each in a page of its own.
KINDS = {
    "attack": "attacks",
    "method": "methods",
    "regularizer": "regularizers",
    "model": "models",
    "loss": "losses",
    "augmentation": "augmentations",
    "dataset": "datasets",
}
PACKAGES = {
    "evaluation": "lsp_keras.evaluation",
    "classifiers": "lsp_keras.classifiers",
    "neighbors": "lsp_keras.neighbors",
    "runs": "lsp_keras.runs",
    "export": "lsp_keras.export",
    "reports": "lsp_keras.reports",
    "types": "lsp_keras.types",
    "serving": "lsp_keras.serving.client.client",
}
ORDER: dict[str, list[str]] = {
    "Start": ["index.md", "tour.md"],
    "Concepts": ["concepts.md", "methods.md", "fast_at.md"],
    "Your own": ["data.md", "your_model.md", "extending.md"],
    "Honest evaluation": ["honest_evaluation.md", "diagnose.md", "report.md"],
    "Neighbors and LSP": ["neighbors.md", "lsp.md", "lsp_choices.md", "paper.md"],
    "Serving": ["serving.md"],
    "Results": ["results.md", "board.md", "zoo.md", "small_runs.md", "benchmarks.md"],
    "Commands": [],
    "Python": [],
    "Project": ["architecture.md", "contributing.md", "changelog.md"],
}
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Writes the order of the pages; those that are not named come under "Project"."""
    pages = {path.name for path in Path(config.docs_dir).glob("*.md")} | set(OUTSIDE.values())
    named = {page for section in ORDER.values() for page in section}
    sections: dict[str, list[Any]] = {
        title: [page for page in section if page in pages] for title, section in ORDER.items()
    }
    sections["Project"] += sorted(pages - named)
    sections["Commands"] = [f"commands/{name}.md" for name in command_names()]
    sections["Python"] = [f"python/{name}.md" for name in (*KINDS.values(), *PACKAGES)]
    config.nav = [{title: section} for title, section in sections.items() if section]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    made = {page: (ROOT / source).read_text("utf-8") for source, page in OUTSIDE.items()}
    made |= {f"commands/{name}.md": command_page(name) for name in command_names()}
    made |= {f"python/{package}.md": units_page(kind) for kind, package in KINDS.items()}
    made |= {f"python/{name}.md": package_page(module) for name, module in PACKAGES.items()}
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links to files of the repository into links to pages, or into the files' names."""
    uri = page.file.src_uri
    folder = next((source for source, made in OUTSIDE.items() if made == uri), f"docs/{uri}")

    def turned(match: re.Match[str]) -> str:
        target, _, place = match["target"].partition("#")
        if "://" in target or target.startswith("mailto:") or not target:
            return match[0]
        path = ((ROOT / folder).parent / target).resolve()
        with contextlib.suppress(ValueError):
            inside = path.relative_to(ROOT).as_posix()
            wanted = OUTSIDE.get(inside, inside.removeprefix("docs/"))
            wanted = "index.md" if inside == "README.md" else wanted
            if wanted in files.src_uris:
                return f"[{match['text']}]({wanted}{f'#{place}' if place else ''})"
        return match["text"] if "`" in match["text"] else f"`{match['text']}`"

    # Made pages below a folder hold no links of this kind.
    return markdown if "/" in uri else _LINK.sub(turned, markdown)


def command_names() -> list[str]:
    """The commands, sorted."""
    return group.list_commands(click.Context(group))


class Sections(click.HelpFormatter):
    """Keeps the definition lists of a command's help by their headings."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str]]]] = []
        self._title = ""

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Remembers the heading."""
        self._title = name
        yield

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Keeps a list."""
        self.found.append((self._title, list(rows)))


def command_page(name: str) -> str:
    """What `lsp-keras NAME --help` says, as a page."""
    parent = click.Context(group, info_name="lsp-keras")
    command = group.get_command(parent, name)
    if command is None:
        raise ValueError(f"There is no command {name}.")
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"# lsp-keras {name}", *_help_text(command.help or "")]
    parts.append(f"```text\nlsp-keras {name} {usage}\n```")
    formatter = Sections()
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            parts += _inner(command, inner, context)
    command.format_options(context, formatter)
    for title, rows in formatter.found:
        if title != "Commands":
            parts += [f"## {title}", _list(rows)]
    return "\n\n".join(parts) + "\n"


def _inner(command: click.Group, name: str, context: click.Context) -> list[str]:
    """A command of a command."""
    inner = command.get_command(context, name)
    if inner is None:
        return []
    within = click.Context(inner, info_name=name, parent=context)
    formatter = Sections()
    inner.format_options(within, formatter)
    usage = " ".join(inner.collect_usage_pieces(within))
    tables = [_list(rows) for _, rows in formatter.found]
    title = f"{context.info_name} {name}"
    return [
        f"## {title}",
        *_help_text(inner.help or ""),
        f"```text\nlsp-keras {title} {usage}\n```",
        *tables,
    ]


def _help_text(text: str) -> list[str]:
    """Paragraphs as they are; those that Click must not wrap are examples."""
    parts = []
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            lines = [line.strip() for line in paragraph.strip("\b\n ").splitlines()]
            typed = [f"$ {line}" if line.startswith("lsp-keras") else line for line in lines]
            parts.append("\n".join(["```console", *typed, "```"]))
        else:
            parts.append(_plain(" ".join(paragraph.split())))
    return [part for part in parts if part]


def _list(rows: list[tuple[str, str]]) -> str:
    return "\n\n".join(
        f"`{names}`\n:   {_plain(' '.join(text.split())) or '&nbsp;'}" for names, text in rows
    )


def _plain(text: str) -> str:
    """Text that Markdown must take as it is."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)


def units_page(kind: str) -> str:
    """The units of a kind, each by its docstring."""
    package = KINDS[kind]
    parts = [f"# {package}", f"`lsp_keras.{package}`: {_count(kind)} by name."]
    for stem in registry.names(kind):
        module = f"lsp_keras.{package}.{stem}"
        unit = f"{module}.{registry.unit_name(kind, stem)}"
        parts.append(f"::: {unit}\n    options:\n      members: []")
    return "\n\n".join(parts) + "\n"


def _count(kind: str) -> str:
    names = registry.names(kind)
    return f"{len(names)} units that the command line and recipes know"


def package_page(module: str) -> str:
    """A package's public names by their docstrings."""
    name = module.removeprefix("lsp_keras.").split(".")[0]
    return f"# {name}\n\n::: {module}\n    options:\n      show_root_heading: false\n"
