"""MyGrad: programs spelt in its functions, differentiated by ``Tensor.backward``.  It has first derivatives only."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mygrad
import mygrad.nnet.activations
import numpy as np

from minigrad.programs import Program
from oracles.adapters.lookup import LookupSpelling, refusals
from oracles.errors import Unsupported

ACTIVATIONS = "mygrad.nnet.activations"


class MyGradSpelling(LookupSpelling):
    """MyGrad has the names of some of NumPy's functions, and some of their parameters.

    Its methods ``astype`` and ``copy`` are documented to leave the graph: they do not stand for NumPy's functions.
    """

    engine = "MyGrad"
    home = "mygrad"
    names: Mapping[str, Any] = {"np": np, "mygrad": mygrad}
    others: Mapping[str, str] = {
        "linalg.multi_dot": "mygrad.multi_matmul",
        "minigrad.sigmoid": f"{ACTIVATIONS}.sigmoid",
        "minigrad.relu": f"{ACTIVATIONS}.relu",
        "minigrad.softmax": f"{ACTIVATIONS}.softmax",
        "minigrad.log_softmax": f"{ACTIVATIONS}.logsoftmax",
        "reshape": "mygrad.reshape({0}, {shape})",
    }

    def call(self, function: str, operands: Sequence[str], parameters: Mapping[str, Any]) -> str:
        if function == "transpose" and parameters.keys() == {"axes"}:
            return f"mygrad.transpose({operands[0]}, {self.parameter(parameters['axes'])})"
        return super().call(function, operands, parameters)

    def refusal(self, found: Any, parameters: Mapping[str, Any]) -> str:
        if isinstance(found, np.ufunc):  # NumPy's own, which refuses tensors
            return "no derivative of it"
        known = inspect.signature(found).parameters
        return ", ".join(f"no parameter {key} of it" for key in parameters if key not in known)


@functools.lru_cache(maxsize=64)
def compiled(program: Program) -> Callable[..., Any]:
    return MyGradSpelling().compiled(program)


class MyGradAdapter:
    """MyGrad, with its inputs as tensors made anew for every question."""

    name = "mygrad"
    version = mygrad.__version__

    def forward(self, program: Program, inputs: Sequence[Any]) -> Any:
        with mygrad.no_autodiff:
            return np.asarray(compiled(program)(*map(mygrad.tensor, inputs)))

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        run, primals = compiled(program), [mygrad.tensor(x) for x in inputs]
        with refusals():
            value = run(*primals)
            if isinstance(value, mygrad.Tensor):  # what it has turned into a plain array has no gradient
                value.backward(cotangent)
        return np.asarray(value), [x.grad for x in primals]

    def hvp(self, program: Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        raise Unsupported("MyGrad has first derivatives only")
