"""A contact sheet: one row of images for each class."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lsp_keras.types import Examples, Images

_CELL = 64
_MARGIN = 4
_FONT_SIZE = 14
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def contact_sheet(
    split: Examples, class_names: tuple[str, ...], *, num_columns: int = 10, max_rows: int = 20
) -> Image.Image:
    """Draws the first images of each class beside its name.

    Args:
        split: Images to choose from.
        class_names: Names of the classes in label order.
        num_columns: Images of each class.
        max_rows: Classes that are drawn; the first ones, where there are more.

    Returns:
        An RGB picture.
    """
    names = class_names[:max_rows]
    font = ImageFont.load_default(_FONT_SIZE)
    # The names, the longest of which may be long, stand in a column of their own.
    left = 2 * _MARGIN + max(int(font.getlength(name)) + 1 for name in names)
    step = _CELL + _MARGIN
    size = (left + num_columns * step, _MARGIN + len(names) * step)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for label, name in enumerate(names):
        top = _MARGIN + label * step
        draw.text((_MARGIN, top + _CELL / 2), name, fill=_INK, font=font, anchor="lm")
        rows = np.flatnonzero(split.labels == label)[:num_columns]
        for column, row in enumerate(rows):
            sheet.paste(_thumbnail(split.images[row]), (left + column * step, top))
    return sheet


def _thumbnail(image: Images) -> Image.Image:
    """The image in a cell's size; pixels of small images stay visible as squares."""
    if image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    enlarged = max(image.shape[:2]) <= _CELL
    method = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    return Image.fromarray(image).resize((_CELL, _CELL), method)
