"""Time of PGD here, in CleverHans and, where they are installed, in torchattacks, Foolbox and ART.

All attack the same ResNet-18 with the same settings, without a random start. The first call
holds compilation, so it is shown beside the best of the later ones. Foolbox and ART run on the
same Keras model, torchattacks on its weights in PyTorch.

    python benchmarks/attacks.py --width 16 --batch-size 64
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from _report import print_header
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from lsp_keras.attacks.pgd import PGD
from lsp_keras.models import resnet18

EPSILON, STEP_SIZE = 8 / 255, 2 / 255
Run = Callable[[], np.ndarray]


def main() -> None:
    """Prints one row for each implementation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--num-steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    model = resnet18(10, input_shape=(options.size, options.size, 3), width=options.width)
    shape = (options.batch_size, options.size, options.size, 3)
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    labels = model(images).numpy().argmax(axis=1)
    runs = {
        "lsp_keras, compiled": ours(model, images, labels, options.num_steps),
        "CleverHans 4.0": cleverhans(model, images, labels, options.num_steps),
    }
    for name, (package, build) in OPTIONAL.items():
        if importlib.util.find_spec(package):
            runs[name] = build(model, images, labels, options.num_steps)
    print_header(Path(__file__))
    print("| implementation | first call, s | later calls, s | images/s | images differ |")
    print("|---|---|---|---|---|")
    reference = None
    for name, run in runs.items():
        seconds, found = timed(run, options.repeats)
        reference = found if reference is None else reference
        differ = np.mean(np.abs(found - reference).max(axis=(1, 2, 3)) > 1e-4)
        best = min(seconds[1:])
        print(
            f"| {name} | {seconds[0]:.2f} | {best:.2f} | {options.batch_size / best:.0f} | "
            f"{differ:.0%} |",
            flush=True,
        )


def timed(run: Run, repeats: int) -> tuple[list[float], np.ndarray]:
    """Seconds of the first call and of each later one, and the last result."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.monotonic()
        found = run()
        seconds.append(time.monotonic() - started)
    return seconds, found


def ours(model: Any, images: np.ndarray, labels: np.ndarray, num_steps: int) -> Run:
    """This package, with its checks before and after."""
    attack = PGD(epsilon=EPSILON, step_size=STEP_SIZE, num_steps=num_steps, random_start=False)
    return lambda: attack(model, images, labels, seed=0).images


def cleverhans(model: Any, images: np.ndarray, labels: np.ndarray, num_steps: int) -> Run:
    """CleverHans as its documentation calls it; one function for all calls, so no retracing."""

    def logits_fn(pixels: tf.Tensor) -> tf.Tensor:
        return model(pixels, training=False)

    def run() -> np.ndarray:
        return projected_gradient_descent(
            logits_fn,
            tf.constant(images),
            EPSILON,
            STEP_SIZE,
            num_steps,
            np.inf,
            clip_min=0.0,
            clip_max=1.0,
            y=labels,
        ).numpy()

    return run


def torchattacks(model: Any, images: np.ndarray, labels: np.ndarray, num_steps: int) -> Run:
    """torchattacks on the same weights."""
    import torch
    import torchattacks
    from _torch_model import TorchClassifier

    attack = torchattacks.PGD(
        TorchClassifier(model), EPSILON, STEP_SIZE, num_steps, random_start=False
    )
    pixels = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    targets = torch.tensor(labels)
    return lambda: attack(pixels, targets).numpy().transpose(0, 2, 3, 1)


def foolbox(model: Any, images: np.ndarray, labels: np.ndarray, num_steps: int) -> Run:
    """Foolbox on the Keras model."""
    import foolbox

    attack = foolbox.attacks.LinfPGD(abs_stepsize=STEP_SIZE, steps=num_steps, random_start=False)
    wrapped = foolbox.TensorFlowModel(lambda pixels: model(pixels, training=False), bounds=(0, 1))
    pixels, targets = tf.constant(images), tf.constant(labels)
    return lambda: attack(wrapped, pixels, targets, epsilons=EPSILON)[1].numpy()


def art(model: Any, images: np.ndarray, labels: np.ndarray, num_steps: int) -> Run:
    """The Adversarial Robustness Toolbox on the Keras model."""
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    classifier = TensorFlowV2Classifier(
        model=lambda pixels, training=False: model(pixels, training=False),
        nb_classes=model.output_shape[-1],
        input_shape=images.shape[1:],
        loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
        clip_values=(0.0, 1.0),
    )
    attack = ProjectedGradientDescent(
        classifier,
        eps=EPSILON,
        eps_step=STEP_SIZE,
        max_iter=num_steps,
        num_random_init=0,
        batch_size=len(images),
        verbose=False,
    )
    targets = np.eye(model.output_shape[-1], dtype=np.float32)[labels]
    return lambda: attack.generate(images, targets)


OPTIONAL: Mapping[str, tuple[str, Callable[[Any, np.ndarray, np.ndarray, int], Run]]] = {
    "torchattacks": ("torchattacks", torchattacks),
    "Foolbox": ("foolbox", foolbox),
    "ART": ("art", art),
}

if __name__ == "__main__":
    main()
