"""The cases of a campaign that can show a fault, with what is known of them: it does not depend on who answers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import merge

import numpy as np

from oracles.asking import ask
from oracles.campaign import BLOCK, Options, cases_with, in_turn, is_special, known_findings
from oracles.cases import Case
from oracles.exact import EFFORTS
from oracles.facts import Point
from oracles.named import NAMED
from oracles.second_looks import is_flushed
from oracles.strategies import Palette
from oracles.verdict import Answer, Facts, Label, Verdict, judge

SOUND = "minigrad"
"""Who answers without a fault."""

ORDERS = (1, 2)


@dataclass
class Question:
    """A case, and what has been found out about it so far."""

    case: Case
    number: int = 0
    """Its place in the campaign, counted from 1."""
    seconds: float = 0.0
    """What it took to find out."""
    sound: dict[int, Answer] = field(default_factory=dict)

    @cached_property
    def point(self) -> Point:
        with np.errstate(all="ignore"):
            return Point(self.case, max(ORDERS))

    @property
    def is_rough(self) -> bool:
        """Whether there is a kink or an edge on the way."""
        return any(event.is_break for event in self.point.events)

    @cached_property
    def moved(self) -> Question | None:
        """The same off the kinks and edges that it is at, for those who are excused by them."""
        moved = self.point.off_the_event()
        return None if moved is None else Question(moved.case)

    def facts(self, order: int, effort: int) -> Facts:
        """The truth and the noise, looked at as long as a campaign would before it accuses."""
        start = time.perf_counter()
        facts = self.point.facts(order, effort)
        self.seconds += time.perf_counter() - start
        return facts

    def soundly(self, order: int) -> Answer:
        """What is answered without a fault."""
        if order not in self.sound:
            self.sound[order] = ask(SOUND, self.case, order)
        return self.sound[order]

    def verdict(self, answer: Answer, order: int) -> Verdict:
        """A campaign's verdict, but that what is `UNSTABLE` there may be `WRONG` here: the subject fails by both.

        For by UNSTABLE it fails where another party agrees, and here there is one: the engine without the fault.
        """
        facts = None
        for effort in range(len(EFFORTS)):
            before, facts = facts, self.facts(order, effort)
            if facts is before:
                break
            verdict = judge(answer, order, facts)
            if not verdict.is_off:
                return verdict
        assert facts is not None
        if is_flushed(self.point, answer, order, facts):
            verdict.label = Label.FLUSH
        return verdict


class Bank:
    """Questions about some functions: those to which the campaign of a seed comes, in its order.

    But those at kinks and special points, which cost the referee most, come after all others: what is caught at one
    of the others need not be looked at there, though it may be that the campaign catches it there before.

    They are drawn when they are asked for, and kept.  A campaign passes over programs that it has drawn before,
    whatever function they were drawn for; here that is not known, so a case may come a turn earlier.
    """

    def __init__(self, hosts: Sequence[str], options: Options):
        self.hosts, self.options = hosts, options
        self.drawn: list[Question] = []
        self.more = self.questions()

    def __iter__(self) -> Iterator[Question]:
        yield from self.drawn
        for question in self.more:
            self.drawn.append(question)
            yield question

    def questions(self) -> Iterator[Question]:
        named = [named.case(dtype) for dtype in self.options.dtypes for named in NAMED]
        for number, case in enumerate(named, 1):
            if any(step.function in self.hosts for step in case.program.steps):
                yield Question(case, number)
        later = []
        for special in (False, True):
            each = itertools.product(enumerate(self.options.dtypes), self.hosts)
            for question in merge(*(self.turns(*one, special) for one in each), key=lambda question: question.number):
                if question.is_rough and not special:
                    later.append(question)
                else:
                    yield question
            yield from later
            later.clear()

    def turns(self, numbered: tuple[int, str], host: str, special: bool) -> Iterator[Question]:
        """The drawn cases that must contain a function, for as long as the campaign goes on."""
        (k, dtype), options = numbered, self.options
        functions = in_turn(dtype, options.seed)
        palette, place, dtypes = Palette.of(options.seed), functions.index(host), len(options.dtypes)
        stream = cases_with(host, dtype, options, palette, special, at_first=BLOCK)
        before = len(NAMED) * dtypes + len(known_findings(options))
        for turn, draw in enumerate(range(place, options.examples, len(functions))):
            if is_special(turn, place) == special:
                yield Question(replace(next(stream), id=f"{dtype}-{draw + 1}"), before + dtypes * draw + k + 1)
