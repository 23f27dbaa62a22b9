import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import Cascade
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.noise import Noise
from lsp_keras.attacks.pgd import PGD
from lsp_keras.validation import InputError

EPSILON = 0.1


def logits_fn(images):
    """Class 0 where the mean is above one half; a sign step of `EPSILON` moves it by as much."""
    mean = tf.reduce_mean(images, axis=[1, 2, 3])
    return tf.stack([mean - 0.5, 0.5 - mean], axis=1)


def test_it_breaks_what_any_of_its_attacks_breaks() -> None:
    # Margins to the boundary: noise moves the mean too little for all but the first.
    means = np.asarray([0.501, 0.55, 0.65], np.float32)
    images = np.broadcast_to(means[:, None, None, None], (3, 4, 4, 3)).copy()
    labels = np.zeros(3, np.int64)
    parts = {"noise": Noise(epsilon=EPSILON), "fgsm": FGSM(epsilon=EPSILON)}
    result = Cascade(attacks=parts, epsilon=EPSILON)(logits_fn, images, labels, seed=0)
    assert result.success.tolist() == [True, True, False]
    assert np.max(result.distances) <= EPSILON + 1e-6


def test_it_uses_gradients_where_a_part_does() -> None:
    noise, fgsm = Noise(epsilon=EPSILON), FGSM(epsilon=EPSILON)
    assert Cascade(attacks={"noise": noise, "fgsm": fgsm}, epsilon=EPSILON).uses_gradients
    assert not Cascade(attacks={"noise": noise}, epsilon=EPSILON).uses_gradients


def test_parts_with_another_ball_are_refused() -> None:
    with pytest.raises(InputError, match="share one ball"):
        Cascade(attacks={"pgd": PGD(epsilon=0.2)}, epsilon=EPSILON)
    with pytest.raises(InputError, match="at least one attack"):
        Cascade(attacks={}, epsilon=EPSILON)
