"""What differs between two runs, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from oracles.diff.answers import STATES, Answers
from oracles.journal import Run

AT_MOST = 5
"""Things named in one line; the tables have all."""


def verdict(before: Run, after: Run, both: Answers) -> list[str]:
    """How the runs ended, and who was not asked to the end."""
    old, new = before.footer["verdict"], after.footer["verdict"]
    names = [run.header["subject"] for run in (before, after)]
    who = names[0] if names[0] == names[1] else f"the subject, which is {names[0]} before and {names[1]} after"
    lines = [f"{new} in both runs: {who}" if old == new else f"{old} -> {new}: {who}"]
    for when, run in (("before", before), ("after", after)):
        lines += [f"{party} was {why} (run {when})" for party, why in run.footer["silent"].items()]
    return lines


def failures(found: pd.DataFrame, before: Run, after: Run, both: Answers) -> list[str]:
    """What the subject fails at."""
    told = states(found[found["party"] == both.subject], both.subject, "failure")
    counts = [run.footer["failures"] for run in (before, after)]
    if told:
        return told
    if any(counts):
        return [
            f"{both.subject}: the same failures in both runs, in {counts[0]:,} cases before and {counts[1]:,} after"
        ]
    return [f"{both.subject}: no failure in either run"]


def comparability(before: Run, after: Run, both: Answers) -> list[str]:
    """What keeps the runs from being compared case by case, and who or what only one of them asked about."""
    lines: list[str] = []
    counts = [len(run.cases) for run in (before, after)]
    if not both.are_same:
        seeds = [run.header["seed"] for run in (before, after)]
        why = f"seeds {seeds[0]} and {seeds[1]} draw" if seeds[0] != seeds[1] else "the runs drew"
        lines.append(
            f"{why} other cases: {len(both.shared):,} of {counts[0]:,} and {counts[1]:,} are the same; what else "
            "only one run met need be neither new nor fixed"
        )
    elif len(both.shared) < max(counts):
        lines.append(f"{len(both.shared):,} cases are the same, of {counts[0]:,} before and {counts[1]:,} after")
    for column, words in (("party", "parties"), ("dtype", "dtypes"), ("order", "orders of derivatives")):
        asked = [{*map(str, frame[column])} for frame in (both.before, both.after)]
        for when, only in (("before", asked[0] - asked[1]), ("after", asked[1] - asked[0])):
            if only:
                lines.append(f"{words} asked only {when}: {', '.join(sorted(only))}")
    return lines


def findings(found: pd.DataFrame, shares: pd.DataFrame, both: Answers) -> list[str]:
    """What the others are found at: first what came and what went, then what was met once."""
    others = found[found["party"] != both.subject]
    lines = [
        line
        for state in STATES
        for party, rows in others[others["state"] == state].groupby("party")
        for line in states(rows, str(party), "finding")
    ]
    if not lines and {*both.before["party"]} & {*both.after["party"]} != {both.subject}:
        lines = ["the others: the same findings in both runs"]
    telling = shares[shares["reading"] == "differs"] if len(shares) else shares
    return lines + [
        f"{row.party}: {row.label} in {row.before:.1%} of its answers before and {row.after:.1%} after, "
        "more than chance explains"
        for row in telling.itertuples()
    ]


def states(found: pd.DataFrame, party: str, thing: str) -> list[str]:
    """A line per state: how many, and which, the gravest first."""
    lines = []
    for state in STATES:
        rows = found[found["state"] == state]
        if len(rows):
            things = f"{thing}{'s' * (len(rows) > 1)}"
            what = f"{things} met {state}" if state.startswith("only") else f"{state} {things}"
            lines.append(f"{party}: {len(rows):,} {what}: {listed([shown(row) for row in rows.to_dict('records')])}")
    return lines


def shown(row: Mapping[Any, Any]) -> str:
    label = f"{row['before']} -> {row['label']}" if row["state"] == "changed" else row["label"]
    cases = f"{row['cases']:,} cases, first {row['first_case']}" if row["cases"] > 1 else row["first_case"]
    return f"{label} in {row['function'].replace(' ', ', ')} ({cases})"


def listed(words: Sequence[str]) -> str:
    more = f"; and {len(words) - AT_MOST:,} more" if len(words) > AT_MOST else ""
    return "; ".join(words[:AT_MOST]) + more


def versions(before: Run, after: Run) -> list[str]:
    """What the runs were made with, where it differs."""
    old, new = before.header["versions"], after.header["versions"]
    other = [f"{name} {old[name]} -> {new[name]}" for name in old if name in new and old[name] != new[name]]
    machines = [run.header.get("machine", {}) for run in (before, after)]
    said = [" ".join(map(str, machine.values())) for machine in machines]
    return [f"versions: {', '.join(other)}"] * bool(other) + [f"machine: {said[0]} -> {said[1]}"] * (said[0] != said[1])


def accuracy(changed: pd.DataFrame, both: Answers) -> list[str]:
    """Who came nearer to the truth or went farther from it, and in which functions."""
    lines = []
    for party, rows in changed.groupby("party"):
        for reading, way in (("farther", "farther from"), ("nearer", "nearer to")):
            names = [*dict.fromkeys(rows.loc[rows["reading"] == reading, "function"])]
            if names:
                many = f"{len(names):,} function{'s' * (len(names) > 1)}"
                lines.append(f"{party}: {way} the truth in {many}: {listed(names)}")
    if not lines:
        by = "over the same cases" if both.are_same else "that chance does not explain"
        return [f"accuracy: no difference {by}"]
    return lines


def speed(table: pd.DataFrame) -> list[str]:
    """Who is slower or faster, by how much, and next to whom."""
    if table.empty:
        return ["speed: no case was timed in both runs"]
    measure = table.loc[table["reading"] == "the measure", "party"]
    alone = "no rival ran in both, so the machine's own pace is in it"
    units = f"beside {measure.iloc[0]} in the same run" if len(measure) else alone
    lines = []
    for (party, reading), rows in table[table["reading"].isin(["slower", "faster"])].groupby(["party", "reading"]):
        each = [
            f"{row.phase} in {row.dtype} x{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
            for row in rows.itertuples()
        ]
        lines.append(f"{party}: {reading}, {units}: {listed(each)}")
    return lines or [f"speed: all within noise, {units}"]
