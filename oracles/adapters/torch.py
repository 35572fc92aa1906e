"""PyTorch: programs spelt in its functions, differentiated by ``torch.autograd``."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from minigrad.programs import OPERATORS, Program, Ref, Spelling, Step, literal
from minigrad.protocol import NAMES
from oracles.adapters import spelled, subnormals, with_arrays
from oracles.catalogue import ABSENT, CATALOGUE
from oracles.errors import Unsupported

# One thread a worker: the campaign's workers are the parallelism.
torch.set_num_threads(1)


ONE_AXIS = ("prod", "median", "quantile", "percentile")
"""Reductions that take no tuple of axes."""

FLAT = {**dict.fromkeys(("cumsum", "cumprod", "nancumsum", "nancumprod", "take"), 1), "append": 2}
"""Functions that read so many operands flat unless an axis is given."""

ALL_AXES = {"flip": "*range({0}.ndim)", "roll": "()", "repeat": "None", "cumulative_sum": "0", "cumulative_prod": "0"}
ALL_AXES |= {"cross": "-1"}
"""What stands for the axis that is not given, where NumPy's own default is None."""

AS_NOT_GIVEN = (("axis", None), ("keepdims", False))
"""Parameters of reductions by which NumPy says that they are left out."""

OTHERWISE = {"equal": "eq", "not_equal": "ne", "invert": "bitwise_not"}
PLAIN = frozenset({"less", "greater_equal", "isnan", "isfinite", "isinf", "signbit", "logical_not", "logical_and"})
PLAIN |= {"logical_or", "logical_xor", "sign", "floor", "ceil", "trunc", "argmax", "argmin", "argsort", *OTHERWISE}
PLAIN |= {"bitwise_and", "bitwise_or", "bitwise_xor"}
"""Functions without a derivative that have NumPy's arguments in PyTorch."""


class TorchSpelling(Spelling):
    """Most of NumPy's names are PyTorch's too, ``axis=`` and ``keepdims=`` included."""

    module = "torch"

    def call(self, function: str, operands: Sequence[str], parameters: Mapping[str, Any]) -> str:
        row = CATALOGUE.get(function)
        if row is not None and row.kind == "reduce":
            parameters = {key: x for key, x in parameters.items() if (key, x) not in AS_NOT_GIVEN}
        texts = {key: self.parameter(value) for key, value in parameters.items()}
        if row is None and function in PLAIN:
            return spelled(f"torch.{OTHERWISE.get(function, function)}", operands, texts)
        if row is None or row.torch == ABSENT:
            raise Unsupported(f"PyTorch has no spelling of {function} here")
        if function in FLAT and "axis" not in texts:
            like = f"dtype={operands[0]}.dtype"
            flat = [operands[0], *(f"torch.as_tensor({operand}, {like})" for operand in operands[1 : FLAT[function]])]
            flat = [f"{operand}.reshape(-1)" for operand in flat]
            operands, texts = [*flat, *operands[FLAT[function] :]], {**texts, "axis": "0"}
        named = "keepdims" in texts and function not in ONE_AXIS
        if row.kind == "reduce" and "axis" not in texts and (named or "{axis}" in (row.torch or "")):
            # PyTorch keeps dimensions only where they are named.
            texts = {"axis": f"tuple(range({operands[0]}.ndim))", **texts}
        if function in ONE_AXIS and texts.get("axis", "").startswith("("):
            raise Unsupported(f"PyTorch's {function} reduces all axes or a single one")
        if function in ONE_AXIS and "keepdims" in texts and "axis" not in texts:
            raise Unsupported(f"PyTorch's {function} keeps dimensions of a single axis only")
        if "initial" in texts:
            raise Unsupported(f"PyTorch's {function} has no initial number")
        if function == "linalg.svd" and parameters.get("hermitian"):
            raise Unsupported("PyTorch's linalg.svd takes no matrix for symmetric")
        if function == "linalg.svd" and texts.get("compute_uv") == "False":
            return spelled("torch.linalg.svdvals", operands, {})
        if function == "linalg.qr" and texts.get("mode") == "'r'":
            return f"torch.linalg.qr({operands[0]}).R"
        if function == "tile" and not operands[1].startswith(("(", "[")):
            operands = [operands[0], f"({operands[1]},)"]
        if function == "flip" and texts.get("axis", "").startswith("("):
            texts["axis"] = f"*{texts['axis']}"
        if function == "average" and is_along_one_axis(parameters):
            return spelled("torch.matmul(torch.movedim({0}, {axis}, -1), {weights}) / {weights}.sum()", operands, texts)
        if row.kind in ("product", "sums"):  # of integers and floats NumPy multiplies float64
            operands = [operand.replace("dtype=torch.int64)", "dtype=torch.float64)") for operand in operands]
        if row.torch is None:
            if function in OPERATORS or function in ("getitem", "negative"):
                return super().call(function, operands, parameters)
            return spelled(f"torch.{function}", operands, texts)
        if function == "average" and "weights" not in texts:
            return spelled("torch.mean", operands, texts)
        if row.torch == "permute":
            axes = texts.get("axes", f"tuple(reversed(range({operands[0]}.ndim)))")
            return f"torch.permute({operands[0]}, {axes})"
        if row.torch == "tensors":
            x, y = operands
            x, y = (
                (x if x.isidentifier() else f"torch.as_tensor({x}, dtype={y}.dtype)"),
                (y if y.isidentifier() else f"torch.as_tensor({y}, dtype={x}.dtype)"),
            )
            return f"torch.{function}({x}, {y})"
        if "axis" not in texts and function in ALL_AXES:
            texts["axis"] = ALL_AXES[function].replace("{0}", operands[0])
        return spelled(row.torch, operands, {**defaults(function, row.torch), **texts})

    def step(self, step: Step, name: Callable[[Ref], str]) -> str:
        if step.function == "getitem":
            axes, index = upwards(step.operands[1])
            if axes:  # PyTorch slices forwards only
                return f"torch.flip({self.operand(step.operands[0], name)}, {axes})[{self.index(index, name)}]"
        return super().step(step, name)

    def parameter(self, value: Any) -> str:
        return self.array(value) if isinstance(value, np.ndarray) else super().parameter(value)

    def array(self, value: np.ndarray[Any, Any]) -> str:
        if not value.size:
            return f"torch.zeros({value.shape}, dtype=torch.{value.dtype.name})"
        return f"torch.tensor({literal(value.tolist())}, dtype=torch.{value.dtype.name})"


def is_along_one_axis(parameters: Mapping[str, Any]) -> bool:
    """Whether there is one weight for each place along an axis."""
    weights: Any = parameters.get("weights")
    return isinstance(parameters.get("axis"), int) and not isinstance(weights, Ref) and np.ndim(weights) == 1


def upwards(index: Any) -> tuple[list[int], Any]:
    """Along which axes to flip an array, and the index to take then, in which no slice runs downwards."""
    parts = index if isinstance(index, tuple) else (index,)
    axes: list[int] = []
    found: list[Any] = []
    axis = 0
    for number, part in enumerate(parts, 1):
        if part is ...:  # from here on, axes are counted from the last
            axis = -sum(map(axes_taken, parts[number:]))
        if isinstance(part, slice) and part.step is not None and part.step < 0:
            axes.append(axis)
            start, stop = (None if end is None else -(end + 1) for end in (part.start, part.stop))
            found.append(slice(start, stop, -part.step))
        else:
            found.append(part)
        axis += axes_taken(part)
    return axes, tuple(found)


def axes_taken(part: Any) -> int:
    """How many axes of an array a part of an index is about."""
    if part is None or part is ... or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


@functools.lru_cache(maxsize=512)
def defaults(function: str, spelling: str) -> Mapping[str, str]:
    """What NumPy takes for the parameters that a spelling names, where it is a number or numbers."""
    try:
        own = inspect.signature(NAMES[function]).parameters
    except (KeyError, ValueError):  # functions that are written in C do not tell
        return {}
    found = {name: own[name].default for name in re.findall(r"{([a-z]\w*)}", spelling) if name in own}
    return {name: repr(value) for name, value in found.items() if isinstance(value, (int, str, tuple))}


@functools.lru_cache(maxsize=64)
def compiled(program: Program) -> Callable[..., Any]:
    """The program as a Python function of tensors."""
    namespace: dict[str, Any] = {"torch": torch}
    exec(with_arrays(program).source(spelling=TorchSpelling()), namespace)
    return namespace["program"]  # type: ignore[no-any-return]


def as_arrays(tensors: Sequence[Any]) -> list[Any]:
    """Plain arrays.  Cloned, because some derivatives are zero tensors without storage.

    ``numpy()`` refuses those, and ``numpy(force=True)`` crashes on some of them (PyTorch 2.13.0).
    """
    return [None if t is None else t.detach().clone().numpy() for t in tensors]


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What PyTorch says that it has no derivative of is unsupported, not an error."""
    try:
        yield
    except RuntimeError as error:
        said = str(error)
        if isinstance(error, NotImplementedError) or "is not implemented" in said or "is not differentiable" in said:
            raise Unsupported(said.partition("\n")[0]) from None
        raise


def describe() -> dict[str, str]:
    """What PyTorch's answers depend on besides its version."""
    others = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "devices": "cpu" + f"; {', '.join(others)} not asked" * bool(others),
        "threads": str(torch.get_num_threads()),
        "subnormals": subnormals(lambda x: (torch.tensor(x) / 2).numpy()),
    }


class TorchAdapter:
    """PyTorch in eager mode, on the CPU, one thread."""

    name = "torch"
    version = torch.__version__

    def forward(self, program: Program, inputs: Sequence[Any]) -> Any:
        with torch.no_grad():
            return compiled(program)(*(torch.tensor(x) for x in inputs)).numpy()

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with refusals():
            value, gradients, _ = self._gradients(program, inputs, cotangent, create_graph=False)
        return value.detach().numpy(), as_arrays(gradients)

    def hvp(self, program: Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        with refusals():
            _, gradients, primals = self._gradients(program, inputs, cotangent, create_graph=True)
            pairs = [(g, torch.tensor(v)) for g, v in zip(gradients, vectors, strict=True) if g is not None]
            pairs = [(g, v) for g, v in pairs if g.requires_grad]
            if not pairs:
                return [None] * len(primals)
            outputs, weights = zip(*pairs, strict=True)
            return as_arrays(torch.autograd.grad(outputs, primals, weights, allow_unused=True))

    def jvp(self, program: Program, inputs: Sequence[Any], vectors: Sequence[Any]) -> Any:
        primals, tangents = (tuple(map(torch.tensor, arrays)) for arrays in (inputs, vectors))
        with refusals():
            [along] = as_arrays([torch.func.jvp(compiled(program), primals, tangents)[1]])
        return along

    def _gradients(
        self, program: Program, inputs: Sequence[Any], cotangent: Any, create_graph: bool
    ) -> tuple[Any, Sequence[Any], list[Any]]:
        primals = [torch.tensor(x, requires_grad=True) for x in inputs]
        value = compiled(program)(*primals)
        if not value.requires_grad:
            return value, [None] * len(primals), primals
        gradients = torch.autograd.grad(
            value, primals, torch.tensor(cotangent), create_graph=create_graph, allow_unused=True
        )
        return value, gradients, primals
