import numpy as np

from lsp_keras.evaluation.diagnosis.surface import loss_surface, random_signs
from lsp_keras.types import Floats

IMAGES = np.full((2, 2, 2, 1), 0.5, np.float32)
MOVE = np.array([[0.1, 0.1], [0.2, -0.2]], np.float32).reshape(2, 2, 1)
MOVES = np.stack([MOVE, -MOVE])
LABELS = np.array([0, 1])


def predict(images: Floats) -> Floats:
    """The second logit is the image's product with the first move."""
    score = ((images - 0.5) * MOVE).sum(axis=(1, 2, 3))
    return np.stack([np.zeros_like(score), score], axis=1)


def test_a_linear_model_by_hand() -> None:
    surface = loss_surface(predict, IMAGES, IMAGES + MOVES, LABELS, seed=0, num_offsets=5)
    assert surface.offsets.tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert surface.losses.shape == (2, 5, 5)
    # |move|^2 = 0.1; the second image's label is the second class, and its move the opposite.
    expected = np.log1p(np.exp(0.1 * surface.offsets))
    np.testing.assert_allclose(surface.along_adversarial, [expected, expected], rtol=1e-5)
    signs = random_signs((2, 2, 2, 1), 0)
    products = (MOVE * MOVE * signs[0]).sum(), (MOVE * MOVE * signs[1]).sum()
    sideways = [np.log1p(np.exp(product * surface.offsets)) for product in products]
    np.testing.assert_allclose(surface.along_random, sideways, rtol=1e-5)
    np.testing.assert_allclose(surface.mean, surface.losses.mean(axis=0))


def test_pixels_stay_in_the_box() -> None:
    seen = []

    def watch(images: Floats) -> Floats:
        seen.append((images.min(), images.max()))
        return predict(images)

    loss_surface(watch, IMAGES, IMAGES + 4 * MOVES, LABELS, seed=0, num_offsets=3)
    assert min(low for low, _ in seen) == 0.0
    assert max(high for _, high in seen) == 1.0


def test_the_record_holds_the_mean() -> None:
    surface = loss_surface(predict, IMAGES, IMAGES + MOVES, LABELS, seed=0, num_offsets=3)
    record = surface.to_dict()
    assert record["num_images"] == 2
    assert record["offsets"] == [-2.0, 0.0, 2.0]
    assert record["mean_loss"][1][1] == round(float(np.log(2)), 6)
