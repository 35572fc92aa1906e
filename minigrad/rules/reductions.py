"""Reductions and scans, with any ``axis``, ``keepdims``, ``where`` and ``initial``."""

from __future__ import annotations

import math
from functools import partial, reduce
from typing import Any

import numpy as np

from minigrad.gates import logsumexp, regained
from minigrad.protocol import MASKED, METHODS, Function, define, defvjp, primitive
from minigrad.rules.common import count, merged, spread, unit
from minigrad.rules.elementwise import without_nan


def extremes(g: Any, ans: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """`g` shared evenly among the entries that attain the extreme."""
    attained = np.astype(a == regained(ans, axis, keepdims), a.dtype)
    return attained * (regained(g, axis, keepdims) / np.sum(attained, axis=axis, keepdims=True))


def others(a: Any) -> Any:
    """Along the last axis, for each entry the product of all others; zeros need no division."""
    first = np.ones_like(a[..., :1])
    before = np.cumprod(np.concatenate([first, a[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([first, a[..., :0:-1]], axis=-1), axis=-1)
    return before * after[..., ::-1] if np.shape(a)[-1] else a


def prod_da(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    flat, restore = merged(a, axis)
    return spread(g, a, axis, keepdims) * restore(others(flat))


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


def masked_mean(function: Function, a: Any, axis: Any = None, where: Any = True, keepdims: bool = False) -> Any:
    numbers = np.astype(np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=keepdims), a.dtype)
    return np.sum(np.where(where, a, 0), axis=axis, keepdims=keepdims) / numbers


def masked_var(
    function: Function, a: Any, axis: Any = None, where: Any = True, ddof: float = 0, keepdims: bool = False
) -> Any:
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
        weights = np.moveaxis(
            np.broadcast_to(weights, (*np.shape(a)[:axis], *np.shape(a)[axis:][1:], np.size(weights))), -1, axis
        )
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


# fmt: off
defvjp(np.sum,               lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims))
defvjp(np.mean,              lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims) / count(a, axis))
defvjp(np.max,               lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
defvjp(np.min,               lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
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
MASKED.update({np.sum: partial(masked, np.sum, 0, np.add), np.prod: partial(masked, np.prod, 1, np.multiply)})
MASKED.update({np.max: partial(masked, np.max, -np.inf, np.maximum), np.min: partial(masked, np.min, np.inf, np.minimum)})
MASKED.update({np.any: partial(masked, np.any, False, np.logical_or), np.all: partial(masked, np.all, True, np.logical_and)})
MASKED.update({np.mean: partial(masked_mean, np.mean), np.var: partial(masked_var, np.var), np.std: partial(masked_var, np.std)})
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
METHODS.update({(np.add, "reduce"): np.sum, (np.multiply, "reduce"): np.prod, (np.maximum, "reduce"): np.max})
METHODS.update({(np.minimum, "reduce"): np.min, (np.logaddexp, "reduce"): logsumexp})
METHODS.update({(np.logical_and, "reduce"): np.all, (np.logical_or, "reduce"): np.any})
METHODS.update({(np.add, "accumulate"): np.cumsum, (np.multiply, "accumulate"): np.cumprod})
METHODS.update({(np.maximum, "accumulate"): running_max, (np.minimum, "accumulate"): running_min})
METHODS.update({(np.logaddexp, "accumulate"): running_logsumexp})
# fmt: on
