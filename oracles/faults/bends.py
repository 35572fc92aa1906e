"""What goes wrong with a gradient on its way out of a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.protocol import innermost, leaves
from oracles.catalogue import tied
from oracles.faults.fault import Bend, Call
from oracles.faults.planting import pass_on

Condition = Callable[[Any, Call], Any]
"""``condition(operand, call)``: a mask over the operand's entries."""

Situation = Callable[[Any, Call], bool]
"""``situation(operand, call)``: whether the fault shows in this call."""


def scaled(v: Any, factor: float) -> Any:
    return v * np.asarray(factor, v.dtype)


def by_factor(factor: float) -> Bend:
    return lambda v, x, call: scaled(v, factor)


def where(condition: Condition, spoil: Callable[[Any], Any]) -> Bend:
    """Wrong for some of the operand's entries."""

    def bend(v: Any, x: Any, call: Call) -> Any:
        mask = np.asarray(condition(np.asarray(x), call))
        return np.where(mask, spoil(v), v) if mask.any() else v

    return bend


def when(situation: Situation, spoil: Callable[[Any], Any]) -> Bend:
    """Wrong in some calls."""
    return lambda v, x, call: spoil(v) if situation(np.asarray(x), call) else v


def off(v: Any) -> Any:
    """Wrong however small or large the gradient is."""
    return 2 * v + 1


def doubled(v: Any) -> Any:
    return 2 * v


def nan(v: Any) -> Any:
    return v * np.asarray(np.nan, v.dtype)


def refused(v: Any) -> Any:
    raise ZeroDivisionError("division by zero")


# Conditions on entries.


def is_zero(x: Any, call: Call) -> Any:
    return x == 0


def is_negative(x: Any, call: Call) -> Any:
    return x < 0


def is_tied(x: Any, call: Call) -> Any:
    """Whether an entry equals that of the other operand."""
    return tied(x, np.asarray(innermost(call.operands[1 - call.place])))


def is_extreme(x: Any, call: Call) -> Any:
    """Whether an entry of a reduction's operand attains its extreme, and another one too."""
    axis = call.parameters.get("axis")
    attained = x == (np.asarray(innermost(call.ans)) if axis is None else as_wide(call, axis))
    return attained & (np.sum(attained, axis=axis, keepdims=True) > 1)


def as_wide(call: Call, axis: Any) -> Any:
    ans = np.asarray(innermost(call.ans))
    return ans if call.parameters.get("keepdims") else np.expand_dims(ans, axis)


def beyond(largest: Callable[[Any], float]) -> Condition:
    """Whether a formula would overflow: `largest` is the last number that it takes, from the dtype's largest."""
    return lambda x, call: np.abs(x) > largest(np.finfo(x.dtype).max)


def next_to(edge: float) -> Condition:
    """Whether an entry is one of the few floats before an edge of the domain."""

    def condition(x: Any, call: Call) -> Any:
        unit = float(np.finfo(x.dtype).eps) * abs(edge) if edge else float(np.finfo(x.dtype).tiny)
        return (x != edge) & (np.abs(x - np.asarray(edge, x.dtype)) <= 4 * unit)

    return condition


# Situations.


def of_dtype(name: str) -> Situation:
    return lambda x, call: str(x.dtype) == name


def without_axes(x: Any, call: Call) -> bool:
    return bool(np.shape(x) == ())


def has_no_entries(x: Any, call: Call) -> bool:
    return 0 in np.shape(x)


def has_axis_of_1(x: Any, call: Call) -> bool:
    return 1 in x.shape


def meets_vector(x: Any, call: Call) -> bool:
    return 1 in [np.ndim(innermost(leaf)) for operand in call.operands for leaf in leaves(operand)]


def is_scattered(x: Any, call: Call) -> bool:
    """Whether a matrix, or the cotangent of one, does not lie in memory row by row."""
    arrays = [np.asarray(innermost(a)) for a in (x, call.g) if a is not None]
    return not all(a.flags.c_contiguous for a in arrays)


def has_negative_axis(x: Any, call: Call) -> bool:
    axes = [v for k, v in call.parameters.items() if k.startswith("axis") or k in ("source", "destination")]
    return any(isinstance(i, int) and i < 0 for i in leaves(axes))


def repeats_index(x: Any, call: Call) -> bool:
    index = call.operands[1] if len(call.operands) > 1 else None
    places = [np.asarray(i) for i in leaves(index) if isinstance(i, np.ndarray)]
    return any(p.dtype.kind == "i" and np.unique(p).size < p.size for p in places)


# Shapes.


def stretched_axes(v: Any, x: Any) -> tuple[int, ...]:
    """The axes of a gradient along which its operand was repeated."""
    new = np.ndim(v) - np.ndim(x)
    return tuple(i for i, n in enumerate(np.shape(v)) if i < new or (np.shape(x)[i - new] == 1 and n != 1))


def not_summed(v: Any, x: Any, call: Call) -> Any:
    """Of the gradients along a broadcast axis, the first alone."""
    axes = stretched_axes(v, x)
    if not axes or 0 in np.shape(v):
        return v
    return np.reshape(v[tuple(slice(1) if i in axes else slice(None) for i in range(np.ndim(v)))], np.shape(x))


def averaged(v: Any, x: Any, call: Call) -> Any:
    axes = stretched_axes(v, x)
    return np.reshape(np.mean(v, axis=axes), np.shape(x)) if axes and 0 not in np.shape(v) else v


def summed_elsewhere(v: Any, x: Any, call: Call) -> Any:
    """Summed over an axis as long as the broadcast one."""
    shape, axes = np.shape(v), stretched_axes(v, x)
    others = [i for i in range(len(shape)) if i not in axes and len(axes) == 1 and shape[i] == shape[axes[0]]]
    return np.reshape(np.sum(v, axis=others[0]), np.shape(x)) if others else v


def transposed(v: Any, x: Any, call: Call) -> Any:
    """The last two axes swapped, where that does not change the shape."""
    shape = np.shape(v)
    return np.swapaxes(v, -1, -2) if len(shape) > 1 and shape[-1] == shape[-2] else v


# Precision, and the second time.


def downcast(v: Any, x: Any, call: Call) -> Any:
    return np.astype(np.astype(v, np.float32), v.dtype) if v.dtype == np.float64 else v


def slope_bent(bend: Callable[[Any], Any]) -> Bend:
    """Right, but with a derivative that is not."""
    return lambda v, x, call: pass_on(v, lambda g, _: bend(as_float(g)))


def as_float(g: Any) -> Any:
    return g if hasattr(g, "dtype") else np.asarray(g)


def now_and_then() -> Bend:
    """Off by a rounding unit in every other call or so: within the noise, but not the same twice."""
    random = np.random.default_rng(0)

    def bend(v: Any, x: Any, call: Call) -> Any:
        return scaled(v, 1 + float(np.finfo(v.dtype).eps)) if random.integers(2) else v

    return bend
