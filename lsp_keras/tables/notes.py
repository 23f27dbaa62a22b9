"""What must be said below a table: attacks, machines, and what is missing."""

from collections.abc import Iterator

from lsp_keras import registry
from lsp_keras.runs.settings.protocol import Column
from lsp_keras.tables.measure import Measured, Results
from lsp_keras.tables.rows import Plan, seeds_of
from lsp_keras.types import NORM_TEXTS

# No two images are so far apart.
_UNBOUNDED = 100.0


def header(column: Column) -> str:
    """Name of a column with its attack, where that is another name, and its ball."""
    attack = "" if column.attack == column.name else f" = {column.attack}"
    if column.threat.epsilon > _UNBOUNDED:
        return f"{column.name}{attack}"
    norm = "" if column.threat.norm == "linf" else f"{NORM_TEXTS[column.threat.norm]} "
    return f"{column.name}{attack} {norm}{column.threat.epsilon_text}"


def explain(column: Column) -> str:
    """What a column's attack is: its version, and all settings that are not its defaults."""
    version = {k: v for k, v in column.build().get_config().items() if k == "version"}
    settings = ", ".join(f"{k} {v}" for k, v in {**version, **column.options}.items())
    ball = "no bound" if column.threat.epsilon > _UNBOUNDED else str(column.threat)
    summary = registry.summary("attack", column.attack).rstrip(".")
    given = f"; {settings}" if settings else ""
    return f"{column.name} is {column.attack}: {summary}; {ball}{given}."


def machines(results: Results) -> list[str]:
    """What the attacks ran on; the times are of that, whatever else it did."""
    outcomes = [o for row in results.values() for m in row.values() for o in m.outcomes.values()]
    found = dict.fromkeys(
        f"{', '.join(o.hardware['gpus']) or o.hardware['cpu']}, {o.hardware['cores']} cores"
        for o in outcomes
        if o.hardware
    )
    return [f"Attacked on {'; '.join(found)}."] if found else []


def missing(plan: Plan, results: Results) -> Iterator[str]:
    """What the table does not hold, and why."""
    for row in plan.rows:
        for seed in seeds_of(row, plan.seeds):
            item = results[row.name].get(seed, Measured())
            left = [column.name for column in plan.columns if column.name not in item.outcomes]
            if item.failure:
                yield f"{row.name}, seed {seed}, failed: {item.failure}"
            elif left:
                what = "not trained" if item.run is None else f"not attacked by {', '.join(left)}"
                yield f"{row.name}, seed {seed}: {what}."
