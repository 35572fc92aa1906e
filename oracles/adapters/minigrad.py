"""minigrad, behind the adapter protocol: as it is called, and staged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from oracles.errors import Unsupported


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What minigrad says that it has no derivative of is unsupported, not an error."""
    try:
        yield
    except mg.UnsupportedError as error:
        raise Unsupported(str(error)) from None


class MinigradAdapter:
    """The engine of this project."""

    name = "minigrad"
    version = mg.__version__

    def forward(self, program: mg.Program, inputs: Sequence[Any]) -> Any:
        return program(*inputs)

    @refusals()
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, pullback = mg.vjp(program, *inputs)
        return value, pullback(cotangent)

    @refusals()
    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        gradients: Sequence[Any] = mg.grad(slope(program, cotangent, vectors), range(len(inputs)))(*inputs)
        return gradients

    @refusals()
    def jvp(self, program: mg.Program, inputs: Sequence[Any], vectors: Sequence[Any]) -> Any:
        return mg.jvp(program, tuple(inputs), tuple(vectors))[1]


class StagedAdapter:
    """The same engine through `minigrad.stage`: both passes written out as source, simplified and run."""

    name = "minigrad.stage"
    version = mg.__version__

    def __init__(self) -> None:
        self.kept: tuple[Any, Any] = (None, None)
        """The latest program and shapes, and its staged passes, for the next call: as a user would keep them."""

    def forward(self, program: mg.Program, inputs: Sequence[Any]) -> Any:
        return program(*inputs)

    @refusals()
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        key = program, [(np.shape(x), np.asarray(x).dtype) for x in inputs]
        if self.kept[0] != key:
            self.kept = key, mg.stage(program, *inputs, cotangent=cotangent)
        try:
            value, gradients = self.kept[1](*inputs, cotangent)
        except mg.ShapeError:  # other numbers choose more or fewer entries
            self.kept = key, mg.stage(program, *inputs, cotangent=cotangent)
            value, gradients = self.kept[1](*inputs, cotangent)
        return value, gradients

    @refusals()
    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        gradients: Sequence[Any] = mg.stage(slope(program, cotangent, vectors), *inputs)(*inputs)[1]
        return gradients


def slope(program: mg.Program, cotangent: Any, vectors: Sequence[Any]) -> Any:
    """The directional derivative along `vectors`, whose gradient is the Hessian times these."""

    def along(*primals: Any) -> Any:
        gradients = mg.vjp(program, *primals)[1](cotangent)
        return sum(np.sum(g * v) for g, v in zip(gradients, vectors, strict=True))

    return along
