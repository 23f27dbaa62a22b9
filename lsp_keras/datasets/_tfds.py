"""Datasets of TensorFlow Datasets (TFDS)."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from lsp_keras.datasets._base import Chunks, Folders, OpenSource, Source, SourceSplit
from lsp_keras.datasets._prepare import prepared_builder
from lsp_keras.datasets._resize import resize_tensor
from lsp_keras.types import Integers
from lsp_keras.validation import InputError

_CHUNK = 1024
_TEST_SPLITS = ("test", "validation")


class TFDSSource(Source):
    """A dataset of TFDS for image classification.

    Attributes:
        name: As TFDS knows it: `NAME`, `NAME/CONFIG` or `NAME:VERSION`.
        augmentation: Name of the augmentation. The default does not flip: whether a mirrored
            image keeps its class cannot be known for every dataset.
        class_names: For prepared data that carries none, in label order.
        manual_file: Name of the archive that users may fetch themselves.
    """

    def __init__(
        self,
        name: str,
        *,
        augmentation: str | None = "crop",
        class_names: tuple[str, ...] | None = None,
        manual_file: str | None = None,
    ) -> None:
        self.name = name
        self.augmentation = augmentation
        self.class_names = class_names
        self.manual_file = manual_file

    def open(self, folders: Folders, size: int | None) -> OpenSource:
        """See the base class."""
        builder = prepared_builder(self.name, folders, self.manual_file)
        image_key, label_key = _feature_keys(self.name, builder.info)
        sizes = {name: int(split.num_examples) for name, split in builder.info.splits.items()}

        def split(name: str) -> SourceSplit:
            read = functools.partial(_read, builder, name, (image_key, label_key), size)
            return SourceSplit(np.arange(sizes[name]), read)

        train, test = _split_names(self.name, sizes)
        return OpenSource(
            class_names=self._class_names(builder.info.features[label_key]),
            image_shape=_image_shape(self.name, builder.info.features[image_key], size),
            split_sizes=sizes,
            train=split(train),
            test=split(test),
            version=f"{builder.info.full_name} {builder.data_path} {size}",
            citation=str(builder.info.citation),
        )

    def _class_names(self, feature: Any) -> tuple[str, ...]:
        """Names in the prepared data, else the source's own, else the numbers."""
        numbers = [str(label) for label in range(feature.num_classes)]
        if feature.names == numbers and len(self.class_names or ()) == len(numbers):
            return tuple(self.class_names or ())
        return tuple(feature.names)


def _read(
    builder: Any, split: str, keys: tuple[str, str], size: int | None, positions: Integers
) -> Chunks:
    """Images and labels at these positions; the others are not even decoded."""
    import tensorflow_datasets as tfds

    image_key, label_key = keys
    feature = builder.info.features[image_key]
    wanted = np.zeros(builder.info.splits[split].num_examples, bool)
    wanted[positions] = True
    wanted = tf.constant(wanted)

    @tf.autograph.experimental.do_not_convert
    def is_wanted(position: tf.Tensor, _: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return wanted[position]

    @tf.autograph.experimental.do_not_convert
    def decode(_: tf.Tensor, example: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        image = feature.decode_example(example[image_key])
        image = image if size is None else resize_tensor(image, size)
        return image, example[label_key]

    # One shard after the other, so that a position means the same image every time.
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={image_key: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    dataset = dataset.enumerate().filter(is_wanted)
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    try:
        yield from dataset.batch(_CHUNK).as_numpy_iterator()
    except tf.errors.OpError as error:
        raise InputError(
            f"The prepared data in {builder.data_path} cannot be read ({type(error).__name__}). "
            "Delete that folder and prepare it again."
        ) from error


def _feature_keys(name: str, info: Any) -> tuple[str, str]:
    """Names of the features that hold the image and its one label."""
    import tensorflow_datasets as tfds

    features = info.features
    described = type(features).__name__
    if isinstance(features, tfds.features.FeaturesDict):
        supervised = [key for key in info.supervised_keys or () if isinstance(key, str)]
        keys = supervised or list(features)
        images = [key for key in keys if isinstance(features[key], tfds.features.Image)]
        labels = [key for key in keys if isinstance(features[key], tfds.features.ClassLabel)]
        if len(images) == len(labels) == 1:
            return images[0], labels[0]
        described = ", ".join(f"{key} ({type(features[key]).__name__})" for key in keys)
    raise InputError(
        f"TFDS dataset {name!r} is not for image classification: it must have one image and one "
        f"class label per example. It has: {described}."
    )


def _image_shape(name: str, feature: Any, size: int | None) -> tuple[int, int, int]:
    """Shape of all images, after resizing where a size is named."""
    height, width, channels = feature.shape
    if feature.np_dtype != np.uint8 or channels not in (1, 3):
        raise InputError(
            f"Images must be uint8 with 1 or 3 channels. Those of {name!r} are {feature!r}."
        )
    if size is not None:
        return size, size, channels
    if height is None or width is None:
        raise InputError(
            f"The images of {name!r} differ in size: name the size that they are resized to "
            f"after an @, as in 'tfds:{name}@64'."
        )
    return height, width, channels


def _split_names(name: str, sizes: Mapping[str, int]) -> tuple[str, str]:
    """The splits to train and to test on; test labels are often kept secret."""
    test = next((split for split in _TEST_SPLITS if split in sizes), None)
    if "train" not in sizes or test is None:
        raise InputError(
            f"TFDS dataset {name!r} must have the splits 'train' and 'test' or 'validation'. "
            f"It has: {', '.join(sizes)}."
        )
    return "train", test
