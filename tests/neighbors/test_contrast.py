import numpy as np
import pytest

from lsp_keras.neighbors import Contrast


def test_length_of_p_less_equal_shares_by_hand() -> None:
    """Shares 1/4, 3/4 are (1/4, 1/4) away from equal ones; a row of zeros counts as equal."""
    found = Contrast.of(np.array([[1.0, 3.0], [0.0, 0.0]]))
    assert found.of_targets == pytest.approx(np.sqrt(2) / 4 / 2)
    assert found.loss == pytest.approx(0.28)


def test_distances_that_differ_by_three_percent_do_not_matter() -> None:
    distances = 1.0 + 0.03 * np.random.default_rng(0).normal(size=(2000, 8))
    found = Contrast.of(distances)
    assert found.of_targets == pytest.approx(0.03 * np.sqrt(7) / 8, rel=0.1)
    assert not found.matters
    assert "0.010 away from equal shares" in found.sentence()
    assert "too little to matter" in found.sentence()


def test_a_measured_loss_takes_the_place_of_the_usual_one() -> None:
    found = Contrast(0.05, 0.1)
    assert found.matters
    assert found.sentence() == (
        "Contrast: P is 0.050 away from equal shares, where the loss is about 0.10."
    )
