"""Values and derivatives of a program in exact arithmetic, at the very point or a nudge away from it.

Derivatives come from power series along one direction at a time, which share no rule with any
engine.  With q(d) the half of the second derivative along d, a Hessian product is put together from
such halves: ``e.H.v = q(v + e) - q(v) - q(e)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb

from minigrad.program import Program, Step
from minigrad.protocol import Function, map_operand
from oracles.cases import Case
from oracles.exact.functions import as_jets, lookup
from oracles.exact.jets import JETS, Jet, ball, constant, jet, moving

Find = Callable[[str], Function]

BALLS = np.frompyfunc(ball, 1, 1)


@dataclass(frozen=True)
class Nudge:
    """A displacement so small that it matters only where a tie, a kink or an edge is to be decided.

    Of the inputs; or, with `each`, of every operand of every step by itself, so that every choice
    on the way is made independently, as if each step's rule chose on its own: one side, the other,
    or the middle between both.  Seed 0 moves everything the same way.
    """

    seed: int
    sign: int = 1
    each: bool = False
    bits: int = 1300
    """Numbers move by 2**-bits of themselves, zeros by that share of the smallest input."""


def displaced(array: Any, random: np.random.Generator, nudge: Nudge, smallest: float) -> Any:
    """Balls or Jets, each moved by a random part of the nudge."""
    signs = random.choice([-1, 1], np.shape(array)) if nudge.seed else 1
    part = random.uniform(0.5, 1, np.shape(array)) * signs * nudge.sign
    unit = arb(2) ** -nudge.bits

    def moved(x: Any, u: float) -> Any:
        at = x.value if isinstance(x, Jet) else x
        step = unit * arb(float(u)) * (arb(smallest) if at == 0 else abs(at).mid())
        return x + (constant(step) if isinstance(x, Jet) else step)

    return np.asarray(np.frompyfunc(moved, 2, 1)(array, part), object)


class Choosing:
    """Finds exact functions by name; each works with its operands a nudge away, or on both sides of where they are."""

    def __init__(self, nudge: Nudge, smallest: float):
        self.nudge, self.smallest = nudge, smallest
        self.random = np.random.default_rng(nudge.seed)

    def __call__(self, name: str) -> Function:
        function = lookup(name)

        def chosen(*operands: Any, **parameters: Any) -> Any:
            seed, both = int(self.random.integers(2**32)), self.random.integers(3) == 0
            one = function(*self.moved(operands, seed, 1), **parameters)
            return averaged(one, function(*self.moved(operands, seed, -1), **parameters)) if both else one

        return chosen

    def moved(self, operands: Sequence[Any], seed: int, side: int) -> list[Any]:
        random = np.random.default_rng(seed)
        nudge = replace(self.nudge, sign=self.nudge.sign * side)

        def move(x: Any) -> Any:
            is_exact = isinstance(x, np.ndarray) and x.dtype == object and x.size
            return displaced(x, random, nudge, self.smallest) if is_exact else x

        return [map_operand(move, operand) for operand in operands]


def averaged(one: Any, other: Any) -> Any:
    """The middle of two results; what holds no numbers to be differentiated is taken as it is."""
    if isinstance(one, (list, tuple)):
        return [averaged(a, b) for a, b in zip(one, other, strict=True)]
    return (one + other) / 2 if np.asarray(one).dtype == object else one


def taylor(
    program: Program, inputs: Sequence[Any], direction: Sequence[Any], cotangent: Any, order: int, find: Find
) -> list[arb]:
    """The Taylor coefficients of ``sum(cotangent * program(inputs + t * direction))``.

    `inputs` are arrays of floats or of balls.
    """
    line = np.frompyfunc(moving, 2, 1)
    jets = [np.asarray(line(x, v), object) for x, v in zip(inputs, direction, strict=True)]
    value = np.asarray(program.run(jets, find, as_jets), object)
    total = sum((jet(v) * jet(w) for v, w in zip(value.ravel(), np.ravel(cotangent), strict=True)), jet(0))
    return [total.series[k] for k in range(order + 1)]


def derivatives(case: Case, order: int, nudge: Nudge | None = None) -> dict[int, list[Any]]:
    """By order, the arrays that a party is asked for, as object arrays of balls, at the current precision.

    Under 1 the value and the gradients; under 2, if `order` is 2, the Hessian products.
    """
    inputs: list[Any] = [*case.inputs]
    sizes = [abs(float(x)) for a in case.inputs for x in a.flat if np.isfinite(x) and x != 0]
    smallest = min([1.0, *sizes])
    find: Callable[[], Find] = lambda: lookup  # noqa: E731
    if nudge is not None and nudge.each:
        find = lambda: Choosing(nudge, smallest)  # noqa: E731
    elif nudge is not None:
        random = np.random.default_rng(nudge.seed)
        inputs = [displaced(np.asarray(BALLS(x), object), random, nudge, smallest) for x in inputs]

    def series(direction: Sequence[Any]) -> list[arb]:
        return taylor(case.program, inputs, direction, case.cotangent, order, find())

    value = case.program.run([np.asarray(JETS(x), object) for x in inputs], find(), as_jets)
    found = {1: [np.asarray(np.frompyfunc(lambda v: jet(v).value, 1, 1)(value), object)], 2: []}
    vectors = [BALLS(v) for v in case.vectors]
    q = series(vectors)[2] if order == 2 else None
    for k, x in enumerate(inputs):
        gradient, product = np.empty(x.shape, object), np.empty(x.shape, object)
        for i in np.ndindex(x.shape):
            unit = unit_vector(inputs, k, i)
            along = series(unit)
            gradient[i] = along[1]
            if order == 2:
                product[i] = series([v + e for v, e in zip(vectors, unit, strict=True)])[2] - q - along[2]
        found[1].append(gradient)
        found[2].append(product)
    return found


def unit_vector(inputs: Sequence[Any], k: int, i: tuple[int, ...]) -> list[Any]:
    """The direction of one element of one input."""
    direction = [np.zeros(np.shape(x), int) for x in inputs]
    direction[k][i] = 1
    return direction


def with_rounded_constants(case: Case) -> Case:
    """The case as NumPy computes it: Python's floats in a program take the dtype of the arrays they meet."""
    if case.dtype == "float64":
        return case

    def rounded(leaf: Any) -> Any:
        return float(np.dtype(case.dtype).type(leaf)) if type(leaf) is float else leaf

    program = case.program
    steps = tuple(
        Step(s.function, tuple(map_operand(rounded, operand) for operand in s.operands), s.parameters)
        for s in program.steps
    )
    return replace(case, program=Program(program.inputs, steps, program.output))
