"""Gates: each against its definition in higher precision, also where it saturates."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest

import minigrad as mg
from minigrad import check_grads, gates, grad, jacobian
from minigrad.protocol import Function
from tests.support import bits

# Every exact value is computed in extended precision, from the definition.


def wide(x: Any) -> Any:
    return np.asarray(x, np.longdouble)


def exact_softmax(x: Any, axis: Any = -1) -> Any:
    powers = np.exp(wide(x) - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


ELEMENTWISE: dict[str, tuple[Function, Function, Function]] = {
    # The gate, its definition, its derivative (in a form in which nothing cancels).
    "sigmoid": (
        mg.sigmoid,
        lambda x: 1 / (1 + np.exp(-wide(x))),
        lambda x: 1 / (2 + np.exp(wide(x)) + np.exp(-wide(x))),
    ),
    "relu": (mg.relu, lambda x: np.maximum(wide(x), 0), lambda x: wide(x) > 0),
    "softplus": (mg.softplus, lambda x: np.log1p(np.exp(wide(x))), lambda x: 1 / (1 + np.exp(-wide(x)))),
}
EACH = pytest.mark.parametrize(("gate", "definition", "derivative"), ELEMENTWISE.values(), ids=ELEMENTWISE)
POINTS = np.array([-700.0, -40.0, -3.0, -1.0, -1e-8, -0.0, 0.0, 1e-300, 1e-8, 0.5, 2.0, 36.0, 40.0, 700.0])


@EACH
def test_gate_is_its_definition(gate: Function, definition: Function, derivative: Function) -> None:
    npt.assert_allclose(gate(POINTS), definition(POINTS).astype(float), rtol=1e-15)


@EACH
def test_local_gradient_is_the_derivative_even_where_the_gate_saturates(
    gate: Function, definition: Function, derivative: Function
) -> None:
    got = grad(lambda x: np.sum(gate(x)))(POINTS)
    npt.assert_allclose(got, derivative(POINTS).astype(float), rtol=2e-15)


@EACH
@pytest.mark.parametrize("x", [-1e300, -1e5, 1e5, 1e300, -np.inf, np.inf])
def test_gate_and_its_gradient_are_finite_far_out(
    gate: Function, definition: Function, derivative: Function, x: float
) -> None:
    """Warnings are errors here: nothing may overflow on the way either."""
    limits = {"sigmoid": (0, 1, 0), "relu": (0, x, 1), "softplus": (0, x, 1)}
    low, high, slope = limits[gate.__name__]
    assert gate(np.float64(x)) == (high if x > 0 else low)
    assert grad(gate)(np.float64(x)) == (slope if x > 0 else 0)


@EACH
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gate_keeps_shape_and_dtype(
    gate: Function, definition: Function, derivative: Function, shape: tuple[int, ...], dtype: Any
) -> None:
    x = np.ones(shape, dtype)
    assert (np.shape(gate(x)), gate(x).dtype) == (shape, dtype)
    gradient = grad(lambda x: np.sum(gate(x)))(x)
    assert (gradient.shape, gradient.dtype) == (shape, dtype)


def test_sigmoid_in_the_notes() -> None:
    x = 1.7
    assert mg.sigmoid(x) == 1 / (1 + np.exp(-x))
    assert grad(mg.sigmoid)(x) == pytest.approx((1 - mg.sigmoid(x)) * mg.sigmoid(x), rel=1e-15)


def test_sigmoid_is_differentiated_to_the_third_order() -> None:
    s = mg.sigmoid(0.3)
    assert grad(grad(mg.sigmoid))(0.3) == pytest.approx(s * (1 - s) * (1 - 2 * s), rel=1e-14)
    assert grad(grad(grad(mg.sigmoid)))(0.3) == pytest.approx(s * (1 - s) * (1 - 6 * s + 6 * s * s), rel=1e-14)


@pytest.mark.parametrize(("dtype", "x"), [("float32", -90.0), ("float64", -720.0)])
def test_sigmoid_has_digits_below_the_normal_range(dtype: str, x: float) -> None:
    x = np.array(x, dtype)
    assert mg.sigmoid(x) == np.exp(x) > 0
    softplus_times = grad(lambda x: mg.softplus(x) * x)(x)  # where a large factor brings them back into it
    assert softplus_times == pytest.approx((1 + x) * np.exp(x), rel=1e-4, abs=0)


def test_slope_of_relu_at_the_kink_is_zero() -> None:
    assert grad(lambda x: np.sum(mg.relu(x)))(np.array([0.0, -0.0])).tolist() == [0, 0]


@pytest.mark.parametrize("gate", [mg.sigmoid, mg.relu, mg.softplus, mg.softmax, mg.log_softmax, mg.logsumexp])
def test_gates_leave_their_argument_alone(gate: Function) -> None:
    x = np.array([0.5, -2.0, 3.0])
    before = bits(x)
    grad(lambda x: np.sum(gate(x) ** 2))(x)
    assert bits(x) == before


# Over axes.


AXES = [{}, {"axis": None}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": (0, 2)}, {"axis": (2, 1, 0)}]
ROWS = np.random.default_rng(1).normal(0, 3, (2, 3, 4))


@pytest.mark.parametrize("form", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_is_its_definition(form: dict[str, Any], keepdims: bool) -> None:
    want = np.log(np.sum(np.exp(wide(ROWS)), **form, keepdims=keepdims)).astype(float)
    got = mg.logsumexp(ROWS, **form, keepdims=keepdims)
    assert np.shape(got) == np.shape(want)
    npt.assert_allclose(got, want, rtol=2e-15)


@pytest.mark.parametrize("form", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_gradient_of_logsumexp_is_softmax(form: dict[str, Any], keepdims: bool) -> None:
    got = grad(lambda x: np.sum(mg.logsumexp(x, **form, keepdims=keepdims)))(ROWS)
    npt.assert_allclose(got, exact_softmax(ROWS, form.get("axis")).astype(float), rtol=4e-15)


def test_softmax_of_numbers_far_apart_is_silent() -> None:
    assert mg.softmax(np.array([1e308, -1e308])).tolist() == [1, 0]


@pytest.mark.parametrize("form", AXES, ids=str)
def test_softmax_is_its_definition(form: dict[str, Any]) -> None:
    want = exact_softmax(ROWS, **form)
    npt.assert_allclose(mg.softmax(ROWS, **form), want.astype(float), rtol=4e-15)
    npt.assert_allclose(mg.log_softmax(ROWS, **form), np.log(want).astype(float), rtol=4e-15, atol=2e-15)


@pytest.mark.parametrize("form", AXES, ids=str)
def test_gradients_of_softmax_are_their_definitions(form: dict[str, Any]) -> None:
    w = np.random.default_rng(2).uniform(-1, 1, ROWS.shape)
    axis = form.get("axis", -1)
    s = exact_softmax(ROWS, axis)
    want = s * (w - np.sum(w * s, axis=axis, keepdims=True))
    got = grad(lambda x: np.sum(mg.softmax(x, **form) * w))(ROWS)
    npt.assert_allclose(got, want.astype(float), rtol=1e-14, atol=1e-15)
    want = w - s * np.sum(w, axis=axis, keepdims=True)
    got = grad(lambda x: np.sum(mg.log_softmax(x, **form) * w))(ROWS)
    npt.assert_allclose(got, want.astype(float), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("x", [[40.0, 0.0], [0.0, 700.0], [3.0, 2.0, -30.0], [1.0, 1.0, -1.0], [0.0], [300.0, -300.0]])
def test_jacobian_of_softmax_keeps_every_digit_where_it_saturates(x: list[float]) -> None:
    s = exact_softmax(x)
    others = np.array([[np.sum(np.delete(s, i)) for _ in s] for i in range(len(s))])
    own = np.eye(len(s), dtype=bool)
    # 1 - s_i is the sum of all others: computed so, it has all of its digits.
    want = np.where(own, s[:, None] * others, -s[:, None] * s)
    npt.assert_allclose(jacobian(mg.softmax)(np.array(x)), want.astype(float), rtol=4e-15, atol=1e-320)
    want = np.where(own, others, -s[None, :])
    npt.assert_allclose(jacobian(mg.log_softmax)(np.array(x)), want.astype(float), rtol=4e-15, atol=1e-320)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_softmax_does_not_mind_large_numbers(shift: float) -> None:
    x = np.array([1.0, 2.0, 4.0])
    npt.assert_allclose(mg.softmax(x + shift), mg.softmax(x), rtol=1e-15)
    npt.assert_allclose(mg.log_softmax(x + shift), mg.log_softmax(x), rtol=1e-15)
    npt.assert_allclose(mg.logsumexp(x + shift), mg.logsumexp(x) + shift, rtol=1e-15)


LIMITS = [
    ([], -np.inf, []),
    ([-np.inf, 0.0], 0, [0, 1]),
    ([-np.inf, -np.inf], -np.inf, None),
    ([np.inf, 0.0], np.inf, None),
    ([1e308, 1e308], 1e308, [0.5, 0.5]),
    ([-1e308, 0.0], 0, [0, 1]),
]


@pytest.mark.parametrize(("x", "value", "gradient"), LIMITS)
def test_logsumexp_of_extremes(x: list[float], value: float, gradient: list[float] | None) -> None:
    assert mg.logsumexp(np.array(x)) == value
    if gradient:
        assert grad(mg.logsumexp)(np.array(x)).tolist() == gradient


@pytest.mark.parametrize(
    "f",
    [
        mg.sigmoid,
        mg.softplus,
        mg.softmax,
        mg.log_softmax,
        mg.logsumexp,
        lambda x: mg.softmax(x, axis=0),
        lambda x: mg.log_softmax(x, axis=None),
        lambda x: mg.logsumexp(x, axis=1, keepdims=True),
        lambda x: mg.relu(x - 0.1),
    ],
)
def test_gates_are_right_to_the_second_order(f: Function) -> None:
    check_grads(f, (np.random.default_rng(3).normal(0, 1, (2, 3)),))


@pytest.mark.parametrize("gate", [mg.sigmoid, mg.relu, mg.softplus, mg.logsumexp, mg.softmax, mg.log_softmax])
def test_gates_of_numbers_in_a_list(gate: Function) -> None:
    x, weights = np.array([1.0, -2.0]), np.array([1.0, 3.0])
    of_list = grad(lambda x: np.sum(gate([x[0], x[1]]) * weights))(x)
    assert of_list.tolist() == grad(lambda x: np.sum(gate(x) * weights))(x).tolist()


@pytest.mark.parametrize("gate", [mg.logsumexp, mg.softmax, mg.log_softmax])
@pytest.mark.parametrize(("shape", "axis"), [((0,), 0), ((0, 3), 0), ((3, 0), -1)])
def test_gates_of_no_entries(gate: Function, shape: tuple[int, ...], axis: int) -> None:
    slope = grad(lambda x: np.sum(gate(x, axis=axis)))
    assert slope(np.zeros(shape)).shape == grad(lambda x: np.sum(slope(x)))(np.zeros(shape)).shape == shape


def test_gates_are_single_steps() -> None:
    for gate in (mg.sigmoid, mg.relu, mg.softplus, mg.logsumexp, mg.softmax, mg.log_softmax):
        assert [step.function for step in mg.trace(gate, np.ones(3)).steps] == [f"minigrad.{gate.__name__}"]


def test_gates_are_written_with_public_means_only() -> None:
    """What the gates do, a user can: of minigrad they import what minigrad itself offers."""
    taken = set()
    for node in ast.walk(ast.parse(inspect.getsource(gates))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minigrad"):
            taken |= {alias.name for alias in node.names}
        assert not (isinstance(node, ast.Import) and any(alias.name.startswith("minigrad") for alias in node.names))
    assert taken == {"defvjp", "primitive"}
    assert gates.defvjp is mg.defvjp
    assert gates.primitive is mg.primitive
