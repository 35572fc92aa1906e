"""The judge: from what a party answered, and what is certainly true, to one label.

Labels are data, each with its rule in words; the first that fits wins, in the order of `Label`.
They are computed from recorded facts: form first, then each element's distance from the certified
truth in units of `noise`, what rounding alone may do at that very point.  A case has the label of
its worst element.

What is off is provisionally `wrong` here; `oracles.second_looks` then asks further (whether subnormals
were flushed, whether the same formula is right where it loses no digits) before that stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from oracles.cases import FloatArray
from oracles.exact import Status, Truth
from oracles.noise import floor_of

UNITS = 4.0
"""A party agrees if it lies within this many units of noise of the truth."""

ILL_CONDITIONED = 1e-3
"""Noise above this fraction of the largest element proves nothing."""


ALMOST = 2.0**-8
"""From this part of the largest number on, a factor or two terms on the way may lie beyond it."""


class Label(StrEnum):
    """What became of one party's answer to one case; see `RULES`."""

    UNSUPPORTED = "unsupported"
    ERRORED = "errored"
    STRUCTURE = "structure"
    PROMOTION = "promotion"
    SEMANTICS = "semantics"
    AGREES = "agrees"
    ILL_CONDITIONED = "ill-conditioned"
    SIGNED_ZERO = "signed-zero"
    FLUSH = "flush"
    NONFINITE = "nonfinite"
    CONVENTION = "convention"
    KINK_CHAIN = "kink-chain"
    EDGE = "edge"
    UNSTABLE = "unstable"
    WRONG = "wrong"
    UNDECIDED = "undecided"


RULES: dict[Label, str] = {
    Label.UNSUPPORTED: "the adapter said that its engine lacks a function",
    Label.ERRORED: "it raised, crashed, or ran out of time or memory",
    Label.STRUCTURE: "a gradient is missing although it is not zero, has the wrong shape or dtype, or shares memory "
    "with an input; or what was handed in was written to; or, of the subject, the same question got two answers",
    Label.PROMOTION: "a dtype differs, by the framework's own rule, and no longer does with every input in float64",
    Label.SEMANTICS: "the function means something else there, and it agrees with that: see the list in "
    "oracles/known.toml; or of vectors which are unique but for their signs it has others than NumPy",
    Label.AGREES: f"every element lies within {UNITS:g} units of noise of the certified truth",
    Label.ILL_CONDITIONED: f"it agrees, but the noise exceeds {ILL_CONDITIONED:g} of the largest element, so that this "
    "proves nothing; or it is off where rounding alone may make no finite number of it, or take a divisor through 0",
    Label.SIGNED_ZERO: "it differs only in the sign of a zero of the value",
    Label.FLUSH: "it differs only because subnormal numbers are taken as zero: a replay that does so agrees with it",
    Label.NONFINITE: "an input or a constant that it depends on is NaN or infinite already, and the truth is not "
    "defined, or it is, and the answer is no finite number",
    Label.CONVENTION: "at a kink: it lies between the gradients nearby, which makes it an allowed choice",
    Label.KINK_CHAIN: "at a kink: every step made an allowed choice, but the gradient that their chain gives "
    "lies outside those nearby; of a chain that the referee did not come to, each step is asked by itself",
    Label.EDGE: "a step that it depends on is at or past the edge of its function's domain, where its derivative is "
    "infinite or undefined; or the truth is beyond the dtype's range, and what was given is so too, or NaN",
    Label.UNSTABLE: "the truth is one number and representable, but digits are lost: the same formula agrees in wider "
    "arithmetic, or at ordinary points, or in each of its steps by itself but those that lose digits too",
    Label.WRONG: "none of the above, and outside the noise of the certified truth, which a difference quotient of "
    "exact values bears out: a bug",
    Label.UNDECIDED: "the referee could not tell",
}

RANK = {label: rank for rank, label in enumerate(Label)}

FATAL = (Label.WRONG, Label.STRUCTURE, Label.ERRORED, Label.UNDECIDED)
"""Labels of the subject that fail a run; so does UNSTABLE where another party keeps the digits."""

FINDINGS = (Label.WRONG, Label.UNSTABLE, Label.KINK_CHAIN, Label.STRUCTURE, Label.ERRORED, Label.UNDECIDED)
"""Labels of the other parties that are worth showing."""

EXCUSED = (Label.NONFINITE, Label.CONVENTION, Label.KINK_CHAIN, Label.EDGE)
"""Labels by which a kink, an edge or an input that is not finite excuses whoever is off there."""

KEEPS_DIGITS = (Label.AGREES, Label.SIGNED_ZERO, *EXCUSED)
"""Labels of those who are right in every element of which there is one truth, whatever they are excused in others."""


@dataclass
class Answer:
    """What one party returned for one order: named arrays, or why there are none."""

    party: str
    arrays: Sequence[FloatArray | None] = ()
    label: Label | None = None
    """UNSUPPORTED, ERRORED or STRUCTURE when that was clear at once."""
    why: str = ""


@dataclass
class Facts:
    """What is known of a case at one order, independently of what any party answered."""

    names: Sequence[str]
    """What the arrays are called: ``value``, then ``d/dx`` and so on."""
    dtype: np.dtype[Any]
    noise: Sequence[FloatArray]
    truths: Sequence[Truth]
    forward: FloatArray | None = None
    """NumPy's own value, for the signs of its zeros, at order 1."""
    reason: str = ""
    """Why the referee knows nothing, if so."""
    together: FloatArray | None = None
    """At kinks, what the bounds of the truths are made of: gradients nearby and chosen, a row of all elements each."""
    rounded: FloatArray | None = None
    """And what rounding makes of these: where it decides what ties, it may share out among more or fewer."""

    @property
    def reach_the_end_of_the_range(self) -> bool:
        """Whether any number is so large that a step to it may not be finite."""
        known = [t.value[(t.status == Status.CERTAIN) | t.beyond] for t in self.truths]
        return any(np.any(np.abs(each) > np.finfo(self.dtype).max * ALMOST) for each in known)

    def elements(self) -> Iterator[tuple[str, int, tuple[int, ...]]]:
        """Name, array and place of every element, such as ``("d/dx[0, 1]", 1, (0, 1))``."""
        for k, (name, truth) in enumerate(zip(self.names, self.truths, strict=True)):
            for place in np.ndindex(truth.value.shape):
                yield name + (str(list(place)) if place else ""), k, place

    def element(self, where: str) -> tuple[int, tuple[int, ...]] | None:
        """Array and place of the element of a name, if there is one."""
        return next(((k, place) for name, k, place in self.elements() if name == where), None)


@dataclass
class Verdict:
    """A label, and the facts that decided it."""

    party: str
    order: int
    label: Label
    units: float = 0.0
    """The largest distance from the truth, in units of noise; at kinks from what is allowed."""
    ulp: int = 0
    """The largest distance from the truth in ULPs, where that is one number; saturates, see `ulp_distance`."""
    where: str = ""
    """The deciding element, such as ``d/dx[0, 1]``."""
    why: str = ""
    """The deciding inequality in words."""
    moved: bool = False
    """Whether this showed at a point moved off a kink or an edge, not at the case's own."""
    law: str = ""
    """The metamorphic law that the answer was put to besides (see `oracles.laws`)."""
    broken: bool = False
    """Whether it breaks that law, which is what this verdict is then about."""
    variant: int | None = None
    """Which of the law's cases shows it by itself, if one does."""

    @property
    def is_off(self) -> bool:
        return self.label in (Label.WRONG, Label.UNSTABLE)

    def as_data(self) -> dict[str, Any]:
        data = {"party": self.party, "order": self.order, "label": self.label.value}
        units = self.units if np.isfinite(self.units) else str(self.units)
        data |= {"units": units, "ulp": self.ulp, "where": self.where, "why": self.why}
        further = {"moved": self.moved, "law": self.law, "broken": self.broken}
        data |= {key: value for key, value in further.items() if value}
        return data if self.variant is None else data | {"variant": self.variant}


def is_failure(verdict: Verdict, verdicts: Sequence[Verdict]) -> bool:
    """Whether a verdict on the subject fails the run."""
    others = [v for v in verdicts if v.order == verdict.order and v.party != verdict.party]
    alone = not any(
        # Who is within the noise everywhere is so where the subject is not, however much of it there is elsewhere.
        v.label in KEEPS_DIGITS or (v.label == Label.ILL_CONDITIONED and v.units <= UNITS)
        for v in others
    )
    return verdict.label in FATAL or (verdict.label == Label.UNSTABLE and not alone)


def ulp_distance(a: Any, b: Any) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """How many floats of the dtype lie from `a` to `b`, per element, across zero; 0 and -0 are one.

    NaN is at distance 0 from NaN and at the largest (2**64 - 1) from everything else.
    """
    a, b = np.broadcast_arrays(np.asarray(a), np.asarray(b))
    integer = np.dtype(f"i{a.dtype.itemsize}")

    def rank(x: Any) -> tuple[Any, Any]:
        bits = np.ascontiguousarray(x).view(integer).astype(np.int64).reshape(x.shape)
        return bits >= 0, (bits & np.iinfo(integer).max).astype(np.uint64)

    (sign_a, rank_a), (sign_b, rank_b) = rank(a), rank(b)
    apart = np.maximum(rank_a, rank_b) - np.minimum(rank_a, rank_b)
    distance = np.where(sign_a == sign_b, apart, rank_a + rank_b)
    nan_a, nan_b = np.isnan(a), np.isnan(b)
    distance = np.where(nan_a ^ nan_b, np.uint64(2**64 - 1), distance)
    return np.asarray(np.where(nan_a & nan_b, np.uint64(0), distance), np.uint64)


def units_outside(a: Any, low: Any, high: Any, noise: Any) -> FloatArray:
    """How far `a` lies outside of two bounds, in units of noise; infinite where it is not finite."""
    a, low, high = (np.asarray(x, np.float64) for x in (a, low, high))
    with np.errstate(all="ignore"):
        beyond = np.maximum(np.maximum(low - a, a - high), 0.0)
        # Where rounding alone may do anything, every finite number agrees.
        units = np.where(np.isinf(noise), 0.0, beyond / noise)
    return np.asarray(np.where(np.isfinite(a), units, np.inf))


def structure_fault(answer: Answer, facts: Facts) -> str:
    """What is wrong with the form of an answer, or nothing."""
    if len(answer.arrays) != len(facts.names):
        return f"{len(answer.arrays)} arrays returned instead of {len(facts.names)}: one gradient per input is expected"
    for name, array, truth in zip(facts.names, answer.arrays, facts.truths, strict=True):
        if array is None:
            if np.any((truth.status == Status.CERTAIN) & (truth.value != 0)):
                return f"{name} is missing, but not zero"
        elif not isinstance(array, (np.ndarray, np.generic)):
            return f"{name} is a {type(array).__name__}, not a NumPy array"
        elif array.shape != truth.value.shape:
            return f"{name} has shape {array.shape} instead of {truth.value.shape}"
        elif array.dtype != facts.dtype:
            return f"{name} has dtype {array.dtype} instead of {facts.dtype}"
    return ""


def judge(answer: Answer, order: int, facts: Facts) -> Verdict:
    """The verdict on one answer; what is off is WRONG for now."""
    label, why = answer.label, answer.why
    if label is None and (why := structure_fault(answer, facts)):
        label = Label.STRUCTURE
    if label is not None:
        return Verdict(answer.party, order, label, why=why)
    if facts.reason:
        return Verdict(answer.party, order, Label.UNDECIDED, why=facts.reason)
    arrays = formed(answer, facts)
    verdict = Verdict(answer.party, order, Label.AGREES)
    for index, (mine, truth, noise) in enumerate(zip(arrays, facts.truths, facts.noise, strict=True)):
        ranks, units = ranked(mine, truth, noise, facts.forward if index == 0 else None)
        if not ranks.size:
            continue
        ulps = np.where(truth.status == Status.CERTAIN, ulp_distance(mine, truth.value), 0)
        verdict.ulp, verdict.units = max(verdict.ulp, int(ulps.max())), max(verdict.units, float(units.max()))
        place = int(np.lexsort((units.ravel(), ranks.ravel()))[-1])
        element = tuple(int(i) for i in np.unravel_index(place, ranks.shape))
        if ranks[element] > RANK[verdict.label]:
            verdict.label = tuple(Label)[int(ranks[element])]
            verdict.where = facts.names[index] + (str(list(element)) if element else "")
            verdict.why = in_words(mine[element], truth, noise[element], element)
    if RANK[verdict.label] < RANK[Label.UNSTABLE] and (found := contradicted(arrays, facts)):
        verdict.label, (verdict.units, verdict.where, verdict.why) = Label.WRONG, found[:3]
    if verdict.label == Label.AGREES and any(is_shaky(t, n) for t, n in zip(facts.truths, facts.noise, strict=True)):
        verdict.label = Label.ILL_CONDITIONED
    return verdict


def formed(answer: Answer, facts: Facts) -> list[FloatArray]:
    """The arrays of an answer of sound form; none is zero."""
    return [
        np.zeros(truth.value.shape, facts.dtype) if array is None else np.asarray(array)
        for array, truth in zip(answer.arrays, facts.truths, strict=True)
    ]


def ranked(
    mine: FloatArray, truth: Truth, noise: FloatArray, forward: FloatArray | None
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], FloatArray]:
    """Per element the rank of its label, and its distance from what is allowed in units of noise."""
    noise = with_floor_at_kinks(truth, noise)
    narrow = units_outside(mine, truth.low, truth.high, noise)
    wide = units_outside(mine, truth.lowest, truth.highest, noise)
    choice = np.where(narrow <= UNITS, RANK[Label.CONVENTION], RANK[Label.KINK_CHAIN])
    # Who comes to the number that there is, whatever was met on the way, needs no excuse.
    certainly = np.where(np.isinf(noise), floor_of(truth.value), noise)
    needless = (units_outside(mine, truth.low, truth.high, certainly) <= UNITS) & (truth.low == truth.high)
    # Who does not may meet the edge there, and come to no finite number; another number is a wrong one.
    misses = truth.behind & np.isfinite(mine) & (narrow > UNITS)
    excuse: dict[Status, Any] = {
        Status.KINK: np.where(wide <= UNITS, choice, RANK[Label.WRONG]),
        Status.EDGE: np.where(
            needless,
            RANK[Label.AGREES],
            np.where(falls_short(mine, truth) | misses, RANK[Label.WRONG], RANK[Label.EDGE]),
        ),
        Status.NONFINITE: np.where(
            needless, RANK[Label.AGREES], np.where(misses, RANK[Label.WRONG], RANK[Label.NONFINITE])
        ),
        Status.UNKNOWN: RANK[Label.UNDECIDED],
    }
    ranks = np.where(narrow <= UNITS, RANK[Label.AGREES], RANK[Label.WRONG])
    for status, rank in excuse.items():
        ranks = np.where(truth.status == status, rank, ranks)
    if forward is not None:
        other_sign = (mine == 0) & (forward == 0) & (np.signbit(mine) != np.signbit(forward))
        ranks = np.where((ranks == RANK[Label.AGREES]) & other_sign, RANK[Label.SIGNED_ZERO], ranks)
    decided = (truth.status == Status.CERTAIN) | (truth.status == Status.KINK) | misses
    units = np.where(truth.status == Status.KINK, np.minimum(narrow, wide), narrow)
    return ranks, np.where(decided, units, 0.0)


def with_floor_at_kinks(truth: Truth, noise: FloatArray) -> FloatArray:
    """The noise, at kinks no less than a rounding unit of the largest choice that there is.

    This project's own choice may be zero, and not rounded; others are.
    """
    sizes = np.fmax(np.abs(truth.lowest), np.abs(truth.highest))
    choices = np.where((truth.status == Status.KINK) & np.isfinite(sizes), sizes, 0.0)
    return np.where(truth.status == Status.KINK, np.maximum(noise, floor_of(choices.astype(truth.value.dtype))), noise)


LARGEST_SQUARED = 2.0**500
"""Units of noise beyond which nothing is said of elements together: their squares leave the range."""


class Contradiction(NamedTuple):
    """Elements that are each allowed at a kink, but not together: a sum of theirs is another than all choices have."""

    units: float
    """How far off it is, in units of noise."""
    where: str
    why: str
    weights: Sequence[FloatArray]
    """What each element counts in the sum, array by array, as float64; at most 1."""
    total: float
    """What the sum is, whatever is chosen, and how far rounding may take it from there."""
    allowed: float


def contradicted(arrays: Sequence[FloatArray], facts: Facts) -> Contradiction | None:
    """Where elements that are each allowed at a kink are not so together, if they are not.

    Whatever one chooses at a tie of two, their gradients have a sum: it is in no mixture of what is chosen there.
    """
    kinks = np.concatenate([(t.status == Status.KINK).ravel() for t in facts.truths])
    if facts.together is None or not kinks.any():
        return None
    floored = [with_floor_at_kinks(t, n) for t, n in zip(facts.truths, facts.noise, strict=True)]
    mine, noise = (np.concatenate([np.asarray(x, np.float64).ravel() for x in xs]) for xs in (arrays, floored))
    seen = [facts.together] if facts.rounded is None else [facts.together, facts.rounded]
    rows = np.concatenate(seen)
    rows = rows[np.all(np.isfinite(rows[:, kinks]), axis=1)]
    with np.errstate(all="ignore"):
        kinks &= np.all(np.abs(rows / noise) < LARGEST_SQUARED, axis=0)
    rows = rows[:, kinks]
    if not (rows.size and np.all(np.isfinite(mine[kinks]))):
        return None
    [rest] = beside(mine[kinks][None], rows, noise[kinks])
    units, place = float(np.linalg.norm(rest)), int(np.argmax(np.abs(rest)))
    allowed = allowed_beside(rows, noise[kinks])
    if units <= allowed:
        return None
    names = [name for name, _, _ in facts.elements()]
    number = int(np.flatnonzero(kinks)[place])
    want = mine[number] - rest[place] * noise[number]
    why = (
        f"got {float(mine[number])!r}; beside the other elements, gradients nearby and chained choices leave "
        f"{float(want):.6g}: together {units:.3g} units of noise away"
    )
    weights = np.zeros(kinks.size)
    weights[kinks] = rest / units / noise[kinks]
    largest = weights[np.argmax(np.abs(weights))]
    weights /= largest
    ends = np.cumsum([t.value.size for t in facts.truths])[:-1]
    each = zip(np.split(weights, ends), facts.truths, strict=True)
    parts = [part.reshape(t.value.shape) for part, t in each]
    total = float(weights[kinks] @ rows.mean(axis=0))
    return Contradiction(units, names[number], why, parts, total, float(allowed / abs(largest)))


def beside(points: FloatArray, rows: FloatArray, noise: FloatArray) -> FloatArray:
    """What separates points from the smallest flat space that holds all rows, in units of noise."""
    middle = rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd((rows - middle) / noise, full_matrices=False)
    # What is no larger than rounding, in the noise itself and in finding the axes, is no direction.
    rounding = np.finfo(np.float64).eps * max(rows.shape) * np.max(sizes, initial=0.0)
    axes = axes[sizes > max(UNITS * np.sqrt(rows.size), rounding)]
    away = (points - middle) / noise
    return np.asarray(away - away @ axes.T @ axes)


def allowed_beside(rows: FloatArray, noise: FloatArray) -> float:
    """How long what separates a point may be: as the units of noise allow, and as rows themselves lie beside it."""
    own = np.linalg.norm(beside(rows, rows, noise), axis=1)
    return float(UNITS * np.sqrt(rows.shape[1]) + np.max(own))


def falls_short(mine: FloatArray, truth: Truth) -> Any:
    """Where the truth is beyond the range, and this is a number short of its end, or has the other sign."""
    short = np.abs(mine) < np.finfo(mine.dtype).max * ALMOST
    return truth.beyond & ~np.isnan(mine) & (short | (np.sign(mine) != np.sign(truth.value)))


def is_shaky(truth: Truth, noise: Any) -> bool:
    """Whether rounding alone may do so much, beside what the truth is and not what was answered."""
    largest = float(np.max(np.abs(truth.value), initial=0.0, where=truth.status == Status.CERTAIN))
    found = float(np.max(noise, initial=0.0, where=truth.status <= Status.KINK))
    return found > ILL_CONDITIONED * largest > 0 or np.isinf(found)


def in_words(mine: Any, truth: Truth, noise: Any, element: tuple[int, ...]) -> str:
    """The deciding inequality, with its numbers."""
    status = truth.status[element]
    got = f"got {float(mine)!r}"
    if status == Status.CERTAIN:
        units = float(units_outside(mine, truth.low[element], truth.high[element], noise))
        return (
            f"{got}, the truth is {float(truth.value[element])!r}: {units:.3g} units of noise ({float(noise):.3g}) "
            f"away, where {UNITS:g} are allowed"
        )
    if status == Status.KINK:
        near = f"{float(truth.low[element])!r} to {float(truth.high[element])!r}"
        far = f"{float(truth.lowest[element])!r} to {float(truth.highest[element])!r}"
        return f"{got}; the gradients nearby go from {near}, and chained choices from {far}"
    behind = bool(np.broadcast_to(truth.behind, truth.status.shape)[element])
    if behind and units_outside(mine, truth.low[element], truth.high[element], noise) > UNITS:
        number = float(truth.low[element])
        beside = "what is not finite" if status == Status.NONFINITE else "an edge with no part in it"
        return f"{got}; beside {beside} the truth is {number!r}: that or no finite number will do"
    if np.broadcast_to(truth.beyond, truth.status.shape)[element]:
        return f"{got}; the truth is beyond the range, towards {float(truth.value[element])!r}"
    return f"{got}; {Status(status).name.lower()}"
