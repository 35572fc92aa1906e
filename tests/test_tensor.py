"""Tensor against NumPy's protocols, and ``backward``."""

from __future__ import annotations

import copy
import math
import operator
import re
from typing import Any

import numpy as np
import pytest
import scipy.special

from minigrad import (
    ConversionError,
    DtypeError,
    MutationError,
    ShapeError,
    Tensor,
    UnsupportedError,
    defvjp,
    grad,
    hvp,
    jvp,
    primitive,
    softmax,
    stage,
    stop_gradient,
    trace,
    vjp,
)
from minigrad.protocol import Function
from tests.support import assert_close, bits, scratch_registry


def vector() -> Any:
    return np.array([1.0, -2.0, 3.0])


# Where NumPy finds Tensors.


def test_tensors_inside_a_list() -> None:
    assert grad(lambda x: np.sum(np.concatenate([x, 3 * x])))(vector()).tolist() == [4, 4, 4]


def test_tensors_inside_a_tuple_with_plain_numbers() -> None:
    assert grad(lambda x: np.sum(np.stack((x, 1.0, x))))(2.0) == 2


def test_tensors_in_keywords() -> None:
    assert grad(lambda x: np.sum(a=2 * x))(vector()).tolist() == [2, 2, 2]


def test_list_of_tensors_as_a_keyword() -> None:
    assert grad(lambda x: np.sum(np.concatenate(arrays=[x, x], axis=0)))(vector()).tolist() == [2, 2, 2]


def test_list_of_tensors_beside_a_tensor_is_an_array() -> None:
    gradients = grad(lambda m, a, b: np.sum(m * [a, b]), argnums=(0, 1, 2))(
        np.array([[1.0, 2.0], [3.0, 4.0]]), 5.0, 6.0
    )
    assert gradients[0].tolist() == [[5, 6], [5, 6]]
    assert gradients[1:] == (4, 6)


def test_list_of_numbers_as_an_operand() -> None:
    assert grad(lambda x: x @ [1.0, 2.0, 4.0])(vector()).tolist() == [1, 2, 4]


@pytest.mark.parametrize("join", [np.concatenate, np.stack])
def test_joining_the_rows_of_one_tensor(join: Function) -> None:
    assert grad(lambda x: np.sum(join(x)))(np.ones((2, 3))).tolist() == [[1, 1, 1], [1, 1, 1]]


def test_iteration() -> None:
    assert grad(sum)(vector()).tolist() == [1, 1, 1]


def test_add_reduce_is_sum_over_the_first_axis() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert np.add.reduce(Tensor(x)).value.tolist() == np.add.reduce(x).tolist()


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum])
def test_reduce_takes_an_axis(ufunc: np.ufunc) -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert ufunc.reduce(Tensor(x), axis=1).value.tolist() == ufunc.reduce(x, axis=1).tolist()


def test_reduce_has_a_gradient() -> None:
    assert grad(lambda x: np.multiply.reduce(x))(vector()).tolist() == [-6, 3, -2]


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
LEFT = [2.0, 2, np.float64(2), np.float32(2), np.array(2.0), np.array([1.0, 2.0, 3.0]), np.array([[1], [2]])]


@pytest.mark.parametrize("left", LEFT, ids=lambda left: f"{type(left).__name__}{np.shape(left)}")
@pytest.mark.parametrize("op", OPERATORS)
def test_reflected_operator(op: Function, left: Any) -> None:
    result = op(left, Tensor(vector()))
    assert isinstance(result, Tensor)
    assert bits(result.value) == bits(op(left, vector()))


def test_reflected_matmul() -> None:
    assert (np.eye(3) @ Tensor(vector())).value.tolist() == [1, -2, 3]


@pytest.mark.parametrize("op", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
def test_comparisons_are_plain(op: Function) -> None:
    assert op(Tensor(vector()), 1.0).tolist() == op(vector(), 1.0).tolist()


@pytest.mark.parametrize("op", [operator.neg, operator.pos, operator.abs])
def test_unary_operator(op: Function) -> None:
    assert op(Tensor(vector())).value.tolist() == op(vector()).tolist()


METHODS = {
    "T": lambda x: x.T,
    "reshape": lambda x: x.reshape(3, 2),
    "reshape to a tuple": lambda x: x.reshape((3, 2)),
    "reshape in Fortran order": lambda x: x.reshape(6, order="F"),
    "transpose": lambda x: x.transpose(),
    "transpose with axes": lambda x: x.transpose(1, 0),
    "transpose with a tuple": lambda x: x.transpose((1, 0)),
    "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(),
    "astype": lambda x: x.astype(np.float32),
    "sum": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(1),
    "max": lambda x: x.max(axis=1, keepdims=True),
    "min": lambda x: x.min(),
    "prod": lambda x: x.prod(axis=-1),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_method_of_ndarray(method: Function) -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert bits(method(Tensor(x)).value) == bits(method(x))


# Questions.


@pytest.mark.parametrize("question", [np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, len])
def test_question_is_answered_plainly(question: Function) -> None:
    x = np.ones((2, 3), np.float32)
    assert question(Tensor(Tensor(x))) == question(x)


@pytest.mark.parametrize("question", [np.shape, np.ndim, np.size])
def test_question_by_keyword_is_answered_plainly(question: Function) -> None:
    x = np.ones((2, 3))
    assert question(a=Tensor(x)) == question(x)


@pytest.mark.parametrize("attribute", ["shape", "ndim", "size", "dtype"])
def test_attribute_of_ndarray(attribute: str) -> None:
    x = np.ones((2, 3), np.float32)
    assert getattr(Tensor(Tensor(x)), attribute) == getattr(x, attribute)


def test_python_control_flow_sees_the_value() -> None:
    assert grad(lambda x: x * x if x > 0 else -x)(-3.0) == -1


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_truth_is_that_of_the_value(value: float) -> None:
    assert bool(Tensor(value)) == bool(value)


def test_tensors_are_hashable() -> None:
    x = Tensor(1.0)
    assert {x: "x"}[x] == "x"


# What would lose the derivative.


CONVERSIONS = [np.asarray, np.array, float, int, complex, math.exp, lambda x: np.array([x, x]), lambda x: [0.0, 1.0][x]]


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_conversion_is_refused(convert: Function) -> None:
    with pytest.raises(ConversionError, match="derivative would be lost"):
        convert(Tensor(1.0))


def test_conversion_by_assignment_to_a_slice_is_refused() -> None:
    y = np.zeros(3)
    with pytest.raises(ConversionError):
        y[:] = Tensor(vector())


def test_conversion_by_assignment_to_an_entry_is_refused() -> None:
    y = np.zeros(3)
    with pytest.raises(ValueError, match="sequence") as caught:
        y[0] = Tensor(1.0)
    assert isinstance(caught.value.__cause__, ConversionError)


def test_tensor_as_a_parameter_is_refused() -> None:
    with pytest.raises(ConversionError):
        np.sum(vector(), axis=Tensor(0.0))  # type: ignore[call-overload]


@pytest.mark.parametrize("op", [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow])
def test_array_cannot_be_updated_by_a_tensor(op: Function) -> None:
    with pytest.raises(MutationError):
        op(np.ones(3), Tensor(vector()))


@pytest.mark.parametrize("function", [np.exp, np.sum, np.add.reduce])
def test_out_is_refused(function: Function) -> None:
    with pytest.raises(MutationError, match="out="):
        function(Tensor(vector()), out=np.zeros(()))


def test_tensor_as_out_is_refused() -> None:
    with pytest.raises(MutationError):
        np.exp(vector(), out=Tensor(vector()))  # type: ignore[call-overload]


def test_writing_into_a_tensor_is_refused() -> None:
    with pytest.raises(MutationError):
        Tensor(vector())[0] = 1.0


def test_augmented_assignment_to_a_tensor_rebinds() -> None:
    x = y = Tensor(1.0)
    y += 1.0
    assert (x.value, y.value) == (1, 2)


# What is called, the function that the message names, and what it says to use instead.
UNSUPPORTED = [
    (np.linalg.eig, "linalg.eig", "np.linalg.eigh for symmetric matrices"),
    (np.linalg.eigvals, "linalg.eigvals", "np.linalg.eigh for symmetric matrices"),
    (lambda x: np.linalg.lstsq(x, x), "linalg.lstsq", "np.linalg.pinv(a) @ b"),
    (np.fft.fft, "fft.fft", "np.matmul with the matrix of the transform"),
    (np.histogram, "histogram", "a function of your own, by minigrad.primitive and defvjp"),
    (lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0]), "interp", "np.searchsorted and indexing"),
    (lambda x: np.polyval([1.0, 2.0], x), "polyval", "np.sum(c * x ** k)"),
    (np.cov, "cov", "the deviations from np.mean"),
    (np.gradient, "gradient", "slices, as in (x[2:] - x[:-2]) / 2"),
    (np.unique, "unique", "np.sort and np.diff"),
    (np.nanvar, "nanvar", "np.where(np.isnan(x), ..., x)"),
    (lambda x: np.apply_along_axis(np.sum, 0, x), "apply_along_axis", "a loop or np.stack"),
    (lambda x: np.copyto(np.zeros((2, 2)), x), "copyto", "x.at[index].set(values), which returns a new array"),
    (lambda x: np.fill_diagonal(x, 0.0), "fill_diagonal", "x.at[index].set(values), which returns a new array"),
    (lambda x: np.put_along_axis(x, np.array([[0]]), 1.0, 0), "put_along_axis", "x.at[index].set(values)"),
    (np.array_repr, "array_repr", "x.value, the plain array"),
    (np.frexp, "frexp", "np.ldexp and np.log2"),
]


@pytest.mark.parametrize(("f", "name", "instead"), UNSUPPORTED, ids=[name for _, name, _ in UNSUPPORTED])
def test_unsupported_function_is_named_with_what_to_use_instead(f: Function, name: str, instead: str) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(f"{name} has no derivative rule; instead: {instead}")):
        f(Tensor(np.eye(2)))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (
            lambda x: np.quantile(x, 0.5, weights=[1.0, 2.0], method="inverted_cdf"),
            "quantile: weights= is not supported; supported: a, q, axis, keepdims, method",
        ),
        (lambda x: np.sort(x, order="a"), "sort: order= is not supported; supported: a, axis, kind, stable"),
        (lambda x: np.sort(x, -1, None, "a"), "sort: order= is not supported"),
    ],
)
def test_unsupported_keyword_is_named(f: Function, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        f(Tensor(vector()))


def test_reductions_take_where_and_initial() -> None:
    mask = np.array([True, False, True])
    assert grad(lambda x: np.sum(x * x, where=mask, initial=7.0))(vector()).tolist() == [2, 0, 6]
    assert grad(lambda x: np.max(x, initial=5.0))(vector()).tolist() == [0, 0, 0]


def test_unsupported_keyword_of_a_ufunc_is_named() -> None:
    with pytest.raises(UnsupportedError, match="exp: where="):
        np.exp(Tensor(vector()), where=np.array([True, False, True]))


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda x: np.add.reduceat(x, [0]), "add.reduceat"),
        (np.subtract.reduce, "subtract.reduce"),
        (np.hypot.reduce, "hypot.reduce"),
        (np.divide.accumulate, "divide.accumulate"),
    ],
)
def test_unsupported_method_of_a_ufunc_is_named(f: Function, name: str) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(f"{name} has no derivative rule; call np.")):
        f(Tensor(vector()))


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp])
def test_accumulate_of_a_ufunc(ufunc: np.ufunc) -> None:
    x = np.array([[0.5, 2.0], [1.5, 1.0], [-1.0, 3.0]])
    for axis in (0, 1):
        np.testing.assert_allclose(ufunc.accumulate(Tensor(x), axis=axis).value, ufunc.accumulate(x, axis=axis))


def test_outer_of_a_ufunc() -> None:
    x, y = np.arange(2.0), np.arange(6.0).reshape(2, 3)
    assert bits(np.multiply.outer(Tensor(x), y).value) == bits(np.multiply.outer(x, y))
    assert bits(np.subtract.outer(y, Tensor(x)).value) == bits(np.subtract.outer(y, x))


def test_at_of_a_ufunc_is_refused() -> None:
    with pytest.raises(MutationError, match=r"add\.at would overwrite an array; use x\.at\[index\]"):
        np.add.at(Tensor(vector()), [0], 1.0)
    with pytest.raises(MutationError, match=r"add\.at would overwrite"):
        np.add.at(np.zeros(3), [0], Tensor(1.0))


def test_too_many_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="squeeze: got 3 arguments, more than a, axis"):
        Tensor(1.0).__array_function__(np.squeeze, (), (Tensor(1.0), None, 3), {})


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod])
def test_third_place_is_dtypes_as_in_numpy(function: Function) -> None:
    result = function(Tensor(vector()), 0, np.float32)
    assert bits(result.value) == bits(function(vector(), 0, np.float32))
    with pytest.raises(MutationError, match="out= would overwrite an array"):
        function(Tensor(vector()), 0, np.float32, np.zeros(()))


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(DtypeError, match="complex"):
        Tensor(1.0) * 1j


def add_in_place(x: Any) -> Any:
    y = np.zeros(3)
    y += x
    return np.sum(y)


def set_in_place(x: Any) -> Any:
    x[0] = 1.0
    return np.sum(x)


def set_slice_of_plain(x: Any) -> Any:
    y = np.zeros(3)
    y[:] = x
    return np.sum(y)


# What people write, the error that it gives, and what its message offers instead.
MISUSES: dict[str, tuple[Function, type[Exception], str]] = {
    "assignment to an entry": (set_in_place, MutationError, "use y = x.at[index].set(value), or build the result with"),
    "in-place addition": (
        add_in_place,
        MutationError,
        "add: out= would overwrite an array; use the returned result instead",
    ),
    "out=": (
        lambda x: np.exp(x, out=np.zeros(3)),
        MutationError,
        "exp: out= would overwrite an array; use the returned",
    ),
    "out= of a function": (
        lambda x: np.concatenate([x], out=np.zeros(3)),
        MutationError,
        "concatenate: out= would overwrite",
    ),
    "ufunc.at": (lambda x: np.add.at(np.zeros(3), [0], x[0]), MutationError, "use x.at[index].set or .add instead"),
    "np.copyto": (
        lambda x: np.copyto(np.zeros(3), x),
        UnsupportedError,
        "x.at[index].set(values), which returns a new array",
    ),
    "np.put": (lambda x: np.put(x, [0], 1.0), UnsupportedError, "x.at[index].set(values), which returns a new array"),
    "assignment to a slice": (set_slice_of_plain, ConversionError, "Join them with np.stack or np.concatenate"),
    "np.asarray": (
        np.asarray,
        ConversionError,
        "Join them with np.stack or np.concatenate, or take the plain value with .value",
    ),
    "np.array of a list": (
        lambda x: np.array([x[0], 1.0]),
        ConversionError,
        "Join them with np.stack or np.concatenate",
    ),
    "np.array of arrays": (lambda x: np.array([x, x]), ConversionError, "Join them with np.stack or np.concatenate"),
    "math": (lambda x: math.exp(x[0]), ConversionError, "Use np.exp and the like instead of math.exp"),
    "float": (lambda x: float(x[0]), ConversionError, "or take the plain value with .value"),
    "item": (lambda x: np.sum(x).item(), ConversionError, "or take the plain value with .value"),
    "tolist": (lambda x: x.tolist(), ConversionError, "or take the plain value with .value"),
    "as an index": (lambda x: [1, 2, 3][np.sum(x)], ConversionError, "cannot become a plain number"),
    "as a parameter": (lambda x: np.sum(x, axis=x[0]), ConversionError, "sum: axis, keepdims must be plain numbers"),
    "no such function": (
        lambda x: np.interp(x, x, x),
        UnsupportedError,
        "interp has no derivative rule; instead: np.searchsorted",
    ),
    "no such keyword": (
        lambda x: np.exp(x, where=x > 0),
        UnsupportedError,
        "exp: where= is not supported; supported: x",
    ),
    "complex numbers": (
        lambda x: np.sum(x * 1j),
        DtypeError,
        "multiply gave complex numbers, which are not differentiated",
    ),
    "integers from floats": (lambda x: np.sum(x.astype(int)), DtypeError, "has dtype int64; derivatives need floats"),
    "no scalar": (lambda x: 2 * x, ShapeError, "sum it to a scalar, or use vjp or backward with a cotangent"),
}


@pytest.mark.parametrize(("f", "error", "message"), MISUSES.values(), ids=MISUSES)
def test_misuse_is_refused_with_what_to_do_instead(f: Function, error: type[Exception], message: str) -> None:
    x = vector()
    with pytest.raises(error, match=re.escape(message)):
        grad(f)(x)
    assert x.tolist() == vector().tolist()


@pytest.mark.parametrize(
    "name", ["assignment to an entry", "in-place addition", "out=", "ufunc.at", "math", "np.asarray"]
)
def test_misuse_is_refused_while_tracing_too(name: str) -> None:
    f, error, message = MISUSES[name]
    with pytest.raises(error, match=re.escape(message)):
        trace(f, vector())


@pytest.mark.parametrize("write", [lambda y, x: operator.setitem(y, 0, x[0]), lambda y, x: y.fill(x[0])])
def test_number_written_into_a_plain_array_is_refused_for_the_same_reason(write: Function) -> None:
    """NumPy raises an error of its own, of which ours, which says what to do, is the cause."""
    with pytest.raises(ConversionError, match=re.escape("np.stack or np.where instead of writing it into an array")):
        grad(lambda x: write(np.zeros(3), x))(vector())


def test_other_errors_of_the_function_come_as_they_are() -> None:
    with pytest.raises(ValueError, match="of the function's own"):
        grad(lambda x: (_ for _ in ()).throw(ValueError("of the function's own")))(vector())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_same_and_keeps_its_derivative(copied: Function) -> None:
    x = vector()
    assert bits(grad(lambda parts: np.sum(copied(parts)["x"] ** 2))({"x": x})["x"]) == bits(2 * x)
    assert bits(trace(lambda x: copied(x) * 2, x)(x)) == bits(2 * x)


def test_attributes_and_methods_take_what_those_of_an_array_take() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    for ask in (
        lambda x: x.ravel("F"),
        lambda x: x.flatten(order="F"),
        lambda x: x.real,
        lambda x: x.conjugate(),
        lambda x: x.astype(np.float32, copy=False),
    ):
        assert bits(ask(Tensor(x)).value) == bits(ask(x))


def test_augmented_assignment_inside_a_function_leaves_the_argument_alone() -> None:
    def f(x: Any) -> Any:
        x += 1
        x *= 2
        return np.sum(x)

    x = vector()
    assert grad(f)(x).tolist() == [2, 2, 2]
    assert x.tolist() == vector().tolist()


# Which values can be differentiated.


@pytest.mark.parametrize("value", [3, True, np.arange(3), np.array([1j]), np.array(["a"]), None, [1.0, 2.0]])
def test_only_floats_become_tensors(value: Any) -> None:
    with pytest.raises(DtypeError, match="value"):
        Tensor(value)


def test_integer_argument_is_refused_by_position() -> None:
    with pytest.raises(DtypeError, match="argument 1"):
        grad(np.add, argnums=1)(1.0, 2)


def test_integer_cotangent_is_refused() -> None:
    with pytest.raises(DtypeError, match="cotangent"):
        Tensor(vector()).backward(np.ones(3, int))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_is_kept(dtype: Any) -> None:
    gradient = grad(lambda x: np.mean(np.tanh(x) * 2.0 + x**2 / 3 + np.maximum(x, 0)))(np.ones(4, dtype))
    assert gradient.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_of_a_scalar_is_kept(dtype: Any) -> None:
    assert grad(lambda x: np.max(np.sqrt(x) * 2.0))(dtype(4.0)).dtype == dtype


def test_mixed_dtypes_give_each_argument_its_own() -> None:
    gradients = grad(lambda x, y: np.sum(x * y), argnums=(0, 1))(np.ones(3, np.float32), np.ones(3))
    assert [g.dtype for g in gradients] == [np.float32, np.float64]


def test_cotangent_is_cast_to_the_dtype_of_the_result() -> None:
    x = Tensor(np.ones(3, np.float32))
    (x * 2).backward(np.ones(3))
    assert x.grad.dtype == np.float32


def test_astype_casts_the_gradient_back() -> None:
    assert bits(grad(lambda x: np.sum(x.astype(np.float32)))(np.ones(2))) == bits(np.ones(2))


# backward.


def composed(x: Any) -> Any:
    return np.sum(np.tanh(x) * np.exp(x[::-1]) / (2 + np.sin(x)))


def test_backward_reaches_intermediates() -> None:
    x = Tensor(3.0)
    y = x * x
    (2.0 * y).backward()
    assert (x.grad, y.grad) == (12, 2)


def test_backward_reaches_the_result_itself() -> None:
    y = Tensor(vector()) * 2
    y.backward(vector())
    assert y.grad.tolist() == vector().tolist()


def test_grad_is_none_before_backward() -> None:
    assert Tensor(3.0).grad is None


def test_grad_is_none_where_backward_did_not_come() -> None:
    x, other = Tensor(3.0), Tensor(4.0)
    (x * stop_gradient(other)).backward()
    assert other.grad is None


def test_second_backward_gives_the_same_bits_and_does_not_accumulate() -> None:
    x = Tensor(vector())
    y = composed(x)
    y.backward()
    first = bits(x.grad)
    y.backward()
    assert bits(x.grad) == first


def test_backward_from_another_result_replaces() -> None:
    x = Tensor(3.0)
    (x * x).backward()
    (5 * x).backward()
    assert x.grad == 5


def test_backward_agrees_with_grad_bit_for_bit() -> None:
    x = Tensor(vector())
    composed(x).backward()
    assert bits(x.grad) == bits(grad(composed)(vector()))


def test_backward_of_a_vector_needs_a_cotangent() -> None:
    with pytest.raises(ShapeError, match=r"shape \(3,\), not \(\)"):
        Tensor(vector()).backward()


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3, 1)])
def test_cotangent_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="cotangent"):
        Tensor(vector()).backward(np.ones(shape))


def test_stop_gradient_makes_a_constant() -> None:
    assert grad(lambda x: x * stop_gradient(x))(3.0) == 3


def test_stop_gradient_holds_at_every_order() -> None:
    assert grad(grad(lambda x: x * x * stop_gradient(x)))(3.0) == 6


def test_stop_gradient_leaves_plain_values_alone() -> None:
    x = vector()
    assert stop_gradient(x) is x


def test_repr_shows_the_value() -> None:
    assert repr(Tensor(vector())) == "Tensor(array([ 1., -2.,  3.]))"


# Memory.


def test_inputs_are_never_written_to() -> None:
    x, w, g = vector(), np.ones((3, 3)), vector()
    before = copy.deepcopy([x, w, g])
    _, pullback = vjp(lambda x, w: np.maximum(w @ x, 0) + x[[0, 0, 1]] * np.prod(x), x, w)
    pullback(g)
    pullback(g)
    assert list(map(bits, [x, w, g])) == list(map(bits, before))


SHARING = [
    lambda x, y: x + y,
    lambda x, y: +x + np.reshape(y, 3),
    lambda x, y: np.concatenate([x, y])[:3] + y,
    lambda x, y: np.stack([x, y])[0] + y,
    lambda x, y: x + np.transpose(y),
]


@pytest.mark.parametrize("f", SHARING)
def test_gradients_share_memory_with_nothing(f: Function) -> None:
    x, y, g = vector(), vector(), vector()
    dx, dy = vjp(f, x, y)[1](g)
    assert not any(np.shares_memory(d, other) for d in (dx, dy) for other in (x, y, g))
    assert not np.shares_memory(dx, dy)


def test_grads_of_tensors_share_memory_with_nothing() -> None:
    x, y = Tensor(vector()), Tensor(vector())
    z = x + y
    z.backward(vector())
    arrays = [x.grad, y.grad, z.grad, x.value, y.value, z.value]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_gradient_can_be_written_to() -> None:
    gradient = grad(np.sum)(np.ones((2, 3)))
    gradient += 1
    assert gradient.tolist() == [[2, 2, 2], [2, 2, 2]]


def read_only(x: Any) -> Any:
    y = x.copy()
    y.flags.writeable = False
    return y


BASE = np.arange(12.0).reshape(3, 4) - 5
LAYOUTS = {
    "0-d": np.array(3.0),
    "scalar": np.float64(3.0),
    "zero-size": np.zeros((0, 3)),
    "read-only": read_only(BASE),
    "Fortran-ordered": np.asfortranarray(BASE),
    "negative-stride": BASE[::-1, ::-2],
    "broadcast": np.broadcast_to(np.arange(4.0), (3, 4)),
    "broadcast scalar": np.broadcast_to(2.0, (2, 2)),
    "every other": np.arange(48.0).reshape(6, 8)[::2, 1::2] - 20,
    "transposed": (np.arange(12.0).reshape(4, 3) - 5).T,
    "axes moved": np.moveaxis(np.arange(24.0).reshape(2, 3, 4), 0, 2)[..., 1] - 10,
    "unaligned": np.frombuffer(b"." + BASE.tobytes(), np.uint8)[1:].view(float).reshape(3, 4),
    "byte order": BASE.astype(BASE.dtype.newbyteorder()),
    "one row repeated": np.lib.stride_tricks.as_strided(np.arange(4.0), (3, 4), (0, 8)),
}


@pytest.mark.parametrize("x", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_does_not_change_the_gradient(x: Any) -> None:
    f = grad(lambda x: np.sum(x * x * x - 2 * x + np.maximum(x, x.T[..., :1].T if x.ndim > 1 else 1)))
    assert bits(f(x)) == bits(f(np.array(x, order="C")))


# Functions of a 3-by-4 matrix; sums and products of matrices may add in another order, no more.
OF_ANY_LAYOUT: dict[str, Function] = {
    "elementwise": lambda x: np.sum(np.tanh(x) * np.cos(x) + np.hypot(x, 3)),
    "reductions": lambda x: np.sum(np.var(x, axis=0) * np.prod(x / 5, axis=0)) + np.max(x) * np.linalg.norm(x),
    "products": lambda x: np.sum((x @ x.T / 9) @ x),
    "indexing": lambda x: np.sum(x[[0, 0, 2]] * x[::-1] * x[:, ::2].sum() + x.T[1, :2].sum()),
    "shapes": lambda x: np.sum(np.reshape(x, (4, 3)) * x.T + np.ravel(x)[5] * x.T),
    "joined": lambda x: np.sum(np.concatenate([x, x[::-1]]) * np.stack([x, x]).reshape(6, 4) ** 2),
    "sorted": lambda x: np.sum(np.sort(x, axis=0) * np.cumsum(x, axis=1)),
    "linear system": lambda x: np.sum(np.linalg.solve(x @ x.T + 9 * np.eye(3), x)),
    "updated": lambda x: np.sum(x.at[1].set(x[0] * 2).at[[0, 0]].add(x[1:]) ** 2),
    "softmax": lambda x: np.sum(softmax(x / 5, axis=0) * x),
}


@pytest.mark.parametrize("layout", [name for name, x in LAYOUTS.items() if np.shape(x) == (3, 4)])
@pytest.mark.parametrize("f", OF_ANY_LAYOUT.values(), ids=OF_ANY_LAYOUT)
def test_layout_does_not_change_what_functions_of_matrices_give(f: Function, layout: str) -> None:
    x = LAYOUTS[layout]
    plain = np.array(x, dtype=float, order="C")
    x.flags.writeable = False
    before = bits(x)
    v = np.cos(plain)
    for transform in (
        grad(f),
        lambda x: jvp(f, (x,), (v,))[1],
        lambda x: hvp(f, (x,), (v,))[0],
        lambda x: vjp(f, x)[1](2.0)[0],
    ):
        assert_close([transform(x)], [transform(plain)], rtol=1e-13)
    assert bits(x) == before


def test_cotangent_of_any_layout() -> None:
    x, g = BASE, np.asfortranarray(np.sin(BASE))
    _, pullback = vjp(lambda x: np.tanh(x) * 2, x)
    for cotangent in (g, read_only(g), g.copy(order="C"), np.repeat(g, 2, axis=1)[:, ::2]):
        assert bits(pullback(cotangent)[0]) == bits(pullback(g.copy(order="C"))[0])


@pytest.mark.parametrize("name", ["sort", "fill", "put", "partition", "resize"])
def test_methods_that_write_are_refused(name: str) -> None:
    with pytest.raises(MutationError, match=re.escape("use y = x.at[index].set(value), or build the result with")):
        grad(lambda x: getattr(x, name)(1))(vector())


def test_a_function_of_another_library_is_refused_by_its_name_and_may_be_given_a_rule() -> None:
    with pytest.raises(UnsupportedError, match=r"scipy\.special\.gamma has no derivative rule; instead: a function"):
        grad(scipy.special.gamma)(2.0)
    with scratch_registry():
        defvjp(scipy.special.gamma, lambda g, ans, x: g * ans * scipy.special.psi(x))
        assert "from scipy.special import gamma, psi" in stage(scipy.special.gamma, 2.0).source


def test_what_a_primitive_needs() -> None:
    with pytest.raises(TypeError, match="write it with def instead of lambda"):
        primitive(lambda x: x)

    def added(*xs: Any) -> Any:
        return sum(xs)

    with pytest.raises(TypeError, match=r"added takes \*arguments.*take a list"):
        primitive(added)


def test_a_rule_that_returns_nothing_is_named() -> None:
    with scratch_registry():

        @primitive
        def double(x: Any) -> Any:
            return 2 * x

        defvjp(double, lambda g, ans, x: None)
        with pytest.raises(ShapeError, match=r"the rule of .*double returned None"):
            grad(double)(1.0)


def test_where_of_one_argument_is_nonzero() -> None:
    x = vector()
    assert bits(grad(lambda x: np.sum(x[np.where(x > 0)] ** 2))(x)) == bits(np.where(x > 0, 2 * x, 0))
