"""From tables to pages: ``index.html``, ``summary.md``, and a CSV file beside every table."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from oracles.cases import write_text
from oracles.errors import UsageError
from oracles.journal import PREVIOUS, Run, read_run
from oracles.quotas import missed
from oracles.report import findings, matrix, plots
from oracles.report.frames import LABELS, MAGNITUDES, ULPS, UNSTABLE, frames
from oracles.verdict import RULES, Label

LIMIT = 1_000_000
"""Bytes that a page may have."""

FEWEST = 12
"""So many findings are shown in full before pictures are left out."""

SHOWN_VALUES = 20
"""Of functions and shapes there are more, which only the table has."""


def census_lines(census: pd.DataFrame) -> list[dict[str, Any]]:
    """The census in short: a line for what is counted, with as many of its values as fit."""
    return [
        {"what": what, "values": len(rows), "shown": rows.head(SHOWN_VALUES).to_dict("records")}
        for what, rows in census.groupby("what", sort=False)
    ]


def present(labels: pd.DataFrame) -> pd.DataFrame:
    """Without the labels that nobody has."""
    return labels.drop(columns=[label for label in LABELS if not labels[label].any()])


def crossed(table: pd.DataFrame, rows: str, cells: pd.Series, parties: Sequence[str]) -> list[dict[str, Any]]:
    """A table with a line per value of a column, and a cell per party, which holds what `cells` has in its lines."""
    joined = table.assign(cell=cells).groupby([rows, "party"], sort=False)["cell"].agg(", ".join)
    return [
        {rows: value, "cells": [joined.get((value, party), "") for party in parties]}
        for value in dict.fromkeys(table[rows])
    ]


def changes_since(previous: Path, run: Run) -> dict[str, Any] | None:
    """What changed since the run before in the same folder, if there was one."""
    if not previous.exists():
        return None
    # What compares runs leans on their tables, and so on this package.
    from oracles.diff import compare

    try:
        changes = compare(read_run(previous), run)
        return {"lines": changes.lines(), "tables": changes.tables()}
    except (UsageError, KeyError, TypeError, AttributeError):
        return {"lines": ["The journal of the previous run is of another format, and is not compared."], "tables": {}}


def context(run: Run, folder: Path) -> dict[str, Any]:
    """Everything that the pages show."""
    tables = frames(run, folder.as_posix())
    header, cases, conventions, laws = run.header, tables["cases"], tables["conventions"], tables["laws"]
    parties = [header["subject"], *header["oracles"]]
    once = cases.drop_duplicates("case")
    broken = laws["broken"].map(lambda count: f", {count:,} broken" if count else "")
    chosen = conventions.sort_values(["event", "party", "elements"], ascending=[True, True, False])
    timings = tables["timings"]
    return {
        "header": header,
        "footer": run.footer,
        "subject": header["subject"],
        "parties": parties,
        "versions": header["versions"],
        "per_dtype": once.groupby("dtype", observed=True)["case"].count().to_dict(),
        "vacuous": int(once["vacuous"].sum()),
        "tables": tables,
        "changes": changes_since(folder / PREVIOUS, run),
        "findings": [findings.shown(record, folder.as_posix()) for record in findings.in_order(run)],
        "views": matrix.views(tables, parties),
        "marks": matrix.MARKS,
        "ulps": [plots.SHORT.get(name, name) for name in ULPS],
        "magnitudes": MAGNITUDES,
        "labels": present(tables["labels"]),
        "rules": {label.value: rule for label, rule in RULES.items()},
        "laws": crossed(laws, "law", laws["answers"].map("{:,}".format) + broken, parties),
        "conventions": crossed(chosen, "event", chosen["choice"] + chosen["elements"].map(" {:,}".format), parties),
        "timings_plot": plots.timings_plot(timings, parties) if len(timings) else "",
        "accuracy_plot": plots.accuracy_plot(cases, parties),
        "unstable_from": UNSTABLE,
        "missed": missed(run.footer["quotas"]),
        "census": census_lines(tables["census"]),
        "folder": folder.as_posix(),
        "told_labels": [label.value for label in Label],
    }


def environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("oracles", "templates"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    env.filters["count"] = lambda n: f"{int(n):,}"
    env.filters["percent"] = lambda x: f"{float(x):.3%}" if x < 1e-3 else f"{float(x):.1%}"
    env.filters["three"] = lambda x: "" if pd.isna(x) else f"{float(x):.3g}"
    env.filters["whole"] = lambda x: "" if pd.isna(x) else f"{float(x):,.0f}" if float(x) < 1e6 else f"{float(x):.1e}"
    return env


def csv_name(title: str) -> str:
    """The file that a table of changes has, by its title."""
    return f"changes-{'-'.join(re.findall('[a-z]+', title.lower()))}.csv"


def fitting(template: jinja2.Template, shown: Mapping[str, Any]) -> str:
    """The page, with as much as its limit allows: findings in full, the others being a line each; then pictures."""
    full, pictured = len(shown["findings"]), len(shown["views"])
    while True:
        text = template.render(**shown, full=full, pictured=pictured)
        if len(text.encode()) <= LIMIT or not (full or pictured):
            return text
        if full > FEWEST or not pictured:
            full -= min(full, 4)
        else:
            pictured -= 1


def write_reports(run: Run, folder: Path) -> dict[str, Any]:
    """Write the tables and pages of a run into its folder; returns what the pages show."""
    shown = context(run, folder)
    tables = {f"{name}.csv": frame for name, frame in shown["tables"].items()}
    for stale in folder.glob("changes-*.csv"):
        stale.unlink()
    if shown["changes"]:
        tables |= {csv_name(title): frame for title, frame in shown["changes"]["tables"].items()}
    for name, frame in tables.items():
        text = io.StringIO()
        frame.to_csv(text, index=False, lineterminator="\n")
        write_text(folder / name, text.getvalue())
    env = environment()
    env.filters["csv_name"] = csv_name
    write_text(folder / "summary.md", env.get_template("summary.md.j2").render(**shown))
    write_text(folder / "index.html", fitting(env.get_template("index.html.j2"), shown))
    return shown
