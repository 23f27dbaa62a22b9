import numpy as np

from lsp_keras.evaluation.report import pack_verdicts
from lsp_keras.evaluation.share import Share
from lsp_keras.reports.accuracy import agrees, attack_rows, class_rows, confusion

CLEAN = np.array([1, 1, 1, 0, 1, 1], bool)
ROBUST = np.array([1, 0, 0, 0, 1, 1], bool)
LABELS = np.array([0, 0, 1, 1, 2, 2])
NAMES = ("a", "b", "c", "never")


def record():
    shares = {name: Share(int(kind.sum()), 6).to_dict() for name, kind in _kinds().items()}
    return {
        "num_examples": 6,
        "seed": 3,
        "threat_model": {"norm": "linf"},
        "clean_accuracy": shares["clean"],
        "worst_case_accuracy": shares["worst_case"],
        "attacks": {
            "pgd": {
                "accuracy": shares["worst_case"],
                "config": {"num_steps": 10, "step_size": 2 / 255, "objective": None},
                "seconds": 1.5,
            }
        },
        "verdicts": {name: pack_verdicts(kind) for name, kind in _kinds().items()},
    }


def _kinds():
    return {"clean": CLEAN, "worst_case": ROBUST}


def test_each_class_has_its_own_shares() -> None:
    rows = class_rows(record(), LABELS, NAMES)
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert [row["clean"] for row in rows] == [Share(2, 2), Share(1, 2), Share(2, 2)]
    assert [row["robust"] for row in rows] == [Share(1, 2), Share(0, 2), Share(2, 2)]
    assert class_rows(record() | {"verdicts": {}}, LABELS, NAMES) == []


def test_rows_of_attacks_say_their_settings() -> None:
    first, pgd, worst, again = attack_rows([record(), record()])
    assert (first["name"], first["text"][:6]) == ("no attack", "83.3 %")
    assert pgd["settings"] == "steps 10, step 2/255"
    assert (worst["name"], worst["seconds"]) == ("worst of these", None)
    assert again["name"] == "pgd"


def test_a_record_of_other_images_does_not_agree() -> None:
    assert agrees(record(), CLEAN)
    assert agrees(record(), CLEAN[:3])
    assert not agrees(record(), ~CLEAN)
    assert not agrees(record() | {"verdicts": {}}, CLEAN)


def test_confusions_by_hand() -> None:
    found = confusion(LABELS, np.array([0, 1, 1, 0, 2, 2]), NAMES)
    counts = [[cell["count"] for cell in row["cells"]] for row in found["rows"]]
    assert counts == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0]]
    assert [row["total"] for row in found["rows"]] == [2, 2, 2]
    assert {(item["truth"], item["answer"]) for item in found["mistakes"]} == {
        ("a", "b"),
        ("b", "a"),
    }


def test_many_classes_are_shown_by_their_mistakes() -> None:
    names = tuple(f"class {number}" for number in range(30))
    labels = np.arange(30)
    predictions = labels.copy()
    predictions[4] = 7
    found = confusion(labels, predictions, names)
    assert found["rows"] == []
    assert found["mistakes"] == [{"truth": "class 4", "answer": "class 7", "count": 1, "total": 1}]
