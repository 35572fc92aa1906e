"""Kinks and edges that a case runs into, and which gradient elements depend on them.

An event excuses only what depends on it: a broadcasting bug must not hide behind a tie elsewhere.
Dependence is found by poisoning: the cotangent of each event's result is replaced by NaN on the
way back, and whatever gradient element comes out as NaN has passed through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.protocol import NAMES, map_operand
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, Mask


@mg.primitive
def poison(x: Any, mask: Any) -> Any:
    """`x` unchanged; its cotangent becomes NaN where `mask` is set."""
    return x


# A product, not a np.where: so that NaN also reaches what differentiates this once more.
mg.defvjp(poison, lambda g, ans, x, mask: g * np.where(mask, np.nan, 1.0), None)


PICKS = {"median": None, "quantile": None, "percentile": None, "partition": -1}
"""Functions that pick some entries by their order, with the axis that they do it along unless told.

At a tie, which of the tied is picked is anyone's choice: so all that they pick from depends on it.
"""

CUTS = ("clip", "minigrad.relu")
"""Functions that, at a kink, may let all or nothing through: minigrad's rule lets nothing, so NaN would not pass."""


def concerned(step: Any, operands: list[Any]) -> Any:
    """What an event of a step concerns, whatever passes through minigrad's own rule."""
    if step.function in CUTS:
        return operands[0]
    if step.function in PICKS:
        axis = step.parameters.get("axis", PICKS[step.function])
        keepdims = step.function == "partition" or step.parameters.get("keepdims", False)
        return np.sum(operands[0], axis=axis, keepdims=keepdims)
    return None


@dataclass(frozen=True)
class Event:
    """A place where a derivative does not exist."""

    step: int
    what: str
    mask: Mask

    @property
    def is_edge(self) -> bool:
        return self.what.startswith("edge")


def find_events(case: Case) -> list[Event]:
    """Every kink and edge on the way from the case's inputs to its value."""
    events: list[Event] = []

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        row = CATALOGUE.get(step.function)
        if row is not None and row.where is not None:
            mask = np.asarray(row.where(result, *operands, **step.parameters))
            if mask.any():
                events.append(Event(number, row.event, mask))
        return result

    case.program.run(case.inputs, NAMES.__getitem__, watch)
    return events


def dependence(case: Case, events: Sequence[Event], order: int) -> list[Mask]:
    """Per input, the elements of its gradient (or Hessian product) that depend on the events."""
    masks = {event.step: event.mask for event in events}

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        if number not in masks:
            return result
        if (origin := concerned(step, operands)) is not None:
            result = result + 0 * origin
        return map_operand(lambda each: poison(each, masks[number]), result)

    def poisoned(*inputs: Any) -> Any:
        return case.program.run(inputs, NAMES.__getitem__, watch)

    gradients = mg.vjp(poisoned, *case.inputs)[1](case.cotangent)
    tainted = [np.isnan(g) for g in gradients]
    if order == 1:
        return tainted

    def slope(*inputs: Any) -> Any:
        gradients = mg.vjp(poisoned, *inputs)[1](case.cotangent)
        return sum(np.sum(g * v) for g, v in zip(gradients, case.vectors, strict=True))

    products = mg.grad(slope, argnums=range(len(case.inputs)))(*case.inputs)
    return [np.isnan(p) | t for p, t in zip(products, tainted, strict=True)]
