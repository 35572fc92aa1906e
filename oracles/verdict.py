"""The judge: from what the parties answered to one label each.

Labels are data, each with its rule in words.  They are computed from recorded facts, in a fixed
order: shape and dtype, then non-finite elements, then values.  Distances are measured in units of
`noise`, what rounding alone may do at that very point.

The oracles stand in for the truth until the subject is accused; then `oracles.exact` certifies it,
where it can, and the subject is compared with that alone.  Otherwise a party is compared, element
by element, with the nearest of its peers: the subject's peers are the oracles,
an oracle's are the other oracles and the subject.  Where two oracles agree with each other and the
subject with neither, the subject is wrong; any other party that stands alone is undecided, since
nothing here can tell who is right.  The subject is not accused of being off by less than the
oracles are among themselves: where both lose digits, it may well have kept them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from oracles.cases import FloatArray
from oracles.catalogue import Mask

UNITS = 4.0
"""A party agrees if it lies within this many units of noise of a peer."""

ILL_CONDITIONED = 1e-3
"""Noise above this fraction of the largest element proves nothing."""


class Label(StrEnum):
    """What became of one party's answer to one case; see `RULES`."""

    UNSUPPORTED = "unsupported"
    ERRORED = "errored"
    STRUCTURE = "structure"
    AGREES = "agrees"
    ILL_CONDITIONED = "ill-conditioned"
    CONVENTION = "convention"
    EDGE = "edge"
    WRONG = "wrong"
    UNDECIDED = "undecided"


RULES: dict[Label, str] = {
    Label.UNSUPPORTED: "the adapter said that its engine lacks a function",
    Label.ERRORED: "it raised, crashed, or ran out of time or memory",
    Label.STRUCTURE: "a gradient is missing, has the wrong shape or dtype, or shares memory with an input; "
    "or an input was written to",
    Label.AGREES: f"every element lies within {UNITS:g} units of noise of a peer",
    Label.ILL_CONDITIONED: f"it agrees, but the noise exceeds {ILL_CONDITIONED:g} of the largest "
    "element; or it agrees with none, but the oracles lie farther from each other than it does from the nearest",
    Label.CONVENTION: "it differs only in elements that depend on a kink, and not once the inputs are moved off it",
    Label.EDGE: "it differs only in elements that depend on an edge of a domain, and not once moved off it",
    Label.WRONG: "two oracles agree with each other, and it agrees with none; the subject is heard before the "
    "certified truth, where that can be had, and is wrong only if it lies outside the noise of that",
    Label.UNDECIDED: "it agrees with none of its peers, and no two of these agree with each other",
}

FATAL = (Label.WRONG, Label.STRUCTURE, Label.ERRORED, Label.UNDECIDED)
"""Labels of the subject that fail a run."""


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
    shapes: Sequence[tuple[int, ...]]
    dtype: np.dtype[Any]
    noise: Sequence[FloatArray]
    kinks: Sequence[Mask]
    """Per array, the elements that depend on a kink."""
    edges: Sequence[Mask]
    truth: Sequence[FloatArray] | None = None
    """The arrays as `oracles.exact` certifies them, where the subject is accused and they can be had."""


@dataclass
class Verdict:
    """A label, and the facts that decided it."""

    party: str
    order: int
    label: Label
    units: float = 0.0
    """The largest distance from the nearest peer, in units of noise."""
    ulp: int = 0
    """The largest distance from the nearest peer in ULPs; saturates, see `ulp_distance`."""
    where: str = ""
    """The deciding element, such as ``d/dx[0, 1]``."""
    why: str = ""
    """The deciding inequality in words."""

    def as_data(self) -> dict[str, Any]:
        data = {"party": self.party, "order": self.order, "label": self.label.value}
        units = self.units if np.isfinite(self.units) else str(self.units)
        return data | {"units": units, "ulp": self.ulp, "where": self.where, "why": self.why}


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


def units_apart(a: Any, b: Any, noise: Any) -> FloatArray:
    """The distance of `a` from `b` in units of noise; infinite where only one of them is finite."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        comparable = np.isfinite(a) & np.isfinite(b)
        distance = np.where(comparable, np.abs(a - b) / noise, np.inf)
        # Where rounding alone may do anything, any two finite numbers agree.
        distance = np.where(comparable & np.isinf(noise), 0.0, distance)
    return np.asarray(np.where(same, 0.0, distance))


def structure_fault(answer: Answer, facts: Facts) -> str:
    """What is wrong with the form of an answer, or nothing."""
    if len(answer.arrays) != len(facts.names):
        return f"{len(answer.arrays)} arrays returned instead of {len(facts.names)}: one gradient per input is expected"
    for name, array, shape in zip(facts.names, answer.arrays, facts.shapes, strict=True):
        if array is None:
            continue
        if not isinstance(array, (np.ndarray, np.generic)):
            return f"{name} is a {type(array).__name__}, not a NumPy array"
        if array.shape != shape:
            return f"{name} has shape {array.shape} instead of {shape}"
        if array.dtype != facts.dtype:
            return f"{name} has dtype {array.dtype} instead of {facts.dtype}"
    return ""


def judge(answers: Sequence[Answer], subject: str, order: int, facts: Facts) -> list[Verdict]:
    """One verdict per answer, in the same order."""
    formed: dict[str, list[FloatArray]] = {}
    settled: dict[str, Verdict] = {}
    for answer in answers:
        label, why = answer.label, answer.why
        if label is None and (why := structure_fault(answer, facts)):
            label = Label.STRUCTURE
        if label is not None:
            settled[answer.party] = Verdict(answer.party, order, label, why=why)
        else:
            formed[answer.party] = [
                np.zeros(shape, facts.dtype) if array is None else np.asarray(array)
                for array, shape in zip(answer.arrays, facts.shapes, strict=True)
            ]
    for party in formed:
        settled[party] = judge_values(party, formed, subject, order, facts)
    return [settled[answer.party] for answer in answers]


@dataclass
class Comparison:
    """One array of one party against the nearest of its peers, element by element."""

    units: FloatArray
    ulp: np.ndarray[Any, np.dtype[np.uint64]]
    contested: Mask
    """Where no two oracles agree with each other."""
    slack: FloatArray
    """For the subject, how far apart the nearest two oracles are, in units of noise, if both are finite."""

    @property
    def off(self) -> Mask:
        """Where the party disagrees, and by more than the oracles do among themselves."""
        return np.asarray(self.units > np.maximum(UNITS, self.slack))


def compare(party: str, formed: Mapping[str, list[FloatArray]], subject: str, index: int, facts: Facts) -> Comparison:
    mine, noise = formed[party][index], facts.noise[index]
    if party == subject and facts.truth is not None:
        certain = np.asarray(facts.truth[index])
        units = units_apart(mine, certain, noise)
        return Comparison(units, ulp_distance(mine, certain), np.zeros(mine.shape, bool), np.zeros(mine.shape))
    peers = [arrays[index] for other, arrays in formed.items() if other != party]
    oracles = [arrays[index] for other, arrays in formed.items() if other != subject]
    apart = np.full(mine.shape, np.inf)
    for one, other in itertools.combinations(oracles, 2):
        apart = np.minimum(apart, units_apart(one, other, noise))
    return Comparison(
        np.min([units_apart(mine, peer, noise) for peer in peers], axis=0),
        np.min([ulp_distance(mine, peer) for peer in peers], axis=0),
        apart > UNITS,
        np.where(np.isfinite(apart) & (party == subject), apart, 0.0),
    )


def judge_values(party: str, formed: Mapping[str, list[FloatArray]], subject: str, order: int, facts: Facts) -> Verdict:
    """The verdict on an answer of sound form."""
    if len(formed) < 2:
        return Verdict(party, order, Label.UNDECIDED, why="no other party answered: there is nothing to compare with")
    compared = [compare(party, formed, subject, i, facts) for i in range(len(facts.names))]
    verdict = Verdict(
        party,
        order,
        Label.AGREES,
        units=max((float(np.max(c.units, initial=0.0)) for c in compared), default=0.0),
        ulp=max((int(np.max(c.ulp, initial=0)) for c in compared), default=0),
    )
    for excused in (False, True):
        found = worst_element(compared, facts, excused)
        if found is None:
            continue
        index, element = found
        if excused:
            verdict.label = Label.EDGE if facts.edges[index][element] else Label.CONVENTION
        elif party == subject and not compared[index].contested[element]:
            verdict.label = Label.WRONG
        else:
            verdict.label = Label.UNDECIDED
        verdict.where = facts.names[index] + (f"[{', '.join(map(str, element))}]" if element else "")
        verdict.why = in_words(party, formed, subject, index, element, compared[index], facts)
        return verdict
    if any(np.any(c.units > UNITS) for c in compared):
        verdict.label = Label.ILL_CONDITIONED
        verdict.why = "the oracles lie farther from each other than it does from the nearest of them"
    if any(is_shaky(array, noise) for array, noise in zip(formed[party], facts.noise, strict=True)):
        verdict.label = Label.ILL_CONDITIONED
    return verdict


def worst_element(compared: Sequence[Comparison], facts: Facts, excused: bool) -> tuple[int, tuple[int, ...]] | None:
    """The array and element that lie furthest out, among those that an event excuses or the others."""
    worst, found = 0.0, None
    for index, comparison in enumerate(compared):
        depends = facts.kinks[index] | facts.edges[index]
        units = np.where((depends == excused) & comparison.off, comparison.units, 0.0)
        if units.size and units.max() > worst:
            worst = float(units.max())
            found = index, tuple(int(i) for i in np.unravel_index(int(units.argmax()), units.shape))
    return found


def is_shaky(array: FloatArray, noise: Any) -> bool:
    largest = float(np.max(np.abs(array), initial=0.0))
    return float(np.max(noise, initial=0.0)) > ILL_CONDITIONED * largest > 0


def in_words(
    party: str,
    formed: Mapping[str, list[FloatArray]],
    subject: str,
    index: int,
    element: tuple[int, ...],
    comparison: Comparison,
    facts: Facts,
) -> str:
    """The deciding inequality, with its numbers."""
    values = ", ".join(f"{name} {float(arrays[index][element])!r}" for name, arrays in formed.items())
    whom = "its nearest peer"
    if party == subject and facts.truth is not None:
        whom = "the certified truth"
        values += f", truth {float(np.asarray(facts.truth[index])[element])!r}"
    noise = float(np.asarray(facts.noise[index])[element])
    distance = float(comparison.units[element])
    return f"{values}; {party} is {distance:.3g} units of noise ({noise:.3g}) from {whom}, more than {UNITS:g}"
