"""From what was measured to a table."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lsp_keras.tables.commands import fit_command
from lsp_keras.tables.intervals import BRACKETS, Estimate, Verdicts, accuracy, difference
from lsp_keras.tables.measure import Measured, Results
from lsp_keras.tables.notes import explain, header, machines, missing
from lsp_keras.tables.rows import CLEAN, Plan, Row
from lsp_keras.tables.table import NOTHING, Cell, Gap, Line, Published, Table, Value

_GAIN, _COMMAND, _SIGNS, _TIME, _SEEDS = "gain", "command", "signs", "training", "seeds"
FULL_SCALE = "paper"
BySeed = Mapping[int, Verdicts]


def tabulate(plan: Plan, results: Results, *, commands: bool = False) -> Table:
    """The table of a plan.

    Args:
        plan: What was to be measured.
        results: What was.
        commands: Whether the command of each row stands beside it.
    """
    columns = {_SEEDS: "seeds", CLEAN: "clean", **{c.name: header(c) for c in plan.columns}}
    if any(row.controls for row in plan.rows):
        columns[_GAIN] = "above baseline and controls"
    columns |= {_SIGNS: "signs of masking", _TIME: "training"}
    if commands:
        columns[_COMMAND] = "command"
    rows = ordered(plan, results)
    lines = [line for row in rows for line in _lines(plan, row, results)]
    notes = [BRACKETS, *plan.notes, *map(explain, plan.columns)]
    notes += [f"{row.name}: {row.note}" for row in rows if row.note]
    notes += machines(results)
    return Table(plan.title, columns, lines, [*notes, *missing(plan, results)])


def ordered(plan: Plan, results: Results) -> list[Row]:
    """The rows by the plan's column, highest first; those in doubt, then unmeasured ones, last."""
    if plan.order_by is None:
        return list(plan.rows)

    def place(row: Row) -> tuple[bool, bool, float]:
        own = verdicts(results[row.name], str(plan.order_by))
        if not own:
            return True, False, 0.0
        return False, bool(signs(results[row.name])), -accuracy(list(own.values())).value

    return sorted(plan.rows, key=place)


def verdicts(seeds: Mapping[int, Measured], column: str) -> dict[int, Verdicts]:
    """Of each seed that has them."""
    if column == CLEAN:
        found = {s: next(iter(m.outcomes.values()), None) for s, m in seeds.items()}
        return {seed: item.clean for seed, item in found.items() if item is not None}
    return {s: m.outcomes[column].robust for s, m in seeds.items() if column in m.outcomes}


def signs(seeds: Mapping[int, Measured]) -> list[str]:
    """Names of the signs of masking that any record of a row has."""
    names = [
        flag for item in seeds.values() for found in item.outcomes.values() for flag in found.flags
    ]
    return list(dict.fromkeys(names))


def compared(plan: Plan, results: Results, one: str, other: str) -> dict[str, Estimate]:
    """Differences of two rows by column, over the seeds that both have."""
    found = {}
    for column in (CLEAN, *(column.name for column in plan.columns)):
        own, others = verdicts(results[one], column), verdicts(results.get(other, {}), column)
        seeds = sorted(own.keys() & others.keys())
        if seeds and len({v[s].share.total for v in (own, others) for s in seeds}) == 1:
            found[column] = difference([own[s] for s in seeds], [others[s] for s in seeds])
    return found


def _lines(plan: Plan, row: Row, results: Results) -> Iterator[Line]:
    seeds = results[row.name]
    measured = {
        column: list(own.values())
        for column in (CLEAN, *(column.name for column in plan.columns))
        if (own := verdicts(seeds, column))
    }
    values: dict[str, Value] = {
        column: Cell(accuracy(own), facts=_column_facts(plan, seeds, column))
        for column, own in measured.items()
    }
    facts = _facts(plan, row, seeds)
    command = str(facts["command"])
    shown: dict[str, Value] = {
        _SEEDS: str(len(measured.get(CLEAN, ()))),
        _SIGNS: _judged(seeds),
        _TIME: _duration([item.seconds for item in seeds.values() if item.seconds is not None]),
        _COMMAND: f"`{command}`",
    }
    rivals = _rivals(plan, row)
    gaps = {rival: compared(plan, results, row.name, rival) for rival in rivals}
    if row.controls:
        shown[_GAIN] = _gain(gaps, plan.columns[-1].name)
    yield Line(row.name, {**shown, **values}, {**facts, "kind": "measured"})
    if row.published:
        yield from _published_lines(plan, row, values)
    for rival, found in gaps.items():
        cells: dict[str, Value] = {c: Cell(estimate, signed=True) for c, estimate in found.items()}
        if cells:
            kind = {**facts, "kind": f"less {rival}"}
            yield Line(f"{row.name} less {rival}", cells, kind, is_detail=True)


def _judged(seeds: Mapping[int, Measured]) -> str:
    """Signs of masking, or that there is nothing to judge."""
    outcomes = [outcome for item in seeds.values() for outcome in item.outcomes.values()]
    if not outcomes:
        return NOTHING
    guesses = not all(outcome.is_judgeable for outcome in outcomes)
    found = [*(["no better than guessing"] if guesses else []), *signs(seeds)]
    return ", ".join(found) or "none"


def _published_lines(plan: Plan, row: Row, values: Mapping[str, Value]) -> Iterator[Line]:
    full = plan.scale == FULL_SCALE
    facts = {"of": row.name, "scale": FULL_SCALE}
    theirs: dict[str, Value] = {name: Published(value) for name, value in row.published.items()}
    name = f"{row.name}, published" if full else f"{row.name}, published at full scale"
    yield Line(name, theirs, {**facts, "kind": "published"}, is_detail=True)
    gaps: dict[str, Value] = {
        name: Gap(own.estimate.value - row.published[name])
        for name, own in values.items()
        if isinstance(own, Cell) and name in row.published
    }
    if gaps:
        ours = "ours" if full else f"scale {plan.scale}"
        kind = {**facts, "kind": "less published"}
        yield Line(f"{row.name}, {ours} less published", gaps, kind, is_detail=True)


def _rivals(plan: Plan, row: Row) -> list[str]:
    names = [name for name in (plan.baseline, *row.controls) if name not in (None, row.name)]
    return list(dict.fromkeys(map(str, names)))


def _gain(gaps: Mapping[str, Mapping[str, Estimate]], column: str) -> str:
    """Whether the row is above all that it is compared with, in the last column."""
    found = [own[column] for own in gaps.values() if column in own]
    if len(found) < len(gaps) or any(item.seeds < 2 for item in found):
        return "not known"
    return "yes" if all(item.low > 0 for item in found) else "not shown"


def _facts(plan: Plan, row: Row, seeds: Mapping[int, Measured]) -> dict[str, Any]:
    times = [item.seconds for item in seeds.values() if item.seconds is not None]
    return {
        "of": row.name,
        "scale": plan.scale,
        "weights": row.weights,
        "training_seconds": round(statistics.fmean(times), 1) if times else "",
        "signs": " ".join(signs(seeds)),
        "command": fit_command(row.config, row.recipe),
    }


def _column_facts(plan: Plan, seeds: Mapping[int, Measured], column: str) -> dict[str, Any]:
    """Attack, settings and mean time of one number."""
    for item in plan.columns:
        found = [m.outcomes[column] for m in seeds.values() if column in m.outcomes]
        if item.name == column and found:
            return {
                "attack": item.attack,
                "ball": str(item.threat),
                "settings": " ".join(f"{k}={v}" for k, v in item.options.items()),
                "attack_seconds": round(statistics.fmean(one.seconds for one in found), 1),
            }
    return {}


def _duration(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    mean = statistics.fmean(seconds)
    return f"{mean:.0f} s" if mean < 120 else f"{mean / 60:.0f} min"
