"""Every rule against JAX, at first and second order, and by hand where a function has a kink."""

from __future__ import annotations

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minigrad import grad, vjp
from minigrad.protocol import Function
from minigrad.rules import scatter
from tests.support import OWN_RULES, assert_close, jitted

_random = np.random.default_rng(20)


def signed(*shape: int) -> Any:
    """Distinct values of either sign, none near 0."""
    size = int(np.prod(shape))
    return ((0.3 + _random.permutation(size) / size) * _random.choice([-1, 1], size)).reshape(shape)


def positive(*shape: int) -> Any:
    return np.abs(signed(*shape))


def cases(f: Function, *operands: tuple[Any, ...]) -> list[tuple[Function, tuple[Any, ...]]]:
    """One function of the array library and its operands, at several of these."""
    return [(f, each) for each in operands]


def unary(f: Function, make: Function = signed) -> list[tuple[Function, tuple[Any, ...]]]:
    return cases(f, (make(),), (make(2, 3),))


def binary(f: Function, make: Function = signed) -> list[tuple[Function, tuple[Any, ...]]]:
    shapes = [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 3)), ((2, 3, 2), (1, 2))]
    return cases(f, *((make(*x), make(*y)) for x, y in shapes))


def reduction(name: str, make: Function = signed) -> list[tuple[Function, tuple[Any, ...]]]:
    forms: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}, {"axis": ()}]
    forms += [{"axis": (-1, 0), "keepdims": True}, {"keepdims": True}, {"axis": (2, 1, 0)}]

    def reduce(form: dict[str, Any]) -> Function:
        return lambda xp, x: getattr(xp, name)(x, **form)

    return [(reduce(form), (make(2, 3, 2),)) for form in forms] + [(reduce({}), (make(),))]


def zeros_at(*places: int) -> Any:
    x = signed(2, 5)
    x[0, list(places)] = 0
    return x


MASK = np.array([True, False, True])
REPEATED = np.array([[0, 2], [2, 2]])
MATMUL = [
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((3, 4), (4, 5)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 2)),
]

EXAMPLES: dict[Function, list[tuple[Function, tuple[Any, ...]]]] = {
    np.positive: unary(lambda xp, x: xp.positive(x)),
    np.negative: unary(lambda xp, x: -x),
    np.abs: unary(lambda xp, x: xp.abs(x)),
    np.exp: unary(lambda xp, x: xp.exp(x)),
    np.log: unary(lambda xp, x: xp.log(x), positive),
    np.sin: unary(lambda xp, x: xp.sin(x)),
    np.cos: unary(lambda xp, x: xp.cos(x)),
    np.tanh: unary(lambda xp, x: xp.tanh(x)),
    np.sqrt: unary(lambda xp, x: xp.sqrt(x), positive),
    np.square: unary(lambda xp, x: xp.square(x)),
    np.astype: unary(lambda xp, x: xp.astype(x, xp.float64) * x),
    np.add: binary(lambda xp, x, y: x + y),
    np.subtract: binary(lambda xp, x, y: x - y),
    np.multiply: binary(lambda xp, x, y: x * y),
    np.divide: binary(lambda xp, x, y: x / y),
    np.power: [
        *binary(lambda xp, x, y: xp.power(x, y), positive),
        *unary(lambda xp, x: x**3),
        *unary(lambda xp, x: x**-2),
        *unary(lambda xp, x: x**0.5, positive),
        *unary(lambda xp, x: 2.0**x),
        *cases(lambda xp, x: xp.power(x, np.array([[2], [0], [1]])), (signed(4),)),
    ],
    np.maximum: binary(lambda xp, x, y: xp.maximum(x, y)),
    np.minimum: binary(lambda xp, x, y: xp.minimum(x, y)),
    np.where: [
        *binary(lambda xp, x, y: xp.where(x > y, x * y, y)),
        *cases(lambda xp, x, y: xp.where(MASK, x, y), (signed(2, 1), signed()), (signed(), signed(2, 3))),
    ],
    np.sum: reduction("sum"),
    np.mean: reduction("mean"),
    np.max: reduction("max"),
    np.min: reduction("min"),
    np.prod: [
        *reduction("prod"),
        *cases(lambda xp, x: xp.prod(x), (signed(1),), (signed(2),), (signed(5),), (signed(2, 7),)),
        *cases(lambda xp, x: xp.prod(x, axis=-1), (zeros_at(3),), (zeros_at(1, 4),), (zeros_at(0, 1, 2),)),
    ],
    np.matmul: [(lambda xp, x, y: x @ y, (signed(*x), signed(*y))) for x, y in MATMUL],
    np.broadcast_to: [
        *cases(lambda xp, x: xp.broadcast_to(x, (2, 4, 3)), (signed(),), (signed(3),), (signed(4, 1),)),
        *cases(lambda xp, x: xp.broadcast_to(x, (3,)), (signed(3),)),
    ],
    np.reshape: [
        *cases(lambda xp, x: xp.reshape(x, (3, -1)), (signed(2, 3),), (signed(6),)),
        *cases(lambda xp, x: xp.reshape(x, -1, order="F"), (signed(2, 3),)),
        *cases(lambda xp, x: xp.reshape(x, (1, 1)), (signed(),)),
    ],
    np.transpose: [
        *cases(lambda xp, x: xp.transpose(x), (signed(2, 3, 4),), (signed(3),), (signed(),)),
        *cases(lambda xp, x: xp.transpose(x, (2, 0, 1)), (signed(2, 3, 4),)),
        *cases(lambda xp, x: xp.transpose(x, (-1, 0, -2)), (signed(2, 3, 4),)),
    ],
    np.swapaxes: cases(lambda xp, x: xp.swapaxes(x, 0, -1), (signed(2, 3, 4),)),
    np.expand_dims: [
        *cases(lambda xp, x: xp.expand_dims(x, -1), (signed(),), (signed(2, 3),)),
        *cases(lambda xp, x: xp.expand_dims(x, (0, 2)), (signed(2, 3),)),
    ],
    np.squeeze: [
        *cases(lambda xp, x: xp.squeeze(x), (signed(1, 3, 1),)),
        *cases(lambda xp, x: xp.squeeze(x, axis=-1), (signed(1, 3, 1),)),
    ],
    np.concatenate: [
        *cases(lambda xp, x, y: xp.concatenate([x, y, x]), (signed(2, 3), signed(1, 3))),
        *cases(lambda xp, x, y: xp.concatenate((x, y), axis=-1), (signed(2, 3), signed(2, 1))),
        *cases(lambda xp, x, y: xp.concatenate([x, y], axis=None), (signed(2, 3), signed(4))),
    ],
    np.stack: [
        *cases(lambda xp, x, y: xp.stack([x, y, x]), (signed(2, 3), signed(2, 3)), (signed(), signed())),
        *cases(lambda xp, x, y: xp.stack((x, y), axis=1), (signed(2, 3), signed(2, 3))),
        *cases(lambda xp, x, y: xp.stack((x, y), axis=-1), (signed(2, 3), signed(2, 3))),
    ],
    operator.getitem: [
        *cases(lambda xp, x: x[1], (signed(3),), (signed(3, 2),)),
        *cases(lambda xp, x: x[-1, ::-2], (signed(3, 4),)),
        *cases(lambda xp, x: x[..., None, 1:], (signed(2, 3),)),
        *cases(lambda xp, x: x[()], (signed(),), (signed(2),)),
        *cases(lambda xp, x: x[REPEATED], (signed(3),), (signed(3, 2),)),
        *cases(lambda xp, x: x[REPEATED, [0, 1]], (signed(3, 2),)),
        *cases(lambda xp, x: x[MASK], (signed(3),), (signed(3, 2),)),
        *cases(lambda xp, x: x[:, MASK], (signed(2, 3),)),
    ],
    scatter: [
        (lambda xp, x: scatter_in(xp, x, REPEATED, (3,)), (signed(2, 2),)),
        (lambda xp, x: scatter_in(xp, x, (slice(1, 3), 0), (4, 2)), (signed(2),)),
    ],
}


def scatter_in(xp: Any, x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    return scatter(x, index, shape=shape) if xp is np else jnp.zeros(shape).at[index].add(x)


ROWS = [
    pytest.param(f, operands, id=f"{OWN_RULES.get(function, '?')}-{number}")
    for function, rows in EXAMPLES.items()
    for number, (f, operands) in enumerate(rows)
]


def derivatives(vjp: Function, f: Function, operands: Any, cotangent: Any, directions: Any) -> tuple[Any, ...]:
    """The value, the gradients, and the gradients of these along `directions`: also by the cotangent."""

    def along(cotangent: Any, *operands: Any) -> Any:
        gradients = vjp(f, *operands)[1](cotangent)
        return sum((d * g).sum() for d, g in zip(directions, gradients, strict=True))

    value, pullback = vjp(f, *operands)
    total, second = vjp(along, cotangent, *operands)
    return value, *pullback(cotangent), *second(total / total)


def test_examples_cover_exactly_the_rules() -> None:
    assert EXAMPLES.keys() == OWN_RULES.keys()


@pytest.mark.parametrize(("f", "operands"), ROWS)
def test_agrees_with_jax_at_both_orders(f: Function, operands: tuple[Any, ...]) -> None:
    random = np.random.default_rng(0)
    operands = tuple(np.asarray(x) for x in operands)
    cotangent = random.standard_normal(np.shape(f(np, *operands)))
    directions = [random.standard_normal(x.shape) for x in operands]

    def by_jax(operands: Any, cotangent: Any, directions: Any) -> Any:
        return derivatives(jax.vjp, lambda *xs: f(jnp, *xs), operands, cotangent, directions)

    got = derivatives(vjp, lambda *xs: f(np, *xs), operands, cotangent, directions)
    assert_close(got, jitted(by_jax)(operands, cotangent, directions))


# Kinks and removable singularities, by hand.


@pytest.mark.parametrize("f", [np.maximum, np.minimum])
def test_tied_pair_splits_evenly(f: Function) -> None:
    assert grad(f, argnums=(0, 1))(2.0, 2.0) == (0.5, 0.5)


@pytest.mark.parametrize("f", [np.max, np.min])
def test_tied_extremes_split_evenly(f: Function) -> None:
    assert grad(f)(np.array([2.0, 2.0, 2.0, 2.0])).tolist() == [0.25] * 4


@pytest.mark.parametrize(("f", "tied"), [(np.max, 3.0), (np.min, 1.0)])
def test_only_the_tied_extremes_share(f: Function, tied: float) -> None:
    x = np.array([[tied, 2.0, tied], [2.0, tied, 2.0]])
    assert vjp(lambda x: f(x, axis=1), x)[1](np.array([4.0, 8.0]))[0].tolist() == [[2, 0, 2], [0, 8, 0]]


def test_abs_at_zero_has_slope_zero() -> None:
    assert grad(np.abs)(0.0) == 0


@pytest.mark.parametrize(("y", "slope", "bend"), [(0, 0, 0), (1, 1, 0), (2, 0, 2), (3, 0, 0)])
@pytest.mark.parametrize("kind", [int, float, np.array])
def test_power_of_zero(y: int, slope: float, bend: float, kind: Function) -> None:
    power = grad(lambda x: x ** kind(y))
    assert (power(0.0), grad(power)(0.0)) == (slope, bend)


@pytest.mark.parametrize("x", [-2.0, 0.0, 3.0])
def test_power_zero_is_flat(x: float) -> None:
    assert grad(np.power)(x, 0.0) == 0


@pytest.mark.parametrize("y", [1.0, 2.0])
def test_power_of_zero_does_not_depend_on_a_positive_exponent(y: float) -> None:
    assert grad(np.power, argnums=1)(0.0, y) == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_mixed_second_derivative_of_power_at_exponent_zero(order: tuple[int, int]) -> None:
    first, second = order
    mixed = grad(lambda x, y: grad(np.power, argnums=first)(x, y), argnums=second)
    assert mixed(4.0, 0.0) == 0.25


@pytest.mark.parametrize(
    ("x", "slopes", "bends"),
    [
        ([2.0, 3.0, 5.0], [15, 10, 6], [[0, 5, 3], [5, 0, 2], [3, 2, 0]]),
        ([0.0, 3.0, 5.0], [15, 0, 0], [[0, 5, 3], [5, 0, 0], [3, 0, 0]]),
        ([0.0, 3.0, 0.0], [0, 0, 0], [[0, 0, 3], [0, 0, 0], [3, 0, 0]]),
        ([0.0, 0.0, 0.0], [0, 0, 0], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    ],
)
def test_prod_counts_its_zeros(x: list[float], slopes: list[float], bends: list[list[float]]) -> None:
    a = np.array(x)
    hessian = [grad(lambda a, i=i: grad(np.prod)(a)[i])(a).tolist() for i in range(3)]
    assert (grad(np.prod)(a).tolist(), hessian) == (slopes, bends)


def test_repeated_index_sums_its_gradients() -> None:
    _, pullback = vjp(lambda x: x[np.array([1, 1, 0])], np.zeros(3))
    assert pullback(np.array([1.0, 10.0, 100.0]))[0].tolist() == [100, 11, 0]


def test_masked_entries_get_the_gradient_and_no_others() -> None:
    _, pullback = vjp(lambda x: x[MASK], np.zeros(3))
    assert pullback(np.array([5.0, 7.0]))[0].tolist() == [5, 0, 7]


@pytest.mark.parametrize("f", [np.sign, np.floor, np.ceil, np.trunc, np.rint])
def test_piecewise_constant_functions_have_gradient_zero(f: Function) -> None:
    assert grad(lambda x: x + f(x))(1.25) == 1
