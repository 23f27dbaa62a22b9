"""A picture of attacked images: clean, perturbed, and what was added."""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lsp_keras.storage import atomic_path

_CELL, _MARGIN, _CAPTION, _FONT_SIZE = 96, 8, 18, 12
_TITLES = ("clean", "perturbed", "difference, enlarged")
_INK, _BROKEN, _ROBUST = (40, 40, 40), (190, 40, 30), (20, 120, 50)


def draw_examples(
    examples: Path, path: Path, class_names: Sequence[str], *, num_images: int = 8
) -> None:
    """Draws some attacked images, those that fooled the model first.

    A difference is shown around gray, enlarged until its largest change is black or white.

    Args:
        examples: A file as `lsp_keras.evaluation.evaluate` keeps them.
        path: PNG file.
        class_names: Names of the classes in label order.
        num_images: Most rows that are drawn.
    """
    with np.load(examples, allow_pickle=False) as arrays:
        chosen = np.argsort(~arrays["success"], kind="stable")[:num_images]
        kept = {key: arrays[key][chosen] for key in ("success", "labels", "predictions")}
    kept |= {key: _rows_of(examples, key, chosen) for key in ("clean", "adversarial")}
    rows = range(len(chosen))
    font = ImageFont.load_default(_FONT_SIZE)
    column, line = _CELL + _MARGIN, _CELL + _CAPTION + _MARGIN
    last = max(column, int(font.getlength(_TITLES[-1])) + _MARGIN)
    size = (_MARGIN + 2 * column + last, _CAPTION + _MARGIN + len(rows) * line)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for place, title in enumerate(_TITLES):
        draw.text((_MARGIN + place * column, _MARGIN / 2), title, _INK, font)
    for number, row in enumerate(rows):
        top = _CAPTION + _MARGIN + number * line
        clean, moved = kept["clean"][row], kept["adversarial"][row]
        for place, pixels in enumerate((clean, moved, _enlarged(moved - clean))):
            sheet.paste(_thumbnail(pixels), (_MARGIN + place * column, top))
        truth, answer = (class_names[kept[key][row]] for key in ("labels", "predictions"))
        color = _BROKEN if kept["success"][row] else _ROBUST
        draw.text((_MARGIN, top + _CELL), truth, _INK, font)
        draw.text((_MARGIN + column, top + _CELL), answer, color, font)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def _rows_of(examples: Path, key: str, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Some rows of an array, without the others in memory: there may be tens of gigabytes."""
    with zipfile.ZipFile(examples) as archive, archive.open(f"{key}.npy") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        start, size = file.tell(), math.prod(shape[1:]) * dtype.itemsize
        found = np.empty((len(rows), *shape[1:]), dtype)
        for place in np.argsort(rows):
            file.seek(start + int(rows[place]) * size)
            found[place] = np.frombuffer(file.read(size), dtype).reshape(shape[1:])
    return found


def _enlarged(difference: Any) -> Any:
    largest = float(np.abs(difference).max())
    return 0.5 + 0.5 * difference / largest if largest else np.full_like(difference, 0.5)


def _thumbnail(pixels: Any) -> Image.Image:
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    image = Image.fromarray(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
    return image.resize((_CELL, _CELL), Image.Resampling.NEAREST)
