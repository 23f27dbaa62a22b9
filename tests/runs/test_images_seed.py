"""The seed that chooses a run's images is its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsp_keras.runs.build import load_dataset
from lsp_keras.runs.settings.config import FitConfig, write_config
from lsp_keras.runs.subjects.test_images import load_images
from lsp_keras.types import Dataset

LIMITS: dict[str, Any] = {"num_train": 100, "num_test": 50, "validation_size": 20}


def indices(dataset: Dataset) -> list[list[int]]:
    return [part.indices.tolist() for part in (dataset.train, dataset.validation, dataset.test)]


def of(**seeds: int) -> list[list[int]]:
    return indices(load_dataset(FitConfig.of(**LIMITS, **seeds), None))


def images_of_run(folder: Path) -> list[list[int]]:
    arguments: dict[str, Any] = dict.fromkeys(("dataset", "data_dir", "cache_dir"))
    return indices(load_images(folder, **arguments))


def test_runs_with_other_seeds_see_the_same_images() -> None:
    assert of(seed=0) == of(seed=1) == of(seed=7)
    chosen = [set(of(data_seed=seed)[2]) for seed in (0, 1)]
    # 50 of 360 test images: two draws share about 7 of them.
    assert len(chosen[0] & chosen[1]) < 25


@pytest.mark.parametrize("seeds", [{"seed": 3}, {"seed": 3, "data_seed": 5}])
def test_what_tests_a_run_finds_its_images_again(tmp_path: Path, seeds: dict[str, int]) -> None:
    config = FitConfig.of(**LIMITS, **seeds)
    write_config(tmp_path / "config.toml", config)
    assert images_of_run(tmp_path) == indices(load_dataset(config, None))


def test_a_run_from_before_keeps_the_images_that_its_seed_chose(tmp_path: Path) -> None:
    settings = {"dataset": "'digits'", **LIMITS, "seed": 3}
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (tmp_path / "config.toml").write_text(text)
    found = images_of_run(tmp_path)
    assert found == of(data_seed=3)
    assert not np.array_equal(found[2], of(data_seed=0)[2])
