"""Metamorphic laws: what must hold between one party's answers to two questions.

A law makes other cases of a case, the variants, whose gradients give back those of the case itself. Each has the
same value in every bit, so that what is certified of the case holds of what the variants give back; and each is a
case like any other, which has a truth of its own where that is in doubt.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.errors import MinigradError
from minigrad.programs import Program, Ref, Step
from minigrad.protocol import NAMES, leaves, map_operand
from oracles.cases import Case, FloatArray, all_values
from oracles.facts import seed_of

Gradients = Sequence[FloatArray]


@dataclass(frozen=True)
class Variant:
    """What a law makes of a case."""

    cases: tuple[Case, ...]
    back: Callable[[Sequence[Gradients]], Gradients] = lambda gradients: gradients[0]
    """From the gradients of `cases` those of the case itself; from their noise, that of the result."""


Law = Callable[[Case, np.random.Generator], Variant | None]


# The same program, another question.


def linear(case: Case, random: np.random.Generator) -> Variant:
    """J'(a + b) = J'a + J'b, where b has the other sign in every element."""
    w, mask = case.cotangent, random.random(case.cotangent.shape) < 0.5
    parts = (np.where(mask, 2 * w, -w), np.where(mask, -w, 2 * w))
    return Variant(
        tuple(replace(case, cotangent=part.astype(w.dtype)) for part in parts),
        lambda gradients: [a + b for a, b in zip(*gradients, strict=True)],
    )


# An input in another form, and read as it was.


def doubled(case: Case, random: np.random.Generator) -> Variant | None:
    """f((x + x) / 2) = f(x), where x + x can be held."""
    k, new = int(random.integers(len(case.inputs))), count(case.program)
    x = case.inputs[k]
    if np.any(np.isinf(x + x) & ~np.isinf(x)):
        return None
    steps = Step("add", (Ref(k), Ref(k))), Step("multiply", (Ref(new), 0.5))
    return Variant((read_through(case, k, lambda x: x, *steps),))


def permuted(case: Case, random: np.random.Generator) -> Variant | None:
    """f(P'(Px)) = f(x), and the gradient by Px is P times that by x; P is one cycle, so seldom its own inverse."""
    candidates = [(k, axis) for k, x in enumerate(case.inputs) for axis in range(x.ndim) if x.shape[axis] > 1]
    if not candidates:
        return None
    k, axis = candidates[random.integers(len(candidates))]
    cycle = random.permutation(case.inputs[k].shape[axis])
    order = np.roll(cycle, 1)[np.argsort(cycle)]
    undo = Step("take", (Ref(k), np.argsort(order)), {"axis": axis})
    other = read_through(case, k, lambda x: np.take(x, order, axis), undo)
    return Variant((other,), instead(k, lambda g: np.take(g, np.argsort(order), axis)))


def reshaped(case: Case, random: np.random.Generator) -> Variant:
    """f of the elements in a row is f(x), and the gradients are each other's, reshaped; a row is made a column."""
    k = int(random.integers(len(case.inputs)))
    shape = case.inputs[k].shape
    other = (-1, 1) if len(shape) == 1 else (-1,)
    undo = Step("reshape", (Ref(k),), {"shape": shape})
    return Variant(
        (read_through(case, k, lambda x: np.reshape(x, other), undo),), instead(k, lambda g: g.reshape(shape))
    )


# The same inputs, another program.


def tiled(case: Case, random: np.random.Generator) -> Variant | None:
    """x * y = tile(x) * y, where x is broadcast."""
    values = all_values(case)
    steps, new = keyed(case.program), count(case.program)
    candidates = [
        (number, place)
        for number, (key, step) in enumerate(steps)
        for place, operand in enumerate(step.operands)
        if is_elementwise(step)
        and isinstance(operand, Ref)
        and np.shape(values[operand.index]) != np.shape(values[key])
    ]
    if not candidates:
        return None
    number, place = candidates[random.integers(len(candidates))]
    key, step = steps[number]
    full, shape = np.shape(values[key]), np.shape(values[step.operands[place].index])
    own = (1,) * (len(full) - len(shape)) + shape
    times = tuple(m // n if n else 1 for m, n in zip(full, own, strict=True))
    operands = (*step.operands[:place], Ref(new), *step.operands[place + 1 :])
    pair = [(new, Step("tile", (step.operands[place], times))), (key, replace(step, operands=operands))]
    return same_inputs(case, [*steps[:number], *pair, *steps[number + 1 :]])


def dead(case: Case, random: np.random.Generator) -> Variant | None:
    """f(x) = f(x), log(v - v) left unused: infinite, with an infinite derivative."""
    steps, new = keyed(case.program), count(case.program)
    floats = [i for i, value in enumerate(all_values(case)) if getattr(value, "dtype", None) == case.dtype]
    v = Ref(int(random.choice(floats)))
    branch = [(new, Step("subtract", (v, v))), (new + 1, Step("log", (Ref(new),)))]
    return same_inputs(case, [*steps, *branch])


def reordered(case: Case, random: np.random.Generator) -> Variant | None:
    """The steps in another order, each still after those that it takes from: the last ones as early as may be."""
    waiting, done = keyed(case.program), set(range(len(case.inputs)))
    steps: list[tuple[int, Step]] = []
    while waiting:
        ready = [each for each in waiting if all(leaf.index in done for leaf in refs(each[1].operands))]
        waiting.remove(ready[-1])
        steps.append(ready[-1])
        done.add(ready[-1][0])
    return None if steps == keyed(case.program) else same_inputs(case, steps)


def twice(case: Case, random: np.random.Generator) -> Variant | None:
    """A value that is used several times is computed twice, and every other use is of the second."""
    program, n, new = case.program, len(case.inputs), count(case.program)
    uses = Counter(leaf.index for step in program.steps for leaf in refs(step.operands))
    uses.update(leaf.index for leaf in refs(program.output))
    forks = [index for index, times in sorted(uses.items()) if index >= n and times > 1]
    if not forks:
        return None
    fork, number = int(random.choice(forks)), 0

    def shared_out(leaf: Any) -> Any:
        nonlocal number
        if not (isinstance(leaf, Ref) and leaf.index == fork):
            return leaf
        number += 1
        return Ref(new) if number % 2 else leaf

    steps = [(key, replace(step, operands=map_operand(shared_out, step.operands))) for key, step in keyed(program)]
    copy = (new, program.steps[fork - n])
    place = fork - n + 1
    return same_inputs(case, [*steps[:place], copy, *steps[place:]], map_operand(shared_out, program.output))


LAWS: dict[str, Law] = {
    law.__name__: law for law in (linear, doubled, permuted, reshaped, tiled, dead, reordered, twice)
}

TRANSPOSED = "transposed"
"""<Jv, w> = <v, J'w>: what a party's forward mode gives, where it has one, beside its backward pass."""

LAW_NAMES = (*LAWS, TRANSPOSED)

RARE = ("reordered",)
"""Laws that few cases can be put to: each that can, is."""

HOLDS_AT_KINKS = ("linear",)
"""Laws by which also the choice at a kink must be the same: a pullback is linear whatever it chooses."""


def variant_of(case: Case, name: str) -> Variant | None:
    """What a law makes of a case; None if it says nothing about it, or does not leave the value as it is."""
    random = np.random.default_rng(seed_of(case))
    with np.errstate(all="ignore"):
        try:
            variant = LAWS[name](case, random)
            value = np.asarray(case.program(*case.inputs))
            values = [np.asarray(other.program(*other.inputs)) for other in variant.cases] if variant else []
        except MinigradError:
            return None
    same = all(np.shape(v) == value.shape and v.tobytes() == value.tobytes() for v in values)
    finite = variant is not None and all(np.all(np.isfinite(other.cotangent)) for other in variant.cases)
    return variant if same and finite else None


def shown_by(case: Case, number: int) -> Case:
    """The case of this number that its law makes of a case, as a case like any other."""
    variant = variant_of(case, case.origin["law"])
    assert variant is not None
    return replace(variant.cases[number], origin={key: v for key, v in case.origin.items() if key != "law"})


def law_for(case: Case, served: Mapping[str, int], among: Sequence[str] = LAW_NAMES) -> str:
    """Of the laws that say something about a case, the one that has been served the least; empty if none does."""
    in_turn = sorted(among, key=lambda name: served.get(name, 0))
    return next((name for name in in_turn if name == TRANSPOSED or variant_of(case, name) is not None), "")


def pairing(these: Sequence[Any], those: Sequence[Any]) -> float:
    """The sum of all products, element by element; NaN where that is beyond all floats."""
    products = [np.ravel(np.asarray(a, np.float64) * b) for a, b in zip(these, those, strict=True)]
    try:
        return math.fsum(np.concatenate(products))
    except (OverflowError, ValueError):
        return math.nan


# Programs, taken apart and put together: each step with a key, by which others refer to it.


def keyed(program: Program) -> list[tuple[int, Step]]:
    return [*enumerate(program.steps, len(program.inputs))]


def count(program: Program) -> int:
    """The first key that is free."""
    return len(program.inputs) + len(program.steps)


def refs(operand: Any) -> list[Ref]:
    return [leaf for leaf in leaves(operand) if isinstance(leaf, Ref)]


def assembled(program: Program, steps: Sequence[tuple[int, Step]], output: Any) -> Program:
    """A program of the same inputs, and of these steps in this order."""
    n = len(program.inputs)
    places = {**{i: i for i in range(n)}, **{key: n + place for place, (key, _) in enumerate(steps)}}

    def renumber(operand: Any) -> Any:
        return map_operand(lambda leaf: Ref(places[leaf.index]) if isinstance(leaf, Ref) else leaf, operand)

    placed = tuple(replace(step, operands=renumber(step.operands)) for _, step in steps)
    return Program(program.inputs, placed, renumber(output))


def same_inputs(case: Case, steps: Sequence[tuple[int, Step]], output: Any = None) -> Variant:
    output = case.program.output if output is None else output
    return Variant((replace(case, program=assembled(case.program, steps, output)),))


def read_through(case: Case, k: int, form: Callable[[Any], Any], *steps: Step) -> Case:
    """Input `k` is given in another form, and the result of `steps`, the first of which takes it, stands in for it."""
    new = count(case.program)
    last = Ref(new + len(steps) - 1)

    def redirect(operand: Any) -> Any:
        return map_operand(lambda leaf: last if isinstance(leaf, Ref) and leaf.index == k else leaf, operand)

    read = [(key, replace(step, operands=redirect(step.operands))) for key, step in keyed(case.program)]
    inputs, vectors = (
        tuple(np.array(form(x)) if i == k else x for i, x in enumerate(arrays))
        for arrays in (case.inputs, case.vectors)
    )
    declared = tuple(replace(i, shape=x.shape) for i, x in zip(case.program.inputs, inputs, strict=True))
    start = replace(case.program, inputs=declared)
    program = assembled(start, [*enumerate(steps, new), *read], redirect(case.program.output))
    return replace(case, program=program, inputs=inputs, vectors=vectors)


def instead(k: int, undo: Callable[[FloatArray], FloatArray]) -> Callable[[Sequence[Gradients]], Gradients]:
    return lambda gradients: [undo(g) if i == k else g for i, g in enumerate(gradients[0])]


def is_elementwise(step: Step) -> bool:
    """Whether it broadcasts its operands, and does nothing to them besides that is not element by element."""
    function = NAMES[step.function]
    return isinstance(function, np.ufunc) and function.signature is None and not step.parameters
