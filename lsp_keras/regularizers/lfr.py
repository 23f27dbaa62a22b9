"""Local flatness: the loss must not be steep anywhere near an image."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import get_args

import keras
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.choices import FlatnessForm
from lsp_keras.losses.flatness import flatness_loss
from lsp_keras.losses.flatness_by_differences import flatness_by_differences
from lsp_keras.ops.gradients import image_gradient
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.ops.warmup import warmed_share
from lsp_keras.regularizers._base import Batch, Regularizer, Step
from lsp_keras.regularizers._passes import separate_pass
from lsp_keras.validation import InputError, check_choice, check_positive, parse_fraction

__all__ = ["LFR"]

LogitsFn = Callable[[tf.Tensor], tf.Tensor]

DOUBLE_BACKPROP = "double_backprop"
_KINKED_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU)
_KINKED_ACTIVATIONS = ("relu", "relu6", "leaky_relu", "hard_sigmoid", "hard_tanh")


class LFR(Regularizer):
    """Adds `weight * max |grad loss(x')|_1` over the x' within `epsilon` of each clean image.

    The steepest point x' is found before the gradient tape starts, with the classifier in
    inference mode: a start at the image with noise of deviation 0.001, then sign steps up the
    norm of the gradient. There the classifier is in training mode; the points are normalized by
    their own statistics and the moving averages do not follow them. The loss is the
    cross-entropy of the batch's labels, whatever the method's own loss.

    How the norm is written, `form`, both in the attack and in training:

    - `"finite_difference"`: the slope of the loss between two points `difference_step` to either
      side of x' along the signs of its gradient. It sees the kinks of ReLU and needs no second
      derivative; as the step shrinks it tends to the other form.
    - `"double_backprop"`: the norm itself, differentiated twice. Only for smooth activations:
      ReLU's second derivative is zero, so the attack and the update are blind to its kinks.

    The published run on CIFAR-10 (weight 0.03, ReLU, double backpropagation) falls to chance in
    its authors' own log. A smooth activation, a warm-up and a clipped gradient guard against it.

    Args:
        weight: Weight of the term, lambda; 0 only measures.
        warmup_steps: Training steps over which the weight rises from 0; 0 starts at once.
        form: Form of the gradient's norm: `"finite_difference"`, the slope between two points, or
            `"double_backprop"`, the norm itself, for smooth activations.
        difference_step: Half the distance of the two points in every pixel, on the [0, 1] scale, a
            number or text; they may leave the pixel box by as much. Larger steps miss the
            curvature, much smaller ones see rounding (bfloat16) or single kinks.
        epsilon: L-inf radius of the attack on the [0, 1] scale, a number or text.
        step_size: Length of the attack's step, default `2.5 * epsilon / num_steps` and at most
            `epsilon`.
        num_steps: Steps of the attack.
        name: Name of the term in the logs.

    Raises:
        InputError: A value is out of its range, or `"double_backprop"` meets an activation with
            kinks.

    Example:
        >>> LFR(weight=0.5).term_weights(0)
        {'lfr': 0.5}

    References:
        Xu et al., Adversarial Defense via Local Flatness Regularization, ICIP 2020. CIFAR-10:
        weight 0.03, epsilon 0.031, step size 0.007, 10 steps; MNIST: 0.02, 0.3, 0.01, 40.

    Differs from the reference:
        The form by default, and the step size in its last digits.
    """

    def __init__(
        self,
        *,
        weight: float = 0.03,
        warmup_steps: int = 0,
        form: FlatnessForm = "finite_difference",
        difference_step: float | str = 0.001,
        epsilon: float | str = "8/255",
        step_size: float | str | None = None,
        num_steps: int = 10,
        name: str = "lfr",
    ) -> None:
        super().__init__(name=name)
        check_positive("weight", weight, allow_zero=True)
        check_positive("warmup_steps", warmup_steps, allow_zero=True)
        self.weight = weight
        self.warmup_steps = warmup_steps
        self.form = check_choice("form", form, get_args(FlatnessForm))
        self.difference_step = parse_fraction(difference_step)
        check_positive("difference_step", self.difference_step)
        self._attack = PGD(
            epsilon=epsilon,
            step_size=step_size,
            num_steps=num_steps,
            objective=_climbed,
            start="gaussian",
        )
        self.epsilon = self._attack.epsilon
        self.step_size = self._attack.step_size
        self.num_steps = num_steps

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float | tf.Tensor]:
        # A weight of zero stays the number by which the term is left out.
        weight = self.weight and self.weight * warmed_share(iteration, self.warmup_steps)
        return {self.name: weight}

    def check(self, classifier: keras.Model) -> None:
        kinked = next(_kinked_layers(classifier), None) if self.form == DOUBLE_BACKPROP else None
        if kinked is not None:
            raise InputError(
                f"`form='double_backprop'` needs a smooth activation; the layer {kinked!r} has "
                "one with kinks, whose second derivative says nothing. Build the model with "
                "activation='silu' or 'gelu', or use form='finite_difference'."
            )

    def prepare(
        self,
        classifier: keras.Model,
        batch: Batch,
        *,
        adversarial: tf.Tensor | None,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """The steepest points found, float32 as the images; see `Regularizer.prepare`."""
        labels = batch["labels"]
        logits = partial(classifier, training=False)

        def flatness(points: tf.Tensor) -> tf.Tensor:
            return self._flatness(logits, points, labels)[:, tf.newaxis]

        return self._attack.perturb(
            flatness, batch["images"], labels, seed=seed, indices=batch["indices"]
        )

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:

        def logits(images: tf.Tensor) -> tf.Tensor:
            return separate_pass(step.classifier, images).logits

        points = step.prepared[self.name]
        return {self.name: self._flatness(logits, points, step.batch["labels"])}

    def _flatness(self, logits_fn: LogitsFn, points: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return _FORMS[self.form](logits_fn, points, labels, self.difference_step)


def _climbed(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The attack's objective: what takes the place of the logits is the flatness itself."""
    return logits[:, 0]


def _finite_difference(
    logits_fn: LogitsFn, points: tf.Tensor, labels: tf.Tensor, difference_step: float
) -> tf.Tensor:
    # Fixed: through the losses on both sides alone, the derivative is that of the norm.
    direction = tf.stop_gradient(tf.sign(_gradients(logits_fn, points, labels)))
    offset = difference_step * direction
    # One batch, so that BatchNorm treats both sides alike.
    logits = logits_fn(tf.concat([points + offset, points - offset], axis=0))
    ahead, behind = tf.split(logits, 2)
    return flatness_by_differences(labels, ahead, behind, distance=2 * difference_step)


def _double_backprop(
    logits_fn: LogitsFn, points: tf.Tensor, labels: tf.Tensor, difference_step: float
) -> tf.Tensor:
    return flatness_loss(_gradients(logits_fn, points, labels))


_FORMS = {"finite_difference": _finite_difference, DOUBLE_BACKPROP: _double_backprop}


def _gradients(logits_fn: LogitsFn, points: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Of the summed cross-entropy, as the points."""

    def loss(points: tf.Tensor) -> tuple[tf.Tensor]:
        return (cross_entropy(labels, tf.cast(logits_fn(points), tf.float32)),)

    return image_gradient(loss, points)[1]


def _kinked_layers(model: keras.Model) -> Iterator[str]:
    """Names of the layers whose activation is piecewise linear, nested ones included."""
    for layer in model.layers:
        activation = getattr(getattr(layer, "activation", None), "__name__", None)
        if activation in _KINKED_ACTIVATIONS or isinstance(layer, _KINKED_LAYERS):
            yield layer.name
        elif hasattr(layer, "layers"):
            yield from _kinked_layers(layer)
