"""Images per second of one training step: standard, LSP, AT and LSP+ side by side.

Random images that lie ready in memory, so that only the step is measured: forward and backward
passes, the attack, the update. The rows take turns, so that a machine that slows down slows all.

    python benchmarks/train_step.py --widths 16,64 --batch-size 128
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _report import header, print_header

from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods import ATTrainer, RobustTrainer, StandardTrainer
from lsp_keras.models import resnet18
from lsp_keras.regularizers import LSP
from lsp_keras.training import CoupledSGD

NUM_CLASSES = 10
METHODS: dict[str, Callable[..., RobustTrainer]] = {
    "standard": StandardTrainer,
    "LSP": lambda classifier: StandardTrainer(classifier, regularizers=[LSP()]),
    "AT": lambda classifier: ATTrainer(classifier, attack=inner_attack()),
    "LSP+": lambda classifier: ATTrainer(classifier, attack=inner_attack(), regularizers=[LSP()]),
}
Rates = dict[str, list[float]]


def main() -> None:
    """Measures every width and prints one table, or JSON."""
    options = parse()
    if options.mixed_precision:
        keras.config.set_dtype_policy(options.mixed_precision)
    rates = {width: measure(width, options) for width in options.widths}
    if options.json:
        print(json.dumps(header(Path(__file__)) | {"images_per_second": rates}, indent=2))
    else:
        print_header(Path(__file__))
        print_table(rates)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=numbers, default=[16, 64], help="default 16,64")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--neighbors", type=int, default=8, help="m of LSP")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5, help="in each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--xla", action="store_true", help="compile the step with XLA")
    parser.add_argument("--mixed-precision", choices=["mixed_float16", "mixed_bfloat16"])
    parser.add_argument("--json", action="store_true", help="print every repeat as JSON")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    """`"16,64"` as a list."""
    return [int(part) for part in text.split(",")]


def inner_attack() -> PGD:
    """The papers' attack in training."""
    return PGD(epsilon="8/255", step_size="2/255", num_steps=10)


def measure(width: int, options: argparse.Namespace) -> Rates:
    """Images per second of each method, one value per repeat."""
    batches = make_batches(options)
    shape = (options.image_size, options.image_size, 3)
    trainers = {}
    for name, build in METHODS.items():
        trainer = build(resnet18(NUM_CLASSES, input_shape=shape, width=width))
        trainer.compile(CoupledSGD(0.01), jit_compile=options.xla)
        run(trainer, batches)  # compiles
        trainers[name] = trainer
    rates: Rates = {name: [] for name in METHODS}
    for _ in range(options.repeats):
        for name, trainer in trainers.items():
            seconds = run(trainer, batches)
            rates[name].append(options.steps * options.batch_size / seconds)
    return rates


def make_batches(options: argparse.Namespace) -> tf.data.Dataset:
    """One random batch, again and again."""
    rng = np.random.default_rng(0)
    count, neighbors, size = options.batch_size, options.neighbors, options.image_size
    batch: dict[str, Any] = {
        "images": rng.random((count, size, size, 3), dtype=np.float32),
        "labels": rng.integers(0, NUM_CLASSES, count),
        "indices": np.arange(count),
        "neighbor_images": rng.random((count, neighbors, size, size, 3), dtype=np.float32),
        "neighbor_distances": rng.random((count, neighbors), dtype=np.float32),
    }
    return tf.data.Dataset.from_tensors(batch).repeat(options.steps)


def run(trainer: RobustTrainer, batches: tf.data.Dataset) -> float:
    """Seconds for one pass over the batches; the last logs are read, so the device is done."""
    start = time.perf_counter()
    trainer.fit(batches, verbose=0, shuffle=False)
    return time.perf_counter() - start


def print_table(rates: dict[int, Rates]) -> None:
    """Median and range of each row, and its cost as a multiple of standard training."""
    print("| width | method | images/s, median | range | time per image, standard = 1 |")
    print("|---|---|---|---|---|")
    for width, by_method in rates.items():
        standard = statistics.median(by_method["standard"])
        for name, values in by_method.items():
            median = statistics.median(values)
            spread = f"{min(values):,.0f} to {max(values):,.0f}"
            print(f"| {width} | {name} | {median:,.0f} | {spread} | {standard / median:.1f} |")


if __name__ == "__main__":
    main()
