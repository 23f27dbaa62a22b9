import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.classifiers import choose_output, load_attackable
from lsp_keras.evaluation import evaluate
from lsp_keras.export import export_model
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

THREAT = ThreatModel.parse("0.0275")


@pytest.fixture(scope="module")
def exported(contrast_model, tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "contrast"
    for version in (9, 10):
        export_model(contrast_model, base, class_names=["a", "b"], version=version)
    return base


def test_gradient_attacks_find_the_same_through_a_saved_model(
    exported, contrast_model, contrast_examples
) -> None:
    found = load_attackable(exported)
    assert found.path == exported / "10"
    assert found.model.count_params() == contrast_model.count_params()
    attacks = {"pgd": PGD(epsilon=0.0275)}
    report = evaluate(found.model, *contrast_examples, attacks=attacks, threat=THREAT)
    assert report.clean.count == 9
    assert report.worst_case.count == 4
    assert report.flags == []
    assert report.model_fingerprint == load_attackable(exported / "9").model.fingerprint


def test_a_folder_that_holds_no_saved_model_is_taken_for_a_run(tmp_path) -> None:
    with pytest.raises(InputError, match=r"a run without model\.keras"):
        load_attackable(tmp_path)


def test_a_broken_file_is_said(tmp_path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(InputError, match="could not be read as a SavedModel"):
        load_attackable(tmp_path)


def test_other_signatures_are_refused(tmp_path) -> None:
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    signature = tf.TensorSpec([None, 3], tf.float32, "x")
    double = tf.function(lambda x: {"y": module.scale * x}).get_concrete_function(signature)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": double})
    with pytest.raises(InputError, match=r"one batch of float32 images. It takes x: float32"):
        load_attackable(tmp_path)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["classes", "logits", "probabilities"], "logits"), (["a", "probabilities"], "probabilities")],
)
def test_logits_are_preferred(names, chosen) -> None:
    assert choose_output("it", names) == chosen
    assert choose_output("it", ["only"]) == "only"
    with pytest.raises(InputError, match="it must answer `logits` or `probabilities`"):
        choose_output("it", ["a", "b"])
