"""What rounding alone may do: both passes of a case run again, with every result off by a random rounding unit.

What this project's engine computes for a case, forwards and backwards, is recorded as one program;
replays of it nudge the result of every step, as another library's rounding would.  The spread of a
few such replays is the noise of the gradient at that point, against which disagreements are measured.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad import backward
from minigrad.errors import ProgramError
from minigrad.programs import Program, Ref, Step
from minigrad.programs.tracing import Recorder, Tape
from minigrad.protocol import DEFINITIONS, NAMES, RULES, Function, leaves, map_operand
from oracles.cases import Case, FloatArray
from oracles.catalogue import CATALOGUE, COMPOSITE, CONDITIONED, ROUNDS_ONCE, stacked_axes

Compute = Callable[[Case], Sequence[Any]]

ROUNDS_ALIKE = frozenset(
    {"minigrad.cofactor", "minigrad.logabsdet", "minigrad.singular_values", "minigrad.eigenvalues"}
    | {"minigrad.packed_eigh", "minigrad.packed_svd", "minigrad.packed_qr", "minigrad.nuclear", "minigrad.polar"}
)
"""Decompositions, besides functions of matrices in the catalogue: they round all entries by a unit of the largest."""

PACKED = frozenset({"minigrad.packed_eigh", "minigrad.packed_svd", "minigrad.packed_qr"})
"""Of these, those whose result holds several arrays, row by row: values beside vectors, each of its own size."""


ROUNDS_BETWEEN = (
    *("linalg.norm", "linalg.matrix_norm", "std", "var", "cross", "linalg.cross"),
    *("minigrad.softmax", "minigrad.log_softmax"),
)
"""Functions, besides those of matrices, that round on their way: singular values, products, a mean taken off.

That of what comes back is taken off by softmax's derivatives, in every form of them without a sum for each entry.
"""


ADDS_UP = frozenset(
    {"sum", "mean", "cumsum", "cumulative_sum", "nansum", "nanmean", "nancumsum", "trace", "linalg.trace", "einsum"}
    | {"dot", "vdot", "inner", "tensordot", "matmul", "vecdot", "linalg.vecdot", "linalg.tensordot", "linalg.matmul"}
    | {"convolve", "correlate", "minigrad.contract", "minigrad.scatter", "minigrad.convolution"}
)
"""Functions whose every result is a sum of terms, each a product of entries of their operands."""

LONG = 32
"""Of sums of more terms than this it matters in which order they are added."""

SUM_OF = {"mean": "sum", "nanmean": "nansum"}
"""The sum that is divided by a number."""

PLACED = ("quantile", "percentile")
"""Functions of a place between entries, by which one counts up to the number of these and rounds there."""


def rounds_simply(name: str) -> bool:
    """Whether a function rounds each number that it takes, adds, multiplies or gives, by a unit of its own."""
    return name in CATALOGUE and CATALOGUE[name].kind not in CONDITIONED and name not in ROUNDS_BETWEEN


class Units:
    """Random numbers between -1 and 1, drawn many at a time."""

    DRAWN_AT_ONCE = 4096

    def __init__(self, random: np.random.Generator):
        self.random, self.left = random, np.zeros(0)

    def take(self, shape: tuple[int, ...]) -> FloatArray:
        """The next ones, as an array."""
        size = math.prod(shape)
        if size > self.left.size:
            self.left = np.concatenate([self.left, self.random.uniform(-1, 1, max(size, self.DRAWN_AT_ONCE))])
        taken, self.left = self.left[:size], self.left[size:]
        return taken.reshape(shape)


class Noisy:
    """Finds functions for one run of a program, whose every result is off by up to one unit in the last place.

    Functions that add or multiply many numbers, such as ``sum`` and ``matmul``, have their operands
    nudged too, since they round inside, and sums of many terms as their order may have it; what only
    moves numbers about is left alone, unless to a narrower dtype, and so is what is made of decisions,
    such as how many of them tie.
    """

    rounds_terms = False
    """Whether what a function of one or two numbers takes is nudged as well."""

    rounds_inside = True
    """Whether compositions are off by what they round on their way."""

    adds_in_order = True
    """Whether sums of many terms are off by what they may be if these are added one after another."""

    def __init__(self, random: np.random.Generator, passes: Passes):
        self.units, self.passes, self.number = Units(random), passes, 0

    def __call__(self, name: str) -> Function:
        self.number += 1  # of the step: a run looks them up one by one
        return self.nudging(name) if self.number in self.passes.varying and self.rounds(name) else NAMES[name]

    def rounds(self, name: str) -> bool:
        """Whether what this function computes is nudged."""
        function, row = NAMES[name], CATALOGUE.get(name)
        is_exact = row is not None and row.is_exact and name != "astype"
        return (function in RULES or function in DEFINITIONS) and not is_exact

    def nudging(self, name: str) -> Function:
        """The function, with its result nudged, and its operands if it adds or multiplies many."""
        function, row = NAMES[name], CATALOGUE.get(name)
        many = self.rounds_terms or row is None or row.kind not in ROUNDS_ONCE
        alike = name in ROUNDS_ALIKE or (row is not None and row.kind in CONDITIONED)

        def stack_of(*operands: Any) -> int | None:
            """How many axes number the matrices, each of which is rounded alike."""
            return max((stacked_axes(name, x) for x in operands), default=0) if alike else None

        if name == "astype":  # which rounds to a narrower dtype alone
            return lambda x, dtype: self.nudge(function(x, dtype)) if is_narrower(dtype, x) else function(x, dtype)

        def nudged(*operands: Any, **parameters: Any) -> Any:
            stack = stack_of(*leaves(operands))
            if many:
                operands = tuple(map_operand(lambda x: self.nudge(x, stack_of(x)), operand) for operand in operands)
            result = function(*operands, **parameters)
            if name in PACKED:
                # Beside an exact zero LAPACK has another sign for a tiny number, which is none of the rounding.
                result = facing(self.passes.packed[self.number], result, values_row(name, operands[0]))
            long = any(holds_floats(x) and x.size > LONG for x in leaves(operands))
            if self.adds_in_order and name in ADDS_UP and long:
                result = result + one_after_another(name, operands, parameters) * float(self.units.take(()))
            return map_operand(lambda each: rounded(each, stack), result)

        def rounded(result: Any, stack: int | None) -> Any:
            if getattr(result, "dtype", np.dtype(bool)).kind != "f":
                return result
            if self.rounds_inside and name in COMPOSITE:
                result = result + np.finfo(result.dtype).eps * self.units.take(result.shape).astype(result.dtype)
            if self.rounds_inside and name == "linalg.det":  # which NumPy takes from its logarithm
                size = np.log(np.abs(np.where(result == 0, 1, result)))
                result = result * (1 + size * np.finfo(result.dtype).eps * float(self.units.take(())))
            if self.rounds_inside and name == "linalg.pinv":
                size = np.max(np.abs(result), axis=(-2, -1), keepdims=True, initial=0) * left_by_bdsqr(result.dtype)
                result = result + size * self.units.take(result.shape).astype(result.dtype)
            return self.nudge(result, result.ndim - 1 if name in PACKED else stack)

        return nudged

    def nudge(self, value: Any, stack: int | None = None) -> Any:
        """Every entry off by up to a rounding unit of its own.

        Subnormal ones are rounded to the nearest, which relatively may be much.  Of matrices, which so many first axes
        `stack`, by a unit of the largest entry per column: an elimination rounds every entry once for each, zeros too.
        """
        dtype = getattr(value, "dtype", None)
        if dtype is None or dtype.kind != "f":
            return value
        info, shape = np.finfo(dtype), value.shape
        unit = self.units.take(shape) * info.eps
        magnitudes = np.abs(value)
        alike, scale = stack is not None and stack < value.ndim, value
        if alike:
            axes = tuple(range(stack or 0, value.ndim))
            # NaN may stand in a triangle that is not read.
            scale = np.max(magnitudes, axis=axes, initial=0, keepdims=True, where=magnitudes < np.inf) * shape[-1]
        nudged = value + scale * unit.astype(dtype, copy=False)
        if value.size and info.tiny <= magnitudes.min() and magnitudes.max() < np.inf:
            return nudged
        small = magnitudes < info.tiny
        if np.any(small):
            steps = np.rint(unit / info.eps).astype(dtype) * info.smallest_subnormal
            nudged = np.where(small if alike else small & (value != 0), nudged + steps, nudged)
        # What is infinite is not rounded; nudged it would be NaN, and the noise infinite, in which anything agrees.
        return np.where(np.isinf(value), value, nudged)[()]


def left_by_bdsqr(dtype: Any) -> Any:
    """What LAPACK's xBDSQR leaves beside a singular value as a part of it, and with it whoever makes use of vectors.

    Its tolerance, of ``max(10, min(100, eps**(-1/8)))`` times `eps`, half a unit in the last place of 1.
    """
    eps = np.finfo(dtype).eps / 2
    return max(10, min(100, eps**-0.125)) * eps


def values_row(name: str, operand: Any) -> int:
    """The row of a packed decomposition in which it has values, or -1."""
    return {"minigrad.packed_eigh": 0, "minigrad.packed_svd": int(operand.shape[-2])}.get(name, -1)


def facing(plain: Any, result: Any, values: int) -> Any:
    """A packed decomposition, with the signs that its columns have in another; the row of values has none."""
    signed = (np.arange(result.shape[-2]) != values)[:, None]
    along = np.sum(np.where(signed, plain * result, 0), axis=-2, keepdims=True)
    return np.where(signed & (along < 0), -result, result)


def holds_floats(leaf: Any) -> bool:
    """Whether it is an array of floats, rather than an index or a plain number."""
    return bool(getattr(leaf, "dtype", np.dtype(bool)).kind == "f")


def one_after_another(name: str, operands: Sequence[Any], parameters: Any) -> Any:
    """How far sums of many terms may be off if these are added in their order; 0 for others.

    A sum of `n` terms is off by up to ``(n - 1) * eps / 2`` of the sum of their magnitudes, and it may well be by much
    of that, as every partial sum of equal terms rounds the same way (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd edition, 4.2).  Four units of noise are allowed, of which each is a fourth of it.
    """

    def of_all(change: Function, function: Function) -> Any:
        held = [map_operand(lambda x: change(x) if holds_floats(x) else x, operand) for operand in operands]
        return function(*held, **parameters)

    sizes = of_all(np.abs, NAMES[name])
    terms = of_all(np.ones_like, NAMES[SUM_OF.get(name, name)])
    return np.where(terms > LONG, (terms - 1) * sizes, 0).astype(sizes.dtype) * float(np.finfo(sizes.dtype).eps / 8)


def is_narrower(dtype: Any, x: Any) -> bool:
    """Whether a dtype of floats holds fewer digits than `x`, a dtype too or an array."""
    one, other = np.dtype(dtype), np.result_type(x)
    return one.kind == "f" == other.kind and bool(np.finfo(one).nmant < np.finfo(other).nmant)


class Summing(Noisy):
    """Only sums are off, and their terms: what is added at a fork rounds with the best of rules.

    What rules add is not: they are on trial here.
    """

    rounds_terms = True

    def rounds(self, name: str) -> bool:
        return name == "add" and self.number not in self.passes.ruled


class Unavoidable(Noisy):
    """Only what no rule can help is off: numbers below the dtype's normal range, and sums of many terms."""

    rounds_inside = False

    def nudge(self, value: Any, stack: int | None = None) -> Any:
        dtype = getattr(value, "dtype", None)
        if dtype is None or dtype.kind != "f":
            return value
        return np.where(np.abs(value) < np.finfo(dtype).tiny, super().nudge(value, stack), value)[()]


class Flushing(Noisy):
    """Every computed result that lies below the dtype's normal range is zero instead."""

    rounds_inside = adds_in_order = False

    def nudge(self, value: Any, stack: int | None = None) -> Any:
        dtype = getattr(value, "dtype", None)
        if dtype is None or dtype.kind != "f":
            return value
        return np.where(np.abs(value) < np.finfo(dtype).tiny, value * 0, value)


class FlushingOperands(Flushing):
    """And so is whatever a step takes, the program's own constants among it."""

    rounds_terms = True

    def nudge(self, value: Any, stack: int | None = None) -> Any:
        return super().nudge(
            np.asarray(value, self.passes.given[0].dtype)[()] if type(value) is float else value, stack
        )


DIVIDE_BY = {"divide": 1, "reciprocal": 0, "power": 0, "float_power": 0}
"""Functions with a pole where an operand is 0, and the place of that."""


class Crossing(Noisy):
    """What the case itself divides by is 0 where rounding takes it to the other side: in between there is a pole.

    A few replays come nowhere near to that, as those of ``1 / sinc(cos(x))`` where the cosine rounds to 1.
    """

    def __call__(self, name: str) -> Function:
        function, place = super().__call__(name), DIVIDE_BY.get(name)
        if place is None or self.number in self.passes.ruled:
            return function
        plain = self.passes.divisors[self.number]

        def crossing(*operands: Any, **parameters: Any) -> Any:
            divisor = operands[place]
            held = np.where(np.sign(divisor) == np.sign(plain), divisor, np.zeros_like(divisor))[()]
            return function(*operands[:place], held, *operands[place + 1 :], **parameters)

        return crossing


class Passes:
    """What an engine of NumPy's kind computes for a case, as one program of its inputs, cotangent and vectors."""

    def __init__(self, case: Case, compute: Compute):
        self.case, self.compute = case, compute
        self.replayed: dict[Any, Sequence[Any]] = {}
        self.given = (*case.inputs, case.cotangent, *case.vectors)
        self.varying: set[int] = set()
        """The numbers of the steps whose results vary with their operands, rather than count or decide."""
        self.ruled: set[int] = set()
        """The numbers of the steps that rules make."""
        self.program, self.plain = self.recorded(case, compute)

    def recorded(self, case: Case, compute: Compute) -> tuple[Program, list[FloatArray]]:
        """The steps that are taken, along the branches that rules take at this point; and what they come to."""
        tape = Tape([f"x{i}" for i, _ in enumerate(self.given)], self.given, follows=True)
        own, k = backward.contributions, len(case.inputs)
        recorders: list[Any] = [*tape.recorders()]

        def noting(tensor: Any, g: Any) -> list[tuple[Any, Any]]:
            first = len(tape.steps) + 1
            sent = own(tensor, g)
            self.ruled.update(range(first, len(tape.steps) + 1))
            return sent

        backward.contributions = noting
        try:
            inputs, cotangent, vectors = tuple(recorders[:k]), recorders[k], tuple(recorders[k + 1 :])
            results = compute(replace(case, inputs=inputs, cotangent=cotangent, vectors=vectors))
        finally:
            backward.contributions = own
        for number, step in enumerate(tape.steps, 1):
            operands = [leaf.index - len(self.given) + 1 for leaf in leaves(step.operands) if isinstance(leaf, Ref)]
            parts = leaves(tape.values[len(self.given) + number - 1])
            varies = any(operand <= 0 or operand in self.varying for operand in operands)
            if varies and any(getattr(part, "dtype", np.dtype(bool)).kind == "f" for part in parts):
                self.varying.add(number)
        output = [r.ref if isinstance(r, Recorder) else np.asarray(r) for r in results]
        return Program(tape.inputs, tuple(tape.steps), output), [np.asarray(getattr(r, "value", r)) for r in results]

    def seen(self, names: Collection[str], look: Callable[[str, list[Any], Any], Any]) -> dict[int, Any]:
        """By number of the step, what there is to see of those that call one of these functions, without noise."""
        found: dict[int, Any] = {}

        def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
            if step.function in names:
                found[number] = look(step.function, operands, result)
            return result

        self.program.run(self.given, NAMES.__getitem__, watch)
        return found

    @functools.cached_property
    def divisors(self) -> dict[int, Any]:
        """By number of the step, what is divided by."""
        return self.seen(DIVIDE_BY, lambda name, operands, result: operands[DIVIDE_BY[name]])

    @functools.cached_property
    def packed(self) -> dict[int, Any]:
        """By number of the step, the decompositions."""
        return self.seen(PACKED, lambda name, operands, result: result)

    @functools.cached_property
    def displaced(self) -> list[list[FloatArray]]:
        """The same with every place between entries a rounding unit farther down, and farther up."""
        if not any(step.function in PLACED for step in self.case.program.steps):
            return []
        return [Passes(with_places_off(self.case, sign), self.compute).plain for sign in (-1, 1)]

    def replay(self, kind: type[Noisy], *seed: int) -> Sequence[Any]:
        """The same again, in noise of a kind; NaN where a matrix becomes singular by it."""
        key = kind, seed
        if key not in self.replayed:
            try:
                self.replayed[key] = self.program.run(self.given, kind(np.random.default_rng(seed or 0), self))
            except ProgramError as error:
                if not isinstance(error.__cause__, np.linalg.LinAlgError):
                    raise
                self.replayed[key] = [np.full(x.shape, np.nan) for x in self.plain]
        return self.replayed[key]


def with_places_off(case: Case, sign: int) -> Case:
    """The case with the place of every quantile off by a rounding unit."""
    unit = 1 + sign * float(np.finfo(case.dtype).eps)

    def off(step: Step) -> Step:
        if step.function not in PLACED or isinstance(step.operands[1], Ref):
            return step
        whole = 1 if step.function == "quantile" else 100
        q = np.minimum(np.multiply(step.operands[1], unit), whole)
        return replace(step, operands=(step.operands[0], q if np.ndim(q) else float(q), *step.operands[2:]))

    return replace(case, program=replace(case.program, steps=tuple(map(off, case.program.steps))))


def noise(passes: Passes, replays: int, seed: int, kind: type[Noisy] = Noisy) -> list[FloatArray]:
    """How far rounding alone moves each array that is computed, element by element, as float64 arrays.

    The noise is the largest distance that a replay came to lie from what is computed without, plus a
    rounding unit of the array's largest element; infinite where a replay is not finite although that is.
    """
    found = [passes.replay(kind, seed, number) for number in range(replays)]
    found += passes.displaced if kind is Noisy else []
    spread = []
    for plain, *replayed in zip(passes.plain, *found, strict=True):
        distance = np.abs(np.asarray(replayed, np.float64) - np.asarray(plain, np.float64))
        spread.append(np.max(np.where(np.isnan(distance), np.inf, distance), axis=0) + floor_of(plain))
    return spread


def beyond(passes: Passes, replays: int, seed: int, bounds: Sequence[tuple[Any, Any]]) -> list[FloatArray]:
    """How far rounding alone takes each array that is computed out of its bounds; with the same unit besides."""
    found = [passes.replay(Noisy, seed, number) for number in range(replays)]
    spread = []
    for (low, high), plain, *replayed in zip(bounds, passes.plain, *found, strict=True):
        each = np.asarray(replayed, np.float64)
        distance = np.maximum(np.maximum(low - each, each - high), 0)
        spread.append(np.max(np.where(np.isnan(distance), np.inf, distance), axis=0) + floor_of(plain))
    return spread


def floor_of(array: FloatArray) -> float:
    """A rounding unit of the largest finite element, at least the smallest normal number."""
    array = np.asarray(array)
    info = np.finfo(array.dtype)
    finite = np.abs(array[np.isfinite(array)])
    largest = float(finite.max()) if finite.size else 0.0
    return max(largest * float(info.eps), float(info.tiny))
