"""What a served model is and what it withstands."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsp_keras.storage import write_json
from lsp_keras.types import NORM_TEXTS

CARD_FILE = Path("assets.extra/model_card.json")
TEXT_FILE = Path("assets.extra/model_card.md")
# Folders of the machine that trained say nothing to who uses the model.
_PRIVATE_SETTINGS = {"data_dir", "encoder", "embeddings", "neighbors"}
_EVALUATION_FIELDS = (
    "statement",
    "is_autoattack",
    "flags",
    "dataset",
    "threat_model",
    "num_examples",
    "clean_accuracy",
    "worst_case_accuracy",
    "seed",
    "versions",
)


def make_card(
    *,
    class_names: Sequence[str],
    fingerprint: str,
    versions: Mapping[str, str],
    dataset: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    evaluations: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The card as JSON holds it.

    Args:
        class_names: Names of the classes in label order.
        fingerprint: Fingerprint of architecture and weights; records of other models are left out.
        versions: Versions of the software.
        dataset: A run's `dataset.json`.
        training: A run's settings.
        evaluations: Records of the attacks on the model.
    """
    settings = {
        key: value for key, value in (training or {}).items() if key not in _PRIVATE_SETTINGS
    }
    own = [record for record in evaluations if record.get("model_fingerprint") == fingerprint]
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "fingerprint": fingerprint,
        "class_names": list(class_names),
        "dataset": dict(dataset or {}),
        "training": settings,
        "evaluations": [_evaluation(record) for record in own],
        "versions": dict(versions),
    }


def _evaluation(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: record[name] for name in _EVALUATION_FIELDS if name in record}
    kept["attacks"] = {
        name: attack["accuracy"] for name, attack in record.get("attacks", {}).items()
    }
    return kept


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Writes the card for programs and for people.

    Args:
        folder: Folder of the version.
        card: Card that `make_card` made.
    """
    write_json(folder / CARD_FILE, dict(card))
    (folder / TEXT_FILE).write_text(card_text(card), encoding="utf-8")


def card_text(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    classes = ", ".join(card["class_names"])
    lines = ["# Model card", "", f"- Classes: {classes}", f"- Fingerprint: {card['fingerprint']}"]
    lines.append(f"- Exported: {card['created']}")
    if "classifier" in card:
        lines.append(f"- Read as: {card['classifier']['summary']}")
    if card["dataset"]:
        lines.append(f"- Data: {card['dataset'].get('name', 'unknown')}")
    lines += ["", "## Accuracy", ""]
    if not card["evaluations"]:
        lines.append("No attack on this model has been recorded; expect no robustness.")
    for record in card["evaluations"]:
        lines += _evaluation_lines(record)
    if card["training"]:
        lines += ["", "## Training", ""]
        lines += [f"- {name}: {value}" for name, value in card["training"].items()]
    lines += ["", "## Versions", ""]
    lines += [f"- {name} {version}" for name, version in card["versions"].items()]
    return "\n".join(lines) + "\n"


def _evaluation_lines(record: Mapping[str, Any]) -> list[str]:
    shares = {"clean": record.get("clean_accuracy"), **record["attacks"]}
    shares["worst case"] = record.get("worst_case_accuracy")
    threat, sample = record.get("threat_model", {}), record.get("num_examples")
    norm = NORM_TEXTS.get(threat.get("norm"), "")
    within = f"{norm} {threat.get('epsilon_text', '')}".strip()
    images = "" if sample is None else f"{sample:,}"
    lines = [str(record.get("statement", "")), ""]
    lines += ["| attack | accuracy | within | images |", "|---|---|---|---|"]
    for name, share in shares.items():
        if share:
            radius = "" if name == "clean" else within
            lines.append(f"| {name} | {100 * share['value']:.1f} % | {radius} | {images} |")
    return [*lines, ""]
