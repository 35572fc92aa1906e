"""The exact referee: certified values and derivatives, which owe nothing to minigrad's rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp

import minigrad as mg
from minigrad.protocol import RULES, leaves
from minigrad.rules.elementwise import sech2
from oracles.campaign import Options, cases_with
from oracles.cases import Case
from oracles.catalogue import ROWS, Row
from oracles.exact import Referee, UndecidedError, jet
from oracles.exact.derivatives import derivatives
from oracles.exact.functions import WITHOUT, lookup
from oracles.exact.jets import jets, precision
from oracles.examine import Setup, examine
from oracles.strategies import Palette
from oracles.verdict import RANK, Label
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
    """The certified arrays, finer than any float; None where nothing can be certified."""
    shapes = [x.shape for x in each.inputs] if order == 2 else [each.cotangent.shape, *(x.shape for x in each.inputs)]
    referee = Referee(each, order)
    found = referee.here(order, [np.full(shape, 1e-300) for shape in shapes])
    if found is None or referee.reason:
        return None
    return [middle.astype(each.dtype) for middle, _ in found] if all(np.all(np.isfinite(m)) for m, _ in found) else None


OPTIONS = Options(seed=3)

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


def signed(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An odd function from its positive half."""
    return lambda x: mp.sign(x) * f(abs(x))


TRAPS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], list[float]]] = {
    "sqrt": (np.sqrt, mp.sqrt, [1e-150, 1e300]),
    "cbrt": (np.cbrt, signed(mp.cbrt), [1e300, -1e300, 1e-100]),
    "square": (np.square, lambda x: x * x, [5e-324, -1e150]),
    "reciprocal": (np.reciprocal, lambda x: 1 / x, [1e-100, -1e300]),
    "exp": (np.exp, mp.exp, [-1e300, -700.0, 5e-324, 700.0]),
    "exp2": (np.exp2, lambda x: mp.mpf(2) ** x, [-1e300, -1000.0, 1000.0]),
    "expm1": (np.expm1, mp.expm1, [-1e300, 5e-324, 1e-300, 700.0]),
    "log": (np.log, mp.log, [1e-100, 1e300]),
    "log2": (np.log2, lambda x: mp.log(x, 2), [1e-100, 8.0, 1e300]),
    "log10": (np.log10, mp.log10, [1e-100, 1000.0, 1e300]),
    "log1p": (np.log1p, mp.log1p, [5e-324, -1e-300, 1e300]),
    "sin": (np.sin, mp.sin, [5e-324, 1e300]),
    "cos": (np.cos, mp.cos, [5e-324, -1e300]),
    "tan": (np.tan, mp.tan, [1e-300, 1e300]),
    "arcsin": (np.arcsin, mp.asin, [5e-324, 1 - 2**-53]),
    "arccos": (np.arccos, mp.acos, [1e-60, 2**-53 - 1]),
    "arctan": (np.arctan, mp.atan, [5e-324, 1e100, -1e300]),
    "sinh": (np.sinh, mp.sinh, [1e-300, 700.0, -700.0]),
    "cosh": (np.cosh, mp.cosh, [1e-300, -700.0]),
    "tanh": (np.tanh, mp.tanh, [5e-324, 1e-300, 19.0, 300.0, 1e308, -1e308]),
    "arcsinh": (np.arcsinh, mp.asinh, [5e-324, 1e300, -1e300]),
    "arccosh": (np.arccosh, mp.acosh, [1 + 2**-52, 1e300]),
    "arctanh": (np.arctanh, mp.atanh, [5e-324, 1 - 2**-53]),
    "sinc": (np.sinc, lambda x: mp.sinc(mp.pi * x), [5e-324, 1e-300, 0.0, 1e5, 3.0]),
    "degrees": (np.degrees, mp.degrees, [1e300]),
    "radians": (np.radians, mp.radians, [5e-324]),
    "sigmoid": (mg.sigmoid, lambda x: 1 / (1 + mp.exp(-x)), [700.0, -700.0, 1e308, -1e308]),
    "softplus": (mg.softplus, lambda x: mp.log1p(mp.exp(x)), [-700.0, 700.0, -1e308]),
    "log_expit": (sp.log_expit, lambda x: -mp.log1p(mp.exp(-x)), [-700.0, 700.0, 1e308]),
    "logit": (sp.logit, lambda x: mp.log(x / (1 - x)), [1e-100, 1 - 2**-53]),
    "erf": (sp.erf, mp.erf, [5e-324, 30.0, 1e5]),
    "erfc": (sp.erfc, mp.erfc, [-30.0, 26.0, 1e5]),
    "entr": (sp.entr, lambda x: -x * mp.log(x), [1e-100, 1e300]),
    "xlogy": (lambda x: sp.xlogy(x, 2.0), lambda x: x * mp.log(2), [0.0, 5e-324, -1e300]),
    "xlogy in y": (lambda y: sp.xlogy(0.0, y), lambda y: 0 * y, [0.0, 3.0]),
    "xlog1py": (lambda y: sp.xlog1py(2.0, y), lambda y: 2 * mp.log1p(y), [5e-324, 1e300]),
    "hypot": (lambda x: np.hypot(x, 1e300), lambda x: mp.hypot(x, 1e300), [1e300, 1e-300, 0.0]),
    "hypot with 0": (lambda x: np.hypot(0.0, x), abs, [-5e-324, 1e308]),
    "arctan2": (lambda y: np.arctan2(y, -1e-100), lambda y: mp.atan2(y, -1e-100), [1e100, -1e-100]),
    "arctan2 at the cut": (lambda y: np.arctan2(y, -1.0), lambda y: mp.pi - mp.atan(y), [0.0]),
    "arctan2 below it": (lambda y: np.arctan2(y, -1.0), lambda y: -mp.pi - mp.atan(y), [-0.0]),
    "logaddexp": (lambda x: np.logaddexp(x, -1e308), lambda x: x, [1e308]),
    "logaddexp2": (lambda x: np.logaddexp2(x, 0.0), lambda x: mp.log1p(2**x) / mp.log(2), [-1000.0, 1e308]),
    "power": (lambda x: x**3.5, lambda x: x ** mp.mpf(3.5), [1e-80, 1e80]),
    "power, whole": (lambda x: x ** np.array(3.0), lambda x: x**3, [-2.0, 1e-100, -1e100]),
    "power, negative": (lambda x: x**-3, lambda x: x**-3, [-2.0, 1e-60]),
    "power, of 0": (lambda x: x**2.5, lambda x: 0 * x, [0.0]),
    "power, zeroth": (lambda x: x**0, lambda x: mp.mpf(1), [0.0, 2.0]),
    "power, square": (lambda x: np.power(x, 2.0), lambda x: x * x, [0.0, 1e-162]),
    "power in y": (lambda y: np.power(0.0, y), lambda y: 0 * y, [2.5]),
    "power in y, of 2": (lambda y: 2.0**y, lambda y: mp.mpf(2) ** y, [1000.0, -1e300]),
    "float_power": (lambda x: np.float_power(x, 3), lambda x: x**3, [-1e90, -3.0]),
    "ldexp": (lambda x: np.ldexp(x, np.array(-1070)), lambda x: mp.ldexp(x, -1070), [1e300]),
    "copysign": (lambda x: np.copysign(x, -0.0), lambda x: -abs(x), [3.0, -2.0]),
}
TRAPPED = [(name, x) for name, (_, _, points) in TRAPS.items() for x in points]


def differences(f: Callable[[Any], Any], x: float) -> list[Any]:
    """A function's value and two derivatives, the latter from central differences in a thousand digits."""
    with mp.workdps(1000):
        h = mp.mpf(10) ** -120 * (min(abs(mp.mpf(x)), 1) or 1)
        behind, here, ahead = (f(mp.mpf(x) + k * h) for k in (-1, 0, 1))
        return [here, (ahead - behind) / (2 * h), (ahead - 2 * here + behind) / h**2]


def found(f: Callable[[Any], Any], x: float) -> list[float]:
    with np.errstate(all="ignore"):
        each = case(f, x)
    return [float(a) for a in (*certified(each, 1), *certified(each, 2))]


@pytest.mark.parametrize(("name", "x"), TRAPPED)
def test_no_magnitude_is_a_trap(name: str, x: float) -> None:
    f, exact, _ = TRAPS[name]
    assert found(f, x) == pytest.approx([*map(float, differences(exact, x))], rel=3e-16, abs=1e-300)


def inverse_erf(x: Any) -> list[Any]:
    y = mp.erfinv(x)
    slope = mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
    return [y, slope, 2 * y * slope**2]


BY_FORMULA: list[tuple[Callable[[Any], Any], float, Callable[[Any], list[Any]]]] = [
    (sp.erfinv, 1e-100, inverse_erf),
    (sp.erfinv, 1 - 2**-53, inverse_erf),
    (sp.erfcinv, 1e-20, lambda x: [s * d for s, d in zip((1, -1, 1), inverse_erf(1 - x), strict=True)]),
    (sp.gammaln, 1e-20, lambda x: [mp.loggamma(x), mp.psi(0, x), mp.psi(1, x)]),
    (sp.gammaln, 1e300, lambda x: [mp.loggamma(x), mp.psi(0, x), mp.psi(1, x)]),
    (sp.gammaln, -2.5, lambda x: [mp.log(abs(mp.gamma(x))), mp.psi(0, x), mp.psi(1, x)]),
    (sp.digamma, 1e-60, lambda x: [mp.psi(k, x) for k in (0, 1, 2)]),
    (sp.digamma, 1e300, lambda x: [mp.psi(k, x) for k in (0, 1, 2)]),
    (sp.digamma, -2.5, lambda x: [mp.psi(k, x) for k in (0, 1, 2)]),
    (lambda x: np.logaddexp(x, 1e300), 1e300, lambda x: [x + mp.log(2), 0.5, 0.25]),
    (lambda x: np.arctan2(0.0, x), -2.0, lambda x: [mp.pi, 0, 0]),
    (lambda x: x ** np.array(3.0), 0.0, lambda x: [0, 0, 0]),
    (lambda x: np.float_power(x, 2), 0.0, lambda x: [0, 0, 2]),
    (lambda x: np.floor(x), -0.5, lambda x: [-1, 0, 0]),
    (lambda x: np.floor(x), 2.0, lambda x: [2, 0, 0]),
    (lambda x: np.ceil(x), 5e-324, lambda x: [1, 0, 0]),
    (lambda x: np.trunc(x), -1e300, lambda x: [x, 0, 0]),
    (lambda x: np.rint(x), 2.5, lambda x: [2, 0, 0]),
    (lambda x: np.rint(x), -1.5, lambda x: [-2, 0, 0]),
    (lambda x: np.round(x, 1), 0.26, lambda x: [mp.mpf(3) / 10, 0, 0]),
    (lambda x: np.rint(x), 1e300, lambda x: [x, 0, 0]),
    (lambda x: np.fmod(x, 1e-308), -1e308, lambda x: [mp.fmod(-x, 1e-308) * -1, 1, 0]),
    (lambda x: np.remainder(x, 3.0), -1e300, lambda x: [x - 3 * mp.floor(x / 3), 1, 0]),
    (lambda x: np.fmod(4.5, x), 1.5, lambda x: [0, -3, 0]),
    (lambda x: np.floor_divide(x, 0.1), 1.0, lambda x: [9, 0, 0]),
    (lambda x: np.modf(x)[0], -2.25, lambda x: [-0.25, 1, 0]),
    (lambda x: np.abs(x), -5e-324, lambda x: [-x, -1, 0]),
    (lambda x: np.where(np.signbit(x), -x, 2 * x), -0.0, lambda x: [0, -1, 0]),
]


@pytest.mark.parametrize(("f", "x", "formula"), BY_FORMULA)
def test_no_place_is_a_trap(f: Callable[[Any], Any], x: float, formula: Callable[[Any], list[Any]]) -> None:
    with mp.workdps(700):
        wanted = [float(y) for y in formula(mp.mpf(x))]
    assert found(f, x) == pytest.approx(wanted, rel=3e-16, abs=1e-300)


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


ARRAY = np.array([[1.5, -0.75, 2.0], [0.5, 3.25, -1.0], [-2.5, 0.375, 4.0]])

OF_MATRICES: list[Callable[[Any], Any]] = [
    lambda a: np.linalg.eigh(a, "U")[0],
    lambda a: np.linalg.eigh(a)[1],
    lambda a: np.linalg.svd(a[:2], full_matrices=False).U,
    lambda a: np.linalg.svd(a[:, :2], full_matrices=False).Vh,
    lambda a: np.linalg.qr(a[:2]).R,
    lambda a: np.linalg.qr(a[:, :2]).Q,
    lambda a: np.linalg.cholesky(np.stack([a @ a.T, 2 + a.T @ a])),
    lambda a: np.linalg.slogdet(np.stack([a, a @ a])).logabsdet,
    lambda a: np.linalg.solve(np.stack([a, a @ a]), a[0]),
    lambda a: np.linalg.matrix_power(a, -2),
    lambda a: np.linalg.pinv(a[:2]),
    lambda a: np.linalg.cond(a),
    lambda a: np.linalg.norm(a, "nuc"),
    lambda a: np.linalg.norm(np.stack([a, a @ a]), -2, axis=(2, 0), keepdims=True),
    lambda a: np.linalg.vector_norm(a, axis=(0, 1), ord=3, keepdims=True),
    lambda a: np.linalg.det(a[:1, :1]) + np.linalg.det(np.stack([a, a - a])),
    lambda a: mg.grad(np.linalg.det)(a - a),
    lambda a: mg.grad(lambda a: np.sum(np.linalg.svd(a)[0] * a))(a),
    lambda a: mg.grad(lambda a: np.sum(np.linalg.eigh(a)[1] * a))(a),
    lambda a: mg.grad(lambda a: np.sum(np.linalg.qr(a)[0] * a))(a),
    lambda a: mg.grad(lambda a: np.linalg.norm(a) + np.sum(np.hypot(a, a.T) + np.sinc(a) + sp.digamma(a * a)))(a),
    lambda a: mg.grad(lambda a: np.sum(np.tanh(a) + np.arcsin(a / 9) + sp.erf(a) + np.logaddexp2(a, a.T)))(a),
    lambda a: mg.grad(lambda a: np.sum(np.einsum("ij,jk->ik", a, a)[0] + np.prod(a, axis=0) + a[[0, 0]]))(a),
    lambda a: mg.grad(lambda a: np.sum(np.cumprod(a, axis=1) * a))(a),
]


@pytest.mark.parametrize("f", OF_MATRICES)
def test_truth_agrees_with_the_engine_on_matrices(f: Callable[[Any], Any]) -> None:
    with np.errstate(invalid="ignore"):
        each = case(f, ARRAY)
        [*found], [product] = certified(each, 1), certified(each, 2)
        got, pullback = mg.vjp(each.program, ARRAY)
        assert_close([got, *pullback(each.cotangent)], found)
        gradient = mg.grad(lambda a: np.sum(each.program(a)))
        assert_close(mg.grad(lambda a: np.sum(gradient(a)))(ARRAY), product)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)])
@pytest.mark.parametrize(
    "f", [np.linalg.inv, np.linalg.det, np.linalg.eigvalsh, np.linalg.cholesky, np.linalg.qr, np.linalg.svdvals]
)
def test_matrices_without_entries_are_matrices(f: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    form = lookup(f"linalg.{f.__name__}")
    try:
        wanted = f(np.zeros(shape))
    except np.linalg.LinAlgError:
        return
    assert [np.shape(x) for x in leaves([form(jets(np.zeros(shape)))])] == [np.shape(x) for x in leaves([wanted])]


LEAVING_OUT: list[Callable[[Any], Any]] = [
    lambda x: np.nansum(x, axis=0),
    lambda x: np.nanprod(x),
    lambda x: np.nanmean(x, axis=1),
    lambda x: np.nanmax(x, axis=0, keepdims=True),
    lambda x: np.nanmin(x),
    lambda x: np.nancumsum(x, axis=1),
    lambda x: np.nancumprod(x, axis=0),
    lambda x: np.nan_to_num(x, nan=0.5),
    lambda x: np.where(np.isfinite(x), x, 1),
    lambda x: np.fmax(x, -1.0) + np.fmin(2.5, x),
    lambda x: np.max(x, axis=1, where=~np.isnan(x), initial=-np.inf),
    lambda x: np.where(np.isnan(np.maximum(x, 1)) & np.isnan(np.minimum(0, x)), 2.0, np.nan_to_num(x)),
]


@pytest.mark.parametrize("f", LEAVING_OUT)
def test_a_nan_that_is_left_out_leaves_no_trace(f: Callable[[Any], Any]) -> None:
    x = np.array([[0.5, np.nan, 2.0], [np.nan, 0.75, -0.375]])
    each = case(f, x)
    got, pullback = mg.vjp(f, x)
    assert_close([got, *pullback(each.cotangent)], certified(each, 1))


def test_a_number_that_may_be_anything_is_no_nan() -> None:
    unknown = (jet(1) / 3 - 1 + jet(2) / 3) ** -1
    assert jet(np.nan).isnan()
    with pytest.raises(UndecidedError):
        unknown.isnan()


WITHOUT_TRUTH: list[Callable[[Any], Any]] = [
    lambda x: np.linalg.svdvals(x),
    lambda x: np.nansum(x * np.nan) + np.nan,
    lambda x: np.sqrt(x),
    lambda x: np.copysign(x, x - x),
]


@pytest.mark.parametrize("f", WITHOUT_TRUTH)
def test_what_is_not_certain_has_no_truth(f: Callable[[Any], Any]) -> None:
    assert certified(case(f, np.eye(2)), 1) is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_function_of_the_catalogue_has_an_exact_form(row: Row) -> None:
    """What a campaign draws has a truth, and the engine is near it."""
    if row.kind == "compare":
        return
    dtype = ("float64", "float32")[len(row.name) % 2]
    for each in itertools.islice(cases_with(row.name, dtype, OPTIONS, Palette.of(3)), 2):
        for verdict in examine(each, Setup("minigrad", ())).verdicts:
            assert RANK[verdict.label] < RANK[Label.UNSTABLE], f"{each.program}\n{verdict}"


def test_rows_of_comparisons_are_exact_too() -> None:
    value, gradient = certified(case(lambda x: np.where((x > 1) | (x <= 0.5), x * x, -x), [0.5, 0.75, 2.0]), 1)
    assert (value.tolist(), gradient.tolist()) == ([0.25, -0.75, 4.0], [1.0, -1.0, 4.0])


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_exact_form_says_why(name: str) -> None:
    with pytest.raises(NotImplementedError, match=name):
        lookup(name)


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


@pytest.mark.parametrize("rule", ["off by a thousandth", "as both oracles have it"])
def test_the_truth_stays_true_when_a_rule_breaks(rule: str) -> None:
    """Nothing of minigrad's calculus enters: neither a fault of its own nor one that all parties share is excused."""
    before = certified(SATURATED, 1)
    with scratch_registry():
        if rule == "off by a thousandth":
            mg.defvjp(np.tanh, lambda g, ans, x: 1.001 * g * sech2(x), broadcasts=True)
        else:
            mg.defvjp(np.tanh, lambda g, ans, x: g * (1 - ans * ans), broadcasts=True)
        found = examine(SATURATED, Setup(orders=(1,)))
        after = certified(SATURATED, 1)
    assert found.verdict("minigrad", 1).label in (Label.WRONG, Label.UNSTABLE)
    assert "the truth is" in found.verdict("minigrad", 1).why
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


# Directions.


NAN = np.nan

DIRECTIONS: dict[str, tuple[Callable[[Any], Any], list[float], list[float], list[float], list[float]]] = {
    # The inputs, the vector, the gradient and the Hessian product.
    "a zero that moves, and another number": (lambda x: np.sqrt(x[0]) + x[1] ** 2, [0, 3], [0, 1], [NAN, 6], [NAN, 2]),
    "nowhere twice along the vector, but for a number that has no part in it": (
        lambda x: np.sqrt(x[0]) + x[1],
        [0, 3],
        [1, 0],
        [NAN, 1],
        [NAN, 0],
    ),
    "a zero beside an edge": (lambda x: x[0] * np.sqrt(x[1]), [0, 0], [1, 0], [0, 0], [0, NAN]),
    "a whole exponent that moves": (lambda x: x[0] ** x[1], [-3, 2], [1, 0], [-6, NAN], [2, NAN]),
    "a root of nothing": (lambda x: np.sqrt(0 * x[0]) + x[1], [1, 1], [1, 1], [0, 1], [0, 0]),
    "a square that cancels": (lambda x: (x[0] - x[1]) ** 2, [0.1, 0.1], [1, 3], [0, 0], [-4, 4]),
    "no part in it": (
        lambda x: np.sin(x)[0] + 0 * x[1],
        [0.1, 0.2],
        [0.3, 0.4],
        [np.cos(0.1), 0],
        [-0.3 * np.sin(0.1), 0],
    ),
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_each_direction_is_followed_for_itself(name: str) -> None:
    """At the very point, before anything is looked at from nearby."""
    f, x, v, slopes, products = DIRECTIONS[name]
    with np.errstate(all="ignore"):
        each = case(f, x, vectors=[v])
    with precision(160, 2):
        found = derivatives(each, 2)
    for balls, wanted in ((found[1][1], slopes), (found[2][0], products)):
        assert [float(b.mid()) if b.is_finite() else NAN for b in balls] == pytest.approx(
            wanted, rel=3e-16, nan_ok=True
        )
        assert all(b.is_zero() for b, w in zip(balls, wanted, strict=True) if w == 0)


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize(
    "f",
    [
        *(np.sqrt, np.cbrt, np.expm1, np.log1p, np.sin, np.tan, np.arcsin, np.arctan),
        *(np.sinh, np.tanh, np.arcsinh, np.arctanh, sp.erf),
    ],
)
def test_zeros_keep_their_signs(f: Any, zero: float) -> None:
    """So that it is known on which side of a cut, or of another zero, what is made of them lies."""
    with np.errstate(all="ignore"):
        each = case(lambda x: np.copysign(1.0, f(x)), zero)
    with precision(160, 1):
        found = derivatives(each, 1)[1][0]
    assert float(found[()].mid()) == np.copysign(1.0, f(zero)) == np.copysign(1.0, zero)
