import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest
from click.testing import CliRunner

from lsp_keras.cli.diagnose import command
from lsp_keras.datasets import load
from lsp_keras.evaluation import model_fingerprint
from lsp_keras.evaluation.diagnosis import trials as _trials
from lsp_keras.validation import InputError

PLOTS = ["calibration", "curves", "features", "margins", "singular-values", "surface"]
SETTINGS = 'dataset = "digits"\nnum_train = 1000\nnum_test = 30\n'
LSP_SETTINGS = 'lsp = true\nfeatures = "pixels"\nnum_neighbors = 2\n'


def diagnose(*arguments):
    return CliRunner().invoke(command, [str(item) for item in arguments], catch_exceptions=False)


def make_run(folder: Path, settings: str, seed: int) -> keras.Model:
    """A run's folder with a small classifier of the digits, trained for a second."""
    data = load("digits", num_train=1000)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(data.info.image_shape),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv"),
            keras.layers.BatchNormalization(momentum=0.8, name="norm"),
            keras.layers.Activation("relu"),
            keras.layers.Flatten(name="features"),
            keras.layers.Dense(10, name="logits"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss)
    model.fit(data.train.images / 255.0, data.train.labels, epochs=5, verbose=0)
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "config.toml").write_text(settings)
    return model


def write_autoattack_record(run: Path, name: str, model: keras.Model, **changes) -> None:
    record: dict[str, Any] = {
        "is_autoattack": True,
        "model_fingerprint": model_fingerprint(model),
        "dataset": {"name": "digits"},
        "threat_model": {"norm": "linf", "epsilon": 2 / 255},
        "flags": [],
        "worst_case_accuracy": {"value": 0.5},
    }
    (run / "evaluations").mkdir(exist_ok=True)
    (run / "evaluations" / f"{name}.json").write_text(json.dumps(record | changes))


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("runs")
    found = SimpleNamespace(lsp=folder / "digits-lsp", plain=folder / "digits-standard")
    make_run(found.lsp, SETTINGS + LSP_SETTINGS, seed=0)
    model = make_run(found.plain, SETTINGS + "lsp = false\n", seed=1)
    write_autoattack_record(found.plain, "1", model, worst_case_accuracy={"value": 0.9})
    # The newest record is of other weights, and says nothing about these.
    write_autoattack_record(found.plain, "2", model, model_fingerprint="other")
    return found


@pytest.fixture(scope="module")
def done(runs):
    """One diagnosis and profile of both runs, which several tests read."""
    with pytest.MonkeyPatch.context() as patch:
        # Fewer points on each curve, since every attack is compiled for every model.
        patch.setattr(_trials, "_EPSILON_FACTORS", (1.0,))
        patch.setattr(_trials, "_STEP_COUNTS", (1, 20))
        patch.setattr(_trials, "_TEMPERATURES", (1.0,))
        patch.setattr(_trials, "_CONSTANTS", (1.0,))
        return diagnose(
            *(runs.lsp, "--against", runs.plain, "--transfer-from", runs.plain, "--profile"),
            *("--num-examples", 20, "--epsilon", "2/255", "--details"),
        )


@pytest.fixture
def record(runs, done) -> dict:
    (path,) = (runs.lsp / "diagnosis").glob("*.json")
    return json.loads(path.read_text())


def test_the_verdict_comes_first_then_both_side_by_side(done) -> None:
    assert done.exit_code == 0, done.output
    first, *_ = done.stdout.splitlines()
    assert first == "digits-lsp: No sign of gradient masking in 13 checks."
    assert "digits-standard: No sign of gradient masking in 14 checks." in done.stdout
    lines = done.stdout.splitlines()
    assert any(line.split() == ["digits-lsp", "digits-standard"] for line in lines), done.stdout
    rows = ("PGD, radius: 2/255", "PGD with 100 x LSP term", "autoattack_far_below")
    for row in (*rows, "test, clean: margin"):
        assert row in done.stdout


def test_the_record_has_signs_curves_and_profile_of_both(record) -> None:
    assert next(iter(record)) == "verdict"
    assert record["num_examples"] == 20
    assert record["dataset"]["name"] == "digits"
    assert record["threat_model"]["epsilon_text"] == "2/255"
    for part, num_checks in ((record, 13), (record["against"], 14)):
        assert part["flags"] == []
        assert len(part["checks"]) == num_checks
        assert part["clean_accuracy"] > 0.7
        layers = [entry["layer"] for entry in part["profile"]["singular_values"]]
        assert layers == ["conv", "logits"]
        assert set(part["profile"]["answers"]) == {
            f"{split}_{kind}" for split in ("train", "test") for kind in ("clean", "adversarial")
        }


def test_an_lsp_run_is_attacked_through_its_term(record) -> None:
    assert record["lsp_neighbors"] == "nearest training images, distances of pixels, as in training"
    weights = [entry["structure_weight"] for entry in record["accuracy_by_structure_weight"]]
    assert weights == [1.0, 10.0, 100.0]
    assert record["against"]["lsp_neighbors"] == "the model was not trained with LSP"
    assert "accuracy_by_structure_weight" not in record["against"]
    assert "adaptive_beats_plain" in record["against"]["skipped"]


def test_autoattacks_record_of_the_same_weights_is_used(record) -> None:
    checks = {check["name"]: check for check in record["against"]["checks"]}
    number = checks["autoattack_far_below"]["number"]
    assert number == pytest.approx(record["against"]["white_box_accuracy"] - 0.9)
    assert "autoattack_flags" in record["skipped"]


def test_every_plot_is_drawn(runs, record) -> None:
    found = sorted((runs.lsp / "diagnosis").glob("*.png"))
    assert [path.stem.split("-", 1)[1] for path in found] == PLOTS
    for path in found:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_files_outside_of_a_run_are_profiled(runs, tmp_path) -> None:
    copied = tmp_path / "copied.keras"
    copied.write_bytes((runs.plain / "model.keras").read_bytes())
    keras.saving.load_model(copied).export(tmp_path / "saved", verbose=False)
    options = ("--profile", "--no-signs", "--dataset", "digits", "--num-examples", 20)
    sent = ("--json", "--output", tmp_path / "out")
    done = diagnose(copied, *options, "--against", tmp_path / "saved", *sent)
    found = json.loads(done.stdout)
    assert "verdict" not in found
    (path,) = (tmp_path / "out").glob("*.json")
    assert json.loads(path.read_text()) == found
    kept = sorted(path.stem.split("-", 1)[1] for path in (tmp_path / "out").glob("*.png"))
    assert kept == [name for name in PLOTS if name not in ("curves", "surface")]
    ours, theirs = found["profile"], found["against"]["profile"]
    assert ours["answers"]["test_clean"] == theirs["answers"]["test_clean"]
    # A SavedModel hides its layers.
    assert [entry["layer"] for entry in ours["feature_changes"]] == ["conv", "logits"]
    assert theirs["feature_changes"] == theirs["singular_values"] == []


def test_what_contradicts_itself_is_refused(runs, tmp_path) -> None:
    with pytest.raises(InputError, match="leaves nothing to do"):
        diagnose(runs.plain, "--no-signs")
    with pytest.raises(InputError, match="--transfer-from is one of the signs"):
        diagnose(runs.plain, "--no-signs", "--profile", "--transfer-from", runs.lsp)
    with pytest.raises(InputError, match="name its --dataset"):
        lone = tmp_path / "lone.keras"
        lone.write_bytes((runs.plain / "model.keras").read_bytes())
        diagnose(lone)


def test_a_run_on_other_images_is_no_rival(runs, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.keras").write_bytes((runs.plain / "model.keras").read_bytes())
    (other / "config.toml").write_text('dataset = "cifar10"\nnum_test = 5000\n')
    with pytest.raises(InputError, match=r"was trained on cifar10, not on digits"):
        diagnose(runs.plain, "--against", other)
