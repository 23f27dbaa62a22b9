import numpy as np
import tensorflow as tf

from lsp_keras.losses.relation import relation_loss


def test_two_images_by_hand() -> None:
    """Clean features are orthogonal, attacked ones the same: a gap of 1 off the diagonal."""
    clean, attacked = tf.constant([[2.0, 0.0], [0.0, 3.0]]), tf.constant([[1.0, 1.0], [2.0, 2.0]])
    expected = (np.e - 1.0) / 2
    np.testing.assert_allclose(relation_loss(clean, attacked), [expected, expected], rtol=1e-6)


def test_equals_the_published_formula_up_to_one() -> None:
    rng = np.random.default_rng(0)
    clean, attacked = rng.normal(size=(2, 5, 3))
    one, other = (
        rows @ rows.T
        for rows in (
            clean / np.linalg.norm(clean, axis=1, keepdims=True),
            attacked / np.linalg.norm(attacked, axis=1, keepdims=True),
        )
    )
    published = np.exp(np.abs(one - other)).mean()
    found = relation_loss(tf.constant(clean), tf.constant(attacked))
    np.testing.assert_allclose(tf.reduce_mean(found), published - 1.0, rtol=1e-5)


def test_gradient_flows_into_both() -> None:
    clean, attacked = tf.constant([[1.0, 0.0], [1.0, 1.0]]), tf.constant([[0.0, 1.0], [1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch([clean, attacked])
        loss = relation_loss(clean, attacked)
    assert all(np.abs(slope).max() > 0.01 for slope in tape.gradient(loss, [clean, attacked]))
