"""Exact numbers: balls with proved radius, and what these become when the inputs move.

A `Jet` is a number of Arb's with its derivatives along all directions that are asked about, so that
one run of a program finds all of them.  It is a polynomial in one infinitesimal for each direction,
without their products: those of the first order; and at order 2, where direction 0 is the vector of
a Hessian product, those with direction 0.  Two of these are added and multiplied as polynomials are,
and a function is taken of one by its Taylor coefficients at the value, which are Arb's own, from
power series in one variable.  Nothing here is differentiated by rules; a derivative is a coefficient.

Arrays of Jets are NumPy's own object arrays, so that a Program runs on them unchanged: NumPy adds
and compares objects by their operators, and calls ``x.exp()`` for ``np.exp``.

What moves along some directions only is along the others what a constant would be: ``sqrt`` of a 0
that moves has no derivatives, of one that does not move it is 0.  So an exact zero in a derivative
says that this direction has no part in it, and it stays zero whatever it is multiplied with.

A NaN of the program's own, which functions such as ``nansum`` leave out, is a NaN without a radius;
what cannot be computed, such as a quotient by what may be 0, is anything at all: its radius is infinite.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from flint import arb, arb_poly, arb_series, ctx


class UndecidedError(ArithmeticError):
    """Two numbers are too close to be told apart at this precision."""


@contextmanager
def precision(bits: int, order: int, directions: int = 0) -> Iterator[None]:
    """Arithmetic with so many bits, and derivatives up to `order` along so many directions."""
    before = ctx.prec, ctx.cap, Jet.directions
    ctx.prec, ctx.cap, Jet.directions = bits, order + 1, directions
    try:
        with np.errstate(invalid="ignore"):  # which NumPy says where Arb meets a NaN
            yield
    finally:
        ctx.prec, ctx.cap, Jet.directions = before


@contextmanager
def guessing(allowed: bool = True) -> Iterator[None]:
    """Where numbers are NaN to begin with, what comes of them is taken for NaN again."""
    before, Jet.guesses = Jet.guesses, allowed
    try:
        yield
    finally:
        Jet.guesses = before


def ball(x: Any) -> arb:
    """A float, exactly."""
    return x if isinstance(x, arb) else arb(x.item() if hasattr(x, "item") else x)


def sign_of(x: Any) -> int:
    """The sign of a float, zeros included; 0 if it is not known."""
    if isinstance(x, arb):
        return 0
    return 1 if isinstance(x, int) or math.copysign(1, x) > 0 else -1


VANISHING = arb(0, arb(2) ** -(2**40))
"""A derivative that is zero in the limit at infinity, such as that of exp, but of what moves all the same."""

STILL = arb_poly()
"""The derivatives of what does not move; rows are polynomials, which end with the last entry that is not 0."""


def scaled(row: arb_poly, factor: arb) -> arb_poly:
    """A row times a number; exact zeros stay, and what is not finite does too, even where the factor is 0."""
    if not row.length():
        return STILL
    if factor.is_finite() and not factor.is_zero():
        return row * arb_poly(factor)
    return arb_poly([x if x.is_zero() else x * factor for x in row.coeffs()])


def divided(row: arb_poly, divisor: arb) -> arb_poly:
    """A row by a number, each entry for itself, so that what is exact remains so."""
    return arb_poly([x / divisor for x in row.coeffs()]) if row.length() else STILL


def lost(marks: Sequence[bool]) -> arb_poly:
    """A row without a number where it is marked, and 0 elsewhere."""
    return arb_poly([arb.nan() if mark else 0 for mark in marks])


def keeping_zeros(function: Callable[[Jet], Jet]) -> Callable[[Jet], Jet]:
    """A function that returns a zero as it is given, with its sign, as C (Annex F) has it of these."""

    @functools.wraps(function)
    def kept(x: Jet) -> Jet:
        ans = function(x)
        return ans.signed(x.sign) if x.value.is_zero() else ans

    return kept


class Jet:
    """A real number and its derivatives, with proved error bounds."""

    __slots__ = ("bends", "sign", "slopes", "value")

    directions: ClassVar[int] = 0
    """How many there are."""

    guesses: ClassVar[bool] = False
    """Whether what may be anything counts as NaN, as it does in floats."""

    ties: ClassVar[int] = 0
    """How often two numbers were found equal: wherever a choice hangs on it, there is a kink."""

    def __init__(self, value: arb, slopes: arb_poly = STILL, bends: arb_poly = STILL, sign: int = 0):
        self.value = value
        self.slopes = slopes
        """The derivatives along each direction."""
        self.bends = bends
        """At order 2, the derivatives of ``slopes[0]`` along each direction."""
        self.sign = sign
        """That of the number, zeros included; 0 if it is not known, as of what is computed mostly."""

    def __repr__(self) -> str:
        return f"Jet({self.value}, {self.slopes.coeffs()}, {self.bends.coeffs()})"

    @property
    def is_still(self) -> bool:
        """Whether it is constant, as far as the derivatives tell."""
        return not (self.slopes.length() or self.bends.length())

    def moves(self) -> list[bool]:
        """Along which directions it is not."""
        places = range(max(self.slopes.length(), self.bends.length()))
        return [not (self.slopes[i].is_zero() and self.bends[i].is_zero()) for i in places]

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
        other = jet(other)
        return Jet(self.value + other.value, self.slopes + other.slopes, self.bends + other.bends)

    def __sub__(self, other: Any) -> Jet:
        other = jet(other)
        return Jet(self.value - other.value, self.slopes - other.slopes, self.bends - other.bends)

    def __rsub__(self, other: Any) -> Jet:
        return jet(other) - self

    def __mul__(self, other: Any) -> Jet:
        other = jet(other)
        sign = self.sign * other.sign
        if self.is_nought or other.is_nought:
            return Jet(self.value * other.value, sign=sign)
        slopes = self.weighing(other.slopes, self.value) + other.weighing(self.slopes, other.value)
        bends = self.weighing(other.bends, self.value) + other.weighing(self.bends, other.value)
        return Jet(self.value * other.value, slopes, bends + mixed(self, other), sign)

    def __truediv__(self, other: Any) -> Jet:
        """The quotient, from ``quotient * other == self`` order by order."""
        other = jet(other)
        if is_infinity(other.value) and self.value.is_finite():
            return nought(self, other).signed(self.sign * other.sign)
        if other.value.contains(0) or not other.value.is_finite():
            return anything(self, other)
        value, sign = self.value / other.value, self.sign * other.sign
        if self.is_nought:
            return Jet(value, sign=sign)
        slopes = divided(self.slopes - self.weighing(other.slopes, value), other.value)
        rest = self.bends - self.weighing(other.bends, value) - mixed(Jet(value, slopes), other)
        return Jet(value, slopes, divided(rest, other.value), sign)

    @property
    def is_nought(self) -> bool:
        """Whether it is a constant zero: times anything, it is one again, or NaN if that is not finite."""
        return self.value.is_zero() and self.is_still

    def weighing(self, row: arb_poly, weight: arb) -> arb_poly:
        """Another number's row times a weight; where this number is 0 and does not move, nothing is left."""
        ans = scaled(row, weight)
        if ans.length() and self.value.is_zero():
            return lost([x and not y.is_zero() for x, y in zip(self.moves(), ans.coeffs(), strict=False)])
        return ans

    def __rtruediv__(self, other: Any) -> Jet:
        return jet(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.slopes, -self.bends, -self.sign)

    def __pos__(self) -> Jet:
        return self

    def __abs__(self) -> Jet:
        try:
            return -self if self < 0 else Jet(self.value, self.slopes, self.bends, 1)
        except UndecidedError:
            return self.hull(-self)

    def hull(self, other: Jet) -> Jet:
        """Balls that hold both numbers, and their derivatives: what can be said where it is not known which it is."""

        def union(x: arb_poly, y: arb_poly) -> arb_poly:
            return arb_poly([x[i].union(y[i]) for i in range(max(x.length(), y.length()))])

        return Jet(self.value.union(other.value), union(self.slopes, other.slopes), union(self.bends, other.bends))

    def __pow__(self, other: Any) -> Jet:
        exponent = jet(other)
        power = exponent.value
        if not (power.is_integer() and abs(power) < 2**20):
            return self.real_power(exponent)
        n = int(str(power.unique_fmpz()))
        whole = self.whole_power(abs(n)) if n else jet(1)
        whole = whole if n >= 0 else jet(1) / whole
        return whole if exponent.is_still else whole.except_along(exponent.moves(), self.real_power(exponent))

    def except_along(self, marks: Sequence[bool], other: Jet) -> Jet:
        """This number, but with another one's derivatives along the directions that are marked."""
        places = [i < len(marks) and marks[i] for i in range(Jet.directions)]
        slopes, bends = (
            arb_poly([y[i] if place else x[i] for i, place in enumerate(places)])
            for x, y in ((self.slopes, other.slopes), (self.bends, other.bends))
        )
        return Jet(self.value, slopes, other.bends if places[0] else bends)

    def real_power(self, exponent: Jet) -> Jet:
        return self.power_of_zero(exponent) if self.value == 0 else (exponent * self.log()).exp()

    def power_of_zero(self, exponent: Jet) -> Jet:
        """With a positive exponent, 0 and derivatives of 0, as far as there are any."""
        if not exponent.value > 0:
            return anything(self, exponent)
        return self.composed([arb() if k < exponent.value else arb.nan() for k in range(ctx.cap)])

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

    def signed(self, sign: int) -> Jet:
        """The same zero with a sign."""
        return Jet(self.value, self.slopes, self.bends, sign)

    def starting(self, value: arb) -> Jet:
        """The same with another value: where it is known better, or where the rest is not."""
        return Jet(value, self.slopes, self.bends)

    def composed(self, taylor: arb_series | Sequence[arb]) -> Jet:
        """A function of this number, from its power series about this number's value.

        Where a coefficient is lacking, there are no derivatives along what this number moves along.
        """
        if self.is_still:
            return Jet(taylor[0])
        if not self.value.is_finite():
            taylor = [taylor[0], *(VANISHING if taylor[k].is_zero() else taylor[k] for k in range(1, ctx.cap))]
        lacking = [None if taylor[k].is_finite() else lost(self.moves()) for k in range(ctx.cap)]
        slopes = lacking[1] or scaled(self.slopes, taylor[1])
        if ctx.cap == 2:
            return Jet(taylor[0], slopes)
        bends = scaled(self.bends, taylor[1]) + scaled(self.slopes, 2 * taylor[2] * self.slopes[0])
        return Jet(taylor[0], slopes, lacking[1] or lacking[2] or bends)

    def mapped(self, function: Callable[[arb_series], arb_series]) -> Jet:
        """A function of this number, by what Arb makes of power series."""
        taylor = function(arb_series([self.value] if self.is_still else [self.value, 1]))
        if not taylor[0].is_finite() and function(arb_series([self.value])).length() > 1:
            return anything(self)  # Arb does not even tell how a constant moves.
        return self.composed(taylor)

    @keeping_zeros
    def sqrt(self) -> Jet:
        """Of 0, again 0; of a 0 that moves, a value without derivatives."""
        return self.power_of_zero(jet(0.5)) if self.value == 0 else self.mapped(arb_series.sqrt)

    @keeping_zeros
    def cbrt(self) -> Jet:
        return -((-self) ** (jet(1) / 3)) if self < 0 else self ** (jet(1) / 3)

    def exp(self) -> Jet:
        return self.mapped(arb_series.exp)

    def log(self) -> Jet:
        return self.mapped(arb_series.log)

    def exp2(self) -> Jet:
        return (self * constant(arb(2).log())).exp()

    @keeping_zeros
    def expm1(self) -> Jet:
        return self.exp().starting(self.value.expm1())

    @keeping_zeros
    def log1p(self) -> Jet:
        return (self + 1).log().starting(self.value.log1p())

    def log2(self) -> Jet:
        return self.log() / constant(arb(2).log())

    def log10(self) -> Jet:
        return self.log() / constant(arb(10).log())

    @keeping_zeros
    def sin(self) -> Jet:
        return anything(self) if is_infinity(self.value) else self.mapped(arb_series.sin)

    def cos(self) -> Jet:
        return anything(self) if is_infinity(self.value) else self.mapped(arb_series.cos)

    @keeping_zeros
    def tan(self) -> Jet:
        return self.mapped(arb_series.tan)

    @keeping_zeros
    def arcsin(self) -> Jet:
        return self.mapped(arb_series.asin).starting(finite(self.value).asin())

    def arccos(self) -> Jet:
        return self.mapped(arb_series.acos).starting(finite(self.value).acos())

    @keeping_zeros
    def arctan(self) -> Jet:
        turn = constant(arb.pi() / 2) * self.leans
        return nought(self) + turn if is_infinity(self.value) else self.mapped(arb_series.atan)

    @keeping_zeros
    def sinh(self) -> Jet:
        return ((self.exp() - (-self).exp()) / 2).starting(self.value.sinh())

    def cosh(self) -> Jet:
        return (self.exp() + (-self).exp()) / 2

    @property
    def leans(self) -> int:
        """-1 or 1, as the middle of the ball lies: to choose between forms that are both right."""
        return -1 if self.value.mid() < 0 else 1

    @keeping_zeros
    def tanh(self) -> Jet:
        size = self * self.leans
        return (2 / (1 + (-2 * size).exp()) - 1).starting(size.value.tanh()) * self.leans

    @keeping_zeros
    def arcsinh(self) -> Jet:
        size = self * self.leans
        return (size + (size * size + 1).sqrt()).log().starting(size.value.asinh()) * self.leans

    def arccosh(self) -> Jet:
        return (self + (self * self - 1).sqrt()).log().starting(self.value.acosh())

    @keeping_zeros
    def arctanh(self) -> Jet:
        return ((self + 1) / (-self + 1)).sqrt().log().starting(self.value.atanh())

    def hypot(self, other: Any) -> Jet:
        return (self * self + jet(other) * jet(other)).sqrt()

    @keeping_zeros
    def erf(self) -> Jet:
        return nought(self) + self.leans if is_infinity(self.value) else self.mapped(arb_series.erf)

    def erfc(self) -> Jet:
        return nought(self) + (1 - self.leans) if is_infinity(self.value) else self.mapped(arb_series.erfc)

    def gammaln(self) -> Jet:
        """Of the absolute value of gamma."""
        if is_infinity(self.value) and self.value > 0:
            return constant(self.value)
        try:
            return self.mapped(lgamma)
        except ValueError:  # at a pole, or of no number
            return anything(self)

    def psi(self) -> Jet:
        return constant(self.value) if is_infinity(self.value) and self.value > 0 else self.polygamma(0)

    def polygamma(self, n: int) -> Jet:
        """The derivative of order ``n + 1`` of `gammaln`."""
        try:
            with precision(ctx.prec, ctx.cap + n):
                near = lgamma(arb_series([self.value, 1]))
                for _ in range(n + 1):
                    near = near.derivative()
            return self.composed(near)
        except ValueError:
            return anything(self)

    def bessel(self, n: int) -> Jet:
        """The spherical Bessel function j_n, by DLMF 10.53.1: ``x**n / (2n+1)!! * 0F1(; n + 3/2; -x**2 / 4)``."""
        z, b = -(self * self) / 4, arb(2 * n + 3) / 2
        terms = [z.value.hypgeom_0f1(b + k) / (b.rising(k) * arb(k).fac()) for k in range(ctx.cap)]
        return z.composed(terms) * self**n / math.prod(range(1, 2 * n + 2, 2))

    def erfinv(self) -> Jet:
        start: arb = self.value.erfinv()
        if not start.is_finite():
            return anything(self)
        away = arb_series([0, *arb_series([start, 1]).erf().coeffs()[1:]])
        return self.composed(away.reversion()).starting(start)

    def arctan2(self, other: Any) -> Jet:
        x = jet(other)
        if x > 0:
            return (self / x).arctan()
        if self == 0 and x == 0:
            # Which turn it is, the signs of the zeros say; how it varies, nothing does.
            turn = arb.pi() if x.signbit() else arb(0)
            return (self.sqrt() + x.sqrt()).starting(-turn if self.signbit() else turn)
        if self != 0:
            angle = constant(arb.pi() / 2) - (x / self).arctan()
            return angle if self > 0 else angle - constant(arb.pi())
        return (self / x).arctan() + constant(-arb.pi() if self.signbit() else arb.pi())

    def signbit(self) -> bool:
        has_own = self.isnan() or self == 0
        if has_own and self.sign == 0:
            raise UndecidedError("the sign of a zero or a NaN that is computed is not known")
        return self.sign < 0 if has_own else self < 0

    def isnan(self) -> bool:
        return bool(known(self.value).is_nan())

    def isfinite(self) -> bool:
        return bool(known(self.value).is_finite())

    def isinf(self) -> bool:
        return not (self.isnan() or self.isfinite())

    def has_quotient(self, other: Jet) -> bool:
        """Whether both are numbers, and the other is not 0."""
        return bool(self.value.is_finite() and other.value.is_finite() and not other.value.is_zero())

    def fmod(self, other: Any) -> Jet:
        other = jet(other)
        if self.value.is_finite() and is_infinity(other.value):
            return self
        return self - other * truncated(self / other) if self.has_quotient(other) else anything(self, other)

    def __mod__(self, other: Any) -> Jet:
        other = jet(other)
        if self.value.is_finite() and is_infinity(other.value) and self.value * other.value > 0:
            return self
        return self - other * floored(self / other) if self.has_quotient(other) else anything(self, other)

    def __rmod__(self, other: Any) -> Jet:
        return jet(other) % self

    def __floordiv__(self, other: Any) -> Jet:
        other = jet(other)
        return Jet(ball(floored(self / other))) if self.has_quotient(other) else jet(math.nan)

    def __floor__(self) -> Jet:
        return self.as_whole(floored(self)) if self.value.is_finite() else constant(self.value)

    def __ceil__(self) -> Jet:
        return self.as_whole(rounded(self, arb.ceil)) if self.value.is_finite() else constant(self.value)

    def __trunc__(self) -> Jet:
        return self.as_whole(truncated(self)) if self.value.is_finite() else constant(self.value)

    def rint(self) -> Jet:
        """The nearest whole number, of two the even one."""
        if not self.value.is_finite():
            return constant(self.value)
        below = floored(constant(self.value.mid()))
        rest = self - below
        return self.as_whole(below + (below % 2 if rest == 0.5 else int(rest > 0.5)))

    def as_whole(self, n: int) -> Jet:
        """What it is rounded to: a zero with its own sign."""
        sign = -1 if self.value < 0 else 1 if self.value > 0 else self.sign
        return jet(n) if n else Jet(arb(0), sign=sign)

    def __int__(self) -> int:
        return truncated(self)

    def degrees(self) -> Jet:
        return self * 180 / constant(arb.pi())

    def radians(self) -> Jet:
        return self * constant(arb.pi()) / 180

    rad2deg, deg2rad = degrees, radians


def mixed(x: Jet, y: Jet) -> arb_poly:
    """What two numbers' first derivatives contribute to the second ones of their product."""
    ans = STILL
    if ctx.cap > 2:
        for one, other in ((x.slopes[0], y.slopes), (y.slopes[0], x.slopes)):
            ans = ans if one.is_zero() else ans + scaled(other, one)
    return ans


def lgamma(x: arb_series) -> arb_series:
    """The logarithm of the absolute value of gamma; for negative numbers by reflection, DLMF 5.5.3."""
    if x[0].mid() >= 0:
        return x.lgamma()
    sine = (x * arb.pi()).sin()
    return (arb.pi() / (-sine if sine[0] < 0 else sine)).log() - lgamma(1 - x)


def constant(x: arb) -> Jet:
    return Jet(x)


def jet(x: Any) -> Jet:
    if isinstance(x, Jet):
        return x
    return jet(x.item()) if isinstance(x, np.ndarray) else Jet(ball(x), sign=sign_of(x))


def moving(x: Any, slopes: Sequence[Any]) -> Jet:
    """The number, with these derivatives along each direction, and no others."""
    return Jet(ball(x), arb_poly(slopes), sign=sign_of(x))


def anything(*sources: Jet) -> Jet:
    """What is not known at all, its derivatives neither, but that it moves only where what it is made of does."""
    nowhere = lost(moves_of(sources))
    return Jet(arb.nan(), nowhere, nowhere if ctx.cap > 2 else STILL)


def nought(*sources: Jet) -> Jet:
    """A zero in the limit at infinity, and so are its derivatives, where what it is made of moves."""
    vanishing = arb_poly([VANISHING if mark else 0 for mark in moves_of(sources)])
    return Jet(arb(0), vanishing, vanishing if ctx.cap > 2 else STILL)


def moves_of(sources: Sequence[Jet]) -> list[bool]:
    """Along which directions any of them moves."""
    return [any(marks) for marks in itertools.zip_longest(*(x.moves() for x in sources))]


def finite(x: arb) -> arb:
    """The number, or anything if it is NaN or infinite: of an exact NaN, Arb takes the arcsine of -1."""
    return x if x.is_finite() else arb("nan")


def is_infinity(x: arb) -> bool:
    """Whether it is one for certain, rather than a number of which nothing is known."""
    return bool(x.rad() == 0) and not (x.is_finite() or x.is_nan())


def known(x: arb) -> arb:
    """The number, if it is certainly finite, or is an infinity or a NaN of the program's own."""
    if x.is_finite() or x.rad() == 0 or (Jet.guesses and x.is_nan()):
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
