"""What the benchmark times: formulas, each with its passes written by hand in NumPy.

All in float64:

* ``f-SHAPE``: the staged function of the course notes, ``(x + s(y)) / (s(x) + (x + y)**2)`` with
  ``s(t) = 1 / (1 + exp(-t))``, summed over arrays.
* ``mlp-BATCH``: 64 numbers, 128 tanh units, 10 classes, softmax cross-entropy; gradients with
  respect to both weights and both biases.
* ``chain``: 1,000 steps on 8 numbers, a step being one NumPy call: 333 times
  ``sin(x) * 0.99 + 0.01``, and a sum.

The hand-written passes keep what forward computed and work in place where an operator can; they do
no algebra across steps, and hold no buffers between calls.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Answer = tuple[Any, Sequence[Any]]
"""A value and its gradients."""


class Workload(NamedTuple):
    """``formula(namespace, *constants, *args)``, differentiated with respect to `args`."""

    formula: Callable[..., Any]
    by_hand: Callable[..., Answer]
    args: tuple[Any, ...]
    constants: tuple[Any, ...] = ()


def quotient(xp: Any, x: Any, y: Any) -> Any:
    return (x + 1 / (1 + xp.exp(-y))) / (1 / (1 + xp.exp(-x)) + (x + y) ** 2)


def quotient_by_hand(x: Any, y: Any) -> Answer:
    sigx = 1 / (1 + np.exp(-x))
    sigy = 1 / (1 + np.exp(-y))
    xpy = x + y
    invden = 1 / (sigx + xpy * xpy)
    value = (x + sigy) * invden
    dsigx = value * invden  # but for the sign
    xpy *= 2
    xpy *= dsigx
    return value, ((sigx - 1) * sigx * dsigx + invden - xpy, (1 - sigy) * sigy * invden - xpy)


def sum_by_hand(x: Any, y: Any) -> Answer:
    value, gradients = quotient_by_hand(x, y)
    return value.sum(), gradients


def staged_function(*shape: int) -> Workload:
    x, y = np.random.default_rng(0).standard_normal((2, *shape))
    if not shape:
        return Workload(quotient, quotient_by_hand, (x, y))
    return Workload(lambda xp, x, y: xp.sum(quotient(xp, x, y)), sum_by_hand, (x, y))


def cross_entropy(xp: Any, X: Any, T: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    Z = xp.tanh(X @ W1 + b1) @ W2 + b2
    return xp.mean(xp.log(xp.sum(xp.exp(Z), axis=1)) - xp.sum(T * Z, axis=1))


def cross_entropy_by_hand(X: Any, T: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Answer:
    A = X @ W1
    A += b1
    H = np.tanh(A)
    Z = H @ W2
    Z += b2
    G = np.exp(Z)
    S = G.sum(axis=1, keepdims=True)
    value = (np.log(S).sum() - (T * Z).sum()) / len(X)
    G /= S
    G -= T
    G /= len(X)  # dZ
    dA = G @ W2.T
    dA *= 1 - H * H
    return value, (X.T @ dA, dA.sum(axis=0), H.T @ G, G.sum(axis=0))


def mlp(batch: int, width: int = 64, hidden: int = 128, classes: int = 10) -> Workload:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch, width))
    T = np.eye(classes)[rng.integers(classes, size=batch)]
    W1 = rng.standard_normal((width, hidden)) / math.sqrt(width)
    W2 = rng.standard_normal((hidden, classes)) / math.sqrt(hidden)
    args = (W1, rng.standard_normal(hidden), W2, rng.standard_normal(classes))
    return Workload(cross_entropy, cross_entropy_by_hand, args, (X, T))


def chain(times: int) -> Workload:
    def formula(xp: Any, x: Any) -> Any:
        for _ in range(times):
            x = xp.sin(x) * 0.99 + 0.01
        return xp.sum(x)

    def by_hand(x: Any) -> Answer:
        kept = []
        for _ in range(times):
            kept.append(x)
            x = np.sin(x)
            x *= 0.99
            x += 0.01
        g = np.ones_like(x)
        for before in reversed(kept):
            g *= 0.99
            g *= np.cos(before)
        return x.sum(), (g,)

    return Workload(formula, by_hand, (np.random.default_rng(0).standard_normal(8),))


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "f-0d": staged_function,
    "f-4x4": functools.partial(staged_function, 4, 4),
    "f-64x64": functools.partial(staged_function, 64, 64),
    "f-1000x1000": functools.partial(staged_function, 1000, 1000),
    "mlp-32": functools.partial(mlp, 32),
    "mlp-256": functools.partial(mlp, 256),
    "chain": functools.partial(chain, 333),
}
