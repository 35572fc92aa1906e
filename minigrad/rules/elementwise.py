"""Functions of one number at a time, and of two that broadcast against each other."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from minigrad.gates import sigmoid
from minigrad.protocol import Array, define, extend, primitive
from minigrad.rules.common import broadcasting, nonzero

LN2, LN10 = math.log(2), math.log(10)


@primitive
def sech2(x: Any) -> Any:
    """``1 - tanh(x)**2`` without cancellation or overflow."""
    with np.errstate(over="ignore"):
        r = 1 / np.cosh(x)
    r *= r
    return r


@primitive
def sigmoid2(x: Any) -> Any:
    """`sigmoid` to the base 2."""
    power = np.exp2(-np.abs(x))
    return np.where(x < 0, power, 1) / (1 + power)


@primitive
def one_minus_square(x: Any) -> Any:
    """``1 - x**2``, without cancellation near 1; its derivative has none near 0."""
    return (1 - x) * (1 + x)


@primitive
def whole_times(g: Any, x: Any, y: Any) -> Any:
    """`g` times the whole number ``x / y``, which may be out of range by itself; it is constant in `x` and `y`."""
    ratio = np.round(x / y)
    return np.where(np.isinf(ratio), g / y * x, g * ratio)


@primitive
def cosine(x: Any, y: Any) -> Any:
    """``x / hypot(x, y)``, and 0 at the origin; its derivatives do not cancel.

    Of numbers scaled by a power of 2, which rounds nothing, since among subnormals hypot has few digits.
    """
    _, exponent = np.frexp(np.maximum(np.abs(x), np.abs(y)))
    # Of a Python integer ldexp would make a float16, so both take their common dtype first.
    x, y = np.ldexp(np.where(True, x, y), -exponent), np.ldexp(np.where(True, y, x), -exponent)
    return x / nonzero(np.hypot(x, y))


@primitive
def bessel_of_pi(x: Any, *, n: int) -> Any:
    """``j_n(pi * x)``, spherical: sinc for n = 0, and what its derivatives are made of.

    By DLMF 10.53.1 near 0, and by the recurrence 10.51.1 elsewhere.
    """
    near = np.abs(math.pi * x) < n + 2
    far, small = np.where(near, n + 2, math.pi * x), math.pi * np.where(near, x, 0)
    sine, cosine = sine_and_cosine_of_pi(x)
    before, ans = cosine / far, sine / far
    term = small**n / math.prod(range(1, 2 * n + 2, 2))
    series = term
    for k in range(1, 25):
        before, ans = (ans, (2 * k - 1) / far * ans - before) if k <= n else (before, ans)
        term = -term * small * small / (2 * k * (2 * n + 2 * k + 1))
        series = series + term
    return np.where(near, series, ans)


def sine_and_cosine_of_pi(x: Any) -> tuple[Any, Any]:
    """Of ``pi * x``, the periods left out first, which rounds nothing, as would a product with pi."""
    turned = x - 2 * np.round(x / 2)
    size = np.abs(turned)
    sine = np.copysign(np.sin(math.pi * np.where(size > 0.75, 1 - size, size)), turned)
    return sine, np.where(np.abs(size - 0.5) < 0.25, np.sin(math.pi * (0.5 - size)), np.cos(math.pi * size))


def bessel_of_pi_dx(x: Any, n: int) -> Any:
    """DLMF 10.51.2 in the form that does not divide by `x`."""
    above = (n + 1) * bessel_of_pi(x, n=n + 1)
    return math.pi * ((n * bessel_of_pi(x, n=n - 1) - above) / (2 * n + 1) if n else -above)


def raised(x: Any, n: float) -> Any:
    """``x ** n`` as arrays have it; the operator of NumPy's numbers rounds in its own way."""
    quicker = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}.get(n)
    return np.power(x, n) if quicker is None else quicker(x)


def power_dx(ans: Any, x: Any, y: Any) -> Any:
    """``y * x**(y-1)``, and its limit 0 at ``x == y == 0``, where the power is infinite.

    Where ``y - 1`` rounds, ``ans / x`` is nearer, unless ``ans`` has left the range of the dtype.  A ``y`` below 1
    is multiplied with before, and a larger one after the division, so that neither leaves it on the way.
    """
    if type(y) in (int, float) and math.isfinite(y):  # as it is written; a NumPy number may be one that is recorded
        less = y - 1 if y == int(y) else float(x.dtype.type(y) - 1)
        if y == int(y) or Fraction(less) == Fraction(float(x.dtype.type(y))) - 1:
            return 0 * x if y == 0 else y * (x if y == 2 else raised(x, less))
    base = np.where((x == 0) & (y == 0), 1, x)
    lost = (x == 0) | (ans == 0) | np.isinf(ans)
    first, last = np.where(np.abs(y) < 1, y, 1), np.where(np.abs(y) < 1, 1, y)
    return last * np.where(lost, first * np.where(lost, base, 1) ** (y - 1), first * ans / np.where(lost, 1, x))


def power_dy(ans: Any, x: Any) -> Any:
    """``x**y * log(x)``, its limit 0 at ``x == 0`` (for positive ``y``), and NaN for negative ``x``."""
    return ans * np.log(np.where(x > 0, x, np.where(x == 0, 1, np.nan)))


def winner(g: Any, x: Any, y: Any) -> Any:
    """`g` where `x` is the larger, half of it at a tie."""
    return np.where(x > y, g, np.where(x == y, g / 2, 0))


def number(g: Any, x: Any, y: Any) -> Any:
    """As `winner`, but against NaN the number wins."""
    return np.where(np.isnan(y), g, winner(g, x, y))


def clip(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    a = a if a_min is None else np.where(decides(a <= a_min, a_min), a_min, a)
    return a if a_max is None else np.where(decides(a >= a_max, a_max), a_max, a)


def decides(reached: Any, bound: Any) -> Any:
    """Where a bound does: where it is reached, and where it is NaN."""
    is_number = not isinstance(bound, Array) and not np.any(np.isnan(bound))
    return reached if is_number else reached | np.isnan(bound)


def clip_by_min_max(a: Any, min: Any = None, max: Any = None, **given: Any) -> Any:  # noqa: A002
    if any(bound is not None for bound in given.values()):
        raise ValueError("clip: bounds are given twice; give a_min and a_max, or min and max")
    return np.clip(a, min, max)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    info = np.finfo(x.dtype)
    x = np.where(np.isposinf(x), info.max if posinf is None else posinf, x)
    x = np.where(np.isneginf(x), info.min if neginf is None else neginf, x)
    return np.where(np.isnan(x), nan, x)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    ans = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        ans = np.where(condition, choice, ans)
    return ans


# fmt: off
broadcasting(np.positive,    lambda g, ans, x: g)
broadcasting(np.negative,    lambda g, ans, x: -g)
broadcasting(np.conjugate,   lambda g, ans, x: g)
broadcasting(np.copy,        lambda g, ans, a: g)
broadcasting(np.astype,      lambda g, ans, x, dtype: g, None)
broadcasting(np.abs,         lambda g, ans, x: g * np.sign(x))
broadcasting(np.fabs,        lambda g, ans, x: g * np.sign(x))
broadcasting(np.sqrt,        lambda g, ans, x: 0.5 * g / ans)
broadcasting(np.cbrt,        lambda g, ans, x: g / (3 * ans * ans))
broadcasting(np.square,      lambda g, ans, x: 2 * g * x)
broadcasting(np.reciprocal,  lambda g, ans, x: -g * ans * ans)
broadcasting(np.exp,         lambda g, ans, x: g * ans)
broadcasting(np.exp2,        lambda g, ans, x: g * ans * LN2)
broadcasting(np.expm1,       lambda g, ans, x: g * np.exp(x))
broadcasting(np.log,         lambda g, ans, x: g / x)
broadcasting(np.log2,        lambda g, ans, x: g / x / LN2)
broadcasting(np.log10,       lambda g, ans, x: g / x / LN10)
broadcasting(np.log1p,       lambda g, ans, x: g / (1 + x))
broadcasting(np.sin,         lambda g, ans, x: g * np.cos(x))
broadcasting(np.cos,         lambda g, ans, x: -g * np.sin(x))
broadcasting(np.tan,         lambda g, ans, x: g * (1 + ans * ans))
broadcasting(np.arcsin,      lambda g, ans, x: g / np.sqrt(one_minus_square(x)))
broadcasting(np.arccos,      lambda g, ans, x: -g / np.sqrt(one_minus_square(x)))
broadcasting(np.arctan,      lambda g, ans, x: g / np.hypot(1, x) / np.hypot(1, x))
broadcasting(np.sinh,        lambda g, ans, x: g * np.cosh(x))
broadcasting(np.cosh,        lambda g, ans, x: g * np.sinh(x))
broadcasting(np.tanh,        lambda g, ans, x: g * sech2(x))
broadcasting(np.arcsinh,     lambda g, ans, x: g / np.hypot(1, x))
broadcasting(np.arccosh,     lambda g, ans, x: g / np.sqrt(x - 1) / np.sqrt(x + 1))
broadcasting(np.arctanh,     lambda g, ans, x: g / one_minus_square(x))
broadcasting(np.sinc,        lambda g, ans, x: -math.pi * g * bessel_of_pi(x, n=1))
broadcasting(np.degrees,     lambda g, ans, x: np.degrees(g))
broadcasting(np.rad2deg,     lambda g, ans, x: np.rad2deg(g))
broadcasting(np.radians,     lambda g, ans, x: np.radians(g))
broadcasting(np.deg2rad,     lambda g, ans, x: np.deg2rad(g))
broadcasting(sech2,          lambda g, ans, x: -2 * g * ans * np.tanh(x))
broadcasting(sigmoid2,       lambda g, ans, x: g * LN2 * ans * sigmoid2(-x))
broadcasting(one_minus_square, lambda g, ans, x: -2 * g * x)
broadcasting(bessel_of_pi,   lambda g, ans, x, n: g * bessel_of_pi_dx(x, n))
broadcasting(np.add,         lambda g, ans, x, y: g,                       lambda g, ans, x, y: g)
broadcasting(np.subtract,    lambda g, ans, x, y: g,                       lambda g, ans, x, y: -g)
broadcasting(np.multiply,    lambda g, ans, x, y: g * y,                   lambda g, ans, x, y: g * x)
broadcasting(np.divide,      lambda g, ans, x, y: g / y,                   lambda g, ans, x, y: -g * ans / y)
broadcasting(np.power,       lambda g, ans, x, y: g * power_dx(ans, x, y), lambda g, ans, x, y: g * power_dy(ans, x))
broadcasting(np.float_power, lambda g, ans, x, y: g * power_dx(ans, x, y), lambda g, ans, x, y: g * power_dy(ans, x))
broadcasting(np.maximum,     lambda g, ans, x, y: winner(g, x, y),         lambda g, ans, x, y: winner(g, y, x))
broadcasting(np.minimum,     lambda g, ans, x, y: winner(g, y, x),         lambda g, ans, x, y: winner(g, x, y))
broadcasting(np.fmax,        lambda g, ans, x, y: number(g, x, y),         lambda g, ans, x, y: number(g, y, x))
broadcasting(np.fmin,        lambda g, ans, x, y: number(g, -x, -y),       lambda g, ans, x, y: number(g, -y, -x))
broadcasting(np.hypot,       lambda g, ans, x, y: g * cosine(x, y),        lambda g, ans, x, y: g * cosine(y, x))
broadcasting(cosine,         lambda g, ans, x, y: g * cosine(y, x) * cosine(y, x) / nonzero(np.hypot(x, y)),
                             lambda g, ans, x, y: -g * ans * cosine(y, x) / nonzero(np.hypot(x, y)))
broadcasting(np.arctan2,     lambda g, ans, x, y: g * cosine(y, x) / nonzero(np.hypot(x, y)),
                             lambda g, ans, x, y: -g * cosine(x, y) / nonzero(np.hypot(x, y)))
broadcasting(np.logaddexp,   lambda g, ans, x, y: g * sigmoid(x - y),      lambda g, ans, x, y: g * sigmoid(y - x))
broadcasting(np.logaddexp2,  lambda g, ans, x, y: g * sigmoid2(x - y),         lambda g, ans, x, y: g * sigmoid2(y - x))
broadcasting(np.fmod,        lambda g, ans, x, y: g, lambda g, ans, x, y: -whole_times(g, x - ans, y))
broadcasting(np.remainder,   lambda g, ans, x, y: g, lambda g, ans, x, y: -whole_times(g, x - ans, y))
broadcasting(whole_times,    lambda h, ans, g, x, y: whole_times(h, x, y), None, None)
broadcasting(np.ldexp,       lambda g, ans, x, y: np.ldexp(g, y),          None)
broadcasting(np.copysign,    lambda g, ans, x, y: g * np.sign(x) * np.copysign(1, y), None)
broadcasting(np.where, None, lambda g, ans, condition, x, y: np.where(condition, g, 0),
                             lambda g, ans, condition, x, y: np.where(condition, 0, g))
define(np.divmod,            lambda x, y: (x // y, x % y))
define(np.modf,              lambda x: (np.fmod(x, 1), np.trunc(x)))
define(np.real,              lambda val: np.positive(val))
define(np.real_if_close,     lambda a: np.positive(a))
define(np.clip,              clip)
extend(np.clip,              "min max",               clip_by_min_max)
define(np.nan_to_num,        nan_to_num)
define(np.select,            select)
# fmt: on
