"""The LSP paper's Tables 1 to 7 as plans, at any scale and on any dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lsp_keras.runs.settings.config import config_from
from lsp_keras.runs.settings.protocol import Column, find_protocol
from lsp_keras.runs.settings.published import Expected, expected_accuracies, find_recipe
from lsp_keras.tables.rows import CLEAN, Plan, Row
from lsp_keras.tables.scales import FULL, Scale, Sizes
from lsp_keras.validation import check_choice

TABLES = range(1, 8)
AUTOATTACK = {
    "none": (),
    "standard": ("aa",),
    "torchattacks": ("aa_torchattacks",),
    "both": ("aa", "aa_torchattacks"),
}
_FIRST_DATASET = "cifar10"
_PAPERS_AUTOATTACK = (
    "The paper gives no version of its AutoAttack: its figures may be those of "
    "autoattack_torchattacks, ten iterations, which `--autoattack both` runs beside the standard "
    "version."
)
_TITLES = {
    1: "networks without adversarial training",
    2: "networks with adversarial training",
    3: "local and global structure",
    4: "divergences",
    5: "numbers of neighbors",
    6: "weights of the LSP term",
    7: "PGD under L-inf and L2",
}


@dataclass(frozen=True)
class Request:
    """Which table, and how much of it.

    Attributes:
        number: Number of the table, 1 to 7.
        dataset: Any; where the paper has no figures on it, none are shown.
        scale: Images, width, epochs.
        sizes: Images that there are.
        rows: Names of the rows, or empty for all.
        seeds: Number of seeds.
        autoattack: Form of AutoAttack: `"none"`, `"standard"`, `"torchattacks"`, `"both"`, or
            `None` for what the scale has.
        data_dir: Where TFDS keeps its data.
    """

    number: int
    dataset: str
    scale: Scale
    sizes: Sizes
    rows: Sequence[str] = ()
    seeds: int = 1
    autoattack: str | None = None
    data_dir: Path | None = None


def paper_plan(request: Request) -> Plan:
    """The plan of one table.

    Raises:
        InputError: There is no such table or row.
    """
    expected = expected_of(request.number, request.dataset)
    names = {_name(item.recipe): item for item in expected}
    chosen = [check_choice("rows", name, names) for name in request.rows] or list(names)
    columns = _columns(request, expected)
    rows = [_row(request, name, names[name]) for name in chosen]
    tested = request.sizes.tested(request.scale.num_examples)
    what = request.scale.describe(rows[0].config, tested)
    notes = [_PAPERS_AUTOATTACK] if "aa" in expected[0].accuracy_percent else []
    if request.scale.name != FULL:
        notes.insert(0, f"Scale {request.scale.name} is smaller than the published setting.")
    if not any(row.published for row in rows):
        notes.append(f"The paper has no such table on {request.dataset}.")
    return Plan(
        title=f"Table {request.number}, {_TITLES[request.number]}, on {request.dataset} at scale "
        f"{request.scale.name}: {what}",
        rows=rows,
        columns=columns,
        seeds=request.seeds,
        num_examples=tested,
        notes=notes,
        scale=request.scale.name,
    )


def expected_of(number: int, dataset: str) -> list[Expected]:
    """The paper's rows of a table; for a dataset that it has not, those on CIFAR-10."""
    check_choice("table", str(number), [str(item) for item in TABLES])
    rows = [item for item in expected_accuracies() if item.source.endswith(f"Table {number}")]
    own = [item for item in rows if item.recipe.startswith(f"{dataset}_")]
    return own or [item for item in rows if item.recipe.startswith(f"{_FIRST_DATASET}_")]


def _columns(request: Request, expected: Sequence[Expected]) -> list[Column]:
    """Those that the paper's table has, with the versions of AutoAttack that are asked for."""
    evaluation = str(find_recipe(expected[0].recipe)["evaluation"])
    theirs = {name for item in expected for name in item.accuracy_percent}
    version = check_choice("autoattack", request.autoattack or request.scale.autoattack, AUTOATTACK)
    wanted = theirs - {"aa"} | ({*AUTOATTACK[version]} if "aa" in theirs else set())
    return [column for column in find_protocol(evaluation) if column.name in wanted]


def _row(request: Request, name: str, expected: Expected) -> Row:
    config = config_from(find_recipe(expected.recipe), source=expected.recipe)
    config = request.sizes.fit(request.scale.apply(config))
    is_own = expected.recipe.startswith(f"{request.dataset}_")
    if not is_own:
        config = config.changed(dataset=request.dataset)
    if request.data_dir is not None:
        config = replace(config, data_dir=str(request.data_dir))
    published = dict(expected.accuracy_percent) if is_own else {}
    if "aa" in published:
        published["aa_torchattacks"] = published["aa"]
    kept = {CLEAN, *(column.name for column in _columns(request, [expected]))}
    return Row(
        name,
        config,
        published={key: value for key, value in published.items() if key in kept},
        recipe=expected.recipe,
    )


def _name(recipe: str) -> str:
    """A recipe's name without its dataset."""
    for dataset in ("tiny_imagenet", "cifar10", "stl10", "svhn"):
        if recipe.startswith(f"{dataset}_"):
            return recipe.removeprefix(f"{dataset}_")
    return recipe
