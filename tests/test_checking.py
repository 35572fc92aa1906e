"""``check_grads``: what it finds, what it lets pass, and whether its own error is what it says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from minigrad import DtypeError, GradientError, MinigradError, check_grads, defvjp, primitive, stop_gradient
from minigrad.checking import SAFETY, limit
from minigrad.protocol import Function
from tests.support import forget_primitives

_registry = pytest.fixture(forget_primitives, autouse=True)


def normal(*shape: int) -> Any:
    return np.random.default_rng(7).normal(0, 1, shape)


RIGHT: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "scalar": (np.sin, (0.7,)),
    "vector": (lambda x: np.exp(x) * x, (normal(3),)),
    "to a scalar": (lambda x: np.sum(np.tanh(x) ** 3), (normal(2, 3),)),
    "two arguments": (lambda x, y: np.hypot(x, y) / (1 + y * y), (normal(3), normal(3))),
    "broadcasting": (lambda x, y: x * y + x / (2 + np.cos(y)), (normal(2, 1), normal(3))),
    "matrices": (lambda A, B: np.linalg.inv(A @ A.T + np.eye(3)) @ B, (normal(3, 4), normal(3, 2))),
    "indexing": (lambda x: x[[0, 0, 2]] * x[::-1], (normal(3),)),
    "linear": (lambda x: 2 * x, (normal(3),)),
    "constant": (lambda x: np.ones(2) + 0 * x, (normal(2),)),
    "large numbers": (lambda x: x * x, (1e8 * normal(3),)),
    "small numbers": (lambda x: x * x, (1e-8 * normal(3),)),
    "decades apart": (lambda x: x**3, (np.array([1e-6, 1.0, 1e6]),)),
    "at zero": (np.sin, (np.zeros(3),)),
    "functional update": (lambda x: x.at[0].set(x[1] ** 2), (normal(3),)),
    "no numbers": (np.sum, (np.zeros((2, 0)),)),
    "saturated": (np.tanh, (np.array([8.0, -8.0]),)),
}


@pytest.mark.parametrize(("f", "args"), RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("order", [1, 2])
def test_right_gradients_pass(f: Function, args: Any, order: int) -> None:
    for seed in range(5):
        assert all(c.agrees for c in check_grads(f, args, order=order, seed=seed).comparisons)


def faulty(change: Function) -> Function:
    """A sine times a sine, whose rule for the first operand is changed."""

    @primitive
    def waves(x: Any, y: Any) -> Any:
        return np.sin(x) * np.sin(y)

    defvjp(
        waves,
        lambda g, ans, x, y: change(g * np.cos(x) * np.sin(y)),
        lambda g, ans, x, y: g * np.sin(x) * np.cos(y),
    )
    return waves


FAULTS: dict[str, Function] = {
    "a millionth too much": lambda d: d * (1 + 1e-6),
    "a millionth too little": lambda d: d * (1 - 1e-6),
    "wrong sign": lambda d: -d,
    "nothing": lambda d: 0 * d,
    "twice": lambda d: 2 * d,
    "one entry off": lambda d: d * np.array([1, 1 + 1e-5, 1]),
    "two entries swapped": lambda d: d[[1, 0, 2]],
    "not a number": lambda d: d * np.nan,
    "infinite": lambda d: d * np.inf,
}


@pytest.mark.parametrize("change", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("order", [1, 2])
def test_fault_is_found_along_every_direction(change: Function, order: int) -> None:
    f = faulty(change)
    for seed in range(5):
        with (
            np.errstate(all="ignore"),
            pytest.raises(GradientError, match="the gradient is not the limit of difference quotients"),
        ):
            check_grads(
                f, (np.array([0.5, 1.5, -1.0]), np.array([0.3, 1.2, 0.8])), order=order, directions=1, seed=seed
            )


def test_the_same_without_a_fault_passes() -> None:
    check_grads(faulty(lambda d: d), (np.array([0.5, 1.5, -1.0]), np.array([0.3, 1.2, 0.8])))


def test_fault_of_the_second_order_alone_is_found_there() -> None:
    """A rule that is right, but in a form that cannot be differentiated again."""

    @primitive
    def sine(x: Any) -> Any:
        return np.sin(x)

    defvjp(sine, lambda g, ans, x: g * np.cos(stop_gradient(x)))
    x = np.array([0.5, 1.5])
    check_grads(sine, (x,), order=1)
    with pytest.raises(GradientError) as caught:
        check_grads(sine, (x,), order=2)
    lines = str(caught.value).splitlines()[1:]
    assert [line.startswith("order 1") and "<=" in line for line in lines] == [True, False] * 3
    assert [line.startswith("order 2") and ">" in line for line in lines] == [False, True] * 3


def test_fault_in_one_argument_of_two_is_found() -> None:
    @primitive
    def product(x: Any, y: Any) -> Any:
        return x * y

    defvjp(product, lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x * 1.00001)
    with pytest.raises(GradientError):
        check_grads(product, (normal(3), normal(3)), order=1)


# How far off the limit is, and says that it is.


EPS = float(np.finfo(np.float64).eps)
KNOWN: dict[str, tuple[Function, Function]] = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "log": (np.log, lambda x: 1 / x),
    "fifth power": (lambda x: x**5, lambda x: 5 * x**4),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2),
    "root": (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "arctan": (np.arctan, lambda x: 1 / (1 + x * x)),
    "fast wave": (lambda x: np.sin(20 * x), lambda x: 20 * np.cos(20 * x)),
    "bell": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "on a hill": (lambda x: np.sin(x) + 1e4, np.cos),
}


@pytest.mark.parametrize(("f", "derivative"), KNOWN.values(), ids=KNOWN)
def test_limit_is_as_near_to_the_truth_as_it_says(f: Function, derivative: Function) -> None:
    for x in np.linspace(0.1, 3, 60):
        scale = min(x, 1.0)
        value, error = (
            y / scale for y in limit(lambda t, x=x, s=scale: float(f(x + t * s)), EPS, abs(x * derivative(x)))
        )
        assert abs(value - derivative(x)) <= SAFETY * error
        assert error < 1e-7 * max(1, abs(derivative(x)))  # so that the line above means something


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.sin, 1e3),
        (np.sin, 1e6),
        (lambda x: (x - 1e4) ** 2, 1e4 + 0.1),
        (lambda x: np.sin(20 * x), 0.3929292929292929),
        (np.sin, np.float32(100)),
    ],
)
def test_rounding_of_the_argument_itself_is_no_fault(f: Function, x: Any) -> None:
    """At x = 1e6, x + h is known to ten digits only, and so is what is divided by h."""
    for seed in range(10):
        check_grads(f, (x,), seed=seed)


def test_error_grows_with_what_hides_the_derivative() -> None:
    """The same slope on a hill of 1e8 is known to eight digits less."""
    plain, hidden = (check_grads(lambda x, c=c: np.sin(x) + c, (0.5,), order=1) for c in (0.0, 1e8))
    assert plain.worst_error < 1e-11
    assert 1e-9 < hidden.worst_error < 1e-3


def test_worst_error_is_the_largest_of_the_errors() -> None:
    check = check_grads(np.exp, (normal(3),))
    assert check.worst_error == max(c.error / max(abs(c.limit), 1) for c in check.comparisons)


def test_gradient_where_there_is_no_limit_is_refused() -> None:
    with np.errstate(all="ignore"), pytest.raises(GradientError, match="inf"):
        check_grads(np.sqrt, (0.0,), order=1)


def test_no_direction_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="directions 0: give at least 1"):
        check_grads(np.sin, (1.0,), directions=0)


# float32.


def test_float32_is_checked_within_its_own_rounding() -> None:
    x = normal(3).astype(np.float32)
    check = check_grads(lambda x: np.sum(np.sin(x) * x), (x,))
    assert 1e-8 < check.worst_error < 1e-2
    assert check_grads(lambda x: np.sum(np.sin(x) * x), (normal(3),)).worst_error < 1e-10


def test_fault_in_float32_is_found() -> None:
    args = np.array([0.5, 1.5, -1.0], np.float32), np.array([0.3, 1.2, 0.8], np.float32)
    with pytest.raises(GradientError):
        check_grads(faulty(lambda d: d * np.float32(1.01)), args, order=1)


def test_float32_without_a_fault_passes() -> None:
    check_grads(faulty(lambda d: d), (np.array([0.5, 1.5], np.float32), np.array([0.3, 1.2], np.float32)))


# What it returns.


@pytest.mark.parametrize(("order", "directions"), [(1, 1), (1, 4), (2, 1), (2, 3)])
def test_comparisons_are_one_per_direction_and_order(order: int, directions: int) -> None:
    check = check_grads(np.exp, (normal(3),), order=order, directions=directions)
    assert [c.order for c in check.comparisons] == [*range(1, order + 1)] * directions
    assert len(str(check).splitlines()) == order * directions


def test_comparison_prints_both_numbers_and_the_verdict() -> None:
    number = r"-?\d\S*"
    line = rf"order 1: engine {number}, limit {number}, off by {number} <= {SAFETY} x {number}"
    assert re.fullmatch(line, str(check_grads(np.exp, (0.3,), order=1, directions=1)))


def test_seed_decides_on_the_directions() -> None:
    first, again, other = (str(check_grads(np.exp, (normal(3),), seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_arguments_of_a_check_stay_as_they_are() -> None:
    x = normal(3)
    x.flags.writeable = False
    check_grads(np.exp, (x,))


def test_failed_check_is_an_assertion() -> None:
    """A test framework reports it as a failure, and minigrad's users can catch it as minigrad's."""
    assert issubclass(GradientError, AssertionError)
    assert issubclass(GradientError, MinigradError)


# Misuse.


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: check_grads(np.sin, np.ones(3)),
            TypeError,
            "args is a ndarray; give a tuple, one for each argument of the function: (x,)",
        ),
        (lambda: check_grads(np.sin, 3.0), TypeError, "args is a float; give a tuple, one for each argument"),
        (lambda: check_grads(np.sin, ()), ValueError, "args is empty; give the function's arguments as a tuple"),
        (lambda: check_grads(np.sin, (3.0,), order=3), ValueError, "order 3: give 1, or 2 for second derivatives too"),
        (lambda: check_grads(np.sin, (3.0,), order=0), ValueError, "order 0: give 1, or 2"),
        (
            lambda: check_grads(np.sin, (3,)),
            DtypeError,
            "argument 0 has dtype int64; derivatives need floats: pass 3.0",
        ),
        (lambda: check_grads(np.add, (1.0, 3)), DtypeError, "argument 1 has dtype int64"),
        (
            lambda: check_grads(lambda d: d["w"] * 2, ({"w": 3},)),
            DtypeError,
            "argument 0 has dtype int64",
        ),
        (lambda: check_grads(np.argmax, (np.ones(3),)), DtypeError, "the function's result has dtype int64"),
    ],
)
def test_check_misused_names_the_mend(call: Function, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


WRONG_AT = [np.arange(-1, 1, 0.1), np.sin([0, np.pi / 2, np.pi]), np.array([1e-300, 2.0]), np.array([1e15, 1.0])]


@pytest.mark.parametrize("x", WRONG_AT, ids=["next to 0", "another", "tiny", "huge"])
def test_an_entry_of_another_size_hides_no_fault(x: Any) -> None:
    """-0.1 * 10 + 1 is -2e-16: were all entries to move as little as that, nothing would be seen of the others."""

    @primitive
    def squares(x: Any) -> Any:
        return np.sum(x * x)

    defvjp(squares, lambda g, ans, x: -6 * g * x)
    assert check_grads(lambda x: np.sum(x * x), (x,)).worst_error < 1e-8
    with pytest.raises(GradientError, match="is not the limit"):
        check_grads(squares, (x,))


def test_limits_that_would_bear_out_any_gradient_are_refused() -> None:
    with pytest.raises(GradientError, match="too rough to tell"):
        check_grads(lambda x: np.sin(x) + 1e17, (np.array([0.5]),), order=1)


def test_arguments_and_results_may_be_nested() -> None:
    def f(parts: dict[str, Any]) -> dict[str, Any]:
        return {"product": parts["a"] * parts["b"], "sum": parts["a"] + 1}

    assert len(check_grads(f, ({"a": np.array([0.5, 2.0]), "b": 3.0},)).comparisons) == 6
