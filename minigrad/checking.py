"""`check_grads`: a gradient against the limit that it is, with the limit's own error measured.

A difference quotient (f(x + h v) - f(x - h v)) / 2h has two errors, one that shrinks with h and one,
from rounding, that grows.  Ridders' method (Advances in Engineering Software 4, 1982) extrapolates
from a row of shrinking steps to h = 0, and takes as error how far neighbours in its table differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import GradientError
from minigrad.protocol import Function
from minigrad.tensor import as_floats
from minigrad.transforms import as_arguments, vjp

SAFETY = 10
"""How many times its estimated error the limit may be off."""


@dataclass(frozen=True)
class Comparison:
    """One derivative along one random direction, by the engine and as a limit."""

    order: int
    engine: float
    limit: float
    error: float
    """The estimated error of `limit`."""

    @property
    def agrees(self) -> bool:
        return bool(np.isfinite(self.error) and abs(self.engine - self.limit) <= SAFETY * self.error)

    def __str__(self) -> str:
        sign = "<=" if self.agrees else ">"
        off = abs(self.engine - self.limit)
        return (
            f"order {self.order}: engine {self.engine:.17g}, limit {self.limit:.17g}, "
            f"off by {off:.2g} {sign} {SAFETY} x {self.error:.2g}"
        )


@dataclass(frozen=True)
class Check:
    """What `check_grads` compared; prints as a line each."""

    comparisons: tuple[Comparison, ...]

    @property
    def worst_error(self) -> float:
        """The largest error that the limits may have, relative to those above 1: finer faults go unseen."""
        return max(c.error / max(abs(c.limit), 1) for c in self.comparisons)

    def __str__(self) -> str:
        return "\n".join(map(str, self.comparisons))


def check_grads(f: Function, args: Sequence[Any], order: int = 2, directions: int = 3, seed: int = 0) -> Check:
    """Compare derivatives of `f` at the arrays `args` with limits, along random directions.

    Order 1 compares the gradient, under a random cotangent; order 2 also the gradient's own
    derivative.  Raises `GradientError` with all comparisons where one differs by more than the
    limit's error explains, which near a kink or at the edge of a domain says nothing.

    >>> import numpy as np
    >>> from minigrad import check_grads
    >>> check = check_grads(lambda x: np.sum(np.sin(x)), (np.array([0.5, 1.5]),))
    >>> check.worst_error < 1e-8
    True
    """
    if order not in (1, 2):
        raise ValueError(f"order {order!r}: give 1, or 2 for second derivatives too")
    if directions < 1:
        raise ValueError(f"directions {directions!r}: give at least 1")
    if not as_arguments(args, "args"):
        raise ValueError("args is empty; give the function's arguments as a tuple, such as (x,)")
    primals = [np.asarray(as_floats(arg, f"argument {i}")) for i, arg in enumerate(args)]
    random = np.random.default_rng(seed)
    check = Check(tuple(each for _ in range(directions) for each in compared(f, primals, order, random)))
    if not all(c.agrees for c in check.comparisons):
        raise GradientError(f"the gradient is not the limit of difference quotients\n{check}")
    return check


def compared(f: Function, primals: Sequence[Any], order: int, random: np.random.Generator) -> Iterator[Comparison]:
    """The gradient, and at order 2 its own derivative, along one random direction, under a random cotangent."""

    def like(x: Any) -> Any:
        return random.uniform(0.5, 1.5, np.shape(x)).astype(x.dtype) * random.choice([-1, 1], np.shape(x))

    value = np.asarray(vjp(f, *primals)[0])
    cotangent, along, across = like(value), [like(x) for x in primals], [like(x) for x in primals]

    def total(*x: Any) -> Any:
        return np.sum(vjp(f, *x)[0] * cotangent)

    def slope(*x: Any) -> Any:
        gradients = vjp(f, *x)[1](cotangent)
        return sum(np.sum(g * v) for g, v in zip(gradients, across, strict=True))

    def moved(t: float) -> list[Any]:
        return [(x + t * v).astype(x.dtype)[()] for x, v in zip(primals, along, strict=True)]

    for number, g in enumerate((total, slope)[:order], 1):
        pulled = vjp(g, *primals)[1](None)
        engine = sum(float(np.sum(p * v)) for p, v in zip(pulled, along, strict=True))
        yield Comparison(number, engine, *limit(lambda t, g=g: float(g(*moved(t))), primals))


def limit(f: Function, primals: Sequence[Any], shrink: float = 2.0, rows: int = 12) -> tuple[float, float]:
    """The derivative of `f` at 0 by Ridders' method, and its estimated error."""
    unit = max(float(np.finfo(x.dtype).eps) for x in primals)
    h = 0.1 * min([1.0, *(float(np.abs(x[x != 0]).min()) for x in primals if np.any(x != 0))])
    largest = max(float(np.max(np.abs(x), initial=0)) for x in primals)
    best, error = 0.0, np.inf
    before: list[float] = []
    for _ in range(rows):
        above, below = f(h), f(-h)
        row = [(above - below) / (2 * h)]
        for k, previous in enumerate(before, 1):
            row.append(row[-1] + (row[-1] - previous) / (shrink ** (2 * k) - 1))
        # Of the function's values, and of the points x + h v themselves.
        rounding = unit * (max(abs(above), abs(below)) + abs(row[0]) * largest) / h
        for k in range(1, len(row)):
            apart = max(abs(row[k] - row[k - 1]), abs(row[k] - before[k - 1])) + rounding
            if apart < error:
                best, error = row[k], apart
        before, h = row, h / shrink
    return best, error
