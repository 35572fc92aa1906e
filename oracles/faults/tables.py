"""What came of the campaign of faults, as tables: ``faults.csv``, ``floor.csv`` and ``summary.md``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from oracles.cases import write_text
from oracles.faults.checkers import CHECKERS
from oracles.faults.equivalents import gap, is_fine, reason
from oracles.faults.fault import Fault
from oracles.faults.floor import Floor
from oracles.faults.targets import fault_named
from oracles.faults.trial import Outcome
from oracles.verdict import Label

FAULT_COLUMNS = (
    *("fault", "kind", "group", "target", "status", "reason", "seeds", "shown", "caught", "rate", "labels", "escaped"),
    *("order", "cases_median", "cases_max", "seconds_median", "steps", "size", "smallest"),
)

FLOOR_COLUMNS = ("function", "dtype", "order", "oracles", "units", *CHECKERS, "orders_finer")


EXCUSES = frozenset(
    {Label.NONFINITE, Label.EDGE, Label.CONVENTION, Label.KINK_CHAIN, Label.ILL_CONDITIONED, Label.FLUSH}
)
"""Labels of answers about which nobody can say that they are wrong: no truth is known there, or too little of it."""


def is_missed(outcome: Outcome) -> bool:
    """Whether a fault was not caught although it changed an answer that there is a truth about."""
    return not outcome.caught and bool({*outcome.escaped.split()} - EXCUSES)


def status_of(fault: Fault, tried: Sequence[Outcome]) -> str:
    """What became of a fault over all seeds."""
    caught, missed = any(outcome.caught for outcome in tried), any(map(is_missed, tried))
    if reason(fault) or gap(fault):
        return "refuted" if caught else "equivalent" if reason(fault) else "out of reach"
    if missed:
        return "below the floor" if is_fine(fault) else "by luck" if caught else "survived"
    return "caught" if caught else "excused" if any(outcome.changed for outcome in tried) else "unreached"


def fault_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """A row per fault: see ``reports/README.md``."""
    by_fault: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_fault[outcome.fault].append(outcome)
    return pd.DataFrame(
        [fault_row(fault_named(name), tried) for name, tried in by_fault.items()], columns=FAULT_COLUMNS
    )


def fault_row(fault: Fault, tried: Sequence[Outcome]) -> dict[str, Any]:
    caught = [outcome for outcome in tried if outcome.caught]
    smallest = min(caught, key=lambda outcome: (outcome.steps, outcome.size), default=None)
    row: dict[str, Any] = {
        "fault": str(fault),
        "kind": fault.kind.name,
        "group": fault.kind.group,
        "target": str(fault.target),
        "status": status_of(fault, tried),
        "reason": reason(fault) or gap(fault),
        "seeds": len(tried),
        "shown": sum(outcome.caught or is_missed(outcome) for outcome in tried),
        "caught": len(caught),
        "rate": len(caught) / len(tried),
        "escaped": " ".join(sorted({label for outcome in tried for label in outcome.escaped.split()})),
    }
    if smallest is not None:
        row |= {
            "labels": " ".join(sorted({outcome.label for outcome in caught})),
            "order": min(outcome.order for outcome in caught),
            "cases_median": float(np.median([outcome.cases for outcome in caught])),
            "cases_max": max(outcome.cases for outcome in caught),
            "seconds_median": float(np.median([outcome.seconds for outcome in caught])),
            "steps": smallest.steps,
            "size": smallest.size,
            "smallest": smallest.program,
        }
    return row


def floor_frame(floors: Sequence[Floor]) -> pd.DataFrame:
    """A row per function, dtype and order: see ``reports/README.md``."""
    rows = []
    for floor in floors:
        row = {"function": floor.function, "dtype": floor.dtype, "order": floor.order}
        row |= {"oracles": floor.oracles, "units": floor.units, **floor.checkers}
        finest = min((eps for eps in floor.checkers.values() if isinstance(eps, float)), default=math.nan)
        rows.append(row | {"orders_finer": math.log10(finest / floor.oracles)})
    return pd.DataFrame(rows, columns=FLOOR_COLUMNS)


def write_tables(outcomes: Sequence[Outcome], floors: Sequence[Floor], out: Path) -> pd.DataFrame:
    """Write all three files; returns the table of faults."""
    faults, floor = fault_frame(outcomes), floor_frame(floors)
    write_text(out / "faults.csv", faults.to_csv(index=False, lineterminator="\n"))
    write_text(out / "floor.csv", floor.to_csv(index=False, float_format="%.3g", lineterminator="\n"))
    write_text(out / "summary.md", summary(faults, floor, outcomes))
    return faults


# In words.

FAILED = ("survived", "by luck", "refuted")
"""What has to be looked into: the harness misses it, at least now and then, or a reason on record is wrong."""

UNTESTED = ("out of reach", "unreached", "excused")
"""What the harness says nothing about."""


def summary(faults: pd.DataFrame, floor: pd.DataFrame, outcomes: Sequence[Outcome]) -> str:
    """The tables in short, what was missed first."""
    parts = ["# What the harness would miss\n", headline(faults), missed(faults)]
    parts += ["## By kind\n", as_table(by_kind(faults)), "## By seed\n", as_table(by_seed(outcomes))]
    if (faults.kind.str.startswith("factor")).any():
        parts += ["## By size of the error\n", as_table(by_factor(faults))]
    if len(floor):
        parts += ["## Detection floors\n", FLOOR_WORDS, as_table(floor_medians(floor))]
        parts += ["Functions by their floor, in rounding units of the dtype:\n", as_table(floor_distribution(floor))]
    untested = faults[faults.status.isin(UNTESTED)]
    if len(untested):
        parts += ["## Not met\n", as_table(untested[["fault", "status", "escaped", "reason"]].sort_values("status"))]
    equivalent = faults[faults.status == "equivalent"]
    if len(equivalent):
        parts += ["## Equivalent faults\n", as_table(by_reason(equivalent))]
    return "\n".join(parts)


FLOOR_WORDS = (
    "The smallest relative error of a rule that is caught, median over the functions; beside it that of three checkers "
    "at their defaults, on the same rule at the same points.  `orders finer` compares with the best of them.\n"
)


def counted(faults: pd.DataFrame) -> pd.DataFrame:
    """The faults that can be caught, and that campaigns meet."""
    return faults[faults.status.isin(["caught", *FAILED])]


def headline(faults: pd.DataFrame) -> str:
    real, status = counted(faults), faults.status.value_counts()
    caught, always = int((real.status == "caught").sum()), int(((real.status == "caught") & (real.rate == 1)).sum())
    return (
        f"{len(faults):,} faults planted, one at a time. Of {len(real):,} that change a result by more than rounding, "
        f"**{caught:,} are caught ({caught / max(len(real), 1):.2%})** in every campaign in which they show, "
        f"{always:,} of them in every campaign.\n\n"
        f"Besides: {status.get('equivalent', 0):,} are equivalent to the sound rule, "
        f"{status.get('below the floor', 0):,} are factors within a few rounding units of 1, "
        f"{status.get('excused', 0):,} show only where nobody can say what is right, "
        f"{status.get('unreached', 0) + status.get('out of reach', 0):,} were not met.\n"
    )


def missed(faults: pd.DataFrame) -> str:
    found = faults[faults.status.isin(FAILED)]
    if not len(found):
        return "Nothing was missed.\n"
    table = found[["fault", "status", "seeds", "shown", "caught"]].sort_values(["status", "fault"])
    return f"## Missed: {len(found):,}\n\n{as_table(table)}"


def by_kind(faults: pd.DataFrame) -> pd.DataFrame:
    plain = counted(faults)
    groups = plain.groupby("group", sort=False)
    return pd.DataFrame(
        {
            "planted": groups.size(),
            "caught": groups.status.agg(lambda s: (s == "caught").sum()),
            "rate": groups.status.agg(lambda s: f"{(s == 'caught').mean():.1%}"),
            "every seed": groups.rate.agg(lambda r: f"{(r == 1).mean():.1%}"),
            "cases": groups.cases_median.median().round(),
            "seconds": groups.seconds_median.median().round(1),
            "smallest": pd.Series({name: smallest_of(group) for name, group in groups}, dtype=str),
        }
    ).reset_index(names="kind")


def smallest_of(group: pd.DataFrame) -> str:
    caught = group.dropna(subset=["steps"]).sort_values(["steps", "size"])
    return f"`{caught.smallest.iloc[0]}`".replace("|", "\\|") if len(caught) else ""


def by_seed(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Of the faults that show in a seed's campaign and are more than rounding, how many are caught there."""
    rows = [
        {"seed": o.seed, "shown": o.caught or is_missed(o), "caught": o.caught}
        for o in outcomes
        if not (is_fine(fault := fault_named(o.fault)) or reason(fault) or gap(fault))
    ]
    groups = pd.DataFrame(rows, columns=["seed", "shown", "caught"]).groupby("seed")
    table = groups[["shown", "caught"]].sum()
    table.insert(0, "planted", groups.size())
    table["rate"] = [f"{rate:.2%}" for rate in table.caught / table.shown.clip(lower=1)]
    return table.reset_index()


def by_factor(faults: pd.DataFrame) -> pd.DataFrame:
    factors = faults[faults.group == "factor"]
    groups = factors.assign(error=factors.kind.str.removeprefix("factor-").astype(float)).groupby("error")
    table = pd.DataFrame({"planted": groups.size(), "caught": groups.status.agg(lambda s: (s == "caught").sum())})
    return table.sort_index(ascending=False).reset_index()


def by_reason(equivalent: pd.DataFrame) -> pd.DataFrame:
    groups = equivalent.groupby("reason")
    return pd.DataFrame({"faults": groups.size(), "such as": groups.fault.first()}).reset_index()


def floor_medians(floor: pd.DataFrame) -> pd.DataFrame:
    names = ["oracles", *CHECKERS]
    numbers = floor.assign(**{name: pd.to_numeric(floor[name], errors="coerce") for name in names})
    groups = numbers.groupby(["dtype", "order"])
    table = groups[names].median().map(lambda eps: f"{eps:.1e}" if eps == eps else "rejects")
    table["orders finer"] = groups.orders_finer.median().round(1)
    table.insert(1, "units", groups.units.median().round(1))
    return table.reset_index()


def floor_distribution(floor: pd.DataFrame) -> pd.DataFrame:
    edges = [0, 8, 32, 128, 1024, math.inf]
    names = ["up to 8", "to 32", "to 128", "to 1,024", "more"]
    band = pd.cut(floor.units, edges, labels=names).cat.add_categories("none").fillna("none")
    table = floor.assign(band=band).groupby(["dtype", "order", "band"], observed=False).size().unstack("band")
    return table.reset_index()


def as_table(frame: pd.DataFrame) -> str:
    """A table in Markdown."""
    cells = [[str(name) for name in frame.columns], ["---"] * len(frame.columns)]
    cells += [["" if value != value else str(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells) + "\n"
