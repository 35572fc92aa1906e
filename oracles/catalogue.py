"""The catalogue: one row per function that programs may use.

A row tells everything that the harness must know of a function: how it is drawn, where it is
defined, where its derivative is not, and how PyTorch and JAX spell it.  Adding a function to the
project takes one line in ``minigrad.rules`` and one row here; generated programs, adapters and
reports follow from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Interval:
    """The finite numbers between two bounds; `hole` is a point left out."""

    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    hole: float | None = None

    def contains(self, x: Any) -> bool:
        """Whether every entry of `x` lies inside."""
        x = np.asarray(x)
        inside = (x > self.low) if self.open_low else (x >= self.low)
        inside = inside & (x <= self.high)
        return bool(np.all(inside if self.hole is None else inside & (x != self.hole)))


REALS = Interval()
POSITIVE = Interval(low=0.0, open_low=True)
NONNEGATIVE = Interval(low=0.0)
NONZERO = Interval(hole=0.0)


@dataclass(frozen=True)
class Row:
    """One function of the catalogue."""

    name: str
    """NumPy's name, as a Program's steps have it."""
    kind: str
    """How it is drawn and how it rounds: unary, binary, choice, compare, reduce, product, shape, join or index."""
    domain: tuple[Interval, ...] = (REALS,)
    """Where programs evaluate it, an interval per operand; the last serves all further operands."""
    event: str = ""
    """What happens where its derivative does not exist, in words: a kink such as a tie, or an edge of the domain."""
    where: Callable[..., Mask] | None = None
    """``where(ans, *operands, **parameters)``: the entries of the result at which `event` happens."""
    torch: str | None = None
    """PyTorch's spelling where it is not ``torch.<name>`` with the same arguments; see the adapter."""

    @property
    def is_exact(self) -> bool:
        """Whether it moves or chooses numbers without rounding any."""
        return self.kind in ("shape", "join", "index", "choice") or self.name in EXACT


EXACT = frozenset({"positive", "negative", "absolute", "maximum", "minimum", "max", "min"})


# Two numbers that different libraries may round to either order count as tied.
TIE = 16


def tied(x: Any, y: Any) -> Mask:
    """Whether two numbers are equal up to a few roundings."""
    x, y = np.asarray(x), np.asarray(y)
    unit = np.finfo(np.result_type(x, y, np.float32)).eps if x.dtype.kind == "f" else 0.0
    return np.asarray(np.abs(x - y) <= TIE * unit * np.maximum(np.abs(x), np.abs(y)))


def many_attain(ans: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Mask:
    wide = ans if keepdims or axis is None else np.expand_dims(ans, axis)
    return np.asarray(np.sum(tied(a, wide), axis=axis, keepdims=keepdims) > 1)


def tie(ans: Any, x: Any, y: Any) -> Mask:
    return np.broadcast_to(tied(x, y), np.shape(ans))


def at_zero(ans: Any, x: Any, *_: Any, **__: Any) -> Mask:
    return np.broadcast_to(np.equal(x, 0), np.shape(ans))


def power_at_zero(ans: Any, x: Any, y: Any) -> Mask:
    """A whole positive exponent makes a polynomial, which is smooth at 0."""
    return at_zero(ans, x) & (not isinstance(y, int) or y < 1)


# fmt: off
ROWS: tuple[Row, ...] = (
    #   name           kind       domain             event                           where
    Row("positive",    "unary"),
    Row("negative",    "unary"),
    Row("absolute",    "unary",   (REALS,),          "kink: abs at 0",               at_zero),
    Row("exp",         "unary"),
    Row("log",         "unary",   (POSITIVE,),       "edge: log at 0",               at_zero),
    Row("sin",         "unary"),
    Row("cos",         "unary"),
    Row("tanh",        "unary"),
    Row("sqrt",        "unary",   (NONNEGATIVE,),    "edge: sqrt at 0",              at_zero),
    Row("square",      "unary"),
    Row("add",         "binary"),
    Row("subtract",    "binary"),
    Row("multiply",    "binary"),
    Row("divide",      "binary",  (REALS, NONZERO)),
    Row("power",       "binary",  (REALS,),          "edge: power of 0",             power_at_zero, torch="torch.pow"),
    Row("maximum",     "binary",  (REALS,),          "kink: tie",                    tie, torch="tensors"),
    Row("minimum",     "binary",  (REALS,),          "kink: tie",                    tie, torch="tensors"),
    Row("where",       "choice"),
    Row("greater",     "compare"),
    Row("less_equal",  "compare"),
    Row("sum",         "reduce"),
    Row("mean",        "reduce"),
    Row("max",         "reduce",  (REALS,),          "kink: several attain",         many_attain, torch="torch.amax"),
    Row("min",         "reduce",  (REALS,),          "kink: several attain",         many_attain, torch="torch.amin"),
    Row("prod",        "reduce"),
    Row("matmul",      "product"),
    Row("reshape",     "shape"),
    Row("transpose",   "shape",   torch="permute"),
    Row("swapaxes",    "shape",   torch="positional"),
    Row("expand_dims", "shape",   torch="torch.unsqueeze"),
    Row("squeeze",     "shape"),
    Row("broadcast_to", "shape",  torch="positional"),
    Row("astype",      "shape",   torch="to"),
    Row("concatenate", "join"),
    Row("stack",       "join"),
    Row("getitem",     "index"),
)
# fmt: on

CATALOGUE: dict[str, Row] = {row.name: row for row in ROWS}


def names(kinds: Sequence[str]) -> list[str]:
    """The functions of some kinds, in the catalogue's order."""
    return [row.name for row in ROWS if row.kind in kinds]
