import json

import numpy as np
import pytest

from lsp_keras.evaluation.profile.answers import answers, calibrate


def test_margins_confidences_entropies_and_losses_by_hand() -> None:
    # Probabilities 0.2, 0.3, 0.5 and 0.7, 0.2, 0.1, given as logarithms.
    probabilities = np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]])
    found = answers(np.log(probabilities).astype(np.float32), np.array([1, 0]))
    assert found.margins == pytest.approx([np.log(0.3 / 0.5), np.log(0.7 / 0.2)], rel=1e-6)
    assert found.confidences == pytest.approx([0.5, 0.7], rel=1e-6)
    entropies = -(probabilities * np.log(probabilities)).sum(axis=1)
    assert found.entropies == pytest.approx(entropies, rel=1e-6)
    assert found.losses == pytest.approx([-np.log(0.3), -np.log(0.7)], rel=1e-6)
    assert found.correct.tolist() == [False, True]
    assert found.error == 0.5
    # |log 0.6| = 0.51 is within one logit, log 3.5 = 1.25 is not.
    assert found.near_zero == 0.5


def test_huge_logits_stay_finite() -> None:
    found = answers(np.array([[1e30, -1e30], [-1e30, 1e30]], np.float32), np.array([0, 0]))
    assert found.margins.tolist() == pytest.approx([2e30, -2e30])
    assert found.confidences.tolist() == [1.0, 1.0]
    assert found.losses[0] == 0.0
    assert np.isfinite(found.losses[1])
    assert np.isnan(found.entropies).sum() == 0


def test_calibration_error_by_hand() -> None:
    confidences = np.array([0.55, 0.58, 0.95, 0.91, 0.99, 0.3])
    correct = np.array([True, False, True, True, False, True])
    found = calibrate(confidences, correct, num_bins=10)
    assert found.counts.tolist() == [0, 0, 1, 0, 0, 2, 0, 0, 0, 3]
    assert found.confidence[[2, 5, 9]] == pytest.approx([0.3, 0.565, 0.95])
    assert found.accuracy[[2, 5, 9]] == pytest.approx([1.0, 0.5, 2 / 3])
    gaps = 1 * abs(0.3 - 1.0) + 2 * abs(0.565 - 0.5) + 3 * abs(0.95 - 2 / 3)
    assert found.error == pytest.approx(gaps / 6)


def test_both_ends_belong_to_a_bin() -> None:
    found = calibrate(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), num_bins=2)
    assert found.counts.tolist() == [2, 1]
    assert found.error == pytest.approx((abs(0.5 - 1.0) + 0.0) / 3)


def test_the_record_is_json() -> None:
    logits = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    record = json.loads(json.dumps(answers(logits, np.arange(30) % 4).to_dict()))
    assert record["num_images"] == 30
    assert sum(record["margin"]["histogram"]["counts"]) == 30
    bins = record["calibration"]["bins"]
    assert sum(entry["images"] for entry in bins) == 30
    assert bins[0]["confidence"] is None
