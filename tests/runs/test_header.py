"""What a long command says before it starts."""

from pathlib import Path

from lsp_keras.datasets import load
from lsp_keras.pretraining import PretrainSettings, usual_epochs
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.header import describe_fit, describe_pretraining, describe_test
from lsp_keras.runs.settings.config import FitConfig


def test_a_run_says_data_device_work_and_folder() -> None:
    dataset = load("digits", num_train=200, validation_size=50)
    config = FitConfig.of(method="at", epochs=7, batch_size=64, width=4)
    lines = describe_fit(config, RunFolder(Path("runs/own")), dataset, 1234).splitlines()
    assert lines[0] == "Data: digits, 10 classes, 16x16x3."
    assert "200 to train on, 50 to validate, 359 to test on" in lines[1]
    assert "Only 50 validation images choose the epoch" in lines[2]
    assert lines[3].startswith("Device: ")
    assert "7 epochs of 3 steps" in lines[4]
    assert "1,234 weights" in lines[4]
    assert lines[5] == "Run: runs/own"


def test_a_pretraining_says_data_device_work_and_folder() -> None:
    dataset = load("digits", num_train=200, validation_size=50)
    settings = PretrainSettings(width=4, epochs=7, batch_size=64)
    lines = describe_pretraining(settings, dataset, Path("encoders/own")).splitlines()
    assert lines[0] == "Data: digits, 10 classes, 16x16x3."
    assert lines[-3].startswith("Device: ")
    assert lines[-2] == "Training: MoCo v2, 7 epochs of 3 steps with resnet18 of width 4."
    assert lines[-1] == "Encoder: encoders/own"
    settings = PretrainSettings(width=4, batch_size=64)
    line = describe_pretraining(settings, dataset, Path("encoders/own")).splitlines()[-2]
    length = f"{usual_epochs(200)} epochs of 3 steps (--epochs; the default for 200 images)"
    assert line == f"Training: MoCo v2, {length} with resnet18 of width 4."


def test_a_measurement_says_how_many_of_the_test_images() -> None:
    info = load("digits", num_train=20, validation_size=5).info
    first, device = describe_test(info, 100, 359).splitlines()
    assert first == "Data: digits, 16x16x3, 100 test images (a fair sample of 359)."
    assert device.startswith("Device: ")
    assert "359 test images (all)" in describe_test(info, 359, 359)
