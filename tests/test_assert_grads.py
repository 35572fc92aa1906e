"""Gradients asserted in tests: who passes, who fails, what is said, and that the printed command shows it again."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from oracles import GradientMismatch, UsageError, VacuousWarning, assert_grads
from oracles.adapters.minigrad import MinigradAdapter
from oracles.mismatch import ALLOWABLE, FAILING
from oracles.verdict import RULES
from tests.support import complaints, forget_primitives

ROOT = Path(__file__).parents[1]
Function = Callable[..., Any]

primitives_are_forgotten = pytest.fixture(autouse=True)(forget_primitives)


@pytest.fixture(autouse=True)
def files_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case files are written below the folder that Python runs in, when no plugin says otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oracles.session.SESSION.root", None)
    monkeypatch.setattr("oracles.session.SESSION.start", None)


def layer(x: Any, W: Any, b: Any) -> Any:
    return np.tanh(x @ W + b)


def layer_vjp(g: Any, y: Any, x: Any, W: Any, b: Any) -> Any:
    g = g * (1 - y * y)
    return g @ W.T, x.T @ g, np.sum(g, axis=0)


X, W, B = (
    np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 0.25]]),
    np.array([[0.5, -0.25], [0.125, 0.75]]),
    np.array([0.5, -0.5]),
)


def message(function: Function, *inputs: Any, **further: Any) -> str:
    """What a failing assertion says."""
    with pytest.raises(GradientMismatch) as raised:
        assert_grads(function, *inputs, **further)
    return str(raised.value)


def head(function: Function, *inputs: Any, **further: Any) -> str:
    return message(function, *inputs, **further).splitlines()[0]


def again(text: str) -> subprocess.CompletedProcess[str]:
    """Run the command that a message ends with, as it stands, where the user is."""
    [line] = re.findall("^reproduce: (.*)$", text, re.MULTILINE)
    python, *words = shlex.split(line)
    assert python == "python"
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})


# Who passes.


def test_a_function_of_numpy_passes_and_returns_what_was_judged() -> None:
    judged = assert_grads(layer, X, W, B, order=(1, 2), dtypes=("float64", "float32"))
    assert [(j.order, j.case.dtype) for j in judged] == [(1, "float64"), (2, "float64"), (1, "float32"), (2, "float32")]
    assert {str(v.label) for j in judged for v in j.verdicts.values()} == {"agrees"}


def test_a_pair_passes_at_both_orders() -> None:
    judged = assert_grads(layer, X, W, B, vjp=layer_vjp, order=(1, 2), dtypes="float64,float32")
    assert [[*j.verdicts] for j in judged] == [["layer_vjp"]] * 4


def test_inputs_keep_the_dtype_that_they_have() -> None:
    [judged] = assert_grads(layer, *(a.astype("float32") for a in (X, W, B)), vjp=layer_vjp)
    assert judged.case.dtype == "float32"


def test_a_rule_of_ones_own_passes() -> None:
    @mg.primitive
    def cube(x: Any) -> Any:
        return x * x * x

    mg.defvjp(cube, lambda g, ans, x: 3 * g * x * x)
    [judged] = assert_grads(lambda x: np.sum(np.sin(cube(x))), np.array([0.5, 1.5]))
    assert [*judged.verdicts] == ["minigrad with cube"]
    assert "cube" not in str(judged.case.program)


def test_a_single_input_needs_no_tuple_and_none_is_zero_and_a_float_is_an_array() -> None:
    assert_grads(np.sin, 1.0, vjp=lambda g, ans, x: g * np.cos(x))
    assert_grads(lambda x, y: x * 2.0 + 0.0 * y, 1.0, 2.0, vjp=lambda g, ans, x, y: (2.0 * float(g), None))


def test_others_are_asked_besides_and_decide_nothing() -> None:
    [judged] = assert_grads(layer, X, W, B, vjp=layer_vjp, oracles=("torch", "exact"))
    assert [*judged.verdicts] == ["layer_vjp", "torch"]
    [judged] = assert_grads(np.tanh, 0.5, oracles=["torch"])
    assert [*judged.verdicts] == ["minigrad", "torch"]


@pytest.mark.parametrize("subject", ["torch", "tests.trial:Unable", "oracles.adapters.minigrad:StagedAdapter"])
def test_any_engine_may_be_on_trial_by_name(subject: str) -> None:
    further = {"allow": "unsupported"} if "Unable" in subject else {}
    function: Function = np.tanh if not further else (lambda x: np.heaviside(x, 0.5) + x)
    [judged] = assert_grads(function, 0.5, subject=subject, **further)
    assert [*judged.verdicts] == [subject]


def test_any_adapter_may_be_on_trial() -> None:
    class Halved(MinigradAdapter):
        name = "halved"

        def vjp(self, program: Any, inputs: Any, cotangent: Any) -> Any:
            value, gradients = super().vjp(program, inputs, cotangent)
            return value, [g / 2 for g in gradients]

    assert head(np.sin, 1.0, subject=Halved()).startswith("wrong: d/dx of halved is ")
    [judged] = assert_grads(np.sin, 1.0, subject=MinigradAdapter())
    assert [*judged.verdicts] == ["minigrad (given)"]


def test_a_program_is_judged_too() -> None:
    program = mg.trace(layer, X, W, B)
    [judged] = assert_grads(program, X, W, B)
    assert judged.case.program == program


def test_what_cannot_be_traced_is_judged_by_its_formula() -> None:
    def kernel(x: Any) -> Any:
        result = np.empty_like(x)
        for i in range(len(x)):
            result[i] = float(x[i]) ** 2
        return result

    x = np.array([1.5, -2.0])
    with pytest.raises(UsageError, match=r"cannot be traced for the truth \(ConversionError: .*\); give formula="):
        assert_grads(kernel, x, vjp=lambda g, ans, x: 2 * g * x)
    assert_grads(kernel, x, vjp=lambda g, ans, x: 2 * g * x, formula=np.square)
    assert head(kernel, x, vjp=lambda g, ans, x: g * x, formula=np.square).startswith("wrong: d/dx[")
    assert head(lambda x: kernel(x) + 1, x, vjp=lambda g, ans, x: 2 * g * x, formula=np.square).startswith(
        "wrong: value["
    )


def test_a_primitive_that_cannot_be_traced_is_judged_by_its_formula() -> None:
    @mg.primitive
    def squared(x: Any) -> Any:
        return np.array([float(v) ** 2 for v in x])

    mg.defvjp(squared, lambda g, ans, x: 2 * g * x)
    x = np.array([1.5, -2.0])
    [judged] = assert_grads(squared, x, formula=np.square)
    assert [*judged.verdicts] == ["minigrad with squared"]


# Branches.


def bent(x: Any) -> Any:
    return x * x if x > 1 else 3 * x


@pytest.mark.parametrize(("x", "slope"), [(2.0, 4.0), (0.5, 3.0)])
def test_of_a_function_with_branches_the_one_that_is_taken_is_judged(x: float, slope: float) -> None:
    [judged] = assert_grads(bent, x, cotangent=1.0)
    assert judged.to_frame().set_index("element").loc["d/dx", "truth"] == slope
    assert_grads(bent, x, vjp=lambda g, ans, x: slope * g)
    assert head(bent, x, vjp=lambda g, ans, x: 5 * g).startswith("wrong: d/dx")


def test_elsewhere_the_function_may_be_another_which_says_nothing() -> None:
    """At its kink it chooses; moved off the kink it takes the other branch, where it is not what was traced."""

    def folded(x: Any) -> Any:
        return np.maximum(x, 0.0) if np.abs(x) < 1e-9 else 7 * x

    [judged] = assert_grads(folded, 0.0, vjp=lambda g, ans, x: 0.5 * g if x == 0 else 7 * g)
    assert {str(v.label) for v in judged.verdicts.values()} == {"convention"}


def test_a_branch_that_ignores_its_input_is_no_mistake() -> None:
    with pytest.warns(VacuousWarning, match="zero in every element"):
        assert_grads(lambda x: x if x > 0 else np.float64(0.0), -1.0)


# Who fails.


def no_sum(g: Any, y: Any, x: Any, W: Any, b: Any) -> Any:
    g = g * (1 - y * y)
    return g @ W.T, x.T @ g, g


def sign(g: Any, y: Any, x: Any, W: Any, b: Any) -> Any:
    g = g * (1 - y * y)
    return g @ W.T, -x.T @ g, np.sum(g, axis=0)


def no_cotangent(g: Any, y: Any, x: Any, W: Any, b: Any) -> Any:
    return layer_vjp(np.ones_like(g), y, x, W, b)


def two(g: Any, y: Any, *inputs: Any) -> Any:
    return layer_vjp(g, y, *inputs)[:2]


def wide(g: Any, y: Any, *inputs: Any) -> Any:
    return tuple(a.astype("float64") for a in layer_vjp(g, y, *inputs))


def lists(g: Any, y: Any, *inputs: Any) -> Any:
    return tuple(a.tolist() for a in layer_vjp(g, y, *inputs))


def none(g: Any, y: Any, *inputs: Any) -> Any:
    return None


def writes(g: Any, y: Any, x: Any, W: Any, b: Any) -> Any:
    gradients = layer_vjp(g, y, x, W, b)
    b *= 2
    return gradients


def raises(g: Any, y: Any, *inputs: Any) -> Any:
    raise ArithmeticError("no pullback for this one")


def nan(g: Any, y: Any, *inputs: Any) -> Any:
    return tuple(a * np.nan for a in layer_vjp(g, y, *inputs))


CALLS = itertools.count()


def restless(g: Any, y: Any, *inputs: Any) -> Any:
    """Right to an ULP, but not twice the same."""
    side = np.float32(np.inf if next(CALLS) % 2 else -np.inf)
    return tuple(np.nextafter(a, side) for a in layer_vjp(g, y, *inputs))


@pytest.mark.parametrize(
    ("vjp", "start"),
    [
        (no_sum, "structure: no_sum: d/db has shape (3, 2) instead of (2,) (order 1, float32)"),
        (sign, "wrong: d/dW["),
        (no_cotangent, "wrong: d/d"),
        (two, "structure: two: 3 arrays returned instead of 4: one gradient per input is expected (order 1, float32)"),
        (wide, "structure: wide: d/dx has dtype float64 instead of float32 (order 1, float32)"),
        (lists, "structure: lists: d/dx is a list, not a NumPy array (order 1, float32)"),
        (
            none,
            "structure: none: 2 arrays returned instead of 4: one gradient per input is expected (order 1, float32)",
        ),
        (writes, "structure: writes: input b was written to (order 1, float32)"),
        (raises, "errored: raises: ArithmeticError: no pullback for this one (order 1, float32)"),
        (nan, "wrong: d/d"),
        (restless, "structure: restless: asked again, it gave something else as array 1 (order 1, float32)"),
    ],
)
def test_a_backward_pass_with_a_mistake_fails(vjp: Function, start: str) -> None:
    assert head(layer, X, W, B, vjp=vjp, dtypes=["float32"]).startswith(start)


def test_what_it_raised_is_kept_as_the_cause() -> None:
    with pytest.raises(GradientMismatch) as raised:
        assert_grads(layer, X, W, B, vjp=raises)
    cause = raised.value.__cause__
    assert isinstance(cause, ArithmeticError)
    assert cause.__traceback__ is not None


def test_who_ignores_the_cotangent_of_a_single_number_fails() -> None:
    for seed in range(20):
        assert head(np.square, 3.0, vjp=lambda g, ans, x: 2 * x, seed=seed).startswith(
            "wrong: d/dx of the vjp of square"
        )


@pytest.mark.parametrize(
    ("rule", "start"),
    [
        (lambda g, ans, x: 2 * g * x * x, "wrong: d/dx of minigrad with cube is "),
        (lambda g, ans, x: g * x, "wrong: d/dx of minigrad with cube is "),
        (lambda g, ans, x: g * mg.stop_gradient(3 * x * x), "wrong: H/dx of minigrad with cube is "),
    ],
    ids=["factor", "power", "second order alone"],
)
def test_a_rule_with_a_mistake_fails(rule: Function, start: str) -> None:
    @mg.primitive
    def cube(x: Any) -> Any:
        return x**3

    mg.defvjp(cube, rule)
    assert head(cube, 1.5, order=(1, 2)).startswith(start)
    assert head(lambda x: np.exp(cube(x)), 0.5, order=(1, 2)).startswith(start)


def test_a_gradient_that_is_stopped_is_not_the_derivative() -> None:
    assert head(lambda x: x * mg.stop_gradient(x), 2.0, cotangent=1.0) == (
        "wrong: d/dx of minigrad is 2.0, the truth is 4.0 (order 1, float64)"
    )


def test_a_primitive_without_a_rule_is_told_to_get_one() -> None:
    @mg.primitive
    def cube(x: Any) -> Any:
        return x**3

    assert "cube is a primitive without a derivative rule; give it one by defvjp" in head(cube, 1.5, cotangent=1.0)


def test_a_rule_within_a_body_is_not_trusted_either() -> None:
    @mg.primitive
    def inner(x: Any) -> Any:
        return np.sin(x)

    @mg.primitive
    def outer(x: Any) -> Any:
        return inner(x) * 2

    mg.defvjp(inner, lambda g, ans, x: g * x)
    mg.defvjp(outer, lambda g, ans, x: 2 * g * x)
    [row] = [line for line in message(outer, 0.5).splitlines() if "np.sin" in line]
    assert "np.sin(x)" in row


def test_a_wrong_gradient_that_a_kink_hides_is_found_beside_it() -> None:
    """Right at 0, where it lies between the slopes nearby; wrong everywhere else."""
    text = message(np.abs, 0.0, vjp=lambda g, ans, x: g * np.where(x > 0, 2.0, np.sign(x)))
    assert text.startswith("wrong: d/dx of the vjp of absolute is ")
    assert "    point  a little off the given one, which lies at a kink or an edge" in text
    assert "x = 0.0\n" not in text


def test_lost_digits_fail_unless_allowed() -> None:
    naive = {"vjp": lambda g, y, x: g * (1 - y * y)}
    text = message(np.tanh, 20.0, **naive)
    assert text.startswith("unstable: d/dx of the vjp of tanh is -0.0, the truth is -")
    assert "; at ordinary points it agrees" in text
    assert_grads(np.tanh, 20.0, **naive, allow="unstable")


def test_a_chain_of_choices_fails_unless_allowed() -> None:
    def identity(x: Any) -> Any:
        return mg.relu(x) - mg.relu(-x)

    text = message(identity, 0.0, cotangent=1.0)
    assert text.startswith("kink-chain: d/dx of minigrad is 0.0, every gradient nearby is 1.0 (order 1, float64)")
    assert "(what chained choices give: from)" in text
    [judged] = assert_grads(identity, 0.0, allow=["kink-chain"])
    assert {str(v.label) for v in judged.verdicts.values()} == {"kink-chain"}


def test_a_choice_at_a_kink_passes() -> None:
    for slope in (-1.0, 0.0, 0.25, 1.0):
        assert_grads(np.abs, 0.0, vjp=lambda g, ans, x, slope=slope: g * (np.sign(x) if x else slope))
    assert head(np.abs, 0.0, vjp=lambda g, ans, x: g * (np.sign(x) if x else 1.5)).startswith("wrong: d/dx")


def test_what_fails_is_what_fails_a_campaign_and_what_proves_nothing_or_misleads() -> None:
    assert {*map(str, FAILING)} == {
        *("wrong", "structure", "errored", "undecided", "unstable", "kink-chain", "unsupported")
    }
    assert {*ALLOWABLE} < {*FAILING}


def test_too_many_elements_are_undecided_unless_allowed() -> None:
    x = np.linspace(1, 2, 1100)
    assert head(np.sin, x).startswith(
        "undecided: minigrad: 1,100 input elements; at most 1,024 are certified one by one"
    )


# What is said.


def test_the_message_has_all_that_decided() -> None:
    text = message(layer, X, W, B, vjp=sign, oracles="torch", cotangent=np.ones((3, 2)))
    [judged] = assert_grads(layer, X, W, B, cotangent=np.ones((3, 2)))
    frame = judged.to_frame().set_index("element")
    first, got, truth, apart, also, rule = text.split("\n\n")[0].splitlines()
    found = re.fullmatch(r"wrong: (d/dW\[\d, \d\]) of sign is (\S+), the truth is (\S+) \(order 1, float64\)", first)
    assert found
    element, mine, right = found.groups()
    value = frame.loc[element, "truth"]
    assert float(right) == value
    assert got.split() == ["got", mine, float(mine).hex()]
    assert truth.split()[:6] == ["truth", right, value.hex(), "(certified", "to", "within"]
    allowed, _, quotient = apart.partition("; a difference quotient of exact values is ")
    assert re.fullmatch(r"    apart  [\d,]+ ULP; \S+ units of noise \(\S+\) away, where 4 are allowed", allowed)
    assert float(quotient) == pytest.approx(value)
    assert also.startswith("    also   off: d/dW[")
    assert rule == f"    rule   wrong: {RULES['wrong'].removeprefix('none of the above, and ')}"  # type: ignore[index]
    assert "def program(x: float64[3,2], W: float64[2,2], b: float64[2]):" in text
    assert f"b = {B.tolist()}" in text
    assert f"cotangent = {np.ones((3, 2)).tolist()}" in text
    assert re.search(r"^torch +agrees", text, re.MULTILINE)
    assert re.search(r"^sign +wrong", text, re.MULTILINE)


def test_the_form_is_shown_where_it_decided() -> None:
    text = message(layer, X, W, B, vjp=no_sum)
    [got] = re.findall(r"^    got    d/db float64\[3,2\]  (.*)$", text, re.MULTILINE)
    [truth] = re.findall(r"^    truth  d/db float64\[2\]  (.*)$", text, re.MULTILINE)
    [judged] = assert_grads(layer, X, W, B, vjp=layer_vjp)
    right = judged.to_frame().set_index("element").loc[["d/db[0]", "d/db[1]"], "truth"]
    assert truth == ", ".join(f"{x!r} ({x.hex()})" for x in right)
    assert len(got.split(", ")) == 6


def test_of_large_arrays_only_the_range_is_printed() -> None:
    x = np.linspace(1, 2, 200)
    lines = message(np.sin, x, vjp=lambda g, ans, x: g).splitlines()
    assert "x = float64[200] from 1.0 to 2.0" in lines
    assert max(map(len, lines)) < 250
    assert any(line.startswith("    also   off: d/dx[") and line.endswith(" more") for line in lines)


@pytest.mark.parametrize("vjp", [sign, no_sum, nan, raises, none, writes])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_command_shows_the_same_again(vjp: Function, dtype: str) -> None:
    text = message(layer, X, W, B, vjp=vjp, dtypes=dtype)
    done = again(text)
    assert (done.returncode, complaints(done.stderr)) == (1, "")
    decided, question = text.split("\n\n")[:2]
    assert done.stdout.startswith(f"{decided}\n\n{question}\n\n")
    assert re.search("^minigrad .*agrees", done.stdout, re.MULTILINE)


def test_the_command_shows_a_rule_and_lost_digits_and_a_kink_chain_again() -> None:
    texts = [
        message(np.tanh, 20.0, vjp=lambda g, y, x: g * (1 - y * y)),
        message(lambda x: mg.relu(x) - mg.relu(-x), 0.0),
        message(np.abs, 0.0, vjp=lambda g, ans, x: g * np.where(x > 0, 2.0, np.sign(x))),
    ]
    for text in texts:
        done = again(text)
        decided = [line for line in text.split("\n\n")[0].splitlines() if not line.startswith("    point")]
        assert done.stdout.startswith("\n".join(decided))
        assert (done.returncode, complaints(done.stderr)) == (1, "")


def test_an_engine_with_a_name_is_asked_again_by_the_command() -> None:
    text = message(np.tanh, 0.5, subject="tests.trial:TanhOff")
    assert again(text).stdout.count("tests.trial:TanhOff  ") >= 1
    assert "--subject tests.trial:TanhOff" in text


def test_files_are_named_by_their_content_and_kept_from_version_control() -> None:
    for _ in range(2):
        message(layer, X, W, B, vjp=sign)
    message(layer, X, W, B, vjp=sign, seed=1)
    files = sorted(path.name for path in Path(".oracles").iterdir())
    assert len(files) == 3
    assert files[0] == ".gitignore"
    assert all(re.fullmatch(r"layer-[0-9a-f]{12}\.json", name) for name in files[1:])
    assert Path(".oracles/.gitignore").read_text() == "*\n"


def test_a_file_that_cannot_be_written_hides_nothing() -> None:
    Path(".oracles").write_text("in the way")
    text = message(layer, X, W, B, vjp=sign)
    assert text.startswith("wrong: ")
    assert "(the case could not be written: " in text


def test_a_garbled_record_is_refused_in_one_line() -> None:
    message(layer, X, W, B, vjp=sign)
    [path] = Path(".oracles").glob("*.json")
    data = json.loads(path.read_text())
    del data["origin"]["asserted"]["arrays"]
    path.write_text(json.dumps(data))
    command = [sys.executable, "-m", "oracles", "repro", str(path), "--oracles", "exact"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (2, "")
    [line] = complaints(done.stderr).splitlines()
    assert line.endswith("the entry asserted lacks or garbles 'arrays'; run the test again")


def test_numbers_stand_below_each_other() -> None:
    text = message(np.square, 3.0, vjp=lambda g, ans, x: g * x, cotangent=-4.0)
    assert text.splitlines()[1:3] == [
        "    got    -12.0  -0x1.8000000000000p+3",
        "    truth  -24.0  -0x1.8000000000000p+4  (certified to within 0, then rounded)",
    ]


# What shows nothing.


@pytest.mark.parametrize(
    ("function", "x", "words"),
    [
        (np.floor, 1.5, "is zero in every element"),
        (lambda x: x * 0.0, np.ones(3), "is zero in every element"),
        (np.sqrt, 0.0, "is zero or does not exist, in every element"),
        (np.exp, np.inf, "is zero or does not exist, in every element"),
        (lambda x: np.sin(x * 1e15), 1.7, "is mostly rounding noise"),
    ],
)
def test_a_check_that_shows_nothing_says_so(function: Function, x: Any, words: str) -> None:
    with pytest.warns(VacuousWarning, match=words) as caught:
        assert_grads(function, x)
    assert caught[0].filename == __file__


def test_one_element_that_shows_something_is_enough() -> None:
    assert_grads(lambda x: np.maximum(x, 0), np.array([-1.0, 2.0]))
    assert_grads(lambda x, y: x + 0 * y, 1.0, 2.0)
    assert_grads(lambda x: 3 * x, 1.0, order=(1, 2))


def test_a_result_that_depends_on_no_input_is_refused() -> None:
    for function in (lambda x: np.ones(3), lambda x: 1.0, lambda x: np.ones(x.shape) / len(x)):
        with pytest.raises(UsageError, match="the result depends on none of the inputs"):
            assert_grads(function, np.ones(3))


# What is refused.


@pytest.mark.parametrize(
    ("function", "inputs", "further", "message"),
    [
        (np.sin, [3], {}, "the inputs have int64; give at least one, and all of float64"),
        (np.sin, [3], {"dtypes": "float32"}, "the inputs have int64; "),
        (np.add, [1.0, np.float32(1)], {}, "the inputs have float64, float32; "),
        (np.sin, [], {}, "the inputs have no dtype, there being none"),
        (np.modf, [1.5], {}, "the function returns a tuple for inputs of float64; let it return one array"),
        (np.argmax, [np.ones(2)], {"vjp": none}, "the function returns int64 for inputs of float64"),
        (lambda x: x + np.ones(2), [np.float32(1)], {}, "the function returns float64 for inputs of float32"),
        (np.linalg.eigvals, [np.eye(2)], {}, "the function cannot be traced for the truth (UnsupportedError: "),
        (np.sin, [1.0], {"cotangent": np.ones(2)}, "cotangent has shape (2,); give it the shape ()"),
        (np.sin, [1.0], {"order": 3}, "order 3: 3 is not known; choose from 1,2"),
        (np.sin, [1.0], {"order": ()}, "order is empty; give 1, 2 or both"),
        (np.sin, [1.0], {"dtypes": "float16"}, "dtypes 'float16': float16 is not known; choose from float64,float32"),
        (np.sin, [1.0], {"oracles": "tf"}, "oracles 'tf': tf is not known; choose from minigrad,"),
        (np.sin, [1.0], {"seed": -1}, "seed -1: give a whole number, at least 0"),
        (np.sin, [1.0], {"seed": 1.5}, "seed 1.5: give a whole number, at least 0"),
        (np.sin, [1.0], {"subject": "tf"}, "subject 'tf': choose from minigrad,"),
        (np.sin, [1.0], {"subject": "tests.trial:Nobody"}, "subject tests.trial:Nobody: "),
        (
            np.sin,
            [1.0],
            {"subject": 3},
            "subject: an object of type int without name, version, vjp; see oracles.adapters.Adapter",
        ),
        (np.sin, [None], {}, "the inputs have object; "),
        (lambda x: None, [1.0], {}, "the function cannot be traced for the truth (TypeError: the traced function ret"),
        (np.sin, [1.0], {"subject": "torch", "vjp": none}, "vjp and subject are both given; "),
        (np.sin, [1.0], {"allow": "wrong"}, "allow 'wrong': choose from unstable, kink-chain, undecided, unsupported"),
    ],
)
def test_what_does_not_fit_is_refused(
    function: Function, inputs: list[Any], further: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        assert_grads(function, *inputs, **further)
    assert str(refused.value).startswith(message)


def test_what_the_function_itself_raises_comes_out() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        assert_grads(layer, X, W)


def test_dtypes_may_be_types() -> None:
    judged = assert_grads(np.sin, 1.0, dtypes=(np.float32, np.dtype("float64")))
    assert [j.case.dtype for j in judged] == ["float32", "float64"]
