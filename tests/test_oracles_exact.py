"""The exact referee: certified values and derivatives, which owe nothing to minigrad's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp

import minigrad as mg
from minigrad.protocol import RULES
from minigrad.rules.elementwise import sech2
from oracles.cases import Case
from oracles.exact import UndecidedError, jet, truth
from oracles.examine import Setup, examine
from oracles.verdict import Label
from tests.support import assert_close, scratch_registry


def case(
    f: Callable[..., Any], *inputs: Any, cotangent: Any = None, vectors: Any = None, dtype: str = "float64"
) -> Case:
    arrays = tuple(np.array(x, dtype) for x in inputs)
    program = mg.trace(f, *arrays)
    value = np.asarray(program(*arrays))
    weights = np.ones_like(value) if cotangent is None else np.array(cotangent, dtype)
    along = vectors or [np.ones_like(x) for x in arrays]
    return Case("t", program, arrays, weights, tuple(np.array(v, dtype) for v in along), {})


def certified(each: Case, order: int) -> Any:
    return truth(each, order, [np.full(1, 1e-300)] * (1 + len(each.inputs) if order == 1 else len(each.inputs)))


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], list[float]]] = {
    "tanh": (np.tanh, mp.tanh, [0.3, -2.0, 20.0]),
    "sigmoid": (mg.sigmoid, lambda x: 1 / (1 + mp.exp(-x)), [0.5, 20.0, -30.0]),
    "softplus": (mg.softplus, lambda x: mp.log(1 + mp.exp(x)), [-40.0, 0.1, 30.0]),
    "expm1": (np.expm1, mp.expm1, [1e-3, -20.0]),
    "log1p": (np.log1p, mp.log1p, [1e-3, -0.9]),
    "arcsin": (np.arcsin, mp.asin, [0.5, 0.999]),
    "arccosh": (np.arccosh, mp.acosh, [1.5, 30.0]),
    "arctanh": (np.arctanh, mp.atanh, [-0.999, 1e-5]),
    "cbrt": (np.cbrt, mp.cbrt, [8.0, 0.001]),
    "sinc": (np.sinc, lambda x: mp.sin(mp.pi * x) / (mp.pi * x), [1e-3, 2.5]),
    "exp2": (np.exp2, lambda x: mp.mpf(2) ** x, [0.5, -3.0]),
    "cube": (lambda x: x**3, lambda x: x**3, [-2.0, 0.01]),
    "power": (lambda x: x**-1.5, lambda x: x ** mp.mpf(-1.5), [0.7, 12.0]),
    "erf": (sp.erf, mp.erf, [0.5, -5.0]),
    "erfinv": (sp.erfinv, mp.erfinv, [0.5, -0.9]),
    "gammaln": (sp.gammaln, mp.loggamma, [0.3, 12.0]),
    "psi": (sp.digamma, mp.digamma, [0.3, 12.0]),
    "logit": (sp.logit, lambda x: mp.log(x / (1 - x)), [0.25, 0.01]),
}

POINTS = [(name, x) for name, (_, _, points) in FUNCTIONS.items() for x in points]


@pytest.mark.parametrize(("name", "x"), POINTS)
def test_value_and_both_derivatives_are_true(name: str, x: float) -> None:
    f, exact, _ = FUNCTIONS[name]
    each = case(f, x)
    with mp.workdps(80), np.errstate(over="ignore"):
        wanted = [float(mp.diff(exact, mp.mpf(x), order)) for order in (0, 1, 2)]
        value, slope = certified(each, 1)
        [bend] = certified(each, 2)
    assert [float(value), float(slope), float(bend)] == pytest.approx(wanted, rel=3e-16, abs=1e-305)


def test_gradients_of_arrays_come_element_by_element() -> None:
    W, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    value, dW, dx = certified(case(lambda W, x: W @ x, W, x, cotangent=[1.0, 10.0]), 1)
    assert (value.tolist(), dW.tolist(), dx.tolist()) == ([17, 39], [[5, 6], [50, 60]], [31, 42])


def test_hessian_products_mix_the_inputs() -> None:
    products = certified(case(lambda x, y: x**2 * y, 3.0, 5.0, vectors=[1.0, 10.0]), 2)
    assert [float(p) for p in products] == [2 * 5 + 10 * 2 * 3, 2 * 3]


REDUCTIONS: list[Callable[[Any], Any]] = [
    lambda x: np.median(x, axis=-1, keepdims=True),
    lambda x: np.median(x),
    lambda x: np.quantile(x, 0.25, axis=0),
    lambda x: np.percentile(x, np.array([25.0, 62.5]), axis=(0, 1)),
    lambda x: np.average(x, axis=1, weights=np.array([1.0, 2.0, 4.0])),
    lambda x: np.std(x, axis=0, ddof=1),
    lambda x: mg.logsumexp(x, axis=1),
    lambda x: np.logaddexp.accumulate(x, axis=1),
    lambda x: np.arctan2(1, x),
]


@pytest.mark.parametrize("f", REDUCTIONS)
def test_truth_agrees_with_the_engine_on_what_numpy_cannot_do_with_objects(f: Callable[[Any], Any]) -> None:
    x = np.array([[0.5, -1.25, 2.0], [3.5, 0.75, -0.375]])
    weights = 1 + np.arange(np.size(f(x))).reshape(np.shape(f(x)))
    each = case(f, x, cotangent=weights)
    value, gradient = certified(each, 1)
    got, pullback = mg.vjp(f, x)
    assert_close([got, *pullback(each.cotangent)], [value, gradient])


def test_truth_is_of_the_floats_that_the_inputs_are() -> None:
    value, _ = certified(case(lambda x: x * 1, 0.1, dtype="float32"), 1)
    assert value == np.float32(0.1)


def test_truth_owes_nothing_to_the_rules() -> None:
    each = case(lambda x: np.tanh(x) * x, 0.7)
    before = certified(each, 1)
    with scratch_registry():
        RULES[np.tanh] = RULES[np.exp]
        assert mg.grad(each.program)(0.7) != float(before[1])
        assert certified(each, 1) == before


@pytest.mark.parametrize("f", [lambda x: np.linalg.svdvals(x), lambda x: np.nansum(x * np.nan)])
def test_what_has_no_exact_form_has_no_truth(f: Callable[[Any], Any]) -> None:
    assert certified(case(f, np.eye(2) + 1), 1) is None


def test_numbers_that_cannot_be_told_apart_are_not_compared() -> None:
    third = jet(1) / 3
    with pytest.raises(UndecidedError):
        third < 1 - 2 * third  # noqa: B015 (the comparison itself is what is tested)


# Hearings.


SATURATED = case(lambda x: np.tanh(x) * 3, [20.0, -30.0], cotangent=[1.0, 2.0])


@pytest.mark.parametrize("order", [1, 2])
def test_the_subject_is_acquitted_where_both_oracles_lose_the_same_digits(order: int) -> None:
    found = examine(SATURATED, Setup(orders=(order,)))
    assert found.verdict("minigrad", order).label == Label.AGREES


def test_the_subject_is_convicted_by_the_truth() -> None:
    with scratch_registry():
        mg.defvjp(np.tanh, lambda g, ans, x: 1.001 * g * sech2(x), broadcasts=True)
        verdict = examine(SATURATED, Setup(orders=(1,))).verdict("minigrad", 1)
    assert verdict.label == Label.WRONG
    assert "units of noise" in verdict.why
    assert "from the certified truth" in verdict.why


def test_who_shares_the_oracles_fault_is_not_caught_by_agreeing() -> None:
    """An engine that computes 1 - tanh**2 agrees with the oracles: nobody asks for the truth.

    To ask for it in every case is the next step of the judge; this test says what holds until then.
    """
    with scratch_registry():
        mg.defvjp(np.tanh, lambda g, ans, x: g * (1 - ans * ans), broadcasts=True)
        assert examine(SATURATED, Setup(orders=(1,))).verdict("minigrad", 1).label == Label.AGREES
