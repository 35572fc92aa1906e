"""From a journal to tables and pages.  Needs pandas and jinja2, and neither an engine nor a framework.

``reports/README.md`` is the dictionary of every file and column written here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from minigrad.programs import Program, decode_array
from oracles.cases import write_text
from oracles.census import Census
from oracles.journal import Run
from oracles.quotas import missed
from oracles.verdict import FATAL, FINDINGS, RULES, Label


def cases_frame(run: Run) -> pd.DataFrame:
    """A row per case, party and order."""
    rows = [
        {
            "case": record["id"],
            "name": record["origin"].get("name", ""),
            "dtype": record["dtype"],
            "order": verdict["order"],
            "party": verdict["party"],
            "label": verdict["label"],
            "units": float(verdict["units"]),
            "ulp": verdict["ulp"],
            "where": verdict["where"],
            "why": verdict["why"],
            "steps": len(record["functions"]),
            "forks": record["forks"],
            "functions": " ".join(record["functions"]),
            "events": "; ".join(f"({e['step']}) {e['what']}" for e in record["events"]),
            "vacuous": record["vacuous"],
            "law": verdict.get("law", ""),
            "broken": verdict.get("broken", False),
            "seconds": record["seconds"],
        }
        for record in run.cases
        for verdict in record["verdicts"]
    ]
    return pd.DataFrame(rows)


def functions_frame(cases: pd.DataFrame) -> pd.DataFrame:
    """Function by dtype, order and party: how many cases, which labels, how many ULPs apart.

    A case counts towards every function that occurs in it.
    """
    each = cases.assign(function=cases["functions"].str.split()).explode("function")
    each = each.drop_duplicates(["case", "order", "party", "function"])
    keys = ["function", "dtype", "order", "party"]
    counts = each.pivot_table(index=keys, columns="label", values="case", aggfunc="count", fill_value=0)
    counts = counts.reindex(columns=[label.value for label in Label], fill_value=0)
    judged = each[~each["label"].isin([Label.UNSUPPORTED.value, Label.ERRORED.value, Label.STRUCTURE.value])]
    distance = judged.astype({"ulp": float}).groupby(keys)["ulp"]
    spread = pd.DataFrame(
        {"ulp_median": distance.median(), "ulp_p99": distance.quantile(0.99), "ulp_max": distance.max()}
    )
    table = counts.join(spread)
    table.insert(0, "n", each.groupby(keys)["case"].count())
    return table.reset_index()


def accuracy_frame(functions: pd.DataFrame) -> pd.DataFrame:
    """Party by dtype and order: over how many functions, and the medians over these of their ULPs from the truth.

    A case's distance is that of its worst element.
    """
    told = functions[functions["ulp_median"].notna()]
    groups = told.groupby(["party", "dtype", "order"])
    table = groups[["ulp_median", "ulp_p99", "ulp_max"]].median()
    table.insert(0, "functions", groups["function"].count())
    table.insert(1, "within_one", groups["ulp_median"].apply(lambda ulp: int((ulp <= 1).sum())))
    return table.reset_index()


def timings_frame(run: Run) -> pd.DataFrame:
    """Party by dtype and phase: quartiles of microseconds, and the median ratio to PyTorch, case by case."""
    rows = [
        {
            "party": party,
            "dtype": record["dtype"],
            "phase": phase,
            "case": record["id"],
            "us": 1e6 * float(np.median(s)),
        }
        for record in run.cases
        for party, phases in record["timings"].items()
        for phase, s in phases.items()
    ]
    columns = ["party", "dtype", "phase", "n", "q1_us", "median_us", "q3_us", "ratio_to_torch"]
    if not rows:
        return pd.DataFrame(columns=columns)
    frame = pd.DataFrame(rows)
    torch = frame[frame["party"] == "torch"].rename(columns={"us": "torch_us"}).drop(columns="party")
    frame = frame.merge(torch, on=["dtype", "phase", "case"], how="left")
    frame["ratio"] = frame["us"] / frame["torch_us"]
    groups = frame.groupby(["party", "dtype", "phase"])
    table = pd.DataFrame(
        {
            "n": groups["us"].count(),
            "q1_us": groups["us"].quantile(0.25),
            "median_us": groups["us"].median(),
            "q3_us": groups["us"].quantile(0.75),
            "ratio_to_torch": groups["ratio"].median(),
        }
    )
    return table.reset_index()[columns]


def census_frame(run: Run) -> pd.DataFrame:
    """What the drawn cases have, value by value."""
    census = Census(run.header["subject"])
    for record in run.cases:
        census.add(record)
    return pd.DataFrame(census.rows(), columns=["what", "value", "cases", "share"])


SHOWN_VALUES = 20
"""Of functions and shapes there are more, which only the table has."""


def census_lines(census: pd.DataFrame) -> list[dict[str, Any]]:
    """The census in short: a line for what is counted, with as many of its values as fit."""
    return [
        {"what": what, "values": len(rows), "shown": rows.head(SHOWN_VALUES).to_dict("records")}
        for what, rows in census.groupby("what", sort=False)
    ]


def shown_case(record: Mapping[str, Any]) -> dict[str, Any]:
    """A case that failed or was found, as the pages show it."""
    program = Program.from_data(record["program"])
    telling = [v for v in record["verdicts"] if v["label"] in FINDINGS]
    inputs = {
        declared.name: np.array2string(decode_array(x), separator=", ", floatmode="unique")
        for declared, x in zip(program.inputs, record["inputs"], strict=True)
    }
    values = []
    for order in sorted({v["order"] for v in telling}):
        truths = {"the truth": [truth["value"] for truth in record["truth"].get(str(order), [])]}
        for party, arrays in [*truths.items(), *record["values"].get(str(order), {}).items()]:
            for name, array in zip(record["names"][str(order)], arrays, strict=False):
                for index, value in entries(array):
                    values.append({"party": party, "name": f"{name}{index}", "value": value, "hex": float(value).hex()})
    # Elements on which all agree to the bit tell nothing.
    spellings: dict[str, set[str]] = {}
    for row in values:
        spellings.setdefault(row["name"], set()).add(row["hex"])
    values = [row for row in values if len(spellings[row["name"]]) > 1]
    values.sort(key=lambda row: row["name"])
    return {
        "id": record["id"],
        "found_as": record.get("found_as", record["id"]),
        "accused": record["accused"],
        "fingerprint": record["fingerprint"],
        "known": record["known"],
        "program": str(program),
        "inputs": inputs,
        "cotangent": np.array2string(decode_array(record["cotangent"]), separator=", ", floatmode="unique"),
        "verdicts": telling,
        "values": values[:60],
        "dtype": record["dtype"],
    }


def entries(array: Any) -> list[tuple[str, float]]:
    if array is None:
        return [("", 0.0)]
    decoded = decode_array(array)
    return [(str(list(index)) if index else "", float(decoded[index])) for index in np.ndindex(decoded.shape)]


def law_table(cases: pd.DataFrame) -> pd.DataFrame:
    """Law by party: how many answers were put to it, and how many broke it."""
    put = cases[cases["law"] != ""]
    if put.empty:
        return pd.DataFrame(columns=["law"])
    table = put.groupby(["law", "party"])["broken"].agg(["count", "sum"]).reset_index()
    cells = table["count"].map("{:,}".format) + table["sum"].map(lambda n: f", {n:,} broken" if n else "")
    return table.assign(cell=cells).pivot(index="law", columns="party", values="cell").fillna("").reset_index()


def label_table(cases: pd.DataFrame) -> pd.DataFrame:
    """Party and order by label: the counts that the summary shows."""
    table = cases.pivot_table(index=["party", "order"], columns="label", values="case", aggfunc="count", fill_value=0)
    present = [label.value for label in Label if label.value in table.columns]
    return table[present].reset_index()


def context(run: Run, folder: Path) -> dict[str, Any]:
    """Everything that the pages show."""
    cases = cases_frame(run)
    functions = functions_frame(cases)
    timings = timings_frame(run)
    census = census_frame(run)
    header, footer = run.header, run.footer
    subject = header["subject"]
    once = cases.drop_duplicates("case")
    matrix = functions[functions["order"] == functions["order"].min()].copy()
    matrix["bad"] = matrix[[label.value for label in FATAL]].sum(axis=1)
    excused = cases[cases["label"].isin([Label.CONVENTION.value, Label.EDGE.value])]
    excused = excused.assign(event=excused["events"].str.replace(r"\(\d+\) ", "", regex=True))
    by_event = excused.groupby(["party", "label", "event"])["case"].count().rename("n").reset_index()
    return {
        "header": header,
        "footer": footer,
        "subject": subject,
        "parties": [subject, *header["oracles"]],
        "passed": footer["verdict"] == "PASS",
        "per_dtype": once.groupby("dtype")["case"].count().to_dict(),
        "vacuous": int(once["vacuous"].sum()),
        "labels": label_table(cases),
        "laws": law_table(cases),
        "rules": {label.value: rule for label, rule in RULES.items()},
        "shrunk": [shown_case(record) for record in footer["shrunk"]],
        "functions": functions,
        "matrix": matrix,
        "accuracy": accuracy_frame(functions),
        "timings": timings,
        "conventions": by_event.sort_values("n", ascending=False).to_dict("records"),
        "quotas": footer["quotas"],
        "missed": missed(footer["quotas"]),
        "census": census_lines(census),
        "folder": folder.as_posix(),
        "frames": {"cases.csv": cases, "functions.csv": functions, "timings.csv": timings, "census.csv": census},
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


def write_reports(run: Run, folder: Path) -> dict[str, Any]:
    """Write the tables and pages of a run into its folder; returns what the pages show."""
    shown = context(run, folder)
    for name, frame in shown["frames"].items():
        text = io.StringIO()
        frame.to_csv(text, index=False, lineterminator="\n")
        write_text(folder / name, text.getvalue())
    env = environment()
    for name in ("summary.md", "index.html"):
        write_text(folder / name, env.get_template(f"{name}.j2").render(**shown))
    return shown
