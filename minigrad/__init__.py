"""minigrad: gradients of plain NumPy code, small enough to read in one sitting.

>>> import numpy as np
>>> import minigrad as mg
>>> f = lambda w, x: 1 / (1 + np.exp(-np.sum(w * x)))
>>> w, x = np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0, 1.0])
>>> dw, dx = mg.grad(f, argnums=(0, 1))(w, x)
>>> print(dw.round(2))
[-0.2  -0.39  0.2 ]

A map for readers, each file leaning only on those above it:

===============  ====================================================================
``errors``       what can go wrong, with the failing program and the mended one
``protocol``     where NumPy calls arrive; the base of every kind of number
``gates``        sigmoid, softmax and the like, written as anyone would write their own
``rules``        the calculus, one line per function: a folder of tables
``backward``     the walk from result to inputs: chain rule, forks, broadcasting
``tensor``       the array that remembers how it was computed
``transforms``   ``grad``, ``vjp``, ``jvp``, ``jacobian``, ``hessian``, ``hvp``, and what stops or forgets
``checking``     a gradient against the limit that it is
``programs``     computations as data: recorded, staged as source, drawn as circuits: a folder
===============  ====================================================================
"""

import minigrad.rules  # noqa: F401 (it fills the tables)
from minigrad.checking import check_grads
from minigrad.errors import (
    ConversionError,
    DtypeError,
    GradientError,
    MinigradError,
    MutationError,
    ProgramError,
    ShapeError,
    TracedControlFlowError,
    UnsupportedError,
)
from minigrad.gates import log_softmax, logsumexp, relu, sigmoid, softmax, softplus
from minigrad.programs import Circuit, Program, Staged, circuit, stage, trace
from minigrad.protocol import defvjp, primitive
from minigrad.tensor import Tensor
from minigrad.transforms import checkpoint, grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp

__version__ = "0.1.0"

__all__ = [
    "Circuit",
    "ConversionError",
    "DtypeError",
    "GradientError",
    "MinigradError",
    "MutationError",
    "Program",
    "ProgramError",
    "ShapeError",
    "Staged",
    "Tensor",
    "TracedControlFlowError",
    "UnsupportedError",
    "check_grads",
    "checkpoint",
    "circuit",
    "defvjp",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "log_softmax",
    "logsumexp",
    "primitive",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "stage",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
]
