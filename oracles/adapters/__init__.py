"""Adapters: the same questions, asked of minigrad, PyTorch, JAX, HIPS autograd, MyGrad and anyone's engine.

An adapter is any object with ``name``, ``version`` and the methods of `Adapter`.  Each framework
is imported when its adapter is loaded, only in its own module here and in what compares with it
(`oracles.bench`, `oracles.faults.checkers`).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from minigrad.programs import Program, Step
from minigrad.protocol import leaves
from oracles.catalogue import CATALOGUE
from oracles.errors import MissingError, Unsupported, UsageError

KNOWN = {
    "minigrad": "oracles.adapters.minigrad:MinigradAdapter",
    "minigrad.stage": "oracles.adapters.minigrad:StagedAdapter",
    "torch": "oracles.adapters.torch:TorchAdapter",
    "jax": "oracles.adapters.jax:JaxAdapter",
    "jax.jit": "oracles.adapters.jax:JittedAdapter",
    "autograd": "oracles.adapters.autograd:AutogradAdapter",
    "mygrad": "oracles.adapters.mygrad:MyGradAdapter",
}
"""The parties by name, as ``module:factory``."""

PARTIES = ("torch", "jax", "jax.jit", "minigrad.stage")
"""Who is judged beside the subject, unless told."""

INSTALL = "make setup, or pip install -e '.[{extra}]' in this folder"

STRANGERS = ("autograd", "mygrad")
"""Engines of the extra of that name."""


class Adapter(Protocol):
    """What an engine must answer to be judged.

    Arrays are NumPy's, of float32 or float64; a returned gradient has the shape and dtype of its
    input, and None stands for zero.  For a program that the engine lacks a function for, raise
    `oracles.Unsupported`.  ``forward``, ``hvp`` and ``jvp`` may be missing; an attribute ``timed``, if there
    is one, holds the adapter as people call the engine: it is the one whose speed is measured, and, of an
    engine among `KNOWN`, that is asked again before the engine is accused.
    """

    name: str
    version: str

    def forward(self, program: Program, inputs: Sequence[Any]) -> Any:
        """The program's value."""
        ...

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        """The value, and the gradient of ``sum(cotangent * value)`` per input."""
        ...

    def hvp(self, program: Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        """The Hessian of ``sum(cotangent * value)`` times `vectors`, per input."""
        ...

    def jvp(self, program: Program, inputs: Sequence[Any], vectors: Sequence[Any]) -> Any:
        """The derivative of the value along `vectors`, by forward mode."""
        ...


def missing(names: Sequence[str]) -> list[str]:
    """Those of the named frameworks that are not installed."""
    needed = dict.fromkeys(name.partition(".")[0] for name in names if name in KNOWN)
    return [name for name in needed if importlib.util.find_spec(name) is None]


def check_installed(names: Sequence[str], option: str = "--oracles") -> None:
    """Raise `MissingError` saying how to install what is missing."""
    absent = missing(names)
    if absent:
        raise MissingError(
            f"not installed: {', '.join(absent)}; install with {how_to_install(absent)}, or choose others with {option}"
        )


def how_to_install(absent: Sequence[str]) -> str:
    """The command that installs the named frameworks."""
    frameworks = [name for name in absent if name not in STRANGERS]
    extra = "both" if len(frameworks) > 1 else "".join(frameworks)
    if len(frameworks) == len(absent):
        return INSTALL.format(extra=extra)
    extras = ",".join(filter(None, [extra, "strangers"]))
    return f"pip install -c constraints.txt -e '.[{extras}]' in this folder"


def load(spec: str, argument: str = "subject") -> Adapter:
    """The adapter called `spec`: a known name, or ``package.module:factory`` for anyone's own.

    Raises `UsageError`, which begins with the `argument`, for one that cannot be imported or is no adapter.
    """
    path = KNOWN.get(spec, spec)
    module_name, colon, factory_name = path.partition(":")
    if not colon:
        raise UsageError(
            f"{argument} {spec!r} is not known; choose from {', '.join(KNOWN)}, or write package.module:factory"
        )
    try:
        adapter = getattr(importlib.import_module(module_name), factory_name)()
    except AttributeError as error:
        raise UsageError(f"{argument} {spec}: {error}; name a function or class that makes an adapter") from None
    except Exception as error:  # a stranger's module may raise anything at all
        raise UsageError(f"{argument} {spec}: importing it raised {type(error).__name__}: {error}") from None
    return complete(adapter, f"{argument} {spec}: {factory_name}() returned a {type(adapter).__name__}")


def complete(adapter: Any, told: str) -> Adapter:
    """The adapter itself; raises `UsageError`, which begins as `told`, where it lacks what it must have."""
    lacking = [name for name in ("name", "version", "vjp") if not hasattr(adapter, name)]
    if lacking:
        raise UsageError(f"{told} without {', '.join(lacking)}; see oracles.adapters.Adapter")
    return adapter  # type: ignore[no-any-return]


def subnormals(halve: Callable[[Any], Any]) -> str:
    """What becomes of numbers below the normal ones, measured by halving the smallest of those, in both dtypes."""
    flushed = [
        dtype
        for dtype in ("float64", "float32")
        if not np.all(np.asarray(halve(np.full(9, np.finfo(dtype).tiny, dtype))) > 0)
    ]
    return f"taken as zero in {' and '.join(flushed)}" if flushed else "kept"


NUMBERS_OF_KINDS = ("product", "masked", "index", "reduce", "update", "nan", "binary")
NUMBERS_OF = ("take", "delete", "repeat")
"""Of these, by kind or by name, what is given as a list of numbers is an array; of others, a shape or the like."""


def with_arrays(program: Program) -> Program:
    """The program with arrays for lists of numbers where NumPy takes either, and PyTorch and JAX but the former."""

    def made(operand: Any) -> Any:
        if isinstance(operand, tuple):
            return tuple(made(part) for part in operand)
        numbers = isinstance(operand, list) and all(isinstance(x, (bool, int, float)) for x in leaves(operand))
        return np.asarray(operand) if numbers and operand else operand

    def taken(step: Step) -> bool:
        row = CATALOGUE.get(step.function)
        return step.function in NUMBERS_OF or (row is not None and row.kind in NUMBERS_OF_KINDS)

    steps = [
        Step(s.function, tuple(map(made, s.operands)), {k: made(v) if k == "weights" else v for k, v in given})
        if taken(s)
        else s
        for s in program.steps
        for given in [s.parameters.items()]
    ]
    return Program(program.inputs, tuple(steps), program.output)


def spelled(spelling: str, operands: Sequence[str], parameters: Mapping[str, str]) -> str:
    """A step in a library's words, from the catalogue's spelling of its function.

    The spelling is a name, which is called with all operands and parameters, or a template: an expression with
    ``{0}`` and so on for operands, ``{axis}`` for a parameter, and ``{...}`` for all further parameters, by keyword.
    Raises `Unsupported` for a call that leaves a parameter of the template open, or has one that it does not hold.

    >>> spelled("torch.amax", ["x"], {"axis": "0"})
    'torch.amax(x, axis=0)'
    >>> spelled("torch.roll({0}, {1}, {axis})", ["x", "1"], {"axis": "0"})
    'torch.roll(x, 1, 0)'
    >>> spelled("torch.amax({0}{...}) - torch.amin({0}{...})", ["x"], {"axis": "0"})
    'torch.amax(x, axis=0) - torch.amin(x, axis=0)'
    """
    if "{" not in spelling:
        spelling += "(" + ", ".join(f"{{{i}}}" for i in range(len(operands))) + "{...})"
    held = set(re.findall(r"{(\w+)}", spelling))
    rest = {key: value for key, value in parameters.items() if key not in held}
    missing = {key for key in held if not key.isdecimal()} - set(parameters)
    if missing or (rest and "{...}" not in spelling):
        raise Unsupported(f"{spelling} does not fit a call with the parameters {', '.join(parameters) or 'left out'}")
    further = "".join(f", {key}={value}" for key, value in rest.items())

    def filled(place: re.Match[str]) -> str:
        key = place[1]
        return further if key == "..." else operands[int(key)] if key.isdecimal() else parameters[key]

    return re.sub(r"{(\.\.\.|\w+)}", filled, spelling)
