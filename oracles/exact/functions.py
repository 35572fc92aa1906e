"""What NumPy cannot do with arrays of Jets by itself, by the names of a Program's steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from minigrad.protocol import NAMES, Function, leaves
from oracles.catalogue import DIFFERENTIATED
from oracles.exact import linalg, reductions
from oracles.exact.jets import Jet, UndecidedError, constant, jet, jets


def each(f: Function, operands: int) -> Any:
    """A function of single numbers as one of arrays."""
    return np.frompyfunc(lambda *xs: f(*map(jet, xs)), operands, 1)


def sign(x: Jet) -> Jet:
    if x.isnan():
        return x
    return jet(0) if x == 0 else jet(-1 if x < 0 else 1)


def heaviside(x: Jet, y: Jet) -> Jet:
    return y if x == 0 else jet(int(x > 0))


def copysign(x: Jet, y: Jet) -> Jet:
    return -abs(x) if y.signbit() else abs(x)


def logaddexp(x: Jet, y: Jet) -> Jet:
    """From the one that is larger, as far as can be seen: both forms are right."""
    top, low = (x, y) if x.value.mid() >= y.value.mid() else (y, x)
    Jet.ties += low.isinf() and bool(top.value == low.value)
    return top if low.isinf() else top + (low - top).exp().log1p()


def logaddexp2(x: Jet, y: Jet) -> Jet:
    log2 = constant(arb(2).log())
    return logaddexp(x * log2, y * log2) / log2


def bessel_of_pi(x: Jet, n: int) -> Jet:
    return (x * constant(arb.pi())).bessel(n)


def sigmoid(x: Jet) -> Jet:
    return 1 / (1 + (-x).exp()) if x.leans > 0 else x.exp() / (1 + x.exp())


def bump(x: Jet) -> Jet:
    """``sigmoid(x) * sigmoid(-x)``, which is ``sech(x / 2)**2 / 4``."""
    small = (-x * x.leans).exp()
    return small / ((1 + small) * (1 + small))


def times_log(x: Jet, log: Callable[[], Jet]) -> Jet:
    """A number times a logarithm, which is 0 where that number is."""
    if x.value == 0:
        return jet(0) if x.is_still else (x * log()).starting(arb(0))
    return x * log()


def share(x: Jet, size: Jet) -> Jet:
    """``x / size``, and 0 where both are 0, there without a derivative in `x`."""
    if size.value == 0:
        return x.power_of_zero(jet(0.5))
    return x / size


def gaussian(x: Jet) -> Jet:
    """The derivative of erf."""
    return 2 * (-x * x).exp() / constant(arb.pi().sqrt())


def rounded(x: Jet, decimals: Jet) -> Jet:
    """`UndecidedError` where it may round to either side, since NumPy rounds the scaled number in floats."""
    scale = jet(10) ** decimals
    nearby = [(x * scale * (1 + jet(k) / 2**50)).rint() for k in (-1, 1)]
    if decimals and nearby[0] != nearby[1]:
        raise UndecidedError(f"rounding {x.value} to {decimals} digits")
    return nearby[0] / scale if decimals else x.rint()


def power_below(size: Jet) -> Jet:
    """The largest power of two that is not larger; a half for 0, as ``np.frexp`` has it."""
    if size == 0:
        return jet(0.5)
    man, exp = size.value.mid().man_exp()
    power = jet(2) ** (int(man).bit_length() + int(exp) - 1)
    return power if power <= size else power / 2


def power_of_two(x: Any, axis: Any = None) -> Any:
    return each(power_below, 1)(reductions.largest(np.abs(jets(x)), axis, True))


def no_scaling(a: Any, *_: Any) -> Any:
    """Exponents that keep products within the range of floats: exact numbers have no range to leave."""
    return np.zeros(np.shape(a), int)


def unit(x: Any, axis: Any) -> Any:
    """``x / norm(x)``, and 0 for the zero vector."""
    return each(share, 2)(x, np.sqrt(jets(np.sum(x * x, axis=axis, keepdims=True))))


def divmod_(x: Any, y: Any) -> Any:
    return np.floor_divide(x, y), np.remainder(x, y)


def astype(x: Any, dtype: Any) -> Any:
    """To other floats as the number that it is, without rounding."""
    kind, x = np.dtype(dtype).kind, np.asarray(x)
    if kind == "f" or x.dtype != object:
        return x if x.dtype == object else x.astype(dtype)
    return reductions.nonzero(x) if kind == "b" else x.astype(dtype)


def full_like(a: Any, fill_value: Any, **_: Any) -> Any:
    return np.broadcast_to(fill_value, np.shape(a))


INSTEAD: dict[str, Callable[..., Any]] = {
    "angle": each(lambda z: jet(0.0).arctan2(z), 1),
    "arctan2": each(Jet.arctan2, 2),
    "around": lambda a, decimals=0: each(rounded, 2)(a, decimals),
    "astype": astype,
    "conjugate": lambda x: x,
    "copy": lambda a: a,
    "minigrad.stop_gradient": lambda x: x,
    "copysign": each(copysign, 2),
    "divmod": divmod_,
    "empty_like": lambda a, **_: np.zeros_like(a),
    "float_power": each(Jet.__pow__, 2),
    "fmod": each(Jet.fmod, 2),
    "full_like": full_like,
    "heaviside": each(heaviside, 2),
    "hypot": each(Jet.hypot, 2),
    "ldexp": each(lambda x, y: x * jet(2) ** y, 2),
    "logaddexp": each(logaddexp, 2),
    "logaddexp2": each(logaddexp2, 2),
    "modf": lambda x: (x - np.trunc(x), np.trunc(x)),
    "real": lambda val: val,
    "real_if_close": lambda a: a,
    "round": lambda a, decimals=0: each(rounded, 2)(a, decimals),
    "sign": each(sign, 1),
    "sinc": each(lambda x: bessel_of_pi(x, 0), 1),
    "minigrad.contract": lambda arrays, terms, result: np.einsum(f"{terms}->{result}", *arrays),
    "minigrad.cosine": each(lambda x, y: share(x, x.hypot(y)), 2),
    "minigrad.balance": no_scaling,
    "minigrad.gaussian": each(gaussian, 1),
    "minigrad.one_minus_square": lambda x: 1 - x * x,
    "minigrad.polygamma": lambda x, n: each(lambda x: x.polygamma(n), 1)(x),
    "minigrad.power_of_two": power_of_two,
    "minigrad.relu": lambda x: reductions.maximum(x, 0),
    "minigrad.scales_ahead": no_scaling,
    "minigrad.sech2": each(lambda x: 4 * bump(2 * x), 1),
    "minigrad.sigmoid": each(sigmoid, 1),
    "minigrad.sigmoid2": each(lambda x: sigmoid(x * constant(arb(2).log())), 1),
    "minigrad.sigmoid_slope": each(bump, 1),
    "minigrad.softplus": each(lambda x: logaddexp(x, jet(0)), 1),
    "minigrad.bessel_of_pi": lambda x, n: each(lambda x: bessel_of_pi(x, n), 1)(x),
    "minigrad.unit": unit,
    "scipy.special.entr": each(lambda x: -times_log(x, x.log), 1),
    "scipy.special.erf": each(Jet.erf, 1),
    "scipy.special.erfc": each(Jet.erfc, 1),
    "scipy.special.erfcinv": each(lambda x: (1 - x).erfinv(), 1),
    "scipy.special.erfinv": each(Jet.erfinv, 1),
    "scipy.special.expit": each(sigmoid, 1),
    "scipy.special.gammaln": each(Jet.gammaln, 1),
    "scipy.special.log_expit": each(lambda x: -logaddexp(-x, jet(0)), 1),
    "scipy.special.logit": each(lambda x: (x / (1 - x)).log(), 1),
    "scipy.special.psi": each(Jet.psi, 1),
    "scipy.special.xlog1py": each(lambda x, y: times_log(x, y.log1p), 2),
    "scipy.special.xlogy": each(lambda x, y: times_log(x, y.log), 2),
    **reductions.FORMS,
    **linalg.FORMS,
}

WITHOUT = {
    "linalg.matrix_rank": "no precision shows that a number is 0, rather than very small",
    "minigrad.recomputed": "it holds a function of Python; a trace holds the steps of that function",
    "spacing": "a property of floats, not of numbers",
}
"""Steps that have no exact form, and why."""


def lookup(name: str) -> Function:
    if name in WITHOUT:
        raise NotImplementedError(f"{name}: {WITHOUT[name]}")
    return INSTEAD[name] if name in INSTEAD else NAMES[name]


def as_jets(number: int, step: Any, operands: list[Any], result: Any) -> Any:
    """A step's result as an array of Jets all through, where NumPy left plain zeros or a bare Jet.

    What NumPy computed in floats, because no operand depends on an input, is computed again exactly; of no numbers it
    takes the sum for an integer.
    """
    if isinstance(result, (list, tuple)):
        return [as_jets(number, step, operands, part) for part in result]
    array = np.asarray(result)
    if array.dtype.kind == "f" and isinstance(NAMES[step.function], np.ufunc):
        array = np.asarray(lookup(step.function)(*map(jets, operands), **step.parameters), object)
    of_numbers = any(np.asarray(x).dtype == object for x in leaves(operands))
    if array.dtype.kind == "i" and of_numbers and step.function in DIFFERENTIATED:
        array = array.astype(object)
    return jets(array) if array.dtype == object and array.size else array
