"""Every function that is differentiated, at first and second order, and by hand where one has a kink.

One table holds examples of every function that has a rule or a definition.  Each example is judged by
JAX where JAX has the function, and by the limits of difference quotients where it has not.
"""

from __future__ import annotations

import itertools
import math
import operator
import warnings
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp

import minigrad as mg
from minigrad import check_grads, grad, hessian, hvp, value_and_grad, vjp
from minigrad.errors import UnsupportedError
from minigrad.gates import sigmoid_slope
from minigrad.protocol import (
    DEFINITIONS,
    FUNCTIONS,
    LATE,
    RULES,
    At,
    Function,
    index_add,
    index_set,
    innermost,
    leaves,
    map_operand,
    name_of,
)
from minigrad.rules import places, reductions
from minigrad.tensor import Tensor
from minigrad.transforms import recomputed
from tests.support import OWN_DEFINITIONS, OWN_RULES, assert_close, bits, jitted

_random = np.random.default_rng(20)


def signed(*shape: int) -> Any:
    """Distinct values of either sign, none near 0."""
    size = int(np.prod(shape))
    return ((0.3 + _random.permutation(size) / size) * _random.choice([-1, 1], size)).reshape(shape)


def positive(*shape: int) -> Any:
    return np.asarray(np.abs(signed(*shape)))


def inside(*shape: int) -> Any:
    """Between -1 and 1."""
    return np.asarray(signed(*shape) / 1.4)


def above_one(*shape: int) -> Any:
    return np.asarray(1 + positive(*shape))


def symmetric(*shape: int) -> Any:
    """Positive definite matrices with eigenvalues well apart."""
    x = signed(*shape)
    return x @ np.swapaxes(x, -1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))


class Row(NamedTuple):
    """An example: a call of the function under its own name, or of what is to be called instead."""

    operands: tuple[Any, ...]
    parameters: dict[str, Any]
    instead: Function | None = None
    limits: bool = False
    """Judged by limits although JAX has a function of that name."""

    def call(self, function: Function, xp: Any, *values: Any) -> Any:
        """The example on other floats than its own, by NumPy or by JAX, as one array."""
        rest = iter(values)
        operands = [map_operand(lambda x: next(rest) if is_float(x) else x, operand) for operand in self.operands]
        if self.instead is not None:
            result = self.instead(xp, *operands)
        else:
            result = (function if xp is np else of_jax(title(function)))(*operands, **self.parameters)
        if isinstance(result, (list, tuple)):
            return xp.concatenate([xp.reshape(leaf, -1) for leaf in leaves(result)])
        return result

    @property
    def floats(self) -> list[Any]:
        """The arrays to differentiate with respect to: all arrays of floats among the operands."""
        return [leaf for leaf in leaves(self.operands) if is_float(leaf)]


def is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def of(*operands: Any, **parameters: Any) -> Row:
    """The function itself, at these operands."""
    return Row(operands, parameters)


def via(f: Function, *operands: Any) -> Row:
    """``f(xp, *operands)``, which uses the function, where `xp` is NumPy or JAX's twin of it."""
    return Row(operands, {}, f)


def by_limits(row: Row) -> Row:
    return row._replace(limits=True)


def at_each(*operands: Any) -> list[Row]:
    return [of(x) for x in operands]


def unary(make: Function = signed) -> list[Row]:
    return [of(make()), of(make(2, 3))]


def binary(make: Function = signed) -> list[Row]:
    # 1.1, for no two to have the same magnitude, where many of these have a kink.
    shapes = [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 3)), ((2, 3, 2), (1, 2))]
    return [of(make(*x), np.asarray(1.1 * make(*y))) for x, y in shapes]


AXES: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 2)},
    {"axis": (-1, 0), "keepdims": True},
    {"keepdims": True},
]


def reduction(make: Function = signed, **parameters: Any) -> list[Row]:
    return [of(make(2, 3, 2), **form, **parameters) for form in AXES]


def with_nan(*shape: int) -> Any:
    x = signed(*shape)
    x[..., 1] = np.nan
    return x


def masked_with_nan(**parameters: Any) -> Row:
    return of(with_nan(3, 4), axis=1, where=ROWS_OF_MASK, **parameters)


def zeros_at(*places: int) -> Any:
    x = signed(2, 5)
    x[0, list(places)] = 0
    return x


# What JAX calls otherwise, and what has no name of its own there.
JAX_NAMES = {
    "minigrad.sigmoid": "nn.sigmoid",
    "minigrad.relu": "nn.relu",
    "minigrad.softplus": "nn.softplus",
    "minigrad.logsumexp": "nn.logsumexp",
    "minigrad.softmax": "nn.softmax",
    "minigrad.log_softmax": "nn.log_softmax",
    "scipy.special.psi": "scipy.special.digamma",
}


def title(function: Function) -> str:
    """The name, of SciPy's functions too."""
    return name_of(function).replace("_core.umath.", "scipy.special.")


def of_jax(name: str) -> Any:
    """The function of this name, or AttributeError where JAX has none."""
    return operator.attrgetter(JAX_NAMES.get(name, name if name.startswith("scipy.") else f"numpy.{name}"))(jax)


MASK = np.array([True, False, True])
ROWS_OF_MASK = np.array([[True, False, True, True], [True] * 4, [False, True, True, False]])
REPEATED = np.array([[0, 2], [2, 2]])
MATMUL = [
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((3, 4), (4, 5)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 2)),
]
PARTITIONS: list[tuple[tuple[int, ...], int, dict[str, Any]]] = [
    ((2, 4), 2, {}),
    ((4, 2), 1, {"axis": 0}),
    ((4,), 1, {"kind": "introselect"}),
]
EINSUM: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("ij->i", [(2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("...i,...i->...", [(2, 3), (3,)]),
    ("b...i,...ij->b...j", [(2, 1, 3), (4, 3, 2)]),
    ("i,j,k->ijk", [(2,), (3,), (2,)]),
    ("iij,jk->ik", [(2, 2, 3), (3, 2)]),
    ("...ii->...i", [(2, 3, 3)]),
    ("ij,k->i", [(2, 3), (4,)]),
    ("ij,ij", [(1, 3), (2, 1)]),
]
MATRICES = at_each(symmetric(3, 3), symmetric(2, 2, 2))
TALL_AND_WIDE = at_each(signed(4, 3), signed(2, 3, 3), signed(2, 3))
SEMIDISTINCT = np.array([2.0, -1.0, 3.0, 0.5, -2.5])


def identity_like(*shape: int) -> Any:
    n = int(np.sqrt(np.prod(shape)))
    return np.eye(n).reshape(shape) + 0.1 * signed(*shape)


def at(xp: Any, x: Any) -> Any:
    return At(x) if xp is np else x.at


def scatter_in(xp: Any, x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    return places.scatter(x, index, shape=shape) if xp is np else jnp.zeros(shape).at[index].add(x)


def gauge_free(xp: Any, u: Any, s: Any, v: Any) -> Any:
    """Of singular vectors, which are determined up to their common sign, what is determined."""
    return xp.concatenate([xp.reshape(part, -1) for part in (u * u, s, v * v, (u * s[..., None, :]) @ v.mT)])


def svd_in(xp: Any, x: Any) -> Any:
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return gauge_free(xp, u, s, xp.swapaxes(vh, -1, -2))


def eigh_in(xp: Any, x: Any, triangle: str = "L") -> Any:
    w, v = xp.linalg.eigh(x, UPLO=triangle)
    return xp.concatenate([xp.reshape(part, -1) for part in (w, v * v)])


EXAMPLES: dict[Function, list[Row]] = {
    # Elementwise.
    np.positive: unary(),
    np.negative: [*unary(), via(lambda xp, x: -x, signed(3))],
    np.conjugate: unary(),
    np.copy: unary(),
    np.astype: [via(lambda xp, x: xp.astype(x, xp.float64) * x, x) for x in (signed(), signed(2, 3))],
    np.abs: [*unary(), via(lambda xp, x: abs(x), signed(3))],
    np.fabs: unary(),
    np.sqrt: [*unary(positive), via(lambda xp, x: x**0.5, positive(3))],
    np.cbrt: unary(),
    np.square: [*unary(), via(lambda xp, x: x**2, signed(3))],
    np.reciprocal: [*unary(), via(lambda xp, x: x**-1, signed(3))],
    np.exp: unary(),
    np.exp2: unary(),
    np.expm1: unary(),
    np.log: unary(positive),
    np.log2: unary(positive),
    np.log10: unary(positive),
    np.log1p: unary(inside),
    np.sin: unary(),
    np.cos: unary(),
    np.tan: unary(),
    np.arcsin: unary(inside),
    np.arccos: unary(inside),
    np.arctan: unary(),
    np.sinh: unary(),
    np.cosh: unary(),
    np.tanh: unary(),
    np.arcsinh: unary(),
    np.arccosh: unary(above_one),
    np.arctanh: unary(inside),
    np.sinc: [*unary(), of(np.array([0.0, 1e-3, 1.0, 3.0, -2.5]))],
    np.degrees: unary(),
    np.rad2deg: unary(),
    np.radians: unary(),
    np.deg2rad: unary(),
    np.add: [*binary(), via(lambda xp, x, y: x + y, signed(3), signed())],
    np.subtract: [*binary(), via(lambda xp, x, y: x - y, signed(3), signed())],
    np.multiply: [*binary(), via(lambda xp, x, y: x * y, signed(3), signed())],
    np.divide: [*binary(), via(lambda xp, x: 2 / x, signed(3))],
    np.power: [
        *binary(positive),
        *(via(lambda xp, x, n=n: x**n, signed(3)) for n in (3, -2, 1, 0)),
        via(lambda xp, x: x**2.5, positive(3)),
        via(lambda xp, x: 2.0**x, signed(3)),
        via(lambda xp, x: xp.power(x, np.array([[2], [0], [1]])), signed(4)),
    ],
    np.float_power: binary(positive),
    np.maximum: binary(),
    np.minimum: binary(),
    np.fmax: binary(),
    np.fmin: binary(),
    np.hypot: binary(),
    np.arctan2: binary(),
    np.logaddexp: binary(),
    np.logaddexp2: binary(),
    np.fmod: [of(SEMIDISTINCT, np.asarray(0.7)), of(SEMIDISTINCT, np.asarray(-0.7)), of(signed(2, 1), signed(3) / 2.3)],
    np.remainder: [
        of(SEMIDISTINCT, np.asarray(0.7)),
        of(SEMIDISTINCT, np.asarray(-0.7)),
        via(lambda xp, x: x % 0.7, SEMIDISTINCT),
    ],
    np.ldexp: [of(signed(3), 3), of(signed(2, 3), np.array([1, -2, 0]))],
    np.copysign: [of(signed(5), np.array([1.0, -1, 1, -1, -2])), of(signed(), signed(2))],
    np.where: [
        via(lambda xp, x, y: xp.where(x > y, x * y, y), signed(3, 1), signed(4)),
        of(MASK, signed(2, 1), signed()),
        of(MASK, signed(), signed(2, 3)),
        of(MASK, signed(3), 0.0),
    ],
    np.divmod: [of(SEMIDISTINCT, np.asarray(0.7)), via(lambda xp, x: divmod(x, 0.7), SEMIDISTINCT)],
    np.modf: unary(),
    np.real: unary(),
    np.real_if_close: unary(),
    np.clip: [
        of(signed(2, 5), -0.47, 0.83),
        of(signed(2, 5), np.full(5, -0.47), np.asarray(0.83)),
        of(signed(5), min=-0.47),
        of(signed(5), max=0.53),
        via(lambda xp, x: x.clip(-0.4, 0.4), signed(5)),
    ],
    np.nan_to_num: [
        of(np.array([1.5, np.nan, -np.inf, np.inf, -2.0])),
        of(np.array([1.5, np.nan, -np.inf, np.inf, -2.0]), nan=2.0, posinf=3.0, neginf=-3.0),
    ],
    np.select: [
        via(lambda xp, x: xp.select([x > 1, x > 0], [x * x, x * x * x], -x), SEMIDISTINCT),
        via(lambda xp, x: xp.select([x > 1, x > 0], [x * x, 2 * x]), SEMIDISTINCT),
    ],
    # Gates.
    mg.sigmoid: unary(),
    sigmoid_slope: unary(),
    mg.relu: unary(),
    mg.softplus: unary(),
    mg.logsumexp: reduction(),
    mg.softmax: [of(signed(2, 3)), of(signed(2, 3), axis=0), of(signed(2, 3), axis=(0, 1))],
    mg.log_softmax: [of(signed(2, 3)), of(signed(2, 3), axis=0), of(signed(2, 3), axis=(0, 1))],
    # Reductions.
    np.sum: [
        *reduction(),
        *(of(signed(2, 3, 2), axis=axis) for axis in ((), (2, 1, 0))),
        of(signed(3, 4), axis=1, where=ROWS_OF_MASK),
        of(signed(3), initial=2.0),
        of(signed(2, 3), axis=0, dtype=np.float64),
        via(lambda xp, x: xp.add.reduce(x), signed(3, 2)),
    ],
    np.mean: [*reduction(), of(signed(3, 4), axis=1, where=ROWS_OF_MASK, keepdims=True), of(signed())],
    np.max: [*reduction(), of(signed(3, 4), axis=1, where=ROWS_OF_MASK, initial=0.1), of(signed())],
    np.min: [*reduction(), of(signed(3, 4), axis=1, where=ROWS_OF_MASK, initial=0.1), of(signed())],
    np.amax: [of(signed(2, 3), axis=0), of(signed(2, 3), keepdims=True), of(signed(3), where=MASK, initial=0.1)],
    np.amin: [of(signed(2, 3), axis=0), of(signed(2, 3), keepdims=True), of(signed(3), where=MASK, initial=0.1)],
    np.ptp: reduction(),
    np.prod: [
        *reduction(),
        *at_each(signed(1), signed(2), signed(5), signed(2, 7), signed()),
        *(of(x, axis=-1) for x in (zeros_at(3), zeros_at(1, 4), zeros_at(0, 1, 2))),
        of(signed(3, 4), axis=1, where=ROWS_OF_MASK),
        of(signed(3), initial=2.0),
        via(lambda xp, x: xp.multiply.reduce(x), signed(3, 2)),
    ],
    np.var: [
        *reduction(),
        *reduction(ddof=1)[:3],
        of(signed(3, 4), axis=1, where=ROWS_OF_MASK),
        of(signed(3, 4), axis=1, where=ROWS_OF_MASK, correction=1, dtype=np.float64),
    ],
    np.std: [
        *reduction(),
        *reduction(ddof=1)[:3],
        of(signed(3, 4), axis=1, where=ROWS_OF_MASK),
        of(signed(3), correction=1.5),
    ],
    np.median: [*reduction(), of(signed(5)), of(signed(4))],
    np.quantile: [
        of(signed(4, 3), 0.3, axis=0),
        of(signed(4, 3), 0.75, axis=(0, 1), keepdims=True),
        *(of(signed(5), q=q) for q in (0.0, 1.0, np.array([0.125, 0.5, 0.75], np.float32))),
        of(signed(2, 4), q=np.array([0.25, 0.625], np.float32), axis=-1, keepdims=True),
        by_limits(of(signed(5), q=np.array([[0.25, 0.875]], np.float32))),
        *(
            by_limits(of(signed(5), q=np.array([0, 0.1875, 0.3125, 0.5, 0.9375], np.float32), method=method))
            for method in reductions.PLACES_OF_ENTRIES | reductions.PLACES_BETWEEN_ENTRIES
        ),
    ],
    np.percentile: [
        of(signed(4, 3), 30, axis=0),
        by_limits(of(signed(5), q=np.array([25.0, 50.0, 75.0], np.float32))),
        of(signed(4, 3), 75.0, keepdims=True),
        by_limits(of(signed(4, 3), 30, axis=0, method="lower")),
    ],
    np.average: [
        of(signed(2, 3)),
        of(signed(2, 3), axis=0),
        via(lambda xp, x, w: xp.average(x, axis=1, weights=w), signed(2, 3), positive(3)),
        via(lambda xp, x, w: xp.average(x, weights=w), signed(2, 3), positive(2, 3)),
        via(lambda xp, x, w: xp.average(x, 0, w, keepdims=True), signed(2, 3), positive(2)),
    ],
    np.cumsum: [of(signed(2, 3)), of(signed(2, 3), axis=0), of(signed(2, 3), axis=-1), of(signed(3), dtype=np.float64)],
    np.cumprod: [
        of(signed(2, 3)),
        of(signed(2, 3), axis=0),
        *(of(x, axis=-1) for x in (signed(2, 3), zeros_at(3), zeros_at(1, 3))),
    ],
    np.cumulative_sum: [of(signed(3)), of(signed(2, 3), axis=1, include_initial=True)],
    np.cumulative_prod: [of(signed(3)), of(signed(2, 3), axis=0, include_initial=True)],
    reductions.running_max: [
        via(lambda xp, x, axis=axis: xp.maximum.accumulate(x, axis=axis), signed(3, 4)) for axis in (0, 1, -1)
    ],
    reductions.running_min: [
        via(lambda xp, x, axis=axis: xp.minimum.accumulate(x, axis=axis), signed(3, 4)) for axis in (0, 1, -1)
    ],
    reductions.running_logsumexp: [
        via(lambda xp, x, axis=axis: xp.logaddexp.accumulate(x, axis=axis), signed(3, 4)) for axis in (0, -1)
    ],
    np.nansum: [*(of(with_nan(2, 3), axis=axis) for axis in (None, 0, 1)), masked_with_nan(initial=2.0)],
    np.nanprod: [*(of(with_nan(2, 3), axis=axis) for axis in (None, 1)), masked_with_nan(initial=2.0)],
    np.nanmax: [*(of(with_nan(2, 3), axis=axis) for axis in (None, 1)), masked_with_nan(initial=-9.0)],
    np.nanmin: [*(of(with_nan(2, 3), axis=axis) for axis in (None, 1)), masked_with_nan(initial=9.0)],
    np.nanmean: [*(of(with_nan(2, 3), axis=1, keepdims=keepdims) for keepdims in (False, True)), masked_with_nan()],
    np.nancumsum: [of(with_nan(2, 3)), of(with_nan(2, 3), axis=1)],
    np.nancumprod: [of(with_nan(2, 3)), of(with_nan(2, 3), axis=1)],
    np.diff: [
        of(signed(5)),
        of(signed(4, 3), n=2, axis=0),
        of(signed(2, 3), n=0),
        of(signed(2, 3), axis=0, prepend=1.0, append=[[1.0, 2.0, 3.0]]),
        via(lambda xp, x, y: xp.diff(x, append=y), signed(2, 3), signed(2, 1)),
    ],
    np.ediff1d: [*at_each(signed(5), signed(2, 3)), of(signed(3), to_begin=1.0, to_end=np.array([2, 3]))],
    np.trapezoid: [
        of(signed(2, 5), np.sort(signed(5))),
        of(signed(2, 5), np.sort(signed(2, 5))),
        of(signed(5, 2), dx=0.5, axis=0),
        via(lambda xp, y: xp.trapezoid(y, np.array([0.0, 1, 3]), axis=0), signed(3, 2)),
    ],
    np.convolve: [
        of(signed(n), signed(m), mode=mode) for mode in ("full", "same", "valid") for n, m in ((5, 3), (3, 4))
    ],
    np.correlate: [
        of(signed(n), signed(m), mode=mode) for mode in ("full", "same", "valid") for n, m in ((5, 3), (3, 4))
    ],
    # Places.
    np.broadcast_to: [of(x, (2, 4, 3)) for x in (signed(), signed(3), signed(4, 1))],
    np.reshape: [
        of(signed(2, 3), (3, -1)),
        of(signed(2, 3), -1, order="F"),
        of(signed(), (1, 1)),
        of(signed(2, 3), 6, copy=True),
        via(lambda xp, x: x.reshape(3, 2), signed(6)),
        via(lambda xp, x: x.ravel(), signed(2, 3)),
    ],
    np.ravel: [of(signed(2, 3)), of(signed(2, 3), order="F")],
    np.transpose: [
        *at_each(signed(2, 3, 4), signed(3), signed()),
        of(signed(2, 3, 4), (2, 0, 1)),
        of(signed(2, 3, 4), (-1, 0, -2)),
        via(lambda xp, x: x.T, signed(2, 3)),
    ],
    np.matrix_transpose: [of(signed(2, 3)), via(lambda xp, x: x.mT, signed(2, 3, 4))],
    np.swapaxes: [of(signed(2, 3, 4), 0, -1)],
    np.moveaxis: [of(signed(2, 3, 4), [0, 1], [-1, 0]), of(signed(2, 3, 4), 0, -1)],
    np.rollaxis: [of(signed(2, 3, 4), 2), of(signed(2, 3, 4), 0, 2)],
    np.expand_dims: [of(signed(), -1), of(signed(2, 3), -1), of(signed(2, 3), (0, 2))],
    np.squeeze: [of(signed(1, 3, 1)), of(signed(1, 3, 1), axis=-1), of(signed(1, 3, 1), axis=(0, 2))],
    np.flip: [of(signed(2, 3)), of(signed(2, 3), 1), of(signed(2, 3), (0, 1))],
    np.fliplr: [of(signed(2, 3))],
    np.flipud: [of(signed(2, 3))],
    np.rot90: [of(signed(2, 3)), of(signed(2, 3, 2), k=3, axes=(1, 2))],
    np.roll: [of(signed(2, 3), 2), of(signed(2, 3), -1, axis=1), of(signed(2, 3), (1, 2), (0, 1))],
    np.tril: [of(signed(3, 3)), of(signed(2, 3, 4), 1)],
    np.triu: [of(signed(3, 3)), of(signed(2, 3, 4), -1)],
    np.concatenate: [
        of([signed(2, 3), signed(1, 3), signed(1, 3)]),
        of((signed(2, 3), signed(2, 1)), axis=-1),
        of([signed(2, 3), signed(4)], axis=None),
        via(lambda xp, x: xp.concatenate([x, np.ones((1, 3)), x]), signed(2, 3)),
        of([signed(2), signed(3)], dtype=np.float64),
    ],
    np.stack: [
        of([signed(2, 3), signed(2, 3), signed(2, 3)]),
        of([signed(), signed()]),
        of((signed(2, 3), signed(2, 3)), axis=1),
        of((signed(2, 3), signed(2, 3)), axis=-1),
        of((signed(2), signed(2)), axis=1, dtype=np.float64, casting="safe"),
    ],
    np.vstack: [of([signed(2, 3), signed(3)])],
    np.hstack: [of([signed(2), signed(3)]), of([signed(2, 3), signed(2, 1)])],
    np.dstack: [of([signed(2, 3), signed(2, 3)]), of([signed(2), signed(2)])],
    np.column_stack: [of([signed(3), signed(3, 2)])],
    np.block: [of([[signed(2, 2), signed(2, 1)], [signed(1, 2), signed(1, 1)]])],
    np.append: [of(signed(2, 3), signed(2)), of(signed(2, 3), signed(1, 3), axis=0)],
    np.insert: [
        of(signed(3), 1, signed()),
        of(signed(2, 3), 2, signed(2), axis=1),
        of(signed(3), np.array([0, 2]), signed(2)),
    ],
    np.delete: [of(signed(2, 3), 1, axis=1), of(signed(4), np.array([0, 2])), of(signed(2, 3), slice(1, 4))],
    np.split: [of(signed(3, 4), 2, axis=1), of(signed(5), [1, 3])],
    np.array_split: [of(signed(4), 3)],
    np.hsplit: [of(signed(3, 4), 2)],
    np.vsplit: [of(signed(4, 2), 2)],
    np.dsplit: [of(signed(2, 1, 4), 2)],
    np.unstack: [of(signed(3, 2)), of(signed(3, 2), axis=1)],
    np.repeat: [of(signed(2, 3), 2), of(signed(2, 3), 2, axis=1), of(signed(2, 3), np.array([1, 0, 2]), axis=1)],
    np.tile: [of(signed(3), 2), of(signed(2, 3), (2, 1, 2))],
    np.resize: [of(signed(2, 3), (3, 4)), of(signed(2, 3), (2,))],
    np.diag: [of(signed(3)), of(signed(3, 4), 1), of(signed(3), k=-1)],
    np.diagflat: [of(signed(2, 2)), of(signed(2), 1)],
    np.diagonal: [of(signed(3, 3)), of(signed(2, 3, 4), 1, 0, 2)],
    np.take: [of(signed(2, 3), np.array([5, 0, 0])), of(signed(2, 3), REPEATED, axis=1), of(signed(3), 1)],
    np.take_along_axis: [of(signed(1, 3), np.array([[0, 2, 2]]), 1), of(signed(2, 3), np.array([[1, 0, 1]]), axis=0)],
    np.compress: [by_limits(of(MASK, signed(2, 3), axis=1)), by_limits(of(MASK, signed(3)))],
    np.extract: [by_limits(of(MASK, signed(3)))],
    np.lib.stride_tricks.sliding_window_view: [of(signed(4), 2), of(signed(3, 4), (2, 3)), of(signed(3, 4), 2, axis=0)],
    np.atleast_1d: [of(signed()), of(signed(), signed(2))],
    np.atleast_2d: [of(signed()), of(signed(3))],
    np.atleast_3d: at_each(signed(), signed(3), signed(2, 3)),
    np.broadcast_arrays: [of(signed(3), signed(2, 1))],
    np.meshgrid: [of(signed(3), signed(2)), of(signed(3), signed(2), indexing="ij")],
    np.sort: [of(signed(2, 4)), of(signed(2, 4), axis=0), of(signed(2, 4), axis=None), of(signed(3), stable=True)],
    np.partition: [by_limits(of(signed(*shape), k, **how)) for shape, k, how in PARTITIONS],
    np.pad: [
        of(signed(2, 3), 1),
        of(signed(2, 3), ((1, 0), (2, 1)), constant_values=3.0),
        *(of(signed(3, 3), ((2, 1), (0, 2)), mode=mode) for mode in ("edge", "reflect", "symmetric", "wrap")),
        *(of(signed(3, 3), ((2, 1), (0, 2)), mode=mode) for mode in ("maximum", "mean", "median", "minimum")),
        of(signed(3, 3), ((2, 1), (0, 2)), mode="linear_ramp"),
    ],
    np.full_like: [
        of(signed(2, 3), signed()),
        of(signed(2, 3), signed(3)),
        of(signed(2), signed(), dtype=np.float64, shape=(3,)),
    ],
    operator.getitem: [
        *(via(lambda xp, x: x[1], x) for x in (signed(3), signed(3, 2))),
        via(lambda xp, x: x[-1, ::-2], signed(3, 4)),
        via(lambda xp, x: x[..., None, 1:], signed(2, 3)),
        via(lambda xp, x: x[()], signed(2)),
        *(via(lambda xp, x: x[REPEATED], x) for x in (signed(3), signed(3, 2))),
        via(lambda xp, x: x[REPEATED, np.array([0, 1])], signed(3, 2)),
        via(lambda xp, x: x[REPEATED, :, np.array([0, 1])], signed(3, 2, 2)),
        *(via(lambda xp, x: x[MASK], x) for x in (signed(3), signed(3, 2))),
        via(lambda xp, x: x[:, MASK], signed(2, 3)),
    ],
    places.scatter: [
        via(lambda xp, x: scatter_in(xp, x, REPEATED, (3,)), signed(2, 2)),
        via(lambda xp, x: scatter_in(xp, x, (slice(1, 3), 0), (4, 2)), signed(2)),
    ],
    index_set: [
        via(lambda xp, x, v: at(xp, x)[1:].set(v), signed(3, 2), signed(2)),
        via(lambda xp, x, v: at(xp, x)[np.array([0, 2])].set(v), signed(3), signed(2)),
        via(lambda xp, x, v: at(xp, x)[MASK].set(v), signed(3), signed()),
        # JAX leaves open which of several values for one place remains; here, as in NumPy, it is the last.
        by_limits(via(lambda xp, x, v: index_set(x, REPEATED, v), signed(3), signed(2, 2))),
    ],
    index_add: [
        via(lambda xp, x, v: at(xp, x)[REPEATED].add(v), signed(3), signed(2, 2)),
        via(lambda xp, x, v: at(xp, x)[:, 0].add(v), signed(3, 2), signed()),
    ],
    recomputed: [
        via(lambda xp, x, y: (mg.checkpoint if xp is np else jax.checkpoint)(lambda x, y: xp.sin(x) * y)(x, y), *xy)
        for xy in ((signed(3), signed(3)), (signed(2, 3), signed(3)))
    ],
    # Products.
    np.matmul: [
        *(of(signed(*x), signed(*y)) for x, y in MATMUL),
        via(lambda xp, x, y: x @ y, signed(2, 3), signed(3)),
    ],
    np.vecdot: [
        *(of(signed(*x), signed(*y)) for x, y in (((2, 3), (3,)), ((3,), (3,)), ((2, 1, 3), (4, 3)))),
        of(signed(3, 2), signed(3, 2), axis=0),
    ],
    np.matvec: [of(signed(2, 3), signed(3)), of(signed(2, 3), signed(4, 1, 3))],
    np.vecmat: [of(signed(2), signed(2, 3)), of(signed(4, 1, 2), signed(2, 3))],
    np.dot: [
        of(signed(*x), signed(*y))
        for x, y in [*MATMUL[:5], ((), (3,)), ((2, 2, 3), (2, 3, 4)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (3,))]
    ],
    np.vdot: [of(signed(2, 3), signed(3, 2))],
    np.inner: [of(signed(*x), signed(*y)) for x, y in [((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((2,), ())]],
    np.outer: [of(signed(2), signed(3)), of(signed(2), signed(3, 2))],
    np.tensordot: [
        of(signed(2, 3, 4), signed(3, 2, 5), axes=([0, 1], [1, 0])),
        of(signed(2, 3, 4), signed(3, 4, 2)),
        *(of(signed(2, 3), signed(3, 2), axes=axes) for axes in (0, 1, (0, 1), (-1, 0))),
    ],
    np.einsum: [of(subscripts, *(signed(*shape) for shape in shapes)) for subscripts, shapes in EINSUM],
    np.kron: [of(signed(2, 3), signed(3, 2)), of(signed(2), signed(3, 2)), of(signed(2, 1, 2), signed(3))],
    np.cross: [
        of(signed(3), signed(3)),
        of(signed(2, 3), signed(3)),
        of(signed(3, 2), signed(3, 2), axis=0),
        of(signed(3, 2), signed(2, 3), axisa=0, axisc=0),
    ],
    np.trace: [of(signed(3, 3)), of(signed(2, 3, 4), 1, 0, 2), of(signed(3, 3), dtype=np.float64)],
    # Linear algebra.
    np.linalg.inv: MATRICES,
    np.linalg.det: [*MATRICES, *at_each(signed(1, 1), signed(4, 4))],
    np.linalg.slogdet: [*MATRICES, of(signed(2, 3, 3))],
    np.linalg.cholesky: [
        *(via(lambda xp, x: xp.linalg.cholesky((x + x.mT) / 2), symmetric(*shape)) for shape in ((3, 3), (2, 2, 2))),
        *map(by_limits, MATRICES),
    ],
    np.linalg.pinv: [*TALL_AND_WIDE, of(signed(3, 2), rtol=1e-10)],
    np.linalg.solve: [
        of(symmetric(3, 3), signed(3)),
        of(symmetric(3, 3), signed(3, 2)),
        of(symmetric(2, 2, 2), signed(2)),
        of(symmetric(2, 2, 2), signed(2, 1)),
        of(symmetric(2, 2), signed(2, 2, 3)),
    ],
    np.linalg.eigh: [
        # JAX reads both triangles, by their mean: alike if the argument is symmetric to begin with.
        *(via(lambda xp, x: eigh_in(xp, x + x.mT), symmetric(*shape)) for shape in ((3, 3), (2, 2, 2))),
        *(by_limits(via(eigh_in, symmetric(*shape))) for shape in ((3, 3), (2, 2, 2))),
        by_limits(via(lambda xp, x: eigh_in(xp, x, "U"), symmetric(3, 3) + np.tril(signed(3, 3), -1))),
    ],
    np.linalg.eigvalsh: [*map(by_limits, MATRICES), by_limits(of(symmetric(3, 3), UPLO="U"))],
    np.linalg.svd: [
        *(via(svd_in, signed(*shape)) for shape in ((4, 3), (2, 3), (2, 3, 3))),
        via(lambda xp, x: xp.linalg.svd(x, compute_uv=False), signed(2, 3)),
        *(by_limits(via(lambda xp, x: xp.linalg.svd(x)[1], signed(*shape))) for shape in ((3, 2), (2, 2, 3))),
        by_limits(via(lambda xp, x: xp.linalg.svd(x, hermitian=True)[2], signed(3, 3))),
        by_limits(via(lambda xp, x: xp.linalg.svd(x, compute_uv=False, hermitian=True), signed(2, 3, 3))),
    ],
    np.linalg.svdvals: TALL_AND_WIDE,
    np.linalg.qr: [
        *(of(signed(*shape)) for shape in ((4, 3), (3, 3), (2, 4, 3))),
        by_limits(of(signed(2, 3))),
        of(signed(4, 3), mode="r"),
        via(lambda xp, x: xp.linalg.qr(x, mode="complete")[1], signed(4, 3)),
    ],
    np.linalg.cond: [*MATRICES, *(of(symmetric(3, 3), p=p) for p in (2, -2, 1, np.inf, "fro"))],
    np.linalg.norm: [
        *(of(signed(2, 3), **form) for form in ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True})),
        *(of(signed(3), order) for order in (1, 2, 3, np.inf, -np.inf, 2.5)),
        *(of(signed(3, 2), order) for order in ("fro", "nuc", 1, 2, np.inf, -1, -2)),
        of(signed(2, 3), 3, axis=1),
        of(signed(3, 2, 2), 2, axis=(0, 2), keepdims=True),
        of(signed(2, 3, 2), 1, axis=(2, 0)),
    ],
    np.linalg.vector_norm: [
        *at_each(signed(3), signed(3, 2)),
        of(signed(3, 2), ord=3, axis=0, keepdims=True),
        of(signed(3, 2), ord=1),
    ],
    np.linalg.matrix_norm: [of(signed(2, 3, 2)), of(signed(2, 3, 2), ord="nuc", keepdims=True)],
    np.linalg.matrix_power: [of(symmetric(3, 3), n) for n in (3, 1, 0, -2, 4)] + [of(signed(2, 2, 2), 5)],
    np.linalg.multi_dot: [of([signed(2, 3), signed(3, 4), signed(4)]), of([signed(3), signed(3, 2)])],
    np.linalg.tensorsolve: [
        of(identity_like(2, 3, 6), signed(2, 3)),
        of(np.moveaxis(identity_like(2, 3, 6), -1, 0), signed(2, 3), axes=(0,)),
    ],
    np.linalg.tensorinv: [of(identity_like(2, 3, 6)), of(identity_like(6, 2, 3), ind=1)],
    np.linalg.matmul: [of(signed(2, 3), signed(3, 2))],
    np.linalg.outer: [of(signed(2), signed(3))],
    np.linalg.cross: [of(signed(2, 3), signed(2, 3))],
    np.linalg.vecdot: [of(signed(2, 3), signed(3)), of(signed(3, 2), signed(3, 2), axis=0)],
    np.linalg.tensordot: [of(signed(2, 3), signed(3, 2), axes=1)],
    np.linalg.diagonal: [of(signed(2, 3, 3)), of(signed(2, 3), offset=1)],
    np.linalg.trace: [of(signed(2, 3, 3)), of(signed(2, 3), offset=1), of(signed(2, 2), dtype=np.float64)],
    np.linalg.matrix_transpose: [of(signed(2, 3, 4))],
    # SciPy's.
    sp.expit: unary(),
    sp.logit: at_each(positive(3) / 1.4),
    sp.log_expit: unary(),
    sp.erf: unary(),
    sp.erfc: unary(),
    sp.erfinv: unary(inside),
    sp.erfcinv: at_each(1 + inside(3)),
    sp.gammaln: unary(positive),
    sp.digamma: unary(positive),
    sp.xlogy: [of(signed(2, 3), positive(3)), of(np.array([0.0, 1.0, -2.0]), positive(3))],
    sp.xlog1py: [of(signed(2, 3), positive(3))],
    sp.entr: unary(positive),
}

MOST_BY_JAX = 3
"""How many rows of a function JAX judges: compiling them is what this file spends its time on."""


def judged_by_jax(function: Function, row: Row) -> bool:
    try:
        return not row.limits and (row.instead is not None or of_jax(title(function)) is not None)
    except AttributeError:
        return False


def derivatives(vjp: Function, f: Function, operands: Any, cotangent: Any, directions: Any) -> tuple[Any, ...]:
    """The value, the gradients, and the gradients of these along `directions`: also by the cotangent."""

    def along(cotangent: Any, *operands: Any) -> Any:
        gradients = vjp(f, *operands)[1](cotangent)
        return sum((d * g).sum() for d, g in zip(directions, gradients, strict=True))

    value, pullback = vjp(f, *operands)
    _, second = vjp(along, cotangent, *operands)
    return value, *pullback(cotangent), *second(np.ones(()))


def limit(f: Function) -> Any:
    """The derivative of `f` at 0: central differences at three steps, extrapolated twice."""
    coarse, middle, fine = ((f(h) - f(-h)) / (2 * h) for h in (1e-3, 5e-4, 2.5e-4))
    return (16 * (4 * fine - middle) - (4 * middle - coarse)) / 45


def derivatives_by_limits(f: Function, operands: Any, cotangent: Any, directions: Any) -> tuple[Any, ...]:
    """The same; first derivatives from values that the engine has no part in, second ones from its first."""

    def moved(h: float) -> list[Any]:
        return [x + h * d for x, d in zip(operands, directions, strict=True)]

    def slope(i: int, place: tuple[int, ...]) -> Any:
        step = np.zeros(np.shape(operands[i]))
        step[place] = 1
        return limit(lambda h: np.sum(cotangent * f(*operands[:i], operands[i] + h * step, *operands[i + 1 :])))

    gradients = [
        np.array([slope(i, place) for place in np.ndindex(np.shape(x))]).reshape(np.shape(x))
        for i, x in enumerate(operands)
    ]
    seconds = [limit(lambda h, i=i: vjp(f, *moved(h))[1](cotangent)[i]) for i in range(len(operands))]
    return f(*operands), *gradients, limit(lambda h: f(*moved(h))), *seconds


def trial(function: Function, row: Row) -> tuple[list[Any], Any, list[Any]]:
    """The operands, a cotangent and directions to differentiate along."""
    random = np.random.default_rng(0)
    cotangent = random.standard_normal(np.shape(row.call(function, np, *row.floats)))
    return row.floats, cotangent, [random.standard_normal(x.shape) for x in row.floats]


@pytest.mark.parametrize("function", EXAMPLES, ids=title)
def test_agrees_with_jax_or_with_limits_at_both_orders(function: Function) -> None:
    rows = EXAMPLES[function]
    trials = [trial(function, row) for row in rows]
    calls = [lambda xp, *xs, row=row: row.call(function, xp, *xs) for row in rows]
    in_jax = [i for i, row in enumerate(rows) if judged_by_jax(function, row)][:MOST_BY_JAX]

    def by_jax(trials: Any) -> Any:
        return [derivatives(jax.vjp, partial(calls[i], jnp), *trials[i]) for i in in_jax]

    # One compilation for all rows costs less than one for each.
    wanted = dict(zip(in_jax, jitted(by_jax)(trials), strict=True)) if in_jax else {}
    for i, (call, inputs) in enumerate(zip(calls, trials, strict=True)):
        got = derivatives(vjp, partial(call, np), *inputs)
        if i in wanted:
            assert_close(got, wanted[i], about=f"row {i}")
        else:
            assert_close(got, derivatives_by_limits(partial(call, np), *inputs), rtol=1e-8, about=f"row {i}")


# The table itself.


def test_examples_cover_exactly_what_has_a_rule_or_a_definition() -> None:
    for load in LATE:
        load()
    scipys = {function for function in (*RULES, *DEFINITIONS) if title(function).startswith("scipy.")}
    internals = {function for function in OWN_RULES if getattr(function, "__module__", "").startswith("minigrad.rules")}
    wanted = (OWN_RULES.keys() | OWN_DEFINITIONS.keys() | scipys) - internals
    assert {title(f) for f in EXAMPLES.keys() - internals} == {title(f) for f in wanted}


def reached(monkeypatch: pytest.MonkeyPatch) -> set[Function]:
    """What is differentiated from now on, or worked out by others."""
    found: set[Function] = set()
    apply = Tensor.apply

    def recording(self: Any, function: Function, operands: Any, parameters: Any) -> Any:
        found.add(function)
        return apply(self, function, operands, parameters)

    def counted(function: Function) -> Function:
        definition = DEFINITIONS[function]

        def call(*args: Any, **kwargs: Any) -> Any:
            found.add(function)
            return definition(*args, **kwargs)

        return call

    monkeypatch.setattr(Tensor, "apply", recording)
    for function in list(DEFINITIONS):
        monkeypatch.setitem(DEFINITIONS, function, counted(function))
    return found


def test_examples_reach_what_they_are_filed_under_and_together_every_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reached(monkeypatch)
    everything: set[Function] = set()
    strays = []
    for function, rows in EXAMPLES.items():
        for i, row in enumerate(rows):
            found.clear()
            derivatives(vjp, partial(row.call, function, np), *trial(function, row))
            # With a rarer parameter, such as where=, a call is worked out by others.
            rarer = FUNCTIONS[function].rarer if function in FUNCTIONS else {}
            if function not in found and rarer.keys().isdisjoint(row.parameters):
                strays.append(f"{title(function)}-{i}")
            everything |= found
    assert strays == []
    assert {name for function, name in OWN_RULES.items() if function not in everything} == set()


@pytest.mark.parametrize("function", EXAMPLES, ids=title)
def test_float32_in_float32_gradients_out(function: Function) -> None:
    for i, row in enumerate(EXAMPLES[function]):
        operands = [x.astype(np.float32) for x in row.floats]
        value, pullback = vjp(partial(row.call, function, np), *operands)
        cotangent = np.ones(np.shape(value), value.dtype)
        exact = vjp(partial(row.call, function, np), *row.floats)[1](cotangent.astype(np.float64))
        for got, want in zip(pullback(cotangent), exact, strict=True):
            assert got.dtype == np.float32, f"row {i}"
            assert_close([got], [want], rtol=2e-3, about=f"row {i}")


@pytest.mark.parametrize("f", [np.quantile, lambda x, q: np.percentile(x, 100 * q)])
def test_quantile_depends_on_its_place(f: Function) -> None:
    assert_close(grad(f, argnums=(0, 1))(np.array([1.0, 4.0, 2.0]), 0.625), [[0.0, 0.25, 0.75], 4.0])


# Kinks and removable singularities, by hand.  Where a gradient does not exist, the one that is
# promised is the subgradient of minimum norm, except that a clipped number yields to its bound.

NAN, INF = np.nan, np.inf


class Kink(NamedTuple):
    """The gradients of a function, exact to the last bit, at a place where it has a corner."""

    name: str
    f: Function
    operands: list[Any]
    cotangent: Any
    gradients: list[Any]


KINKS = [
    *(Kink(f"{f.__name__}-tied", f, [2.0, 2.0], 1.0, [0.5, 0.5]) for f in (np.maximum, np.minimum, np.fmax, np.fmin)),
    *(Kink(f"{f.__name__}-tied-infinities", f, [INF, INF], 1.0, [0.5, 0.5]) for f in (np.maximum, np.fmin)),
    *(
        Kink(f"{f.__name__}-tied-broadcast", f, [[2.0, 3.0], 2.0], [4.0, 8.0], gradients)
        for f, gradients in ((np.maximum, [[2.0, 8.0], 2.0]), (np.minimum, [[2.0, 0.0], 10.0]))
    ),
    *(Kink(f"{f.__name__}-first-is-nan", f, [NAN, 2.0], 1.0, [0.0, 1.0]) for f in (np.fmax, np.fmin)),
    *(Kink(f"{f.__name__}-second-is-nan", f, [2.0, NAN], 1.0, [1.0, 0.0]) for f in (np.fmax, np.fmin)),
    *(
        Kink(f"{f.__name__}-tied", f, [[2.0, 2.0, 2.0, 2.0]], 1.0, [[0.25] * 4])
        for f in (np.max, np.min, np.nanmax, np.nanmin)
    ),
    *(
        Kink(
            f"{f.__name__}-only-the-tied-share",
            lambda x, f=f: f(x, axis=1),
            [[[tied, 2.0, tied], [2.0, tied, 2.0]]],
            [4.0, 8.0],
            [[[2.0, 0.0, 2.0], [0.0, 8.0, 0.0]]],
        )
        for f, tied in ((np.max, 3.0), (np.min, 1.0), (np.amax, 3.0), (np.amin, 1.0))
    ),
    Kink("max-tied-across-axes", np.max, [[[3.0, 1.0], [2.0, 3.0]]], 1.0, [[[0.5, 0.0], [0.0, 0.5]]]),
    Kink("ptp-tied", np.ptp, [[1.0, 1.0, 3.0]], 1.0, [[-0.5, -0.5, 1.0]]),
    Kink("ptp-all-tied", np.ptp, [[1.0, 1.0]], 1.0, [[0.0, 0.0]]),
    Kink("max-initial-tied", lambda x: np.max(x, initial=3.0), [[3.0, 1.0]], 1.0, [[0.5, 0.0]]),
    Kink("maximum.accumulate-tied", np.maximum.accumulate, [[1.0, 3, 3, 2]], [1.0, 2, 3, 4], [[1.0, 5.5, 3.5, 0]]),
    Kink("maximum.accumulate-tied-apart", np.maximum.accumulate, [[3.0, 1, 3]], [1.0, 2, 4], [[5.0, 0, 2]]),
    Kink("minimum.accumulate-tied", np.minimum.accumulate, [[-1.0, -3, -3, -2]], [1.0, 2, 3, 4], [[1.0, 5.5, 3.5, 0]]),
    Kink("minimum.accumulate-all-tied", np.minimum.accumulate, [[1.0, 1, 1]], [0.0, 0, 3], [[1.0, 1, 1]]),
    *(Kink(f"{f.__name__}-0", f, [[0.0, -0.0, -1.0]], [1.0, 1, 1], [[0.0, 0, -1]]) for f in (np.abs, np.fabs)),
    Kink("copysign-0", np.copysign, [[0.0, 0.0], [1.0, -1.0]], [1.0, 1.0], [[0.0, 0.0], [0.0, 0.0]]),
    Kink("clip-at-bounds", lambda x: np.clip(x, 0, 1), [[0.0, 1, 0.5, 2]], [1.0, 1, 1, 1], [[0.0, 0, 1, 0]]),
    Kink("clip-goes-to-bounds", np.clip, [[0.0, 1, 0.5, 2], 0.0, 1.0], [1.0, 2, 4, 8], [[0.0, 0, 4, 0], 1.0, 10.0]),
    Kink("clip-bounds-crossed", np.clip, [0.5, 2.0, 1.0], 1.0, [0.0, 0.0, 1.0]),
    Kink("relu-0", mg.relu, [[-1.0, 0, -0.0, 1]], [1.0, 1, 1, 1], [[0.0, 0, 0, 1]]),
    Kink("hypot-0", np.hypot, [0.0, 0.0], 1.0, [0.0, 0.0]),
    Kink("arctan2-0", np.arctan2, [0.0, 0.0], 1.0, [0.0, 0.0]),
    *(
        Kink(f"norm-{order}-0", partial(np.linalg.norm, ord=order), [[0.0, 0]], 1.0, [[0.0, 0]])
        for order in (None, 1, INF)
    ),
    Kink("norm-3-0", partial(np.linalg.norm, ord=3), [[0.0, 0]], 1.0, [[0.0, 0]]),
    *(
        Kink(
            f"norm-{order}-of-matrix-0",
            partial(np.linalg.norm, ord=order),
            [[[0.0, 0], [0, 0]]],
            1.0,
            [[[0.0, 0], [0, 0]]],
        )
        for order in (2, -2, "nuc", 1, INF)
    ),
    Kink("norm-fro-0", np.linalg.norm, [[[0.0, 0], [0, 0]]], 1.0, [[[0.0, 0], [0, 0]]]),
    Kink("norm-one-row-0", partial(np.linalg.norm, axis=1), [[[0.0, 0], [3, 4]]], [5.0, 5], [[[0.0, 0], [3, 4]]]),
    Kink("vector_norm-0", np.linalg.vector_norm, [[0.0, 0.0]], 1.0, [[0.0, 0.0]]),
    Kink("std-constant", np.std, [[2.0, 2, 2]], 1.0, [[0.0, 0, 0]]),
    Kink("std-where-constant", partial(np.std, where=MASK), [[2.0, 7, 2]], 1.0, [[0.0, 0, 0]]),
    Kink("var-constant", np.var, [[2.0, 2, 2]], 1.0, [[0.0, 0, 0]]),
    Kink("sinc-0", np.sinc, [0.0], 1.0, [0.0]),
    Kink("sqrt-0", np.sqrt, [0.0], 1.0, [INF]),
    Kink("cbrt-0", np.cbrt, [0.0], 1.0, [INF]),
    Kink("prod-one-zero", np.prod, [[0.0, 3, 5]], 1.0, [[15.0, 0, 0]]),
    Kink("prod-two-zeros", np.prod, [[0.0, 3, 0]], 1.0, [[0.0, 0, 0]]),
    Kink("cumprod-zeros", np.cumprod, [[2.0, 0, 3, 0, 4]], [1.0, 1, 1, 1, 1], [[1.0, 8, 0, 0, 0]]),
    Kink("nan_to_num", np.nan_to_num, [[NAN, INF, -INF, 2.0]], [1.0, 1, 1, 1], [[0.0, 0, 0, 1]]),
    *(
        Kink(f"{f.__name__}-nan", f, [[NAN, 2.0, 3.0]], 1.0, [gradient])
        for f, gradient in (
            (np.nansum, [0.0, 1, 1]),
            (np.nanprod, [0.0, 3, 2]),
            (np.nanmean, [0.0, 0.5, 0.5]),
            (np.nanmax, [0.0, 0, 1]),
            (np.nanmin, [0.0, 1, 0]),
        )
    ),
    Kink("nancumsum-nan", np.nancumsum, [[NAN, 2.0]], [1.0, 1], [[0.0, 1]]),
    Kink("logsumexp-of-minus-infinity", mg.logsumexp, [[-INF, 0.0]], 1.0, [[0.0, 1]]),
    Kink(
        "logaddexp.accumulate-of-minus-infinity",
        np.logaddexp.accumulate,
        [[-INF, 0.0, -INF]],
        [1.0, 2.0, 4.0],
        [[1.0, 6.0, 0.0]],
    ),
    Kink("xlogy-0-0", lambda y: sp.xlogy(0.0, y), [0.0], 1.0, [0.0]),
    Kink("softmax-of-minus-infinity", mg.softmax, [[-INF, 0.0]], [1.0, 3.0], [[0.0, 0]]),
    Kink("log_softmax-of-minus-infinity", mg.log_softmax, [[-INF, 0.0]], [0.0, 1.0], [[0.0, 0]]),
    Kink("getitem-repeated", lambda x: x[np.array([1, 1, 0])], [[0.0, 0, 0]], [1.0, 10, 100], [[100.0, 11, 0]]),
    Kink("getitem-masked", lambda x: x[MASK], [[0.0, 0, 0]], [5.0, 7], [[5.0, 0, 7]]),
    Kink("take-repeated", lambda x: np.take(x, [1, 1, 0]), [[0.0, 0, 0]], [1.0, 10, 100], [[100.0, 11, 0]]),
    Kink(
        "set-repeated-the-last-wins",
        lambda x, v: At(x)[np.array([1, 1, 0])].set(v),
        [[1.0, 2, 3], [4.0, 5, 6]],
        [1.0, 10, 100],
        [[0.0, 0, 100], [0.0, 10, 1]],
    ),
    Kink(
        "set-repeated-one-value",
        lambda x, v: At(x)[np.array([1, 1])].set(v),
        [[1.0, 2], 3.0],
        [1.0, 10],
        [[1.0, 0], 10.0],
    ),
    Kink(
        "add-repeated-all-count",
        lambda x, v: At(x)[np.array([1, 1, 0])].add(v),
        [[1.0, 2, 3], [4.0, 5, 6]],
        [1.0, 10, 100],
        [[1.0, 10, 100], [10.0, 10, 1]],
    ),
]


@pytest.mark.parametrize("kink", KINKS, ids=[kink.name for kink in KINKS])
def test_gradient_at_a_kink_is_the_promised_one(kink: Kink) -> None:
    infinite = any(np.any(np.isinf(gradient)) for gradient in kink.gradients)
    # What is infinite may say so, as NumPy does for 1 / 0; nothing else warns.
    with np.errstate(divide="ignore" if infinite else "warn"):
        gradients = vjp(kink.f, *map(np.array, kink.operands))[1](np.array(kink.cotangent))
    assert [gradient.tolist() for gradient in gradients] == kink.gradients


@pytest.mark.parametrize("f", [np.sort, lambda x: np.partition(x, 1), lambda x: np.partition(x, (0, 1, 2))])
def test_sorting_gives_each_of_the_tied_its_own_place(f: Function) -> None:
    gradient = vjp(f, np.array([2.0, 2.0, 1.0]))[1](np.array([1.0, 10.0, 100.0]))[0].tolist()
    assert (sorted(gradient[:2]), gradient[2]) == ([10, 100], 1)


@pytest.mark.parametrize("f", [np.median, lambda x: np.quantile(x, 0.5), lambda x: np.percentile(x, 50)])
def test_the_middle_of_the_tied_is_at_two_of_them(f: Function) -> None:
    gradient = grad(f)(np.array([2.0, 2.0, 2.0, 2.0]))
    assert sorted(gradient.tolist()) == [0, 0, 0.5, 0.5]


def test_log_at_zero_has_its_infinite_limit() -> None:
    with np.errstate(divide="ignore"):
        assert [grad(f)(0.0) for f in (np.log, np.log2, np.log10)] == [INF] * 3


@pytest.mark.parametrize(("y", "slope", "bend"), [(0, 0, 0), (1, 1, 0), (2, 0, 2), (3, 0, 0)])
@pytest.mark.parametrize("kind", [int, float, np.array])
def test_power_of_zero(y: int, slope: float, bend: float, kind: Function) -> None:
    power = grad(lambda x: x ** kind(y))
    assert (power(0.0), grad(power)(0.0)) == (slope, bend)


@pytest.mark.parametrize("f", [np.power, np.float_power])
@pytest.mark.parametrize("x", [-2.0, 0.0, 3.0])
def test_power_zero_is_flat(f: Function, x: float) -> None:
    assert grad(f)(x, 0.0) == 0


@pytest.mark.parametrize("f", [np.power, np.float_power])
@pytest.mark.parametrize("y", [1.0, 2.0])
def test_power_of_zero_does_not_depend_on_a_positive_exponent(f: Function, y: float) -> None:
    assert grad(f, argnums=1)(0.0, y) == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_mixed_second_derivative_of_power_at_exponent_zero(order: tuple[int, int]) -> None:
    first, second = order
    mixed = grad(lambda x, y: grad(np.power, argnums=first)(x, y), argnums=second)
    assert mixed(4.0, 0.0) == 0.25


@pytest.mark.parametrize(
    ("x", "bends"),
    [
        ([2.0, 3.0, 5.0], [[0, 5, 3], [5, 0, 2], [3, 2, 0]]),
        ([0.0, 3.0, 5.0], [[0, 5, 3], [5, 0, 0], [3, 0, 0]]),
        ([0.0, 3.0, 0.0], [[0, 0, 3], [0, 0, 0], [3, 0, 0]]),
        ([0.0, 0.0, 0.0], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    ],
)
@pytest.mark.parametrize("f", [np.prod, np.multiply.reduce, np.nanprod, lambda x: np.cumprod(x)[-1]])
def test_second_derivatives_of_a_product_count_its_zeros(f: Function, x: list[float], bends: Any) -> None:
    assert hessian(f)(np.array(x)).tolist() == bends


def test_second_derivatives_of_running_products_count_their_zeros() -> None:
    bends = np.zeros((5, 5))
    bends[0, 1], bends[1, 2], bends[1, 3] = 4, 2, 30
    assert hessian(lambda x: np.sum(np.cumprod(x)))(np.array([2.0, 0, 3, 0, 4])).tolist() == (bends + bends.T).tolist()


@pytest.mark.parametrize("f", [np.prod, lambda x: np.cumprod(x)[-1]])
@pytest.mark.parametrize(("dtype", "large"), [(np.float64, 2.0**700), (np.float32, 2.0**90)])
def test_products_on_the_way_may_leave_the_range(f: Function, dtype: type, large: float) -> None:
    x = np.array([large, large, 2, 1 / large, 1 / large], dtype)
    with np.errstate(over="ignore"):  # NumPy's own product overflows
        gradient = grad(f)(x)
    assert gradient.dtype == dtype
    assert gradient.tolist() == [2 / large, 2 / large, 1, 2 * large, 2 * large]


def test_so_may_those_of_second_derivatives() -> None:
    x = np.array([2.0**700, 2.0**-700, 2.0**700, 2.0**-700])
    with np.errstate(over="ignore"):  # of the two small ones, which is beyond the range
        bends = hessian(np.prod)(x)
    assert bends.tolist() == [[0, 1, 0, 1], [1, 0, 1, np.inf], [0, 1, 0, 1], [1, np.inf, 1, 0]]
    assert hvp(np.prod, (x,), (np.array([0, 2.0**-700, 0, 0]),))[0].tolist() == [2.0**-700, 0, 2.0**-700, 2.0**700]


def test_running_products_that_nothing_depends_on_may_leave_the_range() -> None:
    x = np.array([2.0**-900, 2.0**700, 2.0**700])
    assert vjp(np.cumprod, x)[1](np.array([1.0, 1, 0]))[0].tolist() == [1 + 2.0**700, 2.0**-900, 0]


@pytest.mark.parametrize(("g", "first"), [([1.0, 1, 1, 1], 1), ([2.0**-30, 0, 0, 1], 2.0**-30), ([0.0, 0, 0, 1], 0)])
def test_running_products_beyond_a_zero_do_not_swamp_those_before_it(g: list[float], first: float) -> None:
    x, g = np.array([1.0, 0, 2.0**500, 2.0**500]), np.array(g)
    gradient = vjp(np.cumprod, x)[1](g)[0]
    bends = hessian(lambda x: np.sum(np.cumprod(x) * g))(x)
    later = g[1] + 2.0**500 * g[2] + 2.0**1000 * g[3]
    assert gradient.tolist() == [first, later, 0, 0]
    assert bends[0].tolist() == [0, later, 0, 0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.concatenate([x, [1.0, 2.0]]),
        lambda x: np.stack([x, [1, 2, 3]]),
        lambda x: np.einsum("i,i->i", x, [1.0, 2.0, 3.0], optimize=True),
        lambda x: np.einsum("ii,i->i", [[1.0, 0, 0], [0, 2, 0], [0, 0, 3]], x),
        lambda x: np.linalg.solve([[2.0, 1, 0], [0, 1, 0], [0, 0, 1]], x),
    ],
)
def test_a_list_of_numbers_beside_an_array_is_read_as_one(f: Function) -> None:
    x = np.array([1.0, 2.0, 3.0])
    assert np.array_equal(value_and_grad(lambda x: np.sum(f(x)))(x)[0], np.sum(f(x)))
    check_grads(f, (x,))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.insert(x, 1, 1 / 3),
        lambda x: np.full_like(x, np.float64(1 / 3)),
        lambda x: np.sum(x, initial=np.float64(5)),
    ],
)
def test_values_take_the_dtype_of_the_array_as_numpy_has_it(f: Function) -> None:
    x = np.array([1, 2], np.float32)
    assert bits(value_and_grad(lambda x: np.sum(f(x)))(x)[0]) == bits(np.sum(f(x)))


def test_values_written_may_have_axes_of_length_one_in_front() -> None:
    assert grad(lambda x: np.sum(x.at[:].set(np.reshape(x, (1, 3)) ** 2)))(np.arange(3.0)).tolist() == [0, 2, 4]


def test_variance_of_some_entries_has_second_derivatives_where_all_are_the_same() -> None:
    every, x = [True] * 3, np.full(3, 2.0)
    assert np.allclose(hessian(lambda x: np.var(x, where=every))(x), hessian(np.var)(x), rtol=1e-15, atol=0)


@pytest.mark.parametrize("values", [lambda a: np.linalg.eigh(a)[0], lambda a: np.linalg.svd(a, full_matrices=False)[1]])
def test_values_that_coincide_have_a_gradient_where_nobody_uses_their_vectors(values: Function) -> None:
    """A symmetric function of them is smooth there: of log det it is the inverse."""
    a = np.diag([2.0, 2.0, 4.0])
    assert grad(lambda a: np.sum(np.log(values(a))))(a).tolist() == np.diag([0.5, 0.5, 0.25]).tolist()


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3)])
def test_singular_values_of_0_have_a_gradient_where_nobody_uses_their_vectors(shape: tuple[int, int]) -> None:
    """It is any of those that there are nearby: the vectors that there are."""
    one = np.zeros(shape)
    one[0, 0] = 2.0

    def total(a: Any) -> Any:
        return np.sum(np.linalg.svd(a, full_matrices=False)[1])

    for a in (one, np.zeros(shape)):
        assert np.array_equal(grad(total)(a), grad(lambda a: np.sum(np.linalg.svdvals(a)))(a))
    assert np.array_equal(grad(lambda a: np.linalg.svd(a, full_matrices=False)[1][0])(one), one / 2)


@pytest.mark.parametrize("scale", [1e-21, 1e21, 1e25])
def test_singular_vectors_of_small_and_large_matrices_have_derivatives(scale: float) -> None:
    """They are those at ordinary ones, over the scale: no square of a value need be in the range."""
    a = np.array([[1.0, 2.0], [3.0, 5.0]])
    for part in (0, 2):
        found = grad(lambda a, part=part: np.sum(np.linalg.svd(a)[part] ** 3))((scale * a).astype(np.float32))
        wanted = grad(lambda a, part=part: np.sum(np.linalg.svd(a)[part] ** 3))(a)
        assert np.allclose(found * np.float64(scale), wanted, rtol=1e-3, atol=1e-5)


def test_the_nuclear_norm_bends_where_singular_values_tie() -> None:
    """At the identity the second derivative along a direction is its antisymmetric part, over the sum of the values."""
    v = np.array([[1.0, 2.0, -0.5], [4.0, 8.0, 1.5], [0.25, -3.0, 2.0]])
    (found,) = hvp(lambda x: np.linalg.norm(x, "nuc"), (np.eye(3),), (v,))
    assert np.allclose(found, (v - v.T) / 2, rtol=1e-15, atol=1e-15)


def test_singular_vectors_of_a_singular_matrix_have_derivatives() -> None:
    a = np.array([[0.0, 3.0], [0.0, 0.0]])
    found = grad(lambda a: np.linalg.svd(a)[0][0, 1] ** 2 + np.linalg.svd(a)[1][0])(a)
    assert found.tolist() == [[0, 1], [0, 0]]


def test_a_singular_matrix_has_a_determinant_whose_logarithm_is_at_the_edge() -> None:
    stack = np.array([[[1.0, 2.0], [2.0, 4.0]], [[2.0, 0.0], [0.0, 4.0]]])
    found = grad(lambda a: np.sum(np.linalg.slogdet(a)[1]))(stack)
    assert np.all(np.isnan(found[0]))
    assert found[1].tolist() == [[0.5, 0], [0, 0.25]]


def test_lists_stand_for_arrays_beside_what_is_differentiated() -> None:
    x = np.array([1.0, 2.0, 3.0])
    assert grad(lambda x: np.trapezoid([1, 2, 3], x))(x).tolist() == [-1.5, -1, 2.5]
    assert grad(lambda x: np.var([3.0, 1.0, 2.0], mean=x[:1]))(x).tolist() == [-2, 0, 0]


@pytest.mark.parametrize("scale", [2.0**-700, 2.0**-30, 1.0, 2.0**700])
@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_a_norm_is_right_where_squares_leave_the_range(scale: float, axis: Any) -> None:
    x = signed(3, 2)
    want, slope = value_and_grad(lambda x: np.sum(np.linalg.norm(x, axis=axis)))(x)
    with np.errstate(all="raise"):
        value, pullback = vjp(lambda x: np.linalg.norm(x, axis=axis), x * scale)
    assert bits(np.sum(value)) == bits(want * scale)
    assert bits(pullback(np.ones_like(value))[0]) == bits(slope)
    assert bits(innermost(np.linalg.norm(Tensor(x), axis=axis))) == bits(np.linalg.norm(x, axis=axis))


def test_the_order_of_a_norm_may_be_a_number_of_numpy_s() -> None:
    x = np.array([1.0, 2.0, 3.0])
    for order in (np.int64(3), np.float32(3)):
        assert bits(grad(lambda x: np.linalg.norm(x, order))(x)) == bits(grad(lambda x: np.linalg.norm(x, 3))(x))  # noqa: B023


@pytest.mark.parametrize("bounds", [(np.nan, 2.0), (0.0, np.nan), (np.array([np.nan]), None)])
def test_a_bound_that_is_nan_makes_nan(bounds: Any) -> None:
    value, slope = value_and_grad(lambda x: np.sum(np.clip(x, *bounds)))(np.ones(1))
    assert np.isnan(value)
    assert slope == 0
    through = vjp(lambda x, low: np.clip(x, low, 2.0), 1.0, np.nan)
    assert np.isnan(through[0])


def test_a_convolution_with_infinity_has_the_numbers_that_numpy_has() -> None:
    x = np.array([-np.inf, -1.0, 2.0])
    assert bits(vjp(lambda x: np.convolve(x, x), x)[0]) == bits(np.convolve(x, x))


def test_beside_what_a_convolution_leaves_out_an_infinity_has_no_part() -> None:
    """The root's derivative at 0 is infinite; the gradient of the last entry of `y` is made of the other root alone."""
    x, y, g, dx = np.array([2.0, 0.0]), np.array([0.5, 3.0, -1.0]), np.array([2.0, -1.0, 4.0]), np.array([3.0, 1.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        second = hvp(lambda x, y: g @ np.convolve(y, np.sqrt(x), mode="same"), (x, y), (dx, np.zeros(3)))[1]
    assert second[:2].tolist() == [-np.inf, np.inf]
    assert second[2] == pytest.approx(4 * 3 / (2 * np.sqrt(2)), rel=1e-15)


def test_windows_of_a_convolution_are_what_lies_there() -> None:
    """All that reach every entry, as those of gradients do; summed as polynomials are multiplied."""
    for n, m in itertools.product(range(1, 6), repeat=2):
        a, v = np.cos(np.arange(n)), np.sin(1 + np.arange(m))
        whole = np.array([sum(a[i] * v[k - i] for i in range(n) if 0 <= k - i < m) for k in range(n + m - 1)])
        for start in range(min(n, m)):
            for length in range(max(n, m) - start, n + m - start):
                window = reductions.convolution(a, v, start=start, length=length)
                assert np.allclose(window, whole[start : start + length], rtol=1e-14, atol=1e-15)
                check_grads(partial(reductions.convolution, start=start, length=length), (a, v))


def test_no_entries_are_not_convolved() -> None:
    with pytest.raises(ValueError, match="cannot be empty"):
        grad(lambda x: np.sum(np.convolve(x, x)))(np.zeros(0))


def test_a_determinant_of_nan_has_a_gradient_of_nan() -> None:
    stack = np.array([[[1.0, np.nan], [2.0, 4.0]], [[2.0, 0.0], [0.0, 4.0]]])
    with np.errstate(invalid="ignore"):
        found = grad(lambda a: np.sum(np.linalg.det(a)))(stack)
    assert np.all(np.isnan(found[0]))
    assert np.allclose(found[1], [[4, 0], [0, 2]], rtol=1e-15, atol=0)


CUBE = np.linspace(-1, 1, 8).reshape(2, 2, 2) ** 3
MIXED = np.array([[1.0, -2.0, 4.0], [0.5, 3.0, -1.0]])


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.sum(x) * np.mean(x > 1.5, where=x < 9), MIXED),
        (lambda x: np.sum(x) * np.var(x > 1.5, where=x < 9), MIXED),
        (lambda x: np.sum(x) * np.quantile(np.argsort(x[0]), 0.5, method="linear"), MIXED),
        (lambda x: x[0][np.max(np.argsort(x[0]), initial=0)], MIXED),
        (lambda x: np.var(x, axis=1, ddof=1, where=[True, False, True], dtype=np.float64), MIXED),
        (lambda x: np.std(x, axis=(0, 1, 2), where=[True, False]), CUBE),
        (lambda x: np.pad(x, 1, constant_values=np.sum(x)), MIXED),
        (lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=((x[0, 0], 5.0), (6.0, 0.0))), MIXED),
        (lambda x: np.trapezoid(x, dx=np.array([1.0, 10.0, 3.0]), axis=0), MIXED),
        (lambda x: np.trapezoid(x, dx=np.array([1.0, 10.0]), axis=1), MIXED),
        (lambda x: np.linalg.eigvalsh(x @ x.T, UPLO="l"), MIXED),
        (lambda x: np.full_like(x, [x[0, 0], 2.0, 3.0], dtype=np.float64), MIXED),
        (lambda x: np.quantile(x, [0.2, 0.9], axis=1, method="lower"), MIXED),
        (lambda x: np.concatenate(x, dtype=np.dtype(float)), MIXED),
        (lambda x: np.stack(x, axis=1), MIXED),
        (lambda x: np.vstack([x, [1.0, 2.0, 3.0]], dtype=np.float64), MIXED),
        (lambda x: np.hstack([x, x], dtype=np.float64, casting="no"), MIXED),
        (lambda x: np.ediff1d([1.0, 2.0], to_end=x), MIXED),
        (lambda x: np.insert([1.0, 2.0], 1, x[0]), MIXED),
        (lambda x: np.cross(x[0], x[1], axis=None), MIXED),
        (lambda x: np.median(x, 0, None, False, True), MIXED),
        (lambda x: np.sum(x, axis=1, keepdims=np._NoValue), MIXED),
        (lambda x: np.diff(x, n=0, prepend=0.0), MIXED),
        (lambda x: np.linalg.cholesky(x @ x.T + np.diag([0.0, 1.0]), upper=True), MIXED),
        *((lambda x, f=f: f(x, axis=-1), np.array(3.0)) for f in (np.sum, np.prod, np.max, np.min, np.ptp)),
        *((lambda x, mode=mode: np.convolve(x[0], x[1, 1:], mode=mode), MIXED) for mode in (0, 1, 2)),
        (lambda x: np.tril(x[0]) @ np.arange(3.0), MIXED),
        (lambda x: np.triu(x[0], 1) @ np.arange(3.0), MIXED),
        (lambda x: np.max(x[:, :0], axis=1, initial=2.0), MIXED),
        (lambda x: np.logaddexp.reduce(x, where=[[True], [False]], initial=0.5), MIXED),
        (lambda x: np.linalg.cond(x[:, :2], 1), MIXED),
        (lambda x: mg.logsumexp(np.arange(3)) * x, MIXED),
    ],
)
def test_arguments_mean_what_they_mean_to_numpy(f: Function, x: Any) -> None:
    want, dtype = f(x), np.asarray(f(x)).dtype
    traced, staged = mg.trace(f, x)(x), mg.stage(lambda x: np.sum(f(x) * 1.5), x)(x)
    got = innermost(f(Tensor(x)))
    for each in (got, traced):
        assert np.asarray(each).dtype == dtype
        assert_close([each], [want])
    check_grads(f, (x,), order=1)
    assert_close(staged[1], [grad(lambda x: np.sum(f(x) * 1.5))(x)])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.mean(x, dtype=int),
        lambda x: np.sum(x * 100, dtype=np.int8),
        lambda x: np.cumsum(x, dtype=bool),
        lambda x: np.full_like(x, 2.7, dtype=int),
    ],
)
def test_integers_asked_for_by_dtype_are_integers(f: Function) -> None:
    x = np.array([1.25, 1.5, 2.0])
    assert bits(innermost(f(Tensor(x)))) == bits(f(x))


@pytest.mark.parametrize(
    ("f", "error"),
    [
        (lambda x: np.mean(x, where=x), TypeError),
        (lambda x: np.sum(x, where=np.ones((2, 3), bool)), ValueError),
        (lambda x: np.sum(x, initial=[1.0, 2.0]), (ValueError, TypeError)),
        (lambda x: np.max(x, where=[True, False, True]), ValueError),
        (lambda x: np.diff(x, n=-1), ValueError),
        (lambda x: np.tensordot(np.stack([x, x]), np.ones((3, 2))), ValueError),
        (lambda x: np.tensordot(np.stack([x, x]), np.ones((3, 2)), ((5,), (0,))), IndexError),
        (lambda x: np.linalg.matrix_power(np.outer(x, x), 2.5), TypeError),
        (lambda x: np.meshgrid(x, x, indexing="foo"), ValueError),
        (lambda x: np.pad(x, 1, mode="edge", constant_values=3.0), ValueError),
        (lambda x: np.pad(x, 1, mode="mean", constant_values=3.0), ValueError),
        (lambda x: np.pad(x, 1, mode="maximum", stat_length=0), ValueError),
        (lambda x: np.pad(x, 1, mode="edges"), ValueError),
        (lambda x: np.convolve(x, x, mode="f"), ValueError),
        (lambda x: np.average(x, weights=[1.0, -1.0, 0.0]), ZeroDivisionError),
        (lambda x: np.clip(x, -1, 1, min=0), ValueError),
        (lambda x: np.linalg.norm(x, "fro"), ValueError),
        (lambda x: np.linalg.outer(np.stack([x, x]), x), ValueError),
    ],
)
def test_what_numpy_refuses_is_refused(f: Function, error: Any) -> None:
    for x in (np.arange(3.0), Tensor(np.arange(3.0))):
        with pytest.raises(error):
            f(x)


def test_an_order_that_copies_do_not_keep_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="use 'C' or 'F'"):
        np.ravel(Tensor(MIXED), order="K")


def test_a_singular_matrix_has_an_infinite_condition_number() -> None:
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert innermost(np.linalg.cond(Tensor(singular), 1)) == np.inf


PADDINGS: list[dict[str, Any]] = [
    {"mode": "maximum", "stat_length": 2},
    {"mode": "minimum", "stat_length": (1, 3)},
    {"mode": "mean", "stat_length": ((1, 2), (3, 1))},
    {"mode": "median", "stat_length": 2},
    {"mode": "linear_ramp", "end_values": (2.0, -3.0)},
    {"mode": "reflect", "reflect_type": "odd"},
    {"mode": "symmetric", "reflect_type": "odd"},
    {"mode": "reflect", "reflect_type": "even"},
]


@pytest.mark.parametrize("how", PADDINGS, ids=lambda how: how["mode"])
@pytest.mark.parametrize("width", [1, (0, 2), ((7, 5), (0, 3)), {-1: (1, 9)}], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_paddings_that_compute_are_numpys(how: dict[str, Any], width: Any, dtype: str) -> None:
    for array in (MIXED, MIXED[:1]):
        x = array.astype(dtype)
        expected, found = np.pad(x, width, **how), np.pad(Tensor(x), width, **how)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(
            found.value, expected, rtol=0, atol=4 * np.finfo(dtype).eps * np.max(np.abs(expected))
        )
    check_grads(lambda x: np.pad(x, width, **how), (MIXED,))


def test_paddings_of_nothing_and_of_reflections_by_another_name_are_numpys() -> None:
    assert np.pad(Tensor(np.zeros((3, 0))), ((1, 1), (0, 0)), mode="maximum").shape == (5, 0)
    even = np.pad(Tensor(np.arange(3.0)), 1, mode="reflect", reflect_type="even-ish")
    assert even.value.tolist() == [1, 0, 1, 2, 1]


def test_a_padding_ramps_to_numbers_that_are_differentiated() -> None:
    assert grad(lambda c: np.sum(np.pad(np.stack([c, c]), 2, mode="linear_ramp", end_values=c)))(1.0) == 6


def test_constants_of_a_padding_have_a_derivative_where_they_are_zero() -> None:
    assert grad(lambda x, c: np.sum(np.pad(x, 1, constant_values=c)), (0, 1))(np.ones(2), 0.0)[1] == 2


@pytest.mark.parametrize("method", reductions.PLACES_OF_ENTRIES | reductions.PLACES_BETWEEN_ENTRIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantiles_are_numpys_to_the_bit(method: str, dtype: type) -> None:
    for n in range(1, 8):
        x = signed(n).astype(dtype)
        steps = [k / n for k in range(n + 1)]
        for q in [*steps, *((k + 0.5) / n for k in range(n)), 0.3, np.float64(0.7), np.array(steps), steps]:
            got = np.quantile(Tensor(x), q, method=method).value
            assert bits(got) == bits(np.quantile(x, q, method=method)), (n, q)


def test_a_method_of_quantiles_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="method is 'centre'; give one of lower, higher, nearest, inverted_cdf"):
        grad(lambda x: np.quantile(x, 0.5, method="centre"))(np.ones(3))


@pytest.mark.parametrize("f", [np.var, np.std])
def test_a_mean_that_is_given_has_its_own_derivative(f: Function) -> None:
    x = signed(3, 4)
    own = value_and_grad(lambda x: np.sum(f(x, axis=1, ddof=1)))(x)
    given = value_and_grad(lambda x: np.sum(f(x, axis=1, ddof=1, mean=np.mean(x, axis=1, keepdims=True))))(x)
    assert_close(given, own)
    check_grads(lambda x, mean: f(x, axis=1, mean=mean, where=ROWS_OF_MASK), (x, np.array([[0.1], [0.2], [2.0]])))
    assert_close([f(Tensor(x), mean=0.5).value], [f(x, mean=0.5)])


def test_a_quantile_that_is_an_entry_has_its_dtype_and_may_stand_beside_infinity() -> None:
    x = np.array([1.0, -np.inf, np.inf], np.float32)
    for method in reductions.PLACES_OF_ENTRIES:
        got = np.quantile(Tensor(x), [0.0, 0.6, 1.0], method=method)
        assert bits(got.value) == bits(np.quantile(x, [0.0, 0.6, 1.0], method=method))


def test_pinv_that_cuts_what_is_not_zero_is_refused() -> None:
    a = np.array([[3.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    assert grad(lambda a: np.sum(np.linalg.pinv(a, rtol=1e-3)))(a).shape == a.shape
    with pytest.raises(mg.UnsupportedError, match="not zero are cut off"):
        grad(lambda a: np.sum(np.linalg.pinv(a, rtol=0.5)))(a)


WHOLE = {
    "singular vectors": np.linalg.svd,
    "of a symmetric matrix": lambda a: np.linalg.svd(a @ np.swapaxes(a, -1, -2) - 4, hermitian=True),
    "its values": lambda a: np.linalg.svd(a @ np.swapaxes(a, -1, -2) - 4, compute_uv=False, hermitian=True),
    "QR": lambda a: np.linalg.qr(a, mode="complete"),
}


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3), (2, 3, 2), (2, 0), (0, 2)])
@pytest.mark.parametrize("name", WHOLE)
def test_decompositions_in_full_are_those_of_numpy(name: str, shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(0).normal(size=shape)
    if a.size:
        for got, wanted in zip(leaves([WHOLE[name](Tensor(a))]), leaves([WHOLE[name](a)]), strict=True):
            assert got.shape == wanted.shape
            assert np.allclose(got.value, wanted, rtol=1e-13, atol=1e-14)
    assert grad(lambda a: sum(np.sum(part) for part in leaves([WHOLE[name](a)])) * 0.0)(a).shape == shape


@pytest.mark.parametrize("shape", [(4, 2), (2, 4, 2), (2, 4)])
def test_vectors_beyond_the_rank_have_no_derivative_and_leave_that_of_the_others(shape: tuple[int, ...]) -> None:
    a, k = np.random.default_rng(1).normal(size=shape), min(shape[-2:])

    def whole(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a)
        return np.sum(np.tanh(u[..., :k]) @ np.tanh(s[..., None] * vh[..., :k, :]))

    def thin(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return np.sum(np.tanh(u) @ np.tanh(s[..., None] * vh))

    assert np.array_equal(grad(whole)(a), grad(thin)(a))
    assert np.array_equal(hvp(whole, (a,), (a,)), hvp(thin, (a,), (a,)))
    beyond = grad(lambda a: np.sum(np.abs(np.linalg.svd(a)[0 if shape[-2] > k else 2])))(a)
    assert np.all(np.isnan(beyond))
    if shape[-2] > k:
        complete, reduced = (grad(lambda a, m=m: np.sum(np.linalg.qr(a, m).R ** 3))(a) for m in ("complete", "reduced"))
        assert np.array_equal(complete, reduced)
        assert np.all(np.isnan(grad(lambda a: np.sum(np.linalg.qr(a, "complete").Q ** 3))(a)))


WEIGHTS = np.arange(16.0).reshape(4, 4) ** 2 - 7

BASES = {
    "one that is left": lambda a: np.linalg.svd(a[:, :3])[0][:, 3] @ WEIGHTS,
    "one that is left of rows": lambda a: np.linalg.svd(a.T[:3])[2][3] @ WEIGHTS,
    "one that QR leaves": lambda a: np.linalg.qr(a[:, :3], "complete").Q @ WEIGHTS,
    "a projection": lambda a: (lambda u: np.sum(u @ u.T * WEIGHTS))(np.linalg.svd(a[:, :2])[0][:, 2:]),
    "a residual": lambda a: np.sum((np.linalg.qr(a[:, :2], "complete").Q.T @ WEIGHTS[0])[2:] ** 2),
    "several of a stack": lambda a: (lambda v: np.sum(v.mT @ v * WEIGHTS))(np.linalg.svd(a[:, None])[2][:, 1:]),
}


@pytest.mark.parametrize("name", BASES)
def test_vectors_beyond_the_rank_have_derivatives_where_it_matters_not_which_they_are(name: str) -> None:
    a = np.random.default_rng(2).normal(size=(4, 4))
    check_grads(BASES[name], (a,), order=2)


def test_what_is_not_used_beyond_the_rank_has_no_part_where_that_is_lost() -> None:
    ones = np.ones((3, 2))
    total = [grad(lambda a, f=f: np.sum(np.linalg.svd(a, full_matrices=f)[1]))(ones) for f in (True, False)]
    assert np.array_equal(*total)


@pytest.mark.parametrize("a", [np.ones((2, 2)), np.zeros((2, 2)), np.diag([3.0, -1.0, 0.0])])
def test_singular_vectors_of_a_symmetric_matrix_are_those_of_numpy_where_a_value_is_0(a: Any) -> None:
    for got, wanted in zip(np.linalg.svd(Tensor(a), hermitian=True), np.linalg.svd(a, hermitian=True), strict=True):
        assert np.array_equal(got.value, wanted)


def test_singular_vectors_of_a_symmetric_matrix_are_differentiated_along_its_lower_triangle() -> None:
    a = np.array([[2.0, 9.0], [0.5, -3.0]])
    assert grad(lambda a: np.linalg.svd(a, hermitian=True).U[0, 0])(a)[0, 1] == 0
    check_grads(lambda a: np.tanh(np.linalg.svd(a, hermitian=True).Vh), (a,), order=2)
    check_grads(lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True) ** 2, (a,), order=2)


def test_raw_qr_is_refused() -> None:
    with pytest.raises(mg.UnsupportedError, match="'raw' has no derivative; use 'reduced', 'complete' or 'r'"):
        np.linalg.qr(Tensor(np.eye(2)), mode="raw")


@pytest.mark.parametrize(("values", "bend"), [(np.linalg.eigvalsh, 1.0), (np.linalg.svdvals, 3 / 8)])
def test_a_value_by_itself_has_second_derivatives_where_others_coincide(values: Function, bend: float) -> None:
    """With t in the lower triangle, 3 beside 1 becomes 3 + t**2 / 2 and sqrt(9 + 9 / 8 * t**2), up to higher powers."""
    a, along = np.diag([3.0, 1.0, 1.0]), np.zeros((3, 3))
    along[1, 0] = 1.0
    [product] = hvp(lambda a: np.max(values(a)), (a,), (along,))
    assert np.all(np.isfinite(product))
    assert product[1, 0] == pytest.approx(bend)


@pytest.mark.parametrize("x", [np.ones((2, 3, 4)), np.float64(3.0)])
def test_norm_of_some_order_wants_an_axis_where_numpy_does(x: Any) -> None:
    for norm in (np.linalg.norm, grad(np.linalg.norm)):
        with pytest.raises(ValueError, match=r"norm"):
            norm(x, 3)


def test_vectors_of_values_that_coincide_have_none() -> None:
    with np.errstate(all="ignore"):
        assert np.isnan(grad(lambda a: np.linalg.eigh(a)[1][0, 0])(np.eye(2))).any()


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([np.inf, 0.5, 1.5], [6, 0, 0]),
        ([0.5, np.inf, 1.5], [1, 5, 0]),
        ([np.inf, 0.5, np.inf], [4.5, 0, 1.5]),
        ([0.5, -np.inf, -np.inf], [6, 0, 0]),
    ],
)
def test_finite_entries_weigh_nothing_in_a_running_logsumexp_beside_infinity(x: Any, expected: Any) -> None:
    weighted = lambda x: np.sum(np.logaddexp.accumulate(x) * np.arange(1.0, 4.0))  # noqa: E731
    assert grad(weighted)(np.array(x)).tolist() == expected


def test_running_logsumexp_keeps_its_digits_far_from_zero() -> None:
    """Its values there are rounded by 1e-13, on which no weight must hang."""
    x = np.array([700.0, 700.0, 5.0])
    half, none = np.array([0.5, 0.5, 0]), np.zeros(3)
    last = lambda x: np.logaddexp.accumulate(x)[2]  # noqa: E731
    assert_close([grad(last)(x), hessian(last)(x)[:2, :2]], [half, [[0.25, -0.25], [-0.25, 0.25]]], rtol=4e-16)
    masked = np.array([-np.inf, 700.0, -np.inf])
    assert grad(last)(masked).tolist() == [0, 1, 0]
    assert hessian(last)(masked)[1].tolist() == none.tolist()


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_determinant_of_matrices_of_any_rank_at_both_orders(rank: int) -> None:
    x = signed(3, rank) @ signed(rank, 3)
    # Leibniz's formula: det(x) is the sum of e[i,j,k] * e[l,m,n] * x[i,l] * x[j,m] * x[k,n] / 6.
    e = np.zeros((3, 3, 3))
    e[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1
    e = e - e.transpose(0, 2, 1)
    assert_close([grad(np.linalg.det)(x)], [np.einsum("ijk,lmn,jm,kn->il", e, e, x, x) / 2])
    assert_close([hessian(np.linalg.det)(x)], [np.einsum("ijk,lmn,kn->iljm", e, e, x)])


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_gradient_of_a_determinant_rounds_as_little_as_its_products(n: int) -> None:
    e = np.zeros((n,) * n)
    for order in itertools.permutations(range(n)):
        e[order] = np.linalg.det(np.eye(n)[list(order)])
    for x in np.random.default_rng(0).normal(size=(100, n, n)):
        f = [[Fraction(entry) for entry in row] for row in x.tolist()]
        truth = np.zeros((n, n), object)
        for order in zip(*np.nonzero(e), strict=True):
            for i in range(n):
                truth[i, order[i]] += int(e[order]) * math.prod(f[k][order[k]] for k in range(n) if k != i)
        off = np.abs([Fraction(found) for found in grad(np.linalg.det)(x).flat] - truth.ravel())
        assert np.max(off) < 4 * 2**-52 * np.max(np.abs(truth))


def test_the_gradient_of_a_determinant_leaves_the_range_nowhere_on_the_way() -> None:
    x = np.diag([1e-200, 1e-200, 1e200, 1e200])
    assert np.allclose(np.diag(grad(np.linalg.det)(x)), [1e200, 1e200, 1e-200, 1e-200], rtol=1e-15, atol=0)


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0)])
def test_determinant_of_no_entries_is_constant_at_both_orders(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    slope = grad(lambda x: np.sum(np.linalg.det(x)))
    assert slope(x).shape == grad(lambda x: np.sum(slope(x)))(x).shape == shape


@pytest.mark.parametrize("f", [np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.fix])
@pytest.mark.parametrize("x", [1.25, 1.0, 0.5, 0.0])
def test_piecewise_constant_functions_have_gradient_zero(f: Function, x: float) -> None:
    assert grad(lambda x: x + f(x))(x) == 1


@pytest.mark.parametrize("x", [3.0, 740.0, 12345677.0, 1e8, 1e15, -7.0])
def test_sinc_loses_no_digits_far_from_zero(x: float) -> None:
    """At whole numbers its derivatives are those of ``sin(pi * x)``, 1 or -1 times pi, over ``pi * x`` and powers."""
    sign = 1 - 2 * (x % 2)
    assert grad(np.sinc)(x) == pytest.approx(sign / x, rel=1e-14)
    assert grad(grad(np.sinc))(x) == pytest.approx(-2 * sign / x**2, rel=1e-14)
    if x < 1e15:
        between = x + 0.5
        assert grad(np.sinc)(between) == pytest.approx(-sign / (math.pi * between**2), rel=1e-13)


@pytest.mark.parametrize(("f", "initial"), [(np.nanmax, -3.0), (np.nanmin, 3.0)])
def test_extremes_of_nothing_but_nan_are_nan(f: Function, initial: float) -> None:
    x = np.array([[np.nan, np.nan], [1.0, np.nan]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f(x, axis=1)
    value, pullback = vjp(lambda x: f(x, axis=1), x)
    assert bits(value) == bits(expected)
    assert pullback(np.ones(2, np.float32))[0].tolist() == [[0, 0], [1, 0]]
    assert vjp(lambda x: f(x, axis=1, initial=initial), x)[0].tolist() == f(x, axis=1, initial=initial).tolist()


def test_what_chooses_may_be_differentiated_itself_and_is_read_as_it_is() -> None:
    x = np.array([1.0, 0.0, 2.0])
    for f in (lambda x: np.compress(x, x), lambda x: np.extract(x, x), lambda x: x[np.where(x)], lambda x: x[x > 0]):
        assert grad(lambda x, f=f: np.sum(f(x) ** 2))(x).tolist() == [2, 0, 4]
    for g, message in ((lambda x: np.tile(x, x[2]), "integer"), (lambda x: np.take_along_axis(x, x, 0), "integer")):
        with pytest.raises((TypeError, IndexError), match=message):
            grad(lambda x, g=g: np.sum(g(x)))(x)


POWERS = [(1e300, np.float64), (1e30, np.float32), (2.0, np.float64), (2.0, np.float32)]


@pytest.mark.parametrize(("x", "dtype"), POWERS)
@pytest.mark.parametrize("y", [2.5, 0.75, -0.5])
def test_a_power_bends_as_it_should_where_its_slope_leaves_the_range(x: Any, dtype: Any, y: float) -> None:
    x = dtype(x)
    with np.errstate(over="ignore"):
        second = grad(grad(lambda x: x**y))(x)
    assert second.dtype == dtype
    expected = dtype(y * (y - 1) * float(x) ** (y - 2))
    assert float(second) == pytest.approx(float(expected), rel=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("subscripts", ["...i,...i->...", "ij,ij->i"])
def test_an_axis_repeated_not_even_once_sends_back_zeros(subscripts: str) -> None:
    value, pull = vjp(lambda x, y: np.einsum(subscripts, x, y), np.ones((1, 4)), np.ones((0, 4)))
    one, none = pull(value)
    assert value.shape == (0,)
    assert np.array_equal(one, np.zeros((1, 4)))
    assert none.shape == (0, 4)


def test_a_diagonal_by_einsum_is_nothing_but_its_entries() -> None:
    x = np.array([[np.nan, np.inf], [1.0, 2.0]])
    value, pull = vjp(lambda x: np.einsum("ii->i", x), x)
    assert np.array_equal(value, [np.nan, 2.0], equal_nan=True)
    assert np.array_equal(pull(np.array([3.0, 4.0]))[0], [[3.0, 0.0], [0.0, 4.0]])
    with pytest.raises(ValueError, match="'i' is repeated for axes of lengths 3 and 1"):
        grad(lambda x: np.einsum("ii", x))(np.ones((3, 1)))
