"""A faulty engine on trial: asked the questions of a bank until it is caught."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracles.asking import ask, differing
from oracles.cases import Case
from oracles.faults.bank import ORDERS, SOUND, Question
from oracles.faults.equivalents import is_fine
from oracles.faults.fault import Fault, FaultyAdapter
from oracles.verdict import EXCUSED, FATAL, RANK, Answer, Label


@dataclass(frozen=True)
class Outcome:
    """What became of one fault in the campaign of one seed."""

    fault: str
    seed: int
    asked: int = 0
    """Cases that the faulty engine was asked, all of which have the function."""
    changed: int = 0
    """Those in which an answer was not, in every bit, what it is without the fault."""
    escaped: str = ""
    """The labels of those where it was not caught."""
    label: str = ""
    """The label that it was caught by; empty if it was not."""
    order: int = 0
    """The order of derivative that it was caught at."""
    cases: int = 0
    """The cases that the campaign had come to by then."""
    seconds: float = 0.0
    """What examining that many took, at the mean of those that were looked at here."""
    steps: int = 0
    size: int = 0
    """Steps and input numbers of the case that caught it."""
    program: str = ""
    """That case."""

    @property
    def caught(self) -> bool:
        return bool(self.label)


BUDGET = 20
"""A campaign in which a fault shows in so many cases, and is caught in none, is not going to catch it."""

FINE_BUDGET = 3
"""The same of a fault that rounding may hide: how small a one is caught, the floors tell."""


def try_fault(fault: Fault, seed: int, questions: Iterable[Question]) -> Outcome:
    """Ask until the fault is caught, or the budget or the questions are spent."""
    adapter, asked, changed = FaultyAdapter(fault), 0, 0
    budget = FINE_BUDGET if is_fine(fault) else BUDGET
    escaped: set[str] = set()

    def outcome(**found: Any) -> Outcome:
        return Outcome(str(fault), seed, asked, changed, " ".join(sorted(escaped)), **found)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for question in questions:
            asked += 1
            shows = False
            for order in ORDERS:
                label = tried(adapter, question, order)
                shows = shows or label is not None
                if label in FATAL or label == Label.UNSTABLE:
                    changed += 1
                    case = question.case
                    found = {"label": str(label), "order": order, "cases": question.number}
                    sizes = {"steps": len(case.program.steps), "size": sum(x.size for x in case.inputs)}
                    return outcome(**found, **sizes, program=described(case))
                if label is not None:
                    escaped.add(str(label))
            changed += shows
            if changed == budget:
                break
    return outcome()


def tried(adapter: FaultyAdapter, question: Question, order: int) -> Label | None:
    """The label of a faulty answer; None for one that is the sound one in every bit."""
    answer, sound = answered(adapter, question, order), question.soundly(order)
    if same_bits(answer, sound):
        return None
    own = question.verdict(sound, order).label
    if own in FATAL or own == Label.UNSTABLE:
        return None  # minigrad fails here by itself, which is no merit of the judge's
    verdict = question.verdict(answer, order)
    if verdict.label in EXCUSED and question.moved is not None:
        again = question.moved.verdict(answered(adapter, question.moved, order), order)
        if RANK[again.label] >= RANK[Label.UNSTABLE]:
            return again.label
    return verdict.label


def answered(adapter: FaultyAdapter, question: Question, order: int) -> Answer:
    """The subject's answer, or that it does not stand by it: who has no memory need not be asked twice."""
    answer = ask(SOUND, question.case, order, adapter=adapter)
    if adapter.fault.kind.has_memory and (why := differing(answer, question.case, order, adapter)):
        return Answer(answer.party, answer.arrays, Label.STRUCTURE, why)
    return answer


def same_bits(mine: Answer, sound: Answer) -> bool:
    if mine.label != sound.label or len(mine.arrays) != len(sound.arrays):
        return False
    return all(bits(a) == bits(b) for a, b in zip(mine.arrays, sound.arrays, strict=True))


def bits(array: Any) -> tuple[str, tuple[int, ...], bytes]:
    array = np.asarray(array)
    return array.dtype.name, array.shape, array.tobytes()


def described(case: Case) -> str:
    """A case on one line."""
    inputs = ", ".join(f"{i.name} = {x.tolist()!r}" for i, x in zip(case.program.inputs, case.inputs, strict=True))
    body = "; ".join(line.partition("#")[0].strip() for line in str(case.program).splitlines()[1:])
    return f"{case.dtype}: {body} at {inputs}"
