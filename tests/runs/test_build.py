"""Settings reach the objects that they are named after."""

from pathlib import Path

import keras
import pytest
from PIL import Image

from lsp_keras.datasets import load
from lsp_keras.methods import RobustTrainer
from lsp_keras.regularizers import ADR, LFR, LSP
from lsp_keras.runs.build import build_augmentation, build_classifier, build_trainer, load_dataset
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.settings.resolve import resolve
from lsp_keras.validation import InputError

STEPS = 7


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.GlobalAveragePooling2D(name="features"),
            keras.layers.Dense(10, name="logits"),
        ]
    )


def build(classifier: keras.Model, **settings: object) -> RobustTrainer:
    config = resolve(FitConfig.of(**{"lsp": False, **settings}))
    return build_trainer(config, classifier, steps_per_epoch=STEPS, num_images=9)


def test_a_cycle_of_the_momentum_spans_the_run(classifier: keras.Model) -> None:
    optimizer = build(classifier, cycle_momentum=True, epochs=8).optimizer
    values = [float(optimizer.momentum(step)) for step in (0, 13, 8 * STEPS - 1)]
    assert values == pytest.approx([0.95, 0.85, 0.95], abs=1e-4)
    assert build(classifier, momentum=0.8).optimizer.momentum == 0.8
    with pytest.raises(InputError, match="`cycle_momentum` follows the schedule one_cycle"):
        build(classifier, cycle_momentum=True, schedule="step")


@pytest.mark.parametrize(
    ("method", "objective", "start"),
    [
        ("at", "cross_entropy", "uniform"),
        ("trades", "kl", "gaussian"),
        ("mart", "cross_entropy", "gaussian"),
    ],
)
def test_each_method_gets_its_own_attack(
    method: str, objective: str, start: str, classifier: keras.Model
) -> None:
    attack = build(classifier, method=method, epsilon="4/255", attack_steps=3).attack
    assert (attack.objective, attack.start, attack.num_steps) == (objective, start, 3)
    assert (attack.epsilon, attack.step_size) == (4 / 255, 1 / 255)


def test_options_of_the_step_are_counted_in_steps(classifier: keras.Model) -> None:
    trainer = build(
        classifier, label_smoothing=0.1, awp=0.01, awp_warmup=2, ema_decay=0.9, clip_norm=3.0
    )
    assert trainer.options.label_smoothing == 0.1
    assert (trainer.options.awp_gamma, trainer.options.awp_warmup_steps) == (0.01, 2 * STEPS)
    assert trainer.options.ema_decay == 0.9
    assert trainer.optimizer.global_clipnorm == 3.0


def test_regularizers_are_made_of_their_settings(classifier: keras.Model) -> None:
    lsp, lfr, adr = build(
        classifier,
        lsp=True,
        lsp_weight=0.5,
        lfr=True,
        lfr_weight=0.2,
        lfr_warmup=3,
        adr=True,
        adr_weight=2.0,
        adr_counterpart_share=0.5,
        epsilon="4/255",
        attack_steps=5,
    ).regularizers
    assert isinstance(lsp, LSP)
    assert lsp.weight == 0.5
    assert isinstance(lfr, LFR)
    assert (lfr.weight, lfr.warmup_steps, lfr.num_steps) == (0.2, 3 * STEPS, 5)
    assert lfr.form == "finite_difference"
    assert isinstance(adr, ADR)
    assert (adr.weight, adr.counterpart_share, adr.epsilon) == (2.0, 0.5, 4 / 255)


def test_the_schedule_spans_the_run(classifier: keras.Model) -> None:
    rate = build(classifier, schedule="cyclic", learning_rate=0.4, epochs=10).optimizer
    # The peak is reached at half of the run's 70 steps.
    assert float(rate._learning_rate(35)) == pytest.approx(0.4)
    assert float(rate._learning_rate(0)) == pytest.approx(0.0, abs=0.02)


def test_activation_and_augmentation_are_choices() -> None:
    info = load("digits", num_train=16).info
    smooth = build_classifier(FitConfig.of(width=1, activation="silu"), info)
    assert smooth.get_layer("stem_activation").activation is keras.activations.silu
    assert build_augmentation(FitConfig.of(augmentation="none"), info) is None
    assert (
        type(build_augmentation(FitConfig.of(augmentation="crop_flip"), info)).__name__
        == "CropFlip"
    )
    assert type(build_augmentation(FitConfig.of(), info)).__name__ == "Crop"
    with pytest.raises(InputError, match=r"such as relu, silu.*Received: 'rleu'"):
        build_classifier(FitConfig.of(activation="rleu"), info)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "trades", "gamma": 1.0}, "Methods that have it: hat"),
        ({"method": "at", "helper": "a"}, "`helper` is no setting of the method at"),
        ({"method": "at", "helper_epochs": 3}, "Received: helper_epochs=3"),
        ({"method": "mart", "label_smoothing": 0.1}, "MARTTrainer has no label smoothing"),
    ],
)
def test_contradictions_are_refused(
    settings: dict[str, object], message: str, classifier: keras.Model
) -> None:
    with pytest.raises(InputError, match=message):
        build(classifier, **settings)


def test_a_run_without_validation_images_is_refused_at_once(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(5):
            Image.new("RGB", (16, 16)).save(tmp_path / name / f"{index}.png")
    config = FitConfig.of(dataset=f"folder:{tmp_path}")
    with pytest.raises(InputError, match="none beside 8 training images"):
        load_dataset(config, tmp_path)
    assert len(load_dataset(config.changed(validation_size=2), tmp_path).validation) == 2
