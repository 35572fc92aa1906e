"""minigrad, behind the adapter protocol: as it is called, and staged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import minigrad as mg


class MinigradAdapter:
    """The engine of this project."""

    name = "minigrad"
    version = mg.__version__

    def forward(self, program: mg.Program, inputs: Sequence[Any]) -> Any:
        return program(*inputs)

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, pullback = mg.vjp(program, *inputs)
        return value, pullback(cotangent)

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        gradients: Sequence[Any] = mg.grad(slope(program, cotangent, vectors), range(len(inputs)))(*inputs)
        return gradients


class StagedAdapter:
    """The same engine through `minigrad.stage`: both passes written out as source, simplified and run."""

    name = "minigrad.stage"
    version = mg.__version__

    def forward(self, program: mg.Program, inputs: Sequence[Any]) -> Any:
        return program(*inputs)

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = staged(program, *shapes(inputs))(*inputs, cotangent)
        return value, gradients

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        gradients: Sequence[Any] = mg.stage(slope(program, cotangent, vectors), *inputs)(*inputs)[1]
        return gradients


def slope(program: mg.Program, cotangent: Any, vectors: Sequence[Any]) -> Any:
    """The directional derivative along `vectors`, whose gradient is the Hessian times these."""

    def along(*primals: Any) -> Any:
        gradients = mg.vjp(program, *primals)[1](cotangent)
        return sum(np.sum(g * v) for g, v in zip(gradients, vectors, strict=True))

    return along


def shapes(inputs: Sequence[Any]) -> tuple[tuple[tuple[int, ...], str], ...]:
    return tuple((np.shape(x), np.asarray(x).dtype.name) for x in inputs)


@lru_cache(maxsize=64)
def staged(program: mg.Program, *like: tuple[tuple[int, ...], str]) -> mg.Staged:
    """The staged passes, kept for the next call, as a user would."""
    examples = [np.ones(shape, dtype) for shape, dtype in like]
    return mg.stage(program, *examples, cotangent=np.ones_like(program(*examples)))
