"""Two runs compared: what is new, what is fixed, who is more accurate, who is faster.

A case that both runs asked, with the same program and numbers, is compared answer by answer: there, what only one run
shows is new or fixed.  Runs with other seeds drew other cases; what only one of them shows was *met* only there, which
is no proof that it came or went.  The named cases and the known findings are in every run.  The subject of one run is
compared with that of the other, whatever their names.

A map, each file leaning only on those above it:

===============  ======================================================================
``answers``      the answers of two runs side by side, and the findings that differ
``measures``     distances from the truth and times, with what chance may do to them
``headlines``    what differs in words, the most important first
``printing``     the same as text, Markdown and JSON
===============  ======================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from oracles.diff import headlines, measures
from oracles.diff.answers import Answers, findings, moved, shares
from oracles.journal import Run


@dataclass(frozen=True)
class Changes:
    """What differs between two runs: in words, the most important first, and in tables."""

    before: Run
    after: Run

    @cached_property
    def answers(self) -> Answers:
        return Answers.of(self.before, self.after)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Failures of the subject and findings about the others that only one run shows."""
        return findings(self.answers)

    @cached_property
    def shares(self) -> pd.DataFrame:
        """Where most cases are other ones: what part of each party's answers has which label."""
        return pd.DataFrame() if self.answers.are_same else shares(self.answers)

    @cached_property
    def accuracy(self) -> pd.DataFrame:
        """Functions whose answers are nearer to the truth, or farther from it."""
        return measures.accuracy(self.answers)

    @cached_property
    def speed(self) -> pd.DataFrame:
        """Party by dtype and phase: how many times as long, in units of a rival in the same run."""
        return measures.speed(self.before, self.after, self.answers)

    @property
    def worse(self) -> bool:
        """Whether the subject fails where it did not, or in something that it had not been met failing in."""
        mine = self.findings[self.findings["party"] == self.answers.subject]
        failed = [run.footer["verdict"] == "FAIL" for run in (self.before, self.after)]
        return bool(mine["state"].isin(["new", "only after"]).any()) or failed == [False, True]

    def lines(self) -> list[str]:
        """Headlines, the most important first."""
        return [
            *headlines.verdict(self.before, self.after, self.answers),
            *headlines.failures(self.findings, self.before, self.after, self.answers),
            *headlines.comparability(self.before, self.after, self.answers),
            *headlines.findings(self.findings, self.shares, self.answers),
            *headlines.versions(self.before, self.after),
            *headlines.accuracy(self.accuracy, self.answers),
            *headlines.speed(self.speed),
        ]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables by title; those without a row are left out."""
        tables = {
            "Failures and findings that differ": self.findings,
            "Answers to the same questions whose label differs": moved(self.answers),
            "Shares of labels": self.shares,
            "Accuracy by function, in ULPs": self.accuracy,
            "Accuracy over all functions, in ULPs": measures.overall(self.answers),
            "Speed": self.speed,
        }
        return {title: table for title, table in tables.items() if len(table)}


def compare(before: Run, after: Run) -> Changes:
    """What changed from one run to another; a subject is compared with a subject, whatever their names."""
    return Changes(before, after)
