"""From a failing case to a small one that fails in the same way.

Three passes, each keeping whatever still fails with the same label: fewer steps (whatever
the kept ones take from elsewhere becomes an input), smaller shapes, simpler numbers.  This works on any
case, drawn or traced from somebody's function, and needs no replay of how it was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from minigrad.errors import MinigradError
from minigrad.programs import Input, Program, Ref, Step
from minigrad.protocol import NAMES, leaves
from minigrad.transforms import jvp, vjp
from oracles.cases import Case, all_values

StillFails = Callable[[Case], bool]


def shrink(case: Case, still_fails: StillFails) -> Case:
    """The smallest case found for which `still_fails` holds; it must hold for `case`."""
    for smaller in (fewer_steps, smaller_shapes, simpler_numbers):
        case = smaller(case, still_fails)
    return case


def pattern(shape: tuple[int, ...], dtype: Any) -> Any:
    """Small numbers, all different and none of them zero, as weights."""
    return ((1 + np.arange(math.prod(shape))) / 4).reshape(shape).astype(dtype)


def ask_of(case: Case, program: Program, inputs: tuple[Any, ...]) -> Case | None:
    """The case that asks for the gradient of another program, or None if that cannot run or has none."""
    try:
        with np.errstate(all="ignore"):
            value = program(*inputs)
    except (MinigradError, ValueError, TypeError):
        return None
    shape = shape_of(value)
    if shape is None or np.asarray(value).dtype.kind != "f":
        return None
    cotangent = case.cotangent if case.cotangent.shape == shape else pattern(shape, case.dtype)
    vectors = tuple(pattern(x.shape, x.dtype) for x in inputs)
    return replace(case, program=program, inputs=inputs, cotangent=cotangent, vectors=vectors)


@dataclass(frozen=True)
class Plan:
    """Which steps of a program to keep; what they take from elsewhere becomes an input."""

    kept: tuple[int, ...]
    instead: Mapping[int, int] = field(default_factory=dict)
    """Values that stand in for the results of steps left out, by index as in `Ref`."""


def fewer_steps(case: Case, still_fails: StillFails) -> Case:
    """The shortest window of steps that fails, the earliest end first; then steps left out of it, one by one."""
    values = all_values(case)
    count = len(case.program.steps)
    windows = (Plan(tuple(range(start, end))) for end in range(1, count + 1) for start in reversed(range(end)))
    found = first_failing(case, values, windows, still_fails)
    smallest = case
    while found is not None:
        plan, smallest = found
        found = first_failing(case, values, without_one(case, values, plan), still_fails)
    return smallest


def first_failing(
    case: Case, values: Sequence[Any], plans: Iterable[Plan], still_fails: StillFails
) -> tuple[Plan, Case] | None:
    for plan in plans:
        candidate = rebuild(case, values, plan)
        if candidate is not None and still_fails(candidate):
            return plan, candidate
    return None


def without_one(case: Case, values: Sequence[Any], plan: Plan) -> Iterator[Plan]:
    """The plan less one step: its result is an input instead, or one of its operands of the same shape."""
    n = len(case.inputs)
    for step in plan.kept[:-1]:
        kept = tuple(k for k in plan.kept if k != step)
        yield Plan(kept, plan.instead)
        for leaf in leaves(case.program.steps[step].operands):
            if isinstance(leaf, Ref) and shape_of(values[leaf.index]) == shape_of(values[n + step]) is not None:
                yield Plan(kept, {**plan.instead, n + step: leaf.index})


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of an array; of several results, none."""
    return None if isinstance(value, (tuple, list)) else np.shape(value)


def rebuild(case: Case, values: Sequence[Any], plan: Plan, tangents: Mapping[int, Any] | None = None) -> Case | None:
    """The case of the steps that a plan keeps, or None if they make no program; along `tangents`, if all are there."""
    n = len(case.inputs)
    made = {n + step for step in plan.kept}

    def source(index: int) -> int:
        while index not in made and index in plan.instead:
            index = plan.instead[index]
        return index

    steps = [case.program.steps[step] for step in plan.kept]
    used = {source(leaf.index) for step in steps for leaf in leaves(step.operands) if isinstance(leaf, Ref)}
    if any(shape_of(values[i]) is None for i in used - made):
        return None
    outside = sorted(i for i in used - made if np.asarray(values[i]).dtype.kind == "f")
    inputs = tuple(np.array(values[i]) for i in outside)
    if not inputs:
        return None
    renumbered = {old: Ref(new) for new, old in enumerate([*outside, *sorted(made)])}

    def rewire(leaf: Any) -> Any:
        if not isinstance(leaf, Ref):
            return leaf
        index = source(leaf.index)
        return renumbered[index] if index in renumbered else np.array(values[index])

    declared = tuple(Input("xyzuvw"[i] if i < 6 else f"x{i}", x.shape, x.dtype.name) for i, x in enumerate(inputs))
    rewired = Program(declared, tuple(s.mapped(rewire) for s in steps), Ref(len(inputs) + len(steps) - 1))
    program, used_inputs = rewired.without_dead_steps()
    found, taken = ask_of(case, program, tuple(inputs[i] for i in used_inputs)), [outside[i] for i in used_inputs]
    if found is None or not tangents or not all(index in tangents for index in taken):
        return found
    return replace(found, vectors=tuple(tangents[index] for index in taken))


class Alone(NamedTuple):
    """A step of a program by itself, at what comes to it there."""

    function: str
    case: Case
    weighted: Case
    """Its result times what the program sends back to it, an input as well, which changes along the vectors.

    Of that a second derivative is made: of the step's own, and of what it sends back where it is sent something else.
    """


def one_by_one(case: Case) -> Iterator[Alone]:
    """The steps of a program of several, each by itself; of one with several results, for each of these."""
    values, steps, n = all_values(case), case.program.steps, len(case.inputs)
    tangents, cotangents = all_tangents(case, values), all_cotangents(case, values)
    for number, step in enumerate(steps):
        result = Ref(n + number)
        takers = [k for k, other in enumerate(steps) if other.function == "getitem" and other.operands[0] == result]
        several = shape_of(values[result.index]) is None
        for kept in [(number, k) for k in takers] if several else [(number,)]:
            alone = rebuild(case, values, Plan(kept), tangents) if len(kept) < len(steps) else None
            if alone is not None:
                yield Alone(step.function, alone, weighted(alone, *cotangents.get(kept[-1], (None, None))))


def weighted(case: Case, weights: Any, tangent: Any) -> Case:
    """The case with its result times an input of the same shape, along a tangent of that; small numbers if None."""
    count, value = len(case.inputs), np.asarray(case.program(*case.inputs))
    if weights is None:
        weights = pattern(value.shape, value.dtype)
        tangent = np.flip(weights).copy()

    def moved(leaf: Any) -> Any:
        return Ref(leaf.index + 1) if isinstance(leaf, Ref) and leaf.index >= count else leaf

    steps = tuple(step.mapped(moved) for step in case.program.steps)
    product = Step("multiply", (moved(case.program.output), Ref(count)))
    declared = (*case.program.inputs, Input("weights", value.shape, value.dtype.name))
    return replace(
        case,
        program=Program(declared, (*steps, product), Ref(count + 1 + len(steps))),
        inputs=(*case.inputs, weights),
        vectors=(*case.vectors, tangent),
        cotangent=np.ones_like(value),
        origin={"weighted": True},
    )


def all_tangents(case: Case, values: Sequence[Any]) -> Mapping[int, Any]:
    """By number, the derivatives along the case's vectors of those `values` that are floats, where they are finite."""
    places = [i for i, value in enumerate(values) if is_float(value)]

    def at_places(*inputs: Any) -> list[Any]:
        met = all_values(replace(case, inputs=inputs))
        return [met[i] for i in places]

    try:
        with np.errstate(all="ignore"):
            found = jvp(at_places, case.inputs, case.vectors)[1]
    except (MinigradError, ArithmeticError, ValueError, TypeError):
        return {}
    return {i: np.asarray(tangent) for i, tangent in zip(places, found, strict=True) if np.all(np.isfinite(tangent))}


def all_cotangents(case: Case, values: Sequence[Any]) -> Mapping[int, tuple[Any, Any]]:
    """By step, what is sent back to its result, and how that changes along the vectors, where both are finite."""
    results = values[len(case.inputs) :]
    places = [step for step, value in enumerate(results) if is_float(value)]

    def at_places(*inputs: Any) -> Any:
        def moved(*moves: Any) -> Any:
            added = dict(zip(places, moves, strict=True))

            def watch(number: int, step: Step, operands: list[Any], result: Any) -> Any:
                return result + added[number - 1] if number - 1 in added else result

            return case.program.run(inputs, NAMES.__getitem__, watch)

        return vjp(moved, *(np.zeros_like(results[step]) for step in places))[1](case.cotangent)

    try:
        with np.errstate(all="ignore"):
            found = zip(places, *jvp(at_places, case.inputs, case.vectors), strict=True)
    except (MinigradError, ArithmeticError, ValueError, TypeError):
        return {}
    return {
        step: (np.asarray(cotangent), np.asarray(tangent))
        for step, cotangent, tangent in found
        if np.all(np.isfinite(cotangent)) and np.all(np.isfinite(tangent))
    }


def is_float(value: Any) -> bool:
    return shape_of(value) is not None and np.asarray(value).dtype.kind == "f"


def smaller_shapes(case: Case, still_fails: StillFails) -> Case:
    """Every length that occurs, cut to 1 or 2 wherever it occurs, as long as the program runs."""
    for length in sorted({n for x in case.inputs for n in x.shape if n > 1}, reverse=True):
        for shorter in range(1, length):
            candidates = [cut(case, length, kept) for kept in (slice(shorter), slice(length - shorter, length))]
            failing = next((c for c in candidates if c is not None and still_fails(c)), None)
            if failing is not None:
                case = failing
                break
    return case


def cut(case: Case, length: int, kept: slice) -> Case | None:
    """The case with every axis of this length cut to some of its entries, or None if it cannot run."""

    def part(x: Any) -> Any:
        return x[tuple(kept if n == length else slice(None) for n in x.shape)]

    inputs = tuple(part(x) for x in case.inputs)
    shorter = kept.stop - (kept.start or 0)

    def constant(leaf: Any) -> Any:
        return part(leaf) if isinstance(leaf, np.ndarray) and leaf.dtype.kind != "i" else leaf

    def parameter(key: str, value: Any) -> Any:
        return tuple(shorter if n == length else n for n in value) if key == "shape" else value

    steps = tuple(
        replace(s.mapped(constant), parameters={key: parameter(key, value) for key, value in s.parameters.items()})
        for s in case.program.steps
    )
    declared = tuple(replace(i, shape=x.shape) for i, x in zip(case.program.inputs, inputs, strict=True))
    return ask_of(case, Program(declared, steps, case.program.output), inputs)


def simpler_numbers(case: Case, still_fails: StillFails) -> Case:
    """Ones, small integers or few decimals, for each input and the cotangent in turn."""
    for i in range(len(case.inputs)):
        for simple in simple_forms(case.inputs[i]):
            candidate = replace(case, inputs=(*case.inputs[:i], simple, *case.inputs[i + 1 :]))
            if still_fails(candidate):
                case = candidate
                break
    for simple in simple_forms(case.cotangent):
        candidate = replace(case, cotangent=simple)
        if still_fails(candidate):
            return candidate
    return case


def simple_forms(x: Any) -> Iterator[Any]:
    """Simpler arrays of the same shape, the simplest first."""
    yield np.ones_like(x)
    yield np.full_like(x, 0.5)
    for decimals in (0, 1, 3):
        rounded = np.round(x, decimals)
        if not np.array_equal(rounded, x):
            yield rounded
