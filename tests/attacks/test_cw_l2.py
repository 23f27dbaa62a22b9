import numpy as np
import pytest

from lsp_keras.attacks.cw_l2 import CWL2


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_distances_are_minimal_within_5_percent_at_every_scale_of_logits(linear, scale) -> None:
    images, labels = linear.images_at(0.4, "l2")
    attack = CWL2(epsilon=5.0, num_steps=200)
    result = attack(lambda x: linear.logits_fn(x) * scale, images, labels, seed=0)
    assert result.success.all()
    np.testing.assert_array_less(result.distances, 0.4 * 1.05)
    np.testing.assert_array_less(0.4 * 0.999, result.distances)
