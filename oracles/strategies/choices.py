"""Parameters and further operands: for each function, those that fit arrays of given shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from oracles.strategies.palette import Shape, broadcastable

Call = tuple[tuple[Any, ...], dict[str, Any]]

# What goes after the first operand, for functions of one array: choices by its shape, all of them
# valid.  A function does not fit arrays for which there is none.


def call(*operands: Any, **parameters: Any) -> Call:
    """Further operands, and parameters."""
    return operands, parameters


def if_ndim(least: int, shape: Shape, *choices: Call) -> list[Call]:
    return [*choices] if len(shape) >= least else []


def sides(shape: Shape) -> range:
    """The axes, as they can be named."""
    return range(-len(shape), len(shape))


def wide(shape: Shape, least: int = 2) -> list[int]:
    """The axes of at least so many entries."""
    return [axis for axis in sides(shape) if shape[axis] >= least]


def along(axes: Iterable[int], *operands: Any, **parameters: Any) -> list[Call]:
    return [call(*operands, **parameters, axis=axis) for axis in axes]


def paddings(shape: Shape) -> list[Call]:
    narrow = ((0, 1),) * (len(shape) - 1)
    modes: list[dict[str, Any]] = [{}, {"constant_values": 0.5}, *({"mode": m} for m in ("edge", "wrap", "symmetric"))]
    reflected = [call(((1, 1), *narrow), mode="reflect")] if min(shape, default=0) > 1 else []
    return [*(call(((1, 2), *narrow), **mode) for mode in modes), *reflected] if shape else []


def reordered(shape: Shape, axis: int) -> Any:
    """Indices for ``take_along_axis``: an order of the entries, another one for each row."""
    return np.argsort(np.arange(math.prod(shape)).reshape(shape) * 7 % 5, axis=axis, kind="stable")


MATRIX_ORDERS = ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)

# fmt: off
CHOICES: dict[str, Callable[[Shape], list[Call]]] = {
    # Shape and place
    "transpose":        lambda s: [call(), *if_ndim(3, s, call(axes=(1, 0, 2)), call(axes=(-1, 0, 1)))],
    "matrix_transpose": lambda s: if_ndim(2, s, call()),
    "linalg.matrix_transpose": lambda s: if_ndim(2, s, call()),
    "swapaxes":         lambda s: if_ndim(2, s, call(axis1=0, axis2=-1)),
    "moveaxis":         lambda s: if_ndim(2, s, call(source=0, destination=-1),
                                          call(source=(0, 1), destination=(1, 0))),
    "rollaxis":         lambda s: if_ndim(2, s, call(-1), call(0, start=len(s))),
    "ravel":            lambda s: [call(), call(order="F")],
    "expand_dims":      lambda s: along(range(-1, len(s) + 1)),
    "squeeze":          lambda s: along([axis for axis, n in enumerate(s) if n == 1]),
    "flip":             lambda s: [*along(sides(s)), *if_ndim(1, s, call())],
    "fliplr":           lambda s: if_ndim(2, s, call()),
    "flipud":           lambda s: if_ndim(1, s, call()),
    "rot90":            lambda s: if_ndim(2, s, call(k=1, axes=(0, 1)), call(k=-1, axes=(0, 1)),
                                          call(k=2, axes=(1, 0))),
    "roll":             lambda s: [*along(sides(s), 1), *along(sides(s), -2), *if_ndim(1, s, call(1))],
    "tril":             lambda s: if_ndim(2, s, call(k=0), call(k=1), call(k=-1)),
    "triu":             lambda s: if_ndim(2, s, call(k=0), call(k=1), call(k=-1)),
    "diag":             lambda s: if_ndim(1, s, call(k=0), call(k=1), call(k=-1)) if len(s) < 3 else [],
    "diagflat":         lambda s: if_ndim(1, s, call(k=0), call(k=1)) if math.prod(s) <= 4 else [],
    "diagonal":         lambda s: if_ndim(2, s, call(offset=0, axis1=0, axis2=1), call(offset=1, axis1=-1, axis2=-2)),
    "trace":            lambda s: if_ndim(2, s, call(offset=0, axis1=0, axis2=1), call(offset=1, axis1=-1, axis2=-2)),
    "linalg.diagonal":  lambda s: if_ndim(2, s, call(offset=0), call(offset=1), call(offset=-1)),
    "linalg.trace":     lambda s: if_ndim(2, s, call(offset=0), call(offset=1), call(offset=-1)),
    "repeat":           lambda s: [*along(sides(s), 2), *(call(np.arange(s[i]) % 3, axis=i) for i in wide(s)),
                                   *if_ndim(1, s, call(2))],
    "tile":             lambda s: [call((2, 1)), call((2,)), call((1, 2, 1))],
    "resize":           lambda s: [call((3,)), call((2, 5)), call((7,))],
    "pad":              paddings,
    "take":             lambda s: [*along(wide(s), np.array([1, 0, 1])), *if_ndim(1, s, call(np.array([0, 0])))],
    "take_along_axis":  lambda s: [call(reordered(s, i), axis=i) for i in sides(s)],
    "delete":           lambda s: [*along(wide(s), 0), *along(wide(s), np.array([1])), *if_ndim(1, s, call(0))],
    "lib.stride_tricks.sliding_window_view": lambda s: along(wide(s), 2),
    "split":            lambda s: [*along(wide(s), (1,)), *along([i for i in wide(s) if s[i] % 2 == 0], 2)],
    "array_split":      lambda s: along(wide(s), 2),
    "hsplit":           lambda s: if_ndim(1, s, call((1,))) if s[:2][-1:] > (1,) else [],
    "vsplit":           lambda s: if_ndim(2, s, call((1,))) if s[:1] > (1,) else [],
    "dsplit":           lambda s: if_ndim(3, s, call((1,))) if s[2:] > (1,) else [],
    "unstack":          lambda s: along(sides(s)),
    # Scans, differences, bounds
    "cumulative_sum":   lambda s: [*along(sides(s)), *along(sides(s), include_initial=True)],
    "cumulative_prod":  lambda s: [*along(sides(s)), *along(sides(s), include_initial=True)],
    "diff":             lambda s: [*along(wide(s), n=1), *along(wide(s, 3), n=2)],
    "ediff1d":          lambda s: [call()] if math.prod(s) > 1 else [],
    "trapezoid":        lambda s: [*along(wide(s), dx=0.5),
                                   *(call(x=np.cumsum(1.0 + np.arange(s[i])), axis=i) for i in wide(s))],
    "clip":             lambda s: [call(a_min=-0.5, a_max=1.0), call(a_min=0.0, a_max=None),
                                   call(a_min=None, a_max=0.5)],
    # Linear algebra
    "linalg.matrix_power": lambda s: [call(2), call(3), call(-1), call(-2)],
    "linalg.eigh":      lambda s: [call(UPLO="L"), call(UPLO="U")],
    "linalg.eigvalsh":  lambda s: [call(UPLO="L"), call(UPLO="U")],
    "linalg.svd":       lambda s: [call(full_matrices=False)],
    "linalg.qr":        lambda s: [call(mode="reduced")],
    "linalg.norm":      lambda s: [call(), *along(sides(s), keepdims=True), *along(sides(s), ord=1),
                                   *(each for power in (3, np.inf, -np.inf) for each in along(sides(s), ord=power)),
                                   *if_ndim(2, s, *(call(ord=each, axis=(-2, -1)) for each in MATRIX_ORDERS))],
    "linalg.vector_norm": lambda s: [call(), call(ord=3), *along(sides(s), keepdims=True), *along(sides(s), ord=1),
                                   *along(sides(s), ord=np.inf)],
    "linalg.matrix_norm": lambda s: if_ndim(2, s, *(call(ord=each, keepdims=each == 1) for each in MATRIX_ORDERS)),
}
# fmt: on


# For functions of two arrays, the parameters that fit their shapes, which may be none.


def same_length(x: Shape, y: Shape) -> bool:
    return bool(x and y) and x[-1] == y[-1]


def contractions(x: Shape, y: Shape) -> list[Any]:
    """The ways of ``tensordot``."""
    if not (x and y):
        return []
    choices: list[Any] = [0] if math.prod(x) * math.prod(y) <= 64 else []
    choices += [1] if x[-1] == y[0] else []
    choices += [([0], [0])] if x[0] == y[0] else []
    choices += [2] if len(x) > 1 and x[-2:] == y[:2] else []
    choices += [([0, 1], [1, 0])] if len(x) == len(y) == 2 and x == y[::-1] else []
    return [{"axes": axes} for axes in choices]


def windows(x: Shape, y: Shape) -> list[Any]:
    fit = len(x) == len(y) == 1 and x[0] >= y[0] > 0
    return [{"mode": mode} for mode in ("full", "same", "valid")] if fit else []


def plainly(fits: Callable[[Shape, Shape], bool]) -> Callable[[Shape, Shape], list[Any]]:
    return lambda x, y: [{}] if fits(x, y) else []


def crossing(x: Shape, y: Shape) -> list[Any]:
    return [{"axis": -1}] if len(x) == len(y) and x[-1:] == y[-1:] == (3,) and broadcastable(x, y) else []


def multiplied(x: Shape, y: Shape) -> bool:
    return bool(x and y) and x[-1] == (y[0] if len(y) == 1 else y[-2]) and broadcastable(x[:-2], y[:-2])


def small(x: Shape, y: Shape) -> bool:
    return math.prod(x) * math.prod(y) <= 64


PAIRS: dict[str, Callable[[Shape, Shape], list[Any]]] = {
    "matmul": plainly(multiplied),
    "vecdot": plainly(lambda x, y: same_length(x, y) and broadcastable(x, y)),
    "matvec": plainly(lambda x, y: same_length(x, y) and len(x) > 1 and broadcastable(x[:-2], y[:-1])),
    "vecmat": plainly(lambda x, y: len(y) > 1 and bool(x) and x[-1] == y[-2] and broadcastable(x[:-1], y[:-2])),
    "dot": plainly(lambda x, y: len(y) < 3 and multiplied(x, y)),
    "vdot": plainly(lambda x, y: math.prod(x) == math.prod(y) and bool(x and y)),
    "inner": plainly(same_length),
    "outer": plainly(small),
    "tensordot": contractions,
    "kron": plainly(lambda x, y: small(x, y) and len(x) == len(y) > 0),
    "cross": crossing,
    "convolve": windows,
    "correlate": windows,
    "linalg.outer": plainly(lambda x, y: len(x) == len(y) == 1),
    "linalg.matmul": plainly(multiplied),
    "linalg.vecdot": plainly(lambda x, y: same_length(x, y) and broadcastable(x, y)),
    "linalg.tensordot": contractions,
    "linalg.cross": crossing,
}

SUMS = (
    ("ij->ji", "ii->i", "ii", "ij->i", "...j->..."),
    ("ij,jk->ik", "ij,j->i", "i,i->", "i,j->ij", "ij,ij->ij", "ij,kj", "...i,...i->...", "ij,j->"),
    ("ij,jk,kl->il", "i,i,i->i", "ij,i,j->"),
)
"""Subscripts of einsum for one, two and three operands."""


def summable(text: str, shapes: Sequence[Shape]) -> bool:
    """Whether einsum takes these shapes: every letter one length, and small results."""
    lengths: dict[str, int] = {}
    for term, shape in zip(text.partition("->")[0].split(","), shapes, strict=True):
        letters = term.replace("...", "")
        if len(letters) > len(shape) or ("..." not in term and len(letters) < len(shape)):
            return False
        for letter, n in zip(letters, shape[len(shape) - len(letters) :], strict=True):
            if lengths.setdefault(letter, n) != n:
                return False
    return "..." not in text or broadcastable(*(shape[:-1] for shape in shapes))


def places(shape: Shape) -> list[Any]:
    """Indices into an array of this shape."""
    if not shape or not shape[0]:
        return []
    n = shape[0]
    choices: list[Any] = [0, -1, slice(1, None), slice(None, None, 2), np.array([n - 1, 0, 0]), np.array([0, n - 1])]
    return [*choices, np.arange(n) % 2 == 0, (..., 0) if shape[-1] else 0, (slice(None), None)]


SELFLESS = ("subtract", "divide", "maximum", "minimum", "fmax", "fmin", "arctan2", "fmod", "remainder", "copysign")
"""Functions of two operands that are trivial if these are the same."""

SEVERAL: dict[str, tuple[tuple[int, bool], ...]] = {
    "linalg.slogdet": ((1, False),),
    "linalg.eigh": ((0, False), (1, True)),
    "linalg.svd": ((0, True), (1, False), (2, True)),
    "linalg.qr": ((0, True), (1, True)),
}
"""Which results of decompositions are used, and whether their sign is anyone's choice."""
