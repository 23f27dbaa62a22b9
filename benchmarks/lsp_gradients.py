"""What LSP's parts contribute to its gradient: cosines between variants, and a picture of P and Q.

A plain network is trained for some epochs. For a few of its batches the gradient of each variant
of the loss is compared with that of the published one: with equal shares in place of P, with
another image's neighbors, without the gradient into the neighbors, and so on. Then two copies go
on for as many epochs, with LSP and with its kernel; `--picture` draws P against Q before and after.

    python benchmarks/lsp_gradients.py --num-train 10000 --width 8 --epochs 6 --picture shares.png
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from _report import print_header

from lsp_keras import datasets
from lsp_keras.augmentations.crop_flip import CropFlip
from lsp_keras.datasets import EpochBatches
from lsp_keras.methods import StandardTrainer
from lsp_keras.models import resnet18
from lsp_keras.neighbors import Contrast, MiningSettings, find_features, mine
from lsp_keras.ops.distances import distances_within, pairwise_squares, shares
from lsp_keras.ops.kernels import log_kernel
from lsp_keras.regularizers import LSP, Regularizer
from lsp_keras.training import CoupledSGD
from lsp_keras.types import Dataset

Gradient = npt.NDArray[np.float32]

PUBLISHED = "fresh, shares"
VARIANTS: dict[str, LSP] = {
    PUBLISHED: LSP(name="published"),
    "fresh, equal shares for P": LSP(control="uniform", name="fresh_uniform"),
    "fresh, another image's neighbors": LSP(control="shuffled", name="fresh_shuffled"),
    "fresh, no gradient into neighbors": LSP(neighbor_gradient=False, name="fresh_fixed"),
    "batch, shares": LSP(neighbors="batch", name="shares"),
    "batch, equal shares for P": LSP(neighbors="batch", control="uniform", name="uniform"),
    "batch, random images": LSP(neighbors="batch", control="random", name="random"),
    "batch, ranks": LSP(neighbors="batch", target="ranks", name="ranks"),
    "batch, kernel": LSP(neighbors="batch", target="kernel", name="kernel"),
    "batch, kernel, random images": LSP(
        neighbors="batch", target="kernel", control="random", name="kernel_random"
    ),
}


def main() -> None:
    """Trains, compares and draws."""
    options = parse()
    dataset = datasets.load(
        "cifar10", data_dir=options.data_dir, num_train=options.num_train, num_test=10
    )
    settings = MiningSettings()
    features = find_features(dataset.train.images, settings, cache_dir=options.cache_dir)
    table = mine(dataset.train.images, settings)
    batches = EpochBatches(
        dataset.train,
        batch_size=128,
        shuffle=True,
        augment=CropFlip(),
        neighbors=table,
        features=features,
        drop_remainder=True,
    )
    plain = train(network(dataset, options.width), [], batches, range(options.epochs))
    print_header(Path(__file__))
    print(f"{Contrast.of(table.distances).sentence()}\n")
    print_table(compare(plain, batches, options.epochs, options.batches))
    if options.picture is not None:
        later = range(options.epochs, 2 * options.epochs)
        networks = {"before": plain}
        for name, unit in (
            ("after, shares", LSP(neighbors="batch")),
            ("after, kernel", LSP(neighbors="batch", target="kernel", weight=0.1)),
        ):
            networks[name] = train(copy_of(plain), [unit], batches, later)
        draw(options.picture, networks, next(iter(batches(2 * options.epochs))))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="where TFDS keeps its data")
    parser.add_argument("--cache-dir", help="where features are kept")
    parser.add_argument("--num-train", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batches", type=int, default=4, help="whose gradients are compared")
    parser.add_argument("--picture", type=Path, help="PNG of P against Q")
    return parser.parse_args()


def network(dataset: Dataset, width: int) -> keras.Model:
    """An untrained ResNet-18."""
    info = dataset.info
    return resnet18(info.num_classes, width=width, mean=info.mean, std=info.std)


def copy_of(classifier: keras.Model) -> keras.Model:
    """The same network with variables of its own."""
    copy = keras.models.clone_model(classifier)
    copy.set_weights(classifier.get_weights())
    return copy


def train(
    classifier: keras.Model, units: list[Regularizer], batches: EpochBatches, epochs: range
) -> keras.Model:
    """The classifier, trained on these epochs at a learning rate that falls from 0.05."""
    trainer = StandardTrainer(classifier, regularizers=units)
    steps = len(epochs) * batches.num_batches
    trainer.compile(CoupledSGD(keras.optimizers.schedules.CosineDecay(0.05, steps)))
    for epoch in epochs:
        trainer.fit(batches(epoch), verbose=0, shuffle=False)
    return classifier


def compare(
    classifier: keras.Model, batches: EpochBatches, epoch: int, count: int
) -> dict[str, list[tuple[float, float, float]]]:
    """Of each variant and batch: loss, gradient norm, cosine with the published loss."""
    trainer = StandardTrainer(classifier, regularizers=list(VARIANTS.values()))
    trainer.compile(CoupledSGD(0.0))

    @tf.function
    def descend(batch: Mapping[str, tf.Tensor]) -> Any:
        with tf.GradientTape(persistent=True) as tape, keras.StatelessScope():
            terms, _ = trainer._all_terms(batch, None, trainer._prepare(batch, None))
            means = {name: tf.reduce_mean(values) for name, values in terms.items()}
        variables = classifier.trainable_variables
        return means, {name: tape.gradient(mean, variables) for name, mean in means.items()}

    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in VARIANTS}
    for batch in batches(epoch).take(count):
        means, gradients = descend(batch)
        flat = {name: _flat(parts) for name, parts in gradients.items()}
        for name, unit in VARIANTS.items():
            own, other = flat[unit.name], flat["published"]
            norm = float(np.linalg.norm(own))
            cosine = float(own @ other) / (norm * float(np.linalg.norm(other)))
            found[name].append((float(means[unit.name]), norm, cosine))
    return found


def _flat(parts: list[tf.Tensor]) -> Gradient:
    return np.concatenate([tf.convert_to_tensor(part).numpy().ravel() for part in parts])


def print_table(found: Mapping[str, list[tuple[float, float, float]]]) -> None:
    """Means over the batches."""
    print("| loss | value | length of its gradient | cosine with the published loss |")
    print("|---|---|---|---|")
    for name, values in found.items():
        value, norm, cosine = np.mean(values, axis=0)
        print(f"| {name} | {value:.3f} | {norm:.3f} | {cosine:.2f} |")


def draw(path: Path, networks: Mapping[str, keras.Model], batch: Mapping[str, tf.Tensor]) -> None:
    """P against Q of one batch, for each network: shares above, the kernel below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(networks), figsize=(3.2 * len(networks), 6.2))
    for column, (name, classifier) in enumerate(networks.items()):
        for row, (target, estimate) in enumerate(_pairs(classifier, batch)):
            axis = axes[row, column]
            axis.scatter(target, estimate, s=3, alpha=0.3, linewidths=0)
            limit = max(target.max(), estimate.max()) * 1.05
            axis.plot([0, limit], [0, limit], color="black", linewidth=0.7)
            axis.set(xlim=(0, limit), ylim=(0, limit), xlabel="P", ylabel="Q")
            axis.set_title(f"{('shares', 'kernel')[row]}, {name}", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _pairs(
    classifier: keras.Model, batch: Mapping[str, tf.Tensor]
) -> Iterator[tuple[Gradient, Gradient]]:
    """P and Q of all anchors and neighbors of a batch, as shares and as kernels."""
    logits = classifier(batch["images"], training=False)
    distances = distances_within(batch["features"])
    squares = pairwise_squares(logits, logits)
    negative, nearest = tf.math.top_k(-distances, k=8)
    of_logits = tf.sqrt(tf.gather(squares, nearest, axis=1, batch_dims=1))
    yield shares(-negative).numpy().ravel(), shares(of_logits).numpy().ravel()
    others = tf.math.is_finite(distances)
    kernels = (
        tf.exp(log_kernel(tf.where(others, values, 0.0), others, 8.0))
        for values in (distances**2, squares)
    )
    target, estimate = (tf.boolean_mask(kernel, others).numpy() for kernel in kernels)
    yield target, estimate


if __name__ == "__main__":
    main()
