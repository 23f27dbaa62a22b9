import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import Attack, NonFiniteError
from lsp_keras.attacks.pgd import PGD
from lsp_keras.ops.projections import rounding_tolerance
from lsp_keras.validation import InputError


class Shift(Attack):
    """Adds a constant to every pixel, however large."""

    def __init__(self, *, epsilon=0.1, norm="linf", amount=5.0) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.amount = amount

    def run(self, problem):
        return problem.images + self.amount


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_cheating_attack_is_brought_back_into_ball_and_box(small_model, batch, norm) -> None:
    images, labels = batch
    result = Shift(norm=norm)(small_model, images, labels, seed=0)
    assert result.images.min() >= 0.0
    assert result.images.max() <= 1.0
    delta = (result.images.astype(np.float64) - images).reshape(len(images), -1)
    distances = np.linalg.norm(delta, {"linf": np.inf, "l2": 2}[norm], axis=1)
    assert distances.max() <= 0.1 + rounding_tolerance(0.1, norm, delta.shape[1])
    np.testing.assert_allclose(result.distances, distances, rtol=1e-5, atol=1e-7)


def test_success_is_what_the_model_says_of_the_returned_images(small_model, batch) -> None:
    images, labels = batch
    result = Shift(epsilon=0.5)(small_model, images, labels, seed=0)
    predictions = small_model(result.images, training=False).numpy().argmax(axis=1)
    np.testing.assert_array_equal(result.success, predictions != labels)
    assert 0 < result.success.sum() < len(images)


def test_a_clean_mistake_is_broken_and_left_as_it_is(linear) -> None:
    images, labels = linear.images_at(0.05, "linf")
    toward_correct = PGD(epsilon=0.2, objective=lambda labels, logits: -logits[:, 0])
    wrong = 1 - labels
    result = toward_correct(linear.logits_fn, images, wrong, seed=0)
    assert result.success.all()
    np.testing.assert_array_equal(result.images, images)


def test_the_contract_methods_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match="must not override '__call__'"):

        class Liar(Shift):
            def __call__(self, *args, **kwargs):  # type: ignore[misc]
                return None


def test_one_trace_for_batches_of_every_size_and_seed(linear) -> None:
    traces: list[int] = []

    def logits_fn(images):
        traces.append(1)
        return linear.logits_fn(images)

    attack = PGD(epsilon=0.1, num_steps=3, num_restarts=2)
    images, labels = linear.images_at(0.05, "linf")
    attack(logits_fn, images, labels, seed=0)
    first = len(traces)
    for size in (8, 5, 1, 7):
        attack(logits_fn, images[:size], labels[:size], seed=size)
    assert len(traces) == first


def test_the_number_of_steps_does_not_change_the_size_of_the_graph(linear) -> None:
    counts = []
    for num_steps in (2, 50):
        traces: list[int] = []

        def logits_fn(images, traces=traces):
            traces.append(1)
            return linear.logits_fn(images)

        images, labels = linear.images_at(0.05, "linf")
        PGD(epsilon=0.1, num_steps=num_steps)(logits_fn, images, labels, seed=0)
        counts.append(len(traces))
    assert counts[0] == counts[1] > 0


def test_a_second_model_of_the_same_shape_is_not_mistaken_for_the_first(linear) -> None:
    attack = PGD(epsilon=0.1)
    images, labels = linear.images_at(0.05, "linf")
    images, labels = images[labels == labels[0]], labels[labels == labels[0]]
    assert attack(linear.logits_fn, images, labels, seed=0).success.all()

    def constant(images: tf.Tensor) -> tf.Tensor:
        return tf.one_hot(tf.repeat(labels[0], tf.shape(images)[0]), 4) * 10.0

    assert not attack(constant, images, labels, seed=0).success.any()


def test_perturb_works_inside_a_graph_and_lets_no_gradient_through(small_model, batch) -> None:
    images, labels = map(tf.constant, batch)
    attack = PGD(epsilon=0.05, num_steps=2)

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            found = attack.perturb(small_model, images, labels, seed=3)
            total = tf.reduce_sum(found)
        return found, tape.gradient(total, images)

    found, gradient = step(images)
    assert gradient is None
    expected = attack(small_model, *batch, seed=3).images
    np.testing.assert_allclose(found[:-1], expected[:-1], atol=1e-6)


def test_a_model_without_gradients_is_attacked_with_gradients_of_zero(linear) -> None:
    images, labels = linear.images_at(0.05, "linf")
    attack = PGD(epsilon=0.1, random_start=False)
    result = attack(lambda x: linear.logits_fn(tf.round(x * 8) / 8), images, labels, seed=0)
    np.testing.assert_array_equal(result.images, images)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_stop_the_attack(batch, value) -> None:
    images, labels = batch

    def broken(pixels):
        logits = tf.one_hot(tf.zeros(tf.shape(pixels)[0], tf.int32), 5)
        return logits + value

    with pytest.raises(NonFiniteError, match=r"logits of the clean images.* 12 of 12 images"):
        PGD(epsilon=0.1)(broken, images, labels, seed=0)


def test_gradients_that_are_not_finite_stop_the_attack(linear) -> None:
    images, labels = linear.images_at(0.05, "linf")

    def not_differentiable(pixels):
        zeros = tf.reduce_sum(tf.zeros_like(pixels), axis=[1, 2, 3])
        # The value is 0 and the derivative of the root at 0 is infinite: 0 * inf = NaN.
        noise = tf.sqrt(tf.reduce_sum(pixels, axis=[1, 2, 3]) * zeros)
        return linear.logits_fn(pixels) + noise[:, tf.newaxis]

    with pytest.raises(NonFiniteError, match="images found by PGD are not finite"):
        PGD(epsilon=0.1)(not_differentiable, images, labels, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: ((x * 255).astype(np.uint8), y), "dtype=uint8. Divide 8-bit images by 255"),
        (lambda x, y: (x * 255, y), "must be in .0, 1.* Divide 8-bit images by 255"),
        (lambda x, y: (x - 0.5, y), "must be in .0, 1.* Received: values from -0"),
        (lambda x, y: (np.full_like(x, np.nan), y), "must be in .0, 1.* values from nan"),
        (lambda x, y: (x[0], y), r"must have shape \(batch, height, width, channels\)"),
        (lambda x, y: (x[:0], y[:0]), "at least one image"),
        (lambda x, y: (x, y + 5), r"`labels` must be in \[0, 4\], the model has 5 classes"),
        (lambda x, y: (x, y - 5), r"`labels` must be in \[0, 4\]"),
        (lambda x, y: (x, y[:3]), r"`labels` must be integers of shape \(12,\), one for each"),
        (lambda x, y: (x, np.eye(5, dtype=int)[y]), "argmax"),
        (lambda x, y: (x, y.astype(float)), "`labels` must be integers"),
    ],
)
def test_wrong_images_and_labels_are_refused(small_model, batch, change, message) -> None:
    with pytest.raises(InputError, match=message):
        Shift()(small_model, *change(*batch), seed=0)


def test_epsilon_on_the_wrong_scale_is_refused_with_the_mend() -> None:
    with pytest.raises(InputError, match="did you mean 8/255"):
        Shift(epsilon=8)
    with pytest.raises(InputError, match="`norm` must be"):
        Shift(norm="l1")


def test_the_constructor_is_the_config() -> None:
    attack = Shift(epsilon="8/255", amount=2.0)
    assert attack.get_config() == {"epsilon": 8 / 255, "norm": "linf", "amount": 2.0}
    assert repr(attack) == f"Shift(epsilon={8 / 255!r}, norm='linf', amount=2.0)"
