"""Verdicts against torchattacks on the same weights; needs torch and torchattacks."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import Problem
from lsp_keras.attacks._square_proposals import pyramid_pair
from lsp_keras.attacks.apgd import APGD
from lsp_keras.attacks.autoattack_torchattacks import AutoAttackTorchattacks
from lsp_keras.attacks.cw_l2_fixed_c import CWL2FixedC
from lsp_keras.attacks.fab import FAB
from lsp_keras.attacks.square import Square
from lsp_keras.ops import objectives

pytestmark = pytest.mark.reference
NUM_IMAGES, SIZE, CLASSES = 64, 10, 6
EPSILONS = {"linf": 0.012, "l2": 0.09}
NAMES = {"linf": "Linf", "l2": "L2", "l1": "L1"}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="compares with torchattacks")


@pytest.fixture(scope="module")
def torchattacks(torch):
    return pytest.importorskip("torchattacks", reason="compares with torchattacks")


@pytest.fixture(scope="module")
def keras_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", bias_initializer="normal"),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


@pytest.fixture(scope="module")
def torch_model(torch, keras_model):
    """The same weights in PyTorch."""
    first, second, _, dense = keras_model.layers

    class Network(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, 8, 3)
            self.second = torch.nn.Conv2d(8, 8, 3, stride=2)
            self.dense = torch.nn.Linear(dense.kernel.shape[0], CLASSES)

        def forward(self, images):
            maps = torch.relu(self.second(torch.relu(self.first(images))))
            return self.dense(maps.flatten(1))

    network = Network()
    with torch.no_grad():
        for ours, theirs in ((first, network.first), (second, network.second)):
            theirs.weight.copy_(torch.tensor(ours.kernel.numpy().transpose(3, 2, 0, 1)))
            theirs.bias.copy_(torch.tensor(ours.bias.numpy()))
        # PyTorch flattens channels first.
        side = round((dense.kernel.shape[0] / 8) ** 0.5)
        kernel = dense.kernel.numpy().reshape(side, side, 8, CLASSES)
        kernel = kernel.transpose(3, 2, 0, 1).reshape(CLASSES, -1)
        network.dense.weight.copy_(torch.tensor(kernel))
        network.dense.bias.copy_(torch.tensor(dense.bias.numpy()))
    return network.eval()


@pytest.fixture(scope="module")
def batch(keras_model):
    images = np.random.default_rng(0).random((NUM_IMAGES, SIZE, SIZE, 3), dtype=np.float32)
    return images, keras_model(images).numpy().argmax(axis=1)


@pytest.fixture(scope="module")
def their_success(torch, torch_model, batch):
    """Runs an attack of torchattacks; says what it broke within the budget."""
    images, labels = batch
    pixels = torch.tensor(images.transpose(0, 3, 1, 2)).contiguous()
    targets = torch.tensor(labels)

    def run(attack, norm):
        found = attack(pixels, targets)
        delta = (found - pixels).flatten(1)
        lengths = torch.linalg.vector_norm(delta, {"linf": np.inf, "l2": 2}[norm], dim=1)
        with torch.no_grad():
            wrong = torch_model(found).argmax(1) != targets
        return (wrong & (lengths <= EPSILONS[norm] * (1 + 1e-5))).numpy()

    return run


def test_the_models_are_the_same(torch, torch_model, keras_model, batch) -> None:
    images, _ = batch
    with torch.no_grad():
        theirs = torch_model(torch.tensor(images.transpose(0, 3, 1, 2)).contiguous()).numpy()
    np.testing.assert_allclose(keras_model(images), theirs, atol=1e-5)


def check(ours, theirs) -> None:
    """As many different verdicts as between two seeds of theirs, and two for rounding."""
    spread = int((theirs[0] != theirs[1]).sum())
    differences = min(int((ours != verdicts).sum()) for verdicts in theirs)
    assert 0 < ours.sum() < NUM_IMAGES
    assert differences <= spread + 2


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("objective", "loss"), [("cross_entropy", "ce"), ("dlr", "dlr")])
def test_apgd(
    torchattacks, torch_model, keras_model, batch, their_success, norm, objective, loss
) -> None:
    options = {"norm": NAMES[norm], "eps": EPSILONS[norm], "steps": 100, "loss": loss}
    theirs = [
        their_success(torchattacks.APGD(torch_model, **options, seed=seed), norm) for seed in (0, 1)
    ]
    attack = APGD(epsilon=EPSILONS[norm], norm=norm, objective=objective)
    check(attack(keras_model, *batch, seed=0).success, theirs)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("objective", "loss"), [("cross_entropy", "ce"), ("dlr", "dlr")])
def test_apgd_reaches_the_same_losses(
    torch, torchattacks, torch_model, keras_model, batch, norm, objective, loss
) -> None:
    images, labels = batch
    # So small a ball breaks nothing, so that both ascend to the last step.
    epsilon = EPSILONS[norm] / 20
    pixels = torch.tensor(images.transpose(0, 3, 1, 2)).contiguous()
    theirs = []
    for seed in (0, 1):
        options = {"norm": NAMES[norm], "eps": epsilon, "steps": 100, "loss": loss}
        torch.manual_seed(seed)
        attack = torchattacks.APGD(torch_model, **options)
        theirs.append(attack.perturb(pixels, torch.tensor(labels), best_loss=True)[0].numpy())
    attack = APGD(epsilon=epsilon, norm=norm, objective=objective)
    result = attack(keras_model, images, labels, seed=0)
    standing = ~result.success
    assert standing.mean() > 0.8
    scores = objectives.get(objective)(tf.constant(labels), tf.constant(result.logits))
    ours = scores.numpy()
    spread = np.abs(theirs[0] - theirs[1])[standing].max()
    np.testing.assert_allclose(
        ours[standing], theirs[0][standing], rtol=1e-3, atol=2.0 * spread + 1e-4
    )


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_targeted_apgd(torchattacks, torch_model, keras_model, batch, their_success, norm) -> None:
    options = {"norm": NAMES[norm], "eps": EPSILONS[norm], "steps": 100, "n_classes": CLASSES}
    theirs = [
        their_success(torchattacks.APGDT(torch_model, **options, seed=seed), norm)
        for seed in (0, 1)
    ]
    attack = APGD(epsilon=EPSILONS[norm], norm=norm, objective="targeted_dlr")
    check(attack(keras_model, *batch, seed=0).success, theirs)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_fab(torchattacks, torch_model, keras_model, batch, their_success, norm, targeted) -> None:
    options = {"norm": NAMES[norm], "eps": EPSILONS[norm], "steps": 100, "n_classes": CLASSES}
    theirs = [
        their_success(
            torchattacks.FAB(torch_model, **options, multi_targeted=targeted, seed=seed), norm
        )
        for seed in (0, 1)
    ]
    attack = FAB(epsilon=EPSILONS[norm], norm=norm, targeted=targeted)
    check(attack(keras_model, *batch, seed=0).success, theirs)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("targeted", [False, True])
def test_fab_comes_as_near(
    torch, torchattacks, torch_model, keras_model, batch, norm, targeted
) -> None:
    images, labels = batch
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    pixels = torch.tensor(images.transpose(0, 3, 1, 2)).contiguous()
    options = {"norm": NAMES[norm], "steps": 100, "n_classes": CLASSES, "seed": 0}
    attack = torchattacks.FAB(torch_model, **options, multi_targeted=targeted)
    # The class that follows the label's.
    attack.target_class = 2
    run = attack.attack_single_run_targeted if targeted else attack.attack_single_run
    found = run(pixels, torch.tensor(labels))
    theirs = np.linalg.norm((found - pixels).flatten(1).numpy(), order, axis=1)
    # Nothing is broken within so small a radius, so that every step is taken.
    ours = FAB(epsilon=1e-6, norm=norm, targeted=targeted)
    keys = tf.constant(0, tf.int64), tf.range(NUM_IMAGES, dtype=tf.int64)
    problem = Problem(keras_model, tf.constant(images), tf.constant(labels), *keys)
    turn, first, last = map(tf.constant, (0, 0, 100))
    state = ours.begin(problem, turn)
    state = ours.advance(problem, state, turn=turn, first=first, last=last)
    np.testing.assert_allclose(state["distance"], theirs, rtol=2e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_reaches_the_same_margins(
    torch, torchattacks, torch_model, keras_model, batch, norm
) -> None:
    images, labels = batch
    # So small a ball breaks almost nothing, so that both search to the last query.
    epsilon = EPSILONS[norm] / 20
    pixels, targets = torch.tensor(images.transpose(0, 3, 1, 2)).contiguous(), torch.tensor(labels)
    theirs = []
    for seed in range(4):
        options = {"norm": NAMES[norm], "eps": epsilon, "n_queries": 1500, "resc_schedule": False}
        attack = torchattacks.Square(torch_model, **options)
        attack.init_hyperparam(pixels)
        draw = attack.random_int
        # Its squares never reach the last row and column; ours do, and gain a little more.
        attack.random_int = lambda low, high, draw=draw: draw(low, high + 1)
        torch.manual_seed(seed)
        with torch.no_grad():
            _, found = attack.attack_single_run(pixels, targets)
            theirs.append(-attack.margin_and_loss(found, targets)[0].numpy())
    attack = Square(epsilon=epsilon, norm=norm, num_queries=1500)
    result = attack(keras_model, images, labels, seed=0)
    margins = objectives.margin(tf.constant(labels), tf.constant(result.logits)).numpy()
    clean = objectives.margin(tf.constant(labels), keras_model(images)).numpy()
    ours, theirs = margins - clean, np.array(theirs) - clean
    means = theirs.mean(axis=1)
    assert abs(ours.mean() - means.mean()) <= 2.0 * np.ptp(means)

    def farthest(rises, others):
        return np.abs(np.log(rises / others.mean(axis=0))).max()

    explained = [farthest(theirs[seed], np.delete(theirs, seed, axis=0)) for seed in range(4)]
    assert farthest(ours, theirs) <= 1.25 * max(explained)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square(torchattacks, torch_model, keras_model, batch, their_success, norm) -> None:
    options = {"norm": NAMES[norm], "eps": EPSILONS[norm], "n_queries": 1500}
    theirs = [
        their_success(
            torchattacks.Square(torch_model, **options, resc_schedule=False, seed=seed), norm
        )
        for seed in (0, 1)
    ]
    attack = Square(epsilon=EPSILONS[norm], norm=norm, num_queries=1500)
    check(attack(keras_model, *batch, seed=0).success, theirs)


@pytest.mark.parametrize("kind", ["noise", "pyramids"])
def test_l2_square_reaches_as_far_as_theirs_on_a_plane(torch, torchattacks, kind) -> None:
    # How near to the plane an image must lie to be broken is what the search is able to do.
    epsilon, side = 0.4, 11
    pair = pyramid_pair(tf.constant(side), side).numpy()
    normals = {
        "noise": np.random.default_rng(3).normal(size=(side, side, 3)),
        "pyramids": np.stack([pair, -pair, pair], axis=-1),
    }
    normal = (normals[kind] / np.linalg.norm(normals[kind])).astype(np.float32)
    distances = np.linspace(0.2, 1.0, NUM_IMAGES, dtype=np.float32) * epsilon
    images = 0.5 + distances[:, np.newaxis, np.newaxis, np.newaxis] * normal
    labels = np.zeros(NUM_IMAGES, np.int64)

    def keras_plane(pixels):
        score = tf.reduce_sum((pixels - 0.5) * normal, axis=[1, 2, 3])
        return tf.stack([score, -score], axis=1)

    class Plane(torch.nn.Module):
        def forward(self, pixels):
            score = ((pixels - 0.5) * torch.tensor(normal.transpose(2, 0, 1))).sum((1, 2, 3))
            return torch.stack([score, -score], dim=1)

    pixels, plane = torch.tensor(images.transpose(0, 3, 1, 2)).contiguous(), Plane().eval()
    theirs = []
    for seed in (0, 1, 2):
        options = {"norm": "L2", "eps": epsilon, "n_queries": 1000, "resc_schedule": False}
        found = torchattacks.Square(plane, **options, seed=seed)(pixels, torch.tensor(labels))
        theirs.append(int((plane(found).argmax(1) != 0).sum()))
    attack = Square(epsilon=epsilon, norm="l2", num_queries=1000)
    ours = attack(keras_plane, images, labels, seed=0).success.sum()
    assert min(theirs) - 2 <= ours <= max(theirs) + 4


def test_their_autoattack(torchattacks, torch_model, keras_model, batch, their_success) -> None:
    options = {"norm": "Linf", "eps": EPSILONS["linf"], "n_classes": CLASSES}
    theirs = [
        their_success(torchattacks.AutoAttack(torch_model, **options, seed=seed), "linf")
        for seed in (0, 1)
    ]
    attack = AutoAttackTorchattacks(epsilon=EPSILONS["linf"])
    check(attack(keras_model, *batch, seed=0).success, theirs)


@pytest.fixture(scope="module")
def their_cw(torch, torchattacks, torch_model, batch):
    """Images found by torchattacks' CW after so many steps, in float32 or in double precision."""
    images, labels = batch

    def run(constant, num_steps, dtype):
        network = copy.deepcopy(torch_model).to(dtype)
        pixels = torch.tensor(images.transpose(0, 3, 1, 2), dtype=dtype).contiguous()
        attack = torchattacks.CW(network, c=constant, steps=num_steps, lr=0.01)
        return attack(pixels, torch.tensor(labels)).numpy().transpose(0, 2, 3, 1)

    return run


@pytest.mark.parametrize("constant", [0.01, 1.0])
def test_cw_makes_the_same_first_steps(torch, keras_model, batch, their_cw, constant) -> None:
    # From the third step on Adam may blow up what rounding makes of tiny gradients.
    ours = CWL2FixedC(epsilon=100.0, constant=constant, num_steps=2, like_torchattacks=True)
    found = ours(keras_model, *batch, seed=0).images
    theirs = their_cw(constant, 2, torch.float32)
    assert (theirs != batch[0]).any()
    np.testing.assert_allclose(found, theirs, rtol=0, atol=5e-7)


@pytest.mark.parametrize("constant", [0.01, 1.0])
def test_cw_ends_as_near_to_the_exact_result_as_theirs(
    torch, torch_model, keras_model, batch, their_cw, constant
) -> None:
    images, labels = batch
    ours = CWL2FixedC(epsilon=100.0, constant=constant, like_torchattacks=True)
    found = ours(keras_model, images, labels, seed=0)
    theirs, exact = (their_cw(constant, 50, kind) for kind in (torch.float32, torch.float64))
    with torch.no_grad():
        pixels = torch.tensor(theirs.transpose(0, 3, 1, 2)).contiguous()
        broken = torch_model(pixels).argmax(1).numpy() != labels
    assert broken.any()
    np.testing.assert_array_equal(found.success, broken)
    lengths = np.linalg.norm((exact - images).reshape(NUM_IMAGES, -1), axis=1)
    np.testing.assert_allclose(found.distances, lengths, rtol=1e-2, atol=1e-6)
    # Rounding explains as many different entries as it does between their two precisions.
    off, explained = (np.mean(np.abs(moved - exact) > 1e-4) for moved in (found.images, theirs))
    assert off <= explained + 0.005
