"""How long an encoder is worth training: its k-NN accuracy by the number of epochs.

One run at a constant learning rate is trained through; at each length in turn, its weights are
kept, the last fifth of that length is trained with a rate that falls in a line to zero, the encoder
is measured, and the run goes on from the weights that were kept. So a length costs a quarter more
than a checkpoint and is measured as a training of its own, not as the middle of a longer one; what
differs from `lsp-keras pretrain` is its cosine.

    python benchmarks/encoder_length.py --data-dir DIR --budget 600
    python benchmarks/encoder_length.py --parts cifar10:2000 --lengths 5 10 20 40

Each row is kept as soon as it is measured, with the weights to go on from, and the same command
given again goes on: the cheapest row of all parts is next, until the budget of processor seconds is
used up. The default length, `lsp_keras.pretraining.usual_epochs`, stands beside the findings.
"""

import argparse
import csv
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from _report import print_header

from lsp_keras import datasets, registry
from lsp_keras.models._encoder import compiled_encoder
from lsp_keras.neighbors import MiningSettings, diagnose, image_features, knn_accuracy, mine
from lsp_keras.pretraining import MoCoTrainer, PretrainSettings, usual_epochs
from lsp_keras.pretraining.pretrain import view_batches
from lsp_keras.storage import atomic_path
from lsp_keras.training.optimizer import CoupledSGD
from lsp_keras.training.run import make_deterministic
from lsp_keras.training.state import variables_of
from lsp_keras.types import Dataset, Floats

_FALLING_PART = 5  # the last fifth
_REFERENCE_BATCH = 512
_PARTS = ("svhn", "cifar10:2000", "cifar10:10000")
_LENGTHS = (0, 5, 10, 20, 40, 80, 160, 200)
_COLUMNS = ("epochs", "steps", "seconds", "knn_200", "knn_20", "purity", "asked")
_DONE, _SECONDS = "done", "seconds"


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

    def measure(self) -> dict[str, float]:
        """k-NN accuracy with k = 200 and k = 20 on other images; purity of the 8 neighbors."""
        data = self._dataset
        others = [data.validation, data.test.take(2000)]
        found = image_features(data.train.images, self._encode)
        asked = np.concatenate([image_features(split.images, self._encode) for split in others])
        labels = np.concatenate([split.labels for split in others])
        accuracy = {
            f"knn_{number}": knn_accuracy(
                found, data.train.labels, asked, labels, num_neighbors=number
            )
            for number in (200, 20)
        }
        table = mine(data.train.images, MiningSettings(), embeddings=found)
        purity = diagnose(table, data.train.labels)["label_purity"]
        return {**accuracy, "purity": purity, "asked": len(labels)}


class Part:
    """The rows of one set of images, kept in a folder.

    Args:
        name: Name of a dataset, and after a colon how many of its training images.
        folder: Where rows and weights are kept.
        lengths: Numbers of epochs, ascending.
        width: Filters of the encoder's first stage.
        seed: Seed of images, weights and views.
        data_dir: Folder of TFDS's data.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        lengths: list[int],
        *,
        width: int,
        seed: int,
        data_dir: Path | None,
    ) -> None:
        dataset, _, number = name.partition(":")
        count = int(number) if number else None
        self.data = datasets.load(dataset, data_dir=data_dir, num_train=count, seed=seed)
        self.count = len(self.data.train)
        self.name = f"{dataset}, {self.count:,} images"
        settings = PretrainSettings(width=width, seed=seed)
        self.settings = settings.resolved(self.count)
        self._lengths = lengths
        stem = f"{dataset}-{self.count}-width{width}-seed{seed}"
        self._rows_file, self._state_file = folder / f"{stem}.csv", folder / f"{stem}.npz"
        self.rows = self._read_rows()
        self._encoder: Encoder | None = None
        self._done, self._seconds = 0, 0.0

    def next_length(self) -> int | None:
        """The next number of epochs that is not measured yet."""
        known = {int(row["epochs"]) for row in self.rows}
        return next((length for length in self._lengths if length not in known), None)

    def cost(self) -> int:
        """Images that the next row passes through the encoder, about."""
        length = self.next_length()
        return (length or 0) * self.count

    def measure_next(self) -> None:
        """Trains as far as the next row needs, measures, and keeps both."""
        length = self.next_length()
        if length is None:
            return
        encoder = self._started()
        falls_from = length - math.ceil(length / _FALLING_PART)
        if falls_from < self._done:
            raise SystemExit(f"{self.name}: {length} epochs come after longer ones.")
        started = time.process_time()
        encoder.train(range(self._done, falls_from))
        self._done, self._seconds = falls_from, self._seconds + time.process_time() - started
        kept, started = encoder.state(), time.process_time()
        arrays: dict[str, Any] = {**kept, _DONE: self._done, _SECONDS: self._seconds}
        with atomic_path(self._state_file) as temporary:
            np.savez(temporary, **arrays)
        encoder.train(range(falls_from, length), falls_from)
        spent = self._seconds + time.process_time() - started
        steps = length * (self.count // (self.settings.batch_size or 1))
        row = {"epochs": length, "steps": steps, "seconds": round(spent), **encoder.measure()}
        encoder.go_back(kept)
        self.rows.append({name: str(value) for name, value in row.items()})
        with atomic_path(self._rows_file) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    def print_table(self) -> None:
        """The rows, and the shortest length that is as good as the best."""
        settings = self.settings
        print(
            f"\n{self.name}, batch {settings.batch_size}, queue {settings.queue_size}, "
            f"width {settings.width}, both views are queries; default: "
            f"{usual_epochs(self.count)} epochs\n"
        )
        print("| epochs | steps | processor s | k-NN, k = 200 | k = 20 | purity of 8 neighbors |")
        print("|---|---|---|---|---|---|")
        for row in self.rows:
            shares = " | ".join(f"{float(row[name]):.1%}" for name in _COLUMNS[3:6])
            print(f"| {row['epochs']} | {int(row['steps']):,} | {row['seconds']} | {shares} |")
        if self.rows:
            best = max(self.rows, key=lambda row: float(row["knn_20"]))
            share, asked = float(best["knn_20"]), int(best["asked"])
            error = math.sqrt(share * (1 - share) / asked)
            enough = next(row for row in self.rows if float(row["knn_20"]) >= share - error)
            print(
                f"\nWithin a standard error ({error:.1%}) of the best at k = 20 "
                f"({share:.1%}, {best['epochs']} epochs): from {enough['epochs']} epochs on."
            )

    def _started(self) -> Encoder:
        if self._encoder is None:
            self._encoder = Encoder(self.data, self.settings)
            if self._state_file.exists():
                with np.load(self._state_file, allow_pickle=False) as state:
                    self._done, self._seconds = int(state[_DONE]), float(state[_SECONDS])
                    self._encoder.go_back({k: v for k, v in state.items() if "/" in k})
        return self._encoder

    def _read_rows(self) -> list[dict[str, str]]:
        if not self._rows_file.exists():
            return []
        with self._rows_file.open(newline="") as file:
            return list(csv.DictReader(file))


def main() -> None:
    parser: Any = argparse.ArgumentParser(description="k-NN accuracy by length of training")
    parser.add_argument("--parts", nargs="+", default=_PARTS, help="DATASET or DATASET:IMAGES")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--lengths", type=int, nargs="+", default=_LENGTHS)
    parser.add_argument("--budget", type=float, default=math.inf, help="processor seconds")
    parser.add_argument("--folder", type=Path, default=Path("runs/encoder_length"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    make_deterministic(options.seed)
    parts = [
        Part(
            name,
            options.folder,
            sorted(options.lengths),
            width=options.width,
            seed=options.seed,
            data_dir=options.data_dir,
        )
        for name in options.parts
    ]
    while time.process_time() < options.budget:
        open_parts = [part for part in parts if part.next_length() is not None]
        if not open_parts:
            break
        min(open_parts, key=Part.cost).measure_next()
    print_header(Path(__file__))
    for part in parts:
        part.print_table()


if __name__ == "__main__":
    main()
