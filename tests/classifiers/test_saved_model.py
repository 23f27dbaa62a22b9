import shutil

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.classifiers import choose_output, load_classifier, probe
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
    found = load_classifier(exported)
    assert found.path == exported / "10"
    assert found.count_params() == contrast_model.count_params()
    attacks = {"pgd": PGD(epsilon=0.0275)}
    report = evaluate(found, *contrast_examples, attacks=attacks, threat=THREAT)
    assert report.clean.count == 9
    assert report.worst_case.count == 4
    assert report.flags == []
    assert report.model_fingerprint == load_classifier(exported / "9").source.fingerprint


def test_a_folder_that_holds_no_saved_model_is_taken_for_a_run(tmp_path) -> None:
    with pytest.raises(InputError, match=r"a run without model\.keras"):
        load_classifier(tmp_path)


def test_a_broken_file_is_said(tmp_path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(InputError, match="could not be read as a SavedModel"):
        load_classifier(tmp_path)


def test_names_that_are_no_text_are_said(exported, tmp_path) -> None:
    copy = shutil.copytree(exported / "9", tmp_path / "copy")
    (copy / "assets" / "class_names.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputError, match=r"class_names\.txt cannot be read: it is no text"):
        load_classifier(copy)


def test_other_signatures_are_refused(tmp_path) -> None:
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    signature = tf.TensorSpec([None, 3], tf.float32, "x")
    double = tf.function(lambda x: {"y": module.scale * x}).get_concrete_function(signature)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": double})
    with pytest.raises(InputError, match=r"float32 or uint8 images .* It takes x: float32"):
        load_classifier(tmp_path)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["classes", "logits", "probabilities"], "logits"), (["a", "probabilities"], "probabilities")],
)
def test_logits_are_preferred(names, chosen) -> None:
    assert choose_output("it", names) == chosen
    assert choose_output("it", ["only"]) == "only"
    with pytest.raises(InputError, match="it answers 2 outputs: 'a', 'b'"):
        choose_output("it", ["a", "b"])


def saved(folder, answer, spec):
    module = tf.Module()
    function = tf.function(answer).get_concrete_function(spec)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": function})
    return folder


@pytest.fixture
def kernel():
    return tf.constant(np.random.default_rng(1).normal(size=(16, 3)), tf.float32)


def test_a_closing_softmax_is_taken_off(tmp_path, kernel, images) -> None:
    def answer(pixels):
        return {"scores": tf.nn.softmax(tf.reshape(pixels, [-1, 16]) @ (kernel * 300))}

    folder = saved(tmp_path / "soft", answer, tf.TensorSpec([None, 4, 4, 1], tf.float32))
    found = probe(load_classifier(folder), images)
    assert found.answers.exact
    expected = images.reshape(-1, 16) @ kernel.numpy() * 300
    np.testing.assert_allclose(found(tf.constant(images)), expected, rtol=1e-3)


def test_a_fixed_batch_is_called_as_often_as_needed(tmp_path, kernel, images) -> None:
    def answer(pixels):
        return {"logits": tf.reshape(pixels, [8, 16]) @ kernel}

    folder = saved(tmp_path / "eight", answer, tf.TensorSpec([8, 4, 4, 1], tf.float32))
    found = probe(load_classifier(folder), images[:21])
    pixels = tf.constant(images[:21])
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logits = found(pixels)
    np.testing.assert_allclose(logits, images[:21].reshape(-1, 16) @ kernel.numpy(), atol=1e-5)
    slope = kernel.numpy().sum(axis=1).reshape(4, 4, 1)
    gradient = tape.gradient(logits, pixels)
    np.testing.assert_allclose(gradient, np.broadcast_to(slope, gradient.shape), atol=1e-5)


def test_bytes_are_rounded_and_give_no_gradients(tmp_path, kernel, images) -> None:
    def answer(pixels):
        return {"logits": tf.reshape(tf.cast(pixels, tf.float32) / 255, [-1, 16]) @ kernel}

    folder = saved(tmp_path / "bytes", answer, tf.TensorSpec([None, 4, 4, 1], tf.uint8))
    classifier = load_classifier(folder)
    found = probe(classifier, images)
    expected = (images * 255).round().reshape(-1, 16) / 255 @ kernel.numpy()
    np.testing.assert_allclose(found(tf.constant(images)), expected, atol=1e-5)
    with pytest.raises(InputError, match="gives no gradients, which pgd need: it is served or"):
        labels = np.zeros(len(images), int)
        evaluate(classifier, images, labels, attacks={"pgd": PGD(epsilon=0.0275)}, threat=THREAT)
