"""The matrix of functions and parties: a table per dtype and order, a cell per function and party."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from oracles.report.plots import small
from oracles.verdict import Label

MARKS = {
    "wrong": "✗",
    "structure": "▢",
    "errored": "↯",
    "undecided": "?",
    "unstable": "~",
    "kink-chain": "⋈",
    "convention": "◇",
    "edge": "⊣",
}
"""What stands for a label in a cell, followed by how many cases have it."""

MILD = ("convention", "edge")
"""Labels that hold nothing against anybody."""

AT_KINKS = (Label.CONVENTION, Label.KINK_CHAIN, Label.EDGE, Label.NONFINITE)


def views(tables: Mapping[str, pd.DataFrame], parties: Sequence[str]) -> list[dict[str, Any]]:
    """A view per dtype and order: float64 first, as is order 1."""
    functions, errors = tables["functions"], tables["errors"]
    keys = ["dtype", "order", "function", "party"]
    counted = {tuple(row[key] for key in keys): row for row in functions.to_dict("records")}
    binned: dict[tuple[Any, ...], dict[float, Any]] = {}
    for row in errors.to_dict("records"):
        binned.setdefault(tuple(row[key] for key in keys), {})[row["magnitude"]] = row
    pairs = functions[["dtype", "order"]].drop_duplicates().itertuples(index=False)
    found = []
    for dtype, order in sorted(pairs, key=lambda pair: (pair[0] != "float64", pair[1])):
        at = functions[(functions["dtype"] == dtype) & (functions["order"] == order)]
        rows = []
        for function in sorted(at["function"].unique(), key=str.lower):
            places = [(dtype, order, function, party) for party in parties]
            rows.append(
                {
                    "function": function,
                    "cells": [cell(counted.get(place)) for place in places],
                    "pictures": [small(binned.get(place, {})) for place in places],
                }
            )
        found.append({"id": f"{dtype}-{order}", "dtype": dtype, "order": order, "rows": rows})
    return found


def cell(row: Mapping[Any, Any] | None) -> dict[str, str]:
    """What a cell says: ULPs, or in a word why there are none; and marks for labels that are not mere agreement."""
    if row is None:
        return {"word": "not run", "grave": "", "mild": ""}
    able = row["n"] - row["unsupported"]
    marks = {label: f"{mark}{row[label]}" for label, mark in MARKS.items() if row[label]}
    said = {"grave": " ".join(mark for label, mark in marks.items() if label not in MILD)}
    said |= {"mild": " ".join(mark for label, mark in marks.items() if label in MILD)}
    if not able:
        return said | {"word": "unsupported"}
    if row["errored"] + row["structure"] == able:
        return said | {"word": "errored" if row["errored"] else "structure"}
    if sum(row[label.value] for label in AT_KINKS) == able:
        return said | {"word": "convention" if row["convention"] else "edge" if row["edge"] else "nonfinite"}
    return said | {"word": "", "median": short(row["ulp_median"]), "max": short(row["ulp_max"])}


def short(ulp: float) -> str:
    """A number of ULPs in few characters."""
    if ulp < 10_000:
        return f"{ulp:g}" if ulp % 1 == 0.5 else f"{ulp:.0f}"
    mantissa, _, exponent = f"{ulp:.0e}".partition("e+")
    return f"{mantissa}e{int(exponent)}"
