"""What a report says in words that need no machine learning: threat, result, and what is missing.

The verdicts themselves are the statement's and the diagnosis's.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_keras.evaluation.flags import REMARKS
from lsp_keras.types import ThreatModel
from lsp_keras.zoo import PREFIX, is_in_zoo
from lsp_keras.zoo import __file__ as zoo_file

Record = Mapping[str, Any]
# What no measurement of this package looks at, whatever its budget.
ALWAYS_UNCHECKED = {
    "other changes": "larger ones, other norms, patches, rotations, noise, blur or weather",
    "other images": "images that come from elsewhere than this test set",
    "other attacks": "poisoned training data, and copying or reading out the model",
}
_TITLES = {
    "autoattack": "AutoAttack",
    "diagnosis": "signs of gradient masking",
    "profile": "certainty and layers",
}


def shown_path(path: Path) -> str:
    """A path as the reader of a page can use it: within the zoo, or from the working folder."""
    if is_in_zoo(path):
        return f"{PREFIX}{path.resolve().relative_to(Path(zoo_file).resolve().parent)}"
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)


def threat_sentence(
    threat: ThreatModel, image_shape: tuple[int, ...], *, knows_model: bool = True
) -> str:
    """Who the attacker is, for someone who knows no machine learning.

    Args:
        threat: What the attacker may do.
        image_shape: Shape of an image, `(height, width, channels)`.
        knows_model: Whether gradients could be taken.
    """
    if threat.norm == "linf":
        steps = 255.0 * threat.epsilon
        change = (
            f"may make every point of a picture brighter or darker by at most {steps:.3g} of 255 "
            "steps of brightness"
        )
    else:
        height, width, channels = image_shape
        change = (
            f"may change a picture of {height} x {width} points and {channels} "
            f"{'channel' if channels == 1 else 'channels'} by a total ({threat}, brightness "
            "counted from 0 to 1), spread as the attacker likes"
        )
    knows = "knows the model down to its last number" if knows_model else "may only ask the model"
    return (
        f"The attacker {change}, {knows}, and has won once the model gives the picture a wrong "
        "name."
    )


def plain_result(record: Record) -> str:
    """The result in pictures out of a hundred; nothing where there is nothing to judge."""
    if not record.get("is_judgeable", True):
        return ""
    clean, robust = (record[f"{kind}_accuracy"] for kind in ("clean", "worst_case"))
    tried = "the attacks that were tried" if not record["is_autoattack"] else "AutoAttack"
    return (
        f"Of 100 pictures the model names {100 * clean['value']:.0f} rightly as they are, and "
        f"{100 * robust['value']:.0f} after {tried}."
    )


def unchecked(
    evaluation: Record, diagnosis: Record | None, left_out: Mapping[str, str]
) -> dict[str, str]:
    """All that was not looked at, and why."""
    found = {_TITLES.get(name, name): why for name, why in left_out.items()}
    found |= dict(evaluation.get("unchecked", {}))
    found |= {} if diagnosis is None else dict(diagnosis["skipped"])
    if not evaluation["is_autoattack"]:
        found.setdefault("AutoAttack", "it was not run, so the accuracy is an upper bound")
    return found | ALWAYS_UNCHECKED


def judgement(evaluation: Record, diagnosis: Record | None) -> str:
    """How the headline is to be read, as a word that the page has a color for.

    Returns:
        `"nothing"`, `"doubt"`, `"open"` where masking was not looked for or the number is not
        AutoAttack's, or `"sound"`.
    """
    if not evaluation.get("is_judgeable", True):
        return "nothing"
    doubts = [flag for flag in evaluation["flags"] if flag["name"] not in REMARKS]
    if doubts or (diagnosis is not None and diagnosis["flags"]):
        return "doubt"
    return "sound" if evaluation["is_autoattack"] and diagnosis is not None else "open"
