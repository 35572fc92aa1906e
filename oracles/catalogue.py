"""The catalogue: one row per function that programs may use.

A row tells everything that the harness must know of a function: how it is drawn, where it is
defined, where its derivative is not, and how PyTorch and JAX spell it.  Adding a function to the
project takes one line in ``minigrad.rules`` and one row here; generated programs, adapters and
reports follow from them.
"""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.protocol import NAMES
from minigrad.rules.special import load as load_special

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Interval:
    """The numbers between two bounds, an infinite bound included; `hole` is a point left out."""

    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    open_high: bool = False
    hole: float | None = None
    nan: bool = False
    """Whether NaN is welcome too."""

    def contains(self, x: Any) -> bool:
        """Whether every entry of `x` lies inside."""
        x = np.asarray(x)
        inside = (x > self.low) if self.open_low else (x >= self.low)
        inside = inside & ((x < self.high) if self.open_high else (x <= self.high))
        inside = inside | np.isnan(x) if self.nan else inside
        return bool(np.all(inside if self.hole is None else inside & (x != self.hole)))


REALS = Interval()
POSITIVE = Interval(low=0.0, open_low=True)
NONNEGATIVE = Interval(low=0.0)
NONZERO = Interval(hole=0.0)
UNIT = Interval(low=-1.0, high=1.0)
INSIDE_UNIT = Interval(low=-1.0, high=1.0, open_low=True, open_high=True)
SHARE = Interval(low=0.0, high=1.0, open_low=True, open_high=True)
ABOVE_MINUS_1 = Interval(low=-1.0, open_low=True)
FROM_1 = Interval(low=1.0)
CYCLES = Interval(low=-100.0, high=100.0)
"""Beyond, NumPy's own sinc is mostly the rounding of pi times its argument."""
BOUNDED = Interval(low=-4.0, high=4.0)
WITH_NAN = Interval(nan=True)


ABSENT = ""
"""The spelling of what a library does not have, or not with NumPy's meaning."""


@dataclass(frozen=True)
class Row:
    """One function of the catalogue."""

    name: str
    """NumPy's name, as a Program's steps have it."""
    kind: str
    """How it is drawn and how it rounds: there is a method ``draw_<kind>`` in `oracles.strategies.operands`, but for
    ``compare``, which comes as the condition of a choice."""
    domain: tuple[Interval, ...] = (REALS,)
    """Where programs evaluate it, an interval per operand; the last serves all further operands."""
    event: str = ""
    """What happens where its derivative does not exist, in words: a kink such as a tie, or an edge of the domain."""
    where: Callable[..., Mask] | None = None
    """``where(ans, *operands, **parameters)``: the entries of the result at which `event` happens."""
    torch: str | None = None
    """PyTorch's spelling where it is not ``torch.<name>`` with the same arguments: another name, or a template
    (see `oracles.adapters.spelled`), or `ABSENT`."""
    jax: str | None = None
    """JAX's spelling, likewise, where it is not ``jnp.<name>``."""

    @property
    def is_exact(self) -> bool:
        """Whether it moves or chooses numbers without rounding any."""
        return self.kind in EXACT_KINDS or self.name in EXACT

    def domain_of(self, place: int) -> Interval:
        """Where programs evaluate an operand, counted from 0."""
        return self.domain[min(place, len(self.domain) - 1)]


EXACT_KINDS = ("shape", "join", "index", "choice", "split", "spread", "masked", "compare")

ROUNDS_ONCE = ("unary", "binary")
"""Kinds of functions of one or two numbers, which round their result alone."""

CONDITIONED = ("regular", "definite", "symmetric", "distinct")
"""Kinds of functions of matrices, by what they ask of these."""

COMPOSITE = ("sinc", "logaddexp", "logaddexp2")
"""Elementwise functions that round on the way to their result: by a unit of 1, however small that is.

They are compositions by their very definition, a sine over its argument and the logarithm of a sum of powers; written
out, every part of them rounds.
"""

EXACT = frozenset(
    {"positive", "negative", "conjugate", "copy", "real", "absolute", "fabs", "copysign", "ldexp", "fmod", "modf"}
    | {"maximum", "minimum", "fmax", "fmin", "max", "min", "amax", "amin", "sort", "partition", "minigrad.relu"}
    | {"minigrad.running_max", "minigrad.running_min", "minigrad.index_set", "nanmax", "nanmin"}
)


# Two numbers that different libraries may round to either order count as tied.
TIE = 16


def rounding(x: Any) -> float:
    """The rounding unit of an array's dtype."""
    x = np.asarray(x)
    return float(np.finfo(x.dtype).eps) if x.dtype.kind == "f" else 0.0


REACH: ContextVar[float] = ContextVar("REACH", default=0.0)
"""How far off a kink or an edge still counts as there, besides rounding: relative, and absolute below one."""


@contextlib.contextmanager
def within(reach: float) -> Iterator[None]:
    """Have ``Row.where`` find what lies near kinks and edges too."""
    token = REACH.set(reach)
    try:
        yield
    finally:
        REACH.reset(token)


def tied(x: Any, y: Any) -> Mask:
    """Whether two numbers are equal up to a few roundings."""
    x, y = np.asarray(x), np.asarray(y)
    unit = np.finfo(np.result_type(x, y, np.float32)).eps if x.dtype.kind == "f" else 0.0
    gap, size = np.abs(x - y), np.maximum(np.abs(x), np.abs(y))
    close = (gap <= TIE * unit * size) | (gap <= REACH.get() * np.maximum(size, 1))
    return np.asarray(close & np.isfinite(size))


def is_zero(x: Any) -> Mask:
    return np.asarray(np.abs(x) <= REACH.get())


def axes_of(a: Any, axis: Any) -> tuple[int, ...]:
    """The axes that a reduction over `axis` reduces."""
    ndim = np.ndim(a)
    each = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(i % ndim for i in each)


def many_attain(ans: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Mask:
    wide = ans if keepdims or axis is None else np.expand_dims(ans, axis)
    return np.asarray(np.sum(tied(a, wide), axis=axis, keepdims=keepdims) > 1)


def many_bound(ans: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Mask:
    """Whether several attain the largest, or several the smallest."""
    ends = (f(a, axis=axis, keepdims=keepdims) for f in (np.max, np.min))
    return np.asarray(np.any([many_attain(end, a, axis, keepdims) for end in ends], axis=0))


def some_tie(a: Any, axis: Any, keepdims: bool) -> Mask:
    """Whether any two of the entries along some axes are tied."""
    axes = axes_of(a, axis)
    moved = np.moveaxis(a, axes, range(-len(axes), 0))
    kept = moved.ndim - len(axes)
    entries = np.sort(np.reshape(moved, (*moved.shape[:kept], math.prod(moved.shape[kept:]))), axis=-1)
    found = np.any(tied(entries[..., 1:], entries[..., :-1]), axis=-1)
    return np.expand_dims(found, axes) if keepdims else np.asarray(found)


def tie_in_order(ans: Any, a: Any, *_: Any, axis: Any = -1) -> Mask:
    return np.broadcast_to(some_tie(a, axis, True), np.shape(ans))


def tie_in_middle(ans: Any, a: Any, *_: Any, axis: Any = None, keepdims: bool = False) -> Mask:
    return np.broadcast_to(some_tie(a, axis, keepdims), np.shape(ans))


def running_tie(ans: Any, a: Any, axis: int = 0) -> Mask:
    """Whether several of the entries so far attain the extreme so far."""
    extremes, entries = np.moveaxis(ans, axis, -1), np.moveaxis(a, axis, -1)
    attained = tied(entries[..., None, :], extremes[..., :, None]) & np.tri(entries.shape[-1], dtype=bool)
    return np.moveaxis(np.sum(attained, axis=-1) > 1, -1, axis)


def tie(ans: Any, x: Any, y: Any) -> Mask:
    return np.broadcast_to(tied(x, y), np.shape(ans))


def at_zero(ans: Any, x: Any, *_: Any, **__: Any) -> Mask:
    return np.broadcast_to(is_zero(x), np.shape(ans))


def second_at_zero(ans: Any, x: Any, y: Any) -> Mask:
    return np.broadcast_to(is_zero(y), np.shape(ans))


def second_at_minus_one(ans: Any, x: Any, y: Any) -> Mask:
    return np.broadcast_to(is_zero(1 + np.asarray(y)), np.shape(ans))


def at_one(ans: Any, x: Any) -> Mask:
    return tied(np.abs(x), np.ones_like(x))


def both_zero(ans: Any, x: Any, y: Any) -> Mask:
    return is_zero(x) & is_zero(y)


def one_zero(ans: Any, x: Any, y: Any) -> Mask:
    return is_zero(x) | is_zero(y)


def whole(ans: Any, x: Any, y: Any = 1) -> Mask:
    """Whether a quotient is a whole number, so that its floor jumps there."""
    quotient = np.divide(x, y)
    return tied(quotient, np.rint(quotient))


def at_bound(ans: Any, a: Any, a_min: Any = None, a_max: Any = None) -> Mask:
    bounds = [tied(a, bound) for bound in (a_min, a_max) if bound is not None]
    return np.asarray(np.any(bounds, axis=0))


def vanishes(ans: Any, a: Any, axis: Any = None, keepdims: bool = False, **_: Any) -> Mask:
    """Whether a result is 0 up to what rounding its operands may leave."""
    left = TIE * rounding(a) * np.max(np.abs(a), axis=axis, keepdims=keepdims, initial=0.0)
    return np.asarray((ans <= left) | is_zero(ans))


def norm_kink(ans: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Mask:  # noqa: A002
    """Where a norm is not smooth: at 0, at ties of what it chooses from; for sums of magnitudes, wherever one is 0."""
    pair = isinstance(axis, tuple) or (axis is None and ord is not None and np.ndim(x) == 2)
    if ord in (None, "fro") or (ord == 2 and not pair):
        return vanishes(ans, x, axis, keepdims)
    if not pair and ord not in (np.inf, -np.inf):
        return np.asarray(np.any(is_zero(x), axis=axis, keepdims=keepdims))
    if not pair:
        return many_attain(ans, np.abs(x), axis, keepdims) | vanishes(ans, x, axis, keepdims)
    rows, columns = axes_of(x, axis)
    matrix = np.moveaxis(x, (rows, columns), (-2, -1))
    if ord in (2, -2, "nuc"):
        chosen = np.linalg.svdvals(np.where(np.isfinite(matrix), matrix, 0))
        rough = np.any(vanishes(chosen[..., -1:], chosen, -1, True), axis=-1)  # none, of an axis without entries
        rough = rough if ord == "nuc" else rough | some_tie(chosen, -1, False)
    else:
        chosen = np.sum(np.abs(matrix), axis=-2 if abs(ord) == 1 else -1)
        rough = some_tie(chosen, -1, False) | np.any(is_zero(matrix), axis=(-2, -1))
    return np.reshape(rough, np.shape(ans))


def matrix_norm_kink(ans: Any, x: Any, ord: Any = "fro", keepdims: bool = False) -> Mask:  # noqa: A002
    return norm_kink(ans, x, ord, (-2, -1), keepdims)


def vector_norm_kink(ans: Any, x: Any, ord: Any = 2, axis: Any = None, keepdims: bool = False) -> Mask:  # noqa: A002
    flat = axis is None
    return np.reshape(
        norm_kink(
            ans if not flat else np.reshape(ans, ()),
            np.reshape(x, -1) if flat else x,
            ord,
            None if flat else axis,
            keepdims and not flat,
        ),
        np.shape(ans),
    )


def rank_lost(ans: Any, a: Any, mode: str = "reduced") -> Mask:
    """Of all of Q and R, whether R has a zero on its diagonal."""
    r = ans if mode == "r" else ans[1]
    return np.asarray(np.any(is_zero(np.diagonal(r, axis1=-2, axis2=-1)), axis=-1)[..., None, None])


def det_vanishes(ans: Any, a: Any) -> Mask:
    return np.asarray(is_zero(ans[0]))


def values_tie(ans: Any, *_: Any, **__: Any) -> Mask:
    """Whether any of the values that vectors go with coincide, so that these are any of a plane."""
    if not isinstance(ans, tuple):
        return np.asarray(False)
    return some_tie(ans[-2], -1, False)


def spectrum_ties(ans: Any, *_: Any, **__: Any) -> Mask:
    return np.broadcast_to(some_tie(ans, -1, True), np.shape(ans))


def singular_values_kink(ans: Any, *_: Any, **__: Any) -> Mask:
    """Where singular values tie, or the least is 0, about which it bends as a magnitude does."""
    rough = some_tie(ans, -1, True) | vanishes(ans[..., -1:], ans, -1, True)
    return np.broadcast_to(rough, np.shape(ans))


def cond_kink(ans: Any, x: Any, p: Any = None) -> Mask:
    """Only that by singular values; others are made of norms."""
    chosen = np.linalg.svdvals(np.where(np.isfinite(x), x, 0))
    return np.reshape(some_tie(chosen, -1, False), np.shape(ans))


def power_at_zero(ans: Any, x: Any, y: Any) -> Mask:
    """A whole positive exponent makes a polynomial, which is smooth at 0."""
    whole = type(y) in (int, float) and float(y).is_integer()  # a constant, not a number that a step computed
    return at_zero(ans, x) & (not whole or y < 1)


WINDOW = (
    "torch.nn.functional.conv1d({0}[None, None], {1}[None, None], padding={1}.shape[0] - 1)[0, 0]"
    "[dict(full=slice(None), valid=slice({1}.shape[0] - 1, {0}.shape[0]), "
    "same=slice(({1}.shape[0] - 1) // 2, ({1}.shape[0] - 1) // 2 + {0}.shape[0]))[{mode}]]"
)
"""Sums over a window sliding along an array that is the longer one."""


def window(one: str, other: str) -> str:
    return WINDOW.replace("{0}", one).replace("{1}", other)


CONVOLVED = f"(lambda a, v: {window('a', 'v.flip(0)')})(*sorted(({{0}}, {{1}}), key=len, reverse=True))"
CORRELATED = f"(lambda a, v: {window('a', 'v')} if len(a) >= len(v) else {window('v', 'a')}.flip(0))({{0}}, {{1}})"
"""NumPy slides the shorter one; of a correlation it turns the result about if that is the first."""


# fmt: off
ROWS: tuple[Row, ...] = (
    #   name           kind       domain             event                           where
    # Elementwise, one operand
    Row("positive",    "unary"),
    Row("negative",    "unary"),
    Row("conjugate",   "unary",   torch="torch.conj"),
    Row("real",        "unary"),
    Row("real_if_close", "unary", torch="torch.real", jax="jnp.real"),
    Row("copy",        "unary",   torch="torch.clone"),
    Row("absolute",    "unary",   (REALS,),          "kink: abs at 0",               at_zero),
    Row("fabs",        "unary",   (REALS,),          "kink: abs at 0",               at_zero, torch="torch.abs"),
    Row("sqrt",        "unary",   (NONNEGATIVE,),    "edge: sqrt at 0",              at_zero),
    Row("cbrt",        "unary",   (REALS,),          "edge: cbrt at 0",              at_zero,
        torch="torch.sign({0}) * torch.abs({0}) ** (1 / 3)"),
    Row("square",      "unary"),
    Row("reciprocal",  "unary",   (NONZERO,)),
    Row("exp",         "unary"),
    Row("exp2",        "unary"),
    Row("expm1",       "unary"),
    Row("log",         "unary",   (POSITIVE,),       "edge: log at 0",               at_zero),
    Row("log2",        "unary",   (POSITIVE,)),
    Row("log10",       "unary",   (POSITIVE,)),
    Row("log1p",       "unary",   (ABOVE_MINUS_1,)),
    Row("sin",         "unary"),
    Row("cos",         "unary"),
    Row("tan",         "unary"),
    Row("arcsin",      "unary",   (UNIT,),           "edge: arcsin at 1",            at_one),
    Row("arccos",      "unary",   (UNIT,),           "edge: arccos at 1",            at_one),
    Row("arctan",      "unary"),
    Row("sinh",        "unary"),
    Row("cosh",        "unary"),
    Row("tanh",        "unary"),
    Row("arcsinh",     "unary"),
    Row("arccosh",     "unary",   (FROM_1,),         "edge: arccosh at 1",           at_one),
    Row("arctanh",     "unary",   (INSIDE_UNIT,)),
    Row("sinc",        "unary",   (CYCLES,)),
    Row("degrees",     "unary",   torch="torch.rad2deg"),
    Row("rad2deg",     "unary"),
    Row("radians",     "unary",   torch="torch.deg2rad"),
    Row("deg2rad",     "unary"),
    Row("modf",        "parts",   (REALS,),          "kink: whole number",           whole,
        torch="(torch.frac({0}), torch.trunc({0}))"),
    Row("nan_to_num",  "nan",     (WITH_NAN,)),
    # Gates
    Row("minigrad.sigmoid",  "unary", torch="torch.sigmoid", jax="jax.nn.sigmoid"),
    Row("minigrad.relu",     "unary", (REALS,),      "kink: relu at 0",              at_zero,
        torch="torch.relu", jax="jax.nn.relu"),
    Row("minigrad.softplus", "unary", torch="torch.nn.functional.softplus({0}, threshold=80)", jax="jax.nn.softplus"),
    Row("minigrad.softmax",  "scan", torch="torch.softmax({0}, {axis})", jax="jax.nn.softmax"),
    Row("minigrad.log_softmax", "scan", torch="torch.log_softmax({0}, {axis})", jax="jax.nn.log_softmax"),
    Row("minigrad.logsumexp", "reduce", torch="torch.logsumexp({0}, {axis}{...})", jax="jax.nn.logsumexp"),
    # Elementwise, two operands
    Row("add",         "binary"),
    Row("subtract",    "binary"),
    Row("multiply",    "binary"),
    Row("divide",      "binary",  (REALS, NONZERO)),
    Row("power",       "binary",  (REALS,),          "edge: power of 0",             power_at_zero, torch="torch.pow"),
    Row("float_power", "binary",  (REALS,),          "edge: power of 0",             power_at_zero,
        jax="jnp.power(jnp.astype({0}, jnp.float64), {1})"),
    Row("maximum",     "binary",  (REALS,),          "kink: tie",                    tie, torch="tensors"),
    Row("minimum",     "binary",  (REALS,),          "kink: tie",                    tie, torch="tensors"),
    Row("fmax",        "binary",  (REALS,),          "kink: tie",                    tie, torch="tensors"),
    Row("fmin",        "binary",  (REALS,),          "kink: tie",                    tie, torch="tensors"),
    Row("hypot",       "binary",  (REALS,),          "kink: hypot at 0",             both_zero, torch="tensors"),
    Row("arctan2",     "binary",  (REALS,),          "edge: arctan2 at 0",           both_zero, torch="tensors"),
    Row("logaddexp",   "binary",  torch="tensors"),
    Row("logaddexp2",  "binary",  torch="tensors"),
    Row("fmod",        "binary",  (REALS, NONZERO),  "kink: whole quotient",         whole, torch="tensors"),
    Row("remainder",   "binary",  (REALS, NONZERO),  "kink: whole quotient",         whole, torch="tensors"),
    Row("divmod",      "parts",   (REALS, NONZERO),  "kink: whole quotient",         whole,
        torch="(torch.floor_divide({0}, {1}), torch.remainder({0}, {1}))"),
    Row("ldexp",       "binary",  torch="torch.ldexp({0}, torch.as_tensor({1}))"),
    Row("copysign",    "binary",  (REALS,),          "kink: copysign at 0",          one_zero, torch="tensors"),
    # Choices and comparisons
    Row("where",       "choice"),
    Row("select",      "choice",  torch="torch.where({0}[0], {1}[0], torch.where({0}[1], {1}[1], {default}))"),
    Row("clip",        "chosen",  (REALS,),          "kink: clip at a bound",        at_bound,
        torch="torch.clip({0}, {a_min}, {a_max})", jax="jnp.clip({0}, {a_min}, {a_max})"),
    Row("greater",     "compare"),
    Row("less_equal",  "compare"),
    # Reductions
    Row("sum",         "reduce"),
    Row("mean",        "reduce"),
    Row("max",         "reduce",  (REALS,),          "kink: several attain",         many_attain, torch="torch.amax"),
    Row("min",         "reduce",  (REALS,),          "kink: several attain",         many_attain, torch="torch.amin"),
    Row("amax",        "reduce",  (REALS,),          "kink: several attain",         many_attain),
    Row("amin",        "reduce",  (REALS,),          "kink: several attain",         many_attain),
    Row("ptp",         "reduce",  (REALS,),          "kink: several attain",         many_bound,
        torch="torch.amax({0}{...}) - torch.amin({0}{...})"),
    Row("prod",        "reduce"),
    Row("var",         "reduce",  torch="torch.var({0}, correction={ddof}{...})"),
    Row("std",         "reduce",  (REALS,),          "kink: std at 0",               vanishes,
        torch="torch.std({0}, correction={ddof}{...})"),
    Row("average",     "reduce",  torch="torch.sum({0} * {weights}{...}) / torch.sum({weights}{...})"),
    Row("median",      "reduce",  (REALS,),          "kink: tie",                    tie_in_middle,
        torch="torch.quantile({0}, 0.5{...})"),
    Row("quantile",    "reduce",  (REALS,),          "kink: tie",                    tie_in_middle,
        torch="torch.quantile({0}, torch.as_tensor({1}, dtype={0}.dtype){...})"),
    Row("percentile",  "reduce",  (REALS,),          "kink: tie",                    tie_in_middle,
        torch="torch.quantile({0}, torch.as_tensor({1}, dtype={0}.dtype) / 100{...})"),
    Row("nansum",      "nan",     (WITH_NAN,)),
    Row("nanprod",     "nan",     (WITH_NAN,),       torch="torch.prod(torch.where(torch.isnan({0}), 1.0, {0}){...})"),
    Row("nanmean",     "nan",     (WITH_NAN,)),
    Row("nanmax",      "nan",     (WITH_NAN,),       "kink: several attain",         many_attain,
        torch="torch.amax(torch.where(torch.isnan({0}), -float('inf'), {0}){...})"),
    Row("nanmin",      "nan",     (WITH_NAN,),       "kink: several attain",         many_attain,
        torch="torch.amin(torch.where(torch.isnan({0}), float('inf'), {0}){...})"),
    # Scans and differences
    Row("cumsum",      "scan"),
    Row("cumprod",     "scan"),
    Row("cumulative_sum", "scan", torch="torch.cumsum({0}, {axis})"),
    Row("cumulative_prod", "scan", torch="torch.cumprod({0}, {axis})"),
    Row("nancumsum",   "nan",     (WITH_NAN,),
        torch="torch.cumsum(torch.where(torch.isnan({0}), 0.0, {0}), {axis})"),
    Row("nancumprod",  "nan",     (WITH_NAN,),
        torch="torch.cumprod(torch.where(torch.isnan({0}), 1.0, {0}), {axis})"),
    Row("minigrad.running_max", "scan", (REALS,),    "kink: several attain",         running_tie,
        torch="torch.cummax({0}, {axis}).values", jax="jax.lax.cummax"),
    Row("minigrad.running_min", "scan", (REALS,),    "kink: several attain",         running_tie,
        torch="torch.cummin({0}, {axis}).values", jax="jax.lax.cummin"),
    Row("minigrad.running_logsumexp", "scan", torch="torch.logcumsumexp({0}, {axis})", jax="jax.lax.cumlogsumexp"),
    Row("diff",        "chosen"),
    Row("ediff1d",     "chosen",  torch="torch.diff({0}.reshape(-1))"),
    Row("trapezoid",   "chosen"),
    # Order
    Row("sort",        "scan",    (REALS,),          "kink: tie",                    tie_in_order,
        torch="torch.sort({0}, {axis}).values"),
    Row("partition",   "parts",   (REALS,),          "kink: tie",                    tie_in_order,
        torch="torch.sort({0}, {axis}).values"),
    # Shape and place
    Row("reshape",     "shape",   torch="torch.reshape({0}, {shape})"),
    Row("ravel",       "shape",   torch="torch.ravel({0})"),
    Row("transpose",   "shape",   torch="permute"),
    Row("matrix_transpose", "shape", torch="{0}.mT"),
    Row("swapaxes",    "shape",   torch="torch.swapaxes({0}, {axis1}, {axis2})"),
    Row("moveaxis",    "shape"),
    Row("rollaxis",    "shape",   torch="torch.moveaxis({0}, {1}, 0)"),
    Row("expand_dims", "shape",   torch="torch.unsqueeze"),
    Row("squeeze",     "shape"),
    Row("broadcast_to", "shape",  torch="torch.broadcast_to({0}, {shape})"),
    Row("flip",        "shape",   torch="torch.flip({0}, ({axis},))"),
    Row("fliplr",      "shape"),
    Row("flipud",      "shape"),
    Row("rot90",       "shape",   torch="torch.rot90({0}, {k}, {axes})"),
    Row("roll",        "shape",   torch="torch.roll({0}, {1}, {axis})"),
    Row("tril",        "shape",   torch="torch.tril({0}, {k})"),
    Row("triu",        "shape",   torch="torch.triu({0}, {k})"),
    Row("diag",        "shape",   torch="torch.diag({0}, {k})"),
    Row("diagflat",    "shape",   torch="torch.diagflat({0}, {k})"),
    Row("diagonal",    "shape",   torch="torch.diagonal({0}, {offset}, {axis1}, {axis2})"),
    Row("repeat",      "shape",   torch="torch.repeat_interleave({0}, {1}, {axis})"),
    Row("tile",        "shape"),
    Row("resize",      "shape",   torch=ABSENT),
    Row("pad",         "shape",
        torch="torch.nn.functional.pad({0}, [width for pair in "
        "reversed(torch.as_tensor({1}).broadcast_to(({0}.ndim, 2)).tolist()) for width in pair])"),
    Row("take",        "shape",   torch="{0}[(slice(None),) * ({axis} % {0}.ndim) + ({1},)]"),
    Row("take_along_axis", "shape", torch="torch.take_along_dim({0}, {1}, {axis})"),
    Row("delete",      "shape",   torch=ABSENT),
    Row("lib.stride_tricks.sliding_window_view", "shape", torch="{0}.unfold({axis}, {1}, 1)", jax=ABSENT),
    Row("compress",    "masked",  torch="torch.index_select({1}, {axis}, torch.nonzero({0})[:, 0])"),
    Row("extract",     "masked",  torch="torch.masked_select({1}, {0})"),
    Row("astype",      "cast",    torch="{0}.to({1})"),
    Row("getitem",     "index"),
    Row("minigrad.index_set", "update", torch="{0}.index_put((torch.arange({0}.shape[0])[{1}],), {2})",
        jax="{0}.at[{1}].set({2})"),
    Row("minigrad.index_add", "update", torch="{0}.index_put((torch.arange({0}.shape[0])[{1}],), {2}, accumulate=True)",
        jax="{0}.at[{1}].add({2})"),
    Row("insert",      "update",  torch=ABSENT),
    Row("full_like",   "fill",    torch="torch.zeros_like({0}) + {1}"),
    # Joining and splitting
    Row("concatenate", "join"),
    Row("stack",       "join"),
    Row("append",      "join",    torch="torch.cat(({0}, {1}), {axis})"),
    Row("vstack",      "join"),
    Row("hstack",      "join"),
    Row("dstack",      "join"),
    Row("column_stack", "join"),
    Row("block",       "join",    torch=ABSENT),
    Row("split",       "split",   torch="torch.tensor_split({0}, {1}, {axis})"),
    Row("array_split", "split",   torch="torch.tensor_split({0}, {1}, {axis})"),
    Row("hsplit",      "split"),
    Row("vsplit",      "split"),
    Row("dsplit",      "split"),
    Row("unstack",     "split",   torch="torch.unbind"),
    Row("atleast_1d",  "spread"),
    Row("atleast_2d",  "spread"),
    Row("atleast_3d",  "spread",  torch=ABSENT),
    Row("broadcast_arrays", "spread", torch="torch.broadcast_tensors"),
    Row("meshgrid",    "spread"),
    # Products
    Row("matmul",      "product"),
    Row("vecdot",      "product", torch="torch.linalg.vecdot"),
    Row("matvec",      "product", torch="torch.matmul({0}, {1}[..., None])[..., 0]"),
    Row("vecmat",      "product", torch="torch.matmul({0}[..., None, :], {1})[..., 0, :]"),
    Row("dot",         "product", torch="torch.matmul"),
    Row("vdot",        "product", torch="torch.dot({0}.reshape(-1), {1}.reshape(-1))"),
    Row("inner",       "product"),
    Row("outer",       "product", torch="torch.outer({0}.reshape(-1), {1}.reshape(-1))"),
    Row("tensordot",   "product", torch="torch.tensordot({0}, {1}, {axes})"),
    Row("einsum",      "sums"),
    Row("kron",        "product"),
    Row("cross",       "product", torch="torch.linalg.cross({0}, {1}, dim={axis})"),
    Row("convolve",    "product", torch=CONVOLVED),
    Row("correlate",   "product", torch=CORRELATED),
    Row("trace",       "chosen",  torch="torch.diagonal({0}, {offset}, {axis1}, {axis2}).sum(-1)"),
    # Linear algebra
    Row("linalg.matmul",  "product"),
    Row("linalg.vecdot",  "product"),
    Row("linalg.outer",   "product", torch="torch.outer"),
    Row("linalg.tensordot", "product", torch="torch.tensordot({0}, {1}, {axes})"),
    Row("linalg.cross",   "product", torch="torch.linalg.cross({0}, {1}, dim={axis})"),
    Row("linalg.multi_dot", "sums"),
    Row("linalg.diagonal", "shape"),
    Row("linalg.trace",   "chosen",  torch="torch.linalg.diagonal({0}{...}).sum(-1)"),
    Row("linalg.matrix_transpose", "shape", torch="{0}.mT"),
    Row("linalg.norm",    "chosen",  (REALS,),       "kink: norm",                   norm_kink),
    Row("linalg.vector_norm", "chosen", (REALS,),    "kink: norm",                   vector_norm_kink),
    Row("linalg.matrix_norm", "chosen", (REALS,),    "kink: norm",                   matrix_norm_kink),
    Row("linalg.inv",     "regular"),
    Row("linalg.det",     "regular"),
    Row("linalg.slogdet", "regular", (REALS,),       "edge: the matrix is singular", det_vanishes),
    Row("linalg.matrix_power", "regular"),
    Row("linalg.solve",   "regular",  # of a stack, PyTorch may read matrices as a stack of vectors
        torch="torch.linalg.solve({0}, {1} if {1}.ndim < 2 else {1}[(None,) * ({0}.ndim - {1}.ndim)])"),
    Row("linalg.tensorsolve", "regular"),
    Row("linalg.tensorinv", "regular"),
    Row("linalg.cholesky", "definite"),
    Row("linalg.eigh",    "symmetric", (REALS,),     "edge: eigenvalues tie",        values_tie),
    Row("linalg.eigvalsh", "symmetric", (REALS,),    "kink: eigenvalues tie",        spectrum_ties),
    Row("linalg.svd",     "distinct", (REALS,),      "edge: singular values tie",    values_tie),
    Row("linalg.svdvals", "distinct", (REALS,),      "kink: singular values tie, or vanish", singular_values_kink),
    Row("linalg.qr",      "distinct", (REALS,),      "edge: R is singular",          rank_lost),
    Row("linalg.cond",    "distinct", (REALS,),      "kink: singular values tie",    cond_kink),
    Row("linalg.pinv",    "distinct"),
)

SPECIAL: tuple[Row, ...] = (
    Row("scipy.special.expit",   "special", torch="torch.special.expit", jax="jax.scipy.special.expit"),
    Row("scipy.special.logit",   "special", (SHARE,), torch="torch.special.logit", jax="jax.scipy.special.logit"),
    Row("scipy.special.log_expit", "special", torch="torch.nn.functional.logsigmoid", jax="jax.nn.log_sigmoid"),
    Row("scipy.special.erf",     "special", torch="torch.special.erf", jax="jax.scipy.special.erf"),
    Row("scipy.special.erfc",    "special", torch="torch.special.erfc", jax="jax.scipy.special.erfc"),
    Row("scipy.special.erfinv",  "special", (INSIDE_UNIT,),
        torch="torch.special.erfinv", jax="jax.scipy.special.erfinv"),
    Row("scipy.special.erfcinv", "special", (Interval(low=0.1, high=1.9),),
        torch="torch.special.erfinv(1 - {0})", jax="jax.scipy.special.erfinv(1 - {0})"),
    Row("scipy.special.gammaln", "special", (POSITIVE,),
        torch="torch.special.gammaln", jax="jax.scipy.special.gammaln"),
    Row("scipy.special.psi",     "special", (POSITIVE,),
        torch="torch.special.digamma", jax="jax.scipy.special.digamma"),
    Row("scipy.special.entr",    "special", (NONNEGATIVE,), "edge: entr at 0", at_zero,
        torch="torch.special.entr", jax="jax.scipy.special.entr"),
    Row("scipy.special.xlogy",   "binary",  (REALS, POSITIVE), "edge: xlogy at 0", second_at_zero,
        torch="torch.special.xlogy", jax="jax.scipy.special.xlogy"),
    Row("scipy.special.xlog1py", "binary",  (REALS, ABOVE_MINUS_1), "edge: xlog1py at -1", second_at_minus_one,
        torch="torch.special.xlog1py", jax="jax.scipy.special.xlog1py"),
)
# fmt: on

# SciPy's functions are catalogued where SciPy is installed.
with contextlib.suppress(ImportError):
    importlib.import_module("scipy.special")
load_special()
ROWS += tuple(row for row in SPECIAL if row.name in NAMES)

CATALOGUE: dict[str, Row] = {row.name: row for row in ROWS}

DIFFERENTIATED = tuple(row.name for row in ROWS if row.kind != "compare")
"""The functions that take turns in a campaign."""


TENSORS = ("linalg.tensorinv", "linalg.tensorsolve")
"""Functions of one matrix, however many axes it is given with."""


def stacked_axes(name: str, x: Any) -> int:
    """How many first axes of an operand number the matrices of a stack, if this is a function of matrices."""
    return 0 if name in TENSORS else max(0, np.ndim(x) - 2)


def is_entry_by_entry(name: str) -> bool:
    """Whether no entry of an operand has a part in what becomes of another."""
    function = NAMES.get(name)
    is_gate = name in CATALOGUE and CATALOGUE[name].kind == "unary"
    return is_gate or (isinstance(function, np.ufunc) and function.signature is None)


def names(kinds: Sequence[str]) -> list[str]:
    """The functions of some kinds, in the catalogue's order."""
    return [row.name for row in ROWS if row.kind in kinds]


def drawn_within(name: str, place: int = 0) -> Interval:
    """Where programs evaluate an operand of a function; of matrices, where `oracles.strategies` can condition them."""
    row = CATALOGUE[name]
    if row.kind in CONDITIONED:
        return BOUNDED
    return row.domain_of(place)
