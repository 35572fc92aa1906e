"""Where faults are planted, all of them by name, and the programs that reach them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from minigrad import rules
from minigrad.protocol import DEFINITIONS, FUNCTIONS, RULES, Function
from oracles.catalogue import CATALOGUE
from oracles.errors import UsageError
from oracles.faults.fault import Fault, Target
from oracles.faults.kinds import KINDS
from oracles.faults.mechanisms import MECHANISMS

assert rules  # it fills the tables

OWN = ("minigrad", "numpy", "scipy", "_operator", "")
"""Where the functions come from whose rules are minigrad's; a user's own may be in its tables too."""

UNDRAWN = ("minigrad.recomputed",)
"""Rules that no program of a campaign can reach: `checkpoint` is a transform, which programs do not contain."""

HOSTS: dict[str, tuple[str, ...]] = {
    "minigrad.sigmoid_slope": ("minigrad.sigmoid", "scipy.special.expit"),
    "minigrad.standard_deviation": ("std",),
    "minigrad.unit": ("std", "linalg.vector_norm"),
    "minigrad.sech2": ("tanh",),
    "minigrad.sigmoid2": ("logaddexp2",),
    "minigrad.one_minus_square": ("arctanh", "arcsin"),
    "minigrad.bessel_of_pi": ("sinc",),
    "minigrad.cosine": ("hypot", "arctan2"),
    "minigrad.whole_times": ("fmod", "remainder"),
    "minigrad.scatter": ("getitem", "take"),
    "minigrad.running_logsumexp": ("minigrad.running_logsumexp",),
    "minigrad.cofactor": ("linalg.det",),
    "minigrad.logabsdet": ("linalg.slogdet",),
    "minigrad.euclidean": ("linalg.norm", "linalg.vector_norm"),
    "minigrad.norm_of_order": ("linalg.norm", "linalg.vector_norm"),
    "minigrad.norm_slope": ("linalg.norm", "linalg.vector_norm"),
    "minigrad.singular_values": ("linalg.svdvals", "linalg.cond"),
    **dict.fromkeys(("minigrad.nuclear", "minigrad.polar"), ("linalg.norm", "linalg.matrix_norm")),
    "minigrad.eigenvalues": ("linalg.eigvalsh",),
    "minigrad.packed_eigh": ("linalg.eigh",),
    "minigrad.packed_svd": ("linalg.svd",),
    "minigrad.packed_qr": ("linalg.qr",),
    "minigrad.completing": ("linalg.svd", "linalg.qr"),
    "minigrad.contract": ("einsum",),
    "minigrad.convolution": ("convolve", "correlate"),
    "minigrad.gaussian": ("scipy.special.erf", "scipy.special.erfc"),
    "minigrad.polygamma": ("scipy.special.psi", "scipy.special.gammaln"),
    **dict.fromkeys(MECHANISMS, ("multiply", "add", "maximum", "matmul", "where", "square")),
}
"""For what programs do not call by name, functions whose derivatives do."""


def is_own(function: Function) -> bool:
    return (getattr(function, "__module__", None) or "").partition(".")[0] in OWN


def targets() -> Iterator[Target]:
    """Every rule of minigrad, operand by operand; every definition; every mechanism."""
    for function, rule in RULES.items():
        name = FUNCTIONS[function].name
        if is_own(function) and name not in UNDRAWN:
            yield from (Target(name, place) for place, vjp in enumerate(rule.vjps) if vjp is not None)
    yield from (Target(FUNCTIONS[function].name) for function in DEFINITIONS if is_own(function))
    yield from map(Target, MECHANISMS)


def all_faults() -> list[Fault]:
    """Every kind of fault in every place where it makes sense."""
    return [Fault(kind, target) for target in targets() for kind in KINDS if kind.fits(target)]


@cache
def by_name() -> dict[str, Fault]:
    return {str(fault): fault for fault in all_faults()}


def fault_named(name: str) -> Fault:
    """The fault called so, such as ``sign@hypot.1``; raises `UsageError` for what is none."""
    if name not in by_name():
        raise UsageError(f"fault {name!r} is not known; it is kind@function.operand, such as sign@hypot.1")
    return by_name()[name]


def hosts(target: Target) -> tuple[str, ...]:
    """Functions such that programs with one of them reach the target."""
    return (target.name,) if target.name in CATALOGUE else HOSTS[target.name]
