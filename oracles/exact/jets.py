"""Exact numbers: balls with proved radius, and power series of these.

A `Jet` is a number of Arb's, as a power series in t: its value and its derivatives along one
direction.  Arrays of Jets are NumPy's own object arrays, so that a Program runs on them unchanged:
NumPy adds and compares objects by their operators, and calls ``x.exp()`` for ``np.exp``.  Nothing
here is differentiated by rules; a derivative is a coefficient.
"""

from __future__ import annotations

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
        yield
    finally:
        ctx.prec, ctx.cap = before


def ball(x: Any) -> arb:
    """A float, exactly."""
    return x if isinstance(x, arb) else arb(x.item() if hasattr(x, "item") else x)


class Jet:
    """A real number as a power series with proved error bounds."""

    __slots__ = ("series",)

    ties: ClassVar[int] = 0
    """How often two numbers were found equal: wherever a choice hangs on it, there is a kink."""

    def __init__(self, series: Any):
        self.series = series if isinstance(series, arb_series) else arb_series([ball(series)])

    @property
    def value(self) -> arb:
        return self.series[0]

    def __repr__(self) -> str:
        return f"Jet({self.series})"

    # Order is that of the values.

    def compared(self, other: Any) -> int:
        """-1, 0 or 1; raises `UndecidedError` where the balls overlap without being one number."""
        x, y = self.value, jet(other).value
        if x < y:
            return -1
        if x > y:
            return 1
        if x == y or (x.mid() == y.mid() and x.rad() == y.rad()):
            Jet.ties += 1
            return 0  # one number, or computed alike: a tie either way
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
        return Jet(self.series * jet(other).series)

    def __truediv__(self, other: Any) -> Jet:
        return Jet(self.series / jet(other).series)

    def __rtruediv__(self, other: Any) -> Jet:
        return Jet(jet(other).series / self.series)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Jet:
        return Jet(-self.series)

    def __pos__(self) -> Jet:
        return self

    def __abs__(self) -> Jet:
        return -self if self < 0 else self

    def __pow__(self, other: Any) -> Jet:
        exponent = jet(other)
        power = exponent.value
        if exponent.series.length() <= 1 and power.is_integer() and abs(power) < 2**20:
            n = int(str(power.unique_fmpz()))
            whole = self.whole_power(abs(n)) if n else jet(1)
            return whole if n >= 0 else jet(1) / whole
        return (exponent * self.log()).exp()

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

    def sqrt(self) -> Jet:
        return Jet(self.series.sqrt())

    def cbrt(self) -> Jet:
        return -((-self) ** (jet(1) / 3)) if self < 0 else self ** (jet(1) / 3)

    def exp(self) -> Jet:
        return Jet(self.series.exp())

    def log(self) -> Jet:
        return Jet(self.series.log())

    def exp2(self) -> Jet:
        return (self * constant(arb(2).log())).exp()

    def expm1(self) -> Jet:
        return self.exp() - 1

    def log1p(self) -> Jet:
        return (self + 1).log()

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
        return Jet(self.series.asin())

    def arccos(self) -> Jet:
        return Jet(self.series.acos())

    def arctan(self) -> Jet:
        return Jet(self.series.atan())

    def sinh(self) -> Jet:
        return (self.exp() - (-self).exp()) / 2

    def cosh(self) -> Jet:
        return (self.exp() + (-self).exp()) / 2

    def tanh(self) -> Jet:
        return 1 - 2 / ((2 * self).exp() + 1)

    def arcsinh(self) -> Jet:
        return (self + (self * self + 1).sqrt()).log()

    def arccosh(self) -> Jet:
        return (self + (self * self - 1).sqrt()).log()

    def arctanh(self) -> Jet:
        return ((1 + self) / (1 - self)).log() / 2

    def hypot(self, other: Any) -> Jet:
        return Jet((self * self + jet(other) * other).series.sqrt())

    def erf(self) -> Jet:
        return Jet(self.series.erf())

    def erfc(self) -> Jet:
        return Jet(self.series.erfc())

    def gammaln(self) -> Jet:
        return Jet(self.series.lgamma())

    def psi(self) -> Jet:
        with precision(ctx.prec, ctx.cap):
            near = arb_series([self.value, 1]).lgamma().derivative().coeffs()
        return self.composed(near)

    def erfinv(self) -> Jet:
        start: arb = self.value.erfinv()
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
        if self != 0:
            angle = constant(arb.pi() / 2) - (x / self).arctan()
            return angle if self > 0 else angle - constant(arb.pi())
        return (self / x).arctan() + constant(arb.pi())

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

    def degrees(self) -> Jet:
        return self * 180 / constant(arb.pi())

    def radians(self) -> Jet:
        return self * constant(arb.pi()) / 180

    rad2deg, deg2rad = degrees, radians


def constant(x: arb) -> Jet:
    return Jet(arb_series([x]))


def jet(x: Any) -> Jet:
    x = x.item() if isinstance(x, np.ndarray) else x
    return x if isinstance(x, Jet) else Jet(x)


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
