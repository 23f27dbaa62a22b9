"""The one training step that all methods share."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf

from lsp_keras.classifiers import read, trainable
from lsp_keras.losses._terms import Terms as Terms
from lsp_keras.losses._terms import Weights as Weights
from lsp_keras.losses.smoothed_cross_entropy import smoothed_cross_entropy
from lsp_keras.methods._averaging import WeightAverage
from lsp_keras.methods._awp import descend_nearby
from lsp_keras.methods._batches import check_logits, checked_labels, clear_checks, unpack
from lsp_keras.methods._descent import Descent
from lsp_keras.methods._networks import Networks
from lsp_keras.methods._options import StepOptions
from lsp_keras.methods._units import deserialize_unit, serialize_unit
from lsp_keras.ops.finite import check_finite, clear_errors
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.ops.workers import workers_of
from lsp_keras.regularizers import Anchor, Batch, Outputs, Regularizer, Step
from lsp_keras.regularizers._passes import training_pass
from lsp_keras.validation import InputError

_LARGEST_SEED = 2**31
_SEED_STRIDE = 2**32


class RobustTrainer(keras.Model):
    """A Keras model that trains a classifier: `compile`, `fit`, `evaluate`, `predict`, `save`.

    Calling it calls the classifier. A method is a subclass that writes `compute_terms`, and
    overrides `perturb`, `term_weights` and `after_step` where it needs to. `compile` takes no
    loss, since the method is the loss; its metrics see the labels and the logits of the images
    trained on. Batches are dictionaries, as `lsp_keras.datasets.make_batches` yields them, or
    `(images, labels)`. Logs hold `loss`, every term before weighting, and the metrics.

    A step whose loss is not finite raises `NonFiniteLossError` and leaves the weights alone.
    `configure` adds label smoothing, adversarial weight perturbation and an average of the
    weights to any method.

    Args:
        classifier: Any Keras classifier; `self.classifier` maps images in [0, 1] to logits on its
            variables, see `lsp_keras.classifiers.trainable`.
        regularizers: Terms to add; their names must differ.
        seed: Seed of all random draws in training, in [0, 2**31); with the number of steps done it
            fixes them, so that a resumed run draws what an uninterrupted one would.
        name: Name of the model.

    Raises:
        InputError: Two terms have the same name, a regularizer does not suit the classifier, or
            the seed is out of its range.

    Attributes:
        options: Options of the step, as `configure` set them.
        average: Average of the weights, `None` where the options ask for none.
        smooths_labels: Whether the method's loss goes through `cross_entropy`, which label
            smoothing changes.
        needs_guard: Whether the method's attack can be outwitted and made stronger, so that an
            `OverfittingGuard` is of use.
        uses_whole_batch: Whether what is computed for one image depends on others of the batch,
            or is remembered for later, so that a replica's part of the batch will not do.
        networks: Forms of the classifier that the step's passes go through.
    """

    train_function: Any
    smooths_labels: ClassVar[bool] = False
    needs_guard: ClassVar[bool] = False
    uses_whole_batch: ClassVar[bool] = False

    def __init__(
        self,
        classifier: keras.Model,
        *,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        classifier = trainable(classifier)
        # The policy decides on loss scaling; images keep float32 up to the normalization.
        super().__init__(name=name, dtype=_dtype_policy(classifier), autocast=False)
        if not 0 <= seed < _LARGEST_SEED:
            raise InputError(f"`seed` must be in [0, 2**31). Received: seed={seed}.")
        self.classifier = classifier
        # What no layer shows is looked at in the first step.
        self._answers_unknown = read(classifier, keep_precision=True).answers is None
        self.regularizers = list(regularizers)
        for regularizer in self.regularizers:
            regularizer.check(classifier)
        self.seed = seed
        self.built = classifier.built
        names = _unique([term for weights in self._all_weights(0) for term in weights])
        self._term_trackers = {term: keras.metrics.Mean(name=term) for term in names}
        self.options = StepOptions()
        self.average: WeightAverage | None = None
        self.networks = Networks(classifier)

    def configure(self, options: StepOptions) -> None:
        """Sets the options of the training step, before `compile`; `save` keeps them.

        Raises:
            InputError: The trainer is compiled already, or the method has no label to smooth.
        """
        if self.compiled:
            raise InputError("Call `configure` before `compile`.")
        if options.label_smoothing and not self.smooths_labels:
            raise InputError(
                f"{type(self).__name__} has no label smoothing: its loss is not the cross-entropy "
                f"of a label. Received: label_smoothing={options.label_smoothing:g}."
            )
        self.options = options
        self.networks = Networks(self.classifier, faster=options.fused)
        decay = options.ema_decay
        self.average = None if decay is None else WeightAverage(self.classifier, decay)

    def perturb(self, batch: Batch) -> Any:
        """What is made of the batch before the gradient tape starts; default nothing.

        Returns:
            Whatever `compute_terms` expects, such as adversarial images.
        """
        return None

    def adversarial_images(self, perturbed: Any) -> tf.Tensor | None:
        """Adversarial versions of the batch's images among what `perturb` made; default none.

        Regularizers that need some then spare an attack of their own.
        """
        return None

    def compute_terms(self, batch: Batch, perturbed: Any) -> tuple[Terms, Anchor]:
        """The method's loss, inside the gradient tape.

        Args:
            batch: Batch with `images`, `labels`, `indices` and what else the pipeline yields.
            perturbed: What `perturb` returned.

        Returns:
            The terms before weighting, float32 `(batch,)`, under the names of `term_weights`;
            and the images trained on with their logits, as `anchor_pass` returns them.
        """
        raise NotImplementedError(f"{type(self).__name__} must write `compute_terms`.")

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        """What each of the method's own terms is multiplied by.

        Args:
            iteration: Number of steps done.
        """
        return {"cross_entropy": 1.0}

    def after_step(self) -> None:
        """Runs in the graph after each update of the weights; default nothing."""

    def anchor_pass(self, images: tf.Tensor, batch: Batch) -> Anchor:
        """The classifier in training mode, on the images that regularizers start from.

        Whatever images a regularizer sends along pass in the same batch.

        Args:
            images: Images, float32 `(batch, height, width, channels)`.
            batch: Batch that is handed to the regularizers.
        """
        asked = {item.name: item.riders(batch) for item in self.regularizers}
        riders = {name: rider for name, rider in asked.items() if rider is not None}
        if not riders:
            logits, features = self.forward(images)
            return Anchor(images, logits, features=features)
        groups = [images, *riders.values()]
        logits, features = self.forward(tf.concat(groups, axis=0))
        sizes = [tf.shape(group)[0] for group in groups]
        anchor_logits, *rider_logits = tf.split(logits, sizes)
        return Anchor(
            images,
            anchor_logits,
            dict(zip(riders, rider_logits, strict=True)),
            features=None if features is None else features[: sizes[0]],
        )

    def forward(self, images: tf.Tensor) -> Outputs:
        """The classifier in training mode, with its features where a regularizer uses them.

        Args:
            images: Images, float32 `(batch, height, width, channels)`.
        """
        if not any(item.uses_features for item in self.regularizers):
            return training_pass(self.networks.training, images)
        return training_pass(self.networks.features, images)

    def cross_entropy(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Of labels `(batch,)`, smoothed as the options say; float32 `(batch,)`.

        A method whose loss it is says so by `smooths_labels = True`.
        """
        return smoothed_cross_entropy(labels, logits, smoothing=self.options.label_smoothing)

    def iteration(self) -> tf.Tensor:
        """Number of updates done, int64 scalar."""
        return tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int64)

    def step_seed(self) -> tf.Tensor:
        """int64 scalar, different for every seed and step."""
        return tf.constant(self.seed * _SEED_STRIDE, tf.int64) + self.iteration()

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update of the classifier; see the class."""
        batch = unpack(data)
        labels = checked_labels(batch["labels"], self._num_classes)
        batch = {**batch, "labels": labels}
        perturbed = self.perturb(batch)
        prepared = self._prepare(batch, perturbed)
        iteration = self.iteration()
        found = self._descend(batch, perturbed, prepared)
        gradients = self._finite_gradients(found)
        variables = self.classifier.trainable_variables
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        if self.average is not None:
            self.average.update(self.classifier, iteration)
        self.after_step()
        self._track(found.loss, batch)
        for name, values in found.terms.items():
            self._term_trackers[name].update_state(values)
        seen = found.anchor.metric_logits
        return self._logs(self._metrics_of(batch, found.anchor.logits if seen is None else seen))

    def test_step(self, data: Any) -> dict[str, Any]:
        """Cross-entropy, as `loss`, and metrics on the images as they are, in inference mode."""
        batch = unpack(data)
        logits = self.classifier(batch["images"], training=False)
        self._track(tf.reduce_mean(cross_entropy(batch["labels"], logits)), batch)
        results = self._metrics_of(batch, logits)
        return self._logs(
            {name: value for name, value in results.items() if name not in self._term_trackers}
        )

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """Logits of images, or of a batch's `images`."""
        images = inputs["images"] if isinstance(inputs, Mapping) else inputs
        return self.classifier(images, training=training)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Keras's; Keras itself calls it with a batch's dictionary as `x` and no `y`."""
        if y is None and isinstance(x, Mapping):
            y = x["labels"]
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def make_train_function(self, force: bool = False) -> None:
        """Keras's, with a failed check of the loss as one clear error.

        Raises:
            InputError: `compile` was given a loss.
        """
        if self.loss is not None:
            raise InputError(
                "`compile` takes no loss: the training method is the loss. "
                f"Received: loss={self.loss!r}. Leave it out."
            )
        if self.train_function is None or force:
            self._create_variables()
            super().make_train_function(force)
            train_function = self.train_function

            def checked(iterator: Any) -> Any:
                with clear_errors(), clear_checks():
                    return train_function(iterator)

            self.train_function = checked

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, and the options, as plain values."""
        return {
            "classifier": keras.saving.serialize_keras_object(self.classifier),
            "regularizers": [serialize_unit("regularizer", item) for item in self.regularizers],
            "seed": self.seed,
            "name": self.name,
            "options": asdict(self.options),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The trainer that `get_config` described."""
        arguments = {name: value for name, value in config.items() if name != "options"}
        units = [deserialize_unit("regularizer", item) for item in config["regularizers"]]
        classifier = keras.saving.deserialize_keras_object(config["classifier"], custom_objects)
        trainer = cls(**{**arguments, "classifier": classifier, "regularizers": units})
        trainer.configure(StepOptions(**config.get("options", {})))
        return trainer

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Keras's averages the first batch over all workers, which fails for a dictionary.

        `_create_variables` makes all that it would make, without a batch.
        """
        if self._distribute_strategy is not None:
            self._create_variables()

    def _logs(self, results: dict[str, Any]) -> dict[str, Any]:
        """The results in the shape that Keras averages over workers: it refuses scalars."""
        if workers_of(self).count == 1:
            return results
        return {name: tf.reshape(value, [1]) for name, value in results.items()}

    @property
    def _num_classes(self) -> int | None:
        """Number of logits, where the classifier tells."""
        shape = getattr(self.classifier, "output_shape", None)
        return int(shape[-1]) if isinstance(shape, tuple) and shape[-1] else None

    def _create_variables(self) -> None:
        """Makes what the first step would make, so that the step need not be traced twice."""
        shape = getattr(self.classifier, "output_shape", None)
        with self.distribute_strategy.scope():
            self.optimizer.build(self.trainable_variables)
            if shape is not None:
                self.compute_metrics(None, tf.zeros([1], tf.int64), tf.zeros([1, shape[-1]]))
                self.reset_metrics()

    def _prepare(self, batch: Batch, perturbed: Any) -> Mapping[str, Any]:
        """What each regularizer makes before the tape starts, by its name."""
        adversarial, seed = self.adversarial_images(perturbed), self.step_seed()
        return {
            item.name: item.prepare(self.classifier, batch, adversarial=adversarial, seed=seed)
            for item in self.regularizers
        }

    def _descend(self, batch: Batch, perturbed: Any, prepared: Mapping[str, Any]) -> Descent:
        """Forward and backward pass, at moved weights where the options say so."""

        def descend() -> Descent:
            with tf.GradientTape() as tape:
                terms, anchor = self._all_terms(batch, perturbed, prepared)
                loss = self._total(terms, batch)
                # Replicas sum their gradients.
                replicas = tf.distribute.get_strategy().num_replicas_in_sync
                scaled_loss = self.optimizer.scale_loss(loss / replicas)
            gradients = tape.gradient(scaled_loss, self.classifier.trainable_variables)
            return Descent(terms, anchor, loss, gradients)

        options = self.options
        if not options.awp_gamma:
            return descend()
        warm = self.iteration() >= options.awp_warmup_steps if options.awp_warmup_steps else None
        return descend_nearby(self.classifier, descend, gamma=options.awp_gamma, active=warm)

    def _finite_gradients(self, found: Descent) -> list[tf.Tensor | None]:
        """The gradients; the graph fails before they are used where a term is not finite."""
        checks = [check_finite(found.terms[name], name) for name in self._weights_in_force()]
        if self._answers_unknown:
            checks.append(check_logits(found.anchor.logits, self.iteration() == 0))
        with tf.control_dependencies(checks):
            return [None if item is None else tf.identity(item) for item in found.gradients]

    def _all_terms(
        self, batch: Batch, perturbed: Any, prepared: Mapping[str, Any]
    ) -> tuple[Terms, Anchor]:
        """Terms of the method and of all regularizers."""
        terms, anchor = self.compute_terms(batch, perturbed)
        network, seed = self.networks.training, self.step_seed()
        step = Step(network, batch, anchor, seed, self.iteration(), prepared)
        for regularizer in self.regularizers:
            terms = {**terms, **regularizer.terms(step)}
        return terms, anchor

    def _all_weights(self, iteration: int | tf.Tensor) -> list[Weights]:
        theirs = [item.term_weights(iteration) for item in self.regularizers]
        return [self.term_weights(iteration), *theirs]

    def _weights_in_force(self) -> Weights:
        """Of this step; even 0 times NaN is NaN, so a term that is only measured is left out."""
        weights = {k: v for group in self._all_weights(self.iteration()) for k, v in group.items()}
        return {k: v for k, v in weights.items() if tf.is_tensor(v) or v != 0}

    def _total(self, terms: Terms, batch: Batch) -> tf.Tensor:
        """Weighted sum of the terms, averaged once, and the classifier's own penalties."""
        weights = self._weights_in_force()
        total = tf.add_n([weight * terms[name] for name, weight in weights.items()])
        total *= batch.get("sample_weight", 1.0)
        return tf.add_n([tf.reduce_mean(total), *self.classifier.losses])

    def _track(self, loss: tf.Tensor, batch: Batch) -> None:
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(batch["labels"])[0])

    def _metrics_of(self, batch: Batch, logits: tf.Tensor) -> dict[str, Any]:
        return self.compute_metrics(
            batch["images"], batch["labels"], logits, batch.get("sample_weight")
        )


def _dtype_policy(classifier: keras.Model) -> Any:
    """Mixed precision of any layer; a loaded model itself has forgotten its policy."""
    policies = [layer.dtype_policy for layer in classifier._flatten_layers()]
    mixed = [policy for policy in policies if policy.name.startswith("mixed")]
    return mixed[0] if mixed else classifier.dtype_policy


def _unique(names: Iterable[str]) -> list[str]:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            f"Terms of the loss must have different names. Received twice: {', '.join(repeated)}. "
            "Pass `name=` to one of the regularizers."
        )
    return list(names)
