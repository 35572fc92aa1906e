"""What a case runs into on its way: kinks, edges of domains, and numbers that leave the dtype's normal range.

They are found in floats, step by step and element by element, for the reports and to know where to
look around in exact arithmetic; what they excuse is decided there (`oracles.exact.truth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.protocol import NAMES, leaves
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, Mask, is_entry_by_entry

NOT_FINITE = "range: not finite"


@dataclass(frozen=True)
class Event:
    """Something that happens at some elements of a step's result."""

    step: int
    what: str
    mask: Mask

    @property
    def is_break(self) -> bool:
        """Whether a derivative does not exist here: a kink or an edge, rather than a matter of range."""
        return self.what.startswith(("kink", "edge"))

    @property
    def is_loss(self) -> bool:
        """Whether numbers are infinite or NaN here, as past the edge of a domain."""
        return self.what == NOT_FINITE


def met(events: Sequence[Event]) -> dict[str, Any]:
    """What the referee must know of them: whether there are kinks or edges, and where they are.

    What is infinite may be so at a pole, which is an edge, or beyond the range of floats: exact numbers tell.
    """
    places: dict[str, dict[int, Mask]] = {"kink": {}, "edge": {}}
    for event in events:
        if event.is_break or (event.is_loss and event.step):
            found = places["edge" if event.is_loss else event.what[:4]]
            found[event.step] = either(event.mask, found.get(event.step, np.asarray(False)))
    return {"watched": any(event.is_break for event in events), "kinks": places["kink"], "edges": places["edge"]}


def either(one: Mask, other: Mask) -> Mask:
    """Where either is marked; as one, if they are of different parts of what a step results in."""
    same = one.shape == other.shape or not (one.ndim and other.ndim)
    return np.asarray(one | other if same else one.any() or other.any())


def find_events(case: Case) -> list[Event]:
    """Every event on the way from the case's inputs to its value, which does not lead through what nobody uses."""
    live, n = case.program.live(), len(case.inputs)
    events = [Event(0, what, mask) for x in case.inputs for what, mask in out_of_range(x) if mask.any()]

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        row = CATALOGUE.get(step.function)
        if row is not None and row.where is not None:
            mask = np.asarray(row.where(result, *operands, **step.parameters))
            if mask.any():
                events.append(Event(number, row.event, mask))
        mask = past_domain(step.function, operands, result)
        if mask.any():
            events.append(Event(number, f"edge: {step.function.rpartition('.')[2]} is not defined", mask))
        constants = [np.asarray(leaf, case.dtype) for leaf in leaves(step.operands) if type(leaf) is float]
        for part in (*leaves(result), *constants):
            events.extend(Event(number, what, mask) for what, mask in out_of_range(part) if mask.any())
        return result

    case.program.run(case.inputs, NAMES.__getitem__, watch)
    return [event for event in events if event.step == 0 or n + event.step - 1 in live]


def past_domain(name: str, operands: Sequence[Any], result: Any) -> Mask:
    """The entries of a result that are NaN although what they are made of is finite.

    Of several results they are marked in all; everywhere, if these are not made entry by entry.
    """
    masks = [np.isnan(part) for part in map(np.asarray, leaves(result)) if part.dtype.kind == "f"]
    each = len(masks) == 1 or is_entry_by_entry(name)
    mask = np.asarray(np.logical_or.reduce(masks) if each else any(m.any() for m in masks), bool)
    if not mask.any():
        return mask
    finite = [np.isfinite(leaf) for leaf in map(np.asarray, leaves(operands)) if leaf.dtype.kind in "fiub"]
    made_of = finite if is_entry_by_entry(name) else [f.all() for f in finite]
    return np.asarray(np.logical_and.reduce(np.broadcast_arrays(mask, *made_of)), bool)


def out_of_range(array: Any) -> list[tuple[str, Mask]]:
    array = np.asarray(array)
    if array.dtype.kind != "f":
        return []
    subnormal = (array != 0) & (np.abs(array) < np.finfo(array.dtype).tiny)
    return [(NOT_FINITE, ~np.isfinite(array)), ("range: subnormal", subnormal)]
