"""Is the measured robustness real? All signs of gradient masking in one place."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.attacks import Attack, LogitsFn, Unperturbed, inference_logits
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.attacks.square import Square
from lsp_keras.evaluation import _flags
from lsp_keras.evaluation._diagnosis import Diagnosis
from lsp_keras.evaluation._examples import as_floats, check_examples
from lsp_keras.evaluation._flags import Flag
from lsp_keras.evaluation._logits import find_logits
from lsp_keras.evaluation._provenance import model_fingerprint
from lsp_keras.evaluation._shares import Share
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.types import Floats, Integers, ThreatModel
from lsp_keras.validation import InputError

_EPSILON_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_LARGEST_EPSILONS = {"linf": 0.5, "l2": 30.0}
_STEP_COUNTS = (1, 2, 5, 10, 20, 50)
_TEMPERATURES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
_SAMPLE = 64
_NUM_STEPS = 20

Progress = Callable[[str, int, int], None]


def diagnose(
    model: LogitsFn,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    threat: ThreatModel,
    batch_size: int = 128,
    seed: int = 0,
    num_queries: int = 1000,
    progress: Progress | None = None,
    context: Mapping[str, Any] | None = None,
) -> Diagnosis:
    """Looks for every sign that gradient attacks are misled.

    Args:
        model: Any Keras classifier, or a callable images -> logits.
        images: `(n, height, width, channels)`, float in [0, 1] or uint8.
        labels: int `(n,)`.
        threat: What the attacker may do, under L-inf or L2.
        batch_size: Images attacked at once.
        seed: Of the attacks.
        num_queries: Of the square attack.
        progress: Called after every attack with its description, its number and their number.
        context: What the record should say besides.

    Raises:
        InputError: Images, labels and model do not fit, or the norm is L1.

    References:
        Athalye et al., Obfuscated Gradients Give a False Sense of Security, 2018.
        Carlini et al., On Evaluating Adversarial Robustness, 2019.
    """
    started = time.monotonic()
    if threat.norm not in _LARGEST_EPSILONS:
        raise InputError(f"`threat` must be L-inf or L2. Received: norm={threat.norm!r}.")
    examples = check_examples(images, labels, None, batch_size)
    pixels, targets = as_floats(examples.images), examples.labels
    outputs = find_logits(model, pixels[:_SAMPLE])
    meter = _Meter(outputs.logits_fn, pixels, targets, threat, batch_size, seed, progress)
    clean = meter.accuracy("clean", Unperturbed(epsilon=threat.epsilon, norm=threat.norm))
    curves = meter.radii(), meter.steps(), meter.temperatures()
    fgsm, square = meter.fgsm(), meter.square(num_queries)
    sample = pixels[:_SAMPLE], targets[:_SAMPLE]
    groups = [
        *_signs_in_curves(*curves),
        *_signs_between_attacks(meter, min(curves[1].values()), fgsm, square),
        _flags.zero_gradients(inference_logits(outputs.logits_fn), *sample),
        _flags.randomized_outputs(inference_logits(outputs.logits_fn), sample[0]),
    ]
    return Diagnosis(
        threat=threat,
        clean_accuracy=clean,
        flags=[flag for group in groups for flag in group],
        num_checks=len(groups),
        epsilon_curve=curves[0],
        step_curve=curves[1],
        temperature_curve=curves[2],
        fgsm_accuracy=fgsm,
        square_accuracy=square,
        num_examples=len(pixels),
        seed=seed,
        model_fingerprint=model_fingerprint(model),
        seconds=time.monotonic() - started,
        context=dict(context or {}),
    )


@dataclass
class _Meter:
    """Accuracy of one model on one set of images under any attack."""

    logits_fn: LogitsFn
    images: Floats
    labels: Integers
    threat: ThreatModel
    batch_size: int
    seed: int
    progress: Progress | None
    count: int = 0

    def accuracy(self, what: str, attack: Attack) -> float:
        """Share of images that stay correct."""
        result = attack(
            self.logits_fn, self.images, self.labels, seed=self.seed, batch_size=self.batch_size
        )
        self.count += 1
        if self.progress is not None:
            total = 3 + len(sweep_of_radii(self.threat)) + len(_STEP_COUNTS) + len(_TEMPERATURES)
            self.progress(what, self.count, total)
        return float(np.mean(~result.success))

    def radii(self) -> dict[float, float]:
        """Accuracy under PGD by radius."""
        return {
            epsilon: self.accuracy(
                f"radius {epsilon:.3g}",
                PGD(epsilon=epsilon, norm=self.threat.norm, num_steps=_NUM_STEPS),
            )
            for epsilon in sweep_of_radii(self.threat)
        }

    def steps(self) -> dict[int, float]:
        """Accuracy under PGD by number of steps."""
        return {
            count: self.accuracy(f"{count} steps", self._pgd(num_steps=count))
            for count in _STEP_COUNTS
        }

    def temperatures(self) -> dict[float, float]:
        """Accuracy under PGD by divisor of the logits."""
        return {
            divisor: self.accuracy(
                f"logits / {divisor:g}", self._pgd(num_steps=_NUM_STEPS, objective=cooled(divisor))
            )
            for divisor in _TEMPERATURES
        }

    def fgsm(self) -> float:
        """Accuracy under one step."""
        return self.accuracy("FGSM", FGSM(epsilon=self.threat.epsilon, norm=self.threat.norm))

    def square(self, num_queries: int) -> float:
        """Accuracy under the square attack."""
        threat = self.threat
        attack = Square(epsilon=threat.epsilon, norm=threat.norm, num_queries=num_queries)
        return self.accuracy("square", attack)

    def _pgd(self, **options: Any) -> PGD:
        return PGD(epsilon=self.threat.epsilon, norm=self.threat.norm, **options)

    def share(self, accuracy: float) -> Share:
        """The accuracy as a share of the images."""
        return Share(round(accuracy * len(self.labels)), len(self.labels))


def _signs_in_curves(
    by_radius: Mapping[float, float],
    by_steps: Mapping[int, float],
    by_divisor: Mapping[float, float],
) -> list[list[Flag]]:
    largest = max(by_radius)
    return [
        _flags.accuracy_stays_up(by_radius[largest], largest),
        _flags.more_steps_hurt(by_steps),
        _flags.temperature_matters(by_divisor),
    ]


def _signs_between_attacks(
    meter: _Meter, pgd: float, fgsm: float, square: float
) -> list[list[Flag]]:
    ball: dict[str, Any] = {"epsilon": meter.threat.epsilon, "norm": meter.threat.norm}
    return [
        _flags.fgsm_beats_iterative(
            {"fgsm": FGSM(**ball), "pgd": PGD(**ball)},
            {"fgsm": meter.share(fgsm), "pgd": meter.share(pgd)},
        ),
        _flags.black_box_beats_pgd(square, pgd),
    ]


def sweep_of_radii(threat: ThreatModel) -> list[float]:
    """Radii around the threat's, and last one that no classifier can withstand."""
    largest = _LARGEST_EPSILONS[threat.norm]
    radii = [factor * threat.epsilon for factor in _EPSILON_FACTORS]
    return [*(radius for radius in radii if radius < largest), largest]


def cooled(divisor: float) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Cross entropy of the logits divided by a constant."""

    def objective(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return cross_entropy(labels, logits / divisor)

    return objective
