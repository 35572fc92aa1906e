"""What an edge, or a number that is not finite, excuses: the elements that depend on it, and no others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from oracles.exact import Status
from oracles.exact.reach import confirmed
from oracles.examine import Setup, examine
from oracles.facts import Point
from oracles.judgement import judge
from oracles.verdict import Label
from tests import trial
from tests.trial import case_of

NAN, INF = np.nan, np.inf
C, K, E, N = Status.CERTAIN, Status.KINK, Status.EDGE, Status.NONFINITE

V = np.array([1.0, 2.0, 4.0])
MASK = np.array([True, False])

Function = Callable[..., Any]


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """NumPy's own, about what these points are chosen for."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def statuses(f: Function, *inputs: Any, order: int = 1) -> list[list[Status]]:
    """Of each array that a party is asked for, its elements in a row."""
    point = Point(case_of(f, *inputs), order)
    return [[Status(s) for s in truth.status.ravel()] for truth in point.facts(order).truths]


NOT_FINITE: dict[str, tuple[Function, tuple[Any, ...], list[list[Status]]]] = {
    # Value and gradients of order 1.
    "elementwise": (np.sin, ([1.0, NAN, 2.0],), [[C, N, C], [C, N, C]]),
    "a sum of squares": (lambda x: np.sum(x * x), ([1.0, NAN, 2.0],), [[N], [C, N, C]]),
    "a mean": (lambda x: np.mean(x, axis=0), ([[1.5, 2.0], [NAN, 3.0]],), [[N, C], [C, C, C, C]]),
    "a product": (np.multiply, ([1.0, INF], [2.0, 3.0]), [[C, N], [C, C], [C, N]]),
    "matrices": (np.matmul, ([[1.5, 2.0], [NAN, 3.0]], [1.0, 2.0]), [[C, N], [C, C, C, C], [N, C]]),
    "a choice": (np.maximum, ([1.0, NAN], [2.0, 2.0]), [[C, N], [C, N], [C, N]]),
    "magnitudes": (np.abs, ([NAN, -2.0],), [[N, C], [N, C]]),
    "running products, of which rules divide": (np.cumprod, ([1.5, 2.0, NAN],), [[C, C, N], [N, N, N]]),
    "order": (np.sort, ([1.5, NAN, 2.0],), [[N, N, N], [N, N, N]]),
    "a reciprocal": (lambda x: 1 / x, ([INF, 2.0],), [[C, C], [N, C]]),
    "left out": (np.nansum, ([1.5, NAN],), [[C], [C, C]]),
}


@pytest.mark.parametrize("name", NOT_FINITE)
def test_an_input_that_is_not_finite_excuses_what_depends_on_it(name: str) -> None:
    f, inputs, expected = NOT_FINITE[name]
    assert statuses(f, *inputs) == expected


@pytest.mark.parametrize("name", NOT_FINITE)
@pytest.mark.parametrize("order", [1, 2])
def test_minigrad_is_right_in_all_the_others(name: str, order: int) -> None:
    f, inputs, _ = NOT_FINITE[name]
    parties = ("minigrad", "minigrad.stage", "torch", "jax")
    found = examine(case_of(f, *inputs), Setup(parties[0], parties[1:], (order,)))
    assert {v.label for v in found.verdicts} <= {Label.AGREES, Label.NONFINITE}


def test_a_fault_beside_a_nan_is_seen() -> None:
    case = case_of(np.sin, [1.0, NAN, 2.0], cotangent=[0.5, -1.0, 2.0])
    with trial.ruled(np.sin, lambda g, ans, x: np.flip(g) * np.cos(x)):
        assert examine(case, Setup("minigrad", (), (1,))).verdict("minigrad", 1).label is Label.WRONG


def test_a_fault_that_a_nan_hides_is_seen_with_a_number_in_its_place() -> None:
    case = case_of(np.sin, NAN)
    with trial.ruled(np.sin, lambda g, ans, x: 2 * g * np.cos(x)):
        verdict = examine(case, Setup("minigrad", (), (1,))).verdict("minigrad", 1)
    assert (verdict.label, verdict.moved) == (Label.WRONG, True)


EDGES: dict[str, tuple[Function, Any, list[Status], list[Status]]] = {
    # Gradient and Hessian product.
    "roots summed": (lambda x: np.sum(np.sqrt(x)), [0.0, 4.0], [E, C], [E, C]),
    "a root of a sum": (lambda x: np.sqrt(np.sum(x)), [1.0, -1.0], [E, E], [E, E]),
    "a power that bends infinitely": (lambda x: x**1.5, [0.0, 4.0], [C, C], [E, C]),
    "an edge times another": (lambda x: x[1] * np.arcsin(x[0]), [1.0, 4.0], [E, C], [E, E]),
    "a branch that is not taken": (lambda x: np.where(x > 0, np.sqrt(x), 0.0), [-1.0, 4.0], [E, C], [E, C]),
    "another": (lambda x: np.where(np.abs(x) < 1, np.arcsin(x), 0.0), [2.0, 0.5], [E, C], [E, C]),
    "a quotient that is not taken": (lambda x: np.where(x != 0, np.sin(x) / x, 1.0), [0.0, 4.0], [E, C], [E, C]),
    "a square that is 0 in floats": (lambda x: np.sqrt(np.sum(x * x)), [1e-200], [E], [E]),
    "a square that should not be": (lambda x: np.sqrt(np.sum(x * x) * 1e300), [1e-200], [C], [C]),
    "values that tie": (lambda x: np.linalg.svdvals(np.diag(x)) @ V, [2.0, 2.0, 1.0], [K, K, C], [E, E, E]),
}


@pytest.mark.parametrize("name", EDGES)
def test_an_edge_excuses_what_meets_it(name: str) -> None:
    f, x, gradient, product = EDGES[name]
    assert statuses(f, x)[1] == gradient
    assert statuses(f, x, order=2)[0] == product


def test_who_comes_to_the_number_that_there_is_agrees() -> None:
    """log of -1 has no value, but a derivative that engines multiply by 0."""
    found = judge(lambda x: np.where(x > 0, np.log(x), 0.0), np.array([-1.0, 4.0]), parties=["minigrad", "torch"])
    assert {str(v.label) for v in found.verdicts.values()} == {"agrees"}
    assert "(0.0)" in str(found)


@pytest.mark.parametrize("f", [lambda x: 0.0 * np.log(x), lambda x: x * np.log(x), lambda x: np.sin(x) / x])
def test_a_value_that_is_undefined_at_the_point_is_none_whatever_its_limit(f: Function) -> None:
    assert statuses(f, 0.0)[0] == [E]


def test_digits_that_are_lost_below_the_range_are_no_edge() -> None:
    x = np.array([1e-200, 1e-200])
    found = judge(lambda x: np.sqrt(np.sum(x * x) * 1e300), x, parties=["minigrad", "torch", "jax"])
    assert {str(v.label) for v in found.verdicts.values()} == {"unstable"}


def test_an_edge_that_is_none_in_exact_numbers_is_dropped() -> None:
    case = case_of(lambda x: np.sqrt(x * x * 1e300), [1e-200, 0.0])
    assert Point(case, 1).referee.breaks[1][3].tolist() == [True, True]
    [edge] = confirmed(case, 1, Point(case, 1).referee.breaks[1]).values()
    assert edge.mask.tolist() == [False, True]


def test_masked_entries_of_a_softmax_leave_the_others_their_truth() -> None:
    """As attention has it: exp of -inf is 0."""

    def softmax(x: Any) -> Any:
        return np.exp(x) / np.sum(np.exp(x))

    assert statuses(softmax, [1.5, 2.0, -INF])[1] == [C, C, N]
    found = judge(softmax, np.array([1.5, 2.0, -INF]), parties=["minigrad", "torch", "jax"])
    assert {str(v.label) for v in found.verdicts.values()} <= {"agrees", "nonfinite"}


FURTHER: dict[str, tuple[Function, Any, list[Status]]] = {
    # The gradient, of what has a constant that is not finite, a pole, or rows of which one is not finite.
    "a constant": (lambda x: np.where(MASK, x * np.array([1.0, NAN]), 0.0), [1.0, 2.0], [C, N]),
    "a target that is left out": (lambda x: np.nansum((x - np.array([1.5, NAN])) ** 2), [1.0, 2.0], [C, N]),
    "a pole that is not taken": (lambda x: np.where(MASK, 1 / x, 0.0), [1.0, 0.0], [C, E]),
    "another pole": (lambda x: np.tanh(np.arctanh(x)), [1.0, 0.5], [E, C]),
    "what leaves the range, and is not taken": (lambda x: np.where(x < 0, np.exp(x), x), [-1.0, 1000.0], [C, C]),
    "the largest of each row": (lambda x: np.max(x, axis=1), [[3.0, 1.0], [NAN, 2.0]], [C, C, N, N]),
    "the range of infinite numbers": (np.ptp, [INF, 3.0, INF], [N, N, N]),
    "running sums of exponentials": (np.logaddexp.accumulate, [INF, 0.5, 2.0], [N, N, N]),
    "the norm of each row": (lambda x: np.linalg.norm(x, axis=1), [[3.0, 1.0], [NAN, 2.0]], [C, C, N, N]),
    "products along rows": (lambda x: np.cumprod(x, axis=1), [[3.0, 1.0], [NAN, 2.0]], [C, C, N, N]),
    "remainders": (lambda x: np.remainder(x, 2.0), [1.5, NAN, -2.5], [C, N, C]),
    "a cosine that rounds to 1": (lambda x: np.arccos(np.cos(x)), [3e-11, 0.5], [E, C]),
}


@pytest.mark.parametrize("name", FURTHER)
def test_constants_poles_and_rows_excuse_what_meets_them(name: str) -> None:
    f, x, gradient = FURTHER[name]
    assert statuses(f, x)[1] == gradient


def test_eigenvalues_that_tie_are_numbers_of_which_each_gradient_nearby_is_a_choice() -> None:
    value, gradient = Point(case_of(np.linalg.eigvalsh, 2 * np.eye(2), cotangent=[1.0, 3.0]), 1).facts(1).truths
    assert [(Status(s), v) for s, v in zip(value.status, value.value, strict=True)] == [(C, 2.0), (C, 2.0)]
    assert {Status(s) for s in np.diagonal(gradient.status)} == {K}
    assert np.all(np.diagonal(gradient.low) < 1.5)
    assert np.all(np.diagonal(gradient.high) > 2.5)


MATRICES = np.array([[[2.0, 1.0], [1.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]], [[4.0, -1.0], [-1.0, 2.0]]])
BY_MATRIX: dict[str, tuple[Function, Any, Status]] = {
    "singular": (lambda x: np.linalg.slogdet(x)[1], MATRICES, E),
    "det": (np.linalg.det, np.where(MATRICES == 1, NAN, MATRICES)[1:], N),
    "solve": (lambda x: np.linalg.solve(x, np.ones((2, 2, 1))), np.where(MATRICES == 1, NAN, MATRICES)[1:], N),
    "power": (lambda x: np.linalg.matrix_power(x, 3), np.where(MATRICES == 1, NAN, MATRICES)[1:], N),
}


@pytest.mark.parametrize("name", BY_MATRIX)
@pytest.mark.parametrize("order", [1, 2])
def test_a_matrix_of_a_stack_excuses_no_other(name: str, order: int) -> None:
    f, x, status = BY_MATRIX[name]
    bad = [bool(np.all(matrix == 1) or np.isnan(matrix).any()) for matrix in x]
    assert statuses(f, x, order=order)[-1] == [status if b else C for b in bad for _ in range(4)]
    found = examine(case_of(f, x), Setup("minigrad", ("torch", "jax"), (order,)))
    assert {v.label for v in found.verdicts} <= {Label.AGREES, Label.EDGE, Label.NONFINITE, Label.ERRORED}


SINGULAR, TIED, UNTIED = np.ones((2, 2)), 2 * np.eye(2), np.array([[2.0, 1.0], [0.5, 3.0]])
TIES: dict[str, tuple[Function, Any]] = {
    "eigenvalues": (lambda x: np.linalg.eigvalsh(x) * [1.0, 2.0], TIED),
    "eigenvectors": (lambda x: np.abs(np.linalg.eigh(x)[1]), TIED),
    "singular values": (lambda x: np.linalg.svdvals(x) * [1.0, 2.0], TIED),
    "singular vectors": (lambda x: np.abs(np.linalg.svd(x, full_matrices=False)[0]), TIED),
    "the largest of these": (lambda x: np.linalg.norm(x, 2, axis=(-2, -1)), TIED),
    "their sum": (lambda x: np.linalg.norm(x, "nuc", axis=(-2, -1)), SINGULAR),
    "their ratio": (np.linalg.cond, TIED),
    "the pseudo-inverse": (np.linalg.pinv, SINGULAR),
}


@pytest.mark.parametrize("name", TIES)
@pytest.mark.parametrize("order", [1, 2])
def test_what_ties_in_a_matrix_of_a_stack_excuses_no_other(name: str, order: int) -> None:
    f, tied = TIES[name]
    x = np.stack([tied, UNTIED])
    found = statuses(f, x, order=order)
    assert found[-1][0] is not C
    assert found[-1][4:] == [C] * 4
    if order == 1:
        half = len(found[0]) // 2
        assert found[0][half:] == [C] * half

    def off_beside_a_tie(g: Any, ans: Any, x: Any) -> Any:
        return g * np.where(np.all(x[0] == tied), [[[1.0]], [[3.0]]], 1.0)

    if order == 1 or name == "their ratio":  # looking around at second derivatives takes a while
        with trial.ruled(np.positive, off_beside_a_tie):
            assert trial.label_of(trial.Honest, case_of(lambda x: f(+x), x), order) is Label.WRONG


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_edge_that_floats_round_off_is_one(dtype: str) -> None:
    """The last pivot of a singular matrix is zero in exact numbers, in NumPy's next to nothing, and zero in others'."""
    matrices = (np.array([[1.0, k], [k, k * k]], dtype) for k in range(1, 50))
    x = next(x for x in matrices if np.linalg.qr(x)[1][1, 1] != 0)  # which one it is depends on the processor
    case = case_of(lambda x: np.square(np.linalg.qr(x)[1]), x, dtype=dtype)
    assert not any(event.is_break for event in Point(case, 1).events)
    assert {Status(s) for s in Point(case, 1).facts(1).truths[1].status.ravel()} == {E}
    found = examine(case, Setup("minigrad", ("torch", "jax"), (1,)))
    assert {v.label for v in found.verdicts} == {Label.EDGE}


INFINITE_VALUES: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "a factor of zero": (lambda x, y: np.log(x) * np.cos(y), (0.0, 0.0)),
    "a square": (lambda x, y: (np.log(x) + np.cos(y)) ** 2, (0.0, 0.0)),
    "of a matrix": (lambda x, y: np.linalg.slogdet(x)[1] * np.cos(y), (np.ones((2, 2)), 0.0)),
    "of one in a stack": (lambda x: np.sum(np.linalg.slogdet(x)[1]) ** 2, (MATRICES,)),
    "a logarithm beside a choice": (lambda x: np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, x))), (0.0,)),
}


@pytest.mark.parametrize("name", INFINITE_VALUES)
def test_an_infinite_value_meets_all_that_it_is_multiplied_by(name: str) -> None:
    f, inputs = INFINITE_VALUES[name]
    for gradient in statuses(f, *inputs)[1:]:
        assert set(gradient) == {E}
    found = examine(case_of(f, *inputs), Setup("minigrad", ("torch", "jax"), (1,)))
    assert {v.label for v in found.verdicts} <= {Label.EDGE, Label.AGREES}


@pytest.mark.parametrize("f", [np.nansum, np.nanmean, np.nanprod, lambda x: np.nancumsum(x)[-1]])
def test_a_nan_that_was_left_out_meets_the_nan_that_comes_back(f: Function) -> None:
    found = examine(case_of(lambda x: f(x) * x, [NAN, 1.0, 2.0]), Setup("minigrad", ("torch", "jax"), (1,)))
    assert {v.label for v in found.verdicts} == {Label.NONFINITE}


@pytest.mark.parametrize(
    "f", [lambda p: np.nansum(np.log(p)), lambda p: np.where(p > 0, np.sqrt(p), 0.0), lambda p: np.nanmax(np.sqrt(p))]
)
def test_who_is_excused_far_out_of_a_domain_is_asked_within_it(f: Function) -> None:
    case = case_of(f, [-1.0, 0.5, 0.3])
    assert trial.label_of(trial.Honest, case) is Label.EDGE
    with trial.ruled(np.log, lambda g, ans, x: g * 1.01 / x), trial.ruled(np.sqrt, lambda g, ans, x: g * 0.505 / ans):
        assert trial.label_of(trial.Honest, case) is Label.WRONG


@pytest.mark.parametrize("f", [lambda x: np.linalg.norm(x, axis=(-2, -1)), lambda x: np.std(x, axis=(-2, -1))])
def test_an_edge_of_one_slice_along_two_axes_excuses_no_other(f: Function) -> None:
    [second] = statuses(f, np.stack([np.zeros((2, 2)), MATRICES[0]]), order=2)
    assert second == [E] * 4 + [C] * 4


@pytest.mark.parametrize("keepdims", [False, True])
def test_several_quantiles_are_made_of_all_that_is_known(keepdims: bool) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.percentile(x * y - y * y, np.array([75.0, 10.0]), axis=-2, keepdims=keepdims)

    assert statuses(f, [[NAN, 3.0, 0.5], [1.0, 2.0, 5.0]], 2.0)[1:] == [[N] * 6, [N]]
    tied = [[2.0, 2.0, 0.0, -1.0], [-2.0, -2.0, -2.0, -1.0]]
    assert E in statuses(f, tied, -1.0, order=2)[0]


def test_a_choice_beside_an_edge_is_nothing_to_be_held_to() -> None:
    case = case_of(lambda x: np.linalg.vector_norm(np.sqrt(x), ord=np.inf) ** 2, [1.0, 1.0, 0.0, 0.0], cotangent=-0.2)
    for order in (1, 2):
        verdict = examine(case, Setup("minigrad", (), (order,))).verdict("minigrad", order)
        assert verdict.label in (Label.EDGE, Label.CONVENTION)
    assert not np.any([np.any(truth.behind) for truth in Point(case, 2).facts(2).truths])


def test_singular_values_are_known_whatever_becomes_of_the_vectors() -> None:
    tall = [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]
    assert statuses(lambda x: np.linalg.svd(x)[1], tall) == [[C] * 2, [C] * 6]


def test_a_tie_excuses_vectors_and_no_value_beside_it() -> None:
    """Where nobody uses the vectors, values have what derivatives they have; other vectors have none."""
    tied = np.diag([3.0, 1.0, 1.0])
    for values in (lambda x: np.linalg.svd(x)[1], lambda x: np.linalg.svd(x, compute_uv=False)):
        assert statuses(lambda x, values=values: values(x)[0], tied) == [[C], [C] * 9]
        assert statuses(lambda x, values=values: np.sum(values(x)), tied) == [[C], [C] * 9]
        assert statuses(lambda x, values=values: np.sum(values(x)[:1] ** 2), tied) == [[C], [C] * 9]
    assert statuses(lambda x: np.linalg.eigh(x)[0][2], tied) == [[C], [C] * 9]
    assert statuses(lambda x: np.sum(np.linalg.eigh(x)[0]), tied) == [[C], [C] * 9]
    assert E in statuses(lambda x: np.linalg.svd(x)[1][0] * np.linalg.svd(x)[0], tied)[1]
    assert statuses(lambda x: (lambda u, s, vh: s[0] * np.trace(u) * vh[0, 0])(*np.linalg.svd(x)), tied)[1] == [E] * 9


def test_the_least_singular_value_bends_at_0() -> None:
    for rank_one in ([[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]):
        for values in (np.linalg.svdvals, lambda x: np.linalg.svd(x, full_matrices=False)[1]):
            assert statuses(lambda x, values=values: values(x)[0], rank_one)[1] == [C] * np.size(rank_one)
            assert K in statuses(lambda x, values=values: values(x)[1], rank_one)[1]
            assert not {E, N} & {*statuses(lambda x, values=values: np.sum(values(x)), rank_one)[1]}


@pytest.mark.parametrize("function", [np.fmax, np.fmin])
def test_what_leaves_nan_out_excuses_no_other_finite_number(function: Function) -> None:
    """Beside NaN, an engine that comes to NaN is excused; one that comes to a number is held to the one there is."""
    case = case_of(function, [NAN, 1.0], [2.0, 3.0])

    def label_of(beside_nan: float) -> Label:
        def rule(g: Any, ans: Any, x: Any, y: Any) -> Any:
            return g * np.where(np.isnan(x), beside_nan, ans == y)

        with trial.ruled(function, lambda g, ans, x, y: g * (ans == x), rule):
            return examine(case, Setup("minigrad", (), (1,))).verdict("minigrad", 1).label

    assert [label_of(factor) for factor in (1.0, 2.0, NAN)] == [Label.AGREES, Label.WRONG, Label.NONFINITE]


def test_of_nan_itself_no_derivative_is_known() -> None:
    [_, gradient] = Point(case_of(np.nansum, [NAN, 1.0]), 1).facts(1).truths
    assert not np.any(gradient.behind)


def test_a_leak_from_a_row_that_is_not_finite_is_seen() -> None:
    """0 times the sum over everything is 0, but where there is a NaN."""
    leaky = extremes_of_all()
    case = case_of(lambda x: np.max(x, axis=1), [[3.0, 1.0], [NAN, 2.0]])
    with trial.ruled(np.max, leaky):
        assert examine(case, Setup("minigrad", (), (1,))).verdict("minigrad", 1).is_off


def extremes_of_all() -> Function:
    def rule(g: Any, ans: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        share = np.where(a == np.expand_dims(ans, axis), np.expand_dims(g, axis), 0.0)
        return share + 0 * np.sum(a)

    return rule


def test_a_subnormal_number_excuses_no_other_fault() -> None:
    with trial.ruled(np.sin, lambda g, ans, x: 2 * g * np.cos(x)):
        found = judge(np.sin, np.array([5e-324, 1.0]), parties=["minigrad"])
    assert str(found.verdicts["minigrad"].label) == "wrong"
