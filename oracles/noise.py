"""`Noisy`: the kind of number that shows what rounding alone may do.

Running a forward-and-backward program on Noisy numbers nudges the result of every step by a
random rounding unit, as another library's rounding would.  The spread of a few such replays is
the noise of the gradient at that point, against which disagreements are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from minigrad import backward
from minigrad.protocol import FUNCTIONS, RULES, Array, Function, map_operand
from oracles.cases import Case, FloatArray
from oracles.catalogue import CATALOGUE, CONDITIONED

Compute = Callable[[Case], Sequence[Any]]

ROUNDS_ONCE = ("unary", "binary")

ROUNDS_ALIKE = frozenset(
    {"minigrad.cofactor", "minigrad.logabsdet", "minigrad.singular_values", "minigrad.eigenvalues"}
    | {"minigrad.packed_eigh", "minigrad.packed_svd", "minigrad.packed_qr"}
)
"""Decompositions, besides functions of matrices in the catalogue: they round all entries by a unit of the largest."""


SIMPLE = ("unary", "binary", "special", "choice", "shape", "join", "index", "compare", "masked")
SIMPLE_REDUCTIONS = ("sum", "mean", "max", "min", "amax", "amin")


COMPOSITE = ("sinc",)
"""Elementwise functions that round on the way to their result: by a unit of 1, however small that is."""


def rounds_simply(name: str) -> bool:
    """Whether a function rounds what it takes and what it gives, and little in between."""
    return name in SIMPLE_REDUCTIONS or (name in CATALOGUE and CATALOGUE[name].kind in SIMPLE)


class Noisy(Array):
    """An array whose every computed result is off by up to one unit in the last place.

    Functions that add or multiply many numbers, such as ``sum`` and ``matmul``, have their operands
    nudged too, since they round inside; what only moves numbers about is left alone.
    """

    __slots__ = ("random",)

    level = 0

    rounds_terms = False
    """Whether what a function of one or two numbers takes is nudged as well."""

    def __init__(self, value: Any, random: np.random.Generator):
        self.value = value
        self.random = random

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        name = FUNCTIONS[function].name
        row = CATALOGUE.get(name)
        exact = function not in RULES or (row is not None and row.is_exact) or not self.rounds(name)
        many = not exact and (self.rounds_terms or row is None or row.kind not in ROUNDS_ONCE)
        alike = name in ROUNDS_ALIKE or (row is not None and row.kind in CONDITIONED)

        def strip(operand: Any) -> Any:
            value = operand.value if isinstance(operand, Noisy) else operand
            return self.nudge(value, alike) if many else value

        result = function(*(map_operand(strip, operand) for operand in operands), **parameters)
        if getattr(result, "dtype", np.dtype(bool)).kind != "f":
            return result
        if exact:
            return type(self)(result, self.random)
        if name in COMPOSITE:
            result = result + np.finfo(result.dtype).eps * self.random.uniform(-1, 1, np.shape(result)).astype(
                result.dtype
            )
        if name == "linalg.det":  # which NumPy takes from its logarithm
            result = result * (1 + np.log(np.abs(result)) * np.finfo(result.dtype).eps * self.random.uniform(-1, 1))
        return type(self)(self.nudge(result, alike), self.random)

    @classmethod
    def replaying(cls) -> AbstractContextManager[None]:
        """What holds while a derivative is computed with numbers of this kind."""
        return nullcontext()

    def rounds(self, name: str) -> bool:
        """Whether results of this function are nudged, if it rounds at all."""
        return True

    def nudge(self, value: Any, alike: bool = False) -> Any:
        """Every entry off by up to a rounding unit of its own.

        Subnormal ones are rounded to the nearest, which relatively may be much.  `alike`, by a unit of the largest
        entry per column: an elimination rounds every entry once for each, zeros too.
        """
        dtype = getattr(value, "dtype", None)
        if dtype is None or dtype.kind != "f":
            return value
        info = np.finfo(dtype)
        unit = info.eps * self.random.uniform(-1, 1, np.shape(value))
        scale = np.max(np.abs(value), initial=0) * np.shape(value)[-1] if alike and np.ndim(value) else value
        nudged = value + scale * unit.astype(dtype)
        small = np.abs(value) < info.tiny
        if np.any(small):
            steps = np.rint(unit / info.eps).astype(dtype) * info.smallest_subnormal
            nudged = np.where(small if alike else small & (value != 0), nudged + steps, nudged)
        # What is infinite is not rounded; nudged it would be NaN, and the noise infinite, in which anything agrees.
        return np.where(np.isinf(value), value, nudged)[()] if np.any(np.isinf(value)) else nudged


class Summing(Noisy):
    """An array of which only sums are off, and their terms: what is added at a fork rounds with the best of rules.

    What rules add is not: they are on trial here.
    """

    __slots__ = ()

    rounds_terms = True

    within_rules: ClassVar[bool] = False

    def rounds(self, name: str) -> bool:
        return name == "add" and not self.within_rules

    @classmethod
    @contextmanager
    def replaying(cls) -> Iterator[None]:
        own = backward.contributions

        def quietly(tensor: Any, g: Any) -> list[tuple[Any, Any]]:
            before, cls.within_rules = cls.within_rules, True
            try:
                return own(tensor, g)
            finally:
                cls.within_rules = before

        backward.contributions = quietly
        try:
            yield
        finally:
            backward.contributions = own


class Underflowing(Noisy):
    """An array of which only numbers below the dtype's normal range are off, whose rounding no rule can help."""

    __slots__ = ()

    def nudge(self, value: Any, alike: bool = False) -> Any:
        dtype = getattr(value, "dtype", None)
        if dtype is None or dtype.kind != "f":
            return value
        return np.where(np.abs(value) < np.finfo(dtype).tiny, super().nudge(value, alike), value)[()]


class Flushing(Noisy):
    """An array whose every computed result that lies below the dtype's normal range is zero instead."""

    __slots__ = ()

    def nudge(self, value: Any, alike: bool = False) -> Any:
        dtype = getattr(value, "dtype", None)
        if dtype is None or dtype.kind != "f":
            return value
        return np.where(np.abs(value) < np.finfo(dtype).tiny, value * 0, value)


def wrapped(case: Case, kind: type[Noisy], *seed: int) -> Case:
    """The case with all of its arrays of a kind: exact themselves, but whatever is computed from them is nudged."""
    random = np.random.default_rng(seed or 0)

    def wrap(arrays: Sequence[FloatArray]) -> Any:
        return tuple(kind(array, random) for array in arrays)

    [cotangent] = wrap([case.cotangent])
    return replace(case, inputs=wrap(case.inputs), cotangent=cotangent, vectors=wrap(case.vectors))


def noise(
    case: Case,
    compute: Compute,
    plain: Sequence[FloatArray],
    replays: int,
    seed: int,
    kind: type[Noisy] = Noisy,
) -> list[FloatArray]:
    """How far rounding alone moves each element of ``compute(case)``, as float64 arrays.

    `plain` is the result without noise.  The noise is the largest distance that a replay came to
    lie from it, plus a rounding unit of the array's largest element; infinite where a replay is
    not finite although `plain` is.
    """
    spread = [np.zeros(np.shape(p)) for p in plain]
    for number in range(replays):
        with kind.replaying():
            replay = compute(wrapped(case, kind, seed, number))
        for i, (result, exact) in enumerate(zip(replay, plain, strict=True)):
            value = np.asarray(result.value if isinstance(result, Noisy) else result, np.float64)
            distance = np.abs(value - np.asarray(exact, np.float64))
            spread[i] = np.maximum(spread[i], np.where(np.isnan(distance), np.inf, distance))
    return [s + floor_of(p) for s, p in zip(spread, plain, strict=True)]


def floor_of(array: FloatArray) -> float:
    """A rounding unit of the largest finite element, at least the smallest normal number."""
    array = np.asarray(array)
    info = np.finfo(array.dtype)
    finite = np.abs(array[np.isfinite(array)])
    largest = float(finite.max()) if finite.size else 0.0
    return max(largest * float(info.eps), float(info.tiny))
