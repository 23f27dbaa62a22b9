from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.methods import RobustTrainer, StandardTrainer
from lsp_keras.methods._options import StepOptions
from lsp_keras.regularizers import Anchor
from lsp_keras.training import CoupledSGD
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Batches = Callable[[int], tf.data.Dataset]
ALL = StepOptions(label_smoothing=0.1, awp_gamma=0.02, awp_warmup_steps=2, ema_decay=0.9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, r"`label_smoothing` must be in \[0, 1\)\. Received: .*=1\."),
        ({"label_smoothing": float("nan")}, "`label_smoothing` must be"),
        ({"awp_gamma": -0.1}, "`awp_gamma` must be zero or more"),
        ({"awp_warmup_steps": -1}, "`awp_warmup_steps` must be zero or more"),
        ({"ema_decay": 1.0}, r"`ema_decay` must be in \(0, 1\)\. Received: ema_decay=1\. Leave"),
        ({"ema_decay": 0.0}, "`ema_decay` must be in"),
    ],
)
def test_wrong_values_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StepOptions(**options)


def test_smoothed_loss_is_trained_and_logged(
    build_classifier: Build, toy: dict[str, np.ndarray]
) -> None:
    trainer = StandardTrainer(build_classifier())
    trainer.configure(StepOptions(label_smoothing=0.3))
    trainer.compile(keras.optimizers.SGD(0.0))
    logits = build_classifier()(toy["images"], training=True)
    target = 0.7 * np.eye(3)[toy["labels"]] + 0.1
    expected = np.mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
    data = tf.data.Dataset.from_tensors(toy)
    logs = trainer.fit(data, verbose=0, shuffle=False).history
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)
    # Evaluation has no smoothing: figures of different runs can be compared.
    logits = trainer.classifier(toy["images"], training=False)
    plain = np.mean(tf.nn.sparse_softmax_cross_entropy_with_logits(toy["labels"], logits))
    assert trainer.evaluate(data, verbose=0, return_dict=True)["loss"] == pytest.approx(plain)


def test_method_without_labels_to_smooth_says_so(build_classifier: Build) -> None:
    class Own(RobustTrainer):
        def compute_terms(self, batch: Any, perturbed: Any) -> Any:
            logits = self.classifier(batch["images"], training=True)
            return {"cross_entropy": tf.reduce_sum(logits, axis=1)}, Anchor(batch["images"], logits)

    trainer = Own(build_classifier())
    with pytest.raises(InputError, match=r"Own has no label smoothing.*label_smoothing=0.1"):
        trainer.configure(StepOptions(label_smoothing=0.1))
    trainer.configure(StepOptions(awp_gamma=0.1))


def test_options_are_set_before_compile(build_classifier: Build) -> None:
    trainer = StandardTrainer(build_classifier())
    trainer.compile("sgd")
    with pytest.raises(InputError, match="Call `configure` before `compile`"):
        trainer.configure(ALL)


def test_saved_trainer_keeps_options_and_average(
    build_classifier: Build, make_batches: Batches, tmp_path: Path
) -> None:
    trainer = StandardTrainer(build_classifier())
    trainer.configure(ALL)
    trainer.compile(CoupledSGD(0.1))
    trainer.fit(make_batches(0), verbose=0, shuffle=False)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras", safe_mode=True)
    assert loaded.options == ALL
    for item in (trainer, loaded):
        item.fit(make_batches(1), verbose=0, shuffle=False)
    weights = [item.get_weights() for item in (trainer, loaded)]
    assert len(weights[0]) == 2 * len(trainer.classifier.weights)
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_config_of_an_older_file_has_no_options(build_classifier: Build) -> None:
    config = StandardTrainer(build_classifier()).get_config()
    del config["options"]
    assert StandardTrainer.from_config(config).options == StepOptions()
