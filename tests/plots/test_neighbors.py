"""The sheet shows the queries' neighbors in order."""

from pathlib import Path

import numpy as np
from PIL import Image

from lsp_keras.plots.neighbors import draw_sheet
from lsp_keras.types import NeighborTable


def test_each_thumbnail_is_the_neighbor_at_its_place(tmp_path: Path) -> None:
    # Image i is a plain gray of 40 * i, so that a pixel tells which image lies there.
    images = np.repeat(np.arange(5, dtype=np.uint8) * 40, 4 * 4 * 3).reshape(5, 4, 4, 3)
    indices = np.array([[1, 2], [2, 3], [3, 4], [4, 0], [0, 1]])
    table = NeighborTable(indices, np.ones((5, 2), np.float32), {})
    path = tmp_path / "sheet.png"
    draw_sheet(path, images, table, num_queries=3, seed=5)
    pixels = np.asarray(Image.open(path))
    for line, query in enumerate(np.random.default_rng(5).permutation(5)[:3]):
        y = 6 + line * 84 + 32
        shown = [pixels[y, x, 0] // 40 for x in (6 + 32, 6 + 70 + 18 + 32, 6 + 140 + 18 + 32)]
        assert shown == [query, *indices[query]]
