"""Programs: traced, run, printed, compared, and to JSON and back."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import (
    ConversionError,
    Program,
    ProgramError,
    ShapeError,
    Tensor,
    TracedControlFlowError,
    UnsupportedError,
    checkpoint,
    defvjp,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    logsumexp,
    primitive,
    relu,
    sigmoid,
    softmax,
    trace,
)
from minigrad.programs import Input, Ref, Step
from minigrad.protocol import Array, Function
from tests.support import bits, forget_primitives

_registry = pytest.fixture(forget_primitives, autouse=True)


def matrix() -> Any:
    return np.random.default_rng(3).standard_normal((3, 4))


def small() -> Program:
    return trace(lambda x, y: np.tanh(x + y) * x, 1.0, 2.0)


def value(x: Any) -> Any:
    return x * x * x


def composed(x: Any) -> Any:
    return np.sum(np.tanh(x @ x.T)[..., 0] * np.max(x, axis=1)) / np.prod(x[[0, 0], 1:3])


def updated(x: Any) -> Any:
    """What the program "update" does, to a plain array."""
    y = x.copy()
    y[1, ::2] = 7.0
    np.add.at(y, [0, 0], x[:2])
    return y


# Every kind of constant, index and parameter that a program can hold, by name.

FUNCTIONS = {
    "operators": lambda x: -x + x * x - x / 2.0,
    "comparison": lambda x: np.where((x > 0.0) & (x <= 1.0), x, -x),
    "nan": lambda x: x * float("nan"),
    "infinities": lambda x: np.maximum(np.minimum(x, float("inf")), float("-inf")),
    "minus zero": lambda x: x * -0.0,
    "subnormal": lambda x: x * 5e-324 + np.array([2.5e-320, 1.7976931348623157e308, 0.1, 1 / 3]),
    "array of specials": lambda x: x + np.array([np.nan, np.inf, -np.inf, -0.0]),
    "float32 constant": lambda x: x * np.float32(0.1) + np.array([0.1, 1e-45, -0.0, np.inf], np.float32),
    "float16 constant": lambda x: x * np.array(0.1, np.float16),
    "negative integers": lambda x: (x + 2) ** -2 + np.array([-1, 2, -3, 4]),
    "unsigned integers": lambda x: x + np.array([0, 255, 3, 4], np.uint8),
    "empty constant": lambda x: np.concatenate([x, np.zeros((0, 4))]),
    "empty constant of three axes": lambda x: np.sum(np.zeros((2, 0, 4)) + x[0], axis=(0, 1)),
    "slices": lambda x: x[::-1, 1:3] + x[-3:, :-2:1],
    "ellipsis": lambda x: x[..., 1],
    "newaxis": lambda x: x[:, None, 1:, np.newaxis],
    "integer index": lambda x: x[-1],
    "empty index": lambda x: x[()],
    "one index in a tuple": lambda x: x[(1,)],
    "integer array index": lambda x: x[np.array([0, 2, 2])],
    "integer list index": lambda x: x[[0, 2], [1, -1]],
    "boolean array index": lambda x: x[np.array([True, False, True])],
    "traced index": lambda x: x[np.argmax(x, axis=0), np.arange(4)],
    "axes": lambda x: np.sum(x, axis=(0, -1), keepdims=True) + np.mean(x, axis=0) + x.max(),
    "dtype": lambda x: np.astype(x, np.dtype("float32")),
    "dtype as a type": lambda x: x.astype(float) + np.ones_like(x, dtype=np.float32),
    "reshaped": lambda x: np.reshape(x, (2, -1), order="F"),
    "list of arrays": lambda x: np.concatenate([x, np.stack([x[0], x[1]])], axis=0),
    "transposed": lambda x: np.transpose(x, (1, 0)) @ x,
    "two outputs": lambda x: (x + 1.0, [x * 2.0, np.sum(x)]),
    "constant output": lambda x: np.arange(3.0),
    "composed": composed,
    "gradient": grad(composed),
    "derivative along a direction": lambda x: jvp(composed, (x,), (np.cos(x),))[1],
    "hessian times a vector": lambda x: hvp(composed, (x,), (np.cos(x),))[0],
    "jacobian": lambda x: jacobian(lambda x: np.tanh(x[0]) * x[1])(x),
    "hessian": lambda x: hessian(lambda x: np.sum(x**3))(x[0]),
    "checkpoint": checkpoint(composed),
    "gates": lambda x: softmax(x, axis=0) * sigmoid(x) + relu(x) * logsumexp(x),
    "update": lambda x: x.at[1, ::2].set(7.0).at[[0, 0]].add(x[:2]) if isinstance(x, Array) else updated(x),
    "matrix functions": lambda x: np.linalg.solve(x @ x.T + 9 * np.eye(3), x) + np.linalg.inv(x @ x.T + np.eye(3)) @ x,
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "gradient of a gradient": grad(lambda x: np.sum(grad(composed)(x) * x)),
}

EACH = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)


def all_bits(output: Any) -> Any:
    return [all_bits(item) for item in output] if isinstance(output, (list, tuple)) else bits(output)


@EACH
def test_program_gives_what_its_function_gives(f: Function) -> None:
    x = matrix()
    assert all_bits(trace(f, np.ones((3, 4)))(x)) == all_bits(f(x))


@EACH
def test_json_round_trip_keeps_the_program(f: Function) -> None:
    program = trace(f, matrix())
    assert Program.from_json(program.to_json()) == program


@EACH
def test_json_round_trip_keeps_the_printed_text(f: Function) -> None:
    program = trace(f, matrix())
    assert str(Program.from_json(program.to_json())) == str(program)


@EACH
def test_json_round_trip_keeps_every_bit_of_the_result(f: Function) -> None:
    program = trace(f, matrix())
    assert all_bits(Program.from_json(program.to_json())(matrix())) == all_bits(program(matrix()))


@EACH
def test_printed_source_is_python_that_gives_the_same_bits(f: Function) -> None:
    program = trace(f, matrix())
    scope: dict[str, Any] = {"np": np, "minigrad": minigrad}
    exec(program.source("printed"), scope)
    assert all_bits(scope["printed"](matrix())) == all_bits(program(matrix()))


@EACH
def test_json_is_strict(f: Function) -> None:
    def refuse(token: str) -> Any:
        raise AssertionError(token)

    json.loads(trace(f, matrix()).to_json(), parse_constant=refuse)


@pytest.mark.parametrize(
    "constant",
    [
        np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32),
        np.array([[True], [False]]),
        np.array([-(2**63), 2**63 - 1]),
        np.zeros((2, 0, 3), np.float16),
        np.arange(6.0).reshape(2, 3).T,
    ],
)
def test_json_round_trip_keeps_every_bit_of_a_constant(constant: Any) -> None:
    program = Program((), (), constant)
    assert bits(Program.from_json(program.to_json())()) == bits(constant)


@pytest.mark.parametrize("constant", [0.1, -0.0, float("nan"), float("inf"), 5e-324, 3, True, None, 2**70])
def test_json_round_trip_keeps_a_python_constant(constant: Any) -> None:
    got = Program.from_json(Program((), (), constant).to_json())()
    assert (type(got), repr(got)) == (type(constant), repr(constant))


# Tracing.


def test_comparison_is_evaluated_anew() -> None:
    program = trace(lambda x: np.where(x > 0, x, -10 * x), 1.0)
    assert (program(2.0), program(-2.0)) == (2, 20)


def test_integers_are_evaluated_anew() -> None:
    program = trace(lambda x: x[np.argmax(x)], np.array([1.0, 2.0]))
    assert program(np.array([5.0, 3.0])) == 5


def test_every_call_is_a_step() -> None:
    program = trace(lambda x, y: np.sum(np.where(x > y, np.sign(x), y)), 1.0, 2.0)
    assert [step.function for step in program.steps] == ["greater", "sign", "where", "sum"]


def test_trace_of_grad_runs_for_other_inputs() -> None:
    assert trace(grad(value), 1.0)(2.0) == 12


def test_trace_of_grad_of_grad_runs_for_other_inputs() -> None:
    assert trace(grad(grad(value)), 1.0)(2.0) == 12


def test_trace_of_backward() -> None:
    def f(x: Any) -> Any:
        y = Tensor(x)
        (y * y * y).backward()
        return y.grad

    assert trace(f, 1.0)(2.0) == 12


def test_trace_within_a_traced_function() -> None:
    assert trace(lambda x: trace(lambda y: y * y, 3.0)(x) + x, 1.0)(2.0) == 6


def test_program_can_be_traced_again() -> None:
    assert trace(lambda x, y: small()(x, y), 1.0, 2.0) == small()


def test_constants_are_copied() -> None:
    w = np.ones(3)
    program = trace(lambda x: x + w, 1.0)
    w[:] = 7
    assert program(1.0).tolist() == [2, 2, 2]


def test_names_are_those_of_the_arguments() -> None:
    assert [i.name for i in trace(lambda weight, bias: weight + bias, 1.0, 2.0).inputs] == ["weight", "bias"]


@pytest.mark.parametrize("f", [lambda *args: args[0] + args[1], lambda v1, y: v1 + y, np.add])
def test_names_are_numbered_where_there_are_none_to_take(f: Function) -> None:
    assert [i.name for i in trace(f, 1.0, 2.0).inputs] == ["x1", "x2"]


def test_inputs_are_declared_with_shape_and_dtype() -> None:
    assert trace(lambda x: x, np.ones((2, 3), np.float32)).inputs == (Input("x", (2, 3), "float32"),)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x > 0 else -x,
        lambda x: max(x, 0.0),
        lambda x: abs(x) if x == 1 else x,
        grad(lambda x: x if x > 0 else -x),
    ],
)
def test_control_flow_is_refused(f: Function) -> None:
    with pytest.raises(TracedControlFlowError, match=r"use np\.where"):
        trace(f, 1.0)


def test_conversion_is_refused_while_tracing() -> None:
    with pytest.raises(ConversionError, match="Recorder"):
        trace(lambda x: float(x), 1.0)


def test_unsupported_function_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"linalg\.eig"):
        trace(np.linalg.eig, np.eye(2))


def test_tensor_as_a_constant_is_refused() -> None:
    x = Tensor(1.0)
    with pytest.raises(TypeError, match="pass it to the traced function as an argument"):
        trace(lambda y: x * y, 1.0)


@pytest.mark.parametrize("f", [lambda x: {"x": x}, lambda x: None])
def test_result_that_is_no_array_is_refused(f: Function) -> None:
    with pytest.raises(TypeError, match=r"the traced function returned a (dict|NoneType)"):
        trace(f, 1.0)


def test_tensor_as_an_example_is_refused() -> None:
    with pytest.raises(ConversionError):
        trace(value, Tensor(1.0))


# Running.


def test_a_program_shares_memory_with_nobody() -> None:
    x, w = np.arange(3.0), np.ones(3)
    weighted, constant = trace(lambda x: np.average(x, weights=w), x), trace(lambda x: w, x)
    w[0] = 100
    constant(x)[:] = 7
    assert weighted(x) == 1
    assert constant(x).tolist() == [1, 1, 1]


def test_runs_on_tensors() -> None:
    x = Tensor(3.0)
    trace(value, 1.0)(x).backward()
    assert x.grad == 27


def test_gradient_of_a_program_is_that_of_its_function() -> None:
    program = trace(composed, np.ones((3, 4)))
    assert bits(grad(program)(matrix())) == bits(grad(composed)(matrix()))


def test_runs_in_another_dtype() -> None:
    assert trace(value, 1.0)(np.float32(2)).dtype == np.float32


@pytest.mark.parametrize("shape", [(), (2,), (3, 1), (1, 3)])
def test_input_of_another_shape_is_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"input weight has shape .*; the program was made for \(3,\)"):
        trace(lambda weight: weight, np.ones(3))(np.ones(shape))


def test_wrong_number_of_inputs_is_refused() -> None:
    with pytest.raises(ShapeError, match="takes 2 inputs, got 1"):
        small()(1.0)


def test_step_that_cannot_run_is_named_by_number() -> None:
    steps = (Step("exp", (Ref(0),)), Step("matmul", (Ref(1), Ref(1))))
    program = Program((Input("x", (3, 4), "float64"),), steps, Ref(2))
    with pytest.raises(ProgramError, match=r"^step \(2\) matmul cannot run: .*$"):
        program(np.ones((3, 4)))


def test_step_without_its_operand_is_named_by_number() -> None:
    with pytest.raises(ProgramError, match=r"step \(1\) add cannot run"):
        Program((), (Step("add", (1.0,)),), Ref(0))()


def test_watch_sees_each_step() -> None:
    seen: list[Any] = []
    small().run([1.0, 2.0], lambda name: getattr(np, name), lambda *event: (seen.append(event), event[3])[1])
    assert [(number, step.function) for number, step, _, _ in seen] == [(1, "add"), (2, "tanh"), (3, "multiply")]


def test_watch_may_replace_a_result() -> None:
    assert small().run([1.0, 2.0], lambda name: getattr(np, name), lambda *event: 5.0) == 5


# Dead steps.


def test_dead_steps_and_inputs_are_left_out() -> None:
    program, kept = trace(
        lambda x, y, z: (np.exp(x), y * y, z * 2.0, np.sin(y * z))[3], 1.0, 2.0, 3.0
    ).without_dead_steps()
    assert (program, kept) == (trace(lambda y, z: np.sin(y * z), 2.0, 3.0), [1, 2])


def test_program_without_dead_steps_stays_the_same() -> None:
    assert small().without_dead_steps() == (small(), [0, 1])


def test_step_that_only_a_list_uses_is_alive() -> None:
    program = trace(lambda x: [np.stack([np.exp(x), x])], 1.0)
    assert program.without_dead_steps() == (program, [0])


def test_one_input_is_kept_though_none_is_used() -> None:
    program, kept = trace(lambda x, y: 5.0, 1.0, 2.0).without_dead_steps()
    assert ([i.name for i in program.inputs], kept) == (["x"], [0])


def test_dead_steps_of_a_program_without_inputs_are_left_out() -> None:
    program, kept = Program((), (Step("exp", (1.0,)), Step("sin", (2.0,))), Ref(1)).without_dead_steps()
    assert (program, kept) == (Program((), (Step("sin", (2.0,)),), Ref(0)), [])


# Printing.


def test_printed_program() -> None:
    program = trace(lambda x, w: np.sum(x[1:, None] @ w, axis=0) ** 2 > -1.5, np.ones((3, 2)), np.ones((2, 2)))
    assert str(program) == (
        "def program(x: float64[3,2], w: float64[2,2]):\n"
        "    v1 = x[1:, None]          #(1)\n"
        "    v2 = v1 @ w               #(2)\n"
        "    v3 = np.sum(v2, axis=0)   #(3)\n"
        "    v4 = np.square(v3)        #(4)\n"
        "    v5 = v4 > (-1.5)          #(5)\n"
        "    return v5"
    )


@pytest.mark.parametrize(
    ("f", "line"),
    [
        (lambda x: x[..., 0], "x[..., 0]"),
        (lambda x: x[::-1], "x[::-1]"),
        (lambda x: x[(1,)], "x[1,]"),
        (lambda x: x[()], "x[()]"),
        (lambda x: x * float("nan"), "x * float('nan')"),
        (lambda x: x * float("-inf"), "x * (-float('inf'))"),
        (lambda x: x * np.float32(0.5), "x * np.float32(0.5)"),
        (lambda x: x[np.array([True, False])], "x[np.array([True, False], dtype=np.bool)]"),
        (lambda x: x + np.zeros((0, 1, 1)), "x + np.zeros((0, 1, 1), dtype=np.float64)"),
        (lambda x: np.astype(x, np.float32), "np.astype(x, np.float32)"),
        (lambda x: np.ones_like(x, dtype=float), "np.ones_like(x, dtype=np.float64)"),
        (lambda x: np.concatenate([x, x], axis=1), "np.concatenate([x, x], axis=1)"),
    ],
)
def test_printed_line(f: Function, line: str) -> None:
    assert trace(f, np.ones((2, 2))).source().splitlines()[1] == f"    v1 = {line}   #(1)"


def test_repr_counts() -> None:
    assert repr(small()) == "<Program of 2 inputs and 3 steps>"


def test_primitive_is_printed_with_its_module() -> None:
    @primitive
    def tripled(x: Any) -> Any:
        return 3 * x

    defvjp(tripled, lambda g, ans, x: 3 * g)
    assert f"v1 = {tripled.__module__}.tripled(x) " in trace(tripled, 1.0).source()


# Equality.


def test_equal_programs_have_equal_hashes() -> None:
    assert small() == small()
    assert hash(small()) == hash(small())


def test_nan_constants_are_equal() -> None:
    program, again = (trace(lambda x: x * np.array([np.nan]), 1.0) for _ in range(2))
    assert program == again


DIFFERENT = {
    "constant": (lambda x: x * 2.0, lambda x: x * np.nextafter(2, 3)),
    "sign of zero": (lambda x: x * 0.0, lambda x: x * -0.0),
    "type of constant": (lambda x: x * 2, lambda x: x * 2.0),
    "dtype of constant": (lambda x: x * np.float64(2), lambda x: x * np.float32(2)),
    "shape of constant": (lambda x: x * np.array(2.0), lambda x: x * np.array([2.0])),
    "function": (lambda x: x + x, lambda x: x * x),
    "parameter": (lambda x: np.sum(x, axis=0), lambda x: np.sum(x, axis=1)),
    "output": (lambda x: (x, x), lambda x: [x, x]),
    "name": (lambda x: x, lambda y: y),
    "tuple or list": (lambda x: x[(0, 1)], lambda x: x[[0, 1]]),
}


@pytest.mark.parametrize(("f", "g"), DIFFERENT.values(), ids=DIFFERENT)
def test_programs_that_differ_are_unequal(f: Function, g: Function) -> None:
    assert trace(f, np.ones((2, 2))) != trace(g, np.ones((2, 2)))


@pytest.mark.parametrize("x", [np.float32(1), np.ones(1)])
def test_programs_for_other_inputs_are_unequal(x: Any) -> None:
    assert trace(value, 1.0) != trace(value, x)


def test_program_is_unequal_to_anything_else() -> None:
    assert small() != small().to_json()


# Malformed programs.


MISSING = object()


def changed(path: tuple[Any, ...], new: Any) -> dict[str, Any]:
    """The small program's data with one entry replaced, or removed."""
    data = deepcopy(small().as_data())
    *above, last = path
    place: Any = data
    for key in above:
        place = place[key]
    if new is MISSING:
        del place[last]
    else:
        place[last] = new
    return data


def operand(new: Any) -> dict[str, Any]:
    return changed(("steps", 1, "operands", 0), new)


MALFORMED = {
    "no format": (changed(("format",), MISSING), 'expected an object with "format"'),
    "another format": (changed(("format",), "recipe"), 'expected an object with "format"'),
    "no version": (changed(("version",), MISSING), "version None is not 1"),
    "another version": (changed(("version",), 2), "version 2 is not 1"),
    "no inputs": (changed(("inputs",), MISSING), "the inputs: the entry 'inputs' is missing"),
    "no steps": (changed(("steps",), MISSING), "the entry 'steps' is missing"),
    "no output": (changed(("output",), MISSING), "the output: the entry 'output' is missing"),
    "no name": (changed(("inputs", 0, "name"), MISSING), "the inputs: the entry 'name' is missing"),
    "no shape": (changed(("inputs", 1, "shape"), MISSING), "the inputs: the entry 'shape' is missing"),
    "no function": (changed(("steps", 1, "function"), MISSING), "step (2): the entry 'function' is missing"),
    "no operands": (changed(("steps", 1, "operands"), MISSING), "step (2): the entry 'operands' is missing"),
    "no parameters": (changed(("steps", 2, "parameters"), MISSING), "step (3): the entry 'parameters' is missing"),
    "inputs no list": (changed(("inputs",), 3), "the inputs: malformed"),
    "steps no list": (changed(("steps",), 3), "the inputs: malformed"),
    "step no object": (changed(("steps", 1), 3), "step (2): malformed"),
    "operands no list": (changed(("steps", 1, "operands"), 3), "step (2): malformed"),
    "parameters no object": (changed(("steps", 1, "parameters"), []), "step (2): malformed"),
    "unknown dtype": (changed(("inputs", 0, "dtype"), "float65"), "the inputs: malformed"),
    "shape no numbers": (changed(("inputs", 0, "shape"), ["n"]), "the inputs: malformed"),
    "name no identifier": (changed(("inputs", 0, "name"), "a b"), "the inputs: the name of an input"),
    "name a keyword": (changed(("inputs", 0, "name"), "lambda"), "the inputs: the name of an input"),
    "duplicate inputs": (changed(("inputs", 0, "name"), "y"), "the inputs: two values have the same name"),
    "input named as a step": (changed(("inputs", 0, "name"), "v3"), "the inputs: two values have the same name"),
    "unknown function": (changed(("steps", 1, "function"), "nonsense"), "step (2) calls 'nonsense', which is no known"),
    "unknown value": (operand("z"), "step (2): there is no value called 'z'"),
    "value as a parameter": (
        changed(("steps", 0, "parameters"), {"axis": "x"}),
        "step (1): there is no value called 'x'",
    ),
    "value in a slice": (operand({"slice": ["x", None, None]}), "step (2): there is no value called 'x'"),
    "unknown value as output": (changed(("output",), "z"), "the output: there is no value called 'z'"),
    "forward reference": (operand("v3"), "step (2) uses the value of v3, which is not computed before it"),
    "cycle": (operand("v2"), "step (2) uses the value of v2, which is not computed before it"),
    "forward reference in a list": (operand([["v3"]]), "step (2) uses the value of v3"),
    "unknown kind of operand": (operand({"set": []}), 'step (2): {"set": []} is no operand'),
    "two kinds of operand": (operand({"tuple": [], "text": ""}), "step (2): "),
    "bare float": (operand(1.5), "step (2): 1.5 is no operand"),
    "bare NaN": (operand(float("nan")), "step (2): NaN is no operand"),
    "float that is none": (operand({"float": "one"}), "step (2): malformed"),
    "float too large": (operand({"float": "0x1p5000"}), "step (2): malformed"),
    "slice of four": (operand({"slice": [1, 2, 3, 4]}), "step (2): malformed"),
    "tuple of none": (operand({"tuple": None}), "step (2): malformed"),
    "unknown dtype in an operand": (operand({"dtype": "float65"}), "step (2): malformed"),
    "array without data": (operand({"array": {"shape": [], "dtype": "float64"}}), "step (2): the entry 'data' is miss"),
    "array of another size": (operand({"array": {"shape": [2], "dtype": "int64", "data": [1]}}), "step (2): malformed"),
    "array out of range": (operand({"array": {"shape": [], "dtype": "int8", "data": [300]}}), "step (2): malformed"),
    "list": ([], 'expected an object with "format"'),
    "number": (3, 'expected an object with "format"'),
}


@pytest.mark.parametrize(("data", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_data_is_refused_in_one_line_that_names_the_place(data: Any, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        Program.from_json(json.dumps(data))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 40, 200, -2])
def test_broken_json_is_refused_at_its_line(length: int) -> None:
    with pytest.raises(ProgramError, match=r"^not a program: the JSON breaks off .* at line \d+, column \d+$"):
        Program.from_json(small().to_json()[:length])


def test_bottomless_json_is_refused() -> None:
    with pytest.raises(ProgramError, match="nested too deeply"):
        Program.from_json("[" * 100_000)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Step("nonsense", ())], r"step \(1\) calls 'nonsense'"),
        ([Step("exp", (Ref(1),))], r"step \(1\) uses the value of v1"),
        ([Step("exp", (Ref(0),)), Step("exp", (Ref(7),))], r"step \(2\) uses the value of v7"),
        ([Step("exp", (Ref(-1),))], r"step \(1\) uses"),
    ],
)
def test_malformed_steps_are_refused(steps: list[Step], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        Program((Input("x", (), "float64"),), tuple(steps), Ref(0))


def test_output_that_is_not_computed_is_refused() -> None:
    with pytest.raises(ProgramError, match="the output uses the value of v1"):
        Program((Input("x", (), "float64"),), (), Ref(1))


def test_object_that_is_no_constant_cannot_be_written() -> None:
    program = Program((), (Step("exp", (object(),)),), Ref(0))
    with pytest.raises(ProgramError, match="a object cannot be part of a program"):
        program.to_json()


@pytest.mark.parametrize("constant", [np.longdouble(1), np.array([1j]), np.array(["a"]), np.array([None])])
def test_array_that_is_no_constant_cannot_be_written(constant: Any) -> None:
    with pytest.raises(ProgramError, match=r"numbers of dtype .* cannot be part of a program"):
        Program((), (), constant).to_json()
