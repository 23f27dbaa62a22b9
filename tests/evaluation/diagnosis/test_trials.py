from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import AttackResult, Unperturbed
from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation.diagnosis.local_structure import LocalStructure
from lsp_keras.evaluation.diagnosis.trials import (
    Cooled,
    Plan,
    Transfer,
    Trials,
    lasting,
    plan_attacks,
    run_attacks,
    sweep_of_radii,
)
from lsp_keras.evaluation.journal import Journal
from lsp_keras.inference.traced import TracedModel
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

BALL = ThreatModel.parse("0.0275")


class Counted(Unperturbed):
    """Does nothing, and counts how often it is asked to."""

    count = 0

    def search(self, *arguments, **options):
        type(self).count += 1
        return super().search(*arguments, **options)


def plan(**options):
    return plan_attacks(
        BALL, num_queries=10, **{"transfer_from": None, "structure": None} | options
    )


def traced(logits_fn, examples):
    return TracedModel(logits_fn, examples[0].shape[1:])


def run(steps, logits_fn, examples, **groups):
    return run_attacks(
        {**groups, "steps": steps},
        traced(logits_fn, examples),
        *examples,
        batch_size=4,
        seed=0,
        progress=None,
    )


def test_radii_end_where_no_classifier_can_stand() -> None:
    assert sweep_of_radii(ThreatModel.parse("8/255"))[-1] == 0.5
    assert sweep_of_radii(ThreatModel.parse("0.3")) == [0.075, 0.15, 0.3, 0.5]
    assert sweep_of_radii(ThreatModel.parse("0.5", "l2"))[-2:] == [2.0, 30.0]


def test_a_divisor_divides_the_logits() -> None:
    logits = tf.constant([[0.0, 10.0 * np.log(3.0)]])
    found = Cooled(10.0)(tf.constant([0]), logits).numpy()
    np.testing.assert_allclose(found, [np.log(4.0)], rtol=1e-6)


def test_the_plan_varies_one_thing_in_each_group() -> None:
    found = plan()
    assert all(radius == attack.epsilon for radius, attack in found["radius"].items())
    assert {attack.num_steps for attack in found["radius"].values()} == {20}
    assert all(count == attack.num_steps for count, attack in found["steps"].items())
    assert {attack.epsilon for attack in found["steps"].values()} == {0.0275}
    assert all(value == attack.constant for value, attack in found["constant"].items())
    assert "transfer" not in found
    assert "structure" not in found
    # Temperatures climb the softmax cross-entropy, which the others do not.
    assert found["radius"][0.0275] is found["steps"][20]


def test_an_attack_that_is_planned_twice_runs_once(contrast_model, contrast_examples) -> None:
    attack = Counted(epsilon=0.1)
    found = run({1: attack, 2: attack}, contrast_model, contrast_examples, radius={0.1: attack})
    assert Counted.count == 1
    assert found.accuracies("steps") == {1: 0.9, 2: 0.9}
    assert found.accuracies("radius") == {0.1: 0.9}


def test_verdicts_of_a_killed_diagnosis_are_not_found_again(
    contrast_model, contrast_examples, tmp_path
) -> None:
    weak, other = (Counted(epsilon=0.1) for _ in range(2))
    most = PGD(epsilon=0.1, num_steps=2)
    groups: Plan = {"radius": {0.1: weak}, "transfer": {20: other}, "steps": {2: most}}
    model = traced(contrast_model, contrast_examples)
    Counted.count = 0
    first, again = (
        run_attacks(
            groups,
            model,
            *contrast_examples,
            batch_size=4,
            seed=0,
            progress=None,
            journal=Journal(tmp_path),
        )
        for _ in range(2)
    )
    # What depends on another model runs each time, and so does what images are needed of.
    assert Counted.count == 3
    for group in groups:
        assert first.accuracies(group) == again.accuracies(group)
    np.testing.assert_array_equal(first.strongest.images, again.strongest.images)


def test_attacks_of_a_plan_have_one_name_in_every_process() -> None:
    assert {name: repr(attack) for name, attack in lasting(plan()).items()} == {
        name: repr(attack) for name, attack in lasting(plan()).items()
    }
    assert not any(" at 0x" in repr(attack) for attack in lasting(plan()).values())


def test_progress_names_every_attack(contrast_model, contrast_examples) -> None:
    told = []
    attack = Unperturbed(epsilon=0.1)
    run_attacks(
        {"radius": {0.1: attack}, "steps": {1: attack}},
        traced(contrast_model, contrast_examples),
        *contrast_examples,
        batch_size=4,
        seed=0,
        progress=lambda *state: told.append(state),
    )
    assert told == [("radius 0.1", 1, 2), ("steps 1", 2, 2)]


def test_the_strongest_has_the_most_steps(contrast_model, contrast_examples) -> None:
    steps = {count: PGD(epsilon=0.0275, num_steps=count) for count in (1, 20)}
    found = run(steps, contrast_model, contrast_examples)
    expected = steps[20](contrast_model, *contrast_examples, seed=0)
    np.testing.assert_array_equal(found.strongest.images, expected.images)


def test_without_steps_there_is_no_strongest(contrast_model, contrast_examples) -> None:
    with pytest.raises(InputError, match="must have a group 'steps'"):
        run_attacks(
            {"radius": {0.1: Unperturbed(epsilon=0.1)}},
            contrast_model,
            *contrast_examples,
            batch_size=4,
            seed=0,
            progress=None,
        )


def test_leads_and_shares_by_hand() -> None:
    def verdicts(*standing):
        return np.array(standing, bool)

    none: Any = np.zeros(0, np.float32)
    found = Trials(
        logits_fn=lambda images: images,
        images=none,
        labels=np.zeros(4, int),
        standing={
            "steps": {1: verdicts(1, 1, 1, 0), 10: verdicts(1, 1, 0, 1)},
            "margin": {50: verdicts(1, 1, 1, 1)},
            "fgsm": {1: verdicts(1, 1, 1, 1)},
            "square": {10: verdicts(0, 1, 0, 0)},
        },
        strongest=AttackResult(none, none, none, none, none),
    )
    assert found.white_box.tolist() == [True, True, False, False]
    # The square attack breaks three images, but only the first one by itself.
    assert found.lead("square") == 0.25
    assert found.lead("margin") == 0.0
    assert found.accuracies("steps") == {1: 0.75, 10: 0.75}


def test_transfer_brings_images_from_the_other_model(contrast_model, contrast_examples) -> None:
    attack = Transfer(epsilon=0.0275, source=contrast_model)
    # On itself it is PGD.
    own = attack(contrast_model, *contrast_examples, seed=0)
    pgd = PGD(epsilon=0.0275, num_steps=20)(contrast_model, *contrast_examples, seed=0)
    np.testing.assert_array_equal(own.images, pgd.images)

    # A model that hides its gradient is broken by it as well, up to the rounding.
    def rounded(images):
        return contrast_model(tf.round(images * 1000) / 1000)

    assert (~attack(rounded, *contrast_examples, seed=0).success).mean() == 0.4
    blind = PGD(epsilon=0.0275, num_steps=20)(rounded, *contrast_examples, seed=0)
    assert (~blind.success).mean() >= 0.8


def test_the_lsp_term_leads_where_plain_losses_are_flat() -> None:
    """Cross entropy and margin go after the second logit, darker; LSP after the third, brighter."""
    shape = (4, 4, 1)

    def logits_fn(images):
        brightness = tf.reduce_mean(images, axis=[1, 2, 3]) - 0.5
        constant = tf.zeros_like(brightness)
        return tf.stack([constant + 1.0, -brightness, 4000.0 * brightness - 190.0], axis=1)

    images, labels = np.full((3, *shape), 0.5, np.float32), np.zeros(3, int)
    # Brighter, the image comes closer to the bright neighbor, from which it should be far.
    bright, dark = np.full(shape, 153, np.uint8), np.zeros(shape, np.uint8)
    structure = LocalStructure(
        neighbor_images=np.tile(np.stack([bright, dark]), (3, 1, 1, 1, 1)),
        neighbor_distances=np.tile(np.array([9.0, 1.0], np.float32), (3, 1)),
        weight=1.0,
        divergence="l2",
        normalize_logits=False,
    )
    threat = ThreatModel.parse("0.05")
    term = structure.under(lambda part: logits_fn(part).numpy(), 3)
    planned = plan_attacks(threat, num_queries=10, transfer_from=None, structure=term)
    assert list(planned["structure"]) == [1.0, 10.0, 100.0]
    groups = {name: planned[name] for name in ("structure", "margin", "fgsm")}
    groups["steps"] = {20: planned["steps"][20]}
    found = run_attacks(
        groups, traced(logits_fn, (images,)), images, labels, batch_size=3, seed=0, progress=None
    )
    assert found.white_box.all()
    assert found.lead("structure") == 1.0
