"""Words that the tables are written in."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.gates import regained
from minigrad.protocol import (
    DEFINITIONS,
    Array,
    Function,
    defvjp,
    entry,
    extend,
    joined,
    leaves,
    map_operand,
    primitive,
    register_like,
)

broadcasting = partial(defvjp, broadcasts=True)


@primitive
def power_of_two(x: Any, axis: Any = None) -> Any:
    """The power of two just below the largest magnitude: dividing by it is exact."""
    return np.ldexp(np.ones((), x.dtype), np.frexp(np.max(np.abs(x), axis=axis, keepdims=True, initial=0))[1] - 1)


defvjp(power_of_two, None)


def in_range(function: Function, x: Any, axis: Any, keepdims: bool, **rest: Any) -> Any:
    """``function(x)``, which grows as `x` does, such as a norm, also where the squares in it leave the range."""
    with np.errstate(over="ignore", under="ignore"):
        ans = function(x, axis=axis, keepdims=keepdims, **rest)
    info = np.finfo(ans.dtype)
    if np.all((ans > np.sqrt(info.tiny) / info.eps) & (ans < np.inf)):
        return ans
    x = np.astype(x, ans.dtype)
    scale = power_of_two(x, axis=axis)  # by which, in the range, no bit changes
    return np.reshape(function(x / scale, axis=axis, keepdims=True, **rest) * scale, np.shape(ans))[()]


def nonzero(x: Any) -> Any:
    """`x` with 1 in place of 0, to divide by."""
    return np.where(x == 0, 1, x)


def array_of(x: Any) -> Any:
    """A number or a list, in which there may be Arrays, as an array."""
    x = joined(x)
    return x if isinstance(x, Array) else np.asarray(x)


def cast(x: Any, a: Any) -> Any:
    """`x` in the dtype of `a`."""
    return x if getattr(x, "dtype", a.dtype) == a.dtype else x.astype(a.dtype)


def of_dtype(*functions: Function) -> None:
    """Functions of one array that also take the dtype to compute in, which the result has too."""

    def typed(function: Function, a: Any, dtype: Any, **rest: Any) -> Any:
        ans = function(np.astype(a, np.dtype(dtype)), **rest)
        return ans if ans.dtype == dtype else np.astype(ans, np.dtype(dtype))

    for function in functions:
        extend(function, "dtype", partial(typed, function))


def spread(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction's cotangent, repeated for each entry that was reduced."""
    return np.broadcast_to(regained(g, axis_in(a, axis), keepdims), np.shape(a))


def axis_in(a: Any, axis: Any) -> Any:
    """The axis; all there are of an array without axes, which NumPy reduces along any."""
    return axis if np.ndim(a) else None


def count(a: Any, axis: Any) -> int:
    """How many entries of `a` are reduced into one."""
    shape = np.shape(a)
    return math.prod(shape if axis is None else (shape[i] for i in leaves([axis])))


def freedom(a: Any, axis: Any, ddof: float) -> float:
    """How many entries of `a` are left of one reduction besides those in `ddof`; NaN where there are none."""
    return max(count(a, axis) - ddof, 0) or math.nan


@primitive
def unit(x: Any, *, axis: Any) -> Any:
    """``x / norm(x)``, and 0 for the zero vector; scaled by a power of two, so that no square overflows."""
    x = x / power_of_two(x, axis=axis)
    return x / np.sqrt(nonzero(np.sum(x * x, axis=axis, keepdims=True)))


def unit_dx(g: Any, ans: Any, x: Any, axis: Any) -> Any:
    """``(g - ans * sum(ans * g)) / norm(x)``, of which each entry leaves out its own part, which would cancel."""
    (u, restore), (v, _) = merged(ans, axis), merged(g, axis)
    scale = power_of_two(x, axis=axis)
    size = scale * np.sqrt(np.sum((x / scale) ** 2, axis=axis, keepdims=True))
    return restore(v * rest(u * u) - u * rest(u * v)) / nonzero(size)


def rest(a: Any) -> Any:
    """Along the last axis, for each entry the sum of all others."""
    none = np.zeros_like(a[..., :1])
    before = np.cumsum(np.concatenate([none, a[..., :-1]], axis=-1), axis=-1)
    after = np.cumsum(np.concatenate([none, a[..., :0:-1]], axis=-1), axis=-1)
    return before + after[..., ::-1] if np.shape(a)[-1] else a


defvjp(unit, unit_dx)


def merged(a: Any, axis: Any) -> tuple[Any, Function]:
    """The array with the reduced axes merged into one at the end, and the way back."""
    shape, ndim = np.shape(a), np.ndim(a)
    axes = [i % ndim for i in (range(ndim) if axis is None else leaves([axis]))]
    order = [*(i for i in range(ndim) if i not in axes), *axes]
    moved = np.transpose(a, order)
    flat = np.reshape(moved, (*np.shape(moved)[: ndim - len(axes)], math.prod(shape[i] for i in axes)))
    return flat, lambda b: np.transpose(np.reshape(b, np.shape(moved)), inverse(order))


def inverse(axes: Any) -> Any:
    """The permutation that undoes ``np.transpose(a, axes)``."""
    return None if axes is None else tuple(int(i) for i in np.argsort([axis % len(axes) for axis in axes]))


def vecdot_along(x: Any, y: Any, axis: int) -> Any:
    """``np.vecdot`` along another axis than the last."""
    return np.vecdot(np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1))


def moving(*functions: Function, data: slice = slice(1)) -> None:
    """Functions that only move the entries of some operands: where to, they tell by moving numbered places."""
    for function in functions:
        register_like(function, function)
        DEFINITIONS[function] = partial(move, function, data)


def move(function: Function, data: slice, *operands: Any, **parameters: Any) -> Any:
    """Apply a function that moves numbers to their places, numbered from 1, and fetch the numbers; 0 stands for a 0."""
    if function is np.take and isinstance(operands[1], Array):
        return taken(*operands, **parameters)
    chosen = range(len(operands))[data]
    arrays = [leaf for i in chosen for leaf in leaves(operands[i])]
    ends = np.cumsum([0, *(np.size(array) for array in arrays)]).tolist()
    places = iter(
        np.arange(1, ends[-1] + 1)[s:e].reshape(np.shape(x)) for s, e, x in zip(ends, ends[1:], arrays, strict=False)
    )
    numbered = [map_operand((lambda _: next(places)) if i in chosen else told, x) for i, x in enumerate(operands)]
    moved = function(*numbered, **parameters)
    flat = [np.reshape(array, -1) for array in arrays]
    filled = any(isinstance(place, Array) or np.any(place == 0) for place in leaves(moved))
    if filled:
        flat.insert(0, np.zeros(1, np.result_type(*arrays)))
    source = flat[0] if len(flat) == 1 else np.concatenate(flat)
    return map_operand(lambda place: source[place if filled else place - 1], moved)


def told(x: Any) -> Any:
    """What says where to: without its derivative, which is zero."""
    while isinstance(x, Array) and x.expands:
        x = x.value
    return x


def taken(a: Any, indices: Any, axis: Any = None, mode: str = "raise") -> Any:
    """Entries by indices that are computed while staging, which NumPy does not ask whether they take over a call."""
    if mode != "raise":
        raise UnsupportedError(f"take: mode {mode!r} is for plain indices; bring these into the range before")
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return entry(a, (slice(None),) * (axis % np.ndim(a)) + (indices,))
