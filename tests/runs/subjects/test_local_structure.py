import keras
import numpy as np
import pytest

from lsp_keras.neighbors import nearest_among
from lsp_keras.runs import structure_of
from lsp_keras.types import Dataset, DatasetInfo, Examples

SHAPE = (4, 4, 1)
RNG = np.random.default_rng(0)


def split(count: int) -> Examples:
    return Examples(
        RNG.integers(0, 256, (count, *SHAPE), np.uint8),
        RNG.integers(0, 3, count),
        np.arange(count),
    )


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    info = DatasetInfo(
        name="toy",
        class_names=("a", "b", "c"),
        image_shape=SHAPE,
        split_sizes={"train": 34, "test": 5},
        mean=(0.5,),
        std=(0.2,),
        augmentation=None,
        citation="",
    )
    return Dataset(info, split(30), split(4), split(5))


def settings(**changes) -> dict:
    return {"dataset": "toy", "lsp": True, "features": "pixels", "num_neighbors": 3} | changes


def test_neighbors_are_the_nearest_training_images(dataset) -> None:
    values = settings(lsp_weight=0.5, divergence="kl", normalize_logits=True)
    found, said = structure_of(values, dataset, dataset.test.images, cache_dir=None)
    rows, distances = nearest_among(dataset.test.images, dataset.train.images, 3)
    np.testing.assert_array_equal(found.neighbor_images, dataset.train.images[rows])
    np.testing.assert_allclose(found.neighbor_distances, distances, rtol=1e-6)
    assert (found.weight, found.divergence, found.normalize_logits) == (0.5, "kl", True)
    assert said == "nearest training images, distances of pixels, as in training"


def test_the_global_space_shares_a_few_random_images(dataset) -> None:
    found, said = structure_of(
        settings(space="global", seed=3), dataset, dataset.test.images, cache_dir=None
    )
    used = {image.tobytes() for images in found.neighbor_images for image in images}
    assert len(used) == 3
    assert said.startswith("random training images")


def test_a_run_without_lsp_has_none(dataset) -> None:
    for values in (settings(lsp=False), settings(lsp_weight=0.0)):
        found, said = structure_of(values, dataset, dataset.test.images, cache_dir=None)
        assert found is None
        assert said == "the model was not trained with LSP"


def test_an_encoder_that_is_gone_is_said(dataset, tmp_path) -> None:
    values = settings(encoder=str(tmp_path / "gone.keras"))
    found, said = structure_of(values, dataset, dataset.test.images, cache_dir=tmp_path)
    rows, _ = nearest_among(dataset.test.images, dataset.train.images, 3)
    np.testing.assert_array_equal(found.neighbor_images, dataset.train.images[rows])
    assert said.endswith("since the run's encoder is not there any more")


def test_an_encoder_measures_the_distances(dataset, tmp_path) -> None:
    first_pixel = keras.layers.Dense(1, use_bias=False)
    encoder = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), first_pixel])
    first_pixel.set_weights([np.eye(16)[:, :1]])
    encoder.save(tmp_path / "encoder.keras")
    values = settings(encoder=str(tmp_path / "encoder.keras"), normalize_features=False)
    found, said = structure_of(values, dataset, dataset.test.images, cache_dir=tmp_path)
    ours = dataset.train.images[:, 0, 0, 0] / 255.0
    gaps = np.abs(dataset.test.images[:, :1, 0, 0] / 255.0 - ours)
    np.testing.assert_allclose(found.neighbor_distances, np.sort(gaps)[:, :3], atol=1e-6)
    assert said.endswith("as in training")
