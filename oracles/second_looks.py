"""Second looks: what is asked before anybody is accused, and of whoever is excused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigrad.programs import Program, Ref
from minigrad.protocol import leaves
from oracles.adapters import KNOWN
from oracles.asking import ask, party
from oracles.cases import Case, FloatArray
from oracles.exact import EFFORTS, Status, Truth
from oracles.exact.reach import is_linear
from oracles.facts import SURE_REPLAYS, Point, can_run
from oracles.meaning import as_meant, meanings, reasons
from oracles.noise import DIVIDE_BY, Flushing, FlushingOperands, Noisy, floor_of
from oracles.shrink import one_by_one
from oracles.verdict import (
    EXCUSED,
    FATAL,
    RANK,
    UNITS,
    Answer,
    Facts,
    Label,
    Verdict,
    falls_short,
    formed,
    is_shaky,
    judge,
    ranked,
    units_outside,
)

PROMOTES = ("torch", "jax")
"""Parties with rules of their own, documented, for the dtype of a result."""


def judged_fairly(
    point: Point, order: int, answers: Sequence[Answer], shown: bool = False
) -> tuple[list[Verdict], Facts]:
    """Provisional verdicts; before anybody is accused, noise and kinks are looked at again, and longer.

    Kinks are in any case if the truth is to be `shown`.
    """
    facts = None
    for effort in range(len(EFFORTS)):
        before, facts = facts, point.facts(order, effort)
        if facts is before:
            break
        judged = [judge(answer, order, facts) for answer in answers]
        kinks = shown and any(np.any(t.status == Status.KINK) for t in facts.truths)
        unsettled = effort < SETTLED and is_unsettled(point, facts)
        if not (kinks or unsettled or any(v.is_off or v.label == Label.KINK_CHAIN for v in judged)):
            break
    assert facts is not None
    return judged, facts


SETTLED = 2
"""The effort at which it has been seen what may be chosen, of all but many that tie."""


def is_unsettled(point: Point, facts: Facts) -> bool:
    """Whether rounding does much beside a kink: it may be by another choice, which was not seen yet to be one."""
    noisy = any(is_shaky(truth, noise) for truth, noise in zip(facts.truths, facts.noise, strict=True))
    return noisy and any(event.is_break for event in point.events)


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
    signed = point.as_signed(answer.party)
    if signed is not point:
        [own], facts = judged_fairly(signed, verdict.order, [answer])
        if not own.is_off:
            why = f"{verdict.why}; its vectors have other signs than NumPy's, which are as good, and by these it agrees"
            return replace(verdict, label=Label.SEMANTICS, why=why)
        verdict = own
    if found := meanings(point.case, answer.party):
        point, own, facts = meant(point, verdict.order, answer, found)
        if not own.is_off:
            return replace(verdict, label=Label.SEMANTICS, why=f"{verdict.why}; {reasons(found)}")
        verdict = own
    found_at = facts.element(verdict.where)
    if found_at is not None and facts.truths[found_at[0]].status[found_at[1]] == Status.NONFINITE:
        mine, number = formed(answer, facts)[found_at[0]][found_at[1]], facts.truths[found_at[0]].low[found_at[1]]
        if not abs(mine - number) < ALIKE * abs(number):
            return verdict  # beside infinity there are no digits to be lost but those of the number that there is
    if is_flushed(point, answer, verdict.order, facts):
        return replace(verdict, label=Label.FLUSH)
    if rounding_alone(point, answer, verdict.order, facts):
        why = f"{verdict.why}; rounding alone may make no finite number of it"
        return replace(verdict, label=Label.ILL_CONDITIONED, why=why)
    if beside_poles(point, answer, verdict.order, facts):
        why = f"{verdict.why}; rounding alone may take through 0 what is divided by"
        return replace(verdict, label=Label.ILL_CONDITIONED, why=why)
    if right_where := loses_digits(point, answer, verdict.order, facts):
        label = Label.EDGE if only_beyond_the_range(answer, facts) else Label.UNSTABLE
        return replace(verdict, label=label, why=f"{verdict.why}; {right_where}")
    at_kink = found_at is not None and facts.truths[found_at[0]].status[found_at[1]] == Status.KINK
    if at_kink and chooses_as_it_may(point, answer.party, verdict.order):
        return replace(verdict, label=Label.KINK_CHAIN, why=f"{verdict.why}; by itself no step is off")
    return confirmed(point.as_signed(answer.party), verdict, facts)


SAME_QUOTIENT = 2.0**-16
"""A difference quotient and a derivative are one number if they differ by no more than this part of it."""


def confirmed(point: Point, verdict: Verdict, facts: Facts) -> Verdict:
    """A verdict of wrong, once a difference quotient of exact values bears out the truth that it rests on.

    If it does not, the referee is what is in doubt, and nobody is accused.
    """
    found = facts.element(verdict.where)
    if found is None or facts.names[found[0]] == "value":
        return verdict
    k, place = found
    truth, noise = float(facts.truths[k].value[place]), float(facts.noise[k][place])
    quotient = point.referee.quotient(verdict.order, k, place)
    if quotient is None or facts.truths[k].status[place] != Status.CERTAIN:
        return verdict
    allowed = max(abs(truth) * SAME_QUOTIENT, noise if np.isfinite(noise) else 0.0, float(np.finfo(facts.dtype).tiny))
    told = f"{verdict.why}; a difference quotient of exact values is {quotient:.12g}"
    if abs(quotient - truth) <= allowed:
        return replace(verdict, why=told)
    return replace(verdict, label=Label.UNDECIDED, why=f"{told}, which does not bear out the truth")


def meant(
    point: Point, order: int, answer: Answer, found: Mapping[str, Mapping[str, Any]]
) -> tuple[Point, Verdict, Facts]:
    """The point, the verdict and the facts of what the party means: who is off there too is off by its own meaning."""
    case = as_meant(point.case, found)
    there = Point(case, point.order) if can_run(case) else point
    [verdict], facts = judged_fairly(there.as_signed(answer.party), order, [answer])
    return there, verdict, facts


def looked_at(point: Point, order: int, answer: Answer) -> Verdict:
    """The verdict on one answer at a point, as long as looking at it takes."""
    [verdict], facts = judged_fairly(point, order, [answer])
    answer = as_called(point.case, verdict, answer)
    return settled(point, judge(answer, order, facts), answer, facts)


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
    if flushed is not None:
        there = flushed.facts(order, len(EFFORTS) - 1)
        if not judge(answer, order, there).is_off and not invents(answer, facts, there):
            return True

    plain = zip(point.passes(order).plain, facts.truths, facts.noise, strict=True)
    if any(np.any((units_outside(m, t.low, t.high, n) > UNITS) & (t.status <= Status.KINK)) for m, t, n in plain):
        return False  # what is replayed is off by itself

    def comes_of(kind: type[Noisy]) -> bool:
        replay = map(np.asarray, point.passes(order).replay(kind))
        return all(
            # Where rounding may do anything, zeros for subnormal numbers must give the very answer.
            np.all(units_outside(mine, zeroed, zeroed, np.where(np.isinf(noise), floor_of(zeroed), noise)) <= UNITS)
            for mine, zeroed, noise in zip(formed(answer, facts), replay, facts.noise, strict=True)
        )

    return comes_of(Flushing) or comes_of(FlushingOperands)


def invents(answer: Answer, facts: Facts, flushed: Facts) -> bool:
    """Whether it has a finite number of its own where zeros for subnormal numbers make an edge, which excuses all."""

    def of_its_own(mine: Any, truth: Truth, noise: Any, there: Truth) -> bool:
        off = (units_outside(mine, truth.low, truth.high, noise) > UNITS) & (truth.status <= Status.KINK)
        return bool(np.any((off | falls_short(mine, truth)) & np.isfinite(mine) & (there.status == Status.EDGE)))

    each = zip(formed(answer, facts), facts.truths, facts.noise, flushed.truths, strict=True)
    return any(of_its_own(*one) for one in each)


TOTAL_LOSS, COLLAPSE = 1.0, 1e-3
"""A relative error from the first on counts as all digits lost; one that falls to the second of it was at a point."""

NO_DIGITS = 64
"""An error of more rounding units than this is one of digits still, and not gone."""

ALIKE = 2.0**-3
"""Two errors that are the same but for this part of them do not come of rounding."""

FOLLOWS_ROUNDING = 2.0**-19
"""An error that in float64 falls to this part of what it is in float32 comes of rounding, whose unit falls 2**-29."""


def loses_digits(point: Point, answer: Answer, order: int, facts: Facts) -> str:
    """Where the party's own formula is right, if this is a matter of digits; empty if the formula is wrong.

    Its formula is right if it agrees at the same point in float64, and most digits are not gone at every ordinary
    point; or if it loses digits all around the point, but agrees at ordinary points of the same signs, or in all steps
    by themselves but those that lose digits too. What is off at the very point alone, or at ordinary points too, is a
    wrong formula, unless a step by itself loses its digits; and so is what is off by one factor in both dtypes, unless
    a step does and the program is right at ordinary points, to which digits may be seen to come back, or what is off at
    the point as at ordinary ones; but where the truth is zero, with no size that digits could be counted from, or
    ordinary points are at edges, the error must be of the rounding unit's size in both dtypes, or a few units of noise
    or of the terms that cancel; and those may be the larger elements, if nothing is off but zeros, and by no more than
    rounding of these. An error of that size may be gone nearby by luck, as where a mean happens to be exact; and others
    recur at some of many points nearby.
    """
    spec = answer.party
    here = error_of(answer, order, facts)
    other = error_in_other_dtype(point, spec, order)
    if point.case.dtype == "float32" and other.agrees:
        ordinary = [error_at(each, spec, order) for each in point.ordinary()]
        if all(map(here.is_like, ordinary)):
            return ""
        tell = [there for there in ordinary if there.tells]
        if tell and all(there.size > COLLAPSE for there in tell):  # most digits are gone wherever there is no trouble
            lost = here.none_left.any() and is_right_once_tamed(point, spec, order, here)
            return TAMED if lost else step_that_loses(point, spec, order, rounds=False)
        return "in float64 it agrees"
    vanishes = not any(np.any(t.value) for t in derivatives(facts))
    if vanishes and is_rounding_of_zero(answer, facts, size_of_terms(point, order)):
        return "what is left is rounding of terms that cancel"
    if vanishes and np.isfinite(here.size) and not np.any(facts.truths[0].value):
        if judge(answer, order, facts).units <= NO_DIGITS:
            return "what is left is rounding of terms that cancel"
        if follows_rounding(here, other):
            return "its error there follows the rounding unit"
        if not any(event.is_break for event in point.events) and comes_and_goes(point, spec, order, here):
            return "its error comes and goes at points nearby, as rounding does"
        return step_that_loses(point, spec, order, rounds=False)
    ordinary = [error_at(each, spec, order) for each in point.ordinary()]
    if not any(there.tells_of(here) for there in ordinary):
        ordinary += [error_at(each, spec, order) for each in point.ordinary(again=True)]
    if not other.agrees and here.is_like(other):
        if not any(map(here.is_answered_by, ordinary)):
            return ""
        if fades_by_digits(point, spec, order, here):
            return "nearer to 1 float64 has digits left where float32 is off like this"
        return step_that_loses(point, spec, order, rounds=False)
    nearby = [error_at(near, spec, order) for near in point.nearby()]
    collapses = all(map(here.collapses_to, nearby))
    if here.none_left.any() and (collapses or here.is_alone(nearby)):
        alone = here.none_left & ~beyond_range(point, order, facts)
        return "" if alone.any() else "numbers leave the range on the way"
    rounds = follows_rounding(here, other)
    if collapses and not rounds and np.isfinite(here.size):
        collapses = not any(here.recurs_in(error_at(near, spec, order)) for near in point.nearby(again=True))
    if collapses and not rounds:
        return step_that_loses(point, spec, order, rounds)
    if any(map(here.is_answered_by, ordinary)):
        return "at ordinary points it agrees"
    if is_rounding_of_zero(answer, facts, largest_derivative(facts)) and any(there.agrees for there in ordinary):
        return "what is left where the truth is zero is rounding of larger elements, and at ordinary points it agrees"
    if rounds and not any(there.tells for there in ordinary):
        return "its error follows the rounding unit, and ordinary points are at an edge"
    if is_right_once_tamed(point, spec, order, here):
        return TAMED
    off_by_range = here.none_left.any() and not np.any(here.none_left & ~beyond_range(point, order, facts))
    if off_by_range and only_not_finite(answer, facts) and any(there.agrees for there in ordinary):
        return "numbers leave the range on the way, and at ordinary points it agrees"
    # Of a constant that is too large by itself, numbers are infinite at ordinary points too.
    if loses_its_value(point, answer, facts):
        return "numbers leave the range on the way"
    few = judge(answer, order, facts).units <= NO_DIGITS
    return step_that_loses(point, spec, order, rounds or few)


TAMED = "at ordinary points it agrees, the constants being so too"


def is_right_once_tamed(point: Point, spec: str, order: int, here: Error) -> bool:
    """Whether the party agrees at an ordinary point with ordinary constants."""
    tamed = point.tamed()
    return tamed is not None and any(here.is_answered_by(error_at(each, spec, order)) for each in tamed.ordinary())


def rounding_alone(point: Point, answer: Answer, order: int, facts: Facts) -> bool:
    """Whether all that is off is not finite where the truth is, and it is rounding that decides whether it is.

    As of this project's own rules, which are finite at times, so of the best, whose noise is infinite: rules that
    make no number by themselves excuse nobody, nor do numbers that always leave the range.  Of decompositions, which
    may come to a singular matrix by rounding, this project's own are asked alone.
    """
    off = []
    for mine, truth, noise in zip(formed(answer, facts), facts.truths, facts.noise, strict=True):
        off.append(ranked(mine, truth, noise, None)[0] == RANK[Label.WRONG])
        if np.any(off[-1] & (np.isfinite(mine) | np.isfinite(noise) | (truth.status != Status.CERTAIN))):
            return False
    if not any(map(np.any, off)):
        return False
    ideal = point.referee.rounding(order, facts.truths, SURE_REPLAYS) if point.rounds_simply else facts.noise
    decides = zip(off, point.finite_at_times(order), ideal, strict=True)
    return all(np.all(at_times[where] & np.isinf(noise[where])) for where, at_times, noise in decides)


def beside_poles(point: Point, answer: Answer, order: int, facts: Facts) -> bool:
    """Whether all that is off depends on a division, by the case itself, by what rounding may take through 0."""
    each = zip(formed(answer, facts), facts.truths, facts.noise, strict=True)
    off = [ranked(mine, truth, noise, None)[0] == RANK[Label.WRONG] for mine, truth, noise in each]
    divides = any(step.function in DIVIDE_BY for step in point.case.program.steps)
    if not (divides and any(map(np.any, off))):
        return False
    try:
        beside = point.beside_a_pole(order)
    except Exception:  # whatever this project's engine lacks, others may still be judged
        return False
    return all(np.all(there[where]) for where, there in zip(off, beside, strict=True))


def only_beyond_the_range(answer: Answer, facts: Facts) -> bool:
    """Whether nothing is off but infinities of the other sign, where the truth has no digits that could be lost."""
    each = zip(formed(answer, facts), facts.truths, facts.noise, strict=True)
    found = [(ranked(m, t, n, None)[0] == RANK[Label.WRONG], np.isinf(m) & t.beyond) for m, t, n in each]
    return any(np.any(off) for off, _ in found) and all(np.all(infinite[off]) for off, infinite in found)


def only_not_finite(answer: Answer, facts: Facts) -> bool:
    """Whether nothing is off but what is no number."""
    each = zip(formed(answer, facts), facts.truths, facts.noise, strict=True)
    return not any(np.any((ranked(m, t, n, None)[0] == RANK[Label.WRONG]) & np.isfinite(m)) for m, t, n in each)


def comes_and_goes(point: Point, spec: str, order: int, here: Error) -> bool:
    """Whether an error is there at some of many points nearby, and gone at others."""
    nearby = [error_at(near, spec, order) for near in point.nearby(again=True)]
    return any(map(here.recurs_in, nearby)) and any(near.agrees for near in nearby)


def derivatives(facts: Facts) -> Sequence[Truth]:
    """The truths but that of the value."""
    return facts.truths[facts.names[0] == "value" :]


def size_of_terms(point: Point, order: int) -> float:
    """How large the terms of a derivative are that vanishes: as what is differentiated, by the size of the inputs."""

    def largest(arrays: Sequence[Any]) -> float:
        return max((float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0)) for x in arrays), default=0.0)

    case, truths = point.case, [truth.value for truth in point.facts(1).truths]
    differentiated, along = (truths[:1], [case.cotangent]) if order == 1 else (truths[1:], case.vectors)
    with np.errstate(all="ignore"):
        return float(largest(differentiated) * largest(along) / np.float64(largest(case.inputs)))


def largest_derivative(facts: Facts) -> float:
    certain = [t.value[t.status == Status.CERTAIN] for t in derivatives(facts)]
    return max(float(np.max(np.abs(each), initial=0.0)) for each in certain)


def is_rounding_of_zero(answer: Answer, facts: Facts, size: float) -> bool:
    """Whether all that is off should be zero, and is no more than rounding of terms of that size.

    A gradient of what does not change at all, as a variance if all entries grow alike, is a sum of those of the rest.
    """
    allowed = NO_DIGITS * float(np.finfo(facts.dtype).eps) * size
    any_off = False
    for mine, truth, noise in zip(formed(answer, facts), facts.truths, facts.noise, strict=True):
        off = ranked(mine, truth, noise, None)[0] == RANK[Label.WRONG]
        zero = (truth.status == Status.CERTAIN) & (truth.value == 0)
        if np.any(off & ~(zero & (np.abs(mine) <= allowed))):
            return False
        any_off |= bool(np.any(off))
    return any_off  # rather than several elements together, none of which is off by itself


def steps_alone(point: Point, spec: str, order: int) -> Iterator[tuple[str, Verdict, Point]]:
    """Each step of a program of several, with the verdicts on it by itself and the point, made of what comes to it.

    What a second derivative is wrong by may be the first one of a step.
    """
    for step in () if "weighted" in point.case.origin else one_by_one(point.case):
        for each, alone in ((1, step.case), (2, step.weighted))[:order]:
            if can_run(alone):
                there = Point(alone, each)
                yield step.function, looked_at(there, each, ask(spec, alone, each)), there


def step_that_loses(point: Point, spec: str, order: int, rounds: bool) -> str:
    """The step that loses digits all by itself, on what comes to it here, if no step is wrong by itself; else empty.

    So a program may lose them at ordinary points too, as one that always gives a large sum to a tanh.  If all steps
    agree by themselves, and the error is one that `rounds`, they are lost between steps.
    """
    losing, all_agree = "", ""
    for function, verdict, there in steps_alone(point, spec, order):
        all_agree = "each step agrees by itself, and the error is one of rounding"
        if verdict.label == Label.WRONG:
            return ""
        # Beside larger elements, or near the end of the range, noise may swallow that digits are gone.
        within = verdict.label in (Label.AGREES, Label.ILL_CONDITIONED)
        if verdict.label == Label.UNSTABLE or (within and error_at(there, spec, verdict.order).lacks_digits):
            losing = losing or f"by itself {function} loses digits there"
    return losing or (all_agree if rounds else "")


def chooses_as_it_may(point: Point, spec: str, order: int) -> bool:
    """Whether no step of several is off by itself, so that what lies outside all chains seen is one of choices too."""
    verdicts = [verdict for _, verdict, _ in steps_alone(point, spec, order)]
    return bool(verdicts) and not any(verdict.label in FATAL for verdict in verdicts)


def follows_rounding(one: Error, other: Error) -> bool:
    """Whether errors in two dtypes are as far apart as their rounding units, or would be if any digits were left."""
    finer, coarser = sorted([one, other], key=lambda error: error.unit)
    alike = coarser.factors.size == finer.factors.size
    nothing_left = alike and coarser.factors[finer.worst] == 0 != finer.factors[finer.worst]
    if nothing_left and finer.size < TOTAL_LOSS <= finer.size / FOLLOWS_ROUNDING:
        return True
    return bool(0 < finer.size <= FOLLOWS_ROUNDING * coarser.size < np.inf)


ON_THE_WAY, APART = 32, 4
"""At how many points at most, on the way to numbers near 1, to ask whether digits come back; and how many powers of two
these lie apart at least: what goes by the fourth power of numbers is gone in float32 seven of these before float64."""


def fades_by_digits(point: Point, spec: str, order: int, here: Error) -> bool:
    """Whether what is off goes by digits on the way to numbers near 1: float32 is off as here where float64 has most.

    A wrong branch for large numbers goes all at once, and a series that is broken off early is off alike in both.
    """
    sizes = [np.abs(x[np.isfinite(x)]) for x in point.case.inputs]
    [exponent] = np.frexp([max((float(np.max(size, initial=0.0)) for size in sizes), default=0.0)])[1]

    def loses_some(shift: int) -> bool:
        inputs = tuple(np.ldexp(x, shift) for x in point.case.inputs)
        there = point.other(replace(point.case, inputs=inputs))
        if there is None or not here.is_like(error_at(there.in_dtype("float32"), spec, order)):
            return False
        fine = error_at(there.in_dtype("float64"), spec, order)
        return fine.lacks_digits and fine.size < ALIKE * here.size

    step = max(APART, abs(int(exponent)) // ON_THE_WAY) * (-1 if exponent < 0 else 1)
    return any(map(loses_some, range(-int(exponent), 0, step)))


def error_in_other_dtype(point: Point, spec: str, order: int) -> Error:
    return error_at(point.in_dtype("float32" if point.case.dtype == "float64" else "float64"), spec, order)


def loses_its_value(point: Point, answer: Answer, facts: Facts) -> bool:
    """Whether NumPy's own value is nowhere finite although the truth is, and so is no element that is off here."""
    value = point.facts(1).truths[0]
    with np.errstate(all="ignore"):
        forward = np.asarray(point.case.program(*point.case.inputs))
    if np.any(np.isfinite(forward)) or np.any(value.status != Status.CERTAIN):
        return False
    return all(
        not np.any(np.isfinite(mine) & (units_outside(mine, truth.low, truth.high, noise) > UNITS))
        for mine, truth, noise in zip(formed(answer, facts), facts.truths, facts.noise, strict=True)
    )


def beyond_range(point: Point, order: int, facts: Facts) -> Any:
    """The elements, in a row, that depend on infinite values; all, if any is so large that a step to it may be.

    On those that a derivative may be made of: that of a sum is the same whatever the sum is.
    """
    if facts.reach_the_end_of_the_range:
        return np.ones(sum(t.value.size for t in facts.truths), bool)
    curved = comes_to_a_curve(point.case.program)
    losses = {event.step: event.mask for event in point.events if event.is_loss and event.step in curved}
    if not losses:
        return np.zeros(sum(t.value.size for t in facts.truths), bool)
    value = [np.ones(facts.truths[0].value.shape, bool)] if order == 1 else []
    return np.concatenate([np.ravel(mask) for mask in (*value, *point.referee.met_by(losses, order))])


def comes_to_a_curve(program: Program) -> set[int]:
    """The numbers of the steps that are not linear, or whose results come to one that is not."""
    found: set[int] = set()
    for number, step in reversed([*enumerate(program.steps, 1)]):
        if number in found or not is_linear(step.function):
            found.add(number)
            found |= {x.index - len(program.inputs) + 1 for x in leaves(step.operands) if isinstance(x, Ref)}
    return found


@dataclass(frozen=True)
class Error:
    """How far a party is off somewhere."""

    size: float = np.inf
    """Relative to the largest element; absolute where all are zero."""
    agrees: bool = False
    tells: bool = False
    """Whether something is to be said of it there, as not at an edge."""
    worst: int = 0
    """The number of the element that is off most."""
    values: int = 0
    """How many elements, the first ones, are those of the value rather than of a derivative."""
    factors: FloatArray = field(default_factory=lambda: np.full(1, np.nan))
    """What each element is as a multiple of the truth; NaN where that says nothing, infinite for what is no number."""
    unit: float = np.inf
    """The rounding unit of its dtype."""

    @property
    def none_left(self) -> Any:
        """The elements that are no numbers, where there are some."""
        return np.isinf(self.factors)

    @property
    def lacks_digits(self) -> bool:
        """Whether any element is off by more than rounding of its own."""
        return bool(np.any(np.abs(self.factors - 1) > NO_DIGITS * self.unit))

    def collapses_to(self, near: Error) -> bool:
        """Whether the error is gone there, of the element that is off most here too.

        Of zero and of no number it is so if most digits are right there; of other numbers, if almost all are.
        """
        if near.factors.size != self.factors.size or near.size > COLLAPSE * min(self.size, TOTAL_LOSS):
            return False
        own = float(self.factors[self.worst])
        as_far_off = (np.abs(self.factors - 1) >= abs(own - 1) / 2) & np.isfinite(self.factors)
        if np.any(np.isnan(near.factors) & as_far_off):
            return False  # what is off here is zero there, which is not near
        some_left = np.isfinite(self.size) and own != 0 and abs(own - 1) > NO_DIGITS * self.unit
        left = min(COLLAPSE * abs(own - 1), NO_DIGITS * near.unit) if some_left else COLLAPSE
        left = ALIKE if np.isnan(own) else left  # it is small nearby if it is zero here, and small beside its rounding
        return not abs(near.factors[self.worst] - 1) > left

    def recurs_in(self, near: Error) -> bool:
        """Whether the element that is off most is off by such a part there too."""
        if near.factors.size != self.factors.size:
            return False
        if np.isnan(self.factors[self.worst]):
            return near.size > COLLAPSE * self.size
        return bool(np.abs(near.factors[self.worst] - 1) > COLLAPSE * np.abs(self.factors[self.worst] - 1))

    def is_alone(self, nearby: Sequence[Error]) -> bool:
        """Whether any element that is no number is one at points nearby."""
        return all(near.factors.size == self.factors.size for near in nearby) and bool(
            np.any(self.none_left & np.all([np.isfinite(near.factors) for near in nearby], axis=0))
        )

    def is_answered_by(self, other: Error) -> bool:
        """Whether the party agrees at another point; if no digits at all are left here, on more there than a zero."""
        some_left = bool(np.abs(self.factors[self.worst] - 1) < ALIKE)
        return other.agrees and (some_left or other.tells_of(self))

    def tells_of(self, here: Error) -> bool:
        """Whether it is about a number other than 0 which the element is that is off most here."""
        return self.tells and self.factors.size == here.factors.size and not np.isnan(self.factors[here.worst])

    def is_like(self, other: Error) -> bool:
        """Whether what is off most is off by the same factor there; not if no digits are left, as of 0 and infinity."""
        if other.factors.size != self.factors.size:
            return False
        mine, theirs = (float(error.factors[self.worst]) for error in (self, other))
        return mine != 0 and abs(mine - theirs) <= ALIKE * abs(mine - 1) < np.inf


def error_of(answer: Answer, order: int, facts: Facts) -> Error:
    """A party's largest error by some facts."""
    verdict = judge(answer, order, facts)
    if answer.label is not None or verdict.label == Label.STRUCTURE:
        return Error()
    sizes, factors = [np.zeros(0)], [np.zeros(0)]
    for mine, truth in zip(formed(answer, facts), facts.truths, strict=True):
        behind = truth.behind & np.isfinite(mine)
        certain, number = (truth.status == Status.CERTAIN) | behind, np.where(behind, truth.low, truth.value)
        off = np.where(certain, units_outside(mine, truth.low, truth.high, 1.0), 0)
        chosen = units_outside(mine, truth.lowest, truth.highest, 1.0)
        off = np.where(truth.status == Status.KINK, chosen, off)
        off = np.where(falls_short(mine, truth), np.inf, off)
        sizes.append(off.ravel() / (np.max(np.abs(np.where(certain, number, 0)), initial=0.0) or 1.0))
        shares = np.where(np.isnan(mine), np.inf, mine / number)
        told_of = (certain & ((number != 0) | np.isnan(mine))) | ((truth.status == Status.KINK) & np.isnan(mine))
        factors.append(np.where(told_of, shares, np.nan).ravel())
    each, shares = np.concatenate(sizes), np.concatenate(factors)
    # Of what is off at a kink there is no share to compare by; but it is not what others round by that is off then.
    told = np.where(np.isnan(shares), 0.0, each)
    agrees = verdict.label in (Label.AGREES, Label.ILL_CONDITIONED, Label.CONVENTION)
    tells = agrees or verdict.is_off
    if not each.size:
        return Error(0.0, agrees, tells)
    values, unit = facts.truths[0].value.size if order == 1 else 0, float(np.finfo(facts.dtype).eps)
    worst = int(np.argmax(told if np.any(told) and np.max(told) >= COLLAPSE * np.max(each) else each))
    return Error(float(np.max(each)), agrees, tells, worst, values, shares, unit)


def error_at(point: Point | None, spec: str, order: int) -> Error:
    """A party's error at a point, if that is one."""
    if point is None:
        return Error()
    answer = ask(spec, point.case, order)
    # It is digits that are asked about: a gradient of another dtype has them, whatever else is said of it.

    def cast(array: Any) -> Any:
        return array.astype(point.case.dtype) if getattr(array, "dtype", None) in ("f4", "f8") else array

    answer = replace(answer, arrays=[cast(a) for a in answer.arrays])
    return error_of(answer, order, judged_fairly(point.as_signed(spec), order, [answer])[1])


def check_excuses(point: Point, verdicts: list[Verdict]) -> None:
    """Judge whoever was excused by a kink or an edge again, with the inputs moved a little off it.

    Whoever is still off there was not excused by the event, and takes the verdict from there.
    """
    excused = [v for v in verdicts if v.label in EXCUSED]
    moved = point.off_the_event() if excused else None
    if moved is None:
        return
    for verdict in excused:
        again = looked_at(moved, verdict.order, ask(verdict.party, moved.case, verdict.order))
        if again.label in (*FATAL, Label.UNSTABLE):
            verdict.label, verdict.moved = again.label, True
            verdict.why += f"; moved off the event: {again.why}"
