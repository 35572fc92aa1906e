"""Rules for SciPy's special functions, which arrive through NumPy's protocol; SciPy is never imported from here."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from minigrad.gates import sigmoid
from minigrad.protocol import LATE, RULES, define, primitive
from minigrad.rules.common import broadcasting


@primitive
def polygamma(x: Any, *, n: int) -> Any:
    """The n-th derivative of digamma, by Hurwitz's zeta function: DLMF 5.15.1."""
    zeta = sys.modules["scipy.special"].zeta
    return np.astype((-1) ** (n + 1) * math.factorial(n) * zeta(n + 1, x), x.dtype)


@primitive
def gaussian(x: Any) -> Any:
    """``2 / sqrt(pi) * exp(-x**2)``, the square in two parts: the error of a rounded one grows with it."""
    x = np.clip(x, -30, 30)
    head = np.astype(np.asarray(x), np.float32 if x.dtype == np.float64 else np.float16).astype(x.dtype)
    return 2 / math.sqrt(math.pi) * np.exp(-head * head) * np.exp(-(x - head) * (x + head))


def apart_from_zero(x: Any, y: Any) -> Any:
    """`y`, and 1 where both are 0, so that ``x / y`` is 0 there and its derivative in `x` is right elsewhere."""
    return np.where((x == 0) & (y == 0), 1, y)


def ratio(g: Any, x: Any, y: Any) -> Any:
    """``g * x / y``, in the order in which neither large nor tiny numbers leave the range on the way."""
    large = np.abs(x) > 1
    return g * (np.where(large, 1, x) / y) * np.where(large, x, 1)


broadcasting(gaussian, lambda g, ans, x: -2 * (g * ans) * x)
broadcasting(polygamma, lambda g, ans, x, n: g * polygamma(x, n=n + 1))


def load() -> None:
    """Give rules to the functions of ``scipy.special``, if somebody has imported it."""
    sp: Any = sys.modules.get("scipy.special")
    if sp is None or sp.entr in RULES:  # the last one
        return

    # fmt: off
    # SciPy's own is 0 below the normal range.
    define(sp.expit,           sigmoid)
    broadcasting(sp.logit,     lambda g, ans, x: g / x / (1 - x))
    broadcasting(sp.log_expit, lambda g, ans, x: g * sigmoid(-x))
    broadcasting(sp.erf,       lambda g, ans, x: g * gaussian(x))
    broadcasting(sp.erfc,      lambda g, ans, x: -g * gaussian(x))
    broadcasting(sp.erfinv,    lambda g, ans, x: g / gaussian(ans))
    broadcasting(sp.erfcinv,   lambda g, ans, x: -g / gaussian(ans))
    broadcasting(sp.gammaln,   lambda g, ans, x: g * sp.digamma(x))
    broadcasting(sp.digamma,   lambda g, ans, x: g / x / x + g * polygamma(1 + x, n=1))
    broadcasting(sp.xlogy,     lambda g, ans, x, y: g * np.log(y),
                               lambda g, ans, x, y: ratio(g, x, apart_from_zero(x, y)))
    broadcasting(sp.xlog1py,   lambda g, ans, x, y: g * np.log1p(y), lambda g, ans, x, y: ratio(g, x, 1 + y))
    broadcasting(sp.entr,      lambda g, ans, x: -g * (1 + np.log(x)))
    # fmt: on


LATE.append(load)
