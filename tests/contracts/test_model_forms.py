"""Every form in which a model comes, through every use: the right numbers, or one sentence.

All forms compute the same linear classifier, whose logits are known, so that each use can be
compared with what it makes of the plain one.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.classifiers import SavedModelClassifier, load_classifier, read
from lsp_keras.evaluation import evaluate, profile
from lsp_keras.export import export_model
from lsp_keras.methods import ATTrainer
from lsp_keras.runs.start import fit_to
from lsp_keras.types import DatasetInfo, ThreatModel
from lsp_keras.validation import InputError

layers = keras.layers
SHAPE = (4, 4, 1)
EPSILON = 0.026
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(16, 3)).astype(np.float32)
# So that all three classes are answered.
KERNEL -= KERNEL.mean(axis=0)
# Multiples of 1/255, away from the walls of the pixel box.
BYTES = RNG.integers(60, 200, (40, *SHAPE)).astype(np.uint8)
IMAGES = BYTES.astype(np.float32) / np.float32(255)
LOGITS = IMAGES.reshape(40, 16) @ KERNEL
LABELS = LOGITS.argmax(axis=1)
LABELS[:4] = (LABELS[:4] + 1) % 3
INFO = DatasetInfo("toy", ("a", "b", "c"), SHAPE, {}, (0.5,), (0.2,), None, "")


def linear(
    front: Any = None,
    end: Any = None,
    *,
    activation: Any = None,
    batch: int | None = None,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    inputs = keras.Input(batch_shape=(batch, *SHAPE))
    values = inputs if front is None else front(inputs)
    dense = layers.Dense(3, activation=activation, name="dense", **options)
    outputs = dense(layers.Flatten()(values))
    dense.set_weights([KERNEL, np.zeros(3)])
    return keras.Model(inputs, outputs if end is None else end(outputs), name=name)


class Own(keras.Model):
    """A user's class, whose layers no graph shows."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, images):
        return keras.ops.softmax(self.dense(keras.ops.reshape(images, (-1, 16))))


def subclassed(_: Path) -> keras.Model:
    model = Own()
    model(IMAGES[:1])
    model.dense.set_weights([KERNEL, np.zeros(3)])
    return model


def symmetric() -> keras.Model:
    """For pixels in [-1, 1], which none of its layers tells."""
    model = linear()
    model.get_layer("dense").set_weights([KERNEL / 2, KERNEL.sum(axis=0) / 2])
    return model


def in_a_dictionary() -> keras.Model:
    pixels = keras.Input(SHAPE, name="pixels")
    return keras.Model({"pixels": pixels}, linear(activation="softmax")(pixels))


def two_outputs() -> keras.Model:
    pixels = keras.Input(SHAPE)
    area = layers.Dense(1, name="area")(layers.Flatten()(pixels))
    return keras.Model(pixels, {"classes": linear(activation="softmax")(pixels), "area": area})


def in_half_precision() -> keras.Model:
    return linear(dtype="mixed_bfloat16", name="half")


def h5(folder: Path) -> Any:
    linear(activation="softmax").save(folder / "old.h5")
    return load_classifier(folder / "old.h5")


def saved(answer: Callable[[Any], Any], spec: tf.TensorSpec) -> Callable[[Path], Any]:
    def write(folder: Path) -> Any:
        module = tf.Module()
        function = tf.function(answer).get_concrete_function(spec)
        tf.saved_model.save(module, str(folder / "it"), signatures={"serving_default": function})
        return SavedModelClassifier(folder / "it")

    return write


def softmax(images: Any) -> Any:
    return {"scores": tf.nn.softmax(tf.reshape(images, [-1, 16]) @ KERNEL)}


def of_bytes(images: Any) -> Any:
    return {"logits": tf.reshape(tf.cast(images, tf.float32) / 255, [-1, 16]) @ KERNEL}


def of_eight(images: Any) -> Any:
    return {"scores": tf.nn.softmax(tf.reshape(images, [8, 16]) @ KERNEL)}


class Form(NamedTuple):
    """How a model comes, and the sentences that its uses end in, `None` where they work."""

    build: Callable[[Path], Any]
    reading: Mapping[str, Any] = MappingProxyType({})
    link: Callable[[Any], Any] = tf.nn.softmax
    attacked: str | None = None
    trained: str | None = None
    exported: str | None = None
    started: str | None = None


def plain(model: Callable[[], Any], **options: Any) -> Form:
    return Form(lambda _: model(), **options)


NOT_KERAS: dict[str, Any] = {
    "trained": "A trainer needs a Keras model",
    "exported": "Only Keras models are exported",
    "started": "A run trains a Keras model",
}
FLOATS = tf.TensorSpec([None, *SHAPE], tf.float32)
FORMS = {
    "logits": plain(linear),
    "softmax": plain(lambda: linear(activation="softmax")),
    "softmax_layer": plain(lambda: linear(end=layers.Activation("softmax"))),
    "softmax_operation": plain(lambda: linear(end=keras.ops.softmax)),
    "sigmoid": plain(lambda: linear(activation="sigmoid"), link=tf.sigmoid),
    "log_softmax": plain(lambda: linear(activation="log_softmax")),
    "percent": plain(
        lambda: linear(activation="softmax", end=layers.Rescaling(100.0)),
        trained="The classifier answers probabilities",
    ),
    "bytes": plain(lambda: linear(layers.Rescaling(1 / 255))),
    "given_range": plain(symmetric, reading={"pixel_range": "-1,1"}),
    "dictionary": plain(in_a_dictionary),
    "two_outputs": plain(two_outputs, reading={"output": "classes"}),
    "fixed_batch": plain(lambda: linear(activation="softmax", batch=8)),
    "subclassed": Form(
        subclassed,
        trained="The classifier answers probabilities",
    ),
    "half_precision": plain(in_half_precision),
    "nested": plain(lambda: keras.Sequential([keras.Input(SHAPE), linear(activation="softmax")])),
    "h5": Form(h5),
    "saved_model": Form(saved(softmax, FLOATS), **NOT_KERAS),
    "saved_model_of_eight": Form(
        saved(of_eight, tf.TensorSpec([8, *SHAPE], tf.float32)), **NOT_KERAS
    ),
    "saved_model_of_bytes": Form(
        saved(of_bytes, tf.TensorSpec([None, *SHAPE], tf.uint8)),
        attacked="gives no gradients",
        **NOT_KERAS,
    ),
    "function": plain(lambda: lambda images: softmax(images)["scores"], **NOT_KERAS),
}


# Tracing an attack or a trainer and writing a SavedModel take seconds: each form is diagnosed by
# default, is put to one or two of these uses, and is refused wherever it must be. Other pairs of
# form and use are `slow`.
ATTACKED = {"softmax", "softmax_operation", "sigmoid", "percent", "dictionary", "two_outputs"}
ATTACKED |= {"subclassed", "h5", "saved_model", "saved_model_of_eight", "function"}
TRAINED = {"logits", "softmax_layer", "log_softmax", "given_range", "fixed_batch", "nested"}
EXPORTED = {"softmax", "sigmoid", "bytes", "two_outputs", "subclassed", "half_precision"}


def some(names: set[str], refused: str) -> list[Any]:
    """All forms; those that are neither named nor refused are `slow`."""
    return [
        pytest.param(
            name, marks=[] if name in names or getattr(form, refused) else [pytest.mark.slow]
        )
        for name, form in FORMS.items()
    ]


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    return FORMS[request.param]


@pytest.fixture
def classifier(form: Form, tmp_path: Path) -> Any:
    return read(form.build(tmp_path), **form.reading)


def right_or_refused(sentence: str | None) -> Any:
    if sentence is None:
        return contextlib.nullcontext()
    return pytest.raises(InputError, match=sentence)


def pgd(model: Any) -> Any:
    attacks = {"pgd": PGD(epsilon=EPSILON, num_steps=5)}
    return evaluate(model, IMAGES, LABELS, attacks=attacks, threat=ThreatModel.parse(EPSILON))


@functools.cache
def reference() -> int:
    count: int = pgd(linear()).worst_case.count
    return count


@pytest.mark.parametrize("form", some(ATTACKED, "attacked"), indirect=True)
def test_attack_finds_the_accuracy_of_the_logits(form: Form, classifier: Any) -> None:
    with right_or_refused(form.attacked):
        report = pgd(classifier)
        assert (report.clean.count, report.worst_case.count) == (36, reference())
        assert 4 < reference() < 32
        reading = report.to_dict()["classifier"]
        assert reading["summary"].startswith("The model takes ")
        assert reading["num_classes"] == 3


def test_diagnose_measures_the_margins_of_the_logits(form: Form, classifier: Any) -> None:
    with right_or_refused(form.attacked):
        found = profile(classifier, test=(IMAGES, LABELS), threat=ThreatModel.parse(EPSILON))
        ordered = np.sort(LOGITS, axis=1)
        margins = ordered[:, -1] - ordered[:, -2]
        np.testing.assert_allclose(
            np.abs(found.answers["test_clean"].margins)[4:], margins[4:], rtol=1e-3, atol=1e-3
        )


def loss(model: Any) -> float:
    trainer = ATTrainer(model, attack=PGD(epsilon=EPSILON, num_steps=2))
    trainer.compile(keras.optimizers.SGD(0.01))
    history = trainer.fit(IMAGES, LABELS, batch_size=40, shuffle=False, verbose=0).history
    return float(history["loss"][0])


@functools.cache
def reference_loss() -> float:
    return loss(linear())


@pytest.mark.parametrize("form", some(TRAINED, "trained"), indirect=True)
def test_training_starts_from_the_loss_of_the_logits(form: Form, classifier: Any) -> None:
    with right_or_refused(form.trained):
        assert loss(classifier) == pytest.approx(reference_loss(), rel=2e-2)


@pytest.mark.parametrize("form", some(EXPORTED, "exported"), indirect=True)
def test_export_serves_the_model_s_own_probabilities(
    form: Form, classifier: Any, tmp_path: Path
) -> None:
    with right_or_refused(form.exported):
        folder = export_model(
            classifier, tmp_path / "served", class_names=INFO.class_names, images=BYTES
        )
        signature = tf.saved_model.load(str(folder)).signatures["serving_uint8"]
        found = signature(images=tf.constant(BYTES))["probabilities"]
        np.testing.assert_allclose(found, form.link(LOGITS), atol=1e-4)


def test_a_run_starts_from_the_logits(form: Form, tmp_path: Path) -> None:
    if "output" in form.reading:
        pytest.skip("a run takes models of one output")
    if form.trained is not None and form.started is None:
        pytest.skip("its trainer refuses it in the first batch, see above")
    model = form.build(tmp_path)
    source = getattr(model, "source", model)
    with right_or_refused(form.started):
        started = fit_to(source, INFO, pixel_range=form.reading.get("pixel_range"))
        atol = 0.1 if source.name == "half" else 1e-4
        np.testing.assert_allclose(started(IMAGES, training=False), LOGITS, atol=atol)


def two_inputs() -> keras.Model:
    first, second = keras.Input(SHAPE, name="photo"), keras.Input((2,), name="age")
    return keras.Model([first, second], layers.Dense(3)(layers.Flatten()(first)) + second[:, :1])


def segments() -> keras.Model:
    pixels = keras.Input(SHAPE)
    return keras.Model(pixels, layers.Conv2D(3, 1)(pixels))


def vectors() -> keras.Model:
    numbers = keras.Input((16,))
    return keras.Model(numbers, layers.Dense(3)(numbers))


REFUSED = {
    "two_inputs": (two_inputs, "has 2 inputs"),
    "two_outputs": (two_outputs, "answers 2 outputs"),
    "segments": (segments, "one row of classes for each image"),
    "vectors": (vectors, "must take images"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("use", ["attack", "train", "export"])
def test_what_is_no_classifier_is_refused_in_one_sentence(
    name: str, use: str, tmp_path: Path
) -> None:
    build, sentence = REFUSED[name]
    with pytest.raises(InputError, match=sentence):
        if use == "attack":
            pgd(build())
        elif use == "export":
            export_model(build(), tmp_path / "it", class_names=INFO.class_names)
        else:
            ATTrainer(build(), attack=PGD(epsilon=EPSILON))
