"""Which signs of overstated robustness the numbers of a report can show."""

from collections.abc import Callable

from lsp_keras.evaluation.flags import (
    black_box_beats_white_box,
    few_classes,
    fgsm_beats_iterative,
    unmoved_images,
)
from lsp_keras.evaluation.report import Report
from lsp_keras.types import Flag


def signs_of(report: Report) -> dict[str, Callable[[], Flag | None]]:
    """What to look for in the numbers of a report, however many processes found them."""
    accuracies = {record.name: record.accuracy for record in report.attacks}
    attacks = {record.name: record.traits for record in report.attacks}
    signs: dict[str, Callable[[], Flag | None]] = {
        "fgsm_beats_iterative": lambda: fgsm_beats_iterative(attacks, accuracies),
        "black_box_beats_white_box": lambda: black_box_beats_white_box(attacks, accuracies),
    }
    if any(attack.uses_gradients and attack.shows_moves for attack in attacks.values()):
        signs["unmoved_images"] = lambda: unmoved_images(report.unmoved, report.clean.total)
    if any(attack.is_ensemble for attack in attacks.values()):
        signs["few_classes"] = lambda: few_classes(report.num_classes)
    return signs
