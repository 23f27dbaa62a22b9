import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks import NonFiniteError
from lsp_keras.attacks.autoattack import AutoAttack
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation import evaluate
from lsp_keras.evaluation.report import unpack_verdicts
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

THREAT = ThreatModel.parse("0.0275")


def attacks(**pgd):
    return {"fgsm": FGSM(epsilon=0.0275), "pgd": PGD(epsilon=0.0275, **pgd)}


def fgsm():
    return {"fgsm": FGSM(epsilon=0.0275)}


def test_known_accuracies(contrast_model, contrast_examples) -> None:
    report = evaluate(contrast_model, *contrast_examples, attacks=attacks(), threat=THREAT)
    assert report.clean.count == 9
    assert [record.accuracy.count for record in report.attacks] == [4, 4]
    assert report.worst_case.count == 4
    assert report.flags == []
    verdicts = report.to_dict()["verdicts"]
    # The last image has the wrong label; contrasts up to 0.05 are broken.
    assert np.flatnonzero(unpack_verdicts(verdicts["clean"], 10)).tolist() == list(range(9))
    assert np.flatnonzero(unpack_verdicts(verdicts["worst_case"], 10)).tolist() == [5, 6, 7, 8]
    assert verdicts["fgsm"] == verdicts["pgd"] == verdicts["worst_case"]


def test_worst_case_counts_an_example_that_any_attack_broke(
    contrast_model, contrast_examples
) -> None:
    lazy = {
        # The first attack can only break images below 0.02; the second, only with even index.
        "weak": PGD(epsilon=0.0275, num_steps=1, step_size=0.01, random_start=False),
        "other": PGD(epsilon=0.0275, objective=_only_where_upper_is_odd),
    }
    report = evaluate(contrast_model, *contrast_examples, attacks=lazy, threat=THREAT)
    by_name = {record.name: record.accuracy.count for record in report.attacks}
    # Contrast 0.01 falls to the first; 0.01 and 0.02 to the second.
    assert by_name == {"weak": 8, "other": 7}
    assert report.worst_case.count == 7


def _only_where_upper_is_odd(labels, logits):
    """Gradient only while the contrast is under 0.025."""
    margin = logits[:, 1] - logits[:, 0]
    return tf.where(margin > -0.05, margin, tf.stop_gradient(margin))


def test_8_bit_images_count_as_their_float_values(contrast_model) -> None:
    images = np.full((3, 4, 4, 1), 128, np.uint8)
    images[:, :2] += np.array([2, 10, 30], np.uint8)[:, None, None, None]
    as_bytes = evaluate(contrast_model, images, [0, 0, 0], attacks=fgsm(), threat=THREAT)
    as_floats = evaluate(contrast_model, images / 255.0, [0, 0, 0], attacks=fgsm(), threat=THREAT)
    # 10 of 255 is 0.039, under twice epsilon; 30 of 255 is above.
    assert as_bytes.worst_case.count == as_floats.worst_case.count == 1


def test_batch_size_and_order_change_no_verdict() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((5, 5, 3)),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    images = np.random.default_rng(2).random((23, 5, 5, 3), dtype=np.float32)
    labels = model(images).numpy().argmax(axis=1)
    threat = ThreatModel.parse("0.01")
    order = np.random.default_rng(3).permutation(23)
    counts = set()
    for batch_size, rows in ((23, np.arange(23)), (4, order), (7, order[::-1])):
        report = evaluate(
            model,
            images[rows],
            labels[rows],
            indices=rows,
            attacks={"pgd": PGD(epsilon=0.01, num_steps=2)},
            threat=threat,
            batch_size=batch_size,
        )
        counts.add(report.worst_case.count)
    assert len(counts) == 1
    assert 0 < counts.pop() < 23


def test_the_record_is_json_and_says_first_what_it_is_worth(
    contrast_model, contrast_examples
) -> None:
    report = evaluate(
        contrast_model,
        *contrast_examples,
        attacks=attacks(),
        threat=ThreatModel.parse("0.0275"),
        seed=5,
        context={"dataset": {"name": "stripes"}},
    )
    record = json.loads(json.dumps(report.to_dict()))
    assert next(iter(record)) == "statement"
    assert "not from AutoAttack" in record["statement"]
    assert record["is_autoattack"] is False
    assert record["threat_model"] == {"norm": "linf", "epsilon": 0.0275, "epsilon_text": "0.0275"}
    assert record["num_examples"] == 10
    assert record["seed"] == 5
    assert record["dataset"] == {"name": "stripes"}
    assert record["attacks"]["pgd"]["config"]["num_steps"] == 10
    assert set(record["versions"]) >= {"lsp-keras", "tensorflow", "keras", "python"}
    assert record["hardware"]["cores"] >= 1


def test_the_fingerprint_follows_the_weights(contrast_model, contrast_examples) -> None:
    other = keras.models.clone_model(contrast_model)
    other.set_weights([weight * 2 for weight in contrast_model.get_weights()])
    found = [
        evaluate(model, *contrast_examples, attacks=fgsm(), threat=THREAT).model_fingerprint
        for model in (contrast_model, contrast_model, other)
    ]
    assert found[0] == found[1] != found[2]


def test_progress_tells_the_share_done_and_what_stands(contrast_model, contrast_examples) -> None:
    calls = []
    evaluate(
        contrast_model,
        *contrast_examples,
        attacks=fgsm(),
        threat=THREAT,
        batch_size=4,
        progress=lambda *call: calls.append(call),
    )
    assert [call[0] for call in calls] == ["clean"] * 3 + ["fgsm"] * 3
    assert [call[1] for call in calls] == pytest.approx([4 / 9, 8 / 9, 1.0] * 2)
    assert calls[2] == ("clean", 1.0, 10, 9)
    assert calls[-1] == ("fgsm", 1.0, 9, 4)


def quick_autoattack() -> AutoAttack:
    attack = AutoAttack(epsilon=0.0275)
    square: Any = attack.parts(2)["square"]
    square.num_queries = 20
    return attack


def counting_traces(model, examples, attacks):
    """A report, and how often the model was traced for it."""
    traces = []

    def logits_fn(images):
        traces.append(1)
        return model(images)

    return evaluate(logits_fn, *examples, attacks=attacks, threat=THREAT), len(traces)


@pytest.fixture(scope="module")
def ensemble(contrast_model, contrast_examples):
    """The report on AutoAttack, and how often the model was traced."""
    return counting_traces(contrast_model, contrast_examples, {"autoattack": quick_autoattack()})


def test_an_ensemble_runs_each_part_on_what_is_left(ensemble) -> None:
    report, _ = ensemble
    counts = {record.name: record.accuracy.count for record in report.attacks}
    assert list(counts) == [
        "autoattack/apgd-ce",
        "autoattack/apgd-margin",
        "autoattack/fab",
        "autoattack/square",
        "autoattack",
    ]
    assert set(counts.values()) == {4}
    assert report.worst_case.count == 4
    # Two classes are too few for the standard version's targeted attacks.
    assert not report.is_autoattack
    assert [flag.name for flag in report.flags] == ["few_classes"]


def test_the_model_is_traced_once_for_all_parts(
    contrast_model, contrast_examples, ensemble
) -> None:
    _, traces = ensemble
    assert traces == counting_traces(contrast_model, contrast_examples, fgsm())[1]


# Each is evaluated twice; the others lie between these.
@pytest.mark.parametrize(
    "dtype",
    [
        "uint8",
        "uint64",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("int8", "int32")),
    ],
)
def test_labels_of_any_integer_type(contrast_model, contrast_examples, dtype) -> None:
    images, labels = contrast_examples
    report = evaluate(contrast_model, images, labels.astype(dtype), attacks=fgsm(), threat=THREAT)
    # As Keras's own datasets have them.
    column = labels.astype(dtype)[:, np.newaxis]
    of_a_column = evaluate(contrast_model, images, column, attacks=fgsm(), threat=THREAT)
    assert of_a_column.worst_case == report.worst_case
    assert report.worst_case.count == 4


def test_pixels_that_rounding_put_outside_are_clipped(contrast_model, contrast_examples) -> None:
    images, labels = contrast_examples
    images = images.copy()
    images[:, 0, 0] = 1.0000002
    images[:, 3, 0] = -1e-7
    report = evaluate(contrast_model, images, labels, attacks=fgsm(), threat=THREAT)
    clipped = np.clip(images, 0.0, 1.0)
    expected = evaluate(contrast_model, clipped, labels, attacks=fgsm(), threat=THREAT)
    assert report.worst_case == expected.worst_case
    with pytest.raises(InputError, match="must be in"):
        evaluate(contrast_model, images + 0.001, labels, attacks=attacks(), threat=THREAT)


class KilledError(Exception):
    """Stands for the end of the process."""


def in_single_steps(model, examples, journal, progress=None):
    """A record without its times."""
    report = evaluate(
        model,
        *examples,
        attacks={"pgd": PGD(epsilon=0.0275), "fgsm": FGSM(epsilon=0.0275)},
        threat=THREAT,
        batch_size=1,
        journal=journal,
        progress=progress,
    )
    found = report.to_dict()
    for timed in (found, *found["attacks"].values()):
        timed.pop("seconds")
    return found


@pytest.fixture(scope="module")
def whole(contrast_model, contrast_examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    record = in_single_steps(contrast_model, contrast_examples, folder)
    assert not list(folder.iterdir())
    return record


# By default after the first piece of eight clean images, and in the first attack.
@pytest.mark.parametrize(
    "fatal_call", [9, 15, *(pytest.param(call, marks=pytest.mark.slow) for call in (2, 5))]
)
def test_a_killed_evaluation_goes_on_and_ends_the_same(
    contrast_model, contrast_examples, whole, tmp_path, fatal_call
) -> None:
    calls = []

    def kill(*call):
        calls.append(call)
        if len(calls) == fatal_call:
            raise KilledError

    with pytest.raises(KilledError):
        in_single_steps(contrast_model, contrast_examples, tmp_path, kill)
    assert in_single_steps(contrast_model, contrast_examples, tmp_path) == whole
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": {}}, "at least one attack"),
        ({"attacks": {"pgd": PGD(epsilon=0.1)}}, "only comparable within one threat model"),
        ({"batch_size": 0}, "`batch_size` must be greater than zero"),
        ({"images": np.zeros((10, 4, 4, 3), np.float32)}, r"takes images of shape \(4, 4, 1\)"),
        ({"images": np.zeros((0, 4, 4, 1), np.float32)}, "at least one image"),
        (
            {"labels": np.zeros((10, 2))},
            r"of shape \(10,\).* `argmax\(axis=1\)` of one-hot",
        ),
        ({"labels": np.full(10, 2)}, "answers 2 classes, and the labels go up to 2"),
        ({"images": np.full((10, 4, 4, 1), 255, np.int64)}, "Divide 8-bit images by 255"),
    ],
)
def test_wrong_input_is_refused(contrast_model, contrast_examples, change, message) -> None:
    images, labels = contrast_examples
    given = {"images": images, "labels": labels, "attacks": attacks(), "threat": THREAT} | change
    with pytest.raises(InputError, match=message):
        evaluate(contrast_model, given.pop("images"), given.pop("labels"), **given)


def test_a_model_that_breaks_down_is_not_called_robust(contrast_model, contrast_examples) -> None:
    def breaks_down(images):
        logits = contrast_model(images)
        return tf.where(tf.abs(logits) < 0.02, np.nan, logits)

    with pytest.raises(NonFiniteError, match="not finite"):
        evaluate(breaks_down, *contrast_examples, attacks=attacks(), threat=THREAT)
