"""The tables of a run, gathered in one pass over its journal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from minigrad.programs import decode_array
from oracles.census import Census
from oracles.exact import Status
from oracles.findings import nobody_agrees
from oracles.journal import Run
from oracles.verdict import Label

LABELS = [label.value for label in Label]

WITHOUT_DISTANCE = [label.value for label in (Label.UNSUPPORTED, Label.ERRORED, Label.STRUCTURE)]

ULPS = {"0": 0, "1": 1, "2": 2, "4": 4, "8": 8, "16": 16, "64": 64, "1024": 2**10, "1048576": 2**20, "more": math.inf}
"""The bins of histograms: their names, and up to how many ULPs they go."""

MAGNITUDES = (0.0, 1e-30, 1e-6, 1e-2, 1.0, 10.0, 100.0, 1e4, 1e30)
"""Where the bins of magnitudes begin."""

UNSTABLE = 0.2
"""Times are unstable if in the median case the repetitions' interquartile range exceeds this share of their median."""


class Gathering(Protocol):
    """What looks at every case once, and is a table then."""

    def add(self, record: Mapping[str, Any]) -> None: ...


class CaseTable:
    """A row per case, party and order, kept by column: a long run has millions of rows."""

    COLUMNS = (
        *("case", "name", "dtype", "order", "party", "label", "units", "ulp", "where", "why", "steps", "forks"),
        *("functions", "events", "magnitude", "vacuous", "law", "broken", "seconds"),
    )
    FEW = ("dtype", "party", "label", "law")

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in self.COLUMNS}

    def add(self, record: Mapping[str, Any]) -> None:
        shared = {
            "case": record["id"],
            "name": record["origin"].get("name", ""),
            "dtype": record["dtype"],
            "steps": len(record["functions"]),
            "forks": record["forks"],
            "functions": " ".join(record["functions"]),
            "events": "; ".join(f"({e['step']}) {e['what']}" for e in record["events"]),
            "magnitude": magnitude(record),
            "vacuous": record["vacuous"],
            "seconds": record["seconds"],
        }
        for verdict in record["verdicts"]:
            row = {"law": "", "broken": False} | verdict | shared | {"units": float(verdict["units"])}
            for name, column in self.columns.items():
                column.append(row[name])

    def frame(self) -> pd.DataFrame:
        ulp = np.array(self.columns["ulp"], np.uint64)
        return pd.DataFrame(self.columns | {"ulp": ulp}).astype(dict.fromkeys(self.FEW, "category"))


def magnitude(record: Mapping[str, Any]) -> float:
    """The largest finite number among the inputs, whatever its sign."""
    sizes = (abs(float.fromhex(x)) for array in record["inputs"] for x in array["data"])
    return max((size for size in sizes if math.isfinite(size)), default=0.0)


def cases_frame(run: Run) -> pd.DataFrame:
    """The rows of ``cases.csv``."""
    [cases] = gathered(run, CaseTable())
    return plain(cases.frame())


def gathered(run: Run, *tables: Gathering) -> tuple[Any, ...]:
    """The tables, once each was shown every case."""
    for record in run.cases:
        for table in tables:
            table.add(record)
    return tables


def by_function(cases: pd.DataFrame) -> pd.DataFrame:
    """A row per case, order, party and function: a case counts towards every function that occurs in it."""
    once = cases["functions"].map(lambda names: tuple(dict.fromkeys(names.split())))
    needed = cases[["dtype", "order", "party", "label", "ulp", "magnitude"]]
    each = needed.assign(function=once).explode("function")
    return each.astype({"function": "category", "ulp": float})


def functions_frame(cases: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``functions.csv``."""
    return counts_frame(by_function(cases))


def counts_frame(each: pd.DataFrame) -> pd.DataFrame:
    """Function by dtype, order and party: how many cases, which labels, how many ULPs apart."""
    keys = ["function", "dtype", "order", "party"]
    counts = each.groupby([*keys, "label"], observed=True).size().unstack("label", fill_value=0)
    counts.columns = [str(label) for label in counts.columns]
    counts = counts.reindex(columns=LABELS, fill_value=0)
    distance = each[~each["label"].isin(WITHOUT_DISTANCE)].groupby(keys, observed=True)["ulp"]
    spread = {"ulp_median": distance.median(), "ulp_p99": distance.quantile(0.99), "ulp_max": distance.max()}
    table = counts.join(pd.DataFrame(spread))
    table.insert(0, "n", counts.sum(axis=1))
    return plain(table.reset_index()).sort_values(keys, ignore_index=True)


def errors_frame(each: pd.DataFrame) -> pd.DataFrame:
    """Function by dtype, order, party and magnitude of the inputs: a histogram of ULPs, their median and maximum."""
    judged = each[~each["label"].isin(WITHOUT_DISTANCE)]
    place = np.searchsorted(MAGNITUDES, judged["magnitude"], side="right") - 1
    binned = judged.assign(magnitude=np.array(MAGNITUDES)[place], bin=np.searchsorted([*ULPS.values()], judged["ulp"]))
    keys = ["function", "dtype", "order", "party", "magnitude"]
    groups = binned.groupby(keys, observed=True)
    counts = binned.groupby([*keys, "bin"], observed=True).size().unstack("bin", fill_value=0)
    counts = counts.reindex(columns=range(len(ULPS)), fill_value=0)
    counts.columns = [f"ulp_{name}" for name in ULPS]
    table = counts.assign(n=groups.size(), ulp_median=groups["ulp"].median(), ulp_max=groups["ulp"].max())
    table = table[["n", "ulp_median", "ulp_max", *counts.columns]]
    return plain(table.reset_index()).sort_values(keys, ignore_index=True)


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """The same with words for categories, which sort by their place and not by their letters."""
    words = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(words, str))


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


def labels_frame(cases: pd.DataFrame) -> pd.DataFrame:
    """Party by dtype and order: how many cases have which label."""
    counts = cases.groupby(["party", "dtype", "order", "label"], observed=True).size().unstack("label", fill_value=0)
    counts.columns = [str(label) for label in counts.columns]
    table = counts.reindex(columns=LABELS, fill_value=0)
    table.insert(0, "n", counts.sum(axis=1))
    return plain(table.reset_index()).sort_values(["party", "dtype", "order"], ignore_index=True)


def laws_frame(cases: pd.DataFrame) -> pd.DataFrame:
    """Law by party: how many answers were put to it, and how many broke it."""
    groups = cases[cases["law"] != ""].groupby(["law", "party"], observed=True)["broken"]
    return plain(groups.agg(answers="count", broken="sum").reset_index()).sort_values(["law", "party"])


class TimingTable:
    """Party by dtype and phase: quartiles of microseconds, and the median ratio to PyTorch, case by case."""

    COLUMNS = ("party", "dtype", "phase", "n", "q1_us", "median_us", "q3_us", "ratio_to_torch", "spread", "unstable")

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, record: Mapping[str, Any]) -> None:
        for party, phases in record["timings"].items():
            for phase, seconds in phases.items():
                q1, median, q3 = np.quantile(seconds, (0.25, 0.5, 0.75))
                row = {"party": party, "dtype": record["dtype"], "phase": phase, "case": record["id"]}
                self.rows.append(row | {"us": 1e6 * median, "spread": (q3 - q1) / median})

    def frame(self) -> pd.DataFrame:
        if not self.rows:
            return pd.DataFrame(columns=self.COLUMNS)
        frame = pd.DataFrame(self.rows)
        torch = frame[frame["party"] == "torch"].rename(columns={"us": "torch_us"}).drop(columns=["party", "spread"])
        frame = frame.merge(torch, on=["dtype", "phase", "case"], how="left")
        frame["ratio"] = frame["us"] / frame["torch_us"]
        groups = frame.groupby(["party", "dtype", "phase"])
        columns = {
            "n": groups["us"].count(),
            "q1_us": groups["us"].quantile(0.25),
            "median_us": groups["us"].median(),
            "q3_us": groups["us"].quantile(0.75),
            "ratio_to_torch": groups["ratio"].median(),
            "spread": groups["spread"].median(),
        }
        table = pd.DataFrame(columns)
        return table.assign(unstable=table["spread"] > UNSTABLE).reset_index()


class ConventionTable:
    """What the parties choose where there is a choice: how many elements of their answers, event by event."""

    COLUMNS = ("event", "party", "choice", "elements")

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, record: Mapping[str, Any]) -> None:
        met = sorted({event["what"] for event in record["events"]})
        for order, truths in record["truth"].items():
            for place, truth in enumerate(truths):
                if "status" in truth:
                    answers = record["values"].get(order, {}).items()
                    self.note(met, truth, {party: arrays[place] for party, arrays in answers if place < len(arrays)})

    def note(self, met: Iterable[str], truth: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
        status, bounds = np.array(truth["status"]), [decode_array(truth[bound]) for bound in ("low", "high")]
        for kind in (Status.KINK, Status.EDGE):
            event = ", ".join(what for what in met if what.startswith(kind.name.lower()))
            at = status == kind
            if not event or not at.any():
                continue
            for party, array in answers.items():
                mine = np.zeros(at.shape) if array is None else decode_array(array)
                if mine.shape == at.shape:
                    chosen = zip(mine[at], *(bound[at] for bound in bounds), strict=True)
                    self.counts.update((event, party, choice(kind, *map(float, numbers))) for numbers in chosen)

    def frame(self) -> pd.DataFrame:
        rows = [(*key, count) for key, count in sorted(self.counts.items())]
        return pd.DataFrame(rows, columns=self.COLUMNS)


def choice(kind: Status, mine: float, low: float, high: float) -> str:
    """A choice in words that hold whatever the cotangent's sign."""
    if mine == 0:
        return "zero"
    if kind == Status.EDGE or not math.isfinite(mine):
        return "NaN" if math.isnan(mine) else "infinite" if math.isinf(mine) else "a number"
    if not math.isfinite(high - low) or low == high:
        return "a number"
    share = round((mine - low) / (high - low), 6)
    if share in (0, 1):
        return "an end"
    return "the middle" if share == 0.5 else "in between" if 0 < share < 1 else "outside"


def census_frame(census: Census) -> pd.DataFrame:
    """What the drawn cases have, value by value."""
    return pd.DataFrame(census.rows(), columns=["what", "value", "cases", "share"])


def findings_frame(run: Run, folder: str) -> pd.DataFrame:
    """A row per shrunk case: what it shows about whom, and how to see it again."""
    rows = []
    for record in run.footer["shrunk"]:
        mark, verdict = record["fingerprint"], verdict_on_the_accused(record)
        row = {"id": record["id"], "party": record["accused"], "label": mark["label"], "order": mark["order"]}
        row |= {"dtype": record["dtype"], "functions": mark["function"], "events": mark["event"]}
        row |= {"where": verdict.get("where", ""), "why": verdict.get("why", ""), "known": record["known"]}
        row |= {"nobody_agrees": nobody_agrees(record, mark["order"])}
        rows.append(row | {"found_as": record["found_as"], "reproduce": reproduce(record, folder)})
    columns = ["id", "party", "label", "order", "dtype", "functions", "events", "where", "why", "known"]
    return pd.DataFrame(rows, columns=[*columns, "nobody_agrees", "found_as", "reproduce"])


def verdict_on_the_accused(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The verdict that a shrunk case is about, or nothing where it shows no more."""
    mark = record["fingerprint"]
    its = [v for v in record["verdicts"] if (v["party"], v["order"]) == (record["accused"], mark["order"])]
    return its[0] if its else {}


def reproduce(record: Mapping[str, Any], folder: str) -> str:
    return f"python {folder}/repro/{record['id']}.py"


def in_order(table: pd.DataFrame, parties: Sequence[str]) -> pd.DataFrame:
    """The subject first, and float64 before float32."""
    if table.empty:
        return table
    place = {party: number for number, party in enumerate(parties)}
    keys = pd.DataFrame({"party": table["party"].map(place), "dtype": table["dtype"] != "float64"})
    return table.loc[keys.sort_values(["party", "dtype"], kind="stable").index].reset_index(drop=True)


def frames(run: Run, folder: str) -> dict[str, pd.DataFrame]:
    """Every table by its name, which is that of its CSV file."""
    tables = gathered(run, CaseTable(), TimingTable(), ConventionTable(), Census(run.header["subject"]))
    gathered_cases, timings, conventions, census = tables
    cases = gathered_cases.frame()
    each = by_function(cases)
    functions = counts_frame(each)
    parties = [run.header["subject"], *run.header["oracles"]]
    return {
        "cases": cases,
        "findings": findings_frame(run, folder),
        "functions": functions,
        "errors": errors_frame(each),
        "labels": in_order(labels_frame(cases), parties),
        "laws": laws_frame(cases),
        "accuracy": in_order(accuracy_frame(functions), parties),
        "timings": in_order(timings.frame(), parties),
        "census": census_frame(census),
        "quotas": pd.DataFrame(run.footer["quotas"], columns=["quota", "count", "least", "why"]),
        "conventions": conventions.frame(),
    }
