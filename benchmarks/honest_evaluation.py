"""Cases in which a robust accuracy was overstated, lost or contradicted: what the package says.

Needs no download: a small network is trained on `digits`. With `--save FILE` the answers are kept;
with `--beside FILE` those of another version are printed in a column before these.

    git worktree add ../before COMMIT
    PYTHONPATH=../before python benchmarks/honest_evaluation.py --save before.json
    python benchmarks/honest_evaluation.py --beside before.json
"""

import argparse
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from lsp_keras import registry
from lsp_keras.evaluation import diagnose, evaluate
from lsp_keras.types import ThreatModel

SCALES = (0.01, 1.0, 2.0, 5.0, 1000.0)
NUM_TRAIN, NUM_IMAGES = 1400, 100
EPSILONS = {"linf": 0.1, "l2": 1.0}
# Runs in a process of its own, with TensorFlow's default threads: it may die.
ODD_BATCH = """
import numpy as np
from lsp_keras import evaluation, models, types
from lsp_keras.attacks.fgsm import FGSM

rng = np.random.default_rng(0)
images = rng.uniform(size=(13, 32, 32, 3)).astype("float32")
evaluation.evaluate(
    models.resnet18(10, width=8, seed=0), images, rng.integers(0, 10, 13),
    attacks={"fgsm": FGSM(epsilon="8/255")}, threat=types.ThreatModel.parse("8/255"),
)
print("a report")
"""


def attack(name: str, norm: str, **options: Any) -> Any:
    """An attack of the registry with the radius of its norm."""
    return registry.get("attack", name)(epsilon=EPSILONS[norm], norm=norm, **options)


class Cases:
    """The cases, each a method without arguments that returns what is to be printed."""

    def __init__(self) -> None:
        digits = load_digits()
        # 16 by 16 pixels in three channels, drawn the same way whatever the version's own split.
        larger = digits.images.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32) / 16
        pixels = np.repeat(larger[..., np.newaxis], 3, axis=3)
        rows = np.random.default_rng(0).permutation(len(pixels))
        train, test = rows[:NUM_TRAIN], rows[-NUM_IMAGES:]
        self.images, self.labels = pixels[test], digits.target[test]
        self.scale = tf.Variable(1.0)
        self.network = self._train(pixels[train], digits.target[train])

    def _train(self, images: Any, labels: Any) -> keras.Model:
        keras.utils.set_random_seed(0)
        layers = keras.layers
        network = keras.Sequential(
            [
                keras.Input(images.shape[1:]),
                layers.Conv2D(32, 3, activation="relu", padding="same"),
                layers.MaxPool2D(),
                layers.Conv2D(64, 3, activation="relu", padding="same"),
                layers.Flatten(),
                layers.Dense(128, activation="relu"),
                layers.Dense(10),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.Adam(2e-3), loss)
        network.fit(images, labels, epochs=30, batch_size=64, verbose=0)
        return network

    def all(self) -> dict[str, Callable[[], str]]:
        """The cases by what they are about."""
        scales = ", ".join(f"{scale:g}" for scale in SCALES)
        robust = {
            f"robust under {title}, logits x {scales}": self._scaled(name, norm, options)
            for title, name, norm, options in (
                ("PGD-20, L2 1.0", "pgd", "l2", {"num_steps": 20}),
                ("PGD-20, L-inf 0.1", "pgd", "linf", {"num_steps": 20}),
                ("FGSM, L2 1.0", "fgsm", "l2", {}),
                ("FGSM, L-inf 0.1", "fgsm", "linf", {}),
                ("MIM, L-inf 0.1", "mim", "linf", {}),
                ("APGD on cross-entropy, L2 1.0", "apgd", "l2", {"num_steps": 50}),
            )
        }
        return robust | {
            "TRADES' inner attack, L2 0.5: mean move in parts of the radius": self.trades,
            "robust under cw-l2-fixed-c (c = 1), logits / log-probabilities": self.fixed_c,
            "robust under PGD-20 at L-inf 0.1, float32 / float16": self.half_precision,
            "evaluate 13 images, ResNet-18 of width 8, default threads": self.odd_batch,
            "labels of uint8, int8, uint16, uint64": self.label_types,
            "a pixel of 1.0000002": self.pixel,
            'diagnose(threat="8/255")': self.threat_as_text,
            "autoattack on three classes says": self.three_classes,
            "diagnose of a network that is always wrong begins": self.always_wrong,
        }

    def _scaled(self, name: str, norm: str, options: dict[str, Any]) -> Callable[[], str]:
        def measure() -> str:
            found, run = [], attack(name, norm, **options)
            for scale in SCALES:
                self.scale.assign(scale)
                result = run(self._multiplied, self.images, self.labels, seed=0)
                found.append(f"{100 * (1 - result.success.mean()):.0f}")
            return ", ".join(found) + " %"

        return measure

    def _multiplied(self, images: tf.Tensor) -> tf.Tensor:
        # A variable, so that an attack is compiled once for all scales.
        return self.scale * self.network(images, training=False)

    def trades(self) -> str:
        run = registry.get("attack", "pgd")(
            epsilon=0.5, norm="l2", objective="kl", start="gaussian"
        )
        moved = run.perturb(self.network, self.images, self.labels, seed=0).numpy() - self.images
        lengths = np.linalg.norm(moved.reshape(len(moved), -1), axis=1)
        return f"{lengths.mean() / 0.5:.2f}"

    def fixed_c(self) -> str:
        run = registry.get("attack", "cw_l2_fixed_c")(epsilon=2.0, constant=1.0)
        found = []
        for logits_fn in (self.network, lambda x: tf.nn.log_softmax(self.network(x))):
            result = run(logits_fn, self.images, self.labels, seed=0)
            found.append(f"{100 * (1 - result.success.mean()):.0f} %")
        return " / ".join(found)

    def half_precision(self) -> str:
        half = keras.models.clone_model(
            self.network,
            clone_function=lambda layer: type(layer).from_config(
                layer.get_config() | {"dtype": "mixed_float16"}
            ),
        )
        half.set_weights(self.network.get_weights())
        found = []
        for model in (self.network, half):
            run = attack("pgd", "linf", num_steps=20)
            result = run(model, self.images, self.labels, seed=0)
            found.append(f"{100 * (1 - result.success.mean()):.0f} %")
        return " / ".join(found)

    def odd_batch(self) -> str:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TF_NUM")
        }
        done = subprocess.run(
            [sys.executable, "-c", ODD_BATCH], env=environment, capture_output=True, text=True
        )
        return done.stdout.strip() if done.returncode == 0 else f"exit code {done.returncode}"

    def label_types(self) -> str:
        found = []
        for dtype in ("uint8", "int8", "uint16", "uint64"):
            labels = self.labels.astype(dtype)
            found.append(self._outcome(functools.partial(self._evaluate, labels=labels)))
        return ", ".join(found)

    def pixel(self) -> str:
        images = self.images.copy()
        images[0, 0, 0] = 1.0000002
        return self._outcome(lambda: self._evaluate(images=images))

    def threat_as_text(self) -> str:
        return self._outcome(
            lambda: diagnose(self.network, *self._few(12), threat="8/255", num_queries=10)
        )

    def three_classes(self) -> str:
        images, labels = self._few(NUM_IMAGES)
        rows = labels < 3
        attacks = {"autoattack": attack("autoattack", "linf")}
        for part in attacks["autoattack"].parts(3).values():
            if hasattr(part, "num_queries"):
                part.num_queries = 10
        report = evaluate(
            lambda x: self.network(x)[:, :3],
            images[rows],
            labels[rows],
            attacks=attacks,
            threat=ThreatModel.parse("0.1"),
        )
        end = report.statement.split(" images")[-1]
        return end[end.index(". ") + 2 :] if ". " in end else report.statement

    def always_wrong(self) -> str:
        images, labels = self._few(12)
        threat = ThreatModel.parse("8/255")
        wrong = (labels + 1) % 10
        return diagnose(self.network, images, wrong, threat=threat, num_queries=10).verdict

    def _few(self, count: int) -> tuple[Any, Any]:
        return self.images[:count], self.labels[:count]

    def _evaluate(self, **changes: Any) -> Any:
        given = {"images": self.images[:12], "labels": self.labels[:12], **changes}
        return evaluate(
            self.network,
            given["images"][:12],
            given["labels"][:12],
            attacks={"fgsm": attack("fgsm", "linf")},
            threat=ThreatModel.parse("0.1"),
        )

    def _outcome(self, run: Callable[[], Any]) -> str:
        try:
            run()
        except Exception as error:
            return f"{type(error).__name__}"
        return "a report"


def measure() -> dict[str, str]:
    """What this version says, by case."""
    found = {}
    for title, case in Cases().all().items():
        print(f"{title} ...", file=sys.stderr)
        try:
            found[title] = case()
        except Exception as error:
            found[title] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
    return found


def main() -> None:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, help="JSON file for the answers.")
    parser.add_argument("--beside", type=Path, help="JSON file of another version's answers.")
    options = parser.parse_args()
    answers = measure()
    if options.save is not None:
        options.save.write_text(json.dumps(answers, indent=2) + "\n", encoding="utf-8")
        return
    # Another version may not have it.
    from _report import print_header

    before = {} if options.beside is None else json.loads(options.beside.read_text())
    print_header(Path(__file__))
    print("| case | before | now |\n|---|---|---|")
    for title, answer in answers.items():
        print(f"| {title} | {before.get(title, '')} | {answer} |")


if __name__ == "__main__":
    main()
