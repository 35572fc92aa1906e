"""Exact numbers: balls with proved radius, and power series of these.

A `Jet` is a number of Arb's, as a power series in t: its value and its derivatives along one
direction.  Arrays of Jets are NumPy's own object arrays, so that a Program runs on them unchanged:
NumPy adds and compares objects by their operators, and calls ``x.exp()`` for ``np.exp``.  Nothing
here is differentiated by rules; a derivative is a coefficient.

A NaN of the program's own, which functions such as ``nansum`` leave out, is a NaN without a radius;
what cannot be computed, such as a quotient by what may be 0, is anything at all: its radius is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from flint import arb, arb_series, ctx


class UndecidedError(ArithmeticError):
    """Two numbers are too close to be told apart at this precision."""


@contextmanager
def precision(bits: int, order: int) -> Any:
    """Arithmetic with so many bits, and series with derivatives up to `order`."""
    before = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = bits, order + 1
    try:
        with np.errstate(invalid="ignore"):  # which NumPy says where Arb meets a NaN
            yield
    finally:
        ctx.prec, ctx.cap = before


def ball(x: Any) -> arb:
    """A float, exactly."""
    return x if isinstance(x, arb) else arb(x.item() if hasattr(x, "item") else x)


def sign_of(x: Any) -> int:
    """The sign of a float, zeros included; 0 if it is not known."""
    if isinstance(x, arb):
        return 0
    return 1 if isinstance(x, int) or math.copysign(1, x) > 0 else -1


class Jet:
    """A real number as a power series with proved error bounds."""

    __slots__ = ("series", "sign")

    ties: ClassVar[int] = 0
    """How often two numbers were found equal: wherever a choice hangs on it, there is a kink."""

    def __init__(self, series: Any, sign: int = 0):
        self.series = series if isinstance(series, arb_series) else arb_series([ball(series)])
        self.sign = sign
        """That of the number, zeros included; 0 if it is not known, as of what is computed mostly."""

    @property
    def value(self) -> arb:
        return self.series[0]

    def __repr__(self) -> str:
        return f"Jet({self.series})"

    # Order is that of the values.

    def compared(self, other: Any) -> float:
        """-1, 0, 1, or NaN; raises `UndecidedError` where the balls overlap without being one number."""
        x, y = self.value, jet(other).value
        if x < y:
            return -1
        if x > y:
            return 1
        if x == y or (x.mid() == y.mid() and x.rad() == y.rad() and x.is_finite()):
            Jet.ties += 1
            return 0  # one number, or computed alike: a tie either way
        if known(x).is_nan() or known(y).is_nan():
            return math.nan
        raise UndecidedError(f"{x} against {y}")

    def __lt__(self, other: Any) -> bool:
        return self.compared(other) < 0

    def __le__(self, other: Any) -> bool:
        return self.compared(other) <= 0

    def __gt__(self, other: Any) -> bool:
        return self.compared(other) > 0

    def __ge__(self, other: Any) -> bool:
        return self.compared(other) >= 0

    def __eq__(self, other: object) -> bool:
        return self.compared(other) == 0

    def __ne__(self, other: object) -> bool:
        return self.compared(other) != 0

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return self != 0

    def __add__(self, other: Any) -> Jet:
        return Jet(self.series + jet(other).series)

    def __sub__(self, other: Any) -> Jet:
        return Jet(self.series - jet(other).series)

    def __rsub__(self, other: Any) -> Jet:
        return Jet(jet(other).series - self.series)

    def __mul__(self, other: Any) -> Jet:
        other = jet(other)
        return Jet(self.series * other.series, self.sign * other.sign)

    def __truediv__(self, other: Any) -> Jet:
        other = jet(other)
        if other.value.contains(0) or not other.value.is_finite():
            return anything()
        return Jet(self.series / other.series, self.sign * other.sign)

    def __rtruediv__(self, other: Any) -> Jet:
        return jet(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Jet:
        return Jet(-self.series, -self.sign)

    def __pos__(self) -> Jet:
        return self

    def __abs__(self) -> Jet:
        try:
            return -self if self < 0 else Jet(self.series, 1)
        except UndecidedError:
            return self.hull(-self)

    def hull(self, other: Jet) -> Jet:
        """Balls that hold both series: what can be said where it is not known which of the two it is."""
        return Jet(arb_series([self.series[k].union(other.series[k]) for k in range(ctx.cap)]))

    def __pow__(self, other: Any) -> Jet:
        exponent = jet(other)
        power = exponent.value
        if exponent.series.length() <= 1 and power.is_integer() and abs(power) < 2**20:
            n = int(str(power.unique_fmpz()))
            whole = self.whole_power(abs(n)) if n else jet(1)
            return whole if n >= 0 else jet(1) / whole
        return self.power_of_zero(exponent) if self.value == 0 else (exponent * self.log()).exp()

    def power_of_zero(self, exponent: Jet) -> Jet:
        """With a positive exponent, 0 and derivatives of 0, as far as there are any."""
        if not exponent.value > 0:
            return anything()
        if self.series.length() == 0:
            return jet(0)
        return Jet(arb_series([0 if k < exponent.value else arb.nan() for k in range(ctx.cap)]))

    def __rpow__(self, other: Any) -> Jet:
        return jet(other) ** self

    def whole_power(self, n: int) -> Jet:
        half: Jet = self.whole_power(n // 2) if n > 1 else self
        return half if n == 1 else half * half * self if n % 2 else half * half

    # Named as NumPy calls them on objects.

    def conjugate(self) -> Jet:
        return self

    def fabs(self) -> Jet:
        return abs(self)

    def starting(self, value: arb) -> Jet:
        """The same with another constant term: the value, where it is known better, or where the rest is not."""
        terms = [self.series[k] for k in range(1, ctx.cap)]
        return Jet(arb_series([value, *terms]))

    def sqrt(self) -> Jet:
        """Of 0, as far as the series tells, again 0; of a 0 that moves, a value without derivatives."""
        return Jet(self.series.sqrt()).starting(self.value.sqrt()) if self.series.length() else jet(0)

    def cbrt(self) -> Jet:
        return -((-self) ** (jet(1) / 3)) if self < 0 else self ** (jet(1) / 3)

    def exp(self) -> Jet:
        return Jet(self.series.exp())

    def log(self) -> Jet:
        return Jet(self.series.log())

    def exp2(self) -> Jet:
        return (self * constant(arb(2).log())).exp()

    def expm1(self) -> Jet:
        return self.exp().starting(self.value.expm1())

    def log1p(self) -> Jet:
        return (self + 1).log().starting(self.value.log1p())

    def log2(self) -> Jet:
        return self.log() / constant(arb(2).log())

    def log10(self) -> Jet:
        return self.log() / constant(arb(10).log())

    def sin(self) -> Jet:
        return Jet(self.series.sin())

    def cos(self) -> Jet:
        return Jet(self.series.cos())

    def tan(self) -> Jet:
        return Jet(self.series.tan())

    def arcsin(self) -> Jet:
        return Jet(self.series.asin()).starting(self.value.asin())

    def arccos(self) -> Jet:
        return Jet(self.series.acos()).starting(self.value.acos())

    def arctan(self) -> Jet:
        return Jet(self.series.atan())

    def sinh(self) -> Jet:
        return ((self.exp() - (-self).exp()) / 2).starting(self.value.sinh())

    def cosh(self) -> Jet:
        return (self.exp() + (-self).exp()) / 2

    @property
    def leans(self) -> int:
        """-1 or 1, as the middle of the ball lies: to choose between forms that are both right."""
        return -1 if self.value.mid() < 0 else 1

    def tanh(self) -> Jet:
        size = self * self.leans
        return (2 / (1 + (-2 * size).exp()) - 1).starting(size.value.tanh()) * self.leans

    def arcsinh(self) -> Jet:
        size = self * self.leans
        return (size + (size * size + 1).sqrt()).log().starting(size.value.asinh()) * self.leans

    def arccosh(self) -> Jet:
        return (self + (self * self - 1).sqrt()).log().starting(self.value.acosh())

    def arctanh(self) -> Jet:
        return ((self + 1) / (-self + 1)).sqrt().log().starting(self.value.atanh())

    def hypot(self, other: Any) -> Jet:
        return (self * self + jet(other) * jet(other)).sqrt()

    def erf(self) -> Jet:
        return Jet(self.series.erf())

    def erfc(self) -> Jet:
        return Jet(self.series.erfc())

    def gammaln(self) -> Jet:
        """Of the absolute value of gamma; for negative numbers by reflection, DLMF 5.5.3."""
        if self.leans > 0:
            return Jet(self.series.lgamma())
        pi = constant(arb.pi())
        return (pi / abs((self * pi).sin())).log() - (1 - self).gammaln()

    def psi(self) -> Jet:
        return self.polygamma(0)

    def polygamma(self, n: int) -> Jet:
        """The derivative of order ``n + 1`` of `gammaln`."""
        with precision(ctx.prec, ctx.cap + n):
            near = Jet(arb_series([self.value, 1])).gammaln().series
            for _ in range(n + 1):
                near = near.derivative()
        return self.composed(near.coeffs())

    def bessel(self, n: int) -> Jet:
        """The spherical Bessel function j_n, by DLMF 10.53.1: ``x**n / (2n+1)!! * 0F1(; n + 3/2; -x**2 / 4)``."""
        z, b = -(self * self) / 4, arb(2 * n + 3) / 2
        terms = [z.value.hypgeom_0f1(b + k) / (b.rising(k) * arb(k).fac()) for k in range(ctx.cap)]
        return z.composed(terms) * self**n / math.prod(range(1, 2 * n + 2, 2))

    def erfinv(self) -> Jet:
        start: arb = self.value.erfinv()
        if not start.is_finite():
            return anything()
        away = arb_series([0, *arb_series([start, 1]).erf().coeffs()[1:]])
        return self.composed([start, *away.reversion().coeffs()[1:]])

    def composed(self, coefficients: Sequence[arb]) -> Jet:
        """A function of this number, from its power series about this number's value."""
        away = Jet(arb_series([0, *self.series.coeffs()[1:]]))
        ans = jet(0)
        for coefficient in reversed(coefficients):
            ans = ans * away + constant(coefficient)
        return ans

    def arctan2(self, other: Any) -> Jet:
        x = jet(other)
        if x > 0:
            return (self / x).arctan()
        if self == 0 and x == 0:
            # Which turn it is, the signs of the zeros say; how it varies, nothing does.
            turn = constant(arb.pi() if x.signbit() else arb(0)) * (-1 if self.signbit() else 1)
            return anything().starting(turn.value) if self.series.length() or x.series.length() else turn
        if self != 0:
            angle = constant(arb.pi() / 2) - (x / self).arctan()
            return angle if self > 0 else angle - constant(arb.pi())
        return (self / x).arctan() + constant(-arb.pi() if self.signbit() else arb.pi())

    def signbit(self) -> bool:
        if self != 0:
            return self < 0
        if self.sign == 0:
            raise UndecidedError("the sign of a zero that is computed is not known")
        return self.sign < 0

    def isnan(self) -> bool:
        return bool(known(self.value).is_nan())

    def isfinite(self) -> bool:
        return bool(known(self.value).is_finite())

    def isinf(self) -> bool:
        return not (self.isnan() or self.isfinite())

    def fmod(self, other: Any) -> Jet:
        return self - jet(other) * truncated(self / jet(other))

    def __mod__(self, other: Any) -> Jet:
        return self - jet(other) * floored(self / jet(other))

    def __rmod__(self, other: Any) -> Jet:
        return jet(other) % self

    def __floordiv__(self, other: Any) -> Jet:
        return jet(floored(self / jet(other)))

    def __floor__(self) -> Jet:
        return jet(floored(self))

    def __ceil__(self) -> Jet:
        return jet(rounded(self, arb.ceil))

    def __trunc__(self) -> Jet:
        return jet(truncated(self))

    def rint(self) -> Jet:
        """The nearest whole number, of two the even one."""
        below = floored(constant(self.value.mid()))
        rest = self - below
        return jet(below + (below % 2 if rest == 0.5 else int(rest > 0.5)))

    def __int__(self) -> int:
        return truncated(self)

    def degrees(self) -> Jet:
        return self * 180 / constant(arb.pi())

    def radians(self) -> Jet:
        return self * constant(arb.pi()) / 180

    rad2deg, deg2rad = degrees, radians


def constant(x: arb) -> Jet:
    return Jet(arb_series([x]))


def jet(x: Any) -> Jet:
    if isinstance(x, Jet):
        return x
    return jet(x.item()) if isinstance(x, np.ndarray) else Jet(x, sign_of(x))


def moving(x: Any, v: Any) -> Jet:
    """The number ``x + t * v``."""
    return Jet(arb_series([ball(x), ball(v)]), sign_of(x))


def anything() -> Jet:
    """What is not known at all, its derivatives neither."""
    return Jet(arb_series([arb.nan()] * ctx.cap))


def known(x: arb) -> arb:
    """The number, if it is certainly finite, or is an infinity or a NaN of the program's own."""
    if x.is_finite() or x.rad() == 0:
        return x
    raise UndecidedError(f"{x} may be anything")


def rounded(x: Jet, direction: Callable[[arb], arb]) -> int:
    """A whole number near `x`, certainly."""
    whole = direction(x.value).unique_fmpz()
    if whole is None:
        raise UndecidedError(f"rounding {x.value}")
    Jet.ties += x.value.is_integer()
    return int(whole)


def floored(x: Jet) -> int:
    return rounded(x, arb.floor)


def truncated(x: Jet) -> int:
    return rounded(x, arb.ceil if x < 0 else arb.floor)


JETS = np.frompyfunc(jet, 1, 1)


def jets(a: Any) -> Any:
    """An array of Jets and plain numbers, of Jets all through."""
    return np.asarray(JETS(np.asarray(a, object)), object)
