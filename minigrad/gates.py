"""Gates of neural networks as single steps, each with its own local gradient.

They are written as anyone would write their own: a `primitive` in NumPy, and its rule by `defvjp`.
Their gradients stay accurate where the gate saturates, and ``1 - sigmoid(x)`` would have lost its digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.protocol import defvjp, primitive


@primitive
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``, elementwise, without overflow; its local gradient is ``(1 - sigmoid) * sigmoid``."""
    power = np.exp(-np.abs(x))
    return np.where(np.less(x, 0), power, 1) / (1 + power)


@primitive
def sigmoid_slope(x: Any) -> Any:
    """``(1 - sigmoid(x)) * sigmoid(x)``, which is ``(sech(x / 2) / 2)**2``: in this form nothing cancels."""
    with np.errstate(over="ignore"):
        half = 0.5 / np.cosh(np.multiply(0.5, x))
    half *= half
    return half


@primitive
def relu(x: Any) -> Any:
    """``max(x, 0)``, elementwise; its derivative at 0 is 0."""
    return np.maximum(x, 0)


@primitive
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, elementwise, without overflow."""
    return np.logaddexp(x, 0)


@primitive
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` over some axes, without overflow."""
    x = np.asarray(x) * 1.0 if np.asarray(x).dtype.kind in "biu" else x
    largest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0).astype(largest.dtype)
    ans = shift + log_of_sum(np.exp(x - shift), axis)
    return ans if keepdims else np.squeeze(ans, axis=axis)[()]


@primitive
def softmax(x: Any, axis: Any = -1) -> Any:
    """``exp(x) / sum(exp(x))`` over some axes, without overflow."""
    with np.errstate(over="ignore"):
        powers = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@primitive
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """``log(softmax(x))`` over some axes, without overflow."""
    shifted = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return shifted - log_of_sum(np.exp(shifted), axis)


# fmt: off
defvjp(sigmoid,     lambda g, ans, x: g * sigmoid_slope(x))
defvjp(sigmoid_slope, lambda g, ans, x: -g * ans * np.tanh(np.multiply(0.5, x)))
defvjp(relu,        lambda g, ans, x: np.where(np.greater(x, 0), g, 0))
defvjp(softplus,    lambda g, ans, x: g * sigmoid(x))
defvjp(logsumexp,   lambda g, ans, x, axis=None, keepdims=False: regained(g, axis, keepdims) * softmax(x, axis))
defvjp(softmax,     lambda g, ans, x, axis=-1: softmax_dx(g, ans, axis))
defvjp(log_softmax, lambda g, ans, x, axis=-1: log_softmax_dx(g, x, axis))
# fmt: on


def regained(g: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction's cotangent with the reduced axes, so that it broadcasts."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def log_of_sum(powers: Any, axis: Any) -> Any:
    """``log(sum(powers))`` of powers up to 1; one that is 1 is left to log1p, beside which small ones would be lost."""
    ones = np.sum(powers == 1, axis=axis, keepdims=True, dtype=powers.dtype)
    with np.errstate(divide="ignore"):
        return np.log1p(np.sum(np.where(powers == 1, 0, powers), axis=axis, keepdims=True) + (ones - 1))


def largest(x: Any, axis: Any) -> Any:
    """1 where `x` is the largest along some axes, 0 elsewhere."""
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.astype(np.equal(x, top), top.dtype)


def softmax_dx(g: Any, ans: Any, axis: Any) -> Any:
    """``ans * (g - sum(g * ans))``, where `g` may be moved by a constant: so that nothing cancels, to 0 at the top."""
    top = largest(ans, axis)
    g = g - np.sum(g * top, axis=axis, keepdims=True) / np.maximum(np.sum(top, axis=axis, keepdims=True), 1)
    return ans * (g - np.sum(g * ans, axis=axis, keepdims=True))


def log_softmax_dx(g: Any, x: Any, axis: Any) -> Any:
    """``g - softmax * sum(g)``; at the top, where this cancels, ``1 - softmax`` is the sum of all others."""
    ans, top = softmax(x, axis), largest(x, axis)
    rest = 1 - top
    first = np.sum(top, axis=axis, keepdims=True) == 1
    away = np.sum(ans * rest, axis=axis, keepdims=True)
    others = np.sum(g * rest, axis=axis, keepdims=True)
    plain = g - ans * np.sum(g, axis=axis, keepdims=True)
    return np.where((top == 1) & first, g * away - ans * others, plain)
