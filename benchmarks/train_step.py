"""What a training step costs: standard, LSP, AT and LSP+ side by side, the pipeline included.

Random images of CIFAR-10's size go through the whole of what `fit` does in an epoch: gathering,
crop and flip, neighbors or features, the attack, forward and backward passes, the update. The
rows take turns, so that a machine that slows down slows all. Ratios are of processor time, which
does not count what other processes take; on a GPU, of wall time.

    python benchmarks/train_step.py --widths 8,16 --batch-size 128
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _report import header, print_header

from lsp_keras import registry
from lsp_keras.attacks.pgd import PGD
from lsp_keras.augmentations.crop_flip import CropFlip
from lsp_keras.datasets import EpochBatches
from lsp_keras.methods import ATTrainer, RobustTrainer, StandardTrainer, StepOptions
from lsp_keras.regularizers import FEATURES, LFRC, LSP, NEIGHBORS, Regularizer
from lsp_keras.training import CoupledSGD
from lsp_keras.types import Examples, NeighborTable

NUM_CLASSES = 10
FEATURE_SIZE = 512


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        adversarial: Whether it trains on the images of an attack.
        regularizers: Terms that it adds.
        fused: Whether its batch normalizations are fused and, in the attack, folded.
        base: Row that its cost is divided by.
    """

    adversarial: bool = False
    regularizers: tuple[Regularizer, ...] = ()
    fused: bool = True
    base: str = "standard"


ROWS = {
    "standard": Row(),
    "standard, Keras's BatchNorm": Row(fused=False),
    "LSP, fresh": Row(regularizers=(LSP(),)),
    "LSP, batch": Row(regularizers=(LSP(neighbors="batch"),)),
    "LSP, batch, kernel": Row(regularizers=(LSP(neighbors="batch", target="kernel"),)),
    "AT": Row(adversarial=True, base="AT"),
    "AT, Keras's BatchNorm": Row(adversarial=True, fused=False, base="AT"),
    "LSP+, fresh": Row(adversarial=True, regularizers=(LSP(),), base="AT"),
    "LSP+, batch": Row(adversarial=True, regularizers=(LSP(neighbors="batch"),), base="AT"),
    "LSP+, batch, kernel": Row(
        adversarial=True, regularizers=(LSP(neighbors="batch", target="kernel"),), base="AT"
    ),
    "AT + lfrc": Row(adversarial=True, regularizers=(LFRC(),), base="AT"),
}


@dataclass(frozen=True)
class Cost:
    """Seconds of one epoch of the benchmark.

    Attributes:
        wall: Seconds by the clock.
        processor: Seconds of all cores together.
    """

    wall: float
    processor: float


Costs = dict[str, list[Cost]]


def main() -> None:
    """Measures every width and prints one table, or JSON."""
    options = parse()
    if options.mixed_precision:
        keras.config.set_dtype_policy(options.mixed_precision)
    costs = {width: measure(width, options) for width in options.widths}
    if options.json:
        seconds = {
            width: {name: [vars(cost) for cost in values] for name, values in rows.items()}
            for width, rows in costs.items()
        }
        print(json.dumps(header(Path(__file__)) | {"seconds": seconds}, indent=2))
    else:
        print_header(Path(__file__))
        print_table(costs, options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18", choices=registry.names("model"))
    parser.add_argument("--stem", help="first layers of the model, as in `fit --stem`")
    parser.add_argument("--widths", type=numbers, default=[8, 16], help="default 8,16")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--neighbors", type=int, default=8, help="m of LSP")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--attack-steps", type=int, default=10, help="of AT's PGD")
    parser.add_argument("--steps", type=int, default=5, help="in each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--xla", action="store_true", help="compile the step with XLA")
    parser.add_argument("--mixed-precision", choices=["mixed_float16", "mixed_bfloat16"])
    parser.add_argument("--json", action="store_true", help="print every repeat as JSON")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    """`"8,16"` as a list."""
    return [int(part) for part in text.split(",")]


def measure(width: int, options: argparse.Namespace) -> Costs:
    """Costs of each row, one for each repeat."""
    runs = {}
    for name in options.rows:
        trainer = build(ROWS[name], width, options)
        batches = make_batches(ROWS[name], options)
        run(trainer, batches, 0)  # compiles
        runs[name] = trainer, batches
    costs: Costs = {name: [] for name in runs}
    for repeat in range(1, options.repeats + 1):
        for name, (trainer, batches) in runs.items():
            costs[name].append(run(trainer, batches, repeat))
    return costs


def build(row: Row, width: int, options: argparse.Namespace) -> RobustTrainer:
    """The row's trainer, compiled."""
    shape = (options.image_size, options.image_size, 3)
    stem = {} if options.stem is None else {"stem": options.stem}
    build_model = registry.get("model", options.model)
    classifier = build_model(NUM_CLASSES, input_shape=shape, width=width, **stem)
    if row.adversarial:
        attack = PGD(epsilon="8/255", step_size="2/255", num_steps=options.attack_steps)
        trainer: RobustTrainer = ATTrainer(classifier, attack=attack, regularizers=row.regularizers)
    else:
        trainer = StandardTrainer(classifier, regularizers=row.regularizers)
    trainer.configure(StepOptions(fused=row.fused))
    trainer.compile(CoupledSGD(0.01), metrics=["accuracy"], jit_compile=options.xla)
    return trainer


def make_batches(row: Row, options: argparse.Namespace) -> EpochBatches:
    """Random images with what the row needs of neighbors."""
    rng = np.random.default_rng(0)
    count, size = options.steps * options.batch_size, options.image_size
    images = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    needs = frozenset[str]().union(*(item.needs for item in row.regularizers))
    table = None
    if NEIGHBORS in needs:
        offsets = rng.integers(1, count, (count, options.neighbors))
        rows = (np.arange(count)[:, None] + offsets) % count
        table = NeighborTable(rows, rng.random(rows.shape, np.float32), {})
    features = rng.normal(size=(count, FEATURE_SIZE)).astype(np.float16)
    return EpochBatches(
        Examples(images, rng.integers(0, NUM_CLASSES, count), np.arange(count)),
        batch_size=options.batch_size,
        shuffle=True,
        augment=CropFlip(),
        neighbors=table,
        features=features if FEATURES in needs else None,
        drop_remainder=True,
    )


def run(trainer: RobustTrainer, batches: EpochBatches, epoch: int) -> Cost:
    """One epoch; its last logs are read, so the device is done."""
    data: tf.data.Dataset = batches(epoch)
    wall, processor = time.perf_counter(), _processor_seconds()
    trainer.fit(data, verbose=0, shuffle=False)
    return Cost(time.perf_counter() - wall, _processor_seconds() - processor)


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def print_table(costs: dict[int, Costs], options: argparse.Namespace) -> None:
    """Median and range of each row, and its cost as a multiple of its base."""
    count = options.steps * options.batch_size
    print("| width | row | images/s | range | processor ms an image | times its base | base |")
    print("|---|---|---|---|---|---|---|")
    for width, rows in costs.items():
        for name, values in rows.items():
            rates = [count / cost.wall for cost in values]
            milliseconds = statistics.median(1000 * cost.processor / count for cost in values)
            print(
                f"| {width} | {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to "
                f"{max(rates):,.0f} | {milliseconds:.2f} | {ratio(rows, name)} | "
                f"{ROWS[name].base} |"
            )


def ratio(rows: Costs, name: str) -> str:
    """Median over the repeats of the row's cost divided by its base's, and the range."""
    base = rows.get(ROWS[name].base)
    if base is None:
        return "-"
    found = list(_ratios(rows[name], base))
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def _ratios(costs: list[Cost], base: list[Cost]) -> Iterator[float]:
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    for one, other in zip(costs, base, strict=True):
        yield one.wall / other.wall if on_gpu else one.processor / other.processor


if __name__ == "__main__":
    main()
