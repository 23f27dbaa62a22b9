import dataclasses
import json
from typing import Any

import keras
import numpy as np
import pytest

from lsp_keras import evaluation
from lsp_keras.attacks.autoattack import AutoAttack
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation import evaluate, merge, shard_record
from lsp_keras.shards import Shard
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

THREAT = ThreatModel.parse("0.05")
POSITIONS = np.arange(23) * 7
# What no two evaluations share, or what each process has of its own.
TIMES = ("seconds", "hardware")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((5, 5, 3)),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).random((23, 5, 5, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def labels(model, images):
    found = model(images).numpy().argmax(axis=1)
    # Three mistakes, in different shards.
    found[[0, 7, 11]] = (found[[0, 7, 11]] + 1) % 5
    return found


def report_on(model, images, labels, rows, attacks, **options):
    return evaluate(
        model,
        images[rows],
        labels[rows],
        indices=POSITIONS[rows],
        attacks=attacks,
        threat=THREAT,
        **options,
    )


def shards(model, images, labels, attacks, count, **options):
    """Records as they lie in files, one for each shard."""
    records = []
    for index in range(count):
        shard = Shard(index, count)
        report = report_on(model, images, labels, shard.rows(23), attacks, **options)
        records.append(json.loads(json.dumps(shard_record(report, shard, POSITIONS))))
    return records


def numbers(report):
    """The record without times."""
    record = json.loads(json.dumps(report.to_dict()))
    for name in TIMES:
        record.pop(name)
    for item in record["attacks"].values():
        item.pop("seconds")
    record["classifier"].pop("findings")
    return record


QUICK = {"fgsm": FGSM(epsilon=0.05), "pgd": PGD(epsilon=0.05, num_steps=4)}


@pytest.fixture(scope="module")
def three(model, images, labels):
    return shards(model, images, labels, QUICK, 3)


def check_union(model, images, labels, attacks, records) -> None:
    whole = numbers(report_on(model, images, labels, np.arange(23), attacks))
    assert 0 < whole["worst_case_accuracy"]["count"] < whole["clean_accuracy"]["count"] == 20
    assert numbers(merge(records)) == whole


def test_the_union_of_shards_is_the_whole_bit_for_bit(model, images, labels, three) -> None:
    check_union(model, images, labels, QUICK, three[::-1])


@pytest.mark.slow
def test_the_union_of_shards_is_the_whole_under_autoattack(model, images, labels) -> None:
    attacks = {"autoattack": AutoAttack(epsilon=0.05)}
    check_union(model, images, labels, attacks, shards(model, images, labels, attacks, 2))


def test_signs_compare_the_numbers_of_all_shards(three) -> None:
    records = json.loads(json.dumps(three))
    for record in records:
        # In each shard FGSM breaks one image more: too few there to raise a flag.
        for name, lead in (("fgsm", 1), ("pgd", 0)):
            record["attacks"][name]["accuracy"]["count"] = 4 - lead
    assert not any(flag["name"] == "fgsm_beats_iterative" for r in records for flag in r["flags"])
    (flag,) = (flag for flag in merge(records).flags if flag.name == "fgsm_beats_iterative")
    assert flag.number == pytest.approx(3 / 23)


def test_a_flag_of_the_model_is_that_of_the_worst_shard(three) -> None:
    records = json.loads(json.dumps(three))
    texts = dict.fromkeys(("measure", "meaning", "advice"), "")
    random = {"name": "randomized_outputs", "number": 0.5, "threshold": 1e-4, **texts}
    records[1]["flags"].append(random)
    records[2]["flags"].append({**random, "number": 0.2})
    (flag,) = (item for item in merge(records).flags if item.name == "randomized_outputs")
    assert flag.number == 0.5


def test_missing_and_double_shards_are_refused(three) -> None:
    with pytest.raises(InputError, match="Shards of 3 that are missing: 0, 2"):
        merge(three[1:2])
    with pytest.raises(InputError, match="more than once: 1"):
        merge([*three, three[1]])
    with pytest.raises(InputError, match="no shards to merge"):
        merge([])
    whole = {key: value for key, value in three[0].items() if key != "shard"}
    with pytest.raises(InputError, match="whole evaluation is no shard"):
        merge([whole])


def test_foreign_shards_are_refused(model, images, labels, three) -> None:
    shard = Shard(2, 3)
    other = keras.models.clone_model(model)
    changed = (
        ("their model fingerprint differ", {"model": other}),
        ("their seed differ", {"seed": 1}),
        ("their attacks differ", {"attacks": {"fgsm": QUICK["fgsm"]}}),
        ("different numbers of shards", {"shard": Shard(2, 4)}),
        ("made from different images", {"positions": POSITIONS + 1}),
    )
    for message, options in changed:
        values: dict[str, Any] = {
            "model": model,
            "attacks": {},
            "seed": 0,
            "shard": shard,
            **options,
        }
        report = dataclasses.replace(
            merge(three),
            seed=values["seed"],
            model_fingerprint=evaluation.model_fingerprint(values["model"]),
        )
        if values["attacks"]:
            report = dataclasses.replace(report, attacks=report.attacks[:1])
        record = shard_record(report, values["shard"], values.get("positions", POSITIONS))
        with pytest.raises(InputError, match=f"belong to different evaluations: .*{message}"):
            merge([*three[:2], json.loads(json.dumps(record))])
