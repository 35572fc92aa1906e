"""HIPS autograd: programs spelt in ``autograd.numpy``, differentiated by ``autograd.make_vjp``."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
from autograd.core import VJPNode, primitive_vjps
from autograd.tracer import notrace_primitives

from minigrad.programs import Program
from oracles.adapters.lookup import LookupSpelling, refusals

# Its rules for special functions need SciPy; without that, there is no program with these functions but for gates.
with contextlib.suppress(ImportError):
    importlib.import_module("autograd.scipy.special")

SPECIAL = "autograd.scipy.special"

REFUSALS = ("Only constant mode padding is supported.", "Can't handle extra leading dims")
"""What its rules for ``pad`` and ``broadcast_to`` assert; elsewhere a failed assertion is an error."""


class AutogradSpelling(LookupSpelling):
    """``autograd.numpy`` wraps all of NumPy, but has derivatives of a part of it.

    Functions that it declares to have none, such as ``floor``, are no refusal: their results are constants to it.
    """

    engine = "HIPS autograd"
    home = "anp"
    names: Mapping[str, Any] = {"np": np, "anp": anp, "autograd": autograd}
    others: Mapping[str, str] = {
        "broadcast_to": "anp.broadcast_to({0}, {shape})",  # its rule does not know the shape by NumPy's name for it
        "minigrad.sigmoid": f"{SPECIAL}.expit",
        **{
            f"scipy.special.{name}": f"{SPECIAL}.{name}"
            for name in ("expit", "logit", "erf", "erfc", "erfinv", "erfcinv", "gammaln", "psi")
        },
    }

    def refusal(self, found: Any, parameters: Mapping[str, Any]) -> str:
        is_primitive = getattr(found, "_is_autograd_primitive", False)
        rules = found in primitive_vjps or found in notrace_primitives[VJPNode]
        return "no derivative of it" if is_primitive and not rules else ""


@functools.lru_cache(maxsize=64)
def compiled(program: Program) -> Callable[..., Any]:
    return AutogradSpelling().compiled(program)


class AutogradAdapter:
    """HIPS autograd; of second order by differentiating its own backward pass.

    Each input has a backward pass of its own: asked about a tuple of inputs, the engine adds each gradient to zeros
    of its input's shape, where one of a wrong shape may be spread to the right one.
    """

    name = "autograd"
    version = version("autograd")

    def forward(self, program: Program, inputs: Sequence[Any]) -> Any:
        return np.asarray(compiled(program)(*inputs))

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with refusals(*REFUSALS):
            run = compiled(program)
            pairs = [autograd.make_vjp(run, k)(*inputs) for k in range(len(inputs))]
            return np.asarray(pairs[0][1]), [np.asarray(pullback(cotangent)) for pullback, _ in pairs]

    def hvp(self, program: Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        run = compiled(program)

        def slope(*primals: Any) -> Any:
            gradients = [autograd.make_vjp(run, k)(*primals)[0](cotangent) for k in range(len(primals))]
            return sum(anp.sum(g * v) for g, v in zip(gradients, vectors, strict=True))

        with refusals(*REFUSALS):
            return [np.asarray(autograd.grad(slope, k)(*inputs)) for k in range(len(inputs))]
