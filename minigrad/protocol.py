"""The room where NumPy calls arrive: one base class for every kind of number array.

NumPy lets a class take over calls made to it, through ``__array_ufunc__`` for ufuncs (NEP 13)
and ``__array_function__`` for the rest (NEP 18).  With this file one can

- write a new kind of number (``Tensor`` for gradients, ``Recorder`` for traces, and in the
  package ``oracles`` one for rounding noise) by subclassing `Array` and writing `Array.apply`;
- stack kinds on top of each other: every Array has a level, the highest level among the
  operands handles a call first, and what it computes on the values beneath dispatches again;
- register a function, which gives it a name and says which of its arguments are array operands,
  so that every kind gets each call in one canonical form (`register`), or `define` it by others;
- make a function of one's own take part (`primitive`).
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigrad.errors import ConversionError, MutationError, UnsupportedError

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


FLAGS = dict.fromkeys(("overwrite_input", "returned", "hermitian", "subok"), False) | {"where": True, "copy": True}
"""Arguments that are not supported everywhere, and what they are where they mean nothing."""


class Signature(NamedTuple):
    """How a registered function is called: ``function(*operands, **parameters)``."""

    name: str
    operands: tuple[str, ...]
    parameters: tuple[str, ...]
    places: tuple[str, ...]
    """The arguments that may be given by place, in the function's own order, unsupported ones included."""
    variadic: bool = False
    """Whether all arguments by place are operands, as of ``np.einsum``."""
    rarer: dict[str, Function] = {}  # noqa: RUF012 (never written to: `extend` makes another)
    """Further parameters, each with what works calls out that give it; they stand in no Program."""

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Sort a call's arguments into positional operands and named parameters.

        Raises `UnsupportedError` for an argument outside the signature unless its value is None, as a
        rarer parameter's is where it is not given; raises `MutationError` for ``out=``.
        """
        if not kwargs and (self.variadic or len(args) == len(self.operands)):
            return list(args), {}
        if not self.variadic and len(args) > len(self.places):
            raise TypeError(f"{self.name}: got {len(args)} arguments, more than {', '.join(self.places)}")
        bound: dict[str, Any] = {}
        names = self.operands + self.parameters
        by_place = () if self.variadic else zip(self.places, args, strict=False)
        for key, value in (*by_place, *kwargs.items()):
            if key in bound:
                raise TypeError(f"{self.name}: argument {key!r} given twice")
            if value is np._NoValue or (key in FLAGS and FLAGS[key] is value):
                continue
            if key in names:
                bound[key] = value
            elif value is None:
                continue
            elif key in self.rarer:
                bound[key] = value
            elif key == "out":
                raise MutationError(f"{self.name}: out= would overwrite an array; use the returned result instead")
            else:
                known = ", ".join((*names, *self.rarer))
                raise UnsupportedError(f"{self.name}: {key}= is not supported; supported: {known}")
        if self.variadic:
            return list(args), bound
        missing = [name for name in self.operands if name not in bound]
        if missing:
            raise TypeError(f"{self.name}: missing argument {missing[0]!r}")
        return [bound.pop(name) for name in self.operands], bound


FUNCTIONS: dict[Function, Signature] = {}
"""Every function that can be traced, with its name and canonical signature."""

NAMES: dict[str, Function] = {}
"""The same, by name: how a Program's steps find their functions."""


class Rule(NamedTuple):
    """The derivative of one function: a vjp for each operand, or None where there is none."""

    vjps: tuple[Function | None, ...]
    broadcasts: bool


RULES: dict[Function, Rule] = {}
"""Functions with a derivative of their own."""

DEFINITIONS: dict[Function, Function] = {}
"""Functions that are worked out by calling others."""

RULELESS: set[Function] = set()
"""Primitives of which it is not said yet how they are differentiated."""

METHODS: dict[tuple[Function, str], Function] = {}
"""Methods of ufuncs, such as ``np.add.reduce``, as the function that means the same with ``axis=0``."""

UNSUPPORTED: dict[str, str] = {}
"""Names of NumPy's functions that have no derivative here, or of whole modules, with what to use instead."""

OWN = "a function of your own, by minigrad.primitive and defvjp"

LATE: list[Callable[[], None]] = []
"""What registers the functions of other libraries, once such a function is met."""

QUERIES = frozenset(
    {np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type}
    | {np.iscomplexobj, np.isrealobj, np.shares_memory, np.may_share_memory}
)
"""Questions about an array that are answered plainly, from the innermost value."""


def name_of(function: Function) -> str:
    """The dotted name of a function: ``"exp"``, ``"linalg.inv"``, ``"getitem"``, ``"package.f"``."""
    if isinstance(function, np.ufunc):
        name = function.__name__
        homes = (home for home in ("numpy", "scipy.special") if getattr(sys.modules.get(home), name, None) is function)
        return f"{next(homes, 'numpy._core.umath')}.{name}".removeprefix("numpy.")
    module = getattr(function, "__module__", "") or ""
    if module.startswith("minigrad."):
        module = "minigrad"
    return f"{module}.{function.__name__}".removeprefix("numpy.").removeprefix("_operator.")


def register(
    function: Function, operands: tuple[str, ...], parameters: tuple[str, ...] = (), variadic: bool = False
) -> None:
    """Give a function its name and canonical signature; registering it again replaces the old."""
    name = name_of(function)
    if NAMES.get(name, function) is not function:
        raise ValueError(f"two functions are called {name!r}; rename one of them")
    NAMES[name] = function
    FUNCTIONS[function] = Signature(name, operands, parameters, places(function, operands, parameters), variadic)


def places(function: Function, operands: tuple[str, ...], parameters: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments that `function` takes by place, by these names; all of these where it does not tell."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return operands + parameters
    own = tuple(p.name for p in arguments if p.kind in POSITIONAL)
    if own[:1] == operands[:1]:
        return own
    renamed = operands + own[len(operands) :]  # a rule may have names of its own for operands
    return renamed if {*parameters} <= {*renamed} else operands + parameters


def register_like(function: Function, model: Function) -> None:
    """`register` with the arguments of `model`: those without a default are the operands."""
    arguments = inspect.signature(model).parameters.values()
    variadic = [p for p in arguments if p.kind is p.VAR_POSITIONAL]
    operands = tuple(p.name for p in arguments if p.default is p.empty and p.kind in POSITIONAL)
    parameters = tuple(p.name for p in arguments if p.name not in operands and p.kind not in VARIADIC)
    register(function, operands, parameters, bool(variadic))


def defvjp(function: Function, *vjps: Function | None, broadcasts: bool = False) -> None:
    """Give a function its rules, ``vjp(g, ans, *operands, **parameters)``, one per operand.

    Each is linear in `g`, whatever that is, zero too, and writes to nothing that it is given.
    None stands for an operand that is not differentiated (an index, a condition), and None alone says that
    the derivative of a primitive is zero.  With `broadcasts`, operands broadcast against each other as in
    ``np.add``, and a rule may leave its result in the broadcast shape.  Functions of one's own first become
    a `primitive`; raises TypeError for one that is not.
    """
    if inspect.isfunction(function) and function not in FUNCTIONS:
        raise TypeError(f"{name_of(function)} is a plain function, of which calls go unseen; make it a primitive first")
    RULELESS.discard(function)
    template = next((vjp for vjp in vjps if vjp is not None), None)
    if template is None:
        RULES.pop(function, None)
        return
    names = tuple(inspect.signature(template).parameters)[2:]
    register(function, names[: len(vjps)], names[len(vjps) :])
    RULES[function] = Rule(vjps, broadcasts)


def define(function: Function, definition: Function) -> None:
    """Work `function` out by `definition`, which calls other functions, wherever it meets an Array."""
    register_like(function, definition)
    DEFINITIONS[function] = definition


def extend(function: Function, parameters: str, definition: Function) -> None:
    """Let `function` take further parameters: calls that give one of them are worked out by `definition`."""
    own = FUNCTIONS[function]
    FUNCTIONS[function] = own._replace(rarer=own.rarer | dict.fromkeys(parameters.split(), definition))


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
        items = [map_operand(change, item) for item in operand]
        return type(operand)(*items) if hasattr(operand, "_fields") else type(operand)(items)
    return change(operand)


def joined(operand: Any) -> Any:
    """The array that NumPy reads a list of numbers as, Arrays in it included."""
    if not isinstance(operand, (list, tuple)):
        return operand
    return np.asarray(operand) if highest(operand) is None else np.stack([joined(item) for item in operand])


def highest(operands: Any) -> Array | None:
    """The Array of the highest level among the operands and what their lists hold."""
    top: Array | None = None
    for operand in operands:
        found = highest(operand) if isinstance(operand, (list, tuple)) else operand
        if isinstance(found, Array) and (top is None or found.level > top.level):
            top = found
    return top


def dispatch(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Hand a call to the Array of the highest level among its operands."""
    if function is np.where and len(args) == 1:
        function = np.nonzero
    signature = FUNCTIONS.get(function) or find(function)
    operands, parameters = signature.bind(args, kwargs)
    for parameter, worked_out in signature.rarer.items():
        if parameter in parameters:
            return worked_out(*operands, **parameters)
    if isinstance(function, np.ufunc) or function in (np.where, np.linalg.solve):
        operands = [joined(operand) for operand in operands]
    elif function in (np.concatenate, np.stack) and isinstance(operands[0], (list, tuple, Array)):
        operands[0] = [joined(item) for item in operands[0]]
    top = highest(operands)
    hidden = highest(parameters.values()) if parameters else None
    definition = DEFINITIONS.get(function)
    if definition is not None and (hidden is not None or top is None or top.expands):
        return definition(*operands, **parameters)
    if top is None or hidden is not None:
        raise ConversionError(
            f"{signature.name}: {', '.join(signature.parameters)} must be plain numbers, not differentiated ones"
        )
    return top.apply(function, operands, parameters)


def entry(a: Any, index: Any) -> Any:
    """``a[index]``; a plain array does not ask an index whether it takes over."""
    return a[index] if isinstance(a, Array) or highest([index]) is None else dispatch(operator.getitem, (a, index), {})


def find(function: Function) -> Signature:
    """The signature of a function met for the first time, or `UnsupportedError` with what to do instead."""
    for load in LATE:
        load()
    if function in FUNCTIONS:
        return FUNCTIONS[function]
    name = name_of(function)
    instead = UNSUPPORTED.get(name) or UNSUPPORTED.get(name.rpartition(".")[0]) or OWN
    if NAMES.get(name, function) is not function:
        raise UnsupportedError(
            f"{name} was defined again, and this is the earlier one; call the later, or give each a name of its own"
        )
    raise UnsupportedError(f"{name} has no derivative rule; instead: {instead}")


def primitive(function: F) -> F:
    """Let a function of one's own be traced and, with `defvjp`, differentiated as a single step.

    The function takes arrays and returns one array, or a number, which becomes one of NumPy's; positional
    parameters without a default are its array operands, the others its parameters.  Differentiating one
    that returns floats and has no `defvjp` raises `UnsupportedError`.  Defined again, as in a notebook's
    cell that is run twice, the new one takes the place of the old, which can no longer be differentiated.

    >>> from minigrad import defvjp, grad, primitive
    >>> @primitive
    ... def cube(x):
    ...     return x * x * x
    >>> defvjp(cube, lambda g, ans, x: g * 3 * x * x)
    >>> float(grad(cube)(2.0))
    12.0
    """

    if function.__name__ == "<lambda>":
        raise TypeError("a primitive needs a name, by which programs refer to it; write it with def instead of lambda")
    if any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(function).parameters.values()):
        raise TypeError(f"{name_of(function)} takes *arguments, for each of which there would be a rule; take a list")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if highest(args) is not None or (kwargs and highest(kwargs.values()) is not None):
            return dispatch(call, args, kwargs)
        return as_number(function(*args, **kwargs), args)

    if hasattr(NAMES.get(name_of(call)), "__wrapped__"):
        earlier = NAMES.pop(name_of(call))
        for table in (FUNCTIONS, RULES):
            table.pop(earlier, None)
    register_like(call, function)
    RULELESS.add(call)
    return call  # type: ignore[return-value]


def as_number(ans: Any, operands: Any) -> Any:
    """A result, one of Python's numbers as one of NumPy's: a float in the dtype of the operands."""
    if type(ans) not in (bool, int, float):
        return ans
    dtypes = [x.dtype for x in leaves([*operands]) if getattr(x, "dtype", np.dtype(int)).kind == "f"]
    return np.asarray(ans, np.result_type(*dtypes) if dtypes and type(ans) is float else None)[()]


@primitive
def index_set(x: Any, index: Any, values: Any) -> Any:
    """A copy of `x` with `values` at `index`."""
    result = np.array(x)
    result[index] = values
    return result


@primitive
def index_add(x: Any, index: Any, values: Any) -> Any:
    """A copy of `x` with `values` added at `index`, repeated indices summed."""
    result = np.array(x)
    np.add.at(result, index, values)
    return result


class At:
    """``x.at``: functional updates, ``x.at[index].set(v)`` and ``x.at[index].add(v)``, which return new arrays."""

    def __init__(self, array: Any, index: Any = ...):
        self.array, self.index = array, index

    def __getitem__(self, index: Any) -> At:
        return At(self.array, index)

    def set(self, values: Any) -> Any:
        return index_set(self.array, self.index, joined(values))

    def add(self, values: Any) -> Any:
        return index_add(self.array, self.index, joined(values))


def operators(ufunc: np.ufunc) -> tuple[Function, Function]:
    """An operator and its reflection, which are called often enough to skip `dispatch` where they can."""

    def forward(self: Any, other: Any) -> Any:
        if isinstance(other, Array):
            top = other if other.level > self.level else self
            return top.apply(ufunc, [self, other], {})
        if isinstance(other, (list, tuple)):
            return dispatch(ufunc, (self, other), {})
        return self.apply(ufunc, [self, other], {})

    def reflected(self: Any, other: Any) -> Any:
        listed = isinstance(other, (list, tuple))
        return dispatch(ufunc, (other, self), {}) if listed else self.apply(ufunc, [other, self], {})

    return forward, reflected


def operator_of_one(ufunc: np.ufunc) -> Function:
    return lambda self: self.apply(ufunc, [self], {})


def method(function: Function) -> Function:
    """A function of NumPy as a method."""
    return lambda self, *args, **kwargs: dispatch(function, (self, *args), kwargs)


class Array:
    """Base of every kind of number array: forwards NumPy calls, operators and methods to `apply`.

    A subclass sets ``value`` (what it wraps: an ndarray or another Array) and ``level`` (0 for a kind
    of number, higher for what records or differentiates), and writes `apply`.
    """

    __slots__ = ("__weakref__", "value")

    value: Any
    level: int
    expands = True
    """Whether a function with a definition is worked out before it gets to `apply`."""
    why_not_plain = "its derivative would be lost"

    def apply(self, function: Function, operands: list[Any], parameters: dict[str, Any]) -> Any:
        """Compute ``function(*operands, **parameters)``, of whose operands this is the highest."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            if len(inputs) == 1 and not kwargs and ufunc in RULES:
                return self.apply(ufunc, list(inputs), kwargs)
            return dispatch(ufunc, inputs, kwargs)
        if method == "outer" and ufunc.nin == 2:
            x, y = inputs
            return ufunc(np.reshape(x, (*np.shape(x), *(1,) * np.ndim(y))), y, **kwargs)
        if (ufunc, method) in METHODS:
            return dispatch(METHODS[ufunc, method], inputs, {"axis": 0, **kwargs} if len(inputs) == 1 else kwargs)
        if method == "at":
            raise MutationError(f"{ufunc.__name__}.at would overwrite an array; use x.at[index].set or .add instead")
        raise UnsupportedError(f"{ufunc.__name__}.{method} has no derivative rule; call np.{ufunc.__name__} itself")

    def __array_function__(self, func: Function, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in (np.shape, np.size) and len(args) == 1 and isinstance(args[0], Array) and not kwargs:
            return args[0].shape if func is np.shape else args[0].size  # a Recorder may refuse
        if func in QUERIES:
            plain = {key: map_operand(innermost, arg) for key, arg in kwargs.items()}
            return func(*(map_operand(innermost, arg) for arg in args), **plain)
        return dispatch(func, args, kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return np

    # What NumPy or Python would do behind our back, and lose the derivative by it.

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise ConversionError(
            f"a {type(self).__name__} cannot become a plain array: {self.why_not_plain}. "
            "Join them with np.stack or np.concatenate, or take the plain value with .value"
        )

    def _no_number(self) -> Any:
        raise ConversionError(
            f"a {type(self).__name__} cannot become a plain number: {self.why_not_plain}. "
            "Use np.exp and the like instead of math.exp, np.stack or np.where instead of writing it into an array, "
            "or take the plain value with .value"
        )

    __float__ = __int__ = __complex__ = __index__ = item = tolist = _no_number

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def _no_writing(self, *args: Any, **kwargs: Any) -> None:
        raise MutationError(
            "writing into a differentiated array is not supported; "
            "use y = x.at[index].set(value), or build the result with np.where, np.sort, np.stack or np.concatenate"
        )

    __setitem__ = fill = put = sort = partition = resize = _no_writing

    def __copy__(self) -> Any:
        return self  # nothing can change it

    def __deepcopy__(self, memo: Any) -> Any:
        return self

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
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype  # type: ignore[no-any-return]

    @property
    def flags(self) -> Any:
        return self.value.flags

    @property
    def T(self) -> Any:  # noqa: N802 (ndarray's own name)
        return dispatch(np.transpose, (self,), {})

    @property
    def mT(self) -> Any:  # noqa: N802 (likewise)
        return dispatch(np.matrix_transpose, (self,), {})

    @property
    def real(self) -> Any:
        return dispatch(np.real, (self,), {})

    @property
    def at(self) -> At:
        return At(self)

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

    def flatten(self, order: str = "C") -> Any:
        return self.reshape(-1, order=order)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        return dispatch(np.astype, (self, np.dtype(dtype)), {})

    def clip(self, min: Any = None, max: Any = None, **rest: Any) -> Any:  # noqa: A002 (ndarray's own names)
        return dispatch(np.clip, (self, min, max), rest)

    ravel = flatten
    all, any, argmax, argmin = method(np.all), method(np.any), method(np.argmax), method(np.argmin)
    sum, mean, var, std = method(np.sum), method(np.mean), method(np.var), method(np.std)
    max, min, prod = method(np.max), method(np.min), method(np.prod)
    cumsum, cumprod, argsort, nonzero = method(np.cumsum), method(np.cumprod), method(np.argsort), method(np.nonzero)
    dot, trace, diagonal, take = method(np.dot), method(np.trace), method(np.diagonal), method(np.take)
    squeeze, swapaxes, repeat, round = method(np.squeeze), method(np.swapaxes), method(np.repeat), method(np.round)
    conj, conjugate, copy = method(np.conjugate), method(np.conjugate), method(np.copy)

    __add__, __radd__ = operators(np.add)
    __sub__, __rsub__ = operators(np.subtract)
    __mul__, __rmul__ = operators(np.multiply)
    __truediv__, __rtruediv__ = operators(np.divide)
    __floordiv__, __rfloordiv__ = operators(np.floor_divide)
    __mod__, __rmod__ = operators(np.remainder)
    __divmod__, __rdivmod__ = method(np.divmod), lambda self, other: np.divmod(other, self)
    __rpow__ = operators(np.power)[1]
    __matmul__, __rmatmul__ = operators(np.matmul)
    __and__, __rand__ = operators(np.bitwise_and)
    __or__, __ror__ = operators(np.bitwise_or)
    __xor__, __rxor__ = operators(np.bitwise_xor)
    __eq__, __ne__ = operators(np.equal)[0], operators(np.not_equal)[0]
    __lt__, __le__ = operators(np.less)[0], operators(np.less_equal)[0]
    __gt__, __ge__ = operators(np.greater)[0], operators(np.greater_equal)[0]

    def __pow__(self, other: Any) -> Any:
        # As ndarray does it: faster, and in the same bits.
        plain = type(other) in (int, float) and self.dtype.kind == "f"
        ufunc = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal}.get(other) if plain else None
        return dispatch(np.power, (self, other), {}) if ufunc is None else self.apply(ufunc, [self], {})

    __neg__, __pos__ = operator_of_one(np.negative), operator_of_one(np.positive)
    __abs__, __invert__ = operator_of_one(np.abs), operator_of_one(np.invert)


def innermost(value: Any) -> Any:
    """The plain ndarray or number under any stack of Arrays."""
    while isinstance(value, Array):
        value = value.value
    return value
