"""The test images that a command measures a model on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_keras.types import Dataset, DatasetInfo, Split
from lsp_keras.validation import InputError


@dataclass(frozen=True)
class TestImages:
    """Images of a test split.

    Attributes:
        info: Of the dataset.
        split: The images.
        source_size: Number of images in the whole test split.
    """

    info: DatasetInfo
    split: Split
    source_size: int


def load_images(
    run: Path | None, *, dataset: str | None, data_dir: Path | None, cache_dir: Path | None
) -> Dataset:
    """The images a run was trained, validated and is tested on, or those of another dataset.

    Args:
        run: The run's folder, `None` for a model outside of one.
        dataset: Overrides the run's; then its limits on training images do not hold.
        data_dir: Overrides the run's.
        cache_dir: Folder for what is prepared.

    Raises:
        InputError: No dataset is known, or it cannot be loaded.
    """
    from lsp_keras.datasets import load
    from lsp_keras.runs import read_config

    config = read_config(run / "config.toml") if run is not None else {}
    name = dataset or config.get("dataset")
    if name is None:
        raise InputError("The model does not lie in a run's folder: name its --dataset.")
    own = config if name == config.get("dataset") else {}
    return load(
        name,
        data_dir=data_dir or config.get("data_dir"),
        cache_dir=cache_dir,
        num_train=own.get("num_train"),
        num_test=config.get("num_test"),
        validation_size=own.get("validation_size"),
        seed=config.get("seed", 0),
    )


def load_test_images(
    run: Path | None,
    *,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    num_examples: int | None,
) -> TestImages:
    """The test split of the dataset a run was trained on, or of the one that is named.

    Args:
        run: The run's folder, `None` for a model outside of one.
        dataset: Overrides the run's.
        data_dir: Overrides the run's.
        cache_dir: Folder for what is prepared.
        num_examples: The first so many images of what the run's settings keep.

    Raises:
        InputError: No dataset is known, or it cannot be loaded.
    """
    loaded = load_images(run, dataset=dataset, data_dir=data_dir, cache_dir=cache_dir)
    total = len(loaded.test)
    if num_examples is not None and num_examples > total:
        raise InputError(
            f"--num-examples {num_examples} is more than the {total} test images there are."
        )
    return TestImages(loaded.info, loaded.test.take(num_examples), total)


def describe(classifier: Any, test: TestImages, weights: str) -> dict[str, Any]:
    """What a record says of the model and the images.

    Args:
        classifier: A `lsp_keras.classifiers.Classifier`.
        test: The images.
        weights: Which epoch of a run.
    """
    return {
        "model": {
            "path": str(classifier.path),
            "weights": weights if classifier.run else None,
            "num_parameters": _count_parameters(classifier.model),
        },
        "dataset": {
            "name": test.info.name,
            "split": "test",
            "num_classes": test.info.num_classes,
            "image_shape": list(test.info.image_shape),
            "num_images_in_split": test.source_size,
        },
    }


def _count_parameters(model: Any) -> int | None:
    return int(model.count_params()) if hasattr(model, "count_params") else None
