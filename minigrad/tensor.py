"""`Tensor`: an array that remembers how it was computed, so that it can be differentiated."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from minigrad.backward import walk
from minigrad.errors import ConversionError, DtypeError, ShapeError, UnsupportedError
from minigrad.protocol import RULELESS, RULES, Array, Function, entry, innermost, leaves, map_operand, name_of

# A transform inside another must not take the outer's variables for its own (perturbation
# confusion), so each call of a transform draws a level higher than any before.  Tensors nested by
# hand climb in steps of one, which a stride this wide keeps apart.
_STRIDE = 1 << 16
_levels = itertools.count(_STRIDE, _STRIDE)
_births = itertools.count()


def fresh_level() -> int:
    """A level above every Tensor that exists."""
    return next(_levels)


class Tensor(Array):
    """A float array to differentiate with respect to; NumPy functions of it are Tensors too.

    ``Tensor(value)`` takes a float, a float ndarray (shared, not copied) or another Tensor, for
    gradients of gradients.  Raises `DtypeError` for integers and other dtypes.

    >>> import numpy as np
    >>> from minigrad import Tensor
    >>> x, y, z = Tensor(-2.0), Tensor(5.0), Tensor(-4.0)
    >>> q = x + y
    >>> (q * z).backward()
    >>> [float(v.grad) for v in (x, y, z, q)]
    [-4.0, -4.0, 3.0, -4.0]
    """

    __slots__ = ("born", "function", "grad", "level", "operands", "parameters", "parents")

    function: Function | None
    """What computed it, None for an input; `operands` and `parameters` are what it was called with."""
    parents: list[Any]
    """Per operand: the Tensor it was, None for a constant, or a list of these for a list of arrays."""
    born: int
    """A number that grows with each Tensor."""
    grad: Any
    """The gradient that the last `backward` left here, or None."""

    def __init__(self, value: Any):
        value = as_floats(value, "value")
        self.begin(value, value.level + 1 if isinstance(value, Array) else 1)

    @classmethod
    def lift(cls, value: Any, level: int) -> Tensor:
        """An input at a given level, of floats, for transforms."""
        tensor = cls.__new__(cls)
        tensor.begin(value, level)
        return tensor

    def begin(self, value: Any, level: int) -> None:
        self.value, self.level, self.function = value, level, None
        self.operands: list[Any] = []
        self.parameters: dict[str, Any] = {}
        self.parents = []
        self.born, self.grad = next(_births), None

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        level = self.level
        values: list[Any] = []
        parents: list[Any] = []
        for x in operands:
            if type(x) is Tensor and x.level == level:
                values.append(x.value)
                parents.append(x)
            elif isinstance(x, (list, tuple)):
                values.append(map_operand(lambda leaf: leaf.value if of_level(leaf, level) else leaf, x))
                parents.append(map_operand(lambda leaf: leaf if of_level(leaf, level) else None, x))
            else:
                values.append(x)
                parents.append(None)
        ans = (entry if function is operator.getitem else function)(*values, **parameters)
        if isinstance(ans, Array) and ans.level >= level:
            raise ConversionError(
                f"{name_of(function)} uses a differentiated value that is not among its arguments; pass it as one"
            )
        ruled = function in RULES
        if not ruled and function not in RULELESS:
            return ans
        try:
            kind = ans.dtype.kind
        except AttributeError:
            raise ShapeError(f"{name_of(function)} returned a {type(ans).__name__}; let it return one array") from None
        if not ruled:
            if kind == "f":
                raise UnsupportedError(
                    f"{name_of(function)} is a primitive without a derivative rule; give it one by defvjp, "
                    "or None there if its derivative is zero"
                )
            return ans
        if kind not in "fO":
            if kind == "c":
                raise DtypeError(f"{name_of(function)} gave complex numbers, which are not differentiated here")
            return ans
        result = Tensor.__new__(Tensor)
        result.value, result.level, result.function = ans, level, function
        result.operands, result.parameters, result.parents = values, parameters, parents
        result.born, result.grad = next(_births), None
        return result

    def backward(self, cotangent: Any = None) -> None:
        """Set ``.grad`` of every Tensor that this one was computed from, and of itself.

        `cotangent` has this Tensor's shape and defaults to 1 for a scalar.  A second call
        replaces the gradients of the first wherever it comes; nothing accumulates between calls.
        """
        for tensor, gradient in walk([(self, as_cotangent(cotangent, self.value))]):
            tensor.grad = owned(gradient)

    def __repr__(self) -> str:
        return f"Tensor({self.value!r})"


def of_level(x: Any, level: int) -> bool:
    return isinstance(x, Tensor) and x.level == level


def is_floats(value: Any) -> bool:
    """Whether it is what `as_floats` would make of it."""
    if type(value) is np.ndarray:
        return value.ndim > 0 and value.dtype.kind == "f"
    return isinstance(value, (Array, np.floating))


def as_floats(value: Any, name: str) -> Any:
    """The value as floating-point numbers, 0-d as a scalar; raises `DtypeError` naming the argument otherwise."""
    if is_floats(value):
        return value
    if isinstance(value, (list, tuple, dict)):
        kind = type(value).__name__
        if isinstance(value, dict) or any(isinstance(leaf, Array) for leaf in leaves(value)):
            raise DtypeError(f"{name} is a {kind}; give one array: a part of it, or np.stack of its parts")
        raise DtypeError(f"{name} is a {kind}; pass an array, such as np.array({value!r:.40}, float)")
    array = as_plain(value, name)
    if array.dtype.kind != "f":
        raise DtypeError(f"{name} has dtype {array.dtype}; derivatives need floats: pass 3.0 for 3, or x.astype(float)")
    return array if array.ndim else array[()]


def as_plain(value: Any, name: str) -> Any:
    """The value as an array of the usual kind; raises `DtypeError` for those whose operators mean something else."""
    if isinstance(value, (np.ma.MaskedArray, np.matrix)):
        raise DtypeError(f"{name} is a {type(value).__name__}, whose operators mean something else; pass np.asarray(x)")
    return np.asarray(value)


def as_cotangent(cotangent: Any, value: Any, name: str = "the cotangent") -> Any:
    """The cotangent for a result, checked against its shape and cast to its dtype; None means 1."""
    shape = np.shape(value)
    if cotangent is None:
        if shape:
            raise ShapeError(
                f"the result has shape {shape}, not (); sum it to a scalar, or use vjp or backward with a cotangent"
            )
        return innermost(value).dtype.type(1)
    cotangent = as_floats(cotangent, name)
    if np.shape(cotangent) != shape:
        raise ShapeError(f"{name} has shape {np.shape(cotangent)}; give it the shape {shape}")
    return cotangent if cotangent.dtype == value.dtype else np.astype(cotangent, value.dtype)


def owned(gradient: Any) -> Any:
    """A gradient that shares memory with nothing else; a single number as such."""
    if isinstance(gradient, np.ndarray):
        return gradient.copy() if gradient.ndim else gradient[()]
    return gradient
