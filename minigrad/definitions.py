"""Functions that are worked out by others: their derivatives, of any order, come with those.

`define` gives a function in terms of others; `moving` is for what only moves numbers about: where to,
a function tells by moving numbered places; `MASKED` is for reductions with ``where=`` or ``initial=``.
"""

from __future__ import annotations

import math
from functools import partial, reduce
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.protocol import (
    DEFINITIONS,
    MASKED,
    METHODS,
    Function,
    define,
    leaves,
    map_operand,
    register_like,
)
from minigrad.gates import logsumexp
from minigrad.rules import contract, merged, running_logsumexp, running_max, running_min

def moving(*functions: Function, data: slice = slice(1)) -> None:
    """Functions that only move the entries of some operands: where to, they tell by moving numbered places."""
    for function in functions:
        register_like(function, function)
        DEFINITIONS[function] = partial(move, function, data)


def move(function: Function, data: slice, *operands: Any, **parameters: Any) -> Any:
    """Apply a function that moves numbers to their places, numbered from 1, and fetch the numbers; 0 stands for a 0."""
    chosen = range(len(operands))[data]
    arrays = [leaf for i in chosen for leaf in leaves(operands[i])]
    ends = np.cumsum([0, *(np.size(array) for array in arrays)]).tolist()
    places = iter(np.arange(1, ends[-1] + 1)[s:e].reshape(np.shape(x)) for s, e, x in zip(ends, ends[1:], arrays, strict=False))
    numbered = [map_operand(lambda _: next(places), x) if i in chosen else x for i, x in enumerate(operands)]
    flat = np.concatenate([np.zeros(1, np.result_type(*arrays)), *(np.reshape(array, -1) for array in arrays)])
    return map_operand(lambda place: flat[place], function(*numbered, **parameters))


def masked_mean(function: Function, a: Any, axis: Any = None, where: Any = True, keepdims: bool = False) -> Any:
    numbers = np.astype(np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=keepdims), a.dtype)
    return np.sum(np.where(where, a, 0), axis=axis, keepdims=keepdims) / numbers


def masked_var(function: Function, a: Any, axis: Any = None, where: Any = True, ddof: float = 0, keepdims: bool = False) -> Any:
    numbers = np.astype(np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=keepdims), a.dtype)
    away = np.where(where, a - masked_mean(np.mean, a, axis, where, True), 0)
    if function is np.var:
        return np.sum(away * away, axis=axis, keepdims=keepdims) / (numbers - ddof)
    return np.linalg.norm(away, axis=axis, keepdims=keepdims) / np.sqrt(numbers - ddof)


def masked(
    function: Function, neutral: Any, join: Function, a: Any, axis: Any = None, keepdims: bool = False, **masks: Any
) -> Any:
    """A reduction over the entries where ``where=`` holds, joined with the ``initial=`` value."""
    entries = np.where(masks.pop("where", True), a, neutral)
    ans = function(entries, axis=axis, keepdims=keepdims)
    return join(ans, masks.pop("initial")) if "initial" in masks else ans


MASKED.update({np.sum: partial(masked, np.sum, 0, np.add), np.prod: partial(masked, np.prod, 1, np.multiply)})
MASKED.update({np.max: partial(masked, np.max, -np.inf, np.maximum), np.min: partial(masked, np.min, np.inf, np.minimum)})
MASKED.update({np.any: partial(masked, np.any, False, np.logical_or), np.all: partial(masked, np.all, True, np.logical_and)})
MASKED.update({np.mean: partial(masked_mean, np.mean), np.var: partial(masked_var, np.var), np.std: partial(masked_var, np.std)})


def clip(a: Any, low: Any, high: Any, least: Any, most: Any) -> Any:
    low, high = least if low is None else low, most if high is None else high
    a = a if low is None else np.where(a <= low, low, a)
    return a if high is None else np.where(a >= high, high, a)


def nan_to_num(x: Any, nan: Any, posinf: Any, neginf: Any) -> Any:
    info = np.finfo(x.dtype)
    x = np.where(np.isposinf(x), info.max if posinf is None else posinf, x)
    x = np.where(np.isneginf(x), info.min if neginf is None else neginf, x)
    return np.where(np.isnan(x), nan, x)


def without_nan(a: Any, instead: Any) -> Any:
    return np.where(np.isnan(a), instead, a)


def step(a: Any, axis: int) -> Any:
    """The differences of neighbours along an axis."""
    a = np.moveaxis(a, axis, -1)
    return np.moveaxis(a[..., 1:] - a[..., :-1], -1, axis)


def trapezoid(y: Any, x: Any, dx: Any, axis: int) -> Any:
    y = np.moveaxis(y, axis, -1)
    width = dx if x is None else step(x if np.ndim(x) == 1 else np.moveaxis(x, axis, -1), -1)
    return np.sum(width * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)


def convolve(a: Any, v: Any, mode: str) -> Any:
    """Sums over a window sliding along the longer operand."""
    a, v = (a, v) if np.size(a) >= np.size(v) else (v, a)
    n, m = np.size(a), np.size(v)
    full = np.lib.stride_tricks.sliding_window_view(np.pad(a, m - 1), m) @ v[::-1]
    start, length = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}[mode]
    return full[start : start + length]


def ordered(argorder: Function, a: Any, axis: int | None) -> Any:
    a, axis = (np.reshape(a, -1), 0) if axis is None else (a, axis)
    return np.take_along_axis(a, argorder(a, axis=axis), axis)


def middle(a: Any, axis: Any, keepdims: bool) -> Any:
    entries = np.sort(merged(a, axis)[0], axis=-1)
    n = np.shape(entries)[-1]
    ans = np.mean(entries[..., (n - 1) // 2 : n // 2 + 1], axis=-1)
    return np.reshape(ans, np.shape(np.sum(np.empty(np.shape(a)), axis=axis, keepdims=True))) if keepdims else ans


def quantile(a: Any, q: Any, axis: Any, keepdims: bool) -> Any:
    """Linear interpolation between the neighbours in order; the axes of `q` come first."""
    entries = np.sort(merged(a, axis)[0], axis=-1)
    place = np.multiply(q, np.shape(entries)[-1] - 1)
    below = np.floor(place).astype(int)
    above, part = np.ceil(place).astype(int), np.astype(np.asarray(place - below), a.dtype)
    low, high = entries[..., below], entries[..., above]
    ans = np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part))
    ans = np.moveaxis(ans, range(-np.ndim(q), 0), range(np.ndim(q)))
    kept = np.shape(np.sum(np.empty(np.shape(a)), axis=axis, keepdims=True))
    return np.reshape(ans, (*np.shape(q), *kept)) if keepdims else ans


def average(a: Any, axis: Any, weights: Any, keepdims: bool) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        weights = np.moveaxis(np.broadcast_to(weights, (*np.shape(a)[:axis], *np.shape(a)[axis:][1:], np.size(weights))), -1, axis)
    scale = np.sum(weights, axis=axis, keepdims=keepdims)
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / scale


def cumulative(scan: Function, start: float, x: Any, axis: Any, include_initial: bool) -> Any:
    if axis is None and np.ndim(x) > 1:
        raise ValueError("cumulative_sum and cumulative_prod need an axis for arrays with more than one")
    ans = scan(x, axis=axis)
    if not include_initial:
        return ans
    first = np.astype(np.moveaxis(np.moveaxis(ans, axis or 0, 0)[:1], 0, axis or 0) * 0, ans.dtype) + start
    return np.concatenate([first, ans], axis=axis or 0)


def pad(array: Any, width: Any, mode: str, constant: Any, reflect_type: str) -> Any:
    moves = {"constant": {}, "edge": {}, "wrap": {}, "reflect": {"reflect_type": "even"}, "symmetric": {"reflect_type": "even"}}
    if mode not in moves or reflect_type != "even":
        raise UnsupportedError(f"pad: mode {mode!r} computes new numbers; supported: {', '.join(moves)}")
    ans = move(partial(np.pad, mode=mode, **moves[mode]), slice(1), array, width)
    if mode != "constant" or isinstance(constant, (int, float)) and constant == 0:
        return ans
    return ans + np.pad(np.zeros(np.shape(array), array.dtype), width, constant_values=constant)


def dot(a: Any, b: Any) -> Any:
    if not (np.ndim(a) and np.ndim(b)):
        return a * b
    return np.matmul(a, b) if np.ndim(b) <= 2 else np.tensordot(a, b, (-1, -2))


def tensordot(a: Any, b: Any, axes: Any) -> Any:
    """One matrix product, of the operands with the summed axes merged."""
    if isinstance(axes, int):
        axes = range(np.ndim(a) - axes, np.ndim(a)), range(axes)
    summed = [[i % np.ndim(x) for i in leaves([each if isinstance(each, int) else list(each)])] for x, each in zip((a, b), axes, strict=True)]
    kept = [[i for i in range(np.ndim(x)) if i not in s] for x, s in zip((a, b), summed, strict=True)]
    length = math.prod(np.shape(a)[i] for i in summed[0])
    rows = np.reshape(np.transpose(a, (*kept[0], *summed[0])), (math.prod(np.shape(a)[i] for i in kept[0]), length))
    columns = np.reshape(np.transpose(b, (*summed[1], *kept[1])), (length, math.prod(np.shape(b)[i] for i in kept[1])))
    return np.reshape(rows @ columns, (*(np.shape(a)[i] for i in kept[0]), *(np.shape(b)[i] for i in kept[1])))


def kron(a: Any, b: Any) -> Any:
    ndim = max(np.ndim(a), np.ndim(b))
    left, right = ((*(1,) * (ndim - np.ndim(x)), *np.shape(x)) for x in (a, b))
    rows = np.reshape(a, [n for length in left for n in (length, 1)])
    columns = np.reshape(b, [n for length in right for n in (1, length)])
    return np.reshape(rows * columns, [n * m for n, m in zip(left, right, strict=True)])


def cross(a: Any, b: Any, axis: int) -> Any:
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise UnsupportedError("cross: supported for vectors of length 3; write x[0] * y[1] - x[1] * y[0] for two")
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(a[..., ahead] * b[..., behind] - a[..., behind] * b[..., ahead], -1, axis)


def einsum(subscripts: str, operands: Any) -> Any:
    """Spell the indices out, and read a repeated index of one operand as a product with the identity."""
    if not isinstance(subscripts, str):
        raise UnsupportedError("einsum: give the indices as a string, such as 'ij,jk->ik'")
    terms, _, result = subscripts.replace(" ", "").partition("->")
    free = iter(c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts)
    wide = max((np.ndim(x) - len(t) + 3 for t, x in zip(terms.split(","), operands, strict=True) if "..." in t), default=0)
    dots = "".join(next(free) for _ in range(wide))
    if "->" not in subscripts:
        letters = sorted(terms.replace("...", "").replace(",", ""))
        result = "..." * ("..." in terms) + "".join(c for c in letters if letters.count(c) == 1)
    inputs, arrays = [], list(operands)
    for term, x in zip(terms.split(","), operands, strict=True):
        plain = term.replace("...", dots[wide - (np.ndim(x) - len(term) + 3) :])
        for i, c in enumerate(plain):
            if c in plain[:i]:
                other = next(free)
                plain = plain[:i] + other + plain[i + 1 :]
                arrays.append(np.eye(np.shape(x)[i], dtype=x.dtype))
                inputs.append(c + other)
        inputs.insert(len(inputs) - len(arrays) + len(operands), plain)
    return contract(arrays, ",".join(inputs), result.replace("...", dots))


# fmt: off
define(np.divmod,            lambda x, y: (x // y, x % y))
define(np.modf,              lambda x: (np.fmod(x, 1), np.trunc(x)))
define(np.real,              lambda val: np.positive(val))
define(np.real_if_close,     lambda a: np.positive(a))
define(np.clip,              lambda a, a_min=None, a_max=None, min=None, max=None: clip(a, a_min, a_max, min, max))
define(np.nan_to_num,        lambda x, nan=0.0, posinf=None, neginf=None: nan_to_num(x, nan, posinf, neginf))
define(np.select,            lambda condlist, choicelist, default=0: reduce(
                                 lambda rest, pair: np.where(*pair, rest), [*zip(condlist, choicelist)][::-1], default))
define(np.amax,              lambda a, axis=None, keepdims=False: np.max(a, axis=axis, keepdims=keepdims))
define(np.amin,              lambda a, axis=None, keepdims=False: np.min(a, axis=axis, keepdims=keepdims))
define(np.ptp,               lambda a, axis=None, keepdims=False: np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims))
define(np.median,            lambda a, axis=None, keepdims=False: middle(a, axis, keepdims))
define(np.quantile,          lambda a, q, axis=None, keepdims=False: quantile(a, q, axis, keepdims))
define(np.percentile,        lambda a, q, axis=None, keepdims=False: quantile(a, np.true_divide(q, 100), axis, keepdims))
define(np.average,           lambda a, axis=None, weights=None, keepdims=False: average(a, axis, weights, keepdims))
define(np.cumulative_sum,    lambda x, axis=None, include_initial=False: cumulative(np.cumsum, 0, x, axis, include_initial))
define(np.cumulative_prod,   lambda x, axis=None, include_initial=False: cumulative(np.cumprod, 1, x, axis, include_initial))
define(np.nansum,            lambda a, axis=None, keepdims=False: np.sum(without_nan(a, 0), axis=axis, keepdims=keepdims))
define(np.nanprod,           lambda a, axis=None, keepdims=False: np.prod(without_nan(a, 1), axis=axis, keepdims=keepdims))
define(np.nanmax,            lambda a, axis=None, keepdims=False: np.max(without_nan(a, -np.inf), axis=axis, keepdims=keepdims))
define(np.nanmin,            lambda a, axis=None, keepdims=False: np.min(without_nan(a, np.inf), axis=axis, keepdims=keepdims))
define(np.nanmean,           lambda a, axis=None, keepdims=False: masked_mean(np.mean, without_nan(a, 0), axis, ~np.isnan(a), keepdims))
define(np.nancumsum,         lambda a, axis=None: np.cumsum(without_nan(a, 0), axis))
define(np.nancumprod,        lambda a, axis=None: np.cumprod(without_nan(a, 1), axis))
define(np.diff,              lambda a, n=1, axis=-1: reduce(lambda a, _: step(a, axis), range(n), a))
define(np.ediff1d,           lambda ary: step(np.reshape(ary, -1), 0))
define(np.trapezoid,         lambda y, x=None, dx=1.0, axis=-1: trapezoid(y, x, dx, axis))
define(np.convolve,          lambda a, v, mode="full": convolve(a, v, mode))
define(np.correlate,         lambda a, v, mode="valid": convolve(a, v[::-1], mode))
define(np.ravel,             lambda a, order="C": np.reshape(a, -1, order=order))
define(np.matrix_transpose,  lambda x: np.swapaxes(x, -1, -2))
define(np.sort,              lambda a, axis=-1: ordered(np.argsort, a, axis))
define(np.partition,         lambda a, kth, axis=-1: ordered(partial(np.argpartition, kth=kth), a, axis))
define(np.full_like,         lambda a, fill_value: np.zeros_like(a) + fill_value)
define(np.pad,               lambda array, pad_width, mode="constant", constant_values=0, reflect_type="even":
                                 pad(array, pad_width, mode, constant_values, reflect_type))
define(np.append,            lambda arr, values, axis=None: np.concatenate([arr, values], axis))
moving(np.fliplr, np.flipud, np.rot90, np.rollaxis, np.repeat, np.tile, np.resize, np.diag, np.diagflat, np.diagonal)
moving(np.take, np.take_along_axis, np.delete, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.unstack)
moving(np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.lib.stride_tricks.sliding_window_view)
moving(np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_arrays, np.meshgrid, data=slice(None))
moving(np.compress, np.extract, data=slice(1, 2))
moving(np.insert, data=slice(0, 3, 2))
define(np.matvec,            lambda x, y: np.matmul(x, y[..., None])[..., 0])
define(np.vecmat,            lambda x, y: np.matmul(x[..., None, :], y)[..., 0, :])
define(np.dot,               lambda a, b: dot(a, b))
define(np.vdot,              lambda a, b: np.matmul(np.reshape(a, -1), np.reshape(b, -1)))
define(np.inner,             lambda a, b: a * b if not (np.ndim(a) and np.ndim(b)) else np.tensordot(a, b, (-1, -1)))
define(np.outer,             lambda a, b: np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)))
define(np.tensordot,         lambda a, b, axes=2: tensordot(a, b, axes))
define(np.einsum,            lambda subscripts, *operands: einsum(subscripts, operands))
define(np.kron,              lambda a, b: kron(a, b))
define(np.cross,             lambda a, b, axis=-1: cross(a, b, axis))
define(np.trace,             lambda a, offset=0, axis1=0, axis2=1: np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1))
# fmt: on

METHODS.update({(np.add, "reduce"): np.sum, (np.multiply, "reduce"): np.prod, (np.maximum, "reduce"): np.max})
METHODS.update({(np.minimum, "reduce"): np.min, (np.logaddexp, "reduce"): logsumexp})
METHODS.update({(np.logical_and, "reduce"): np.all, (np.logical_or, "reduce"): np.any})
METHODS.update({(np.add, "accumulate"): np.cumsum, (np.multiply, "accumulate"): np.cumprod})
METHODS.update({(np.maximum, "accumulate"): running_max, (np.minimum, "accumulate"): running_min})
METHODS.update({(np.logaddexp, "accumulate"): running_logsumexp})
