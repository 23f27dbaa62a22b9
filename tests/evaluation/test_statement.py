import itertools
from typing import Any

import pytest

from lsp_keras.evaluation.share import Share
from lsp_keras.evaluation.statement import (
    Facts,
    lines,
    origin,
    statement,
    validation_sentence,
    verdict,
)
from lsp_keras.types import Flag, ThreatModel

THREAT = ThreatModel.parse("8/255")
DOUBT = Flag("unmoved_images", 0.5, 0.01, "share", "Gradient attacks are blind.", "Look closer.")
NEAR = Flag("shattered_gradients", 0.09, 0.1, "change", "Gradients are shattered.", "Average.")
REMARK = Flag("probability_outputs", 1.0, 0.0, "one", "It answers probabilities.", "Nothing.")
FEW = Flag("few_classes", 1.0, 0.0, "missing", "With 3 classes others stand in.", "Say so.")
NAMES = {"standard": "autoattack", "plus": "autoattack", "rand": "autoattack", None: "pgd"}


def facts(**changes) -> Facts:
    given: dict[str, Any] = {
        "threat": THREAT,
        "num_classes": 10,
        "clean": Share(90, 100),
        "robust": Share(40, 100),
        "attacks": ["pgd"],
    }
    return Facts(**given | changes)


def all_combinations() -> list[Facts]:
    """Every mixture of what may be known."""
    shares = [(0, 0), (12, 3), (90, 40), (100, 100)]
    return [
        facts(
            clean=Share(clean, 100),
            robust=Share(robust, 100),
            num_classes=num_classes,
            version=version,
            attacks=[NAMES[version]],
            doubts=doubts,
            near=near,
            remarks=remarks,
            num_checks=num_checks,
            unchecked=unchecked,
        )
        for (clean, robust), num_classes, version, doubts, near, remarks, num_checks, unchecked in (
            itertools.product(
                shares,
                (2, 3, 4, 10),
                NAMES,
                ((), (DOUBT,)),
                ((), (NEAR,)),
                ((), (REMARK,), (FEW, REMARK)),
                (0, 9),
                ({}, {"randomized_outputs": "it failed"}),
            )
        )
    ]


COMBINATIONS = all_combinations()


def test_there_are_all_combinations() -> None:
    assert len(COMBINATIONS) == 4 * 4 * 4 * 2 * 2 * 3 * 2 * 2


def test_nothing_to_judge_comes_before_everything_else() -> None:
    for item in COMBINATIONS:
        useless = item.clean.interval[0] <= 1 / item.num_classes
        assert verdict(item).startswith("Nothing to judge") is useless
        if useless:
            assert statement(item) == verdict(item)
            assert f"{item.clean.count} of 100" in statement(item)


def judgeable() -> list[Facts]:
    return [item for item in COMBINATIONS if item.is_judgeable]


def test_doubts_come_before_numbers() -> None:
    for item in judgeable():
        said = statement(item)
        if not item.doubts:
            assert "to be trusted" not in said
            assert "blind" not in said
        elif item.num_checks:
            assert said.startswith("The measured robustness is not to be trusted: unmoved_images.")
        else:
            assert said.startswith("Gradient attacks are blind. Look closer.")


def test_a_clean_bill_is_given_by_a_diagnosis_without_doubts_only() -> None:
    for item in judgeable():
        clears = "No sign of gradient masking in 9 checks" in statement(item)
        assert clears is (item.num_checks > 0 and not item.doubts)


def test_a_sign_near_its_threshold_is_named_with_its_numbers() -> None:
    for item in judgeable():
        named = "shattered_gradients (0.09 of 0.1)" in statement(item)
        assert named is bool(item.near and item.num_checks and not item.doubts)


def test_the_numbers_are_said_once_with_radius_and_sample() -> None:
    for item in judgeable():
        said = statement(item)
        assert said.count("Robust accuracy") == 1
        assert f"Robust accuracy {item.robust} under {item.attacks[0]} at L-inf 8/255" in said
        assert f"on 100 images, of which {item.clean.count}.0 % are classified correctly" in said


def test_the_origin_is_said_once_and_never_contradicts_itself() -> None:
    for item in judgeable():
        said = statement(item)
        standard = "It is from AutoAttack, standard version." in said
        assert standard is (item.version == "standard" and item.num_classes >= 4)
        assert standard is item.is_standard_autoattack
        others = ["not its standard version", "not from AutoAttack", "not AutoAttack's standard"]
        assert sum(other in said for other in others) == (0 if standard else 1)
        assert ("upper bound" in said) is (item.version is None)


def test_lines_say_the_same_in_the_same_order() -> None:
    for item in COMBINATIONS:
        said = lines(item)
        assert said[0] == verdict(item)
        if not item.is_judgeable:
            assert len(said) == 1
            continue
        assert sum(line.startswith("Robust accuracy") for line in said) == 1
        kinds = [line.split(",")[0].split(" ")[0] for line in said[1:]]
        assert kinds == sorted(kinds, key=["Robust", "-", "Remark", "Not"].index)
        assert kinds.count("-") == len(item.doubts)
        assert kinds.count("Remark") == len(item.remarks)
        assert kinds.count("Not") == len(item.unchecked)


def test_few_classes_are_named_where_they_replace_attacks() -> None:
    three = facts(version="standard", num_classes=3, remarks=[FEW])
    assert "with 3 classes untargeted attacks replace the targeted ones" in origin(three)
    assert "others stand in" not in statement(three)


def test_remarks_and_what_was_not_checked_come_last() -> None:
    for item in judgeable():
        said = statement(item)
        if item.unchecked:
            assert said.endswith("Not checked, randomized_outputs: it failed.")
        remarked = any(flag.name == "probability_outputs" for flag in item.remarks)
        assert ("It answers probabilities." in said) is remarked


@pytest.mark.parametrize(
    ("count", "num_classes", "is_useful"),
    [(1, 10, False), (6, 2, False), (12, 2, True), (5, 10, True)],
)
def test_useful_is_better_than_guessing_beyond_chance(count, num_classes, is_useful) -> None:
    assert facts(clean=Share(count, 12), num_classes=num_classes).is_judgeable is is_useful


def test_a_validation_carries_its_radius_and_its_sample() -> None:
    said = validation_sentence(0.9, 0.571, num_steps=10, threat=THREAT, num_images=1000)
    assert said == (
        "clean 90.0%, PGD-10 57.1% at L-inf 8/255 on 1,000 held-out training images "
        "(not AutoAttack)"
    )
