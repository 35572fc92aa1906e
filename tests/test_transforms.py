"""The transforms, alone, within each other, and against JAX."""

from __future__ import annotations

import gc
import itertools
import math
import re
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minigrad as mg
from minigrad import (
    ConversionError,
    DtypeError,
    ShapeError,
    Tensor,
    checkpoint,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stage,
    stop_gradient,
    value_and_grad,
    vjp,
)
from minigrad.protocol import Function
from tests.support import assert_close, bits, jitted, scratch_registry

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


def test_argnums_may_be_a_number_of_numpy() -> None:
    assert grad(np.multiply, argnums=np.int64(1))(2.0, 3.0) == 2  # type: ignore[arg-type]


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


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng((seed, *shape)).normal(0, 1, shape)[()]


# jvp.


def test_jvp_gives_value_and_derivative() -> None:
    assert jvp(np.sin, (0.5,), (2.0,)) == (np.sin(0.5), 2 * np.cos(0.5))


def test_jvp_of_several_arguments_adds_up() -> None:
    assert jvp(product, (2.0, 3.0, 2.0), (1.0, 10.0, 100.0)) == (144, 72 + 960 + 21600)


def test_jvp_of_a_constant_is_zero() -> None:
    value, tangent = jvp(lambda x: np.arange(3.0), (1.0,), (1.0,))
    assert (value.tolist(), tangent.tolist()) == ([0, 1, 2], [0, 0, 0])


# Functions of a vector of 3 and a 3-by-4 matrix, to anything.
DUAL: dict[str, Function] = {
    "elementwise": lambda v, m: np.tanh(v)[:, None] * np.exp(m) + m**3,
    "products": lambda v, m: v @ m,
    "outer": lambda v, m: np.einsum("i,ij,k->jk", v, m, v),
    "reductions": lambda v, m: np.prod(v) + np.std(m, axis=0) + np.max(m),
    "shapes": lambda v, m: np.concatenate([np.reshape(m, (4, 3)) + v, np.stack([v, v])]),
    "indexing": lambda v, m: m[[0, 0, 2], [1, 1, 3]] * v[::-1],
    "linear system": lambda v, m: np.linalg.solve(m @ m.T + np.eye(3), v),
    "gates": lambda v, m: mg.softmax(m, axis=0) * mg.sigmoid(v)[:, None],
    "sorted": lambda v, m: np.sort(m, axis=1) * v[:, None],
    "scalar": lambda v, m: np.sum(v * v) * np.mean(m),
    "one ignored": lambda v, m: np.sin(v),
    "several": lambda v, m: {"a": v * np.sum(m), "b": [m.T, np.sum(v)]},
}


@pytest.mark.parametrize("f", DUAL.values(), ids=DUAL)
def test_jvp_and_vjp_are_transposes_of_each_other(f: Function) -> None:
    """<J t, w> = <t, J' w> for any tangent t and cotangent w."""
    primals, tangents = ((random(3, seed=i), random(3, 4, seed=i)) for i in (1, 2))
    value, forward = jvp(f, primals, tangents)
    again, pullback = vjp(f, *primals)
    leaves, structure = jax.tree.flatten(value)
    assert [*map(bits, leaves)] == [*map(bits, jax.tree.leaves(again))]
    cotangents = [random(*np.shape(leaf), seed=3) for leaf in leaves]
    backward = pullback(jax.tree.unflatten(structure, cotangents))
    left = sum(np.sum(t * w) for t, w in zip(jax.tree.leaves(forward), cotangents, strict=True))
    right = sum(np.sum(t * w) for t, w in zip(tangents, backward, strict=True))
    assert left == pytest.approx(right, rel=1e-13)


def test_tangent_of_a_tree_is_a_tree() -> None:
    value, tangent = jvp(lambda d: {"out": d["a"] * d["b"][0]}, ({"a": 2.0, "b": [3.0]},), ({"a": 1.0, "b": [10.0]},))
    assert (value, tangent) == ({"out": 6}, {"out": 23})


# jacobian.


def test_layouts_of_a_linear_map() -> None:
    A = random(2, 3)
    assert bits(jacobian(lambda x: A @ x)(random(3))) == bits(A)
    assert bits(np.ascontiguousarray(jacobian(lambda x: A @ x, layout="denominator")(random(3)))) == bits(A.T.copy())


def test_jacobian_of_relu_is_diagonal() -> None:
    x = np.array([1.0, -2.0, 3.0, -1.0])
    for layout in ("numerator", "denominator"):
        assert jacobian(mg.relu, layout=layout)(x).tolist() == np.diag([1, 0, 1, 0]).tolist()


def test_jacobian_of_a_matrix_product_has_four_axes_and_contracts_to_the_rules_of_the_notes() -> None:
    W, X, dD = random(2, 3), random(3, 4), random(2, 4)
    by_w, by_x = (jacobian(np.matmul, argnums=i)(W, X) for i in (0, 1))
    assert (by_w.shape, by_x.shape) == ((2, 4, 2, 3), (2, 4, 3, 4))
    # D = W X: the whole derivative is sparse, and the rules dW = dD X', dX = W' dD do without it.
    assert_close([np.einsum("abij,ab->ij", by_w, dD), np.einsum("abij,ab->ij", by_x, dD)], [dD @ X.T, W.T @ dD])
    assert_close(vjp(np.matmul, W, X)[1](dD), [dD @ X.T, W.T @ dD])
    for i, numerator in enumerate((by_w, by_x)):
        denominator = jacobian(np.matmul, argnums=i, layout="denominator")(W, X)
        assert bits(denominator) == bits(np.moveaxis(numerator, (0, 1), (2, 3)))


SHAPES = [((), ()), ((3,), ()), ((), (2,)), ((3,), (2,)), ((3, 2), (4,)), ((0,), (2,)), ((3,), (0,)), ((2, 0), (0, 3))]


@pytest.mark.parametrize(("n", "m"), SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_jacobian_has_the_shapes_of_value_and_argument(n: tuple[int, ...], m: tuple[int, ...], dtype: str) -> None:
    def f(x: Any) -> Any:
        return np.sum(x) * np.ones(m, dtype)

    x = np.ones(n, dtype)[()]
    for layout, shape in (("numerator", m + n), ("denominator", n + m)):
        assert bits(jacobian(f, layout=layout)(x)) == bits(np.ones(shape, dtype))  # type: ignore[arg-type]


def test_jacobian_of_a_composition_is_the_product_of_jacobians() -> None:
    A, x = random(4, 3), random(3)
    inner, outer = lambda x: np.tanh(A @ x), lambda y: y[:2] * y[2:]
    whole = jacobian(lambda x: outer(inner(x)))(x)
    assert_close([whole], [jacobian(outer)(inner(x)) @ jacobian(inner)(x)])
    by_notes = jacobian(inner, layout="denominator")(x) @ jacobian(outer, layout="denominator")(inner(x))
    assert_close([jacobian(lambda x: outer(inner(x)), layout="denominator")(x)], [by_notes])


def test_jacobian_of_a_jacobian() -> None:
    x = random(3)
    got = jacobian(jacobian(lambda x: np.array([[1.0, 2.0, 3.0]]) @ x**3))(x)
    assert_close([got], [np.diag(6 * x * np.array([1, 2, 3]))[None]])


# hessian and hvp.


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_hessian_of_a_quadratic_form() -> None:
    A = random(4, 4)
    assert_close([hessian(lambda x: x @ A @ x)(random(4))], [A + A.T])


def test_hessian_is_symmetric_and_that_of_jax() -> None:
    x = random(4)
    got = hessian(rosenbrock)(x)
    assert_close([got, got.T], [jax.hessian(rosenbrock)(x)] * 2, rtol=1e-13)


def test_hessian_of_a_matrix_has_its_shape_twice() -> None:
    x = random(2, 3)
    got = hessian(lambda x: np.sum(x**4))(x)
    assert_close([got], [(12 * np.diag(x.ravel() ** 2)).reshape(2, 3, 2, 3)])


def test_hessian_by_a_later_argument() -> None:
    assert hessian(lambda x, y: x**3 * y**2, argnums=1)(2.0, 3.0) == 16
    assert hessian(lambda x, y: x**3 * y**2)(2.0, 3.0) == 108


def test_hvp_is_hessian_times_vector() -> None:
    x, v = random(5, seed=1), random(5, seed=2)
    [got] = hvp(rosenbrock, (x,), (v,))
    assert_close([got], [hessian(rosenbrock)(x) @ v], rtol=1e-13)


def test_hvp_of_several_arguments_has_the_blocks_between_them() -> None:
    def f(x: Any, Y: Any, z: Any) -> Any:
        return np.sum(np.tanh(Y @ x) * z) + np.sum(x**3) * z

    primals, vectors = ((random(3, seed=i), random(2, 3, seed=i), random(seed=i)) for i in (1, 2))
    sizes = np.cumsum([3, 6])

    def joined(flat: Any) -> Any:
        x, Y, z = flat[:3], np.reshape(flat[3:9], (2, 3)), flat[9]
        return f(x, Y, z)

    def flat(tree: Any) -> Any:
        return np.concatenate([np.ravel(part) for part in tree])

    want = np.split(hessian(joined)(flat(primals)) @ flat(vectors), sizes)
    got = hvp(f, primals, vectors)
    assert [np.shape(g) for g in got] == [(3,), (2, 3), ()]
    assert_close([np.ravel(g) for g in got], want, rtol=1e-13)


def test_hvp_of_a_linear_function_is_zero() -> None:
    assert hvp(lambda x, y: np.sum(x) + 2 * y, (np.ones(2), 1.0), (np.ones(2), 1.0))[0].tolist() == [0, 0]


# Nesting.


CIRCLE = [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)]


def pushed(f: Function) -> Function:
    return lambda x: jvp(f, (x,), (1.0,))[1]


@pytest.mark.parametrize("turns", [[grad], [pushed], [grad, pushed], [pushed, grad, grad], [jacobian], [hessian]])
def test_derivatives_of_sine_go_round(turns: list[Function]) -> None:
    f: Function = np.sin
    order = 0
    for turn in itertools.islice(itertools.cycle(turns), 3 if turns == [hessian] else 5):
        f = turn(f)
        order += 2 if turn is hessian else 1
        assert f(0.7) == pytest.approx(CIRCLE[order % 4](0.7), rel=1e-14)
    assert order >= 5


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
    "jvp in grad": (lambda x: x * jvp(lambda y: x + y, (1.0,), (1.0,))[1], 3, 1),
    "jvp of a product in grad": (lambda x: x * jvp(lambda y: x * y, (2.0,), (1.0,))[1], 3, 6),
    "jvp along the outer": (lambda x: jvp(lambda y: y * y, (2.0,), (x,))[1], 3, 4),
    "jvp at the outer": (lambda x: jvp(lambda y: y * y * y, (x,), (1.0,))[1], 3, 18),
    "jvp that ignores its own": (lambda x: jvp(lambda y: x * x, (2.0,), (1.0,))[1] + x, 3, 1),
    "grad in jvp in grad": (lambda x: jvp(lambda y: grad(lambda z: x * y * z**2)(3.0), (2.0,), (1.0,))[1], 5, 6),
    "jvp in grad in grad": (lambda x: grad(lambda y: jvp(lambda z: x * x * y * z, (7.0,), (1.0,))[1])(2.0), 5, 10),
    "vjp in grad": (lambda x: x * vjp(lambda y: x * y, 2.0)[1](1.0)[0], 3, 6),
    "vjp with the outer as cotangent": (lambda x: vjp(lambda y: y * y, 5.0)[1](x)[0], 3, 10),
    "hvp in grad": (lambda x: hvp(lambda y: x * y**3, (2.0,), (x,))[0], 3, 72),
    "jacobian in grad": (lambda x: np.sum(jacobian(lambda y: x * y * y)(np.ones(2))), 3, 4),
    "one function at two depths": (lambda x: grad(np.exp)(x) * grad(lambda y: np.exp(x * y))(0.0), 0, 1),
}


@pytest.mark.parametrize(("f", "x", "want"), CONFUSIONS.values(), ids=CONFUSIONS)
def test_perturbations_are_not_confused(f: Function, x: float, want: float) -> None:
    assert grad(f)(float(x)) == want
    assert jvp(f, (float(x),), (1.0,))[1] == want


def test_stopped_gradient_inside_each_transform() -> None:
    def f(x: Any) -> Any:
        return x * x * stop_gradient(x)

    assert (grad(f)(3.0), jvp(f, (3.0,), (1.0,))[1], hessian(f)(3.0), jacobian(f)(3.0)) == (18, 18, 6, 18)


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


# Nested arguments and results.


class Layer(NamedTuple):
    weight: Any
    bias: Any


TREES: dict[str, tuple[Function, Any, Any]] = {
    "dict": (lambda p: np.sum(p["w"] * p["b"]), {"w": np.ones(2), "b": 3.0}, {"w": np.full(2, 3.0), "b": 2.0}),
    "dict out of order": (lambda p: p["z"] ** 2 * p["a"], {"z": 3.0, "a": 5.0}, {"z": 30.0, "a": 9.0}),
    "list": (lambda p: p[0] * p[1] * p[1], [2.0, 3.0], [9.0, 12.0]),
    "tuple": (lambda p: p[0] * p[1] * p[1], (2.0, 3.0), (9.0, 12.0)),
    "nested": (
        lambda p: p["a"][0] * p["a"][1]["b"],
        {"a": [2.0, {"b": 3.0}], "c": ()},
        {"a": [3.0, {"b": 2.0}], "c": ()},
    ),
    "named tuple": (lambda p: p.weight * p.bias, Layer(2.0, 3.0), Layer(3.0, 2.0)),
    "layers": (
        lambda p: p[0].weight * p[1].weight,
        [Layer(2.0, 1.0), Layer(3.0, 1.0)],
        [Layer(3.0, 0.0), Layer(2.0, 0.0)],
    ),
    "ordered dict": (lambda p: p["z"] * p["a"], OrderedDict(z=2.0, a=3.0), OrderedDict(z=3.0, a=2.0)),
    "with None": (lambda p: p["a"] ** 2, {"a": 3.0, "b": None}, {"a": 6.0, "b": None}),
    "empty": (lambda p: 3.0, {}, {}),
}


def like(tree: Any) -> Any:
    """Types and keys of a tree, with its leaves as numbers."""
    if isinstance(tree, dict):
        return type(tree), [(key, like(value)) for key, value in tree.items()]
    if isinstance(tree, (list, tuple)):
        return type(tree), [like(value) for value in tree]
    return None if tree is None else np.asarray(tree).tolist()


@pytest.mark.parametrize(("f", "tree", "want"), TREES.values(), ids=TREES)
def test_gradient_has_the_structure_of_its_argument(f: Function, tree: Any, want: Any) -> None:
    assert like(grad(f)(tree)) == like(want)
    assert like(grad(lambda x, tree: f(tree) * x, argnums=(1, 0))(1.0, tree)) == like((want, f(tree)))
    assert like(vjp(f, tree)[1](1.0)) == like((want,))


def test_vjp_takes_and_gives_trees() -> None:
    value, pullback = vjp(lambda p: (p["a"] * 2, [p["b"] * p["a"]]), {"a": 3.0, "b": 5.0})
    assert value == (6, [15])
    assert pullback((1.0, [10.0])) == ({"a": 52, "b": 30},)


def test_hvp_takes_and_gives_trees() -> None:
    assert hvp(lambda p: p["a"] ** 2 * p["b"], ({"a": 2.0, "b": 3.0},), ({"a": 1.0, "b": 0.0},)) == ({"a": 6, "b": 4},)


def test_training_step_on_a_tree_of_layers() -> None:
    layers = [Layer(random(4, 3), random(4)), Layer(random(2, 4), random(2))]
    x = random(3, seed=5)

    def loss(layers: Any) -> Any:
        y = x
        for layer in layers:
            y = np.tanh(layer.weight @ y + layer.bias)
        return np.sum(y * y)

    value, gradients = value_and_grad(loss)(layers)
    stepped = [
        Layer(p.weight - 0.01 * g.weight, p.bias - 0.01 * g.bias) for p, g in zip(layers, gradients, strict=True)
    ]
    squares = sum(np.sum(g.weight**2) + np.sum(g.bias**2) for g in gradients)
    assert value - loss(stepped) == pytest.approx(0.01 * squares, rel=0.1)


# checkpoint.


@pytest.fixture
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def deep(x: Any) -> Any:
    for _ in range(3):
        x = np.sin(x) * x + np.exp(-x * x)
    return x


@pytest.mark.parametrize("x", [0.5, random(3), random(2, 3).astype(np.float32)], ids=["number", "vector", "float32"])
def test_checkpoint_changes_no_bit(x: Any) -> None:
    # The argument is used nowhere else: gradients from outside would be added in another order.
    plain, kept = (lambda x, g=g: np.sum(g(np.exp(x)) ** 2) for g in (deep, checkpoint(deep)))
    assert bits(kept(x)) == bits(plain(x))
    assert bits(value_and_grad(kept)(x)[0]) == bits(plain(x))
    assert bits(grad(kept)(x)) == bits(grad(plain)(x))


def test_checkpoint_holds_constant_what_is_no_array_of_floats() -> None:
    class Layer:
        exponent = 3

        @checkpoint
        def forward(self, x: Any, part: slice, *, scale: float) -> Any:
            return np.sum(x[part] ** self.exponent) * scale

    assert grad(lambda x: Layer().forward(x, slice(2), scale=2.0))(np.array([1.0, 2.0, 3.0])).tolist() == [6, 24, 0]


def test_checkpointed_function_runs_again_on_the_way_back() -> None:
    runs = []

    def f(x: Any) -> Any:
        runs.append(type(x))
        return np.sin(x)

    _, pullback = vjp(checkpoint(f), 0.5)
    assert len(runs) == 1
    assert pullback(1.0) == (np.cos(0.5),)
    assert len(runs) == 2
    grad(f)(0.5)
    assert len(runs) == 3


@pytest.mark.usefixtures("_without_collector")
@pytest.mark.parametrize("forget", [False, True])
def test_checkpoint_frees_intermediate_values(forget: bool) -> None:
    inside: list[weakref.ref[Any]] = []

    def f(x: Any) -> Any:
        y = np.exp(x)
        inside.append(weakref.ref(y.value if isinstance(y, Tensor) else y))
        return np.sin(y)

    alive = []

    def outer(x: Any) -> Any:
        y = (checkpoint(f) if forget else f)(x)
        alive.append(inside[0]() is not None)
        return np.sum(y)

    gradient = grad(outer)(np.ones(3))
    assert alive == [not forget]
    assert [value() for value in inside] == [None] * (2 if forget else 1)
    assert bits(gradient) == bits(grad(lambda x: np.sum(np.sin(np.exp(x))))(np.ones(3)))


def test_checkpoint_at_higher_orders_and_inside_itself() -> None:
    twice = checkpoint(lambda x: checkpoint(np.sin)(x) * x)
    plain = lambda x: np.sin(x) * x  # noqa: E731
    for order in range(4):
        assert twice(0.7) == pytest.approx(plain(0.7), rel=1e-14), order
        twice, plain = grad(twice), grad(plain)


def test_checkpoint_takes_several_and_nested_arguments_and_integers() -> None:
    def f(p: Any, n: Any) -> Any:
        return p["a"] ** n * p["b"][0]

    kept = checkpoint(f)
    tree = {"a": 2.0, "b": [3.0]}
    assert like(grad(kept)(tree, 3)) == like(grad(f)(tree, 3)) == like({"a": 36.0, "b": [8.0]})


def test_checkpoint_of_a_function_that_closes_over_a_variable_is_refused() -> None:
    with pytest.raises(ConversionError, match="not among its arguments; pass it as one"):
        grad(lambda x: checkpoint(lambda y: y * x)(x))(3.0)


def test_checkpoint_in_every_transform() -> None:
    x, v = random(3, seed=1), random(3, seed=2)
    kept = checkpoint(deep)
    assert_close(jvp(kept, (x,), (v,)), jvp(deep, (x,), (v,)))
    assert_close([jacobian(kept)(x)], [jacobian(deep)(x)])
    assert_close(hvp(lambda x: np.sum(kept(x)), (x,), (v,)), hvp(lambda x: np.sum(deep(x)), (x,), (v,)))
    assert bits(mg.trace(kept, x)(v)) == bits(deep(v))
    assert bits(stage(kept, x)(v, x)[1][0]) == bits(stage(deep, x)(v, x)[1][0])


def test_checkpoint_of_plain_numbers_is_the_function() -> None:
    assert checkpoint(np.sin)(0.5) == np.sin(0.5)


# float32 and small shapes, through every transform.


EVERY: dict[str, Function] = {
    "grad": lambda f, x: grad(lambda x: np.sum(f(x)))(x),
    "value_and_grad": lambda f, x: value_and_grad(lambda x: np.sum(f(x)))(x),
    "vjp": lambda f, x: vjp(f, x)[1](np.ones_like(x)),
    "jvp": lambda f, x: jvp(f, (x,), (np.ones_like(x),)),
    "jacobian": lambda f, x: jacobian(f)(x),
    "hessian": lambda f, x: hessian(lambda x: np.sum(f(x)))(x),
    "hvp": lambda f, x: hvp(lambda x: np.sum(f(x)), (x,), (np.ones_like(x),)),
    "stage": lambda f, x: stage(f, x, cotangent=np.ones_like(x))(x, np.ones_like(x)),
    "checkpoint": lambda f, x: grad(lambda x: np.sum(checkpoint(f)(x)))(x),
    "grad of grad": lambda f, x: grad(lambda x: np.sum(grad(lambda x: np.sum(f(x)))(x)))(x),
}
EACH_TRANSFORM = pytest.mark.parametrize("transform", EVERY.values(), ids=EVERY)


def mixed(x: Any) -> Any:
    return np.tanh(x) * 2.0 + x**3 / 3 + np.maximum(x, 0.1) + mg.sigmoid(x) * np.float64(0.5).astype(x.dtype)


@EACH_TRANSFORM
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_is_kept_by_each_transform(transform: Function, dtype: str) -> None:
    for leaf in jax.tree.leaves(transform(mixed, np.linspace(0.2, 1, 3).astype(dtype))):
        assert leaf.dtype == dtype


@EACH_TRANSFORM
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,), (1, 1)])
def test_each_transform_takes_small_shapes(transform: Function, shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.5)
    for got, want in zip(jax.tree.leaves(transform(mixed, x)), jax.tree.leaves(transform(mixed, x[()])), strict=True):
        assert bits(got) == bits(want)
    some = [np.size(leaf) for leaf in jax.tree.leaves(transform(mixed, x))]
    assert max(some) == (1 if x.size or transform is EVERY["value_and_grad"] else 0)


@EACH_TRANSFORM
def test_each_transform_leaves_read_only_arguments_alone(transform: Function) -> None:
    x = random(3)
    before = bits(x)
    x.flags.writeable = False
    for leaf in jax.tree.leaves(transform(mixed, x)):
        assert not np.shares_memory(leaf, x)
    assert bits(x) == before


@EACH_TRANSFORM
def test_each_transform_gives_the_same_bits_again(transform: Function) -> None:
    first, second = (jax.tree.leaves(transform(mixed, random(3))) for _ in range(2))
    assert [*map(bits, first)] == [*map(bits, second)]


def test_gradients_of_a_tree_that_holds_one_array_twice_share_nothing() -> None:
    x = random(3)
    for f in (lambda p: np.sum(p["a"] + p["b"][0]), lambda p: np.sum(p["a"]), lambda p: np.sum(p["a"] * p["b"][0])):
        tree = {"a": x, "b": [x, x]}
        found = [x, *jax.tree.leaves(grad(f)(tree))]
        assert len(found) == 4
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(found, 2))


# Misuse.


MISUSES: dict[str, tuple[Function, type[Exception], str]] = {
    "result of grad not a scalar": (lambda: grad(np.sin)(np.ones(3)), ShapeError, "sum it to a scalar, or use vjp"),
    "result of hessian not a scalar": (lambda: hessian(np.sin)(np.ones(3)), ShapeError, "sum it to a scalar"),
    "result of hvp not a scalar": (
        lambda: hvp(np.sin, (np.ones(3),), (np.ones(3),)),
        ShapeError,
        "sum it to a scalar",
    ),
    "integers": (
        lambda: grad(np.sum)(np.arange(3)),
        DtypeError,
        "argument 0 has dtype int64; derivatives need floats: pass 3.0 for 3, or x.astype(float)",
    ),
    "integers in a tree": (
        lambda: grad(lambda p: p["a"])({"a": 1.0, "n": 3}),
        DtypeError,
        "argument 0 has dtype int64",
    ),
    "integers in jvp": (lambda: jvp(np.sin, (1,), (1.0,)), DtypeError, "argument 0 has dtype int64"),
    "integers in jacobian": (lambda: jacobian(np.add, argnums=1)(1.0, 2), DtypeError, "argument 1 has dtype int64"),
    "complex numbers": (lambda: grad(np.sum)(np.ones(3) * 1j), DtypeError, "argument 0 has dtype complex128"),
    "argnums": (
        lambda: grad(np.sin, argnums=1)(1.0),
        IndexError,
        "asks for argument 1, but there are only 1 positional",
    ),
    "argnums of jacobian": (lambda: jacobian(np.sin, argnums=-2)(1.0), IndexError, "asks for argument -2"),
    "argnums of hessian": (lambda: hessian(np.sin, argnums=2)(1.0), IndexError, "asks for argument 2"),
    "layout": (
        lambda: jacobian(np.sin, layout="rows"),
        ValueError,
        "use 'numerator' (m-by-n) or 'denominator' (n-by-m)",
    ),  # type: ignore[arg-type]
    "tree to jacobian": (
        lambda: jacobian(lambda p: p["a"])({"a": 1.0, "b": 1.0}),
        ShapeError,
        "pick a leaf of the argument",
    ),
    "tree from jacobian": (
        lambda: jacobian(lambda x: [x, x])(1.0),
        ShapeError,
        "pick a leaf of the argument and of the",
    ),
    "two results to grad": (
        lambda: grad(lambda x: (x, x))(1.0),
        ShapeError,
        "returned 2 arrays, not one scalar; use vjp",
    ),
    "shape of a cotangent": (
        lambda: vjp(np.sin, np.ones(3))[1](np.ones(2)),
        ShapeError,
        "the cotangent has shape (2,); give it the shape (3,)",
    ),
    "no cotangent": (lambda: vjp(np.sin, np.ones(3))[1](None), ShapeError, "the result has shape (3,), not ()"),
    "integer cotangent": (
        lambda: vjp(np.sin, np.ones(3))[1](np.ones(3, int)),
        DtypeError,
        "the cotangent has dtype int64; derivatives need floats",
    ),
    "structure of a cotangent": (
        lambda: vjp(lambda x: (x, [x]), 1.0)[1]([1.0, [1.0]]),
        ShapeError,
        "the cotangent has the structure PyTreeSpec([*, [*]]); give it the result's, PyTreeSpec((*, [*]))",
    ),
    "array as the cotangent of a tree": (
        lambda: vjp(lambda x: (x, x), 1.0)[1](1.0),
        ShapeError,
        "the cotangent has the structure PyTreeSpec(*); give it the result's, PyTreeSpec((*, *))",
    ),
    "no cotangent of a tree": (
        lambda: vjp(lambda x: (x, x), 1.0)[1](None),
        ShapeError,
        "the cotangent has the structure PyTreeSpec(None); give it the result's, PyTreeSpec((*, *))",
    ),
    "shape of a tangent": (
        lambda: jvp(np.sin, (np.ones(3),), (np.ones(2),)),
        ShapeError,
        "the tangent has shape (2,); give it the shape (3,)",
    ),
    "shape of a vector": (
        lambda: hvp(np.sum, (np.ones(3),), (np.ones((3, 1)),)),
        ShapeError,
        "the tangent has shape (3, 1); give it the shape (3,)",
    ),
    "structure of a tangent": (
        lambda: jvp(lambda p: p["a"], ({"a": 1.0},), ({"b": 1.0},)),
        ShapeError,
        "the tangent has the structure",
    ),
    "array as the tangent of a tree": (
        lambda: jvp(lambda p: p["a"], ({"a": 1.0},), (1.0,)),
        ShapeError,
        "the tangent has the structure",
    ),
    "several results of a checkpoint": (
        lambda: grad(lambda x: checkpoint(lambda y: (y, y))(x)[0])(1.0),
        mg.MinigradError,
        "one array",
    ),
    "primals without a tuple": (
        lambda: hvp(np.sum, np.ones(3), np.ones(3)),
        TypeError,
        "primals is a ndarray; give a tuple, one for each argument of the function: (x,)",
    ),
    "tangents without a tuple": (
        lambda: jvp(np.sin, (np.ones(3),), np.ones(3)),
        TypeError,
        "tangents is a ndarray; give a tuple",
    ),
    "an argument twice": (
        lambda: grad(np.multiply, argnums=(1, -1))(1.0, 2.0),
        ValueError,
        "argnums (1, -1) names an argument twice",
    ),
    "masked array": (
        lambda: grad(np.sum)(np.ma.array([1.0, 2.0], mask=[0, 1])),
        DtypeError,
        "argument 0 is a MaskedArray, whose operators mean something else; pass np.asarray(x)",
    ),
    "number of tangents": (
        lambda: jvp(np.add, (1.0, 2.0), (1.0,)),
        ShapeError,
        "tangents: there are 1 for 2 primals; give one for each",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), MISUSES.values(), ids=MISUSES)
def test_transform_misused_names_the_mend(call: Function, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


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


# What stands beside arrays.


W = np.array([[1.0, 10.0], [100.0, 1000.0]])


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda a: np.sum((np.ones((2, 2)) * a).at[:].set([a, 5 * a]) * W), 5151.0),
        (lambda a: np.sum((np.ones((2, 2)) * a).at[:].add((a, 5 * a)) * W), 6262.0),
        (lambda a: np.sum((a, 5 * a) * (np.ones((2, 2)) * a) * W), 10302.0),
        (lambda a: np.sum([a, 5 * a] * (np.ones((2, 2)) * a) * W), 10302.0),
        (lambda a: np.sum((1.0, 2.0) - np.ones((3, 2)) * a), -6.0),
        (lambda a: np.sum((1.0, 2.0) @ (np.ones((2, 2)) * a)), 6.0),
        (lambda a: np.sum((np.ones((3, 2)) * a).at[:2].set([[1.0, 2.0], [3.0, 4.0]])), 2.0),
    ],
)
def test_a_list_beside_an_array_is_one_that_broadcasts(f: Any, expected: float) -> None:
    assert grad(f)(1.0) == expected


def test_a_rule_is_given_lists_within_lists() -> None:
    with scratch_registry():

        @mg.primitive
        def affine(x: Any, rows: Any) -> Any:
            return x * rows[0][0] + rows[1][0]

        mg.defvjp(affine, lambda g, ans, x, rows: g * rows[0][0], lambda g, ans, x, rows: [[g * x], [g]])
        assert grad(lambda a: affine(3.0, [[a], [2.0 * a]]))(5.0) == 5.0


@pytest.mark.parametrize(
    "f", [lambda p: p["w"] * stop_gradient(p)["w"], lambda p: p["w"] * stop_gradient([p["w"]])[0]], ids=["dict", "list"]
)
def test_a_structure_is_stopped_array_by_array(f: Any) -> None:
    assert grad(f)({"w": 3.0}) == {"w": 3.0}


def test_a_primitive_that_uses_what_is_no_argument_is_refused() -> None:
    def loss(w: Any) -> Any:
        @mg.primitive
        def scale(x: Any) -> Any:
            return x * w

        mg.defvjp(scale, lambda g, ans, x: g * w)
        return scale(w)

    with (
        scratch_registry(),
        pytest.raises(ConversionError, match="scale uses a differentiated value that is not among"),
    ):
        grad(loss)(3.0)


def test_a_rule_may_have_names_of_its_own_and_an_order_of_its_own() -> None:
    with scratch_registry():

        @mg.primitive
        def poly(x: Any, n: int = 2, m: int = 3) -> Any:
            return m * x**n

        mg.defvjp(poly, lambda g, ans, a, m=3, n=2: g * m * n * a ** (n - 1))
        assert value_and_grad(lambda x: poly(x, 5))(2.0) == (96.0, 240.0)
