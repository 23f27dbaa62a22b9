"""The page itself: one HTML file that needs nothing beside it."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lsp_keras
from lsp_keras.reports.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from lsp_keras.reports.view import comparison
from lsp_keras.storage import atomic_path

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(path: Path, views: Sequence[Mapping[str, Any]], *, command: str) -> None:
    """Writes the report.

    Args:
        path: HTML file.
        views: What is shown of each model, as `lsp_keras.reports.view.view_of` makes it.
        command: What was typed to make the page.
    """
    text = render(views, command=command)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(views: Sequence[Mapping[str, Any]], *, command: str) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["short"] = lambda value: f"{value:.3g}"
    canvas = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT}
    canvas |= {"top": TOP, "bottom": HEIGHT - BOTTOM}
    return environment.get_template("report.html.j2").render(
        views=views,
        compared=comparison(list(views)) if len(views) > 1 else [],
        command=command,
        version=lsp_keras.__version__,
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        canvas=canvas,
    )
