"""What an attack is given: a model, images with labels, and the key of their random draws."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import tensorflow as tf

from lsp_keras.ops import objectives
from lsp_keras.ops.gradients import image_gradient


@dataclass(frozen=True)
class Problem:
    """One batch to attack, inside a graph.

    Attributes:
        logits_fn: Function of images that returns float32 logits, in inference mode.
        images: Images, float32 `(batch, height, width, channels)` in [0, 1].
        labels: Labels, int64 `(batch,)`.
        seed: Seed of the attack's random draws, an int64 scalar.
        indices: Keys of each image's random draws, int64 `(batch,)`.
    """

    logits_fn: Callable[[tf.Tensor], tf.Tensor]
    images: tf.Tensor
    labels: tf.Tensor
    seed: tf.Tensor
    indices: tf.Tensor

    @property
    def clean_logits(self) -> tf.Tensor:
        """Logits of the images themselves, `(batch, classes)`: one pass at each call."""
        return self.logits_fn(self.images)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(height, width, channels)`."""
        return tuple(self.images.shape[1:])

    def at_common_scale(self) -> "Problem":
        """The same problem with each image's logits divided by the scale of its clean ones.

        Whatever is weighed against the logits, such as a distance, then weighs the same for all
        multiples of a model. Takes one pass.
        """
        clean = self.clean_logits
        scaled = lambda images: objectives.at_common_scale(self.logits_fn(images), clean)  # noqa: E731
        return replace(self, logits_fn=scaled)

    def margin(self, images: tf.Tensor) -> tf.Tensor:
        """By how much the images are misclassified, `(batch,)`."""
        return objectives.margin(self.labels, self.logits_fn(images))

    def is_broken(self, logits: tf.Tensor) -> tf.Tensor:
        """Where these logits are not those of the label, bool `(batch,)`."""
        return tf.argmax(logits, axis=1) != self.labels

    def value_and_gradient(
        self, objective: objectives.Objective, images: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Objective `(batch,)`, its gradient with respect to the images, and the logits."""

        def function(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = self.logits_fn(images)
            return objective(self.labels, logits), logits

        (value, logits), gradient = image_gradient(function, images)
        return value, gradient, logits
