"""Records of a run's own images, and those of others."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest
import tomli_w

from lsp_keras.attacks import FGSM
from lsp_keras.classifiers import load_classifier
from lsp_keras.evaluation import evaluate, model_fingerprint
from lsp_keras.runs.subjects.own_images import is_on, own_datasets
from lsp_keras.runs.subjects.subject import Subject, _autoattack_record, _same_dataset
from lsp_keras.runs.subjects.test_images import load_images
from lsp_keras.tables.outcomes import find_outcome
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on the digits with a network that was never trained."""
    keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    ).save(tmp_path / "model.keras")
    (tmp_path / "config.toml").write_text(tomli_w.dumps({"dataset": "digits"}))
    (tmp_path / "evaluations").mkdir()
    return tmp_path


def test_a_run_has_the_names_of_its_settings_and_of_its_record(run: Path) -> None:
    assert own_datasets(run) == {"digits"}
    (run / "dataset.json").write_text(json.dumps({"name": "numbers"}))
    assert own_datasets(run) == {"digits", "numbers"}
    assert own_datasets(None) == set()


@pytest.mark.parametrize("dataset", [None, "digits", ["digits"], {}, {"name": ["digits"]}])
def test_a_record_that_names_no_dataset_is_on_none(dataset: Any) -> None:
    assert not is_on({"digits"}, {"dataset": dataset})
    assert is_on({"digits"}, {"dataset": {"name": "digits"}})


def test_what_was_measured_on_other_data_is_no_number_of_a_table(run: Path) -> None:
    classifier = load_classifier(run)
    test = load_images(run, dataset=None, data_dir=None, cache_dir=None).test.take(4)
    attack = FGSM(epsilon="8/255")
    context = {"dataset": {"name": "digits", "num_images_in_split": 4}}
    record = evaluate(
        classifier, test.images, test.labels, attacks={"fgsm": attack}, context=context
    ).to_dict()
    path = run / "evaluations" / "1.json"
    for name in ("digits", "svhn"):
        for count in (4, None):
            record["dataset"]["name"] = name
            path.write_text(json.dumps(record))
            found = find_outcome(classifier, attack, count, [path.parent])
            assert (found is not None) == (name == "digits")


def test_a_diagnosis_takes_autoattack_on_its_own_images(run: Path) -> None:
    classifier = load_classifier(run)
    threat = ThreatModel.parse("8/255", "linf")
    record = {
        "is_autoattack": True,
        "model_fingerprint": model_fingerprint(classifier.source),
        "threat_model": {"norm": "linf", "epsilon": 8 / 255},
    }
    for number, name in enumerate(("digits", "svhn")):
        text = json.dumps({**record, "dataset": {"name": name}})
        (run / "evaluations" / f"{number}.json").write_text(text)
    dataset = load_images(run, dataset=None, data_dir=None, cache_dir=None)
    for name in ("digits", "svhn"):
        context = {"dataset": {"name": name}}
        subject = Subject("run", classifier, dataset, dataset.test, context)
        found = _autoattack_record(subject, threat)
        assert found is not None
        assert found["dataset"]["name"] == name
    stranger = Subject("run", classifier, dataset, dataset.test, {"dataset": {"name": "mnist"}})
    assert _autoattack_record(stranger, threat) is None


def test_models_side_by_side_may_name_one_folder_differently(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "other", "runs/a", "runs/b"):
        Path(name).mkdir(parents=True)
    own: Any = None
    context = {"dataset": {"name": f"folder:{tmp_path / 'photos'}"}}
    settings = {"dataset": "folder:photos"}
    classifier = SimpleNamespace(run=Path("runs/a"))
    first = Subject("a", classifier, own, own, context, settings)

    def dataset(run: Path | None, **settings: str) -> str | None:
        return _same_dataset(Path("b"), run, settings, first)

    # `None` stands for the run's own, which are found where they lie now.
    assert dataset(Path("runs/b"), dataset="folder:photos") is None
    assert dataset(Path("runs/b"), dataset=f"folder:{tmp_path / 'photos'}@32") is None
    assert dataset(None) == context["dataset"]["name"]
    for other in ("folder:other", "digits", "prepared:photos"):
        with pytest.raises(InputError, match=f"was trained on {other}, not on folder:photos"):
            dataset(Path("runs/b"), dataset=other)
