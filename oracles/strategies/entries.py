"""The numbers that arrays are filled with: a strategy for each kind of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from oracles.catalogue import Interval
from oracles.strategies.palette import Shape

SPREAD = {"float64": 12, "float32": 2}

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
