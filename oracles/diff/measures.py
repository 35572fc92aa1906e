"""Distances from the truth and times in two runs, with what chance may do to them.

Answers to the same questions were not sampled: any difference between their distances is one.  Times are noisy even
so, and what differs from case to case is noisier; medians are then told apart only if their intervals are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from oracles.cases import FloatArray
from oracles.diff.answers import SIGMAS, Answers
from oracles.journal import Run
from oracles.report import accuracy_frame, functions_frame
from oracles.verdict import Label

UNJUDGED = [Label.UNSUPPORTED.value, Label.ERRORED.value, Label.STRUCTURE.value]
"""Labels of answers that have no distance from the truth."""

TWICE = 2.0
"""Distances that differ by less than this factor, or by one ULP, are not worth a row."""

SAME_SPEED = 1.1
"""Times within this factor are alike, however sure the difference is."""

TIME_SIGMAS = 3.0
"""What chance may do to a median of times: there are few of them, and few cases are timed."""

RIVALS = ("torch", "jax", "minigrad", "autograd", "mygrad")
"""Whose time the others' are divided by: the first that both runs timed, rather in the same version."""

SPREAD = {"median": 0.5, "p99": 0.99, "max": 1.0}
"""Of distances over a function's cases."""

KEYS = ["function", "dtype", "order", "party"]


def accuracy(both: Answers) -> pd.DataFrame:
    """Functions whose distances from the truth are others, with how many cases of each run say so."""
    return of_the_same_cases(both.same) if both.are_same else of_other_cases(both)


def of_the_same_cases(same: pd.DataFrame) -> pd.DataFrame:
    """Functions whose cases came nearer to the truth or went farther from it, those with most of theirs first."""
    names = {"functions_after": "functions", "dtype_after": "dtype"}
    cases = same[sound(same, "_before") & sound(same, "_after")].rename(columns=names)
    far, farther = is_far(cases["ulp_before"], cases["ulp_after"]), cases["ulp_before"] < cases["ulp_after"]
    each = by_function(cases.assign(farther=far & farther, nearer=far & ~farther))
    blamed = [pair for pair in each.groupby(KEYS[1:]) if pair[1][["farther", "nearer"]].any(axis=None)]
    rows = [(function, *key, *row) for key, group in blamed for function, row in blame(group)]
    measured = [f"{name}_{when}" for name in SPREAD for when in ("before", "after")]
    table = pd.DataFrame(rows, columns=[*KEYS, "cases", "farther", "nearer", *measured])
    table["reading"] = np.where(table["farther"] < table["nearer"], "nearer", "farther")
    share = table["farther"].add(table["nearer"]) / table["cases"]
    by = ["share", "cases", *KEYS]
    return table.assign(share=share).sort_values(by, ascending=[False, False, *[True] * 4], ignore_index=True)[
        table.columns
    ]


def blame(group: pd.DataFrame) -> Iterator[tuple[str, list[float]]]:
    """The fewest functions that account for the cases that moved, each with its cases, how many moved, and how far.

    A case in which several functions occur counts against the one that has most of its cases among those that moved.
    """
    group = group.assign(moved=group["farther"] | group["nearer"])
    share = group.groupby("function")["moved"].agg(["mean", "sum"]).sort_values(["mean", "sum"], ascending=False)
    waiting = {*group["case"][group["moved"]]}
    for function in share.index:
        own = group[group["function"] == function]
        if not waiting.isdisjoint(own["case"]):
            waiting -= {*own["case"]}
            spread = [own[f"ulp_{when}"].quantile(part) for part in SPREAD.values() for when in ("before", "after")]
            yield function, [len(own), own["farther"].sum(), own["nearer"].sum(), *spread]


def of_other_cases(both: Answers) -> pd.DataFrame:
    """Functions whose median over one run's cases cannot be that over the other's.

    The largest distances of two samples differ by chance alone, so that nothing is read from them.
    """
    each = [by_function(frame[sound(frame)]) for frame in (both.before, both.after)]
    old, new = (frame.groupby(KEYS)["ulp"].agg(["count", "median", interval]) for frame in each)
    table = old.add_suffix("_before").join(new.add_suffix("_after"), how="inner")
    apart = [a[1] < b[0] or b[1] < a[0] for a, b in zip(table["interval_before"], table["interval_after"], strict=True)]
    table = table[np.array(apart, bool) & is_far(table["median_before"], table["median_after"])]
    reading = np.where(table["median_after"] < table["median_before"], "nearer", "farther")
    names = {"count_before": "cases_before", "count_after": "cases_after"}
    columns = ["cases_before", "cases_after", "median_before", "median_after", "reading"]
    rows: pd.DataFrame = table.assign(reading=reading).rename(columns=names).reset_index()
    return rows[KEYS + columns]


def sound(answers: pd.DataFrame, suffix: str = "") -> pd.Series[bool]:
    """Which answers have a distance from the truth that no finding has told yet."""
    return ~answers[f"label{suffix}"].isin(UNJUDGED) & ~answers[f"tells{suffix}"].astype(bool)


def overall(both: Answers) -> pd.DataFrame:
    """Party by dtype and order: medians over all functions of their medians, 99th percentiles and maxima."""
    tables = [
        accuracy_frame(functions_frame(frame[frame["case"].isin(both.shared)] if both.are_same else frame))
        for frame in (both.before, both.after)
    ]
    keys, measured = ["party", "dtype", "order"], ["functions", "ulp_median", "ulp_p99", "ulp_max"]
    table = tables[0].merge(tables[1], on=keys, suffixes=("_before", "_after"))
    columns = [f"{name}_{when}" for name in measured for when in ("before", "after")]
    return table[keys + columns].rename(columns=lambda name: name.removeprefix("ulp_"))


def by_function(cases: pd.DataFrame) -> pd.DataFrame:
    """A row per function that occurs in a case."""
    each = cases.assign(function=cases["functions"].str.split()).explode("function")
    return each.drop_duplicates(["case", "order", "party", "function"])


def is_far(a: pd.Series[float], b: pd.Series[float]) -> FloatArray:
    """Whether two distances in ULPs are worth telling apart."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.asarray((high > TWICE * low) & (high - low > 1))


def interval(sample: Iterable[float], sigmas: float = SIGMAS) -> tuple[float, float]:
    """Between which two of a sample its population's median lies; without end where there are too few of them."""
    ranked = sorted(sample)
    half = sigmas * math.sqrt(len(ranked)) / 2
    low, high = math.floor(len(ranked) / 2 - half) - 1, math.ceil(len(ranked) / 2 + half)
    return (-math.inf, math.inf) if low < 0 or high >= len(ranked) else (ranked[low], ranked[high])


TIMED = ["party", "dtype", "phase"]


def speed(before: Run, after: Run, both: Answers) -> pd.DataFrame:
    """Party by dtype and phase: how many times as long, each divided by a rival's time for the same case and run."""
    rival = rival_of(before, after)
    old, new = (timed(run, both.subject, rival) for run in (before, after))
    if both.are_same:
        new = new[new.index.isin(old.index)]
        old = old[old.index.isin(new.index)]
    samples = dict([*new.groupby(TIMED)])
    rows = []
    for key, a in old.groupby(TIMED):
        if key in samples:
            b = samples[key]
            times = slowdown(a["units"], b["units"], both.are_same)
            rows.append((*key, min(len(a), len(b)), a["us"].median(), b["us"].median(), *times))
    table = pd.DataFrame(rows, columns=[*TIMED, "cases", "before_us", "after_us", "ratio", "low", "high"])
    slower, faster = table["low"].gt(SAME_SPEED), table["high"].lt(1 / SAME_SPEED)
    reading = np.select([table["party"].eq(rival), slower, faster], ["the measure", "slower", "faster"], "within noise")
    return table.assign(reading=reading)


def timed(run: Run, subject: str, rival: str) -> pd.DataFrame:
    """By party, dtype, phase and case: microseconds, and how many times the rival's these are.

    The rival's own are taken as they are.
    """
    own = run.header["subject"]
    rows = [
        (subject if party == own else party, record["dtype"], phase, record["id"], 1e6 * float(np.median(seconds)))
        for record in run.cases
        for party, phases in record["timings"].items()
        for phase, seconds in phases.items()
    ]
    frame = pd.DataFrame(rows, columns=[*TIMED, "case", "us"])
    measure = frame[frame["party"] == rival].drop(columns="party").rename(columns={"us": "rival_us"})
    frame = frame.merge(measure, how="left" if measure.empty else "inner", on=["dtype", "phase", "case"])
    others = frame["us"] / (1.0 if measure.empty else frame["rival_us"])
    units = others.where(frame["party"] != rival, frame["us"])
    return frame.assign(units=units).set_index([*TIMED, "case"])[["us", "units"]]


def rival_of(before: Run, after: Run) -> str:
    """Whose time is the measure, or nobody's: one who was an oracle to both runs, in the same version if any was."""
    common = [
        who
        for who in RIVALS
        if all(
            who in run.header["oracles"] and any(who in case["timings"] for case in run.cases)
            for run in (before, after)
        )
    ]
    old, new = before.header["versions"], after.header["versions"]
    return next((who for who in common if old.get(who) == new.get(who)), next(iter(common), ""))


def slowdown(before: pd.Series[float], after: pd.Series[float], is_paired: bool) -> tuple[float, float, float]:
    """How many times as long in the median, and the interval of that."""
    old, new = np.log(before.to_numpy()), np.log(after.to_numpy())
    if is_paired:
        change = new - old
        middle, (low, high) = np.median(change), interval(change, TIME_SIGMAS)
    else:
        (a, b), (c, d) = interval(old, TIME_SIGMAS), interval(new, TIME_SIGMAS)
        middle, low, high = np.median(new) - np.median(old), c - b, d - a
    return math.exp(middle), math.exp(low), math.exp(high)
