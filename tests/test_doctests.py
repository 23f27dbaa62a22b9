"""Every example in a docstring says what happens."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"lsp_keras": "lsp_keras", "cli": "lsp_keras.cli", "serving": "lsp_keras.serving"}


def modules() -> list[str]:
    """Dotted names of the modules whose docstrings hold examples."""
    links = {ROOT / "lsp_keras" / name for name in ("cli", "serving")}
    found = []
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not links & set(path.parents) and ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT / folder).with_suffix("").parts
                found.append(".".join([package, *(part for part in parts if part != "__init__")]))
    return found


@pytest.mark.parametrize("name", modules())
def test_examples_are_true(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run in the module's own names, as a reader of its source would."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    done = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert done.failed == 0, capsys.readouterr().out
