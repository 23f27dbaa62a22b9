"""Plans in files: those that come with the package, and the user's own.

A file names its rows, the settings that all of them share, and its columns as
`recipes/evaluations` does; `lsp_keras/recipes/tables` holds examples.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsp_keras.runs.settings.config import config_from_layers
from lsp_keras.runs.settings.protocol import Column, column_of
from lsp_keras.runs.settings.published import find_recipe
from lsp_keras.runs.settings.toml_file import read_config
from lsp_keras.tables.compare import check_same_images, images_of
from lsp_keras.tables.rows import Plan, Row
from lsp_keras.tables.scales import Scale, Sizes
from lsp_keras.validation import InputError, check_choice, nearest, shown

_FOLDER = Path(__file__).parents[1] / "recipes" / "tables"
_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("title", "dataset", "order_by", "baseline", "weights"), str),
    **dict.fromkeys(("num_examples", "seeds"), int),
    **dict.fromkeys(("settings", "columns"), dict),
    **dict.fromkeys(("notes", "rows"), list),
}
_ROW_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("name", "recipe", "weights", "note"), str),
    **dict.fromkeys(("num_examples", "seeds"), int),
    **{"settings": dict, "controls": list},
}
_KINDS = {str: "text", int: "an integer", dict: "a table", list: "a list"}
_AUTOATTACK = "autoattack"


@dataclass(frozen=True)
class Changes:
    """What a command changes of a plan in a file.

    Attributes:
        sizes: Images that there are.
        dataset: Another dataset.
        scale: A smaller scale than the file's own.
        rows: Names of the rows, or empty for all.
        seeds: Another number of seeds.
        num_examples: Another number of test images for all rows.
        data_dir: Where TFDS keeps its data.
    """

    sizes: Sizes
    dataset: str | None = None
    scale: Scale | None = None
    rows: Sequence[str] = ()
    seeds: int | None = None
    num_examples: int | None = None
    data_dir: Path | None = None


def plan_names() -> list[str]:
    """Names of the plans that come with the package, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def read_plan(name_or_file: str) -> dict[str, Any]:
    """A plan as its file holds it.

    Raises:
        InputError: There is no such plan, or it says something that plans do not.
    """
    is_file = name_or_file.endswith(".toml")
    if not is_file:
        check_choice("table", name_or_file, plan_names())
    values = read_config(name_or_file if is_file else _FOLDER / f"{name_or_file}.toml")
    _check(values, _KEYS, ("title", "dataset", "columns", "rows"), name_or_file)
    for row in values["rows"]:
        _check(row, _ROW_KEYS, ("name",), f"a row of {name_or_file}")
    for name, column in values["columns"].items():
        if not isinstance(column, dict):
            raise InputError(f"The column {name!r} of {name_or_file} must be a table.")
    return values


def plan_from(values: Mapping[str, Any], changes: Changes) -> Plan:
    """The plan of a file with a command's changes.

    Raises:
        InputError: A row, a setting or an attack is unknown, or rows that are compared would be
            tested on different images.
    """
    scale, own = changes.scale, values.get("num_examples")
    columns = [column_of(name, dict(section)) for name, section in values["columns"].items()]
    if scale is not None and scale.autoattack == "none":
        columns = [column for column in columns if not column.attack.startswith(_AUTOATTACK)]
    known = {row["name"]: row for row in values["rows"]}
    chosen = [check_choice("rows", name, known) for name in changes.rows] or list(known)
    wanted = changes.num_examples or (scale.num_examples if scale is not None else own)
    rows = [_row(values, known[name], changes, wanted) for name in chosen]
    dataset = changes.dataset or values["dataset"]
    baseline = values.get("baseline") if values.get("baseline") in chosen else None
    if baseline is not None or any(row.controls for row in rows):
        check_same_images({row.name: images_of(row.config) for row in rows})
    tested = changes.sizes.tested(wanted)
    if scale is not None:
        described = Counter(scale.describe(row.config, tested) for row in rows)
        said = f" at scale {scale.name}: {described.most_common(1)[0][0]}"
    else:
        said = f": {'all' if tested is None else f'{tested:,}'} test images"
    title = str(values["title"])
    return Plan(
        title=f"{title if dataset == values['dataset'] else f'{title}, on {dataset}'}{said}",
        rows=rows,
        columns=columns or _cheap(values),
        seeds=changes.seeds or int(values.get("seeds", 1)),
        num_examples=tested,
        baseline=baseline,
        order_by=_order(values.get("order_by"), columns),
        notes=[] if scale is not None else list(values.get("notes", ())),
        scale="" if scale is None else scale.name,
    )


def _row(
    values: Mapping[str, Any], row: Mapping[str, Any], changes: Changes, tested: int | None
) -> Row:
    recipe = row.get("recipe")
    shared = {} if recipe else values.get("settings", {})
    config = config_from_layers(
        {
            "the table": find_recipe(recipe) if recipe else shared,
            f"the row {row['name']}": row.get("settings", {}),
            "the command": {"dataset": changes.dataset or values["dataset"]},
        }
    )
    if changes.scale is not None:
        config = changes.scale.apply(config)
    config = changes.sizes.fit(config)
    if changes.data_dir is not None:
        config = replace(config, data_dir=str(changes.data_dir))
    own = row.get("num_examples") if changes.num_examples is None and not changes.scale else None
    return Row(
        name=row["name"],
        config=config,
        weights=row.get("weights", values.get("weights", "best")),
        controls=row.get("controls", ()),
        seeds=row.get("seeds"),
        num_examples=changes.sizes.tested(own if own is not None else tested),
        recipe=recipe,
        note=row.get("note", ""),
    )


def _order(wanted: str | None, columns: Sequence[Column]) -> str | None:
    """The column to sort by: the wanted one, or the last where that one is left out."""
    names = [column.name for column in columns]
    if wanted is None or wanted in names:
        return wanted
    return names[-1] if names else None


def _cheap(values: Mapping[str, Any]) -> list[Column]:
    """PGD in the ball of a plan whose only attack is AutoAttack."""
    first: Mapping[str, Any] = next(iter(values["columns"].values()))
    return [column_of("pgd", {**first, "attack": "pgd"})]


def _check(values: Any, known: Mapping[str, type], needed: Sequence[str], where: str) -> None:
    """Refuses keys that there are not, and values of another kind."""
    if not isinstance(values, dict):
        raise InputError(f"{where} must be a table. Received: {shown(values)}.")
    for name, value in values.items():
        if name not in known:
            raise InputError(f"Unknown key {name!r} in {where}.{nearest(name, known)}")
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise InputError(
                f"`{name}` in {where} must be {_KINDS[known[name]]}. Received: {shown(value)}."
            )
    for name in needed:
        if not values.get(name):
            raise InputError(f"{where} must have `{name}`.")
