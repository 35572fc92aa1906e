"""One case, examined: ask every party, gather the facts, judge, and say so as data."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.program import Ref, encode_array
from minigrad.protocol import leaves
from oracles.adapters import Adapter, load
from oracles.adapters.minigrad import MinigradAdapter
from oracles.cases import Case, FloatArray
from oracles.errors import Unsupported
from oracles.events import Event, dependence, find_events
from oracles.exact import truth
from oracles.noise import noise
from oracles.verdict import FATAL, UNITS, Answer, Facts, Label, Verdict, judge

QUICK_REPLAYS, SURE_REPLAYS = 6, 64
"""Replays for the noise of every case, and of those where somebody lies outside it."""

RESTS_ON_EVENTS = (Label.CONVENTION, Label.EDGE)


@dataclass(frozen=True)
class Setup:
    """Who is judged, by whom, and how far: the part of a campaign's options that a verdict depends on."""

    subject: str = "minigrad"
    oracles: tuple[str, ...] = ("torch", "jax")
    orders: tuple[int, ...] = (1, 2)

    @property
    def parties(self) -> tuple[str, ...]:
        return (self.subject, *self.oracles)


@dataclass
class Examination:
    """What came of a case."""

    case: Case
    verdicts: list[Verdict]
    answers: Mapping[int, Sequence[Answer]]
    names: Mapping[int, Sequence[str]]
    events: Sequence[Event]
    vacuous: bool
    """Whether the gradient is zero in every element: such a case proves nothing."""
    timings: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    seconds: float = 0.0

    def verdict(self, party: str, order: int) -> Verdict:
        return next(v for v in self.verdicts if v.party == party and v.order == order)

    def failed(self, subject: str) -> bool:
        return any(v.party == subject and v.label in FATAL for v in self.verdicts)

    def as_data(self) -> dict[str, Any]:
        """The case's line in the journal.  Values are kept where the parties do not simply agree."""
        telling = any(v.label not in (Label.AGREES, Label.ILL_CONDITIONED) for v in self.verdicts)
        values = {
            str(order): {
                answer.party: [None if a is None else encode_array(a) for a in answer.arrays]
                for answer in answers
                if answer.label is None
            }
            for order, answers in self.answers.items()
        }
        program = self.case.program
        uses = Counter(leaf for step in program.steps for leaf in leaves(step.operands) if isinstance(leaf, Ref))
        return {
            "kind": "case",
            **{key: value for key, value in self.case.as_data().items() if key != "format"},
            "dtype": self.case.dtype,
            "functions": [step.function for step in program.steps],
            "forks": sum(count > 1 for count in uses.values()),
            "vacuous": self.vacuous,
            "events": [{"step": e.step, "what": e.what, "elements": int(e.mask.sum())} for e in self.events],
            "verdicts": [verdict.as_data() for verdict in self.verdicts],
            "names": {str(order): list(names) for order, names in self.names.items()},
            "values": values if telling else {},
            "timings": self.timings,
            "seconds": self.seconds,
        }


@lru_cache(maxsize=8)
def party(spec: str) -> Adapter:
    """The adapter, loaded once a process."""
    return load(spec)


def reference(case: Case, order: int) -> Sequence[Any]:
    """This project's own derivative, for the facts that only need to be roughly right: noise and form."""
    engine = MinigradAdapter()
    if order == 1:
        value, gradients = engine.vjp(case.program, case.inputs, case.cotangent)
        return [value, *gradients]
    return engine.hvp(case.program, case.inputs, case.cotangent, case.vectors)


def facts_of(case: Case, order: int, events: Sequence[Event], replays: int) -> Facts:
    """Everything about a case that does not depend on who answers."""
    plain = [np.asarray(array) for array in reference(case, order)]
    seed = int.from_bytes(hashlib.sha256(repr(case.program).encode() + case.cotangent.tobytes()).digest()[:8])
    gradients = [f"{'d' if order == 1 else 'H'}/d{i.name}" for i in case.program.inputs]
    shapes = [x.shape for x in case.inputs]
    clean = [np.zeros(shape, bool) for shape in shapes]
    kinks = [e for e in events if not e.is_edge]
    edges = [e for e in events if e.is_edge]
    kink_masks = dependence(case, kinks, order) if kinks else clean
    edge_masks = dependence(case, edges, order) if edges else clean
    if order == 1:
        gradients = ["value", *gradients]
        shapes = [case.cotangent.shape, *shapes]
        of_value = np.zeros(case.cotangent.shape, bool)
        kink_masks, edge_masks = [of_value, *kink_masks], [of_value, *edge_masks]
    return Facts(
        gradients,
        shapes,
        np.dtype(case.dtype),
        noise(case, lambda c: reference(c, order), plain, replays, seed),
        kink_masks,
        edge_masks,
    )


def ask(spec: str, case: Case, order: int) -> Answer:
    """One party's answer; whatever it raises becomes part of it."""
    adapter = party(spec)
    inputs = [x.copy() for x in case.inputs]
    try:
        if order == 1:
            answered = adapter.vjp(case.program, inputs, case.cotangent.copy())
            if not (isinstance(answered, tuple) and len(answered) == 2):
                why = f"vjp returned a {type(answered).__name__}; it must return (value, gradients)"
                return Answer(spec, label=Label.STRUCTURE, why=why)
            arrays = [answered[0], *answered[1]]
        else:
            if not hasattr(adapter, "hvp"):
                raise Unsupported("the adapter has no hvp")
            arrays = list(adapter.hvp(case.program, inputs, case.cotangent.copy(), [v.copy() for v in case.vectors]))
    except Unsupported as error:
        return Answer(spec, label=Label.UNSUPPORTED, why=str(error))
    except Exception as error:  # an engine on trial may raise anything at all
        return Answer(spec, label=Label.ERRORED, why=f"{type(error).__name__}: {error}"[:500])
    fault = ownership_fault(case, inputs, arrays)
    return Answer(spec, arrays, Label.STRUCTURE if fault else None, fault)


def ownership_fault(case: Case, inputs: Sequence[FloatArray], arrays: Sequence[Any]) -> str:
    """Whether an input was written to, or shares its memory with a gradient."""
    for declared, given, original in zip(case.program.inputs, inputs, case.inputs, strict=True):
        if given.tobytes() != original.tobytes():
            return f"input {declared.name} was written to"
    gradients = [a for a in arrays[-len(inputs) :] if isinstance(a, np.ndarray)]
    if any(np.shares_memory(g, x) for g in gradients for x in inputs):
        return "a gradient shares memory with an input"
    return ""


def examine(case: Case, setup: Setup, silent: Mapping[str, str] | None = None, timed: bool = False) -> Examination:
    """Ask, judge, and check every excuse.

    `silent` names parties that are not asked because they cannot answer, with the reason.
    """
    start = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        events = find_events(case)
        verdicts: list[Verdict] = []
        answers: dict[int, list[Answer]] = {}
        names: dict[int, Sequence[str]] = {}
        vacuous = True
        for order in setup.orders:
            answers[order] = [
                Answer(spec, label=Label.ERRORED, why=silent[spec])
                if silent and spec in silent
                else ask(spec, case, order)
                for spec in setup.parties
            ]
            facts = facts_of(case, order, events, QUICK_REPLAYS)
            judged = judge(answers[order], setup.subject, order, facts)
            if any(v.units > UNITS for v in judged):
                # Look again before accusing anyone: few replays can miss the noise's full extent.
                facts = facts_of(case, order, events, SURE_REPLAYS)
                judged = heard(case, answers[order], setup.subject, order, facts)
            verdicts += judged
            names[order] = facts.names
            if order == 1:
                first = reference(case, 1)[1:]
                vacuous = not any(np.any(g) for g in first)
        if any(v.label in RESTS_ON_EVENTS for v in verdicts):
            check_excuses(case, setup, verdicts)
        timings = time_parties(case, setup, verdicts) if timed else {}
    return Examination(case, verdicts, answers, names, events, vacuous, timings, time.perf_counter() - start)


def heard(case: Case, answers: Sequence[Answer], subject: str, order: int, facts: Facts) -> list[Verdict]:
    """The verdicts, after hearing the certified truth where the subject is accused by its peers."""
    judged = judge(answers, subject, order, facts)
    if any(v.party == subject and v.label in (Label.WRONG, Label.UNDECIDED) for v in judged):
        facts.truth = truth(case, order, facts.noise)
        if facts.truth is not None:
            judged = judge(answers, subject, order, facts)
    return judged


def check_excuses(case: Case, setup: Setup, verdicts: Sequence[Verdict]) -> None:
    """Judge a case that was excused by a kink or edge again, with its inputs moved a little off it.

    Whoever is still off there was not excused by the event, and takes the verdict from there.
    """
    moved = moved_off(case)
    if moved is None:
        for verdict in verdicts:
            if verdict.label in RESTS_ON_EVENTS:
                verdict.why += "; the event stays wherever the inputs move"
        return
    for order in {v.order for v in verdicts if v.label in RESTS_ON_EVENTS}:
        answers = [ask(spec, moved, order) for spec in setup.parties]
        again = heard(moved, answers, setup.subject, order, facts_of(moved, order, (), SURE_REPLAYS))
        for verdict, other in zip([v for v in verdicts if v.order == order], again, strict=True):
            if verdict.label in RESTS_ON_EVENTS and other.label in (Label.WRONG, Label.UNDECIDED):
                verdict.label = other.label
                verdict.why += f"; moved off the event: {other.why}"


def moved_off(case: Case) -> Case | None:
    """The case at a nearby point without events, or None if there is none nearby."""
    random = np.random.default_rng(len(case.program.steps))
    for size in (2.0**-10, 2.0**-6):
        step = [size * (1 + np.abs(x)) * random.uniform(0.5, 1, x.shape) for x in case.inputs]
        moved = replace(case, inputs=tuple((x + s).astype(x.dtype) for x, s in zip(case.inputs, step, strict=True)))
        if not find_events(moved):
            return moved
    return None


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
