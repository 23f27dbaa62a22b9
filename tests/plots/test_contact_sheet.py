"""Contact sheets: which image is drawn where."""

import numpy as np
import pytest

from lsp_keras.plots.contact_sheet import contact_sheet
from lsp_keras.types import Examples

CELL, MARGIN = 64, 4


def make_split(side: int, channels: int = 3) -> Examples:
    """Image i is gray with value 20 * i; labels 0, 1, 0, 1, ..."""
    values = (20 * np.arange(8, dtype=np.uint8)).reshape(-1, 1, 1, 1)
    images = np.broadcast_to(values, (8, side, side, channels)).copy()
    return Examples(images, np.arange(8) % 2, np.arange(8))


@pytest.mark.parametrize(("side", "channels"), [(16, 3), (16, 1), (100, 3)])
def test_rows_are_classes_and_columns_their_first_images(side, channels):
    sheet = np.asarray(contact_sheet(make_split(side, channels), ("x", "y"), num_columns=3))
    step = CELL + MARGIN
    assert sheet.shape[0] == 2 * step + MARGIN
    left = sheet.shape[1] - 3 * step
    for label in range(2):
        for column in range(3):
            top, start = MARGIN + label * step, left + column * step
            cell = sheet[top : top + CELL, start : start + CELL]
            assert (cell == 20 * (2 * column + label)).all()
    # The names are written to the left of the images.
    assert (sheet[:, :left] < 128).any()


def test_pixels_of_small_images_stay_squares():
    split = make_split(2)
    split.images[0, 0, 1] = (255, 0, 0)
    sheet = np.asarray(contact_sheet(split, ("x", "y"), num_columns=1))
    red = (sheet == (255, 0, 0)).all(-1)
    assert red.sum() == (CELL // 2) ** 2


def test_of_many_classes_the_first_are_drawn():
    names = tuple(f"class {index}" for index in range(50))
    sheet = contact_sheet(make_split(16), names, max_rows=5)
    assert sheet.height == 5 * (CELL + MARGIN) + MARGIN
