"""A classifier of bright against dark stripes whose robust accuracy is known."""

import keras
import numpy as np
import pytest

SHAPE = (4, 4, 1)


@pytest.fixture(scope="session")
def contrast_model() -> keras.Model:
    """Two logits: the mean of the upper half less that of the lower half, and its negative."""
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)])
    kernel = np.repeat([1.0, -1.0], 8)[:, np.newaxis] / 8.0
    model.layers[-1].set_weights([np.hstack([kernel, -kernel]), np.zeros(2)])
    return model


@pytest.fixture(scope="session")
def contrast_examples() -> tuple[np.ndarray, np.ndarray]:
    """Ten images with contrasts 0.01 to 0.10; the last has the wrong label.

    An L-inf attack of radius epsilon changes the contrast by 2 epsilon, so with epsilon 0.0275
    images with contrast up to 0.05 are broken and those from 0.06 stand.
    """
    contrasts = np.arange(1, 11) / 100.0
    images = np.full((10, *SHAPE), 0.5, np.float32)
    images[:, :2] += contrasts[:, None, None, None] / 2
    images[:, 2:] -= contrasts[:, None, None, None] / 2
    labels = np.zeros(10, int)
    labels[-1] = 1
    return images, labels
