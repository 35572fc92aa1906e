"""Exact numbers: programs run on balls with proved radius, and on power series of these for derivatives.

A `Jet` is a number of Arb's, as a power series in t: its value and its derivatives along one
direction.  Arrays of Jets are NumPy's own object arrays, so that a Program runs on them unchanged:
NumPy adds and compares objects by their operators, and calls ``x.exp()`` for ``np.exp``.  Nothing
here is differentiated by rules; a derivative is a coefficient.

What NumPy cannot do with objects is in `INSTEAD`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from flint import arb, arb_series, ctx

from minigrad.errors import ProgramError
from minigrad.program import Program
from minigrad.protocol import NAMES, Function
from oracles.cases import Case


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
    return int(whole)


def floored(x: Jet) -> int:
    return rounded(x, arb.floor)


def truncated(x: Jet) -> int:
    return rounded(x, arb.ceil if x < 0 else arb.floor)


# What NumPy cannot do with objects, by the names of a Program's steps.


def each(f: Function, operands: int) -> Any:
    """A function of single numbers as one of arrays."""
    return np.frompyfunc(lambda *xs: f(*map(jet, xs)), operands, 1)


def copysign(x: Jet, y: Jet) -> Jet:
    if y == 0:
        raise UndecidedError("the sign of a zero is no part of a real number")
    return abs(x) if y > 0 else -abs(x)


def logaddexp(x: Jet, y: Jet) -> Jet:
    return x + (1 + (y - x).exp()).log() if x > y else y + (1 + (x - y).exp()).log()


def logaddexp2(x: Jet, y: Jet) -> Jet:
    log2 = constant(arb(2).log())
    return logaddexp(x * log2, y * log2) / log2


def sinc(x: Jet) -> Jet:
    u = x * constant(arb.pi())
    return u.sin() / u if x != 0 else 1 - u * u / 6


def sigmoid(x: Jet) -> Jet:
    return 1 / (1 + (-x).exp())


def xlogy(x: Jet, y: Jet) -> Jet:
    return x * y.log() if x != 0 or x.series.length() > 1 else jet(0)


def running_logsumexp(a: Any, axis: Any = 0) -> Any:
    a = np.moveaxis(a, axis, -1)
    ans = np.empty(a.shape, object)
    for i in np.ndindex(a.shape):
        ans[i] = logsumexp(a[(*i[:-1], slice(i[-1] + 1))]).item()
    return np.moveaxis(ans, -1, axis)


def divmod_(x: Any, y: Any) -> Any:
    return np.floor_divide(x, y), np.remainder(x, y)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    x = np.asarray(x, object)
    top = np.asarray(np.max(x, axis=axis, keepdims=True), object)
    ans = top + np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True))
    return ans if keepdims else np.squeeze(ans, axis=axis)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    return x - logsumexp(x, axis, keepdims=True)


def in_order(a: Any, axis: Any, keepdims: bool) -> tuple[Any, Any]:
    """The reduced entries in order, along the last axis, and the shape of the result."""
    a = np.asarray(a, object)
    axes = tuple(range(a.ndim)) if axis is None else tuple(i % a.ndim for i in np.atleast_1d(axis))
    kept = [n for i, n in enumerate(a.shape) if i not in axes]
    entries = np.moveaxis(a, axes, range(-len(axes), 0)).reshape((*kept, -1)) if axes else a[..., None]
    shape = [1 if i in axes else n for i, n in enumerate(a.shape)] if keepdims else kept
    return np.sort(entries, axis=-1), shape


def quantile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    entries, shape = in_order(a, axis, keepdims)
    parts = []
    for each_q in np.ravel(q):
        place = jet(each_q) * (entries.shape[-1] - 1)
        below = floored(place)
        low, high = entries[..., below], entries[..., min(below + 1, entries.shape[-1] - 1)]
        parts.append(np.reshape(low + (high - low) * (place - below), shape))
    return np.reshape(np.array(parts, object), (*np.shape(q), *shape))


def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        weights = np.moveaxis(np.broadcast_to(weights, np.moveaxis(a, axis, -1).shape), -1, axis)
    total = np.sum(np.multiply(a, 0) + weights, axis=axis, keepdims=keepdims)
    return np.sum(np.multiply(a, weights), axis=axis, keepdims=keepdims) / total


def var(a: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    away = a - np.mean(a, axis=axis, keepdims=True)
    total = np.sum(away * away, axis=axis, keepdims=keepdims)
    return total / (np.size(a) // max(np.size(total), 1) - ddof)


INSTEAD: dict[str, Callable[..., Any]] = {
    "arctan2": each(Jet.arctan2, 2),
    "astype": lambda x, dtype: x,
    "average": average,
    "conjugate": lambda x: x,
    "copy": lambda a: a,
    "copysign": each(copysign, 2),
    "divmod": divmod_,
    "float_power": each(Jet.__pow__, 2),
    "isfinite": lambda x: np.ones(np.shape(x), bool),
    "ldexp": each(lambda x, y: x * jet(2) ** y, 2),
    "logaddexp": each(logaddexp, 2),
    "logaddexp2": each(logaddexp2, 2),
    "median": lambda a, axis=None, keepdims=False: quantile(a, 0.5, axis, keepdims),
    "percentile": lambda a, q, axis=None, keepdims=False: quantile(a, np.true_divide(q, 100), axis, keepdims),
    "quantile": quantile,
    "modf": lambda x: (x - np.trunc(x), np.trunc(x)),
    "nan_to_num": lambda x, **_: x,
    "real": lambda val: val,
    "real_if_close": lambda a: a,
    "sinc": each(sinc, 1),
    "std": lambda *args, **kwargs: np.sqrt(var(*args, **kwargs)),
    "var": var,
    "minigrad.log_softmax": log_softmax,
    "minigrad.logsumexp": logsumexp,
    "minigrad.relu": lambda x: np.maximum(x, 0),
    "minigrad.running_logsumexp": running_logsumexp,
    "minigrad.sigmoid": each(sigmoid, 1),
    "minigrad.softmax": lambda x, axis=-1: np.exp(log_softmax(x, axis)),
    "minigrad.softplus": each(lambda x: logaddexp(x, jet(0)), 1),
    "scipy.special.entr": each(lambda x: -x * x.log(), 1),
    "scipy.special.erf": each(Jet.erf, 1),
    "scipy.special.erfc": each(Jet.erfc, 1),
    "scipy.special.erfcinv": each(lambda x: (1 - x).erfinv(), 1),
    "scipy.special.erfinv": each(Jet.erfinv, 1),
    "scipy.special.expit": each(sigmoid, 1),
    "scipy.special.gammaln": each(Jet.gammaln, 1),
    "scipy.special.log_expit": each(lambda x: -logaddexp(-x, jet(0)), 1),
    "scipy.special.logit": each(lambda x: (x / (1 - x)).log(), 1),
    "scipy.special.psi": each(Jet.psi, 1),
    "scipy.special.xlog1py": each(lambda x, y: xlogy(x, 1 + y), 2),
    "scipy.special.xlogy": each(xlogy, 2),
}


def lookup(name: str) -> Function:
    return INSTEAD[name] if name in INSTEAD else NAMES[name]


def as_jets(number: int, step: Any, operands: list[Any], result: Any) -> Any:
    """A step's result as an array of Jets all through, where NumPy left plain zeros or a bare Jet."""
    if isinstance(result, (list, tuple)):
        return [as_jets(number, step, operands, part) for part in result]
    array = np.asarray(result)
    return np.asarray(JETS(array), object) if array.dtype == object and array.size else array


JETS = np.frompyfunc(jet, 1, 1)


def along(program: Program, inputs: Sequence[Any], direction: Sequence[Any], cotangent: Any, order: int) -> list[arb]:
    """The Taylor coefficients of ``sum(cotangent * program(inputs + t * direction))``."""
    line = np.frompyfunc(lambda x, v: Jet(arb_series([ball(x), ball(v)])), 2, 1)
    jets = [np.asarray(line(x, v), object) for x, v in zip(inputs, direction, strict=True)]
    value = np.asarray(program.run(jets, lookup, as_jets), object)
    total = sum((jet(v) * jet(w) for v, w in zip(value.ravel(), np.ravel(cotangent), strict=True)), jet(0))
    return [total.series[k] for k in range(order + 1)]


MOST_ELEMENTS = 256
"""Gradients with more elements than this are not certified: each takes runs of its own."""

BITS = (160, 640, 2560)
"""Precisions to try, until what is certified is far finer than the noise."""


def truth(case: Case, order: int, noise: Sequence[Any]) -> list[Any] | None:
    """What is certainly the value and the gradients (order 1) or the Hessian products (order 2).

    Arrays of the case's dtype, each element certified to a sixteenth of its `noise` before it is
    rounded; None where the program uses a function that has no exact form here, where two numbers
    cannot be told apart, or where there are too many elements.
    """
    if sum(x.size for x in case.inputs) > MOST_ELEMENTS:
        return None
    for bits in BITS:
        try:
            with precision(bits, order), warnings.catch_warnings():
                warnings.simplefilter("error")
                balls = value_and_gradients(case) if order == 1 else hessian_products(case)
                if all(np.all(fine(b, n)) for b, n in zip(balls, noise, strict=True)):
                    return [np.asarray(MIDDLE(b), np.float64).astype(case.dtype) for b in balls]
        except UndecidedError:
            continue
        except (ArithmeticError, AttributeError, NotImplementedError, ProgramError, TypeError, ValueError, Warning):
            return None
    return None


MIDDLE = np.frompyfunc(lambda x: float(x.mid()), 1, 1)


def fine(balls: Any, noise: Any) -> Any:
    """Whether the balls are finite, and small beside the noise."""
    return np.frompyfunc(lambda x, n: bool(x.is_finite() and (x.rad() * 16 <= arb(float(n)))), 2, 1)(balls, noise)


def value_and_gradients(case: Case) -> list[Any]:
    value = case.program.run([np.asarray(JETS(x), object) for x in case.inputs], lookup, as_jets)
    balls = [np.asarray(np.frompyfunc(lambda v: jet(v).value, 1, 1)(value), object)]
    for k, x in enumerate(case.inputs):
        gradient = np.empty(x.shape, object)
        for i in np.ndindex(x.shape):
            gradient[i] = along(case.program, case.inputs, bumped(case.inputs, k, i), case.cotangent, 1)[1]
        balls.append(gradient)
    return balls


def hessian_products(case: Case) -> list[Any]:
    """By polarization: with q(d) half the second derivative along d, ``e.H.v`` is ``(q(v + e) - q(v - e)) / 2``."""
    vectors = [np.frompyfunc(ball, 1, 1)(v) for v in case.vectors]
    balls = []
    for k, x in enumerate(case.inputs):
        product = np.empty(x.shape, object)
        for i in np.ndindex(x.shape):
            bump = bumped(case.inputs, k, i)
            ahead, behind = (
                along(
                    case.program,
                    case.inputs,
                    [v + s * b for v, b in zip(vectors, bump, strict=True)],
                    case.cotangent,
                    2,
                )
                for s in (1, -1)
            )
            product[i] = (ahead[2] - behind[2]) / 2
        balls.append(product)
    return balls


def bumped(inputs: Sequence[Any], k: int, i: tuple[int, ...]) -> list[Any]:
    """The direction of one element."""
    direction = [np.zeros(np.shape(x), int) for x in inputs]
    direction[k][i] = 1
    return direction
