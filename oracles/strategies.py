"""Hypothesis strategies whose every draw is a valid program, with a point to differentiate it at.

A program is drawn along with its inputs and run while it is drawn: a step is kept if its operands
lie in the function's domain and its result stays finite and well inside the dtype's range.  So
nothing is rejected late, and draws shrink towards one step on small arrays of zeros and ones.

Shapes come from a small `Palette` per campaign, because JAX compiles every operation anew for
every new shape.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.program import Input, Program, Ref, Step
from minigrad.protocol import NAMES, map_operand
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, POSITIVE, REALS, names

Shape = tuple[int, ...]
Draw = Any
Allowed = Callable[[Any], bool]

INPUT_NAMES = "xyz"

# Far enough inside the range of the dtype that the products of a gradient's chain stay inside it.
RANGE = {"float64": (1e-30, 1e30), "float32": (1e-5, 1e5)}
SPREAD = {"float64": 12, "float32": 2}


@dataclass(frozen=True)
class Palette:
    """The shapes of a campaign: 0-d, zero-size, rows, columns, vectors, matrices and a stack."""

    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, seed: int) -> Palette:
        """Two lengths chosen by the seed, in every arrangement worth trying."""
        n, m = random.Random(seed).sample((2, 3, 4), 2)
        return cls(((n, m), (m,), (), (m, m), (m, n), (n,), (1, m), (n, 1), (1,), (2, n, m), (0,), (0, m)))

    @property
    def results(self) -> tuple[Shape, ...]:
        """What steps may result in: the same, and what joining two vectors gives."""
        ((m,),) = self.shapes[1:2]
        return (*self.shapes, (2 * m,), (2, m))

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """What inputs are drawn from: zero-size arrays are worth a try, but prove little."""
        return tuple(shape for shape in self.shapes for _ in range(1 if 0 in shape else 4))


KINDS = ("ordinary", "positive", "grid", "spread")


def nonzero(most: int) -> st.SearchStrategy[int]:
    """1, -1, 2, -2 ... in this order: nothing is filtered out, which would keep draws from shrinking."""
    return st.integers(0, 2 * most - 1).map(lambda k: (1 + k // 2) * (-1) ** k)


def elements(kind: str, dtype: str) -> st.SearchStrategy[float]:
    """Numbers of one kind, each readable in decimal."""
    if kind == "ordinary":
        return st.integers(-3000, 3000).map(lambda k: k / 1000)
    if kind == "positive":
        return st.integers(1, 4000).map(lambda k: k / 1000)
    if kind == "grid":
        return st.integers(-2, 2).map(float)
    most = SPREAD[dtype]
    return st.builds(lambda k, e: k * 10.0**e, nonzero(99), st.integers(-most, most))


def arrays(dtype: str, shape: Shape, kind: str) -> st.SearchStrategy[Any]:
    return hnp.arrays(dtype, shape, elements=elements(kind, dtype).map(np.dtype(dtype).type), fill=st.nothing())


def weights(dtype: str, shape: Shape) -> st.SearchStrategy[Any]:
    """Cotangents and Hessian vectors: never zero, and different from each other."""
    one = nonzero(1999).map(lambda k: np.dtype(dtype).type(k / 1000))
    return hnp.arrays(dtype, shape, elements=one, fill=st.nothing())


@st.composite
def cases(draw: Draw, dtype: str = "float64", palette: Palette | None = None, max_steps: int = 8) -> Case:
    """A whole case: program, inputs, cotangent, and vectors for the second derivative."""
    builder = Builder(draw, dtype, palette or Palette.of(0))
    builder.new_input()
    for _ in range(3 * max_steps):
        # To go on or not is drawn anew before each step, so that shrinking can delete any one of them.
        complete = builder.steps and builder.is_float(-1)
        if complete and (len(builder.steps) >= max_steps or draw(st.integers(0, 6)) == 0):
            break
        builder.add_step(draw(st.sampled_from(DRAWN)))
    else:
        if not (builder.steps and builder.is_float(-1)):
            builder.append("multiply", (Ref(0), Ref(0)), {}, force=True)
    program, used = builder.program().without_dead_steps()
    cotangent = draw(weights(dtype, np.shape(builder.values[-1])))
    vectors = tuple(draw(weights(dtype, declared.shape)) for declared in program.inputs)
    inputs = tuple(builder.values[i] for i in used)
    return Case("drawn", program, inputs, cotangent, vectors, {"kinds": [builder.kinds.get(i, "") for i in used]})


def programs(dtype: str = "float64", palette: Palette | None = None, max_steps: int = 8) -> st.SearchStrategy[Program]:
    """Programs alone."""
    return cases(dtype, palette, max_steps).map(lambda case: case.program)


# Most telling first, since draws lean that way; casts leave the case's dtype, so they are not drawn.
DRAWN = [
    name
    for kind in ("binary", "product", "reduce", "choice", "join", "index", "unary", "shape")
    for name in (names([kind]) if kind == "binary" else names([kind])[::-1]) * (4 if kind == "product" else 1)
    if name != "astype"
]


class Builder:
    """A program under construction, with the value of everything computed so far.

    There is a place for each of the `INPUT_NAMES` at the front of the values; inputs are made when a
    step wants one, of a shape that fits it.
    """

    def __init__(self, draw: Draw, dtype: str, palette: Palette):
        self.draw = draw
        self.dtype = dtype
        self.palette = palette
        self.kinds: dict[int, str] = {}
        self.steps: list[Step] = []
        self.values: list[Any] = [None] * len(INPUT_NAMES)

    def new_input(self, allowed: Allowed = lambda value: True) -> Ref | None:
        """Draw an input in the next free place, if one is free and `allowed` what was drawn."""
        place = len(self.kinds)
        shapes = [shape for shape in self.palette.inputs if allowed(np.ones(shape))]
        if place == len(INPUT_NAMES) or not shapes:
            return None
        kind = self.draw(st.sampled_from(KINDS))
        value = self.draw(arrays(self.dtype, self.draw(st.sampled_from(shapes)), kind))
        if not allowed(value):
            return None
        self.values[place], self.kinds[place] = value, kind
        return Ref(place)

    def is_float(self, index: int) -> bool:
        return np.asarray(self.values[index]).dtype.kind == "f"

    def fit(self, allowed: Allowed) -> list[Ref]:
        """The values that a step may use, the most recent first."""
        return [Ref(i) for i in range(len(self.values)) if self.is_float(i) and allowed(self.values[i])][::-1]

    def first_operand(self, allowed: Allowed) -> Ref | None:
        """Mostly the latest value, so that chains grow deep and little is left unused."""
        fit = self.fit(allowed)
        if fit and self.draw(st.integers(0, 7)) == 7:
            return self.draw(st.sampled_from(fit))  # type: ignore[no-any-return]
        return fit[0] if fit else None

    def other_operand(self, allowed: Allowed) -> Ref | None:
        """A new input as often as a value used before, at which the gradient forks."""
        if self.draw(st.booleans()) and (fresh := self.new_input(allowed)) is not None:
            return fresh
        fit = self.fit(allowed)
        return self.draw(st.sampled_from(fit)) if fit else None

    def shape_of(self, ref: Ref) -> Shape:
        return np.shape(self.values[ref.index])

    def add_step(self, name: str) -> None:
        """Draw operands and parameters for one function; add nothing where none fit."""
        row = CATALOGUE[name]
        x = self.first_operand(row.domain[0].contains)
        if x is None:
            return
        made = getattr(self, f"draw_{row.kind}")(name, x)
        if made is not None:
            self.append(name, *made)

    def append(self, name: str, operands: Sequence[Any], parameters: dict[str, Any], force: bool = False) -> None:
        """Run a step and keep it if it is valid and its result is tame."""

        def resolve(leaf: Any) -> Any:
            return self.values[leaf.index] if isinstance(leaf, Ref) else leaf

        values = [map_operand(resolve, operand) for operand in operands]
        with np.errstate(all="ignore"):
            result = NAMES[name](*values, **parameters)
        if force or self.is_tame(result):
            self.steps.append(Step(name, tuple(operands), parameters))
            self.values.append(result)

    def is_tame(self, result: Any) -> bool:
        result = np.asarray(result)
        if result.shape not in self.palette.results:
            return False
        if result.dtype.kind != "f":
            return True
        low, high = RANGE[self.dtype]
        size = np.abs(result)
        return bool(np.all(np.isfinite(result) & ((size == 0) | ((size > low) & (size < high)))))

    def program(self) -> Program:
        """The program that ends in the last value; inputs that were never made are there, but unused."""
        shapes = [np.shape(value) for value in self.values[: len(INPUT_NAMES)]]
        inputs = tuple(Input(name, shape, self.dtype) for name, shape in zip(INPUT_NAMES, shapes, strict=True))
        return Program(inputs, tuple(self.steps), Ref(len(self.values) - 1))

    # One method per kind of function: operands and parameters that fit, given the first operand.

    def draw_unary(self, name: str, x: Ref) -> Any:
        return (x,), {}

    def draw_binary(self, name: str, x: Ref) -> Any:
        domain = CATALOGUE[name].domain[-1]
        if name == "power" and not POSITIVE.contains(self.values[x.index]):
            return (x, self.draw(st.sampled_from((2, 3)))), {}
        constants = (0.5, -1.0, 0) if name in ("maximum", "minimum") else (2, 0.5, 3, -1.0)
        constant = self.draw(st.sampled_from((None,) * 8 + constants))
        if constant is not None and domain.contains(constant):
            swap = self.draw(st.booleans()) and name != "power" and domain is REALS
            return ((constant, x) if swap else (x, constant)), {}
        shape = self.shape_of(x)
        y = self.other_operand(lambda value: domain.contains(value) and broadcastable(shape, np.shape(value)))
        if y is None or (y == x and name in ("subtract", "divide", "maximum", "minimum")):
            return None  # nothing would be left of the gradient, or of the function
        return (x, y), {}

    def draw_choice(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        y = self.other_operand(lambda value: broadcastable(shape, np.shape(value)))
        if y is None:
            return None
        # Conditions compare inputs, which are exact: a comparison of rounded values could come
        # out differently in each library without any of them being wrong.
        first = Ref(self.draw(st.integers(0, len(self.kinds) - 1)))
        if self.draw(st.booleans()) and broadcastable(self.shape_of(first), shape, self.shape_of(y)):
            self.append(self.draw(st.sampled_from(names(["compare"]))), (first, 0.5), {})
            condition: Any = Ref(len(self.values) - 1)
            if self.is_float(-1):
                return None
        else:
            condition = self.draw(hnp.arrays(np.bool_, shape, fill=st.nothing()))
        return (condition, x, y), {}

    def draw_reduce(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name in ("max", "min", "mean") and 0 in shape:
            return None
        axes: list[Any] = [None, *range(-len(shape), len(shape))]
        if len(shape) > 1 and name != "prod":
            axes.append((0, len(shape) - 1))
        axis = self.draw(st.sampled_from(axes))
        parameters: dict[str, Any] = {} if axis is None else {"axis": axis}
        if self.draw(st.booleans()):
            parameters["keepdims"] = True
        if name == "prod" and axis is None and parameters:
            return None  # torch.prod takes keepdim only along with a dim
        return (x,), parameters

    def draw_product(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        y = self.other_operand(lambda value: multipliable(shape, np.shape(value)))
        return None if y is None else ((x, y), {})

    def draw_shape(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "reshape":
            fit: list[Any] = [s for s in self.palette.results if math.prod(s) == math.prod(shape)]
            return (x,), {"shape": self.draw(st.sampled_from([*fit, (-1,)] if 0 not in shape else fit))}
        if name == "broadcast_to":
            fit = [s for s in self.palette.results if stretches_to(shape, s)]
            return (x,), {"shape": self.draw(st.sampled_from(fit))}
        if name == "transpose":
            orders: list[Any] = [None] if len(shape) < 3 else [None, (1, 0, 2), (-1, 0, 1)]
            order = self.draw(st.sampled_from(orders))
            return (x,), {} if order is None else {"axes": order}
        if name == "expand_dims":
            return (x,), {"axis": self.draw(st.integers(-1, len(shape)))}
        if name == "swapaxes":
            return ((x,), {"axis1": 0, "axis2": -1}) if len(shape) > 1 else None
        ones = [i for i, n in enumerate(shape) if n == 1]
        return ((x,), {"axis": self.draw(st.sampled_from(ones))}) if ones else None

    def draw_join(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if not shape and name == "concatenate":
            return None
        y = self.other_operand(lambda value: np.shape(value) == shape)
        if y is None:
            return None
        axis = self.draw(st.integers(-1, len(shape) - (name == "concatenate")))
        return ([x, y],), {} if axis == 0 else {"axis": axis}

    def draw_index(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        choices: list[Any] = [None, ...]
        if shape and shape[0]:
            n = shape[0]
            choices += [0, -1, slice(1, None), slice(None, None, 2), np.array([n - 1, 0, 0]), np.array([0, n - 1])]
            choices += [np.arange(n) % 2 == 0, (..., 0) if shape[-1] else 0, (slice(None), None)]
        return (x, self.draw(st.sampled_from(choices))), {}


def broadcastable(*shapes: Shape) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def stretches_to(shape: Shape, wide: Shape) -> bool:
    return broadcastable(shape, wide) and np.broadcast_shapes(shape, wide) == wide


def multipliable(x: Shape, y: Shape) -> bool:
    if not x or not y:
        return False
    return x[-1] == (y[0] if len(y) == 1 else y[-2]) and broadcastable(x[:-2], y[:-2])
