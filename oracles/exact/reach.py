"""What an edge of a domain, or an input that is not finite, reaches: the elements that it excuses, and no others.

An engine multiplies by the infinite derivatives and the NaN that it meets on its way, even if nothing
comes of them in the end.  So an element is reached if it meets them in any step, were there no zero
to stop them and nothing left out by a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from flint import arb, arb_poly, ctx

from minigrad.programs import Ref
from minigrad.protocol import Function, leaves, map_operand
from oracles.cases import Case
from oracles.catalogue import (
    CATALOGUE,
    COMPOSITE,
    CONDITIONED,
    ROUNDS_ONCE,
    axes_of,
    is_entry_by_entry,
    stacked_axes,
)
from oracles.exact.derivatives import (
    Find,
    Nudge,
    Rounding,
    Watch,
    as_float,
    case_size,
    derivatives,
    displaced_inputs,
    places_of,
    set_moving,
    stretched,
)
from oracles.exact.functions import as_jets, lookup
from oracles.exact.jets import JETS, Jet, UndecidedError, constant, jet, lost, precision


@dataclass(frozen=True)
class Edge:
    """Where a step is at an edge, and its result there, if that matters: some nudges lead out of the domain."""

    mask: Any
    result: Any


def confirmed(case: Case, order: int, masks: Mapping[int, Any]) -> dict[int, Edge]:
    """By number of the step, the edges that are there in exact numbers too, for derivatives of an order.

    `masks` are of those that were met in floats.  What rounding alone may take to the edge is at it, such as a cosine
    that is nearly 1, or a sum of which little is left; a square that became 0, and was brought back into the range
    after, is none; and ``x**1.5`` is at an edge at order 2 only.
    """
    masks = {number: mask for number, mask in masks.items() if not moves(case.program.steps[number - 1].function)}
    exact, found = at_steps(case, order, masks, lookup), {}
    replays: list[dict[int, Conduct]] = []
    for number, here in exact.items():
        broken, met = here.broken, per_matrix(masks[number], here.stack)
        if np.any(met & ~broken):
            replays = replays or [at_steps(case, order, masks, Rounding(2 * k, case)) for k in range(REPLAYS)]
            for there in (replay[number] for replay in replays):
                broken = broken | there.broken | here.moves_to(there)
        if np.any(met & broken):
            found[number] = Edge(met & broken, here.result)
    return found


def singular(case: Case, order: int, but: Collection[int]) -> dict[int, Edge]:
    """By number of the step, functions of matrices that have no derivative in exact numbers, `but` some steps.

    And powers: of a negative number there is none along the exponent, and so no second one of what is made of it.
    """
    steps = {
        n: step
        for n, step in enumerate(case.program.steps, 1)
        if n not in but and (is_of_matrices(step.function) or (order == 2 and step.function in POWERS))
    }
    exact = at_steps(case, order, steps, lookup, undecided=False) if steps else {}
    return {number: Edge(here.broken, here.result) for number, here in exact.items() if np.any(here.broken)}


POWERS = ("power", "float_power")


def along_exponents(case: Case) -> dict[int, Any]:
    """By number of the step, where whole powers of negative numbers vary with their exponents.

    Along these they have no derivative; nor has what is made of them, were it multiplied by 0.
    """
    if not any(step.function in POWERS and isinstance(step.operands[1], Ref) for step in case.program.steps):
        return {}
    is_marked = np.frompyfunc(lambda x, y: bool(jet(x).value < 0) and bool(jet(y).value.is_integer()), 2, 1)
    found = {}

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        result = as_jets(number, step, operands, result)
        if step.function in POWERS and isinstance(step.operands[1], Ref):
            mask = np.asarray(is_marked(*operands), bool)
            if mask.any():
                found[number] = mask
        return result

    with precision(ctx.prec, 1, directions=1):
        case.program.run([np.asarray(JETS(x), object) for x in case.inputs], lookup, watch)
    return found


REPLAYS = 6
"""How often a program is run with every step rounded, to see what may come to an edge by that."""

SETTLED = arb(2) ** -3
"""By how much of itself rounding may move a number that is still said to be where it is."""


@dataclass(frozen=True)
class Conduct:
    """What a step at which floats meet an edge does in exact numbers."""

    broken: Any
    """Where it has no value or no derivative, if all its operands move; of what depends on many, once for all."""
    operands: Sequence[Any]
    """Its operands that are arrays of exact numbers."""
    result: Any
    stack: tuple[int, ...] = ()
    """Of a function of matrices, how many of them there are along the first axes."""

    def moves_to(self, other: Conduct) -> Any:
        """Where an operand is another number in another run, rather than the same but for rounding."""
        far = np.frompyfunc(lambda x, y: bool(abs(jet(x).value - jet(y).value) > abs(jet(x).value) * SETTLED), 2, 1)
        masks = [np.asarray(far(x, y), bool) for x, y in zip(self.operands, other.operands, strict=True)]
        masks = [per_matrix(mask, self.stack) for mask in masks]
        if np.ndim(self.broken):
            return np.logical_or.reduce(np.broadcast_arrays(self.broken, *masks))
        return any(mask.any() for mask in masks)


def at_steps(
    case: Case, order: int, masks: Mapping[int, Any], find: Find, undecided: bool = True
) -> dict[int, Conduct]:
    """What the marked steps do, by number, if functions are found by `find`; `undecided` ones break, or do not."""
    found: dict[int, Conduct] = {}

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        result = as_jets(number, step, operands, result)
        if number in masks:
            given = [part for part in leaves(operands) if isinstance(part, np.ndarray) and part.dtype == object]
            broken = is_broken(step, operands, case.dtype, undecided, given=is_given(step, len(case.inputs)))
            found[number] = Conduct(broken, given, result, stack_of(step, operands))
        return result

    with precision(ctx.prec, order, directions=1):
        case.program.run([np.asarray(JETS(x), object) for x in case.inputs], find, watch)
    return found


ROUNDINGS = 4.0
"""How many rounding units an operand may be off, for a step to be at an edge still."""


def is_given(step: Any, inputs: int) -> bool:
    """Whether a function of one or two numbers takes those that the case gives, which nobody rounds."""
    once = step.function in CATALOGUE and CATALOGUE[step.function].kind in ROUNDS_ONCE
    refs = [leaf for leaf in leaves(step.operands) if isinstance(leaf, Ref)]
    return once and step.function not in COMPOSITE and all(ref.index < inputs for ref in refs)


def is_broken(step: Any, operands: Sequence[Any], dtype: str, undecided: bool, given: bool) -> Any:
    """See `Conduct.broken`; with the operands as they are, and unless `given` as floats, and a few roundings off."""
    unit = ROUNDINGS * float(np.finfo(dtype).eps)
    nearby: list[Callable[[arb], arb]] = [lambda x: x]
    if not given:
        nearby += [as_float(dtype), lambda x: x * arb(1 + unit), lambda x: x * arb(1 - unit)]
    return np.logical_or.reduce([is_broken_at(step, operands, move, undecided) for move in nearby])


def is_broken_at(step: Any, operands: Sequence[Any], move: Callable[[arb], arb], undecided: bool) -> Any:
    """As `is_broken`, with every number of the operands moved alike."""
    if stack := stack_of(step, operands):
        each = [is_broken_at(step, matrices_at(place, operands), move, undecided) for place in np.ndindex(stack)]
        return np.reshape(each, stack)
    random = np.random.default_rng(0)

    def set_off(x: Any) -> Any:
        if not (isinstance(x, np.ndarray) and x.dtype == object):
            return x
        start = np.frompyfunc(lambda x, speed: Jet(move(jet(x).value), arb_poly([speed]), sign=jet(x).sign), 2, 1)
        return np.asarray(start(x, random.uniform(0.5, 1, x.shape)), object)

    alone = is_entry_by_entry(step.function)
    moved = [map_operand(set_off, operand) for operand in (stretched(operands) if alone else operands)]
    try:
        result = lookup(step.function)(*moved, **step.parameters)
    except UndecidedError:
        return np.asarray(undecided)
    lacks = np.frompyfunc(lambda x: isinstance(x, Jet) and not is_there(x), 1, 1)
    masks = [np.asarray(lacks(part), bool) for part in leaves(result)]
    # What is made of numbers that are not finite is no edge of this step's own.
    given = [~np.asarray(LOST(part), bool) for part in leaves(operands) if np.asarray(part).dtype == object]
    if alone and len(masks) == 1:
        return np.logical_and.reduce(np.broadcast_arrays(masks[0], *given))
    return np.asarray(any(mask.any() for mask in masks) and all(mask.all() for mask in given))


def is_there(x: Jet) -> bool:
    """Whether a number and its derivatives are finite."""
    return bool(x.value.is_finite()) and all(d.is_finite() for d in (*x.slopes.coeffs(), *x.bends.coeffs()))


def reached(
    case: Case,
    order: int,
    edges: Mapping[int, Edge],
    sides: int,
    exponents: Mapping[int, Any] | None = None,
    gone: Mapping[int, Sequence[Any]] | None = None,
) -> list[Any]:
    """Per input, the elements of the gradient, or of the Hessian product, that meet an edge or what is not finite.

    Where a step's derivative is infinite, NaN is put in its place; whatever meets that NaN in some step
    depends on it; of powers that are marked in `exponents`, at order 1, along these alone.  All this is
    done a nudge away, where no derivative is zero by chance; where something ties, to several `sides`.
    Of what is not finite an engine may make NaN where a number is left, as of the share of 1 beside two infinities:
    where floats have none, marked in `gone` for each part of a result, there is none here.
    """
    masks = [reached_from(case, order, edges, 2 * side, exponents or {}, gone or {}) for side in range(sides)]
    return [np.any(together, axis=0) for together in zip(*masks, strict=True)]


def reached_from(
    case: Case,
    order: int,
    edges: Mapping[int, Edge],
    seed: int,
    exponents: Mapping[int, Any],
    gone: Mapping[int, Sequence[Any]],
) -> list[Any]:
    """As `reached`, from the side that a nudge of this seed goes to."""
    inputs = displaced_inputs(case, Nudge(seed))
    places = places_of(inputs)
    touched: set[int] = set()

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        result = as_jets(number, step, operands, result)
        mask = np.asarray(False)
        if number in edges:
            mask = edges[number].mask
            if edges[number].result is not None:
                result = put_back(result, edges[number].result)
        if step.function == "divide":  # nothing is left over infinity, but rules may divide it by itself
            mask = mask | not_finite_in(step, operands[1:], result)
        elif not passes_on(step.function):
            made = not_finite_in(step, operands, result)
            mask = mask | made
            if number in gone and np.any(made):
                parts, stack = iter(gone[number]), stack_of(step, operands)
                result = map_operand(lambda part: without_numbers(part, along(stack, made, part) & next(parts)), result)
        if np.any(mask):
            result = map_operand(lambda part: spoilt(part, mask, step, operands), result)
        if number in exponents:
            result = spoilt_along_exponents(step, operands, result, exponents[number])
        for part in leaves(result):
            for x in np.asarray(part).flat if np.asarray(part).dtype == object else ():
                touched.update(not_finite_along(x))
        return result

    with precision(ctx.prec, order, directions=1 + case_size(case)):
        jets = set_moving(inputs, places, case.vectors if order == 2 else None)
        case.program.run(jets, passing_all(np.random.default_rng(0)), watch)
    return [np.isin(each, list(touched)) for each in places]


def not_finite_along(x: Jet) -> list[int]:
    """The directions along which a number has no finite derivative of the order that is asked for."""
    rows = [x.slopes] if ctx.cap == 2 else [x.slopes, x.bends]
    return [i for row in rows for i, derivative in enumerate(row.coeffs()) if not derivative.is_finite()]


SELECTS = (
    *("clip", "fmax", "fmin", "maximum", "minimum", "minigrad.relu", "where"),
    *("fmod", "remainder", "divmod", "copysign"),
)
"""Functions of which an operand may have no part in the result."""

SELECTING_REDUCTIONS: dict[str, Any] = {
    **dict.fromkeys(
        ("amax", "amin", "max", "min", "nanmax", "nanmin", "ptp", "linalg.norm", "linalg.vector_norm"), np.sum
    ),
    **dict.fromkeys(("median", "percentile", "quantile", "std", "var", "nansum", "nanprod", "nanmean"), np.sum),
    **dict.fromkeys(("minigrad.running_max", "minigrad.running_min", "nancumsum", "nancumprod"), np.cumsum),
    "nan_to_num": np.positive,
    "linalg.matrix_norm": partial(np.sum, axis=(-2, -1)),
}
"""With the function whose result has a part of all that they select from."""

ARITHMETIC = frozenset(
    {"add", "subtract", "multiply", "divide", "negative", "positive", "conjugate", "real", "real_if_close", "copy"}
    | {"sum", "mean", "cumsum", "cumulative_sum", "diff", "ediff1d", "trapezoid", "trace", "linalg.trace"}
)
"""Functions that add or multiply."""

LINEAR = ARITHMETIC - {"multiply", "divide"}
"""Those of them that have the same derivatives whatever they are given."""

MOVES = ("shape", "join", "index", "split", "spread", "masked", "cast", "update", "choice", "compare", "fill")
"""Kinds of functions that move numbers about, or choose some by a condition."""

PADDED = ("convolve", "correlate")
"""Products of which engines take more than there are, of zeros put beside."""


def passes_on(name: str) -> bool:
    """Whether a number that is not finite comes, in the derivative as well, only where exact arithmetic sends it.

    Sums, products and what moves numbers about are such; the rules of others may compare, or divide by, any of them.
    """
    row = CATALOGUE.get(name)
    return name in ARITHMETIC or moves(name) or (row is not None and row.kind == "product" and name not in PADDED)


ASKS_FOR_NAN = ("fmax", "fmin", "isfinite", "isinf", "isnan")
"""Functions to which NaN is one case among others, besides those that leave it out of an array."""


def carries_nan(name: str) -> bool:
    """Whether it is clear what becomes of a NaN that a function is given: it passes through, or has no part."""
    kind = CATALOGUE[name].kind if name in CATALOGUE else ""
    return name in ASKS_FOR_NAN or name in ARITHMETIC or kind == "nan" or (moves(name) and kind != "compare")


def moves(name: str) -> bool:
    """Whether a function only moves numbers about, so that no edge that is met there is its own."""
    return name in CATALOGUE and CATALOGUE[name].kind in MOVES


def is_linear(name: str) -> bool:
    """Whether a function has the same derivatives whatever it is given."""
    return name in LINEAR or moves(name)


SLICED = ("linalg.norm", "linalg.matrix_norm", "linalg.vector_norm", "ptp")
"""Functions that work along an axis, besides those of such kinds."""

TELLS = ("amax", "amin", "max", "min", "nanmax", "nanmin", "nanmean")
"""Those whose result is finite unless something that it is made of is not, or nothing is left of that."""


def is_of_matrices(name: str) -> bool:
    return name in CATALOGUE and CATALOGUE[name].kind in CONDITIONED


def stack_of(step: Any, operands: Sequence[Any]) -> tuple[int, ...]:
    """The shape of the stack of matrices that a function takes one by one; empty if it takes no more than one."""
    if not is_of_matrices(step.function):
        return ()
    arrays = [x for x in leaves(operands) if np.asarray(x).dtype == object]
    stacks = {np.shape(x)[: stacked_axes(step.function, x)] for x in arrays}
    return stacks.pop() if len(stacks) == 1 else ()


def matrices_at(place: tuple[int, ...], operands: Sequence[Any]) -> list[Any]:
    """The operands, with the matrix at this place of a stack for the stack."""
    return [map_operand(lambda x: x[place] if np.asarray(x).dtype == object else x, each) for each in operands]


def per_matrix(mask: Any, stack: tuple[int, ...]) -> Any:
    """Of a stack, which matrices have any entries that are marked; of no stack, the mask as it is."""
    mask = np.asarray(mask)
    return mask.any(axis=tuple(range(len(stack), mask.ndim))) if stack else mask


def sliced_axes(step: Any, operands: Sequence[Any]) -> tuple[int, ...]:
    """The axes that a function works along, in order, if a result is made of one slice of its operand along these.

    None of one that adds an axis, as several quantiles do.
    """
    row = CATALOGUE.get(step.function)
    axis = step.parameters.get("axis", (-2, -1) if step.function == "linalg.matrix_norm" else None)
    if axis is None or not (step.function in SLICED or (row is not None and row.kind in ("reduce", "scan", "nan"))):
        return ()
    many = step.function in ("percentile", "quantile") and np.ndim(operands[1]) > 0
    return () if many else tuple(sorted(axes_of(operands[0], axis)))


def not_finite_in(step: Any, operands: Sequence[Any], result: Any) -> Any:
    """The entries of a result that are made of what is not finite: one by one, per slice or matrix, or all or none.

    The largest of numbers is made of one of them; and what leaves NaN out, of the others, if there are any.
    """
    if step.function in TELLS:
        return np.asarray(LOST(result), bool)
    lost = INFINITE if step.function in CATALOGUE and CATALOGUE[step.function].kind == "nan" else LOST
    masks = [np.asarray(lost(part), bool) for part in leaves(operands) if np.asarray(part).dtype == object]
    if is_entry_by_entry(step.function) and masks:
        return np.logical_or.reduce(np.broadcast_arrays(*masks))
    if stack := stack_of(step, operands):
        return np.any([per_matrix(mask, stack) for mask in masks], axis=0)
    if axes := sliced_axes(step, operands):
        kept = np.any(masks[0], axis=axes, keepdims=True)
        return kept if np.ndim(result) == kept.ndim else np.reshape(kept, np.shape(result))
    return np.asarray(any(mask.any() for mask in masks))


LOST = np.frompyfunc(lambda x: isinstance(x, Jet) and not x.value.is_finite(), 1, 1)
INFINITE = np.frompyfunc(lambda x: isinstance(x, Jet) and not (x.value.is_finite() or x.value.is_nan()), 1, 1)
"""Whether numbers are infinite or NaN; whether they are infinite."""

TRIANGULAR = ("linalg.qr", "linalg.cholesky")
"""Decompositions in which some entries have no part in others, though a rule works on the whole matrix at once."""


def passing_all(random: np.random.Generator) -> Find:
    """Finds exact functions by name, so that nothing cancels, and what selects lets a trace of the others through."""
    trace = constant(arb(2) ** -Nudge.bits)
    only_finite = np.frompyfunc(lambda x: x if jet(x).value.is_finite() else x.starting(arb(0)), 1, 1)

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
                finite = np.asarray(only_finite(operands[0]), object)
                return result + SELECTING_REDUCTIONS[name](finite, **kept) * trace
            if name in TRIANGULAR:
                others = np.sum(operands[0], axis=(-2, -1), keepdims=True) * trace
                return map_operand(lambda part: part + others, result)
            if name in SELECTS:
                others = sum(x * trace for x in operands if isinstance(x, np.ndarray) and x.dtype == object)
                return map_operand(lambda part: part + others, result)
            return result

        return passed

    return find


def left_out(case: Case, order: int, edges: Mapping[int, Edge]) -> list[Any]:
    """Per array of an order, the elements that stay what they are whatever finite derivatives are put at the edges.

    An engine has its own conventions for these, such as zeros, and may come to any number where they have a part.
    None are known to if anything ties, of which only one choice is seen here.
    """
    ties = Jet.ties
    first, second = (derivatives(case, order, watch=putting(edges, seed))[order] for seed in range(2))
    same = np.frompyfunc(lambda x, y: bool(x.is_finite() and abs(x - y) <= abs(x) * SAME_NUMBER), 2, 1)
    return [np.asarray(same(x, y), bool) & (Jet.ties == ties) for x, y in zip(first, second, strict=True)]


SAME_NUMBER = arb(2) ** -100
"""Numbers that differ by less than this part of them are one."""


def putting(edges: Mapping[int, Edge], seed: int) -> Watch:
    """Puts random numbers for the derivatives of steps at their edges."""
    random = np.random.default_rng(seed)

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        result = as_jets(number, step, operands, result)
        if number not in edges:
            return result
        return map_operand(lambda part: with_others(part, edges[number].mask, step, operands, drawn), result)

    def drawn(moved: Collection[int]) -> arb_poly:
        return arb_poly([random.uniform(1, 2) if i in moved else 0.0 for i in range(Jet.directions)])

    return watch


def moved_along(jets: Iterable[Jet]) -> set[int]:
    """The directions along which any of these vary; with any, that of the vectors."""
    found = {i for number in jets for i, slope in enumerate(number.slopes.coeffs()) if not slope.is_zero()}
    return found | {0} if found and ctx.cap > 2 else found


def put_back(nudged: Any, result: Any) -> Any:
    """A step's results with the values at the very point where there is none, or none a nudge away."""
    if isinstance(nudged, (list, tuple)):
        return [put_back(*parts) for parts in zip(nudged, result, strict=True)]
    if np.asarray(nudged).dtype != object:
        return nudged

    def put_one(x: Any, at: Any) -> Any:
        both = x.value.is_finite() and jet(at).value.is_finite()
        return x if both else x.starting(jet(at).value)

    put = np.frompyfunc(put_one, 2, 1)
    return np.asarray(put(nudged, result), object)


def along(stack: tuple[int, ...], mask: Any, part: Any) -> Any:
    """The mask of the matrices of a stack, if it is one, as one of all entries of a part of a result."""
    return np.reshape(mask, np.shape(mask) + (1,) * (np.ndim(part) - np.ndim(mask))) if stack else mask


def without_numbers(part: Any, mask: Any) -> Any:
    """Jets, with NaN for the values of those that are marked."""
    if np.asarray(part).dtype != object:
        return part
    nothing = arb("nan")
    gone = np.frompyfunc(lambda x, m: Jet(nothing, x.slopes, x.bends, x.sign) if m and isinstance(x, Jet) else x, 2, 1)
    return np.asarray(gone(part, mask), object)


def spoilt(part: Any, mask: Any, step: Any, operands: Sequence[Any]) -> Any:
    """Jets, with NaN for the derivatives of those that are marked, along the directions that what made them varies.

    Of such as are zero whatever the inputs, along those of all operands, since an engine sends the infinite gradient on
    to wherever they came from.
    """

    def nothing(moved: Collection[int]) -> arb_poly:
        return lost([i in moved for i in range(Jet.directions)])

    return with_others(part, mask, step, operands, nothing)


def spoilt_along_exponents(step: Any, operands: Sequence[Any], powers: Any, mask: Any) -> Any:
    """Powers, with NaN for the derivatives of those that are marked along the directions that their exponents vary in.

    Along others they are what they are at the very point, whose exponents are whole: a nudge away is no power.
    """

    def spoil(power: Any, is_marked: bool, base: Any, exponent: Any) -> Any:
        if not is_marked:
            return power
        moved, whole = moved_along([jet(exponent)]), round(float(jet(exponent).value.mid()))
        nothing = lost([i in moved for i in range(Jet.directions)])
        return jet(lookup(step.function)(base, jet(whole))) + Jet(arb(0), nothing)

    return np.asarray(np.frompyfunc(spoil, 4, 1)(powers, mask, *operands), object)


def with_others(
    part: Any, mask: Any, step: Any, operands: Sequence[Any], row: Callable[[Collection[int]], arb_poly]
) -> Any:
    """Jets with other derivatives for those that are marked: a `row`, of the directions that they had any in."""
    if np.asarray(part).dtype != object:
        return part
    taken = moved_along(x for each in leaves(operands) for x in np.ravel(each) if isinstance(x, Jet))
    found = np.array(part, object)
    mask = along(stack_of(step, operands), mask, found)
    for place in map(tuple, np.argwhere(np.broadcast_to(mask, found.shape))):
        source = [found[place]] if moves(step.function) else made_from(step, operands, place, found.shape)
        made_of = [x for x in source if isinstance(x, Jet)]
        moved = moved_along(made_of) or taken or set(range(Jet.directions))
        found[place] = Jet(found[place].value, row(moved), row(moved) if ctx.cap > 2 else found[place].bends)
    return found


def made_from(step: Any, operands: Sequence[Any], place: tuple[int, ...], shape: tuple[int, ...]) -> Iterable[Any]:
    """What an entry of a step's result is made of: entries of operands, a slice of one, or as far as is known all."""
    if is_entry_by_entry(step.function):
        return [np.broadcast_to(np.asarray(x, object), shape)[place] for x in operands]
    if stack := stack_of(step, operands):
        operands = matrices_at(place[: len(stack)], operands)
    first = operands[0]
    if isinstance(first, np.ndarray) and (axes := sliced_axes(step, operands)):
        index: list[Any] = list(place)
        for axis in axes:
            if len(place) < first.ndim:
                index.insert(axis, slice(None))
            index[axis] = slice(None)
        return list(first[tuple(index)].flat)
    return [x for each in leaves(operands) for x in np.ravel(each)]
