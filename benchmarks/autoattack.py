"""AutoAttack here and in torchattacks: time, passes and verdicts on the same weights.

torchattacks runs with AutoAttack's official iterations, not its own ten. Seconds are of the
whole attack, compiling included. Each side uses the cores in its own way: torch shares every
operator among them, this package gives each a batch, with TF_NUM_INTRAOP_THREADS=1 as
`lsp-keras attack` sets it. Seconds of the processor depend less on what else runs on the machine:
compare them with one core (`taskset -c 0 python ...`). Passes are counted for each image, with
what fills up a batch. Needs torch and torchattacks beside this package. `--smoke` shortens both
sides to check that the script works; its numbers mean nothing.

    python benchmarks/autoattack.py runs/cifar10-standard runs/cifar10-at --num-examples 128
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchattacks
from _passes import CountedKeras, CountedTorch
from _report import print_header
from _torch_model import TorchClassifier

from lsp_keras.attacks.autoattack import AutoAttack
from lsp_keras.classifiers import load_classifier
from lsp_keras.processes import single_threaded_operators
from lsp_keras.runs.subjects.test_images import load_test_images
from lsp_keras.types import ThreatModel

SMOKE_STEPS, SMOKE_QUERIES = 5, 50


@dataclass(frozen=True)
class Outcome:
    """What one side did.

    Attributes:
        standing: bool `(n,)`, which images are classified correctly after the attack.
        seconds: Seconds by the clock.
        cpu_seconds: Seconds of the processor, all threads together.
        forward: Images that went through the model.
        backward: Images whose gradient was computed.
    """

    standing: np.ndarray
    seconds: float
    cpu_seconds: float
    forward: int
    backward: int


def main() -> None:
    """Prints one row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--epsilon", default="8/255")
    parser.add_argument("--num-examples", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=1, help="of both sides, in turn")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--smoke", action="store_true", help="a few iterations only")
    options = parser.parse_args()
    single_threaded_operators()
    print_header(Path(__file__))
    print(f"torch {torch.__version__}, torchattacks {torchattacks.__version__}, ", end="")
    print(f"{torch.get_num_threads()} torch threads, L-inf {options.epsilon}\n")
    sides = ("ours", "theirs")
    columns = ["model", "clean", *sides, "differ"]
    measures = ("s/image", "CPU s/image", "forward", "backward")
    columns += [f"{side} {measure}" for side in sides for measure in measures]
    columns += ["times as fast", "CPU"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for path in options.models:
        print(row(path, options), flush=True)


def row(path: Path, options: argparse.Namespace) -> str:
    """One line of the table."""
    classifier = load_classifier(path)
    test = load_test_images(
        classifier,
        dataset=None,
        data_dir=options.data_dir,
        cache_dir=None,
        num_examples=options.num_examples,
    )
    images = test.split.images.astype(np.float32) / 255.0
    labels = test.split.labels
    clean = classifier.model(images).numpy().argmax(axis=1) == labels
    epsilon = ThreatModel.parse(options.epsilon).epsilon
    inputs = (classifier.model, images, labels, epsilon, options)
    # In turn, since other work on the machine may slow it down for minutes.
    pairs = [(run_ours(*inputs), run_theirs(*inputs)) for _ in range(options.repeats)]
    ours, theirs = pairs[0]
    differ = int((ours.standing != theirs.standing).sum())
    return (
        f"| {path.name} | {clean.mean():.1%} | {ours.standing.mean():.1%} | "
        f"{theirs.standing.mean():.1%} | {differ} of {len(labels)} | "
        f"{medians([ours for ours, _ in pairs])} | {medians([theirs for _, theirs in pairs])} | "
        f"{ratios([theirs.seconds / ours.seconds for ours, theirs in pairs])} | "
        f"{ratios([theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in pairs])} |"
    )


def medians(outcomes: list[Outcome]) -> str:
    """Seconds, processor seconds and passes for each image, as a table shows them."""
    count = len(outcomes[0].standing)
    digits = {"seconds": 2, "cpu_seconds": 2, "forward": 0, "backward": 0}
    return " | ".join(
        f"{np.median([getattr(outcome, name) for outcome in outcomes]) / count:.{places}f}"
        for name, places in digits.items()
    )


def ratios(values: list[float]) -> str:
    """Each repeat's, as a table shows them."""
    return ", ".join(f"{value:.2f}" for value in values)


def measured(attack: Callable[[], np.ndarray], model: CountedKeras | CountedTorch) -> Outcome:
    """Runs what says which images stand, with the clock and the counters."""
    started, cpu_started = time.monotonic(), time.process_time()
    standing = attack()
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    return Outcome(standing, seconds, cpu_seconds, *model.counts)


def run_ours(
    model: Any, images: np.ndarray, labels: np.ndarray, epsilon: float, options: argparse.Namespace
) -> Outcome:
    """This package."""
    attack = AutoAttack(epsilon=epsilon)
    if options.smoke:
        for part in attack.parts(model.output_shape[-1]).values():
            name = "num_queries" if hasattr(part, "num_queries") else "num_steps"
            setattr(part, name, SMOKE_QUERIES if name == "num_queries" else SMOKE_STEPS)
    counted = CountedKeras(model)

    def run() -> np.ndarray:
        return ~attack(counted.model, images, labels, seed=0, batch_size=options.batch_size).success

    return measured(run, counted)


def run_theirs(
    model: Any, images: np.ndarray, labels: np.ndarray, epsilon: float, options: argparse.Namespace
) -> Outcome:
    """torchattacks, on weights that are first checked to give the same logits."""
    network = TorchClassifier(model)
    pixels = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    targets = torch.tensor(labels)
    expected = model(images[:4]).numpy()
    np.testing.assert_allclose(network(pixels[:4]).numpy(), expected, rtol=1e-3, atol=1e-3)
    counted = CountedTorch(network)
    attack = their_attack(counted, epsilon, expected.shape[1], options.smoke)

    def run() -> np.ndarray:
        standing = []
        for start in range(0, len(labels), options.batch_size):
            rows = slice(start, start + options.batch_size)
            correct = counted(pixels[rows]).argmax(1) == targets[rows]
            found = attack(pixels[rows], targets[rows])
            standing.append(correct & (counted(found).argmax(1) == targets[rows]))
        return torch.cat(standing).numpy()

    return measured(run, counted)


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
