import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.cw_l2_fixed_c import CWL2FixedC, masked_lead
from lsp_keras.inference import row_function as _cores


def test_the_lead_counts_negative_logits_as_zero_like_torchattacks() -> None:
    logits = tf.constant([[2.0, -1.0, 0.5], [-3.0, -1.0, -2.0], [1.0, 4.0, -2.0]])
    np.testing.assert_allclose(masked_lead(tf.constant([0, 1, 0]), logits), [1.5, 0.0, -3.0])


def test_a_larger_constant_breaks_more(linear) -> None:
    images, labels = linear.images_at(0.3, "l2")
    broken = [
        CWL2FixedC(epsilon=5.0, constant=constant)(
            linear.logits_fn, images, labels, seed=0
        ).success.mean()
        for constant in (1e-3, 10.0)
    ]
    assert broken == [0.0, 1.0]


@pytest.mark.parametrize("like_torchattacks", [False, True])
def test_the_scale_of_the_logits_decides_in_torchattacks_only(linear, like_torchattacks) -> None:
    images, labels = linear.images_at(0.3, "l2")
    attack = CWL2FixedC(epsilon=5.0, constant=0.05, like_torchattacks=like_torchattacks)
    broken = [
        attack(
            lambda x, scale=scale: linear.logits_fn(x) * scale, images, labels, seed=0
        ).success.mean()
        for scale in (0.1, 100.0)
    ]
    assert bool(broken[0] < broken[1]) is like_torchattacks


def test_log_probabilities_break_like_the_logits_they_come_from(linear) -> None:
    # All are negative: by torchattacks' product with a mask, every lead would be 0.
    images, labels = linear.images_at(0.3, "l2")
    attack = CWL2FixedC(epsilon=5.0, constant=10.0)
    found = attack(lambda x: tf.nn.log_softmax(linear.logits_fn(x)), images, labels, seed=0).success
    assert found.all()
    theirs = CWL2FixedC(epsilon=5.0, constant=10.0, like_torchattacks=True)
    assert not theirs(
        lambda x: tf.nn.log_softmax(linear.logits_fn(x)), images, labels, seed=0
    ).success.any()


def test_black_and_white_pixels_stay(linear) -> None:
    images, labels = linear.images_at(0.3, "l2")
    images[:, 0, 0] = [0.0, 1.0, 0.0]
    labels = np.asarray(linear.logits_fn(images)).argmax(axis=1)
    found = CWL2FixedC(epsilon=5.0, constant=10.0)(linear.logits_fn, images, labels, seed=0)
    np.testing.assert_array_equal(found.images[:, 0, 0], images[:, 0, 0])
    assert found.success.any()


def test_with_steps_enough_for_its_constant_it_is_minimal_within_5_percent(linear) -> None:
    images, labels = linear.images_at(0.4, "l2")
    attack = CWL2FixedC(epsilon=5.0, constant=1.0, num_steps=200)
    result = attack(linear.logits_fn, images, labels, seed=0)
    assert result.success.all()
    np.testing.assert_array_less(result.distances, 0.4 * 1.05)


def test_a_batch_that_stops_together_is_not_shared_among_cores(monkeypatch, linear) -> None:
    near, labels = linear.images_at(0.3, "l2")
    far, _ = linear.images_at(0.6, "l2")
    images = np.concatenate([near, far])
    labels = np.concatenate([labels, labels])
    distances = []
    for cores in (1, 4):
        monkeypatch.setattr(_cores, "num_cores", lambda cores=cores: cores)
        attack = CWL2FixedC(epsilon=5.0, constant=1.0, learning_rate=0.1, like_torchattacks=True)
        distances.append(attack(linear.logits_fn, images, labels, seed=0).distances)
    np.testing.assert_array_equal(distances[0], distances[1])
