"""Names without imports."""

import subprocess
import sys

import pytest

from lsp_keras import registry
from lsp_keras.validation import InputError

KINDS = ["attack", "augmentation", "dataset", "loss", "method", "model", "recipe", "regularizer"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_file_stems(kind: str) -> None:
    names = registry.names(kind)
    assert names
    assert names == sorted(names)
    assert not [name for name in names if name.startswith("_") or "." in name]


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lsp_keras import registry; "
        f"[registry.summary(k, n) for k in {KINDS} if k != 'recipe' for n in registry.names(k)]; "
        "print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_names_list_choices_and_nearest() -> None:
    with pytest.raises(InputError, match=r"Unknown dataset: 'cifar'\. Did you mean 'cifar10'\?"):
        registry.get("dataset", "cifar")
    with pytest.raises(InputError, match="`kind` must be one of"):
        registry.names("datasets")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "recipe"])
def test_every_choice_loads_and_has_a_summary(kind: str) -> None:
    for name in registry.names(kind):
        assert callable(registry.get(kind, name)) or registry.get(kind, name) is not None
        assert registry.summary(kind, name)


def test_hyphens_are_underscores() -> None:
    assert registry.get("dataset", "tiny-imagenet") is registry.get("dataset", "tiny_imagenet")
