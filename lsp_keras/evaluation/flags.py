"""Signs that a measured robustness is not real, each with its number and what to do."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.attacks.bim import BIM
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.mim import MIM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.attacks.square import Square
from lsp_keras.evaluation.share import Share
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.types import Flag, Floats, Integers

FGSM_LEAD = 0.01
SQUARE_LEAD = 0.002
_TARGETED_CLASSES = 4
_ZERO_GRADIENT_SHARE = 0.01
_RANDOM_PASSES = 5
_RANDOM_TOLERANCE = 1e-4


def raised(flags: Iterable[Flag]) -> list[Flag]:
    """Those of the flags that are raised."""
    return [flag for flag in flags if flag.is_raised]


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
    return raised([single_step_lead(lead, FGSM_LEAD)])


def single_step_lead(lead: float, threshold: float) -> Flag:
    """One step against many.

    Args:
        lead: Accuracy under many steps less that under FGSM.
        threshold: Above this the flag is raised.
    """
    return Flag(
        "fgsm_beats_iterative",
        lead,
        threshold,
        "accuracy under many steps less that under FGSM",
        f"Robustness may not be real: one FGSM step breaks {100 * lead:.1f} points more "
        "images than many steps do, so gradients mislead the stronger attack.",
        "Trust no gradient attack alone; `lsp-keras diagnose` looks for more signs.",
    )


def black_box_beats_white_box(
    attacks: Mapping[str, Attack], accuracies: Mapping[str, Share]
) -> list[Flag]:
    """Raised where the square attack breaks what all gradient attacks before it left.

    Args:
        attacks: In the order they ran, the parts of an ensemble among them; without one that
            uses gradients before the square attack there is nothing to compare.
        accuracies: Under each; within an ensemble after each part.
    """
    leads: list[float] = []
    white_box: list[float] = []
    for name, attack in attacks.items():
        accuracy = accuracies[name].value
        if isinstance(attack, Square) and white_box:
            leads.append(min(white_box) - accuracy)
        if attack.uses_gradients:
            white_box.append(accuracy)
    return raised([black_box_lead(max(leads, default=0.0), SQUARE_LEAD)])


def black_box_lead(lead: float, threshold: float) -> Flag:
    """The square attack against all gradient attacks.

    Args:
        lead: Share of images that only the square attack breaks.
        threshold: Above this the flag is raised.
    """
    return Flag(
        "black_box_beats_white_box",
        lead,
        threshold,
        "share of images that only the square attack breaks",
        f"Robustness may not be real: without gradients, the square attack breaks "
        f"{100 * lead:.1f} points more than all gradient attacks did.",
        "Attack around the part that hides gradients; `lsp-keras diagnose` looks for more signs.",
    )


def few_classes(num_classes: int) -> list[Flag]:
    """Raised where AutoAttack's targeted attacks had to be replaced."""
    return raised(
        [
            Flag(
                "few_classes",
                float(_TARGETED_CLASSES - num_classes),
                0.0,
                "classes that are missing for targeted attacks",
                f"With {num_classes} classes the targeted attacks were replaced by untargeted "
                "ones.",
                "Say so beside the number: it is not AutoAttack's standard version.",
            )
        ]
    )


def zero_gradients(
    logits_fn: Callable[[tf.Tensor], tf.Tensor], images: Floats, labels: Integers
) -> list[Flag]:
    """Raised where the gradient of the loss is exactly zero for a share of the images."""
    return raised([dead_gradients(logits_fn, images, labels)])


def dead_gradients(
    logits_fn: Callable[[tf.Tensor], tf.Tensor], images: Floats, labels: Integers
) -> Flag:
    """Share of images whose gradient of the loss is exactly zero."""
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        loss = cross_entropy(labels, logits_fn(pixels))
    gradient = tape.gradient(loss, pixels, unconnected_gradients="zero").numpy()
    share = float(np.mean(np.all(gradient.reshape(len(images), -1) == 0.0, axis=1)))
    return Flag(
        "zero_gradients",
        share,
        _ZERO_GRADIENT_SHARE,
        "share of images whose gradient is exactly zero",
        f"Gradient attacks are blind here: the gradient is exactly zero for "
        f"{100 * share:.0f} % of the images.",
        "Use a black-box attack, or attack through a differentiable stand-in for the part "
        "that rounds or saturates.",
    )


def randomized_outputs(logits_fn: Callable[[tf.Tensor], tf.Tensor], images: Floats) -> list[Flag]:
    """Raised where passes over the same images give different logits."""
    return raised([output_spread(logits_fn, images)])


def output_spread(logits_fn: Callable[[tf.Tensor], tf.Tensor], images: Floats) -> Flag:
    """Difference of logits between passes over the same images, in parts of the largest."""
    passes = np.stack([logits_fn(tf.constant(images)).numpy() for _ in range(_RANDOM_PASSES)])
    scale = float(np.abs(passes).max()) or 1.0
    spread = float(np.ptp(passes, axis=0).max()) / scale
    return Flag(
        "randomized_outputs",
        spread,
        _RANDOM_TOLERANCE,
        "difference between passes over the same images, in parts of the largest logit",
        "The model answers at random: passes over the same images differ by "
        f"{100 * spread:.2g} % of the largest logit.",
        "Use attacks that average over draws (AutoAttack's `rand` version).",
    )
