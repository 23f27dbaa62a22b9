"""Who may import whom: parsed from the source, so that a wrong import fails here."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lsp_keras import registry

ROOT = Path(__file__).parents[1]
LEVELS = {
    **dict.fromkeys(
        ["types", "choices", "validation", "registry", "signatures", "errors", "zoo"], 0
    ),
    **dict.fromkeys(["_face", "storage", "processes", "arrays", "epochs"], 0),
    **dict.fromkeys(["shards", "places", "stored_images"], 0),
    "ops": 1,
    **dict.fromkeys(["inference", "datasets", "augmentations", "models", "neighbors", "losses"], 2),
    **dict.fromkeys(["classifiers", "attacks"], 3),
    **dict.fromkeys(
        ["regularizers", "methods", "training", "pretraining", "evaluation", "export"], 4
    ),
    **dict.fromkeys(["runs", "plots", "tables", "reports"], 5),
}
# What packages of one level use of each other.
BESIDE = {
    "classifiers": {"inference", "models"},
    "attacks": {"inference"},
    "methods": {"regularizers"},
    "training": {"methods"},
    "pretraining": {"training"},
    "plots": {"runs"},
    "tables": {"runs"},
    "reports": {"runs"},
}
FOUNDATION = {name for name, level in LEVELS.items() if level == 0}
LARGEST_FOLDER = 18
HEAVY = {
    "tensorflow",
    "keras",
    "tensorflow_datasets",
    "scann",
    "cleverhans",
    "sklearn",
    "matplotlib",
}


def allowed(part: str) -> set[str]:
    """Packages that one package may import: from level 4 on, all below; before, only the base."""
    level = LEVELS[part]
    base = level - 1 if level > 3 else min(level, 1)
    below = {name for name, other in LEVELS.items() if other <= base}
    return below | {part} | BESIDE.get(part, set())


def source_files(folder: str) -> list[Path]:
    """Of `lsp_keras` without the links to `cli` and `serving`, which are folders of their own."""
    links = {ROOT / "lsp_keras" / name for name in ("cli", "serving")}
    paths = (ROOT / folder).rglob("*.py")
    return sorted(path for path in paths if not links & set(path.parents))


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
    body: list[ast.stmt] = [
        node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return {name.partition(".")[0] for name in imports(ast.Module(body, []), path)}


def parts_used(path: Path) -> set[str]:
    """Packages of `lsp_keras` that a file imports, at its top or inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {name for name in imports(tree, path) if name.startswith("lsp_keras.")}
    return {name.split(".")[1] for name in names}


def test_packages_import_only_what_lies_below_them() -> None:
    offenders = []
    for path in source_files("lsp_keras"):
        part = path.relative_to(ROOT / "lsp_keras").parts[0].removesuffix(".py")
        if part not in {"__init__", "__main__"}:
            wrong = parts_used(path) - allowed(part)
            # A served model is asked through the server's client.
            if path.match("classifiers/remote.py"):
                wrong -= {"serving"}
            offenders += [f"{path.relative_to(ROOT)} imports lsp_keras.{name}" for name in wrong]
    assert offenders == []


def test_serving_knows_no_training_code() -> None:
    for path in source_files("serving"):
        wrong = parts_used(path) - {"types", "validation", "serving"}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_foundation_and_commands_import_nothing_heavy() -> None:
    places = [ROOT / "lsp_keras" / name for name in sorted(FOUNDATION)]
    foundation = [
        path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in places
    ]
    for path in foundation + source_files("cli"):
        heavy = top_level_imports(path) & HEAVY
        assert not heavy, f"{path.relative_to(ROOT)} imports {sorted(heavy)}"


def test_no_folder_holds_more_than_one_can_oversee() -> None:
    """Files with a unit or a command each are read one by one, and do not count."""
    kinds = set(registry.KINDS) - {"recipe"}
    one_each = {registry._folder(kind) for kind in kinds} | {ROOT / "cli"}
    counts = Counter(
        path.parent
        for path in source_files("lsp_keras") + source_files("serving") + source_files("cli")
        if path.parent not in one_each or path.stem.startswith("_")
    )
    assert {folder: count for folder, count in counts.items() if count > LARGEST_FOLDER} == {}


def test_cleverhans_stays_in_the_attacks() -> None:
    for path in source_files("lsp_keras"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        outside = {name.partition(".")[0] for name in imports(tree, path)}
        assert path.parent.name == "attacks" or "cleverhans" not in outside, path


def test_the_page_on_the_architecture_says_the_same() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].isdigit():
            for name in cells[1].replace("`", "").split(", "):
                told[name] = (
                    int(cells[0]),
                    set(filter(None, cells[3].replace("`", "").split(", "))),
                )
    told.pop("cli")
    levels = {name: (level, BESIDE.get(name, set())) for name, level in LEVELS.items()}
    levels.pop("_face")
    assert told == levels
