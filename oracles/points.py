"""Special numbers: where functions bend, end, overflow, underflow and saturate, and what is next to that.

`special` has, for an operand of a function, the numbers of each of the `SPECIAL_KINDS`, `described` the same
with a name in words, and `tabulated` whole sets of operands, ties among them, as many as fit a table.  All are
functions of their arguments alone, so that what is drawn and what is tabulated are the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np

from oracles.cases import FloatArray
from oracles.catalogue import CONDITIONED, Interval, Row

Points = dict[str, float]
"""Numbers by their name in words."""

Operands = tuple[FloatArray, ...]

SPECIAL_KINDS = ("kinks", "signed zeros", "saturated", "extreme", "subnormals", "representations", "nonfinite")

EQUAL_STEPS = 16
"""Steps in which the representable numbers of a domain are walked through."""


# The representable numbers, counted from 0.


def ordinal(x: float, dtype: str) -> int:
    """How many representable numbers away from 0 a finite number is; both zeros are."""
    value = np.dtype(dtype).type(abs(x))
    bits = int(value.view(f"u{value.itemsize}"))
    return -bits if x < 0 else bits


def at_ordinal(count: int, dtype: str) -> float:
    size = np.dtype(dtype).itemsize
    value = float(np.dtype(f"u{size}").type(abs(count)).view(dtype))
    return -value if count < 0 else value


def ordinals(domain: Interval, dtype: str) -> tuple[int, int]:
    """Those of the least and of the largest finite number between the bounds of a domain."""
    largest = ordinal(float(np.finfo(dtype).max), dtype)
    low = -largest if domain.low == -math.inf else ordinal(domain.low, dtype) + domain.open_low
    high = largest if domain.high == math.inf else ordinal(domain.high, dtype) - domain.open_high
    # A bound such as 0.1 may itself be rounded out of the domain.
    return low + (at_ordinal(low, dtype) < domain.low), high - (at_ordinal(high, dtype) > domain.high)


def share_of(domain: Interval, dtype: str, bits: int) -> float:
    """The number at a share of ``bits / 2**64`` of a domain's representable ones, counted upwards from 0 and around."""
    low, high = ordinals(domain, dtype)
    start, many = min(max(0, low), high), high - low + 1
    return at_ordinal(low + (start - low + (bits * many >> 64)) % many, dtype)


def neighbours(points: Points, dtype: str) -> Points:
    """Each of the numbers, with the representable ones just above and below it."""
    scalar, found = np.dtype(dtype).type, {}
    for words, x in points.items():
        rounded = scalar(x)
        found[words] = float(rounded)
        with np.errstate(over="ignore"):  # past the largest number is infinity
            found[f"{words} + 1 ULP"] = float(np.nextafter(rounded, scalar(math.inf)))
            found[f"{words} - 1 ULP"] = float(np.nextafter(rounded, scalar(-math.inf)))
    return found


def both_signs(points: Points) -> Points:
    return points | {f"-{words}" if " " not in words else f"-({words})": -x for words, x in points.items()}


# The numbers of each kind.


def plain(*numbers: float) -> Points:
    return {f"{x:g}": x for x in numbers}


TURNS = {"pi/2": math.pi / 2, "-pi/2": -math.pi / 2, "pi": math.pi, "2 pi": 2 * math.pi}

BENDS: dict[str, Points] = {
    **dict.fromkeys(("sin", "cos", "tan"), TURNS),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), plain(0.5)),
    **dict.fromkeys(("fmod", "remainder", "divmod", "modf"), plain(0.5, -0.5, 2, -2, 3)),
    **dict.fromkeys(("power", "float_power"), plain(0.5, 2, 3)),
    "clip": plain(-0.5, 0.5),
    "sinc": plain(2),
    "minigrad.softplus": plain(20, 80),
    "scipy.special.logit": plain(0.5),
    "scipy.special.gammaln": plain(2),
    "scipy.special.psi": {"the root of psi": 1.4616321449683623},
}
"""Where functions bend, turn, vanish or go over into another formula, besides -1, 0, 1 and the ends of the domain."""


def ends_of(domain: Interval) -> Points:
    return plain(*(end for end in (domain.low, domain.high) if math.isfinite(end)))


def kinks(row: Row, domain: Interval, dtype: str) -> Points:
    return neighbours(plain(0, 1, -1) | ends_of(domain) | BENDS.get(row.name, {}), dtype)


def extreme(dtype: str) -> Points:
    """The ends of the range and their roots, past which squares and cubes leave it; where whole numbers end."""
    info = np.finfo(dtype)
    ends = {"max": float(info.max), "tiny": float(info.tiny), "smallest": float(info.smallest_subnormal)}
    roots = {f"sqrt({words})": math.sqrt(x) for words, x in ends.items()}
    roots |= {f"cbrt({words})": math.cbrt(x) for words, x in ends.items()}
    halves = {"max/2": ends["max"] / 2, "1/max": 1 / ends["max"], "eps": float(info.eps), "1/eps": float(1 / info.eps)}
    return both_signs(neighbours(ends | roots | halves, dtype))


def saturated(dtype: str) -> Points:
    """Where exponentials, and what is made of them, round to their limits, or nearly."""
    info = np.finfo(dtype)
    ends = {"max": float(info.max), "tiny": float(info.tiny), "smallest": float(info.smallest_subnormal)}
    logs = {f"ln({words})": math.log(x) for words, x in ends.items()}
    logs |= {f"log2({words})": math.log2(x) for words, x in ends.items()} | {"ln(eps)": math.log(float(info.eps))}
    regions = plain(5, 9, 10, 17, 20, 27, 40, 88, 90, 104, 150, 300, 700, 710, 750, 800)
    return both_signs(regions | neighbours(logs, dtype))


def subnormals(dtype: str) -> Points:
    info = np.finfo(dtype)
    tiny, smallest = float(info.tiny), float(info.smallest_subnormal)
    return both_signs(
        {"smallest": smallest, "3 smallest": 3 * smallest, "tiny/2": tiny / 2, "tiny - 1 ULP": tiny - smallest}
    )


def representations(domain: Interval, dtype: str) -> Points:
    """A walk through all representable numbers of a domain."""
    numbers = (share_of(domain, dtype, step * 2**64 // EQUAL_STEPS) for step in range(EQUAL_STEPS))
    return {str(np.dtype(dtype).type(x)): x for x in numbers}


def within(domain: Interval, points: Points, dtype: str) -> Points:
    """The numbers of a domain, rounded to the dtype, each once."""
    found: dict[bytes, tuple[str, float]] = {}
    for words, x in points.items():
        with np.errstate(over="ignore"):
            rounded = np.dtype(dtype).type(x)
        if domain.contains(rounded):
            found.setdefault(rounded.tobytes(), (words, float(rounded)))
    return dict(found.values())


@cache
def described(row: Row, place: int, dtype: str) -> dict[str, Points]:
    """The special numbers of an operand by kind and name, as far as its domain has any."""
    domain = row.domain_of(place)
    kinds = {
        "kinks": kinks(row, domain, dtype),
        "signed zeros": {"0": 0.0, "-0": -0.0},
        "saturated": saturated(dtype),
        "extreme": extreme(dtype),
        "subnormals": subnormals(dtype),
        "representations": representations(domain, dtype),
        "nonfinite": {"inf": math.inf, "-inf": -math.inf},
    }
    found = {kind: finite(within(domain, points, dtype), kind) for kind, points in kinds.items()}
    found["nonfinite"]["nan"] = math.nan  # no domain holds it, and every function is given it
    return {kind: points for kind, points in found.items() if points}


def finite(points: Points, kind: str) -> Points:
    return {words: x for words, x in points.items() if kind == "nonfinite" or math.isfinite(x)}


@cache
def special(row: Row, place: int, dtype: str) -> dict[str, tuple[float, ...]]:
    """The special numbers of an operand by kind, each of them a number of the dtype."""
    return {kind: tuple(points.values()) for kind, points in described(row, place, dtype).items()}


def exponents(dtype: str) -> tuple[int, ...]:
    """The powers of 2 that well-conditioned matrices are scaled by: so far that the products of a few entries fit in.

    Closer to the ends of the range it is LAPACK's own intermediate results that leave it.
    """
    most = int(np.finfo(dtype).maxexp)
    return tuple(sign * most // root for root in (8, 16) for sign in (1, -1))


# Whole sets of operands.

ONE = ("clip", "modf", "nan_to_num", "ldexp", "where")
"""Functions of one array, entry by entry, that are not of the kinds for these."""

VECTOR = ("partition", "linalg.norm", "linalg.vector_norm", "diff", "ediff1d", "trapezoid")
"""Functions that look along a vector and are neither reductions nor scans."""


def sort_of(row: Row) -> str:
    """What a function is looked at with: a number, a pair of numbers, a vector or a matrix.

    Nothing for other functions, which move, add or multiply numbers: these have no kinks and no edges.
    """
    if row.kind in ("unary", "special") or row.name in ONE:
        return "number"
    if row.kind in CONDITIONED or row.name == "linalg.matrix_norm":
        return "matrix"
    if row.kind == "binary" or row.name == "divmod":
        return "pair"
    return "vector" if row.kind in ("reduce", "scan", "nan") or row.name in VECTOR else ""


def each_once(chosen: Iterable[tuple[str, tuple[Any, ...]]], dtype: str) -> list[tuple[str, Operands]]:
    """As arrays, under the first name of each."""
    found: dict[tuple[bytes, ...], tuple[str, Operands]] = {}
    for words, operands in chosen:
        as_arrays = tuple(np.asarray(operand, dtype) for operand in operands)
        found.setdefault(tuple(operand.tobytes() for operand in as_arrays), (words, as_arrays))
    return [*found.values()]


def numbers_for(row: Row, place: int, dtype: str) -> Points:
    """The special numbers of all kinds."""
    found: Points = {}
    for points in described(row, place, dtype).values():
        found |= points
    return found


def mixtures(dtype: str) -> dict[str, tuple[float, ...]]:
    """Vectors with ties of every sort, zeros, and what is not finite."""
    above = neighbours({"2": 2.0}, dtype)["2 + 1 ULP"]
    return {
        "constant": (0.75, 0.75, 0.75),
        "zeros": (0.0, 0.0, 0.0),
        "zeros of both signs": (0.0, -0.0, 0.0),
        "one zero": (0.0, -1.5, 2.0),
        "two zeros": (0.0, -1.5, 0.0),
        "tie of the largest": (2.0, -1.5, 2.0),
        "tie of the smallest": (-1.5, 2.0, -1.5),
        "tie in the middle": (-1.5, 0.75, 0.75, 2.0),
        "tie of magnitudes": (2.0, -2.0, 0.75),
        "the largest 1 ULP apart": (2.0, above, -1.5),
        "inf and -inf": (math.inf, -math.inf, 0.75),
        "inf twice": (math.inf, 0.75, math.inf),
        "nan and inf": (math.nan, math.inf, 0.75),
    }


def vectors(row: Row, dtype: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The mixtures, and each special number alone and among ordinary ones."""
    yield from mixtures(dtype).items()
    for words, x in numbers_for(row, 0, dtype).items():
        yield f"{words} among others", (x, 0.75, -1.5)
        yield f"{words} throughout", (x, x, x)


def matrices(dtype: str) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Singular ones, nearly so and not, ties of eigenvalues and of singular values, and the ends of the range."""
    above, below = (neighbours({"4": 4.0}, dtype)[f"4 {sign} 1 ULP"] for sign in "+-")
    large, small = math.sqrt(float(np.finfo(dtype).max)), math.sqrt(float(np.finfo(dtype).tiny))
    return {
        "identity": ((1.0, 0.0), (0.0, 1.0)),
        "zeros": ((0.0, 0.0), (0.0, 0.0)),
        "diagonal": ((2.0, 0.0), (0.0, -1.0)),
        "all entries alike": ((1.0, 1.0), (1.0, 1.0)),
        "rank 1": ((1.0, 2.0), (2.0, 4.0)),
        "1 ULP above rank 1": ((1.0, 2.0), (2.0, above)),
        "1 ULP below rank 1": ((1.0, 2.0), (2.0, below)),
        "rank 1, not symmetric": ((0.0, 1.0), (0.0, 0.0)),
        "a turn": ((0.0, 1.0), (-1.0, 0.0)),
        "eigenvalues 1 and -1": ((0.0, 1.0), (1.0, 0.0)),
        "positive definite": ((2.0, 1.0), (1.0, 3.0)),
        "not symmetric": ((2.0, 1.0), (-0.5, 3.0)),
        "rank 1 of 3": ((1.0, 2.0, -1.0), (2.0, 4.0, -2.0), (-1.0, -2.0, 1.0)),
        "rank 2 of 3": ((1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 0.0)),
        "two eigenvalues of 3 alike": ((2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 1.0)),
        "sqrt(max) times a definite one": ((2 * large, large), (large, 3 * large)),
        "sqrt(smallest) times a definite one": ((2 * small, small), (small, 3 * small)),
        "large and small eigenvalues": ((large, 0.0), (0.0, small)),
        "nan among others": ((math.nan, 1.0), (1.0, 3.0)),
        "inf among others": ((math.inf, 1.0), (1.0, 3.0)),
    }


# As many of all these as fit a table.

MOST_TABULATED = 24
"""Sets of operands of one call; the least telling are left out."""

SIZES = (
    *("max", "-max", "sqrt(max)", "sqrt(smallest)", "-(sqrt(smallest))", "40", "-40", "20", "-20"),
    *("ln(max)", "-(ln(max))", "-(ln(smallest))", "ln(smallest)", "eps"),
)
"""The ends of the range, their roots, and where exponentials and what is made of them round to their limits."""

PAIRS = (
    *(("0", "0"), ("0", "-0"), ("-0", "0"), ("-0", "-0"), ("1", "0"), ("0", "1"), ("-1", "0"), ("0", "-1")),
    *(("1", "1"), ("-1", "-1"), ("1", "-1"), ("1", "1 + 1 ULP"), ("1", "1 - 1 ULP")),
    *(("inf", "1"), ("1", "inf"), ("inf", "inf"), ("nan", "1"), ("1", "nan"), ("-inf", "1")),
    *(("sqrt(smallest)",) * 2, ("sqrt(max)",) * 2, ("max", "max"), ("smallest", "smallest"), ("max", "1")),
)
"""Corners, ties and what nearly ties, and sizes whose squares leave the range."""

PAIRS_OF: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(("power", "float_power"), (("0", "0.5"), ("0", "2"), ("-0", "3"), ("-1", "2"), ("-1", "0.5"))),
    **dict.fromkeys(("fmod", "remainder", "divmod"), (("2", "1"), ("-2", "1"), ("3", "-1"), ("2 - 1 ULP", "1"))),
    "arctan2": (("-0", "-1"),),
}
"""Pairs that tell more of some functions than those do."""

VECTORS = (
    *("inf among others", "-inf among others", "nan among others", "max among others", "smallest among others"),
    *("max throughout", "sqrt(max) throughout", "sqrt(smallest) throughout", "smallest throughout"),
    *("inf throughout", "nan throughout"),
)
"""Those that are tabulated besides the mixtures."""


def tabulated(row: Row, dtype: str, count: int = 1) -> list[tuple[str, Operands]]:
    """The special operands that a table has for a function, in words, for a call with `count` of them.

    The ends of a domain are among them even where they lie outside.
    """
    if sort_of(row) == "matrix":
        return each_once(((words, (rows,)) for words, rows in matrices(dtype).items()), dtype)
    if sort_of(row) == "vector":
        every = dict(vectors(row, dtype))
        return each_once(((words, (every[words],)) for words in (*mixtures(dtype), *VECTORS)), dtype)[:MOST_TABULATED]
    if count == 2:
        wanted: Iterable[tuple[str, ...]] = (*PAIRS_OF.get(row.name, ()), *PAIRS)
    else:
        wanted = ((words,) for words in most_telling(row))
    named = [all_numbers(row, place, dtype) for place in range(count)]
    chosen = (
        (" and ".join(words), tuple(points[word] for points, word in zip(named, words, strict=True)))
        for words in wanted
        if all(word in points for points, word in zip(named, words, strict=True))
    )
    found = each_once(chosen, dtype)[:MOST_TABULATED]
    return sorted(found, key=lambda each: along_the_axis(each[1])) if count == 1 else found


def along_the_axis(operands: Operands) -> tuple[bool, float, bool]:
    """From the least number to the largest, -0 before 0, and NaN at the end."""
    x = float(operands[0])
    return math.isnan(x), x, not np.signbit(x)


def most_telling(row: Row) -> list[str]:
    """Numbers by name: zeros, ends, bends, what is not finite, what is next to where it bends or ends, sizes."""
    ends, bends = [*ends_of(row.domain_of(0))], [*BENDS.get(row.name, {})]
    bent = ["1", "-1", *bends] if row.event else []
    near = [f"{words} {sign} 1 ULP" for words in ("0", *ends, *bent) for sign in "+-"]
    return ["0", "-0", *ends, *bends, "1", "-1", "inf", "-inf", "nan", *near, *SIZES]


def all_numbers(row: Row, place: int, dtype: str) -> Points:
    """The special numbers of all kinds by name, and those at the very ends of a domain even if they lie outside."""
    domain = row.domain_of(place)
    closed = Interval(domain.low, domain.high)
    found = {"0": 0.0, "-0": -0.0} | kinks(row, domain, dtype) | neighbours(plain(0.5, 2, 3), dtype)
    found = extreme(dtype) | saturated(dtype) | found
    return {w: x for w, x in found.items() if closed.contains(x)} | {
        "inf": math.inf,
        "-inf": -math.inf,
        "nan": math.nan,
    }
