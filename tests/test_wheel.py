"""What is built for others holds all that they need, and runs from another folder."""

import email
import email.policy
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("setuptools", reason="setuptools builds the wheel")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built from a copy of what is tracked."""
    folder = tmp_path_factory.mktemp("built")
    copy = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("the tree is no git checkout")
    for name in listed.stdout.splitlines():
        place = copy / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place, follow_symlinks=False)
    code = "from setuptools import build_meta as b; b.build_sdist('..'); b.build_wheel('..')"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_wheel_runs_from_another_folder(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
        tops = {name.partition("/")[0] for name in wheel.namelist()}
    # No other package's `cli` or `serving` is overwritten.
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lsp_keras"}
    environment = dict(os.environ, PYTHONPATH=str(tmp_path / "site"))

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    place = run("-c", "import lsp_keras.cli.main, lsp_keras.serving; print(lsp_keras.__file__)")
    assert Path(place.strip()).is_relative_to(tmp_path)
    assert "zoo:cifar10_standard" in run("-m", "lsp_keras", "list", "zoo")
    assert "cifar10_lsp_plus" in run("-m", "lsp_keras", "list", "recipes")
    run("-m", "lsp_keras", "export", "zoo:cifar10_standard", "--to", "models/cifar10")
    assert (tmp_path / "models" / "cifar10" / "1" / "saved_model.pb").is_file()
    site = tmp_path / "site" / "lsp_keras"
    assert (site / "serving" / "page" / "index.html").is_file()
    assert (site / "reports" / "templates" / "report.html.j2").is_file()
    assert (site / "serving" / "deploy" / "kubernetes" / "deployment.yaml").is_file()


@pytest.mark.slow
def test_the_description_is_the_readme_without_links_that_lead_nowhere(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        metadata = email.message_from_bytes(wheel.read(name), policy=email.policy.default)
    assert metadata["Description-Content-Type"] == "text/markdown"
    description = str(metadata.get_payload())
    assert "## More" in description
    links = re.findall(r"\]\(([^)]+)\)", description)
    assert links
    assert not [link for link in links if not link.startswith("https://")]
    extras = {"client", "dev", "gpu", "hub", "serve", "train"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


@pytest.mark.slow
def test_sdist_holds_what_a_contributor_needs(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "CHANGELOG.md",
        "LICENSE",
        "MANIFEST.in",
        "Makefile",
        "constraints.txt",
        "constraints-tf221.txt",
        "setup.py",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "examples/demo.py",
        "mkdocs.yml",
        "website/hooks.py",
        "tests/test_wheel.py",
        "cli/main.py",
        "serving/server.py",
    ):
        assert name in names, name
