"""Who may import whom: parsed from the source, so that a wrong import fails here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOUNDATION = {"types", "registry", "validation", "storage"}
LEAVES = {"datasets", "augmentations", "models", "neighbors", "losses", "attacks"}
COMBINERS = {"regularizers", "training", "evaluation", "export"}
HEAVY = {
    "tensorflow",
    "keras",
    "tensorflow_datasets",
    "scann",
    "cleverhans",
    "sklearn",
    "matplotlib",
}

ALLOWED: dict[str, set[str]] = dict.fromkeys(FOUNDATION, FOUNDATION)
ALLOWED |= {"ops": FOUNDATION | {"ops"}}
ALLOWED |= {name: FOUNDATION | {"ops", name} for name in LEAVES}
ALLOWED |= {name: FOUNDATION | LEAVES | {"ops", name} for name in COMBINERS}
ALLOWED["training"] = ALLOWED["training"] | {"regularizers"}
ALLOWED["recipes"] = FOUNDATION | LEAVES | COMBINERS | {"ops", "recipes"}


def source_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(tree: ast.AST, path: Path) -> Iterator[str]:
    """Dotted names of all modules a tree imports, relative imports made absolute."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def top_level_imports(path: Path) -> set[str]:
    """First parts of what is imported when the module is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {name.partition(".")[0] for name in imports(ast.Module(body, []), path)}


@pytest.mark.parametrize("path", source_files("lsp_keras"), ids=lambda p: str(p.relative_to(ROOT)))
def test_packages_import_only_what_lies_below_them(path: Path) -> None:
    part = path.relative_to(ROOT / "lsp_keras").parts[0].removesuffix(".py")
    if part == "__init__":
        pytest.skip("the package itself imports nothing of its own")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {name.split(".")[1] for name in imports(tree, path) if name.startswith("lsp_keras.")}
    assert used <= ALLOWED[part], f"{part} must not import {sorted(used - ALLOWED[part])}"
    outside = {name.partition(".")[0] for name in imports(tree, path)}
    assert not outside & {"cli", "serving"}, "the library knows neither the CLI nor the server"


@pytest.mark.parametrize("path", source_files("serving"), ids=lambda p: str(p.relative_to(ROOT)))
def test_serving_knows_no_training_code(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {name.split(".")[1] for name in imports(tree, path) if name.startswith("lsp_keras.")}
    assert used <= {"types", "validation"}
    assert "cli" not in {name.partition(".")[0] for name in imports(tree, path)}


@pytest.mark.parametrize(
    "path",
    [ROOT / f"lsp_keras/{name}.py" for name in sorted(FOUNDATION)] + source_files("cli"),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_foundation_and_commands_import_nothing_heavy(path: Path) -> None:
    assert not top_level_imports(path) & HEAVY


@pytest.mark.parametrize("path", source_files("lsp_keras"), ids=lambda p: str(p.relative_to(ROOT)))
def test_cleverhans_stays_in_the_attacks(path: Path) -> None:
    if path.parent.name != "attacks":
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert "cleverhans" not in {name.partition(".")[0] for name in imports(tree, path)}
