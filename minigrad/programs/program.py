"""`Program`: a straight-line record of NumPy calls, as data.

A Program can be run on anything that answers NumPy calls, printed as the Python that it is,
compared, hashed, and written to JSON and back without losing a bit: floats travel as hexadecimal.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.errors import ProgramError, ShapeError
from minigrad.protocol import NAMES, Function, leaves, map_operand

FORMAT = "minigrad-program"
VERSION = 1

OPERATORS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "matmul": "@",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}


@dataclass(frozen=True)
class Ref:
    """The value of input or step number `index`, counting the inputs first."""

    index: int


@dataclass(frozen=True)
class Input:
    """A typed input: its name, shape and dtype name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Step:
    """One call, ``function(*operands, **parameters)``; operands hold `Ref`s and constants."""

    function: str
    operands: tuple[Any, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def mapped(self, change: Function) -> Step:
        """The same call with `change` applied to each leaf of its operands."""
        return replace(self, operands=map_operand(change, self.operands))


class Spelling:
    """How a Program's steps are written as Python: here for NumPy, elsewhere for other libraries."""

    module = "np"

    def call(self, function: str, operands: Sequence[str], parameters: Mapping[str, Any]) -> str:
        """The expression for one step; `operands` are expressions already."""
        if function == "getitem":
            return f"{operands[0]}[{operands[1]}]"
        if function in OPERATORS:
            return f"{operands[0]} {OPERATORS[function]} {operands[1]}"
        if function == "negative":
            return f"-{operands[0]}"
        path = f"{self.module}.{function}"
        if "." in function and not hasattr(np, function.split(".")[0]):
            path = path_of(function)
        named = [f"{key}={self.parameter(value)}" for key, value in parameters.items()]
        return f"{path}({', '.join([*operands, *named])})"

    def parameter(self, value: Any) -> str:
        if isinstance(value, (np.dtype, type)):
            return f"{self.module}.{np.dtype(value).name}"
        return self.array(value) if isinstance(value, np.ndarray) else literal(value)

    def array(self, value: np.ndarray[Any, Any]) -> str:
        """The expression for a constant array."""
        if not value.ndim:
            return f"{self.module}.{value.dtype.name}({literal(value.tolist())})"
        if not value.size:
            return f"{self.module}.zeros({value.shape}, dtype={self.module}.{value.dtype.name})"
        return f"{self.module}.array({literal(value.tolist())}, dtype={self.module}.{value.dtype.name})"

    def operand(self, operand: Any, name: Callable[[Ref], str]) -> str:
        """The expression for an operand, whose values go by `name`."""
        if isinstance(operand, (list, tuple)):
            items = ", ".join(self.operand(item, name) for item in operand)
            return f"[{items}]" if isinstance(operand, list) else f"({items}{',' * (len(operand) == 1)})"
        if isinstance(operand, Ref):
            return name(operand)
        if isinstance(operand, (np.ndarray, np.generic)):
            return self.array(np.asarray(operand))
        if isinstance(operand, (np.dtype, type)):
            return self.parameter(operand)
        if isinstance(operand, (int, float)) and not isinstance(operand, bool) and str(operand).startswith("-"):
            return f"({literal(operand)})"
        return literal(operand)

    def index(self, operand: Any, name: Callable[[Ref], str]) -> str:
        """The expression for what stands between the brackets of an index."""
        parts = operand if isinstance(operand, tuple) else (operand,)
        shown = ", ".join(
            slice_text(part) if isinstance(part, slice) else "..." if part is ... else self.operand(part, name)
            for part in parts
        )
        return (shown or "()") + "," * (isinstance(operand, tuple) and len(operand) == 1)

    def step(self, step: Step, name: Callable[[Ref], str]) -> str:
        """The expression for a whole step."""
        place = [self.operand, self.index] if step.function == "getitem" else [self.operand] * len(step.operands)
        operands = [spell(operand, name) for spell, operand in zip(place, step.operands, strict=True)]
        return self.call(step.function, operands, step.parameters)


def copied(x: Any) -> Any:
    """A constant array as a program keeps it and hands it out: safe from whoever writes into the other."""
    return np.array(x) if isinstance(x, (np.ndarray, np.generic)) else x


def path_of(function: str) -> str:
    """Where to import a function that is not NumPy's from, by its name."""
    home = getattr(NAMES.get(function), "__module__", None)
    return f"{home}.{function.rpartition('.')[2]}" if home else function


def literal(value: Any) -> str:
    """``repr``, but with every float readable again as Python: infinities and NaN included."""
    return repr(value) if isinstance(value, str) else re.sub(r"\b(nan|inf)\b", r"float('\1')", repr(value))


@dataclass(frozen=True, eq=False)
class Program:
    """Typed inputs, steps, and an output.

    Call it like the function that it was traced from; any kind of array will do, so its dtypes
    may differ from the declared ones, but not its shapes.

    >>> import numpy as np
    >>> from minigrad import trace
    >>> program = trace(lambda x, y: np.tanh(x + y) * x, 1.0, 2.0)
    >>> print(program)
    def program(x: float64[], y: float64[]):
        v1 = x + y         #(1)
        v2 = np.tanh(v1)   #(2)
        v3 = v2 * x        #(3)
        return v3
    >>> Program.from_json(program.to_json()) == program
    True
    """

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    output: Any

    def __post_init__(self) -> None:
        for number, step in enumerate(self.steps, 1):
            if step.function not in NAMES:
                raise ProgramError(
                    f"step ({number}) calls {step.function!r}, which is no known function; "
                    "use NumPy's name for it, or import the module that defines it as a primitive"
                )
            self._check_refs(step.operands, len(self.inputs) + number - 1, f"step ({number})")
        self._check_refs(self.output, len(self.inputs) + len(self.steps), "the output")

    def _check_refs(self, operand: Any, known: int, place: str) -> None:
        def check(leaf: Any) -> None:
            if isinstance(leaf, Ref) and not 0 <= leaf.index < known:
                raise ProgramError(
                    f"{place} uses the value of {self._name(leaf)}, which is not computed before it; "
                    "order the steps so that each uses only inputs and earlier steps"
                )

        map_operand(check, operand)

    def _name(self, ref: Ref) -> str:
        n = len(self.inputs)
        return self.inputs[ref.index].name if ref.index < n else f"v{ref.index - n + 1}"

    # Running.

    def __call__(self, *inputs: Any) -> Any:
        return self.run(inputs, NAMES.__getitem__)

    def run(self, inputs: Sequence[Any], lookup: Callable[[str], Function], watch: Function | None = None) -> Any:
        """The output for these inputs, each function found by name with `lookup`.

        `watch(number, step, operands, result)` is called after each step, and may return another
        result in its stead.  Raises `ShapeError` for inputs that do not fit the declared ones, and
        `ProgramError` naming the step that could not run.
        """
        if len(inputs) != len(self.inputs):
            raise ShapeError(f"the program takes {len(self.inputs)} inputs, got {len(inputs)}")
        for declared, given in zip(self.inputs, inputs, strict=True):
            if tuple(np.shape(given)) != declared.shape:
                raise ShapeError(
                    f"input {declared.name} has shape {tuple(np.shape(given))}; "
                    f"the program was made for {declared.shape}"
                )
        values = list(inputs)

        def resolve(leaf: Any) -> Any:
            return values[leaf.index] if isinstance(leaf, Ref) else leaf

        for number, step in enumerate(self.steps, 1):
            operands = [values[x.index] if type(x) is Ref else map_operand(resolve, x) for x in step.operands]
            try:
                result = lookup(step.function)(*operands, **step.parameters)
            except (ValueError, TypeError, IndexError) as error:
                raise ProgramError(f"step ({number}) {step.function} cannot run: {error}") from error
            values.append(result if watch is None else watch(number, step, operands, result))
        return map_operand(lambda leaf: resolve(leaf) if isinstance(leaf, Ref) else copied(leaf), self.output)

    def live(self) -> set[int]:
        """What the output depends on: inputs and steps, by index as in `Ref`."""
        live = {leaf.index for leaf in leaves(self.output) if isinstance(leaf, Ref)}
        for index, step in reversed([*enumerate(self.steps, len(self.inputs))]):
            if index in live:
                live |= {leaf.index for leaf in leaves(step.operands) if isinstance(leaf, Ref)}
        return live

    def without_dead_steps(self) -> tuple[Program, list[int]]:
        """The same output from only the inputs and steps that it depends on, and the numbers of those inputs.

        One input is always kept, if there is any.
        """
        n, live = len(self.inputs), self.live()
        kept = [i for i in range(n) if i in live] or list(range(n))[:1]
        order = kept + [n + k for k in range(len(self.steps)) if n + k in live]
        renumbered = {old: Ref(new) for new, old in enumerate(order)}

        def renumber(leaf: Any) -> Any:
            return renumbered[leaf.index] if isinstance(leaf, Ref) else leaf

        steps = tuple(self.steps[i - n].mapped(renumber) for i in order[len(kept) :])
        return Program(tuple(self.inputs[i] for i in kept), steps, map_operand(renumber, self.output)), kept

    # As text.

    def source(self, name: str = "program", spelling: Spelling | None = None, annotate: bool = False) -> str:
        """The program as a Python function, one numbered line a step."""
        spelling = spelling or Spelling()

        lines = [f"v{n} = {spelling.step(step, self._name)}" for n, step in enumerate(self.steps, 1)]
        width = min(max((len(line) for line in lines), default=0), 72)
        arguments = ", ".join(f"{i.name}: {spec_text(i)}" if annotate else i.name for i in self.inputs)
        body = [f"    {line:<{width}}   #({number})" for number, line in enumerate(lines, 1)]
        return "\n".join(
            [f"def {name}({arguments}):", *body, f"    return {spelling.operand(self.output, self._name)}"]
        )

    def __str__(self) -> str:
        return self.source(annotate=True)

    def __repr__(self) -> str:
        return f"<Program of {len(self.inputs)} inputs and {len(self.steps)} steps>"

    # As data.

    @cached_property
    def _canonical(self) -> str:
        return json.dumps(self.as_data(), sort_keys=True, separators=(",", ":"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash(self._canonical)

    def as_data(self) -> dict[str, Any]:
        """The program as JSON-able data; see `from_data`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "inputs": [{"name": i.name, "shape": list(i.shape), "dtype": i.dtype} for i in self.inputs],
            "steps": [
                {
                    "function": step.function,
                    "operands": [encode(operand, self._name) for operand in step.operands],
                    "parameters": {key: encode(value, self._name) for key, value in step.parameters.items()},
                }
                for step in self.steps
            ],
            "output": encode(self.output, self._name),
        }

    def to_json(self) -> str:
        return json.dumps(self.as_data(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Program:
        """Read a program; raises `ProgramError` that names the place and the mend."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ProgramError(
                f"not a program: the JSON breaks off or is malformed at line {error.lineno}, column {error.colno}"
            ) from None
        except RecursionError:
            raise ProgramError("not a program: the JSON is nested too deeply") from None
        return cls.from_data(data)

    @classmethod
    def from_data(cls, data: Any) -> Program:
        """The program that `as_data` described; raises `ProgramError` for anything else."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ProgramError(f'not a program: expected an object with "format": "{FORMAT}"')
        if data.get("version") != VERSION:
            raise ProgramError(
                f"program version {data.get('version')!r} is not {VERSION}; write it again with this minigrad"
            )
        place = "the inputs"
        try:
            inputs = tuple(
                Input(str(i["name"]), tuple(int(n) for n in i["shape"]), np.dtype(i["dtype"]).name)
                for i in data["inputs"]
            )
            names = [i.name for i in inputs] + [f"v{n}" for n in range(1, len(data["steps"]) + 1)]
            if not all(name.isidentifier() and not keyword.iskeyword(name) for name in names):
                raise ProgramError("the name of an input must be one that Python allows")
            if len(set(names)) < len(names):
                raise ProgramError(
                    "two values have the same name; rename the inputs, and leave v1, v2, ... to the steps"
                )
            refs = {name: Ref(i) for i, name in enumerate(names)}
            steps = []
            for number, step in enumerate(data["steps"], 1):
                place = f"step ({number})"
                operands = tuple(decode(operand, refs) for operand in step["operands"])
                steps.append(
                    Step(str(step["function"]), operands, {k: decode(v, {}) for k, v in step["parameters"].items()})
                )
            place = "the output"
            output = decode(data["output"], refs)
        except ProgramError as error:
            raise ProgramError(f"{place}: {error}") from None
        except KeyError as error:
            raise ProgramError(f"{place}: the entry {error} is missing") from None
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ProgramError(f"{place}: malformed ({error})") from None
        return cls(inputs, tuple(steps), output)


def spec_text(declared: Input) -> str:
    return f"{declared.dtype}[{','.join(map(str, declared.shape))}]"


def slice_text(part: slice) -> str:
    start, stop, step = ("" if v is None else str(v) for v in (part.start, part.stop, part.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


# The JSON form of operands and parameters: a string refers to a value by its printed name; floats
# are hexadecimal; what JSON lacks is an object with a single telling key.


def encode_array(array: Any) -> dict[str, Any]:
    """An array as shape, dtype name and flat data, floats in hexadecimal."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ProgramError(f"numbers of dtype {array.dtype} cannot be part of a program; use float64 or the like")
    data = array.ravel().tolist()
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "data": [v.hex() for v in data] if array.dtype.kind == "f" else data,
    }


def decode_array(data: Any) -> np.ndarray[Any, Any]:
    dtype = np.dtype(data["dtype"])
    values = [float.fromhex(v) for v in data["data"]] if dtype.kind == "f" else data["data"]
    return np.array(values, dtype).reshape([int(n) for n in data["shape"]])


def encode(value: Any, name: Callable[[Ref], str]) -> Any:
    if isinstance(value, Ref):
        return name(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return {"array": encode_array(value)}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list):
        return [encode(item, name) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item, name) for item in value]}
    if isinstance(value, slice):
        return {"slice": [encode(item, name) for item in (value.start, value.stop, value.step)]}
    if value is ...:
        return {"ellipsis": True}
    if isinstance(value, (np.dtype, type)):
        return {"dtype": np.dtype(value).name}
    raise ProgramError(
        f"a {type(value).__name__} cannot be part of a program; use arrays, numbers, slices and the like"
    )


def decode(data: Any, refs: Mapping[str, Ref]) -> Any:
    if isinstance(data, str):
        if data not in refs:
            raise ProgramError(
                f"there is no value called {data!r} to use here; inputs go by their names and steps by v1, v2, ..., "
                "while parameters and slices hold constants"
            )
        return refs[data]
    if data is None or isinstance(data, (bool, int)):
        return data
    if isinstance(data, list):
        return [decode(item, refs) for item in data]
    if isinstance(data, dict) and len(data) == 1:
        [(kind, inner)] = data.items()
        if kind == "array":
            return decode_array(inner)
        if kind == "float":
            return float.fromhex(inner)
        if kind == "text":
            return str(inner)
        if kind == "tuple":
            return tuple(decode(item, refs) for item in inner)
        if kind == "slice":
            return slice(*(decode(item, {}) for item in inner))
        if kind == "ellipsis":
            return ...
        if kind == "dtype":
            return np.dtype(inner)
    raise ProgramError(f"{json.dumps(data)[:60]} is no operand; see Program.as_data for the form")
