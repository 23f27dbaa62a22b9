"""Published settings as files, and the accuracies that were published with them."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lsp_keras import registry
from lsp_keras.runs.settings.config import old_names, read_config, run_names
from lsp_keras.runs.settings.flags import Place
from lsp_keras.runs.settings.layers import Tree, merge, to_tree
from lsp_keras.validation import InputError

_FOLDER = Path(__file__).parents[2] / "recipes"
_EXTENDS = "extends"
_SOURCE = "Local Structure Preserving, Table {}"
# What the columns' names leave open.
NOTES = {
    "cw": "cw-l2-fixed-c without adversarial training, which depends on the scale of the logits; "
    "cw-linf in Table 2.",
    "pgd_l2": "at 128/255 under L2.",
    "aa": "AutoAttack by Torchattacks, which since 3.3.0 means 10 iterations by that name: the "
    "figures may be those of autoattack-torchattacks and higher than autoattack's.",
}


@dataclass(frozen=True)
class Expected:
    """What one table of a paper reports for a recipe.

    Attributes:
        source: Paper and table.
        recipe: Name of the recipe.
        epsilon: L-inf radius of its attacks.
        accuracy_percent: Accuracy on the test images: `clean`, and by attack.
    """

    source: str
    recipe: str
    epsilon: str
    accuracy_percent: dict[str, float]


def find_recipe(
    name_or_file: str | Path,
    *,
    note: Callable[[Path, Mapping[str, Place]], None] | None = None,
) -> Tree:
    """Settings of a published recipe by its name, or of the user's own TOML file.

    A file may say `extends = "cifar10_at"`, a recipe's name or a path beside it: it starts from
    the settings there and changes those that it names itself.

    Args:
        name_or_file: Name of a recipe, or path of a file.
        note: Function that is called with each file that has settings outside of the sections where
            they belong now, and with these places.

    Returns:
        The settings by section, as `config_from` takes them.

    Raises:
        InputError: It is neither a recipe nor a file, or it extends itself.
    """
    return _with_base(_recipe_path(str(name_or_file), Path()), seen=(), note=note)


def recipe_summary(name: str) -> str:
    """The comment in a recipe's first line.

    Raises:
        InputError: There is no such recipe.
    """
    path = _FOLDER / f"{registry.check('recipe', name)}.toml"
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def expected_accuracies() -> tuple[Expected, ...]:
    """Every row of the papers' tables, in their order; a recipe may stand in several tables."""
    with (_FOLDER / "expected.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    rows: dict[tuple[str, str], Expected] = {}
    for cell in cells:
        table, recipe, epsilon = cell["table"], cell["recipe"], cell["epsilon"]
        row = rows.setdefault((table, recipe), Expected(_SOURCE.format(table), recipe, epsilon, {}))
        row.accuracy_percent[cell["column"]] = float(cell["percent"])
    return tuple(rows.values())


def _recipe_path(name_or_file: str, folder: Path) -> Path:
    """File of that name in `folder`, or of the recipe of that name."""
    path = folder / name_or_file
    if path.suffix == ".toml" or path.is_file():
        return path
    return _FOLDER / f"{registry.check('recipe', name_or_file)}.toml"


def _with_base(
    path: Path,
    seen: tuple[Path, ...],
    note: Callable[[Path, Mapping[str, Place]], None] | None,
) -> Tree:
    """A file's settings over those of the recipe that it extends."""
    if path in seen:
        raise InputError(f"{path} extends itself.")
    values = read_config(path)
    base = values.pop(_EXTENDS, None)
    old = old_names(values)
    if old and note is not None:
        note(path, old)
    own = to_tree(values, run_names(), source=f"recipe {path}")
    if base is None:
        return own
    if not isinstance(base, str):
        raise InputError(
            f"`{_EXTENDS}` must be a recipe's name or a file. Received: {base!r} in {path}."
        )
    return merge(_with_base(_recipe_path(base, path.parent), (*seen, path), note), own)
