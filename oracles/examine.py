"""One case, examined: ask every party, gather the facts, judge, and say so as data."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad.program import encode_array
from oracles.adapters import KNOWN, Adapter, load
from oracles.cases import Case, FloatArray
from oracles.census import exercised
from oracles.errors import Unsupported
from oracles.events import Event
from oracles.exact import EFFORTS, Status, Truth
from oracles.facts import Point, reference
from oracles.known import meant_otherwise
from oracles.laws import HOLDS_AT_KINKS, TRANSPOSED, Variant, pairing, variant_of
from oracles.noise import Flushing, wrapped
from oracles.verdict import EXCUSED, FATAL, RANK, UNITS, Answer, Facts, Label, Verdict, formed, judge, units_outside

PROMOTES = ("torch", "jax")
"""Parties with rules of their own, documented, for the dtype of a result."""


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


def ask(spec: str, case: Case, order: int, clock: Clock | None = None, adapter: Any = None) -> Answer:
    """One party's answer; whatever it raises becomes part of it."""
    adapter = adapter or party(spec)
    inputs = [x.copy() for x in case.inputs]
    try:
        with (Clock() if clock is None else clock).of(spec):
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
                judged, facts[order] = judged_fairly(point, order, answers[order])
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


def judged_fairly(point: Point, order: int, answers: Sequence[Answer]) -> tuple[list[Verdict], Facts]:
    """Provisional verdicts; before anybody is accused, noise and kinks are looked at again, and longer."""
    facts = None
    for effort in range(len(EFFORTS)):
        before, facts = facts, point.facts(order, effort)
        if facts is before:
            break
        judged = [judge(answer, order, facts) for answer in answers]
        if not any(v.is_off for v in judged):
            break
    assert facts is not None
    return judged, facts


def as_called(case: Case, verdict: Verdict, answer: Answer) -> Answer:
    """The answer of a party that is off or raised, asked again in the way that people call it, if that is another."""
    in_doubt = verdict.is_off or verdict.label in (Label.ERRORED, Label.STRUCTURE)
    if not in_doubt or answer.party not in KNOWN or not hasattr(party(answer.party), "timed"):
        return answer
    return ask(answer.party, case, verdict.order, adapter=getattr(party(answer.party), "timed", None))


def settled(point: Point, verdict: Verdict, answer: Answer, facts: Facts) -> Verdict:
    """A verdict after the questions that only those who are off are asked."""
    if verdict.label == Label.STRUCTURE and "dtype" in verdict.why and is_promotion(point, answer.party, verdict.order):
        return replace(verdict, label=Label.PROMOTION)
    if not verdict.is_off:
        return verdict
    if reason := meant_otherwise(point.case, answer.party):
        return replace(verdict, label=Label.SEMANTICS, why=f"{verdict.why}; {reason}")
    if is_flushed(point, answer, verdict.order, facts):
        return replace(verdict, label=Label.FLUSH)
    if right_where := loses_digits(point, answer, verdict.order, facts):
        return replace(verdict, label=Label.UNSTABLE, why=f"{verdict.why}; {right_where}")
    return verdict


def is_promotion(point: Point, spec: str, order: int) -> bool:
    """Whether what differs by dtype agrees with every input in float64."""
    if spec.partition(".")[0] not in PROMOTES or point.case.dtype == "float64":
        return False
    return error_at(point.in_dtype("float64"), spec, order).agrees


def is_flushed(point: Point, answer: Answer, order: int, facts: Facts) -> bool:
    """Whether this is the answer that follows if numbers below the normal range are zero, in inputs or on the way."""
    if not any(event.what == "range: subnormal" for event in point.events):
        return False
    flushed = point.flushed()
    if flushed is not None and not judge(answer, order, flushed.facts(order, len(EFFORTS) - 1)).is_off:
        return True
    replay = [np.asarray(getattr(a, "value", a)) for a in reference(wrapped(point.case, Flushing), order)]
    return all(
        np.all(units_outside(mine, zeroed, zeroed, noise) <= UNITS)
        for mine, zeroed, noise in zip(formed(answer, facts), replay, facts.noise, strict=True)
    )


TOTAL_LOSS, COLLAPSE = 1.0, 1e-3
"""A relative error from the first on counts as all digits lost; one that falls to the second of it was at a point."""

FOLLOWS_ROUNDING = 2.0**-19
"""An error that in float64 falls to this part of what it is in float32 comes of rounding, whose unit falls 2**-29."""


def loses_digits(point: Point, answer: Answer, order: int, facts: Facts) -> str:
    """Where the party's own formula is right, if this is a matter of digits; empty if the formula is wrong.

    Its formula is right if it agrees at the same point in float64; or if it loses digits all around
    the point, but agrees at ordinary points of the same signs.  What is off at the very point alone,
    or at ordinary points too, is a wrong formula; but where the truth is zero, with no size that digits could
    be counted from, the error must be of the rounding unit's size in both dtypes.
    """
    spec = answer.party
    here = error_of(answer, order, facts)
    if point.case.dtype == "float32" and error_at(point.in_dtype("float64"), spec, order).agrees:
        return "in float64 it agrees"
    if np.isfinite(here.size) and not any(np.any(t.value) for t in facts.truths):
        other = error_at(point.in_dtype("float32" if point.case.dtype == "float64" else "float64"), spec, order)
        finer, coarser = sorted([here.size, other.size])
        follows = 0 < finer <= FOLLOWS_ROUNDING * coarser < np.inf
        return "its error there follows the rounding unit" if follows else ""
    loss = min(here.size, TOTAL_LOSS)
    if any(error_at(near, spec, order).size <= COLLAPSE * loss for near in point.nearby()):
        return ""
    if any(error_at(ordinary, spec, order).agrees for ordinary in point.ordinary()):
        return "at ordinary points it agrees"
    return ""


class Error(NamedTuple):
    """How far a party is off somewhere."""

    size: float
    """Relative to the largest element; absolute where all are zero."""
    agrees: bool


def error_of(answer: Answer, order: int, facts: Facts) -> Error:
    """A party's largest error by some facts."""
    verdict = judge(answer, order, facts)
    if answer.label is not None or verdict.label == Label.STRUCTURE:
        return Error(np.inf, False)
    size = 0.0
    for mine, truth in zip(formed(answer, facts), facts.truths, strict=True):
        off = units_outside(mine, truth.low, truth.high, 1.0)
        largest = np.max(np.abs(np.where(truth.status == Status.CERTAIN, truth.value, 0)), initial=0.0)
        size = max(size, float(np.max(np.where(truth.status <= Status.KINK, off, 0), initial=0.0)) / (largest or 1.0))
    return Error(size, verdict.label in (Label.AGREES, Label.ILL_CONDITIONED, Label.CONVENTION))


def error_at(point: Point | None, spec: str, order: int) -> Error:
    """A party's error at a point, if that is one."""
    if point is None:
        return Error(np.inf, False)
    answer = ask(spec, point.case, order)
    # It is digits that are asked about: a gradient of another dtype has them, whatever else is said of it.

    def cast(array: Any) -> Any:
        return array.astype(point.case.dtype) if getattr(array, "dtype", None) in ("f4", "f8") else array

    return error_of(replace(answer, arrays=[cast(a) for a in answer.arrays]), order, point.facts(order))


def check_excuses(point: Point, verdicts: list[Verdict]) -> None:
    """Judge whoever was excused by a kink or an edge again, with the inputs moved a little off it.

    Whoever is still off there was not excused by the event, and takes the verdict from there.
    """
    excused = [v for v in verdicts if v.label in EXCUSED]
    moved = point.off_the_event() if excused else None
    if moved is None:
        return
    for verdict in excused:
        answer = ask(verdict.party, moved.case, verdict.order)
        [again], facts = judged_fairly(moved, verdict.order, [answer])
        again = settled(moved, again, answer, facts)
        if RANK[again.label] >= RANK[Label.UNSTABLE]:
            verdict.label, verdict.moved = again.label, True
            verdict.why += f"; moved off the event: {again.why}"


LAWFUL = (Label.AGREES, Label.ILL_CONDITIONED, Label.SIGNED_ZERO, Label.NONFINITE, *EXCUSED)
"""Labels of answers that are held to a law."""


def put_to_law(
    point: Point, verdicts: list[Verdict], answers: Mapping[int, Sequence[Answer]], facts: Mapping[int, Facts]
) -> None:
    """Hold the answers to the law that the case names; who breaks it takes the verdict from there."""
    law = point.case.origin["law"]
    variant = None if law == TRANSPOSED else variant_of(point.case, law)
    for number, verdict in enumerate(verdicts):
        if verdict.label not in LAWFUL or verdict.moved:
            continue
        order = verdict.order
        [answer] = [a for a in answers[order] if a.party == verdict.party]
        if variant is not None:
            held = against_variant(variant, verdict, answer, facts[order], at_kinks=law in HOLDS_AT_KINKS)
        elif law == TRANSPOSED and order == 1:
            held = against_forward_mode(point, verdict, answer, facts[order])
        else:
            held = None
        if held is not None:
            why = f"by the law {law!r}: {held.why}" if held.broken else held.why
            verdicts[number] = replace(held, law=law, why=why)


def against_variant(variant: Variant, verdict: Verdict, answer: Answer, facts: Facts, at_kinks: bool) -> Verdict | None:
    """The verdict, or that on an answer to the law's cases which is at fault; None if there is no answer to these.

    What they give back is judged by what is known of the case; only where it is off is more found out about them.
    """
    order, cases = verdict.order, variant.cases
    asked = [ask(verdict.party, case, order) for case in cases]
    if any(a.label == Label.UNSUPPORTED for a in asked):
        return None
    back = given_back(variant, asked, order)
    sound = back is not None and judge(replace(answer, arrays=back), order, facts).label in LAWFUL
    if back is not None and sound and not (at_kinks and chosen_otherwise(answer, back, facts, facts.noise)):
        return verdict
    points = [Point(case, order) for case in cases]
    for number, (other, near) in enumerate(zip(asked, points, strict=True)):
        [own], known = judged_fairly(near, order, [other])
        other = as_called(near.case, own, other)
        own = settled(near, judge(other, order, known), other, known)
        if own.label in FATAL or own.label == Label.UNSTABLE:
            return replace(own, broken=True, variant=number)
    if back is None or not at_kinks:
        return verdict
    found = [near.facts(order, len(EFFORTS) - 1).noise[-len(near.case.inputs) :] for near in points]
    value, own_noise = facts.noise[: -len(found[0])], facts.noise[-len(found[0]) :]
    spread = [*value, *(a + b for a, b in zip(own_noise, variant.back(found), strict=True))]
    why = chosen_otherwise(answer, back, facts, spread)
    return replace(verdict, label=Label.WRONG, why=why, broken=True) if why else verdict


def given_back(variant: Variant, asked: Sequence[Answer], order: int) -> list[FloatArray | None] | None:
    """The answer that those to a law's cases amount to; None if one of them is not of sound form."""
    gradients = []
    for answer, case in zip(asked, variant.cases, strict=True):
        if answer.label is not None or len(answer.arrays) != len(case.inputs) + (order == 1):
            return None
        pairs = [*zip(answer.arrays[order == 1 :], case.inputs, strict=True)]
        own = [np.zeros_like(x) if g is None else g for g, x in pairs]
        if any(
            getattr(g, "shape", None) != x.shape or g.dtype != x.dtype for g, (_, x) in zip(own, pairs, strict=True)
        ):
            return None
        gradients.append(own)
    return [*asked[0].arrays[: order == 1], *variant.back(gradients)]


def chosen_otherwise(
    answer: Answer, back: Sequence[FloatArray | None], facts: Facts, spread: Sequence[FloatArray]
) -> str:
    """Where at a kink the law's cases give back another choice than the case; empty if nowhere."""
    mine, theirs = formed(answer, facts), formed(replace(answer, arrays=back), facts)
    for name, a, b, truth, noise_of in zip(facts.names, mine, theirs, facts.truths, spread, strict=True):
        compared = (truth.status == Status.KINK) & np.isfinite(a) & np.isfinite(b)
        units = np.where(compared, units_outside(b, a, a, noise_of), 0)
        if np.any(units > UNITS):
            place = np.unravel_index(int(np.argmax(units)), units.shape)
            return (
                f"{name}[{', '.join(map(str, place))}] is {float(a[place])!r}, and given back {float(b[place])!r}: "
                f"{float(units[place]):.3g} units of noise apart, where {UNITS:g} are allowed"
            )
    return ""


def against_forward_mode(point: Point, verdict: Verdict, answer: Answer, facts: Facts) -> Verdict | None:
    """The verdict, or a worse one if <Jv, w> is not <v, J'w>; None where the party has no forward mode, or no truth."""
    case, adapter = point.case, party(verdict.party)
    if not hasattr(adapter, "jvp") or any(np.any(truth.status != Status.CERTAIN) for truth in facts.truths):
        return None
    try:
        along = adapter.jvp(case.program, [x.copy() for x in case.inputs], [v.copy() for v in case.vectors])
    except Unsupported:
        return None
    except Exception as error:  # an engine on trial may raise anything at all
        return replace(verdict, label=Label.ERRORED, why=f"{type(error).__name__}: {error}"[:500], broken=True)
    along = np.zeros_like(case.cotangent) if along is None else along
    if np.shape(along) != case.cotangent.shape:
        why = f"Jv has shape {np.shape(along)} instead of {case.cotangent.shape}"
        return replace(verdict, label=Label.STRUCTURE, why=why, broken=True)
    forward, backward = pairing([along], [case.cotangent]), pairing(case.vectors, formed(answer, facts)[1:])
    apart, allowed = abs(forward - backward), pairing([abs(v) for v in case.vectors], facts.noise[1:])
    if not np.isfinite(backward) or apart <= UNITS * allowed:
        return verdict
    allowed += point.noise_of_forward_mode()
    if not np.isfinite(allowed) or apart <= UNITS * allowed:
        return verdict
    why = f"<Jv, w> = {forward!r}, <v, J'w> = {backward!r}: {apart / allowed:.3g} units of noise apart"
    return replace(verdict, label=Label.WRONG, why=f"{why}, where {UNITS:g} are allowed", broken=True)


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
