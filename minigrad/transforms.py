"""Functions in, derivative functions out: gradients, products with derivatives, and whole Jacobians.

Arguments and results may be nested dicts, lists and tuples of arrays, as `optree` flattens them;
each gradient has the structure of its argument.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import optree

from minigrad.backward import walk
from minigrad.errors import ConversionError, DtypeError, ShapeError
from minigrad.protocol import Array, Function, as_number, defvjp, dispatch, highest, innermost, register
from minigrad.tensor import Tensor, as_cotangent, as_floats, fresh_level, is_floats, of_level, owned

Pullback = Callable[[Any], tuple[Any, ...]]


class Trace:
    """One evaluation of a function of flat arrays, ready to be walked back."""

    def __init__(self, f: Function, inputs: Sequence[Any]):
        level = fresh_level()
        self.inputs = [Tensor.lift(x, level) for x in inputs]
        try:
            results, self.structure = optree.tree_flatten(f(*self.inputs))
        except ValueError as error:
            if isinstance(error.__cause__, ConversionError):  # NumPy's words hide what was written
                raise ConversionError(str(error.__cause__)) from error
            raise
        self.results = [r if isinstance(r, Array) else as_floats(r, "the function's result") for r in results]
        self.values = [r.value if of_level(r, level) else r for r in self.results]
        if any(isinstance(value, Array) and innermost(value).dtype.kind not in "fO" for value in self.values):
            raise DtypeError("the function's result is not a float; derivatives need floats")

    @property
    def value(self) -> Any:
        return self.structure.unflatten(self.values)

    def pull(self, cotangents: Sequence[Any], free: bool = False) -> list[Any]:
        """The gradients with respect to the inputs; with `free`, the graph is let go on the way."""
        roots = [
            (result, g)
            for result, value, g in zip(self.results, self.values, cotangents, strict=True)
            if result is not value
        ]
        if free:
            self.results.clear()
        found = dict.fromkeys(self.inputs)
        for tensor, gradient in walk(roots):
            if tensor in found:
                found[tensor] = owned(gradient)
        return [zeros_like(tensor) if gradient is None else gradient for tensor, gradient in found.items()]


def zeros_like(x: Any) -> Any:
    return np.zeros(np.shape(x), innermost(x).dtype)[()]


def grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that computes the gradient of `f`, which must return a float scalar.

    `argnums` says with respect to which positional arguments; a tuple gives a tuple of gradients.
    Each has the structure, shapes and dtypes of its argument.  Raises `DtypeError` for an integer
    argument and `ShapeError` for a result that is not a scalar.

    >>> import numpy as np
    >>> from minigrad import grad
    >>> grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> float(grad(grad(np.sin))(1.5) + np.sin(1.5))
    0.0
    """
    pair = value_and_grad(f, argnums)

    @functools.wraps(f, assigned=("__doc__",))
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return pair(*args, **kwargs)[1]

    return gradient


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """Like `grad`, but the function returns ``(value, gradient)``."""
    numbers = numbered(argnums)

    @functools.wraps(f, assigned=("__doc__",))
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        of_chosen, flat, unflatten = chosen(f, numbers, args, kwargs)
        trace = Trace(of_chosen, flat)
        if len(trace.values) != 1:
            raise ShapeError(f"the function returned {len(trace.values)} arrays, not one scalar; use vjp")
        value = trace.value
        gradients = unflatten(trace.pull([as_cotangent(None, trace.values[0])], free=True))
        return value, gradients[0] if is_single(argnums) else gradients

    return value_and_gradient


def is_single(argnums: Any) -> bool:
    """Whether it is a number of an argument, rather than several."""
    return isinstance(argnums, (int, np.integer))


def numbered(argnums: int | Sequence[int]) -> list[int]:
    """The numbers of the arguments that are asked for."""
    several: Any = [argnums] if is_single(argnums) else argnums
    return [operator.index(number) for number in several]


def chosen(f: Function, numbers: Sequence[int], args: Any, kwargs: Any) -> tuple[Function, list[Any], Function]:
    """`f` as a function of the arrays in the chosen arguments, these arrays, and what puts arrays in their place."""
    count = len(args)
    for number in numbers:
        if not -count <= number < count:
            raise IndexError(f"argnums asks for argument {number}, but there are only {count} positional arguments")
    places = [number % count for number in numbers]
    if len({*places}) < len(places):
        raise ValueError(f"argnums {tuple(numbers)} names an argument twice")
    leaves, structure = optree.tree_flatten(tuple([args[place] for place in places]))
    flat = leaves
    if not all(map(is_floats, leaves)):
        owners = [i for i, tree in zip(places, structure.children(), strict=True) for _ in range(tree.num_leaves)]
        flat = [as_floats(x, f"argument {i}") for i, x in zip(owners, leaves, strict=True)]

    def of_chosen(*arrays: Any) -> Any:
        full = list(args)
        for place, tree in zip(places, structure.unflatten(arrays), strict=True):
            full[place] = tree
        return f(*full, **kwargs)

    return of_chosen, flat, structure.unflatten


def vjp(f: Function, *primals: Any) -> tuple[Any, Pullback]:
    """The value of ``f(*primals)`` and its pullback: from a cotangent to a gradient per primal.

    The cotangent has the value's structure and shapes; the gradients have the primals' structures,
    shapes and dtypes.  The pullback may be called again, and differentiated.

    >>> import numpy as np
    >>> from minigrad import vjp
    >>> value, pullback = vjp(np.matmul, np.ones((1, 2)), np.array([[3.0], [4.0]]))
    >>> dx, dw = pullback(np.array([[10.0]]))
    >>> dx
    array([[30., 40.]])
    """
    of_arrays, flat, unflatten = chosen(f, range(len(primals)), primals, {})
    trace = Trace(of_arrays, flat)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        is_one = cotangent is None and len(trace.values) == 1
        given, like = ([None], trace.structure) if is_one else optree.tree_flatten(cotangent)
        if like != trace.structure:
            raise ShapeError(f"the cotangent has the structure {like}; give it the result's, {trace.structure}")
        cotangents = [as_cotangent(g, value) for g, value in zip(given, trace.values, strict=True)]
        return unflatten(trace.pull(cotangents))  # type: ignore[no-any-return]

    return trace.value, pullback


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of ``f(*primals)`` and its derivative along `tangents`, which are like the primals.

    The pullback is linear in its cotangent, and the pullback of that is the derivative along a
    direction: two passes back make one forward.

    >>> from minigrad import jvp
    >>> value, tangent = jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 10.0))
    >>> float(value), float(tangent)
    (12.0, 34.0)
    """
    as_arguments(primals, "primals")
    if len(as_arguments(tangents, "tangents")) != len(primals):
        raise ShapeError(f"tangents: there are {len(tangents)} for {len(primals)} primals; give one for each")
    value, pullback = vjp(f, *primals)
    _, transposed = vjp(pullback, optree.tree_map(zeros_like, value))
    given, wanted = (optree.tree_structure(tuple(each)) for each in (tangents, primals))
    if given != wanted:
        raise ShapeError(f"the tangent has the structure {given}; give it the primals', {wanted}")
    return value, transposed(optree.tree_map(as_tangent, tuple(tangents), tuple(primals)))[0]


def as_arguments(args: Any, name: str) -> Sequence[Any]:
    if isinstance(args, (list, tuple)):
        return args
    raise TypeError(f"{name} is a {type(args).__name__}; give a tuple, one for each argument of the function: (x,)")


def as_tangent(tangent: Any, primal: Any) -> Any:
    return as_cotangent(tangent, as_floats(primal, "the primal"), "the tangent")


def jacobian(f: Function, argnums: int = 0, layout: Literal["numerator", "denominator"] = "numerator") -> Function:
    """The function that computes all partial derivatives of an array with respect to an array.

    In numerator layout the result has the shape of the value followed by that of the argument,
    m-by-n for a function from n numbers to m; in denominator layout the argument's comes first,
    n-by-m.  Raises `ShapeError` where the argument or the result holds several arrays.

    >>> import numpy as np
    >>> from minigrad import jacobian
    >>> jacobian(lambda x: np.array([[1.0, 2.0]]) @ x)(np.zeros(2))
    array([[1., 2.]])
    >>> jacobian(lambda x: np.array([[1.0, 2.0]]) @ x, layout="denominator")(np.zeros(2))
    array([[1.],
           [2.]])
    """
    if layout not in ("numerator", "denominator"):
        raise ValueError(f"layout {layout!r} is not known; use 'numerator' (m-by-n) or 'denominator' (n-by-m)")

    @functools.wraps(f, assigned=("__doc__",))
    def whole(*args: Any, **kwargs: Any) -> Any:
        of_chosen, flat, _ = chosen(f, numbered(argnums), args, kwargs)
        trace = Trace(of_chosen, flat)
        if len(flat) != 1 or len(trace.values) != 1:
            raise ShapeError("jacobian takes one array to one array; pick a leaf of the argument and of the result")
        [value] = trace.values
        basis = np.eye(np.size(value), dtype=innermost(value).dtype)
        rows = [trace.pull([np.reshape(e, np.shape(value))[()]])[0] for e in basis]
        flat_rows = np.stack(rows) if rows else np.zeros((0, *np.shape(flat[0])), innermost(flat[0]).dtype)
        matrix = np.reshape(flat_rows, (*np.shape(value), *np.shape(flat[0])))[()]
        if layout == "numerator":
            return matrix
        m = np.ndim(value)
        return np.transpose(matrix, (*range(m, np.ndim(matrix)), *range(m)))

    return whole


def hessian(f: Function, argnums: int = 0) -> Function:
    """The function that computes all second derivatives of a scalar, with the argument's shape twice.

    >>> import numpy as np
    >>> from minigrad import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, primals: Sequence[Any], vectors: Sequence[Any]) -> Any:
    """The Hessian of the scalar ``f(*primals)`` times `vectors`, which are like the primals; a tuple like them.

    >>> from minigrad import hvp
    >>> [float(h) for h in hvp(lambda x, y: x**2 * y, (3.0, 5.0), (1.0, 0.0))]
    [10.0, 6.0]
    """
    return jvp(grad(f, range(len(as_arguments(primals, "primals")))), primals, as_arguments(vectors, "vectors"))[1]


def checkpoint(f: Function) -> Function:
    """`f`, but its intermediate values are not kept: the backward pass computes them again.

    `f` takes arrays, nested or not, and anything else, which is held constant; it is run on plain arrays,
    which have no ``.at``, and returns one array.

    >>> import numpy as np
    >>> from minigrad import checkpoint, grad
    >>> float(grad(checkpoint(lambda x: np.exp(np.sin(x))))(0.0))
    1.0
    """

    @functools.wraps(f, assigned=("__doc__", "__name__"))
    def forgetful(*args: Any, **kwargs: Any) -> Any:
        arrays, structure = optree.tree_flatten(args)
        return recomputed(arrays, f=lambda *each: f(*optree.tree_unflatten(structure, each), **kwargs))

    return forgetful


def stop_gradient(x: Any) -> Any:
    """The same value, or structure of arrays, as a constant: no gradient, of whatever order, flows back through it.

    >>> from minigrad import grad, stop_gradient
    >>> float(grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """

    def stopped(leaf: Any) -> Any:
        while isinstance(leaf, Tensor):
            leaf = leaf.value
        # What is recorded stops other gradients as well, once it is differentiated.
        return dispatch(stop_gradient, (leaf,), {}) if isinstance(leaf, Array) else leaf

    return optree.tree_map(stopped, x)


def recomputed(arrays: Any, *, f: Function) -> Any:
    """``f(*arrays)``, as a single step where it is differentiated and as its own steps everywhere else."""
    top = highest(arrays)
    if isinstance(top, Tensor):
        return dispatch(recomputed, (arrays,), {"f": f})
    ans = f(*arrays)
    if isinstance(ans, (dict, list, tuple)):
        raise ShapeError(f"the checkpointed function returned a {type(ans).__name__}; return one array")
    if isinstance(ans, Tensor):
        raise ConversionError(
            "the checkpointed function uses a differentiated value that is not among its arguments; pass it as one"
        )
    return as_number(ans, arrays)


def recomputed_vjp(g: Any, ans: Any, arrays: Any, f: Function) -> list[Any]:
    floats = [i for i, x in enumerate(arrays) if np.asarray(innermost(x)).dtype.kind == "f"]

    def of_floats(*each: Any) -> Any:
        full = list(arrays)
        for i, x in zip(floats, each, strict=True):
            full[i] = x
        return f(*full)

    found = dict(zip(floats, vjp(of_floats, *(arrays[i] for i in floats))[1](g), strict=True))
    return [found.get(i) for i in range(len(arrays))]


register(stop_gradient, ("x",))
register(recomputed, ("arrays",), ("f",))
defvjp(recomputed, recomputed_vjp)
