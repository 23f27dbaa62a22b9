import numpy as np
import pytest

from lsp_keras.attacks.apgd import APGD
from lsp_keras.attacks.fab import FAB

EPSILONS = {"linf": 0.05, "l2": 0.4, "l1": 6.0}


@pytest.mark.parametrize(
    ("norm", "targeted"),
    [
        pytest.param("linf", False, marks=pytest.mark.slow),
        ("linf", True),
        ("l2", True),
        ("l1", False),
    ],
)
def test_the_perturbation_is_the_smallest_within_5_percent(linear, norm, targeted) -> None:
    distance = EPSILONS[norm]
    images, labels = linear.images_at(distance, norm)
    # Far inside its budget the attack stops at the first hit: give it one just above.
    attack = FAB(epsilon=1.05 * distance, norm=norm, targeted=targeted)
    result = attack(linear.logits_fn, images, labels, seed=0)
    assert result.success.all()
    assert (result.distances <= 1.05 * distance * 1.0001).all()
    below = FAB(epsilon=0.99 * distance, norm=norm, targeted=targeted)
    assert not below(linear.logits_fn, images, labels, seed=0).success.any()


def test_turns_are_restarts_times_targets() -> None:
    assert FAB(epsilon=0.1, num_restarts=5).num_turns(10) == 5
    assert FAB(epsilon=0.1, targeted=True, num_restarts=2).num_turns(10) == 18
    assert FAB(epsilon=0.1, targeted=True, num_targets=3).num_turns(100) == 3
    assert FAB(epsilon=0.1, targeted=True).num_turns(4) == 3


# The others are slow: two attacks are compiled for each, and above each norm has its closed form.
@pytest.mark.parametrize(
    "norm",
    ["linf", *(pytest.param(norm, marks=pytest.mark.slow) for norm in ("l2", "l1"))],
)
def test_agrees_with_apgd_on_a_network(small_model, batch, norm) -> None:
    images, labels = batch
    epsilon = {"linf": 0.01, "l2": 0.06, "l1": 0.35}[norm]
    theirs = APGD(epsilon=epsilon, norm=norm, objective="targeted_dlr")
    ours = FAB(epsilon=epsilon, norm=norm, targeted=True)
    by_apgd = theirs(small_model, images, labels, seed=0).success
    by_fab = ours(small_model, images, labels, seed=0).success
    assert 0 < by_apgd.sum() < len(images)
    assert np.abs(by_apgd.sum() - by_fab.sum()) <= 1
