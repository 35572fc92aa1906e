"""The census: what the drawn cases of a campaign exercise.

Only drawn cases count: the named ones and the known findings are the same in every campaign.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from minigrad.programs import Program, Ref
from minigrad.protocol import NAMES, leaves
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, within
from oracles.findings import shape_class
from oracles.verdict import EXCUSED, Label

# Of one case, for its record.

DECADES = 16
"""Distances are told in decades, from 0.1 down to as many."""

BROADCASTING = ("binary", "choice", "parts")
"""Kinds of functions whose operands NumPy stretches to one shape, which the walk back must undo."""


def exercised(case: Case) -> dict[str, Any]:
    """What a case exercises, as its record in the journal has it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return structure(case.program) | run_through(case)


def structure(program: Program) -> dict[str, Any]:
    """The longest chain of steps, how many values are used more than once, and which function feeds which."""
    depths, uses, pairs = [0] * len(program.inputs), Counter[Ref](), set()
    for step in program.steps:
        refs = [leaf for leaf in leaves(step.operands) if isinstance(leaf, Ref)]
        depths.append(1 + max((depths[ref.index] for ref in refs), default=0))
        uses.update(refs)
        feeding = [ref.index - len(program.inputs) for ref in refs if ref.index >= len(program.inputs)]
        pairs |= {(program.steps[number].function, step.function) for number in feeding}
    return {
        "depth": max(depths),
        "forks": sum(count > 1 for count in uses.values()),
        "pairs": [list(pair) for pair in sorted(pairs)],
    }


def run_through(case: Case) -> dict[str, Any]:
    """What only running the program tells: how many steps stretch operands, and how near to a kink or an edge it comes.

    `nearest` is 0 at one, else the power of ten within which one lies, 1 where all are farther off
    than 0.1, and None where no function of the program has any.
    """
    stretched, nearest = 0, []

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        nonlocal stretched
        row = CATALOGUE.get(step.function)
        if row is not None and row.kind in BROADCASTING:
            shapes = [np.shape(value) for value in leaves(operands)]
            wide = np.broadcast_shapes(*shapes)
            used = [isinstance(leaf, Ref) for leaf in leaves(step.operands)]
            stretched += any(shape != wide for shape, is_value in zip(shapes, used, strict=True) if is_value)
        if row is not None and row.where is not None:
            nearest.append(distance(partial(row.where, result, *operands, **step.parameters)))
        return result

    case.program.run(case.inputs, NAMES.__getitem__, watch)
    return {"stretched": stretched, "nearest": min(nearest, default=None)}


def distance(is_there: Callable[[], Any]) -> float:
    """The decade of the distance to what `Row.where` finds."""
    found = 1.0
    for reach in [*(float(f"1e-{k}") for k in range(1, DECADES + 1)), 0.0]:
        with within(reach):
            if not np.any(is_there()):
                break
        found = reach
    return found


# Of a campaign.

NEAREST = "nearest kink or edge"

NEARNESS = {None: "none in the program", 0.0: "at one", 1.0: "none within 0.1"}


@dataclass
class Census:
    """How many of the drawn cases have what."""

    subject: str
    drawn: int = 0
    counts: Counter[tuple[str, Any]] = field(default_factory=Counter)

    def add(self, record: Mapping[str, Any]) -> None:
        """Count the journal's record of a case, if it was drawn: once towards each value that it has."""
        if "block" in record["origin"]:
            self.drawn += 1
            traits = self.traits(record).items()
            self.counts.update({(what, value): None for what, values in traits for value in values}.keys())

    def traits(self, record: Mapping[str, Any]) -> dict[str, Iterable[Any]]:
        """What a case has, as far as this is counted."""
        shapes = [declared["shape"] for declared in record["program"]["inputs"]]
        labels = {v["label"] for v in record["verdicts"] if v["party"] == self.subject}
        proves_little = {
            "vacuous": record["vacuous"],
            "ill-conditioned": Label.ILL_CONDITIONED in labels,
            "excused": not labels.isdisjoint(EXCUSED),
        }
        able = "unsupported" if labels == {Label.UNSUPPORTED} else "telling"
        return {
            "dtype": [record["dtype"]],
            "point": [record["origin"].get("sort", "ordinary")],
            "outcome": [name for name, is_so in proves_little.items() if is_so] or [able],
            "steps": [len(record["functions"])],
            "depth": [record["depth"]],
            "forks": [record["forks"]],
            "stretched": [record["stretched"]],
            "inputs": [len(shapes)],
            "shape class": map(shape_class, shapes),
            "shape": ["x".join(map(str, shape)) or "()" for shape in shapes],
            "input kind": record["origin"]["kinds"],
            NEAREST: [record["nearest"]],
            "function": record["functions"],
            "pair": [" -> ".join(pair) for pair in record["pairs"]],
        }

    def of(self, what: str) -> dict[Any, int]:
        """The cases by value: numbers in order, words by how many have them."""
        found = [(value, count) for (name, value), count in self.counts.items() if name == what]
        words = any(isinstance(value, str) for value, _ in found)
        # None is the distance to what there is not.
        key = (lambda e: (-e[1], e[0])) if words else (lambda e: math.inf if e[0] is None else e[0])
        return dict(sorted(found, key=key))

    def rows(self) -> list[dict[str, Any]]:
        """The rows of ``census.csv``."""
        return [
            {"what": what, "value": told(what, value), "cases": count, "share": count / self.drawn}
            for what in dict.fromkeys(what for what, _ in self.counts)
            for value, count in self.of(what).items()
        ]


def told(what: str, value: Any) -> str:
    """A value in words."""
    if what == NEAREST and value not in NEARNESS:
        return f"within {value:.0e}"
    return NEARNESS[value] if what == NEAREST else str(value)
