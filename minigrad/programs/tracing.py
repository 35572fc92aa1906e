"""`trace`: from a NumPy function to a `Program`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import TracedControlFlowError
from minigrad.programs.program import Input, Program, Ref, Step, copied
from minigrad.protocol import FUNCTIONS, NAMES, Array, Function, map_operand
from minigrad.tensor import fresh_level


class Tape:
    """The steps recorded so far, and the value of each input and step for the example arguments."""

    def __init__(self, names: Sequence[str], values: Sequence[Any], follows: bool = False):
        self.level = fresh_level()
        self.follows, self.branched = follows, False
        self.inputs = tuple(Input(n, v.shape, v.dtype.name) for n, v in zip(names, values, strict=True))
        self.values = list(values)
        self.steps: list[Step] = []

    def recorders(self) -> list[Recorder]:
        return [Recorder(value, Ref(i), self) for i, value in enumerate(self.values)]

    def add(self, function: Function, operands: Sequence[Any], parameters: dict[str, Any], value: Any) -> Recorder:
        recorded = tuple(map_operand(self.reference, operand) for operand in operands)
        kept = {name: map_operand(copied, value) for name, value in parameters.items()}
        self.steps.append(Step(FUNCTIONS[function].name, recorded, kept))
        self.values.append(value)
        return Recorder(value, Ref(len(self.values) - 1), self)

    def reference(self, operand: Any) -> Any:
        """An operand as a step holds it: by number if it was recorded here, else the constant itself."""
        if isinstance(operand, Recorder) and operand.level == self.level:
            return operand.ref
        if isinstance(operand, Array):
            raise TypeError(
                "a program cannot hold another transform's array as a constant; "
                "pass it to the traced function as an argument"
            )
        return copied(operand)


class Recorder(Array):
    """An array whose every use is written down as a step, comparisons and integers included.

    It holds the value for the example arguments, so that shapes are known; asking for the value
    itself, in an ``if``, raises `TracedControlFlowError` unless the tape follows branches.
    """

    __slots__ = ("level", "ref", "tape")
    expands = False

    def __init__(self, value: Any, ref: Ref, tape: Tape):
        self.value = value
        self.level = tape.level
        self.ref = ref
        self.tape = tape

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        def strip(operand: Any) -> Any:
            return operand.value if isinstance(operand, Recorder) and operand.level == self.level else operand

        result = function(*(map_operand(strip, operand) for operand in operands), **parameters)
        whole = self.tape.add(function, operands, parameters, result)
        if not isinstance(result, (list, tuple)):
            return whole
        # A function with several results is one step, and picking each is another.
        parts = iter([self.tape.add(NAMES["getitem"], (whole, i), {}, part) for i, part in enumerate(result)])
        return map_operand(lambda _: next(parts), result)

    def __bool__(self) -> bool:
        if self.tape.follows:
            self.tape.branched = True
            return bool(self.value)
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
    return recorded(f, example_args, follows=False)[0]


def follow(f: Function, *example_args: Any) -> tuple[Program, bool]:
    """`trace` along the branches that these arguments take, and whether there was any.

    The program is the function only as far as other arguments take the same branches.

    >>> program, branched = follow(lambda x: x * x if x > 0 else -x, 3.0)
    >>> float(program(2.0)), branched
    (4.0, True)
    """
    return recorded(f, example_args, follows=True)


def recorded(f: Function, example_args: Sequence[Any], follows: bool) -> tuple[Program, bool]:
    """The program of a function, and whether it branched on a value."""
    for i, arg in enumerate(example_args):
        if isinstance(arg, (dict, list, tuple)):
            raise TypeError(
                f"argument {i} is a {type(arg).__name__}; a program takes arrays: pass each as its own argument"
            )
    values = [np.asarray(arg) for arg in example_args]
    tape = Tape(argument_names(f, len(values)), values, follows)
    result = f(*tape.recorders())

    def reference(leaf: Any) -> Any:
        if isinstance(leaf, Recorder) and leaf.level == tape.level:
            return leaf.ref
        constant = np.array(leaf)
        if constant.dtype == object:
            raise TypeError(
                f"the traced function returned a {type(leaf).__name__}; "
                "return an array, or nested tuples and lists of arrays"
            )
        return constant

    return Program(tape.inputs, tuple(tape.steps), map_operand(reference, result)), tape.branched


def argument_names(f: Function, count: int) -> list[str]:
    """The function's own names for its arguments where it has enough of them, else x1, x2, ..."""
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in kinds][:count]
    except (TypeError, ValueError):
        names = []
    if len(names) < count or any(re.fullmatch(r"[cdtv]\d+", name) for name in names):
        return [f"x{i}" for i in range(1, count + 1)]
    return names
