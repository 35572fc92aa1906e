"""Every kind of fault, with where it makes sense: a line each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np

from minigrad.protocol import FUNCTIONS, RULES
from oracles.catalogue import CONDITIONED, Interval
from oracles.faults import bends, mechanisms, readings
from oracles.faults.fault import Bend, Kind, Plant, Target
from oracles.faults.mechanisms import CAST, FORK, MECHANISMS, MEMORY, UNBROADCAST, WALK
from oracles.faults.planting import Planted, bending, other_rule, rerunning

Fits = Callable[[Target], bool]

BOUNDED_FOR_DRAWING = ("sinc", "scipy.special.erfcinv")
"""Functions whose domain goes on beyond where programs call them."""

EPSILONS = tuple(10.0**-k for k in range(1, 16))

# Where.


def anywhere(target: Target) -> bool:
    return target.name not in MECHANISMS


def at_rules(target: Target) -> bool:
    return target.has_rule


def at_elementwise(target: Target) -> bool:
    """Functions of one number, or two, that are drawn at points of all kinds."""
    return target.has_rule and target.row is not None and target.row.kind in ("unary", "binary", "special")


def at_same_shape(target: Target) -> bool:
    """Functions whose result can stand for an operand by its shape."""
    square = ("linalg.inv", "linalg.cholesky", "linalg.pinv", "minigrad.cofactor", "minigrad.polar")
    scans = target.row is not None and target.row.kind == "scan"
    return at_elementwise(target) or (target.has_rule and (scans or target.name in square))


def domain(target: Target) -> Interval:
    assert target.row is not None
    return target.row.domain_of(target.place or 0)


def of_elementwise(number: float) -> Fits:
    """Where a number, or what is beyond it, is in the domain."""
    return lambda target: at_elementwise(target) and domain(target).contains(number)


def at_pairs(target: Target) -> bool:
    """Functions of two operands with a rule for each."""
    return target.has_rule and [vjp is not None for vjp in RULES[target.function].vjps] == [True, True]


def at_broadcasting(target: Target) -> bool:
    return at_elementwise(target) and at_pairs(target) and target.name != "ldexp"


def at_products(target: Target) -> bool:
    return target.name in ("matmul", "vecdot", "linalg.solve")


def takes(target: Target, parameter: str) -> bool:
    return target.function in FUNCTIONS and parameter in FUNCTIONS[target.function].parameters


def with_axis(target: Target) -> bool:
    return takes(target, "axis") and target.name not in ("minigrad.unit", "linalg.norm")


def with_axis_rule(target: Target) -> bool:
    return target.has_rule and with_axis(target)


def with_keepdims(target: Target) -> bool:
    return target.has_rule and takes(target, "keepdims")


def at_ties(target: Target) -> bool:
    return at_rules(target) and target.name in ("maximum", "minimum", "fmax", "fmin")


def at_extremes(target: Target) -> bool:
    return at_rules(target) and target.name in ("max", "min")


def at_indices(target: Target) -> bool:
    return target.name in ("getitem", "minigrad.scatter", "minigrad.index_add", "take") and target.place != 2


def at_matrices(target: Target) -> bool:
    row = target.row
    products = row is not None and (row.kind in (*CONDITIONED, "product", "shape") or "matrix" in row.name)
    return target.has_rule and (products or row is None)


def at(name: str) -> Fits:
    return lambda target: target.name == name


def of_edges(target: Target) -> bool:
    """Functions whose domain ends somewhere, or has a hole."""
    return at_elementwise(target) and bool(edges(target))


def edges(target: Target) -> list[float]:
    interval = domain(target)
    if target.name in BOUNDED_FOR_DRAWING:
        return []
    ends = [end for end in (interval.low, interval.high) if math.isfinite(end)]
    return ends if interval.hole is None else [*ends, interval.hole]


# How.


def bent(bend: Bend) -> Plant:
    return bending(lambda: bend)


def overflowing(last: Callable[[float], float]) -> Plant:
    """NaN beyond the last number that a formula takes, a function of the dtype's largest."""
    return bent(bends.where(bends.beyond(last), bends.nan))


def swapped_rules(target: Target) -> Planted:
    return Planted(lambda: other_rule(target, readings.other_place(target.function)))


def at_edges(make: Callable[[float], bends.Condition]) -> Plant:
    """Wrong where `make` says, at each edge of the target's domain."""

    def plant(target: Target) -> AbstractContextManager[None]:
        conditions = [make(edge) for edge in edges(target)]
        some = bends.where(lambda x, call: np.any([c(x, call) for c in conditions], axis=0), bends.off)
        return bent(some)(target)

    return plant


def kinds() -> Iterator[Kind]:
    e = bends
    # fmt: off
    yield Kind("sign", "sign", bent(lambda v, x, call: -v), anywhere)
    for eps in EPSILONS:
        yield Kind(f"factor-{eps:.0e}", "factor", bent(e.by_factor(1 + eps)), anywhere)
    yield Kind("lost", "dropped", bent(lambda v, x, call: 0 * v), anywhere)
    yield Kind("dropped-term", "dropped", rerunning(lambda: readings.dropped_term), at_rules)
    yield Kind("swapped-operands", "operands", rerunning(lambda: readings.swapped_operands), at_pairs)
    yield Kind("swapped-rules", "operands", swapped_rules, at_pairs)
    yield Kind("saved-ans", "operands", rerunning(lambda: readings.saved_ans), at_same_shape)
    yield Kind("saved-operand", "operands", rerunning(lambda: readings.saved_operand), at_same_shape)
    yield Kind("not-summed", "broadcasting", bent(e.not_summed), at_broadcasting)
    yield Kind("averaged", "broadcasting", bent(e.averaged), at_broadcasting)
    yield Kind("summed-elsewhere", "broadcasting", bent(e.summed_elsewhere), at_broadcasting)
    yield Kind("next-axis", "axes", rerunning(lambda: readings.next_axis), with_axis_rule)
    yield Kind("keepdims", "axes", rerunning(lambda: readings.other_keepdims), with_keepdims)
    yield Kind("negative-axis", "axes", bent(e.when(e.has_negative_axis, e.doubled)), with_axis)
    yield Kind("transposed", "matrices", bent(e.transposed), at_matrices)
    yield Kind("untransposed", "matrices", rerunning(lambda: readings.untransposed), at_products)
    yield Kind("conjugated", "matrices", rerunning(lambda: readings.conjugated), at_products)
    yield Kind("ties", "points", bent(e.where(e.is_tied, e.off)), at_ties)
    yield Kind("ties", "points", bent(e.where(e.is_extreme, e.off)), at_extremes)
    yield Kind("zero", "points", bent(e.where(e.is_zero, e.off)), of_elementwise(0.0))
    yield Kind("negative", "points", bent(e.where(e.is_negative, e.off)), of_elementwise(-0.5))
    yield Kind("edge", "points", at_edges(lambda edge: lambda x, call: x == edge), of_edges)
    yield Kind("next-to-edge", "points", at_edges(e.next_to), of_edges)
    yield Kind("overflowing-square", "points", overflowing(math.sqrt), of_elementwise(1e30))
    yield Kind("overflowing-exp", "points", overflowing(math.log), of_elementwise(1e3))
    yield Kind("float64", "situations", bent(e.when(e.of_dtype("float64"), e.doubled)), anywhere)
    yield Kind("float32", "situations", bent(e.when(e.of_dtype("float32"), e.doubled)), anywhere)
    yield Kind("0-d", "situations", bent(e.when(e.without_axes, e.doubled)), at_elementwise)
    yield Kind("zero-size", "situations", bent(e.when(e.has_no_entries, e.refused)), at_elementwise)
    yield Kind("size-1", "situations", bent(e.when(e.has_axis_of_1, e.doubled)), at_elementwise)
    yield Kind("vector", "situations", bent(e.when(e.meets_vector, e.doubled)), at_products)
    yield Kind("repeated-index", "situations", bent(e.when(e.repeats_index, e.doubled)), at_indices)
    yield Kind("non-contiguous", "situations", bent(e.when(e.is_scattered, e.doubled)), at_elementwise)
    yield Kind("second-order", "second order", bent(e.slope_bent(lambda g: 2 * g)), anywhere)
    yield Kind("stopped", "second order", rerunning(lambda: readings.stopped), at_rules)
    yield Kind("downcast", "precision", bent(e.downcast), anywhere)
    yield Kind("unsteady", "memory", bending(e.now_and_then), at_elementwise, has_memory=True)
    yield Kind("not-summed", "broadcasting", mechanisms.unbroadcast_by(mechanisms.first_alone), at(UNBROADCAST))
    yield Kind("averaged", "broadcasting", mechanisms.unbroadcast_by(mechanisms.mean_instead), at(UNBROADCAST))
    yield Kind("other-axis", "broadcasting", mechanisms.unbroadcast_by(mechanisms.other_axis), at(UNBROADCAST))
    yield Kind("axes-kept", "broadcasting", mechanisms.unbroadcast_by(mechanisms.axes_kept), at(UNBROADCAST))
    yield Kind("last-use", "forks", mechanisms.joined_by(lambda a, b: a), at(FORK))
    yield Kind("first-use", "forks", mechanisms.joined_by(lambda a, b: b), at(FORK))
    yield Kind("counted-twice", "forks", mechanisms.joined_by(lambda a, b: a + b + b), at(FORK))
    yield Kind("out-of-order", "forks", mechanisms.out_of_order, at(WALK))
    yield Kind("float32", "precision", mechanisms.cast_by(mechanisms.to_float32), at(CAST))
    yield Kind("float64", "precision", mechanisms.cast_by(mechanisms.to_float64), at(CAST))
    yield Kind("in-place", "memory", mechanisms.pulled_by(lambda: mechanisms.in_place_of_input), at(MEMORY))
    yield Kind("scribbled", "memory", mechanisms.pulled_by(lambda: mechanisms.scribbled_on), at(MEMORY))
    yield Kind("not-copied", "memory", mechanisms.not_copied, at(MEMORY))
    yield Kind("accumulated", "memory", mechanisms.pulled_by(mechanisms.accumulated), at(MEMORY), has_memory=True)
    yield Kind("stale", "memory", mechanisms.pulled_by(mechanisms.stale), at(MEMORY), has_memory=True)
    # fmt: on


KINDS = tuple(kinds())
