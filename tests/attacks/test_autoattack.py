from typing import Any

import numpy as np
import pytest

from lsp_keras.attacks.autoattack import AutoAttack
from lsp_keras.attacks.autoattack_torchattacks import AutoAttackTorchattacks
from lsp_keras.validation import InputError


@pytest.mark.parametrize(
    ("version", "num_classes", "names"),
    [
        ("standard", 10, ["apgd-ce", "apgd-t", "fab-t", "square"]),
        ("standard", 3, ["apgd-ce", "apgd-dlr", "fab", "square"]),
        ("standard", 2, ["apgd-ce", "apgd-margin", "fab", "square"]),
        ("plus", 10, ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"]),
        ("rand", 10, ["apgd-ce", "apgd-dlr"]),
    ],
)
def test_parts_of_each_version(version, num_classes, names) -> None:
    attack = AutoAttack(epsilon=0.1, version=version)
    assert list(attack.parts(num_classes)) == names
    assert attack.parts(num_classes)[names[0]] is attack.parts(num_classes)[names[0]]


def parts_of(attack: Any, num_classes: int) -> dict[str, Any]:
    """Each with settings of its own."""
    return dict(attack.parts(num_classes))


def test_settings_are_the_official_ones() -> None:
    parts = parts_of(AutoAttack(epsilon=0.1), 10)
    assert parts["apgd-ce"].get_config() == {
        "epsilon": 0.1,
        "norm": "linf",
        "num_steps": 100,
        "num_restarts": 1,
        "objective": "softmax_cross_entropy",
        "num_targets": 9,
        "rho": 0.75,
        "num_samples": 1,
        "shrink_ball": False,
    }
    assert (parts["apgd-t"].objective, parts["apgd-t"].num_turns(10)) == ("targeted_dlr", 9)
    assert (parts["fab-t"].num_steps, parts["fab-t"].num_turns(10)) == (100, 9)
    assert (parts["square"].num_queries, parts["square"].rescale_schedule) == (5000, False)
    plus = parts_of(AutoAttack(epsilon=0.1, version="plus"), 10)
    assert [plus[name].num_restarts for name in ("apgd-ce", "apgd-dlr", "fab", "apgd-t")] == [
        5,
        5,
        5,
        1,
    ]
    rand = parts_of(AutoAttack(epsilon=0.1, version="rand"), 10)
    assert rand["apgd-dlr"].num_samples == 20


def test_l1_settings_are_the_official_ones() -> None:
    parts = parts_of(AutoAttack(epsilon=12, norm="l1"), 10)
    assert list(parts) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert (parts["apgd-ce"].num_turns(10), parts["apgd-ce"].shrink_ball) == (5, True)
    assert (parts["apgd-t"].num_turns(10), parts["apgd-t"].shrink_ball) == (5, True)
    assert parts["fab-t"].num_turns(10) == 9
    assert parts["square"].num_queries == 5000
    plus = parts_of(AutoAttack(epsilon=12, norm="l1", version="plus"), 10)
    assert (plus["apgd-t"].num_turns(10), plus["apgd-t"].shrink_ball) == (9, False)


def test_torchattacks_settings_are_its_defaults() -> None:
    parts = parts_of(AutoAttackTorchattacks(epsilon=0.1), 100)
    assert [parts[name].num_steps for name in ("apgd-ce", "apgd-t", "fab-t")] == [10, 10, 10]
    assert parts["apgd-t"].num_turns(100) == 99
    assert parts["square"].rescale_schedule


def test_a_plane_is_crossed_exactly_at_its_distance(linear) -> None:
    near = linear.images_at(0.05 / 1.01, "linf")
    far = linear.images_at(0.05 / 0.99, "linf")
    images, labels = (np.concatenate(pair) for pair in zip(near, far, strict=True))
    attack = AutoAttack(epsilon=0.05)
    parts_of(attack, 4)["square"].num_queries = 200
    calls = []
    result = attack(
        linear.logits_fn, images, labels, seed=0, progress=lambda *call: calls.append(call)
    )
    assert result.success.tolist() == [True] * 8 + [False] * 8
    # Half falls to the first part, and the others are left to each of the rest.
    assert calls == [(1, 4, 8), (2, 4, 8), (3, 4, 8), (4, 4, 8)]


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'standard'"):
        AutoAttack(epsilon=0.1, version="standart")  # type: ignore[arg-type]
