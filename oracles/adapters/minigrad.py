"""minigrad, behind the adapter protocol."""

from __future__ import annotations

from collections.abc import Sequence
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
        def slope(*primals: Any) -> Any:
            gradients = mg.vjp(program, *primals)[1](cotangent)
            return sum(np.sum(g * v) for g, v in zip(gradients, vectors, strict=True))

        gradients: Sequence[Any] = mg.grad(slope, argnums=range(len(inputs)))(*inputs)
        return gradients
