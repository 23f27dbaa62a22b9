"""Batches of a split: what they hold is a function of the seed, the epoch and the image alone."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.shards import Shard
from lsp_keras.stored_images import StoredImages
from lsp_keras.types import Examples, Integers, NeighborTable
from lsp_keras.validation import InputError, check_positive

# From the epoch to a permutation of the rows, the same for the same epoch.
Order = Callable[[int], Integers]

_BATCHES_AHEAD = 4
# Keeps the draws for neighbors apart from those for the images themselves.
_NEIGHBOR_STRIDE = 2**40


class Augment(Protocol):
    """Changes a batch of images, each by draws of its own; see `lsp_keras.augmentations`."""

    def __call__(
        self, images: tf.Tensor, *, seed: int, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """float32 images `(batch, height, width, channels)`, changed."""


def make_batches(
    split: Examples,
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    num_epochs: int = 1,
    augment: Augment | None = None,
    neighbors: NeighborTable | None = None,
    augment_neighbors: bool = False,
    features: npt.NDArray[Any] | None = None,
    order: Order | None = None,
    drop_remainder: bool = False,
    shard: Shard | None = None,
    as_bytes: bool = False,
) -> tf.data.Dataset:
    """Batches of one or more epochs.

    Epoch `e` has the same batches whether it is asked for alone or within a row of epochs, so
    that a resumed run sees what an uninterrupted one would have seen. Images are gathered from
    the split's array while the batches are made; the array may be memory-mapped, or stand for
    images in files (`prepared:PATH`), which are decoded on the way.

    Args:
        split: Images of uint8 with their labels.
        batch_size: Images in a batch.
        shuffle: Whether each epoch has an order of its own; else the split's order.
        seed: Seed of order and augmentation.
        epoch: The first epoch.
        num_epochs: Epochs one after the other, for `fit(..., steps_per_epoch=...)`.
        augment: Function applied to the images, in the [0, 1] scale.
        neighbors: Table for this split; adds the two entries below.
        augment_neighbors: Whether `augment` is applied to the neighbors too, by other draws.
        features: Features of the images, float `(n, dimensions)`, in memory or memory-mapped, one
            row for each; they add the entry `features`.
        order: Order of the rows by epoch, in place of a random one; for `shuffle=True`.
        drop_remainder: Whether an incomplete last batch of an epoch is left out.
        shard: Which share of each batch is made, for processes that share the batches; the other
            rows are not even read. Needs `drop_remainder` or batches that come out even.
        as_bytes: Whether images stay uint8 where no augmentation needs floats: a quarter of the
            bytes on the way to a GPU. Trainers scale them there, to the same floats.

    Returns:
        Dictionaries of `images`, float32 `(batch, height, width, channels)` in [0, 1]; `labels`,
        int64 `(batch,)`; `indices`, int64 `(batch,)`, the rows of the split; with `neighbors`
        also `neighbor_images`, float32 `(batch, m, height, width, channels)`, and
        `neighbor_distances`, float32 `(batch, m)`; with `features` also those, float32
        `(batch, dimensions)`.

    Raises:
        InputError: A number is out of range, or the table or the features do not belong to the
            split.

    Example:
        >>> import lsp_keras.datasets
        >>> split = lsp_keras.datasets.load("digits").train
        >>> batches = make_batches(split, batch_size=32, shuffle=True, seed=1, epoch=3)
        >>> next(iter(batches))["images"].shape
        TensorShape([32, 16, 16, 3])
    """
    batches = EpochBatches(
        split,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        augment=augment,
        neighbors=neighbors,
        augment_neighbors=augment_neighbors,
        features=features,
        order=order,
        drop_remainder=drop_remainder,
        shard=shard,
        as_bytes=as_bytes,
    )
    return batches(epoch, num_epochs)


class EpochBatches:
    """From the epoch to its batches, as `make_batches` makes them, traced once for all epochs.

    Args:
        split: Images of uint8 with their labels.
        batch_size: Images in a batch.
        shuffle: Whether each epoch has an order of its own; else the split's order.
        seed: Seed of order and augmentation.
        augment: Function applied to the images, in the [0, 1] scale.
        neighbors: Table for this split; adds neighbor images and distances.
        augment_neighbors: Whether `augment` is applied to the neighbors too, by other draws.
        features: Features of all images, float `(n, dimensions)`; adds the entry `features`.
        order: Order of the rows by epoch, in place of a random one; for `shuffle=True`.
        drop_remainder: Whether an incomplete last batch of an epoch is left out.
        shard: Share of each batch that is made, for processes that share the batches.
        as_bytes: Whether images stay uint8 where no augmentation needs floats.

    Raises:
        InputError: A number is out of range, or the table or the features do not belong to the
            split.
    """

    def __init__(
        self,
        split: Examples,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        augment: Augment | None = None,
        neighbors: NeighborTable | None = None,
        augment_neighbors: bool = False,
        features: npt.NDArray[Any] | None = None,
        order: Order | None = None,
        drop_remainder: bool = False,
        shard: Shard | None = None,
        as_bytes: bool = False,
    ) -> None:
        num_batches = count_batches(len(split), batch_size, drop_remainder)
        check_positive("seed", seed, allow_zero=True)
        if neighbors is not None:
            check_table(neighbors, len(split))
        if features is not None:
            _check_features(features, len(split))
        if order is None:
            order = functools.partial(_random_order, len(split), seed)
        rows: Callable[[int], Integers] = functools.partial(
            _batch_rows, len(split), batch_size, num_batches, order if shuffle else None
        )
        static_size = batch_size if drop_remainder or len(split) % batch_size == 0 else None
        if shard is not None:
            static_size = _shared(batch_size, static_size, shard)
            rows = _OwnRows(rows, shard)
        gather = _Gather(split, neighbors, features, rows, static_size)
        finish = _Finish(augment, augment_neighbors, seed, as_bytes)
        self.num_batches = num_batches
        self._batch = tf.function(
            lambda step: finish(gather(step), step // num_batches),
            input_signature=[tf.TensorSpec([], tf.int64)],
        )

    def __call__(self, epoch: int, num_epochs: int = 1) -> tf.data.Dataset:
        """Batches of `num_epochs` epochs one after the other, the first one counted from 0."""
        check_positive("epoch", epoch, allow_zero=True)
        check_positive("num_epochs", num_epochs)
        first, last = epoch * self.num_batches, (epoch + num_epochs) * self.num_batches
        batches = tf.data.Dataset.range(first, last).map(
            self._batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return batches.prefetch(_BATCHES_AHEAD).with_options(_options())


def _options() -> tf.data.Options:
    """Without the search for a faster graph, which each epoch would repeat and never pays here."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def count_batches(num_images: int, batch_size: int, drop_remainder: bool) -> int:
    """Batches in one epoch.

    Raises:
        InputError: There would be none.
    """
    check_positive("batch_size", batch_size)
    num_batches = num_images // batch_size if drop_remainder else -(-num_images // batch_size)
    if num_batches == 0:
        raise InputError(
            f"`batch_size` must be at most the number of images, {num_images}. "
            f"Received: batch_size={batch_size}."
        )
    return num_batches


def check_table(neighbors: NeighborTable, num_images: int) -> None:
    """Refuses a table of other data; wrong rows would gather wrong images without a word."""
    indices = neighbors.indices
    if len(indices) != num_images or indices.min() < 0 or indices.max() >= num_images:
        raise InputError(
            f"The neighbor table does not belong to this split of {num_images} images: it has "
            f"{len(indices)} rows, with neighbors in [{indices.min()}, {indices.max()}]. "
            "Mine the neighbors of this split."
        )


def _check_features(features: npt.NDArray[Any], num_images: int) -> None:
    if features.ndim != 2 or len(features) != num_images:
        raise InputError(
            f"The features do not belong to this split of {num_images} images: their shape is "
            f"{features.shape}. Give one row for each image."
        )


@functools.lru_cache(maxsize=4)
def _random_order(num_images: int, seed: int, epoch: int) -> Integers:
    """Permutation of the rows for one epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(num_images)
    order.flags.writeable = False
    return order


def _batch_rows(
    num_images: int, batch_size: int, num_batches: int, order: Order | None, step: int
) -> Integers:
    """Rows of the batch that is the `step`-th counted from the start of epoch 0."""
    epoch, position = divmod(step, num_batches)
    start = position * batch_size
    stop = min(start + batch_size, num_images)
    return np.arange(start, stop) if order is None else order(epoch)[start:stop]


class _OwnRows:
    """A shard's rows of each batch."""

    def __init__(self, rows: Callable[[int], Integers], shard: Shard) -> None:
        self.rows = rows
        self.shard = shard

    def __call__(self, step: int) -> Integers:
        rows = self.rows(step)
        return rows[self.shard.rows(len(rows))]


def _shared(batch_size: int, static_size: int | None, shard: Shard) -> int:
    """Size of a shard's part of each batch."""
    if static_size is None or batch_size % shard.count:
        raise InputError(
            f"Batches of {batch_size} images cannot be dealt out to {shard.count} shards evenly: "
            "choose a multiple, with `drop_remainder=True`."
        )
    return batch_size // shard.count


class _Gather:
    """Takes the images of a batch out of the split's array.

    NumPy does it, not `tf.gather`: the array then stays what it is, of any size, in memory or
    memory-mapped, and is not copied into the graph.
    """

    def __init__(
        self,
        split: Examples,
        neighbors: NeighborTable | None,
        features: npt.NDArray[Any] | None,
        rows: Callable[[int], Integers],
        static_size: int | None,
    ) -> None:
        self.split = split
        self.neighbors = neighbors
        self.features = features
        self.rows = rows
        self.static_size = static_size

    def __call__(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """The batch as stored: uint8 images, no augmentation."""
        shapes = self._shapes()
        dtypes = [dtype for dtype, _ in shapes.values()]
        stored = isinstance(self.split.images, StoredImages)
        if stored:
            dtypes = [tf.string if dtype == tf.uint8 else dtype for dtype in dtypes]
        tensors = tf.numpy_function(self._arrays, [step], dtypes, stateful=False)
        found = {}
        for tensor, (name, (dtype, shape)) in zip(tensors, shapes.items(), strict=True):
            if stored and dtype == tf.uint8:
                tensor = _decoded(tensor, self.split.images.shape[1:], shape)
            tensor.set_shape((self.static_size, *shape))
            found[name] = tensor
        return found

    def _arrays(self, step: np.int64) -> list[Any]:
        rows = self.rows(int(step))
        images = self.split.images
        taken = _files(images) if isinstance(images, StoredImages) else images.__getitem__
        arrays: list[Any] = [taken(rows), self.split.labels[rows], rows]
        if self.neighbors is not None:
            arrays += [
                taken(self.neighbors.indices[rows]),
                self.neighbors.distances[rows],
            ]
        if self.features is not None:
            arrays.append(np.asarray(self.features[rows], np.float32))
        return arrays

    def _shapes(self) -> dict[str, tuple[tf.DType, tuple[int, ...]]]:
        image_shape = self.split.images.shape[1:]
        shapes: dict[str, tuple[tf.DType, tuple[int, ...]]] = {
            "images": (tf.uint8, image_shape),
            "labels": (tf.int64, ()),
            "indices": (tf.int64, ()),
        }
        if self.neighbors is not None:
            count = self.neighbors.num_neighbors
            shapes["neighbor_images"] = (tf.uint8, (count, *image_shape))
            shapes["neighbor_distances"] = (tf.float32, (count,))
        if self.features is not None:
            shapes["features"] = (tf.float32, self.features.shape[1:])
        return shapes


def _files(images: StoredImages) -> Callable[[Integers], Any]:
    """From rows to their files, which TensorFlow decodes on all cores."""
    return lambda rows: np.array(images.encoded(rows), object)


def _decoded(files: tf.Tensor, image_shape: tuple[int, ...], shape: tuple[int, ...]) -> tf.Tensor:
    """uint8 images of PNG files `(count,)`, as `(batch, *shape)`."""
    images = tf.map_fn(
        lambda file: tf.ensure_shape(tf.io.decode_png(file, channels=image_shape[-1]), image_shape),
        files,
        fn_output_signature=tf.TensorSpec(image_shape, tf.uint8),
    )
    return tf.reshape(images, [-1, *shape])


class _Finish:
    """Brings images to the [0, 1] scale and augments them."""

    def __init__(
        self, augment: Augment | None, augment_neighbors: bool, seed: int, as_bytes: bool
    ) -> None:
        self.augment = augment
        self.as_bytes = as_bytes
        self.augment_neighbors = augment_neighbors
        self.seed = seed

    def __call__(self, batch: dict[str, tf.Tensor], epoch: tf.Tensor) -> dict[str, tf.Tensor]:
        """The batch with its images augmented, as float32 or as they are."""
        batch = dict(batch)
        indices = batch["indices"]
        moves = getattr(self.augment, "moves_pixels", self.augment is None)
        given = _same if self.as_bytes and moves else _to_unit
        batch["images"] = self._change(given(batch["images"]), indices, epoch)
        if "neighbor_images" in batch:
            kept = self.as_bytes and (moves or not self.augment_neighbors)
            neighbors = (_same if kept else _to_unit)(batch["neighbor_images"])
            batch["neighbor_images"] = self._change_neighbors(neighbors, indices, epoch)
        return batch

    def _change(self, images: tf.Tensor, indices: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        if self.augment is None:
            return images
        changed = self.augment(images, seed=self.seed, indices=indices, counter=epoch)
        return tf.ensure_shape(changed, images.shape)

    def _change_neighbors(
        self, images: tf.Tensor, indices: tf.Tensor, epoch: tf.Tensor
    ) -> tf.Tensor:
        if not self.augment_neighbors:
            return images
        count, *image_shape = images.shape[1:]
        places = tf.range(1, count + 1, dtype=tf.int64) * _NEIGHBOR_STRIDE
        keys = tf.reshape(indices[:, tf.newaxis] + places, [-1])
        changed = self._change(tf.reshape(images, [-1, *image_shape]), keys, epoch)
        return tf.reshape(changed, [-1, count, *image_shape])


def _same(images: tf.Tensor) -> tf.Tensor:
    return images


def _to_unit(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255.0
