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
from oracles.points import sort_of

MOVES = "moves: each number's gradient goes back to where it came from; one that went to several places gets the sum"
PASSES = "passes the gradient on as it is"
ROUTES = "routes: the gradient goes to the operand that won; a tie splits it evenly"
SCALES = "scales: the gradient times the local slope, entry by entry"
SWAPS = "swaps: each operand gets a product of the gradient and of the others"
BLOCKS = "blocks: a condition has the derivative zero"
MIXES = "mixes: each entry of the result may depend on every entry of the operand, and so does the gradient"

FLOWS = {
    "add": "distributes: each operand gets the gradient as it is; where a value is used twice, what comes back adds up",
    "subtract": "distributes: the first operand gets the gradient as it is, the second with its sign turned",
    "multiply": "swaps: each operand gets the gradient times the other operand",
    "copy": "passes the gradient on as it is; where a copy is used beside the original, what comes back adds up",
    "sum": "distributes: every entry that was added gets the gradient as it is",
    "mean": "distributes: every entry gets its share of the gradient",
    "where": "routes: the gradient goes to the operand that was chosen, and the other gets 0",
    "clip": "routes: the gradient passes between the bounds, and stops at them and beyond",
    "nan_to_num": "routes: the gradient passes where there was a number, and stops elsewhere",
    "nansum": "distributes: every entry that was added gets the gradient as it is, and a NaN gets 0",
    "minigrad.relu": "routes: the gradient passes where the operand is positive, and stops elsewhere",
    "minigrad.index_set": "routes: what was written over gets 0, the values written get the gradient there",
    "minigrad.index_add": "distributes: the array gets the gradient as it is, the values what stands at their places",
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "max", "min", "amax", "amin", "nanmax", "nanmin"), ROUTES),
    **dict.fromkeys(("positive", "real", "conjugate", "real_if_close", "astype"), PASSES),
    **dict.fromkeys(("sort", "partition"), MOVES),
}
"""What functions do to a gradient that are not like the others of their kind."""

BY_KIND = {
    **dict.fromkeys(("shape", "index", "join", "split", "spread", "masked", "update", "choice", "fill"), MOVES),
    **dict.fromkeys(("product", "sums"), SWAPS),
    **dict.fromkeys(("unary", "special", "binary", "parts"), SCALES),
    "compare": BLOCKS,
}
"""What the kinds of the catalogue do to it; all others mix."""

ORDINARY = (0.6, 2.0, -1.5, 1.2, 0.3)
"""Numbers for a picture: the first that lies in the domain."""

PRODUCTS = ("matmul", "dot", "linalg.matmul")
"""Functions whose picture is that of D = WX."""

W, X = [[1.0, 2.0], [3.0, 4.0]], [[5.0], [6.0]]


def flow(row: Row) -> str:
    """What the gate does to a gradient, in the words of the course notes where they have one."""
    return FLOWS.get(row.name) or BY_KIND.get(row.kind, MIXES)


@cache
def example(name: str) -> Case:
    """A small program that has the function: at ordinary numbers if it takes numbers, else the handiest one drawn."""
    row = CATALOGUE[name]
    if row.kind in ("unary", "binary", "special"):
        return at_ordinary(row, ORDINARY, ORDINARY[1:])
    if sort_of(row) == "vector" or row.kind in ("reduce", "scan"):
        inside = [x for x in ORDINARY if row.domain_of(0).contains(x)]
        return at_ordinary(row, [inside[:3]])
    if name in PRODUCTS:
        program, inputs = traced(f"np.{name}(W, X)", {"W": W, "X": X}, "float64")
        return Case(name, program, inputs, np.array([[1.0], [10.0]]), inputs)
    palette = strategies.Palette.of(0)
    return min((case for block in range(6) for case in draw_block("float64", 0, name, block, palette)), key=handiness)


def at_ordinary(row: Row, *numbers: Sequence[Any]) -> Case:
    """The function's plainest call, each operand the first of its numbers that lies in the domain."""
    call = calls(row)[0]
    names = sorted({"x", "y"} & call_names(call))
    at = {
        name: next(x for x in choice if row.domain_of(place).contains(x))
        for place, (name, choice) in enumerate(zip(names, numbers, strict=False))
    }
    program, inputs = traced(call, at, "float64")
    shape = np.shape(program(*inputs))
    return Case(row.name, program, inputs, 1 + np.arange(math.prod(shape), dtype=float).reshape(shape), inputs)


def handiness(case: Case) -> tuple[int, bool, bool, int, str]:
    """Few steps first, then more numbers than one or none, none of them outlandish, and few of them."""
    sizes = [x.size for x in case.inputs]
    is_wild = any(np.any((np.abs(x) < 1e-2) | (np.abs(x) > 1e2) | ~np.isfinite(x)) for x in case.inputs)
    return len(case.program.steps), min(sizes) < 2, is_wild, sum(sizes), str(case.program)


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
