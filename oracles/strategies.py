"""Hypothesis strategies whose every draw is a valid program, with a point to differentiate it at.

A program is drawn along with its inputs and run while it is drawn: a step is kept if its operands
lie in the function's domain and its result stays finite and well inside the dtype's range.  So
nothing is rejected late, and draws shrink towards one step on small arrays of zeros and ones.

A case can be asked to contain a certain function: it gets inputs of its own that fit, where what came
before does not, and every step after it builds on its result.  The other steps are of few functions,
the basic ones, which is enough to feed it and to hide its mistakes.

Shapes come from a small `Palette` per campaign, because JAX compiles every operation anew for
every new shape.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.program import Input, Program, Ref, Step
from minigrad.protocol import NAMES, leaves, map_operand
from oracles.cases import Case
from oracles.catalogue import CATALOGUE, POSITIVE, REALS, WITH_NAN, Interval, axes_of, drawn_within, names

Shape = tuple[int, ...]
Draw = Any
Allowed = Callable[[Any], bool]
Call = tuple[tuple[Any, ...], dict[str, Any]]

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
        """What steps may result in: the same, what joining two vectors gives, and what few functions ask for."""
        ((m,),) = self.shapes[1:2]
        return (*self.shapes, (2 * m,), (2, m), *self.rare)

    @property
    def certain(self) -> tuple[Shape, ...]:
        """What inputs are drawn from for a function that a case must contain: all that any function fits."""
        return (*self.common, *self.rare)

    @property
    def common(self) -> tuple[Shape, ...]:
        """The few of these that most of its inputs have."""
        (n, m) = self.shapes[0]
        return ((n, m), (m,), (), (m, m))

    @property
    def rare(self) -> tuple[Shape, ...]:
        (n, m) = self.shapes[0]
        return ((2, m, m), (1, m), (2, n, m), (3,), (n, 3))

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """What inputs are drawn from: zero-size arrays are worth a try, but prove little."""
        return tuple(s for s in self.shapes for _ in range(1 if 0 in s else 8 if s in self.common else 3))


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


def arrays(dtype: str, shape: Shape, entries: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return hnp.arrays(dtype, shape, elements=entries.map(np.dtype(dtype).type), fill=st.nothing())


def weights(dtype: str, shape: Shape) -> st.SearchStrategy[Any]:
    """Cotangents and Hessian vectors: never zero, and different from each other."""
    one = nonzero(1999).map(lambda k: np.dtype(dtype).type(k / 1000))
    return hnp.arrays(dtype, shape, elements=one, fill=st.nothing())


def numbers_in(interval: Interval) -> st.SearchStrategy[float]:
    """Small numbers of an interval, each readable in decimal."""
    if interval.hole is not None:
        return nonzero(3000).map(lambda k: k / 1000)
    low = max(math.ceil(1000 * interval.low), -3000) if interval.low > -3 else -3000
    high = min(math.floor(1000 * interval.high), 4000) if interval.high < 4 else 4000
    return st.integers(low + interval.open_low * (low > -3000), high - interval.open_high).map(lambda k: k / 1000)


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

TRIES = 40
"""How often operands are drawn for a function that a case must contain."""


# What goes after the first operand, for functions of one array: choices by its shape, all of them
# valid.  A function does not fit arrays for which there is none.


def call(*operands: Any, **parameters: Any) -> Call:
    """Further operands, and parameters."""
    return operands, parameters


def if_ndim(least: int, shape: Shape, *choices: Call) -> list[Call]:
    return [*choices] if len(shape) >= least else []


def sides(shape: Shape) -> range:
    """The axes, as they can be named."""
    return range(-len(shape), len(shape))


def wide(shape: Shape, least: int = 2) -> list[int]:
    """The axes of at least so many entries."""
    return [axis for axis in sides(shape) if shape[axis] >= least]


def along(axes: Iterable[int], *operands: Any, **parameters: Any) -> list[Call]:
    return [call(*operands, **parameters, axis=axis) for axis in axes]


def paddings(shape: Shape) -> list[Call]:
    narrow = ((0, 1),) * (len(shape) - 1)
    modes: list[dict[str, Any]] = [{}, {"constant_values": 0.5}, *({"mode": m} for m in ("edge", "wrap", "symmetric"))]
    reflected = [call(((1, 1), *narrow), mode="reflect")] if min(shape, default=0) > 1 else []
    return [*(call(((1, 2), *narrow), **mode) for mode in modes), *reflected] if shape else []


def reordered(shape: Shape, axis: int) -> Any:
    """Indices for ``take_along_axis``: an order of the entries, another one for each row."""
    return np.argsort(np.arange(math.prod(shape)).reshape(shape) * 7 % 5, axis=axis, kind="stable")


MATRIX_ORDERS = ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)

# fmt: off
CHOICES: dict[str, Callable[[Shape], list[Call]]] = {
    # Shape and place
    "transpose":        lambda s: [call(), *if_ndim(3, s, call(axes=(1, 0, 2)), call(axes=(-1, 0, 1)))],
    "matrix_transpose": lambda s: if_ndim(2, s, call()),
    "linalg.matrix_transpose": lambda s: if_ndim(2, s, call()),
    "swapaxes":         lambda s: if_ndim(2, s, call(axis1=0, axis2=-1)),
    "moveaxis":         lambda s: if_ndim(2, s, call(source=0, destination=-1),
                                          call(source=(0, 1), destination=(1, 0))),
    "rollaxis":         lambda s: if_ndim(2, s, call(-1), call(0, start=len(s))),
    "ravel":            lambda s: [call(), call(order="F")],
    "expand_dims":      lambda s: along(range(-1, len(s) + 1)),
    "squeeze":          lambda s: along([axis for axis, n in enumerate(s) if n == 1]),
    "flip":             lambda s: [*along(sides(s)), *if_ndim(1, s, call())],
    "fliplr":           lambda s: if_ndim(2, s, call()),
    "flipud":           lambda s: if_ndim(1, s, call()),
    "rot90":            lambda s: if_ndim(2, s, call(k=1, axes=(0, 1)), call(k=-1, axes=(0, 1)),
                                          call(k=2, axes=(1, 0))),
    "roll":             lambda s: [*along(sides(s), 1), *along(sides(s), -2), *if_ndim(1, s, call(1))],
    "tril":             lambda s: if_ndim(2, s, call(k=0), call(k=1), call(k=-1)),
    "triu":             lambda s: if_ndim(2, s, call(k=0), call(k=1), call(k=-1)),
    "diag":             lambda s: if_ndim(1, s, call(k=0), call(k=1), call(k=-1)) if len(s) < 3 else [],
    "diagflat":         lambda s: if_ndim(1, s, call(k=0), call(k=1)) if math.prod(s) <= 4 else [],
    "diagonal":         lambda s: if_ndim(2, s, call(offset=0, axis1=0, axis2=1), call(offset=1, axis1=-1, axis2=-2)),
    "trace":            lambda s: if_ndim(2, s, call(offset=0, axis1=0, axis2=1), call(offset=1, axis1=-1, axis2=-2)),
    "linalg.diagonal":  lambda s: if_ndim(2, s, call(offset=0), call(offset=1), call(offset=-1)),
    "linalg.trace":     lambda s: if_ndim(2, s, call(offset=0), call(offset=1), call(offset=-1)),
    "repeat":           lambda s: [*along(sides(s), 2), *(call(np.arange(s[i]) % 3, axis=i) for i in wide(s)),
                                   *if_ndim(1, s, call(2))],
    "tile":             lambda s: [call((2, 1)), call((2,)), call((1, 2, 1))],
    "resize":           lambda s: [call((3,)), call((2, 5)), call((7,))],
    "pad":              paddings,
    "take":             lambda s: [*along(wide(s), np.array([1, 0, 1])), *if_ndim(1, s, call(np.array([0, 0])))],
    "take_along_axis":  lambda s: [call(reordered(s, i), axis=i) for i in sides(s)],
    "delete":           lambda s: [*along(wide(s), 0), *along(wide(s), np.array([1])), *if_ndim(1, s, call(0))],
    "lib.stride_tricks.sliding_window_view": lambda s: along(wide(s), 2),
    "split":            lambda s: [*along(wide(s), (1,)), *along([i for i in wide(s) if s[i] % 2 == 0], 2)],
    "array_split":      lambda s: along(wide(s), 2),
    "hsplit":           lambda s: if_ndim(1, s, call((1,))) if s[:2][-1:] > (1,) else [],
    "vsplit":           lambda s: if_ndim(2, s, call((1,))) if s[:1] > (1,) else [],
    "dsplit":           lambda s: if_ndim(3, s, call((1,))) if s[2:] > (1,) else [],
    "unstack":          lambda s: along(sides(s)),
    # Scans, differences, bounds
    "cumulative_sum":   lambda s: [*along(sides(s)), *along(sides(s), include_initial=True)],
    "cumulative_prod":  lambda s: [*along(sides(s)), *along(sides(s), include_initial=True)],
    "diff":             lambda s: [*along(wide(s), n=1), *along(wide(s, 3), n=2)],
    "ediff1d":          lambda s: [call()] if math.prod(s) > 1 else [],
    "trapezoid":        lambda s: [*along(wide(s), dx=0.5),
                                   *(call(x=np.cumsum(1.0 + np.arange(s[i])), axis=i) for i in wide(s))],
    "clip":             lambda s: [call(a_min=-0.5, a_max=1.0), call(a_min=0.0, a_max=None),
                                   call(a_min=None, a_max=0.5)],
    # Linear algebra
    "linalg.matrix_power": lambda s: [call(2), call(3), call(-1), call(-2)],
    "linalg.eigh":      lambda s: [call(UPLO="L"), call(UPLO="U")],
    "linalg.eigvalsh":  lambda s: [call(UPLO="L"), call(UPLO="U")],
    "linalg.svd":       lambda s: [call(full_matrices=False)],
    "linalg.qr":        lambda s: [call(mode="reduced")],
    "linalg.norm":      lambda s: [call(), *along(sides(s), keepdims=True), *along(sides(s), ord=1),
                                   *(each for power in (3, np.inf, -np.inf) for each in along(sides(s), ord=power)),
                                   *if_ndim(2, s, *(call(ord=each, axis=(-2, -1)) for each in MATRIX_ORDERS))],
    "linalg.vector_norm": lambda s: [call(), call(ord=3), *along(sides(s), keepdims=True), *along(sides(s), ord=1),
                                   *along(sides(s), ord=np.inf)],
    "linalg.matrix_norm": lambda s: if_ndim(2, s, *(call(ord=each, keepdims=each == 1) for each in MATRIX_ORDERS)),
}
# fmt: on

# For functions of two arrays, the parameters that fit their shapes, which may be none.


def same_length(x: Shape, y: Shape) -> bool:
    return bool(x and y) and x[-1] == y[-1]


def contractions(x: Shape, y: Shape) -> list[Any]:
    """The ways of ``tensordot``."""
    if not (x and y):
        return []
    choices: list[Any] = [0] if math.prod(x) * math.prod(y) <= 64 else []
    choices += [1] if x[-1] == y[0] else []
    choices += [([0], [0])] if x[0] == y[0] else []
    choices += [2] if len(x) > 1 and x[-2:] == y[:2] else []
    choices += [([0, 1], [1, 0])] if len(x) == len(y) == 2 and x == y[::-1] else []
    return [{"axes": axes} for axes in choices]


def windows(x: Shape, y: Shape) -> list[Any]:
    fit = len(x) == len(y) == 1 and x[0] >= y[0] > 0
    return [{"mode": mode} for mode in ("full", "same", "valid")] if fit else []


def plainly(fits: Callable[[Shape, Shape], bool]) -> Callable[[Shape, Shape], list[Any]]:
    return lambda x, y: [{}] if fits(x, y) else []


def crossing(x: Shape, y: Shape) -> list[Any]:
    return [{"axis": -1}] if len(x) == len(y) and x[-1:] == y[-1:] == (3,) and broadcastable(x, y) else []


def multiplied(x: Shape, y: Shape) -> bool:
    return bool(x and y) and x[-1] == (y[0] if len(y) == 1 else y[-2]) and broadcastable(x[:-2], y[:-2])


def small(x: Shape, y: Shape) -> bool:
    return math.prod(x) * math.prod(y) <= 64


PAIRS: dict[str, Callable[[Shape, Shape], list[Any]]] = {
    "matmul": plainly(multiplied),
    "vecdot": plainly(lambda x, y: same_length(x, y) and broadcastable(x, y)),
    "matvec": plainly(lambda x, y: same_length(x, y) and len(x) > 1 and broadcastable(x[:-2], y[:-1])),
    "vecmat": plainly(lambda x, y: len(y) > 1 and bool(x) and x[-1] == y[-2] and broadcastable(x[:-1], y[:-2])),
    "dot": plainly(lambda x, y: len(y) < 3 and multiplied(x, y)),
    "vdot": plainly(lambda x, y: math.prod(x) == math.prod(y) and bool(x and y)),
    "inner": plainly(same_length),
    "outer": plainly(small),
    "tensordot": contractions,
    "kron": plainly(lambda x, y: small(x, y) and len(x) == len(y) > 0),
    "cross": crossing,
    "convolve": windows,
    "correlate": windows,
    "linalg.outer": plainly(lambda x, y: len(x) == len(y) == 1),
    "linalg.matmul": plainly(multiplied),
    "linalg.vecdot": plainly(lambda x, y: same_length(x, y) and broadcastable(x, y)),
    "linalg.tensordot": contractions,
    "linalg.cross": crossing,
}

SUMS = (
    ("ij->ji", "ii->i", "ii", "ij->i", "...j->..."),
    ("ij,jk->ik", "ij,j->i", "i,i->", "i,j->ij", "ij,ij->ij", "ij,kj", "...i,...i->...", "ij,j->"),
    ("ij,jk,kl->il", "i,i,i->i", "ij,i,j->"),
)
"""Subscripts of einsum for one, two and three operands."""


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
        self.sure: set[int] | None = None
        """Once the function that a case must contain is there, what depends on it."""
        self.hidden: set[int] = set()
        """Values of which a part is anyone's choice, such as the sign of an eigenvector: not to be used as they are."""
        self.certain = False
        """Whether a function is being added that the case must contain, which may result in any shape."""

    def new_input(self, allowed: Allowed = lambda value: True, within: Interval = REALS) -> Ref | None:
        """Draw an input in the next free place, if one is free and `allowed` what was drawn."""
        place = len(self.kinds)
        common = self.palette.common if self.certain and self.draw(st.integers(0, 7)) < 7 else ()
        wider = self.palette.certain if self.certain else self.palette.inputs
        shapes = [s for s in common if allowed(np.ones(s))] or [s for s in wider if allowed(np.ones(s))]
        if place == len(INPUT_NAMES) or not shapes:
            return None
        if within in (REALS, WITH_NAN):
            kind = self.draw(st.sampled_from(KINDS))
            entries = elements(kind, self.dtype)
        else:
            kind, entries = "domain", numbers_in(within)
        value = self.draw(arrays(self.dtype, self.draw(st.sampled_from(shapes)), entries))
        if not allowed(value):
            return None
        self.values[place], self.kinds[place] = value, kind
        return Ref(place)

    def is_float(self, index: int) -> bool:
        value = self.values[index]
        return isinstance(value, (np.ndarray, np.generic)) and value.dtype.name == self.dtype

    def is_odd(self, index: int) -> bool:
        """Whether a value's shape is none that further steps work on."""
        return np.shape(self.values[index]) not in self.palette.results

    def fit(self, allowed: Allowed) -> list[Ref]:
        """The values that a step may use, the most recent first."""
        return [
            Ref(i)
            for i in reversed(range(len(self.values)))
            if self.is_float(i) and i not in self.hidden and allowed(self.values[i])
        ]

    def first_operand(self, allowed: Allowed) -> Ref | None:
        """Mostly the latest value, so that chains grow deep and little is left unused."""
        fit = [ref for ref in self.fit(allowed) if self.sure is None or ref.index in self.sure]
        if fit and self.draw(st.integers(0, 7)) == 7:
            return self.draw(st.sampled_from(fit))  # type: ignore[no-any-return]
        return fit[0] if fit else None

    def other_operand(self, allowed: Allowed, within: Interval = REALS) -> Ref | None:
        """A new input as often as a value used before, at which the gradient forks."""
        if self.draw(st.booleans()) and (fresh := self.new_input(allowed, within)) is not None:
            return fresh
        fit = self.fit(allowed)
        return self.draw(st.sampled_from(fit)) if fit else self.new_input(allowed, within) if self.certain else None

    def shape_of(self, ref: Ref) -> Shape:
        return np.shape(self.values[ref.index])

    def add_step(self, name: str) -> None:
        """Draw operands and parameters for one function; add nothing where none fit."""
        x = self.first_operand(drawn_within(name).contains)
        if x is not None:
            self.add_call(name, x)

    def add_call(self, name: str, x: Ref) -> Ref | None:
        """The same, given the first operand; returns what the call results in."""
        made = getattr(self, f"draw_{CATALOGUE[name].kind}")(name, x)
        return None if made is None else made if isinstance(made, Ref) else self.append(name, *made)

    def add_certainly(self, name: str) -> None:
        """Add one function, with operands of its own where what is there does not fit."""
        domain, self.certain = drawn_within(name), True
        for attempt in range(TRIES):
            before = len(self.steps), dict(self.kinds), self.values[:]
            last = self.fit(domain.contains)[:1] if attempt == 0 else []
            x = last[0] if last else self.new_input(lambda value: self.fits(name, np.shape(value)), domain)
            if x is None:  # the inputs are used up: begin anew
                self.steps, self.kinds, self.values, self.hidden = [], {}, [None] * len(INPUT_NAMES), set()
                continue
            ans = self.add_call(name, x) if self.fits(name, self.shape_of(x)) else None
            if ans is not None and name in [step.function for step in self.steps] and self.is_float(ans.index):
                self.sure, self.certain = {ans.index}, False
                return
            del self.steps[before[0] :]
            _, self.kinds, self.values = before
            self.hidden = {index for index in self.hidden if index < len(self.values)}
        reject()

    def fits(self, name: str, shape: Shape) -> bool:
        """Whether there are parameters, and other operands, for an array of this shape."""
        kind = CATALOGUE[name].kind
        if 0 in shape:
            return False
        if name in PAIRS:
            return any(PAIRS[name](shape, other) for other in self.palette.certain)
        if name in CHOICES and not CHOICES[name](shape):
            return False
        if kind in ("regular", "definite", "symmetric"):
            return len(shape) > 1 and shape[-1] == shape[-2] > 1
        return len(shape) >= {"distinct": 2, "scan": 1, "update": 1, "sums": 1}.get(kind, 0)

    def append(self, name: str, operands: Sequence[Any], parameters: dict[str, Any], force: bool = False) -> Ref | None:
        """Run a step and keep it if it is valid and its result is tame."""

        def resolve(leaf: Any) -> Any:
            return self.values[leaf.index] if isinstance(leaf, Ref) else leaf

        values = [map_operand(resolve, operand) for operand in operands]
        with np.errstate(all="ignore"):
            result = NAMES[name](*values, **parameters)
        if not (force or self.is_tame(result)):
            return None
        self.steps.append(Step(name, tuple(operands), parameters))
        self.values.append(result)
        ans = Ref(len(self.values) - 1)
        if self.sure is not None and any(isinstance(x, Ref) and x.index in self.sure for x in leaves(list(operands))):
            self.sure.add(ans.index)
        return ans

    def is_tame(self, result: Any) -> bool:
        if isinstance(result, (tuple, list)):
            return all(map(self.is_tame, result))
        result = np.asarray(result)
        if not self.certain and result.shape not in self.palette.results:
            return False
        if result.dtype.kind != "f":
            return True
        low, high = RANGE[self.dtype]
        size = np.abs(result)
        return bool(np.all(np.isfinite(result) & ((size == 0) | ((size > low) & (size < high)))))

    @property
    def output(self) -> Ref:
        """The last value that can be differentiated, and that depends on what the case must contain."""
        return next(ref for ref in self.fit(lambda _: True) if self.sure is None or ref.index in self.sure)

    def program(self) -> Program:
        """The program that ends in `output`; inputs that were never made are there, but unused."""
        shapes = [np.shape(value) for value in self.values[: len(INPUT_NAMES)]]
        inputs = tuple(Input(name, shape, self.dtype) for name, shape in zip(INPUT_NAMES, shapes, strict=True))
        return Program(inputs, tuple(self.steps), self.output)

    # One method per kind of function: operands and parameters that fit, given the first operand; or,
    # where it takes several steps, those steps, and what they result in.

    def choose(self, name: str, x: Ref) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What goes after the first operand: one of the choices, if there are any."""
        choices = CHOICES[name](self.shape_of(x)) if name in CHOICES else [call()]
        extra, parameters = choices[self.draw(st.integers(0, len(choices) - 1))]
        return extra, {key: self.constant(value) for key, value in parameters.items()}

    def constant(self, value: Any) -> Any:
        """Constant arrays in the dtype of the case."""
        return value.astype(self.dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value

    def draw_unary(self, name: str, x: Ref) -> Any:
        return (x,), {}

    draw_special = draw_unary

    def draw_binary(self, name: str, x: Ref) -> Any:
        domain = drawn_within(name, 1)
        if name == "ldexp":
            return (x, np.array(self.draw(st.sampled_from((2, -1, 3))))), {}
        if name in ("power", "float_power") and not POSITIVE.contains(self.values[x.index]):
            return self.narrowed(name, x, self.draw(st.sampled_from((2, 3))))
        constants = (0.5, -1.0, 0) if name in ("maximum", "minimum", "fmax", "fmin") else (2, 0.5, 3, -1.0)
        constant = self.draw(st.sampled_from((None,) * 8 + constants))
        if constant is not None and domain.contains(constant):
            constant = float(constant) if name.startswith("scipy") else constant
            swap = self.draw(st.booleans()) and "power" not in name and domain is REALS and name != "copysign"
            return self.narrowed(name, *((constant, x) if swap else (x, constant)))
        shape = self.shape_of(x)
        y = self.other_operand(
            lambda value: domain.contains(value) and broadcastable(shape, np.shape(value)), within=domain
        )
        if y is None or (y == x and name in SELFLESS):
            return None  # nothing would be left of the gradient, or of the function
        return self.narrowed(name, x, y)

    def narrowed(self, name: str, x: Any, y: Any) -> Any:
        """``float_power`` computes in float64 whatever it is given."""
        if name != "float_power" or self.dtype == "float64":
            return (x, y), {}
        wide = self.append(name, (x, y), {})
        return None if wide is None else self.append("astype", (wide, np.dtype(self.dtype)), {})

    def draw_cast(self, name: str, x: Ref) -> Any:
        wide = self.append(name, (x, np.dtype("float64")), {})
        if wide is None or self.dtype == "float64":
            return wide
        return self.append(name, (wide, np.dtype(self.dtype)), {})

    def draw_choice(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "select":
            other = self.other_operand(lambda value: np.shape(value) == shape)
            masks = [self.draw(hnp.arrays(np.bool_, shape, fill=st.nothing())) for _ in range(2)]
            return None if other is None else ((masks, [x, other]), {"default": 0.5})
        y = self.other_operand(lambda value: broadcastable(shape, np.shape(value)))
        if y is None:
            return None
        # Conditions compare inputs, which are exact: a comparison of rounded values could come
        # out differently in each library without any of them being wrong.
        first = Ref(self.draw(st.integers(0, len(self.kinds) - 1)))
        if self.draw(st.booleans()) and broadcastable(self.shape_of(first), shape, self.shape_of(y)):
            condition: Any = self.append(self.draw(st.sampled_from(names(["compare"]))), (first, 0.5), {})
            if condition is None:
                return None
        else:
            condition = self.draw(hnp.arrays(np.bool_, shape, fill=st.nothing()))
        return (condition, x, y), {}

    def draw_chosen(self, name: str, x: Ref) -> Any:
        extra, parameters = self.choose(name, x)
        return (x, *extra), parameters

    def draw_reduce(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name not in ("sum", "prod") and 0 in shape:
            return None
        axes: list[Any] = [None, *sides(shape)]
        if len(shape) > 1 and name != "prod":
            axes.append((0, len(shape) - 1))
        axis = self.draw(st.sampled_from(axes))
        parameters: dict[str, Any] = {} if axis is None else {"axis": axis}
        if self.draw(st.booleans()):
            parameters["keepdims"] = True
        if name == "prod" and axis is None and parameters:
            return None  # torch.prod takes keepdim only along with a dim
        if name in ("var", "std"):
            reduced = math.prod(shape[i] for i in axes_of(self.values[x.index], axis))
            parameters["ddof"] = self.draw(st.integers(0, int(reduced > 1)))
        if name == "average":
            parameters["weights"] = self.draw(arrays(self.dtype, shape, elements("positive", self.dtype)))
        if name in ("quantile", "percentile"):
            whole = 1 if name == "quantile" else 100
            share = self.draw(st.sampled_from((0.5, 0.25, 0.3, np.array([0.75, 0.1]))))
            return (x, self.constant(np.asarray(share * whole))), parameters
        return (x,), parameters

    def draw_nan(self, name: str, x: Ref) -> Any:
        """Among the entries there is a NaN, where it leaves any."""
        shape = self.shape_of(x)
        axes: Sequence[int | None] = sides(shape) if "cum" in name or (shape and self.draw(st.booleans())) else [None]
        if not axes:
            return None
        axis = self.draw(st.sampled_from(axes))
        mask = np.arange(math.prod(shape)).reshape(shape) == 0
        if (math.prod(shape) if axis is None else shape[axis]) > 1:
            x = self.append("where", (mask, np.nan, x), {}, force=True)  # type: ignore[assignment]
        if name == "nan_to_num":
            return (x,), {"nan": 0.5}
        return (x,), {} if axis is None else {"axis": axis}

    def draw_scan(self, name: str, x: Ref) -> Any:
        if name in CHOICES:
            return self.draw_chosen(name, x)
        axes = sides(self.shape_of(x))
        # JAX's own scans count axes from the front.
        axis = self.draw(st.sampled_from(axes[len(axes) // 2 :] if "running" in name else axes))
        if name != "minigrad.softmax":
            return (x,), {"axis": axis}
        shares = self.append(name, (x,), {"axis": axis})
        if shares is None:
            return None
        # They sum to 1, so of an unweighted sum no gradient would be left.
        self.hidden.add(shares.index)
        return self.append("multiply", (shares, self.draw(weights(self.dtype, self.shape_of(x)))), {})

    def draw_product(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        y = self.other_operand(lambda value: bool(PAIRS[name](shape, np.shape(value))))
        if y is None or (y == x and "cross" in name):
            return None
        return (x, y), self.draw(st.sampled_from(PAIRS[name](shape, self.shape_of(y))))

    def draw_sums(self, name: str, x: Ref) -> Any:
        """A product of several: chosen for what it fits."""
        others = [self.other_operand(lambda value: 0 < np.ndim(value) < 3) for _ in range(self.draw(st.integers(0, 2)))]
        operands = [x, *(y for y in others if y is not None)]
        shapes = [self.shape_of(y) for y in operands]
        if name == "linalg.multi_dot":
            fits = len(operands) > 1 and max(map(len, shapes)) < 3 and all(len(s) == 2 for s in shapes[1:-1])
            return (
                ((operands,), {}) if fits and all(itertools.starmap(multiplied, itertools.pairwise(shapes))) else None
            )
        fitting = [text for text in SUMS[len(operands) - 1] if summable(text, shapes)]
        return ((self.draw(st.sampled_from(fitting)), *operands), {}) if fitting else None

    def draw_shape(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "reshape":
            fit: list[Any] = [s for s in self.palette.results if math.prod(s) == math.prod(shape)]
            parameters = {"shape": self.draw(st.sampled_from(fit if 0 in shape else [*fit, (-1,)]))}
            return (x,), parameters | ({"order": "F"} if self.certain and self.draw(st.integers(0, 3)) == 3 else {})
        if name == "broadcast_to":
            fit = [s for s in self.palette.results if stretches_to(shape, s)]
            return ((x,), {"shape": self.draw(st.sampled_from(fit))}) if fit else None
        if not CHOICES[name](shape):
            return None
        return self.draw_chosen(name, x)

    def draw_masked(self, name: str, x: Ref) -> Any:
        """The condition comes first, and lets something through."""
        shape = self.shape_of(x)
        if not shape:
            return None
        axis = self.draw(st.sampled_from(sides(shape)))
        mask = self.draw(hnp.arrays(np.bool_, shape if name == "extract" else shape[axis], fill=st.nothing()))
        mask[(0,) * mask.ndim] = True
        return (mask, x), {} if name == "extract" else {"axis": axis}

    def draw_join(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if not shape and name in ("concatenate", "append"):
            return None
        y = self.other_operand(lambda value: np.shape(value) == shape)
        if y is None:
            return None
        if name == "block":
            return (self.draw(st.sampled_from(([x, y], [[x], [y]]))),), {}
        if name not in ("concatenate", "append", "stack"):
            return ([x, y],), {}
        axis = self.draw(st.integers(-1, len(shape) - (name != "stack")))
        if name == "append":
            return (x, y), {"axis": axis}
        return ([x, y],), {} if axis == 0 else {"axis": axis}

    def pick(self, name: str, operands: Sequence[Any], parameters: dict[str, Any], index: Any = 0) -> Ref | None:
        """A function of several results, and one of these."""
        results = self.append(name, operands, parameters)
        if results is None:
            return None
        self.hidden.add(results.index)
        return self.append("getitem", (results, index), {})

    def draw_parts(self, name: str, x: Ref) -> Any:
        """Of a quotient, the remainder; of what is partly in order, what is in its place."""
        if name == "partition":
            if not self.shape_of(x):
                return None
            axis = len(self.shape_of(x)) - 1
            kth = self.draw(st.integers(0, self.shape_of(x)[-1] - 1))
            return self.pick(name, (x, kth), {"axis": axis}, (..., kth))
        if name == "modf":
            return self.pick(name, (x,), {})
        shape, domain = self.shape_of(x), drawn_within(name, 1)
        fits: Allowed = lambda value: domain.contains(value) and broadcastable(shape, np.shape(value))  # noqa: E731
        y = self.other_operand(fits, within=domain)
        return None if y is None or y == x else self.pick(name, (x, y), {}, 1)

    def draw_split(self, name: str, x: Ref) -> Any:
        extra, parameters = self.choose(name, x)
        return self.pick(name, (x, *extra), parameters, self.draw(st.integers(0, 1)) if name != "unstack" else 0)

    def draw_spread(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "meshgrid" and len(shape) != 1:
            return None
        if name.startswith("atleast") and self.draw(st.booleans()):
            return (x,), {}
        ndims = (1,) if name == "meshgrid" else (0, 1, 2, 3)
        y = self.other_operand(lambda value: np.ndim(value) in ndims and broadcastable(shape, np.shape(value)))
        if y is None:
            return None
        parameters = {"indexing": self.draw(st.sampled_from(("ij", "xy")))} if name == "meshgrid" else {}
        return self.pick(name, (x, y), parameters)

    def draw_fill(self, name: str, x: Ref) -> Any:
        """The number to fill with is differentiated, the array to be like is not."""
        shape = self.shape_of(x)
        y = self.other_operand(lambda value: stretches_to(shape, np.shape(value)))
        return None if y is None else ((y, x), {})

    def draw_index(self, name: str, x: Ref) -> Any:
        return (x, self.draw(st.sampled_from([None, ..., *places(self.shape_of(x))]))), {}

    def draw_update(self, name: str, x: Ref) -> Any:
        shape = self.shape_of(x)
        if name == "insert":
            y = self.other_operand(lambda value: np.shape(value) in ((), shape[1:]))
            return None if y is None else ((x, self.draw(st.sampled_from((0, 1))), y), {"axis": 0})
        n = shape[0]
        repeated = [np.array([n - 1, 0, 0])] if name == "minigrad.index_add" else []
        once: list[Any] = [0, -1, slice(1, None), slice(None, None, 2), np.array([n - 1, 0])[:n]]
        index = self.draw(st.sampled_from([*once, *repeated]))
        room = np.shape(np.empty(shape)[index])
        y = self.other_operand(lambda value: stretches_to(np.shape(value), room))
        return None if y is None else ((x, index, y), {})

    def matrix(self, x: Ref, form: str) -> Ref | None:
        """A matrix of a certain form made of `x`, whose entries are `BOUNDED`: itself where it is in good condition.

        Otherwise a twentieth of it plus 4, 8 ... on the diagonal, which is large enough to keep, by the
        theorem of Gershgorin, eigenvalues and singular values apart from each other and from 0.
        """
        if form in ("symmetric", "definite"):
            flipped = self.append("swapaxes", (x,), {"axis1": -2, "axis2": -1})
            found = None if flipped is None else self.append("add", (x, flipped), {})
        else:
            found = x
        if found is None or in_condition(self.values[found.index], form):
            return found
        rows, columns = self.shape_of(found)[-2:]
        diagonal = self.constant(4.0 * np.arange(1, rows + 1)[:, None] * np.eye(rows, columns))
        scaled = self.append("multiply", (found, 0.05), {})
        return None if scaled is None else self.append("add", (scaled, diagonal), {})

    def draw_regular(self, name: str, x: Ref) -> Any:
        a = self.matrix(x, CATALOGUE[name].kind)
        if a is None:
            return None
        n = self.shape_of(a)[-1]
        if name in ("linalg.tensorsolve", "linalg.tensorinv"):
            if len(self.shape_of(a)) > 2:
                return None
            if self.draw(st.booleans()):
                a = self.append("reshape", (a,), {"shape": (1, n, n)})
            elif name == "linalg.tensorinv":
                return (a,), {"ind": 1}
        if a is None:
            return None
        if name in ("linalg.solve", "linalg.tensorsolve"):
            wanted = self.shape_of(a)[:-1] if name == "linalg.tensorsolve" else None
            b = self.other_operand(lambda value: np.shape(value) in ([wanted] if wanted else [(n,), (n, n)]))
            return None if b is None else ((a, b), {})
        extra, parameters = self.choose(name, a)
        if name in SEVERAL:
            index, signed = self.draw(st.sampled_from(SEVERAL[name]))
            part = self.pick(name, (a, *extra), parameters, index)
            # The sign of a vector is anyone's choice: its square is not.
            if part is None or not signed:
                return part
            self.hidden.add(part.index)
            return self.append("multiply", (part, part), {})
        return (a, *extra), parameters

    draw_definite = draw_symmetric = draw_distinct = draw_regular


SELFLESS = ("subtract", "divide", "maximum", "minimum", "fmax", "fmin", "arctan2", "fmod", "remainder", "copysign")
"""Functions of two operands that are trivial if these are the same."""

SEVERAL: dict[str, tuple[tuple[int, bool], ...]] = {
    "linalg.slogdet": ((1, False),),
    "linalg.eigh": ((0, False), (1, True)),
    "linalg.svd": ((0, True), (1, False), (2, True)),
    "linalg.qr": ((0, True), (1, True)),
}
"""Which results of decompositions are used, and whether their sign is anyone's choice."""


def in_condition(a: Any, form: str) -> bool:
    """Whether what is asked of matrices of a form depends little on rounding."""
    if form == "regular":
        return bool(np.all(np.linalg.cond(a) < 100))
    found = np.linalg.svdvals(a)[..., ::-1] if form == "distinct" else np.linalg.eigvalsh(a)
    least = 0.05 * np.max(np.abs(found), axis=-1, keepdims=True, initial=1e-3)
    apart = form == "definite" or bool(np.all(np.diff(found, axis=-1) > least))
    return apart and (form == "symmetric" or bool(np.all(found > least)))


def summable(text: str, shapes: Sequence[Shape]) -> bool:
    """Whether einsum takes these shapes: every letter one length, and small results."""
    lengths: dict[str, int] = {}
    for term, shape in zip(text.partition("->")[0].split(","), shapes, strict=True):
        letters = term.replace("...", "")
        if len(letters) > len(shape) or ("..." not in term and len(letters) < len(shape)):
            return False
        for letter, n in zip(letters, shape[len(shape) - len(letters) :], strict=True):
            if lengths.setdefault(letter, n) != n:
                return False
    return "..." not in text or broadcastable(*(shape[:-1] for shape in shapes))


def places(shape: Shape) -> list[Any]:
    """Indices into an array of this shape."""
    if not shape or not shape[0]:
        return []
    n = shape[0]
    choices: list[Any] = [0, -1, slice(1, None), slice(None, None, 2), np.array([n - 1, 0, 0]), np.array([0, n - 1])]
    return [*choices, np.arange(n) % 2 == 0, (..., 0) if shape[-1] else 0, (slice(None), None)]


def broadcastable(*shapes: Shape) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def stretches_to(shape: Shape, wide: Shape) -> bool:
    return broadcastable(shape, wide) and np.broadcast_shapes(shape, wide) == wide
