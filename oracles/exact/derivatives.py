"""Values and derivatives of a program in exact arithmetic, at the very point or a nudge away from it.

All derivatives come from one run of the program, on numbers that know how they move along every
direction and share no rule with any engine: see `oracles.exact.jets`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from flint import arb, ctx

from minigrad.programs import Step
from minigrad.protocol import Function, leaves, map_operand
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, COMPOSITE, ROUNDS_ONCE, is_entry_by_entry
from oracles.exact.functions import as_jets, lookup
from oracles.exact.jets import JETS, Jet, UndecidedError, ball, constant, jet, moving, precision, scaled

Find = Callable[[str], Function]

Watch = Callable[[int, Step, list[Any], Any], Any]

BALLS = np.frompyfunc(ball, 1, 1)


@dataclass(frozen=True)
class Nudge:
    """A displacement so small that it matters only where a tie, a kink or an edge is to be decided.

    Of the inputs; or, with `each`, of every operand of every step by itself, so that every choice
    on the way is made independently, as if each step's rule chose on its own: one side, the other,
    the middle between both, or something of all that tie.  Seed 0 moves everything away from zero, or towards it.
    With a `turn` nothing is random: one number moves, and the others by far less and in another order each turn, so
    that in as many turns as there are numbers each has been in every place of the order.
    """

    seed: int
    sign: int = 1
    each: bool = False
    turn: int | None = None
    bits: int = 1300
    """Numbers move by 2**-bits of themselves, zeros by that share of the smallest input."""


NEXT_TO_NOTHING = arb(2) ** -1100
"""Below all floats: zero, but for a nudge."""

SPLITS = (6, 48)
"""How many choices are averaged for a step that is to share out among what ties, unevenly or nearly evenly."""

SHARES = 12
"""How many choices are averaged where rounding makes numbers equal: most of what ties is chosen in some run."""

BELOW_FLOATS = 80
"""Numbers that move by 2**-bits of themselves with so many bits are in the same order, if they were floats, but tie no
longer."""

FAR_LESS = 2.0**-40
"""What part of a nudge some inputs move by when others do by all of it."""

UNEVEN = (1.0, FAR_LESS, 0.0)
"""Parts of a nudge that inputs move by: some far less than others, and some not at all."""

LARGER_EACH_STEP, OUTDOING = 12, 4
"""By how many bits the nudges of a step are larger than those of the one before; and what they are at least
times what these made of a zero."""


def parts(shapes: Sequence[tuple[int, ...]], random: np.random.Generator, nudge: Nudge) -> list[Any]:
    """By which parts of a nudge the numbers of some arrays move, signs included."""
    if nudge.turn is not None:
        sizes = [math.prod(shape) for shape in shapes]
        total = sum(sizes)
        ranks = (np.random.default_rng(total).permutation(total) + nudge.turn) % total if total else np.zeros(0)
        turned = nudge.sign * np.where(ranks == 0, 1.0, FAR_LESS * (1 - ranks / max(1, 2 * total)))
        each = np.split(turned, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(each, shapes, strict=True)]

    def part(shape: tuple[int, ...]) -> Any:
        signs = random.choice([-1, 1], shape) if nudge.seed else 1
        # Every other one, so that directions along one axis, and very nearly so, are among them.
        sizes = random.choice(UNEVEN, shape) if nudge.seed % 2 and not nudge.each else 1
        return random.uniform(0.5, 1, shape) * signs * sizes * nudge.sign

    return [part(shape) for shape in shapes]


def displaced(array: Any, part: Any, nudge: Nudge, smallest: float) -> Any:
    """Balls or Jets, each moved by its part of the nudge."""
    unit = arb(2) ** -nudge.bits

    def moved(x: Any, u: float) -> Any:
        at = x.value if isinstance(x, Jet) else x
        if abs(at) < NEXT_TO_NOTHING:
            # What earlier nudges made of a zero is outdone, whatever magnitudes it came through.
            step = arb(float(u)) * (unit * smallest + OUTDOING * abs(at.mid()))
        else:
            step = arb(float(u)) * unit * at.mid()
        return x + (constant(step) if isinstance(x, Jet) else step)

    return np.asarray(np.frompyfunc(moved, 2, 1)(array, part), object)


def displaced_inputs(case: Case, nudge: Nudge) -> list[Any]:
    """The inputs of a case as balls, a nudge away."""
    moved = parts([x.shape for x in case.inputs], np.random.default_rng(nudge.seed), nudge)
    balls = [np.asarray(BALLS(x), object) for x in case.inputs]
    return [displaced(x, part, nudge, smallest_of(case)) for x, part in zip(balls, moved, strict=True)]


def stretched(operands: Sequence[Any]) -> tuple[Any, ...]:
    """Operands of an elementwise function, those of exact numbers with an entry of their own for each of the result."""
    shape = np.broadcast_shapes(*(np.shape(x) for x in operands))
    return tuple(
        np.array(np.broadcast_to(x, shape)) if isinstance(x, np.ndarray) and x.dtype == object else x for x in operands
    )


class Choosing:
    """Finds exact functions by name; each works with its operands a nudge away, or on both sides of where they are."""

    def __init__(self, nudge: Nudge, smallest: float):
        self.nudge, self.smallest = nudge, smallest
        self.random = np.random.default_rng(nudge.seed)

    def __call__(self, name: str) -> Function:
        function = lookup(name)

        def chosen(*operands: Any, **parameters: Any) -> Any:
            if is_entry_by_entry(name):
                operands = stretched(operands)  # each entry of the result chooses for itself
            self.nudge = replace(self.nudge, bits=self.nudge.bits - LARGER_EACH_STEP)
            ties = Jet.ties
            try:
                plain = function(*operands, **parameters)
            except UndecidedError:
                plain = None
            sides = self.sides(plain is None or Jet.ties > ties)
            made = averaged([function(*self.moved(operands, *side), **parameters) for side in sides])
            return made if plain is None else as_at(plain, made)

        return chosen

    def sides(self, ties: bool) -> list[tuple[int, int]]:
        """Seeds and signs of nudges: of one, of two opposite ones, or where something ties, of several."""
        seed, style = int(self.random.integers(2**32)), self.random.integers(5)
        if self.nudge.turn is not None:
            return [(seed, 1)]
        if style == 0:
            return [(seed, 1), (seed, -1)]
        return [(seed + k, 1) for k in range(self.random.choice(SPLITS) if ties and style == 1 else 1)]

    def moved(self, operands: Sequence[Any], seed: int, side: int) -> list[Any]:
        nudge = replace(self.nudge, sign=self.nudge.sign * side)
        return displaced_each(operands, np.random.default_rng(seed), nudge, self.smallest)


def displaced_each(operands: Sequence[Any], random: np.random.Generator, nudge: Nudge, smallest: float) -> list[Any]:
    """What a function takes, its exact numbers moved by a nudge."""

    def moves(x: Any) -> bool:
        return isinstance(x, np.ndarray) and x.dtype == object and bool(x.size)

    by = iter(parts([x.shape for x in leaves(operands) if moves(x)], random, nudge))

    def move(x: Any) -> Any:
        return displaced(x, next(by), nudge, smallest) if moves(x) else x

    return [map_operand(move, operand) for operand in operands]


UNFELT = arb(2) ** -1500
"""What part of themselves roundings beside a nudge are, which undo none of what it decides."""

WHOLE = ("remainder", "divmod")
"""Functions that take a whole quotient of the very numbers that they are given: only what is left may round."""


class Rounding:
    """Finds exact functions by name; whatever one results in is off by a random rounding unit, its derivatives too.

    That is what an engine with ideal rules would lose, and owes nothing to the rules of any.  With an odd seed
    values are rounded to floats besides, so that what rounding makes equal ties, and is shared out among; with every
    other of these to the nearest ones, by which most ties.  If it is `scaled` down, no value is, and what is small
    beside other numbers rounds by as small a part.
    """

    def __init__(self, seed: int, case: Case, scaled: arb | None = None):
        self.random = np.random.default_rng(seed)
        self.unit, self.scale = float(np.finfo(case.dtype).eps), arb(1) if scaled is None else scaled
        self.to_floats, self.to_nearest = (seed % 2 == 1, seed % 4 == 3) if scaled is None else (False, False)
        self.smallest = smallest_of(case)
        self.rounded = as_float(case.dtype) if self.to_floats else lambda value: value

    def __call__(self, name: str) -> Function:
        function, is_exact = lookup(name), name in CATALOGUE and CATALOGUE[name].is_exact

        def rounding(*operands: Any, **parameters: Any) -> Any:
            if not (is_exact or name in WHOLE):
                # What a function of one or two numbers takes was rounded when it was made, unless it was given.
                at = name in CATALOGUE and CATALOGUE[name].kind in ROUNDS_ONCE and name not in COMPOSITE
                operands = tuple(map_operand(partial(self.nudged, at=at), operand) for operand in operands)
            result = self.shared_out(name, function, operands, parameters)
            return result if is_exact else map_operand(self.nudged, result)

        return rounding

    def shared_out(self, name: str, function: Function, operands: Sequence[Any], parameters: Any) -> Any:
        """What a function makes of its operands, and of what ties among them the middle of some choices."""
        ties = Jet.ties
        plain = function(*operands, **parameters)
        if not self.to_floats or Jet.ties == ties:
            return plain
        operands = stretched(operands) if is_entry_by_entry(name) else operands
        nudge = Nudge(1, each=True, bits=BELOW_FLOATS)
        sides = (displaced_each(operands, self.random, nudge, self.smallest) for _ in range(SHARES))
        return as_at(plain, averaged([function(*side, **parameters) for side in sides]))

    def nudged(self, x: Any, at: bool = False) -> Any:
        """Numbers off by a unit each, in value and derivatives; or only in these, `at` the very value."""
        x = np.asarray(x) if isinstance(x, Jet) else x
        if not (isinstance(x, np.ndarray) and x.dtype == object and x.size):
            return x
        parts = np.zeros((*x.shape, 3))
        parts[..., : ctx.cap] = self.random.uniform(-self.unit, self.unit, (*x.shape, ctx.cap))
        if self.to_nearest or at:
            parts[..., 0] = 0

        def off(number: Any, u: float, v: float, w: float) -> Jet:
            exact = jet(number)
            # In exact numbers: in floats there are but five between 1 - unit and 1 + unit.
            slopes, bends = scaled(exact.slopes, 1 + self.scale * v), scaled(exact.bends, 1 + self.scale * w)
            value = exact.value if at else self.rounded(exact.value * (1 + self.scale * u))
            return Jet(value, slopes, bends, exact.sign)

        return np.asarray(np.frompyfunc(off, 4, 1)(x, *np.moveaxis(parts, -1, 0)), object)


def as_float(dtype: str) -> Callable[[arb], arb]:
    """Rounds numbers to those of a dtype, but for what these cannot hold."""
    to = np.dtype(dtype).type

    def nearest(value: arb) -> arb:
        found = to(float(value.mid()))
        return ball(found) if value.is_finite() and np.isfinite(found) else value

    return nearest


def as_at(point: Any, chosen: Any) -> Any:
    """Results with the derivatives that were chosen, but the values at the point, so that later choices stay open."""
    if isinstance(chosen, (list, tuple)):
        return [as_at(*parts) for parts in zip(point, chosen, strict=True)]
    if np.asarray(chosen).dtype != object:
        return chosen
    put = np.frompyfunc(lambda at, x: x.starting(at.value) if jet(at).value.is_finite() else x, 2, 1)
    return np.asarray(put(np.asarray(JETS(point), object), np.asarray(JETS(chosen), object)), object)


def averaged(results: Sequence[Any]) -> Any:
    """The middle of some results; what holds no numbers to be differentiated is taken as it is."""
    first = results[0]
    if isinstance(first, (list, tuple)):
        return [averaged(parts) for parts in zip(*results, strict=True)]
    return sum(results[1:], first) / len(results) if np.asarray(first).dtype == object else first


def derivatives(
    case: Case, order: int, nudge: Nudge | None = None, rounding: int | None = None, watch: Watch = as_jets
) -> dict[int, list[Any]]:
    """By order, the arrays that a party is asked for, as object arrays of balls, at the current precision.

    Under 1 the value and the gradients; under 2, if `order` is 2, the Hessian products.  `rounding` is
    the seed of a replay in which every step rounds, beside a nudge by the part `UNFELT` of what it does in floats;
    `watch` may put something else for what a step results in.
    """
    inputs: list[Any] = [*case.inputs]
    smallest = smallest_of(case)
    find: Callable[[], Find] = lambda: lookup  # noqa: E731
    if nudge is not None and nudge.each:
        find = lambda: Choosing(nudge, smallest)  # noqa: E731
    elif rounding is not None:
        find = lambda: Rounding(rounding, case, scaled=None if nudge is None else UNFELT)  # noqa: E731
    if nudge is not None and not nudge.each:
        inputs = displaced_inputs(case, nudge)

    def run(inputs: Sequence[Any]) -> tuple[Any, Any]:
        """The value, and what its derivatives are taken of: an engine's sums on the way back round as well."""
        finder = find()
        value = np.asarray(JETS(case.program.run(inputs, finder, watch)), object)
        return value, finder.nudged(value) if isinstance(finder, Rounding) else value

    places = places_of(inputs)
    with precision(ctx.prec, order, directions=1 + case_size(case)):
        value, last = run(set_moving(inputs, places, case.vectors if order == 2 else None))
        total = sum((v * ball(w) for v, w in zip(last.ravel(), np.ravel(case.cotangent), strict=True)), jet(0))
    gradients = [mapped(lambda i: total.slopes[i], each) for each in places]
    products = [mapped(lambda i: total.bends[i], each) for each in places] if order == 2 else []
    return {1: [mapped(lambda v: v.value, value), *gradients], 2: products}


DIFFERENCE = arb(2) ** -1700
"""How far, as a part of an input, the points of a difference quotient lie: on one side of what a nudge decides."""


def difference_quotient(case: Case, order: int, number: int, place: tuple[int, ...], nudge: Nudge) -> arb:
    """A central one for one element of an input's derivative, from exact values alone, a nudge away.

    It owes nothing to how derivatives are found otherwise; it is off by the order of `DIFFERENCE` squared.
    """
    still, smallest = displaced_inputs(case, nudge), smallest_of(case)
    unit = DIFFERENCE * max(abs(float(case.inputs[number][place])), smallest)
    sizes = [abs(x) / abs(v) for x, v in zip(flat(case.inputs), flat(case.vectors), strict=True) if x != 0 != v]
    along = DIFFERENCE * min(sizes, default=smallest) if order == 2 else arb(0)

    def value(side: int, far: int = 0) -> arb:
        moved = [x + v * (along * far) for x, v in zip(still, map(BALLS, case.vectors), strict=True)]
        moved[number] = np.array(moved[number], object)
        moved[number][place] += side * unit
        result = case.program.run([np.asarray(JETS(x), object) for x in moved], lookup, as_jets)
        parts = zip(np.ravel(np.asarray(JETS(result), object)), np.ravel(case.cotangent), strict=True)
        return sum((x.value * ball(w) for x, w in parts), arb())

    if order == 1:
        return (value(1) - value(-1)) / (2 * unit)
    return (value(1, 1) - value(-1, 1) - value(1, -1) + value(-1, -1)) / (4 * unit * along)


def flat(arrays: Sequence[Any]) -> list[float]:
    return [float(x) for array in arrays for x in np.ravel(array)]


def places_of(inputs: Sequence[Any]) -> list[Any]:
    """The number of the direction that is each element's own; direction 0 is that of the vectors, if there are any."""
    ends = np.cumsum([1, *(np.size(x) for x in inputs)]).tolist()
    return [np.arange(i, k).reshape(np.shape(x)) for x, i, k in zip(inputs, ends, ends[1:], strict=False)]


def set_moving(inputs: Sequence[Any], places: Sequence[Any], vectors: Sequence[Any] | None) -> list[Any]:
    """Arrays of floats or of balls as Jets, each element on its way along its own direction and along the vectors."""
    start = np.frompyfunc(lambda x, place, v: moving(x, [ball(v), *[0] * (place - 1), 1]), 3, 1)
    along = [0] * len(inputs) if vectors is None else vectors
    return [np.asarray(start(x, place, v), object) for x, place, v in zip(inputs, places, along, strict=True)]


def smallest_of(case: Case) -> float:
    """The smallest magnitude among the inputs, zeros apart, and at most 1."""
    return min([1.0, *(abs(float(x)) for a in case.inputs for x in a.flat if np.isfinite(x) and x != 0)])


def case_size(case: Case) -> int:
    """How many elements the inputs have."""
    return sum(x.size for x in case.inputs)


def mapped(function: Callable[[Any], Any], array: Any) -> Any:
    """An object array, element by element."""
    return np.asarray(np.frompyfunc(function, 1, 1)(array), object)


MEETING = {
    "clip": ("a_min", "a_max"),
    "pad": ("constant_values",),
    "linalg.norm": ("ord",),
    "linalg.vector_norm": ("ord",),
    "trapezoid": ("dx",),
}
"""Parameters that are numbers beside those of the array, and take its dtype like constant operands."""

APART = ("quantile", "percentile")
"""Functions of which NumPy computes with a constant operand in float64: the place of a quantile among the entries."""


def with_rounded_constants(case: Case) -> Case:
    """The case as NumPy computes it: Python's floats in a program take the dtype of the arrays they meet."""
    if case.dtype == "float64":
        return case

    def rounded(leaf: Any) -> Any:
        return float(np.dtype(case.dtype).type(leaf)) if type(leaf) is float else leaf

    def kept(step: Step) -> Step:
        if step.function in APART:
            return step
        meeting = MEETING.get(step.function, ())
        given = {key: map_operand(rounded, x) if key in meeting else x for key, x in step.parameters.items()}
        return replace(step.mapped(rounded), parameters=given)

    return replace(case, program=replace(case.program, steps=tuple(map(kept, case.program.steps))))
