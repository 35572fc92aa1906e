"""The room where NumPy calls arrive: one base class for every kind of number array.

NumPy lets a class take over calls made to it, through ``__array_ufunc__`` for ufuncs (NEP 13)
and ``__array_function__`` for the rest (NEP 18).  With this file one can

- write a new kind of number (``Tensor`` for gradients, ``Recorder`` for traces, and in the
  package ``oracles`` one for rounding noise) by subclassing `Array` and writing `Array.apply`;
- stack kinds on top of each other: every Array has a level, the highest level among the
  operands handles a call first, and what it computes on the values beneath dispatches again;
- register a function (`register`), which gives it a name and says which of its arguments are
  array operands, so that every kind gets each call in one canonical form;
- make a function of one's own take part (`primitive`).
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigrad.errors import ConversionError, MutationError, UnsupportedError

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


BY_KEYWORD = frozenset({"dtype", "keepdims"})
"""Parameters that NumPy itself has in other places than a `Signature`, hence taken by keyword only."""


class Signature(NamedTuple):
    """How a registered function is called: ``function(*operands, **parameters)``."""

    name: str
    operands: tuple[str, ...]
    parameters: tuple[str, ...]

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Sort a call's arguments into positional operands and named parameters.

        Raises `UnsupportedError` for a keyword outside the signature, such as ``where=``, unless
        its value is None; raises `MutationError` for ``out=``.
        """
        if not kwargs and len(args) == len(self.operands):
            return list(args), {}
        names = self.operands + self.parameters
        by_place = names[len(self.operands) : len(args)]
        if len(args) > len(names) or not BY_KEYWORD.isdisjoint(by_place):
            raise UnsupportedError(
                f"{self.name}: got {len(args)} arguments by place; supported: {', '.join(names)}, of these "
                f"{' and '.join(sorted(BY_KEYWORD))} by keyword only"
            )
        bound = dict(zip(names, args, strict=False))
        for key, value in kwargs.items():
            if key in bound:
                raise TypeError(f"{self.name}: argument {key!r} given twice")
            if key in names:
                bound[key] = value
            elif value is not None and value is not np._NoValue:
                if key == "out":
                    raise MutationError(f"{self.name}: out= would overwrite an array; use the returned result instead")
                raise UnsupportedError(f"{self.name}: {key}= is not supported; supported: {', '.join(names)}")
        missing = [name for name in self.operands if name not in bound]
        if missing:
            raise TypeError(f"{self.name}: missing argument {missing[0]!r}")
        return [bound.pop(name) for name in self.operands], bound


FUNCTIONS: dict[Function, Signature] = {}
"""Every function that can be traced, with its name and canonical signature."""

NAMES: dict[str, Function] = {}
"""The same, by name: how a Program's steps find their functions."""

QUERIES = frozenset({np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.can_cast})
"""Questions about an array that are answered plainly, from the innermost value."""

REDUCTIONS: dict[Function, Function] = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}
"""``ufunc.reduce`` under the name of the function that means the same."""


def name_of(function: Function) -> str:
    """The dotted name of a function: ``"exp"``, ``"linalg.inv"``, ``"getitem"``, ``"package.f"``."""
    if isinstance(function, np.ufunc):
        return function.__name__
    module = getattr(function, "__module__", "") or ""
    return f"{module}.{function.__name__}".removeprefix("numpy.").removeprefix("_operator.")


def register(function: Function, operands: tuple[str, ...], parameters: tuple[str, ...] = ()) -> None:
    """Give a function its name and canonical signature; registering it again replaces the old."""
    name = name_of(function)
    if NAMES.get(name, function) is not function:
        raise ValueError(f"two functions are called {name!r}; rename one of them")
    NAMES[name] = function
    FUNCTIONS[function] = Signature(name, operands, parameters)


def leaves(operand: Any) -> Iterator[Any]:
    """The operand itself, or what its lists and tuples hold, at any depth."""
    if isinstance(operand, (list, tuple)):
        for item in operand:
            yield from leaves(item)
    else:
        yield operand


def map_operand(change: Function, operand: Any) -> Any:
    """Rebuild an operand with `change` applied to each of its leaves."""
    if isinstance(operand, (list, tuple)):
        return type(operand)(map_operand(change, item) for item in operand)
    return change(operand)


def joined(operand: Any) -> Any:
    """The array that NumPy reads a list of numbers as, Arrays in it included."""
    return np.stack([joined(item) for item in operand]) if isinstance(operand, (list, tuple)) else operand


def dispatch(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Hand a call to the Array of the highest level among its operands."""
    signature = FUNCTIONS.get(function)
    if signature is None:
        raise UnsupportedError(f"{name_of(function)} has no derivative rule; see minigrad.primitive to add your own")
    operands, parameters = signature.bind(args, kwargs)
    if isinstance(function, np.ufunc) or function is np.where:
        operands = [joined(operand) for operand in operands]
    top: Array | None = None
    for operand in operands:
        for leaf in leaves(operand) if isinstance(operand, (list, tuple)) else (operand,):
            if isinstance(leaf, Array) and (top is None or leaf.level > top.level):
                top = leaf
    if top is None:
        raise ConversionError(
            f"{signature.name}: {', '.join(parameters)} must be plain numbers, not differentiated ones"
        )
    return top.apply(function, operands, parameters)


def primitive(function: F) -> F:
    """Let a function of one's own be traced and, with `defvjp`, differentiated as a single step.

    The function takes arrays and returns one array; positional parameters without a default are
    its array operands, the others its parameters.

    >>> from minigrad import defvjp, grad, primitive
    >>> @primitive
    ... def cube(x):
    ...     return x * x * x
    >>> defvjp(cube, lambda g, ans, x: g * 3 * x * x)
    >>> float(grad(cube)(2.0))
    12.0
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(leaf, Array) for leaf in leaves((args, tuple(kwargs.values())))):
            return dispatch(call, args, kwargs)
        return function(*args, **kwargs)

    arguments = inspect.signature(function).parameters.values()
    operands = tuple(p.name for p in arguments if p.default is p.empty and p.kind is not p.KEYWORD_ONLY)
    register(call, operands, tuple(p.name for p in arguments if p.name not in operands))
    return call  # type: ignore[return-value]


class Array:
    """Base of every kind of number array: forwards NumPy calls, operators and methods to `apply`.

    A subclass sets ``value`` (what it wraps: an ndarray or another Array) and ``level`` (0 for a kind
    of number, higher for what records or differentiates), and writes `apply`.
    """

    __slots__ = ("__weakref__", "value")

    value: Any
    level: int

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        """Compute ``function(*operands, **parameters)``, of whose operands this is the highest."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            return dispatch(ufunc, inputs, kwargs)
        if method == "reduce" and ufunc in REDUCTIONS:
            return dispatch(REDUCTIONS[ufunc], inputs, {"axis": 0, **kwargs} if len(inputs) == 1 else kwargs)
        raise UnsupportedError(f"{ufunc.__name__}.{method} has no derivative rule; call np.{ufunc.__name__} itself")

    def __array_function__(self, func: Function, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in QUERIES:
            plain = {key: map_operand(innermost, arg) for key, arg in kwargs.items()}
            return func(*(map_operand(innermost, arg) for arg in args), **plain)
        return dispatch(func, args, kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return np

    # What NumPy or Python would do behind our back, and lose the derivative by it.

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise ConversionError(
            f"a {type(self).__name__} cannot become a plain array: its derivative would be lost. "
            "Join them with np.stack or np.concatenate, or take the plain value with .value"
        )

    def _no_number(self) -> Any:
        raise ConversionError(
            f"a {type(self).__name__} cannot become a plain number: its derivative would be lost. "
            "Use np.exp and the like instead of math.exp, or take the plain value with .value"
        )

    __float__ = __int__ = __complex__ = __index__ = _no_number

    def __setitem__(self, index: Any, value: Any) -> None:
        raise MutationError(
            "writing into a differentiated array is not supported; "
            "build the result with np.where, np.stack or np.concatenate"
        )

    def __bool__(self) -> bool:
        return bool(self.value)

    __hash__ = object.__hash__

    # What ndarray has.

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)

    @property
    def ndim(self) -> int:
        return np.ndim(self.value)

    @property
    def size(self) -> int:
        return int(np.size(self.value))

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype  # type: ignore[no-any-return]

    @property
    def T(self) -> Any:  # noqa: N802 (ndarray's own name)
        return dispatch(np.transpose, (self,), {})

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        return dispatch(operator.getitem, (self, index), {})

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        target = shape[0] if len(shape) == 1 else shape
        return dispatch(np.reshape, (self, target), {} if order == "C" else {"order": order})

    def transpose(self, *axes: Any) -> Any:
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return dispatch(np.transpose, (self,), {"axes": order} if order else {})

    def flatten(self) -> Any:
        return self.reshape(-1)

    ravel = flatten

    def astype(self, dtype: Any) -> Any:
        return dispatch(np.astype, (self, np.dtype(dtype)), {})

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        return dispatch(np.sum, (self, *args), kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        return dispatch(np.mean, (self, *args), kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        return dispatch(np.max, (self, *args), kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        return dispatch(np.min, (self, *args), kwargs)

    def prod(self, *args: Any, **kwargs: Any) -> Any:
        return dispatch(np.prod, (self, *args), kwargs)

    # Operators, spelt out rather than mixed in: a direct dispatch is twice as fast as by a ufunc.

    def __add__(self, other: Any) -> Any:
        return dispatch(np.add, (self, other), {})

    def __radd__(self, other: Any) -> Any:
        return dispatch(np.add, (other, self), {})

    def __sub__(self, other: Any) -> Any:
        return dispatch(np.subtract, (self, other), {})

    def __rsub__(self, other: Any) -> Any:
        return dispatch(np.subtract, (other, self), {})

    def __mul__(self, other: Any) -> Any:
        return dispatch(np.multiply, (self, other), {})

    def __rmul__(self, other: Any) -> Any:
        return dispatch(np.multiply, (other, self), {})

    def __truediv__(self, other: Any) -> Any:
        return dispatch(np.divide, (self, other), {})

    def __rtruediv__(self, other: Any) -> Any:
        return dispatch(np.divide, (other, self), {})

    def __pow__(self, other: Any) -> Any:
        return dispatch(np.power, (self, other), {})

    def __rpow__(self, other: Any) -> Any:
        return dispatch(np.power, (other, self), {})

    def __matmul__(self, other: Any) -> Any:
        return dispatch(np.matmul, (self, other), {})

    def __rmatmul__(self, other: Any) -> Any:
        return dispatch(np.matmul, (other, self), {})

    def __neg__(self) -> Any:
        return dispatch(np.negative, (self,), {})

    def __pos__(self) -> Any:
        return dispatch(np.positive, (self,), {})

    def __abs__(self) -> Any:
        return dispatch(np.abs, (self,), {})

    def __eq__(self, other: object) -> Any:
        return dispatch(np.equal, (self, other), {})

    def __ne__(self, other: object) -> Any:
        return dispatch(np.not_equal, (self, other), {})

    def __lt__(self, other: Any) -> Any:
        return dispatch(np.less, (self, other), {})

    def __le__(self, other: Any) -> Any:
        return dispatch(np.less_equal, (self, other), {})

    def __gt__(self, other: Any) -> Any:
        return dispatch(np.greater, (self, other), {})

    def __ge__(self, other: Any) -> Any:
        return dispatch(np.greater_equal, (self, other), {})

    def __and__(self, other: Any) -> Any:
        return dispatch(np.bitwise_and, (self, other), {})

    def __or__(self, other: Any) -> Any:
        return dispatch(np.bitwise_or, (self, other), {})

    def __invert__(self) -> Any:
        return dispatch(np.invert, (self,), {})

    __rand__, __ror__ = __and__, __or__


def innermost(value: Any) -> Any:
    """The plain ndarray or number under any stack of Arrays."""
    while isinstance(value, Array):
        value = value.value
    return value
