"""Judging one function at one point: the tables, and what is refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from oracles import Judgement, UsageError, judge
from oracles.judgement import PARTIES
from oracles.verdict import FATAL, Label

FEW = ["minigrad", "torch", "jax"]

LINES_OF_HYPOT = """\
def program(x: float64[], y: float64[]):
    v1 = np.hypot(x, y)   #(1)
    return v1
x = 3.0
y = 4.0

                value                d/dx                d/dy  verdict  units of noise  ULP
truth             5.0                 0.6                 0.8
minigrad          5.0                 0.6                 0.8   agrees               0    0
minigrad.stage    5.0                 0.6                 0.8   agrees               0    0
torch             5.0                 0.6                 0.8   agrees               0    0
jax               5.0  0.6000000000000001  0.7999999999999999   agrees            0.31    1
jax.jit           5.0  0.6000000000000001  0.7999999999999999   agrees            0.31    1"""


def hypot(x: Any, y: Any) -> Any:
    return np.hypot(x, y)


@pytest.fixture(scope="module")
def judged() -> Judgement:
    return judge(hypot, 3.0, 4.0)


def relu(x: Any) -> Any:
    return np.where(x > 0, x, 0)


def labels(judgement: Judgement) -> set[str]:
    return {str(verdict.label) for verdict in judgement.verdicts.values()}


# What it shows.


def test_everybody_who_is_installed_is_asked(judged: Judgement) -> None:
    assert (*judged.verdicts,) == PARTIES
    assert labels(judged) == {"agrees"}
    assert judged.agrees


def test_the_table_has_the_truth_and_what_everybody_returned(judged: Judgement) -> None:
    assert str(judged) == LINES_OF_HYPOT


def test_a_frame_has_a_row_per_party_and_element(judged: Judgement) -> None:
    frame = judged.to_frame()
    assert [*frame.columns] == ["party", "label", "element", "got", "truth", "low", "high", "ulp", "noise"]
    assert [*zip(frame["party"], frame["element"], strict=True)] == [
        (party, element) for party in PARTIES for element in ("value", "d/dx", "d/dy")
    ]
    assert frame["truth"].tolist() == [5.0, 0.6, 0.8] * len(PARTIES)
    assert frame["low"].equals(frame["truth"])
    assert frame["high"].equals(frame["truth"])
    assert frame["ulp"].max() == 1
    assert frame["noise"].between(0, 1e-14, inclusive="neither").all()


def test_where_there_is_no_single_truth_the_frame_has_none_and_no_distance() -> None:
    frame = judge(lambda x: np.sum(np.abs(x)), np.array([0.0, 2.0]), parties=["minigrad"]).to_frame()
    assert frame["truth"].isna().tolist() == frame["ulp"].isna().tolist() == [False, True, False]
    assert frame[["low", "high"]].to_numpy().tolist() == [[2.0, 2.0], [-1.0, 1.0], [1.0, 1.0]]


def test_the_branch_that_is_taken_is_judged() -> None:
    judgement = judge(lambda x: x * x if x > 0 else -x, 3.0, parties=["minigrad"])
    assert judgement.to_frame()["truth"].tolist() == [9.0, 6.0]


def test_at_order_2_it_is_the_hessian_times_a_vector() -> None:
    frame = judge(hypot, 3.0, 4.0, order=2, vectors=[1.0, 0.5], parties=FEW).to_frame()
    assert frame["element"].tolist() == ["H/dx", "H/dy"] * 3
    # The Hessian is [[y y, -x y], [-x y, x x]] / r**3.
    assert frame["truth"].tolist() == [np.float64(16 - 6) / 125, np.float64(-12 + 4.5) / 125] * 3
    assert np.allclose(frame["got"], frame["truth"], rtol=1e-14)


def test_float32_is_judged_in_float32() -> None:
    judgement = judge(hypot, np.float32(3), np.float32(4), parties=FEW)
    assert labels(judgement) == {"agrees"}
    frame = judgement.to_frame()
    assert frame["truth"].tolist() == [float(np.float32(x)) for x in (5.0, 0.6, 0.8)] * 3
    assert frame["noise"].min() > 1e-8


def test_what_the_derivative_is_contracted_with_is_drawn_and_shown() -> None:
    W, x = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    one, same, other = (judge(lambda W, x: W @ x, W, x, parties=FEW, seed=seed) for seed in (1, 1, 2))
    cotangent = one.case.cotangent
    assert cotangent.shape == (2,)
    assert np.all((np.abs(cotangent) >= 0.25) & (np.abs(cotangent) <= 2))
    assert f"cotangent = {cotangent.tolist()}" in str(one)
    assert cotangent.tolist() == same.case.cotangent.tolist() != other.case.cotangent.tolist()
    frame = one.to_frame()
    assert len(frame) == 3 * (2 + 6 + 3)
    assert frame["element"].tolist()[1:4] == ["value[1]", "d/dW[0, 0]", "d/dW[0, 1]"]
    want = [*(W @ x), *np.outer(cotangent, x).ravel(), *(cotangent @ W)]
    assert np.allclose(frame["got"], want * 3, rtol=1e-14)
    assert labels(one) == {"agrees"}


def test_a_cotangent_and_vectors_may_be_given() -> None:
    judgement = judge(np.sin, np.array([0.5, 1.0]), cotangent=[2.0, 0.0], vectors=[[1.0, 1.0]], order=2, parties=FEW)
    assert judgement.to_frame()["truth"].tolist() == [-2 * np.sin(0.5), 0.0] * 3
    assert "vectors = [1.0, 1.0]" in str(judgement)


def test_of_large_answers_only_the_verdicts_are_shown() -> None:
    lines = str(judge(np.sin, np.linspace(1, 2, 20), parties=["minigrad"])).splitlines()
    assert lines[-3].split() == ["verdict", "units", "of", "noise", "ULP"]
    assert lines[-2:][0] == "truth"


def test_a_program_is_judged_as_it_is() -> None:
    program = mg.trace(hypot, 3.0, 4.0)
    assert judge(program, 3.0, 4.0, parties=["minigrad"]).case.program is program


ODD = {
    "a share beside infinities": (lambda x: mg.softmax(x)[1] * x[1:2], [np.inf, 1.25, np.inf], Label.NONFINITE),
    "a mean of nothing but NaN": (lambda x: np.nanmean(x), [np.nan, np.nan], Label.NONFINITE),
    "NaN where it is not read": (lambda x: np.linalg.eigvalsh(x), [[1.0, np.nan], [2.0, 3.0]], Label.AGREES),
    "values of a matrix in full": (lambda x: np.linalg.svd(x)[1], [[1.0, 2.0], [3.0, 5.0], [2.0, -1.0]], Label.AGREES),
    "values of what is symmetric": (lambda x: np.linalg.svd(x, hermitian=True)[1], [[1.0, 2], [2, -3]], Label.AGREES),
}


@pytest.mark.parametrize("name", ODD)
def test_minigrad_is_judged_by_what_numpy_has_there(name: str) -> None:
    f, x, label = ODD[name]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of an empty slice
        judgement = judge(f, np.array(x))
    assert judgement.verdicts["minigrad"].label == label
    assert not {v.label for v in judgement.verdicts.values()} & {*FATAL, Label.UNSTABLE}


def test_what_another_party_symmetrises_is_its_own_meaning() -> None:
    a = np.array([[1.0, 2.0], [2.0, -3.0]])
    for options in ({}, {"compute_uv": False}):
        judgement = judge(lambda x, o=options: np.linalg.svd(x, hermitian=True, **o)[0], a, parties=["jax", "torch"])
        assert [v.label for v in judgement.verdicts.values()] == [Label.SEMANTICS, Label.UNSUPPORTED]


def test_a_party_that_lacks_a_function_has_no_rows() -> None:
    judgement = judge(np.heaviside, 1.5, 0.5, parties=["minigrad", "tests.trial:Unable"])
    assert judgement.verdicts["tests.trial:Unable"].label == "unsupported"
    assert {*judgement.to_frame()["party"]} == {"minigrad"}
    assert judgement.agrees


@pytest.mark.parametrize("name", ["WrongShape", "TooFew", "GivesList"])
def test_a_party_whose_answer_has_another_form_has_no_numbers(name: str) -> None:
    party = f"tests.trial:{name}"
    judgement = judge(np.tanh, np.ones(2), parties=["minigrad", party])
    assert judgement.verdicts[party].label == "structure"
    assert {*judgement.to_frame()["party"]} == {"minigrad"}
    [row] = [line for line in str(judgement).splitlines() if line.startswith(f"{party} ")]
    assert row.split() == [party, "structure"]


def test_of_a_large_input_the_range_is_printed() -> None:
    x = np.linspace(1, 2, 101)
    assert "x = float64[101] from 1.0 to 2.0" in str(judge(np.sin, x, parties=["minigrad"]))


# Kinks and edges.


@pytest.mark.parametrize("gate", [mg.relu, relu], ids=["relu", "where"])
def test_the_identity_in_two_kinks_is_a_kink_chain_for_everybody(gate: Callable[..., Any]) -> None:
    """Either choice is allowed by itself; but relu(x) - relu(-x) is x, whose derivative is 1."""
    judgement = judge(lambda x: gate(x) - gate(-x), 0.0)
    assert labels(judgement) == {"kink-chain"}
    assert not judgement.agrees
    frame = judgement.to_frame().set_index("element").loc["d/dx"]
    assert {*frame["got"]} == {0.0}
    assert {*frame["low"], *frame["high"]} == {1.0}
    assert frame["truth"].isna().all()


def test_halves_at_a_tie_come_to_the_truth() -> None:
    judgement = judge(lambda x: np.maximum(x, 0) - np.maximum(-x, 0), 0.0)
    assert labels(judgement) <= {"agrees", "convention"}
    assert judgement.agrees
    assert {*judgement.to_frame().set_index("element").loc["d/dx"]["got"]} == {1.0}


@pytest.mark.parametrize("f", [lambda x: np.maximum(x, 0), relu], ids=["maximum", "where"])
def test_a_single_kink_leaves_a_choice(f: Callable[..., Any]) -> None:
    judgement = judge(f, 0.0, parties=FEW)
    assert labels(judgement) == {"convention"}
    frame = judgement.to_frame().set_index("element").loc["d/dx"]
    assert ({*frame["low"]}, {*frame["high"]}) == ({0.0}, {1.0})
    assert "0.0 to 1.0" in str(judgement)


def test_where_the_slope_is_infinite_is_an_edge() -> None:
    judgement = judge(np.sqrt, 0.0)
    assert labels(judgement) == {"edge"}
    assert judgement.agrees
    assert str(judgement).splitlines()[6].split() == ["truth", "0.0", "none"]


def test_who_is_wrong_is_told_why() -> None:
    judgement = judge(np.tanh, 0.5, parties=["minigrad", "tests.trial:TanhOff"])
    assert [v.label for v in judgement.verdicts.values()] == ["agrees", "wrong"]
    assert not judgement.agrees
    last = str(judgement).splitlines()[-1]
    assert last.startswith("tests.trial:TanhOff: d/dx got 0.78")
    assert "units of noise" in last


# What is refused.

MIXED = "give at least one, and all of float64 (such as 3.0) or all of float32"


X = np.array([[0.3, -0.7, 2.25], [1.5, 0.2, -1.1]])
V = np.array([0.3, 0.7, -2.0])


@pytest.mark.parametrize(
    ("f", "x"),
    [
        *((f, V) for f in (mg.softmax, mg.log_softmax, np.sort, np.diag, np.cumulative_sum, np.cumulative_prod)),
        *((f, X) for f in (np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.flip, np.std, np.var, np.average)),
        *((f, X) for f in (np.tril, np.triu, np.diagflat, np.diagonal, np.trace, np.rot90)),
        (lambda x: np.roll(x, 1), X),
        (lambda x: np.repeat(x, 2), X),
        (lambda x: np.append(x, x), X),
        (lambda x: np.partition(x, 1), X),
        (lambda x: np.tensordot(x, x.T, 1), X),
        (lambda x: np.convolve(x, np.array([1.0, 2.0])), V),
        (lambda x: np.correlate(x, np.array([1.0, 2.0])), V),
        (lambda x: np.cross(x, x * x), V),
        (lambda x: x[np.argsort(x)] * np.sign(x), V),
        (lambda x: np.where((x < 0.5) | (x >= 1.75), x * x, x), X),
        (lambda x: np.where(np.logical_and(x == x, x != 0.5), x * x, np.floor(x)), X),
        (lambda x: np.where(np.isfinite(x) & ~np.isnan(x), x * x, 0.0), X),
        (lambda x: np.take(x, [0, 2]), V),
        (lambda x: np.linalg.svd(np.diag(x), compute_uv=False), V),
        (lambda x: x[[0, 2]], V),
        (lambda x: np.quantile(x, [0.2, 0.5]), V),
        (lambda x: np.average(x, weights=[1.0, 2.0, 3.0]), V),
        (lambda x: np.dot(x, [1.0, 2.0, 3.0]), V),
        (lambda x: np.repeat(x, [1, 2, 3]), V),
        (lambda x: np.extract([True, False, True], x), V),
        (lambda x: np.pad(x, [1, 2]), V),
    ],
)
def test_functions_are_judged_as_people_call_them(f: Callable[..., Any], x: Any) -> None:
    """With the defaults that NumPy has, and frameworks have not."""
    judgement = judge(f, x, parties=FEW)
    assert {party: str(verdict.label) for party, verdict in judgement.verdicts.items()} == dict.fromkeys(FEW, "agrees")


def test_an_undefined_value_is_not_made_up() -> None:
    """0 times infinity has no value, though a constant 0 times anything is 0."""
    with np.errstate(all="ignore"):
        assert labels(judge(lambda x: x * (1 / x), 0.0, parties=FEW)) == {"edge"}
        assert labels(judge(lambda x: np.exp(x / np.sum(x)), np.zeros(2), parties=FEW)) == {"edge"}


def test_a_kink_that_rounding_crosses_is_one_all_the_same() -> None:
    frame = judge(lambda x, b: mg.relu(x + b - 3.0), 3.0, 0.0, parties=FEW).to_frame()
    assert {(row.low, row.high) for row in frame[frame.element == "d/dx"].itertuples()} == {(0, 1)}
    assert set(frame.label) == {"convention"}


def test_a_constant_has_derivative_zero_even_between_equal_bounds() -> None:
    judgement = judge(lambda x: np.clip(x, 1.0, 1.0), 1.0, parties=["minigrad", "tests.trial:Certified"])
    assert labels(judgement) == {"agrees"}
    assert set(judgement.to_frame().query("element == 'd/dx'").truth) == {0}


@pytest.mark.parametrize("f", [np.remainder, np.fmod, lambda x, y: np.divmod(x, y)[1]])
@pytest.mark.parametrize("x", [3.0, 0.0, -0.0])
def test_a_remainder_by_zero_is_none(f: Callable[..., Any], x: float) -> None:
    with np.errstate(all="ignore"):
        assert labels(judge(f, x, 0.0)) == {"edge"}


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.arctanh(np.clip(x, -2.0, 1 - 1e-7)),
        lambda x: x * np.arctanh(x.clip(max=1 - 1e-7)),
        lambda x: (np.clip(x, 0.0, 0.1) - 0.1) * x,
        lambda x: np.log(np.pad(np.reshape(x, 1), 1, constant_values=1 + 1e-6) - 1)[0] * x,
        lambda x: np.log(np.linalg.norm(np.stack([x, x]), 1 + 1e-8) - 3.9999998),
        lambda x: np.trapezoid(np.stack([x, x]), dx=0.1) - x * np.float32(0.1),
        lambda x: np.quantile(np.stack([x, x + 1e6, x + 2e6]), 0.1) - x,
    ],
)
def test_constants_are_rounded_where_numpy_rounds_them(f: Callable[..., Any]) -> None:
    with np.errstate(all="ignore"):
        assert labels(judge(f, np.float32(2), parties=["minigrad"])) <= {"agrees", "ill-conditioned"}


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.clip(x, min=0.2, max=0.5),
        lambda x: np.clip(x, max=0.5),
        lambda x: x.clip(0.2),
        lambda x: x.clip(min=0.2),
        lambda x: x.clip(None, 0.5),
    ],
)
def test_bounds_go_by_all_of_their_names(f: Callable[..., Any]) -> None:
    assert labels(judge(f, 1.0)) == {"agrees"}


def test_the_byte_order_of_an_input_is_no_matter() -> None:
    assert labels(judge(np.sin, np.ones(2, ">f8"), parties=["minigrad"])) == {"agrees"}


def test_a_constant_that_overflows_makes_nobody_wrong() -> None:
    with np.errstate(over="ignore"):
        assert labels(judge(lambda x: np.log(np.sum(np.exp(x + 1000))), V, parties=FEW)) == {"unstable"}
        assert labels(judge(lambda x: x * 1e200 * 1e200 / 1e300, 3.0, parties=FEW)) == {"unstable"}
        others = ["tests.test_oracles_guards:Says42", "tests.test_oracles_guards:SaysOtherwise"]
        assert labels(judge(lambda x: x * 1e200 * 1e200 / 1e300, 3.0, parties=others)) == {"wrong"}


def test_a_subnormal_constant_is_flushed_too() -> None:
    assert labels(judge(lambda x: (x * 1e-308) * 1e300, 3.0, parties=["jax"])) == {"flush"}


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0, 3])
def test_whole_powers_are_smooth_at_zero(power: float) -> None:
    for order in (1, 2):
        assert labels(judge(lambda x: x**power, 0.0, order=order, parties=["minigrad", "torch"])) == {"agrees"}
    assert labels(judge(lambda x: x**1.5, 0.0, order=2, parties=["minigrad"])) == {"edge"}


@pytest.mark.parametrize("f", [np.max, np.median, np.linalg.norm, np.prod, np.ptp, mg.softmax, mg.logsumexp])
def test_reductions_of_an_empty_batch_are_decided(f: Callable[..., Any]) -> None:
    assert labels(judge(lambda x: f(x, axis=1), np.zeros((0, 3)), parties=["minigrad"])) == {"agrees"}


@pytest.mark.parametrize(
    ("f", "inputs", "options", "message"),
    [
        (np.sin, [3], {}, f"the inputs have int64; {MIXED}"),
        (np.sin, [True], {}, f"the inputs have bool; {MIXED}"),
        (hypot, [np.float32(3), 4.0], {}, f"the inputs have float32, float64; {MIXED}"),
        (hypot, [], {}, f"the inputs have no dtype, there being none; {MIXED}"),
        (np.sin, [[1.0, 2.0]], {"cotangent": np.ones(3)}, "cotangent has shape (3,); give it the shape (2,)"),
        (np.sin, [1.0], {"vectors": [np.ones(2)]}, "a vector has shape (2,); give it the shape ()"),
        (np.sin, [1.0], {"vectors": [1.0, 2.0]}, "there are 2 vectors for 1 inputs; give one per input"),
        (np.sin, [1.0], {"order": 3}, "order 3: give 1 or 2"),
        (np.sin, [1.0], {"parties": []}, "parties is empty; name at least one"),
        (np.sin, [1.0], {"parties": ["tf"]}, "parties 'tf' is not known; choose from minigrad, "),
        (np.argmax, [[1.0, 2.0]], {}, "the function returns int64 for inputs of float64; let it return one array"),
        (lambda x: 3, [1.0], {}, "the function returns int64 for inputs of float64; let it return one array"),
        (lambda x: x > 0, [1.0], {}, "the function returns bool for inputs of float64; let it return one array"),
        (3, [1.0], {}, "function is 3; give a function of NumPy arrays, or a Program"),
        (np.sin, [[[1.0, 2.0], [3.0]]], {}, "input 0 is a list of lists of unequal length"),
        (np.sin, [np.ma.array([1.0, 2.0], mask=[0, 1])], {}, "input 0 is a masked array"),
        (np.sin, [1.0], {"vectors": 1.0}, "vectors is a float; give a list, with one per input"),
        (np.sin, [1.0], {"cotangent": "a"}, "cotangent has dtype <U1; give real numbers"),
        (np.sin, [1.0], {"cotangent": 1j}, "cotangent has dtype complex128; give real numbers"),
        (np.sin, [1.0], {"seed": "a"}, "seed is 'a'; give a whole number, 0 or more"),
        (np.sin, [1.0], {"seed": -1}, "seed is -1; give a whole number, 0 or more"),
        (np.sin, [1.0], {"cotangent": np.nan}, "cotangent has entries that are NaN or infinite"),
        (np.sin, [1.0], {"vectors": [np.inf], "order": 2}, "a vector has entries that are NaN or infinite"),
        (np.sin, [1.0], {"order": True}, "order True: give 1 or 2"),
        (np.sin, [1.0], {"parties": [3]}, "parties holds 3; give names, such as 'minigrad'"),
        (np.sin, [mg.Tensor(1.0)], {}, "input 0 is a Tensor; give its plain value, as x.value"),
        (lambda x: float(x) * 2, [1.0], {}, "the function makes plain numbers of its inputs"),
        (math.sin, [1.0], {}, "the function makes plain numbers of its inputs"),
        (np.modf, [1.5], {}, "the function returns a tuple for inputs of float64; let it return one array"),
    ],
)
def test_what_does_not_fit_is_refused(
    f: Callable[..., Any], inputs: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        judge(f, *inputs, **options)
    assert str(refused.value).startswith(message)


CUBE = np.arange(60.0).reshape(3, 4, 5) / 7


@pytest.mark.parametrize(
    "index",
    [
        (slice(None, None, -1),),
        (1, slice(None, None, -2), slice(3, 0, -1)),
        (..., slice(-2, None, -3), 0),
        (None, slice(None, -3, -1), ..., slice(9, 1, -2)),
        (CUBE[..., 0] > 3, slice(None, None, -1)),
        (True, slice(None, None, -1)),
    ],
)
def test_torch_is_asked_for_slices_that_run_downwards(index: Any) -> None:
    """PyTorch has none: it is asked to flip."""
    found = judge(lambda x: x[index] ** 2, CUBE, parties=["torch"])
    assert found.verdicts["torch"].label == "agrees"


@pytest.mark.parametrize(
    "f",
    [lambda x: np.append(x, 3.0), lambda x: np.percentile(x, [10, 60]), lambda x: np.quantile(x, [0, 1])],
)
def test_torch_is_given_numbers_beside_arrays_as_it_takes_them(f: Any) -> None:
    assert judge(f, np.array([1.0, 3.0, 2.0]), parties=["torch"]).verdicts["torch"].label == "agrees"


@pytest.mark.parametrize(
    ("a", "b"), [((2, 2), (2,)), ((2, 2), (2, 3)), ((2, 2, 2), (2, 2)), ((3, 2, 2), (2,)), ((3, 2, 2), (3, 2, 2))]
)
def test_torch_is_asked_for_linear_systems_whose_sides_it_cannot_read_as_vectors(a: Any, b: Any) -> None:
    """A stack (2, 2) of right-hand sides beside one (2, 2, 2) of matrices is two vectors to PyTorch."""
    draw = np.random.default_rng(0)
    matrices = draw.uniform(-1, 1, a) + 3 * np.eye(2)
    found = judge(np.linalg.solve, matrices, draw.uniform(-1, 1, b), parties=["torch", "jax"])
    assert {verdict.label for verdict in found.verdicts.values()} == {"agrees"}
