"""What the card of a served model says, and leaves out."""

import json

from lsp_keras.export import make_card
from lsp_keras.export.model_card import card_text, write_card

RECORD = {
    "statement": "Robust accuracy 40.0 % under pgd.",
    "is_autoattack": False,
    "model_fingerprint": "abc",
    "model": {"path": "/private/model.keras"},
    "threat_model": {"norm": "linf", "epsilon_text": "8/255"},
    "num_examples": 1000,
    "clean_accuracy": {"value": 0.9},
    "worst_case_accuracy": {"value": 0.4},
    "attacks": {"pgd": {"accuracy": {"value": 0.4}, "config": {"num_steps": 10}}},
    "command": "/private/command",
}


def make(**parts):
    return make_card(class_names=["a", "b"], fingerprint="abc", versions={"keras": "3"}, **parts)


def test_the_card_holds_what_was_measured_on_this_model_and_no_paths() -> None:
    card = make(
        dataset={"name": "toy"},
        training={"method": "at", "data_dir": "/private", "encoder": "/private/e.keras"},
        evaluations=[RECORD, {**RECORD, "model_fingerprint": "other"}],
    )
    assert card["training"] == {"method": "at"}
    (evaluation,) = card["evaluations"]
    assert evaluation["attacks"] == {"pgd": {"value": 0.4}}
    assert evaluation["threat_model"]["epsilon_text"] == "8/255"
    assert "private" not in json.dumps(card)


def test_the_text_lists_clean_attacked_and_worst_case() -> None:
    text = card_text(make(evaluations=[RECORD]))
    rows = [line for line in text.splitlines() if "%" in line and line.startswith("|")]
    # Each accuracy has its radius and its sample beside it.
    assert rows == [
        "| clean | 90.0 % |  | 1,000 |",
        "| pgd | 40.0 % | L-inf 8/255 | 1,000 |",
        "| worst case | 40.0 % | L-inf 8/255 | 1,000 |",
    ]
    assert "Robust accuracy 40.0 % under pgd." in text


def test_a_model_nobody_attacked_is_called_not_robust() -> None:
    assert "expect no robustness" in card_text(make())


def test_both_files_are_written(tmp_path) -> None:
    write_card(tmp_path, make())
    folder = tmp_path / "assets.extra"
    assert json.loads((folder / "model_card.json").read_text())["fingerprint"] == "abc"
    assert (folder / "model_card.md").read_text().startswith("# Model card\n")
