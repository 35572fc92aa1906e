"""Distances, noise, events, and the labels that follow from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.programs import Input, Program, Ref, Step
from oracles.asking import ask
from oracles.cases import Case
from oracles.events import find_events
from oracles.exact import Referee, Status, Truth
from oracles.facts import Point, reference
from oracles.noise import Noisy, Passes, floor_of, noise
from oracles.verdict import (
    FATAL,
    RULES,
    UNITS,
    Answer,
    Facts,
    Label,
    Verdict,
    is_failure,
    judge,
    ulp_distance,
    units_outside,
)
from tests import trial
from tests.trial import case_of, label_of, on_trial, spec

FURTHEST = 2**64 - 1

DTYPES = ["float64", "float32"]


def ulps(a: Any, b: Any, dtype: Any = np.float64) -> int:
    return int(ulp_distance(np.array([a], dtype), np.array([b], dtype))[0])


# Distances in ULPs.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", [1.0, -1.0, 0.0, 1e-30, -3e20])
def test_a_number_is_one_ulp_from_its_neighbour(x: float, dtype: str) -> None:
    number = np.dtype(dtype).type(x)
    assert ulps(number, np.nextafter(number, np.dtype(dtype).type(np.inf)), dtype) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulps_are_counted_across_zero(dtype: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    assert ulps(-tiny, tiny, dtype) == 2
    assert ulps(-3 * tiny, 2 * tiny, dtype) == 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_has_no_sign(dtype: str) -> None:
    assert ulps(0.0, -0.0, dtype) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_whole_range_does_not_wrap(dtype: str) -> None:
    bits = {"float64": 0x7FF0000000000000, "float32": 0x7F800000}[dtype]
    assert ulps(-np.inf, np.inf, dtype) == 2 * bits
    assert ulps(np.inf, -np.inf, dtype) == 2 * bits


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", [0.0, 1.0, -1e30, np.inf, -np.inf])
def test_nan_is_furthest_from_everything_else(other: float, dtype: str) -> None:
    assert ulps(np.nan, other, dtype) == FURTHEST
    assert ulps(other, -np.nan, dtype) == FURTHEST


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_is_at_nan_whatever_its_bits(dtype: str) -> None:
    assert ulps(np.nan, -np.nan, dtype) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinity_follows_the_largest_number(dtype: str) -> None:
    assert ulps(np.finfo(dtype).max, np.inf, dtype) == 1


def test_an_ulp_of_float32_is_many_of_float64() -> None:
    x, y = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    assert ulps(x, y, np.float32) == 1
    assert ulps(x, y, np.float64) == 2**29


def test_ulps_of_arrays_are_counted_element_by_element() -> None:
    x = np.array([[1.0, 2.0], [0.0, np.nan]])
    assert ulp_distance(x, x + np.array([[0, 4e-16], [0, 0]])).tolist() == [[0, 1], [0, 0]]


def test_ulps_of_nothing_are_nothing() -> None:
    assert ulp_distance(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)


def floats(dtype: str) -> st.SearchStrategy[Any]:
    return hnp.from_dtype(np.dtype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulp_distance_is_a_distance(dtype: str) -> None:
    @given(floats(dtype), floats(dtype), floats(dtype))
    def holds(a: Any, b: Any, c: Any) -> None:
        assert ulps(a, b, dtype) == ulps(b, a, dtype)
        assert (ulps(a, b, dtype) == 0) == (a == b or (np.isnan(a) and np.isnan(b)))
        assert ulps(a, c, dtype) <= ulps(a, b, dtype) + ulps(b, c, dtype)

    holds()


@pytest.mark.parametrize("dtype", DTYPES)
def test_ulps_grow_along_the_line(dtype: str) -> None:
    @given(floats(dtype), floats(dtype), floats(dtype))
    def holds(a: Any, b: Any, c: Any) -> None:
        if not np.isnan([a, b, c]).any():
            low, middle, high = np.sort(np.array([a, b, c], dtype))
            assert ulps(low, high, dtype) == ulps(low, middle, dtype) + ulps(middle, high, dtype)

    holds()


# Distances in units of noise.


def test_units_are_multiples_of_the_noise() -> None:
    assert units_outside([1.0, 2.0], [1.5, 1.0], [1.5, 1.0], [0.5, 0.25]).tolist() == [1.0, 4.0]


def test_between_two_bounds_there_is_no_distance() -> None:
    assert units_outside([-1.0, 0.0, 1.0, 3.0], -1.0, 1.0, 0.5).tolist() == [0.0, 0.0, 0.0, 4.0]


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("truth", [0.0, 1.0])
@pytest.mark.parametrize("unit", [1e-16, np.inf])
def test_what_is_not_finite_never_passes_for_a_number(x: float, truth: float, unit: float) -> None:
    assert units_outside(x, truth, truth, unit) == np.inf


def test_finite_numbers_agree_where_rounding_may_do_anything() -> None:
    assert units_outside(-1e300, 1e300, 1e300, np.inf) == 0.0


# Judging answers made by hand.

ONE = np.array([1.0, 2.0])


def off(first: float, second: float) -> Any:
    """The truth, changed by so much."""
    return ONE + np.array([first, second])


def true(value: Any = ONE, status: Any = 0, near: float = 0.0, chained: float = 0.0) -> Truth:
    """A truth; where it is none, gradients nearby and chained choices spread so far around the value."""
    value = np.asarray(value, float)
    status = np.broadcast_to(status, value.shape).astype(np.int8)
    width = [np.where(status == Status.KINK, w, 0.0) for w in (near, chained)]
    width = [np.where(status > Status.KINK, np.nan, w) for w in width]
    spread = [side * w for w in width for side in (-1, 1)]
    return Truth(value, np.zeros(value.shape), *(value + s for s in spread), status)


def judged(answer: Any, truth: Truth | None = None, unit: float = 1e-15, **known: Any) -> Verdict:
    """The verdict on one gradient, or on a whole answer."""
    truth = true() if truth is None else truth
    given = answer if isinstance(answer, Answer) else Answer("own", [answer])
    noise = [np.full(truth.value.shape, unit)]
    return judge(given, 1, Facts(["d/dx"], np.dtype(np.float64), noise, [truth], **known))


def label(*arguments: Any, **known: Any) -> str:
    return str(judged(*arguments, **known).label)


def test_the_truth_agrees() -> None:
    assert label(ONE.copy()) == "agrees"


def test_answers_agree_up_to_the_allowed_units() -> None:
    assert label(off(0, 3.9), unit=1.0) == "ill-conditioned"
    assert label(off(0, 3.9e-6), unit=1e-6) == "agrees"
    assert label(off(0, 4.1e-6), unit=1e-6) == "wrong"


def test_agreement_that_noise_explains_is_ill_conditioned() -> None:
    assert label(ONE, unit=0.01) == "ill-conditioned"


def test_a_gradient_of_zero_is_not_ill_conditioned() -> None:
    assert label(0 * ONE, true(0 * ONE), unit=0.01) == "agrees"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 3.0, -2.0])
def test_one_wrong_element_is_enough(wrong: float) -> None:
    assert label(np.array([1.0, wrong])) == "wrong"


@pytest.mark.parametrize(
    ("distance", "expected"), [(0.0, "convention"), (0.9, "convention"), (1.5, "kink-chain"), (2.5, "wrong")]
)
def test_at_a_kink_it_matters_what_lies_nearby_and_what_can_be_chained(distance: float, expected: str) -> None:
    assert label(off(0, distance), true(status=[0, Status.KINK], near=1.0, chained=2.0)) == expected


def test_a_kink_excuses_only_what_depends_on_it() -> None:
    assert label(off(1e-3, 0.5), true(status=[0, Status.KINK], near=1.0, chained=2.0)) == "wrong"


def test_a_fault_beside_an_excused_element_is_named() -> None:
    verdict = judged(off(1e-3, 1e6), true(status=[0, Status.EDGE]))
    assert (verdict.label, verdict.where) == (Label.WRONG, "d/dx[0]")


@pytest.mark.parametrize(
    ("status", "expected"),
    [(Status.EDGE, "edge"), (Status.NONFINITE, "nonfinite"), (Status.UNKNOWN, "undecided")],
)
def test_where_there_is_no_truth_the_label_says_why(status: Status, expected: str) -> None:
    assert label(off(0, np.nan), true(status=[0, status])) == expected


def test_a_referee_that_knows_nothing_decides_nothing() -> None:
    verdict = judged(ONE, reason="no exact form")
    assert (verdict.label, verdict.why) == (Label.UNDECIDED, "no exact form")


def test_the_sign_of_a_zero_counts_in_values_only() -> None:
    zero = true(0 * ONE)
    assert label(-0.0 * ONE, zero, forward=0 * ONE) == "signed-zero"
    assert label(-0.0 * ONE, zero) == "agrees"


def test_none_counts_as_zero_where_the_truth_is_zero() -> None:
    assert label(Answer("own", [None]), true(0 * ONE)) == "agrees"
    assert judged(Answer("own", [None])).why == "d/dx is missing, but not zero"


@pytest.mark.parametrize(
    ("gradient", "why"),
    [
        (np.ones(3), "d/dx has shape (3,) instead of (2,)"),
        (np.ones((2, 1)), "d/dx has shape (2, 1) instead of (2,)"),
        (np.ones(2, np.float32), "d/dx has dtype float32 instead of float64"),
        (np.ones(2, np.int64), "d/dx has dtype int64 instead of float64"),
        ([1.0, 2.0], "d/dx is a list, not a NumPy array"),
        (3.0, "d/dx is a float, not a NumPy array"),
    ],
)
def test_a_gradient_of_the_wrong_form_is_a_matter_of_structure(gradient: Any, why: str) -> None:
    verdict = judged(gradient)
    assert (verdict.label, verdict.why) == (Label.STRUCTURE, why)


@pytest.mark.parametrize("arrays", [[], [ONE, ONE]])
def test_there_must_be_a_gradient_per_input(arrays: Any) -> None:
    verdict = judged(Answer("own", arrays))
    assert verdict.label is Label.STRUCTURE
    assert verdict.why.startswith(f"{len(arrays)} arrays returned instead of 1")


@pytest.mark.parametrize("clear", [Label.UNSUPPORTED, Label.ERRORED, Label.STRUCTURE])
def test_labels_that_were_clear_at_once_stand(clear: Label) -> None:
    verdict = judged(Answer("own", label=clear, why="for a reason"))
    assert (verdict.label, verdict.why) == (clear, "for a reason")


def test_a_verdict_names_the_element_and_the_inequality() -> None:
    verdict = judged(off(0, 1), unit=0.125)
    assert verdict.where == "d/dx[1]"
    assert verdict.why == "got 3.0, the truth is 2.0: 8 units of noise (0.125) away, where 4 are allowed"


def test_gradients_of_no_size_agree() -> None:
    assert label(np.zeros(0), true(np.zeros(0))) == "agrees"


def test_infinite_units_are_data_too() -> None:
    assert judged(np.array([np.nan, 1.0])).as_data()["units"] == "inf"


def test_every_label_has_its_rule_in_words() -> None:
    assert set(RULES) == set(Label)


def test_fatal_are_the_labels_that_accuse_the_subject() -> None:
    assert set(FATAL) == {Label.WRONG, Label.STRUCTURE, Label.ERRORED, Label.UNDECIDED}


def test_to_lose_digits_is_fatal_where_somebody_keeps_them() -> None:
    own, keeps, loses = (Verdict(p, 1, v) for p, v in zip("abc", ("unstable", "agrees", "unstable"), strict=True))
    assert is_failure(own, [own, keeps, loses])
    assert not is_failure(own, [own, loses])


EXCUSES, NO_PROOF = ("convention", "kink-chain", "edge", "nonfinite", "signed-zero"), ("flush", "unsupported")


@pytest.mark.parametrize("label", [*EXCUSES, *NO_PROOF])
def test_who_is_excused_in_one_element_may_keep_the_digits_of_another(label: str) -> None:
    own, other = Verdict("a", 1, Label.UNSTABLE), Verdict("b", 1, Label(label))
    assert is_failure(own, [own, other]) == (label in EXCUSES)


def test_who_is_within_much_noise_keeps_the_digits_but_not_who_is_not_finite_by_it() -> None:
    own, within = Verdict("a", 1, Label.UNSTABLE), Verdict("b", 1, Label.ILL_CONDITIONED, units=2.0)
    assert is_failure(own, [own, within])
    assert not is_failure(own, [own, Verdict("b", 1, Label.ILL_CONDITIONED, units=np.inf)])


# Noise.


def noise_of(case: Case, order: int = 1, replays: int = 64, seed: int = 0) -> list[Any]:
    return noise(Passes(case, lambda c: reference(c, order)), replays, seed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_that_only_move_numbers_add_no_noise(dtype: str) -> None:
    case = case_of(lambda x: -np.transpose(np.reshape(np.concatenate([x, -x]), (2, 3))), [1.0, 2.0, 3.0], dtype=dtype)
    for got, plain in zip(noise_of(case), reference(case, 1), strict=True):
        npt.assert_array_equal(got, np.full(np.shape(plain), floor_of(plain)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_adds_about_one_ulp(dtype: str) -> None:
    case = case_of(np.exp, 1.0, dtype=dtype)
    value = noise_of(case)[0]
    unit = np.finfo(dtype).eps * np.exp(1.0)
    assert 1.5 * unit < value < 2.1 * unit


def test_a_cancelling_sum_is_noisy() -> None:
    value = noise_of(case_of(lambda x: (x + 1e8) - 1e8, 1.0))[0]
    assert 1e-9 < value < 1e-7


def test_a_sum_of_many_is_noisy_where_its_terms_are_large() -> None:
    value = noise_of(case_of(np.sum, [1e8, 1.0, -1e8]))[0]
    assert 1e-9 < value < 1e-7


def test_the_noise_depends_on_the_seed_alone() -> None:
    case = case_of(lambda x: np.exp(x) * np.sin(x), [0.5, 1.5])
    one, again, other = noise_of(case, seed=1), noise_of(case, seed=1), noise_of(case, seed=2)
    assert [n.tolist() for n in one] == [n.tolist() for n in again]
    assert [n.tolist() for n in one] != [n.tolist() for n in other]


def test_more_replays_never_show_less_noise() -> None:
    case = case_of(lambda x: np.exp(x) * np.sin(x), [0.5, 1.5])
    for few, many in zip(noise_of(case, replays=4), noise_of(case, replays=40), strict=True):
        assert np.all(few <= many)


def test_decompositions_round_small_entries_as_much_as_large_ones() -> None:
    case = case_of(np.linalg.det, [[1e6, 0.0], [0.0, 1.0]])
    assert noise_of(case, replays=16)[1][0, 1] > 1e-12


def test_the_noise_is_never_zero() -> None:
    for each in noise_of(case_of(lambda x: 0 * x, [0.0, 0.0])):
        assert np.all(each > 0)


def test_hessian_products_are_noisy_too() -> None:
    [product] = noise_of(case_of(lambda x: np.exp(x) * x, 1.0), order=2)
    assert np.finfo(float).eps < product < 1e-14


def test_noise_has_the_dtype_of_the_number_that_rounds() -> None:
    single, double = (noise_of(case_of(np.exp, 1.0, dtype=dtype))[0] for dtype in ("float32", "float64"))
    assert 1e8 < single / double < 1e9


def test_what_is_computed_from_noisy_numbers_keeps_its_dtype() -> None:
    case = case_of(lambda x: np.exp(x) * 2, [1.0, 2.0], dtype="float32")
    assert all(array.dtype == np.float32 for array in Passes(case, lambda c: reference(c, 1)).replay(Noisy, 0))


# Events.


def test_a_tie_of_maximum_is_found_where_it_is() -> None:
    [event] = find_events(case_of(np.maximum, [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]))
    assert (event.step, event.what, event.mask.tolist()) == (1, "kink: tie", [False, True, False])


@pytest.mark.parametrize(
    ("f", "x", "what"),
    [
        (np.abs, [0.0, 1.0], "kink: abs at 0"),
        (np.max, [2.0, 2.0, 1.0], "kink: several attain"),
        (lambda x: np.min(x, axis=0), [[1.0], [1.0]], "kink: several attain"),
        (np.sqrt, [0.0, 4.0], "edge: sqrt at 0"),
        (lambda x: x**0.25, [0.0, 16.0], "edge: power of 0"),
    ],
)
def test_kinks_and_edges_are_found(f: Any, x: Any, what: str) -> None:
    assert [event.what for event in find_events(case_of(f, x))] == [what]


@pytest.mark.parametrize(
    ("f", "x"),
    [(np.abs, [1.0, -1.0]), (np.max, [2.0, 1.0]), (np.sqrt, [1.0]), (lambda x: x**2, [0.0]), (np.sum, [0.0, 0.0])],
)
def test_smooth_points_have_no_events(f: Any, x: Any) -> None:
    assert find_events(case_of(f, x)) == []


def test_what_leaves_the_range_of_the_dtype_is_an_event() -> None:
    with np.errstate(all="ignore"):
        events = find_events(case_of(lambda x: np.exp(x) * 1e-200, [1.0, 800.0, -540.0]))
    assert [(e.step, e.what, e.mask.tolist(), e.is_break) for e in events] == [
        (1, "range: not finite", [False, True, False], False),
        (2, "range: not finite", [False, True, False], False),
    ]
    [flushed] = find_events(case_of(lambda x: x * 1e-160, [1e-160]))
    assert flushed.what == "range: subnormal"


# What the referee knows at kinks.


def known(case: Case, order: int) -> list[Any]:
    """The status of each element of the gradients, or Hessian products, as lists."""
    shapes = [x.shape for x in case.inputs] if order == 2 else [case.cotangent.shape, *(x.shape for x in case.inputs)]
    truths = Referee(case, order, watched=True).truths(order, [np.full(s, 1e-12) for s in shapes], effort=2)
    return [np.asarray(t.status == Status.KINK).tolist() for t in truths[-len(case.inputs) :]]


def test_only_what_passes_through_a_tie_depends_on_it() -> None:
    case = case_of(lambda x, y: np.sum(np.maximum(x[0], x[1]) + x[2] * y), [2.0, 2.0, 5.0], [1.0, 3.0])
    assert known(case, 1) == [[True, True, False], [False, False]]


def test_only_the_tied_elements_of_a_maximum_depend_on_the_tie() -> None:
    assert known(case_of(np.maximum, [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]), 1) == [[False, True, False]] * 2


def test_what_depends_on_a_tie_in_the_gradient_depends_on_it_in_the_hessian_product() -> None:
    case = case_of(lambda x, y: np.maximum(x, y) * x * y, [1.0, 2.0], [3.0, 2.0], vectors=[[1.0, 2.0], [1.0, 0.5]])
    assert known(case, 2) == [[False, True]] * 2


def call_of(name: str, x: Any, *further: Any, **parameters: Any) -> Case:
    """A case of one call, also of a function that tracing works out by others."""
    array = np.array(x, float)
    program = Program((Input("x", array.shape, "float64"),), (Step(name, (Ref(0), *further), parameters),), Ref(1))
    value = program(array)
    weights = 1.0 + np.arange(value.size).reshape(value.shape)  # all different: equal ones would hide a choice
    return Case("call", program, (array,), weights, (np.ones_like(array),))


@pytest.mark.parametrize(
    ("case", "what"),
    [
        (call_of("clip", [0.0, 0.5], a_min=0.0, a_max=None), [True, False]),
        (call_of("minigrad.relu", [0.0, 0.5]), [True, False]),
        (call_of("median", [1.0, 2.0, 2.0, 2.0, 3.0]), [False, True, True, True, False]),
        (call_of("median", [1.0, 2.0, 2.0, 3.0]), [False] * 4),
        (call_of("quantile", [[1.0, 1.0], [1.0, 2.0]], 0.25, axis=1, keepdims=True), [[True] * 2, [False] * 2]),
        (call_of("sort", [[1.0, 1.0], [1.0, 2.0]]), [[True] * 2, [False] * 2]),
        (call_of("partition", [[1.0, 1.0], [1.0, 2.0]], 0), [[True] * 2, [False] * 2]),
        (call_of("minigrad.running_max", [1.0, 1.0, 2.0]), [True, True, False]),
        (call_of("linalg.norm", [[0.0, 0.0], [1.0, 2.0]], axis=1), [[True] * 2, [False] * 2]),
        (call_of("linalg.norm", [[3.0, 3.0], [1.0, 2.0]], axis=1, ord=np.inf), [[True] * 2, [False] * 2]),
        (call_of("std", [[2.0, 2.0], [1.0, 2.0]], axis=1), [[True] * 2, [False] * 2]),
    ],
)
def test_a_kink_concerns_what_any_subgradient_may_reach(case: Case, what: Any) -> None:
    assert known(case, 1) == [what]


def test_an_event_of_a_function_of_several_results_concerns_them_all() -> None:
    inputs = (np.array([2.0, 2.5]),)
    steps = (Step("modf", (Ref(0),)), Step("getitem", (Ref(1), 0)))
    case = Case("modf", Program((Input("x", (2,), "float64"),), steps, Ref(2)), inputs, np.ones(2), inputs)
    # A jump of the value, with a slope that is the same on both sides.
    assert known(case, 1) == [[False, False]]


@pytest.mark.parametrize(
    ("party", "case"),
    [
        ("minigrad", call_of("linalg.pinv", [[1.0, 2.0], [3.0, 5.0]], rcond=0.3)),
        ("minigrad.stage", call_of("linalg.pinv", [[1.0, 2.0], [3.0, 5.0]], rcond=0.3)),
        ("torch", case_of(lambda x: np.linalg.qr(x, mode="complete")[1], [[1.0], [2.0]])),
        ("torch", case_of(lambda x: np.linalg.svd(x, hermitian=True)[1], [[1.0, 2.0], [2.0, 3.0]])),
        ("torch", call_of("delete", [1.0, 2.0], 0)),
        ("torch", call_of("cumulative_sum", [1.0, 2.0], axis=0, include_initial=True)),
        ("jax", call_of("lib.stride_tricks.sliding_window_view", [1.0, 2.0], 2, axis=0)),
    ],
)
def test_what_a_library_lacks_is_unsupported(party: str, case: Case) -> None:
    assert ask(party, case, 1).label == Label.UNSUPPORTED


def test_what_a_library_says_it_has_not_implemented_is_unsupported() -> None:
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
    steps = (Step("linalg.svd", (Ref(0),)), Step("getitem", (Ref(1), 1)))
    case = Case("svd", Program((Input("x", (2, 3), "float64"),), steps, Ref(2)), (x,), np.ones(2), (x,))
    answer = ask("jax", case, 1)
    assert (answer.label, "not implemented" in answer.why) == (Label.UNSUPPORTED, True)


# Subjects on trial.

STEEP = case_of(lambda x, y: np.sum(np.tanh(x) * y + x * y), [[1.0, 2.0], [3.0, 0.5]], [2.0, -1.0], dtype="float32")


@pytest.mark.parametrize(
    ("subject", "label"),
    [
        (trial.Honest, Label.AGREES),
        (trial.TanhOff, Label.WRONG),
        (trial.NoUnbroadcast, Label.WRONG),
        (trial.LostFork, Label.WRONG),
        (trial.WrongShape, Label.STRUCTURE),
        (trial.WrongDtype, Label.STRUCTURE),
        (trial.GivesList, Label.STRUCTURE),
        (trial.TooFew, Label.STRUCTURE),
        (trial.Mutates, Label.STRUCTURE),
        (trial.Aliases, Label.STRUCTURE),
        (trial.ReturnsNonsense, Label.STRUCTURE),
        (trial.Raises, Label.ERRORED),
        (trial.Unable, Label.UNSUPPORTED),
    ],
)
def test_each_subject_on_trial_gets_its_label(subject: type, label: Label) -> None:
    assert label_of(subject, STEEP) is label


@pytest.mark.parametrize("subject", [trial.TanhOff, trial.NoUnbroadcast, trial.LostFork])
def test_second_derivatives_are_judged_as_well(subject: type) -> None:
    assert label_of(subject, STEEP, order=2) is Label.WRONG


def test_a_subject_without_second_derivatives_is_judged_by_its_first() -> None:
    found = on_trial(trial.FirstOrderOnly, STEEP, (1, 2))
    own = [v.label for v in found.verdicts if v.party == spec(trial.FirstOrderOnly)]
    assert own == [Label.AGREES, Label.UNSUPPORTED]
    assert not found.failed(spec(trial.FirstOrderOnly))


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        (trial.Mutates, "input x was written to"),
        (trial.Aliases, "a gradient shares memory with an input"),
        (trial.Raises, "RuntimeError: broken on purpose"),
        (trial.Unable, "this engine has no functions at all"),
        (trial.ReturnsNonsense, "vjp returned a int; it must return (value, gradients)"),
    ],
)
def test_the_reason_is_told(subject: type, why: str) -> None:
    assert on_trial(subject, STEEP).verdict(spec(subject), 1).why == why


def test_a_subject_that_writes_to_its_inputs_spoils_them_for_nobody_else() -> None:
    before = STEEP.as_data()
    found = on_trial(trial.Mutates, STEEP)
    assert STEEP.as_data() == before
    assert {v.label for v in found.verdicts if v.party in ("torch", "jax")} == {Label.AGREES}


def test_another_subgradient_at_a_tie_is_a_convention() -> None:
    assert label_of(trial.TieToFirst, case_of(np.maximum, [1.0, 2.0], [3.0, 2.0])) is Label.CONVENTION


def test_another_value_at_an_edge_is_an_edge() -> None:
    assert label_of(trial.FlatRoot, case_of(np.sqrt, [0.0, 4.0])) is Label.EDGE


def test_a_fault_downstream_of_a_tie_loses_its_excuse_off_the_tie() -> None:
    tied = case_of(lambda x: np.tanh(np.maximum(x, 0.5)), [0.5])
    verdict = on_trial(trial.TanhOff, tied).verdict(spec(trial.TanhOff), 1)
    assert verdict.label is Label.WRONG
    assert "moved off the event" in verdict.why


def test_a_broadcasting_fault_beside_a_tie_is_wrong() -> None:
    case = case_of(lambda x, y: np.sum(np.maximum(x, 1.0) * y), [[1.0, 2.0], [1.0, 0.5], [3.0, 1.0]], [2.0, -1.0])
    assert find_events(case)
    verdict = on_trial(trial.NoUnbroadcast, case).verdict(spec(trial.NoUnbroadcast), 1)
    assert verdict.label is Label.WRONG
    assert verdict.where.startswith("d/dy")


@pytest.mark.parametrize(
    ("f", "inputs", "order"),
    [
        (lambda x, b: np.sum(mg.relu(x + b - 3.0)), ([[3.0, 4.0], [5.0, 1.0], [2.0, 7.0]], [0.0, 1.0]), 1),
        (lambda x, b: np.sum(mg.relu(x + b - 3.0)), ([3.0, 5.0], 0.0), 1),
        (lambda x, b: np.sum(np.maximum(x, 1.0) * b), ([[1.0, 2.0], [1.0, 0.5], [3.0, 1.0]], [2.0, -1.0]), 2),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_broadcasting_fault_shows_beside_a_tie_that_rounding_crosses(
    f: Any, inputs: Any, order: int, dtype: str
) -> None:
    """And where it could hide at ordinary points."""
    vectors = [np.linspace(0.3, 1.9, np.size(x)).reshape(np.shape(x)) for x in inputs]
    found = on_trial(trial.NoUnbroadcast, case_of(f, *inputs, vectors=vectors, dtype=dtype), (order,))
    assert found.verdict(spec(trial.NoUnbroadcast), order).label is Label.WRONG
    assert found.failed(spec(trial.NoUnbroadcast))


def test_agreement_within_the_noise_needs_no_more_than_the_allowed_units() -> None:
    found = on_trial(trial.Honest, STEEP, (1, 2))
    assert all(v.units <= UNITS for v in found.verdicts)


def test_a_case_whose_gradient_is_zero_is_vacuous() -> None:
    assert on_trial(trial.Honest, case_of(lambda x: 0 * x, [1.0, 2.0])).vacuous
    assert not on_trial(trial.Honest, STEEP).vacuous


def test_values_are_recorded_only_where_the_parties_differ() -> None:
    assert on_trial(trial.Honest, STEEP).as_data()["values"] == {}
    assert set(on_trial(trial.TanhOff, STEEP).as_data()["values"]["1"]) == {spec(trial.TanhOff), "torch", "jax"}


def test_infinities_on_the_way_make_no_noise() -> None:
    # A running logsumexp's rule computes with -inf: nudged to NaN, it made the noise infinite, and anything agreed.
    case = case_of(lambda x: np.logaddexp.accumulate(x, axis=0), [0.5, -1.0, 2.0, 0.25])
    for order in (1, 2):
        assert all(np.all(n < 1e-12) for n in Point(case, order).facts(order).noise)
