"""What makes a whole run a matter of seconds."""

from typing import Any

import pytest


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings of a run on 48 digits, for one epoch."""
    return {
        "num_train": 48,
        "num_test": 16,
        "validation_size": 16,
        "batch_size": 16,
        "epochs": 1,
        "attack_steps": 1,
        "num_neighbors": 2,
        "features": "pixels",
    }
