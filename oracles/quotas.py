"""Quotas: what a campaign must have exercised, or else it tested too little.

They are shares of the drawn cases, of whatever number, so that a short campaign is asked for less;
what is too rare to be expected of it is not asked for at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oracles.catalogue import DIFFERENTIATED
from oracles.census import NEAREST, Census


@dataclass(frozen=True)
class Quota:
    """A share of the drawn cases that must have something, two thirds of what a sound strategy gives them."""

    name: str
    why: str
    share: float
    what: str
    has: Callable[[Any], bool]
    """Of values of which a case has one only, or of a single value."""

    def count(self, census: Census) -> int:
        return sum(count for value, count in census.of(self.what).items() if self.has(value))


def least(share: float, drawn: int) -> int:
    """How many of so many cases: three standard deviations below the share, so that chance alone fails no small run."""
    return max(0, math.floor(share * drawn - 3 * math.sqrt(share * (1 - share) * drawn)))


def one(what: str, value: str, share: float, name: str, why: str) -> Quota:
    return Quota(name, why, share, what, lambda v: bool(v == value))


CLASSES = {"scalar": 0.12, "vector": 0.22, "matrix": 0.4, "stack": 0.04, "empty": 0.008}

KINDS = dict.fromkeys(("ordinary", "positive", "grid", "spread"), 0.13)
KINDS |= {"domain": 0.08, "saturated": 0.045, "kinks": 0.045, "signed zeros": 0.045, "extreme": 0.028}
KINDS |= {"nonfinite": 0.025, "subnormals": 0.012, "representations": 0.012}

NO_PROOF = "the rest are vacuous, ill-conditioned or excused"
ADDED = "gradients are added up where a value is used twice"
SUMMED = "gradients are summed over what was stretched"
PASSED_ON = "errors add up, and show, in what is passed on"
BY_SHAPE = "rules index and sum by shape"
BY_NUMBER = "each kind shows errors that the others hide"

QUOTAS = (
    Quota("cases fit to prove something", NO_PROOF, 0.65, "outcome", lambda o: o in ("telling", "unsupported")),
    Quota("programs that fork", ADDED, 0.2, "forks", lambda n: n > 0),
    Quota("programs that broadcast", SUMMED, 0.14, "stretched", lambda n: n > 0),
    Quota("chains of three steps or more", PASSED_ON, 0.3, "depth", lambda n: n > 2),
    Quota("chains of five steps or more", PASSED_ON, 0.11, "depth", lambda n: n > 4),
    Quota("programs of several inputs", "gradients may be mixed up", 0.22, "inputs", lambda n: n > 1),
    Quota("cases at a kink or an edge", "engines choose there", 0.045, NEAREST, lambda d: d == 0),
    Quota("cases near one", "choices must not reach so far", 0.03, NEAREST, lambda d: d is not None and 0 < d < 0.1),
    one("point", "ordinary", 0.5, "cases at ordinary points", "programs are long there"),
    one("point", "special", 0.25, "cases at special points", "formulas lose their digits there"),
    *(one("shape class", name, share, f"inputs: {name}", BY_SHAPE) for name, share in CLASSES.items()),
    *(one("input kind", kind, share, f"numbers: {kind}", BY_NUMBER) for kind, share in KINDS.items()),
)

PAIRS = 500
"""So many pairs of functions are enough, however long the campaign."""


def quotas(census: Census, dtypes: Sequence[str]) -> list[dict[str, Any]]:
    """Every quota of a campaign in these dtypes: how many it has, and how many it needs at least."""
    drawn, turns = census.drawn, census.drawn // len(dtypes)
    shares = [one("dtype", d, 0.9 / len(dtypes), f"cases in {d}", "each rounds differently") for d in dtypes]
    functions = census.of("function")
    met = [functions.get(name, 0) for name in DIFFERENTIATED]
    rounds = turns // len(met) * len(dtypes)
    return [
        *(entry(q.name, q.why, q.count(census), least(q.share, drawn)) for q in (*QUOTAS, *shares)),
        entry("functions", "they take turns", sum(count > 0 for count in met), min(turns, len(met))),
        entry("cases of the function met least", "turns are fair", min(met), rounds),
        entry("pairs of functions", "rules meet", len(census.of("pair")), min(PAIRS, least(0.5, drawn))),
    ]


def missed(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The quotas that are not met, in words."""
    return [f"{q['quota']} ({q['count']:,} of at least {q['least']:,})" for q in found if q["count"] < q["least"]]


def entry(name: str, why: str, count: int, needed: int) -> dict[str, Any]:
    return {"quota": name, "why": why, "count": count, "least": needed}
