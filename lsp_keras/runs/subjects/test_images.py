"""The test images that a command measures a model on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_keras.shards import Shard
from lsp_keras.storage import read_json
from lsp_keras.types import Dataset, Examples, Images, TestSplit
from lsp_keras.validation import InputError

_AT_ONCE = 256


def load_images(
    run: Path | None,
    *,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    image_shape: Sequence[int | None] = (None, None, None),
) -> Dataset:
    """The images a run was trained, validated and is tested on, or those of another dataset.

    Args:
        run: The run's folder, `None` for a model outside of one.
        dataset: Name of a dataset in place of the run's; then the run's limits on training images
            do not hold.
        data_dir: Folder of the data, in place of the run's.
        cache_dir: Folder for what is prepared.
        image_shape: What the model takes, `None` for any: the shape of a dataset that is not the
            run's own.

    Raises:
        InputError: No dataset is known, or it cannot be loaded.
    """
    from lsp_keras.datasets import load

    name, settings = _how_to_load(run, dataset, data_dir, cache_dir, image_shape)
    return load(name, **settings)


def _how_to_load(
    run: Path | None,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    image_shape: Sequence[int | None],
) -> tuple[str, dict[str, Any]]:
    """The name of a dataset and the arguments of `lsp_keras.datasets.load`; see `load_images`."""
    from lsp_keras.runs import read_config
    from lsp_keras.runs.files.moved import present_name
    from lsp_keras.runs.settings.config import READING, config_from, images_seed

    height, width, channels = image_shape
    size = None if height is None or width is None else (height, width)
    folders = {"data_dir": data_dir, "cache_dir": cache_dir}
    reading: dict[str, Any] = {"image_size": size, "channels": channels}
    values = read_config(run / "config.toml") if run is not None else {}
    config = config_from(values, source="config.toml") if "dataset" in values else None
    if run is None or config is None:
        if dataset is None:
            raise InputError("The model does not lie in a run's folder: name its --dataset.")
        return dataset, {**folders, **reading}
    own = config if dataset in (None, config.dataset.name) else None
    if own is None:
        name, reading = str(dataset), {**reading, "resize": config.resize}
    else:
        name = present_name(config.dataset.name, run)
        reading = {setting: getattr(config, setting) for setting in READING} | recorded_shape(run)
    return name, {
        "data_dir": data_dir or config.data_dir,
        "cache_dir": cache_dir,
        "settings": own.dataset.given if own is not None else None,
        "num_train": own.num_train if own is not None else None,
        "num_test": config.num_test,
        "validation_size": own.validation_size if own is not None else None,
        "seed": images_seed(values),
        **reading,
    }


def recorded_shape(run: Path) -> dict[str, Any]:
    """The shape that a run's images had, which a folder with more images might not suggest."""
    path = run / "dataset.json"
    if not path.is_file():
        return {}
    shape = read_json(path).get("image_shape")
    if shape is None:
        return {}
    try:
        height, width, channels = map(int, shape)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: its `image_shape` is no shape.") from error
    return {"image_size": (height, width), "channels": channels}


def load_test_images(
    classifier: Any | None,
    *,
    dataset: str | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    num_examples: int | None,
    shard: Shard | None = None,
) -> TestSplit:
    """The test split of the dataset a run was trained on, or of the one that is named.

    Args:
        classifier: A `lsp_keras.classifiers.Classifier`, whose run tells of the dataset and whose
            size and channels the images get; `None` for a served model.
        dataset: Name of a dataset in place of the run's.
        data_dir: Folder of the data, in place of the run's.
        cache_dir: Folder for what is prepared.
        num_examples: The first so many images of what the run's settings keep.
        shard: Which share of them; default all.

    Raises:
        InputError: No dataset is known, or it cannot be loaded.
    """
    from lsp_keras.datasets import load_test

    run = None if classifier is None else classifier.run
    name, settings = _how_to_load(run, dataset, data_dir, cache_dir, _shape(classifier))
    test = load_test(name, num_examples=num_examples, shard=shard, **settings)
    return replace(test, split=fitted(test.split, classifier))


def fitted(split: Examples, classifier: Any | None) -> Examples:
    """The images in the size and with the channels that a classifier takes.

    Args:
        split: Some images.
        classifier: A `lsp_keras.classifiers.Classifier`, or `None` to leave them.
    """
    own = split.images.shape[1:]
    wanted = own if classifier is None else classifier.image_shape
    shape = tuple(given if size is None else size for size, given in zip(wanted, own, strict=True))
    if shape == own or not len(split):
        return split
    return replace(split, images=_resized(split.images, shape))


def _shape(classifier: Any | None) -> Sequence[int | None]:
    """Height, width and channels that a classifier takes, `None` where it takes any."""
    return (None, None, None) if classifier is None else tuple(classifier.image_shape)


def _resized(images: Images, shape: tuple[int, ...]) -> Images:
    import numpy as np
    import tensorflow as tf

    from lsp_keras.ops.image_files.decoding import to_channels
    from lsp_keras.ops.resizing import fit_images

    height, width, channels = shape
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        pixels = to_channels(tf.constant(images[start : start + _AT_ONCE]), channels)
        parts.append(fit_images(pixels.numpy(), (height, width)))
    return np.concatenate(parts)


def describe(classifier: Any, test: TestSplit, weights: str) -> dict[str, Any]:
    """What a record says of the model and the images.

    Args:
        classifier: A `lsp_keras.classifiers.Classifier`.
        test: The images.
        weights: Epoch of a run: `"best"`, `"last"` or `"ema"`.
    """
    return {
        "model": {
            "path": str(classifier.path),
            "weights": weights if classifier.run else None,
            "num_parameters": classifier.count_params(),
        },
        "dataset": {
            "name": test.info.name,
            "split": "test",
            "num_classes": test.info.num_classes,
            "image_shape": list(test.info.image_shape),
            "resized_to": _resized_to(test),
            "num_images_in_split": test.source_size,
        },
    }


def _resized_to(test: TestSplit) -> list[int] | None:
    shape = test.split.images.shape[1:]
    return None if shape == tuple(test.info.image_shape) else list(shape)
