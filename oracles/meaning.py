"""What a party means by a function where that is not what NumPy means, as a case of its own.

All that are on record are functions of symmetric matrices (see ``known.toml``).  NumPy reads one
triangle of these; others read the mean with the transpose, or the same triangle but with a
derivative that is spread over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.programs import Program, Ref, Step
from minigrad.protocol import NAMES, map_operand
from oracles.cases import Case
from oracles.known import cited, entries


def meanings(case: Case, party: str) -> dict[str, Mapping[str, Any]]:
    """By function of the case, what is on record of a party's own meaning."""
    framework = party.partition(".")[0]
    of_party = {entry["function"]: entry for entry in entries()["semantics"] if entry["party"] == framework}
    functions = {step.function for step in case.program.steps if is_meant(step, of_party)}
    return {function: of_party[function] for function in of_party if function in functions}


def is_meant(step: Step, found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether one of these meanings is that of a step."""
    entry = found.get(step.function)
    return entry is not None and ("if" not in entry or bool(step.parameters.get(entry["if"])))


def reasons(found: Mapping[str, Mapping[str, Any]]) -> str:
    """These meanings in words."""
    return "; ".join(f"{name}: {cited(entry['reason'], entry['cite'])}" for name, entry in found.items())


def as_meant(case: Case, found: Mapping[str, Mapping[str, Any]]) -> Case:
    """The case in NumPy's own functions, of matrices that are made symmetric first."""
    matrices: dict[int, Any] = {}

    def watch(number: int, step: Step, operands: list[Any], result: Any) -> Any:
        matrices[number] = operands[0] if is_meant(step, found) else None
        return result

    with np.errstate(all="ignore"):
        case.program.run(case.inputs, NAMES.__getitem__, watch)
    first, steps, places = len(case.program.inputs), list[Step](), dict[int, int]()

    def placed(operand: Any) -> Any:
        return map_operand(lambda x: Ref(places.get(x.index, x.index)) if isinstance(x, Ref) else x, operand)

    def then(function: str, *operands: Any, **parameters: Any) -> Ref:
        steps.append(Step(function, operands, parameters))
        return Ref(first + len(steps) - 1)

    for number, step in enumerate(case.program.steps, 1):
        operands = [placed(operand) for operand in step.operands]
        if is_meant(step, found):
            twice = then("add", operands[0], then("matrix_transpose", operands[0]))
            operands[0] = then("multiply", twice, 0.5)
            if found[step.function]["reads"] == "triangle":
                operands[0] = then("add", operands[0], beyond_mean(matrices[number], step.parameters))
        places[first + number - 1] = then(step.function, *operands, **step.parameters).index
    return replace(case, program=Program(case.program.inputs, tuple(steps), placed(case.program.output)))


def beyond_mean(matrix: Any, parameters: Mapping[str, Any]) -> Any:
    """What a matrix of which one triangle is read has beyond its mean with its transpose."""
    turned = np.swapaxes(matrix, -1, -2)
    upper = parameters.get("upper", False) or parameters.get("UPLO", "L") in ("U", "u")
    read = np.triu(matrix) + np.tril(turned, -1) if upper else np.tril(matrix) + np.triu(turned, 1)
    return np.asarray(read - (matrix + turned) * 0.5, matrix.dtype)
