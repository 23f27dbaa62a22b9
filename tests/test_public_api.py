"""What users import is one short list for each package; every name of it works."""

import subprocess
import sys
from importlib import import_module

import pytest

from lsp_keras import registry

PACKAGES = [
    "attacks",
    "augmentations",
    "classifiers",
    "datasets",
    "evaluation",
    "export",
    "losses",
    "methods",
    "models",
    "neighbors",
    "pretraining",
    "regularizers",
    "reports",
    "runs",
    "serving",
    "training",
]
KINDS = {
    "attacks": "attack",
    "augmentations": "augmentation",
    "losses": "loss",
    "methods": "method",
    "models": "model",
    "regularizers": "regularizer",
}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_what_it_says(name: str) -> None:
    package = import_module(f"lsp_keras.{name}")
    for public in package.__all__:
        found = getattr(package, public)
        assert not isinstance(found, type(sys)), f"{name}.{public} is a module"
    assert sorted(set(package.__all__)) == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", KINDS)
def test_every_registered_unit_is_a_public_name(name: str) -> None:
    package, kind = import_module(f"lsp_keras.{name}"), KINDS[name]
    for stem in registry.names(kind):
        unit = registry.unit_name(kind, stem)
        assert getattr(package, unit) is registry.get(kind, stem)


def test_a_function_keeps_its_name_when_its_file_is_imported() -> None:
    code = (
        "import lsp_keras.models.resnet18, lsp_keras.evaluation.evaluate, lsp_keras.runs.fit\n"
        "from lsp_keras import evaluation, models, runs\n"
        "print(all(callable(f) for f in (models.resnet18, evaluation.evaluate, runs.fit)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    from lsp_keras import attacks

    with pytest.raises(AttributeError, match="no attribute 'PGE'"):
        attacks.PGE  # type: ignore[attr-defined]  # noqa: B018
