"""Memory that batches take as the data grow: images in files beside images in memory.

python benchmarks/data.py --size 64 --counts 10000 50000 200000
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _report import print_header

_AT_ONCE = 1000


def main() -> None:
    """Prints one row for each number of images, each measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--neighbors", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="for the files; default a temporary one")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure, options)
        return
    print_header(Path(__file__))
    print("| images | decoded, GB | files, GB | peak memory, GB | of that batches | images/s |")
    print("|---|---|---|---|---|---|", flush=True)
    for count in options.counts:
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            write(folder / "data", count, options.size)
            command = [sys.executable, __file__, "--measure", str(folder / "data")]
            for name in ("size", "steps", "neighbors", "batch_size"):
                command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
            found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peak, batches, rate = found.split()[-3:]
            decoded = count * options.size**2 * 3 / 1e9
            held = sum(path.stat().st_size for path in (folder / "data").iterdir()) / 1e9
            print(f"| {count:,} | {decoded:.2f} | {held:.2f} | {peak} | {batches} | {rate} |")
            sys.stdout.flush()
        finally:
            shutil.rmtree(folder)


def write(folder: Path, count: int, size: int) -> None:
    """A prepared dataset of random images, made piece by piece."""
    from lsp_keras.datasets._base import Chunks, OpenSource, SourceSplit
    from lsp_keras.datasets.prepared.source import write_prepared
    from lsp_keras.types import Integers

    def split_of(number: int) -> SourceSplit:
        labels = np.arange(number) % 10

        def read(positions: Integers) -> Chunks:
            for start in range(0, len(positions), _AT_ONCE):
                rows = positions[start : start + _AT_ONCE]
                yield np.concatenate(list(map_images(rows, size))), labels[rows]

        return SourceSplit(np.arange(number), labels, read)

    splits = {"train": count, "test": 100}
    opened = OpenSource(
        class_names=tuple(map(str, range(10))),
        image_shape=(size, size, 3),
        split_sizes=splits,
        train=split_of(splits["train"]),
        test=split_of(splits["test"]),
        version="benchmark",
        citation="",
    )
    write_prepared(opened, "benchmark", None, folder, lambda *_: None)


def map_images(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Smooth images, one for each row, which compress about as photographs do."""
    for row in rows:
        rng = np.random.default_rng(int(row))
        coarse = rng.integers(0, 256, (1, size // 8, size // 8, 3))
        image = coarse.repeat(8, axis=1).repeat(8, axis=2)
        yield np.clip(image + rng.integers(-8, 9, image.shape), 0, 255).astype(np.uint8)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Prints peak memory, what of it came with the batches, and images a second."""
    from lsp_keras.augmentations import Crop
    from lsp_keras.datasets import load, make_batches
    from lsp_keras.types import NeighborTable

    train = load(f"prepared:{folder}", validation_size=100).train
    before = peak()
    rng = np.random.default_rng(0)
    shape = (len(train), options.neighbors)
    indices = rng.integers(0, len(train), shape)
    table = NeighborTable(indices, np.ones(shape, np.float32), {})
    batches = make_batches(
        train,
        batch_size=options.batch_size,
        shuffle=True,
        neighbors=table,
        augment=Crop(),
        num_epochs=1000,
    )
    started = time.monotonic()
    for _ in batches.take(options.steps):
        pass
    seconds = time.monotonic() - started
    images = options.steps * options.batch_size * (1 + options.neighbors)
    print(f"{peak():.2f} {peak() - before:.2f} {images / seconds:.0f}")


def peak() -> float:
    """Largest memory of the process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
