"""Puts a run into the zoo: its model, record and a card for people and for programs.

The run must have a record of AutoAttack on its model.

    python benchmarks/zoo_entry.py runs/cifar10-at --name cifar10_robust \
        --command "lsp-keras fit --recipe cifar10_robust_cpu" --trained-on "..."
"""

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_keras.storage import fingerprint, write_json
from lsp_keras.zoo import _CARD, _FOLDER, _MODEL

LICENCE = "apache-2.0"
KEPT = ("config.toml", "dataset.json", "history.csv")


def main() -> None:
    """Copies the files and writes the cards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--summary", required=True, help="one line for `lsp-keras list zoo`")
    parser.add_argument("--command", required=True, help="that trained it")
    parser.add_argument("--trained-on", required=True, help="hardware and time")
    parser.add_argument("--weights", default="model.keras", help="file of the run")
    options = parser.parse_args()
    folder = _FOLDER / options.name
    (folder / "evaluations").mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(options.run / name, folder / name)
    shutil.copyfile(options.run / options.weights, folder / _MODEL)
    record = autoattack_record(options.run)
    # Where it lay on the machine that measured it says nothing to others.
    record["model"]["path"] = f"zoo:{options.name}"
    write_json(folder / "evaluations" / "autoattack.json", record)
    card = make_card(options, record, folder)
    write_json(folder / _CARD, card)
    write_json(folder / "robustbench.json", robustbench(card))
    (folder / "README.md").write_text(text(options.name, card), encoding="utf-8")
    print(f"zoo:{options.name}: {card['summary']}")


def autoattack_record(run: Path) -> dict[str, Any]:
    """The newest record of AutoAttack, standard version."""
    records = [
        json.loads(path.read_text()) for path in sorted((run / "evaluations").glob("*.json"))
    ]
    return [record for record in records if record["is_autoattack"]][-1]


def make_card(options: Any, record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What programs read of the entry."""
    data = json.loads((folder / "dataset.json").read_text())
    return {
        "summary": options.summary,
        "file_fingerprint": fingerprint((folder / _MODEL).read_bytes()),
        "model_fingerprint": record["model_fingerprint"],
        "licence": LICENCE,
        "command": options.command,
        "trained_on": options.trained_on,
        "dataset": data["name"],
        "num_training_images": data["num_images"]["train"],
        "class_names": data["class_names"],
        "num_parameters": record["model"]["num_parameters"],
        "epsilon": record["threat_model"]["epsilon_text"],
        "norm": record["threat_model"]["norm"],
        "num_test_images": record["num_examples"],
        "clean_accuracy": record["clean_accuracy"],
        "autoattack_accuracy": record["worst_case_accuracy"],
        "flags": [flag["name"] for flag in record["flags"]],
    }


def robustbench(card: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of RobustBench's model records."""
    return {
        "link": "",
        "name": card["summary"],
        "authors": "lsp-keras",
        "additional_data": False,
        "number_forward_passes": 1,
        "dataset": card["dataset"],
        "venue": "unpublished",
        "architecture": "ResNet-18 of another width",
        "eps": card["epsilon"],
        "clean_acc": f"{100 * card['clean_accuracy']['value']:.2f}",
        "reported": f"{100 * card['autoattack_accuracy']['value']:.2f}",
        "autoattack_acc": f"{100 * card['autoattack_accuracy']['value']:.2f}",
        "footnote": f"On {card['num_test_images']} test images, JPEG-recompressed.",
    }


def text(name: str, card: Mapping[str, Any]) -> str:
    """The card for people, with the front matter that Hugging Face reads."""
    clean, robust = percent(card["clean_accuracy"]), percent(card["autoattack_accuracy"])
    flags = ", ".join(card["flags"]) or "none"
    return f"""---
license: {card["licence"]}
library_name: keras
pipeline_tag: image-classification
datasets: [{card["dataset"]}]
metrics: [accuracy]
---

# zoo:{name}

{card["summary"]}

| | |
|---|---|
| clean accuracy | {clean} |
| accuracy under AutoAttack, {card["norm"]} {card["epsilon"]} | {robust} |
| test images | {card["num_test_images"]:,} of {card["dataset"]}, JPEG-recompressed |
| signs of gradient masking | {flags} |
| parameters | {card["num_parameters"]:,} |
| training images | {card["num_training_images"]:,}; the others chose the epoch |
| trained by | `{card["command"]}` |
| trained on | {card["trained_on"]} |
| fingerprint of the file | {card["file_fingerprint"]} |

Takes images of 32x32 RGB pixels in [0, 1] and returns logits of: {", ".join(card["class_names"])}.
Brackets are 95 % intervals. An accuracy on these classes and this perturbation says nothing about
other images, other perturbations or patches.
"""


def percent(share: Mapping[str, float]) -> str:
    """`41.2 % [38.2, 44.3]`."""
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['value']:.1f} % [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
