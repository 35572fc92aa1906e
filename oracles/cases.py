"""A case: a program, the point to differentiate it at, and what to contract the derivative with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import MinigradError
from minigrad.programs import Program, decode_array, encode_array
from minigrad.protocol import NAMES
from oracles.errors import UsageError

FORMAT = "minigrad-case"

SHORT = {"float64": "f64", "float32": "f32"}
"""What the names of cases begin with."""

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class Case:
    """What every party is asked: the gradient of ``sum(cotangent * program(*inputs))``.

    At order 2, the product of its Hessian with `vectors` (one per input).  All arrays have the
    dtype `dtype`.
    """

    id: str
    program: Program
    inputs: tuple[FloatArray, ...]
    cotangent: FloatArray
    vectors: tuple[FloatArray, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Where it came from: a named program, or the block and number of its draw."""

    @property
    def dtype(self) -> str:
        return self.cotangent.dtype.name

    def as_data(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "id": self.id,
            "origin": dict(self.origin),
            "program": self.program.as_data(),
            "inputs": [encode_array(x) for x in self.inputs],
            "cotangent": encode_array(self.cotangent),
            "vectors": [encode_array(v) for v in self.vectors],
        }

    @classmethod
    def from_data(cls, data: Any) -> Case:
        """The case that `as_data` described; raises `UsageError` for anything else."""
        if not isinstance(data, dict) or "program" not in data:
            raise UsageError('not a case: expected an object with "program", "inputs", "cotangent" and "vectors"')
        try:
            program = Program.from_data(data["program"])
            inputs = tuple(decode_array(x) for x in data["inputs"])
            cotangent = decode_array(data["cotangent"])
            vectors = tuple(decode_array(v) for v in data["vectors"])
        except MinigradError as error:
            raise UsageError(f"the case's program: {error}") from None
        except KeyError as error:
            raise UsageError(f"the case lacks the entry {error}") from None
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UsageError(f"the case's arrays are malformed: {error}") from None
        origin = data.get("origin", {})
        name = str(data.get("id", "unnamed"))
        return cls(name, program, inputs, cotangent, vectors, origin if isinstance(origin, dict) else {})

    def check(self) -> None:
        """Run the program once on NumPy; raises `UsageError` where anything does not fit."""
        dtypes = {x.dtype.name for x in (*self.inputs, self.cotangent, *self.vectors)}
        if not self.inputs or len(dtypes) > 1 or not dtypes <= {"float64", "float32"}:
            raise UsageError(
                f"case {self.id}: give at least one input, and inputs, cotangent and vectors all of float64 or all of "
                f"float32; they are {', '.join(sorted(dtypes))}"
            )
        if not all(np.all(np.isfinite(x)) for x in (self.cotangent, *self.vectors)):
            raise UsageError(f"case {self.id}: the cotangent and the vectors must be finite; any weights do, such as 1")
        try:
            with np.errstate(all="ignore"):
                value = self.program(*self.inputs)
        except MinigradError as error:
            raise UsageError(f"case {self.id}: {error}") from None
        if np.shape(value) != self.cotangent.shape:
            raise UsageError(
                f"case {self.id}: the cotangent has shape {self.cotangent.shape}; "
                f"give it the result's, {np.shape(value)}"
            )
        if [v.shape for v in self.vectors] != [x.shape for x in self.inputs]:
            raise UsageError(f"case {self.id}: there must be one vector per input, of the input's shape")


def all_values(case: Case) -> list[Any]:
    """The inputs and the result of every step."""
    values: list[Any] = list(case.inputs)

    def watch(number: int, step: Any, operands: list[Any], result: Any) -> Any:
        values.append(result)
        return result

    with np.errstate(all="ignore"):
        case.program.run(case.inputs, NAMES.__getitem__, watch)
    return values


def read_case(path: Path) -> Case:
    """Read a case file and check that it can run; raises `UsageError` that names the file, the place and the mend."""
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error}); write it again or give another file") from None
    try:
        case = Case.from_data(data)
        case.check()
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return case


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
