import numpy as np

from lsp_keras.attacks.cw_linf import CWLinf
from lsp_keras.attacks.pgd import PGD


def test_is_pgd_on_the_margin(small_model, batch) -> None:
    ours = CWLinf(epsilon=0.02, num_steps=5)(small_model, *batch, seed=2)
    theirs = PGD(epsilon=0.02, num_steps=5, objective="margin")(small_model, *batch, seed=2)
    np.testing.assert_array_equal(ours.images, theirs.images)
    assert CWLinf(epsilon=0.02).get_config()["num_steps"] == 40
