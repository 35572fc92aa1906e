"""The calculus: one line per function, saying how a cotangent passes through it.

Vocabulary, closed:

``g``
    the cotangent: the gradient of the final scalar with respect to ``ans``, of its shape;
``ans``
    the function's result;
everything else
    the function's own arguments, under NumPy's names (``x`` and ``y`` for ``x1`` and ``x2``).

A rule returns the gradient with respect to its operand.  Rules hold calculus only and are written
in plain NumPy, so that they can be differentiated again.  For `broadcasting` functions a rule may
return an array of the result's shape: the walker (`minigrad.backward`) sums it down to the
operand's, and casts it to the operand's dtype.  For all others the shape must be the operand's.

Every function of NumPy has a rule, is `define`-d by others, only moves numbers (`moving`), has
derivative `zero`, or is in `UNSUPPORTED`.

At a kink the rules return the subgradient of minimum norm:

- tied ``maximum minimum fmax fmin max min maximum.accumulate``: an even split; ``sort`` and what
  is built on it gives each of the tied its own place;
- ``abs`` and ``copysign`` at 0, ``hypot``, ``arctan2``, ``norm``, ``std`` where all vanishes: 0;
- ``clip`` at a bound: 0, all of the cotangent goes to the bound; ``relu`` at 0: 0;
- ``sqrt``, ``cbrt``, ``log`` at 0: the limit, infinite;
- ``sign floor ceil trunc round`` and all that is piecewise constant: 0 everywhere.
"""

from __future__ import annotations

import math
import operator
from functools import partial
from typing import Any

import numpy as np

from minigrad.gates import regained, sigmoid
from minigrad.protocol import (
    Function,
    defvjp,
    index_add,
    index_set,
    leaves,
    primitive,
    register,
)

broadcasting = partial(defvjp, broadcasts=True)
LN2, LN10 = math.log(2), math.log(10)


def zero(operands: str, functions: tuple[Function, ...], parameters: str = "") -> None:
    """Functions whose derivative is zero wherever it exists: Tensors pass through them as plain values."""
    for function in functions:
        register(function, tuple(operands.split()), tuple(parameters.split()))


# How the longer rules are worked out.


@primitive
def scatter(g: Any, index: Any, *, shape: tuple[int, ...]) -> Any:
    """An array of zeros with `g` added at `index`, repeated indices summed: indexing, transposed."""
    result = np.zeros(shape, np.result_type(g))
    np.add.at(result, index, g)
    return result


@primitive
def last_set(index: Any, *, shape: tuple[int, ...], count: tuple[int, ...]) -> Any:
    """Which of the values written to `index` remain: of several for the same place, the last."""
    order = np.arange(math.prod(count)).reshape(count)
    places = np.zeros(shape, int)
    places[index] = order
    return places[index] == order


@primitive
def power_of_two(x: Any, axis: Any = None) -> Any:
    """The power of two just below the largest magnitude: dividing by it is exact."""
    return np.ldexp(np.ones((), x.dtype), np.frexp(np.max(np.abs(x), axis=axis, keepdims=True, initial=0))[1] - 1)


@primitive
def sech2(x: Any) -> Any:
    """``1 - tanh(x)**2`` without cancellation or overflow."""
    e = np.exp(-2 * np.abs(x))
    return 4 * e / (1 + e) ** 2


@primitive
def one_minus_square(x: Any) -> Any:
    """``1 - x**2``, without cancellation near 1; its derivative has none near 0."""
    return (1 - x) * (1 + x)


@primitive
def cosine(x: Any, y: Any) -> Any:
    """``x / hypot(x, y)``, and 0 at the origin; its derivatives do not cancel."""
    return x / nonzero(np.hypot(x, y))


@primitive
def spherical_bessel(x: Any, *, n: int) -> Any:
    """``j_n(x)``, the n-th derivative of sinc in disguise: DLMF 10.53.1 near 0, the recurrence 10.51.1 elsewhere."""
    near = np.abs(x) < n + 2
    far, small = np.where(near, n + 2, x), np.where(near, x, 0)
    before, ans = np.cos(far) / far, np.sin(far) / far
    term = small**n / math.prod(range(1, 2 * n + 2, 2))
    series = term
    for k in range(1, 25):
        before, ans = (ans, (2 * k - 1) / far * ans - before) if k <= n else (before, ans)
        term = -term * small * small / (2 * k * (2 * n + 2 * k + 1))
        series = series + term
    return np.where(near, series, ans)


def spherical_bessel_dx(x: Any, n: int) -> Any:
    """DLMF 10.51.2 in the form that does not divide by `x`."""
    above = (n + 1) * spherical_bessel(x, n=n + 1)
    return (n * spherical_bessel(x, n=n - 1) - above) / (2 * n + 1) if n else -above


def nonzero(x: Any) -> Any:
    """`x` with 1 in place of 0, to divide by."""
    return np.where(x == 0, 1, x)


def power_dx(x: Any, y: Any) -> Any:
    """``y * x**(y-1)``, and its limit 0 at ``x == y == 0``, where the power is infinite."""
    if isinstance(y, (int, float)):
        return 0 * x if y == 0 else y * (x if y == 2 else x ** (y - 1))
    return y * np.where((x == 0) & (y == 0), 1, x) ** (y - 1)


def power_dy(ans: Any, x: Any) -> Any:
    """``x**y * log(x)``, its limit 0 at ``x == 0`` (for positive ``y``), and NaN for negative ``x``."""
    return ans * np.log(np.where(x > 0, x, np.where(x == 0, 1, np.nan)))


def winner(g: Any, x: Any, y: Any) -> Any:
    """`g` where `x` is the larger, half of it at a tie."""
    return np.where(x > y, g, np.where(x == y, g / 2, 0))


def number(g: Any, x: Any, y: Any) -> Any:
    """As `winner`, but against NaN the number wins."""
    return np.where(np.isnan(y), g, winner(g, x, y))


def spread(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction's cotangent, repeated for each entry that was reduced."""
    return np.broadcast_to(regained(g, axis, keepdims), np.shape(a))


def count(a: Any, axis: Any) -> int:
    """How many entries of `a` are reduced into one."""
    shape = np.shape(a)
    return math.prod(shape if axis is None else (shape[i] for i in leaves([axis])))


def unit(x: Any, axis: Any) -> Any:
    """``x / norm(x)``, and 0 for the zero vector; scaled by a power of two, so that no square overflows."""
    x = x / power_of_two(x, axis)
    return x / np.sqrt(nonzero(np.sum(x * x, axis=axis, keepdims=True)))


def extremes(g: Any, ans: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """`g` shared evenly among the entries that attain the extreme."""
    attained = np.astype(a == regained(ans, axis, keepdims), a.dtype)
    return attained * (regained(g, axis, keepdims) / np.sum(attained, axis=axis, keepdims=True))


def merged(a: Any, axis: Any) -> tuple[Any, Function]:
    """The array with the reduced axes merged into one at the end, and the way back."""
    shape, ndim = np.shape(a), np.ndim(a)
    axes = [i % ndim for i in (range(ndim) if axis is None else leaves([axis]))]
    order = [*(i for i in range(ndim) if i not in axes), *axes]
    moved = np.transpose(a, order)
    flat = np.reshape(moved, (*np.shape(moved)[: ndim - len(axes)], math.prod(shape[i] for i in axes)))
    return flat, lambda b: np.transpose(np.reshape(b, np.shape(moved)), inverse(order))


def others(a: Any) -> Any:
    """Along the last axis, for each entry the product of all others; zeros need no division."""
    first = np.ones_like(a[..., :1])
    before = np.cumprod(np.concatenate([first, a[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([first, a[..., :0:-1]], axis=-1), axis=-1)
    return before * after[..., ::-1] if np.shape(a)[-1] else a


def prod_da(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    flat, restore = merged(a, axis)
    return spread(g, a, axis, keepdims) * restore(others(flat))


def inverse(axes: Any) -> Any:
    """The permutation that undoes ``np.transpose(a, axes)``."""
    return None if axes is None else tuple(int(i) for i in np.argsort([axis % len(axes) for axis in axes]))


def split(g: Any, arrays: Any, axis: int | None) -> list[Any]:
    """Cut a concatenation's cotangent where its operands met."""
    if axis is None:
        parts = split(g, [np.empty(np.size(a)) for a in arrays], 0)
        return [np.reshape(part, np.shape(a)) for part, a in zip(parts, arrays, strict=True)]
    ends = np.cumsum([np.shape(a)[axis] for a in arrays]).tolist()
    before = (slice(None),) * (axis % np.ndim(arrays[0]))
    return [g[(*before, slice(start, end))] for start, end in zip([0, *ends], ends, strict=False)]


def unstack(g: Any, arrays: Any, axis: int) -> list[Any]:
    before = (slice(None),) * (axis % (np.ndim(arrays[0]) + 1))
    return [g[(*before, i)] for i in range(len(arrays))]


# Scans.


def ahead(x: Any, d: int, fill: Function = np.zeros_like) -> Any:
    """Along the last axis, what stands `d` places ahead."""
    return np.concatenate([x[..., d:], fill(x[..., :d])], axis=-1)


def recurrence(a: Any, b: Any) -> Any:
    """The solution of ``s[j] = b[j] + a[j] * s[j + 1]`` along the last axis, in log n strides."""
    n, d = np.shape(b)[-1], 1
    while d < n:
        a, b, d = a * ahead(a, d), b + a * ahead(b, d), 2 * d
    return b


def scan_rule(rule: Function) -> Function:
    """The vjp of a scan from its rule along the last axis."""

    def vjp(g: Any, ans: Any, a: Any, axis: Any = None) -> Any:
        if axis is None:
            return np.reshape(rule(g, ans, np.reshape(a, -1)), np.shape(a))
        return np.moveaxis(rule(*(np.moveaxis(each, axis, -1) for each in (g, ans, a))), -1, axis)

    return vjp


def cumprod_da(g: Any, ans: Any, a: Any) -> Any:
    before = np.concatenate([np.ones_like(a[..., :1]), ans[..., :-1]], axis=-1)
    return before * recurrence(ahead(a, 1), g) if np.shape(a)[-1] else g


def running_extreme_da(g: Any, ans: Any, a: Any) -> Any:
    """Each cotangent is shared evenly among the entries so far that attain the extreme."""
    attained = np.astype(a == ans, a.dtype)
    same = np.astype(ahead(ans, 1) == ans, a.dtype)
    numbers = recurrence(np.flip(np.concatenate([0 * same[..., :1], same[..., :-1]], axis=-1), -1), attained[..., ::-1])
    return attained * recurrence(same, g / numbers[..., ::-1])


def running_logsumexp_da(g: Any, ans: Any, a: Any) -> Any:
    return np.exp(a - ans) * recurrence(np.exp(ans - ahead(ans, 1, lambda end: end + np.inf)), g)


@primitive
def running_max(a: Any, axis: Any = 0) -> Any:
    return np.maximum.accumulate(a, axis=axis)


@primitive
def running_min(a: Any, axis: Any = 0) -> Any:
    return np.minimum.accumulate(a, axis=axis)


@primitive
def running_logsumexp(a: Any, axis: Any = 0) -> Any:
    return np.logaddexp.accumulate(a, axis=axis)


def deviation(a: Any, axis: Any) -> Any:
    return a - np.mean(a, axis=axis, keepdims=True)


def as_matrix(x: Any, y: Any) -> tuple[Any, Any]:
    """matmul's operands with a vector read as a row on the left and as a column on the right."""
    return x[None, :] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y


def as_matrix_product(g: Any, x: Any, y: Any) -> Any:
    """matmul's cotangent in the shape that the product of `as_matrix` has."""
    if x.ndim == 1:
        g = np.expand_dims(g, -1 if y.ndim == 1 else -2)
    return np.expand_dims(g, -1) if y.ndim == 1 else g


def matmul_dx(g: Any, x: Any, y: Any) -> Any:
    if y.ndim == 2 and x.ndim > 1:
        return g @ y.T
    column = as_matrix(x, y)[1]
    dx = as_matrix_product(g, x, y) @ np.swapaxes(column, -1, -2)
    return dx[..., 0, :] if x.ndim == 1 else dx


def matmul_dy(g: Any, x: Any, y: Any) -> Any:
    if x.ndim == 2 and y.ndim > 1:
        return x.T @ g
    row = as_matrix(x, y)[0]
    dy = np.swapaxes(row, -1, -2) @ as_matrix_product(g, x, y)
    return dy[..., 0] if y.ndim == 1 else dy


@primitive
def contract(arrays: Any, *, terms: str, result: str) -> Any:
    """``np.einsum`` of distinct letters, the largest products first."""
    return np.einsum(f"{terms}->{result}", *arrays, optimize=True)


def contract_vjp(g: Any, ans: Any, arrays: Any, terms: str, result: str) -> list[Any]:
    """For each operand, the product of all others with the cotangent, repeated along what it alone sums over."""
    inputs, gradients = terms.split(","), []
    for i, (own, x) in enumerate(zip(inputs, arrays, strict=True)):
        rest = [*arrays[:i], *arrays[i + 1 :], g]
        known = "".join([*inputs[:i], *inputs[i + 1 :], result])
        shared = "".join(c for c in own if c in known)
        part = contract(rest, terms=",".join([*inputs[:i], *inputs[i + 1 :], result]), result=shared)
        wide = [np.shape(part)[shared.index(c)] if c in shared else 1 for c in own]
        stretched = tuple(k for k, n in enumerate(np.shape(x)) if n == 1 and wide[k] > 1)
        part = np.sum(np.reshape(part, wide), axis=stretched, keepdims=True)
        gradients.append(np.broadcast_to(part, np.shape(x)))
    return gradients


# fmt: off
# Elementwise
broadcasting(np.positive,    lambda g, ans, x: g)
broadcasting(np.negative,    lambda g, ans, x: -g)
broadcasting(np.conjugate,   lambda g, ans, x: g)
broadcasting(np.copy,        lambda g, ans, a: g)
broadcasting(np.astype,      lambda g, ans, x, dtype: g, None)
broadcasting(np.abs,         lambda g, ans, x: g * np.sign(x))
broadcasting(np.fabs,        lambda g, ans, x: g * np.sign(x))
broadcasting(np.sqrt,        lambda g, ans, x: 0.5 * g / ans)
broadcasting(np.cbrt,        lambda g, ans, x: g / (3 * ans * ans))
broadcasting(np.square,      lambda g, ans, x: 2 * g * x)
broadcasting(np.reciprocal,  lambda g, ans, x: -g * ans * ans)
broadcasting(np.exp,         lambda g, ans, x: g * ans)
broadcasting(np.exp2,        lambda g, ans, x: g * ans * LN2)
broadcasting(np.expm1,       lambda g, ans, x: g * np.exp(x))
broadcasting(np.log,         lambda g, ans, x: g / x)
broadcasting(np.log2,        lambda g, ans, x: g / x / LN2)
broadcasting(np.log10,       lambda g, ans, x: g / x / LN10)
broadcasting(np.log1p,       lambda g, ans, x: g / (1 + x))
broadcasting(np.sin,         lambda g, ans, x: g * np.cos(x))
broadcasting(np.cos,         lambda g, ans, x: -g * np.sin(x))
broadcasting(np.tan,         lambda g, ans, x: g * (1 + ans * ans))
broadcasting(np.arcsin,      lambda g, ans, x: g / np.sqrt(one_minus_square(x)))
broadcasting(np.arccos,      lambda g, ans, x: -g / np.sqrt(one_minus_square(x)))
broadcasting(np.arctan,      lambda g, ans, x: g / np.hypot(1, x) / np.hypot(1, x))
broadcasting(np.sinh,        lambda g, ans, x: g * np.cosh(x))
broadcasting(np.cosh,        lambda g, ans, x: g * np.sinh(x))
broadcasting(np.tanh,        lambda g, ans, x: g * sech2(x))
broadcasting(np.arcsinh,     lambda g, ans, x: g / np.hypot(1, x))
broadcasting(np.arccosh,     lambda g, ans, x: g / np.sqrt(x - 1) / np.sqrt(x + 1))
broadcasting(np.arctanh,     lambda g, ans, x: g / one_minus_square(x))
broadcasting(np.sinc,        lambda g, ans, x: -math.pi * g * spherical_bessel(math.pi * x, n=1))
broadcasting(np.degrees,     lambda g, ans, x: np.degrees(g))
broadcasting(np.rad2deg,     lambda g, ans, x: np.rad2deg(g))
broadcasting(np.radians,     lambda g, ans, x: np.radians(g))
broadcasting(np.deg2rad,     lambda g, ans, x: np.deg2rad(g))
broadcasting(sech2,          lambda g, ans, x: -2 * g * ans * np.tanh(x))
broadcasting(one_minus_square, lambda g, ans, x: -2 * g * x)
broadcasting(spherical_bessel, lambda g, ans, x, n: g * spherical_bessel_dx(x, n))

broadcasting(np.add,         lambda g, ans, x, y: g,                       lambda g, ans, x, y: g)
broadcasting(np.subtract,    lambda g, ans, x, y: g,                       lambda g, ans, x, y: -g)
broadcasting(np.multiply,    lambda g, ans, x, y: g * y,                   lambda g, ans, x, y: g * x)
broadcasting(np.divide,      lambda g, ans, x, y: g / y,                   lambda g, ans, x, y: -g * ans / y)
broadcasting(np.power,       lambda g, ans, x, y: g * power_dx(x, y),      lambda g, ans, x, y: g * power_dy(ans, x))
broadcasting(np.float_power, lambda g, ans, x, y: g * power_dx(x, y),      lambda g, ans, x, y: g * power_dy(ans, x))
broadcasting(np.maximum,     lambda g, ans, x, y: winner(g, x, y),         lambda g, ans, x, y: winner(g, y, x))
broadcasting(np.minimum,     lambda g, ans, x, y: winner(g, y, x),         lambda g, ans, x, y: winner(g, x, y))
broadcasting(np.fmax,        lambda g, ans, x, y: number(g, x, y),         lambda g, ans, x, y: number(g, y, x))
broadcasting(np.fmin,        lambda g, ans, x, y: number(g, -x, -y),       lambda g, ans, x, y: number(g, -y, -x))
broadcasting(np.hypot,       lambda g, ans, x, y: g * cosine(x, y),        lambda g, ans, x, y: g * cosine(y, x))
broadcasting(cosine,         lambda g, ans, x, y: g * cosine(y, x) * cosine(y, x) / nonzero(np.hypot(x, y)),
                             lambda g, ans, x, y: -g * ans * cosine(y, x) / nonzero(np.hypot(x, y)))
broadcasting(np.arctan2,     lambda g, ans, x, y: g * cosine(y, x) / nonzero(np.hypot(x, y)),
                             lambda g, ans, x, y: -g * cosine(x, y) / nonzero(np.hypot(x, y)))
broadcasting(np.logaddexp,   lambda g, ans, x, y: g * sigmoid(x - y),      lambda g, ans, x, y: g * sigmoid(y - x))
broadcasting(np.logaddexp2,  lambda g, ans, x, y: g * sigmoid(LN2 * (x - y)), lambda g, ans, x, y: g * sigmoid(LN2 * (y - x)))
broadcasting(np.fmod,        lambda g, ans, x, y: g,                       lambda g, ans, x, y: -g * np.trunc(x / y))
broadcasting(np.remainder,   lambda g, ans, x, y: g,                       lambda g, ans, x, y: -g * np.floor(x / y))
broadcasting(np.ldexp,       lambda g, ans, x, y: np.ldexp(g, y),          None)
broadcasting(np.copysign,    lambda g, ans, x, y: g * np.sign(x) * np.copysign(1, y), None)
broadcasting(np.where, None, lambda g, ans, condition, x, y: np.where(condition, g, 0),
                             lambda g, ans, condition, x, y: np.where(condition, 0, g))

# Reductions and scans
defvjp(np.sum,               lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims))
defvjp(np.mean,              lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims) / count(a, axis))
defvjp(np.max,               lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
defvjp(np.min,               lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
defvjp(contract,             contract_vjp)
defvjp(np.prod,              lambda g, ans, a, axis=None, keepdims=False: prod_da(g, a, axis, keepdims))
defvjp(np.var,               lambda g, ans, a, axis=None, ddof=0, keepdims=False:
                                 2 / (count(a, axis) - ddof) * spread(g, a, axis, keepdims) * deviation(a, axis))
defvjp(np.std,               lambda g, ans, a, axis=None, ddof=0, keepdims=False:
                                 spread(g, a, axis, keepdims) * unit(deviation(a, axis), axis) / math.sqrt(count(a, axis) - ddof))
defvjp(np.cumsum,            lambda g, ans, a, axis=None: np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis), axis), np.shape(a)))
defvjp(np.cumprod,           scan_rule(cumprod_da))
defvjp(running_max,          scan_rule(running_extreme_da))
defvjp(running_min,          scan_rule(running_extreme_da))
defvjp(running_logsumexp,    scan_rule(running_logsumexp_da))

# Shape and place
broadcasting(np.broadcast_to, lambda g, ans, array, shape: g)
defvjp(np.reshape,           lambda g, ans, a, shape, order="C": np.reshape(g, np.shape(a), order=order))
defvjp(np.transpose,         lambda g, ans, a, axes=None: np.transpose(g, inverse(axes)))
defvjp(np.swapaxes,          lambda g, ans, a, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.moveaxis,          lambda g, ans, a, source, destination: np.moveaxis(g, destination, source))
defvjp(np.expand_dims,       lambda g, ans, a, axis: np.reshape(g, np.shape(a)))
defvjp(np.squeeze,           lambda g, ans, a, axis=None: np.reshape(g, np.shape(a)))
defvjp(np.flip,              lambda g, ans, m, axis=None: np.flip(g, axis))
defvjp(np.roll,              lambda g, ans, a, shift, axis=None: np.roll(g, np.negative(shift), axis), None)
defvjp(np.tril,              lambda g, ans, m, k=0: np.tril(g, k))
defvjp(np.triu,              lambda g, ans, m, k=0: np.triu(g, k))
defvjp(np.concatenate,       lambda g, ans, arrays, axis=0: split(g, arrays, axis))
defvjp(np.stack,             lambda g, ans, arrays, axis=0: unstack(g, arrays, axis))
defvjp(operator.getitem,     lambda g, ans, a, index: scatter(g, index, shape=np.shape(a)), None)
defvjp(scatter,              lambda g, ans, values, index, shape: g[index], None)
broadcasting(index_set,      lambda g, ans, x, index, values: index_set(g, index, 0), None,
                             lambda g, ans, x, index, values:
                                 g[index] * last_set(index, shape=np.shape(g), count=np.shape(g[index])))
broadcasting(index_add,      lambda g, ans, x, index, values: g, None, lambda g, ans, x, index, values: g[index])

# Products
broadcasting(np.matmul,      lambda g, ans, x, y: matmul_dx(g, x, y),      lambda g, ans, x, y: matmul_dy(g, x, y))
broadcasting(np.vecdot,      lambda g, ans, x, y: g[..., None] * y,        lambda g, ans, x, y: g[..., None] * x)
# fmt: on

# Derivative zero wherever it exists.
zero("x", (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.fix, np.spacing, np.signbit, np.logical_not, np.invert))
zero("x", (np.isfinite, np.isnan, np.isinf, np.isneginf, np.isposinf, np.isreal, np.iscomplex, np.bitwise_count))
zero("x y", (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.floor_divide))
zero("x y", (np.logical_and, np.logical_or, np.logical_xor, np.bitwise_and, np.bitwise_or, np.bitwise_xor))
zero("x y", (np.left_shift, np.right_shift, np.gcd, np.lcm, np.heaviside))
zero("a", (np.zeros_like, np.ones_like, np.empty_like), "dtype shape")
zero("a", (np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.any, np.all, np.count_nonzero), "axis keepdims")
zero("a", (np.argsort,), "axis kind stable")
zero("a kth", (np.argpartition,), "axis kind")
zero("a", (np.round, np.around), "decimals")
zero("a", (np.nonzero, np.flatnonzero, np.argwhere, np.imag, np.angle))
zero("a b", (np.isclose, np.allclose), "rtol atol equal_nan")
zero("a b", (np.array_equal, np.array_equiv))
zero("a v", (np.searchsorted,), "side sorter")
zero("x bins", (np.digitize,), "right")
zero("element test_elements", (np.isin,), "invert")
zero("A", (np.linalg.matrix_rank,), "tol")
register(power_of_two, ("x",), ("axis",))
register(last_set, ("index",), ("shape", "count"))
