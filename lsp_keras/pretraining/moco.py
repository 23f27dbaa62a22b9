"""MoCo v2: an encoder trained without labels, to find neighbors with."""

from typing import Any

import keras
import tensorflow as tf

from lsp_keras.losses.info_nce import info_nce
from lsp_keras.models._moco import KeyQueue, contrastive_network
from lsp_keras.ops.finite import check_finite
from lsp_keras.validation import InputError

_SEED_STRIDE = 2**32


class MoCoTrainer(keras.Model):
    """Trains a backbone so that two views of an image are nearer than views of other images.

    Batches are dictionaries of two views, `first` and `second`, float32
    `(batch, height, width, channels)` in [0, 1]. BatchNorm of the query network follows the
    queries, that of the momentum network the keys. Logs hold `loss` and `spread` (see
    `feature_spread`), which falls to 0 when the projections collapse to one point. What is kept of
    it is the `encoder`; the trainer itself is not saved.

    Args:
        backbone: Registered classifier; see `lsp_keras.models._moco.contrastive_network`.
        dimensions: Dimensions of the projections.
        queue_size: Keys of other images that each query is compared with.
        momentum: Part of the momentum network's weights that an update keeps.
        temperature: Temperature of InfoNCE.
        symmetric: Whether each view is a query once, instead of the first only; the two losses
            are added.
        batch_norm_splits: Parts of a batch that are normalized apart, see
            `SplitBatchNormalization`; keys are shuffled among them.
        seed: Seed of projection head, queue and shuffling.

    Raises:
        InputError: It is made in the scope of a strategy with several replicas.

    References:
        He et al., Momentum Contrast, CVPR 2020, Algorithm 1; Chen et al., Improved Baselines
        with Momentum Contrastive Learning, 2020; the CIFAR notebook of
        github.com/facebookresearch/moco for the symmetric loss and the split BatchNorm.
    """

    def __init__(
        self,
        backbone: keras.Model,
        *,
        dimensions: int = 128,
        queue_size: int = 4096,
        momentum: float = 0.99,
        temperature: float = 0.1,
        symmetric: bool = True,
        batch_norm_splits: int = 8,
        seed: int = 0,
    ) -> None:
        super().__init__(name="moco")
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise InputError(
                "MoCo trains on one replica: each would have a queue with its own keys only, which "
                "is another method. Train the encoder first, by `lsp-keras pretrain`."
            )
        self.query_network, self.key_network = (
            contrastive_network(
                backbone, dimensions=dimensions, batch_norm_splits=batch_norm_splits, seed=seed
            )
            for _ in range(2)
        )
        # Both start equal; from here on only the average moves the key network.
        self.key_network.set_weights(self.query_network.get_weights())
        self.queue = KeyQueue(queue_size, dimensions, seed)
        self.momentum = momentum
        self.temperature = temperature
        self.symmetric = symmetric
        self.seed = seed
        self.built = True
        self._spread_tracker = keras.metrics.Mean(name="spread")

    @property
    def encoder(self) -> keras.Model:
        """The query network up to its features, `(batch, width)`."""
        return keras.Model(self.query_network.input, self.query_network.output[0])

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """Features of images, `(batch, width)`."""
        return self.query_network(inputs, training=training)[0]

    def train_step(self, views: Any) -> dict[str, Any]:
        """One update: momentum network, keys, gradient step, queue."""
        # Eq. 2, before the step, as in the reference.
        self._follow_queries()
        pairs = [(views["first"], views["second"])]
        if self.symmetric:
            pairs.append((views["second"], views["first"]))
        # Keys (batch, dimensions) outside the tape: no gradient flows into the key network.
        keys = [self._keys(key_view, place) for place, (_, key_view) in enumerate(pairs)]
        with tf.GradientTape() as tape:
            # Eq. 1 for each view as query against the other view's key and the queue's keys.
            queries = [_unit(self.query_network(view, training=True)[1]) for view, _ in pairs]
            losses = [self._contrast(*pair) for pair in zip(queries, keys, strict=True)]
            loss = tf.reduce_mean(check_finite(tf.add_n(losses), "info_nce"))
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.query_network.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        # After the loss, so that no key is its own negative.
        self.queue.enqueue(tf.concat(keys, axis=0))
        self._loss_tracker.update_state(loss)
        self._spread_tracker.update_state(feature_spread(queries[0]))
        return {
            metric.name: metric.result() for metric in (self._loss_tracker, self._spread_tracker)
        }

    def _contrast(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        negatives = tf.stop_gradient(tf.convert_to_tensor(self.queue.keys))
        return info_nce(queries, keys, negatives, temperature=self.temperature)

    def _keys(self, images: tf.Tensor, place: int) -> tf.Tensor:
        """Keys computed in a shuffled order, so that BatchNorm's parts differ from the queries'."""
        # Shuffled: were a query and its key in one part, its statistics would give the key away.
        count = tf.shape(images)[0]
        step = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int64)
        seed = tf.stack([self.seed * _SEED_STRIDE + step, tf.constant(place, tf.int64)])
        # Not `stateless_shuffle`, which has no kernel for GPUs.
        order = tf.argsort(tf.random.stateless_uniform([count], seed))
        # Back in the queries' order, (batch, dimensions).
        keys = _unit(self.key_network(tf.gather(images, order), training=True)[1])
        return tf.stop_gradient(tf.gather(keys, tf.argsort(order)))

    def _follow_queries(self) -> None:
        """Moves the momentum network's weights a little towards the query network's."""
        pairs = zip(
            self.key_network.trainable_variables,
            self.query_network.trainable_variables,
            strict=True,
        )
        for slow, fast in pairs:
            # theta_k <- m theta_k + (1 - m) theta_q, Eq. 2.
            slow.assign(self.momentum * slow + (1.0 - self.momentum) * fast)


def feature_spread(features: tf.Tensor) -> tf.Tensor:
    """How far features of different images point in different directions.

    Args:
        features: Features of any scale, float `(batch, dimensions)`.

    Returns:
        Scalar in [0, 1]: the root mean squared distance of the unit features from their mean;
        0 where all are equal.
    """
    unit = _unit(features)
    return tf.sqrt(tf.reduce_mean(tf.reduce_sum((unit - tf.reduce_mean(unit, 0)) ** 2, axis=1)))


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(vectors, axis=1)
