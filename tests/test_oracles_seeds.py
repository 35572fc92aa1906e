"""The worked systems of the course notes: their figures, and what the notes say beyond one gradient."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad import Tensor, grad, vjp
from minigrad.protocol import NAMES
from oracles.examine import Setup, examine
from oracles.named import NAMED, Named, circuit, gates, larger, neuron, product, relu, slope, staged, vector_function
from oracles.verdict import Label
from tests.support import scratch_registry

FIGURES = [named for named in NAMED if named.gradients is not None]


def gradients_of(named: Named) -> Any:
    return vjp(named.function, *(np.array(x) for x in named.inputs))[1](np.array(named.cotangent))


# All of them.


@pytest.mark.parametrize("named", FIGURES, ids=lambda named: named.name)
def test_minigrad_gives_the_figures_of_the_notes(named: Named) -> None:
    assert named.gradients is not None
    for got, want in zip(gradients_of(named), named.gradients, strict=True):
        if named.digits is None:
            npt.assert_allclose(got, want, rtol=1e-15, atol=1e-14)
        else:
            npt.assert_allclose(got, want, rtol=0, atol=0.5 * 10.0**-named.digits)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("named", NAMED, ids=lambda named: named.name)
def test_minigrad_pytorch_and_jax_all_have_the_truth(named: Named, dtype: str) -> None:
    found = examine(named.case(dtype), Setup())
    fine = {Label.AGREES, Label.CONVENTION, Label.ILL_CONDITIONED, Label.EDGE}
    assert {v.label for v in found.verdicts} <= fine, found.verdicts


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("named", [n for n in NAMED if n.name != "max-tie"], ids=lambda named: named.name)
def test_away_from_ties_nobody_needs_an_excuse(named: Named, dtype: str) -> None:
    found = examine(named.case(dtype), Setup(orders=(1,)))
    assert {v.label for v in found.verdicts} == {Label.AGREES}


def test_names_of_the_systems_differ() -> None:
    assert len({named.name for named in NAMED}) == len(NAMED)


@pytest.mark.parametrize("named", NAMED, ids=lambda named: named.name)
def test_a_named_case_survives_the_trip_through_data(named: Named) -> None:
    case = named.case("float32")
    assert type(case).from_data(case.as_data()).as_data() == case.as_data()


# 1. The staged computation.


def test_the_backward_pass_staged_by_hand_gives_the_same() -> None:
    x, y = 3.0, -4.0
    sigy = 1.0 / (1 + np.exp(-y))
    num = x + sigy
    sigx = 1.0 / (1 + np.exp(-x))
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1.0 / den

    dnum = invden
    dinvden = num
    dden = (-1.0 / den**2) * dinvden
    dsigx = dden
    dxpysqr = dden
    dxpy = (2 * xpy) * dxpysqr
    dx = dxpy
    dy = dxpy
    dx += ((1 - sigx) * sigx) * dsigx
    dx += dnum
    dsigy = dnum
    dy += ((1 - sigy) * sigy) * dsigy

    npt.assert_array_max_ulp(np.array(grad(staged, (0, 1))(x, y)), np.array([dx, dy]), maxulp=2)


def test_every_stage_gets_the_gradient_of_the_pass_by_hand() -> None:
    x, y = Tensor(3.0), Tensor(-4.0)
    sigy = 1.0 / (1 + np.exp(-y))
    num = x + sigy
    sigx = 1.0 / (1 + np.exp(-x))
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1.0 / den
    (num * invden).backward()
    dden = -num.value / den.value**2
    got = [v.grad for v in (num, invden, den, sigx, xpysqr, xpy, sigy)]
    want = [invden.value, num.value, dden, dden, dden, 2 * xpy.value * dden, invden.value]
    npt.assert_allclose(got, want, rtol=1e-15)


def test_assigning_where_x_forks_would_lose_most_of_its_gradient() -> None:
    through_num_alone = 1 / (1 / (1 + np.exp(-3.0)) + 1)
    assert grad(staged)(3.0, -4.0) > 3 * through_num_alone


# 2. The sigmoid neuron.


W, X = np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0])


def test_the_neuron_fires_at_0_73() -> None:
    assert W[0] * X[0] + W[1] * X[1] + W[2] == 1.0
    assert round(float(neuron(W, X)), 2) == 0.73


def test_the_sigmoid_passes_on_0_20() -> None:
    f = neuron(W, X)
    assert round(float((1 - f) * f), 2) == 0.20


def test_the_neuron_has_the_gradients_of_the_notes() -> None:
    dw, dx = grad(neuron, (0, 1))(W, X)
    assert dw.round(2).tolist() == [-0.20, -0.39, 0.20]
    assert dx.round(2).tolist() == [0.39, -0.59]


def test_the_sigmoid_as_one_gate_gives_the_same() -> None:
    with scratch_registry():

        @mg.primitive
        def sigma(x: Any) -> Any:
            return 1.0 / (1 + np.exp(-x))

        mg.defvjp(sigma, lambda g, ans, x: g * (1 - ans) * ans)
        one_gate = grad(lambda w, x: sigma(w[0] * x[0] + w[1] * x[1] + w[2]), (0, 1))(W, X)
    for got, want in zip(one_gate, grad(neuron, (0, 1))(W, X), strict=True):
        npt.assert_allclose(got, want, rtol=1e-15)


# 3. (x + y) z.


def test_gradients_stand_on_every_wire_of_the_circuit() -> None:
    x, y, z = Tensor(-2.0), Tensor(5.0), Tensor(-4.0)
    q = x + y
    f = q * z
    f.backward()
    assert (q.value, f.value) == (3.0, -12.0)
    assert [float(wire.grad) for wire in (f, q, x, y, z)] == [1.0, -4.0, -4.0, -4.0, 3.0]


def test_grad_gives_what_the_wires_show() -> None:
    assert grad(circuit, (0, 1, 2))(-2.0, 5.0, -4.0) == (-4.0, -4.0, 3.0)


# 4. Gates.


def test_an_add_gate_distributes() -> None:
    assert vjp(np.add, 3.0, -4.0)[1](2.0) == (2.0, 2.0)


def test_a_multiply_gate_swaps() -> None:
    assert vjp(np.multiply, 3.0, -4.0)[1](2.0) == (-8.0, 6.0)


def test_a_copy_gate_adds() -> None:
    assert grad(lambda x: 5.0 * x + 2.0 * x)(1.5) == 7.0


def test_a_max_gate_routes() -> None:
    assert vjp(np.maximum, 2.0, -1.0)[1](2.0) == (2.0, 0.0)


def test_the_gates_together_give_the_gradients_of_the_notes() -> None:
    x, y = 3.0, -4.0
    assert grad(gates, (0, 1, 2, 3))(x, y, 2.0, -1.0) == (2 * y + 1, 2 * x, 2.0, 0.0)


# 5. The subgradients of max.


@pytest.mark.parametrize(("x", "y", "want"), [(3.0, 2.0, (1.0, 0.0)), (2.0, 3.0, (0.0, 1.0))])
def test_max_gives_all_to_the_larger(x: float, y: float, want: tuple[float, float]) -> None:
    assert vjp(larger, x, y)[1](1.0) == want


def test_max_splits_evenly_at_a_tie() -> None:
    assert vjp(larger, 2.0, 2.0)[1](5.0) == (2.5, 2.5)


def test_the_split_at_a_tie_is_a_subgradient() -> None:
    dx, dy = grad(larger, (0, 1))(2.0, 2.0)
    random = np.random.default_rng(5)
    for x, y in random.normal(2, 1, (200, 2)):
        assert max(x, y) >= 2.0 + dx * (x - 2.0) + dy * (y - 2.0) - 1e-15


def test_max_of_an_array_shares_among_those_that_attain_it() -> None:
    assert grad(np.max)(np.array([1.0, 4.0, 4.0, -2.0])).tolist() == [0.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_tie_is_judged_a_convention_at_most(dtype: str) -> None:
    tie = next(named for named in NAMED if named.name == "max-tie")
    found = examine(tie.case(dtype), Setup())
    assert [event.what for event in found.events] == ["kink: tie"]
    assert {v.label for v in found.verdicts} <= {Label.AGREES, Label.CONVENTION}


# 6. D = WX.


@st.composite
def matrices(draw: Any) -> tuple[Any, Any, Any]:
    """W, X and a cotangent for WX, of any shapes that fit."""
    n, k, m = (draw(st.integers(1, 6)) for _ in range(3))
    numbers = st.floats(-100, 100, width=32)
    return tuple(draw(hnp.arrays(np.float64, shape, elements=numbers)) for shape in ((n, k), (k, m), (n, m)))


@given(matrices())
@settings(max_examples=50, deadline=None)
def test_dW_is_dD_times_X_transposed_and_dX_is_W_transposed_times_dD(drawn: Any) -> None:  # noqa: N802
    W, X, dD = drawn
    D, pullback = vjp(product, W, X)
    dW, dX = pullback(dD)
    npt.assert_array_equal(D, W @ X)
    npt.assert_array_equal(dW, dD @ X.T)
    npt.assert_array_equal(dX, W.T @ dD)


@given(matrices())
@settings(max_examples=50, deadline=None)
def test_with_X_on_the_left_the_transposes_change_sides(drawn: Any) -> None:  # noqa: N802
    X, W, dY = drawn
    dX, dW = vjp(lambda X, W: X @ W, X, W)[1](dY)
    npt.assert_array_equal(dX, dY @ W.T)
    npt.assert_array_equal(dW, X.T @ dY)


# 7. ReLU.


RELU_AT = np.array([1.0, -2.0, 3.0, -1.0])


def test_relu_passes_the_upstream_gradient_where_its_input_is_positive() -> None:
    assert vjp(relu, RELU_AT)[1](np.array([4.0, -1.0, 5.0, 9.0]))[0].tolist() == [4.0, 0.0, 5.0, 0.0]


def test_the_jacobian_of_relu_is_diagonal() -> None:
    npt.assert_array_equal(rows(relu, RELU_AT), np.diag([1.0, 0.0, 1.0, 0.0]))


def test_the_gradient_of_relu_never_forms_its_jacobian() -> None:
    program = mg.trace(lambda x, g: vjp(relu, x)[1](g)[0], RELU_AT, RELU_AT)
    dimensions = []

    def watch(number: int, step: Any, operands: Any, ans: Any) -> Any:
        dimensions.append(np.ndim(ans))
        return ans

    program.run((RELU_AT, RELU_AT), NAMES.__getitem__, watch)
    assert max(dimensions) == 1


# 8. Jacobians.


def rows(f: Any, x: Any, *others: Any) -> Any:
    """The Jacobian of a vector function, a row per output: one vjp each."""
    value, pullback = vjp(f, x, *others)
    return np.stack([pullback(unit)[0] for unit in np.eye(value.size)])


def columns_by_limit(f: Any, x: Any) -> Any:
    """The Jacobian in the same layout, a column per input, from central differences."""
    h = 1e-6
    return np.stack([(f(x + h * unit) - f(x - h * unit)) / (2 * h) for unit in np.eye(x.size)], axis=1)


AT, WEIGHTS = np.array([0.5, -1.25, 2.0]), np.array([[0.25, -0.5], [1.0, 0.75], [-0.125, 0.375]])


def test_in_numerator_layout_the_jacobian_has_a_row_per_output() -> None:
    J = rows(vector_function, AT, WEIGHTS)
    assert J.shape == (2, 3)
    npt.assert_allclose(J, columns_by_limit(lambda x: vector_function(x, WEIGHTS), AT), rtol=1e-8, atol=1e-8)


def test_denominator_layout_is_the_transpose() -> None:
    h = 1e-6
    per_input = [
        (vector_function(AT + h * unit, WEIGHTS) - vector_function(AT - h * unit, WEIGHTS)) / (2 * h)
        for unit in np.eye(3)
    ]
    denominator = np.stack(per_input)
    assert denominator.shape == (3, 2)
    npt.assert_allclose(rows(vector_function, AT, WEIGHTS).T, denominator, rtol=1e-8, atol=1e-8)


def test_a_vjp_is_the_cotangent_times_the_jacobian_in_either_layout() -> None:
    g = np.array([1.5, -0.75])
    J = rows(vector_function, AT, WEIGHTS)
    got = vjp(vector_function, AT, WEIGHTS)[1](g)[0]
    npt.assert_allclose(got, g @ J, rtol=1e-14)
    npt.assert_allclose(got, J.T @ g, rtol=1e-14)


def test_every_entry_of_the_example_jacobian_differs_from_zero() -> None:
    assert np.all(rows(vector_function, AT, WEIGHTS) != 0)


def test_the_jacobian_of_a_matrix_product_has_four_axes_and_contracts_to_dY_times_W_transposed() -> None:  # noqa: N802
    random = np.random.default_rng(8)
    X, W, dY = random.normal(size=(2, 3)), random.normal(size=(3, 4)), random.normal(size=(2, 4))
    pullback = vjp(lambda X: X @ W, X)[1]
    J = np.empty((2, 4, 2, 3))
    for i, j in np.ndindex(2, 4):
        unit = np.zeros((2, 4))
        unit[i, j] = 1
        J[i, j] = pullback(unit)[0]
    want = dY @ W.T
    for k, n in np.ndindex(2, 3):
        assert np.sum(J[:, :, k, n] * dY) == pytest.approx(want[k, n], rel=1e-14)
    npt.assert_allclose(pullback(dY)[0], want, rtol=1e-15)


def test_an_entry_of_that_jacobian_is_a_weight_where_the_rows_match_and_zero_elsewhere() -> None:
    W = np.arange(1.0, 13.0).reshape(3, 4)
    pullback = vjp(lambda X: X @ W, np.ones((2, 3)))[1]
    unit = np.zeros((2, 4))
    unit[1, 2] = 1
    assert pullback(unit)[0].tolist() == [[0.0, 0.0, 0.0], W[:, 2].tolist()]


# 9. The derivative as a limit.


ALONG = np.array([1.0, -0.5, 0.25])


def quotient(h: float) -> float:
    """(f(x + h) - f(x)) / h along a direction."""
    return float((slope(AT + h * ALONG) - slope(AT)) / h)


def derivative() -> float:
    return float(grad(slope)(AT) @ ALONG)


def test_the_difference_quotient_tends_to_the_derivative() -> None:
    errors = [abs(quotient(10.0**-k) - derivative()) for k in range(1, 8)]
    assert all(later < 0.2 * earlier for earlier, later in itertools.pairwise(errors))


def test_rounding_spoils_the_quotient_in_the_end() -> None:
    assert abs(quotient(1e-14) - derivative()) > 100 * abs(quotient(1e-8) - derivative())


def test_richardson_extrapolation_agrees_to_nine_digits() -> None:
    table = [(slope(AT + h * ALONG) - slope(AT - h * ALONG)) / (2 * h) for h in 0.1 / 2.0 ** np.arange(5)]
    for k in range(1, len(table)):
        table = [(4.0**k * fine - coarse) / (4.0**k - 1) for coarse, fine in itertools.pairwise(table)]
    assert float(table[0]) == pytest.approx(derivative(), rel=1e-9)
