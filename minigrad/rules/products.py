"""Products of vectors, matrices and stacks of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.protocol import define, defvjp, extend, joined, primitive
from minigrad.rules.common import broadcasting, of_dtype, vecdot_along


def as_matrix(x: Any, y: Any) -> tuple[Any, Any]:
    """matmul's operands with a vector read as a row on the left and as a column on the right."""
    return x[None, :] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y


def as_matrix_product(g: Any, x: Any, y: Any) -> Any:
    """matmul's cotangent in the shape that the product of `as_matrix` has."""
    if x.ndim == 1:
        g = np.expand_dims(g, -1 if y.ndim == 1 else -2)
    return np.expand_dims(g, -1) if y.ndim == 1 else g


def matmul_dx(g: Any, x: Any, y: Any) -> Any:
    """``g @ y.T``, matrix by matrix of a stack; a vector on the left is a row."""
    if y.ndim == 2 and x.ndim > 1:
        return g @ y.T
    column = as_matrix(x, y)[1]
    dx = as_matrix_product(g, x, y) @ np.swapaxes(column, -1, -2)
    return dx[..., 0, :] if x.ndim == 1 else dx


def matmul_dy(g: Any, x: Any, y: Any) -> Any:
    """``x.T @ g``, matrix by matrix of a stack; a vector on the right is a column."""
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
        stretched = tuple(k for k, n in enumerate(np.shape(x)) if n == 1 != wide[k])
        part = np.sum(np.reshape(part, wide), axis=stretched, keepdims=True)
        gradients.append(np.broadcast_to(part, np.shape(x)))
    return gradients


def dot(a: Any, b: Any) -> Any:
    if not (np.ndim(a) and np.ndim(b)):
        return a * b
    return np.matmul(a, b) if np.ndim(b) <= 2 else np.tensordot(a, b, (-1, -2))


def inner(a: Any, b: Any) -> Any:
    return np.tensordot(a, b, (-1, -1)) if np.ndim(a) and np.ndim(b) else a * b


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """One matrix product, of the operands with the summed axes merged."""
    if isinstance(axes, int):
        axes = range(np.ndim(a) - axes, np.ndim(a)), range(axes)
    pairs = [(x, np.atleast_1d(each).tolist()) for x, each in zip((a, b), axes, strict=True)]
    lengths = [[np.shape(x)[i] for i in each] for x, each in pairs]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"tensordot: axes of lengths {lengths[0]} and {lengths[1]} are summed together; name equal ones"
        )
    summed = [[i % np.ndim(x) for i in each] for x, each in pairs]
    kept = [[i for i in range(np.ndim(x)) if i not in s] for x, s in zip((a, b), summed, strict=True)]
    rows, columns = ([np.shape(x)[i] for i in k] for x, k in zip((a, b), kept, strict=True))
    length = math.prod(np.shape(a)[i] for i in summed[0])
    left = np.reshape(np.transpose(a, (*kept[0], *summed[0])), (math.prod(rows), length))
    right = np.reshape(np.transpose(b, (*summed[1], *kept[1])), (length, math.prod(columns)))
    return np.reshape(left @ right, (*rows, *columns))


def kron(a: Any, b: Any) -> Any:
    ndim = max(np.ndim(a), np.ndim(b))
    left, right = ((*(1,) * (ndim - np.ndim(x)), *np.shape(x)) for x in (a, b))
    rows = np.reshape(a, [n for length in left for n in (length, 1)])
    columns = np.reshape(b, [n for length in right for n in (1, length)])
    return np.reshape(rows * columns, [n * m for n, m in zip(left, right, strict=True)])


def cross(a: Any, b: Any, axis: int | None = None) -> Any:
    axis = -1 if axis is None else axis
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise UnsupportedError("cross: supported for vectors of length 3; write x[0] * y[1] - x[1] * y[0] for two")
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(a[..., ahead] * b[..., behind] - a[..., behind] * b[..., ahead], -1, axis)


def cross_of_axes(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1) -> Any:
    return np.moveaxis(cross(np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)), -1, axisc)


def einsum(subscripts: str, *operands: Any, optimize: Any = True) -> Any:
    """Spell the indices out, and take the diagonal where one operand repeats an index.

    The order of the products is that of `contract`, whatever `optimize` asks for.
    """
    if not isinstance(subscripts, str):
        raise UnsupportedError("einsum: give the indices as a string, such as 'ij,jk->ik'")
    operands = tuple(map(joined, operands))
    terms, _, result = subscripts.replace(" ", "").partition("->")
    free = iter(c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts)
    wide = max(
        (np.ndim(x) - len(t) + 3 for t, x in zip(terms.split(","), operands, strict=True) if "..." in t), default=0
    )
    dots = "".join(next(free) for _ in range(wide))
    if "->" not in subscripts:
        letters = sorted(terms.replace("...", "").replace(",", ""))
        result = "..." * ("..." in terms) + "".join(c for c in letters if letters.count(c) == 1)
    inputs, arrays = [], []
    for term, x in zip(terms.split(","), operands, strict=True):
        plain = term.replace("...", dots[wide - (np.ndim(x) - len(term) + 3) :])
        while c := next((c for c in plain if plain.count(c) > 1), ""):
            i, k = plain.index(c), plain.rindex(c)
            if np.shape(x)[i] != np.shape(x)[k]:
                raise ValueError(f"einsum: {c!r} is repeated for axes of lengths {np.shape(x)[i]} and {np.shape(x)[k]}")
            x, plain = np.diagonal(x, axis1=i, axis2=k), plain[:i] + plain[i + 1 : k] + plain[k + 1 :] + c
        inputs.append(plain)
        arrays.append(x)
    return contract(arrays, terms=",".join(inputs), result=result.replace("...", dots))


# fmt: off
broadcasting(np.matmul,  lambda g, ans, x, y: matmul_dx(g, x, y),  lambda g, ans, x, y: matmul_dy(g, x, y))
broadcasting(np.vecdot,  lambda g, ans, x, y: g[..., None] * y,    lambda g, ans, x, y: g[..., None] * x)
defvjp(contract,         contract_vjp)
define(np.matvec,        lambda x, y: np.matmul(x, y[..., None])[..., 0])
define(np.vecmat,        lambda x, y: np.matmul(x[..., None, :], y)[..., 0, :])
define(np.dot,           dot)
define(np.vdot,          lambda a, b: np.matmul(np.reshape(a, -1), np.reshape(b, -1)))
define(np.inner,         inner)
define(np.outer,         lambda a, b: np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)))
define(np.tensordot,     tensordot)
define(np.einsum,        einsum)
define(np.kron,          kron)
define(np.cross,         cross)
define(np.trace,         lambda a, offset=0, axis1=0, axis2=1: np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1))
extend(np.vecdot,        "axis", vecdot_along)
extend(np.cross,         "axisa axisb axisc", cross_of_axes)
of_dtype(np.trace)
# fmt: on
