"""Functions on arrays of Jets that reduce, put in order or scan, and those that leave NaN out."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from flint import arb

from oracles.exact.jets import Jet, UndecidedError, constant, floored, jet, jets


def asked(question: Callable[[Jet], bool]) -> Callable[[Any], Any]:
    """A question about single numbers as one about arrays."""
    each = np.frompyfunc(lambda x: question(jet(x)), 1, 1)
    return lambda x: np.asarray(each(x), bool)


isnan, isinf, isfinite = asked(Jet.isnan), asked(Jet.isinf), asked(Jet.isfinite)


def definite(a: Any) -> Any:
    """The array, if it can be put in order."""
    if np.any(isnan(a)):
        raise UndecidedError("a NaN has no place in the order")
    return a


# The larger and the smaller.


def either(first: Callable[[Jet, Jet], bool]) -> Any:
    """A function that chooses one of two numbers; where they are too close to choose, all that both may be."""

    def chosen(x: Any, y: Any) -> Any:
        x, y = jet(x), jet(y)
        try:
            return x if first(x, y) else y
        except UndecidedError:
            return x.hull(y)

    return np.frompyfunc(chosen, 2, 1)


# Of a number and NaN, the first two choose NaN, the other two the number.
maximum, minimum = either(lambda x, y: x >= y or x.isnan()), either(lambda x, y: x <= y or x.isnan())
fmax, fmin = either(lambda x, y: x >= y or y.isnan()), either(lambda x, y: x <= y or y.isnan())


def clip(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    a = a if a_min is None else maximum(a, a_min)
    return a if a_max is None else minimum(a, a_max)


def merged(a: Any, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """The reduced entries along the last axis, and the shape of the result."""
    a = np.asarray(a, object)
    axes = tuple(range(a.ndim)) if axis is None else tuple(i % a.ndim for i in np.atleast_1d(axis))
    kept = [n for i, n in enumerate(a.shape) if i not in axes]
    count = math.prod(a.shape[i] for i in axes)
    entries = np.moveaxis(a, axes, range(-len(axes), 0)).reshape((*kept, count)) if axes else a[..., None]
    return entries, [1 if i in axes else n for i, n in enumerate(a.shape)] if keepdims else kept


def extreme(chosen: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    entries, shape = merged(a, axis, keepdims)
    return np.reshape(chosen.reduce(entries, axis=-1), shape)


largest, smallest = partial(extreme, maximum), partial(extreme, minimum)


def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return largest(a, axis, keepdims) - smallest(a, axis, keepdims)


# Means.


def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        axes = [i % np.ndim(a) for i in np.atleast_1d(axis)]
        weights = np.transpose(weights, np.argsort(axes))
        weights = np.expand_dims(weights, [i for i in range(np.ndim(a)) if i not in axes])
    total = np.sum(np.multiply(a, 0) + weights, axis=axis, keepdims=keepdims)
    return np.sum(np.multiply(a, weights), axis=axis, keepdims=keepdims) / total


def var(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    away = a - np.mean(a, axis=axis, keepdims=True)
    total = np.sum(away * away, axis=axis, keepdims=keepdims)
    return total / (np.size(a) // max(np.size(total), 1) - ddof)


def standard_deviation(*args: Any, **kwargs: Any) -> Any:
    return np.sqrt(var(*args, **kwargs))


# Order.


def quantile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Between the neighbours in order of the place that `q` is; the axes of `q` come first."""
    entries, shape = merged(definite(a), axis, keepdims)
    entries = np.sort(entries, axis=-1)
    parts = []
    for each in np.ravel(q):
        place = jet(each) * (entries.shape[-1] - 1)
        below = floored(place)
        low, high = entries[..., below], entries[..., min(below + 1, entries.shape[-1] - 1)]
        parts.append(np.reshape(low + (high - low) * (place - below), shape))
    return np.reshape(np.array(parts, object), (*np.shape(q), *shape))


def percentile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return quantile(a, jets(q) / 100, axis, keepdims)


def in_order(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy that compares numbers, for arrays without a NaN."""
    return lambda a, *args, **kwargs: function(definite(a), *args, **kwargs)


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    side: Any = "left" if right else "right"
    if np.all(np.diff(bins) >= 0):
        return np.searchsorted(bins, x, side)
    return len(bins) - np.searchsorted(bins[::-1], x, side)


# Sums of exponentials.


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Shifted by a number near the largest: any will do."""
    x = jets(x)
    shift = largest(middles(x), axis, True)
    ans = shift + np.log(jets(np.sum(np.exp(x - shift), axis=axis, keepdims=True)))
    return ans if keepdims else np.squeeze(ans, axis=axis)


middles = np.frompyfunc(lambda x: constant(x.value.mid() if x.value.is_finite() else arb(0)), 1, 1)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    return x - logsumexp(x, axis, keepdims=True)


def running_logsumexp(a: Any, axis: Any = 0) -> Any:
    a = np.moveaxis(a, axis, -1)
    ans = np.empty(a.shape, object)
    for i in np.ndindex(a.shape):
        ans[i] = logsumexp(a[(*i[:-1], slice(i[-1] + 1))]).item()
    return np.moveaxis(ans, -1, axis)


# What leaves NaN out.


def without_nan(function: Callable[..., Any], instead: float) -> Callable[..., Any]:
    """A reduction or a scan with `instead` in place of every NaN."""
    return lambda a, **kwargs: function(np.where(isnan(a), instead, a), **kwargs)


def nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    numbers = np.sum(~isnan(a), axis=axis, keepdims=keepdims)
    return jets(np.sum(np.where(isnan(a), 0, a), axis=axis, keepdims=keepdims)) / numbers


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if np.any(isinf(x)) and (posinf is None or neginf is None):
        raise UndecidedError("the largest number of a dtype is no property of numbers")
    if np.any(isinf(x)):
        x = np.where(isinf(x), np.where(np.greater(x, 0), posinf, neginf), x)
    return np.where(isnan(x), nan, x)


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    close = np.asarray(np.abs(jets(a) - b) <= atol + rtol * np.abs(jets(b)), bool)
    return close | (isnan(a) & isnan(b)) if equal_nan else close


def nonzero(x: Any) -> Any:
    """As conditions, numbers are false if they are 0."""
    return np.asarray(np.not_equal(x, 0), bool)


def median(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return quantile(a, arb(1) / 2, axis, keepdims)


FORMS: dict[str, Callable[..., Any]] = {
    "all": lambda a, **kwargs: np.all(nonzero(a), **kwargs),
    "allclose": lambda a, b, **kwargs: np.all(isclose(a, b, **kwargs)),
    "amax": largest,
    "amin": smallest,
    "any": lambda a, **kwargs: np.any(nonzero(a), **kwargs),
    "argmax": in_order(np.argmax),
    "argmin": in_order(np.argmin),
    "argpartition": in_order(np.argpartition),
    "argsort": in_order(np.argsort),
    "average": average,
    "clip": clip,
    "digitize": digitize,
    "fmax": fmax,
    "fmin": fmin,
    "isclose": isclose,
    "isfinite": isfinite,
    "isinf": isinf,
    "isnan": isnan,
    "isneginf": lambda x: isinf(x) & np.less(x, 0),
    "isposinf": lambda x: isinf(x) & np.greater(x, 0),
    "logical_and": lambda x, y: nonzero(x) & nonzero(y),
    "logical_not": lambda x: ~nonzero(x),
    "logical_or": lambda x, y: nonzero(x) | nonzero(y),
    "logical_xor": lambda x, y: nonzero(x) ^ nonzero(y),
    "max": largest,
    "maximum": maximum,
    "median": median,
    "min": smallest,
    "minimum": minimum,
    "nan_to_num": nan_to_num,
    "nanargmax": without_nan(np.argmax, -np.inf),
    "nanargmin": without_nan(np.argmin, np.inf),
    "nancumprod": without_nan(np.cumprod, 1),
    "nancumsum": without_nan(np.cumsum, 0),
    "nanmax": without_nan(largest, -np.inf),
    "nanmean": nanmean,
    "nanmin": without_nan(smallest, np.inf),
    "nanprod": without_nan(np.prod, 1),
    "nansum": without_nan(np.sum, 0),
    "partition": in_order(np.partition),
    "percentile": percentile,
    "ptp": ptp,
    "quantile": quantile,
    "signbit": asked(Jet.signbit),
    "sort": in_order(np.sort),
    "std": standard_deviation,
    "var": var,
    "minigrad.log_softmax": log_softmax,
    "minigrad.logsumexp": logsumexp,
    "minigrad.running_logsumexp": running_logsumexp,
    "minigrad.running_max": lambda a, axis=0: maximum.accumulate(a, axis=axis),
    "minigrad.running_min": lambda a, axis=0: minimum.accumulate(a, axis=axis),
    "minigrad.standard_deviation": standard_deviation,
    "minigrad.softmax": lambda x, axis=-1: np.exp(log_softmax(x, axis)),
}
