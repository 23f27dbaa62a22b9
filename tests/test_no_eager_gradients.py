"""Reads the package's code: gradients are taken in graphs, and of images alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import lsp_keras

PACKAGE = Path(lsp_keras.__file__).parent
# Takes the gradients of images for all others, in a graph wherever it is called from.
OF_IMAGES = "ops/gradients.py"
# The gradients of weights, in steps that Keras compiles.
OF_WEIGHTS = {"methods/_trainer.py", "pretraining/moco.py"}


def tapes(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "GradientTape":
            yield node


def by_file() -> dict[str, list[ast.Call]]:
    found = {
        path.relative_to(PACKAGE).as_posix(): list(tapes(path)) for path in PACKAGE.rglob("*.py")
    }
    return {name: calls for name, calls in found.items() if calls}


def test_gradients_are_taken_in_these_files_only() -> None:
    assert set(by_file()) == {OF_IMAGES, *OF_WEIGHTS}


def test_the_gradient_of_images_watches_images_alone() -> None:
    (tape,) = by_file()[OF_IMAGES]
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in tape.keywords}
    assert options == {"watch_accessed_variables": "False"}


def test_gradients_of_weights_are_taken_in_training_steps() -> None:
    for name in OF_WEIGHTS:
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        names = {
            function.name
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            and any(getattr(node, "attr", "") == "GradientTape" for node in ast.walk(function))
        }
        assert names <= {"train_step", "_descend", "descend"}, name


def test_no_function_of_the_package_is_run_eagerly_on_purpose() -> None:
    offenders = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "run_functions_eagerly" in path.read_text(encoding="utf-8")
    ]
    assert offenders == []
