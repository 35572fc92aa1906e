"""Decompositions, whose vectors are not unique: what is asked of their values alone, and the signs that a party chose.

Where values tie, vectors are any of a plane, and a decomposition has no derivative; its values may well
have one, as the largest has where others tie.  And with a pair of vectors its negatives are one as well:
NumPy's own are what LAPACK happens to return, and another build of that may return others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from minigrad.errors import MinigradError
from minigrad.programs import Program, Ref, Step
from minigrad.protocol import map_operand
from oracles.asking import ask
from oracles.cases import Case, FloatArray


class Values(NamedTuple):
    """The function of a decomposition's values alone, and their place among the results."""

    function: str
    place: int


VALUES = {"linalg.eigh": Values("linalg.eigvalsh", 0), "linalg.svd": Values("linalg.svdvals", 1)}


def with_values_alone(case: Case) -> Case:
    """The case with functions of the values for the decompositions without live vectors; steps keep their numbers."""
    program = case.program
    if not any(step.function in VALUES for step in program.steps):
        return case
    first, taken = len(program.inputs), parts_taken(program)
    parted: set[Ref] = set()

    def read(index: int, step: Step) -> Step:
        part = part_of(step)
        if part and part.whole in parted:
            return Step("positive", (part.whole,))
        if step.function not in VALUES or step.parameters.get("hermitian"):
            return step
        function, place = VALUES[step.function]
        if step.parameters.get("compute_uv", True):
            if taken.get(Ref(index)) != {place}:
                return step
            parted.add(Ref(index))
        kept = {key: value for key, value in step.parameters.items() if key == "UPLO"}
        return Step(function, step.operands, kept)

    steps = tuple(read(index, step) for index, step in enumerate(program.steps, first))
    return replace(case, program=Program(program.inputs, steps, program.output))


class Part(NamedTuple):
    """One of several results."""

    whole: Ref
    place: int


def part_of(step: Step) -> Part | None:
    """The part that a step takes of what may be several results, if it takes one."""
    match step:
        case Step("getitem", (Ref() as whole, int(place))):
            return Part(whole, place)
        case _:
            return None


def parts_taken(program: Program) -> dict[Ref, set[int]]:
    """By the reference to a result, which parts of it come to the output."""
    live, taken = program.live(), dict[Ref, set[int]]()
    for index, step in enumerate(program.steps, len(program.inputs)):
        if index in live and (found := part_of(step)):
            taken.setdefault(found.whole, set()).add(found.place)
    return taken


VECTORS: Mapping[str, Mapping[int, int]] = {
    "linalg.eigh": {1: -1},
    "linalg.qr": {0: -1, 1: -2},
    "linalg.svd": {0: -1, 2: -2},
}
"""By the parts of a result whose signs go together, the axis that counts vectors: that of most tells their signs."""


def with_signs_of(party: str, case: Case) -> Case | None:
    """The case with the vectors that a party chose for NumPy's, where these differ by signs; None where they do not.

    Its program multiplies them by these, and is what the party's own answer to `case` is to be held against; of
    another point the signs may be others.
    """
    if not any(step.function in VECTORS for step in case.program.steps):
        return None
    first, steps, places = len(case.program.inputs), list[Step](), dict[int, int]()
    taken = parts_taken(case.program)
    turned: dict[Ref, Mapping[int, FloatArray]] = {}

    def placed(operand: Any) -> Any:
        return map_operand(lambda x: Ref(places[x.index]) if isinstance(x, Ref) and x.index >= first else x, operand)

    def then(step: Step) -> Ref:
        steps.append(step)
        return Ref(first + len(steps) - 1)

    for number, step in enumerate(case.program.steps):
        ref = then(step.mapped(placed))
        part = part_of(step)
        if VECTORS.get(step.function, {}).keys() & taken.get(Ref(first + number), set()):
            asked = Program(case.program.inputs, case.program.steps[: number + 1], Ref(first + number))
            signs = signs_of(party, case, asked, Program(case.program.inputs, tuple(steps), ref))
            if signs is not None:
                turned[Ref(first + number)] = signs
        elif part and part.whole in turned and part.place in turned[part.whole]:
            ref = then(Step("multiply", (ref, turned[part.whole][part.place])))
        places[first + number] = ref.index
    output = placed(case.program.output)
    return replace(case, program=Program(case.program.inputs, tuple(steps), output)) if turned else None


def signs_of(party: str, case: Case, asked: Program, own: Program) -> Mapping[int, FloatArray] | None:
    """By the part, what a party's vectors are multiplied by beside those of NumPy; None if by nothing.

    Each program's result is that of the decomposition.
    """
    parts = VECTORS[asked.steps[-1].function]
    try:
        with np.errstate(all="ignore"):
            ours = own(*case.inputs)
    except MinigradError:
        return None
    if not isinstance(ours, tuple):
        return None  # values alone
    counts = {place: ours[place].shape[axis] for place, axis in parts.items()}
    most = max(counts, key=lambda place: counts[place])
    first = Step("getitem", (asked.output, most))
    vectors = Program(asked.inputs, (*asked.steps, first), Ref(len(asked.inputs) + len(asked.steps)))
    answer = ask(party, replace(case, program=vectors, cotangent=np.zeros_like(ours[most])), 1)
    theirs = answer.arrays[0] if answer.arrays else None
    if not isinstance(theirs, np.ndarray) or theirs.shape != ours[most].shape:
        return None
    with np.errstate(all="ignore"):
        cosines = np.sum(ours[most] * theirs, axis=-3 - parts[most])
    signs = np.where(cosines < -OPPOSITE, -1, 1).astype(case.dtype)
    if not np.any(signs < 0):
        return None
    return {place: np.expand_dims(signs[..., : counts[place]], -3 - axis) for place, axis in parts.items()}


OPPOSITE = 0.5
"""The cosine from which on a vector is the negative of another, and no other vector."""
