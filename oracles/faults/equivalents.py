"""Faults that are none: they cannot change any answer that there is a truth about, each with the reason.

A table of reasons, in which the first that fits counts.  Nothing is taken on trust: these faults are
planted like all others, on the first seed, and one that is caught is reported as refuted.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from typing import Any

from minigrad.protocol import FUNCTIONS, RULES
from oracles.faults.fault import Fault, Target

LINEAR = frozenset(
    {"positive", "negative", "conjugate", "copy", "astype", "degrees", "rad2deg", "radians", "deg2rad", "ldexp"}
    | {"add", "subtract", "where", "broadcast_to", "reshape", "transpose", "swapaxes", "moveaxis", "expand_dims"}
    | {"squeeze", "flip", "roll", "tril", "triu", "concatenate", "stack", "getitem", "sum", "mean", "cumsum"}
    | {"minigrad.scatter", "minigrad.index_set", "minigrad.index_add", "fmod.0", "remainder.0"}
)
"""Functions whose rules read no numbers but the cotangent."""

READINGS = ("stopped", "saved-ans", "saved-operand", "swapped-operands", "dropped-term")
"""Faults in what a rule reads."""

STEPWISE = frozenset(
    {"absolute", "fabs", "minigrad.relu", "maximum", "minimum", "fmax", "fmin", "max", "min", "copysign"}
    | {"fmod", "remainder", "minigrad.whole_times", "minigrad.running_max", "minigrad.running_min"}
)
"""Functions whose rules are constant in the operands, but for jumps."""

SUMMED = frozenset(
    {"log1p", "tan", "arccosh", "logaddexp", "logaddexp2", "power.0", "float_power.0"}
    | {
        "minigrad.bessel_of_pi",
        "minigrad.softmax",
        "minigrad.log_softmax",
        "minigrad.unit",
        "minigrad.norm_slope",
        "cumprod",
    }
    | {
        "minigrad.running_max",
        "minigrad.running_min",
        "minigrad.running_logsumexp",
        "linalg.pinv",
        "linalg.cholesky",
    }
    | {"minigrad.packed_eigh", "minigrad.packed_svd", "minigrad.packed_qr", "minigrad.eigenvalues", "minigrad.polar"}
    | {"scipy.special.logit", "scipy.special.psi", "scipy.special.entr", "scipy.special.xlog1py.1", "fmod", "remainder"}
)
"""Functions whose rules add or subtract."""

NOT_REACHED_FIRST = frozenset(
    {"minigrad.sigmoid_slope", "minigrad.unit", "minigrad.sech2", "minigrad.sigmoid2", "minigrad.one_minus_square"}
    | {"minigrad.bessel_of_pi", "minigrad.cosine", "minigrad.cofactor", "minigrad.gaussian", "minigrad.polygamma"}
    | {"minigrad.whole_times", "minigrad.scatter", "minigrad.norm_slope", "minigrad.polar"}
)
"""Parts of rules: their own derivative belongs to a second order, and the derivative of that to a third."""

SYMMETRIC = ("minigrad.packed_eigh", "minigrad.eigenvalues", "linalg.cholesky")

FROM_THE_FRONT = ("partition", "insert", "squeeze")
"""Functions whose axis programs never count from the back."""

Reason = tuple[str, Callable[[Fault], bool]]


def of(kind: str, fits: Callable[[Target], bool]) -> Callable[[Fault], bool]:
    return lambda fault: fault.kind.name == kind and fits(fault.target)


def named(*names: str) -> Callable[[Target], bool]:
    return lambda target: target.name in names


def read(target: Target) -> set[str]:
    """The arguments that a rule mentions, by name."""
    assert target.place is not None
    found: set[Any] = set()
    for instruction in dis.get_instructions(RULES[target.function].vjps[target.place] or read):
        if instruction.opname.startswith("LOAD_FAST"):
            found |= {*instruction.argval} if isinstance(instruction.argval, tuple) else {instruction.argval}
    return found


def reads_ans(target: Target) -> bool:
    return "ans" in read(target)


def reads_operand(target: Target) -> bool:
    assert target.place is not None
    return FUNCTIONS[target.function].operands[target.place] in read(target)


def is_open(target: Target) -> bool:
    """Whether no program goes to the edge of the domain itself."""
    row = target.row
    assert row is not None
    interval = row.domain_of(target.place or 0)
    return interval.hole is not None or interval.open_low or interval.open_high


def reasons() -> Iterator[Reason]:
    """All of them: why, and for what."""
    yield (
        "its rule reads no numbers but the cotangent",
        lambda fault: fault.kind.name in READINGS and not {fault.target.name, str(fault.target)}.isdisjoint(LINEAR),
    )
    yield "its rule does not change with its operands, but for jumps", of("stopped", named(*STEPWISE))
    yield (
        "the mean is taken off once more, for what its rounding left",
        of("dropped-term", named("var", "minigrad.standard_deviation")),
    )
    yield (
        "its rule is a single term",
        of("dropped-term", lambda target: {target.name, str(target)}.isdisjoint(SUMMED)),
    )
    yield "its rule does not read the result", of("saved-operand", lambda target: not reads_ans(target))
    yield "its rule is handed the result, and leaves it", of("saved-operand", named("minigrad.running_logsumexp"))
    yield "its rule does not read the operand", of("saved-ans", lambda target: not reads_operand(target))
    yield "both operands have the same rule", of("swapped-rules", named("add", "minigrad.index_add"))
    yield "softmax is the same of what is moved by a constant", of("saved-ans", named("minigrad.log_softmax"))
    yield "the result is positive where the operand is", of("saved-ans", named("minigrad.relu"))
    yield "its rule reads the shape, not the axis", of("next-axis", named("expand_dims", "squeeze"))
    yield "the derivative is infinite there: there is no truth", of("zero", named("sqrt", "cbrt", "scipy.special.entr"))
    yield "numbers here are real", of("conjugated", lambda target: True)
    yield (
        "it is a part of rules, and the derivative of its own rule belongs to a third order",
        lambda fault: fault.kind.name in ("stopped", "second-order") and fault.target.name in NOT_REACHED_FIRST,
    )
    yield "no program goes there: it is no part of the domain", of("edge", is_open)
    yield "the derivative is infinite there: there is no truth", of("edge", lambda target: not is_open(target))


def gaps() -> Iterator[Reason]:
    """Faults that campaigns do not meet, as their programs do not go there."""
    yield (
        "programs give its axis from the front",
        of("negative-axis", lambda t: t.name in FROM_THE_FRONT or t.name.startswith("minigrad.running")),
    )
    yield (
        "programs go no nearer to it than tiny numbers",
        of("next-to-edge", named("divide", "reciprocal", "scipy.special.psi")),
    )
    yield "programs squeeze no square matrices", of("transposed", named("squeeze"))
    yield (
        "its sum serves only where the power leaves the range and its derivative does not, which programs hardly meet",
        of("dropped-term", named("power", "float_power")),
    )
    yield (
        "gradients share memory with each other and with the cotangent, never with an input, and nobody writes there",
        of("not-copied", lambda target: True),
    )
    yield (
        "programs make a matrix symmetric as x + x.T, which gives both halves of its gradient alike",
        of("transposed", named(*SYMMETRIC)),
    )


def is_rounding(fault: Fault) -> bool:
    """Whether a fault changes how digits cancel, and nothing else: softmax's cotangent may be moved by a constant."""
    return str(fault) == "dropped-term@minigrad.softmax.0"


FINEST = 1e-13
"""Factors that differ from 1 by less may be lost in the noise of a few roundings: the floor tells where that begins."""


def is_fine(fault: Fault) -> bool:
    """Whether rounding may hide it: a factor that is so near to 1, or what changes nothing but how digits cancel."""
    name, _, eps = fault.kind.name.partition("-")
    return is_rounding(fault) or (name == "factor" and float(eps) <= FINEST)


REASONS, GAPS = tuple(reasons()), tuple(gaps())


def reason(fault: Fault) -> str:
    """Why a fault changes nothing; empty where it does."""
    return next((why for why, fits in REASONS if fits(fault)), "")


def gap(fault: Fault) -> str:
    """Why a fault is not met, though it is one; empty where it may be."""
    return next((why for why, fits in GAPS if fits(fault)), "")
