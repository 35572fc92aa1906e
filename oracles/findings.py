"""Which cases of a campaign are worth showing, and which of them show the same.

A finding is a party's verdict that fails the run, if it is the subject's, or one of
`oracles.verdict.FINDINGS`.  Hundreds of cases may show one fault: those that contain a function which
a smaller case has shown to be at fault, in the same party and with the same label, are taken as explained.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from oracles.cases import Case
from oracles.known import Finding
from oracles.laws import shown_by
from oracles.verdict import FINDINGS, Label

AT_MOST = 100
"""How many findings are shown, with those on record."""


@dataclass(frozen=True)
class Suspect:
    """A case that shows something, and about whom."""

    party: str
    label: str
    order: int
    record: Mapping[str, Any]
    moved: bool = False
    """Whether it shows only at a point moved off a kink or an edge."""
    variant: int | None = None
    """Which of the cases that a law makes of it shows it, if one does."""
    law: str = ""
    """The law that alone shows it, where no case does by itself."""

    @cached_property
    def functions(self) -> frozenset[str]:
        if self.variant is None:
            return frozenset(self.record["functions"])
        program = shown_by(Case.from_data(self.record), self.variant).program
        return frozenset(step.function for step in program.steps)

    @property
    def is_on_record(self) -> bool:
        """Whether it shows at the very case of a known finding, of this party or another."""
        return self.record["id"].startswith("known-") and not self.moved and self.variant is None

    @property
    def title(self) -> str:
        """Who shows it, and the case's id; of what is known of another party, without that one's name."""
        found_as = re.sub(r"^known-[a-z]+-", "", self.record["id"])
        return "-".join([re.sub(r"\W+", "-", self.party), found_as])

    @property
    def group(self) -> tuple[str, str]:
        """Party and label, and law if that alone shows it; a framework is one, compiled or not."""
        return self.party.partition(".")[0], f"{self.label} {self.law}".strip()


def is_telling(verdict: Mapping[str, Any], subject: str) -> bool:
    """Whether a verdict on a party other than the subject is a finding."""
    return verdict["party"] != subject and Label(verdict["label"]) in FINDINGS


def nobody_agrees(record: Mapping[str, Any], order: int) -> bool:
    """Whether the referee stands alone against engines of several makes: then it is a suspect as well."""
    silent = (Label.UNSUPPORTED, Label.ERRORED)
    told = {v["party"]: v["label"] for v in record["verdicts"] if v["order"] == order and v["label"] not in silent}
    return len({party.partition(".")[0] for party in told}) > 1 and set(told.values()) == {Label.WRONG}


@dataclass
class Ledger:
    """Keeps the first of the shortest cases of each kind of trouble while a campaign runs."""

    subject: str
    kept: dict[tuple[Any, ...], Suspect] = field(default_factory=dict)
    count: Counter[tuple[str, str]] = field(default_factory=Counter)
    explained: dict[tuple[str, str], list[frozenset[str]]] = field(default_factory=dict)

    def note(self, record: Mapping[str, Any], verdict: Mapping[str, Any]) -> None:
        variant = verdict.get("variant")
        alone = verdict["law"] if verdict.get("broken") and variant is None else ""
        shown = verdict.get("moved", False), variant, alone
        suspect = Suspect(verdict["party"], verdict["label"], verdict["order"], record, *shown)
        self.count[suspect.group] += 1
        self.kept.setdefault((*suspect.group, suspect.functions), suspect)

    def suspects(self) -> list[Suspect]:
        """What is not explained yet: where the referee stands alone, the subject's, what is on record, the shortest."""

        def rank(suspect: Suspect) -> tuple[bool, bool, bool, int, str]:
            alone, record = nobody_agrees(suspect.record, suspect.order), suspect.record
            anew = not suspect.is_on_record
            return not alone, suspect.party != self.subject, anew, len(record["functions"]), record["id"]

        return sorted((s for s in self.kept.values() if not self.is_explained(s)), key=rank)

    def batch(self, most: int) -> list[Suspect]:
        """Some of these that have no function in common, so that none of them can explain another."""
        chosen: list[Suspect] = []
        for suspect in self.suspects():
            if len(chosen) < most and not any(
                s.group == suspect.group and s.functions & suspect.functions for s in chosen
            ):
                chosen.append(suspect)
        return chosen

    def explain(self, suspect: Suspect, functions: Iterable[str]) -> None:
        """The case came down to these functions."""
        self.explained.setdefault(suspect.group, []).append(frozenset(functions))
        del self.kept[(*suspect.group, suspect.functions)]

    def is_explained(self, suspect: Suspect) -> bool:
        return any(functions <= suspect.functions for functions in self.explained.get(suspect.group, ()))


def fingerprint(suspect: Suspect, small: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two findings the same: function, label, event, dtype, class of shape, the law that alone shows it."""
    events = sorted({event["what"] for event in small["events"]})
    return {
        "party": suspect.party,
        "label": suspect.label,
        "order": suspect.order,
        "function": " ".join(small["functions"]),
        "event": "; ".join(events),
        "dtype": small["dtype"],
        "shape": " ".join(shape_class(declared["shape"]) for declared in small["program"]["inputs"]),
        "law": suspect.law,
    }


def shape_class(shape: Sequence[int]) -> str:
    if 0 in shape:
        return "empty"
    return ("scalar", "vector", "matrix")[len(shape)] if len(shape) < 3 else "stack"


def known_as(mark: Mapping[str, Any], known: Sequence[Finding]) -> str:
    """The reason on record for a finding, or nothing if it is new."""
    for entry in known:
        called = {step.function for step in entry.case().program.steps}
        functions = called - {"getitem"} or called  # an index may only have picked the entry that shows it
        if (
            mark["party"].partition(".")[0] == entry.party.partition(".")[0]
            and (mark["label"], mark["law"]) == (entry.label, entry.law)
            and mark["order"] >= entry.order  # a first derivative owes nothing to what a second one does
            and functions <= set(mark["function"].split())
        ):
            return f"{entry.explanation}, in {entry.versions}"
    return ""
