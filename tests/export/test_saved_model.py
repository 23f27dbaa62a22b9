"""A SavedModel answers what the Keras model answers."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from lsp_keras.export import ExportOptions, export_model
from lsp_keras.validation import InputError

NAMES = ("cat", "dog", "ship")
SHAPE = (8, 8, 3)


def make_classifier() -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input(SHAPE)
    features = keras.layers.Conv2D(4, 3, activation="relu")(images)
    features = keras.layers.BatchNormalization()(features)
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(features))
    model = keras.Model(images, logits)
    model.layers[2].moving_mean.assign([0.1, 0.2, 0.3, 0.4])
    return model


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return make_classifier()


@pytest.fixture(scope="module")
def exported(classifier, tmp_path_factory) -> Path:
    return export_model(classifier, tmp_path_factory.mktemp("m") / "toy", class_names=NAMES)


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported))
    # The loaded object owns the variables, so it must live as long as its signatures.
    return {name: (function, loaded) for name, function in loaded.signatures.items()}


def call(signatures, name: str, **inputs) -> dict[str, np.ndarray]:
    function, _ = signatures[name]
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    return {key: value.numpy() for key, value in function(**tensors).items()}


def encode(image: np.ndarray, file_format: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, file_format)
    return stream.getvalue()


@pytest.mark.parametrize("batch", [1, 5])
def test_floats_give_the_keras_models_results(signatures, classifier, batch: int) -> None:
    images = np.random.default_rng(0).random((batch, *SHAPE), dtype=np.float32)
    outputs = call(signatures, "serving_default", images=images)
    expected = np.asarray(classifier(images, training=False))
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)
    exponentials = np.exp(expected - expected.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_array_equal(outputs["classes"], expected.argmax(axis=1))
    assert outputs["class_names"].tolist() == [NAMES[i].encode() for i in outputs["classes"]]


def test_uint8_images_are_divided_by_255(signatures, classifier) -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, *SHAPE), dtype=np.uint8)
    outputs = call(signatures, "serving_uint8", images=images)
    expected = classifier(images.astype("float32") / 255.0, training=False)
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)


def test_png_bytes_of_the_right_size_are_decoded_exactly(signatures, classifier) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    files = [encode(image, "PNG") for image in images]
    outputs = call(signatures, "serving_bytes", image_bytes=files)
    expected = classifier(images.astype("float32") / 255.0, training=False)
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)


def test_files_of_another_size_and_mode_are_resized_and_converted(signatures, classifier) -> None:
    gray = np.full((31, 17), 102, np.uint8)
    color = np.full((4, 9, 3), 102, np.uint8)
    files = [encode(gray, "JPEG"), encode(color, "PNG")]
    outputs = call(signatures, "serving_bytes", image_bytes=files)
    flat = np.full((1, *SHAPE), 0.4, np.float32)
    expected = np.repeat(np.asarray(classifier(flat, training=False)), 2, axis=0)
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-4)


def test_shrinking_averages_over_all_pixels(signatures, classifier) -> None:
    checkerboard = np.indices((64, 64)).sum(axis=0) % 2 * 255
    files = [encode(checkerboard.astype(np.uint8), "PNG")]
    outputs = call(signatures, "serving_bytes", image_bytes=files)
    gray = np.full((1, *SHAPE), 0.5, np.float32)
    np.testing.assert_allclose(outputs["logits"], classifier(gray, training=False), atol=0.02)


@pytest.mark.parametrize("bad", [-0.01, 1.01, 255.0, np.nan, np.inf, -np.inf])
def test_bad_pixels_are_an_error_not_a_class(signatures, bad: float) -> None:
    images = np.zeros((2, *SHAPE), np.float32)
    images[1, 2, 3, 0] = bad
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite pixel values in \\[0, 1\\]"):
        call(signatures, "serving_default", images=images)


def test_bytes_that_are_no_image_are_an_error(signatures) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Send a JPEG, PNG, BMP or GIF file"):
        call(signatures, "serving_bytes", image_bytes=[b"no image"])


def test_inputs_and_outputs_have_readable_names(signatures) -> None:
    for name, input_name in [
        ("serving_default", "images"),
        ("serving_uint8", "images"),
        ("serving_bytes", "image_bytes"),
    ]:
        function, _ = signatures[name]
        assert list(function.structured_input_signature[1]) == [input_name]
        outputs = ["class_names", "classes", "logits", "probabilities"]
        assert sorted(function.structured_outputs) == outputs


def test_half_precision_models_answer_float32(tmp_path: Path) -> None:
    images = keras.Input(SHAPE)
    logits = keras.layers.Dense(3, dtype="mixed_float16")(keras.layers.Flatten()(images))
    folder = export_model(keras.Model(images, logits), tmp_path / "half", class_names=NAMES)
    loaded = tf.saved_model.load(str(folder))
    outputs = loaded.signatures["serving_default"].structured_outputs
    assert {outputs["logits"].dtype, outputs["probabilities"].dtype} == {tf.float32}


def test_classify_answers_all_names_with_their_probabilities(signatures, classifier) -> None:
    images = np.random.default_rng(3).integers(0, 256, (2, *SHAPE), dtype=np.uint8)
    examples = []
    for image in images:
        file = tf.train.BytesList(value=[encode(image, "PNG")])
        feature = {"image/encoded": tf.train.Feature(bytes_list=file)}
        features = tf.train.Features(feature=feature)
        examples.append(tf.train.Example(features=features).SerializeToString())
    outputs = call(signatures, "classify", inputs=examples)
    assert outputs["classes"].tolist() == [[name.encode() for name in NAMES]] * 2
    logits = np.asarray(classifier(images / np.float32(255), training=False))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["scores"], expected, atol=1e-5)


def test_classify_is_marked_as_such(exported: Path) -> None:
    saved_model = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    methods = {
        name: signature.method_name
        for name, signature in saved_model.meta_graphs[0].signature_def.items()
    }
    assert methods["classify"] == "tensorflow/serving/classify"
    assert methods["serving_bytes"] == "tensorflow/serving/predict"


def test_float16_halves_the_weights_and_keeps_the_results(classifier, tmp_path: Path) -> None:
    options = ExportOptions(float16=True)
    folder = export_model(classifier, tmp_path / "half", class_names=NAMES, options=options)
    loaded = tf.saved_model.load(str(folder))
    assert {variable.dtype for variable in loaded.model_variables} == {tf.float16}
    images = np.random.default_rng(4).random((3, *SHAPE), dtype=np.float32)
    outputs = loaded.signatures["serving_default"](images=tf.constant(images))
    assert outputs["logits"].dtype == tf.float32
    expected = np.asarray(classifier(images, training=False))
    np.testing.assert_allclose(outputs["logits"], expected, atol=5e-3)
    classifier.layers[-1].bias.assign([1e6, 0.0, 0.0])
    with pytest.raises(InputError, match="reaches 1e\\+06, more than float16 holds"):
        export_model(classifier, tmp_path / "half", class_names=NAMES, options=options)
    classifier.layers[-1].bias.assign([0.0, 0.0, 0.0])


def test_xla_gives_the_same_results(classifier, tmp_path: Path) -> None:
    options = ExportOptions(xla=True)
    folder = export_model(classifier, tmp_path / "xla", class_names=NAMES, options=options)
    loaded = tf.saved_model.load(str(folder))
    images = np.random.default_rng(5).random((2, *SHAPE), dtype=np.float32)
    outputs = loaded.signatures["serving_default"](images=tf.constant(images))
    expected = np.asarray(classifier(images, training=False))
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)


def test_larger_batches_than_the_limit_are_an_error(classifier, tmp_path: Path) -> None:
    options = ExportOptions(max_batch_size=2)
    folder = export_model(classifier, tmp_path / "small", class_names=NAMES, options=options)
    loaded = tf.saved_model.load(str(folder))
    run = loaded.signatures["serving_uint8"]
    assert run(images=tf.zeros((2, *SHAPE), tf.uint8))["classes"].shape == (2,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="limit of 2"):
        run(images=tf.zeros((3, *SHAPE), tf.uint8))
    with pytest.raises(InputError, match="`max_batch_size` must be 1 or more"):
        ExportOptions(max_batch_size=0)


def test_versions_count_up_and_are_never_overwritten(classifier, tmp_path: Path) -> None:
    base = tmp_path / "toy"
    (base / "007").mkdir(parents=True)
    (base / "notes").mkdir()
    assert export_model(classifier, base, class_names=NAMES) == base / "8"
    assert (base / "8/assets/class_names.txt").read_text() == "cat\ndog\nship\n"
    with pytest.raises(InputError, match="Version 8 exists already"):
        export_model(classifier, base, class_names=NAMES, version=8)
    with pytest.raises(InputError, match="`version` must be 1 or more"):
        export_model(classifier, base, class_names=NAMES, version=0)
    assert sorted(path.name for path in base.iterdir()) == ["007", "8", "notes"]


def test_a_failed_export_leaves_nothing(classifier, tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_model(classifier, tmp_path / "toy", class_names=NAMES)
    assert list((tmp_path / "toy").iterdir()) == []


def test_what_is_no_classifier_is_refused(classifier, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 classes but 2 class names"):
        export_model(classifier, tmp_path, class_names=("a", "b"))
    with pytest.raises(InputError, match="Class names must differ"):
        export_model(classifier, tmp_path, class_names=("a", "b", "b"))
    for broken in ("b\n", "\x85b", "b\u2028c"):
        with pytest.raises(InputError, match="A class name must be one line"):
            export_model(classifier, tmp_path, class_names=("a", broken, "c"))
    vector = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(InputError, match="must take images"):
        export_model(vector, tmp_path, class_names=NAMES)
    flexible = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(InputError, match="images of one size"):
        export_model(flexible, tmp_path, class_names=NAMES)


def test_a_store_gets_the_same_files_with_the_marker_last(classifier, tmp_path, fake_store) -> None:
    root, written = fake_store
    here = export_model(classifier, tmp_path / "toy", class_names=NAMES)
    there = export_model(classifier, "fake://bucket/toy", class_names=NAMES)
    assert there == root / "bucket" / "toy" / "1"
    files = [
        {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        for folder in (here, there)
    ]
    assert files[0] == files[1]
    assert written[-1] == "saved_model.pb"
    images = np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)
    answers = [
        tf.saved_model.load(str(folder)).signatures["serving_default"](images=tf.constant(images))
        for folder in (here, there)
    ]
    np.testing.assert_array_equal(answers[0]["logits"], answers[1]["logits"])
    assert export_model(classifier, "fake://bucket/toy", class_names=NAMES).name == "2"
    with pytest.raises(InputError, match="Version 1 exists already"):
        export_model(classifier, "fake://bucket/toy", class_names=NAMES, version=1)
