import math
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import Problem
from lsp_keras.attacks.apgd import APGD, ranked_class, window_lengths
from lsp_keras.validation import InputError


def test_a_window_is_marked_at_its_last_step() -> None:
    np.testing.assert_array_equal(window_lengths([2, 3, 6], 7), [0, 2, 1, 0, 0, 3, 0])


def test_broken_images_are_dropped_early_and_at_the_end() -> None:
    assert APGD(epsilon=0.1).window_ends == [2, 5, 10, 20, 40, 60, 80, 100]
    # Nothing is broken before the last ball, which starts at step 60.
    shrinking = APGD(epsilon=12.0, norm="l1", shrink_ball=True)
    assert shrinking.window_ends == [61, 62, 64, 68, 76, 84, 92, 100]
    assert APGD(epsilon=0.1, num_steps=1).window_ends == [1]


def test_classes_are_ranked_by_their_logits() -> None:
    logits = tf.constant([[1.0, 3.0, 2.0], [5.0, 4.0, 6.0]])
    assert [ranked_class(logits, rank).numpy().tolist() for rank in range(3)] == [
        [1, 2],
        [2, 0],
        [0, 1],
    ]


# Other pairs than those of the contract of all attacks.
@pytest.mark.parametrize(
    ("objective", "norm"), [("margin", "linf"), ("targeted_dlr", "l2"), ("dlr", "l1")]
)
def test_every_objective_crosses_a_plane_at_its_distance(linear, objective, norm) -> None:
    epsilon = {"linf": 0.05, "l2": 0.4, "l1": 6.0}[norm]
    attack = APGD(epsilon=epsilon, norm=norm, objective=objective)
    near = linear.images_at(epsilon / 1.02, norm)
    far = linear.images_at(epsilon / 0.99, norm)
    assert attack(linear.logits_fn, *near, seed=0).success.all()
    assert not attack(linear.logits_fn, *far, seed=0).success.any()


def slow_apgd(gradient_fn, loss_fn, image, start, epsilon, num_steps):
    """The official loop in NumPy for one image under L-inf, quirks included."""
    ball = lambda point: np.clip(np.clip(point, image - epsilon, image + epsilon), 0, 1)  # noqa: E731
    current = previous = best = start
    gradient = best_gradient = gradient_fn(start)
    best_loss = loss_at_check = loss_fn(start)
    losses = np.zeros(num_steps)
    step, window, counter, halved = 2 * epsilon, max(int(0.22 * num_steps), 1), 0, True
    for i in range(num_steps):
        momentum = current - previous
        previous, share = current, (0.75 if i > 0 else 1.0)
        ahead = ball(current + step * np.sign(gradient))
        current = ball(current + (ahead - current) * share + momentum * (1 - share))
        gradient, losses[i] = gradient_fn(current), loss_fn(current)
        if losses[i] > best_loss:
            best, best_gradient, best_loss = current, gradient, losses[i]
        counter += 1
        if counter == window:
            rises = sum(losses[i - back] > losses[i - back - 1] for back in range(window))
            now = rises <= window * 0.75 or (not halved and loss_at_check >= best_loss)
            halved, loss_at_check, counter = now, best_loss, 0
            if now:
                step, current, gradient = step / 2, best, best_gradient
            window = max(window - max(int(0.03 * num_steps), 1), max(int(0.06 * num_steps), 1))
    return best, best_loss


def slow_projection(point, image, epsilon):
    """Nearest point of the L1 ball and the box, by bisection for the shrinkage."""
    move = point - image
    cap = np.minimum(np.abs(move), np.where(move > 0, 1 - image, image))
    low, high = 0.0, np.abs(move).max()
    if cap.sum() <= epsilon:
        return image + np.sign(move) * cap
    for _ in range(100):
        middle = (low + high) / 2
        kept = np.clip(np.abs(move) - middle, 0, cap)
        low, high = (middle, high) if kept.sum() > epsilon else (low, middle)
    return image + np.sign(move) * np.clip(np.abs(move) - high, 0, cap)


def slow_l1_apgd(gradient_fn, loss_fn, image, start, epsilon, num_steps, share=None):
    """The official loop in NumPy for one image under L1."""
    changed = np.count_nonzero(np.abs(start - image) > 1e-6)
    moved = math.ceil(changed * 2 / 3 - 1e-9)
    if share is not None:
        changed, moved = image.size, math.ceil(share * image.size)
    current = best = start
    gradient = best_gradient = gradient_fn(start)
    best_loss, step = loss_fn(start), epsilon
    window = max(int(0.04 * num_steps), 1)
    for i in range(num_steps):
        smallest = np.sort(np.abs(gradient))[-max(moved, 1)]
        signs = np.sign(gradient) * (np.abs(gradient) >= smallest)
        current = slow_projection(current + step * signs / np.abs(signs).sum(), image, epsilon)
        gradient, loss = gradient_fn(current), loss_fn(current)
        if loss > best_loss:
            best, best_gradient, best_loss = current, gradient, loss
        if (i + 1) % window == 0:
            now = np.count_nonzero(np.abs(best - image) > 1e-6)
            moved = math.ceil(now * 2 / 3 - 1e-9)
            step /= 1.5
            if now / changed < 0.95:
                step, current, gradient = epsilon, best, best_gradient
            step, changed = np.clip(step, epsilon / 10, epsilon), now
    return best, best_loss


def slow_shrinking_apgd(gradient_fn, loss_fn, image, start, epsilon, num_steps):
    """A third of the steps in balls of three and two radii, the rest in the ball itself."""
    third, best = -(-3 * num_steps // 10), start
    for factor, steps in ((3, third), (2, third), (1, num_steps - 2 * third)):
        start = slow_projection(best, image, factor * epsilon)
        best, loss = slow_l1_apgd(gradient_fn, loss_fn, image, start, factor * epsilon, steps)
    return best, loss


def slow_plain_l1_apgd(gradient_fn, loss_fn, image, start, epsilon, num_steps):
    return slow_l1_apgd(gradient_fn, loss_fn, image, start, epsilon, num_steps, share=0.2)


@pytest.mark.parametrize(
    ("slow", "options"),
    [
        (slow_apgd, {"epsilon": 0.1}),
        (slow_plain_l1_apgd, {"epsilon": 0.7, "norm": "l1"}),
        (slow_shrinking_apgd, {"epsilon": 0.4, "norm": "l1", "shrink_ball": True}),
    ],
)
def test_equals_the_official_loop_written_in_numpy(slow, options) -> None:
    # A bumpy objective on which some windows shorten the step and others do not.
    rng = np.random.default_rng(2)
    waves = rng.normal(size=(3, 12)).astype(np.float32) * 9.0
    lift = np.float32(0.4)

    def logits_fn(pixels):
        values = tf.sin(tf.reshape(pixels, [-1, 12]) @ waves.T)
        score = tf.reduce_sum(values, axis=1) * lift
        return tf.stack([tf.zeros_like(score) + 50.0, score], axis=1)

    def loss_fn(image):
        return float(np.sin(waves @ image).sum() * lift - 50.0)

    def gradient_fn(image):
        return (np.cos(waves @ image) @ waves * lift).astype(np.float32)

    images = rng.uniform(0.2, 0.8, size=(6, 2, 2, 3)).astype(np.float32)
    attack = APGD(**options, objective="margin")
    result = attack(logits_fn, images, np.zeros(6, int), seed=1)
    keys = tf.constant(1, tf.int64), tf.range(6, dtype=tf.int64)
    problem = Problem(logits_fn, tf.constant(images), tf.zeros(6, tf.int64), *keys)
    start = attack.begin(problem, tf.constant(0))["current"].numpy()
    for image, begin, found in zip(images, start, result.images, strict=True):
        _, best_loss = slow(
            gradient_fn, loss_fn, image.ravel(), begin.ravel(), attack.epsilon, attack.num_steps
        )
        assert loss_fn(found.ravel()) == pytest.approx(best_loss, abs=2e-4)


def test_what_breaks_in_a_larger_ball_does_not_count(linear) -> None:
    images, labels = linear.images_at(6.0 / 0.98, "l1")
    attack = APGD(epsilon=6.0, norm="l1", shrink_ball=True)
    keys = tf.constant(0, tf.int64), tf.range(8, dtype=tf.int64)
    problem = Problem(linear.logits_fn, tf.constant(images), tf.constant(labels), *keys)
    turn, first, last = map(tf.constant, (0, 0, 60))
    state = attack.begin(problem, turn)
    advance = tf.function(partial(attack.advance, problem))
    large = advance(state, turn=turn, first=first, last=last)
    beyond = linear.logits_fn(large["best"]).numpy().argmax(axis=1) != labels
    assert beyond.all()
    assert not large["broken"].numpy().any()


def test_averaging_over_samples_beats_noise(linear) -> None:
    images, labels = linear.images_at(0.05 / 1.1, "linf")

    generator = tf.random.Generator.from_seed(0)

    def noisy(pixels):
        noise = generator.normal([tf.shape(pixels)[0], 4], stddev=0.01)
        tilt = generator.normal(tf.shape(pixels), stddev=4.0) * pixels
        return (
            linear.logits_fn(pixels)
            + noise
            + tf.reduce_sum(tilt, [1, 2, 3])[:, None] * [[1.0, -1.0, 0.0, 0.0]] * 0.2
        )

    margins = []
    for num_samples in (1, 8):
        attack = APGD(epsilon=0.05, num_steps=10, num_samples=num_samples, objective="margin")
        found = [attack(noisy, images, labels, seed=seed).images for seed in range(8)]
        logits = np.stack([linear.logits_fn(batch).numpy() for batch in found])
        rows = np.arange(8)
        margins.append(np.mean(logits[:, rows, labels] - logits[:, rows, 1 - labels]))
    assert margins[1] < margins[0]


@pytest.mark.parametrize(("objective", "minimum"), [("dlr", 3), ("targeted_dlr", 4)])
def test_too_few_classes_are_refused_with_the_way_out(objective, minimum) -> None:
    with pytest.raises(InputError, match=f"at least {minimum} classes.*Use 'cross_entropy'"):
        APGD(epsilon=0.1, objective=objective)(
            lambda x: tf.reshape(x, [-1, 12])[:, :2], np.zeros((2, 2, 2, 3)), [0, 0], seed=0
        )
