"""Named programs: the worked systems of the course notes, which open every campaign.

Each has the figures that the notes print, or that follow from them by hand; the tests hold
minigrad to those, and the campaign shows that PyTorch and JAX agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg
from oracles.cases import SHORT, Case


def sigmoid(x: Any) -> Any:
    return 1.0 / (1 + np.exp(-x))


def staged(x: Any, y: Any) -> Any:
    """The staged computation, in its eight stages."""
    sigy = sigmoid(y)
    num = x + sigy
    sigx = sigmoid(x)
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1.0 / den
    return num * invden


def neuron(w: Any, x: Any) -> Any:
    """A sigmoid neuron with two inputs; the last weight is the bias."""
    return sigmoid(w[0] * x[0] + w[1] * x[1] + w[2])


def neuron_gate(dot: Any) -> Any:
    """The sigmoid alone, whose local gradient is (1 - f) f."""
    return sigmoid(dot)


def circuit(x: Any, y: Any, z: Any) -> Any:
    return (x + y) * z


def gates(x: Any, y: Any, z: Any, w: Any) -> Any:
    """Add distributes, multiply swaps, max routes, and a value used twice adds up."""
    return (x * y + np.maximum(z, w)) * 2 + x


def larger(x: Any, y: Any) -> Any:
    return np.maximum(x, y)


def product(W: Any, X: Any) -> Any:
    return W @ X


def relu(x: Any) -> Any:
    return np.where(x > 0, x, 0)


def vector_function(x: Any, W: Any) -> Any:
    """From three numbers to two, with every entry of the Jacobian different from zero."""
    return np.tanh(x @ W) * np.exp(x[:2])


def matrix_chain(X: Any, W: Any) -> Any:
    """Y = XW, whose Jacobian has four axes that nobody forms."""
    return X @ W


def slope(x: Any) -> Any:
    """A smooth function to compare with the limit (f(x + h) - f(x)) / h."""
    return np.sum(np.sin(x) * np.exp(x) / (1 + x**2))


_W = np.round(np.sin(np.arange(50.0)).reshape(5, 10) * 2, 3)
_X = np.round(np.cos(np.arange(30.0) * 1.7).reshape(10, 3) * 2, 3)
_D = np.round(np.cos(np.arange(15.0) * 0.9).reshape(5, 3) * 2, 3)


@dataclass(frozen=True)
class Named:
    """A system of the notes, at the point where they work it out."""

    name: str
    title: str
    function: Callable[..., Any]
    inputs: Sequence[Any]
    cotangent: Any = 1.0
    gradients: Sequence[Any] | None = None
    """The expected gradients, where there are figures to hold them to."""
    digits: int | None = None
    """How many decimals the notes print; None where the figures are exact."""

    def case(self, dtype: str) -> Case:
        """This system as a case of the given dtype."""
        inputs = tuple(np.array(x, dtype) for x in self.inputs)
        program = mg.trace(self.function, *inputs)
        vectors = tuple((1 + np.arange(x.size)).astype(dtype).reshape(x.shape) / 4 for x in inputs)
        return Case(
            f"{SHORT[dtype]}-{self.name}",
            program,
            inputs,
            np.array(self.cotangent, dtype),
            vectors,
            {"name": self.title},
        )


NAMED: tuple[Named, ...] = (
    Named(
        "staged",
        "1. the staged computation at x=3, y=-4",
        staged,
        (3.0, -4.0),
        gradients=(2.0595697955721652, 1.5922327514838093),
    ),
    Named(
        "neuron",
        "2. the sigmoid neuron at w=(2, -3, -3), x=(-1, -2)",
        neuron,
        ((2.0, -3.0, -3.0), (-1.0, -2.0)),
        gradients=((-0.20, -0.39, 0.20), (0.39, -0.59)),
        digits=2,
    ),
    Named("neuron-gate", "2. the sigmoid as one gate at 1", neuron_gate, (1.0,), gradients=(0.20,), digits=2),
    Named(
        "circuit",
        "3. (x + y) z at x=-2, y=5, z=-4",
        circuit,
        (-2.0, 5.0, -4.0),
        gradients=(-4.0, -4.0, 3.0),
    ),
    Named(
        "gates",
        "4. add, multiply, copy and max gates",
        gates,
        (3.0, -4.0, 2.0, -1.0),
        gradients=(-7.0, 6.0, 2.0, 0.0),
    ),
    Named("max-routes", "5. max(x, y) routes to the larger", larger, (3.0, 2.0), 5.0, gradients=(5.0, 0.0)),
    Named("max-tie", "5. max(x, y) at a tie: any split is a subgradient", larger, (2.0, 2.0), 5.0, (2.5, 2.5)),
    Named("matmul", "6. D = WX: dW = dD X^T, dX = W^T dD", product, (_W, _X), _D, (_D @ _X.T, _W.T @ _D)),
    Named(
        "relu",
        "7. ReLU at (1, -2, 3, -1) with upstream (4, -1, 5, 9)",
        relu,
        ((1.0, -2.0, 3.0, -1.0),),
        (4.0, -1.0, 5.0, 9.0),
        gradients=((4.0, 0.0, 5.0, 0.0),),
    ),
    Named(
        "jacobian",
        "8. a vector function from three numbers to two",
        vector_function,
        ((0.5, -1.25, 2.0), ((0.25, -0.5), (1.0, 0.75), (-0.125, 0.375))),
        (1.5, -0.75),
    ),
    Named(
        "matmul-right", "8. Y = XW: dX = dY W^T, dW = X^T dY", matrix_chain, (_X.T, _W.T), _D.T, (_D.T @ _W, _X @ _D.T)
    ),
    Named("slope", "9. a derivative to compare with its limit", slope, ((0.5, -1.0, 2.0),)),
)
