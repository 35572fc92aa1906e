"""Functions that move numbers: shape, place, joining, cutting, indexing."""

from __future__ import annotations

import math
import operator
from functools import partial
from typing import Any

import numpy as np

from minigrad.errors import UnsupportedError
from minigrad.protocol import (
    Function,
    define,
    defvjp,
    entry,
    extend,
    index_add,
    index_set,
    innermost,
    joined,
    map_operand,
    primitive,
)
from minigrad.rules.common import array_of, broadcasting, cast, inverse, move, moving


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


def sent_back(parts: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """The parts of a gradient for what was written to an index: none for what another was written over."""
    return parts * last_set(index, shape=shape, count=np.shape(parts))


def order_of(order: Any, a: Any) -> Any:
    """The order in which the entries of `a` are read, which it decides itself for "A"."""
    return ("F" if a.flags.fnc else "C") if order == "A" else order


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


def ravel(a: Any, order: Any = "C") -> Any:
    if order == "K":
        raise UnsupportedError("ravel: order='K' is that of the memory, which copies do not keep; use 'C' or 'F'")
    return np.reshape(a, -1, order=order)


def sort(a: Any, axis: int | None = -1, **order: Any) -> Any:
    return ordered(partial(np.argsort, **order), a, axis)


def partition(a: Any, kth: Any, axis: int | None = -1, **order: Any) -> Any:
    return ordered(partial(np.argpartition, kth=kth, **order), a, axis)


def ordered(argorder: Function, a: Any, axis: int | None) -> Any:
    a, axis = (np.reshape(a, -1), 0) if axis is None else (a, axis)
    return np.take_along_axis(a, argorder(a, axis=axis), axis)


def joined_as(function: Function) -> Function:
    """A joining function that also says of which dtype the result is."""

    def typed(arrays: Any, dtype: Any = None, casting: Any = "same_kind", **rest: Any) -> Any:
        ans = function(arrays, **rest)
        dtype = ans.dtype if dtype is None else np.dtype(dtype)
        if not all(np.can_cast(x.dtype, dtype, casting) for x in map(innermost, arrays) if hasattr(x, "dtype")):
            raise TypeError(f"{function.__name__}: the arrays cannot be cast to {dtype} under casting={casting!r}")
        return np.astype(ans, dtype)

    return typed


def hstack(tup: Any) -> Any:
    arrays = [np.atleast_1d(joined(x)) for x in tup]
    return np.concatenate(arrays, axis=0 if np.ndim(arrays[0]) == 1 else 1)


def append(arr: Any, values: Any, axis: Any = None) -> Any:
    return np.concatenate(
        [np.reshape(arr, -1), np.reshape(values, -1)] if axis is None else [arr, values], axis=axis or 0
    )


def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(x, shape) for x in args)


def meshgrid(*xi: Any, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}; give 'xy' or 'ij'")
    n = len(xi)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else [*range(n)]
    grids = [np.reshape(x, [-1 if i == k else 1 for i in range(n)]) for k, x in zip(order, xi, strict=True)]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr = array_of(arr)
    values = cast(array_of(values), arr)
    return move(np.insert, slice(0, 3, 2), arr, obj, values, axis=axis)


def like(values: Any, part: Any) -> Any:
    """A gradient with as many axes as `values`, which NumPy writes without those of length 1 in front."""
    return np.reshape(part, (*(1,) * (np.ndim(values) - np.ndim(part)), *np.shape(part)))


def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    fill = np.astype(array_of(fill_value), a.dtype if dtype is None else np.dtype(dtype))
    return np.copy(np.broadcast_to(fill, np.shape(a) if shape is None else shape))


STATISTICS: dict[str, Function] = {"maximum": np.max, "mean": np.mean, "median": np.median, "minimum": np.min}
"""The modes of `np.pad` that put what they make of the first or last entries along an axis."""


def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    if mode == "linear_ramp" or mode in STATISTICS:
        given = {} if constant_values is None else {"constant_values": constant_values}
        return pad_with_new_numbers(array, pad_width, mode, **given)
    if callable(mode) or mode == "empty":
        raise UnsupportedError(
            "pad: a function as mode writes into the array, and 'empty' says nothing; name another mode"
        )
    ans = move(partial(np.pad, mode=mode), slice(1), array, pad_width)
    if constant_values is None:
        return ans
    if mode != "constant":
        raise ValueError(f"pad: mode {mode!r} takes no constant_values")
    # Which of the constants, one before and one after along each axis, stands where; 0 where none does.
    constants = np.reshape(np.broadcast_to(array_of(constant_values), (np.ndim(array), 2)), -1)
    numbers = np.arange(1, np.size(constants) + 1).reshape(-1, 2)
    places = np.pad(np.zeros(np.shape(array), int), pad_width, constant_values=numbers)
    return np.where(places == 0, ans, cast(constants, array)[places - 1]) if np.size(constants) else ans


def pad_with_new_numbers(array: Any, pad_width: Any, mode: Any = "constant", **how: Any) -> Any:
    """Along one axis after the other, as NumPy does it: by a statistic, a ramp, or a reflection at a point."""
    array = array_of(array)
    plain = {name: map_operand(innermost, value) for name, value in how.items()}
    np.pad(np.zeros(array.shape), pad_width, mode, **plain)  # refuses what NumPy refuses
    if not array.size:
        return np.pad(array, pad_width)
    if mode in ("reflect", "symmetric") and how.get("reflect_type") != "odd":
        return np.pad(array, pad_width, mode)
    n = array.ndim
    if isinstance(pad_width, dict):
        named = {axis % n: pair for axis, pair in pad_width.items()}
        pad_width = [np.broadcast_to(named.get(axis, 0), 2) for axis in range(n)]
    ends = np.broadcast_to(array_of(how.get("end_values", 0)), (n, 2))
    lengths = np.broadcast_to(np.array(how.get("stat_length"), object), (n, 2))
    for axis, (before, after) in enumerate(np.broadcast_to(pad_width, (n, 2)).tolist()):
        x = np.moveaxis(array, axis, 0)
        if mode in STATISTICS:
            parts = statistics(x, STATISTICS[mode], lengths[axis])
            parts = [np.broadcast_to(y, (k, *y.shape[1:])) for y, k in zip(parts, (before, after), strict=True)]
        elif mode == "linear_ramp":
            sides = ((x[:1], before), (x[-1:], after))
            left, right = (ramp(end, edge, k) for end, (edge, k) in zip(cast(ends[axis], x), sides, strict=True))
            parts = [left, right[::-1]]
        else:
            parts = reflections(x, before, after, skipped=int(mode == "reflect"))
        array = np.moveaxis(np.concatenate([parts[0], x, parts[1]]), 0, axis)
    return array


def statistics(x: Any, of: Function, lengths: Any) -> list[Any]:
    """What a statistic makes of the first entries, and of the last."""
    first, last = (len(x) if k is None else min(k, len(x)) for k in lengths)
    return [of(x[:first], axis=0, keepdims=True), of(x[len(x) - last :], axis=0, keepdims=True)]


def ramp(end: Any, edge: Any, count: int) -> Any:
    """From a number up to an edge, which it does not reach."""
    places = np.arange(count, dtype=edge.dtype).reshape(-1, *(1,) * (np.ndim(edge) - 1))
    return places * ((edge - end) / max(count, 1)) + end


def reflections(x: Any, before: int, after: int, skipped: int) -> list[Any]:
    """What a reflection at the first entry puts before, and one at the last puts after, over and over again."""
    length, inner = len(x), len(x) - skipped
    if not inner:
        return [np.repeat(x, before, 0), np.repeat(x, after, 0)]
    whole, left, right = x, before, after
    while left or right:
        # Once more as much as there is, in whole periods.
        most = (len(whole) - skipped) // inner * inner
        k, m, n = min(left, most), min(right, most), len(whole) - skipped
        mirrored = [2 * whole[:1] - whole[skipped : skipped + k][::-1], 2 * whole[-1:] - whole[n - m : n][::-1]]
        whole, left, right = np.concatenate([mirrored[0], whole, mirrored[1]]), left - k, right - m
    return [whole[:before], whole[before + length :]]


# fmt: off
broadcasting(np.broadcast_to, lambda g, ans, array, shape: g)
defvjp(np.reshape,           lambda g, ans, a, shape, order="C": np.reshape(g, np.shape(a), order=order_of(order, a)))
defvjp(np.transpose,         lambda g, ans, a, axes=None: np.transpose(g, inverse(axes)))
defvjp(np.swapaxes,          lambda g, ans, a, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.moveaxis,          lambda g, ans, a, source, destination: np.moveaxis(g, destination, source))
defvjp(np.expand_dims,       lambda g, ans, a, axis: np.reshape(g, np.shape(a)))
defvjp(np.squeeze,           lambda g, ans, a, axis=None: np.reshape(g, np.shape(a)))
defvjp(np.flip,              lambda g, ans, m, axis=None: np.flip(g, axis))
defvjp(np.roll,              lambda g, ans, a, shift, axis=None: np.roll(g, np.negative(shift), axis), None)
defvjp(np.tril,              lambda g, ans, m, k=0: np.tril(g, k), broadcasts=True)
defvjp(np.triu,              lambda g, ans, m, k=0: np.triu(g, k), broadcasts=True)
defvjp(np.concatenate,       lambda g, ans, arrays, axis=0: split(g, arrays, axis))
defvjp(np.stack,             lambda g, ans, arrays, axis=0: unstack(g, arrays, axis))
defvjp(operator.getitem,     lambda g, ans, a, index: scatter(g, index, shape=np.shape(a)), None)
defvjp(scatter,              lambda g, ans, values, index, shape: entry(g, index), None)
broadcasting(index_set,      lambda g, ans, x, index, values: index_set(g, index, 0), None,
                             lambda g, ans, x, index, values:
                                 like(values, sent_back(entry(g, index), index, np.shape(g))))
broadcasting(index_add,      lambda g, ans, x, index, values: g, None,
                             lambda g, ans, x, index, values: entry(g, index))
define(np.ravel,             ravel)
define(np.matrix_transpose,  lambda x: np.swapaxes(x, -1, -2))
define(np.sort,              sort)
define(np.partition,         partition)
define(np.full_like,         lambda a, fill_value: full_like(a, fill_value))
define(np.pad,               pad)
extend(np.pad,               "stat_length end_values reflect_type", pad_with_new_numbers)
define(np.append,            append)
define(np.broadcast_arrays,  broadcast_arrays)
define(np.meshgrid,          meshgrid)
moving(np.fliplr, np.flipud, np.rot90, np.rollaxis, np.repeat, np.tile, np.resize, np.diag, np.diagflat, np.diagonal)
moving(np.take, np.take_along_axis, np.delete, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.unstack)
moving(np.dstack, np.column_stack, np.block, np.lib.stride_tricks.sliding_window_view)
moving(np.atleast_1d, np.atleast_2d, np.atleast_3d, data=slice(None))
moving(np.compress, np.extract, data=slice(1, 2))
define(np.vstack,            lambda tup: np.concatenate([np.atleast_2d(joined(x)) for x in tup]))
define(np.hstack,            hstack)
define(np.insert,            insert)
extend(np.sort,              "kind stable", sort)
extend(np.partition,         "kind", partition)
extend(np.concatenate,       "dtype casting", joined_as(np.concatenate))
extend(np.stack,             "dtype casting", joined_as(np.stack))
extend(np.vstack,            "dtype casting", joined_as(np.vstack))
extend(np.hstack,            "dtype casting", joined_as(np.hstack))
extend(np.full_like,         "dtype shape", full_like)
extend(np.reshape,           "copy", lambda a, shape, copy, **rest: np.reshape(a, shape, **rest))
extend(np.copy,              "order", lambda a, order: np.copy(a))
extend(np.astype,            "copy", lambda x, dtype, copy: np.astype(x, dtype))
# fmt: on
