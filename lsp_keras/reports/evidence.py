"""What an auditor asks, answered from the records, each answer with where it comes from.

The questions are those of Article 15 of Regulation (EU) 2024/1689 (the AI Act: accuracy,
robustness, cybersecurity) in the terms of NIST AI 100-2 (adversarial machine learning, a taxonomy
and terminology). The answers are evidence and no assessment of conformity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsp_keras.reports.measure import Measured
from lsp_keras.reports.words import shown_path


@dataclass(frozen=True)
class Answer:
    """One row of the table.

    Attributes:
        topic: Threat, tests, results, limits or provenance.
        question: What is asked, and where.
        answer: What is known.
        source: Which record or file says so.
    """

    topic: str
    question: str
    answer: str
    source: str


def evidence_rows(view: Mapping[str, Any], measured: Measured) -> list[Answer]:
    """The auditor's table of one model.

    Args:
        view: What the page shows of it.
        measured: The records.
    """
    headline = "autoattack" if view["is_autoattack"] else "quick"
    kept = measured.sources
    record = shown_path(kept[headline])
    diagnosed = shown_path(kept["diagnosis"]) if "diagnosis" in kept else "not made"
    return [
        *_threat(view, measured, record),
        *_tests(view, measured, record, diagnosed),
        *_results(view, record, diagnosed),
        *_limits(view),
        *_provenance(view, measured, record),
    ]


def _threat(view: Mapping[str, Any], measured: Measured, record: str) -> list[Answer]:
    gradients = measured.subject.classifier.has_gradients
    knowledge = (
        "white-box: architecture, weights and gradients are known; black-box attacks too"
        if gradients
        else "black-box: answers to queries alone"
    )
    return [
        Answer(
            "threat",
            "Class of attack (Art. 15(5), NIST AI 100-2: predictive AI)",
            "evasion by adversarial examples; an integrity violation at deployment stage",
            "this report's scope",
        ),
        Answer(
            "threat",
            "Attacker's goal and capability (NIST AI 100-2)",
            f"any wrong class, by testing data control within {view['threat']}; "
            "no control of training data or model",
            f"{record}: threat_model",
        ),
        Answer("threat", "Attacker's knowledge (NIST AI 100-2)", knowledge, f"{record}: attacks"),
    ]


def _tests(
    view: Mapping[str, Any], measured: Measured, record: str, diagnosed: str
) -> list[Answer]:
    names = "; ".join(
        f"{row['name']} ({row['settings']})" if row["settings"] else row["name"]
        for row in view["attacks"]
        if row["seconds"] is not None
    )
    return [
        Answer("tests", "Attacks and their settings", names, f"{record}: attacks"),
        Answer(
            "tests",
            "Images tested",
            f"{view['facts']['test images']} of the test split of "
            f"{measured.subject.dataset.info.name}; the epoch was chosen on other images",
            f"{record}: dataset",
        ),
        Answer(
            "tests",
            "Can the test itself be trusted (masked gradients)?",
            view["masking"],
            diagnosed,
        ),
    ]


def _results(view: Mapping[str, Any], record: str, diagnosed: str) -> list[Answer]:
    lowest = min(view["classes"], key=lambda row: row["robust"].value, default=None)
    answers = [
        Answer(
            "results",
            "Accuracy and its metric, to be declared (Art. 15(3))",
            f"share of test images classified rightly: {view['clean']['text']}",
            f"{record}: clean_accuracy",
        ),
        Answer(
            "results",
            "Resilience against adversarial examples (Art. 15(5))",
            view["statement"],
            f"{record}: statement",
        ),
    ]
    if lowest is not None:
        answers.append(
            Answer(
                "results",
                "Consistency over classes (Art. 15(1))",
                f"lowest under attack: {lowest['name']}, {lowest['robust']}",
                f"{record}: verdicts",
            )
        )
    if view["radius"] is not None:
        answers.append(
            Answer(
                "results",
                "How it degrades beyond the radius (Art. 15(4))",
                "the chart of accuracy against radius",
                f"{diagnosed}: accuracy_by_epsilon",
            )
        )
    return answers


def _limits(view: Mapping[str, Any]) -> list[Answer]:
    found = "; ".join(f"{name}: {why}" for name, why in view["unchecked"].items())
    return [
        Answer("limits", "What was not tested", found, "records: unchecked, skipped; this report"),
        Answer(
            "limits",
            "Other attacks of Art. 15(5): data and model poisoning, confidentiality attacks",
            "not tested by this package",
            "this report's scope",
        ),
        Answer(
            "limits",
            "Errors, faults, feedback loops, lifecycle (Art. 15(1) and (4))",
            "not tested by this package; they belong to the system around the model",
            "this report's scope",
        ),
    ]


def _provenance(view: Mapping[str, Any], measured: Measured, record: str) -> list[Answer]:
    facts = view["facts"]
    run = measured.subject.classifier.run
    trained = view["commands"][0] if run is not None else "unknown: the model lies in no run"
    return [
        Answer("provenance", "Which model", f"fingerprint {facts['fingerprint']}", f"{record}"),
        Answer(
            "provenance",
            "How it was trained",
            trained,
            "unknown" if run is None else shown_path(run / "config.toml"),
        ),
        Answer("provenance", "Software", facts["versions"], f"{record}: versions"),
        Answer("provenance", "Hardware", facts["measured on"], f"{record}: hardware"),
        Answer(
            "provenance", "Can it be repeated?", "; ".join(view["commands"]), "section Provenance"
        ),
    ]
