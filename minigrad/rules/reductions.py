"""Reductions and scans, with any ``axis``, ``keepdims``, ``where`` and ``initial``."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from minigrad.gates import logsumexp, regained
from minigrad.protocol import METHODS, Array, Function, define, defvjp, extend, innermost, joined, leaves, primitive
from minigrad.rules.common import (
    array_of,
    axis_in,
    cast,
    count,
    freedom,
    in_range,
    merged,
    nonzero,
    of_dtype,
    power_of_two,
    spread,
    unit,
)


def extremes(g: Any, ans: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    """`g` shared evenly among the entries that attain the extreme."""
    axis = axis_in(a, axis)
    attained = a == regained(ans, axis, keepdims)
    number = np.sum(np.astype(attained, a.dtype), axis=axis, keepdims=True)
    # Not times a mask: what does not attain it has no part in it, whatever `g` is.
    return np.where(attained, regained(g, axis, keepdims) / nonzero(number), 0)


@primitive
def balance(a: Any) -> Any:
    """Exponents `e` such that along the last axis no product of the first ``ldexp(a, -e)`` but 0 is far from 1."""
    sizes = np.log2(np.abs(np.where(np.isfinite(a) & (a != 0), a, 1)), dtype=float)
    return np.astype(np.diff(np.rint(np.cumsum(sizes, axis=-1)), axis=-1, prepend=0), int)


def others(a: Any) -> Any:
    """Along the last axis, for each entry the product of all others; zeros need no division."""
    exponents = balance(a)
    a = np.ldexp(a, -exponents)
    first = np.ones_like(a[..., :1])
    before = np.cumprod(np.concatenate([first, a[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([first, a[..., :0:-1]], axis=-1), axis=-1)
    ans = before * after[..., ::-1] if np.shape(a)[-1] else a
    return np.ldexp(ans, np.sum(exponents, axis=-1, keepdims=True) - exponents)


def prod_da(g: Any, a: Any, axis: Any, keepdims: bool) -> Any:
    flat, restore = merged(a, axis_in(a, axis))
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


def forwards(a: Any, b: Any) -> Any:
    """The solution of ``s[j] = b[j] + a[j - 1] * s[j - 1]``."""
    before = np.concatenate([0 * a[..., :1], a[..., :-1]], axis=-1)
    return recurrence(before[..., ::-1], b[..., ::-1])[..., ::-1]


def scan_rule(rule: Function) -> Function:
    """The vjp of a scan from its rule along the last axis."""

    def vjp(g: Any, ans: Any, a: Any, axis: Any = None) -> Any:
        if axis is None:
            return np.reshape(rule(g, ans, np.reshape(a, -1)), np.shape(a))
        return np.moveaxis(rule(*(np.moveaxis(each, axis, -1) for each in (g, ans, a))), -1, axis)

    return vjp


@primitive
def scales_ahead(g: Any, a: Any, exponents: Any) -> Any:
    """For each entry, the exponent of the largest ``g[j]`` times the product up to `j`, of all `j` from there on.

    A `g` of 0 counts as small beside others, and so does what lies beyond an entry of 0, but not as nothing:
    derivatives with respect to both have to fit in as well.
    """
    small = np.finfo(g.dtype).minexp // 2
    beyond = small * np.cumsum(a == 0, axis=-1)
    sizes = np.where(g == 0, small * np.any(g != 0, axis=-1, keepdims=True), np.frexp(g)[1])
    scales = sizes + np.cumsum(exponents, axis=-1) + beyond
    return np.maximum.accumulate(scales[..., ::-1], axis=-1)[..., ::-1] - beyond


def cumprod_da(g: Any, ans: Any, a: Any) -> Any:
    """``before * s``, where ``s[j] = g[j] + a[j + 1] * s[j + 1]``, in units that keep every part within the range."""
    if not np.shape(a)[-1]:
        return g
    exponents = balance(a)
    scales = scales_ahead(g, a, exponents)
    a = np.ldexp(a, -exponents)
    before = np.cumprod(np.concatenate([np.ones_like(a[..., :1]), a[..., :-1]], axis=-1), axis=-1)
    g = np.ldexp(g, np.cumsum(exponents, axis=-1) - scales)
    shrinking = np.ldexp(ahead(a, 1), ahead(scales, 1) - scales)
    return np.ldexp(before * recurrence(shrinking, g), scales - exponents)


def running_extreme_da(g: Any, ans: Any, a: Any) -> Any:
    """Each cotangent is shared evenly among the entries so far that attain the extreme."""
    attained = np.astype(a == ans, a.dtype)
    same = np.astype(ahead(ans, 1) == ans, a.dtype)
    return attained * recurrence(same, g / forwards(same, attained))


@primitive
def scale_so_far(a: Any) -> Any:
    """The running maximum along the last axis, for what does not depend on it: its derivative is none of theirs."""
    return np.maximum.accumulate(a, axis=-1)


def running_logsumexp_da(g: Any, ans: Any, a: Any) -> Any:
    """Weights relative to the largest so far: `ans` is rounded by a unit of its own size, which may be far larger."""
    largest = scale_so_far(a)
    none = ~np.isfinite(largest)
    finite = np.where(none, 0, largest)
    # Beside an infinity, finite entries weigh nothing.
    powers = np.exp(np.where(np.isinf(largest), np.where(a == largest, 0, -np.inf), a - finite))
    shrinking = np.where(none, -np.inf, finite - ahead(largest, 1, lambda end: np.full_like(end, np.inf)))
    shrinking = np.exp(np.where(largest == np.inf, 0, shrinking))
    sums = forwards(shrinking, powers)
    return powers * recurrence(shrinking, g / sums)


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
    """How far each entry is from the mean; the second step takes back what the mean's rounding left."""
    away = a - np.mean(a, axis=axis, keepdims=True)
    return away - np.mean(away, axis=axis, keepdims=True)


@primitive
def standard_deviation(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The square root of the variance, also where squares leave the range."""
    return in_range(np.std, a, axis, keepdims, ddof=ddof)


def mask_of(where: Any, a: Any) -> Any:
    """A mask in the shape of `a`."""
    where = where if isinstance(where, Array) else np.asarray(where)
    if where.dtype != bool:
        raise TypeError(f"where= has dtype {where.dtype}; give an array of bools, such as x > 0")
    return np.broadcast_to(where, np.shape(a))


def masked(function: Function, neutral: Any, join: Function) -> Function:
    """A reduction over the entries where ``where=`` holds, joined with the ``initial=`` value.

    Entries left out are `neutral`, or where that is None, as for the largest of none, the initial value.
    """

    def reduced(a: Any, axis: Any = None, keepdims: bool = False, where: Any = True, initial: Any = None) -> Any:
        if np.ndim(initial):
            raise ValueError(f"initial= has shape {np.shape(initial)}; give a single number")
        if initial is not None:
            initial = cast(initial, a)
        elif neutral is None:
            raise ValueError(f"{function.__name__}: of no entries there is none; give initial= beside where=")
        kept = a if where is True else np.where(mask_of(where, a), a, initial if neutral is None else neutral)
        if initial is not None and not np.size(a):
            return initial + np.sum(np.zeros_like(a), axis=axis, keepdims=keepdims)
        ans = function(kept, axis=axis, keepdims=keepdims)
        return ans if initial is None else join(ans, initial)

    return reduced


def masked_mean(a: Any, axis: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    total = np.sum(np.where(mask_of(where, a), a, 0), axis=axis, keepdims=keepdims)
    return total / masked_count(a, axis, keepdims, where)


def masked_var(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, **rest: Any) -> Any:
    away, number = deviations(a, axis, keepdims, **rest)
    return np.sum(away * away, axis=axis, keepdims=keepdims) / np.maximum(number - ddof, 0)


def masked_std(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, **rest: Any) -> Any:
    away, number = deviations(a, axis, keepdims, **rest)
    return np.linalg.vector_norm(away, axis=axis, keepdims=keepdims) / np.sqrt(np.maximum(number - ddof, 0))


def deviations(a: Any, axis: Any, keepdims: bool, where: Any = True, mean: Any = None) -> tuple[Any, Any]:
    """How far each entry is from the mean, 0 for those left out, and how many are not."""
    a, mean = array_of(a), masked_mean(a, axis, True, where) if mean is None else array_of(mean)
    return np.where(mask_of(where, a), a - mean, 0), masked_count(a, axis, keepdims, where)


def masked_count(a: Any, axis: Any, keepdims: bool, where: Any) -> Any:
    """The number of entries that are not left out, as a float of the mean's dtype."""
    numbers = np.sum(mask_of(where, a), axis=axis, keepdims=keepdims)
    return np.astype(numbers, a.dtype if a.dtype.kind == "f" else np.float64)


def without_nan(function: Function, instead: float) -> Function:
    """A reduction with `instead` in place of every NaN."""

    def reduced(a: Any, axis: Any = None, keepdims: bool = False, **rest: Any) -> Any:
        kept = {"keepdims": keepdims} if keepdims else {}
        return function(np.where(np.isnan(a), instead, a), axis=axis, **kept, **rest)

    return reduced


def extreme_without_nan(function: Function, instead: float) -> Function:
    """The largest or smallest of what is not NaN; of nothing but NaN it is NaN, unless there is an initial value."""
    least = without_nan(function, instead)

    def reduced(a: Any, axis: Any = None, keepdims: bool = False, **rest: Any) -> Any:
        ans = least(a, axis, keepdims, **rest)
        if rest.get("initial") is not None:
            return ans
        return np.where(np.all(np.isnan(a), axis=axis, keepdims=keepdims), np.nan, ans)

    return reduced


def nanmean(a: Any, axis: Any = None, keepdims: bool = False, where: Any = True) -> Any:
    return masked_mean(np.where(np.isnan(a), 0, a), axis, keepdims, mask_of(where, a) & ~np.isnan(a))


def corrected(function: Function) -> Function:
    """A variance or deviation under the array API's name for `ddof`."""
    return lambda a, correction, **rest: function(a, ddof=correction, **rest)


def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def step(a: Any, axis: int) -> Any:
    """The differences of neighbours along an axis."""
    a = np.moveaxis(a, axis, -1)
    return np.moveaxis(a[..., 1:] - a[..., :-1], -1, axis)


def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    if n < 0:
        raise ValueError(f"diff: n is {n}; give how many times to take differences, 0 or more")
    return reduce(lambda a, _: step(a, axis), range(n), a)


def diff_of_longer(a: Any, prepend: Any = None, append: Any = None, n: int = 1, axis: int = -1) -> Any:
    """Ends that are numbers stand for one entry along the axis."""
    if n == 0:
        return a
    one = list(np.shape(a))
    one[axis] = 1
    parts = [x if np.ndim(x) else np.broadcast_to(x, one) for x in (prepend, a, append) if x is not None]
    return np.diff(np.concatenate(parts, axis), n, axis)


def ediff1d_between(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    inner = np.ediff1d(joined(ary))
    parts = [x if x is None or x is inner else np.reshape(x, -1) for x in (to_begin, inner, to_end)]
    return np.concatenate([x for x in parts if x is not None], dtype=inner.dtype)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y, x = array_of(y), None if x is None else array_of(x)
    axis %= np.ndim(y)
    before = (slice(None),) * axis
    if x is not None:
        dx = step(x, axis) if np.ndim(x) > 1 else np.reshape(step(x, 0), (-1, *(1,) * (np.ndim(y) - axis - 1)))
    return np.sum(dx * (y[(*before, slice(1, None))] + y[(*before, slice(-1))]) / 2, axis=axis)


@primitive
def convolution(a: Any, v: Any, *, start: int, length: int) -> Any:
    """`length` entries from `start` on of the full convolution, such that each of `a` and `v` has a part in some."""
    a, v = (a, v) if np.size(a) >= np.size(v) else (v, a)
    most, least = np.size(a), np.size(v)
    if (start, length) == (least - 1, most - least + 1):
        return np.convolve(a, v, "valid")
    if length >= least:
        return np.convolve(a, v)[start : start + length]
    # Few of many: each by itself.
    turned, ends = np.ascontiguousarray(v[::-1]), range(start + 1, start + length + 1)
    return np.array([np.dot(a[max(0, n - least) : n], turned[max(0, least - n) : most + least - n]) for n in ends])


def convolution_da(g: Any, a: Any, v: Any, start: int) -> Any:
    """A window of a convolution too: with zeros put beside `g` instead, infinities would make NaN."""
    return convolution(g, v[::-1], start=np.size(v) - 1 - start, length=np.size(a))


def convolve(a: Any, v: Any, mode: str | int = "full") -> Any:
    a, v = np.reshape(a, -1), np.reshape(v, -1)
    least, most = sorted((np.size(a), np.size(v)))
    parts = {"valid": (least - 1, most - least + 1), "same": ((least - 1) // 2, most), "full": (0, least + most - 1)}
    if mode not in parts and mode not in (0, 1, 2):
        raise ValueError(f"mode is {mode!r}; give 'full', 'same' or 'valid'")
    if not least:
        raise ValueError("convolve, correlate: a and v cannot be empty; give each an entry")
    start, length = parts[mode] if isinstance(mode, str) else [*parts.values()][mode]
    return convolution(a, v, start=start, length=length)


def correlate(a: Any, v: Any, mode: str | int = "valid") -> Any:
    a, v = np.reshape(a, -1), np.reshape(v, -1)
    return convolve(a, v[::-1], mode) if np.size(a) >= np.size(v) else convolve(v, a[::-1], mode)[::-1]


def in_order(a: Any, axis: Any) -> Any:
    """The reduced entries in order, along the last axis; all of them NaN where one is."""
    entries = np.sort(merged(a, axis)[0], axis=-1)
    return np.where(np.isnan(entries[..., -1:]), np.nan, entries)


def median(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    entries = in_order(a, axis)
    n = np.shape(entries)[-1]
    ans = np.mean(entries[..., (n - 1) // 2 : n // 2 + 1], axis=-1)
    return np.reshape(ans, kept_shape(a, axis)) if keepdims else ans


def plotted(alpha: float, beta: float) -> Function:
    """The place of a quantile by the plotting position with these parameters, and not beyond the ends."""
    return lambda n, q: np.clip(n * q + (alpha + q * (1 - alpha - beta)) - 1, 0, n - 1)


# The nine methods of Hyndman and Fan, *Sample Quantiles in Statistical Packages* (1996), and NumPy's own.
PLACES_OF_ENTRIES: dict[str, Function] = {
    "lower": lambda n, q: np.floor(q * (n - 1)),
    "higher": lambda n, q: np.ceil(q * (n - 1)),
    "nearest": lambda n, q: np.rint(q * (n - 1)),
    "inverted_cdf": lambda n, q: np.maximum(np.ceil(n * q) - 1, 0),
    "closest_observation": lambda n, q: np.maximum(np.rint(n * q) - 1, 0),
}
PLACES_BETWEEN_ENTRIES: dict[str, Function] = {
    "linear": lambda n, q: q * (n - 1),
    "midpoint": lambda n, q: (np.floor(q * (n - 1)) + np.ceil(q * (n - 1))) / 2,
    "averaged_inverted_cdf": lambda n, q: np.clip((np.floor(n * q) + np.ceil(n * q) - 1) / 2, 0, n - 1),
    "interpolated_inverted_cdf": plotted(0, 1),
    "hazen": plotted(1 / 2, 1 / 2),
    "weibull": plotted(0, 0),
    "median_unbiased": plotted(1 / 3, 1 / 3),
    "normal_unbiased": plotted(3 / 8, 3 / 8),
}


def quantile(a: Any, q: Any, axis: Any = None, keepdims: bool = False, method: str = "linear") -> Any:
    """An entry, or interpolation between neighbours in order; the axes of `q` come first."""
    if method not in (methods := PLACES_OF_ENTRIES | PLACES_BETWEEN_ENTRIES):
        raise ValueError(f"quantile: method is {method!r}; give one of {', '.join(methods)}")
    plain = type(q) in (int, float) and a.dtype.kind == "f"  # which leaves the dtype to the entries
    q = q if isinstance(q, Array) else np.asarray(q)
    numbers = innermost(q)
    if np.any(numbers < 0) or np.any(numbers > 1):
        raise ValueError("q is out of range: quantiles are between 0 and 1, percentiles between 0 and 100")
    entries = in_order(a, axis)
    place = methods[method](np.shape(entries)[-1], q)
    if method in PLACES_OF_ENTRIES:
        ans = entries[..., place.astype(int)]
    else:
        below = np.floor(place)
        part = place - below
        low, high = entries[..., below.astype(int)], entries[..., np.ceil(place).astype(int)]
        up, down = (cast(part, a), cast(1 - part, a)) if plain else (part, 1 - part)
        ans = np.where(part < 0.5, low + (high - low) * up, high - (high - low) * down)
    ans = np.moveaxis(ans, [*range(-np.ndim(q), 0)], [*range(np.ndim(q))])
    return np.reshape(ans, (*np.shape(q), *kept_shape(a, axis))) if keepdims else ans


def percentile(a: Any, q: Any, axis: Any = None, keepdims: bool = False, method: str = "linear") -> Any:
    return quantile(a, q / 100 if type(q) in (int, float) else np.true_divide(q, 100), axis, keepdims, method)


def kept_shape(a: Any, axis: Any) -> tuple[int, ...]:
    """The shape of a reduction with ``keepdims``."""
    return np.shape(np.sum(np.empty(np.shape(a)), axis=axis, keepdims=True))


def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        axes = [i % np.ndim(a) for i in leaves([axis])]
        weights = np.transpose(weights, np.argsort(axes).tolist())
        weights = np.reshape(weights, [n if i in axes else 1 for i, n in enumerate(np.shape(a))])
        weights = np.broadcast_to(weights, np.shape(a))
    scale = np.sum(weights, axis=axis, keepdims=keepdims)
    if not isinstance(scale, Array) and np.any(scale == 0):
        raise ZeroDivisionError("average: the weights sum to 0; give such as do not")
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / scale


def cumulative(scan: Function, start: float) -> Function:
    """A scan as the array API has it, which may begin with the empty sum or product."""

    def scanned(x: Any, axis: Any = None, include_initial: bool = False) -> Any:
        if axis is None and np.ndim(x) > 1:
            raise ValueError("cumulative_sum and cumulative_prod need an axis for arrays with more than one")
        along = np.moveaxis(x, axis or 0, -1)
        ans = scan(along, axis=-1)
        if include_initial:
            first = np.full((*np.shape(along)[:-1], 1), start, x.dtype)
            ans = np.concatenate([first, ans], axis=-1)
        return np.moveaxis(ans, -1, axis or 0)

    return scanned


# fmt: off
defvjp(np.sum,            lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims))
defvjp(np.mean,           lambda g, ans, a, axis=None, keepdims=False: spread(g, a, axis, keepdims) / count(a, axis))
defvjp(np.max,            lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
defvjp(np.min,            lambda g, ans, a, axis=None, keepdims=False: extremes(g, ans, a, axis, keepdims))
defvjp(np.prod,           lambda g, ans, a, axis=None, keepdims=False: prod_da(g, a, axis, keepdims))
defvjp(np.var,            lambda g, ans, a, axis=None, ddof=0, keepdims=False:
                              2 / freedom(a, axis, ddof) * spread(g, a, axis, keepdims) * deviation(a, axis))
define(np.std,            lambda a, axis=None, ddof=0, keepdims=False: standard_deviation(a, axis, ddof, keepdims))
defvjp(standard_deviation, lambda g, ans, a, axis=None, ddof=0, keepdims=False:
                              spread(g, a, axis, keepdims) * unit(deviation(a / power_of_two(a, axis), axis), axis=axis)
                              / math.sqrt(freedom(a, axis, ddof)))
defvjp(np.cumsum,         lambda g, ans, a, axis=None:
                              np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis), axis), np.shape(a)))
defvjp(np.cumprod,        scan_rule(cumprod_da))
defvjp(running_max,       scan_rule(running_extreme_da))
defvjp(running_min,       scan_rule(running_extreme_da))
defvjp(running_logsumexp, scan_rule(running_logsumexp_da))
defvjp(scale_so_far,      None)
define(np.amax,           lambda a, axis=None, keepdims=False: np.max(a, axis=axis, keepdims=keepdims))
define(np.amin,           lambda a, axis=None, keepdims=False: np.min(a, axis=axis, keepdims=keepdims))
define(np.ptp,            ptp)
define(np.median,         median)
define(np.quantile,       lambda a, q, axis=None, keepdims=False: quantile(a, q, axis, keepdims))
define(np.percentile,     lambda a, q, axis=None, keepdims=False: percentile(a, q, axis, keepdims))
define(np.average,        average)
define(np.cumulative_sum, cumulative(np.cumsum, 0))
define(np.cumulative_prod, cumulative(np.cumprod, 1))
define(np.nansum,         without_nan(np.sum, 0))
define(np.nanprod,        without_nan(np.prod, 1))
define(np.nanmax,         extreme_without_nan(np.max, -np.inf))
define(np.nanmin,         extreme_without_nan(np.min, np.inf))
define(np.nancumsum,      without_nan(np.cumsum, 0))
define(np.nancumprod,     without_nan(np.cumprod, 1))
define(np.nanmean,        lambda a, axis=None, keepdims=False: nanmean(a, axis, keepdims))
define(np.diff,           diff)
define(np.ediff1d,        lambda ary: step(np.reshape(ary, -1), 0))
define(np.trapezoid,      trapezoid)
defvjp(
    convolution,
    lambda g, ans, a, v, start, length: convolution_da(g, a, v, start),
    lambda g, ans, a, v, start, length: convolution_da(g, v, a, start),
)
define(np.convolve,       convolve)
define(np.correlate,      correlate)

of_dtype(np.sum, np.prod, np.mean, np.var, np.std, np.cumsum, np.cumprod, np.cumulative_sum, np.cumulative_prod)
of_dtype(np.nansum, np.nanprod, np.nanmean, np.nancumsum, np.nancumprod)
extend(np.sum,            "where initial", masked(np.sum, 0, np.add))
extend(np.prod,           "where initial", masked(np.prod, 1, np.multiply))
extend(np.max,            "where initial", masked(np.max, None, np.maximum))
extend(np.min,            "where initial", masked(np.min, None, np.minimum))
extend(np.amax,           "where initial", np.max)
extend(np.amin,           "where initial", np.min)
extend(np.nansum,         "where initial", without_nan(np.sum, 0))
extend(np.nanprod,        "where initial", without_nan(np.prod, 1))
extend(np.nanmax,         "where initial", extreme_without_nan(np.max, -np.inf))
extend(np.nanmin,         "where initial", extreme_without_nan(np.min, np.inf))
extend(np.any,            "where", masked(np.any, False, np.logical_or))
extend(np.all,            "where", masked(np.all, True, np.logical_and))
extend(np.var,            "correction", corrected(np.var))
extend(np.std,            "correction", corrected(np.std))
extend(np.mean,           "where", masked_mean)
extend(np.var,            "where mean", masked_var)
extend(np.std,            "where mean", masked_std)
extend(np.nanmean,        "where", nanmean)
extend(np.diff,           "prepend append", diff_of_longer)
extend(np.ediff1d,        "to_begin to_end", ediff1d_between)
extend(logsumexp,         "where initial", masked(logsumexp, -np.inf, np.logaddexp))
extend(np.quantile,       "method", quantile)
extend(np.percentile,     "method", percentile)

METHODS.update({(np.add, "reduce"): np.sum, (np.multiply, "reduce"): np.prod, (np.maximum, "reduce"): np.max})
METHODS.update({(np.minimum, "reduce"): np.min, (np.logaddexp, "reduce"): logsumexp})
METHODS.update({(np.logical_and, "reduce"): np.all, (np.logical_or, "reduce"): np.any})
METHODS.update({(np.add, "accumulate"): np.cumsum, (np.multiply, "accumulate"): np.cumprod})
METHODS.update({(np.maximum, "accumulate"): running_max, (np.minimum, "accumulate"): running_min})
METHODS.update({(np.logaddexp, "accumulate"): running_logsumexp})
# fmt: on
