"""The comparison of two runs as text for people, as Markdown for a pull request, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from oracles.diff import Changes

AT_MOST = 15
"""Rows of a table that people are shown; JSON has all."""


def text(changes: Changes) -> str:
    """Headlines, then tables in columns."""
    parts = ["\n".join(changes.lines())]
    for title, table in changes.tables().items():
        rows = [[*map(str, table.columns)], *cells(table)]
        numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        sides = [">" if right else "<" for right in numeric]
        lines = ["  ".join(f"{c:{side}{n}}" for c, side, n in zip(row, sides, widths, strict=True)) for row in rows]
        parts.append("\n".join([title, *(f"  {line}".rstrip() for line in lines), *left_out(table, "  ")]))
    return "\n\n".join(parts)


def markdown(changes: Changes) -> str:
    """Headlines as a list, then tables."""
    parts = ["\n".join(f"- {line}" for line in changes.lines())]
    for title, table in changes.tables().items():
        rows = [[*map(str, table.columns)], ["---"] * len(table.columns), *cells(table)]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        parts.append("\n".join([f"### {title}", "", *lines, *("\n" + line for line in left_out(table))]))
    return "\n\n".join(parts)


def as_json(changes: Changes) -> str:
    """Everything, with all digits."""
    tables = {title: json.loads(table.to_json(orient="records")) for title, table in changes.tables().items()}
    return json.dumps({"worse": changes.worse, "lines": changes.lines(), "tables": tables}, indent=1)


PRINTED: dict[str, Callable[[Changes], str]] = {"text": text, "md": markdown, "json": as_json}
"""How the comparison is printed, by the name of the format."""


def cells(table: pd.DataFrame) -> list[list[str]]:
    """The first rows, written out."""
    return [[*map(cell, row)] for row in table.head(AT_MOST).itertuples(index=False)]


def cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    return str(value)


def left_out(table: pd.DataFrame, indent: str = "") -> list[str]:
    more = len(table) - AT_MOST
    return [f"{indent}and {more:,} more rows, which --format json has"] * (more > 0)
