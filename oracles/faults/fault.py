"""A fault: what is broken, and where; and the adapter that answers with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import minigrad as mg
from minigrad.protocol import DEFINITIONS, NAMES, RULES
from oracles.adapters.minigrad import MinigradAdapter
from oracles.catalogue import CATALOGUE, Row


class Call(NamedTuple):
    """A rule at work: what it was called with, and for which operand."""

    g: Any
    ans: Any
    operands: Sequence[Any]
    parameters: dict[str, Any]
    place: int


Bend = Callable[[Any, Any, Call], Any]
"""``bend(gradient, operand, call)``: what becomes of a gradient on its way out of a rule."""


@dataclass(frozen=True)
class Target:
    """Where a fault is planted: the rule for one operand of a function, a whole definition, or a part of the walk."""

    name: str
    """The function's name in the registry, or the mechanism's."""
    place: int | None = None
    """Which operand; None for a definition, all of whose operands are meant, and for a mechanism."""

    def __str__(self) -> str:
        return self.name if self.place is None else f"{self.name}.{self.place}"

    @property
    def function(self) -> Any:
        """The function itself; None for a mechanism."""
        return NAMES.get(self.name)

    @property
    def has_rule(self) -> bool:
        return self.function in RULES

    @property
    def is_defined(self) -> bool:
        """Whether the function is worked out by others, and has no rule of its own."""
        return self.function in DEFINITIONS

    @property
    def row(self) -> Row | None:
        return CATALOGUE.get(self.name)


Plant = Callable[[Target], AbstractContextManager[None]]
"""What puts a fault in its place for a while."""


@dataclass(frozen=True)
class Kind:
    """A way to be wrong."""

    name: str
    group: str
    """What the reports count together."""
    plant: Plant
    fits: Callable[[Target], bool]
    """Whether it makes sense there."""
    has_memory: bool = False
    """Whether the faulty engine remembers earlier calls, so that the same question may have two answers."""


@dataclass(frozen=True)
class Fault:
    """One mistake in one place, written ``kind@function.operand``, such as ``sign@hypot.1``."""

    kind: Kind
    target: Target

    def __str__(self) -> str:
        return f"{self.kind.name}@{self.target}"


class FaultyAdapter(MinigradAdapter):
    """minigrad with a fault that is there while it answers, and at no other time."""

    def __init__(self, fault: Fault):
        self.fault = fault
        self.name = f"minigrad with {fault}"
        # Made once: a fault may have a memory.
        self.planted = fault.kind.plant(fault.target)

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with self.planted:
            return super().vjp(program, inputs, cotangent)

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        with self.planted:
            return super().hvp(program, inputs, cotangent, vectors)
