"""``stage``: the source that it writes, and that this source computes what the engine does, to the last bit."""

from __future__ import annotations

import ast
import gc
import itertools
import pickle
import re
import sys
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
import scipy.special

import minigrad as mg
from minigrad import (
    ConversionError,
    DtypeError,
    Program,
    ShapeError,
    Tensor,
    TracedControlFlowError,
    UnsupportedError,
    grad,
    hvp,
    stage,
    trace,
    value_and_grad,
    vjp,
)
from minigrad.programs.compiling import as_run
from minigrad.programs.staging import Staged
from minigrad.programs.tracing import follow
from minigrad.protocol import Function
from tests.support import assert_close, bits, scratch_registry

# The source.


def figure(x: Any, y: Any) -> Any:
    return (x + mg.sigmoid(y)) / (mg.sigmoid(x) + (x + y) ** 2)


FIGURE = """\
import numpy as np
from minigrad.gates import sigmoid, sigmoid_slope

def staged(x, y):
    # forward pass
    v1 = sigmoid(y)                #(1)
    v2 = x + v1                    #(2)
    v3 = sigmoid(x)                #(3)
    v4 = x + y                     #(4)
    v5 = v4 * v4                   #(5)
    v6 = v3 + v5                   #(6)
    v7 = v2 / v6                   #(7)
    # backward pass
    dv2 = 1.0 / v6                 #(7)
    dv6 = -v7 / v6                 #(7)
    dv3 = dv6                      #(6)
    dv5 = dv6                      #(6)
    dv4 = 2 * dv5 * v4             #(5)
    dx = dv4                       #(4)
    dy = dv4                       #(4)
    dx += dv3 * sigmoid_slope(x)   #(3)
    dx += dv2                      #(2)
    dv1 = dv2                      #(2)
    dy += dv1 * sigmoid_slope(y)   #(1)
    return v7, (dx, dy)"""


def test_source_of_the_figure() -> None:
    assert stage(figure, 3.0, -4.0).source == FIGURE


def test_staged_figure_has_the_value_and_gradients_of_the_figure() -> None:
    staged = stage(figure, 1.0, 1.0)  # the example's shapes matter, not its numbers
    assert staged(3.0, -4.0) == value_and_grad(figure, (0, 1))(3.0, -4.0)
    assert staged(3.0, -4.0) == (1.5456448841066441, (2.0595697955721652, 1.5922327514838093))


SOURCES = {
    "product of a value with itself": (
        lambda x: x * x,
        (3.0,),
        ["v1 = x * x   #(1)", "dx = x       #(1)", "dx += x      #(1)", "return v1, (dx,)"],
    ),
    "sum of a value with itself": (
        lambda x: x + x,
        (3.0,),
        ["v1 = x + x   #(1)", "dx = 1.0     #(1)", "dx += 1.0    #(1)", "return v1, (np.float64(dx),)"],
    ),
    "integers": (
        lambda x, n: x * n,
        (3.0, 2),
        ["v1 = x * n     #(1)", "dx = 1.0 * n   #(1)", "return v1, (dx, None)"],
    ),
    "ignored argument": (
        lambda x, y: -y,
        (3.0, 2.0),
        ["v1 = -y     #(1)", "dy = -1.0   #(1)", "return v1, (np.float64(0.0), np.float64(dy))"],
    ),
    "subtraction at a fork": (
        lambda x, y: x * y - x,
        (3.0, 2.0),
        [
            "v1 = x * y    #(1)",
            "v2 = v1 - x   #(2)",
            "dv1 = 1.0     #(2)",
            "dx = -1.0     #(2)",
            "dx += y       #(1)",
            "dy = x        #(1)",
            "return v2, (dx, dy)",
        ],
    ),
}


@pytest.mark.parametrize(("f", "args", "lines"), SOURCES.values(), ids=SOURCES)
def test_lines_of_the_source(f: Function, args: Any, lines: list[str]) -> None:
    body = stage(f, *args).source.splitlines()[3:]
    assert [line.strip() for line in body if "pass" not in line] == lines


def test_lines_of_a_matrix_product_are_those_of_the_notes() -> None:
    lines = stage(lambda W, X: np.sum(W @ X), np.ones((2, 3)), np.ones((3, 4))).source.splitlines()
    assert any(re.fullmatch(r" *dW = dv1 @ \(?X\)?\.T +#\(1\)", line) for line in lines)
    assert any(re.fullmatch(r" *dX = \(?W\)?\.T @ dv1 +#\(1\)", line) for line in lines)


def passes(source: str) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """The lines of the forward pass and of the backward pass, each with its number."""
    _, _, rest = source.partition("# forward pass\n")
    forward, _, backward = rest.partition("    # backward pass\n")

    def numbered(text: str) -> list[tuple[str, int]]:
        lines = [line for line in text.splitlines() if not line.startswith("    return")]
        return [(text.strip(), int(n)) for text, n in (re.fullmatch(r"(.*)#\((\d+)\)", x).groups() for x in lines)]  # type: ignore[union-attr]

    return numbered(forward), numbered(backward)


def perceptron(W1: Any, W2: Any, x: Any) -> Any:
    hidden = mg.relu(W1 @ x)
    return np.sum(mg.sigmoid(W2 @ hidden) ** 2) + 0.1 * (np.sum(W1 * W1) + np.sum(W2 * W2))


def residual(x: Any, y: Any) -> Any:
    for _ in range(3):
        x = x + np.tanh(x * y) - y / (1 + x * x)
    return np.sum(x * np.exp(y))


NOTED = {
    "figure": (figure, (3.0, -4.0)),
    "perceptron": (perceptron, (np.ones((3, 2)), np.ones((2, 3)), np.ones(2))),
    "residual": (residual, (np.ones((3, 4)), np.ones((3, 4)))),
    "gradient": (lambda x, y: np.sum(grad(residual)(x, y) * y), (np.ones(3), np.ones(3))),
}
EACH_NOTED = pytest.mark.parametrize(("f", "args"), NOTED.values(), ids=NOTED)


@EACH_NOTED
def test_forward_lines_count_up_and_backward_lines_down(f: Function, args: Any) -> None:
    forward, backward = passes(stage(f, *args).source)
    assert [n for _, n in forward] == list(range(1, len(forward) + 1))
    assert [text.split(" = ")[0] for text, _ in forward] == [f"v{n}" for _, n in forward]
    down = [n for _, n in backward]
    assert down == sorted(down, reverse=True)
    assert {*down} <= {n for _, n in forward}


def uses(text: str) -> Counter[str]:
    """How often an expression refers to each name."""
    return Counter(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


@pytest.mark.parametrize("name", ["figure", "residual"])
def test_gradients_are_added_to_exactly_where_values_fork(name: str) -> None:
    f, args = NOTED[name]
    staged = stage(f, *args)
    forward, backward = passes(staged.source)
    used = Counter[str]()
    for (text, _), step in zip(forward, staged.program.steps, strict=False):
        named = uses(text.split(" = ")[1])
        used += Counter(named.keys()) if step.function == "square" else named
    first, added = Counter[str](), Counter[str]()
    for text, _ in backward:
        target, _, value = text.partition(" ")
        # A sum of arrays that another name shares is spelled out: += would change both.
        joins = re.match(rf"[+-]= |= {target} [+-] ", value) is not None
        (added if joins else first)[target] += 1
        assert not joins or first[target] == 1
    values = [f"v{n}" for _, n in forward[:-1]] + ["x", "y"]
    shared = {t for t in first if t.startswith("t")}  # contributions that are sent twice
    assert {name: n for name, n in first.items() if name not in shared} == {f"d{v}": 1 for v in values}
    assert added == {f"d{v}": used[v] - 1 for v in values if used[v] > 1}


@pytest.mark.parametrize(
    ("f", "call"),
    [
        (lambda x, y: np.exp(x * y), "np.exp("),
        (lambda x, y: np.sqrt(x * y), "np.sqrt("),
        (lambda x, y: np.tan(x * y), "np.tan("),
        (lambda x, y: 1 / (x * y), "x * y"),
        (lambda x, y: mg.sigmoid(x) * y, "sigmoid(x)"),
        (lambda x, y: (x / y) / y, "x / y"),
        (lambda x, y: np.hypot(x, y), "v1 = np.hypot(x, y)"),
    ],
)
def test_forward_values_are_not_computed_again(f: Function, call: str) -> None:
    assert stage(f, 3.0, 2.0).source.count(call) == 1


def test_factor_one_is_left_out_and_multiplication_by_it_too() -> None:
    _, backward = passes(stage(lambda x, y: x * 1.0 + y, 3.0, 2.0).source)
    assert not any("*" in text for text, _ in backward)


def test_reductions_are_written_as_methods_and_new_axes_as_indices() -> None:
    lines = stage(lambda x: np.mean(np.log(np.sum(np.exp(x), axis=-1))), np.ones((2, 3))).source
    assert "v2 = v1.sum(axis=-1) " in lines
    assert "v4 = v3.sum() / 2 " in lines
    assert "dv1 = dv2[:, None] " in lines


@pytest.mark.parametrize("axis", [0, 1, -1, -2, (0, 2), (-1, 0), ()])
def test_new_axes_are_where_expand_dims_puts_them(axis: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.expand_dims(np.sin(x), axis) * y

    x = np.arange(3.0)
    y = np.ones((2, *np.expand_dims(x, axis).shape))
    assert all_bits(stage(f, x, y)(x, y, y)) == all_bits((f(x, y), vjp(f, x, y)[1](y)))


def test_number_that_every_use_repeats_stays_a_number() -> None:
    source = stage(lambda x, y: np.mean(np.sum(x * y, axis=1)), *np.ones((2, 4, 5))).source
    assert "broadcast_to" not in source
    assert "dx = 0.25 * y " in source


def test_no_variable_outlives_its_last_use() -> None:
    def chain(x: Any) -> Any:
        for _ in range(40):
            x = x + 1.0
        return np.sum(x)

    x = np.ones(100_000)
    staged = stage(chain, x)
    tracemalloc.start()
    try:
        staged(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * x.nbytes


# Source that stands on its own.


STANDALONE = {
    **NOTED,
    "small constants": (lambda x: np.sum(x * np.arange(3.0) + np.array([[0.1], [-np.inf]])), (np.ones(3),)),
    "specials": (lambda x: np.sum(np.minimum(x, [np.inf, -0.0, 5e-324]) * 1e300), (np.ones(3),)),
    "float32": (lambda x: np.sum(x * np.float32(0.1) * np.array([1, 1e-45, 3], np.float32)), (np.ones(3, np.float32),)),
    "index": (lambda x: np.sum(x[np.array([0, 0, 2])] * x[::-1] + x[..., None]), (np.ones(3),)),
    "sorted": (lambda x: np.sum(np.sort(x) * np.arange(3.0)), (np.array([3.0, 1.0, 2.0]),)),
    "solved": (lambda A, b: np.sum(np.linalg.solve(A, b) ** 2), (np.eye(3) * 2, np.ones(3))),
    "gates": (lambda x: np.sum(mg.softmax(x) * mg.log_softmax(x) + mg.softplus(x)), (np.ones(3),)),
}


@pytest.mark.parametrize(("f", "args"), STANDALONE.values(), ids=STANDALONE)
def test_source_runs_on_its_own(f: Function, args: Any) -> None:
    staged = stage(f, *args)
    scope: dict[str, Any] = {}
    exec(staged.source, scope)
    assert all_bits(scope["staged"](*map(as_given, args))) == all_bits(staged(*args))


@pytest.mark.parametrize(("f", "args"), STANDALONE.values(), ids=STANDALONE)
def test_source_imports_only_numpy_and_minigrad(f: Function, args: Any) -> None:
    modules = set()
    for node in ast.parse(stage(f, *args).source).body:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).split(".")[0])
    assert modules <= {"numpy", "minigrad"}


def as_given(x: Any) -> Any:
    return np.asarray(x)[()]


def all_bits(result: Any) -> Any:
    return [all_bits(item) for item in result] if isinstance(result, (list, tuple)) else bits(result)


def assert_as_unstaged(staged: Staged, got: Any, want: Any) -> None:
    """In every bit; to rounding where the engine computes a value several times that is computed once here."""
    if not staged.reordered:
        assert all_bits(got) == all_bits(want)
    else:
        (value, gradients), (wanted, others) = got, want
        small = 1e-4 if np.asarray(wanted).dtype == np.float32 else 1e-12
        assert_close([value, *gradients], [wanted, *others], rtol=small)


# Bit for bit what the engine computes.


def either_sign(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    x = np.random.default_rng(seed).uniform(0.2, 1.5, shape) * np.random.default_rng(seed + 1).choice([-1, 1], shape)
    return x.astype(dtype)[()]


ANY = [(), (3,), (3, 4)]
ARRAYS = ANY[1:]
MATRIX = ANY[2:]

# Functions of two operands of one shape.  Some ignore the second: its gradient is zero.
EQUAL: dict[str, tuple[Function, list[tuple[int, ...]]]] = {
    "arithmetic": (lambda x, y: (x + 2.0) * y - x / (y - 3) + 3 * x * y - (-y), ANY),
    "powers": (lambda x, y: x**2 + y**3 + x**-1 + abs(x) ** 0.5 + abs(x) ** y, ANY),
    "exponentials": (lambda x, y: np.exp(x) * np.expm1(y) + np.exp2(x) + np.log(abs(x)) + np.log1p(abs(y)), ANY),
    "circular": (lambda x, y: np.sin(x) * np.cos(y) + np.tan(x) + np.arctan2(x, y) + np.arcsin(x / 2), ANY),
    "hyperbolic": (lambda x, y: np.tanh(x) * np.sinh(y) + np.cosh(x) + np.arcsinh(y), ANY),
    "extremes": (lambda x, y: np.maximum(x, y) * np.minimum(x, 0.5) + np.clip(y, -1, 1) + np.hypot(x, y), ANY),
    "branches": (lambda x, y: np.where(x > y, x * x, np.sin(y)) + np.abs(x), ANY),
    "gates": (lambda x, y: mg.sigmoid(x) * mg.relu(y) + mg.softplus(x * y) + np.logaddexp(x, y), ANY),
    "piecewise constant": (lambda x, y: x * np.sign(y) + np.floor(x) * y, ANY),
    "used many times": (lambda x, y: x * x * x * y * x + y * x * y * y, ANY),
    "linear in places": (lambda x, y: x * x * x * y * x + y + x + y, ANY),
    "linear at the end": (lambda x, y: x * y - x / y + 3 * x - (-y), ANY),
    "times a constant": (lambda x, y: x * y + 3 * x, ANY),
    "kinks at a fork": (lambda x, y: 5 * x + mg.relu(x + y) + np.where(x > y, x, y) * y, ANY),
    "functional update": (lambda x, y: x.at[1:].set(2.0) * y.at[[0, 0]].add(x[:2]), ARRAYS),
    "quantiles": (lambda x, y: np.quantile(x, 0.3, axis=0) * y, ARRAYS),
    "ignored": (lambda x, y: np.sin(x), ANY),
    "identity": (lambda x, y: y, ANY),
    "constant": (lambda x, y: 0 * np.floor(x) + 2.5, ANY),
    "sums": (lambda x, y: np.sum(x) * np.mean(y) + np.sum(x * y, axis=-1, keepdims=True), ARRAYS),
    "other reductions": (
        lambda x, y: np.prod(x, axis=0) + np.max(y, axis=0) * np.min(x) - np.var(y) + np.std(x),
        ARRAYS,
    ),
    "running": (lambda x, y: np.cumsum(x, axis=0) * np.cumprod(y, axis=-1) + np.diff(x, axis=0)[0], ARRAYS),
    "normalised": (lambda x, y: mg.softmax(x) * mg.log_softmax(y, axis=0) + mg.logsumexp(x), ARRAYS),
    "norms": (lambda x, y: np.linalg.norm(x) * y + np.linalg.norm(y, axis=0), ARRAYS),
    "broadcasting": (lambda x, y: x[..., None] * y + np.broadcast_to(x, (2, *x.shape))[1] * 3, [(3,)]),
    "slices": (lambda x, y: x[::-1] * y[1:2] + x[..., -1:], ARRAYS),
    "repeated index": (lambda x, y: x[np.array([0, 2, 2])] * y[[1, 0, 1]] + x[None, 0], ARRAYS),
    "traced index": (lambda x, y: x[np.argsort(y[..., 0] if y.ndim > 1 else y)] + x[np.argmax(y) % 3], ARRAYS),
    "joined": (lambda x, y: np.concatenate([x, y, x * y])[1:7] + np.stack([y, x])[0, 0], ARRAYS),
    "sorted": (lambda x, y: np.sort(x, axis=0) * y + np.sort(y), ARRAYS),
    "median": (lambda x, y: np.median(x) * y + np.sort(y, axis=0)[0], ARRAYS),
    "moved": (lambda x, y: np.roll(x, 1) * np.flip(y) + np.repeat(x, 2, axis=0)[::2] + np.tile(y, 1), ARRAYS),
    "shapes": (lambda x, y: np.reshape(x, (2, -1)).T @ np.reshape(y, (2, 6)) + x.T[0, 0], MATRIX),
    "products": (lambda x, y: x @ y.T @ x + np.einsum("ij,kj->ik", x, y) @ y, MATRIX),
    "vector products": (
        lambda x, y: x[0] @ y.T + x @ y[1] + np.dot(x[0], y[0]) * np.outer(x[:, 0], y[0])[:, 0],
        MATRIX,
    ),
    "linear systems": (lambda x, y: np.linalg.solve(x @ x.T + np.eye(3, dtype=x.dtype), y) @ y.T, MATRIX),
    "inverses": (lambda x, y: np.linalg.inv(x @ x.T + 2 * np.eye(3, dtype=x.dtype)) @ y, MATRIX),
    "determinants": (lambda x, y: np.linalg.det(x @ y.T) * np.linalg.slogdet(x @ x.T + np.eye(3))[1], MATRIX),
    "factors": (lambda x, y: np.linalg.cholesky(x @ x.T + np.eye(3, dtype=x.dtype)) @ y, MATRIX),
    "eigenvalues": (lambda x, y: np.linalg.eigh(x @ x.T)[0] * np.linalg.eigh(y @ y.T)[1], MATRIX),
}
EACH_AT_EACH_SHAPE = pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        (name, shape, dtype)
        for name, (_, shapes) in EQUAL.items()
        for shape in shapes
        for dtype in ("float64", "float32")
    ],
)


@EACH_AT_EACH_SHAPE
def test_staged_equals_value_and_grad_bit_for_bit(name: str, shape: tuple[int, ...], dtype: str) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(EQUAL[name][0](x, y))

    example, args = (tuple(either_sign(shape, dtype, seed) for seed in seeds) for seeds in ((1, 2), (3, 4)))
    staged = stage(f, *example)
    assert_as_unstaged(staged, staged(*args), value_and_grad(f, (0, 1))(*args))


@EACH_AT_EACH_SHAPE
def test_staged_with_a_cotangent_equals_vjp_bit_for_bit(name: str, shape: tuple[int, ...], dtype: str) -> None:
    f = EQUAL[name][0]
    example, args = (tuple(either_sign(shape, dtype, seed) for seed in seeds) for seeds in ((1, 2), (3, 4)))
    value, pullback = vjp(f, *args)
    cotangent = either_sign(np.shape(value), np.asarray(value).dtype.name, 5)
    staged = stage(f, *example, cotangent=np.ones_like(value))
    assert_as_unstaged(staged, staged(*args, cotangent), (value, pullback(cotangent)))


@pytest.mark.parametrize(
    "name", ["arithmetic", "exponentials", "hyperbolic", "gates", "sums", "joined", "linear systems"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_staged_gradient_of_a_gradient(name: str, dtype: str) -> None:
    f, shapes = EQUAL[name]

    def slope(x: Any, y: Any) -> Any:
        return np.sum(grad(lambda x: np.sum(f(x, y)))(x) * y)

    example, args = (tuple(either_sign(shapes[-1], dtype, seed) for seed in seeds) for seeds in ((1, 2), (3, 4)))
    staged = stage(slope, *example)
    assert_as_unstaged(staged, staged(*args), value_and_grad(slope, (0, 1))(*args))


def test_third_derivative_staged() -> None:
    third = grad(grad(grad(lambda x: np.sin(x) * x)))
    staged = stage(third, 0.5)
    assert_as_unstaged(staged, staged(1.5), (third(1.5), (grad(third)(1.5),)))


@pytest.mark.parametrize("name", NOTED)
def test_second_call_gives_the_same_bits(name: str) -> None:
    f, args = NOTED[name]
    staged = stage(f, *args)
    assert all_bits(staged(*args)) == all_bits(staged(*args))


def test_staged_where_follows_the_argument_not_the_example() -> None:
    staged = stage(lambda x: np.where(x > 0, x * x, -x), 1.0)
    assert [staged(x) for x in (3.0, -3.0)] == [(9, (6,)), (3, (-1,))]


# Layouts and memory.


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["arithmetic", "sums", "slices", "shapes", "products", "moved"])
def test_layout_of_the_arguments_is_free(name: str, order: Any) -> None:
    """Source that was written for one layout may not add in place where another one makes views."""
    f = EQUAL[name][0]
    one, other = "FC" if order == "C" else "CF"
    x, y = (either_sign((3, 4), "float64", seed) for seed in (3, 4))
    staged = stage(lambda x, y: np.sum(f(x, y)), *(np.array(a, order=one) for a in (x, y)))
    want = value_and_grad(lambda x, y: np.sum(f(x, y)), (0, 1))(np.array(x, order=other), np.array(y, order=other))
    assert all_bits(staged(np.array(x, order=other), np.array(y, order=other))) == all_bits(want)


SHARING: dict[str, Function] = {
    "sum": lambda x, y: x + y,
    "sum of sums": lambda x, y: (x + y) + (x + y),
    "copies": lambda x, y: +x + np.copy(y),
    "reshaped": lambda x, y: np.reshape(x, (4, 3)) + np.reshape(y, (4, 3)),
    "transposed": lambda x, y: x.T + np.transpose(y),
    "joined": lambda x, y: np.concatenate([x, y])[:3] + y,
    "stacked": lambda x, y: np.stack([x, y])[0] + y,
    "sliced": lambda x, y: x[:, ::-1] + y[::-1],
    "broadcast": lambda x, y: np.broadcast_to(x, (2, 3, 4)) + y,
    "constant": lambda x, y: x * np.arange(4.0) + y * np.arange(4.0),
    "ignored": lambda x, y: np.sin(x),
    "itself": lambda x, y: x,
    "each other": lambda x, y: x * y,
}


def read_only(x: Any) -> Any:
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("f", SHARING.values(), ids=SHARING)
@pytest.mark.parametrize("with_cotangent", [False, True])
def test_gradients_share_no_memory(f: Function, with_cotangent: bool) -> None:
    x, y = (read_only(either_sign((3, 4), "float64", seed)) for seed in (3, 4))
    args: tuple[Any, ...] = (x, y)
    if with_cotangent:
        staged = stage(f, x, y)
        args += (read_only(np.ones(np.shape(f(Tensor(x), y)))),)
    else:
        staged = stage(lambda x, y: np.sum(f(x, y)), x, y)
    before = all_bits(args)
    value, gradients = staged(*args)
    for a, b in itertools.product(gradients, (value, *args)):
        assert not np.shares_memory(a, b)
    assert not np.shares_memory(*gradients)
    assert all_bits(args) == before


@pytest.mark.parametrize("f", SHARING.values(), ids=SHARING)
def test_gradients_may_be_written_to_between_calls(f: Function) -> None:
    """Constants and what a gradient was computed from must not change along."""
    x, y = (either_sign((3, 4), "float64", seed) for seed in (3, 4))
    staged = stage(lambda x, y: np.sum(f(x, y)), x, y)
    first = all_bits(staged(x, y))
    for gradient in staged(x, y)[1]:
        gradient += 1
    assert all_bits(staged(x, y)) == first


def test_staged_gradients_at_a_fork_of_numbers_do_not_change_along() -> None:
    """np.where gives 0-d arrays, which += would change in place under every name that they have."""
    staged = stage(lambda x, y: x * 5.0 + mg.relu(x + y), 1.0, 2.0)
    assert staged(1.0, 2.0) == (8, (6, 1))


def test_staged_0d_argument_is_not_written_to() -> None:
    x = np.array(2.0)
    value, (dx,) = stage(lambda x: x * x, 2.0)(x)
    assert (value, dx, x) == (4, 4, 2)
    assert not np.shares_memory(dx, x)


def test_staged_constant_value_may_be_written_to_between_calls() -> None:
    staged = stage(lambda x: np.arange(3.0), 1.0)
    value, _ = staged(1.0, np.ones(3))
    value += 1
    assert staged(1.0, np.ones(3))[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("f", [lambda x: x, lambda x: 2.0 * x, lambda x: x + x, lambda x: 5.0, lambda x: x * x])
def test_staged_numbers_are_those_of_numpy(f: Function) -> None:
    value, (gradient,) = stage(f, 2.0)(2.0)
    assert (type(value), type(gradient)) == (np.float64, np.float64)


UNARY = [
    np.sin,
    np.exp,
    mg.relu,
    mg.sigmoid,
    np.negative,
    np.abs,
    np.square,
    np.sum,
    np.cumsum,
    np.mean,
    np.max,
    np.copy,
]
UNARY += [lambda v: 2.0 * v, lambda v: 1.0 * v, lambda v: v + 0.0, lambda v: v / 1.0, lambda v: 3 - v, np.transpose]
UNARY += [
    lambda v: np.where(v > 0, v, 0.5),
    lambda v: np.reshape(v, -1),
    lambda v: v[...],
    lambda v: v[None],
    np.squeeze,
    lambda v: np.moveaxis(v, [], []),
    lambda v: np.where(True, v, 0.0),
]
BINARY = [
    np.add,
    np.subtract,
    np.multiply,
    np.maximum,
    lambda a, b: np.where(a > b, a, b),
    lambda a, b: a / (b * b + 1),
]


@pytest.mark.parametrize(
    "shapes", [[(), ()], [(3,), (3,)], [(2, 3), (3,)], [(3,), ()], [(1,), (3,)], [(), (2, 2)]], ids=str
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_random_functions_staged_equal_value_and_grad_bit_for_bit(shapes: Any, dtype: str) -> None:
    exactly = 0
    for seed, order in itertools.product(range(40), (1, 2)):

        def f(*args: Any, seed: int = seed) -> Any:
            random = np.random.default_rng(seed)
            values = list(args)
            for _ in range(random.integers(2, 10)):
                a, b = (values[random.integers(len(values))] for _ in range(2))
                if random.random() < 0.45:
                    values.append(UNARY[random.integers(len(UNARY))](a))
                elif all(1 in pair or pair[0] == pair[1] for pair in zip(np.shape(a)[::-1], np.shape(b)[::-1])):  # noqa: B905
                    values.append(BINARY[random.integers(len(BINARY))](a, b))
            return sum(np.sum(value) for value in values[-3:])

        def slope(*args: Any, f: Function = f) -> Any:
            return sum(np.sum(part * part) for part in grad(f, (0, 1))(*args))

        asked = f if order == 1 else slope
        args = [either_sign(shape, dtype, seed) for shape in shapes]
        before = all_bits(args)
        staged = stage(asked, *args)
        exactly += not staged.reordered
        value, gradients = staged(*args)
        expected = value_and_grad(asked, (0, 1))(*args)
        assert_as_unstaged(staged, (value, gradients), expected)
        assert [*map(type, gradients)] == [*map(type, expected[1])], seed
        assert all_bits(args) == before, seed
        arrays = [a for a in (*gradients, *args) if isinstance(a, np.ndarray)]
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2)), seed
    assert exactly >= 20


def test_a_number_that_moving_axes_makes_an_array_of_does_not_change_along() -> None:
    """np.where makes a 0-d array, and moving its axes another name for that."""

    def f(x: Any) -> Any:
        v = np.percentile(x, 30.0)
        return v * v * v

    staged = stage(grad(f), 0.6)
    value, gradient = value_and_grad(grad(f))(0.6)
    assert_as_unstaged(staged, staged(0.6), (value, (gradient,)))


def test_a_power_to_a_number_that_is_an_argument_is_staged_bit_for_bit() -> None:
    x = np.linspace(0.3, 4.0, 200)
    assert_bit_for_bit(lambda x, y: np.sum(np.power(x, y)), x, 2.6)


@pytest.mark.parametrize("x", np.linspace(0.3, 4.0, 40).astype(np.float32))
def test_a_power_of_one_number_is_staged_bit_for_bit(x: Any) -> None:
    """NumPy's numbers have an operator that rounds otherwise than its arrays do."""
    assert_bit_for_bit(lambda x: np.power(x, -1.0), x)


@pytest.mark.parametrize("n", [6, 7, 8, 9])
def test_a_constant_keeps_the_order_in_which_it_lies_in_memory(n: int) -> None:
    """By which a sum adds up; up to 64 numbers are in the source."""
    c = np.random.default_rng(n).standard_normal((n, n)).astype(np.float32).T
    assert_bit_for_bit(lambda x: np.sum(np.sin(c * x)), np.float32(0.7))


def test_a_sum_is_taken_off_a_gradient_that_is_shared_as_a_whole() -> None:
    """The cotangent's own part is not written to: dx = dx - (... + ...)."""
    x, cotangent = np.array([0.3, 0.7]), np.array([[1.0, 2.0], [5.0, 7.0]])
    with scratch_registry():

        @mg.primitive
        def falling(x: Any) -> Any:
            return -(2 * x + 1.5 * x * x)

        mg.defvjp(falling, lambda g, ans, x: -(g * 2 + g * 3 * x))
        staged = stage(lambda x: np.stack([x, falling(x)]), x, cotangent=cotangent)
        assert_close(staged(x, cotangent)[1][0], cotangent[0] - cotangent[1] * (2 + 3 * x))


def test_a_sum_is_added_to_a_gradient_that_is_shared_as_a_whole() -> None:
    random = np.random.default_rng(1)
    x, cotangent = random.standard_normal((4, 4)), random.standard_normal((2, 4, 4))

    def f(x: Any) -> Any:
        return np.stack([np.maximum(np.linalg.pinv(x), 0.5), x])

    staged = stage(f, x, cotangent=cotangent)
    assert not staged.reordered
    assert bits(staged(x, cotangent)[1][0]) == bits(vjp(f, x)[1](cotangent)[0])


def test_a_constant_that_lies_in_memory_as_no_source_can_say_is_told_to_be_reordered() -> None:
    x, c = np.ones((4, 2)), np.broadcast_to(np.float64(0.1), (2, 1))
    assert stage(lambda x: np.sum(x @ c), x).reordered


@pytest.mark.parametrize(
    "f",
    [
        lambda p: np.sum(p * np.log(p)) + np.sum(mg.stop_gradient(p) * np.log(p)),
        lambda p: np.sum(p * p) + 3 * np.sum(p * mg.stop_gradient(p)),
        lambda p: 3 * np.sum(np.sin(p)) + 5 * np.sum(mg.checkpoint(lambda x: np.sin(mg.stop_gradient(x)))(p)),
    ],
)
def test_a_value_that_is_come_to_in_two_ways_has_two_gradients(f: Function) -> None:
    """The numbers are the same, and not what they are computed of."""
    x = np.array([0.2, 0.8])
    assert_close(stage(f, x)(x)[1], [grad(f)(x)])


@pytest.mark.parametrize("f", [lambda x: x, lambda x: 2.0])
def test_a_checkpoint_that_computes_nothing_is_refused(f: Function) -> None:
    with pytest.raises(UnsupportedError, match="leave checkpoint away"):
        stage(lambda x: 2 * x + 5 * mg.checkpoint(f)(x), 2.0)


def test_a_checkpoint_that_stops_all_gradients_is_staged() -> None:
    assert stage(lambda x: 2 * x + 5 * mg.checkpoint(mg.stop_gradient)(x), 2.0)(3.0) == (21, (2,))


def made(name: str, value: Function, rule: Function) -> Function:
    """A primitive of that name."""
    value.__name__ = name
    function = mg.primitive(value)
    mg.defvjp(function, rule)
    return function


@pytest.mark.parametrize("name", ["gaussian", "sigmoid_slope", "dx", "dv1", "v1", "t1", "c1", "np", "x", "staged"])
def test_a_primitive_may_be_called_as_anything_else_is_in_the_source(name: str) -> None:
    with scratch_registry():
        own = made(name, lambda x: np.tanh(x), lambda g, ans, x: g * (1 - ans * ans))

        def f(x: Any) -> Any:
            v = own(x)
            return v * mg.sigmoid(x) + scipy.special.erf(v * x)

        assert_bit_for_bit(f, 0.7)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"w": np.ones(2000)}, {"w": np.arange(2000.0)}),
        ({"w": np.array([1.0, 2.0])}, {"w": np.array([1.0, 2.0 + 1e-9])}),
        ({"w": [np.ones(2)]}, {"w": [np.array([1.0, 3.0])]}),
        ({"w": {"a": 2.0}}, {"w": {"a": 3.0}}),
        ({"w": "nan"}, {"w": "inf"}),
        ({"w": np.sin}, {"w": np.cos}),
    ],
    ids=["long", "near", "listed", "dict", "text", "function"],
)
def test_calls_with_other_parameters_are_two(given: Any, wanted: Any) -> None:
    def value(x: Any, w: Any = None) -> Any:
        first = w[0] if isinstance(w, list) else w["a"] if isinstance(w, dict) else float(len(w)) if w in TEXTS else w
        return x * (first(0.5) if callable(first) else first)

    TEXTS = ("nan", "inf") if isinstance(given["w"], str) else ()
    with scratch_registry():
        scaled = made("scaled", value, lambda g, ans, x, w=None: value(g, w))
        x = np.ones(np.shape(given["w"]) or 2)
        assert_bit_for_bit(lambda x: np.sum(scaled(x, **given)) + 10 * np.sum(np.sin(scaled(x, **wanted))), x)


def test_what_a_primitive_gives_is_not_written_to() -> None:
    """It may be what it was given, for other numbers than the example's, or what it keeps."""
    kept = np.array([1.0, 2.0, 3.0])

    def clipped(g: Any) -> Any:
        norm = np.sqrt(np.sum(g * g))
        return g if norm <= 1 else g / norm

    with scratch_registry():
        limit = made("limit", clipped, lambda h, ans, g: h)
        gate = made("gate", lambda x: x + 0.0, lambda g, ans, x: limit(g))
        table = made("table", lambda x: kept, lambda g, ans, x: 0 * g)
        linear = made("linear", lambda x: np.sum(kept * x), lambda g, ans, x: g * table(x))
        x, cotangent = np.ones(3), np.array([0.1, 0.2, 0.3])
        staged = stage(lambda x, y: y * 3.0 + (x * 2.0 + gate(x)), x, x, cotangent=np.full(3, 5.0))
        assert_close(staged(x, x, cotangent)[1], [3 * cotangent, 3 * cotangent])
        assert cotangent.tolist() == [0.1, 0.2, 0.3]
        staged = stage(lambda x: np.sum(x * x) + linear(x), x)
        assert [staged(x)[1][0].tolist() for _ in range(2)] == [[3, 4, 5]] * 2
        assert kept.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.sin(x)) + np.sum(x[:2] * 3.0),
        lambda x: np.sum(np.sin(x)) + np.sum(x * 2),
        lambda x: np.sum(np.sin(x) + np.where(x > 0, x, 0.0)),
    ],
)
def test_the_gradient_of_a_staged_gradient(f: Function) -> None:
    """A plain array that is one's own is not added to in place where a differentiated one is added."""
    x = np.ones(3)
    staged = stage(f, x)
    assert_close([grad(lambda x: np.sum(staged(x)[1][0]))(x)], [-np.sin(x)])


def test_a_primitive_may_give_a_number_of_python() -> None:
    with scratch_registry():
        squared = made("squared", lambda x: float(x) ** 2, lambda g, ans, x: g * 2 * x)
        assert stage(lambda x: np.sin(squared(x)), 1.5)(1.5)[0] == np.sin(2.25)


def test_staged_second_derivatives_of_what_sorts() -> None:
    v = np.array([3.0, 1.0, 2.0])
    staged = stage(lambda x: np.sum(hvp(lambda y: np.sum(np.sort(y) ** 3), (x,), (v,))[0]), v)
    assert staged(v)[0] == np.sum(6 * v * v)


def test_a_gradient_that_repeats_its_numbers_has_room_for_what_is_added() -> None:
    with scratch_registry():
        flat = made("flat", lambda x: np.exp(x), lambda g, ans, x: np.zeros_like(x))

        def f(x: Any) -> Any:
            v = flat(x)
            both = np.sum(np.sin(np.sum(v, 0, keepdims=True))) + np.sum(np.cos(np.sum(v, 0)))
            return np.sum(v * v) + both + np.sum(x)

        assert_bit_for_bit(f, np.ones((2, 3)))


def test_arguments_may_be_called_so_that_their_gradients_would_be_keywords() -> None:
    assert stage(lambda el, ef: el * ef, 2.0, 3.0)(2.0, 3.0)[1] == (3, 2)
    assert stage(lambda slice: np.sum(slice[1:] ** 2), np.ones(3))(np.ones(3))[0] == 2  # noqa: A006


@pytest.mark.parametrize("other", [None, "a", np.array([None])])
def test_an_argument_that_is_no_number_is_refused(other: Any) -> None:
    with pytest.raises(DtypeError, match="argument 1 has dtype"):
        stage(lambda x, y: x, 2.0, other)


def test_values_that_only_a_gradient_computes_again_are_told_to_be_reordered() -> None:
    random = np.random.default_rng(0)
    c, v = random.standard_normal((4, 4)), random.standard_normal((2, 4))

    def slope(x: Any) -> Any:
        return np.sum(vjp(lambda x: np.linalg.pinv(x) @ x, x)[1](c)[0] * v)

    assert stage(slope, v + 1).reordered
    assert not stage(lambda x: np.sum(np.linalg.pinv(x) @ x), v).reordered


def assert_bit_for_bit(f: Function, *args: Any) -> None:
    staged, (value, gradients) = stage(f, *args), value_and_grad(f, range(len(args)))(*args)
    assert not staged.reordered
    assert all_bits(staged(*args)) == all_bits((value, gradients))


# Constants.


def test_small_constant_is_written_out() -> None:
    source = stage(lambda x: np.sum(x * np.array([1.0, 2.5])), np.ones(2)).source
    assert "c1 = np.array([1.0, 2.5], dtype=np.float64)" in source.splitlines()


def test_constant_that_is_used_twice_is_written_once() -> None:
    w = np.array([1.0, 2.5])
    source = stage(lambda x: np.sum(np.sin(x * w) * w + np.array([1.0, 2.5])), np.ones(2)).source
    assert len(re.findall(r"^c\d+ = ", source, re.MULTILINE)) == 1


def test_large_constant_is_kept_beside_the_source() -> None:
    w = np.arange(100.0)
    staged = stage(lambda x: np.sum(x * w), np.ones(100))
    assert 'c1 = constants["c1"]  # float64[100], of staged.constants' in staged.source.splitlines()
    assert bits(staged(np.ones(100))[1][0]) == bits(w)


@pytest.mark.parametrize(
    ("f", "dtypes"),
    [
        (lambda x: np.sum(x / np.sqrt(2.0)), "f"),
        (lambda x, y: np.sum(x * y), "fd"),
        (lambda x: np.sum(x.astype(np.float32) * x), "d"),
        (lambda x: np.sum(np.where(x > 2, x, np.inf)), "f"),
    ],
)
def test_a_constant_of_float64_stays_one_beside_float32(f: Function, dtypes: str) -> None:
    args = [np.array([1.0, 2.0, 3.0], dtype) for dtype in dtypes]
    value, gradients = value_and_grad(f, range(len(args)))(*args)
    staged_value, staged_gradients = stage(f, *args)(*args)
    assert [*map(bits, (staged_value, *staged_gradients))] == [*map(bits, (value, *gradients))]


def test_a_gradient_that_repeats_a_number_is_an_array_where_a_line_indexes_it() -> None:
    """Though it leads to a zero: second derivatives of what rounds."""
    x, y = np.full((2, 2), 3.0), 2.0

    def slope(x: Any, y: Any) -> Any:
        return vjp(lambda y: np.fmod(x, np.tile(y, (2, 2))), y)[1](np.ones((2, 2)))[0] * 0.5

    _, gradients = value_and_grad(slope, (0, 1))(x, y)
    assert [*map(bits, stage(slope, x, y)(x, y)[1])] == [*map(bits, gradients)]


def test_a_gradient_that_repeats_a_number_without_axes_is_that_number() -> None:
    def f(y: Any) -> Any:
        s = np.sum(y)
        return np.sum(np.reshape(s + s, ()) * -1.5)

    assert stage(f, np.ones(3))(np.ones(3))[1][0].tolist() == [-3, -3, -3]


@pytest.mark.parametrize("size", [3, 100])
def test_constants_are_those_of_the_time_of_staging(size: int) -> None:
    w = np.arange(float(size))
    staged = stage(lambda x: np.sum(x * w), np.ones(size))
    w[:] = 7
    assert bits(staged(np.ones(size))[1][0]) == bits(np.arange(float(size)))


@pytest.mark.parametrize("source", ["lambda float: np.where(float > 0, float, np.inf)", "lambda np, np_: np * np_"])
def test_arguments_may_have_the_names_that_the_source_uses(source: str) -> None:
    f = eval(source, {"np": np})
    args = (2.0,) * f.__code__.co_argcount
    assert stage(f, *args)(*args)[0] == f(*args)


def test_staged_can_be_pickled() -> None:
    w = np.arange(100.0)
    staged = stage(lambda x: np.sum(x * w), np.ones(100))
    again = pickle.loads(pickle.dumps(staged))
    assert again.source == staged.source
    assert bits(again(np.ones(100))[1][0]) == bits(w)


# Arguments that are no floats, or are not used.


@pytest.mark.parametrize("n", [3, np.int64(3), True, np.array([1, 0, 2]), np.array([True, False, True])])
def test_arguments_that_are_no_floats_get_no_gradient(n: Any) -> None:
    value, (dx, dn) = stage(lambda x, n: np.sum(x * n), np.ones(3), n)(np.arange(3.0), n)
    assert (value, dx.tolist()) == (np.sum(np.arange(3.0) * n), (np.ones(3) * n).tolist())
    assert dn is None


def test_staged_index_is_an_argument() -> None:
    staged = stage(lambda x, i: x[i] * 2, np.ones(4), 0)
    assert staged(np.arange(4.0), 3)[0] == 6
    assert staged(np.arange(4.0), 3)[1][0].tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_staged_index_is_computed_from_the_arguments(axis: int | None) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.take(x, np.argsort(x[:, 0]), axis=axis) * np.arange(3))

    x, y = np.array([[3.0, 1.0, 5.0], [1.0, 2.0, 8.0], [2.0, 4.0, 7.0]]), np.arange(9.0).reshape(3, 3)
    staged = stage(f, x)
    for at in (x, y, -x):
        assert bits(staged(at)[1][0]) == bits(grad(f)(at))
    with pytest.raises(UnsupportedError, match="mode 'wrap'"):
        stage(lambda x: np.sum(np.take(x, np.argsort(x[:, 0]), mode="wrap")), x)


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (3, 4)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_argument_that_staging_does_not_need_has_gradient_zero(shape: tuple[int, ...], dtype: str) -> None:
    x = np.ones(shape, dtype)[()]
    value, (dx, dy) = stage(lambda x, y: y * y, x, 3.0)(x, 3.0)
    assert (bits(dx), value, dy) == (bits(np.zeros(shape, dtype)), 9, 6)


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3)])
def test_zero_size_arrays_are_staged(shape: tuple[int, ...]) -> None:
    x = np.ones(shape)
    value, (dx,) = stage(lambda x: np.sum(np.sin(x) * x), x)(x)
    assert (value, bits(dx)) == (0, bits(x))


def test_names_of_arguments_do_not_collide_with_those_of_the_source() -> None:
    def f(x: Any, dx: Any, t1: Any, np_: Any, staged: Any) -> Any:
        return x * dx * t1 * np_ * staged * dx + t1 * x * t1

    args = (2.0, 3.0, 5.0, 7.0, 11.0)
    assert stage(f, *args)(*args) == value_and_grad(f, range(5))(*args)


def test_names_of_arguments_do_not_collide_with_what_the_source_imports() -> None:
    assert stage(lambda sigmoid: mg.sigmoid(sigmoid), 1.0)(0.0) == (0.5, (0.25,))
    assert stage(lambda cotangent: cotangent * 2, np.ones(2))(np.ones(2), np.ones(2))[1][0].tolist() == [2, 2]


# Long chains.


def test_chain_of_2000_steps_is_staged_without_recursion() -> None:
    def chain(x: Any) -> Any:
        for _ in range(1000):
            x = np.sin(x) + 1.0
        return x

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        staged = stage(chain, 0.5)
    finally:
        sys.setrecursionlimit(limit)
    assert all_bits(staged(0.7)) == all_bits((chain(0.7), (grad(chain)(0.7),)))
    assert len(passes(staged.source)[0]) == 2000


def test_value_with_a_thousand_uses_is_staged() -> None:
    staged = stage(lambda x: sum((x * float(i) for i in range(1000)), 0.0), 1.0)
    assert staged(2.0) == (999000, (499500,))


# The same as a Program.


@pytest.mark.parametrize("name", EQUAL)
def test_program_runs_to_the_same_bits_and_round_trips(name: str) -> None:
    f, shapes = EQUAL[name]
    args = tuple(either_sign(shapes[-1], "float64", seed) for seed in (1, 2))
    staged = stage(lambda x, y: np.sum(f(x, y)), *args)
    assert all_bits(staged.program(*args)) == all_bits(staged(*args))
    again = Program.from_json(staged.program.to_json())
    assert again == staged.program
    assert all_bits(again(*args)) == all_bits(staged(*args))


def test_program_has_no_dead_steps() -> None:
    for f, args in NOTED.values():
        program = stage(f, *args).program
        assert program.without_dead_steps()[0] == program


def test_staging_can_be_inspected() -> None:
    assert repr(stage(lambda x, n: x * n, 1.0, 2)) == "<Staged of 2 inputs and 2 steps>"


def test_staged_keeps_the_names_of_the_arguments() -> None:
    assert "def staged(weight, bias):" in stage(lambda weight, bias: weight * bias, 1.0, 2.0).source
    assert "def staged(x1, x2):" in stage(lambda *args: args[0] * args[1], 1.0, 2.0).source


def test_staged_result_with_axes_takes_a_cotangent() -> None:
    staged = stage(np.exp, np.ones(2))
    assert [i.name for i in staged.program.inputs][1:] == ["cotangent"]
    value, (dx,) = staged(np.zeros(2), np.array([2.0, 3.0]))
    assert (value.tolist(), dx.tolist()) == ([1, 1], [2, 3])


def test_staged_function_can_be_differentiated() -> None:
    staged = stage(lambda x: np.sin(x) * x, 1.0)
    assert grad(lambda x: staged(x)[0])(0.5) == grad(lambda x: np.sin(x) * x)(0.5)
    assert grad(lambda x: staged(x)[1][0])(0.5) == pytest.approx(2 * np.cos(0.5) - 0.5 * np.sin(0.5), rel=1e-15)


def test_staged_function_of_a_tensor_and_a_number_keeps_the_derivative() -> None:
    staged = stage(lambda x, y: x * y, 1.0, 2.0)
    assert grad(lambda x: staged(x, 3.0)[0])(2.0) == 3


def test_staged_function_keeps_the_rules_of_primitives() -> None:
    assert grad(lambda x: stage(mg.relu, 1.0)(x)[0])(0.0) == grad(mg.relu)(0.0) == 0


# Misuse.


def test_staged_nested_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="dict"):
        stage(lambda p: p["a"] * 2, {"a": 1.0})


def test_staged_tuple_is_refused_in_words_of_the_user() -> None:
    with pytest.raises(DtypeError) as caught:
        stage(lambda x: (x, x), 1.0)
    assert "Recorder" not in str(caught.value)


def line(weight: Any, bias: Any) -> Any:
    return np.sum(weight * 2) + bias


MISUSES: dict[str, tuple[tuple[Any, ...], type[Exception], str]] = {
    "shape": (
        (np.ones(4), 1.0),
        ShapeError,
        "weight has shape (4,), but the function was staged for (3,); stage it again with an example of the new shape",
    ),
    "scalar": ((1.0, 1.0), ShapeError, "weight has shape (), but the function was staged for (3,)"),
    "array for a scalar": (
        (np.ones(3), np.ones(1)),
        ShapeError,
        "bias has shape (1,), but the function was staged for ()",
    ),
    "float32": (
        (np.ones(3, np.float32), 1.0),
        DtypeError,
        "weight has dtype float32, but the function was staged for float64; stage it again with an example of the new",
    ),
    "integer": ((np.ones(3), 1), DtypeError, "bias has dtype int64, but the function was staged for float64"),
    "too few": ((np.ones(3),), TypeError, "missing 1 required positional argument: 'bias'"),
    "too many": ((np.ones(3), 1.0, 1.0), TypeError, "staged() takes 2 positional arguments but 3 were given"),
    "none": ((), TypeError, "missing 2 required positional arguments: 'weight' and 'bias'"),
    "text": (("abc", 1.0), ShapeError, "weight has shape (), but"),
    "nothing": ((np.ones(3), None), DtypeError, "bias has dtype object, but"),
}


@pytest.mark.parametrize(("args", "error", "message"), MISUSES.values(), ids=MISUSES)
def test_staged_call_misused_names_the_argument_and_the_mend(args: Any, error: type[Exception], message: str) -> None:
    staged = stage(line, np.ones(3), 1.0)
    with pytest.raises(error, match=re.escape(message)):
        staged(*args)


def test_squares_of_truth_values_are_numbers() -> None:
    def f(x: Any) -> Any:
        return np.sum(x * (np.square(x > 1.5) + np.square(x > 0.5)))

    assert stage(f, np.arange(4.0))(np.arange(4.0))[0] == f(np.arange(4.0)) == 11


def test_arrays_in_another_byte_order_are_staged_and_taken() -> None:
    x = np.arange(3.0).astype(">f8")
    for example in (x, np.arange(3.0)):
        assert stage(lambda x: np.sum(x * x), example)(x)[0] == 5


def test_masked_arrays_are_refused_by_stage() -> None:
    masked = np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0])
    with pytest.raises(DtypeError, match="argument 0 is a MaskedArray"):
        stage(np.sum, masked)
    with pytest.raises(DtypeError, match="x is a MaskedArray"):
        stage(lambda x: np.sum(x), np.ones(3))(masked)


def test_python_numbers_and_lists_fit_where_their_arrays_do() -> None:
    staged = stage(line, np.ones(3), 1.0)
    assert all_bits(staged([1.0, 2.0, 3.0], 4.0)) == all_bits(staged(np.array([1.0, 2.0, 3.0]), np.float64(4)))


def test_staged_cotangent_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"the cotangent has shape \(2,\); give it the shape \(3,\)"):
        stage(np.exp, np.ones(3), cotangent=np.ones(2))
    with pytest.raises(ShapeError, match=r"cotangent has shape \(2,\), but the function was staged for \(3,\)"):
        stage(np.exp, np.ones(3))(np.ones(3), np.ones(2))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'cotangent'"):
        stage(lambda x: np.exp(x), np.ones(3))(np.ones(3))


@pytest.mark.parametrize(
    "f",
    [lambda x: x if x > 0 else -x, lambda x: max(x, 0.0), lambda x: x * (x == 1 or 2), grad(lambda x: x if x else -x)],
)
def test_control_flow_is_refused_while_staging(f: Function) -> None:
    with pytest.raises(TracedControlFlowError, match=r"use np\.where, np\.maximum or the like"):
        stage(f, 1.0)


def test_conversion_is_refused_while_staging() -> None:
    with pytest.raises(ConversionError, match=r"Use np\.exp and the like"):
        stage(lambda x: x * float(x), 1.0)


def test_array_of_another_transform_is_refused_while_staging() -> None:
    with pytest.raises(TypeError, match="pass it to the traced function as an argument"):
        grad(lambda x: stage(lambda y: x * y, 1.0)(2.0)[0])(3.0)


@pytest.mark.parametrize("f", [lambda x: None, lambda x: "text", lambda x: (x, x)])
def test_staged_result_that_is_no_array_is_refused(f: Function) -> None:
    with pytest.raises(DtypeError, match="the function's result"):
        stage(f, 1.0)


def test_staged_program_is_no_larger_than_its_trace() -> None:
    """Simplification leaves nothing that a plain trace of value and gradient would not have either."""
    for f, args in NOTED.values():
        whole = trace(value_and_grad(f, range(len(args))), *args)
        assert len(stage(f, *args).program.steps) <= len(whole.steps)


def test_temporaries_of_different_lines_keep_their_names() -> None:
    # Solving a system takes values that several lines share, on the way back and back again.
    def f(a: Any, b: Any) -> Any:
        gradient = vjp(np.linalg.solve, a, b)[1](np.sin(b))
        return np.sum(gradient[0] * a) + np.sum(gradient[1] * b)

    a, b = 3 * np.eye(3) + either_sign((3, 3), "float64", 1), either_sign((3,), "float64", 2)
    assert all_bits(stage(f, a, b)(a, b)) == all_bits(value_and_grad(f, (0, 1))(a, b))


# Shapes that depend on numbers.


A, SAME, OTHER = np.array([1.0, -1, 2, 3]), np.array([1.0, 5, -2, 3]), np.array([1.0, 5, -2, -3])
CHOSEN: dict[str, Function] = {
    "mean": lambda x: np.mean(x[x > 0] ** 2),
    "size": lambda x: np.sum(x[x > 0] ** 2) / x[x > 0].size,
    "len": lambda x: np.sum(x[x > 0]) / len(x[x > 0]),
    "spread": lambda x: np.var(x[x > 0]),
    "sum": lambda x: np.sum(x[x > 0] ** 2),
    "nonzero": lambda x: np.prod(x[np.nonzero(x > 0)]),
    "where": lambda x: np.prod(x[np.where(x > 0)]),
    "argwhere": lambda x: np.sum(np.sin(x[np.argwhere(x > 0)])),
    "compress": lambda x: np.mean(np.compress(x > 0, x)),
    "extract": lambda x: np.mean(np.extract(x > 0, x)),
    "delete": lambda x: np.mean(np.delete(x, x < 0) ** 2),
    "rows": lambda x: np.mean(np.reshape(x, (4, 1))[x > 0] * np.ones(3)),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_other_numbers_that_choose_as_many_are_computed_and_of_others_it_says_what_to_do(name: str) -> None:
    """The count of what is chosen is in the source: as a divisor, or as a shape."""
    f = CHOSEN[name]
    staged = stage(f, A)
    for x in (A, SAME):
        value, (gradient,) = staged(x)
        assert [*map(bits, (value, gradient))] == [*map(bits, value_and_grad(f)(x))]
    with pytest.raises(ShapeError, match=r"staged for .*use np\.where, or where= as in np\.mean, or stage it again"):
        staged(OTHER)
    with pytest.raises(TracedControlFlowError, match=r"use np\.where, np\.count_nonzero, or where="):
        trace(grad(f), A)


@pytest.mark.parametrize("name", ["size", "len"])
def test_a_program_cannot_know_how_many_are_chosen(name: str) -> None:
    with pytest.raises(TracedControlFlowError, match="choose more or fewer"):
        trace(CHOSEN[name], A)
    program, branched = follow(CHOSEN[name], A)
    assert branched
    assert float(program(SAME)) == float(CHOSEN[name](SAME))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.mean(x**2, where=x > 0),
        lambda x: np.sum(x * (x > 0)) / np.count_nonzero(x > 0),
        lambda x: np.mean(x.at[x > 0].set(2.0) * x),
        lambda x: np.quantile(np.where(x > 0, x, 0.0), 0.3),
    ],
)
def test_what_counts_without_choosing_holds_for_any_numbers(f: Function) -> None:
    for x in (A, SAME, OTHER):
        value, (gradient,) = stage(f, A)(x)
        assert [*map(bits, (value, gradient))] == [*map(bits, value_and_grad(f)(x))]
        assert bits(trace(grad(f), A)(x)) == bits(grad(f)(x))


SIZES: dict[str, tuple[Function, Any, Any]] = {
    "tile": (lambda x, n: np.mean(np.tile(x, n) ** 2), 2, 3),
    "split": (lambda x, n: np.mean(np.split(x, n)[0]), np.array([1]), np.array([2])),
    "array_split": (lambda x, n: np.mean(np.array_split(x, n)[0]), 2, 3),
    "hsplit": (lambda x, n: np.mean(np.hsplit(x, n)[0]), 3, 1),
    "delete": (lambda x, n: np.mean(np.delete(x, n) ** 2), np.array([0, 0]), np.array([1, 2])),
}


@pytest.mark.parametrize("name", SIZES)
def test_other_numbers_that_make_another_size_are_refused(name: str) -> None:
    f, given, other = SIZES[name]
    staged, x = stage(f, A[:3], given), A[1:]
    value, (gradient, _) = staged(x, given)
    assert_close([value, gradient], value_and_grad(f)(x, given))
    with pytest.raises(ShapeError, match="but the function was staged for"):
        staged(x, other)
    with pytest.raises(TracedControlFlowError):
        trace(grad(f), A[:3], given)


def test_what_is_stopped_stays_so_when_a_program_is_differentiated() -> None:
    f = lambda x: x * mg.stop_gradient(x * x)  # noqa: E731
    staged, program = stage(f, 3.0), trace(f, 3.0)
    for derivative in (grad(lambda x: staged(x)[0]), grad(program), lambda x: stage(program, 3.0)(x)[1][0]):
        assert derivative(2.0) == grad(f)(2.0) == 4
    for second in (grad(lambda x: staged(x)[1][0]), grad(trace(grad(f), 3.0)), grad(grad(program))):
        assert second(2.0) == grad(grad(f))(2.0) == 0
    assert "stop_gradient(" in staged.source


def test_the_order_in_memory_is_not_known_while_staging() -> None:
    f = lambda x: np.sum(np.reshape(x.T, -1, order="A") * np.arange(6.0))  # noqa: E731
    with pytest.raises(TracedControlFlowError, match="use order='C' or 'F'"):
        stage(f, np.ones((2, 3)))
    assert grad(f)(np.ones((2, 3))).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_primitive_that_returns_a_number_of_python_s_is_staged(dtype: str) -> None:
    with scratch_registry():

        @mg.primitive
        def total(x: Any) -> Any:
            return float(np.sum(x))

        mg.defvjp(total, lambda g, ans, x: g * np.ones_like(x))
        x = np.array([1.0, 2.0, 3.0], dtype)
        for f in (
            lambda x: np.sum(total(x)) * 2,
            lambda x: np.sum(np.expand_dims(total(x), 0) * x),
            lambda x: np.sum(np.transpose(total(x)) * x),
            lambda x: total(x) * np.sum(np.count_nonzero(x > 0)) * np.sum(x),
            total,
        ):
            plain = value_and_grad(f)(x)
            value, (gradient,) = stage(f, x)(x)
            assert all_bits((value, gradient)) == all_bits(plain)
            if f is not total:
                assert np.asarray(f(x)).dtype == plain[0].dtype
            assert plain[1].dtype == dtype


def test_a_sum_in_place_lies_in_memory_as_the_engine_s() -> None:
    a, x = np.sin(np.arange(49.0)).reshape(7, 7) * 7, np.cos(np.arange(49.0)).reshape(7, 7)

    def f(s: Any, x: Any) -> Any:
        w = s * x.T
        return np.sum(w * a) + np.sum(np.sin(w))

    staged = stage(f, 1.3, x)
    assert not staged.reordered
    for s in np.linspace(0.5, 2, 20):
        assert staged(s, x)[1][0] == grad(f)(s, x)


def test_what_staging_leaves_behind_is_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        stage(lambda x: np.sum(np.sin(x) * x), np.zeros(100_000))
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            stage(lambda x: np.sum(np.sin(x) * x), np.zeros(100_000))
        assert tracemalloc.get_traced_memory()[0] - before < 400_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_place_in_order_that_is_an_argument() -> None:
    staged = stage(np.quantile, A, 0.3)
    for q in (0.3, 0.8):
        value, gradients = staged(A, q)
        expected = np.quantile(A, q), *grad(np.quantile, (0, 1))(A, q)
        assert [*map(bits, (value, *gradients))] == [*map(bits, expected)]


def test_a_primitive_of_one_s_own_function_is_kept_beside_the_source() -> None:
    def made() -> Function:
        @mg.primitive
        def halved(x: Any) -> Any:
            return x / 2

        mg.defvjp(halved, lambda g, ans, x: g / 2)
        return halved

    with scratch_registry():
        staged = stage(made(), 3.0)
        assert 'halved = constants["halved"]  # ' in staged.source
        assert staged(5.0)[0] == 2.5


@pytest.mark.parametrize("f", [lambda x, n: np.sum(x[:n]), lambda x, n: sum(x[i] for i in range(n))])
def test_a_number_that_python_needs_is_fixed_before(f: Function) -> None:
    with pytest.raises(
        ConversionError, match=re.escape("fix what stays the same before, as in stage(lambda x: f(x, 3)")
    ):
        stage(f, A, 2)
    assert stage(lambda x: f(x, 2), A)(A)[0] == 0


@pytest.mark.parametrize("f", [grad(np.hypot, (0, 1)), value_and_grad(np.hypot)])
def test_several_results_are_staged_one_at_a_time(f: Function) -> None:
    with pytest.raises(DtypeError, match=r"result is a tuple; give one array: a part of it, or np\.stack"):
        stage(f, 2.0, 3.0)


# What is computed several times is computed once.


MERGED = """\
import numpy as np

def staged(x):
    # forward pass
    v1 = np.sin(x)          #(1)
    v2 = v1 * x             #(2)
    v3 = v2 + v1            #(3)
    # backward pass
    dv2 = 1.0               #(3)
    dv1 = 1.0               #(3)
    dv1 += x                #(2)
    dx = v1                 #(2)
    dx += dv1 * np.cos(x)   #(1)
    return v3, (dx,)"""


def test_a_value_that_is_computed_twice_is_one_wire_that_forks() -> None:
    staged = stage(lambda x: np.sin(x) * x + np.sin(x), 2.0)
    assert staged.source == MERGED
    assert staged.reordered
    assert not stage(figure, 3.0, -4.0).reordered
    assert pickle.loads(pickle.dumps(staged)).reordered


REPEATED: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "products": (
        lambda x, w: np.sum(np.tanh(x @ w) ** 2) + np.mean(np.tanh(x @ w)),
        (np.ones((2, 3)), np.ones((3, 2))),
    ),
    "places": (lambda x: np.sum(np.tile(x, 2) * np.arange(8.0)), (np.arange(4.0),)),
    "edges": (lambda x: np.sum(np.pad(x, 1) ** 2), (np.arange(4.0),)),
    "second derivative": (grad(grad(lambda x: np.sin(x) * np.exp(x))), (2.0,)),
    "third derivative": (grad(grad(grad(lambda x: np.sin(x) * np.exp(x)))), (2.0,)),
    "itself": (lambda x: np.sin(np.sin(x) * x) * (np.sin(x) * x), (2.0,)),
}


@pytest.mark.parametrize("name", REPEATED)
def test_backward_lines_have_the_numbers_of_the_steps_that_they_go_back_through(name: str) -> None:
    """From (n) to (1), and each names the gradient of that step's own value, or no gradient at all."""
    f, args = REPEATED[name]
    forward, backward = stage(f, *args).source.split("    # backward pass\n")
    steps = {int(number): line for line, number in re.findall(r"    (v\d+ = .*?) +#\((\d+)\)", forward)}
    lines = re.findall(r"    (.*?) +#\((\d+)\)", backward)
    numbers = [int(number) for _, number in lines]
    assert numbers == sorted(numbers, reverse=True)
    assert set(numbers) <= set(steps)
    for line, number in lines:
        target = re.match(r"d(\w+)", line)
        if target:  # of what that step is made of
            assert re.search(rf"\b{target[1]}\b", steps[int(number)].partition("=")[2]), line
        assert not re.search(r"\bd\w+_\b", line)


# What is compiled of it.


def quotient(x: Any, y: Any) -> Any:
    return (x + 1 / (1 + np.exp(-y))) / (1 / (1 + np.exp(-x)) + (x + y) ** 2)


def negations(code: ast.AST) -> int:
    signs = [node for node in ast.walk(code) if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)]
    return sum(not isinstance(sign.operand, ast.Constant) for sign in signs)


SIGNED = {
    "quotient": (quotient, 5, 2),
    "differences": (lambda x, y: x / y - y / x + 1 / (x - y), 3, 2),
    "a use that cannot do without": (lambda x, y: np.exp(1 / x) / y, 2, 2),
}
"""With the changes of sign that are written, and those that are made."""


@pytest.mark.parametrize("name", SIGNED)
def test_no_sign_is_changed_that_a_later_line_would_change_back(name: str) -> None:
    f, written, made = SIGNED[name]
    staged = stage(lambda x, y: np.sum(f(x, y)), np.ones(2), np.full(2, 3.0))
    assert negations(ast.parse(staged.source)) == written
    assert negations(as_run(staged.source, staged.program.inputs)) == made
    numbers = [0.0, -0.0, 1.0, -2.0, 0.1, -1e-320, 1e300, np.inf, -np.inf]
    with np.errstate(all="ignore"):
        for pair in itertools.product(numbers, repeat=2):
            x, y = (np.full(2, number) for number in pair)
            (_, gradients), (_, wanted) = staged(x, y), value_and_grad(lambda x, y: np.sum(f(x, y)), (0, 1))(x, y)
            for one, other in zip(gradients, wanted, strict=True):
                assert np.array_equal(one, other, equal_nan=True)
                assert np.array_equal(np.signbit(one)[~np.isnan(one)], np.signbit(other)[~np.isnan(one)])


@pytest.mark.parametrize("f", [lambda x: 1 - (1 - x), lambda x: 1 - (1 - x) + x * x, lambda x: x * x - (1 - x)])
def test_two_changes_of_sign_leave_an_array_of_its_own(f: Any) -> None:
    x, cotangent = np.arange(1.0, 4.0), np.array([0.5, -1.0, 2.0])
    staged = stage(f, x, cotangent=cotangent)
    [gradient] = staged(x, cotangent)[1]
    assert_close(gradient, vjp(f, x)[1](cotangent)[0])
    assert not np.shares_memory(gradient, cotangent)
    assert np.array_equal(cotangent, [0.5, -1.0, 2.0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_gradient_that_is_a_forward_value_of_no_numbers_is_staged(dtype: Any) -> None:
    """The forward value comes back as a gradient, but has no line of its own where its numbers are of no use."""
    weights, along = np.array([1.0, 2.0, 4.0], dtype), np.array([1.0, -1.0, 2.0], dtype)

    def nothing(x: Any) -> Any:
        return np.exp(np.broadcast_to(np.average(x, axis=0, keepdims=True, weights=weights), (0,)))

    def slope(x: Any) -> Any:
        return 0 + np.sum(vjp(nothing, x)[1](np.zeros(0, dtype))[0] * along)

    x = np.array([0.5, 1.5, 2.5], dtype)
    value, [gradient] = stage(slope, x)(x)
    assert (value, gradient.tolist(), gradient.dtype) == (0, [0, 0, 0], dtype)
