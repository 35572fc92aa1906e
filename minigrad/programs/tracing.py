"""`trace`: from a NumPy function to a `Program`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import ShapeError, TracedControlFlowError
from minigrad.programs.program import Input, Program, Ref, Step, copied
from minigrad.protocol import FUNCTIONS, NAMES, Array, Function, leaves, map_operand, register
from minigrad.tensor import fresh_level


class Tape:
    """The steps recorded so far, and the value of each input and step for the example arguments.

    Where the program would be another for other numbers, one that `follows` notes that it has `branched`;
    others refuse.
    """

    checks = False
    """Whether there are steps that hold other numbers to the shapes that these choose."""

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

    def branch(self, message: str) -> None:
        """What is recorded from here on holds for these numbers, and not for any."""
        if not self.follows:
            raise TracedControlFlowError(message)
        self.branched = True

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

    __slots__ = ("level", "ragged", "ref", "tape")
    expands = False
    why_not_plain = "a program holds for any numbers; fix what stays the same before, as in stage(lambda x: f(x, 3), x)"

    def __init__(self, value: Any, ref: Ref, tape: Tape):
        self.value = value
        self.level = tape.level
        self.ref = ref
        self.tape = tape
        self.ragged = False
        """Whether its shape may be another for other numbers."""

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        def strip(operand: Any) -> Any:
            return operand.value if isinstance(operand, Recorder) and operand.level == self.level else operand

        result = function(*(map_operand(strip, operand) for operand in operands), **parameters)
        result = np.asarray(result)[()] if type(result) in (bool, int, float) else result
        whole = self.tape.add(function, operands, parameters, result)
        chosen = chooses(FUNCTIONS[function].name, operands)
        if not isinstance(result, (list, tuple)):
            return self.shaped(whole, operands, parameters, chosen)
        # A function with several results is one step, and picking each is another.
        parts = [self.tape.add(NAMES["getitem"], (whole, i), {}, part) for i, part in enumerate(result)]
        each = iter([self.shaped(part, operands, parameters, chosen) for part in parts])
        return map_operand(lambda _: next(each), result)

    def shaped(self, result: Recorder, operands: list[Any], parameters: dict[str, Any], chosen: bool) -> Recorder:
        """A result of these operands, checked or marked where its shape depends on numbers, or is `chosen` by them."""
        if chosen and self.tape.checks:
            return self.tape.add(of_shape, [result], {"shape": result.shape}, result.value)
        made_of_ragged = any(isinstance(x, Recorder) and x.ragged for x in leaves(operands))
        result.ragged = bool(result.ndim) and (chosen or (made_of_ragged and "shape" not in parameters))
        return result

    @property
    def shape(self) -> tuple[int, ...]:
        if self.ragged:
            self.tape.branch(
                "the shape of entries that are chosen by traced values was asked for, or is needed for a gradient, "
                "but other values choose more or fewer; use np.where, np.count_nonzero, or where= as in np.mean"
            )
        return np.shape(self.value)

    @property
    def flags(self) -> Any:
        self.tape.branch(
            "the order in memory of a traced value was asked for, as by order='A', which is that of the example; "
            "use order='C' or 'F'"
        )
        return self.value.flags

    def __bool__(self) -> bool:
        self.tape.branch(
            "Python control flow depends on a traced value, but a program is a straight line; "
            "use np.where, np.maximum or the like, or decide on something that is not an input"
        )
        return bool(self.value)

    def __repr__(self) -> str:
        return f"Recorder({self.value!r})"


def chooses(name: str, operands: Sequence[Any]) -> bool:
    """Whether the shape of a result depends on numbers: on what they say, or on how many of them are not zero."""
    if name in SIZED:
        return any(isinstance(x, Recorder) for x in leaves([*operands[1:]]))
    selectors = operands[1:] if name == "getitem" else operands[:1] if name in CHOOSING else ()
    masks = [x for x in leaves([*selectors]) if isinstance(x, Recorder) and x.ndim]
    return any(name in CHOOSING or x.dtype == bool for x in masks)


CHOOSING = ("argwhere", "compress", "extract", "flatnonzero", "nonzero")
"""Functions that choose by what is not zero in their first operand, of whatever dtype."""


SIZED = ("array_split", "delete", "dsplit", "hsplit", "pad", "repeat", "resize", "split", "tile", "vsplit")
"""Functions of which all operands but the first say how many entries there are."""


def of_shape(x: Any, shape: tuple[int, ...]) -> Any:
    """`x`, if it has this shape; raises `ShapeError` otherwise."""
    if np.shape(x) == shape:
        return x
    raise ShapeError(
        f"entries are chosen of shape {np.shape(x)}, but the function was staged for {shape}; "
        "use np.where, or where= as in np.mean, or stage it again for these numbers"
    )


register(of_shape, ("x",), ("shape",))


def trace(f: Function, *example_args: Any) -> Program:
    """Record ``f(*example_args)`` as a `Program` for arguments of these shapes and dtypes.

    The function may return an array or nested tuples and lists of arrays, and may itself take
    gradients: they are recorded too.  Raises `TracedControlFlowError` where its Python control
    flow depends on a value, or what it computes on how many entries a mask chooses.

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
