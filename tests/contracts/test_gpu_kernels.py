"""No operation of a training step, an attack or an export lacks a kernel for GPUs.

TensorFlow's wheel for Linux is built with CUDA, so its registry can be asked without a GPU. The
strings that an export answers and the files it decodes stay on the processor in any case.
"""

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from lsp_keras import registry
from lsp_keras.attacks.pgd import PGD
from lsp_keras.export import ExportOptions, export_model
from lsp_keras.inference.traced import TracedModel
from lsp_keras.methods import StepOptions
from lsp_keras.pretraining import MoCoTrainer
from lsp_keras.training import CoupledSGD

SHAPE, CLASSES, IMAGES = (8, 8, 3), 5, 12
ON_GPUS = {"GPU", "DEFAULT"}
# Strings are held and looked up on the processor, whatever the rest runs on.
PROCESSORS = {"StringJoin", "AsString", "ReadFile"}

pytestmark = pytest.mark.skipif(
    not tf.test.is_built_with_cuda(), reason="TensorFlow is built without kernels for GPUs"
)


def lacking(*graphs: tf.Graph) -> set[str]:
    """Names of operations with kernels for processors only."""
    names: set[str] = set()
    for graph in graphs:
        definition = graph.as_graph_def()
        functions = (function.node_def for function in definition.library.function)
        names |= {node.op for nodes in (definition.node, *functions) for node in nodes}
    return {name for name in names - PROCESSORS if not runs_on_gpus(name)}


def runs_on_gpus(name: str) -> bool:
    """Whether an operation has a kernel for GPUs; a call of a function needs none."""
    devices = {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(name).kernel}
    return not devices or bool(devices & ON_GPUS)


def build_classifier() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(4, 3, 2, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.GlobalAveragePooling2D(name="features"),
            keras.layers.Dense(CLASSES, name="logits"),
        ]
    )


def specs() -> dict[str, tf.TensorSpec]:
    """Of a batch with all that a method or regularizer may read."""
    return {
        "images": tf.TensorSpec((IMAGES, *SHAPE), tf.float32),
        "labels": tf.TensorSpec((IMAGES,), tf.int64),
        "indices": tf.TensorSpec((IMAGES,), tf.int64),
        "neighbor_images": tf.TensorSpec((IMAGES, 2, *SHAPE), tf.float32),
        "neighbor_distances": tf.TensorSpec((IMAGES, 2), tf.float32),
        "features": tf.TensorSpec((IMAGES, 7), tf.float32),
    }


def step_graph(name: str) -> tf.Graph:
    """The step of a method with every regularizer and every option of the step."""
    kind = registry.get("method", name)
    available = {
        "classifier": build_classifier(),
        "attack": PGD(epsilon=0.03, num_steps=1),
        "helper": build_classifier(),
        "num_images": IMAGES,
    }
    required = {item: available[item] for item in registry.required("method", name)}
    regularizers = [registry.get("regularizer", item)() for item in registry.names("regularizer")]
    trainer = kind(**required, regularizers=regularizers)
    smoothing = 0.1 if kind.smooths_labels else 0.0
    trainer.configure(StepOptions(label_smoothing=smoothing, awp_gamma=0.01, ema_decay=0.9))
    trainer.compile(CoupledSGD(0.1, global_clipnorm=1.0), metrics=["accuracy"])
    trainer._create_variables()
    return tf.function(trainer.train_step).get_concrete_function(specs()).graph


def test_an_operation_for_processors_alone_is_found() -> None:
    split = tf.function(lambda texts: tf.strings.split(texts).values)
    # It lies in the library of functions, as the branches of a condition do.
    outer = tf.function(lambda texts: tf.concat([split(texts), split(texts)], axis=0))
    graph = outer.get_concrete_function(tf.TensorSpec([2], tf.string)).graph
    assert "StringSplitV2" in lacking(graph)
    doubled = tf.function(lambda numbers: tf.sort(numbers) * 2.0)
    assert lacking(doubled.get_concrete_function(tf.TensorSpec([3], tf.float32)).graph) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("method"))
def test_a_step_has_kernels_for_gpus(name: str) -> None:
    assert lacking(step_graph(name)) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("attack"))
def test_an_attack_has_kernels_for_gpus(name: str) -> None:
    kind = registry.get("attack", name)
    norm = kind.supported_norms[0]
    attack, model = kind(epsilon=0.05, norm=norm), TracedModel(build_classifier(), SHAPE)

    @tf.function(autograph=False)
    def perturb(images, labels, indices, seed):
        return attack.perturb(model.attacked, images, labels, seed=seed, indices=indices)

    rows = tf.TensorSpec([None], tf.int64)
    images = tf.TensorSpec([None, *SHAPE], tf.float32)
    function = perturb.get_concrete_function(images, rows, rows, tf.TensorSpec([], tf.int64))
    assert lacking(function.graph) == set()


@pytest.mark.slow
@pytest.mark.parametrize("xla", [False, True])
def test_an_export_has_kernels_for_gpus(xla: bool, tmp_path) -> None:
    folder = export_model(
        build_classifier(),
        tmp_path / "m",
        class_names=list("abcde"),
        options=ExportOptions(xla=xla),
    )
    loaded = tf.saved_model.load(str(folder))
    for name in ("serving_default", "serving_uint8"):
        assert lacking(loaded.signatures[name].graph) == set()


@pytest.mark.slow
def test_moco_has_kernels_for_gpus() -> None:
    trainer = MoCoTrainer(build_classifier(), dimensions=4, queue_size=24, batch_norm_splits=2)
    trainer.compile(CoupledSGD(0.1))
    trainer.optimizer.build(trainer.query_network.trainable_variables)
    views = dict.fromkeys(("first", "second"), tf.TensorSpec((IMAGES, *SHAPE), tf.float32))
    assert lacking(tf.function(trainer.train_step).get_concrete_function(views).graph) == set()
