"""The walk: forks, length, economy, memory, broadcasting, rules of one's own, threads."""

from __future__ import annotations

import ast
import gc
import math
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import (
    ShapeError,
    Tensor,
    UnsupportedError,
    check_grads,
    checkpoint,
    defvjp,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    primitive,
    rules,
    stage,
    trace,
    value_and_grad,
    vjp,
)
from minigrad.protocol import RULES, Function
from tests.support import OWN_RULES, bits, forget_primitives

_registry = pytest.fixture(forget_primitives, autouse=True)


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# Forks and length.


def test_both_uses_of_a_value_count() -> None:
    assert grad(lambda x: x * x + 3 * x)(2.0) == 7


def test_fork_within_a_fork_sums_all_paths() -> None:
    def f(x: Any) -> Any:
        y = x + x
        z = y * y
        return z * y + z

    assert grad(f)(1.0) == 24 + 8


def test_value_used_twice_by_one_call() -> None:
    assert grad(lambda x: np.sum(np.concatenate([x, x, x]) * np.arange(6.0)))(np.ones(2)).tolist() == [6, 9]


def test_doubling_forty_times_visits_each_node_once() -> None:
    def f(x: Any) -> Any:
        for _ in range(40):
            x = x + x
        return x

    assert grad(f)(1.0) == 2.0**40


@pytest.mark.usefixtures("_no_collector")
def test_chain_of_a_million_steps_neither_recurses_nor_leaks() -> None:
    """Nothing of a million steps is left, though nobody collects cycles and each step knows the one before."""
    middle: list[weakref.ref[Any]] = []

    def f(x: Any) -> Any:
        for i in range(1_000_000):
            x = x + 1.0
            if i == 500_000:
                middle.append(weakref.ref(x))
        return x * 3.0

    before = living()
    assert value_and_grad(f)(0.0) == (3_000_000, 3)
    assert middle[0]() is None
    assert living() == before


def living() -> int:
    """How many Tensors there are."""
    return sum(type(thing) is Tensor for thing in gc.get_objects())


def test_chain_of_200_000_additions_does_not_recurse() -> None:
    x = y = Tensor(0.0)
    for _ in range(200_000):
        y = y + 1.0
    y.backward()
    assert (y.value, x.grad) == (200_000, 1)


# Economy.


def counted() -> tuple[Function, Counter[str]]:
    """A product whose rules count their calls."""
    calls: Counter[str] = Counter()

    @primitive
    def counted_product(x: Any, y: Any) -> Any:
        return x * y

    def dx(g: Any, ans: Any, x: Any, y: Any) -> Any:
        calls["x"] += 1
        return g * y

    def dy(g: Any, ans: Any, x: Any, y: Any) -> Any:
        calls["y"] += 1
        return g * x

    defvjp(counted_product, dx, dy)
    return counted_product, calls


def test_rule_runs_once_even_if_its_result_forks() -> None:
    product, calls = counted()

    def f(x: Any) -> Any:
        y = product(x, x)
        return y * y + np.sin(y) + y

    grad(f)(2.0)
    assert calls == {"x": 1, "y": 1}


def test_rule_of_a_constant_operand_does_not_run() -> None:
    product, calls = counted()
    grad(product, argnums=1)(2.0, 3.0)
    assert calls == {"y": 1}


def test_rule_off_the_path_does_not_run() -> None:
    product, calls = counted()
    grad(lambda x: (product(x, x), x + 1)[1])(2.0)
    assert not calls


# Memory: without the cycle collector, only reference counts free a graph.


@pytest.mark.usefixtures("_no_collector")
def test_graph_of_backward_dies_with_its_result() -> None:
    x = Tensor(np.ones(3))
    middle = np.exp(x)
    alive = weakref.ref(middle)
    y = np.sum(middle * x)
    y.backward()
    del middle, y
    assert alive() is None


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("order", [1, 2, 3])
def test_graph_of_grad_dies_with_its_call(order: int) -> None:
    nodes: list[weakref.ref[Any]] = []

    def f(x: Any) -> Any:
        y = np.tanh(x) * x
        nodes.append(weakref.ref(y))
        return y

    derivative: Function = f
    for _ in range(order):
        derivative = grad(derivative)
    derivative(2.0)
    assert [node() for node in nodes] == [None]


@pytest.mark.usefixtures("_no_collector")
def test_graph_of_vjp_dies_with_its_pullback() -> None:
    nodes: list[weakref.ref[Any]] = []

    def f(x: Any) -> Any:
        y = np.exp(x)
        nodes.append(weakref.ref(y))
        return y * y

    value, pullback = vjp(f, 1.0)
    pullback(value)
    assert nodes[0]() is not None
    del pullback
    assert nodes[0]() is None


@pytest.mark.usefixtures("_no_collector")
def test_graph_dies_after_an_error() -> None:
    nodes: list[weakref.ref[Any]] = []

    def f(x: Any) -> Any:
        y = np.exp(x)
        nodes.append(weakref.ref(y))
        return y

    with pytest.raises(ShapeError):
        grad(f)(np.ones(3))
    assert nodes[0]() is None


@pytest.mark.usefixtures("_no_collector")
def test_nothing_is_left_of_any_transform() -> None:
    x, v = np.ones(3), np.arange(3.0)
    f = lambda x: np.sum(np.tanh(x) * np.exp(x[::-1]) / np.max(x * x))  # noqa: E731
    before = living()
    for transform in (
        lambda: grad(f)(x),
        lambda: grad(grad(lambda x: x * np.sin(x)))(2.0),
        lambda: vjp(np.exp, x)[1](v),
        lambda: jvp(f, (x,), (v,)),
        lambda: hvp(f, (x,), (v,)),
        lambda: hessian(f)(x),
        lambda: jacobian(np.sin)(x),
        lambda: grad(checkpoint(f))(x),
        lambda: stage(f, x)(v),
        lambda: trace(grad(f), x)(v + 1),
        lambda: check_grads(f, (x + v,)),
    ):
        transform()
        assert living() == before


@pytest.mark.usefixtures("_no_collector")
def test_repeated_gradients_need_no_more_memory() -> None:
    x = np.ones(1000)
    f = grad(lambda x: np.sum(np.tanh(x) * np.exp(x)))
    f(x)
    tracemalloc.start()
    try:
        f(x)
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            f(x)
        grown = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
    assert grown < 200 * 8000 / 10  # a leak would be an array of 8000 bytes a call, or several


@pytest.mark.usefixtures("_no_collector")
def test_values_die_as_the_walk_of_grad_passes_them() -> None:
    used: list[int] = []
    alive: list[int] = []
    values: list[weakref.ref[Any]] = []

    @primitive
    def milestone(x: Any) -> Any:
        result = 1.5 * x
        values.append(weakref.ref(result))
        return result

    def rule(g: Any, ans: Any, x: Any) -> Any:
        used.append(tracemalloc.get_traced_memory()[0])
        alive.append(sum(value() is not None for value in values))
        return 1.5 * g

    defvjp(milestone, rule)

    def f(x: Any) -> Any:
        for _ in range(100):
            x = milestone(x)
        return np.sum(x)

    tracemalloc.start()
    try:
        grad(f)(np.ones(10_000))
    finally:
        tracemalloc.stop()
    # At each milestone, those behind it on the way back are gone; the one passed last may still be held.
    assert all(now <= 101 - i for i, now in enumerate(alive))
    assert alive[-1] <= 2
    assert used[-1] < used[0] / 10


@pytest.mark.usefixtures("_no_collector")
def test_walk_needs_no_more_memory_than_the_graph() -> None:
    """What the walk holds at any time is the front of it: two arrays where the chain has a hundred."""
    used: list[int] = []

    @primitive
    def witnessed(x: Any) -> Any:
        return 1.5 * x

    def rule(g: Any, ans: Any, x: Any) -> Any:
        used.append(tracemalloc.get_traced_memory()[0])
        return 1.5 * g

    defvjp(witnessed, rule)

    def f(x: Any) -> Any:
        for _ in range(100):
            x = witnessed(x)
        return np.sum(x)

    tracemalloc.start()
    try:
        grad(f)(np.ones(10_000))
    finally:
        tracemalloc.stop()
    assert max(used) - used[0] < 3 * 80_000


# Broadcasting.


BROADCASTS = [((3, 4), (4,)), ((3, 1), (3, 4)), ((), (2, 3)), ((1, 1), (2, 3)), ((2, 1, 3), (4, 1)), ((1,), (0,))]


@pytest.mark.parametrize(("x", "y"), BROADCASTS)
def test_gradient_is_summed_to_the_shape_of_its_operand(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    _, pullback = vjp(np.add, np.zeros(x), np.zeros(y))
    g = np.random.default_rng(4).integers(-9, 9, np.broadcast_shapes(x, y)).astype(float)
    for gradient, shape in zip(pullback(g), (x, y), strict=True):
        want = np.zeros(shape)
        copied_from = np.broadcast_to(np.arange(want.size).reshape(shape), g.shape)
        np.add.at(want.reshape(-1), copied_from, g)
        assert bits(gradient) == bits(want)


def test_rules_leave_broadcasting_to_the_walker() -> None:
    g, x, y = np.ones((3, 4)), np.ones(4), np.ones((3, 1))
    inner = {"matmul", "vecdot"}  # these match some axes instead of broadcasting them
    seen = set()
    for function, name in OWN_RULES.items():
        if isinstance(function, np.ufunc) and RULES[function].broadcasts and function.nin == 2 and name not in inner:
            operands = (x, y.astype(int)) if name == "ldexp" else (x, y)
            for rule in RULES[function].vjps:
                assert rule is None or np.shape(rule(g, g, *operands)) == (3, 4)
            seen.add(name)
    assert {"add", "power", "maximum", "arctan2", "ldexp"} <= seen


def test_rules_do_not_know_of_unbroadcasting() -> None:
    for path in Path(rules.__file__).parent.glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert "unbroadcast" not in names


def test_rule_of_ones_own_may_stay_broadcast() -> None:
    @primitive
    def halfway(x: Any, y: Any) -> Any:
        return (x + y) / 2

    defvjp(halfway, lambda g, ans, x, y: g / 2, lambda g, ans, x, y: g / 2, broadcasts=True)
    _, pullback = vjp(halfway, np.zeros((3, 1)), np.zeros(4))
    assert [d.tolist() for d in pullback(np.ones((3, 4)))] == [[[2], [2], [2]], [1.5, 1.5, 1.5, 1.5]]


# Rules of one's own.


@pytest.fixture
def doubled() -> Function:
    @primitive
    def doubled(x: Any) -> Any:
        return 2 * x

    return doubled


@pytest.mark.parametrize(
    ("rule", "broadcasts"),
    [
        (lambda g, ans, x: g[:2], False),
        (lambda g, ans, x: g[None], False),
        (lambda g, ans, x: g[0], True),
        (lambda g, ans, x: g[:2], True),
        (lambda g, ans, x: g[:, None], True),
    ],
)
def test_rule_of_the_wrong_shape_is_named(doubled: Function, rule: Function, broadcasts: bool) -> None:
    defvjp(doubled, rule, broadcasts=broadcasts)
    with pytest.raises(ShapeError, match=r"the rule of .*doubled returned shape .* for an operand of shape \(3,\)"):
        grad(lambda x: np.sum(doubled(x)))(np.ones(3))


def test_rule_of_the_transposed_shape_is_named(doubled: Function) -> None:
    defvjp(doubled, lambda g, ans, x: g.T, broadcasts=True)
    with pytest.raises(ShapeError, match=r"returned shape \(4, 3\) for an operand of shape \(3, 4\)"):
        grad(lambda x: np.sum(doubled(x)))(np.ones((3, 4)))


def test_primitive_of_plain_arrays_is_the_function_itself(doubled: Function) -> None:
    assert doubled(3) == 6


def test_primitive_without_rules_is_refused(doubled: Function) -> None:
    with pytest.raises(
        UnsupportedError, match=r"doubled is a primitive without a derivative rule; give it one by defvjp"
    ):
        grad(lambda x: x + doubled(x))(1.0)


def test_primitive_without_rules_may_return_decisions() -> None:
    @primitive
    def positive(x: Any) -> Any:
        return x > 0

    assert grad(lambda x: np.where(positive(x), x, 0.0))(1.0) == 1


def test_primitive_with_no_rule_for_any_operand_is_a_constant(doubled: Function) -> None:
    defvjp(doubled, lambda g, ans, x: g * 2)
    defvjp(doubled, None)
    assert grad(lambda x: x + doubled(x))(1.0) == 1


def test_primitive_is_differentiated_twice(doubled: Function) -> None:
    defvjp(doubled, lambda g, ans, x: g * 2)
    assert grad(grad(lambda x: doubled(x) * doubled(x)))(1.0) == 8


def test_primitive_takes_parameters_by_keyword() -> None:
    @primitive
    def scaled(x: Any, factor: float = 2.0) -> Any:
        return factor * x

    defvjp(scaled, lambda g, ans, x, factor=2.0: g * factor)
    assert (grad(scaled)(1.0), grad(lambda x: scaled(x, factor=5.0))(1.0)) == (2, 5)


def test_primitive_takes_a_list_of_arrays() -> None:
    @primitive
    def total(arrays: Any) -> Any:
        return sum(np.sum(array) for array in arrays)

    defvjp(total, lambda g, ans, arrays: [g * np.ones(np.shape(array)) for array in arrays])
    assert grad(lambda x: total([x, np.ones(2), x * x]))(3.0) == 7


def test_a_primitive_defined_again_takes_the_place_of_the_earlier_one() -> None:
    """As in a notebook, of which a cell is run twice; a program of the earlier one would run the later."""

    def cell(factor: float) -> Function:
        @primitive
        def same_name(x: Any) -> Any:
            return factor * x

        defvjp(same_name, lambda g, ans, x: g * factor)
        return same_name

    earlier, later = cell(2.0), cell(3.0)
    assert grad(later)(1.0) == 3
    assert earlier(1.0) == 2
    with pytest.raises(UnsupportedError, match="same_name was defined again, and this is the earlier one"):
        grad(earlier)(1.0)


def test_a_rule_for_what_is_no_primitive_is_refused() -> None:
    def straight(x: Any) -> Any:
        return np.round(x)

    with pytest.raises(TypeError, match="straight is a plain function, of which calls go unseen; make it a primitive"):
        defvjp(straight, lambda g, ans, x: g)


def test_a_primitive_may_return_a_number_of_python_but_not_several_arrays() -> None:
    @primitive
    def exact_sum(x: Any) -> Any:
        return math.fsum(x.tolist())

    @primitive
    def twice(x: Any) -> Any:
        return x, x

    defvjp(exact_sum, lambda g, ans, x: g * np.ones_like(x))
    defvjp(twice, lambda g, ans, x: g)
    assert grad(exact_sum)(np.ones(3)).tolist() == [1, 1, 1]
    with pytest.raises(ShapeError, match="twice returned a tuple; let it return one array"):
        grad(twice)(1.0)


# Threads.


def test_threads_agree_with_each_other_bit_for_bit() -> None:
    x = np.random.default_rng(5).standard_normal((6, 6))

    def gradients(_: int) -> Any:
        f = grad(lambda x: np.sum(np.tanh(x @ x) * np.exp(-x)))
        first = [bits(f(x + i)) for i in range(20)]
        second = [grad(lambda x: np.sum(f(x) * x))(x), *hvp(lambda x: np.sum(np.sin(x @ x)), (x,), (x,))]
        staged = stage(lambda x: np.sum(np.tanh(x @ x) * np.exp(-x)), x)
        return first + [bits(g) for g in (*second, jvp(np.tanh, (x,), (x,))[1], staged(x)[1][0])]

    alone = gradients(0)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(gradients, range(8))) == [alone] * 8


def test_pullback_shared_by_threads_gives_each_its_own() -> None:
    x = np.random.default_rng(6).standard_normal((6, 6))
    _, pullback = vjp(lambda x: np.tanh(x @ x) * x, x)
    cotangents = [np.full((6, 6), float(i)) for i in range(8)]
    alone = [bits(pullback(g)[0]) for g in cotangents]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda g: bits(pullback(g)[0]), cotangents)) == alone
