"""Detection floors: the smallest relative error of a rule that is still caught, here and by three gradient checkers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from minigrad.protocol import NAMES, RULES
from oracles.asking import ask
from oracles.cases import Case
from oracles.faults.bank import SOUND, Question
from oracles.faults.bends import by_factor, scaled, slope_bent
from oracles.faults.checkers import Rule, accepts, installed
from oracles.faults.fault import Bend, Fault, FaultyAdapter, Kind, Target
from oracles.faults.kinds import anywhere, bent
from oracles.strategies import Builder, Palette
from oracles.strategies.draft import Draw
from oracles.strategies.entries import weights
from oracles.verdict import FATAL, Label

PER_DECADE = 4
EPSILONS = tuple(10.0 ** -(1 + k / PER_DECADE) for k in range(16 * PER_DECADE))
"""Relative errors to try: from 1e-1 down to 1e-17, four a decade."""

CASES = 4
"""Points for each function, dtype and order: what one of them shows counts."""

REJECTS = "rejects the sound rule"
NOT_CAUGHT = "none"
"""No error of up to a tenth was caught, as where the derivative is zero."""


@dataclass(frozen=True)
class Floor:
    """One row: how small an error of a function's rule is caught, by whom."""

    function: str
    dtype: str
    order: int
    oracles: float
    """NaN where no error was caught."""
    units: float
    """The same in rounding units of the dtype."""
    checkers: dict[str, float | str]


@st.composite
def alone(draw: Draw, dtype: str, palette: Palette, must: str) -> Case:
    """A case with one function and nothing else."""
    builder = Builder(draw, dtype, palette.narrow)
    builder.add_certainly(must)
    program, used = builder.program().without_dead_steps()
    cotangent = draw(weights(dtype, np.shape(builder.values[builder.output.index])))
    vectors = tuple(draw(weights(dtype, declared.shape)) for declared in program.inputs)
    return Case("floor", program, tuple(builder.values[i] for i in used), cotangent, vectors)


def cases_of(function: str, dtype: str) -> list[Case]:
    drawn: list[Case] = []
    digest = hashlib.sha256(f"floor/{function}/{dtype}".encode()).digest()

    @seed(int.from_bytes(digest[:8]))
    @settings(
        max_examples=CASES + 1,
        backend="minigrad-seeded",
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(alone(dtype, Palette.of(0), function))
    def collect(case: Case) -> None:
        drawn.append(case)

    collect()
    return drawn[1:]  # Hypothesis begins with the simplest draw, of zeros and ones


def target_of(function: str) -> Target:
    """The rule for a function's first operand that has one, or its definition."""
    rule = RULES.get(NAMES[function])
    return Target(function, None if rule is None else [vjp is not None for vjp in rule.vjps].index(True))


def fault_of(function: str, order: int, eps: float) -> Fault:
    """A rule off by a factor; at order 2 one whose own derivative is, while it is right itself."""
    bend: Bend = by_factor(1 + eps) if order == 1 else slope_bent(lambda g: scaled(g, 1 + eps))
    return Fault(Kind(f"factor-{eps:.1e}", "factor", bent(bend), anywhere), target_of(function))


def caught(question: Question, fault: Fault, order: int) -> bool:
    """Whether the judge accuses."""
    verdict = question.verdict(ask(SOUND, question.case, order, adapter=FaultyAdapter(fault)), order)
    return verdict.is_off or verdict.label in FATAL


def smallest(catches: Callable[[float], bool], best: int) -> int:
    """How many of the `EPSILONS` are caught, by bisection: whoever catches an error catches all larger ones.

    At least `best`, which is known.
    """
    low, high = best, len(EPSILONS)
    if low == high or not catches(EPSILONS[low]):
        return low
    low += 1
    while low < high:
        middle = (low + high) // 2
        if catches(EPSILONS[middle]):
            low = middle + 1
        else:
            high = middle
    return low


def floor_of(function: str, dtype: str, order: int, checkers: Sequence[str] | None = None) -> Floor:
    """The floors for one function; the checkers get the same faulty rule and the same inputs."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = cases_of(function, dtype)
        own = 0
        for question in map(Question, cases):
            if question.verdict(question.soundly(order), order).label == Label.AGREES:
                own = smallest(lambda eps, q=question: caught(q, fault_of(function, order, eps), order), own)  # type: ignore[misc]
        found = {name: checked(name, function, order, cases) for name in (checkers or installed())}
    eps = EPSILONS[own - 1] if own else np.nan
    return Floor(function, dtype, order, eps, eps / float(np.finfo(dtype).eps), found)


def checked(name: str, function: str, order: int, cases: Sequence[Case]) -> float | str:
    """The floor of a checker, over the cases in which it accepts the rule as it is."""
    best, sound = 0, 0
    for case in cases:
        # Twice, the second time with an error that is none: some draw directions, and not always accept.
        if not all(accepts(name, rule_with(case, function, order, eps), order) for eps in (0.0, EPSILONS[-1])):
            continue
        sound += 1
        best = smallest(
            lambda eps, c=case: not accepts(name, rule_with(c, function, order, eps), order),  # type: ignore[misc]
            best,
        )
    return EPSILONS[best - 1] if best else NOT_CAUGHT if sound else REJECTS


def rule_with(case: Case, function: str, order: int, eps: float) -> Rule:
    fault = fault_of(function, order, eps)
    return Rule(case, fault.kind.plant(fault.target))
