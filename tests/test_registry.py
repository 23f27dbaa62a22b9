"""Names without imports."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_keras import registry
from lsp_keras.signatures import read_source
from lsp_keras.validation import InputError

KINDS = list(registry.KINDS)
UNITS = [kind for kind in KINDS if kind != "recipe"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_file_stems(kind: str) -> None:
    names = registry.names(kind)
    assert names
    assert names == sorted(names)
    assert not [name for name in names if name.startswith("_") or "." in name]


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lsp_keras import registry; "
        f"[(registry.summary(k, n), registry.arguments(k, n)) "
        f"for k in {UNITS} for n in registry.names(k)]; "
        "print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_names_list_choices_and_nearest() -> None:
    with pytest.raises(InputError, match=r"Unknown dataset: 'cifar'\. Did you mean 'cifar10'\?"):
        registry.get("dataset", "cifar")
    with pytest.raises(InputError, match="`kind` must be one of"):
        registry.names("datasets")


@pytest.mark.parametrize("kind", UNITS)
def test_every_choice_loads_and_has_a_summary(kind: str) -> None:
    for name in registry.names(kind):
        assert callable(registry.get(kind, name)) or registry.get(kind, name) is not None
        assert registry.summary(kind, name)


def test_what_a_unit_cannot_do_without() -> None:
    assert registry.required("method", "hat") == ["classifier", "attack", "helper"]
    assert registry.required("model", "resnet18") == ["num_classes"]
    assert registry.required("loss", "trades") == ["labels", "clean_logits", "adversarial_logits"]


def test_hyphens_are_underscores() -> None:
    assert registry.get("dataset", "tiny-imagenet") is registry.get("dataset", "tiny_imagenet")


@pytest.mark.parametrize("kind", UNITS)
def test_a_unit_is_the_object_that_its_file_is_named_after(kind: str) -> None:
    for name in registry.names(kind):
        unit, folded = registry.unit_name(kind, name), name.replace("_", "")
        # What several files share lies in a file with an underscore.
        assert read_source(registry._place(kind, name).path).public == [unit]
        assert unit.replace("_", "").lower().removesuffix("trainer").removesuffix("loss") == folded
        assert registry.name_of(kind, registry.get(kind, name)) in {name, None}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models in place of the package's own."""
    monkeypatch.setattr(registry, "_folder", lambda kind: tmp_path)
    return tmp_path


def test_a_copied_file_is_refused_until_its_object_has_its_name(models: Path) -> None:
    source = Path(registry.__file__).parent / "models" / "resnet18.py"
    shutil.copy(source, models / "resnet34.py")
    with pytest.raises(InputError, match=r"resnet34\.py must define one public object named 're"):
        registry.get("model", "resnet34")
    with pytest.raises(InputError, match="It defines resnet18"):
        registry.arguments("model", "resnet34")


def test_two_objects_of_the_files_name_are_refused(models: Path) -> None:
    (models / "net.py").write_text('__all__ = ["NET", "net"]\nNET = net = None\n')
    with pytest.raises(InputError, match="must define one public object named 'net'"):
        registry.unit_name("model", "net")


def test_another_package_registers_a_unit_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "wide_nets"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('listing must not import')\n")
    (package / "wide.py").write_text(
        '"""A wide network."""\n\n\ndef build_wide(num_classes: int, *, depth: int = 16) -> None:\n'
        '    """A network.\n\n    Args:\n        depth: Number of its layers.\n    """\n'
    )
    info = tmp_path / "wide_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wide-nets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lsp_keras.models]\nwide = wide_nets.wide:build_wide\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._entry_points.cache_clear()
    try:
        assert "wide" in registry.names("model")
        assert registry.summary("model", "wide") == "A wide network."
        depth = registry.arguments("model", "wide")["depth"]
        assert (depth.default, depth.help) == (16, "Number of its layers.")
        (package / "__init__.py").write_text("")
        build = registry.get("model", "wide")
        assert build.__name__ == "build_wide"
        assert registry.name_of("model", build) == "wide"
    finally:
        registry._entry_points.cache_clear()
