"""Values and derivatives of a program in exact arithmetic, at the very point or a nudge away from it.

All derivatives come from one run of the program, on numbers that know how they move along every
direction and share no rule with any engine: see `oracles.exact.jets`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb, ctx

from minigrad.programs import Program, Step
from minigrad.protocol import NAMES, Function, leaves, map_operand
from oracles.cases import Case
from oracles.catalogue import CATALOGUE
from oracles.exact.functions import as_jets, lookup
from oracles.exact.jets import JETS, Jet, UndecidedError, ball, constant, jet, lost, moving, precision, scaled

Find = Callable[[str], Function]

BALLS = np.frompyfunc(ball, 1, 1)


@dataclass(frozen=True)
class Nudge:
    """A displacement so small that it matters only where a tie, a kink or an edge is to be decided.

    Of the inputs; or, with `each`, of every operand of every step by itself, so that every choice
    on the way is made independently, as if each step's rule chose on its own: one side, the other,
    the middle between both, or something of all that tie.  Seed 0 moves everything away from zero, or towards it.
    """

    seed: int
    sign: int = 1
    each: bool = False
    bits: int = 1300
    """Numbers move by 2**-bits of themselves, zeros by that share of the smallest input."""


NEXT_TO_NOTHING = arb(2) ** -1100
"""Below all floats: zero, but for a nudge."""

SPLITS = (6, 48)
"""How many choices are averaged for a step that is to share out among what ties, unevenly or nearly evenly."""

UNEVEN = (1.0, 2.0**-40, 0.0)
"""Parts of a nudge that inputs move by: some far less than others, and some not at all."""

LARGER_EACH_STEP, OUTDOING = 12, 4
"""By how many bits the nudges of a step are larger than those of the one before; and what they are at least
times what these made of a zero."""


def displaced(array: Any, random: np.random.Generator, nudge: Nudge, smallest: float) -> Any:
    """Balls or Jets, each moved by a random part of the nudge."""
    signs = random.choice([-1, 1], np.shape(array)) if nudge.seed else 1
    # Every other one, so that directions along one axis, and very nearly so, are among them.
    sizes = random.choice(UNEVEN, np.shape(array)) if nudge.seed % 2 and not nudge.each else 1
    part = random.uniform(0.5, 1, np.shape(array)) * signs * sizes * nudge.sign
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


def is_entry_by_entry(name: str) -> bool:
    """Whether no entry of an operand has a part in what becomes of another."""
    function = NAMES.get(name)
    is_gate = name in CATALOGUE and CATALOGUE[name].kind == "unary"
    return is_gate or (isinstance(function, np.ufunc) and function.signature is None)


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
        if style == 0:
            return [(seed, 1), (seed, -1)]
        return [(seed + k, 1) for k in range(self.random.choice(SPLITS) if ties and style == 1 else 1)]

    def moved(self, operands: Sequence[Any], seed: int, side: int) -> list[Any]:
        random = np.random.default_rng(seed)
        nudge = replace(self.nudge, sign=self.nudge.sign * side)

        def move(x: Any) -> Any:
            is_exact = isinstance(x, np.ndarray) and x.dtype == object and x.size
            return displaced(x, random, nudge, self.smallest) if is_exact else x

        return [map_operand(move, operand) for operand in operands]


class Rounding:
    """Finds exact functions by name; whatever one results in is off by a random rounding unit, its derivatives too.

    That is what an engine with ideal rules would lose, and owes nothing to the rules of any.  With an odd seed
    values are rounded to floats besides, so that what rounding makes equal ties.
    """

    def __init__(self, seed: int, dtype: str):
        self.random = np.random.default_rng(seed)
        self.unit = float(np.finfo(dtype).eps)
        self.rounded = as_float(dtype) if seed % 2 else lambda value: value

    def __call__(self, name: str) -> Function:
        function = lookup(name)
        if name in CATALOGUE and CATALOGUE[name].is_exact:
            return function
        return lambda *operands, **parameters: map_operand(
            self.nudged,
            function(*(map_operand(self.nudged, operand) for operand in operands), **parameters),
        )

    def nudged(self, x: Any) -> Any:
        x = np.asarray(x) if isinstance(x, Jet) else x
        if not (isinstance(x, np.ndarray) and x.dtype == object and x.size):
            return x
        parts = np.zeros((*x.shape, 3))
        parts[..., : ctx.cap] = self.random.uniform(-self.unit, self.unit, (*x.shape, ctx.cap))

        def off(number: Any, u: float, v: float, w: float) -> Jet:
            exact = jet(number)
            # In exact numbers: in floats there are but five between 1 - unit and 1 + unit.
            slopes, bends = scaled(exact.slopes, 1 + arb(v)), scaled(exact.bends, 1 + arb(w))
            return Jet(self.rounded(exact.value * (1 + arb(u))), slopes, bends, exact.sign)

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
    case: Case, order: int, nudge: Nudge | None = None, rounding: int | None = None
) -> dict[int, list[Any]]:
    """By order, the arrays that a party is asked for, as object arrays of balls, at the current precision.

    Under 1 the value and the gradients; under 2, if `order` is 2, the Hessian products.  `rounding` is
    the seed of a replay in which every step rounds.
    """
    inputs: list[Any] = [*case.inputs]
    smallest = smallest_of(case)
    find: Callable[[], Find] = lambda: lookup  # noqa: E731
    if nudge is not None and nudge.each:
        find = lambda: Choosing(nudge, smallest)  # noqa: E731
    elif rounding is not None:
        find = lambda: Rounding(rounding, case.dtype)  # noqa: E731
    elif nudge is not None:
        random = np.random.default_rng(nudge.seed)
        inputs = [displaced(np.asarray(BALLS(x), object), random, nudge, smallest) for x in inputs]

    def run(inputs: Sequence[Any]) -> tuple[Any, Any]:
        """The value, and what its derivatives are taken of: an engine's sums on the way back round as well."""
        finder = find()
        value = np.asarray(JETS(case.program.run(inputs, finder, as_jets)), object)
        return value, finder.nudged(value) if isinstance(finder, Rounding) else value

    places = places_of(inputs)
    with precision(ctx.prec, order, directions=1 + case_size(case)):
        value, last = run(set_moving(inputs, places, case.vectors if order == 2 else None))
        total = sum((v * ball(w) for v, w in zip(last.ravel(), np.ravel(case.cotangent), strict=True)), jet(0))
    gradients = [mapped(lambda i: total.slopes[i], each) for each in places]
    # Where there are no two derivatives along the vectors, there is no Hessian.
    bends = total.bends if total.bends[0].is_finite() else lost([True] * (1 + case_size(case)))
    products = [mapped(lambda i: bends[i], each) for each in places] if order == 2 else []
    return {1: [mapped(lambda v: v.value, value), *gradients], 2: products}


def places_of(inputs: Sequence[Any]) -> list[Any]:
    """The number of the direction that is each element's own; direction 0 is that of the vectors, if there are any."""
    ends = np.cumsum([1, *(np.size(x) for x in inputs)]).tolist()
    return [np.arange(i, k).reshape(np.shape(x)) for x, i, k in zip(inputs, ends, ends[1:], strict=False)]


def set_moving(inputs: Sequence[Any], places: Sequence[Any], vectors: Sequence[Any] | None) -> list[Any]:
    """Arrays of floats or of balls as Jets, each element on its way along its own direction and along the vectors."""
    start = np.frompyfunc(lambda x, place, v: moving(x, [ball(v), *[0] * (place - 1), 1]), 3, 1)
    along = [0] * len(inputs) if vectors is None else vectors
    return [np.asarray(start(x, place, v), object) for x, place, v in zip(inputs, places, along, strict=True)]


def reached(case: Case, order: int, edges: Mapping[int, Any], sides: int) -> list[Any]:
    """Per array of an order, the elements that depend on the edges: masks of results by the number of their step.

    Where a step's derivative is infinite, NaN is put in its place; whatever meets that NaN in some step
    depends on it, even if nothing comes of it later, since engines multiply it by zero.  All this is
    done a nudge away, where no derivative is zero by chance; where something ties, to several `sides`.
    """
    masks = [reached_from(case, order, edges, 2 * side) for side in range(sides)]
    return [np.any(together, axis=0) for together in zip(*masks, strict=True)]


def reached_from(case: Case, order: int, edges: Mapping[int, Any], seed: int) -> list[Any]:
    """As `reached`, from the side that a nudge of this seed goes to."""
    random, nudge = np.random.default_rng(seed), Nudge(seed)
    inputs = [displaced(np.asarray(BALLS(x), object), random, nudge, smallest_of(case)) for x in case.inputs]
    places = places_of(inputs)

    def results(poison: bool) -> list[Jet]:
        """Of every step."""
        seen: list[Jet] = []

        def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
            result = as_jets(number, step, operands, result)
            if poison and number in edges:
                sources = operands if is_entry_by_entry(step.function) else ()
                result = map_operand(lambda part: spoilt(part, edges[number], sources), result)
            for part in leaves(result):
                seen.extend(np.asarray(part).flat if np.asarray(part).dtype == object else ())
            return result

        jets = set_moving(inputs, places, case.vectors if order == 2 else None)
        case.program.run(jets, passing_all(np.random.default_rng(0)), watch)
        return seen

    with precision(ctx.prec, 1, directions=1 + case_size(case)):
        poisoned = results(True)
        touched = {i for number in poisoned for i, slope in enumerate(number.slopes.coeffs()) if not slope.is_finite()}
        if order == 2:
            blocked = [not number.slopes[0].is_finite() for number in poisoned]
            for number in itertools.compress(results(False), blocked):
                touched |= moved_along([number])
    masks = [] if order == 2 else [np.zeros(case.cotangent.shape, bool)]
    return [*masks, *(np.isin(each, list(touched)) for each in places)]


SELECTS = (
    *("clip", "fmax", "fmin", "maximum", "minimum", "minigrad.relu", "where"),
    *("fmod", "remainder", "divmod", "copysign"),
)
"""Functions of which an operand may have no part in the result."""

SELECTING_REDUCTIONS: dict[str, Any] = {
    **dict.fromkeys(("amax", "amin", "max", "min", "nanmax", "nanmin", "ptp", "linalg.norm"), np.sum),
    **dict.fromkeys(("median", "percentile", "quantile", "std", "var"), np.sum),
    **dict.fromkeys(("minigrad.running_max", "minigrad.running_min"), np.cumsum),
}
"""With the function whose result has a part of all that they select from."""

TRIANGULAR = ("linalg.qr", "linalg.cholesky")
"""Decompositions in which some entries have no part in others, though a rule works on the whole matrix at once."""


def passing_all(random: np.random.Generator) -> Find:
    """Finds exact functions by name, so that nothing cancels, and what selects lets a trace of the others through."""
    trace = constant(arb(2) ** -Nudge.bits)

    def uneven(x: Any) -> Any:
        if not (isinstance(x, np.ndarray) and x.dtype == object):
            return x
        parts = np.asarray(JETS(random.uniform(0.5, 1, x.shape)), object) * trace
        return np.asarray(x * parts + x + parts, object)  # which leaves no zero either

    def find(name: str) -> Function:
        function = lookup(name)

        def passed(*operands: Any, **parameters: Any) -> Any:
            operands = tuple(map_operand(uneven, operand) for operand in operands)
            result = function(*operands, **parameters)
            if name in SELECTING_REDUCTIONS:
                kept = {key: value for key, value in parameters.items() if key in ("axis", "keepdims")}
                return result + trace * SELECTING_REDUCTIONS[name](operands[0], **kept)
            if name in TRIANGULAR:
                others = np.sum(operands[0], axis=(-2, -1), keepdims=True) * trace
                return map_operand(lambda part: part + others, result)
            if name in SELECTS:
                others = sum(x * trace for x in operands if isinstance(x, np.ndarray) and x.dtype == object)
                return map_operand(lambda part: part + others, result)
            return result

        return passed

    return find


def moved_along(jets: Iterable[Jet]) -> set[int]:
    """The directions along which any of these vary."""
    return {i for number in jets for i, slope in enumerate(number.slopes.coeffs()) if not slope.is_zero()}


def spoilt(part: Any, mask: Any, sources: Sequence[Any]) -> Any:
    """Jets, with NaN for the derivatives of those that are marked, along the directions that any of them vary.

    Or, of what was made entry by entry of `sources`, along those that its own entries vary; but of such as are zero
    whatever the inputs, along all again, since an engine sends the infinite gradient on to wherever they came from.
    """
    if np.asarray(part).dtype != object:
        return part
    together = moved_along(np.asarray(part).flat)
    entries = [np.broadcast_to(np.asarray(x, object), np.shape(part)) for x in sources]
    found = np.array(part, object)
    for place in zip(*np.nonzero(np.broadcast_to(mask, found.shape)), strict=True):
        moved = moved_along(x[place] for x in entries if isinstance(x[place], Jet)) or together
        found[place] = Jet(found[place].value, lost([i in moved for i in range(Jet.directions)]))
    return found


def smallest_of(case: Case) -> float:
    """The smallest magnitude among the inputs, zeros apart, and at most 1."""
    return min([1.0, *(abs(float(x)) for a in case.inputs for x in a.flat if np.isfinite(x) and x != 0)])


def case_size(case: Case) -> int:
    """How many elements the inputs have."""
    return sum(x.size for x in case.inputs)


def mapped(function: Callable[[Any], Any], array: Any) -> Any:
    """An object array, element by element."""
    return np.asarray(np.frompyfunc(function, 1, 1)(array), object)


def with_rounded_constants(case: Case) -> Case:
    """The case as NumPy computes it: Python's floats in a program take the dtype of the arrays they meet."""
    if case.dtype == "float64":
        return case

    def rounded(leaf: Any) -> Any:
        return float(np.dtype(case.dtype).type(leaf)) if type(leaf) is float else leaf

    program = case.program
    steps = tuple(
        Step(s.function, tuple(map_operand(rounded, operand) for operand in s.operands), s.parameters)
        for s in program.steps
    )
    return replace(case, program=Program(program.inputs, steps, program.output))
