"""What is known of a function besides its rule: domain, who chooses what at its kinks, how accurate everybody is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import minigrad.rules
from oracles import atlas, known
from oracles.cases import Case
from oracles.catalogue import Interval, Row
from oracles.named import NAMED
from oracles.verdict import Label

MEASURED = ("ulp_median", "ulp_p99", "ulp_max")

GROUPS = 12
"""Kinds of points that are listed; the atlas has all."""


def domain(row: Row) -> list[str]:
    """Where programs evaluate the function, where it bends or ends, and what minigrad says there."""
    lines = [f"operands: {', then '.join(dict.fromkeys(map(interval, row.domain)))}"]
    if row.event:
        kind, _, what = row.event.partition(": ")
        lines.append(f"{kind}: {what}")
    return lines + [f"minigrad at a kink: {policy}" for policy in policies(row.name)]


def interval(numbers: Interval) -> str:
    """An interval in the usual notation."""
    if (numbers.low, numbers.high) == (-float("inf"), float("inf")):
        text = "every finite number"
    else:
        low = "(" if numbers.open_low or numbers.low == -float("inf") else "["
        high = ")" if numbers.open_high or numbers.high == float("inf") else "]"
        text = f"{low}{numbers.low:g}, {numbers.high:g}{high}".replace("inf", "∞")
    text += "" if numbers.hole is None else f" but {numbers.hole:g}"
    return text + " and NaN" * numbers.nan


def policies(name: str) -> list[str]:
    """What the rules' own documentation says of a function at its kinks."""
    short = {"absolute": "abs"}.get(name, name.rpartition(".")[2])
    told = (minigrad.rules.__doc__ or "").partition("\n- ")[2].replace("\n- ", ";")
    clauses = [" ".join(clause.split()).rstrip(".") for clause in told.split(";")]
    named = {clause: " ".join(re.findall("``(.*?)``", clause)).split() for clause in clauses}
    return [clause.replace("`", "") for clause, names in named.items() if short in names]


def choices(row: Row, parties: Sequence[str]) -> list[str]:
    """What everybody returns at kinks and edges, beside the truth; points at which all say the same are one."""
    spots = atlas.spots([row.name], "float64", 1)
    lines = [atlas.line_of(atlas.look(spot, parties)) for spot in spots]
    groups: dict[tuple[str, ...], list[atlas.Line]] = {}
    for line in lines:
        if line.is_break:
            said = [spoken(cell) for cell in line.cells]
            groups.setdefault((line.call, line.truth, *said), []).append(line)
    told = [text for some in [*groups.values()][:GROUPS] for text in group(some, parties)]
    if len(groups) > GROUPS:
        told.append(f"and {len(groups) - GROUPS} more kinds of points: python -m oracles atlas --function {row.name}")
    off = [f"{each.party} is {each.label} in {each.call} at {each.shown}" for each in atlas.faults(lines, parties)]
    off = off or [f"nobody is off at any of its {len(lines)} special points"]
    return [*told, *off]


def spoken(cell: atlas.Cell) -> str:
    """What a party returned; which zero matters only where it is called off."""
    return f"{cell.text} ({cell.mark})" if cell.mark else atlas.zeros_alike(cell.text)


def group(lines: Sequence[atlas.Line], parties: Sequence[str]) -> list[str]:
    """Points at which the same is said: where, what is true, and who returns what."""
    points = [line.words for line in lines]
    more = f"; {len(points) - 4} more" if len(points) > 4 else ""
    said: dict[str, list[str]] = {}
    for party, cell in zip(parties, lines[0].cells, strict=True):
        said.setdefault(spoken(cell), []).append(party)
    returned = [f"{', '.join(who)}: {what}" for what, who in said.items()]
    return [
        f"{lines[0].call} at {'; '.join(points[:4])}{more}",
        f"    truth: {lines[0].truth}",
        *(f"    {each}" for each in returned),
    ]


def record(name: str) -> list[str]:
    """Where the others mean something else by it, or are known to be off."""
    lines = [
        f"{entry['party']} means something else: {known.cited(entry['reason'], entry['cite'])}"
        for entry in known.entries()["semantics"]
        if entry["function"] == name
    ]
    for found in known.findings():
        if name in functions_of(found.case()):
            at = ", ".join(f"{operand} = {value}" for operand, value in found.at.items())
            where = f"{found.call} at {at}, {found.dtype}, order {found.order}"
            lines.append(f"{found.party} {found.versions}: {found.label} in {where}: {found.explanation}")
    return lines


def accuracy(name: str, run: Path) -> list[str]:
    """How far everybody's answers were from the truth in a run, and what else they were called."""
    path = run / "functions.csv"
    if not path.exists():
        return [f"no {path}: python -m oracles verify measures it"]
    table = pd.read_csv(path)
    if not {"function", *MEASURED} <= {*table.columns}:
        return [f"{path} is of another version: python -m oracles report {run} rebuilds it"]
    own = table[table["function"] == name]
    if own.empty:
        return [f"{path} has no case with it: python -m oracles verify --examples 2000 has more"]
    plain = {Label.AGREES, Label.ILL_CONDITIONED, Label.UNSUPPORTED}
    rows = [("dtype", "order", "party", "cases", "median", "p99", "max", "labels besides agrees")]
    for row in own.to_dict("records"):
        labels = [f"{row[label]} {label}" for label in Label if label not in plain and row.get(label)]
        ulps = [written(row[column]) for column in MEASURED]
        rows.append((row["dtype"], str(row["order"]), row["party"], str(row["n"]), *ulps, ", ".join(labels)))
    return columns(rows)


def written(ulps: float) -> str:
    """A distance in ULPs: those of answers that are off by far in two digits."""
    return "" if pd.isna(ulps) else f"{ulps:,.3g}" if ulps < 1e4 else f"{ulps:.0e}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def functions_of(case: Case) -> set[str]:
    return {step.function for step in case.program.steps}


def programs(name: str, run: Path) -> list[str]:
    """The named systems that have it, and cases of a run, the shortest first."""
    lines = []
    systems = [each.title for each in NAMED if name in functions_of(each.case("float64"))]
    if systems:
        lines.append(f"of the course notes: {'; '.join(systems)}")
    if (run / "cases.csv").exists():
        cases = pd.read_csv(run / "cases.csv", usecols=["case", "steps", "functions"]).drop_duplicates("case")
        own = cases[[name in functions.split() for functions in cases["functions"].fillna("")]].sort_values("steps")
        lines.append(f"{len(own):,} of {len(cases):,} cases of {run}")
        lines += [f"  python -m oracles repro {case} --run {run}" for case in own["case"].head(2)]
    return lines or [f"none yet: python -m oracles verify draws some, into {run}"]
