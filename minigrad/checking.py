"""`check_grads`: a gradient against the limit that it is, with the limit's own error measured.

A difference quotient (f(x + h v) - f(x - h v)) / 2h has two errors, one that shrinks with h and one,
from rounding, that grows.  Ridders' method (Advances in Engineering Software 4, 1982) extrapolates
from a row of shrinking steps to h = 0, and takes as error how far neighbours in its table differ: here in two
rows running, as in one they may agree by luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optree

from minigrad.errors import GradientError
from minigrad.protocol import Function
from minigrad.transforms import as_arguments, chosen, vjp

SAFETY = 10
"""How many times its estimated error the limit may be off."""

LARGE = 1e-4
"""What part of themselves large entries move by, at the most."""


@dataclass(frozen=True)
class Comparison:
    """One derivative along one random direction, by the engine and as a limit."""

    order: int
    engine: float
    limit: float
    error: float
    """The estimated error of `limit`."""
    size: float
    """The sum of the magnitudes of what `engine` is the sum of."""

    @property
    def agrees(self) -> bool:
        return bool(np.isfinite(self.error) and abs(self.engine - self.limit) <= SAFETY * self.error)

    @property
    def tells(self) -> bool:
        """Whether another gradient, of the other sign, would not agree as well."""
        return bool(self.size == 0 or SAFETY * self.error < self.size)

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
    """Compare derivatives of `f` at `args`, arrays or nested ones, with limits along random directions.

    Each entry moves by a share of itself, lest it leave a domain.  Order 1 compares the
    gradient, under a random cotangent; order 2 also the gradient's own derivative.  Raises `GradientError`
    with all comparisons where one differs by more than the limit's error explains, or where that is so large
    that it would explain any gradient: as near a kink or at the edge of a domain, where limits say nothing.

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
    of_arrays, flat, _ = chosen(f, range(len(args)), args, {})
    primals = [np.asarray(x) for x in flat]
    random = np.random.default_rng(seed)
    check = Check(tuple(each for _ in range(directions) for each in compared(of_arrays, primals, order, random)))
    if not all(c.agrees for c in check.comparisons):
        raise GradientError(f"the gradient is not the limit of difference quotients\n{check}")
    if not all(c.tells for c in check.comparisons):
        raise GradientError(f"the limits are too rough to tell anything here; check at another point\n{check}")
    return check


def compared(f: Function, primals: Sequence[Any], order: int, random: np.random.Generator) -> Iterator[Comparison]:
    """The gradient, and at order 2 its own derivative, along one random direction, under a random cotangent."""

    def like(x: Any) -> Any:
        x = np.asarray(x)
        return random.uniform(0.5, 1.5, x.shape).astype(x.dtype) * random.choice([-1, 1], x.shape)

    def scale(x: Any) -> Any:
        """How far an entry may move: less than to zero, and of large ones so far that it is no rounding."""
        size = np.abs(x)
        return np.where(size == 0, 1, np.where(size < 1, size, np.maximum(1, size * LARGE))).astype(x.dtype)

    cotangent = optree.tree_map(like, vjp(f, *primals)[0])
    along, across = ([like(x) * scale(x) for x in primals] for _ in range(2))

    def total(*x: Any) -> Any:
        parts = optree.tree_map(lambda v, c: np.sum(v * c), vjp(f, *x)[0], cotangent)
        return sum(optree.tree_leaves(parts))

    def slope(*x: Any) -> Any:
        gradients = vjp(f, *x)[1](cotangent)
        return sum(np.sum(g * v) for g, v in zip(gradients, across, strict=True))

    def moved(t: float) -> list[Any]:
        return [(x + t * v).astype(x.dtype)[()] for x, v in zip(primals, along, strict=True)]

    unit = max(float(np.finfo(x.dtype).eps) for x in primals)
    for number, g in enumerate((total, slope)[:order], 1):
        parts = [p * v for p, v in zip(vjp(g, *primals)[1](None), along, strict=True)]
        engine, size = (sum(float(np.sum(change(part))) for part in parts) for change in (np.positive, np.abs))
        # What it is to round each entry of x + h v.
        rounded = sum(float(np.sum(np.abs(part / scale(x) * x))) for part, x in zip(parts, primals, strict=True))
        yield Comparison(number, engine, *limit(lambda t, g=g: float(g(*moved(t))), unit, rounded), size)


def limit(
    f: Function, unit: float, rounded: float, shrink: float = 2.0, rows: int = 12, h: float = 0.1
) -> tuple[float, float]:
    """The derivative of `f` at 0 by Ridders' method, and its estimated error.

    `unit` is the rounding unit of the function's values; that much of `rounded` its points are off as well.
    """
    best, error = 0.0, np.inf
    before, last = list[float](), np.inf
    for _ in range(rows):
        above, below = f(h), f(-h)
        row = [(above - below) / (2 * h)]
        for k, previous in enumerate(before, 1):
            row.append(row[-1] + (row[-1] - previous) / (shrink ** (2 * k) - 1))
        rounding = unit * (max(abs(above), abs(below)) + rounded) / h
        apart = [max(abs(row[k] - row[k - 1]), abs(row[k] - before[k - 1])) for k in range(1, len(row))]
        least = min(apart, default=np.inf)
        if max(least, last) + rounding < error:
            best, error = row[1 + apart.index(least)], max(least, last) + rounding
        before, last, h = row, least, h / shrink
    return best, error
