"""What the methods share that make their images by one step from a random start."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, get_args

import keras
import tensorflow as tf

from lsp_keras.methods._trainer import RobustTrainer
from lsp_keras.ops import random
from lsp_keras.ops.gradients import image_gradient
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.objectives import ascending_cross_entropy
from lsp_keras.ops.projections import project
from lsp_keras.regularizers import Batch, Regularizer
from lsp_keras.validation import check_choice, check_positive, parse_epsilon, parse_fraction

Objective = Callable[[tf.Tensor], tf.Tensor]

GradientMode = Literal["training", "inference"]


class SingleStepTrainer(RobustTrainer):
    """A method whose attack is a signed step from a random start, as long as its budget or longer.

    Such images may leave the ball of radius `epsilon`, which no `Attack` may, so that the method
    makes them itself. In `gradient_mode="training"` the attack's pass is normalized by the batch's
    own statistics; the moving averages do not follow it in either mode.

    A single step can be outwitted: the classifier learns to be right on the step's images and is
    wrong on all others in the ball (catastrophic overfitting). `strengthen_attack` is what a guard
    calls then. How often it was called is a variable of the trainer, so that saved and resumed
    trainers attack as before.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        epsilon: L-inf radius on the [0, 1] scale, a number or text such as "8/255".
        noise: Size of the random start on the same scale; `None` for `noise_per_radius` times
            epsilon.
        step_size: Length of the step on the same scale; `None` for epsilon.
        clip: Whether images are put back into the ball.
        gradient_mode: Mode of the classifier in the attack's pass, `"training"` or
            `"inference"`.
        warmup_steps: Steps of training over which something grows from zero; a subclass says
            what.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Attributes:
        noise_per_radius: Default of `noise` in lengths of epsilon.
        strength: How often the attack was made stronger, an int64 variable.
    """

    needs_guard: ClassVar[bool] = True
    noise_per_radius: ClassVar[float] = 1.0

    def __init__(
        self,
        classifier: keras.Model,
        *,
        epsilon: float | str,
        noise: float | str | None,
        step_size: float | str | None,
        clip: bool,
        gradient_mode: GradientMode,
        warmup_steps: int = 0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.epsilon = parse_epsilon(epsilon)
        share = self.noise_per_radius
        self.noise = share * self.epsilon if noise is None else parse_fraction(noise)
        check_positive("noise", self.noise, allow_zero=True)
        self.step_size = self.epsilon if step_size is None else parse_fraction(step_size)
        check_positive("step_size", self.step_size)
        self.clip = clip
        self.gradient_mode = check_choice("gradient_mode", gradient_mode, get_args(GradientMode))
        check_positive("warmup_steps", warmup_steps, allow_zero=True)
        self.warmup_steps = warmup_steps
        super().__init__(classifier, regularizers=regularizers, seed=seed, name=name)
        # TensorFlow keeps int32 variables off the GPU, where XLA cannot reach them.
        self.strength = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, name="strength"
        )

    def strengthen_attack(self) -> str:
        """Cuts the attack's step, in all later steps of training, into one more part.

        Each part follows the gradient where the one before ended, so that the classifier cannot
        know the whole step from one gradient; each costs another pass.

        Returns:
            What the attack is from now on, for a message.
        """
        self.strength.assign(self.strength + 1)
        parts = int(self.strength) + 1
        return f"{parts} steps of {255 * self.step_size / parts:.3g}/255 each"

    def perturb(self, batch: Batch) -> Any:
        """Images to train on, float32 `(batch, height, width, channels)` in [0, 1]."""
        return self.climb(batch, self.draw(batch), self.misfit(batch))

    def perturb_unseen(self, batch: Batch) -> tf.Tensor:
        """As `perturb`, of images that are not trained on; nothing is remembered of them."""
        found: tf.Tensor = self.perturb(batch)
        return found

    def adversarial_images(self, perturbed: Any) -> tf.Tensor:
        return perturbed

    def draw(self, batch: Batch) -> tf.Tensor:
        """Noise of size one, as `batch["images"]`; default uniform in [-1, 1)."""
        shape = tuple(batch["images"].shape[1:])
        return random.uniform(self.step_seed(), batch["indices"], shape, low=-1.0, high=1.0)

    def misfit(self, batch: Batch) -> Objective:
        """The cross-entropy with the batch's labels."""
        labels = batch["labels"]
        return lambda logits: ascending_cross_entropy(labels, logits)

    def start(self, batch: Batch, noise: tf.Tensor) -> tf.Tensor:
        """Where the attack starts, in [0, 1].

        Args:
            batch: Batch whose images are float32 `(batch, height, width, channels)` in [0, 1].
            noise: Noise of size one, as `draw` returns it.
        """
        moved = batch["images"] + self.attack_size() * self.noise * noise
        return tf.clip_by_value(moved, 0.0, 1.0)

    def climb(self, batch: Batch, noise: tf.Tensor, objective: Objective) -> tf.Tensor:
        """Images that a signed step from the noisy ones makes, or several shorter steps.

        Args:
            batch: Batch whose images are float32 `(batch, height, width, channels)` in [0, 1].
            noise: Noise of size one, as `draw` returns it.
            objective: What to climb, from logits to `(batch,)` or a scalar.
        """
        images, size = batch["images"], self.attack_size()
        num_steps = tf.cast(tf.convert_to_tensor(self.strength), tf.int32) + 1
        length = size * self.step_size / tf.cast(num_steps, tf.float32)

        def step(count: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            moved = found + length * tf.sign(self._slope(found, objective))
            return count + 1, tf.clip_by_value(moved, 0.0, 1.0)

        start = (tf.constant(0), self.start(batch, noise))
        found = in_turn(lambda count, _: count < num_steps, step, start)[1]
        if self.clip:
            found = project(found, images, size * self.epsilon, "linf")
        return tf.stop_gradient(found)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        names = ("epsilon", "noise", "step_size", "clip", "gradient_mode", "warmup_steps")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def attack_size(self) -> float | tf.Tensor:
        """What radius, noise and step are multiplied by in this step; default one."""
        return 1.0

    def attack_pass(self, images: tf.Tensor) -> tf.Tensor:
        """Float32 logits in the attack's mode; nothing that the pass would change is changed."""
        with keras.StatelessScope(collect_losses=True):
            if self.gradient_mode == "training":
                logits = self.networks.training(images, training=True)
            else:
                logits = self.networks.attacked(images, training=False)
        return tf.cast(logits, tf.float32)

    def _slope(self, images: tf.Tensor, objective: Objective) -> tf.Tensor:
        return image_gradient(lambda moved: (objective(self.attack_pass(moved)),), images)[1]
