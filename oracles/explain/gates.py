"""What a function does to the gradient that comes back through it, and a small picture of it at work."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.programs.circuit import Circuit, circuit
from oracles import strategies
from oracles.atlas import call_names, calls
from oracles.campaign import draw_block
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, Row
from oracles.known import traced
from oracles.points import domain_of, sort_of

FLOWS = {
    "add": "distributes: each operand gets the gradient as it is; where a value is used twice, what comes back adds up",
    "subtract": "distributes: the first operand gets the gradient as it is, the second with its sign turned",
    "multiply": "swaps: each operand gets the gradient times the other operand",
    "copy": "passes the gradient on as it is; where a copy is used beside the original, what comes back adds up",
    "sum": "distributes: every entry that was added gets the gradient as it is",
    "mean": "distributes: every entry gets its share of the gradient",
    "minigrad.relu": "routes: the gradient passes where the operand is positive, and stops elsewhere",
    "where": "routes: the gradient goes to the operand that was chosen, and the other gets 0",
    "minigrad.index_set": "routes: what was written over gets 0, the values written get the gradient there",
    "minigrad.index_add": "distributes: the array gets the gradient as it is, the values what stands at their places",
}
ROUTES = "routes: the gradient goes to the operand that won; a tie splits it evenly"
FLOWS |= dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "max", "min", "amax", "amin", "nanmax", "nanmin"), ROUTES)
FLOWS |= dict.fromkeys(("positive", "real", "conjugate", "real_if_close", "astype"), "passes the gradient on as it is")

MOVES = "moves: each number's gradient goes back to where it came from; one that went to several places gets the sum"
SWAPS = "swaps: each operand gets a product of the gradient and of the others"
SCALES = "scales: the gradient times the local slope, entry by entry"
BY_KIND = dict.fromkeys(("shape", "index", "join", "split", "spread", "masked", "update", "choice", "fill"), MOVES)
FLOWS |= dict.fromkeys(("sort", "partition"), MOVES)
BY_KIND |= dict.fromkeys(("product", "sums"), SWAPS) | dict.fromkeys(("unary", "special", "binary", "parts"), SCALES)
BY_KIND |= {"compare": "blocks: a condition has the derivative zero"}
WHOLE = "mixes: each entry of the result may depend on every entry of the operand, and so does the gradient"

ORDINARY = (0.6, 2.0, -1.5, 1.2, 0.3)
"""Numbers for a picture: the first that lies in the domain."""


def flow(row: Row) -> str:
    """What the gate does to a gradient, in the words of the course notes where they have one."""
    return FLOWS.get(row.name) or BY_KIND.get(row.kind, WHOLE)


@cache
def example(name: str) -> Case:
    """A small program that has the function: at ordinary numbers if it takes numbers, else the handiest one drawn."""
    row = CATALOGUE[name]
    if row.kind in ("unary", "binary", "special"):
        return at_ordinary(row, ORDINARY, ORDINARY[1:])
    if sort_of(row) == "vector" or row.kind in ("reduce", "scan"):
        inside = [x for x in ORDINARY if domain_of(row, 0).contains(x)]
        return at_ordinary(row, [inside[:3]])
    palette = strategies.Palette.of(0)
    return min((case for block in range(6) for case in draw_block("float64", 0, name, block, palette)), key=handiness)


def at_ordinary(row: Row, *numbers: Sequence[Any]) -> Case:
    """The function's plainest call, each operand the first of its numbers that lies in the domain."""
    call = calls(row)[0]
    names = sorted({"x", "y"} & call_names(call))
    at = {
        name: next(x for x in choice if domain_of(row, place).contains(x))
        for place, (name, choice) in enumerate(zip(names, numbers, strict=False))
    }
    program, inputs = traced(call, at, "float64")
    shape = np.shape(program(*inputs))
    return Case(row.name, program, inputs, 1 + np.arange(math.prod(shape), dtype=float).reshape(shape), inputs)


def handiness(case: Case) -> tuple[int, bool, int, str]:
    """Few steps first, then few numbers, but more than one or none."""
    sizes = [x.size for x in case.inputs]
    return len(case.program.steps), min(sizes) < 2, sum(sizes), str(case.program)


def picture(case: Case) -> Circuit:
    """The circuit of a case, with its values and gradients."""
    namespace: dict[str, Any] = {"np": np, "minigrad": mg, "scipy": sys.modules.get("scipy")}
    exec(case.program.source(), namespace)  # a function, whose arguments have names
    return circuit(namespace["program"], *case.inputs, cotangent=case.cotangent)


def has_picture(name: str) -> bool:
    """Whether programs have the function, and gradients come through it."""
    return name in CATALOGUE and CATALOGUE[name].kind != "compare"


def pictured(name: str) -> list[str]:
    """The circuit in text, and the numbers of its arrays."""
    return ["", *str(picture(example(name))).splitlines(), *numbers(example(name))]


def numbers(case: Case) -> list[str]:
    """The arrays of a case, which the picture has no room for, with the gradients that they get."""
    if not any(x.shape for x in case.inputs):
        return []
    names = [declared.name for declared in case.program.inputs]
    gradients = mg.vjp(case.program, *case.inputs)[1](case.cotangent)
    each = gradients if isinstance(gradients, tuple) else (gradients,)
    lines = {"g": case.cotangent}
    for name, x, dx in zip(names, case.inputs, each, strict=True):
        lines |= {name: x, f"d{name}": dx}
    wide = max(map(len, lines))
    written = [
        f"{name:{wide}} = " + np.array2string(array, precision=3, separator=", ", prefix=" " * (wide + 3))
        for name, array in lines.items()
    ]
    return ["", *(line for text in written for line in text.splitlines())]
