"""What a party may answer: one certified number per element, or at a kink the choices that there are.

Where something on the way ties, or the derivative at the very point is not to be had, the point is
looked at from nearby: in exact arithmetic at displacements far smaller than any float.

- Moving the *inputs* gives the gradients nearby; the hull of these, per element, is what the
  generalized gradient allows (Clarke's, for the functions met here).  Where they all agree the
  gradient exists after all, as for ``x * abs(x)`` at 0; where they grow without bound there is none.
- Moving *every operand of every step* by itself makes every choice on the way independently.  Their
  hull holds whatever a chain of rules can come to that each make an allowed choice.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from flint import arb

from minigrad.errors import ProgramError
from minigrad.protocol import NAMES, leaves
from oracles.cases import Case, FloatArray
from oracles.catalogue import is_entry_by_entry
from oracles.exact.derivatives import (
    UNFELT,
    Nudge,
    case_size,
    derivatives,
    difference_quotient,
    smallest_of,
    with_rounded_constants,
)
from oracles.exact.jets import Jet, UndecidedError, guessing, precision
from oracles.exact.reach import Edge, along_exponents, carries_nan, confirmed, left_out, reached, singular

MOST_ELEMENTS = 1024
"""Cases with more input elements than this are not certified: each is a direction to be followed all the way."""

BITS = (160, 640, 2560)
"""Precisions to try, until what is certified is far finer than the noise."""

NEARBY_BITS, STEEP_BITS = 1700, 6000
"""Precision for points a nudge away: far finer than the nudge; and finer than what is infinite at the point itself."""

CLOSER, CLOSER_BITS = 3000, 10000
"""A nudge much smaller still, and its precision: what grows on the way there is infinite at the point itself."""

EFFORTS = ((2, 0), (6, 8), (24, 32), (96, 64), (256, 64))
"""Pairs of opposite nudges to look from, of the inputs and of every step: at first, and before anybody is accused.

At last, or at once of few, from as many turns besides as there are input elements: of hundreds that tie, few runs
choose each.
"""

FEW = 16
"""So many elements take their turns before anybody is accused."""

MOST_TURNS = 64
"""So many elements take turns at a point that needs `STEEP_BITS`, each of which costs more."""

ROUNDED_SIDES = 6
"""Pairs of opposite nudges beside which it is asked what rounding does."""

SIDES = 12
"""From where to look at what an edge reaches, if something ties: each side breaks the ties in another way."""

STEEP = 100.0
"""Gradients beside a kink that are larger than this are looked at from closer: a nudge's logarithm is larger yet."""

NEXT_TO_NOTHING = 2.0**-400
"""What a nudge, or its cube root, may make of a zero."""

SAME = 8
"""How many roundings of the largest element gradients nearby may lie apart and count as one, if noise allows it."""

SURELY = 64.0
"""What lies within so many units of noise may well be the same number."""

JUMP = 2.0**-30
"""Values nearby that differ by more than this part of them are on two sides of a jump."""

Balls = dict[int, list[Any]]
"""By order, object arrays of balls: see `derivatives`."""


class Status(IntEnum):
    """What is known of one element."""

    CERTAIN = 0
    """The truth is one number."""
    KINK = 1
    """Any choice between two bounds is allowed."""
    EDGE = 2
    """There is none: infinite, undefined, or too large for the dtype."""
    NONFINITE = 3
    """There is none, because an input or a constant that it depends on is NaN or infinite already."""
    UNKNOWN = 4
    """The referee cannot tell."""


@dataclass
class Truth:
    """One array's truth, element by element."""

    value: FloatArray
    """The certified number, rounded to the case's dtype; at a kink the middle of `low` and `high`; else NaN."""
    radius: FloatArray
    """How far at most the certified number lay from the exact one before it was rounded."""
    low: FloatArray
    high: FloatArray
    """What the gradients nearby lie between; both are the truth where that is one number, if behind an edge."""
    lowest: FloatArray
    highest: FloatArray
    """What a chain of allowed choices lies between."""
    status: np.ndarray[Any, np.dtype[np.int8]]
    beyond: Any = False
    """Where it is one number all the same, but larger than the dtype can hold: `value` is infinite, with its sign."""
    behind: Any = False
    """Where it is one number of the dtype all the same, in which no derivative at an edge that is met has any part; or
    which it certainly is, infinities or not."""


@dataclass(frozen=True)
class Around:
    """What is found a nudge away."""

    nearby: list[Balls]
    """With the inputs moved: the gradients nearby."""
    chosen: list[Balls]
    """With every operand of every step moved: choices made independently."""
    closer: list[Balls]
    """With the inputs moved far less, where something is not to be had at the point itself."""
    at: Balls
    """At the very point, if it could be worked out."""

    @property
    def jumps(self) -> bool:
        """Whether the value depends on the side from which the point is come to, or is another one at the point."""
        found = [balls for balls in (*self.nearby, self.at) if balls]
        low, high = hull(found, 1, 0, np.zeros(np.shape(found[0][1][0]))) if found else (np.zeros(0), np.zeros(0))
        return bool(np.any(high - low > JUMP * np.fmax(np.abs(low), np.abs(high))))


class Referee:
    """Everything that exact arithmetic says about one case; the parts that cost most are worked out when asked for.

    `watched` tells that a kink or an edge was met in floats, so that it is looked for here even if no
    two exact numbers tie; `kinks` and `edges` are the masks of results at one, by the number of the step.
    What depends on edges has no truth, if they are there in exact numbers as well; and no second derivative
    has what depends on kinks where there is none on either side, as where eigenvalues tie.
    """

    def __init__(
        self,
        case: Case,
        order: int,
        watched: bool = False,
        kinks: Mapping[int, Any] | None = None,
        edges: Mapping[int, Any] | None = None,
    ):
        self.case, self.order, self.watched = with_rounded_constants(case), order, watched
        edges = edges or {}
        joint = {k: m for k, m in (kinks or {}).items() if not is_entry_by_entry(case.program.steps[k - 1].function)}
        both = {step: joint.get(step, np.False_) | edges.get(step, np.False_) for step in {**joint, **edges}}
        self.breaks = {1: edges, 2: both}
        """By order, where there may be no derivative at all."""
        constants = [leaf for step in case.program.steps for leaf in leaves(step.operands)]
        self.propagates = any(map(is_infinite_or_nan, (*case.inputs, *constants)))
        """Whether an input, or a constant of the program, is NaN or infinite."""
        self.joint = joint
        """Where something ties of which the exact numbers may not tell what it makes of the others."""
        self.reason = ""
        """Why nothing can be certified, if so."""
        self.worked_out: dict[Any, Balls | None] = {}
        self.touched: dict[int, list[Any]] = {}
        self.edges: dict[int, Mapping[int, Edge]] = {}
        self.apart: dict[int, list[Any]] = {}
        self.looked: dict[int, int] = {}
        self.missed: dict[int, bool] = {}
        self.bits: dict[int, int] = {}
        """By order, the precision that it took to certify what there is at the very point."""
        self.ties: dict[Any, int] = {}
        if (size := case_size(self.case)) > MOST_ELEMENTS:
            self.reason = f"{size:,} input elements; at most {MOST_ELEMENTS:,} are certified one by one"

    @property
    def is_ordered(self) -> bool:
        """Whether all that is chosen is clear, as it is not which of two infinities is the larger, or by NaN."""
        return self.ties.get((BITS[0], None, None)) == 0 and not chooses_by_nan(self.case)

    @cached_property
    def forward(self) -> Any:
        """NumPy's own value."""
        with np.errstate(all="ignore"):
            return np.asarray(self.case.program(*self.case.inputs))

    def at(self, bits: int, nudge: Nudge | None = None, rounding: int | None = None) -> Balls | None:
        """The derivatives as balls, worked out once; or None where two numbers cannot be told apart."""
        key = bits, nudge, rounding
        if key not in self.worked_out:
            before = Jet.ties
            self.worked_out[key] = self.worked(bits, nudge, rounding)
            self.ties[key] = Jet.ties - before
        return self.worked_out[key]

    def worked(self, bits: int, nudge: Nudge | None, rounding: int | None) -> Balls | None:
        try:
            with (
                precision(bits, self.order),
                guessing(self.propagates),
                warnings.catch_warnings(),
                np.errstate(all="ignore"),
            ):
                warnings.simplefilter("ignore")
                return derivatives(self.case, self.order, nudge, rounding)
        except UndecidedError:
            return None
        except (ArithmeticError, AttributeError, NotImplementedError, ProgramError, TypeError, ValueError) as error:
            if nudge is None and rounding is None and not self.propagates:
                self.reason = f"no exact form: {error}"
            return None

    def truths(self, order: int, noise: Sequence[Any], effort: int = 0) -> list[Truth]:
        """A `Truth` for each array of an order; with more `effort`, kinks are looked at from more sides."""
        here = self.here(order, noise)
        if self.reason or (here is None and self.propagates):
            status = Status.NONFINITE if self.propagates else Status.UNKNOWN
            return [nothing(np.shape(n), self.case.dtype, status) for n in noise]
        status, masks = self.reached(order, here)
        missing = here is None or any(np.any(np.isnan(m) & ~mask) for (m, _), mask in zip(here, masks, strict=True))
        self.missed[order] = missing
        self.looked[order] = 1 if missing else len(EFFORTS) - 1
        if not missing and not self.watched:
            assert here is not None
            self.looked[order] = 0
            found = [certain(middle, radius, self.case.dtype) for middle, radius in here]
        else:
            # Precision for what is infinite at the point itself costs too much to look from everywhere.
            around = self.look_around(order, effort)
            found = self.all_pieced_together(order, here, noise, around)
            if not missing and any(map(self.is_steep, found)):
                found = self.all_pieced_together(order, here, noise, replace(around, closer=self.look_closer()))
        for k, (truth, mask, apart) in enumerate(zip(found, masks, self.left_out(order, masks), strict=True)):
            truth.status = np.where(mask, status, truth.status).astype(np.int8)
            truth.beyond = truth.beyond & ~mask
            truth.behind = apart & mask & (self.is_ordered or not self.propagates)
            # What lies nearby is no number of the point's own.
            nowhere = mask & (True if here is None else np.isnan(here[k][0]))
            for name in ("low", "high", "lowest", "highest"):
                setattr(truth, name, np.where(nowhere, np.nan, getattr(truth, name)))
            truth.behind = truth.behind & (truth.low == truth.high) & np.isfinite(truth.low)
            if k + order > 1:  # of NaN itself no derivative is known
                truth.behind = truth.behind & ~np.isnan(self.case.inputs[k + order - 2])
        return found

    def together(self, order: int, noise: Sequence[Any], effort: int) -> FloatArray | None:
        """What `truths` came from at a kink: gradients nearby and chosen, a row of all elements for each.

        None where there is more: of a value that jumps, what follows from the one at the very point; and where at the
        most effort still many a row is like no mixture of the others, so that further ones would be as new.
        """
        if not self.looked.get(order):
            return None
        around = self.look_around(order, effort)
        samples = [sample for sample in (*around.nearby, *around.chosen) if sample]
        if not samples or around.jumps:
            return None
        finite = [quiet(n) for n in noise]
        rows = np.array(
            [np.concatenate([middles(b, n).ravel() for b, n in zip(s[order], finite, strict=True)]) for s in samples]
        )
        known = rows[:, np.all(np.isfinite(rows), axis=0)]
        ranges = np.ptp(known, axis=0)
        varied = (known - known[0])[:, ranges > 0] / ranges[ranges > 0]
        exhausted = varied.size == 0 or 2 * np.linalg.matrix_rank(varied) <= len(rows)
        return rows if exhausted or effort < self.looked[order] else None

    def most_effort(self, order: int) -> int:
        """The effort beyond which the same truths would be found again."""
        return self.looked.get(order, 0 if self.propagates or self.reason else len(EFFORTS) - 1)

    def reached(self, order: int, here: Sequence[tuple[FloatArray, FloatArray]] | None) -> tuple[Status, list[Any]]:
        """What depends on the edges, or on inputs that are not finite, and its status; all, where that cannot be told.

        A value is lost where it is not finite itself, at the very point, nor in floats; or where an infinite input
        makes it so in these, in which infinity less infinity is NaN whatever becomes of that.
        """
        status = Status.NONFINITE if self.propagates else Status.EDGE
        shapes = [x.shape for x in self.case.inputs]
        if order not in self.touched:
            nowhere = here is not None and any(np.any(np.isnan(m)) for m, _ in here)
            self.touched[order] = self.touched_by_breaks(order, shapes, nowhere)
        if order == 2:
            return status, self.touched[order]
        in_floats = np.isfinite(self.forward)
        lost = np.zeros(self.case.cotangent.shape, bool) if here is None else np.isnan(here[0][0]) & ~in_floats
        if self.propagates or (here is None and self.edges[order]):
            lost = lost | ~in_floats
        return status, [lost, *self.touched[order]]

    def touched_by_breaks(self, order: int, shapes: Sequence[tuple[int, ...]], nowhere: bool) -> list[Any]:
        """By input, the elements that depend on what is no derivative, or no number.

        If there is no number at the very point, `nowhere`, what meets no edge in floats is looked for too: singular
        matrices whose last pivot these rounded off from zero, and powers of negative numbers.
        """
        try:
            with precision(NEARBY_BITS, order), guessing(), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    edges = confirmed(self.case, order, self.breaks[order]) if self.breaks[order] else {}
                except UndecidedError:
                    edges = {number: Edge(mask, None) for number, mask in self.breaks[order].items()}
                exponents = {}
                with contextlib.suppress(UndecidedError):
                    exponents = along_exponents(self.case)
                    if (nowhere or exponents) and not self.propagates:
                        edges |= singular(self.case, order, {*self.breaks[order], *self.joint})
                self.edges[order] = edges
                if not (edges or exponents or self.propagates):
                    return [np.zeros(shape, bool) for shape in shapes]
                sides = 1 if self.ties.get((BITS[0], None, None)) == 0 else SIDES
                gone = not_finite_in_floats(self.case) if self.propagates else {}
                return reached(self.case, order, edges, sides, exponents if order == 1 else None, gone)
        except (ArithmeticError, ProgramError, TypeError, ValueError):
            return [np.ones(shape, bool) for shape in shapes]

    def met_by(self, masks: Mapping[int, Any], order: int) -> list[Any]:
        """By input, the elements that depend on the marked entries of some steps' results; all, if nobody can tell."""
        try:
            with precision(NEARBY_BITS, order), guessing(), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return reached(self.case, order, {n: Edge(mask, None) for n, mask in masks.items()}, sides=1)
        except (ArithmeticError, ProgramError, TypeError, ValueError):
            return [np.ones(x.shape, bool) for x in self.case.inputs]

    def left_out(self, order: int, masks: list[Any]) -> list[Any]:
        """What of that is one number whatever an engine puts for the derivatives at the edges."""
        if order not in self.apart:
            try:
                with precision(BITS[0], order), warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    met = any(map(np.any, masks)) and not self.propagates
                    self.apart[order] = left_out(self.case, order, self.edges[order]) if met else masks
            except (ArithmeticError, KeyError, ProgramError, TypeError, ValueError):
                self.apart[order] = [np.zeros_like(mask) for mask in masks]
        return self.apart[order]

    def rounding(self, order: int, truths: Sequence[Truth], replays: int, unclear: float = np.inf) -> list[FloatArray]:
        """How far rounding alone would move an engine with ideal rules; infinite, or `unclear`, if ever to no number.

        From the truth, or at a kink out of the bounds of what lies nearby.
        """
        spread: list[FloatArray] = [np.zeros(t.value.shape) for t in truths]
        for arrays in self.rounded(order, truths, replays):
            for k, (truth, middle) in enumerate(zip(truths, arrays, strict=True)):
                distance = np.maximum(np.maximum(truth.low - middle, middle - truth.high), 0)
                spread[k] = np.maximum(spread[k], np.where(np.isfinite(distance), distance, unclear))
        return spread

    def rounded(self, order: int, truths: Sequence[Truth], replays: int) -> Iterator[list[FloatArray]]:
        """What an engine with ideal rules comes to in some replays in which every step rounds; NaN where to nothing."""
        for seed in range(replays):
            balls = self.at(self.bits.get(order, BITS[0]), rounding=seed)
            if balls is None:
                yield [np.full(truth.value.shape, np.nan) for truth in truths]
            else:
                yield [middles(array, np.inf) for array in balls[order]]

    def rounding_of_choices(self, order: int, shapes: Sequence[tuple[int, ...]]) -> list[FloatArray]:
        """How far rounding alone would move each gradient nearby with ideal rules, other choices apart.

        Of those that are to be had; infinite where none is.
        """
        bits = STEEP_BITS if self.missed.get(order) else NEARBY_BITS
        spread = [np.full(shape, np.nan) for shape in shapes]
        for nudge in self.untied(bits, [Nudge(seed, sign) for seed in range(ROUNDED_SIDES) for sign in (1, -1)]):
            plain, off = self.at(bits, nudge), self.at(bits, nudge, rounding=nudge.seed)
            if plain is not None and off is not None:
                each = zip(spread, plain[order], off[order], strict=True)
                spread = [np.fmax(s, moved(*both)) for s, *both in each]
        return [np.where(np.isnan(s), np.inf, s) for s in spread]

    def untied(self, bits: int, nudges: Sequence[Nudge]) -> list[Nudge]:
        """Those that leave as few ties as any: where inputs that did not move still tie, no point has a gradient."""
        for nudge in nudges:
            self.at(bits, nudge)
        ties = [self.ties[bits, nudge, None] for nudge in nudges]
        return [nudge for nudge, met in zip(nudges, ties, strict=True) if met == min(ties)]

    def quotient(self, order: int, k: int, place: tuple[int, ...]) -> float | None:
        """A difference quotient for an element of a derivative; None where there is none, as beside a kink.

        `k` is the number of the array, among the truths of that order.
        """
        try:
            with precision(STEEP_BITS, 1), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found = difference_quotient(self.case, order, k - 1 if order == 1 else k, place, Nudge(0))
        except (ArithmeticError, ProgramError, TypeError, ValueError):
            return None
        told = found.is_finite() and found.rad() <= abs(found.mid()) * arb(2) ** -40
        return float(found.mid()) if told or found.rad() < NEXT_TO_NOTHING else None

    def here(self, order: int, noise: Sequence[Any]) -> list[tuple[FloatArray, FloatArray]] | None:
        """Middles and radii at the very point, NaN where not certified; None where ties cannot be decided."""
        found = None
        for bits in BITS:
            if self.reason:
                return None
            ties = Jet.ties
            balls, self.bits[order] = self.at(bits), bits
            if balls is None:
                continue
            self.watched = self.watched or Jet.ties > ties
            found = [(middles(b, quiet(n)), radii(b)) for b, n in zip(balls[order], noise, strict=True)]
            # A ball that is not finite may become so at the next precision, but hardly later.
            hopeless = [bits > BITS[0] and not_finite(b) for b in balls[order]]
            # One that is small beside the noise alone tells who agrees, but not by how many ULPs.
            if all(np.all(~np.isnan(middles(b, NO_NOISE)) | h) for b, h in zip(balls[order], hopeless, strict=True)):
                break
        return found

    def look_around(self, order: int, effort: int) -> Around:
        """From everywhere that this effort goes to, if not beyond what the order is worth."""
        missing, most = self.missed[order], self.looked[order]
        pairs = EFFORTS[min(effort, most)]
        sides = [Nudge(seed, sign) for seed in range(max(pairs)) for sign in (1, -1)]
        inputs, steps = (sides[: 2 * count] for count in pairs)
        if effort >= most or (effort and case_size(self.case) <= FEW):
            turns = range(min(case_size(self.case), MOST_TURNS) if missing else case_size(self.case))
            inputs += [Nudge(0, sign, turn=turn) for turn in turns for sign in (1, -1)]
            steps += [Nudge(0, turn=turn) for turn in turns]
        for bits in (STEEP_BITS,) if missing else (NEARBY_BITS, STEEP_BITS):
            nearby = [self.at(bits, nudge) or {} for nudge in inputs]
            # Of singular values, squares of nudges are to be told from zeros.
            if not self.joint or any(all(not np.any(not_finite(x)) for x in balls[order]) for balls in nearby if balls):
                break
        return Around(
            [self.at(bits, nudge) or {} for nudge in self.untied(bits, inputs)],
            [self.at(bits, replace(nudge, each=True)) or {} for nudge in steps],
            self.look_closer() if missing else [],
            self.at(self.bits[order]) or {},
        )

    def look_closer(self) -> list[Balls]:
        return [self.at(CLOSER_BITS, Nudge(0, sign, bits=CLOSER)) or {} for sign in (1, -1)]

    def is_steep(self, truth: Truth) -> bool:
        """Whether gradients beside a kink are so large that they may have no bound, as those of a logarithm."""
        weight = max(float(np.max(np.abs(x), initial=1.0)) for x in (self.case.cotangent, *self.case.vectors))
        sizes = np.fmax(np.abs(truth.lowest), np.abs(truth.highest))
        return bool(np.any((truth.status == Status.KINK) & (sizes > STEEP * weight)))

    def all_pieced_together(self, order: int, here: Any, noise: Sequence[Any], around: Around) -> list[Truth]:
        return [
            self.pieced_together(order, k, None if here is None else here[k], np.asarray(n), around)
            for k, n in enumerate(noise)
        ]

    def pieced_together(self, order: int, k: int, here: Any, noise: FloatArray, around: Around) -> Truth:
        """One array's truth, from the point itself and from what lies around."""
        loud = ~np.isfinite(noise)
        noise = quiet(noise)
        low, high = hull(around.nearby, order, k, noise)
        lowest, highest = hull([*around.nearby, *around.chosen], order, k, noise)
        at, radius = here if here is not None else (np.full(noise.shape, np.nan), np.zeros(noise.shape))
        # Where it cannot be told what lies nearby, as beside the top of a cosine, every choice counts as such.
        unseen = np.isnan(low) & ~np.isnan(at)
        low, high = np.where(unseen, lowest, low), np.where(unseen, highest, high)
        # Of a value that jumps, the one at the very point need not be had nearby, nor what follows from it; and a root
        # of a nudge is no zero yet, nor what a second derivative beside tiny numbers makes of one.
        _, exponent = math.frexp(smallest_of(self.case))
        none_yet = max(NEXT_TO_NOTHING, math.ldexp(1.0, 64 - Nudge.bits - exponent) if order == 2 else 0.0)
        no_zero_yet = np.fmax(np.fmax(np.abs(low), np.abs(high)), np.abs(at)) < none_yet
        attained = np.where(around.jumps | no_zero_yet, at, np.nan)
        low, high = np.fmin(low, attained), np.fmax(high, attained)
        lowest, highest = np.fmin(lowest, attained), np.fmax(highest, attained)
        if order == 1 and k == 0:
            # A value is what it is, however its sides jump.
            known = ~np.isnan(at)
            low, high = np.where(known, at, low), np.where(known, at, high)
            lowest, highest = np.where(known, at, lowest), np.where(known, at, highest)
        with np.errstate(all="ignore"):
            # However noisy, what lies on two sides of a kink is not one number.
            largest = np.max(np.fmax(np.abs(lowest), np.abs(highest)), initial=0.0, where=np.isfinite(lowest + highest))
            same = np.maximum(SAME * np.finfo(self.case.dtype).eps * largest, none_yet)
            fine = np.where(loud, same, np.minimum(noise, same))
            one = (highest - lowest <= fine) & np.isfinite(low)
            # Of a choice at the very point that no gradient nearby bears out, nothing follows.
            borne_out = one & (np.abs(at - low) <= fine)
            middle = np.where(borne_out | np.isinf(at), at, low / 2 + high / 2)
            status = np.where(one, Status.CERTAIN, Status.KINK)
            radius = np.where(~np.isnan(at), radius, high / 2 - low / 2)
        unbounded = np.isinf(lowest) | np.isinf(highest)
        growing = grows(low, high, *hull(around.closer, order, k, noise), noise)
        nowhere = unbounded | np.isnan(at) & np.isnan(low) | growing & (np.isnan(at) | (status == Status.KINK))
        status = np.where(nowhere, Status.EDGE, status)
        if order == 1 and k == 0:
            # Of singular matrices no number may be had at the very point, where NumPy has the one that lies nearby.
            had = np.abs(self.forward - low) <= np.maximum(SURELY * noise, JUMP * np.abs(low))
            status = np.where(np.isnan(at) & ~(one & ((here is None) | had)), Status.EDGE, status)
        # Where the point is known but its surroundings are not, the point decides.
        alone = ~np.isnan(at) & np.isnan(low)
        status, middle = np.where(alone, Status.CERTAIN, status), np.where(alone, at, middle)
        if self.joint and not all(around.nearby) and (order == 2 or k):
            # On some sides nobody can tell what the exact numbers of a tie are: one of them proves nothing.
            status = np.where(self.met_by(self.joint, order)[k - 1 if order == 1 else k], Status.EDGE, status)
        return finished(Truth(middle, radius, low, high, lowest, highest, status), self.case.dtype)


def grows(low: FloatArray, high: FloatArray, low_closer: FloatArray, high_closer: FloatArray, noise: FloatArray) -> Any:
    """Whether the gradients grow as the point is approached."""
    near = np.fmax(np.abs(low), np.abs(high))
    closer = np.fmax(np.abs(low_closer), np.abs(high_closer))
    return (closer > 2 * near + noise) | np.isinf(near)


def not_finite(balls: Any) -> Any:
    return np.asarray(np.frompyfunc(lambda x: not x.is_finite(), 1, 1)(balls), bool)


def middles(balls: Any, noise: Any) -> FloatArray:
    """The middles of balls that are finite and small beside the noise, or beside themselves; NaN for others."""

    def middle(x: arb, n: float) -> float:
        fine = x.is_finite() and (x.rad() * 16 <= arb(float(n)) or x.rad() <= abs(x.mid()) * arb(2) ** -60)
        return float(x.mid()) if fine else np.nan

    return np.asarray(np.frompyfunc(middle, 2, 1)(balls, noise), np.float64)


NO_NOISE = 2.0**-1074
"""The smallest float above 0."""


def quiet(noise: Any) -> FloatArray:
    """The noise, and next to none where rounding may do anything."""
    return np.where(np.isfinite(noise), noise, np.finfo(np.float64).tiny)


def moved(balls: Any, by_rounding: Any) -> FloatArray:
    """How far roundings scaled down by `UNFELT` move balls, scaled up again; NaN where there is no number."""

    def distance(x: arb, y: arb) -> float:
        far = abs(y - x) / UNFELT
        return float(far.upper()) if far.is_finite() else np.inf if x.is_finite() else np.nan

    return np.asarray(np.frompyfunc(distance, 2, 1)(balls, by_rounding), np.float64)


def radii(balls: Any) -> FloatArray:
    """Upper bounds for the radii."""
    return np.asarray(np.frompyfunc(lambda x: float(x.rad()) * (1 + 2**-50), 1, 1)(balls), np.float64)


def hull(samples: Sequence[Balls], order: int, k: int, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The least and the greatest of some samples, per element, leaving out those that are not to be had."""
    found = [middles(sample[order][k], noise) for sample in samples if sample]
    nothing = np.full(noise.shape, np.nan)
    return np.fmin.reduce([nothing, *found]), np.fmax.reduce([nothing, *found])


def certain(middle: FloatArray, radius: FloatArray, dtype: str) -> Truth:
    status = np.full(middle.shape, Status.CERTAIN)
    return finished(Truth(middle, radius, middle, middle, middle, middle, status), dtype)


def nothing(shape: tuple[int, ...], dtype: str, status: Status) -> Truth:
    """No truth, for one reason all through."""
    nan = np.full(shape, np.nan)
    return Truth(nan.astype(dtype), np.zeros(shape), nan, nan, nan, nan, np.full(shape, status, np.int8))


def not_finite_in_floats(case: Case) -> dict[int, list[Any]]:
    """By number of the step, which entries of its results are no finite numbers in floats."""
    found: dict[int, list[Any]] = {}

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        found[number] = [~np.isfinite(part) for part in leaves([result])]
        return result

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case.program.run(case.inputs, NAMES.__getitem__, watch)
    return found


def chooses_by_nan(case: Case) -> bool:
    """Whether any function is given NaN but those that it passes through, and those that leave it out."""
    found: list[str] = []

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        if not carries_nan(step.function) and any(map(has_nan, leaves(operands))):
            found.append(step.function)
        return result

    with np.errstate(all="ignore"):
        case.program.run(case.inputs, NAMES.__getitem__, watch)
    return bool(found)


def has_nan(x: Any) -> bool:
    """Whether any entry is NaN, of an array of floats or of a number."""
    array = np.asarray(x)
    return array.dtype.kind == "f" and bool(np.any(np.isnan(array)))


def is_infinite_or_nan(x: Any) -> bool:
    """Whether any entry is, of an array of floats or of a number."""
    array = np.asarray(x)
    return array.dtype.kind == "f" and not bool(np.all(np.isfinite(array)))


def finished(truth: Truth, dtype: str) -> Truth:
    """In the case's dtype; what that cannot hold is an edge, and where the truth is one number, so are its bounds."""
    with np.errstate(all="ignore"):
        truth.value = np.asarray(truth.value, np.float64).astype(dtype)
    truth.beyond = np.isinf(truth.value) & (truth.status == Status.CERTAIN)
    truth.status = np.where(np.isinf(truth.value), Status.EDGE, truth.status).astype(np.int8)
    truth.radius = np.where(truth.status == Status.CERTAIN, truth.radius, 0.0)
    for name in ("low", "high", "lowest", "highest"):
        bound = np.where(truth.status == Status.CERTAIN, truth.value, getattr(truth, name))
        setattr(truth, name, np.asarray(bound, np.float64))
    return truth
