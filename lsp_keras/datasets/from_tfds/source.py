"""Datasets of TensorFlow Datasets (TFDS)."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from lsp_keras.datasets._base import (
    Chunks,
    Folders,
    OpenSource,
    ReadOptions,
    Source,
    SourceSplit,
)
from lsp_keras.datasets._splits import choose_splits
from lsp_keras.datasets.from_tfds.preparation import prepared_builder
from lsp_keras.ops.image_files.decoding import pixel_decoder
from lsp_keras.ops.resizing import SMALLEST_SIDE, fit_tensor
from lsp_keras.types import Integers
from lsp_keras.validation import InputError

_CHUNK = 1024
_LABELS_CHUNK = 65536
_OTHER_SIZE = "an image of another size than the info states"


class TFDSSource(Source):
    """A dataset of TFDS for image classification.

    Attributes:
        name: Name of the dataset in TFDS: `NAME`, `NAME/CONFIG` or `NAME:VERSION`.
        augmentation: Name of the augmentation. The default does not flip: whether a mirrored
            image keeps its class cannot be known for every dataset.
        class_names: Names of the classes in label order, for prepared data that carries none.
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

    def open(self, folders: Folders, options: ReadOptions) -> OpenSource:
        builder = prepared_builder(self.name, folders, self.manual_file)
        keys = _feature_keys(self.name, builder.info)
        shape = _image_shape(self.name, builder.info.features[keys[0]], options)
        reader = _Reader(builder, keys, shape, options)
        sizes = {name: int(split.num_examples) for name, split in builder.info.splits.items()}
        chosen = choose_splits(self.name, sizes, reader.labels, options)
        return OpenSource(
            class_names=self._class_names(builder.info.features[keys[1]]),
            image_shape=shape,
            split_sizes=sizes,
            train=reader.split(chosen.train),
            test=reader.split(chosen.test),
            version=f"{builder.info.full_name} {builder.data_path} {options}",
            citation=str(builder.info.citation),
            validation=None if chosen.validation is None else reader.split(chosen.validation),
            resize=options.resize,
            left_out=chosen.left_out,
            notes=chosen.notes,
        )

    def _class_names(self, feature: Any) -> tuple[str, ...]:
        """Names in the prepared data, else the source's own, else the numbers."""
        numbers = [str(label) for label in range(feature.num_classes)]
        if feature.names == numbers and len(self.class_names or ()) == len(numbers):
            return tuple(self.class_names or ())
        return tuple(feature.names)


class _Reader:
    """Reads labels and images of a prepared dataset by their positions.

    Args:
        builder: A builder whose files are ready to be read.
        keys: Names of the features that hold the image and the label.
        shape: Shape of every image, `(height, width, channels)`.
        options: Whether and how images of another size are resized.
    """

    def __init__(
        self,
        builder: Any,
        keys: tuple[str, str],
        shape: tuple[int, int, int],
        options: ReadOptions,
    ) -> None:
        self.builder = builder
        self.keys = keys
        self.shape = shape
        self.options = options
        self.labels = functools.lru_cache(self._read_labels)

    def split(self, name: str) -> SourceSplit:
        """The images of a split that have a label."""
        labels = self.labels(name)
        positions = np.flatnonzero(labels >= 0)
        return SourceSplit(
            positions,
            labels[positions],
            functools.partial(self._read, name),
            functools.partial(self._read_files, name),
        )

    def _read_labels(self, name: str) -> Integers:
        """int64 labels of all images, which are not decoded; -1 where one has none."""
        try:
            dataset = self._examples(name)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{self.builder.info.full_name} has no split {name!r}. "
                f"It has: {', '.join(self.builder.info.splits)}."
            ) from error
        label_key = self.keys[1]
        labels = dataset.map(lambda _, example: example[label_key]).batch(_LABELS_CHUNK)
        parts = self._rows(labels)
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def _read(self, name: str, positions: Integers) -> Chunks:
        """Images and labels at these positions; the others are not even decoded."""
        dataset = self._chosen(name, positions)
        dataset = dataset.map(self._decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        yield from self._rows(dataset.batch(_CHUNK))

    def _read_files(self, name: str, positions: Integers) -> Iterator[bytes]:
        image_key = self.keys[0]
        yield from self._rows(
            self._chosen(name, positions).map(lambda _, example: example[image_key])
        )

    def _chosen(self, name: str, positions: Integers) -> tf.data.Dataset:
        wanted = np.zeros(len(self.labels(name)), bool)
        wanted[positions] = True
        wanted = tf.constant(wanted)

        @tf.autograph.experimental.do_not_convert
        def is_wanted(position: tf.Tensor, _: Mapping[str, tf.Tensor]) -> tf.Tensor:
            return wanted[position]

        return self._examples(name).filter(is_wanted)

    def _examples(self, name: str) -> tf.data.Dataset:
        """Positions and examples with encoded images."""
        import tensorflow_datasets as tfds

        # One shard after the other, so that a position means the same image every time.
        dataset = self.builder.as_dataset(
            split=name,
            shuffle_files=False,
            decoders={self.keys[0]: tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        return dataset.enumerate()

    @tf.autograph.experimental.do_not_convert
    def _decode(
        self, _: tf.Tensor, example: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        image_key, label_key = self.keys
        image = pixel_decoder(self.shape[-1])(example[image_key])
        if self.options.size is None:
            same = tf.reduce_all(tf.shape(image) == list(self.shape))
            with tf.control_dependencies([tf.debugging.Assert(same, [_OTHER_SIZE])]):
                image = tf.ensure_shape(tf.identity(image), self.shape)
        else:
            image = fit_tensor(image, self.options.size, self.options.resize)
        return image, example[label_key]

    def _rows(self, dataset: tf.data.Dataset) -> Iterator[Any]:
        try:
            yield from dataset.as_numpy_iterator()
        except tf.errors.OpError as error:
            if _OTHER_SIZE in str(error):
                height, width, _ = self.shape
                example = f"{max(height, SMALLEST_SIDE)}x{max(width, SMALLEST_SIDE)}"
                raise InputError(
                    f"An image of {self.builder.info.full_name} is not {height}x{width}, as the "
                    f"dataset's own info says of all. Name a size: --image-size {example}."
                ) from error
            raise InputError(
                f"The prepared data in {self.builder.data_path} cannot be read "
                f"({type(error).__name__}). Delete that folder and prepare it again."
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


def _image_shape(name: str, feature: Any, options: ReadOptions) -> tuple[int, int, int]:
    """Shape of all images, after resizing where a size is named."""
    height, width, channels = feature.shape
    if feature.np_dtype != np.uint8 or channels not in (1, 3):
        raise InputError(
            f"Images must be uint8 with 1 or 3 channels. Those of {name!r} are {feature!r}."
        )
    channels = options.channels or channels
    if options.size is not None:
        return *options.size, channels
    if height is None or width is None:
        raise InputError(
            f"The images of {name!r} differ in size: name the size that they are resized to "
            f"by --image-size, or after an @, as in 'tfds:{name}@64'."
        )
    return height, width, channels
