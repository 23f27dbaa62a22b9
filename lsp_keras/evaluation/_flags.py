"""Signs that a measured robustness is not real, each with its number and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.attacks.bim import BIM
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.mim import MIM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation._shares import Share
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.types import Floats, Integers

_FGSM_LEAD = 0.01
_SQUARE_LEAD = 0.002
_UNBOUNDED_ACCURACY = 0.02
_STEPS_RISE = 0.02
_TEMPERATURE_GAIN = 0.02
_RESOLUTION = 1_000_000
_TARGETED_CLASSES = 4
_ZERO_GRADIENT_SHARE = 0.01
_RANDOM_PASSES = 5
_RANDOM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Flag:
    """One sign that the robust accuracy overstates robustness.

    Attributes:
        name: Short and fixed, for scripts.
        number: What was measured.
        threshold: Above this the flag is raised.
        meaning: What it says about the model or the measurement.
        advice: What to do about it.
    """

    name: str
    number: float
    threshold: float
    meaning: str
    advice: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.meaning} {self.advice}"


def fgsm_beats_iterative(
    attacks: Mapping[str, Attack], accuracies: Mapping[str, Share]
) -> list[Flag]:
    """Raised where one step breaks clearly more images than many steps in the same ball."""
    single = [name for name, attack in attacks.items() if isinstance(attack, FGSM)]
    iterative = [name for name, attack in attacks.items() if isinstance(attack, PGD | BIM | MIM)]
    if not single or not iterative:
        return []
    lead = min(accuracies[name].value for name in iterative) - min(
        accuracies[name].value for name in single
    )
    if lead <= _FGSM_LEAD:
        return []
    return [
        Flag(
            "fgsm_beats_iterative",
            lead,
            _FGSM_LEAD,
            f"Robustness may not be real: one FGSM step breaks {100 * lead:.1f} points more "
            "images than many steps do, so gradients mislead the stronger attack.",
            "Run `lsp-keras diagnose`, and trust no gradient attack alone.",
        )
    ]


def black_box_beats_white_box(accuracies: Mapping[str, Share]) -> list[Flag]:
    """Raised where the square attack breaks what all gradient attacks before it left.

    Args:
        accuracies: After each part of an ensemble, in order, the first one clean.
    """
    names, shares = list(accuracies), list(accuracies.values())
    leads = [
        before.value - share.value
        for name, before, share in zip(names[1:], shares, shares[1:], strict=False)
        if name.endswith("square")
    ]
    lead = max(leads, default=0.0)
    if lead <= _SQUARE_LEAD:
        return []
    return [
        Flag(
            "black_box_beats_white_box",
            lead,
            _SQUARE_LEAD,
            f"Robustness may not be real: without gradients, the square attack breaks "
            f"{100 * lead:.1f} points more than all gradient attacks did.",
            "Run `lsp-keras diagnose`, and attack around the part that hides gradients.",
        )
    ]


def few_classes(num_classes: int) -> list[Flag]:
    """Raised where AutoAttack's targeted attacks had to be replaced."""
    if num_classes >= _TARGETED_CLASSES:
        return []
    return [
        Flag(
            "few_classes",
            float(num_classes),
            float(_TARGETED_CLASSES),
            f"With {num_classes} classes the targeted attacks were replaced by untargeted ones.",
            "Say so beside the number: it is not AutoAttack's standard version.",
        )
    ]


def zero_gradients(
    logits_fn: Callable[[tf.Tensor], tf.Tensor], images: Floats, labels: Integers
) -> list[Flag]:
    """Raised where the gradient of the loss is exactly zero for a share of the images."""
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        loss = cross_entropy(labels, logits_fn(pixels))
    gradient = tape.gradient(loss, pixels, unconnected_gradients="zero").numpy()
    share = float(np.mean(np.all(gradient.reshape(len(images), -1) == 0.0, axis=1)))
    if share <= _ZERO_GRADIENT_SHARE:
        return []
    return [
        Flag(
            "zero_gradients",
            share,
            _ZERO_GRADIENT_SHARE,
            f"Gradient attacks are blind here: the gradient is exactly zero for "
            f"{100 * share:.0f} % of the images.",
            "Use a black-box attack, or attack through a differentiable stand-in for the part "
            "that rounds or saturates.",
        )
    ]


def randomized_outputs(logits_fn: Callable[[tf.Tensor], tf.Tensor], images: Floats) -> list[Flag]:
    """Raised where passes over the same images give different logits."""
    passes = np.stack([logits_fn(tf.constant(images)).numpy() for _ in range(_RANDOM_PASSES)])
    scale = float(np.abs(passes).max()) or 1.0
    spread = float(np.ptp(passes, axis=0).max()) / scale
    if spread <= _RANDOM_TOLERANCE:
        return []
    return [
        Flag(
            "randomized_outputs",
            spread,
            _RANDOM_TOLERANCE,
            "The model answers at random: passes over the same images differ by "
            f"{100 * spread:.2g} % of the largest logit.",
            "Use attacks that average over draws (AutoAttack's `rand` version).",
        )
    ]


def probability_outputs(exact: bool) -> Flag:
    """Raised for a model that returns probabilities.

    Args:
        exact: Whether the logits could be taken from before the model's softmax.
    """
    if exact:
        meaning = "The model ends in a softmax; the attacks used the logits before it."
        advice = "Nothing to do: the numbers are those of the logits."
    else:
        meaning = "The model returns probabilities; the attacks used their logarithms."
        advice = "Saturated probabilities hide gradients: give the model's logits if you can."
    return Flag("probability_outputs", 1.0, 0.0, meaning, advice)


def accuracy_stays_up(accuracy: float, epsilon: float) -> list[Flag]:
    """Raised where even a perturbation that hides the image leaves accuracy.

    Args:
        accuracy: Under the largest radius of a sweep.
        epsilon: That radius.
    """
    if accuracy <= _UNBOUNDED_ACCURACY:
        return []
    return [
        Flag(
            "accuracy_stays_up",
            accuracy,
            _UNBOUNDED_ACCURACY,
            f"The attack fails even without a bound: at radius {epsilon:.2g}, where any image "
            f"can be changed beyond recognition, {100 * accuracy:.0f} % stay correct.",
            "Attack by another way: no model can be that robust.",
        )
    ]


def more_steps_hurt(accuracies: Mapping[int, float]) -> list[Flag]:
    """Raised where an attack gets weaker with more steps.

    Args:
        accuracies: By the number of steps, ascending.
    """
    values = list(accuracies.values())
    rise = max(
        (later - min(values[:place]) for place, later in enumerate(values) if place), default=0
    )
    if rise <= _STEPS_RISE:
        return []
    return [
        Flag(
            "more_steps_hurt",
            rise,
            _STEPS_RISE,
            f"More steps make the attack weaker: accuracy rises by {100 * rise:.1f} points, so "
            "gradients along the way mislead it.",
            "Use smaller steps, other objectives and attacks without gradients.",
        )
    ]


def temperature_matters(accuracies: Mapping[float, float]) -> list[Flag]:
    """Raised where dividing the logits by a constant makes the cross entropy attack stronger.

    Args:
        accuracies: Under PGD by temperature, 1 among them.
    """
    gain = accuracies[1.0] - min(accuracies.values())
    if gain <= _TEMPERATURE_GAIN:
        return []
    best = min(accuracies, key=lambda temperature: accuracies[temperature])
    return [
        Flag(
            "temperature_matters",
            gain,
            _TEMPERATURE_GAIN,
            f"The scale of the logits hides gradients: divided by {best:g}, the same attack "
            f"breaks {100 * gain:.1f} points more.",
            "Trust objectives that ignore the scale only: DLR, margin, AutoAttack.",
        )
    ]


def black_box_beats_pgd(black_box: float, white_box: float) -> list[Flag]:
    """Raised where the square attack leaves less accuracy than PGD."""
    return black_box_beats_white_box(
        {
            "pgd": Share(round(white_box * _RESOLUTION), _RESOLUTION),
            "square": Share(round(black_box * _RESOLUTION), _RESOLUTION),
        }
    )
