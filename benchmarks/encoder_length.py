"""How long an encoder is worth training: its k-NN accuracy by the number of epochs.

One run at a constant learning rate is trained through; at each length in turn, its weights are
kept, the last fifth of that length is trained with a rate that falls in a line to zero, the encoder
is measured, and the run goes on from the weights that were kept. So a length costs a quarter more
than a checkpoint and is measured as a training of its own, not as the middle of a longer one; what
differs from `lsp-keras pretrain` is its cosine.

    python benchmarks/encoder_length.py --dataset svhn --width 8
    python benchmarks/encoder_length.py --dataset cifar10 --num-train 2000 --lengths 5 10 20 40
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from _report import print_header

from lsp_keras import datasets, registry
from lsp_keras.models._encoder import compiled_encoder
from lsp_keras.neighbors import MiningSettings, diagnose, image_features, knn_accuracy, mine
from lsp_keras.pretraining import MoCoTrainer, PretrainSettings
from lsp_keras.pretraining.pretrain import view_batches
from lsp_keras.training.optimizer import CoupledSGD
from lsp_keras.training.run import make_deterministic
from lsp_keras.training.state import variables_of
from lsp_keras.types import Dataset, Floats

_FALLING_PART = 5  # the last fifth
_REFERENCE_BATCH = 512


class Encoder:
    """A contrastive training whose learning rate is set before each step.

    Args:
        dataset: Its training images are learned, its others measure.
        settings: Resolved.
    """

    def __init__(self, dataset: Dataset, settings: PretrainSettings) -> None:
        self._dataset, self._settings = dataset, settings
        info = dataset.info
        backbone = registry.get("model", settings.model)(
            info.num_classes,
            input_shape=info.image_shape,
            width=settings.width,
            mean=info.mean,
            std=info.std,
            seed=settings.seed,
        )
        self._trainer = MoCoTrainer(
            backbone,
            queue_size=settings.queue_size or 0,
            symmetric=settings.symmetric,
            batch_norm_splits=settings.batch_norm_splits,
            seed=settings.seed,
        )
        self._highest = settings.learning_rate * (settings.batch_size or 0) / _REFERENCE_BATCH
        self._trainer.compile(
            CoupledSGD(
                self._highest, momentum=0.9, nesterov=False, weight_decay=settings.weight_decay
            )
        )
        self._variables = variables_of(self._trainer)
        self._step = tf.function(self._trainer.train_step)
        self._encode = compiled_encoder(self._trainer.encoder)

    def train(self, epochs: range, falls_from: int | None = None) -> None:
        """Some epochs at the highest rate, or at one that falls to zero from an epoch on."""
        for epoch in epochs:
            batches = view_batches(self._dataset, self._settings, epoch)
            steps = int(batches.cardinality())
            for step, views in enumerate(batches):
                left = 1.0
                if falls_from is not None:
                    done = (epoch - falls_from) * steps + step
                    left = 1.0 - done / ((epochs.stop - falls_from) * steps)
                self._trainer.optimizer.learning_rate = self._highest * left
                self._step(views)

    def state(self) -> dict[str, Floats]:
        """All variables."""
        return {name: np.asarray(variable).copy() for name, variable in self._variables.items()}

    def go_back(self, state: dict[str, Floats]) -> None:
        """Sets them."""
        for name, variable in self._variables.items():
            variable.assign(state[name])

    def measure(self) -> tuple[float, float, float]:
        """k-NN accuracy with k = 200 and k = 20 on other images; purity of the 8 neighbors."""
        data = self._dataset
        others = [data.validation, data.test.take(2000)]
        found = image_features(data.train.images, self._encode)
        asked = np.concatenate([image_features(split.images, self._encode) for split in others])
        labels = np.concatenate([split.labels for split in others])
        wide, narrow = (
            knn_accuracy(found, data.train.labels, asked, labels, num_neighbors=number)
            for number in (200, 20)
        )
        table = mine(data.train.images, MiningSettings(), embeddings=found)
        return wide, narrow, diagnose(table, data.train.labels)["label_purity"]


def measure_lengths(dataset: Dataset, settings: PretrainSettings, lengths: list[int]) -> None:
    """Prints a row of the table for each length."""
    steps = len(dataset.train) // (settings.batch_size or 1)
    encoder, done = Encoder(dataset, settings), 0
    seconds = 0.0  # of the part at the constant rate
    _print_row(0, 0, 0.0, encoder.measure())
    for length in lengths:
        falls_from = length - max(1, length // _FALLING_PART)
        started = time.process_time()
        encoder.train(range(done, falls_from))
        done, seconds = falls_from, seconds + time.process_time() - started
        kept, started = encoder.state(), time.process_time()
        encoder.train(range(falls_from, length), falls_from)
        spent = seconds + time.process_time() - started
        _print_row(length, length * steps, spent, encoder.measure())
        encoder.go_back(kept)


def _print_row(epochs: int, steps: int, seconds: float, found: tuple[float, float, float]) -> None:
    shares = " | ".join(f"{share:.1%}" for share in found)
    print(f"| {epochs} | {steps:,} | {seconds:.0f} | {shares} |", flush=True)


def main() -> None:
    parser: Any = argparse.ArgumentParser(description="k-NN accuracy by length of training")
    parser.add_argument("--dataset", default="svhn")
    parser.add_argument("--num-train", type=int)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--lengths", type=int, nargs="+", default=[5, 10, 20, 40, 80, 160, 200])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    make_deterministic(options.seed)
    dataset = datasets.load(options.dataset, data_dir=options.data_dir, num_train=options.num_train)
    settings = PretrainSettings(width=options.width, seed=options.seed)
    settings = settings.resolved(len(dataset.train))
    print_header(Path(__file__))
    print(
        f"{len(dataset.train):,} images of {dataset.info.name}, batch {settings.batch_size}, "
        f"queue {settings.queue_size}, width {settings.width}, both views are queries\n"
    )
    print("| epochs | steps | processor s | k-NN, k = 200 | k = 20 | purity of 8 neighbors |")
    print("|---|---|---|---|---|---|", flush=True)
    measure_lengths(dataset, settings, options.lengths)


if __name__ == "__main__":
    main()
