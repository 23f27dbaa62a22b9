"""The signs of gradient masking that a diagnosis looks for, from what it measured.

Shares of images come with the number of images: where there are few, one image must not raise
a flag, so a threshold is at least one and a half images.
"""

from collections.abc import Mapping
from typing import Any

from lsp_keras.evaluation.flags import (
    FGSM_LEAD,
    REMARKS,
    SQUARE_LEAD,
    at_least,
    black_box_lead,
    single_step_lead,
)
from lsp_keras.types import Flag

_UNBOUNDED_ACCURACY = 0.02
_STEPS_RISE = 0.02
# Objectives of another shape break up to three points more on adversarially trained networks.
_TEMPERATURE_GAIN = 0.05
_ADAPTIVE_LEAD = 0.02
_CONSTANT_GAIN = 0.02
# Between PGD and AutoAttack lie three to seven points for published adversarial training.
_AUTOATTACK_LEAD = 0.1
_INSTABILITY = 0.1
_UNFINISHED = 0.5
_SHATTERED = 0.1
# Plain networks trained to a loss of nearly 0 reach half.
_SATURATED = 0.9


def accuracy_stays_up(accuracy: float, epsilon: float, num_images: int) -> Flag:
    """Accuracy where a perturbation may hide the image altogether.

    Args:
        accuracy: Accuracy under the largest radius of a sweep.
        epsilon: The largest radius.
        num_images: Images attacked.
    """
    return Flag(
        "accuracy_stays_up",
        accuracy,
        at_least(_UNBOUNDED_ACCURACY, num_images),
        f"accuracy at radius {epsilon:.2g}",
        f"The attack fails even without a bound: at radius {epsilon:.2g}, where any image "
        f"can be changed beyond recognition, {100 * accuracy:.0f} % stay correct.",
        "Attack by another way: no model can be that robust.",
    )


def more_steps_hurt(accuracies: Mapping[int, float], num_images: int) -> Flag:
    """Rise of accuracy with the steps of an attack.

    Args:
        accuracies: Accuracies by the number of steps, ascending.
        num_images: Images attacked.
    """
    values = list(accuracies.values())
    rise = max(later - min(values[: place + 1]) for place, later in enumerate(values))
    return Flag(
        "more_steps_hurt",
        rise,
        at_least(_STEPS_RISE, num_images),
        "rise of accuracy from fewer to more steps",
        f"More steps make the attack weaker: accuracy rises by {100 * rise:.1f} points, so "
        "gradients along the way mislead it.",
        "Use smaller steps, other objectives and attacks without gradients.",
    )


def temperature_matters(accuracies: Mapping[float, float], num_images: int) -> Flag:
    """What PGD gains where the logits are divided by a constant first.

    Args:
        accuracies: Accuracies under PGD on the softmax cross-entropy by divisor, 1 among them.
        num_images: Images attacked.
    """
    best = min(accuracies, key=lambda divisor: accuracies[divisor])
    gain = accuracies[1.0] - accuracies[best]
    return Flag(
        "temperature_matters",
        gain,
        at_least(_TEMPERATURE_GAIN, num_images),
        "accuracy under PGD on the softmax cross-entropy less that with the logits divided by the "
        "best constant",
        "The scale of the logits hides gradients from attacks on the softmax cross-entropy: "
        f"divided by {best:g}, PGD breaks {100 * gain:.1f} points more.",
        "Trust objectives that ignore the scale only: those of this package, DLR, AutoAttack.",
    )


def fgsm_beats_iterative(fgsm: float, iterative: float, num_images: int) -> Flag:
    """One step against many: accuracies under each."""
    return single_step_lead(iterative - fgsm, at_least(FGSM_LEAD, num_images))


def black_box_beats_white_box(lead: float, num_images: int) -> Flag:
    """Share of images that the square attack breaks and no gradient attack did."""
    return black_box_lead(lead, at_least(SQUARE_LEAD, num_images))


def transfer_beats_white_box(lead: float, num_images: int) -> Flag:
    """Share of images that only another model's adversarial images break."""
    return Flag(
        "transfer_beats_white_box",
        lead,
        at_least(SQUARE_LEAD, num_images),
        "share of images that only the plain model's adversarial images break",
        f"Robustness may not be real: images made against another model break {100 * lead:.1f} "
        "points more than all gradient attacks on this one did.",
        "Attack through the other model, and look for what hides this one's gradients.",
    )


def adaptive_beats_plain(lead: float, num_images: int) -> Flag:
    """Share of images that only an attack on the LSP term too breaks."""
    return Flag(
        "adaptive_beats_plain",
        lead,
        at_least(_ADAPTIVE_LEAD, num_images),
        "share of images that only an attack with the LSP term in its loss breaks",
        f"The LSP term hides adversarial images from plain attacks: one that climbs it too "
        f"breaks {100 * lead:.1f} points more.",
        "Report the accuracy under the adaptive attack.",
    )


def unstable_gradients(instability: float, radius: float) -> Flag:
    """Relative change of the loss under a random step.

    Args:
        instability: Relative change of the loss, see
            `lsp_keras.evaluation.diagnosis.gradients.instability`.
        radius: Length of the step.
    """
    return Flag(
        "unstable_gradients",
        instability,
        _INSTABILITY,
        f"relative change of the loss under a random step of {radius:.2g}",
        f"The loss is ragged: a random step of {radius:.2g}, as long as one of the attack's, "
        f"changes it by {100 * instability:.0f} %, so its gradient says little about the next.",
        "Attack with gradients averaged over noise, and without gradients.",
    )


def saturated_softmax(share: float) -> Flag:
    """Images on which the cross-entropy has no slope.

    Args:
        share: Share of images whose softmax is saturated, see
            `lsp_keras.evaluation.diagnosis.gradients.saturation`.
    """
    return Flag(
        "saturated_softmax",
        share,
        _SATURATED,
        "share of rightly classified images whose label has a probability of exactly 1",
        f"The softmax is saturated on {100 * share:.0f} % of the images that are right, "
        "as defensive distillation makes it: attacks that climb the cross-entropy are blind there.",
        "Do not believe accuracies of other tools' PGD on this model.",
    )


def shattered_gradients(disagreement: float, radius: float) -> Flag:
    """Change of the gradient's direction under a random step.

    Args:
        disagreement: Change of the gradient's direction, see
            `lsp_keras.evaluation.diagnosis.gradients.disagreement`.
        radius: Length of the step.
    """
    return Flag(
        "shattered_gradients",
        disagreement,
        _SHATTERED,
        f"change of the gradient's direction under a random step of {radius:.2g} (0.5: orthogonal)",
        f"Gradients are shattered: a random step of {radius:.2g} turns them by "
        f"{disagreement:.2f} on a scale where 0.5 is a right angle.",
        "Attack with gradients averaged over noise, and without gradients.",
    )


def unfinished_optimization(unfinished: float) -> Flag:
    """What the attack left to climb.

    Args:
        unfinished: Mean of `lsp_keras.evaluation.diagnosis.gradients.unfinished` over the robust
            images.
    """
    return Flag(
        "unfinished_optimization",
        unfinished,
        _UNFINISHED,
        "first-order rise of the loss that the attack left, in parts of the whole ball's",
        f"The attack stopped half-way: {100 * unfinished:.0f} % of what the gradient promises "
        "within the ball is left on images that stand.",
        "Use more steps and other step sizes; if that changes nothing, gradients mislead.",
    )


def autoattack_flags(record: Mapping[str, Any]) -> Flag:
    """Signs that AutoAttack's own evaluation raised.

    Args:
        record: Record of an evaluation, as `Report.to_dict` writes it.
    """
    found = [flag for flag in record["flags"] if flag["name"] not in REMARKS]
    listed = ", ".join(flag["name"] for flag in found)
    return Flag(
        "autoattack_flags",
        float(len(found)),
        0.0,
        "flags in the record of AutoAttack",
        f"AutoAttack's record is flagged itself: {listed}.",
        " ".join(flag["advice"] for flag in found),
    )


def autoattack_far_below(white_box: float, record: Mapping[str, Any]) -> Flag:
    """What AutoAttack took off the accuracy that gradient attacks left.

    Args:
        white_box: Accuracy under all gradient attacks of the diagnosis.
        record: Record of an evaluation, as `autoattack_flags` takes it.
    """
    lead = white_box - record["worst_case_accuracy"]["value"]
    return Flag(
        "autoattack_far_below",
        lead,
        _AUTOATTACK_LEAD,
        "accuracy under gradient attacks less that under AutoAttack",
        f"AutoAttack breaks {100 * lead:.1f} points more than plain gradient attacks do.",
        "Report AutoAttack's accuracy only.",
    )


def constant_decides(accuracies: Mapping[float, float], scale: float, num_images: int) -> Flag:
    """A remark, not a sign of masking: it is true of plain models too.

    Args:
        accuracies: Accuracies under `cw-l2-fixed-c` by its constant, the published 0.01 first.
        scale: Mean of the largest absolute logit.
        num_images: Images attacked.
    """
    published = next(iter(accuracies))
    best = min(accuracies, key=lambda constant: accuracies[constant])
    gain = accuracies[published] - accuracies[best]
    return Flag(
        "constant_decides",
        gain,
        at_least(_CONSTANT_GAIN, num_images),
        f"accuracy under cw-l2-fixed-c with c = {published:g} less that with the best c",
        f"The accuracy under cw-l2-fixed-c is decided by its c: {best:g} breaks "
        f"{100 * gain:.1f} points more than {published:g} (largest logit {scale:.2g} on average).",
        "Report cw-l2, which searches for c, and compare no models by a fixed one.",
    )
