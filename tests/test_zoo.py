"""The classifiers that come with the package are those that their cards describe."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lsp_keras import zoo
from lsp_keras.evaluation import model_fingerprint
from lsp_keras.evaluation.report import unpack_verdicts
from lsp_keras.validation import InputError

NAMES = zoo.names()


@pytest.mark.parametrize("name", NAMES)
def test_card_model_and_record_belong_together(name: str) -> None:
    from lsp_keras.classifiers import load_classifier

    card = zoo.card(name)
    classifier = load_classifier(f"zoo:{name}")
    assert classifier.run == zoo.locate(f"zoo:{name}")
    assert classifier.records is None, "nothing may be written into the package"
    assert model_fingerprint(classifier.source) == card["model_fingerprint"]
    assert classifier.num_classes == len(card["class_names"])
    record = json.loads((classifier.run / "evaluations" / "autoattack.json").read_text())
    assert record["is_autoattack"]
    assert record["model_fingerprint"] == card["model_fingerprint"]
    robust = unpack_verdicts(record["verdicts"]["worst_case"], record["num_examples"])
    assert robust.mean() == pytest.approx(card["autoattack_accuracy"]["value"])
    assert str(Path.home()) not in json.dumps(record)


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_logits_of_images_in_0_to_1(name: str) -> None:
    from lsp_keras.classifiers import load_classifier

    classifier = load_classifier(f"zoo:{name}")
    logits = np.asarray(classifier(np.full((2, 32, 32, 3), 0.5, np.float32)))
    assert logits.shape == (2, 10)
    np.testing.assert_allclose(logits[0], logits[1], rtol=1e-4, atol=1e-5)


def test_zoo_is_small_enough_to_come_with_the_package() -> None:
    files = Path(zoo.__file__).parent.rglob("*.keras")
    assert sum(path.stat().st_size for path in files) <= 12 * 2**20


def test_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = NAMES[0]
    shutil.copytree(zoo.locate(f"zoo:{name}"), tmp_path / name)
    monkeypatch.setattr(zoo, "_FOLDER", tmp_path)
    with (tmp_path / name / "model.keras").open("r+b") as file:
        file.seek(1000)
        file.write(b"changed")
    with pytest.raises(InputError, match=r"changed or damaged\. Install lsp-keras again"):
        zoo.locate(f"zoo:{name}")


def test_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(InputError, match=rf"There is no zoo:cifar10_rubust.*{NAMES[0]}"):
        zoo.locate("zoo:cifar10_rubust")
    assert zoo.locate("runs/mine") == Path("runs/mine")
