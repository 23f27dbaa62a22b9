from dataclasses import replace

import keras
import pytest

from lsp_keras.classifiers import read
from lsp_keras.datasets import load
from lsp_keras.reports.measure import Request, measure
from lsp_keras.runs.subjects.subject import Subject
from lsp_keras.types import ThreatModel


@pytest.fixture(scope="module")
def guessing() -> Subject:
    """A model that gives every image the first class."""
    digits = load("digits", num_test=30)
    layers = [keras.Input(digits.info.image_shape), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(10, kernel_initializer="zeros")])
    classifier = read(model).located("guessing.keras", None)
    context = {"dataset": {"name": "digits"}}
    return Subject("guessing", classifier, digits, digits.test, context)


def test_a_model_that_guesses_gets_the_quick_suite_alone(guessing, tmp_path) -> None:
    request = Request(ThreatModel.parse("8/255"), budget=7200.0, output=tmp_path)
    measured = measure(guessing, request)
    assert set(measured.left_out) == {"autoattack", "diagnosis", "profile"}
    assert set(measured.left_out.values()) == {"the model is no better than guessing"}
    (record,) = measured.evaluations
    assert record["clean_accuracy"]["total"] == 30
    assert list(measured.sources) == ["quick"]
    # Another radius is another question.
    other = measure(guessing, Request(ThreatModel.parse("4/255"), budget=1.0, output=tmp_path))
    assert other.examples != measured.examples
    # So is another reading of the pixels, or another picture under the same name.
    bytes_wanted = replace(
        guessing,
        classifier=read(guessing.classifier.source, pixel_range="0,255").located("g", None),
    )
    read_anew = measure(bytes_wanted, request)
    assert read_anew.examples != measured.examples
    assert [item["classifier"]["pixel_range"] for item in read_anew.evaluations] == ["[0, 255]"]
    changed = replace(guessing.test, images=255 - guessing.test.images)
    assert measure(replace(guessing, test=changed), request).examples != measured.examples
