"""What NumPy cannot do with arrays of Jets by itself, by the names of a Program's steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from minigrad.protocol import NAMES, Function
from oracles.exact.jets import Jet, UndecidedError, constant, floored, jet


def each(f: Function, operands: int) -> Any:
    """A function of single numbers as one of arrays."""
    return np.frompyfunc(lambda *xs: f(*map(jet, xs)), operands, 1)


def copysign(x: Jet, y: Jet) -> Jet:
    if y == 0:
        raise UndecidedError("the sign of a zero is no part of a real number")
    return abs(x) if y > 0 else -abs(x)


def logaddexp(x: Jet, y: Jet) -> Jet:
    return x + (1 + (y - x).exp()).log() if x > y else y + (1 + (x - y).exp()).log()


def logaddexp2(x: Jet, y: Jet) -> Jet:
    log2 = constant(arb(2).log())
    return logaddexp(x * log2, y * log2) / log2


def sinc(x: Jet) -> Jet:
    u = x * constant(arb.pi())
    return u.sin() / u if x != 0 else 1 - u * u / 6


def sigmoid(x: Jet) -> Jet:
    return 1 / (1 + (-x).exp())


def xlogy(x: Jet, y: Jet) -> Jet:
    return x * y.log() if x != 0 or x.series.length() > 1 else jet(0)


def running_logsumexp(a: Any, axis: Any = 0) -> Any:
    a = np.moveaxis(a, axis, -1)
    ans = np.empty(a.shape, object)
    for i in np.ndindex(a.shape):
        ans[i] = logsumexp(a[(*i[:-1], slice(i[-1] + 1))]).item()
    return np.moveaxis(ans, -1, axis)


def divmod_(x: Any, y: Any) -> Any:
    return np.floor_divide(x, y), np.remainder(x, y)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    x = np.asarray(x, object)
    top = np.asarray(np.max(x, axis=axis, keepdims=True), object)
    ans = top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True))
    return ans if keepdims else np.squeeze(ans, axis=axis)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    return x - logsumexp(x, axis, keepdims=True)


def in_order(a: Any, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """The reduced entries in order, along the last axis, and the shape of the result."""
    a = np.asarray(a, object)
    axes = tuple(range(a.ndim)) if axis is None else tuple(i % a.ndim for i in np.atleast_1d(axis))
    kept = [n for i, n in enumerate(a.shape) if i not in axes]
    entries = np.moveaxis(a, axes, range(-len(axes), 0)).reshape((*kept, -1)) if axes else a[..., None]
    shape = [1 if i in axes else n for i, n in enumerate(a.shape)] if keepdims else kept
    return np.sort(entries, axis=-1), shape


def quantile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    entries, shape = in_order(a, axis, keepdims)
    parts = []
    for each_q in np.ravel(q):
        place = jet(each_q) * (entries.shape[-1] - 1)
        below = floored(place)
        low, high = entries[..., below], entries[..., min(below + 1, entries.shape[-1] - 1)]
        parts.append(np.reshape(low + (high - low) * (place - below), shape))
    return np.reshape(np.array(parts, object), (*np.shape(q), *shape))


def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        weights = np.moveaxis(np.broadcast_to(weights, np.moveaxis(a, axis, -1).shape), -1, axis)
    total = np.sum(np.multiply(a, 0) + weights, axis=axis, keepdims=keepdims)
    return np.sum(np.multiply(a, weights), axis=axis, keepdims=keepdims) / total


def var(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    away = a - np.mean(a, axis=axis, keepdims=True)
    total = np.sum(away * away, axis=axis, keepdims=keepdims)
    return total / (np.size(a) // max(np.size(total), 1) - ddof)


INSTEAD: dict[str, Callable[..., Any]] = {
    "arctan2": each(Jet.arctan2, 2),
    "astype": lambda x, dtype: x,
    "average": average,
    "conjugate": lambda x: x,
    "copy": lambda a: a,
    "copysign": each(copysign, 2),
    "divmod": divmod_,
    "float_power": each(Jet.__pow__, 2),
    "isfinite": lambda x: np.ones(np.shape(x), bool),
    "ldexp": each(lambda x, y: x * jet(2) ** y, 2),
    "logaddexp": each(logaddexp, 2),
    "logaddexp2": each(logaddexp2, 2),
    "median": lambda a, axis=None, keepdims=False: quantile(a, 0.5, axis, keepdims),
    "percentile": lambda a, q, axis=None, keepdims=False: quantile(a, np.true_divide(q, 100), axis, keepdims),
    "quantile": quantile,
    "modf": lambda x: (x - np.trunc(x), np.trunc(x)),
    "nan_to_num": lambda x, **_: x,
    "real": lambda val: val,
    "real_if_close": lambda a: a,
    "sinc": each(sinc, 1),
    "std": lambda *args, **kwargs: np.sqrt(var(*args, **kwargs)),
    "var": var,
    "minigrad.log_softmax": log_softmax,
    "minigrad.logsumexp": logsumexp,
    "minigrad.relu": lambda x: np.maximum(x, 0),
    "minigrad.running_logsumexp": running_logsumexp,
    "minigrad.sigmoid": each(sigmoid, 1),
    "minigrad.softmax": lambda x, axis=-1: np.exp(log_softmax(x, axis)),
    "minigrad.softplus": each(lambda x: logaddexp(x, jet(0)), 1),
    "scipy.special.entr": each(lambda x: -x * x.log(), 1),
    "scipy.special.erf": each(Jet.erf, 1),
    "scipy.special.erfc": each(Jet.erfc, 1),
    "scipy.special.erfcinv": each(lambda x: (1 - x).erfinv(), 1),
    "scipy.special.erfinv": each(Jet.erfinv, 1),
    "scipy.special.expit": each(sigmoid, 1),
    "scipy.special.gammaln": each(Jet.gammaln, 1),
    "scipy.special.log_expit": each(lambda x: -logaddexp(-x, jet(0)), 1),
    "scipy.special.logit": each(lambda x: (x / (1 - x)).log(), 1),
    "scipy.special.psi": each(Jet.psi, 1),
    "scipy.special.xlog1py": each(lambda x, y: xlogy(x, 1 + y), 2),
    "scipy.special.xlogy": each(xlogy, 2),
}


def lookup(name: str) -> Function:
    return INSTEAD[name] if name in INSTEAD else NAMES[name]


def as_jets(number: int, step: Any, operands: list[Any], result: Any) -> Any:
    """A step's result as an array of Jets all through, where NumPy left plain zeros or a bare Jet."""
    if isinstance(result, (list, tuple)):
        return [as_jets(number, step, operands, part) for part in result]
    array = np.asarray(result)
    return np.asarray(JETS(array), object) if array.dtype == object and array.size else array


JETS = np.frompyfunc(jet, 1, 1)
