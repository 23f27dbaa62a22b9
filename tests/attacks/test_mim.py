import numpy as np
import pytest
import tensorflow as tf
from cleverhans.tf2.attacks import momentum_iterative_method as reference

from lsp_keras.attacks.mim import MIM
from lsp_keras.validation import InputError

# What CleverHans climbs by itself.
LOSS = "softmax_cross_entropy"


@pytest.mark.parametrize(("norm", "order", "epsilon"), [("linf", np.inf, 0.05), ("l2", 2, 0.5)])
@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_equals_cleverhans(small_model, batch, norm, order, epsilon, decay) -> None:
    images, labels = batch
    # CleverHans calls a module-wide `loss_fn`; it is the cross entropy.
    theirs = reference.momentum_iterative_method(
        lambda pixels: small_model(pixels, training=False),
        tf.constant(images),
        epsilon,
        epsilon / 5,
        6,
        order,
        clip_min=0.0,
        clip_max=1.0,
        y=labels,
        decay_factor=decay,
    )
    options = {"step_size": epsilon / 5, "num_steps": 6, "decay": decay, "objective": LOSS}
    attack = MIM(epsilon=epsilon, norm=norm, **options)
    ours = attack.perturb(small_model, images, labels, seed=0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_step_size_defaults_to_the_papers() -> None:
    assert MIM(epsilon=0.1, num_steps=5).step_size == pytest.approx(0.02)


def test_a_negative_decay_is_refused() -> None:
    with pytest.raises(InputError, match="`decay` must be zero or more"):
        MIM(epsilon=0.1, decay=-1.0)
