"""What users give to be judged: a function of theirs, with its primitives' rules or with a backward pass by hand.

The truth comes from the function's formula, a program of functions that the referee knows: a primitive counts there as
the NumPy code that it is, whatever its rule says.  On trial is what was given, behind the adapter protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.errors import MinigradError
from minigrad.programs import follow
from minigrad.protocol import NAMES
from oracles.adapters import KNOWN
from oracles.adapters.minigrad import MinigradAdapter
from oracles.errors import Unsupported, UsageError

Function = Callable[..., Any]


def formula_of(function: Function, inputs: Sequence[Any]) -> tuple[mg.Program, list[str], bool]:
    """The function as a program without primitives of its own, their names, and whether it branched on a value.

    The program is that of the branches that these inputs take.  Raises `UsageError` for what runs but cannot be traced.
    """
    try:
        with np.errstate(all="ignore"):
            traced, branched = follow(function, *inputs)
            program, own = traced, own_primitives(traced)
            within = own
            while within:
                # A body may call further primitives.
                program, branches = follow(lambda *xs, outer=program: outer.run(xs, body), *inputs)
                branched, within = branched or branches, own_primitives(program)
    except Exception as error:  # a function of anyone's may raise anything at all
        with np.errstate(all="ignore"):
            function(*inputs)  # What it raises by itself is its own affair.
        hint = "; give formula=, the same function in plain NumPy without writing into arrays"
        raise UsageError(
            f"the function cannot be traced for the truth ({type(error).__name__}: {error})"
            + (hint if isinstance(error, MinigradError) else "")
        ) from error
    declared = function.inputs if isinstance(function, mg.Program) else traced.inputs
    named = tuple(replace(i, name=d.name) for i, d in zip(program.inputs, declared, strict=True))
    return replace(program, inputs=named), own, branched


def own_primitives(program: mg.Program) -> list[str]:
    """The functions of a program that are primitives of the user's own."""
    return [name for name in dict.fromkeys(step.function for step in program.steps) if body(name) is not NAMES[name]]


def body(name: str) -> Function:
    """What a function of a program computes: of a primitive of the user's own the function under it, or else itself."""
    function = NAMES[name]
    is_own = isinstance(function, FunctionType) and not name.startswith("minigrad.")
    return getattr(function, "__wrapped__", function) if is_own else function


class Given:
    """A function as minigrad differentiates it, or with its vjp by hand, on trial."""

    version = mg.__version__

    def __init__(
        self, function: Function, vjp: Function | None, formula: Function | None, own: Sequence[str], branched: bool
    ):
        self.function, self.backward, self.formula = function, vjp, formula or function
        self.name = named(function, vjp, own)
        self.branched = branched
        """Whether the formula has branches, so that elsewhere it may be another program."""
        self.raised: Exception | None = None
        """The latest exception that came out of what was given."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with self.watched(program, inputs):
            if self.backward is None:
                return MinigradAdapter().vjp(self.function, inputs, cotangent)  # type: ignore[arg-type]
            value = self.function(*inputs)
            return as_array(value, cotangent), self.gradients(cotangent, value, inputs)

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        with self.watched(program, inputs):
            if self.backward is None:
                return MinigradAdapter().hvp(self.function, inputs, cotangent, vectors)  # type: ignore[arg-type]

            def slope(*primals: Any) -> Any:
                gradients = self.gradients(cotangent, self.function(*primals), primals)
                return sum(np.sum(g * v) for g, v in zip(gradients, vectors, strict=True) if g is not None)

            products: Sequence[Any] = mg.grad(slope, range(len(inputs)))(*inputs)
            return products

    def gradients(self, cotangent: Any, value: Any, inputs: Sequence[Any]) -> list[Any]:
        """What the vjp by hand returns, as a list."""
        assert self.backward is not None
        answered = self.backward(cotangent, value, *inputs)
        gradients = answered if isinstance(answered, (tuple, list)) else [answered]
        return [as_array(gradient, cotangent) for gradient in gradients]

    @contextmanager
    def watched(self, program: mg.Program, inputs: Sequence[Any]) -> Iterator[None]:
        """Keep what is raised, and refuse points at which the function is another program."""
        self.raised = None
        if self.branched and formula_of(self.formula, inputs)[0] != program:
            raise Unsupported("another branch of the function is taken there")
        try:
            yield
        except Exception as error:
            self.raised = error
            raise


def as_array(number: Any, like: Any) -> Any:
    """A plain float, which is as good as an array, as one of the dtype that it has to have; all else as it is."""
    return np.asarray(number, like.dtype) if type(number) is float else number


def named(function: Function, vjp: Function | None, own: Sequence[str]) -> str:
    """Who is on trial, in words: a backward pass by its name, or minigrad, with the rules that are not its own."""
    if vjp is not None:
        name = name_of(vjp) or f"the vjp of {name_of(function) or 'the function'}"
        return name if name not in KNOWN else f"{name} (given)"
    rules = [name.rpartition(".")[2] for name in own]
    return f"minigrad with {', '.join(rules)}" if rules else "minigrad"


def name_of(function: Function) -> str:
    """A function's own name, empty for a lambda."""
    name = str(getattr(function, "__name__", type(function).__name__))
    return "" if name == "<lambda>" else name
