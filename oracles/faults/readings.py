"""What a rule reads wrongly: other operands than its own, other parameters, or not all of its terms."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.protocol import RULES, Array, Function, map_operand
from minigrad.transforms import stop_gradient
from oracles.faults.fault import Call


def run(vjp: Function, call: Call) -> Any:
    return vjp(call.g, call.ans, *call.operands, **call.parameters)


def swapped_operands(vjp: Function, call: Call) -> Any:
    return run(vjp, call._replace(operands=call.operands[::-1]))


def other_place(function: Function) -> Any:
    """The rule of the function's other operand."""
    vjps = RULES[function].vjps
    return lambda vjp, call: run(vjps[1 - call.place], call)


def saved_ans(vjp: Function, call: Call) -> Any:
    """The result was saved where the operand is meant."""
    operands = [call.ans if i == call.place else x for i, x in enumerate(call.operands)]
    return run(vjp, call._replace(operands=operands)) if fits(call) else run(vjp, call)


def saved_operand(vjp: Function, call: Call) -> Any:
    """The operand was saved where the result is meant."""
    return run(vjp, call._replace(ans=call.operands[call.place])) if fits(call) else run(vjp, call)


def fits(call: Call) -> bool:
    """Whether the result can stand for the operand, as in a memory of saved arrays it would."""
    x = call.operands[call.place]
    return not isinstance(x, (list, tuple)) and np.shape(x) == np.shape(call.ans)


def untransposed(vjp: Function, call: Call) -> Any:
    """Square matrices are taken as their transposes."""

    def flipped(x: Any) -> Any:
        shape = np.shape(x)
        return np.swapaxes(x, -1, -2) if len(shape) > 1 and shape[-1] == shape[-2] else x

    return run(vjp, call._replace(operands=[flipped(x) for x in call.operands]))


def conjugated(vjp: Function, call: Call) -> Any:
    return run(vjp, call._replace(operands=[np.conjugate(x) for x in call.operands]))


def next_axis(vjp: Function, call: Call) -> Any:
    """The axis after the one that is meant."""
    axis, ndim = call.parameters.get("axis"), np.ndim(call.operands[0])
    if not isinstance(axis, int) or ndim < 2:
        return run(vjp, call)
    return run(vjp, call._replace(parameters={**call.parameters, "axis": (axis + 1) % ndim}))


def other_keepdims(vjp: Function, call: Call) -> Any:
    keepdims = not call.parameters.get("keepdims", False)
    return run(vjp, call._replace(parameters={**call.parameters, "keepdims": keepdims}))


def stopped(vjp: Function, call: Call) -> Any:
    """What was saved for the rule counts as constant when the rule is differentiated."""
    operands = [map_operand(stop_gradient, x) for x in call.operands]
    return run(vjp, call._replace(ans=stop_gradient(call.ans), operands=operands))


class Lossy(Array):
    """Numbers of which the first sum that is made loses its second term."""

    __slots__ = ("lost",)

    level = 1 << 62
    """Above everything that differentiates: it is the formula that is broken."""

    def __init__(self, value: Any, lost: list[Function]):
        self.value = value
        self.lost = lost
        """The sum that lost its term, once there was one; shared by all numbers of a rule."""

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        values = [map_operand(plain, operand) for operand in operands]
        result = function(*values, **parameters)
        if function in (np.add, np.subtract) and not self.lost:
            self.lost.append(function)
            result = values[0] + 0 * values[1]
        return map_operand(lambda x: Lossy(x, self.lost) if has_floats(x) else x, result)


def has_floats(x: Any) -> bool:
    return getattr(x, "dtype", np.dtype(bool)).kind == "f"


def plain(x: Any) -> Any:
    return x.value if isinstance(x, Lossy) else x


def dropped_term(vjp: Function, call: Call) -> Any:
    lost: list[Function] = []

    def lossy(x: Any) -> Any:
        return Lossy(x, lost) if has_floats(x) else x

    operands = [map_operand(lossy, x) for x in call.operands]
    return map_operand(plain, run(vjp, Call(lossy(call.g), lossy(call.ans), operands, call.parameters, call.place)))
