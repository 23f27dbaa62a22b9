"""`lsp-keras report` on any model: what it runs, what it finds again, and what its page says."""

import html
import json
import re
import shutil
from pathlib import Path

import keras
import pytest
from click.testing import CliRunner

from lsp_keras.cli.attack import command as attack
from lsp_keras.cli.report import command
from lsp_keras.evaluation import SUITES
from lsp_keras.export import export_model
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.server import running
from lsp_keras.validation import InputError

FEW = ("--num-examples", 40, "--epsilon", "16/255", "--batch-size", 40)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run's folder with a small dense classifier of the digits and a history of two epochs."""
    from lsp_keras.datasets import load

    digits = load("digits", num_train=600)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10, name="logits")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, jit_compile=False)
    model.fit(digits.train.images / 255.0, digits.train.labels, epochs=10, verbose=0)
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "config.toml").write_text(
        'dataset = "digits"\nnum_train = 600\nvalidation_epsilon = "8/255"\n'
        'lsp = true\nfeatures = "pixels"\nnum_neighbors = 3\nselect_by = "clean"\n'
    )
    (folder / "history.csv").write_text(
        "epoch,loss,lsp,val_accuracy,val_robust_accuracy\n1,2.0,0.1,0.5,0.2\n2,1.0,0.1,0.8,0.4\n"
    )
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def report(*arguments) -> str:
    """The page that the command writes."""
    page = Path("page.html")
    texts = [str(argument) for argument in arguments]
    done = CliRunner().invoke(command, [*texts, "--to", str(page)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return page.read_text(encoding="utf-8")


def visible(page: str) -> str:
    """The text of the page, without its marks."""
    body = page.partition("<body>")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_page_of_a_run_with_a_budget_for_the_quick_suite_alone(run) -> None:
    page = report(run, *FEW, "--budget", "1s", "--evidence")
    text = visible(page)
    (folder,) = (run / "evaluations").glob("report-*")
    record = json.loads((folder / "record.json").read_text())
    assert record["num_examples"] == 40
    assert record["statement"] in text
    assert "not AutoAttack" in text
    assert "by at most 16 of 255 steps of brightness" in text
    assert "AutoAttack (the budget was too small; --budget" in text
    for heading in ("Accuracy by attack", "Accuracy by class", "Training", "Neighbors", "Evidence"):
        assert heading in text
    assert record["model_fingerprint"] in text
    assert f"--num-examples 40 --seed {record['seed']}" in text
    assert "Article 15 of Regulation (EU) 2024/1689" in text
    # One file: nothing is loaded from elsewhere.
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "@import" not in page
    assert "url(" not in page


def test_what_was_measured_is_not_measured_again(run) -> None:
    first = report(run, *FEW, "--budget", "1s")
    (folder,) = (run / "evaluations").glob("report-*")
    path = folder / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"statement": "Found where it was kept."}))
    stamps = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    page = report(run, *FEW, "--budget", "1s")
    assert "Found where it was kept." in page
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == stamps
    path.write_text(json.dumps(record))
    # What it says does not depend on when it was made.
    made = re.compile(r"Made [^<]+UTC")
    assert made.sub("", report(run, *FEW, "--budget", "1s")) == made.sub("", first)


def test_a_record_of_autoattack_makes_the_headline(run) -> None:
    # So large a radius breaks everything at once.
    options = ("--suite", "autoattack", "--num-examples", "3", "--epsilon", "64/255", "--json")
    done = CliRunner().invoke(attack, [str(run), *options], catch_exceptions=False)
    record = json.loads(done.stdout)
    text = visible(report(run, *FEW, "--epsilon", "64/255", "--budget", "1s"))
    assert record["statement"] in text
    assert "after AutoAttack" in text
    # The quick suite is shown too.
    assert text.count("fgsm") > record["statement"].count("fgsm")


def test_models_outside_of_runs_and_several_on_a_page(run, tmp_path) -> None:
    lone = shutil.copy(run / "model.keras", tmp_path / "lone.keras")
    page = report(lone, run, *FEW, "--budget", "1s", "--dataset", "digits")
    text = visible(page)
    assert text.startswith("Robustness of lone.keras, tiny")
    assert page.count('class="headline') == 2
    (folder,) = Path("evaluations").glob("lone-*")
    assert list(folder.glob("report-*/record.json"))
    with pytest.raises(InputError, match="name its --dataset"):
        report(lone, *FEW)


@pytest.mark.slow
def test_the_zoo_is_reported_on_without_writing_into_the_package(tmp_path) -> None:
    # The package's record is of CIFAR-10; of other images nothing is known.
    options = ("--num-examples", 10, "--dataset", "digits", "--budget", "1s")
    text = visible(report("zoo:cifar10_standard", *options))
    assert text.startswith("Robustness of cifar10_standard")
    assert "1,000 test images" not in text
    assert "lsp-keras fit --method standard" in text or "lsp-keras fit" in text
    assert list(Path("evaluations").glob("zoo-cifar10_standard-*/report-*/record.json"))


def test_a_served_model_is_reported_on_by_its_answers(run, tmp_path, monkeypatch) -> None:
    # SPSA asks for far more answers than a test has time for.
    monkeypatch.setitem(SUITES, "black-box", ("noise", "square"))
    model = keras.saving.load_model(run / "model.keras")
    export_model(model, tmp_path / "digits", class_names=[str(digit) for digit in range(10)])
    with running([ModelConfig("digits", tmp_path / "digits")]) as server:
        url = f"http://localhost:{server.rest_port}/v1/models/digits"
        options = ("--num-examples", 4, "--dataset", "digits", "--epsilon", "96/255")
        text = visible(report(url, *options))
    assert "may only ask the model" in text
    assert "a served model shows no gradients" in text
    assert f"lsp-keras attack --url {url} --attacks noise,square " in text


def test_wrong_budgets_and_norms_are_refused(run) -> None:
    with pytest.raises(InputError, match="must be a duration"):
        report(run, "--budget", "soon")
    with pytest.raises(InputError, match="did you mean 8/255"):
        report(run, "--epsilon", "8")


@pytest.mark.slow
def test_a_large_budget_measures_everything(run) -> None:
    page = report(run, *FEW, "--budget", "2h")
    text = visible(page)
    assert "Is the robustness real?" in text
    assert "How sure the model is of itself" in text
    assert "Accuracy under PGD by radius" in page
    assert "the budget was too small" not in text
    (diagnosed, profiled) = sorted((run / "diagnosis").glob("*.json"))
    assert json.loads(diagnosed.read_text())["verdict"] in text
    assert profiled.name.endswith("-profile.json")


@pytest.mark.parametrize("scheme", ["http", "https", "grpc", "grpcs"])
def test_addresses_of_every_scheme_are_of_servers(scheme) -> None:
    with pytest.raises(InputError, match="name its --dataset"):
        report(f"{scheme}://localhost:1/v1/models/tiny")
