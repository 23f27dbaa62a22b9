"""Vectors and images that several tests of the neighbors share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def clustered() -> np.ndarray:
    """float32 (1500, 16) in 30 clusters, with 20 exact duplicates."""
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(30, 16))
    vectors = centers[generator.integers(0, 30, 1500)] + 0.3 * generator.normal(size=(1500, 16))
    vectors[700:720] = vectors[:20]
    return vectors.astype(np.float32)


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """uint8 (40, 4, 4, 3)."""
    return np.random.default_rng(1).integers(0, 256, (40, 4, 4, 3), np.uint8)
