"""``grad``, ``value_and_grad``, ``vjp``, within each other and against JAX."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minigrad as mg
from minigrad import DtypeError, ShapeError, Tensor, grad, value_and_grad, vjp
from minigrad.protocol import Function
from tests.support import assert_close, bits, jitted

# One derivative.


def test_the_figure() -> None:
    f = mg.grad(lambda x, y: (x + 1 / (1 + np.exp(-y))) / (1 / (1 + np.exp(-x)) + (x + y) ** 2), argnums=(0, 1))
    assert f(3.0, -4.0) == (2.0595697955721652, 1.5922327514838093)


def test_value_and_grad_gives_both() -> None:
    assert value_and_grad(np.square)(3.0) == (9, 6)


def test_value_is_plain() -> None:
    assert type(value_and_grad(np.square)(3.0)[0]) is np.float64


def test_other_arguments_pass_through() -> None:
    assert grad(lambda x, names, scale=1: x * scale * len(names))(2.0, ["a", "b"], scale=5) == 10


def test_gradient_has_the_shape_of_its_argument() -> None:
    assert grad(np.sum)(np.ones((2, 0, 3))).shape == (2, 0, 3)


def product(x: Any, y: Any, z: Any) -> Any:
    return x * y**2 * z**3


@pytest.mark.parametrize(
    ("argnums", "want"),
    [(0, 72), (1, 96), (-1, 216), ((0,), (72,)), ((2, 0), (216, 72)), ((0, -1), (72, 216)), ([0, 1], (72, 96))],
)
def test_argnums(argnums: Any, want: Any) -> None:
    assert grad(product, argnums)(2.0, 3.0, 2.0) == want


@pytest.mark.parametrize("argnums", [3, -4, (0, 3)])
def test_argnums_out_of_range(argnums: Any) -> None:
    with pytest.raises(IndexError, match="only 3 positional arguments"):
        grad(product, argnums)(1.0, 1.0, 1.0)


def test_result_that_is_no_scalar_gets_a_hint() -> None:
    with pytest.raises(ShapeError, match="sum it to a scalar, or use vjp"):
        grad(lambda x: 2 * x)(np.ones(3))


def test_scalar_in_brackets_is_no_scalar() -> None:
    with pytest.raises(ShapeError, match=r"shape \(1,\)"):
        grad(lambda x: 2 * x)(np.ones(1))


@pytest.mark.parametrize("f", [lambda x: 3, np.argmax, lambda x: x > 0, lambda x: "text"])
def test_result_that_is_no_float_is_refused(f: Function) -> None:
    with pytest.raises(DtypeError, match="result"):
        grad(f)(2.0)


@pytest.mark.parametrize(("f", "count"), [(lambda x: [x, x], 2), (lambda x: None, 0), (lambda x: {}, 0)])
def test_result_that_is_not_one_array_is_refused(f: Function, count: int) -> None:
    with pytest.raises(ShapeError, match=f"returned {count} arrays, not one scalar; use vjp"):
        grad(f)(2.0)


@pytest.mark.parametrize("constant", [5.0, np.float64(5), np.array(5.0)])
def test_function_that_ignores_its_input_has_gradient_zero(constant: Any) -> None:
    assert bits(grad(lambda x: constant)(np.ones((2, 3), np.float32))) == bits(np.zeros((2, 3), np.float32))


def test_argument_that_is_ignored_has_gradient_zero() -> None:
    assert grad(lambda x, y: x, argnums=(0, 1))(2.0, 3.0) == (1, 0)


def test_identity() -> None:
    assert value_and_grad(lambda x: x)(2.0) == (2, 1)


def test_documentation_of_the_function_is_kept() -> None:
    def f(x: Any) -> Any:
        """What f is."""

    assert grad(f).__doc__ == value_and_grad(f).__doc__ == "What f is."


# vjp.


def test_pullback_can_be_called_again() -> None:
    _, pullback = vjp(np.square, np.array([1.0, 2.0]))
    assert [pullback(np.array(g))[0].tolist() for g in ([1.0, 0.0], [0.0, 1.0], [1.0, 0.0])] == [[2, 0], [0, 4], [2, 0]]


def test_pullback_gives_a_gradient_per_primal() -> None:
    _, pullback = vjp(product, 2.0, 3.0, 2.0)
    assert pullback(1.0) == (72, 96, 216)


def test_pullback_checks_the_shape_of_its_cotangent() -> None:
    _, pullback = vjp(np.square, np.ones(3))
    with pytest.raises(ShapeError, match=r"cotangent has shape \(2,\); give it the shape \(3,\)"):
        pullback(np.ones(2))


def test_pullback_can_be_differentiated() -> None:
    _, pullback = vjp(np.sin, 0.5)
    assert grad(lambda g: pullback(g)[0] ** 2)(3.0) == pytest.approx(6 * math.cos(0.5) ** 2, rel=1e-15)


def test_result_of_no_primal_is_a_constant() -> None:
    value, pullback = vjp(lambda x: np.arange(3.0), 1.0)
    assert (value.tolist(), pullback(np.ones(3))) == ([0, 1, 2], (0,))


# Derivatives of derivatives.


@pytest.mark.parametrize(
    ("f", "derivatives"),
    [
        (np.exp, [math.exp(0.3)] * 5),
        (np.sin, [math.sin(0.3), math.cos(0.3), -math.sin(0.3), -math.cos(0.3), math.sin(0.3)]),
        (lambda x: x**4, [0.3**4, 4 * 0.3**3, 12 * 0.3**2, 24 * 0.3, 24]),
        (lambda x: 1 / x, [1 / 0.3, -1 / 0.3**2, 2 / 0.3**3, -6 / 0.3**4, 24 / 0.3**5]),
    ],
)
def test_orders_up_to_four(f: Function, derivatives: list[float]) -> None:
    for want in derivatives:
        assert f(0.3) == pytest.approx(want, rel=1e-13)
        f = grad(f)


def test_inner_variable_is_not_the_outer_one() -> None:
    assert grad(lambda x: x * grad(lambda y: x + y)(2.0))(1.0) == 1


CONFUSIONS = {
    "inner sum": (lambda x: x * grad(lambda y: x + y)(1.0), 1, 1),
    "inner product": (lambda x: x * grad(lambda y: x * y)(2.0), 3, 6),
    "inner at the outer point": (lambda x: grad(lambda y: x * y * y)(x), 3, 12),
    "inner square of the outer": (lambda x: grad(lambda y: x * x * y)(5.0), 3, 6),
    "inner ignores its own": (lambda x: grad(lambda y: x * x)(5.0) + x, 3, 1),
    "three deep": (lambda x: grad(lambda y: grad(lambda z: x * y * z)(1.0) * y)(2.0), 3, 4),
    "one function at two depths": (lambda x: grad(np.exp)(x) * grad(lambda y: np.exp(x * y))(0.0), 0, 1),
}


@pytest.mark.parametrize(("f", "x", "want"), CONFUSIONS.values(), ids=CONFUSIONS)
def test_perturbations_are_not_confused(f: Function, x: float, want: float) -> None:
    assert grad(f)(float(x)) == want


def test_derivative_that_was_made_outside_can_be_used_inside() -> None:
    inner = grad(lambda x, y: x * x * y)
    assert grad(lambda y: inner(3.0, y) * y)(2.0) == 24


def test_pullback_that_was_made_outside_can_be_used_inside() -> None:
    def f(x: Any) -> Any:
        _, pullback = vjp(lambda y: x * y, 2.0)
        return grad(lambda z: pullback(z * z)[0])(3.0)

    assert grad(f)(5.0) == 6


def test_tensor_of_a_tensor_twice_backward() -> None:
    x = Tensor(3.0)
    y = Tensor(x)
    (y * y * y).backward()
    y.grad.backward()
    assert (y.grad.value, x.grad) == (27, 18)


def test_tensor_of_a_tensor_meets_the_inner_one() -> None:
    x = Tensor(3.0)
    y = Tensor(x)
    (y * y * x).backward()
    y.grad.backward()
    assert (y.grad.value, x.grad) == (18, 12)


def test_grad_of_a_function_that_closes_over_a_tensor() -> None:
    x = Tensor(3.0)
    grad(lambda y: x * x * y)(2.0).backward()
    assert x.grad == 6


def test_backward_inside_grad() -> None:
    def f(x: Any) -> Any:
        y = Tensor(x)
        (y * y * y).backward()
        return y.grad

    assert grad(f)(2.0) == 12


def test_mixed_dtypes_at_second_order() -> None:
    second = grad(grad(lambda x: np.sum(x * x * np.float64(3))))(np.float32(2))
    assert (second, second.dtype) == (6, np.float32)


# Composed programs against JAX.


def softplus(xp: Any, x: Any) -> Any:
    return xp.maximum(x, 0) + xp.log(1 + xp.exp(-xp.abs(x)))


def logsumexp(xp: Any, x: Any) -> Any:
    top = xp.max(x, axis=-1, keepdims=True)
    return xp.squeeze(top, axis=-1) + xp.log(xp.sum(xp.exp(x - top), axis=-1))


def perceptron(xp: Any, x: Any) -> Any:
    return xp.sum(xp.tanh(x @ (x.T / 3) + x[0, 0]) ** 2)


def attention(xp: Any, x: Any) -> Any:
    scores = x @ xp.swapaxes(x, 0, 1) / 2
    weights = xp.exp(scores - logsumexp(xp, scores)[:, None])
    return xp.sum((weights @ x) * xp.cos(x))


def normalised(xp: Any, x: Any) -> Any:
    centred = x - xp.mean(x, axis=1, keepdims=True)
    return xp.sum((centred / xp.sqrt(xp.mean(xp.square(centred), axis=1, keepdims=True) + 0.1)) ** 3)


def gathered(xp: Any, x: Any) -> Any:
    rows = x[np.array([0, 2, 2, 1])]
    return xp.sum(xp.prod(rows, axis=0) * xp.sum(rows, axis=0)) + xp.sum(xp.where(x > 0, x**3, xp.sin(x)))


def joined(xp: Any, x: Any) -> Any:
    wide = xp.concatenate([x, xp.reshape(xp.transpose(x), (3, 4))], axis=1)
    return xp.sum(xp.stack([wide[:, ::2], wide[:, 1::2]]) ** 3) * xp.min(x)


COMPOSED = {
    "softplus": lambda xp, x: xp.sum(softplus(xp, x) * x),
    "logsumexp": lambda xp, x: xp.sum(logsumexp(xp, x) ** 2),
    "perceptron": perceptron,
    "attention": attention,
    "normalised": normalised,
    "gathered": gathered,
    "joined": joined,
}


@pytest.mark.parametrize("f", COMPOSED.values(), ids=COMPOSED)
def test_hessian_times_vector_is_that_of_jax(f: Function) -> None:
    x, v = np.random.default_rng(1).standard_normal((2, 3, 4))
    by_jax = jitted(lambda x, v: jax.jvp(jax.grad(lambda x: f(jnp, x)), (x,), (v,)))(x, v)
    gradient = grad(lambda x: f(np, x))
    assert_close((gradient(x), grad(lambda x: np.sum(gradient(x) * v))(x)), by_jax)
