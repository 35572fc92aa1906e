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

At a kink the rules return the subgradient of minimum norm: ties are split evenly and the
derivative of ``abs`` at 0 is 0.
"""

from __future__ import annotations

import inspect
import math
import operator
from typing import Any, NamedTuple

import numpy as np

from minigrad.protocol import Function, primitive, register


class Rule(NamedTuple):
    """The derivative of one function: a vjp for each operand, or None where there is none."""

    vjps: tuple[Function | None, ...]
    broadcasts: bool


RULES: dict[Function, Rule] = {}


def defvjp(function: Function, *vjps: Function | None, broadcasts: bool = False) -> None:
    """Give a function its rules, ``vjp(g, ans, *operands, **parameters)``, one per operand.

    None stands for an operand that is not differentiated (an index, a condition).  With
    `broadcasts`, operands broadcast against each other as in ``np.add``, and a rule may leave its
    result in the broadcast shape.  Functions of one's own first become a `primitive`.
    """
    template = next(vjp for vjp in vjps if vjp is not None)
    names = tuple(inspect.signature(template).parameters)[2:]
    register(function, names[: len(vjps)], names[len(vjps) :])
    RULES[function] = Rule(vjps, broadcasts)


def broadcasting(function: Function, *vjps: Function | None) -> None:
    defvjp(function, *vjps, broadcasts=True)


def zero(operands: tuple[str, ...], *functions: Function, parameters: tuple[str, ...] = ()) -> None:
    for function in functions:
        register(function, operands, parameters)


# fmt: off
# Elementwise
broadcasting(np.positive,  lambda g, ans, x: g)
broadcasting(np.negative,  lambda g, ans, x: -g)
broadcasting(np.abs,       lambda g, ans, x: g * np.sign(x))
broadcasting(np.exp,       lambda g, ans, x: g * ans)
broadcasting(np.log,       lambda g, ans, x: g / x)
broadcasting(np.sin,       lambda g, ans, x: g * np.cos(x))
broadcasting(np.cos,       lambda g, ans, x: -g * np.sin(x))
broadcasting(np.tanh,      lambda g, ans, x: g * (1 - ans * ans))
broadcasting(np.sqrt,      lambda g, ans, x: 0.5 * g / ans)
broadcasting(np.square,    lambda g, ans, x: 2 * g * x)
broadcasting(np.astype,    lambda g, ans, x, dtype: g,            None)

broadcasting(np.add,       lambda g, ans, x, y: g,                lambda g, ans, x, y: g)
broadcasting(np.subtract,  lambda g, ans, x, y: g,                lambda g, ans, x, y: -g)
broadcasting(np.multiply,  lambda g, ans, x, y: g * y,            lambda g, ans, x, y: g * x)
broadcasting(np.divide,    lambda g, ans, x, y: g / y,            lambda g, ans, x, y: -g * ans / y)
broadcasting(np.power,     lambda g, ans, x, y: g * power_dx(x, y), lambda g, ans, x, y: g * power_dy(ans, x))
broadcasting(np.maximum,   lambda g, ans, x, y: winner(g, x, y),  lambda g, ans, x, y: winner(g, y, x))
broadcasting(np.minimum,   lambda g, ans, x, y: winner(g, y, x),  lambda g, ans, x, y: winner(g, x, y))
broadcasting(np.where,     None, lambda g, ans, condition, x, y: np.where(condition, g, 0),
                                 lambda g, ans, condition, x, y: np.where(condition, 0, g))

# Reductions
defvjp(np.sum,             lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims))
defvjp(np.mean,            lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims) / fold(a, ans))
defvjp(np.max,             lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
defvjp(np.min,             lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
defvjp(np.prod,            lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims) * others(a, axis))

# Linear algebra
broadcasting(np.matmul,    lambda g, ans, x, y: matmul_dx(g, x, y),  lambda g, ans, x, y: matmul_dy(g, x, y))

# Shape
broadcasting(np.broadcast_to, lambda g, ans, array, shape: g)
defvjp(np.reshape,         lambda g, ans, a, shape, order="C": np.reshape(g, np.shape(a), order=order))
defvjp(np.transpose,       lambda g, ans, a, axes=None: np.transpose(g, inverse(axes)))
defvjp(np.swapaxes,        lambda g, ans, a, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.expand_dims,     lambda g, ans, a, axis: np.reshape(g, np.shape(a)))
defvjp(np.squeeze,         lambda g, ans, a, axis=None: np.reshape(g, np.shape(a)))
defvjp(np.concatenate,     lambda g, ans, arrays, axis=0: split(g, arrays, axis))
defvjp(np.stack,           lambda g, ans, arrays, axis=0: unstack(g, arrays, axis))
defvjp(operator.getitem,   lambda g, ans, a, index: scatter(g, index, shape=np.shape(a)), None)
# fmt: on

# Derivative zero wherever it exists: Tensors pass through these as plain values.
zero(("x",), np.sign, np.floor, np.ceil, np.trunc, np.rint, np.isfinite, np.isnan, np.isinf, np.signbit)
zero(("x", "y"), np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.floor_divide)
zero(("x", "y"), np.logical_and, np.logical_or, np.bitwise_and, np.bitwise_or)
zero(("x",), np.logical_not, np.invert)
zero(("a",), np.zeros_like, np.ones_like, parameters=("dtype", "shape"))
zero(("a",), np.argmax, np.argmin, np.any, np.all, np.count_nonzero, parameters=("axis", "keepdims"))


# How the longer rules are worked out.


@primitive
def scatter(g: Any, index: Any, *, shape: tuple[int, ...]) -> Any:
    """An array of zeros with `g` added at `index`, repeated indices summed: indexing, transposed."""
    result = np.zeros(shape, np.result_type(g))
    np.add.at(result, index, g)
    return result


defvjp(scatter, lambda g, ans, values, index, shape: g[index], None)


def power_dx(x: Any, y: Any) -> Any:
    """``y * x**(y-1)``, and its limit 0 at ``x == y == 0``, where the power is infinite."""
    return y * np.where((x == 0) & (y == 0), 1, x) ** (y - 1)


def power_dy(ans: Any, x: Any) -> Any:
    """``x**y * log(x)``, and its limit 0 at ``x == 0`` (for positive ``y``)."""
    return ans * np.log(np.where(x == 0, 1, x))


def winner(g: Any, x: Any, y: Any) -> Any:
    """`g` where `x` is the larger, half of it at a tie."""
    return np.where(x > y, g, np.where(x == y, g / 2, 0))


def restore(r: Any, axis: Any, keepdims: bool) -> Any:
    """Give a reduction's result its reduced axes back, with length 1, so that it broadcasts."""
    return r if keepdims or axis is None else np.expand_dims(r, axis)


def spread(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    return np.broadcast_to(restore(g, axis, keepdims), np.shape(a))


def fold(a: Any, ans: Any) -> float:
    """How many entries of `a` were reduced into each entry of `ans`."""
    return np.size(a) / max(np.size(ans), 1)


def extremes(g: Any, ans: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """`g` shared evenly among the entries that attain the extreme."""
    attained = np.astype(a == restore(ans, axis, keepdims), a.dtype)
    return attained * (restore(g, axis, keepdims) / np.sum(attained, axis=axis, keepdims=True))


def others(a: Any, axis: Any) -> Any:
    """For each entry the product of all others that are reduced with it; zeros need no division."""
    shape = np.shape(a)
    axes = range(len(shape)) if axis is None else [i % len(shape) for i in np.atleast_1d(axis)]
    kept = [i for i in range(len(shape)) if i not in axes]
    order = (*kept, *axes)
    moved = np.transpose(a, order)
    flat = np.reshape(moved, (*(shape[i] for i in kept), math.prod(shape[i] for i in axes)))
    return np.transpose(np.reshape(others_along_last(flat), np.shape(moved)), inverse(order))


def others_along_last(a: Any) -> Any:
    """Multiply pairs, recurse on the products, hand each entry its neighbour times the rest."""
    *rest, n = np.shape(a)
    if n <= 1:
        return np.ones_like(a)
    if n % 2:
        a = np.concatenate([a, np.ones_like(a[..., :1])], axis=-1)
    pairs = np.reshape(a, (*rest, (n + 1) // 2, 2))
    outside = others_along_last(pairs[..., 0] * pairs[..., 1])
    return np.reshape(pairs[..., ::-1] * outside[..., None], np.shape(a))[..., :n]


def as_matrix(x: Any, y: Any) -> tuple[Any, Any]:
    """matmul's operands with a vector read as a row on the left and as a column on the right."""
    return x[None, :] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y


def as_matrix_product(g: Any, x: Any, y: Any) -> Any:
    """matmul's cotangent in the shape that the product of `as_matrix` has."""
    if x.ndim == 1:
        g = np.expand_dims(g, -1 if y.ndim == 1 else -2)
    return np.expand_dims(g, -1) if y.ndim == 1 else g


def matmul_dx(g: Any, x: Any, y: Any) -> Any:
    column = as_matrix(x, y)[1]
    dx = as_matrix_product(g, x, y) @ np.swapaxes(column, -1, -2)
    return dx[..., 0, :] if x.ndim == 1 else dx


def matmul_dy(g: Any, x: Any, y: Any) -> Any:
    row = as_matrix(x, y)[0]
    dy = np.swapaxes(row, -1, -2) @ as_matrix_product(g, x, y)
    return dy[..., 0] if y.ndim == 1 else dy


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
