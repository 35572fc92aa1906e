"""`trace`: from a NumPy function to a `Program`."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np

from minigrad.errors import TracedControlFlowError
from minigrad.program import Input, Program, Ref, Step
from minigrad.protocol import FUNCTIONS, Array, Function, map_operand
from minigrad.tensor import fresh_level


class Recorder(Array):
    """An array whose every use is written down as a step, comparisons and integers included.

    It holds the value for the example arguments, so that shapes are known; asking for the value
    itself, in an ``if``, raises `TracedControlFlowError`.
    """

    __slots__ = ("level", "ref", "steps")

    def __init__(self, value: Any, level: int, ref: Ref, steps: list[Step | Input]):
        self.value = value
        self.level = level
        self.ref = ref
        self.steps = steps

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        def strip(operand: Any) -> Any:
            return operand.value if isinstance(operand, Recorder) and operand.level == self.level else operand

        result = function(*(map_operand(strip, operand) for operand in operands), **parameters)
        recorded = tuple(map_operand(self.reference, operand) for operand in operands)
        self.steps.append(Step(FUNCTIONS[function].name, recorded, parameters))
        return Recorder(result, self.level, Ref(len(self.steps) - 1), self.steps)

    def reference(self, operand: Any) -> Any:
        if isinstance(operand, Recorder) and operand.level == self.level:
            return operand.ref
        if isinstance(operand, Array):
            raise TypeError(
                "a program cannot hold another transform's array as a constant; "
                "pass it to the traced function as an argument"
            )
        return np.array(operand) if isinstance(operand, (np.ndarray, np.generic)) else operand

    def __bool__(self) -> bool:
        raise TracedControlFlowError(
            "Python control flow depends on a traced value, but a program is a straight line; "
            "use np.where, np.maximum or the like, or decide on something that is not an input"
        )

    def __repr__(self) -> str:
        return f"Recorder({self.value!r})"


def trace(f: Function, *example_args: Any) -> Program:
    """Record ``f(*example_args)`` as a `Program` for arguments of these shapes and dtypes.

    The function may return an array or nested tuples and lists of arrays, and may itself take
    gradients: they are recorded too.  Raises `TracedControlFlowError` where its Python control
    flow depends on a value.

    >>> from minigrad import grad, trace
    >>> print(trace(grad(lambda x: x * x), 3.0))
    def program(x: float64[]):
        v1 = x * x                 #(1)
        v2 = np.float64(1.0) * x   #(2)
        v3 = np.float64(1.0) * x   #(3)
        v4 = v2 + v3               #(4)
        return v4
    """
    values = [np.asarray(arg) for arg in example_args]
    names = _names(f, len(values))
    steps: list[Step | Input] = [Input(n, v.shape, v.dtype.name) for n, v in zip(names, values, strict=True)]
    level = fresh_level()
    inputs = [Recorder(value, level, Ref(i), steps) for i, value in enumerate(values)]
    result = f(*inputs)

    def reference(leaf: Any) -> Any:
        if isinstance(leaf, Recorder) and leaf.level == level:
            return leaf.ref
        constant = np.asarray(leaf)
        if constant.dtype == object:
            raise TypeError(
                f"the traced function returned a {type(leaf).__name__}; "
                "return an array, or nested tuples and lists of arrays"
            )
        return constant

    output = map_operand(reference, result)
    n = len(values)
    return Program(tuple(steps[:n]), tuple(steps[n:]), output)  # type: ignore[arg-type]


def _names(f: Function, count: int) -> list[str]:
    """The function's own names for its arguments where it has enough of them, else x1, x2, ..."""
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in kinds][:count]
    except (TypeError, ValueError):
        names = []
    if len(names) < count or any(re.fullmatch(r"v\d+", name) for name in names):
        return [f"x{i}" for i in range(1, count + 1)]
    return names
