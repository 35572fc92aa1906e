"""Hypothesis strategies whose every draw is a valid program, with a point to differentiate it at.

A program is drawn along with its inputs and run while it is drawn: a step is kept if its operands
lie in the function's domain and its result stays finite and well inside the dtype's range.  So
nothing is rejected late, and draws shrink towards one step on small arrays of zeros and ones.

A case can be asked to contain a certain function: it gets inputs of its own that fit, where what came
before does not, and every step after it builds on its result.  The other steps are of few functions,
the basic ones, which is enough to feed it and to hide its mistakes.

A map, each file leaning only on those above it:

============  =======================================================
``palette``   the few shapes of a campaign
``entries``   the numbers that arrays are filled with
``choices``   parameters and further operands, by shape
``draft``     a program under construction, run while it is drawn
``operands``  what a call of each kind of function is given
``builder``   adds steps, and the function that must be there
``special``   cases at special points
============  =======================================================
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from minigrad.programs import Program, Ref
from oracles.cases import Case
from oracles.strategies.builder import Builder
from oracles.strategies.choices import CHOICES, PAIRS, SEVERAL
from oracles.strategies.draft import Draw
from oracles.strategies.entries import KINDS, elements, weights
from oracles.strategies.palette import Palette
from oracles.strategies.special import special_cases

__all__ = [
    "CHOICES",
    "DRAWN",
    "KINDS",
    "PAIRS",
    "SEVERAL",
    "Builder",
    "Palette",
    "cases",
    "elements",
    "programs",
    "special_cases",
]

BASIC = {
    "binary": ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum"),
    "product": ("matmul",) * 4,
    "reduce": ("prod", "min", "max", "mean", "sum"),
    "choice": ("where",),
    "join": ("stack", "concatenate"),
    "index": ("getitem",),
    "unary": ("square", "sqrt", "tanh", "cos", "sin", "log", "exp", "absolute", "negative", "positive"),
    "shape": ("broadcast_to", "squeeze", "expand_dims", "swapaxes", "transpose", "reshape"),
}

DRAWN = [name for functions in BASIC.values() for name in functions]
"""What most steps are drawn from: the most telling first, since draws lean that way."""

BEFORE = [*BASIC["unary"][:6], *BASIC["binary"][:4]]
"""What may go before a function that a case must contain."""


@st.composite
def cases(
    draw: Draw, dtype: str = "float64", palette: Palette | None = None, max_steps: int = 8, must: str | None = None
) -> Case:
    """A whole case: program, inputs, cotangent, and vectors for the second derivative.

    With `must`, the name of a function, the program contains it, and its result depends on it.
    """
    builder, going_on = Builder(draw, dtype, palette or Palette.of(0)), 6 if must is None else 3
    if must is None:
        builder.new_input()
    else:
        before = draw(st.integers(0, 2))
        if before:
            builder.new_input()
        for _ in range(before):
            builder.add_step(draw(st.sampled_from(BEFORE)))
        builder.add_certainly(must)
    for _ in range(3 * max_steps):
        # To go on or not is drawn anew before each step, so that shrinking can delete any one of them.
        complete = builder.steps and builder.is_float(-1)
        if complete and (builder.is_odd(-1) or len(builder.steps) >= max_steps or draw(st.integers(0, going_on)) == 0):
            break
        builder.add_step(draw(st.sampled_from(DRAWN)))
    else:
        if not (builder.steps and builder.is_float(-1)):
            builder.append("multiply", (Ref(0), Ref(0)), {}, force=True)
    program, used = builder.program().without_dead_steps()
    cotangent = draw(weights(dtype, np.shape(builder.values[builder.output.index])))
    vectors = tuple(draw(weights(dtype, declared.shape)) for declared in program.inputs)
    inputs = tuple(builder.values[i] for i in used)
    origin = {"kinds": [builder.kinds.get(i, "") for i in used]} | ({} if must is None else {"must": must})
    return Case("drawn", program, inputs, cotangent, vectors, origin)


def programs(dtype: str = "float64", palette: Palette | None = None, max_steps: int = 8) -> st.SearchStrategy[Program]:
    """Programs alone."""
    return cases(dtype, palette, max_steps).map(lambda case: case.program)
