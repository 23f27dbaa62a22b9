"""A new unit of each kind is one new file: listed, set, recorded and covered by its battery.

The files in `dropped` are copied into a copy of the package, beside those that are there.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DROPPED = Path(__file__).parent / "dropped"
# By kind, its name in `list`, and the setting that is its own.
UNITS = {
    "attacks": ("rounds", "num_rounds"),
    "methods": ("veiled", "grayness"),
    "regularizers": ("small_logits", "power"),
    "models": ("one_convolution", "kernel_size"),
    "augmentations": ("dim", "darkest"),
    "datasets": ("stripes", "num_stripes"),
    "losses": ("focal", "focus"),
    "divergences": ("huber", "delta"),
}
OPTIONS = (  # noqa: SIM905
    "--dataset stripes --num-stripes 4 --model one_convolution --kernel-size 5 --width 2 "
    "--method veiled --grayness 0.25 --attack rounds --num-rounds 2 --num-steps 1 "
    "--augmentation dim --darkest 0.75 --small-logits --small-logits-power 3 "
    "--divergence huber --divergence-delta 0.05"
).split()
SECTIONS = """
[dataset]
name = "stripes"
num_stripes = 4

[model]
name = "one_convolution"
kernel_size = 5
width = 2

[attack]
name = "rounds"
num_rounds = 2
num_steps = 1

[method]
name = "veiled"
grayness = 0.25

[augmentation]
name = "dim"
darkest = 0.75

[regularizers.small_logits]
power = 3.0

[regularizers.lsp.divergence]
name = "huber"
delta = 0.05
"""
TINY = (  # noqa: SIM905
    "--num-train 32 --validation-size 16 --num-test 16 --batch-size 16 --epochs 1 "
    "--features pixels --num-neighbors 2"
).split()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, its tests and the dropped files; nothing else is changed."""
    root = tmp_path_factory.mktemp("copy")
    for folder in ("lsp_keras", "cli", "serving", "tests"):
        shutil.copytree(ROOT / folder, root / folder, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", root)
    for path in DROPPED.rglob("*.py"):
        target = root / "lsp_keras" / path.relative_to(DROPPED)
        assert target.parent.is_dir()
        assert not target.exists()
        shutil.copy(path, target)
    return root


# Runs commands one after the other, in one process to import TensorFlow once.
RUNNER = """
import contextlib, io, json, sys
from lsp_keras.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["lsp-keras", *arguments]
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main()
    print(json.dumps(output.getvalue()), flush=True)
"""
# To choose a loss as the criterion.
FOCAL = (  # noqa: SIM905
    "--dataset stripes --model one_convolution --no-lsp --criterion focal --focus 1.5"
).split()
ATTACK = ("attack", "runs/typed", "--num-examples", "8", "--json")
COMMANDS = {
    **{kind: ["list", kind, "--json"] for kind in UNITS},
    "typed": ["fit", *OPTIONS, *TINY, "--name", "typed"],
    "written": ["fit", "--recipe", "recipe.toml", *TINY, "--name", "written"],
    "criterion": ["fit", *FOCAL, *TINY, "--name", "focal"],
    "attack_typed": [*ATTACK, "--attacks", "rounds", "--num-rounds", "3", "--num-steps", "2"],
    "attack_written": [*ATTACK, "--settings", "attacks.toml"],
}


def run(copy: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "XDG_CACHE_HOME": str(copy / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def printed(copy: Path) -> dict[str, str]:
    """What each command printed."""
    (copy / "recipe.toml").write_text(SECTIONS)
    (copy / "attacks.toml").write_text("[attacks.rounds]\nnum_rounds = 3\nnum_steps = 2\n")
    lines = run(copy, "-c", RUNNER, json.dumps(list(COMMANDS.values()))).splitlines()
    return dict(zip(COMMANDS, map(json.loads, lines), strict=True))


@pytest.mark.parametrize("kind", UNITS)
def test_it_is_listed(printed: dict[str, str], kind: str) -> None:
    assert UNITS[kind][0] in json.loads(printed[kind])


@pytest.mark.parametrize("path", DROPPED.rglob("*.py"), ids=lambda path: path.stem)
def test_the_documentation_shows_the_file(path: Path) -> None:
    block = f"`lsp_keras/{path.relative_to(DROPPED)}`:\n\n```python\n{path.read_text()}```\n"
    assert block in (ROOT / "docs" / "extending.md").read_text()


@pytest.mark.usefixtures("printed")
def test_its_setting_can_be_typed_and_is_recorded(copy: Path) -> None:
    typed = copy / "runs" / "typed"
    record = tomllib.loads((typed / "config.toml").read_text())
    assert record["dataset"] == {"name": "stripes", "num_stripes": 4}
    assert record["model"] == {"name": "one_convolution", "kernel_size": 5, "width": 2}
    assert record["attack"].items() >= {"name": "rounds", "num_rounds": 2}.items()
    assert record["method"] == {"name": "veiled", "warmup_epochs": 0, "grayness": 0.25}
    assert record["augmentation"] == {"name": "dim", "darkest": 0.75}
    assert record["regularizers"]["small_logits"] == {"weight": 0.01, "power": 3.0}
    assert record["regularizers"]["lsp"]["divergence"] == {"name": "huber", "delta": 0.05}
    # Not recorded alone: two stripes would be two classes.
    assert len(json.loads((typed / "dataset.json").read_text())["class_names"]) == 4


@pytest.mark.usefixtures("printed")
def test_toml_says_the_same(copy: Path) -> None:
    written, typed = copy / "runs" / "written", copy / "runs" / "typed"
    assert (written / "config.toml").read_text() == (typed / "config.toml").read_text()
    columns = [(path / "history.csv").read_text().splitlines() for path in (written, typed)]
    assert columns[0][0] == columns[1][0]
    assert "small_logits" in columns[0][0]


@pytest.mark.usefixtures("printed")
def test_a_loss_is_chosen_as_the_criterion(copy: Path) -> None:
    folder = copy / "runs" / "focal"
    record = tomllib.loads((folder / "config.toml").read_text())
    assert record["method"]["criterion"] == {"name": "focal", "focus": 1.5}
    assert "focal" in (folder / "history.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("how", ["typed", "written"])
def test_an_attack_is_set_in_an_evaluation_too(printed: dict[str, str], how: str) -> None:
    config = json.loads(printed[f"attack_{how}"])["attacks"]["rounds"]["config"]
    assert (config["num_rounds"], config["num_steps"]) == (3, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_battery_covers_it(copy: Path) -> None:
    """Each contract's tests run over the new name, without any edit of them."""
    names = " or ".join(name for name, _ in UNITS.values())
    command = ["-m", "pytest", "-v", "-p", "no:cacheprovider", "tests/contracts", "-k", names]
    printed = run(copy, *command, "--ignore", "tests/contracts/test_drop_in.py")
    for kind, (name, _) in UNITS.items():
        battery = f"tests/contracts/test_{kind}.py"
        lines = [line for line in printed.splitlines() if line.startswith(battery)]
        passed = [line for line in lines if name in line and "PASSED" in line]
        assert len(passed) >= 2, (kind, lines)
