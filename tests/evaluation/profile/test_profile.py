import json

import numpy as np
import pytest

from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation import profile
from lsp_keras.evaluation.profile.answers import answers
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

THREAT = ThreatModel.parse("0.0275")


@pytest.fixture(scope="module")
def found(contrast_model, contrast_examples):
    images, labels = contrast_examples
    train = (images[5:9], labels[5:9])
    return profile(contrast_model, train=train, test=contrast_examples, threat=THREAT)


def test_margins_by_hand(found) -> None:
    # The two logits are the contrast and its negative: the margin is twice the contrast.
    contrasts = np.arange(1, 11) / 100.0
    contrasts[-1] *= -1.0
    margins = found.answers["test_clean"].margins
    np.testing.assert_allclose(margins, 2.0 * contrasts, atol=1e-6)
    # The attack takes 2 epsilon off each contrast, also where the label is wrong already.
    attacked = found.answers["test_adversarial"].margins
    np.testing.assert_allclose(attacked, 2.0 * (contrasts - 0.055), atol=1e-5)
    assert found.answers["test_clean"].error == pytest.approx(0.1)
    assert found.answers["test_adversarial"].error == pytest.approx(0.6)


def test_gaps_are_test_less_train(found) -> None:
    # Contrasts 0.06 to 0.09 with right labels: no error, and none under attack.
    assert found.gaps["clean"]["error"] == pytest.approx(0.1)
    assert found.gaps["adversarial"]["error"] == pytest.approx(0.6)
    losses = [found.answers[f"{name}_clean"].losses.mean() for name in ("test", "train")]
    assert found.gaps["clean"]["loss"] == pytest.approx(losses[0] - losses[1])
    assert found.gaps["clean"]["loss"] > 0


def test_layers_by_hand(found) -> None:
    (spectrum,), (change,) = found.spectra, found.feature_changes
    assert spectrum.layer == change.layer
    # Both columns are +-1/8 over 16 pixels: rank one, of norm sqrt(2 * 16 / 64).
    np.testing.assert_allclose(spectrum.values, [np.sqrt(0.5), 0.0], atol=1e-6)
    contrasts = np.arange(1, 11) / 100.0
    assert change.adversarial == pytest.approx((0.055 / contrasts).mean(), rel=1e-4)
    assert change.random < change.adversarial


def test_the_record_is_json_and_complete(found) -> None:
    record = json.loads(json.dumps(found.to_dict()))
    assert set(record["answers"]) == {
        f"{split}_{kind}" for split in ("train", "test") for kind in ("clean", "adversarial")
    }
    assert record["answers"]["test_clean"]["num_images"] == 10
    assert record["train_test_gaps"]["clean"]["error"] == pytest.approx(0.1)
    assert record["singular_values"][0]["largest"] == pytest.approx(np.sqrt(0.5))
    assert record["feature_changes"][0]["ratio"] > 1.0
    assert record["threat_model"] == {"norm": "linf", "epsilon": 0.0275, "epsilon_text": "0.0275"}


def test_a_callable_has_answers_but_no_layers(contrast_model, contrast_examples) -> None:
    told = []
    found = profile(
        lambda images: contrast_model(images),
        test=contrast_examples,
        threat=THREAT,
        progress=lambda *state: told.append(state),
    )
    assert set(found.answers) == {"test_clean", "test_adversarial"}
    assert found.gaps == {}
    assert list(found.spectra) == []
    assert list(found.feature_changes) == []
    assert told == [("test images", 1, 3), ("singular values", 2, 3), ("features", 3, 3)]


def test_the_attack_is_pgd_with_20_steps(found, contrast_model, contrast_examples) -> None:
    images, labels = contrast_examples
    attack = PGD(epsilon=0.0275, num_steps=20)
    attacked = attack(contrast_model, images, labels, seed=0)
    expected = answers(attacked.logits, labels).margins
    np.testing.assert_allclose(
        found.answers["test_adversarial"].margins[:-1], expected[:-1], atol=1e-5
    )


def test_l1_is_refused(contrast_model, contrast_examples) -> None:
    with pytest.raises(InputError, match=r"norm.*l1"):
        profile(contrast_model, test=contrast_examples, threat=ThreatModel.parse("1", "l1"))
