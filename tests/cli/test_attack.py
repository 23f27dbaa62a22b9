import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lsp_keras import evaluation
from lsp_keras.cli._attack_plan import ONE_BALL, STATED, make_plan
from lsp_keras.cli.attack import command
from lsp_keras.export import export_model
from lsp_keras.runs.settings.protocol import protocols
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.server import running
from lsp_keras.validation import InputError

QUERIES = ("--num-queries", 200, "--json")
# For the model outside of the run, whose settings limit the test images.
OUTSIDE = ("--dataset", "digits", "--num-examples", 10, "--epsilon", "16/255", *QUERIES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with a small classifier of the digits."""
    from lsp_keras.datasets import load

    digits = load("digits", num_train=600, num_test=60)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, jit_compile=False)
    images = digits.train.images.astype(np.float32) / 255.0
    model.fit(images, digits.train.labels, epochs=10, verbose=0)
    folder = tmp_path_factory.mktemp("run")
    model.save(folder / "model.keras")
    (folder / "config.toml").write_text('dataset = "digits"\nnum_test = 60\nseed = 0\n')
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory, monkeypatch) -> None:
    """Records of models that lie in no run go to the working folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


def attack(*arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_run_is_attacked_and_its_record_kept(run_cli, run) -> None:
    options = ("--attacks", "fgsm,pgd", "--epsilon", "8/255", "--num-steps", 5, "--batch-size", 25)
    done = run_cli("attack", run, *options)
    assert done.returncode == 0, done.stderr
    assert "not from AutoAttack" in " ".join(done.stdout.split())
    assert "worst case" in done.stdout
    (path,) = (run / "evaluations").glob("*-fgsm-pgd.json")
    assert str(path) in done.stderr.replace("\n", "")
    record = json.loads(path.read_text())
    path.unlink()
    assert record["threat_model"]["epsilon_text"] == "8/255"
    assert record["dataset"]["name"] == "digits"
    assert record["num_examples"] == 60
    assert record["attacks"]["pgd"]["config"]["num_steps"] == 5
    clean, worst = (record[f"{name}_accuracy"]["value"] for name in ("clean", "worst_case"))
    assert clean > 0.7
    assert worst < clean


def test_json_goes_to_stdout_alone_and_the_seed_decides_it(run) -> None:
    options = (run, "--attacks", "pgd", "--num-examples", 20, "--num-restarts", 2, "--json")
    records = [json.loads(attack(*options, "--seed", seed).stdout) for seed in (0, 0)]
    for record in records:
        record.pop("seconds")
        record["attacks"]["pgd"].pop("seconds")
    assert records[0] == records[1]
    assert records[0]["num_examples"] == 20
    assert records[0]["attacks"]["pgd"]["config"]["num_restarts"] == 2


def test_a_suite_names_its_record_and_reports_the_parts_of_autoattack(run) -> None:
    options = ("--suite", "autoattack", "--epsilon", "64/255", "--num-examples", 3, "--json")
    record = json.loads(attack(run, *options).stdout)
    (path,) = (run / "evaluations").glob("*-autoattack.json")
    path.unlink()
    assert record["is_autoattack"]
    assert record["statement"].endswith("It is from AutoAttack, standard version.")
    # So large a radius breaks everything at once.
    assert record["attacks"]["autoattack/apgd-ce"]["accuracy"]["count"] == 0
    assert record["worst_case_accuracy"]["count"] == 0


def test_l2_has_its_own_default_radius(run) -> None:
    done = attack(run, "--norm", "l2", "--attacks", "bim", "--num-examples", 5, "--json")
    assert json.loads(done.stdout)["threat_model"]["epsilon_text"] == "128/255"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--attacks", "cw_linf", "--norm", "l2"], "cw_linf knows 'linf' only"),
        (["--suite", "paper", "--norm", "l2"], "states its attacks.* Leave out norm, or"),
        (["--suite", "lsp-standard", "--cascade", "--steps", "3"], "Leave out num_steps, cascade"),
        (["--suite", "paper"], "Choose --suite lsp-adversarial or --suite lsp-standard"),
        (["--epsilon", "8"], "did you mean 8/255"),
        (["--attacks", "pgdd"], "Did you mean 'pgd'"),
        (["--attacks", "pgd,pgd"], "must be named once"),
        (["--attacks", "fgsm", "--num-steps", "3"], "None of the attacks fgsm has a `num_steps`"),
        (["--num-examples", "1000"], "more than the 60 test images"),
        (["--weights", "last"], "without last.keras"),
        (["--suite", "quick", "--attacks", "pgd"], "not both"),
        (["--url", "http://localhost:1/v1/models/m"], "and not both"),
        (["--dataset", "digit"], "Did you mean 'digits'"),
    ],
)
def test_wrong_options_say_what_is_wrong(run, options, message) -> None:
    with pytest.raises(InputError, match=message):
        attack(run, *options)


def test_a_model_outside_of_a_run_needs_a_dataset_and_keeps_a_record(
    run, tmp_path, monkeypatch
) -> None:
    file = tmp_path / "copy.keras"
    file.write_bytes((run / "model.keras").read_bytes())
    with pytest.raises(InputError, match="name its --dataset"):
        attack(file)
    monkeypatch.chdir(tmp_path)
    options = ("--dataset", "digits", "--num-examples", 5, "--attacks", "fgsm", "--json")
    record = json.loads(attack(file, *options).stdout)
    assert record["num_examples"] == 5
    (folder,) = (tmp_path / "evaluations").iterdir()
    assert folder.name == f"copy-{record['model_fingerprint'][:8]}"
    (kept,) = folder.glob("*.json")
    assert json.loads(kept.read_text()) == record
    attack(file, *options, "--output", "mine")
    assert [path.suffix for path in (tmp_path / "mine").glob("[!.]*")] == [".json"]


def test_wrong_input_exits_with_2_and_one_line(run_cli, run) -> None:
    done = run_cli("attack", run, "--epsilon", "8")
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0


def test_suites_are_those_of_the_library() -> None:
    assert set(ONE_BALL) == set(evaluation.SUITES)
    assert set(STATED) - {"paper"} == {name.replace("_", "-") for name in protocols()}


def plan_of(model, suite: str):
    options: dict[str, Any] = {
        "epsilon": None,
        "norm": None,
        "cascade": False,
        "settings": {},
        "by_attack": {},
    }
    return make_plan(model, suite, None, **options)


def test_the_papers_suite_is_what_the_runs_recipe_states(tmp_path) -> None:
    (tmp_path / "config.toml").write_text('evaluation = "lsp_adversarial"\n')
    for model in (tmp_path, tmp_path / "last.keras"):
        plan = plan_of(model, "paper")
        assert plan.label == "paper"
        assert list(plan.attacks) == ["fgsm", "cw", "pgd", "aa", "aa_torchattacks"]
        assert {threat.epsilon_text for threat in plan.groups} == {"8/255"}
    named = plan_of(None, "lsp-adversarial")
    assert {name: repr(attack) for name, attack in named.attacks.items()} == {
        name: repr(attack) for name, attack in plan.attacks.items()
    }


def test_a_stated_evaluation_runs_in_each_of_its_balls(run, tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.toml").write_text(
        '[fgsm]\nattack = "fgsm"\nepsilon = "2/255"\n'
        '[wide]\nattack = "pgd"\nnorm = "l2"\nepsilon = "0.5"\nnum_steps = 3\n'
    )
    monkeypatch.setattr("lsp_keras.runs.settings.protocol._FOLDER", tmp_path)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config + 'evaluation = "mine"\n')
    try:
        records = json.loads(attack(run, "--suite", "paper", "--num-examples", 20, "--json").stdout)
    finally:
        (run / "config.toml").write_text(config)
    balls = [(item["threat_model"]["norm"], item["threat_model"]["epsilon"]) for item in records]
    assert balls == [("linf", 2 / 255), ("l2", 0.5)]
    assert [list(item["attacks"]) for item in records] == [["fgsm"], ["wide"]]
    assert records[1]["attacks"]["wide"]["config"]["num_steps"] == 3
    kept = sorted((run / "evaluations").glob("*-paper.json"))
    assert [json.loads(path.read_text())["statement"] for path in kept] == [
        item["statement"] for item in records
    ]
    for path in kept:
        path.unlink()


@pytest.mark.slow
def test_two_attacks_at_once_end_with_the_same_record(run, tmp_path) -> None:
    options = ("--attacks", "apgd", "--epsilon", "8/255", "--batch-size", "4", "--json")
    kept = ("--save-examples", str(tmp_path / "kept"))
    command_line = [sys.executable, "-m", "lsp_keras", "attack", str(run), *options]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # One that keeps images attacks all of them itself; the other may take over its findings.
    processes = [subprocess.Popen([*command_line, *more], **pipes) for more in (kept, ())]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    first, second = (json.loads(output) for output, _ in outputs)
    assert first["verdicts"] == second["verdicts"]
    paths = list((run / "evaluations").glob("*-apgd.json"))
    assert len(paths) == 2
    for path in paths:
        path.unlink()
    assert not any((run / "evaluations" / ".unfinished").iterdir())
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["apgd.npz", "apgd.png"]
    with np.load(tmp_path / "kept" / "apgd.npz") as arrays:
        count = int(arrays["success"].sum())
    (attacked,) = first["attacks"].values()
    assert count == first["clean_accuracy"]["count"] - attacked["accuracy"]["count"]


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    base = tmp_path_factory.mktemp("models") / "digits"
    model = keras.saving.load_model(run / "model.keras")
    export_model(model, base, class_names=[str(digit) for digit in range(10)])
    return base


@pytest.fixture(scope="module")
def expected(exported, tmp_path_factory):
    """What an evaluation of the exported model finds."""
    options = ("--attacks", "pgd,noise,square", *OUTSIDE, "--output", tmp_path_factory.mktemp("it"))
    return json.loads(attack(exported, *options).stdout)


@pytest.mark.slow
def test_a_saved_model_is_attacked_like_the_model_it_was_made_of(run, expected, tmp_path) -> None:
    file = shutil.copy(run / "model.keras", tmp_path / "copy.keras")
    found = json.loads(attack(file, "--attacks", "pgd,square", *OUTSIDE).stdout)
    for name, item in found["attacks"].items():
        assert item["accuracy"]["count"] == expected["attacks"][name]["accuracy"]["count"]
    assert found["model"]["num_parameters"] == expected["model"]["num_parameters"]


@pytest.fixture(scope="module")
def server(exported):
    with running([ModelConfig("digits", exported)]) as server:
        yield server


@pytest.mark.parametrize("api", ["rest", "grpc"])
def test_a_served_model_is_attacked_by_its_answers(expected, server, api) -> None:
    port = getattr(server, f"{api}_port")
    scheme = "http" if api == "rest" else "grpc"
    url = f"{scheme}://localhost:{port}/v1/models/digits"
    found = json.loads(attack("--url", url, "--attacks", "noise,square", *OUTSIDE).stdout)
    assert set(found["attacks"]) == {"noise", "square"}
    for name, item in found["attacks"].items():
        assert item["accuracy"] == expected["attacks"][name]["accuracy"]
    assert found["worst_case_accuracy"]["count"] < found["clean_accuracy"]["count"]
    assert found["flags"] == []
    folder = Path("evaluations") / f"localhost-{port}-digits-{found['model_fingerprint'][:8]}"
    (kept,) = folder.glob("*.json")
    assert json.loads(kept.read_text()) == found


def test_a_served_model_shows_no_gradients(server) -> None:
    url = f"http://localhost:{server.rest_port}/v1/models/digits"
    with pytest.raises(InputError, match="no gradients, which fgsm, pgd need"):
        attack("--url", url, "--dataset", "digits", "--suite", "quick")
    with pytest.raises(InputError, match="name its --dataset"):
        attack("--url", url)


def test_a_server_that_does_not_answer_is_said() -> None:
    done = attack("--url", "http://localhost:9/v1/models/digits", "--dataset", "digits")
    assert done.exit_code == 1
    assert "does not answer" in done.stderr


def test_attacked_images_are_saved_with_a_picture(run, tmp_path) -> None:
    options = ("--attacks", "noise,fgsm", "--cascade", "--num-examples", 20, "--epsilon", "32/255")
    done = attack(run, *options, "--save-examples", tmp_path)
    assert done.exit_code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        f"cascade+{name}" for name in ("fgsm.npz", "fgsm.png", "noise.npz", "noise.png")
    ]
    with np.load(tmp_path / "cascade+fgsm.npz") as kept:
        rows = min(8, len(kept["success"]))
        first = np.argsort(~kept["success"], kind="stable")[0]
        clean = kept["clean"][first]
    with Image.open(tmp_path / "cascade+fgsm.png") as sheet:
        assert sheet.height > rows * 96
        # The first cell is the clean image, each pixel a square of 6.
        cell = np.asarray(sheet)[26 + 3 : 26 + 96 : 6, 8 + 3 : 8 + 96 : 6]
    np.testing.assert_array_equal(cell, np.rint(255 * clean))


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_to_the_same_record(run_cli, run) -> None:
    options = [
        *("attack", str(run), "--attacks", "apgd", "--epsilon", "8/255", "--json"),
        # A piece of work is eight batches: three pieces, each of which takes a while.
        *("--num-steps", "400", "--batch-size", "1", "--num-examples", "24"),
    ]
    journal = run / "evaluations" / ".unfinished"
    process = subprocess.Popen(
        [sys.executable, "-m", "lsp_keras", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and not any(journal.rglob("apgd-*.json")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in journal.rglob("*.json")}
    assert kept
    seen = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            for path in kept:
                with contextlib.suppress(FileNotFoundError):
                    seen[path] = path.stat().st_mtime_ns

    watcher = threading.Thread(target=watch)
    watcher.start()
    resumed = run_cli(*options)
    ended.set()
    watcher.join()
    # What was found before the kill was read, not found again.
    assert seen == kept
    assert not any(journal.iterdir())
    records = [json.loads(done.stdout) for done in (resumed, run_cli(*options))]
    for record in records:
        record.pop("seconds")
        for attacked in record["attacks"].values():
            attacked.pop("seconds")
    assert records[0] == records[1]


def _numbers(record):
    """A record without times and without what the shards found of the model's reading."""
    record = {key: value for key, value in record.items() if key not in ("seconds", "hardware")}
    record["attacks"] = {
        name: {key: value for key, value in item.items() if key != "seconds"}
        for name, item in record["attacks"].items()
    }
    record["classifier"] = {k: v for k, v in record["classifier"].items() if k != "findings"}
    return record


SHARED = ("--attacks", "fgsm,noise", "--num-examples", 50, "--json")


def test_shards_are_merged_to_the_record_of_the_whole(run, monkeypatch) -> None:
    whole = json.loads(attack(run, *SHARED).stdout)
    for path in (run / "evaluations").glob("*-fgsm-noise.json"):
        path.unlink()
    attack(run, *SHARED, "--shard", "0/3")
    with pytest.raises(InputError, match=r"missing: 1, 2\. They lie in .*shards"):
        attack(run, "--merge")
    attack(run, *SHARED, "--shard", "2/3")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    attack(run, *SHARED, "--shard", "3")
    merged = json.loads(attack(run, "--merge", "--json").stdout)
    assert _numbers(merged) == _numbers(whole)
    (path,) = (run / "evaluations").glob("*-fgsm-noise.json")
    assert json.loads(path.read_text()) == merged
    path.unlink()
    with pytest.raises(InputError, match="There are no shards"):
        attack(run, "--merge")


def test_shards_of_a_model_outside_of_a_run_are_merged_by_name_and_from_files(
    run, tmp_path
) -> None:
    shutil.copy(run / "model.keras", tmp_path / "stranger.keras")
    options = (tmp_path / "stranger.keras", "--dataset", "digits", *SHARED)
    for index in range(2):
        done = attack(*options, "--shard", f"{index}/2")
        folder = tmp_path / "found"
        folder.mkdir(exist_ok=True)
        (folder / f"{index}.json").write_text(done.stdout)
    whole = json.loads(attack(*options).stdout)
    merged = json.loads(attack(folder, "--merge", "--json").stdout)
    assert _numbers(merged) == _numbers(whole)
    by_name = attack(tmp_path / "stranger.keras", "--merge", "--json")
    assert _numbers(json.loads(by_name.stdout)) == _numbers(whole)
    (records,) = Path("evaluations").glob("stranger-*")
    assert f"Record: {records}" in by_name.stderr
    assert list((records / "shards").iterdir()) == []


def test_shards_of_a_served_model_belong_together(server, tmp_path) -> None:
    url = f"http://localhost:{server.rest_port}/v1/models/digits"
    options = ("--url", url, "--attacks", "noise", "--dataset", "digits", "--num-examples", 9)
    whole = json.loads(attack(*options, "--json", "--output", tmp_path / "whole").stdout)
    for index in range(2):
        done = attack(*options, "--shard", f"{index}/2", "--output", tmp_path / "shared")
        assert f"attack {tmp_path / 'shared'} --merge" in done.stderr
    merged = json.loads(attack(tmp_path / "shared", "--merge", "--json").stdout)
    assert _numbers(merged) == _numbers(whole)
    assert len(list((tmp_path / "shared").glob("*.json"))) == 1


def test_a_record_is_kept_whoever_closes_the_output(run, monkeypatch) -> None:
    def closed(report) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("lsp_keras.cli._report_table.print_report", closed)
    with pytest.raises(BrokenPipeError):
        attack(run, "--attacks", "noise", "--num-examples", 5)
    (path,) = (run / "evaluations").glob("*-noise.json")
    path.unlink()


def test_a_shard_reads_its_own_images_only_and_keeps_them_apart(run, tmp_path, monkeypatch) -> None:
    from lsp_keras.datasets import _load_test
    from lsp_keras.datasets._memory import read_parts

    sizes = []
    read = read_parts

    def counted(source, split, parts):
        sizes.append([split is source.test, *map(len, parts)])
        return read(source, split, parts)

    monkeypatch.setattr(_load_test, "read_parts", counted)
    attack(run, *SHARED, "--shard", "1/4", "--save-examples", tmp_path)
    shutil.rmtree(run / "evaluations")
    assert sizes == [[True, 13]]
    assert (tmp_path / "1-of-4" / "fgsm.npz").is_file()


@pytest.mark.slow
def test_workers_on_one_machine_make_the_record_of_the_whole(run_cli, run) -> None:
    whole = json.loads(attack(run, *SHARED).stdout)
    shutil.rmtree(run / "evaluations")
    done = run_cli("attack", run, *SHARED, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert _numbers(json.loads(done.stdout)) == _numbers(whole)
    (path,) = (run / "evaluations").glob("*-fgsm-noise.json")
    assert json.loads(path.read_text()) == json.loads(done.stdout)
    assert list((run / "evaluations" / "shards").iterdir()) == []
    shutil.rmtree(run / "evaluations")


@pytest.mark.slow
def test_workers_keep_the_record_of_a_model_outside_of_a_run(run_cli, run, tmp_path) -> None:
    shutil.copy(run / "model.keras", tmp_path / "stranger.keras")
    options = (tmp_path / "stranger.keras", "--dataset", "digits", *SHARED, "--workers", 2)
    done = run_cli("attack", *options, "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (path,) = tmp_path.glob("evaluations/stranger-*/*-fgsm-noise.json")
    assert json.loads(path.read_text()) == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "0/2", "--workers", "2"], "Give one of --shard, --workers"),
        (["--shard", "2/2"], "counted from 0"),
        (["--shard", "0/99"], "60 images cannot be dealt out to 99"),
        (["--shard", "3"], "Which of the 3 shards"),
    ],
)
def test_shards_that_cannot_be_are_refused(run, options, message) -> None:
    with pytest.raises(InputError, match=message):
        attack(run, *options)
