"""How a fault gets into minigrad's tables, and out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np

from minigrad.protocol import (
    DEFINITIONS,
    FUNCTIONS,
    NAMES,
    RULES,
    Array,
    Function,
    defvjp,
    dispatch,
    highest,
    innermost,
    map_operand,
    register,
)
from oracles.faults.fault import Bend, Call, Plant, Target

Run = Callable[[Function, Call], Any]
"""``run(vjp, call)``: what a rule is replaced by."""


class Planted(AbstractContextManager[None]):
    """A fault in its place, for as long as this is entered, which may be again and again."""

    def __init__(self, change: Callable[[], AbstractContextManager[None]]):
        self.change = change
        self.stack = ExitStack()

    def __enter__(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(passing_known())
            stack.enter_context(self.change())
            self.stack = stack.pop_all()

    def __exit__(self, *error: object) -> None:
        self.stack.close()


@contextmanager
def replaced(table: dict[Any, Any], key: Any, entry: Any) -> Iterator[None]:
    """Another entry in a table, for a while."""
    own = table[key]
    table[key] = entry
    try:
        yield
    finally:
        table[key] = own


def rerunning(make: Callable[[], Run]) -> Plant:
    """Another way to run a rule.  `make` is called once per planted fault, so that what it makes may remember."""

    def plant(target: Target) -> Planted:
        run = make()
        return Planted(lambda: other_rule(target, run))

    return plant


def bending(make: Callable[[], Bend]) -> Plant:
    """Every gradient that leaves the target is bent; `make` as for `rerunning`."""

    def plant(target: Target) -> Planted:
        bend = make()
        if target.is_defined:
            return Planted(lambda: bent_definition(target.function, bend))
        return Planted(lambda: other_rule(target, lambda vjp, call: bent(vjp, call, bend)))

    return plant


def other_rule(target: Target, run: Run) -> AbstractContextManager[None]:
    function, place = target.function, target.place
    assert place is not None
    rule = RULES[function]
    own = rule.vjps[place]
    assert own is not None

    def vjp(g: Any, ans: Any, *operands: Any, **parameters: Any) -> Any:
        return run(own, Call(g, ans, operands, parameters, place))

    vjps = (*rule.vjps[:place], vjp, *rule.vjps[place + 1 :])
    return replaced(RULES, function, rule._replace(vjps=vjps))


def bent(vjp: Function, call: Call, bend: Bend) -> Any:
    """What the rule gives, bent; for an operand that is a list of arrays, each of the list's gradients."""
    gradient, operand = vjp(call.g, call.ans, *call.operands, **call.parameters), call.operands[call.place]
    if isinstance(operand, (list, tuple)):
        return [bend(as_array(part), innermost(x), call) for part, x in zip(gradient, operand, strict=True)]
    return bend(as_array(gradient), innermost(operand), call)


def as_array(gradient: Any) -> Any:
    return gradient if hasattr(gradient, "dtype") else np.asarray(gradient)[()]


def bent_definition(function: Function, bend: Bend) -> AbstractContextManager[None]:
    """The gradients of all operands of a function that is worked out by others are bent."""
    own = DEFINITIONS[function]

    def definition(*operands: Any, **parameters: Any) -> Any:
        call = Call(None, None, operands, parameters, 0)

        def through(leaf: Any) -> Any:
            return pass_on(leaf, lambda g, x: bend(g, x, call)) if isinstance(leaf, Array) else leaf

        return own(*(map_operand(through, operand) for operand in operands), **parameters)

    return replaced(DEFINITIONS, function, definition)


def passing(x: Any, bend: Any) -> Any:
    """`x` itself, whose gradient is bent on its way back."""
    return x


@contextmanager
def passing_known() -> Iterator[None]:
    """`passing` is in minigrad's tables for a while; no longer, as these are held to the catalogue."""
    register(passing, ("x", "bend"))
    defvjp(passing, lambda g, ans, x, bend: bend(g, innermost(x)), None)
    try:
        yield
    finally:
        del RULES[passing], NAMES[FUNCTIONS.pop(passing).name]


def pass_on(x: Any, bend: Callable[[Any, Any], Any]) -> Any:
    """`passing`, where there is something to differentiate."""
    return x if highest([x]) is None else dispatch(passing, (x, bend), {})
