"""AutoAttack here and in torchattacks: time per image and verdicts on the same weights.

torchattacks runs with AutoAttack's official iterations, not its own ten. Needs torch and
torchattacks beside this package. `--smoke` shortens both sides to check that the script works;
its numbers mean nothing.

    python benchmarks/autoattack.py runs/cifar10-standard runs/cifar10-at --num-examples 32
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchattacks
from _report import print_header
from _torch_model import TorchClassifier

from cli._test_images import load_test_images
from lsp_keras.attacks.autoattack import AutoAttack
from lsp_keras.evaluation import load_classifier
from lsp_keras.types import ThreatModel

SMOKE_STEPS, SMOKE_QUERIES = 5, 50


def main() -> None:
    """Prints one row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--epsilon", default="8/255")
    parser.add_argument("--num-examples", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--smoke", action="store_true", help="a few iterations only")
    options = parser.parse_args()
    print_header(Path(__file__))
    print(f"torch {torch.__version__}, torchattacks {torchattacks.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads, L-inf {options.epsilon}\n")
    print(
        "| model | clean | ours | torchattacks | differ | ours s/image | theirs s/image | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in options.models:
        print(row(path, options), flush=True)


def row(path: Path, options: argparse.Namespace) -> str:
    """One line of the table."""
    classifier = load_classifier(path)
    test = load_test_images(
        classifier.run,
        dataset=None,
        data_dir=options.data_dir,
        cache_dir=None,
        num_examples=options.num_examples,
    )
    images = test.split.images.astype(np.float32) / 255.0
    labels = test.split.labels
    clean = classifier.model(images).numpy().argmax(axis=1) == labels
    epsilon = ThreatModel.parse(options.epsilon).epsilon
    ours, our_seconds = run_ours(classifier.model, images, labels, epsilon, options)
    theirs, their_seconds = run_theirs(classifier.model, images, labels, epsilon, options)
    count = len(labels)
    return (
        f"| {path.name} | {clean.mean():.1%} | {ours.mean():.1%} | {theirs.mean():.1%} | "
        f"{int((ours != theirs).sum())} of {count} | {our_seconds / count:.2f} | "
        f"{their_seconds / count:.2f} | {their_seconds / our_seconds:.2f} |"
    )


def run_ours(
    model: Any, images: np.ndarray, labels: np.ndarray, epsilon: float, options: argparse.Namespace
) -> tuple[np.ndarray, float]:
    """Which images stand, and seconds, compiling included."""
    attack = AutoAttack(epsilon=epsilon)
    if options.smoke:
        for part in attack.parts(model.output_shape[-1]).values():
            name = "num_queries" if hasattr(part, "num_queries") else "num_steps"
            setattr(part, name, SMOKE_QUERIES if name == "num_queries" else SMOKE_STEPS)
    started = time.monotonic()
    result = attack(model, images, labels, seed=0, batch_size=options.batch_size)
    return ~result.success, time.monotonic() - started


def run_theirs(
    model: Any, images: np.ndarray, labels: np.ndarray, epsilon: float, options: argparse.Namespace
) -> tuple[np.ndarray, float]:
    """Which images stand, and seconds."""
    network = TorchClassifier(model)
    pixels = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    targets = torch.tensor(labels)
    expected = model(images[:4]).numpy()
    np.testing.assert_allclose(network(pixels[:4]).numpy(), expected, rtol=1e-3, atol=1e-3)
    attack = their_attack(network, epsilon, expected.shape[1], options.smoke)
    standing, started = [], time.monotonic()
    for start in range(0, len(labels), options.batch_size):
        rows = slice(start, start + options.batch_size)
        correct = network(pixels[rows]).argmax(1) == targets[rows]
        found = attack(pixels[rows], targets[rows])
        standing.append(correct & (network(found).argmax(1) == targets[rows]))
    return torch.cat(standing).numpy(), time.monotonic() - started


def their_attack(network: Any, epsilon: float, num_classes: int, smoke: bool) -> Any:
    """torchattacks' parts with AutoAttack's official iterations."""
    ball = {"norm": "Linf", "eps": epsilon, "seed": 0}
    steps = {"steps": SMOKE_STEPS if smoke else 100}
    targets = {"n_classes": min(num_classes, 10)}
    queries = SMOKE_QUERIES if smoke else 5000
    return torchattacks.MultiAttack(
        [
            torchattacks.APGD(network, **ball, **steps, loss="ce"),
            torchattacks.APGDT(network, **ball, **steps, **targets),
            torchattacks.FAB(network, **ball, **steps, **targets, multi_targeted=True),
            torchattacks.Square(network, **ball, n_queries=queries, resc_schedule=False),
        ]
    )


if __name__ == "__main__":
    main()
