"""One case, examined: ask every party, gather the facts, judge, and say so as data."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.programs import encode_array
from oracles.asking import Clock, ask, party, steadfast
from oracles.cases import Case
from oracles.census import exercised
from oracles.events import Event
from oracles.exact import Truth
from oracles.facts import Point
from oracles.lawful import put_to_law
from oracles.second_looks import as_called, check_excuses, judged_fairly, settled
from oracles.verdict import Answer, Facts, Label, Verdict, is_failure, judge


@dataclass(frozen=True)
class Setup:
    """Who is judged, and how far: the part of a campaign's options that a verdict depends on."""

    subject: str = "minigrad"
    oracles: tuple[str, ...] = ("torch", "jax")
    """The other parties."""
    orders: tuple[int, ...] = (1, 2)
    shown: bool = False
    """Whether the truth is shown to people: then what is allowed at a kink is looked for as if somebody were off."""

    @property
    def parties(self) -> tuple[str, ...]:
        return (self.subject, *self.oracles)


@dataclass(repr=False)
class Examination:
    """What came of a case."""

    case: Case
    verdicts: list[Verdict]
    answers: Mapping[int, Sequence[Answer]]
    facts: Mapping[int, Facts]
    events: Sequence[Event]
    vacuous: bool
    """Whether the gradient is zero in every element: such a case proves nothing."""
    timings: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each party took to answer, the referee to find the truth, and second looks and laws besides."""
    seconds: float = 0.0

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{v.party} {v.label} at order {v.order}" for v in self.verdicts)
        return f"Examination({self.case.id}: {verdicts})"

    def verdict(self, party: str, order: int) -> Verdict:
        return next(v for v in self.verdicts if v.party == party and v.order == order)

    def failed(self, subject: str) -> bool:
        """Whether the subject fails: by a fatal label, or by losing digits where somebody keeps them."""
        return any(v.party == subject and is_failure(v, self.verdicts) for v in self.verdicts)

    def as_data(self) -> dict[str, Any]:
        """The case's line in the journal.  Values are kept where the parties do not simply agree."""
        telling = any(v.label not in (Label.AGREES, Label.ILL_CONDITIONED) for v in self.verdicts)
        return {
            "kind": "case",
            **{key: value for key, value in self.case.as_data().items() if key != "format"},
            "dtype": self.case.dtype,
            "functions": [step.function for step in self.case.program.steps],
            **exercised(self.case),
            "vacuous": self.vacuous,
            "events": [{"step": e.step, "what": e.what, "elements": int(e.mask.sum())} for e in self.events],
            "verdicts": [verdict.as_data() for verdict in self.verdicts],
            "names": {str(order): list(facts.names) for order, facts in self.facts.items()},
            "values": self.values() if telling else {},
            "truth": {str(order): [truth_data(t) for t in facts.truths] for order, facts in self.facts.items()}
            if telling
            else {},
            "timings": self.timings,
            "cost": self.cost,
            "seconds": self.seconds,
        }

    def values(self) -> dict[str, dict[str, list[Any]]]:
        """By order and party, the arrays that were returned."""
        return {
            str(order): {
                answer.party: [None if a is None else encode_array(a) for a in answer.arrays]
                for answer in answers
                if answer.label is None
            }
            for order, answers in self.answers.items()
        }


def truth_data(truth: Truth) -> dict[str, Any]:
    """A truth in the journal; bounds only where they are not the number itself."""
    radius = float(np.max(truth.radius, initial=0.0, where=np.isfinite(truth.radius)))
    data = {"value": encode_array(truth.value), "radius": radius}
    if np.any(truth.status):
        data["status"] = truth.status.tolist()
        data |= {name: encode_array(getattr(truth, name)) for name in ("low", "high", "lowest", "highest")}
    return data


def examine(case: Case, setup: Setup, silent: Mapping[str, str] | None = None, timed: bool = False) -> Examination:
    """Ask, judge, and check every excuse.

    `silent` names parties that are not asked because they cannot answer, with the reason; `timed` has the calls of
    the others timed as well, which takes several more of each.
    """
    start, clock = time.perf_counter(), Clock()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        point = Point(case, max(setup.orders))
        verdicts: list[Verdict] = []
        answers: dict[int, list[Answer]] = {}
        facts: dict[int, Facts] = {}
        for order in setup.orders:
            answers[order] = [
                Answer(spec, label=Label.ERRORED, why=silent[spec])
                if silent and spec in silent
                else ask(spec, case, order, clock)
                for spec in setup.parties
            ]
            answers[order][0] = steadfast(answers[order][0], case, order)
            with clock.of("referee"):
                judged, facts[order] = judged_fairly(point, order, answers[order], setup.shown)
            with clock.of("second looks"):
                answers[order] = [
                    a if silent and a.party in silent else as_called(case, v, a)
                    for v, a in zip(judged, answers[order], strict=True)
                ]
                judged = [judge(answer, order, facts[order]) for answer in answers[order]]
                verdicts += [settled(point, v, a, facts[order]) for v, a in zip(judged, answers[order], strict=True)]
        with clock.of("second looks"):
            check_excuses(point, verdicts)
        if "law" in case.origin:
            with clock.of("laws"):
                put_to_law(point, verdicts, answers, facts)
        timings = time_parties(case, setup, verdicts) if timed else {}
    gradients = facts[1].truths[1:] if 1 in facts else []
    vacuous = bool(gradients) and not any(np.any(t.value != 0) for t in gradients)
    seconds = time.perf_counter() - start
    return Examination(case, verdicts, answers, facts, point.events, vacuous, timings, dict(clock), seconds)


REPEATS = 3


def time_parties(case: Case, setup: Setup, verdicts: Sequence[Verdict]) -> dict[str, dict[str, list[float]]]:
    """Seconds for the value alone and for value and gradient, the parties taking turns.

    Each is called once before, so that nothing is compiled while the clock runs.
    """
    broken = {v.party for v in verdicts if v.label in (Label.ERRORED, Label.UNSUPPORTED, Label.STRUCTURE)}
    calls: dict[tuple[str, str], Callable[[], Any]] = {}
    for spec in setup.parties:
        if spec in broken:
            continue
        adapter = getattr(party(spec), "timed", party(spec))
        if hasattr(adapter, "forward"):
            calls[spec, "forward"] = lambda a=adapter: a.forward(case.program, case.inputs)  # type: ignore[misc]
        calls[spec, "gradient"] = lambda a=adapter: a.vjp(case.program, case.inputs, case.cotangent)  # type: ignore[misc]
    timings: dict[str, dict[str, list[float]]] = {spec: {} for spec in setup.parties}
    for key, call in [*calls.items()]:
        try:
            call()
        except Exception:  # the adapter to be timed may refuse what the one that is judged takes
            del calls[key]
    for _ in range(REPEATS):
        for (spec, phase), call in calls.items():
            start = time.perf_counter()
            call()
            timings[spec].setdefault(phase, []).append(time.perf_counter() - start)
    return timings
