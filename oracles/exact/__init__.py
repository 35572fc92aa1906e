"""The referee: what is certainly the value and the derivatives of a program at a point.

| room | what happens there |
|---|---|
| `jets` | numbers with proved error bounds, and power series of these |
| `functions` | NumPy's functions on arrays of them, where NumPy needs help; the table of all of these |
| `reductions` | those that reduce, order or scan |
| `linalg` | those of matrices |
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb

from minigrad.errors import ProgramError
from minigrad.program import Program
from oracles.cases import Case
from oracles.exact.functions import as_jets, lookup
from oracles.exact.jets import JETS, UndecidedError, ball, jet, moving, precision


def along(program: Program, inputs: Sequence[Any], direction: Sequence[Any], cotangent: Any, order: int) -> list[arb]:
    """The Taylor coefficients of ``sum(cotangent * program(inputs + t * direction))``."""
    line = np.frompyfunc(moving, 2, 1)
    jets = [np.asarray(line(x, v), object) for x, v in zip(inputs, direction, strict=True)]
    value = np.asarray(program.run(jets, lookup, as_jets), object)
    total = sum((jet(v) * jet(w) for v, w in zip(value.ravel(), np.ravel(cotangent), strict=True)), jet(0))
    return [total.series[k] for k in range(order + 1)]


MOST_ELEMENTS = 256
"""Gradients with more elements than this are not certified: each takes runs of its own."""

BITS = (160, 640, 2560)
"""Precisions to try, until what is certified is far finer than the noise."""


def truth(case: Case, order: int, noise: Sequence[Any]) -> list[Any] | None:
    """What is certainly the value and the gradients (order 1) or the Hessian products (order 2).

    Arrays of the case's dtype, each element certified to a sixteenth of its `noise` before it is
    rounded; None where the program uses a function that has no exact form here, where two numbers
    cannot be told apart, or where there are too many elements.
    """
    if sum(x.size for x in case.inputs) > MOST_ELEMENTS:
        return None
    for bits in BITS:
        try:
            with precision(bits, order), warnings.catch_warnings():
                warnings.simplefilter("error")
                balls = value_and_gradients(case) if order == 1 else hessian_products(case)
                if all(np.all(fine(b, n)) for b, n in zip(balls, noise, strict=True)):
                    return [np.asarray(MIDDLE(b), np.float64).astype(case.dtype) for b in balls]
        except UndecidedError:
            continue
        except (ArithmeticError, AttributeError, NotImplementedError, ProgramError, TypeError, ValueError, Warning):
            return None
    return None


MIDDLE = np.frompyfunc(lambda x: float(x.mid()), 1, 1)


def fine(balls: Any, noise: Any) -> Any:
    """Whether the balls are finite, and small beside the noise."""
    return np.frompyfunc(lambda x, n: bool(x.is_finite() and (x.rad() * 16 <= arb(float(n)))), 2, 1)(balls, noise)


def value_and_gradients(case: Case) -> list[Any]:
    value = case.program.run([np.asarray(JETS(x), object) for x in case.inputs], lookup, as_jets)
    balls = [np.asarray(np.frompyfunc(lambda v: jet(v).value, 1, 1)(value), object)]
    for k, x in enumerate(case.inputs):
        gradient = np.empty(x.shape, object)
        for i in np.ndindex(x.shape):
            gradient[i] = along(case.program, case.inputs, bumped(case.inputs, k, i), case.cotangent, 1)[1]
        balls.append(gradient)
    return balls


def hessian_products(case: Case) -> list[Any]:
    """By polarization: with q(d) half the second derivative along d, ``e.H.v`` is ``(q(v + e) - q(v - e)) / 2``."""
    vectors = [np.frompyfunc(ball, 1, 1)(v) for v in case.vectors]
    balls = []
    for k, x in enumerate(case.inputs):
        product = np.empty(x.shape, object)
        for i in np.ndindex(x.shape):
            bump = bumped(case.inputs, k, i)
            ahead, behind = (
                along(
                    case.program,
                    case.inputs,
                    [v + s * b for v, b in zip(vectors, bump, strict=True)],
                    case.cotangent,
                    2,
                )
                for s in (1, -1)
            )
            product[i] = (ahead[2] - behind[2]) / 2
        balls.append(product)
    return balls


def bumped(inputs: Sequence[Any], k: int, i: tuple[int, ...]) -> list[Any]:
    """The direction of one element."""
    direction = [np.zeros(np.shape(x), int) for x in inputs]
    direction[k][i] = 1
    return direction
