"""One case, examined: ask every party, gather the facts, judge, and say so as data."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.errors import MinigradError
from minigrad.program import Program, Ref, encode_array
from minigrad.protocol import leaves
from oracles.adapters import KNOWN, Adapter, load
from oracles.adapters.minigrad import MinigradAdapter
from oracles.cases import Case, FloatArray
from oracles.errors import Unsupported
from oracles.events import Event, find_events, met
from oracles.exact import EFFORTS, Referee, Truth
from oracles.known import meant_otherwise
from oracles.noise import Flushing, floor_of, noise, rounds_simply, wrapped
from oracles.verdict import FATAL, RANK, UNITS, Answer, Facts, Label, Verdict, formed, judge, units_outside

QUICK_REPLAYS, SURE_REPLAYS = 6, 64
"""Replays for the noise of every case, and of those where somebody lies outside it."""

EXCESSIVE, SLACK = 64.0, 8.0
"""Noise of so many roundings of the largest element is held against what ideal rules would lose, with some slack."""

PROMOTES = ("torch", "jax")
"""Parties with rules of their own, documented, for the dtype of a result."""

EXCUSED = (Label.CONVENTION, Label.KINK_CHAIN, Label.EDGE)


@dataclass(frozen=True)
class Setup:
    """Who is judged, and how far: the part of a campaign's options that a verdict depends on."""

    subject: str = "minigrad"
    oracles: tuple[str, ...] = ("torch", "jax")
    """The other parties."""
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
    facts: Mapping[int, Facts]
    events: Sequence[Event]
    vacuous: bool
    """Whether the gradient is zero in every element: such a case proves nothing."""
    timings: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each party took to answer, and the referee to find the truth."""
    seconds: float = 0.0

    def verdict(self, party: str, order: int) -> Verdict:
        return next(v for v in self.verdicts if v.party == party and v.order == order)

    def failed(self, subject: str) -> bool:
        """Whether the subject fails: by a fatal label, or by losing digits where somebody keeps them."""
        return any(v.party == subject and is_failure(v, self.verdicts) for v in self.verdicts)

    def as_data(self) -> dict[str, Any]:
        """The case's line in the journal.  Values are kept where the parties do not simply agree."""
        telling = any(v.label not in (Label.AGREES, Label.ILL_CONDITIONED) for v in self.verdicts)
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


def is_failure(verdict: Verdict, verdicts: Sequence[Verdict]) -> bool:
    """Whether a verdict on the subject fails the run."""
    others = [v for v in verdicts if v.order == verdict.order and v.party != verdict.party]
    alone = not any(v.label == Label.AGREES for v in others)
    return verdict.label in FATAL or (verdict.label == Label.UNSTABLE and not alone)


def truth_data(truth: Truth) -> dict[str, Any]:
    """A truth in the journal; bounds only where they are not the number itself."""
    radius = float(np.max(truth.radius, initial=0.0, where=np.isfinite(truth.radius)))
    data = {"value": encode_array(truth.value), "radius": radius}
    if np.any(truth.status):
        data["status"] = truth.status.tolist()
        data |= {name: encode_array(getattr(truth, name)) for name in ("low", "high", "lowest", "highest")}
    return data


class Clock(dict[str, float]):
    """Seconds by name."""

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - start


@lru_cache(maxsize=16)
def party(spec: str) -> Adapter:
    """The adapter, loaded once a process."""
    return load(spec)


def reference(case: Case, order: int) -> Sequence[Any]:
    """This project's own derivative, of which only the noise is taken: how far rounding moves it."""
    engine = MinigradAdapter()
    if order == 1:
        value, gradients = engine.vjp(case.program, case.inputs, case.cotangent)
        return [value, *gradients]
    return engine.hvp(case.program, case.inputs, case.cotangent, case.vectors)


def seed_of(case: Case) -> int:
    """The same for the same case, wherever it is examined."""
    return int.from_bytes(hashlib.sha256(repr(case.program).encode() + case.cotangent.tobytes()).digest()[:8])


def facts_of(case: Case, order: int, referee: Referee, effort: int = 0) -> Facts:
    """Everything about a case that does not depend on who answers, with more `effort` before anybody is accused."""
    shapes = [x.shape for x in case.inputs]
    names = [f"{'d' if order == 1 else 'H'}/d{i.name}" for i in case.program.inputs]
    if order == 1:
        shapes, names = [case.cotangent.shape, *shapes], ["value", *names]
    try:
        plain = [np.asarray(array) for array in reference(case, order)]
        replays = SURE_REPLAYS if effort else QUICK_REPLAYS
        spread = noise(case, lambda c: reference(c, order), plain, replays, seed_of(case))
    except Exception:  # whatever the engine lacks or gets wrong here, others may still be judged
        spread = [np.zeros(shape) for shape in shapes]
        spread = [floor_of(t.value) + np.zeros(t.value.shape) for t in referee.truths(order, spread)]
    truths = referee.truths(order, spread, effort)
    excessive = any(np.any(n > EXCESSIVE * floor_of(t.value)) for n, t in zip(spread, truths, strict=True))
    if excessive and all(rounds_simply(step.function) for step in case.program.steps):
        # The engine's own rules may be what is noisy here, which excuses nobody.
        ideal = referee.rounding(order, truths, SURE_REPLAYS if effort else QUICK_REPLAYS)
        spread = [np.minimum(n, SLACK * i + floor_of(t.value)) for n, i, t in zip(spread, ideal, truths, strict=True)]
        truths = referee.truths(order, spread, effort)
    forward = np.asarray(case.program(*case.inputs)) if order == 1 else None
    return Facts(names, np.dtype(case.dtype), spread, truths, forward, referee.reason)


def ask(spec: str, case: Case, order: int, clock: Clock | None = None, adapter: Any = None) -> Answer:
    """One party's answer; whatever it raises becomes part of it."""
    adapter = adapter or party(spec)
    inputs = [x.copy() for x in case.inputs]
    try:
        with (clock or Clock()).of(spec):
            if order == 1:
                answered = adapter.vjp(case.program, inputs, case.cotangent.copy())
                if not (isinstance(answered, tuple) and len(answered) == 2):
                    why = f"vjp returned a {type(answered).__name__}; it must return (value, gradients)"
                    return Answer(spec, label=Label.STRUCTURE, why=why)
                arrays = [answered[0], *answered[1]]
            else:
                if not hasattr(adapter, "hvp"):
                    raise Unsupported("the adapter has no hvp")
                arrays = list(
                    adapter.hvp(case.program, inputs, case.cotangent.copy(), [v.copy() for v in case.vectors])
                )
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


def steadfast(answer: Answer, case: Case, order: int) -> Answer:
    """The subject's answer; at fault if it is not the same when asked again."""
    if answer.label is not None:
        return answer
    why = differing(answer, case, order)
    return replace(answer, label=Label.STRUCTURE, why=why) if why else answer


def differing(answer: Answer, case: Case, order: int, adapter: Any = None) -> str:
    """Where an answer is another one, in any bit, when the same party is asked the same again; empty if nowhere.

    An engine that draws numbers, or keeps gradients from one call to the next, may stay within the noise.
    """
    again = ask(answer.party, case, order, adapter=adapter)
    if again.label != answer.label or len(again.arrays) != len(answer.arrays):
        return f"asked again, it was {again.label or 'able to answer'}: {again.why}"
    for number, (first, second) in enumerate(zip(answer.arrays, again.arrays, strict=True)):
        if np.asarray(first).tobytes() != np.asarray(second).tobytes():
            return f"asked again, it gave something else as array {number}"
    return ""


def examine(case: Case, setup: Setup, silent: Mapping[str, str] | None = None, timed: bool = False) -> Examination:
    """Ask, judge, and check every excuse.

    `silent` names parties that are not asked because they cannot answer, with the reason.
    """
    start, clock = time.perf_counter(), Clock()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        events = find_events(case)
        referee = Referee(case, max(setup.orders), **met(events))
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
            judged, facts[order] = judged_fairly(case, order, answers[order], referee, clock)
            with clock.of("second looks"):
                answers[order] = [
                    a if silent and a.party in silent else as_called(case, v, a)
                    for v, a in zip(judged, answers[order], strict=True)
                ]
                judged = [judge(answer, order, facts[order]) for answer in answers[order]]
                verdicts += [settled(case, v, a, facts[order]) for v, a in zip(judged, answers[order], strict=True)]
        with clock.of("second looks"):
            check_excuses(case, verdicts)
        timings = time_parties(case, setup, verdicts) if timed else {}
    gradients = facts[1].truths[1:] if 1 in facts else []
    vacuous = bool(gradients) and not any(np.any(t.value != 0) for t in gradients)
    seconds = time.perf_counter() - start
    return Examination(case, verdicts, answers, facts, events, vacuous, timings, dict(clock), seconds)


def judged_fairly(
    case: Case, order: int, answers: Sequence[Answer], referee: Referee, clock: Clock
) -> tuple[list[Verdict], Facts]:
    """Provisional verdicts; before anybody is accused, noise and kinks are looked at again, and longer."""
    for effort in range(len(EFFORTS)):
        with clock.of("referee"):
            facts = facts_of(case, order, referee, effort)
        judged = [judge(answer, order, facts) for answer in answers]
        if not any(v.is_off for v in judged):
            break
    return judged, facts


def as_called(case: Case, verdict: Verdict, answer: Answer) -> Answer:
    """The answer of a party that is off or raised, asked again in the way that people call it, if that is another."""
    in_doubt = verdict.is_off or verdict.label in (Label.ERRORED, Label.STRUCTURE)
    if not in_doubt or answer.party not in KNOWN or not hasattr(party(answer.party), "timed"):
        return answer
    return ask(answer.party, case, verdict.order, adapter=getattr(party(answer.party), "timed", None))


def settled(case: Case, verdict: Verdict, answer: Answer, facts: Facts) -> Verdict:
    """A verdict after the questions that only those who are off are asked."""
    if verdict.label == Label.STRUCTURE and "dtype" in verdict.why and is_promotion(case, answer.party, verdict.order):
        return replace(verdict, label=Label.PROMOTION)
    if not verdict.is_off:
        return verdict
    if reason := meant_otherwise(case, answer.party):
        return replace(verdict, label=Label.SEMANTICS, why=f"{verdict.why}; {reason}")
    if is_flushed(case, answer, verdict.order, facts):
        return replace(verdict, label=Label.FLUSH)
    if right_where := loses_digits(case, answer, verdict.order, facts):
        return replace(verdict, label=Label.UNSTABLE, why=f"{verdict.why}; {right_where}")
    return verdict


def is_promotion(case: Case, spec: str, order: int) -> bool:
    """Whether what differs by dtype agrees with every input in float64."""
    if spec.partition(".")[0] not in PROMOTES or case.dtype == "float64":
        return False
    return relative_error(cast(case, "float64"), spec, order)[1]


def is_flushed(case: Case, answer: Answer, order: int, facts: Facts) -> bool:
    """Whether this is the answer that follows if numbers below the normal range are zero, in inputs or on the way."""
    if not any(event.what == "range: subnormal" for event in find_events(case)):
        return False
    tiny = np.finfo(case.dtype).tiny
    flushed = replace(case, inputs=tuple(np.where(np.abs(x) < tiny, 0 * x, x) for x in case.inputs))
    if can_run(flushed):
        known = facts_of(flushed, order, Referee(flushed, order, **met(find_events(flushed))), len(EFFORTS) - 1)
        if not judge(answer, order, known).is_off:
            return True
    replay = [np.asarray(getattr(a, "value", a)) for a in reference(wrapped(case, Flushing), order)]
    return all(
        np.all(units_outside(mine, zeroed, zeroed, noise) <= UNITS)
        for mine, zeroed, noise in zip(formed(answer, facts), replay, facts.noise, strict=True)
    )


def cast(case: Case, dtype: str) -> Case:
    """The case at the same point in another dtype."""
    program = Program(
        tuple(replace(i, dtype=dtype) for i in case.program.inputs), case.program.steps, case.program.output
    )
    inputs, vectors = (tuple(x.astype(dtype) for x in arrays) for arrays in (case.inputs, case.vectors))
    return replace(case, program=program, inputs=inputs, cotangent=case.cotangent.astype(dtype), vectors=vectors)


SMALL_STEP = 2.0**-12

TOTAL_LOSS, COLLAPSE = 1.0, 1e-3
"""A relative error from the first on counts as all digits lost; one that falls to the second of it was at a point."""


def loses_digits(case: Case, answer: Answer, order: int, facts: Facts) -> str:
    """Where the party's own formula is right, if this is a matter of digits; empty if the formula is wrong.

    Its formula is right if it agrees at the same point in float64; or if it loses digits all around
    the point, but agrees at ordinary points of the same signs.  What is off at the very point alone,
    or at ordinary points too, is a wrong formula.
    """
    spec = answer.party
    if case.dtype == "float32" and relative_error(cast(case, "float64"), spec, order)[1]:
        return "in float64 it agrees"
    here = min(relative_error(case, spec, order)[0], TOTAL_LOSS)
    random = np.random.default_rng(seed_of(case))
    smallest = min([1.0, *(abs(float(x)) for array in case.inputs for x in array.ravel() if x != 0)])
    for _ in range(2):
        step = [SMALL_STEP * random.uniform(0.5, 1, x.shape) for x in case.inputs]
        near = tuple(
            np.where(x == 0, s * smallest, x * (1 + s)).astype(x.dtype) for x, s in zip(case.inputs, step, strict=True)
        )
        if relative_error(replace(case, inputs=near), spec, order)[0] <= COLLAPSE * here:
            return ""
    for low, high in ((0.3, 0.9), (1.3, 1.9)):
        ordinary = tuple(
            (random.uniform(low, high, x.shape) * np.where(x < 0, -1, 1)).astype(x.dtype) for x in case.inputs
        )
        if relative_error(replace(case, inputs=ordinary), spec, order)[1]:
            return "at ordinary points it agrees"
    return ""


def relative_error(case: Case, spec: str, order: int) -> tuple[float, bool]:
    """A party's largest error at some point, relative to the largest element, and whether it agrees there."""
    if not can_run(case):
        return np.inf, False
    answer = ask(spec, case, order)
    facts = facts_of(case, order, Referee(case, order, **met(find_events(case))))
    verdict = judge(answer, order, facts)
    if answer.label is not None or verdict.label == Label.STRUCTURE:
        return np.inf, False
    error = 0.0
    for mine, truth in zip(formed(answer, facts), facts.truths, strict=True):
        off = units_outside(mine, truth.low, truth.high, 1.0)
        largest = np.max(np.abs(np.where(truth.status == 0, truth.value, 0)), initial=0.0)
        error = max(error, float(np.max(np.where(truth.status < 2, off, 0), initial=0.0)) / (largest or 1.0))
    return error, verdict.label in (Label.AGREES, Label.ILL_CONDITIONED, Label.CONVENTION)


def check_excuses(case: Case, verdicts: list[Verdict]) -> None:
    """Judge whoever was excused by a kink or an edge again, with the inputs moved a little off it.

    Whoever is still off there was not excused by the event, and takes the verdict from there.
    """
    excused = [v for v in verdicts if v.label in EXCUSED]
    moved = moved_off(case) if excused else None
    if moved is None:
        return
    referee = Referee(moved, max(v.order for v in excused))
    for verdict in excused:
        answer = ask(verdict.party, moved, verdict.order)
        [again], facts = judged_fairly(moved, verdict.order, [answer], referee, Clock())
        again = settled(moved, again, answer, facts)
        if RANK[again.label] >= RANK[Label.UNSTABLE]:
            verdict.label = again.label
            verdict.why += f"; moved off the event: {again.why}"


def moved_off(case: Case) -> Case | None:
    """The case at a nearby point without kinks and edges, or None if there is none nearby."""
    random = np.random.default_rng(len(case.program.steps))
    for size in (2.0**-10, 2.0**-6):
        step = [size * (1 + np.abs(x)) * random.uniform(0.5, 1, x.shape) for x in case.inputs]
        moved = replace(case, inputs=tuple((x + s).astype(x.dtype) for x, s in zip(case.inputs, step, strict=True)))
        if can_run(moved) and not any(event.is_break for event in find_events(moved)):
            return moved
    return None


def can_run(case: Case) -> bool:
    """Whether there is a value: what is positive definite need not be so a little off, nor in another dtype."""
    try:
        case.program(*case.inputs)
    except MinigradError:
        return False
    return True


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
