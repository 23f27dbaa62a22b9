"""The same attack on a robust and on a standard network of the zoo, and a picture of both.

Without a dataset it cuts images out of two photographs that come with scikit-learn. They have no
label of CIFAR-10, so what counts is whether the attack changes a network's own answer.

    python examples/two_networks.py
    python examples/two_networks.py --dataset cifar10 --output docs/images/two_networks.png
"""

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image, ImageDraw, ImageFont

NETWORKS = {"standard": "zoo:cifar10_standard", "robust": "zoo:cifar10_robust"}
EPSILON = "8/255"
CELL, MARGIN, LINE = 128, 12, 18


def main() -> None:
    """Attacks both networks, prints what changed, and draws the images."""
    options = read_options()
    images, labels = find_images(options)
    answers = {name: attack(path, images, labels) for name, path in NETWORKS.items()}
    for name, found in answers.items():
        wanted = found["clean"] if labels is None else labels
        before, after = (np.sum(found[key] == wanted) for key in ("clean", "perturbed"))
        print(f"{name:8} network: {after} of {before} answers stand under PGD-50 at {EPSILON}.")
    draw(images, answers, pick(answers, labels, options.num_rows), options.output)
    print(f"Picture: {options.output}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="cifar10: its test images, attacked at their labels")
    parser.add_argument("--data-dir", type=Path, help="where TFDS keeps its data")
    parser.add_argument("--num-images", type=int, default=64)
    parser.add_argument("--num-rows", type=int, default=4, help="images in the picture")
    parser.add_argument("--output", type=Path, default=Path("two_networks.png"))
    return parser.parse_args()


def find_images(options: argparse.Namespace) -> tuple[Any, Any]:
    """float32 images `(n, 32, 32, 3)` in [0, 1], and their labels or `None`."""
    if options.dataset:
        from lsp_keras import datasets

        test = datasets.load(options.dataset, data_dir=options.data_dir).test
        test = test.take(options.num_images)
        return test.images.astype(np.float32) / 255, test.labels
    from sklearn.datasets import load_sample_images

    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    rng = np.random.default_rng(0)
    pieces = []
    for number in range(options.num_images):
        photograph = photographs[number % len(photographs)]
        side = int(rng.integers(96, 320))
        left, top = (int(rng.integers(0, size - side)) for size in photograph.size)
        piece = photograph.resize((32, 32), box=(left, top, left + side, top + side))
        pieces.append(np.asarray(piece, np.float32) / 255)
    return np.stack(pieces), None


def attack(path: str, images: Any, labels: Any) -> dict[str, Any]:
    """A network's answers before and after PGD, which moves it away from label or answer."""
    from lsp_keras import zoo
    from lsp_keras.attacks import PGD
    from lsp_keras.classifiers import load_classifier

    network = load_classifier(path)
    clean = np.argmax(network(images), axis=1)
    pgd = PGD(epsilon=EPSILON, num_steps=50)
    result = pgd(network.model, images, clean if labels is None else labels, seed=0)
    perturbed = np.argmax(network(result.images), axis=1)
    names = zoo.card(path.removeprefix(zoo.PREFIX))["class_names"]
    return {"clean": clean, "perturbed": perturbed, "images": result.images, "names": names}


def pick(answers: dict[str, Any], labels: Any, count: int) -> list[int]:
    """Images that both networks get right and that fool the standard one only, of many classes."""
    standard, robust = answers["standard"], answers["robust"]
    right = True if labels is None else standard["clean"] == labels
    shown = right & (
        (standard["clean"] == robust["clean"])
        & (standard["clean"] != standard["perturbed"])
        & (robust["clean"] == robust["perturbed"])
    )
    rows = [int(row) for row in np.flatnonzero(shown)]
    first = {int(standard["clean"][row]): row for row in reversed(rows)}
    return sorted(first.values())[:count]


def draw(images: Any, answers: dict[str, Any], rows: list[int], path: Path) -> None:
    """Each row: the image, what was added for each network, and the answers below."""
    titles = ["image", "added (x 8)", "standard answers", "added (x 8)", "robust answers"]
    column, line = CELL + MARGIN, CELL + LINE + MARGIN
    sheet = Image.new("RGB", (MARGIN + 5 * column, LINE + MARGIN + len(rows) * line), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, title in enumerate(titles):
        pen.text((MARGIN + place * column, 6), title, "black", font)
    for number, row in enumerate(rows):
        top = LINE + MARGIN + number * line
        cells: list[tuple[Any, str, str]] = [(images[row], "", "black")]
        for found in answers.values():
            moved = found["images"][row]
            before, after = (found["names"][found[key][row]] for key in ("clean", "perturbed"))
            color = "#a02020" if before != after else "#207030"
            cells.append((0.5 + 8 * (moved - images[row]), "", "black"))
            cells.append((moved, after, color))
            cells[0] = (images[row], before, "black")
        for place, (pixels, text, color) in enumerate(cells):
            left = MARGIN + place * column
            cell = Image.fromarray(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
            sheet.paste(cell.resize((CELL, CELL), Image.Resampling.NEAREST), (left, top))
            pen.text((left, top + CELL + 2), text, color, font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


if __name__ == "__main__":
    main()
