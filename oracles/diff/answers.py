"""The answers of two runs side by side: which questions both asked, and what only one of them shows."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd

from oracles.journal import Run
from oracles.report import cases_frame
from oracles.verdict import FINDINGS, Label, Verdict, is_failure

STATES = ("new", "changed", "fixed", "only after", "only before")
"""What became of a finding: the first three of a question that both runs asked, the others where just one asked it."""

SEVERITY = (Label.WRONG, Label.STRUCTURE, Label.ERRORED, Label.UNSTABLE, Label.UNDECIDED, Label.KINK_CHAIN)
"""The labels that tell against a party, the gravest first."""

SIGMAS = 4.0
"""What chance alone may do, in standard deviations, before two shares or medians are said to differ."""


@dataclass(frozen=True)
class Answers:
    """A row per case, order and party, before and after."""

    before: pd.DataFrame
    after: pd.DataFrame
    subject: str
    """What the subjects of both runs are called here."""
    shared: frozenset[str]
    """Cases that both runs asked with the same program and numbers."""
    are_same: bool
    """Whether most drawn cases are the same, so that runs are compared case by case rather than as samples."""

    @classmethod
    def of(cls, before: Run, after: Run) -> Self:
        names = {str(run.header["subject"]) for run in (before, after)}
        subject = names.pop() if len(names) == 1 else "the subject"
        asked = {record["id"]: question(record) for record in before.cases}
        shared = frozenset(record["id"] for record in after.cases if asked.get(record["id"]) == question(record))
        drawn = [drawn_of(run) for run in (before, after)]
        are_same = 2 * len(shared & drawn[0] & drawn[1]) >= min(map(len, drawn))
        return cls(answers(before, subject), answers(after, subject), subject, shared, are_same)

    @cached_property
    def same(self) -> pd.DataFrame:
        """The answers to the questions that both runs put to a party, side by side."""
        old, new = (frame[frame["case"].isin(self.shared)] for frame in (self.before, self.after))
        return old.merge(new, on=["case", "order", "party"], suffixes=("_before", "_after"))


def drawn_of(run: Run) -> set[str]:
    """The drawn cases, or where there are none, all: named ones and known findings are the same in every run."""
    return {record["id"] for record in run.cases if "block" in record["origin"]} or {r["id"] for r in run.cases}


def question(record: Mapping[str, Any]) -> bytes:
    """What every party was asked in a case, as a digest: a long run has too many to keep."""
    asked = [record[key] for key in ("program", "inputs", "cotangent", "vectors")]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def answers(run: Run, subject: str) -> pd.DataFrame:
    """The run's table of cases, with whether an answer tells against its party, and of which functions it does."""
    own, told, where, known = run.header["subject"], [], [], []
    for record in run.cases:
        verdicts = [Verdict(v["party"], v["order"], Label(v["label"])) for v in record["verdicts"]]
        for verdict in verdicts:
            tells = is_failure(verdict, verdicts) if verdict.party == own else verdict.label in FINDINGS
            shrunk = shrunk_from(run, verdict, record) if tells else None
            told.append(tells)
            where.append(" ".join(dict.fromkeys((shrunk or record)["functions"])))
            known.append(bool(shrunk and shrunk["known"]))
    plain = {"party": str, "dtype": str, "label": str, "ulp": float}
    frame = cases_frame(run).astype(plain).assign(tells=told, function=where, known=known)
    return frame.assign(party=frame["party"].where(frame["party"] != own, subject))


def shrunk_from(run: Run, verdict: Verdict, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The shortest shrunk case that explains a finding: of the same party and label, and no other functions."""
    who = verdict.party.partition(".")[0]
    explains = [
        small
        for small in run.footer["shrunk"]
        if (small["accused"].partition(".")[0], small["fingerprint"]["label"]) == (who, verdict.label)
        and {*small["functions"]} <= {*record["functions"]}
    ]
    return min(explains, key=lambda small: len(small["functions"]), default=None)


def findings(both: Answers) -> pd.DataFrame:
    """What one run shows and the other does not: a row per state, party, functions and labels."""
    rows = pd.concat([came_or_went(both.same), *met_once(both)], ignore_index=True)
    groups = rows.groupby(["state", "party", "function", "label"], sort=False)
    table = pd.DataFrame(
        {
            "before": groups["before"].agg(listed),
            "after": groups["after"].agg(listed),
            "orders": groups["order"].agg(listed),
            "cases": groups["case"].nunique(),
            "first_case": groups["case"].min(),
            "on_record": groups["known"].any().map({True: "yes", False: "no"}),
        }
    ).reset_index()
    rank = {"others": table["party"].ne(both.subject), "rank": table["state"].map(STATES.index)}
    rank["weight"] = table["label"].map(SEVERITY.index)
    by = ["others", "rank", "party", "weight", "cases", "function"]
    ascending = [True, True, True, True, False, True]
    return table.assign(**rank).sort_values(by, ascending=ascending, ignore_index=True)[table.columns]


def listed(values: Iterable[Any]) -> str:
    """What there is, each once."""
    return ", ".join(map(str, sorted({*values})))


def came_or_went(same: pd.DataFrame) -> pd.DataFrame:
    """Answers to the same question that tell something in one run and not, or something else, in the other."""
    was, now = same["tells_before"].astype(bool), same["tells_after"].astype(bool)
    other = same["label_before"] != same["label_after"]
    # Who has lost a function has not mended it.
    changed = was & other & (now | same["label_after"].eq(Label.UNSUPPORTED))
    state = np.select([now & ~was, changed, was & ~now], ["new", "changed", "fixed"], "")
    rows = pd.DataFrame(
        {
            "state": state,
            "party": same["party"],
            "function": same["function_after"].where(now, same["function_before"]),
            "label": same["label_after"].where(now, same["label_before"]),
            "before": same["label_before"],
            "after": same["label_after"],
            "order": same["order"],
            "case": same["case"],
            "known": same["known_after"].where(now, same["known_before"]),
        }
    )
    return rows[rows["state"] != ""]


def met_once(both: Answers) -> list[pd.DataFrame]:
    """What only one run asked, tells something there, and no answer of the other run tells."""
    key = ["party", "label", "function"]
    columns = ["state", "party", "function", "label", "before", "after", "order", "case", "known"]
    asked = {*both.before["party"]} & {*both.after["party"]}
    found = []
    for when, here, there in (("after", both.after, both.before), ("before", both.before, both.after)):
        elsewhere = {*there.loc[there["tells"], key].itertuples(index=False, name=None)}
        mine = here[here["tells"] & ~here["case"].isin(both.shared) & here["party"].isin(asked)]
        only = [row not in elsewhere for row in mine[key].itertuples(index=False, name=None)]
        rows = mine[np.array(only, bool)].assign(state=f"only {when}", before="", after="")
        found.append(rows.assign(**{when: rows["label"]})[columns])
    return found


def moved(both: Answers) -> pd.DataFrame:
    """How many answers to the same questions went from which label to which."""
    other = both.same[both.same["label_before"] != both.same["label_after"]]
    names = {"label_before": "before", "label_after": "after"}
    groups = other.rename(columns=names).groupby(["party", "order", "before", "after"])["case"]
    table = pd.DataFrame({"answers": groups.count(), "first_case": groups.min()}).reset_index()
    return table.sort_values("answers", ascending=False, ignore_index=True, kind="stable")


def shares(both: Answers) -> pd.DataFrame:
    """What part of each party's answers has which label, and whether chance explains the difference."""
    counts = [frame.groupby(["party", "label"])["case"].count() for frame in (both.before, both.after)]
    table = pd.concat(counts, axis=1, keys=["before", "after"]).fillna(0.0)
    totals = table.groupby("party").transform("sum")
    table = table[totals.gt(0).all(axis=1)]
    share = table / totals.loc[table.index]
    pooled = table.sum(axis=1) / totals.loc[table.index].sum(axis=1)
    # The answers to a case at both orders go together: there are half as many draws.
    spread = (2 * pooled * (1 - pooled) * (1 / totals.loc[table.index]).sum(axis=1)) ** 0.5
    sigmas = ((share["after"] - share["before"]) / spread.where(spread > 0, math.inf)).rename("sigmas")
    told = np.where(sigmas.abs() > SIGMAS, "differs", "within chance")
    ranks = [[*Label].index(Label(label)) for label in table.index.get_level_values("label")]
    rows = pd.concat([share, sigmas], axis=1).assign(reading=told, rank=ranks).reset_index()
    return rows.sort_values(["party", "rank"], ignore_index=True).drop(columns="rank")
