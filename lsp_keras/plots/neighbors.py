"""A picture of a neighbor table: queries with their neighbors and distances."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lsp_keras.storage import atomic_path
from lsp_keras.types import Images, Integers, NeighborTable

_THUMBNAIL = 64
_MARGIN = 6
_CAPTION = 14
_QUERY_GAP = 18
_SAME, _OTHER, _PLAIN = (32, 140, 60), (200, 60, 40), (90, 90, 90)


def draw_sheet(
    path: Path | str,
    images: Images,
    table: NeighborTable,
    *,
    labels: Integers | None = None,
    class_names: tuple[str, ...] = (),
    num_queries: int = 8,
    seed: int = 0,
) -> None:
    """Writes a PNG with one row per query: the query, then its neighbors, nearest first.

    Args:
        path: PNG file.
        images: Images that the table stands for, uint8 `(n, height, width, channels)`.
        table: Neighbor table of the images.
        labels: Where given, a caption is green for the query's label and red for another.
        class_names: Names of the labels, written under the queries.
        num_queries: Rows, drawn at random without replacement.
        seed: Seed of the draw.
    """
    queries = np.random.default_rng(seed).permutation(len(images))[:num_queries]
    step_x, step_y = _THUMBNAIL + _MARGIN, _THUMBNAIL + _CAPTION + _MARGIN
    width = _MARGIN + (table.num_neighbors + 1) * step_x + _QUERY_GAP
    canvas = Image.new("RGB", (width, _MARGIN + len(queries) * step_y), "white")
    draw = ImageDraw.Draw(canvas)
    for line, query in enumerate(queries):
        top = _MARGIN + line * step_y
        canvas.paste(_thumbnail(images[query]), (_MARGIN, top))
        draw.text((_MARGIN, top + _THUMBNAIL), _query_caption(query, labels, class_names), _PLAIN)
        for column, row in enumerate(table.indices[query], start=1):
            left = _MARGIN + column * step_x + _QUERY_GAP
            canvas.paste(_thumbnail(images[row]), (left, top))
            caption = f"{table.distances[query, column - 1]:#.3g}"
            draw.text((left, top + _THUMBNAIL), caption, _color(query, row, labels))
    with atomic_path(path) as temporary:
        canvas.save(temporary, format="PNG", optimize=True)


def _thumbnail(image: Images) -> Image.Image:
    picture = Image.fromarray(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image)
    return picture.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)


def _query_caption(query: int, labels: Integers | None, class_names: tuple[str, ...]) -> str:
    if labels is None or not class_names:
        return f"#{query}"
    return class_names[labels[query]][:11]


def _color(query: int, row: int, labels: Integers | None) -> tuple[int, int, int]:
    if labels is None:
        return _PLAIN
    return _SAME if labels[query] == labels[row] else _OTHER
