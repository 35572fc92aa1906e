"""Functions in, derivative functions out: `grad`, `value_and_grad`, `vjp`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.backward import walk
from minigrad.protocol import Function, innermost
from minigrad.tensor import Tensor, as_cotangent, as_floats, fresh_level, owned

Pullback = Callable[[Any], tuple[Any, ...]]


def grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes the gradient of `f`, which must return a float scalar.

    `argnums` says with respect to which positional arguments; a tuple gives a tuple of gradients.
    Each has the shape and dtype of its argument.  Raises `DtypeError` for an integer argument and
    `ShapeError` for a result that is not a scalar.

    >>> import numpy as np
    >>> from minigrad import grad
    >>> grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> float(grad(grad(np.sin))(0.0))
    -0.0
    """
    pair = value_and_grad(f, argnums)

    @functools.wraps(f, assigned=("__doc__",))
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return pair(*args, **kwargs)[1]

    return gradient


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """Like `grad`, but the function returns ``(value, gradient)``."""
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(f, assigned=("__doc__",))
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        for number in chosen:
            if not -len(args) <= number < len(args):
                raise IndexError(
                    f"argnums asks for argument {number}, but there are only {len(args)} positional arguments"
                )
        places = [number % len(args) for number in chosen]

        def of_chosen(*primals: Any) -> Any:
            full = list(args)
            for place, primal in zip(places, primals, strict=True):
                full[place] = primal
            return f(*full, **kwargs)

        value, pullback = _vjp(of_chosen, [args[i] for i in places], [f"argument {i}" for i in places])
        gradients = pullback(None)
        return value, gradients[0] if isinstance(argnums, int) else gradients

    return value_and_gradient


def vjp(f: Function, *primals: Any) -> tuple[Any, Pullback]:
    """The value of ``f(*primals)`` and its pullback: from a cotangent to a gradient per primal.

    The cotangent has the value's shape; the gradients have the primals' shapes and dtypes.  The
    pullback may be called again, and differentiated.

    >>> import numpy as np
    >>> from minigrad import vjp
    >>> value, pullback = vjp(np.matmul, np.ones((1, 2)), np.array([[3.0], [4.0]]))
    >>> dx, dw = pullback(np.array([[10.0]]))
    >>> dx
    array([[30., 40.]])
    """
    return _vjp(f, primals, [f"argument {i}" for i in range(len(primals))])


def _vjp(f: Function, primals: Sequence[Any], names: Sequence[str]) -> tuple[Any, Pullback]:
    level = fresh_level()
    inputs = [Tensor.at(level, as_floats(p, name)) for p, name in zip(primals, names, strict=True)]
    result = f(*inputs)
    floats = as_floats(result, "the function's result")
    if not hasattr(result, "dtype"):
        result = floats
    connected = isinstance(result, Tensor) and result.level == level
    value = result.value if connected else result

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        cotangent = as_cotangent(cotangent, value)
        wanted = {tensor.node for tensor in inputs}
        found = {node: g for node, g in walk(result.node, cotangent) if node in wanted} if connected else {}
        return tuple(
            owned(found[t.node]) if t.node in found else np.zeros(t.shape, innermost(t).dtype)[()] for t in inputs
        )

    return value, pullback
