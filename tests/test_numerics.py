"""Gradients where digits are easily lost, against the truth: large and tiny numbers, near cancellation, saturated.

The truth is mpmath's, at 60 digits, by formulas that lose none of them; the distance to it is counted in ULPs,
the spacing of floats there.  A few of them are what the functions themselves are off by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp

import minigrad as mg
from minigrad import grad
from minigrad.protocol import Function
from minigrad.rules.linalg import refined_svd


class Row(NamedTuple):
    """Partial derivatives of a function of numbers, at some points."""

    name: str
    f: Function
    points: Sequence[float | tuple[float, ...]]
    partials: dict[tuple[int, ...], Function]
    """By the arguments that are differentiated by, one after the other."""
    ulps: float = 4
    overflows: bool = False
    """Whether the function's own value does, though its derivatives do not."""


def vector(f: Function) -> Function:
    """A function of a vector as a function of its entries."""
    return lambda *xs: f(np.stack(xs))


def by(*derivatives: Function) -> dict[tuple[int, ...], Function]:
    """Derivatives of the orders 1, 2, ... of a function of one number."""
    return {(0,) * order: derivative for order, derivative in enumerate(derivatives, 1)}


def mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def slope_of_sigmoid(x: Any) -> Any:
    return mp_sigmoid(x) * mp_sigmoid(-x)


def of_sinc(order: int) -> Function:
    def derivative(x: Any) -> Any:
        if x == 0 and order % 2:
            return mp.mpf(0)  # exactly, as of every even function
        with mp.workdps(200):
            return mp.diff(mp.sincpi, x, order)

    return derivative


def gap(x: Any) -> Any:
    """``1 - x**2``"""
    return (1 - x) * (1 + x)


def gaussian(x: Any) -> Any:
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def mean(*xs: Any) -> Any:
    return mp.fsum(xs) / len(xs)


def mp_std(*xs: Any) -> Any:
    return mp.sqrt(mean(*((x - mean(*xs)) ** 2 for x in xs)))


def length(*xs: Any) -> Any:
    return mp.sqrt(mp.fsum(x * x for x in xs))


BELOW_1, ABOVE_1 = 1 - 2.0**-53, 1 + 2.0**-52
INSIDE = [BELOW_1, -BELOW_1, 0.999, -0.5, 1e-10, 1e-200, -1e-300]
SATURATED = [700.0, 100.0, 40.0, 37.0, 20.0, 3.0, 1.0, 1e-10, 1e-300]
EITHER = [*SATURATED, *(-x for x in SATURATED)]
FAR = [
    (0.0, 700.0),
    (700.0, 0.0),
    (1e10, -1e10),
    (-1e10, 1e10),
    (1e10, 1e10),
    (1e10, 1e10 + 1),
    (40.0, 0.5),
    (1.0, 2.0),
]
PAIRS = [(3e200, 4e200), (3e-200, 4e-200), (1e200, 1e-200), (1e-200, 1e200), (-3.0, 4.0), (1e-8, 1.0), (1.0, -1e-8)]
NEARLY = [
    (1.0, 1 + 2.0**-51, 1 + 2.0**-50),
    (1e8, 1e8 + 1, 1e8 + 3),
    (0.1, 0.1 + 1e-9, 0.1 - 3e-9),
    (1e-300, 2e-300, 5e-300),
]

ROWS = [
    Row(
        "tanh",
        np.tanh,
        [x for x in EITHER if abs(x) < 100] + [350.0, -350.0],
        by(lambda x: mp.sech(x) ** 2, lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2),
        8,
    ),
    Row("sigmoid", mg.sigmoid, EITHER, by(slope_of_sigmoid)),
    Row("softplus", mg.softplus, EITHER, by(mp_sigmoid, slope_of_sigmoid)),
    Row(
        "sigmoid",
        mg.sigmoid,
        [*EITHER, 1e-3, -0.1],
        {(0, 0): lambda x: -slope_of_sigmoid(x) * mp.tanh(x / 2)},
        8,
    ),
    *(
        Row(
            name,
            f,
            FAR,
            {
                (0,): lambda x, y: mp_sigmoid(x - y),
                (1,): lambda x, y: mp_sigmoid(y - x),
                (0, 0): lambda x, y: slope_of_sigmoid(x - y),
                (0, 1): lambda x, y: -slope_of_sigmoid(x - y),
            },
            6,
        )
        for name, f in (("logaddexp", np.logaddexp), ("logsumexp", vector(mg.logsumexp)))
    ),
    Row(
        "logaddexp2",
        np.logaddexp2,
        [*FAR, (1024.0, -1.0)],
        {
            (0,): lambda x, y: 1 / (1 + mp.mpf(2) ** (y - x)),
            (1,): lambda x, y: 1 / (1 + mp.mpf(2) ** (x - y)),
        },
    ),
    *(
        Row(
            f"softmax[{i}]",
            vector(lambda x, i=i: mg.softmax(x)[i]),
            FAR,
            {(i,): lambda x, y: slope_of_sigmoid(x - y), (1 - i,): lambda x, y: -slope_of_sigmoid(x - y)},
            6,
        )
        for i in (0, 1)
    ),
    *(
        Row(
            f"log_softmax[{i}]",
            vector(lambda x, i=i: mg.log_softmax(x)[i]),
            FAR,
            {
                (i,): lambda x, y, s=1 - 2 * i: mp_sigmoid(s * (y - x)),
                (1 - i,): lambda x, y, s=1 - 2 * i: -mp_sigmoid(s * (y - x)),
                (0, 0): lambda x, y: -slope_of_sigmoid(x - y),
            },
            8,
        )
        for i in (0, 1)
    ),
    Row("exp", np.exp, [-700.0, -1e-300, 700.0], by(mp.exp, mp.exp)),
    Row("exp2", np.exp2, [-1000.0, 1e-300, 1000.0], by(lambda x: mp.mpf(2) ** x * mp.log(2))),
    Row("expm1", np.expm1, [-700.0, -40.0, -1e-300, 1e-20, 40.0], by(mp.exp, mp.exp)),
    Row("log", np.log, [1e-300, 1e300, BELOW_1], by(lambda x: 1 / x)),
    Row("log2", np.log2, [1e-300, 1e300, BELOW_1], by(lambda x: 1 / (x * mp.log(2)))),
    Row("log10", np.log10, [1e-300, 1e300, BELOW_1], by(lambda x: 1 / (x * mp.log(10)))),
    Row(
        "log1p",
        np.log1p,
        [-BELOW_1, -0.999, 1e-300, -1e-300, 1e-16, 1e100],
        by(lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    ),
    Row("arcsin", np.arcsin, INSIDE, by(lambda x: 1 / mp.sqrt(gap(x)), lambda x: x / mp.sqrt(gap(x)) ** 3), 6),
    Row("arccos", np.arccos, INSIDE, by(lambda x: -1 / mp.sqrt(gap(x)), lambda x: -x / mp.sqrt(gap(x)) ** 3), 6),
    Row("arctanh", np.arctanh, INSIDE, by(lambda x: 1 / gap(x), lambda x: 2 * x / gap(x) ** 2), 6),
    Row(
        "arccosh",
        np.arccosh,
        [ABOVE_1, 1.0001, 2.0, 1e100, 1e200, 1e308],
        by(lambda x: 1 / mp.sqrt(-gap(x)), lambda x: -x / mp.sqrt(-gap(x)) ** 3),
        8,
    ),
    Row(
        "arctan",
        np.arctan,
        [1e200, 1e100, -1e100, 1.0, 1e-100, -1e-200],
        by(lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
        8,
    ),
    Row(
        "arcsinh",
        np.arcsinh,
        [1e200, 1e100, -1e100, 1.0, 1e-100, -1e-200],
        by(lambda x: 1 / length(1, x), lambda x: -x / length(1, x) ** 3),
        8,
    ),
    Row("sinh", np.sinh, [700.0, -700.0, 1e-300], by(mp.cosh, mp.sinh)),
    Row("cosh", np.cosh, [700.0, -700.0, 1e-300], by(mp.sinh, mp.cosh)),
    Row("tan", np.tan, [1.57, 1.5707963267948966, 1e-300, 1e5], by(lambda x: 1 / mp.cos(x) ** 2), 6),
    Row("sinc", np.sinc, [0.0, 1e-10, -1e-5, 1e-3, 0.1, 0.5], by(of_sinc(1), of_sinc(2)), 8),
    Row("sinc", np.sinc, [0.0, 1e-10, -1e-5, 1e-3, 0.1, 0.5], {(0, 0, 0): of_sinc(3)}, 16),
    # Here pi * x is off by an ULP already, as it is for the function itself.
    Row("sinc", np.sinc, [1.0, 2.0, -3.0, 2.5], by(of_sinc(1), of_sinc(2), of_sinc(3)), 64),
    Row(
        "hypot",
        np.hypot,
        PAIRS,
        {
            (0,): lambda x, y: x / length(x, y),
            (1,): lambda x, y: y / length(x, y),
            (0, 0): lambda x, y: y * y / length(x, y) ** 3,
            (0, 1): lambda x, y: -x * y / length(x, y) ** 3,
        },
        8,
    ),
    Row(
        "arctan2",
        np.arctan2,
        PAIRS,
        {
            (0,): lambda x, y: y / length(x, y) ** 2,
            (1,): lambda x, y: -x / length(x, y) ** 2,
        },
    ),
    Row(
        "arctan2",
        np.arctan2,
        [(3e100, 4e100), (3e-100, 4e-100), (-3.0, 4.0), (1e-8, 1.0), (1.0, -1e-8)],
        {(0, 0): lambda x, y: -2 * x * y / length(x, y) ** 4},
        12,
    ),
    Row(
        "norm",
        vector(np.linalg.norm),
        [*PAIRS, (3e200, 4e200, 1e200), (1e-200, 2e-200, -3e-200), (5e-324, 0.0)],
        {(0,): lambda x, *rest: x / length(x, *rest), (1,): lambda x, y, *rest: y / length(x, y, *rest)},
        overflows=True,
    ),
    Row(
        "norm",
        vector(np.linalg.norm),
        [(3e200, 4e200), (3e-200, 4e-200), (-3.0, 4.0), (1.0, 1e-8), (1e8, 1.0)],
        {(0, 0): lambda x, y: y * y / length(x, y) ** 3, (0, 1): lambda x, y: -x * y / length(x, y) ** 3},
        12,
        overflows=True,
    ),
    Row(
        "std",
        vector(np.std),
        NEARLY,
        {(0,): lambda *xs: (xs[0] - mean(*xs)) / (len(xs) * mp_std(*xs))},
        8,
    ),
    Row("var", vector(np.var), NEARLY, {(0,): lambda *xs: 2 * (xs[0] - mean(*xs)) / len(xs)}, 8),
    Row(
        "power",
        np.power,
        [
            (1e-200, 1.5),
            (1e-300, 1.0),
            (1e-100, 3.0),
            (1e-300, 0.5),
            (1e100, -2.0),
            (1e-5, 1e-5),
            (BELOW_1, 1e10),
            (1e-300, 0.1),
        ],
        {(0,): lambda x, y: y * x ** (y - 1), (1,): lambda x, y: x**y * mp.log(x)},
        6,
    ),
    Row(
        "power",
        np.power,
        [(1e-100, 1.5), (1e-100, 3.0), (1e-100, 0.5), (1e100, -1.5)],
        {(0, 0): lambda x, y: y * (y - 1) * x ** (y - 2), (0, 1): lambda x, y: x ** (y - 1) * (1 + y * mp.log(x))},
        8,
    ),
    Row(
        "divide",
        np.divide,
        [(1e-300, 1e-300), (1e300, 1e300), (1e-100, 1e-200), (1e-300, -3e-300)],
        {(0,): lambda x, y: 1 / y, (1,): lambda x, y: -x / y**2},
    ),
    Row(
        "divide",
        np.divide,
        [(1e-100, 1e-100), (1e100, -3e100), (1e-300, 1e-150)],
        {(0, 1): lambda x, y: -1 / y**2, (1, 1): lambda x, y: 2 * x / y**3},
    ),
    Row("reciprocal", np.reciprocal, [1e-150, 1e150, -3e100], by(lambda x: -1 / x**2)),
    Row("sqrt", np.sqrt, [1e-300, 1e300, 2.0], by(lambda x: 1 / (2 * mp.sqrt(x)))),
    Row("sqrt", np.sqrt, [1e-200, 1e200, 2.0], {(0, 0): lambda x: -1 / (4 * mp.sqrt(x) ** 3)}),
    Row("cbrt", np.cbrt, [1e-300, 1e300, -8.0, 2.0], by(lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2))),
    Row("cbrt", np.cbrt, [1e-180, 1e180, 2.0], {(0, 0): lambda x: -2 / (9 * mp.cbrt(x) ** 5)}, 8),
    Row("erf", sp.erf, [0.5, 1.5, -2.0, 1e-10, 1e-300], by(gaussian, lambda x: -2 * x * gaussian(x))),
    Row("erfc", sp.erfc, [0.5, 1.5, -2.0, 1e-10, 1e-300], by(lambda x: -gaussian(x), lambda x: 2 * x * gaussian(x))),
    Row("erf", sp.erf, [26.0, 25.7, -10.3], by(gaussian, lambda x: -2 * x * gaussian(x))),
    Row(
        "erfinv",
        sp.erfinv,
        [0.5, -0.9, 1e-10, 1e-300, BELOW_1, -0.999999],
        by(lambda x: 1 / gaussian(mp.erfinv(x))),
        # An ULP of the function's own, y, is 2 * y**2 of them here: 67 at the outermost.
        64,
    ),
    Row("expit", sp.expit, EITHER, by(slope_of_sigmoid)),
    Row("log_expit", sp.log_expit, EITHER, by(lambda x: mp_sigmoid(-x), lambda x: -slope_of_sigmoid(x))),
    Row("logit", sp.logit, [1e-300, 0.5, BELOW_1, 0.999], by(lambda x: 1 / (x * (1 - x)))),
    Row(
        "xlogy",
        sp.xlogy,
        [(0.0, 0.5), (1e-300, 1e-300), (1e300, 1e300), (2.0, BELOW_1)],
        {(0,): lambda x, y: mp.log(y), (1,): lambda x, y: x / y},
    ),
    Row(
        "xlog1py",
        sp.xlog1py,
        [(0.0, 0.5), (1e-300, 1e-300), (1e200, -BELOW_1), (2.0, 1e-20)],
        {(0,): lambda x, y: mp.log1p(y), (1,): lambda x, y: x / (1 + y)},
    ),
    Row("gammaln", sp.gammaln, [1e-300, 1e-10, 0.5, 1.0, 10.0, 1e10, 1e300], by(mp.digamma)),
    Row(
        "gammaln",
        sp.gammaln,
        [1e-100, 1e-10, 0.5, 1.0, 10.0, 1e10],
        {(0, 0): lambda x: mp.polygamma(1, x), (0, 0, 0): lambda x: mp.polygamma(2, x)},
        8,
    ),
]

CASES = [
    pytest.param(row, which, point if isinstance(point, tuple) else (point,), id=f"{row.name}-{order}-{point}")
    for row in ROWS
    for which in row.partials
    for order in ["".join(map(str, which))]
    for point in row.points
]


def ulps(got: float, truth: Any) -> float:
    """How far a float is from the truth, in spacings of floats there."""
    return float(abs(mp.mpf(float(got)) - truth) / mp.mpf(float(np.spacing(abs(float(truth))))))


@pytest.mark.parametrize(("row", "which", "point"), CASES)
def test_gradient_keeps_its_digits(row: Row, which: tuple[int, ...], point: tuple[float, ...]) -> None:
    derivative = row.f
    for i in which:
        derivative = grad(derivative, argnums=i)
    with mp.workdps(60), np.errstate(over="ignore" if row.overflows else "warn"):
        truth = row.partials[which](*map(mp.mpf, point))
        off = ulps(derivative(*point), truth)
    assert off <= row.ulps, f"{off:.3g} ULPs from {mp.nstr(truth, 20)}"


def test_ulps_are_counted_where_the_truth_is() -> None:
    with mp.workdps(60):
        assert ulps(1.0, mp.mpf(1)) == 0
        assert ulps(1 + 2.0**-52, mp.mpf(1)) == 1
        assert ulps(1.0, 1 + mp.mpf(2) ** -53) == 0.5
        assert ulps(0.0, mp.mpf("1e-400")) < 1e-70
        assert ulps(1e-300, mp.mpf("1e-400")) > 1e20


def test_arctan2_beside_a_python_integer_far_from_it() -> None:
    """``d/dx arctan2(x, 2)`` is ``2 / (x**2 + 4)``, also where 2 is tiny beside x."""
    assert mg.grad(lambda x: np.arctan2(x, 2))(4e8) == pytest.approx(1.25e-17)
    slope = mg.grad(lambda x: np.arctan2(x, 2))(np.float32(4e8))
    assert slope == pytest.approx(1.25e-17)
    assert np.asarray(slope).dtype == np.float32


@pytest.mark.parametrize(
    ("f", "xs", "truths"),
    [
        # Each of these has a factor or a term that is out of range, or among subnormals, though the whole is not.
        (lambda y: 0.075 * np.fmod(-9.8e4, y), [7e-35], [0.075 * 9.8e4 / 7e-35]),
        (lambda y: 0.3 * sp.xlog1py(9e37, y), [-0.75], [0.3 * 9e37 / 0.25]),
        (lambda y: 0.5 * sp.xlogy(2**-149, y), [2**-149], [0.5]),
        (lambda x: 0.25 * sp.digamma(x), [3e-20], [0.25 / 3e-20**2]),
        (lambda x: 1e-3 * np.power(x, np.float32(-1e-7)), [1e-40], [-1e-10 * 1e-40 ** (-1e-7) / 1e-40]),
        (lambda x: 0.5 * np.power(x, np.float32(0.5)), [1e-40], [0.25 / np.sqrt(np.float64(np.float32(1e-40)))]),
        (lambda x: 2 * np.std(x), [1e-45, 0.0], [1.0, -1.0]),
        (lambda x: 2 * np.linalg.norm(x, ord=3), [3e-20, 3e-20], [2 ** (1 / 3), 2 ** (1 / 3)]),
        (lambda x: 2 * np.linalg.norm(x, ord=3), [1e30, 1e30], [2 ** (1 / 3), 2 ** (1 / 3)]),
        (lambda x: np.linalg.norm(x, ord=3), [1e35, -1e-20], [1.0, 0.0]),
        (lambda x: np.linalg.norm(x, ord=0.5), [1e35, -1e-20], [1.0, -(1e55**0.5)]),
        (lambda x: np.sqrt(0 * np.max(x)), [1.0, 2.0], [0.0, np.nan]),
    ],
)
def test_nothing_leaves_the_range_on_the_way(f: Function, xs: list[float], truths: list[float]) -> None:
    x = np.array(xs, np.float32)
    with np.errstate(all="ignore"):
        got = grad(lambda x: np.sum(f(x)))(x)
    np.testing.assert_allclose(got, truths, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_deviation_is_a_number_where_its_squares_leave_the_range(dtype: str) -> None:
    info = np.finfo(dtype)
    sizes = np.array([[1], [info.tiny], [2.0 ** (info.maxexp - 4)]], dtype)
    x = np.array([1.0, 3.0, -2.5], dtype) * sizes
    for ddof in (0, 1):
        got = mg.Tensor(x).std(axis=1, ddof=ddof, keepdims=True).value
        np.testing.assert_array_equal(got, np.std(x[:1], axis=1, ddof=ddof, keepdims=True) * sizes)
        slopes = grad(lambda x, d=ddof: np.sum(np.std(x, axis=1, ddof=d)))(x)
        np.testing.assert_array_equal(slopes, np.broadcast_to(slopes[0], (3, 3)))


def test_log_softmax_keeps_the_digits_of_what_is_nearly_certain() -> None:
    got = mg.log_softmax(np.array([0.0, -30.0, -31.0]))[0]
    assert ulps(got, -mp.log1p(mp.exp(-30) + mp.exp(-31))) <= 4


def test_qr_of_a_column_of_zeros_has_no_gradient() -> None:
    assert np.any(np.isnan(grad(lambda a: np.sum(np.linalg.qr(a)[0] ** 2))(np.array([[0.0, 1.0], [0.0, 2.0]]))))


@pytest.mark.parametrize("order", [1.5, 3, 7, -2])
@pytest.mark.parametrize("x", [5e-324, -1e-310, 1e-160, 1.0, -1e300])
def test_a_norm_of_any_order_has_its_digits_at_any_size(order: float, x: float) -> None:
    """Of one number it is the absolute value, and of two alike a multiple of that."""
    f = lambda x: np.sum(np.linalg.vector_norm(x, ord=order))  # noqa: E731
    np.testing.assert_array_equal(mg.grad(f)(np.array(x)), np.sign(x))
    np.testing.assert_array_equal(mg.grad(mg.grad(f))(np.array(x)), 0.0)
    np.testing.assert_allclose(mg.grad(f)(np.array([x, x])), np.sign(x) * 2 ** (1 / order - 1), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (2, 3, 3)])
def test_singular_vectors_are_turned_the_rest_of_the_way(
    shape: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LAPACK stops some 90 rounding units before; here it is made to, whatever library is at work."""
    own, unit = np.linalg.svd, np.finfo(dtype).eps
    turn = np.eye(min(shape[-2:]), dtype=dtype)
    turn[:2, :2] += 90 * unit * np.array([[0, 1], [-1, 0]], dtype)

    def stops_early(a: Any, **how: Any) -> Any:
        u, s, vh = own(a, **how)
        return u @ turn, s, vh

    a = np.random.default_rng(0).standard_normal(shape).astype(dtype) * 1e10

    def off(u: Any, s: Any, vh: Any) -> float:
        return float(np.max(np.abs((u * s[..., None, :]) @ vh - a)) / np.max(np.abs(a)) / unit)

    monkeypatch.setattr(np.linalg, "svd", stops_early)
    assert off(*np.linalg.svd(a, full_matrices=False)) > 20
    assert off(*refined_svd(a)) < 5


def test_singular_vectors_between_values_that_tie_stay_as_they_are() -> None:
    for a in (np.eye(3), np.zeros((2, 3)), np.diag([2.0, 2.0, 1.0]), np.zeros((0, 3)), np.full((2, 2), 1e-320)):
        u, s, vh = refined_svd(a)
        np.testing.assert_allclose((u * s) @ vh, a, atol=1e-15)
        np.testing.assert_allclose(u.T @ u, np.eye(min(a.shape)), atol=1e-15)


def test_log_expit_has_digits_where_its_slope_is_below_the_normal_range() -> None:
    x = np.float32(90)
    assert mg.grad(lambda x: sp.log_expit(x) * x)(x) == pytest.approx((x - 1) * np.exp(-x), rel=1e-4, abs=0)


@pytest.mark.parametrize(("dtype", "x"), [("float32", -90.0), ("float64", -720.0)])
def test_expit_has_digits_below_the_normal_range(dtype: str, x: float) -> None:
    value, slope = mg.value_and_grad(lambda x: sp.expit(x) * x)(np.dtype(dtype).type(x))
    assert value == pytest.approx(x * np.exp(x), rel=1e-4, abs=0)
    assert slope == pytest.approx((1 + x) * np.exp(x), rel=1e-4, abs=0)
