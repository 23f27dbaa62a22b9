import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation.diagnosis.local_structure import LocalStructure, StructureAttack
from lsp_keras.losses.lsp import lsp_loss
from lsp_keras.validation import InputError

SHAPE = (2, 2, 1)
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.2, 0.8, (6, *SHAPE)).astype(np.float32)
KERNEL = RNG.normal(size=(4, 3)).astype(np.float32)
STRUCTURE = LocalStructure(
    neighbor_images=RNG.integers(0, 256, (6, 3, *SHAPE), np.uint8),
    neighbor_distances=RNG.uniform(0.5, 2.0, (6, 3)).astype(np.float32),
    weight=1.0,
    divergence="l2",
    normalize_logits=False,
)


def logits_fn(images) -> tf.Tensor:
    return tf.reshape(images, [-1, 4]) @ KERNEL


def predict(images):
    return logits_fn(images).numpy()


LABELS = predict(IMAGES).argmax(axis=1)


def structure_loss(images, rows) -> np.ndarray:
    neighbors = STRUCTURE.neighbor_images[rows].astype(np.float32) / 255
    logits = predict(neighbors.reshape(-1, *SHAPE)).reshape(len(rows), 3, 3)
    return lsp_loss(STRUCTURE.neighbor_distances[rows], logits_fn(images), logits).numpy()


def test_the_term_is_the_lsp_loss_of_the_image_at_its_row() -> None:
    term = STRUCTURE.under(predict, 6)
    rows = np.array([4, 1])
    found = term.of(tf.constant(rows))(logits_fn(IMAGES[rows])).numpy()
    np.testing.assert_allclose(found, structure_loss(IMAGES[rows], rows), rtol=1e-5)


def attack(weight: float) -> StructureAttack:
    return StructureAttack(epsilon=0.02, weight=weight, term=STRUCTURE.under(predict, 6))


def test_without_weight_it_is_pgd() -> None:
    ours = attack(0.0)(logits_fn, IMAGES, LABELS, seed=1).images
    theirs = PGD(epsilon=0.02, num_steps=20)(logits_fn, IMAGES, LABELS, seed=1).images
    np.testing.assert_array_equal(ours, theirs)


def test_with_weight_it_climbs_the_term() -> None:
    rows = np.arange(6)
    plain = attack(0.0)(logits_fn, IMAGES, LABELS, seed=1).images
    adaptive = attack(1000.0)(logits_fn, IMAGES, LABELS, seed=1).images
    gain = structure_loss(adaptive, rows) - structure_loss(plain, rows)
    assert gain.mean() > 0.0
    assert gain.min() > -0.005


def test_an_image_keeps_its_neighbors_whatever_the_batch() -> None:
    whole = attack(10.0)(logits_fn, IMAGES, LABELS, seed=1).images
    apart = attack(10.0)(logits_fn, IMAGES, LABELS, seed=1, batch_size=4).images
    np.testing.assert_allclose(whole, apart, atol=1e-6)


def test_neighbors_of_other_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"each of the 7 images\. Received: those of 6"):
        STRUCTURE.under(predict, 7)
