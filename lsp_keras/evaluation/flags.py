"""Signs that a measured robustness is not real, each with its number and what to do."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

from lsp_keras.evaluation.share import Share
from lsp_keras.types import Flag, Floats
from lsp_keras.validation import first_line

FGSM_LEAD = 0.01
SQUARE_LEAD = 0.002
# Flags that say something about the measurement and nothing against it.
REMARKS = ("few_classes", "probability_outputs")
_LOGGER = logging.getLogger(__name__)
_TARGETED_CLASSES = 4
_UNMOVED_SHARE = 0.01
_FEWEST_IMAGES = 1.5
_RANDOM_PASSES = 5
_RANDOM_TOLERANCE = 1e-4


class Traits(Protocol):
    """What decides which attacks are compared; see `lsp_keras.attacks.Attack`."""

    @property
    def uses_gradients(self) -> bool: ...
    @property
    def shows_moves(self) -> bool: ...
    @property
    def is_iterative(self) -> bool: ...
    @property
    def makes_queries(self) -> bool: ...


def raised(flags: Iterable[Flag]) -> list[Flag]:
    """Those of the flags that are raised."""
    return [flag for flag in flags if flag.is_raised]


def at_least(threshold: float, num_images: int) -> float:
    """The threshold, and never less than one and a half images: one must not raise a flag."""
    return max(threshold, _FEWEST_IMAGES / num_images)


def look_for(
    signs: Mapping[str, Callable[[], Flag | None]],
) -> tuple[list[Flag], dict[str, str]]:
    """Looks for each sign on its own, so that one that fails loses neither the others nor a report.

    Args:
        signs: Signs by name; `None` where there is nothing to compare.

    Returns:
        What was found, raised or not, and by name why a sign could not be looked for.
    """
    found: list[Flag] = []
    failed: dict[str, str] = {}
    for name, look in signs.items():
        try:
            flag = look()
        except Exception as error:
            _LOGGER.warning("The sign %s could not be looked for.", name, exc_info=True)
            failed[name] = first_line(error)
        else:
            found += [] if flag is None else [flag]
    return found, failed


def fgsm_beats_iterative(
    attacks: Mapping[str, Traits], accuracies: Mapping[str, Share]
) -> Flag | None:
    """One step of the gradient against many steps in the same ball, where both were taken."""
    climbing = {
        name: attack
        for name, attack in attacks.items()
        if attack.uses_gradients and attack.shows_moves
    }
    single = [accuracies[name] for name, item in climbing.items() if not item.is_iterative]
    iterative = [accuracies[name] for name, item in climbing.items() if item.is_iterative]
    if not single or not iterative:
        return None
    lead = min(share.value for share in iterative) - min(share.value for share in single)
    return single_step_lead(lead, at_least(FGSM_LEAD, single[0].total))


def single_step_lead(lead: float, threshold: float) -> Flag:
    """One step against many.

    Args:
        lead: Accuracy under many steps less that under FGSM.
        threshold: Number above which the flag is raised.
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
    attacks: Mapping[str, Traits], accuracies: Mapping[str, Share]
) -> Flag | None:
    """What attacks by answers alone break beyond all gradient attacks before them.

    Args:
        attacks: Attacks in the order they ran, the parts of an ensemble among them; without one
            that uses gradients before one that makes queries there is nothing to compare.
        accuracies: Accuracy under each attack; within an ensemble after each part.
    """
    leads: list[float] = []
    white_box: list[Share] = []
    for name, attack in attacks.items():
        if attack.makes_queries and white_box:
            least = min(share.value for share in white_box)
            leads.append(least - accuracies[name].value)
        if attack.uses_gradients:
            white_box.append(accuracies[name])
    if not leads:
        return None
    return black_box_lead(max(*leads, 0.0), at_least(SQUARE_LEAD, white_box[0].total))


def black_box_lead(lead: float, threshold: float) -> Flag:
    """Attacks without gradients against all gradient attacks.

    Args:
        lead: Share of images that only attacks without gradients break.
        threshold: Number above which the flag is raised.
    """
    return Flag(
        "black_box_beats_white_box",
        lead,
        threshold,
        "share of images that only an attack without gradients breaks",
        "Robustness may not be real: an attack without gradients breaks "
        f"{100 * lead:.1f} points more than all gradient attacks did.",
        "Attack around the part that hides gradients; `lsp-keras diagnose` looks for more signs.",
    )


def few_classes(num_classes: int) -> Flag:
    """Classes that are missing for AutoAttack's targeted attacks, which then were replaced."""
    return Flag(
        "few_classes",
        float(_TARGETED_CLASSES - num_classes),
        0.0,
        "classes that are missing for targeted attacks",
        f"With {num_classes} classes the targeted attacks were replaced by untargeted ones.",
        "Say so beside the number: it is not AutoAttack's standard version.",
    )


def unmoved_images(count: int, total: int) -> Flag:
    """Images that no gradient attack moved from where it began.

    Args:
        count: Number of such images; a random start counts as none of an attack's moves.
        total: Number of all images.
    """
    share = count / total
    return Flag(
        "unmoved_images",
        share,
        at_least(_UNMOVED_SHARE, total),
        "share of images that no gradient attack moved",
        f"Gradient attacks are blind here: on {100 * share:.0f} % of the images they found no "
        "slope and ended where they had begun.",
        "Use a black-box attack, or attack through a differentiable stand-in for the part "
        "that rounds or saturates.",
    )


def output_spread(logits_fn: Callable[[tf.Tensor], tf.Tensor], images: Floats) -> Flag:
    """Difference of logits between passes over the same images, in parts of the logits' range."""
    passes = np.stack([logits_fn(tf.constant(images)).numpy() for _ in range(_RANDOM_PASSES)])
    scale = float(np.ptp(passes, axis=2).max()) or 1.0
    spread = float(np.ptp(passes, axis=0).max()) / scale
    return Flag(
        "randomized_outputs",
        spread,
        _RANDOM_TOLERANCE,
        "difference between passes over the same images, in parts of the logits' range",
        "The model answers at random: passes over the same images differ by "
        f"{100 * spread:.2g} % of the logits' range.",
        "Use attacks that average over draws (AutoAttack's `rand` version).",
    )
