"""Subjects on trial, ``--subject tests.trial:TanhOff`` and so on, and helpers for the harness's tests.

Each class is an adapter of minigrad with one thing broken, while it answers and no longer.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import backward
from minigrad.protocol import RULES
from oracles import Unsupported
from oracles.adapters.minigrad import MinigradAdapter
from oracles.cases import Case
from oracles.examine import Examination, Setup, examine
from oracles.verdict import Label


class Honest(MinigradAdapter):
    """minigrad as it is, under another name."""

    name = "honest"


class Broken(MinigradAdapter):
    """minigrad, answering inside `broken`."""

    name = "broken"

    @contextmanager
    def broken(self) -> Iterator[None]:
        yield

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with self.broken():
            return super().vjp(program, inputs, cotangent)

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        with self.broken():
            return super().hvp(program, inputs, cotangent, vectors)


@contextmanager
def ruled(function: Callable[..., Any], *vjps: Any) -> Iterator[None]:
    """Other rules for a function, for a while."""
    own = RULES[function]
    RULES[function] = own._replace(vjps=vjps)
    try:
        yield
    finally:
        RULES[function] = own


class TanhOff(Broken):
    """The rule of tanh is off by a thousandth."""

    def broken(self) -> Any:
        return ruled(np.tanh, lambda g, ans, x: g * (1 - ans * ans) * 1.001)


class NoUnbroadcast(Broken):
    """The gradient of an operand that was broadcast is averaged, not summed: right shape, wrong value."""

    @contextmanager
    def broken(self) -> Iterator[None]:
        own = backward.unbroadcast

        def averaged(gradient: Any, shape: tuple[int, ...]) -> Any:
            return own(gradient, shape) * (math.prod(shape) / max(np.size(gradient), 1))

        backward.unbroadcast = averaged
        try:
            yield
        finally:
            backward.unbroadcast = own


class TieToFirst(Broken):
    """Not a fault: at a tie the first operand of maximum gets everything, a subgradient too."""

    def broken(self) -> Any:
        return ruled(
            np.maximum,
            lambda g, ans, x, y: np.where(x >= y, g, 0),
            lambda g, ans, x, y: np.where(x >= y, 0, g),
        )


class FlatRoot(Broken):
    """Not a fault: the slope of sqrt at 0 is taken for 0 rather than infinite."""

    def broken(self) -> Any:
        return ruled(np.sqrt, lambda g, ans, x: np.where(x == 0, 0, 0.5 * g / ans))


class LostFork(Broken):
    """Of a value that is used several times, only the last use counts."""

    @contextmanager
    def broken(self) -> Iterator[None]:
        own = backward.contributions
        reached = set()

        def first_to_arrive(node: Any, g: Any) -> Iterator[tuple[Any, Any]]:
            for parent, contribution in own(node, g):
                if parent not in reached:
                    reached.add(parent)
                    yield parent, contribution

        backward.contributions = first_to_arrive
        try:
            yield
        finally:
            backward.contributions = own


class Altered(MinigradAdapter):
    """minigrad, with its first gradient passed through `alter`."""

    name = "altered"

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return gradient

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, (first, *others) = super().vjp(program, inputs, cotangent)
        return value, [self.alter(first, inputs), *others]


class WrongShape(Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.asarray(gradient)[None]


class WrongDtype(Altered):
    """Gradients of float32 come back as float64."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.asarray(gradient, np.float64)


class GivesList(Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.asarray(gradient).tolist()


class Mutates(Altered):
    """An input is written to."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        inputs[0][...] += 1
        return gradient


class Aliases(Altered):
    """An input is returned as its gradient."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return inputs[0]


class TooFew(MinigradAdapter):
    """A gradient is missing."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, gradients[1:]


class Raises(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        raise RuntimeError("broken on purpose")


class ReturnsNonsense(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> Any:
        return 42


class Unable(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        raise Unsupported("this engine has no functions at all")


class FirstOrderOnly:
    """An adapter of the fewest parts: hvp and forward are left out."""

    name = "first-order"
    version = "1"
    vjp = MinigradAdapter.vjp


class Crashes(MinigradAdapter):
    """The process ends where tanh occurs."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        if any(step.function == "tanh" for step in program.steps):
            os._exit(7)
        return super().vjp(program, inputs, cotangent)


def not_an_adapter() -> int:
    return 3


def fails_to_start() -> None:
    raise OSError("the engine's library is not there")


# Helpers.


def case_of(
    f: Callable[..., Any], *inputs: Any, cotangent: Any = None, vectors: Any = None, dtype: str = "float64"
) -> Case:
    """A case from a NumPy function and a point; cotangent and vectors are ones unless given."""
    arrays = tuple(np.array(x, dtype) for x in inputs)
    program = mg.trace(f, *arrays)
    shape = np.shape(program(*arrays))
    along = [np.ones_like(x) for x in arrays] if vectors is None else [np.array(v, dtype) for v in vectors]
    return Case("case", program, arrays, np.array(np.ones(shape) if cotangent is None else cotangent, dtype), (*along,))


def on_trial(subject: type, case: Case, orders: tuple[int, ...] = (1,)) -> Examination:
    """A case, judged with one of the classes above as the subject."""
    return examine(case, Setup(spec(subject), orders=orders))


def label_of(subject: type, case: Case, order: int = 1) -> Label:
    return on_trial(subject, case, (order,)).verdict(spec(subject), order).label


def spec(subject: Callable[..., Any]) -> str:
    return f"tests.trial:{subject.__name__}"
