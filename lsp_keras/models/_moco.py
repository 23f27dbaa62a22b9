"""Momentum Contrast: an encoder with a projection head, its slow copy, and a queue of keys."""

from typing import Any

import keras
import tensorflow as tf

from lsp_keras.models._encoder import feature_encoder
from lsp_keras.validation import InputError


def contrastive_network(
    backbone: keras.Model, *, dimensions: int = 128, batch_norm_splits: int = 8, seed: int = 0
) -> keras.Model:
    """A backbone's features followed by a projection head of two layers.

    Args:
        backbone: Registered classifier; its last layer is left out. Weights are shared, except
            for those of BatchNorm, which start equal.
        dimensions: Dimensions of the projection.
        batch_norm_splits: Parts of a batch that BatchNorm normalizes by themselves in training.
        seed: Seed of the head's initial weights.

    Returns:
        Model from images to the pair (features `(batch, width)`, projections
        `(batch, dimensions)`); the projections are not normalized.
    """
    encoder = split_batch_norm(feature_encoder(backbone), batch_norm_splits)
    hidden = _dense(encoder.output_shape[-1], "relu", "projection1", seed)
    projection = _dense(dimensions, None, "projection2", seed + 1)
    return keras.Model(encoder.input, [encoder.output, projection(hidden(encoder.output))])


def split_batch_norm(model: keras.Model, splits: int) -> keras.Model:
    """A copy of a model whose BatchNorm layers normalize parts of the batch by themselves.

    Args:
        model: Functional model; its weights are copied.
        splits: Number of parts; 1 is plain BatchNorm, in which case images of a batch can
            give away which key belongs to them.
    """

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if type(layer) is not keras.layers.BatchNormalization:
            return layer.__class__.from_config(layer.get_config())
        return SplitBatchNormalization(splits=splits, **layer.get_config())

    copied = keras.models.clone_model(model, clone_function=clone)
    copied.set_weights(model.get_weights())
    return copied


def plain_encoder(trained: keras.Model, backbone: keras.Model) -> keras.Model:
    """The trained encoder made of built-in layers only, so that its file loads anywhere.

    Args:
        trained: Encoder with `SplitBatchNormalization`.
        backbone: The model that it was made from; its weights are overwritten.
    """
    encoder = feature_encoder(backbone)
    encoder.set_weights(trained.get_weights())
    return encoder


@keras.saving.register_keras_serializable("lsp_keras")
class SplitBatchNormalization(keras.layers.BatchNormalization):
    """BatchNorm that takes mean and variance over parts of the batch, as over several GPUs.

    The moving averages follow the mean of the parts' statistics. In inference mode it is plain
    BatchNorm.

    Args:
        splits: Number of parts; must divide the batch.
        options: Options of `keras.layers.BatchNormalization`.

    References:
        `SplitBatchNorm` in the CIFAR notebook of github.com/facebookresearch/moco.
    """

    def __init__(self, splits: int = 8, **options: Any) -> None:
        super().__init__(**options)
        self.splits = splits

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalized inputs, `(batch, ..., channels)`."""
        if not (training and self.trainable) or self.splits == 1:
            return super().call(inputs, training=training, mask=mask)
        shape = tf.shape(inputs)
        # (splits, batch / splits, positions, channels): statistics by part and channel.
        parts = tf.reshape(
            tf.cast(inputs, tf.float32), [self.splits, -1, tf.reduce_prod(shape[1:-1]), shape[-1]]
        )
        mean, variance = tf.nn.moments(parts, axes=[1, 2], keepdims=True)
        # The moving averages follow the mean of all parts' statistics.
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance)
        outputs = tf.nn.batch_normalization(
            parts, mean, variance, self.beta, self.gamma, self.epsilon
        )
        return tf.cast(tf.reshape(outputs, shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "splits": self.splits}

    def _follow(self, average: Any, values: tf.Tensor) -> None:
        mean = tf.reduce_mean(values, axis=[0, 1, 2])
        average.assign(average * self.momentum + mean * (1.0 - self.momentum))


class KeyQueue(keras.layers.Layer):
    """The last keys of other images, oldest first out.

    Args:
        size: Keys that it holds.
        dimensions: Dimensions of a key.
        seed: Seed of the random directions that the queue holds at first.
    """

    def __init__(self, size: int, dimensions: int, seed: int = 0) -> None:
        super().__init__(name="queue", dtype="float32")
        self.size = size
        self.keys = self.add_weight(
            shape=(size, dimensions),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
            trainable=False,
            name="keys",
        )
        # Random unit vectors until real keys have replaced them, (size, dimensions).
        self.keys.assign(tf.math.l2_normalize(self.keys, axis=1))
        self.position = self.add_weight(
            shape=(), initializer="zeros", dtype="int32", trainable=False, name="position"
        )

    def enqueue(self, keys: tf.Tensor) -> None:
        """Replaces the oldest keys.

        Args:
            keys: Keys of length 1, float32 `(batch, dimensions)`, no more than the queue holds.

        Raises:
            InputError: There are more.
        """
        if keys.shape[0] is not None and keys.shape[0] > self.size:
            raise InputError(
                f"A queue of {self.size} cannot take {keys.shape[0]} keys at once. "
                "Choose a larger queue or a smaller batch."
            )
        count = tf.shape(keys)[0]
        # A ring: the oldest keys stand from `position` on, and wrap around at the end.
        places = (tf.convert_to_tensor(self.position) + tf.range(count)) % self.size
        updated = tf.tensor_scatter_nd_update(
            tf.convert_to_tensor(self.keys), places[:, tf.newaxis], keys
        )
        self.keys.assign(updated)
        self.position.assign((self.position + count) % self.size)


def _dense(units: int, activation: str | None, name: str, seed: int) -> keras.layers.Dense:
    initializer = keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(
        units, activation, kernel_initializer=initializer, dtype="float32", name=name
    )
