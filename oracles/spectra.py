"""Decompositions of which nobody uses the vectors, read as the functions of the values that they then are.

Where values tie, vectors are any of a plane, and a decomposition has no derivative; its values may well
have one, as the largest has where others tie.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from minigrad.programs import Program, Ref, Step
from oracles.cases import Case


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
    first, live = len(program.inputs), program.live()
    taken: dict[Ref, set[object]] = {}
    for index, step in enumerate(program.steps, first):
        if index in live and isinstance(step.operands[0], Ref):
            part = step.operands[1] if step.function == "getitem" else None
            taken.setdefault(step.operands[0], set()).add(part)
    parted: set[Ref] = set()

    def read(index: int, step: Step) -> Step:
        source = step.operands[0]
        if step.function == "getitem" and source in parted:
            return Step("positive", (source,))
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
