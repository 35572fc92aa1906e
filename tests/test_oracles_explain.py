"""A function explained: found by any of its names, and right in what it says."""

from __future__ import annotations

import ast
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import minigrad as mg
from minigrad.protocol import NAMES
from oracles import cli
from oracles.catalogue import CATALOGUE, Interval
from oracles.errors import UsageError
from oracles.explain import explain, gates, known_names, name_of, rules, shown, witnesses
from oracles.explain.formula import Formula
from oracles.verdict import Label

Capture = pytest.CaptureFixture[str]

known_names()  # SciPy's functions are in the tables from now on


def section(sections: list[tuple[str, list[str]]], title: str) -> str:
    [lines] = [lines for name, lines in sections if name.startswith(title)]
    return "\n".join(lines)


def explained(name: str, run: Path, *parties: str) -> list[tuple[str, list[str]]]:
    return [(each.title, [*each.lines]) for each in explain(name_of(name), parties or ("minigrad",), run)]


# Names.


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("hypot", "hypot"),
        ("np.tanh", "tanh"),
        ("numpy.tanh", "tanh"),
        ("linalg.norm", "linalg.norm"),
        ("np.linalg.norm", "linalg.norm"),
        ("norm", "linalg.norm"),
        ("relu", "minigrad.relu"),
        ("mg.relu", "minigrad.relu"),
        ("minigrad.relu", "minigrad.relu"),
        ("sp.erf", "scipy.special.erf"),
        ("erf", "scipy.special.erf"),
        ("abs", "absolute"),
        ("np.max", "max"),
        ("maximum.accumulate", "minigrad.running_max"),
        ("add.reduce", "sum"),
        ("*", "multiply"),
        ("@", "matmul"),
        ("sign", "sign"),
    ],
)
def test_a_function_is_found_however_it_is_called(word: str, name: str) -> None:
    assert name_of(word) == name


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hypto", "function 'hypto' is not known (did you mean hypot?)"),
        ("np.tahn", "function 'np.tahn' is not known (did you mean tan or tanh?)"),
        ("mg.rellu", "function 'mg.rellu' is not known (did you mean relu"),
        ("qqqq", "function 'qqqq' is not known; functions.csv of a run lists"),
        ("cov", "np.cov has no derivative here; instead: the deviations from np.mean"),
        ("np.linalg.eig", "np.linalg.eig has no derivative here; instead: np.linalg.eigh"),
        ("pi", "np.pi has no derivative here"),
    ],
)
def test_a_function_that_there_is_not_is_refused_with_what_was_meant(word: str, message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        name_of(word)
    assert str(refusal.value).startswith(message)


def test_every_name_that_is_offered_is_understood() -> None:
    names = known_names()
    assert {name_of(name) for name in names} >= {*CATALOGUE}
    assert {"tanh", "relu", "norm", "erf"} <= {*names}


# Formulas.


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("g * np.cos(x)", "g · cos(x)"),
        ("-g * np.sin(x)", "-g · sin(x)"),
        ("g / (1 + ans * ans)", "g / (1 + f(x) · f(x))"),
        ("x - (y - z)", "x - (y - z)"),
        ("(x - y) - z", "x - y - z"),
        ("x / (y / z)", "x / (y / z)"),
        ("(x + y) ** 2", "(x + y)²"),
        ("x ** -1", "x⁻¹"),
        ("x ** (y - 1)", "x^(y - 1)"),
        ("-(x + y)", "-(x + y)"),
        ("np.square(x + 1)", "(x + 1)²"),
        ("np.sqrt(x)", "√x"),
        ("np.sqrt(1 - x)", "√(1 - x)"),
        ("np.abs(x - y)", "|x - y|"),
        ("g @ y.T", "g yᵀ"),
        ("-mt(ans) @ g @ mt(ans)", "-f(x)ᵀ g f(x)ᵀ"),
        ("np.swapaxes(x, -1, -2)", "xᵀ"),
        ("np.where(x > 0, g, 0)", "{g if x > 0, else 0}"),
        ("np.where(x <= y, g, 0)", "{g if x ≤ y, else 0}"),
        ("g[..., None] * y", "g · y"),
        ("a[0]", "a[0]"),
        ("spread(g, a, axis, keepdims)", "spread(g, a)"),
        ("unit(a / power(a, axis), axis=axis)", "unit(a / power(a))"),
        ("math.pi * x", "π · x"),
        ("g * LN2", "g · ln 2"),
    ],
)
def test_a_rule_is_written_as_calculus(expression: str, text: str) -> None:
    write = Formula({"ans": "f(x)"}, ("axis", "keepdims"))
    assert write(ast.parse(expression, mode="eval").body) == text


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("tanh", ["dx = g · sech2(x)", "sech2(x): 1 - tanh(x)**2 without cancellation or overflow."]),
        ("exp", ["dx = g · exp(x)"]),
        ("sqrt", ["dx = 0.5 · g / √x"]),
        ("divide", ["dx = g / y", "dy = -g · (x / y) / y"]),
        ("linalg.inv", ["da = -a⁻¹ᵀ g a⁻¹ᵀ"]),
        ("ptp", ["ptp(a) = max(a) - min(a)"]),
        ("clip", ["clip(a) is worked out by other functions, which have rules of their own: see the code"]),
        ("sign", ["the derivative of sign(x) is 0 wherever there is one"]),
        ("take", ["take(a, indices) only moves numbers: the gradient of each goes back to where it came from"]),
    ],
)
def test_the_formula_of_a_function(name: str, lines: list[str]) -> None:
    entry = rules.entry_of(NAMES[name])
    assert entry is not None
    assert rules.formulas(NAMES[name], entry) == lines


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_function_has_its_line_in_a_table_with_a_formula(name: str) -> None:
    entry = rules.entry_of(NAMES[name])
    assert entry is not None
    path, _, line = entry.place.partition(":")
    written = (rules.ROOT / path).read_text().splitlines()[int(line) - 1]
    assert written.strip() == entry.source.splitlines()[0]
    assert all(rules.formulas(NAMES[name], entry))
    assert rules.code(entry)[0].split("(")[0] in (*rules.ONE, *rules.MANY)


def test_the_helpers_of_a_rule_are_shown_as_they_are_written() -> None:
    entry = rules.entry_of(np.hypot)
    assert entry is not None
    code = rules.code(entry)
    assert code[0].startswith("broadcasting(np.hypot, lambda g, ans, x, y: g * cosine(x, y),")
    assert "def cosine(x: Any, y: Any) -> Any:" in code


# Gates.


@pytest.mark.parametrize(
    ("name", "word"),
    [
        *[("add", "distributes"), ("multiply", "swaps"), ("maximum", "routes"), ("max", "routes"), ("matmul", "swaps")],
        *[("reshape", "moves"), ("concatenate", "moves"), ("tanh", "scales"), ("linalg.inv", "mixes")],
        *[("greater", "blocks"), ("clip", "routes"), ("sort", "moves")],
    ],
)
def test_a_gate_is_called_what_the_course_notes_call_it(name: str, word: str) -> None:
    assert gates.flow(CATALOGUE[name]).startswith(word)


def test_a_copy_adds_what_comes_back() -> None:
    assert "adds up" in gates.flow(CATALOGUE["copy"])


@pytest.mark.parametrize(
    "name", ["hypot", "log", "arccosh", "linalg.norm", "median", "einsum", "ldexp", "erf", "reshape"]
)
def test_the_picture_of_a_gate_has_it_with_its_true_gradient(name: str) -> None:
    case = gates.example(name_of(name))
    assert name_of(name) in {step.function for step in case.program.steps}
    drawn = gates.picture(case)
    gradients = mg.vjp(case.program, *case.inputs)[1](case.cotangent)
    each = gradients if isinstance(gradients, tuple) else (gradients,)
    for declared, gradient in zip(case.program.inputs, each, strict=True):
        assert np.array_equal(drawn.wires[declared.name].gradient, gradient)


def test_the_picture_of_a_product_is_that_of_the_course_notes() -> None:
    """D = WX, with dW = dD X^T and dX = W^T dD."""
    case = gates.example("matmul")
    (W, X), dD = case.inputs, case.cotangent
    wires = gates.picture(case).wires
    assert np.array_equal(wires["W"].gradient, dD @ X.T)
    assert np.array_equal(wires["X"].gradient, W.T @ dD)


def test_arrays_that_the_picture_has_no_room_for_are_written_out() -> None:
    lines = gates.pictured("linalg.norm")
    assert any(line.startswith("dx = [") for line in lines)
    assert not any("dx" in line for line in gates.pictured("hypot"))


# Witnesses.


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(), "every finite number"),
        (Interval(low=0.0, open_low=True), "(0, ∞)"),
        (Interval(low=-1.0, high=1.0), "[-1, 1]"),
        (Interval(hole=0.0), "every finite number but 0"),
        (Interval(nan=True), "every finite number and NaN"),
    ],
)
def test_a_domain_is_written_as_an_interval(interval: Interval, text: str) -> None:
    assert witnesses.interval(interval) == text


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("maximum", "an even split"),
        ("absolute", "abs and copysign at 0, hypot arctan2 norm std where all vanishes: 0"),
        ("minigrad.relu", "relu at 0: 0"),
        ("linalg.norm", "where all vanishes: 0"),
        ("sqrt", "the limit, infinite"),
        ("floor", "0 everywhere"),
    ],
)
def test_what_minigrad_chooses_at_a_kink_is_what_its_rules_say(name: str, policy: str) -> None:
    [told] = witnesses.policies(name)
    assert policy in told


def test_what_each_party_chooses_at_a_kink_is_asked_live() -> None:
    lines = witnesses.choices(CATALOGUE["maximum"], ("minigrad", "torch", "jax"))
    tie = lines.index("np.maximum(x, 0) at 0")
    assert lines[tie + 1 : tie + 3] == ["    truth: 0 to 1", "    minigrad, torch, jax: 0.5"]


def test_parties_that_choose_differently_stand_apart() -> None:
    lines = witnesses.choices(CATALOGUE["hypot"], ("minigrad", "jax"))
    assert "    minigrad: 0, 0" in lines
    assert "    jax: 0.5, 0.5" in lines


def test_what_is_on_record_is_told() -> None:
    told = "\n".join(witnesses.record("hypot"))
    assert "jax" in told
    assert "the squares underflow" in told
    assert "torch means something else" in "\n".join(witnesses.record("linalg.cholesky"))


def write_tables(run: Path) -> None:
    labels = [label.value for label in Label]
    counts = ["2" if label == "wrong" else "0" for label in labels]
    head = ["function", "dtype", "order", "party", "n", *labels, "ulp_median", "ulp_p99", "ulp_max"]
    row = ["hypot", "float64", "1", "torch", "7", *counts, "1.5", "9.0", "20000.0"]
    (run / "functions.csv").write_text("\n".join([",".join(head), ",".join(row)]) + "\n")
    cases = ["case,steps,functions", "f64-00002,2,add hypot", "f64-00001,1,hypot", "f64-00003,1,hypotenuse"]
    (run / "cases.csv").write_text("\n".join([*cases, cases[1]]) + "\n")


def test_accuracy_is_read_from_a_run(tmp_path: Path) -> None:
    write_tables(tmp_path)
    head, row = witnesses.accuracy("hypot", tmp_path)
    assert head.split()[:7] == ["dtype", "order", "party", "cases", "median", "p99", "max"]
    assert row.split() == ["float64", "1", "torch", "7", "1.5", "9", "2e+04", "2", "wrong"]


def test_without_a_run_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    [line] = witnesses.accuracy("hypot", tmp_path)
    assert line.endswith("python -m oracles verify measures it")
    write_tables(tmp_path)
    assert "--examples 2000" in witnesses.accuracy("tanh", tmp_path)[0]


def test_tables_of_another_version_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "functions.csv").write_text("function,n\nhypot,3\n")
    assert witnesses.accuracy("hypot", tmp_path)[0].endswith(f"python -m oracles report {tmp_path} rebuilds it")


def test_programs_that_have_it_are_named_the_shortest_first(tmp_path: Path) -> None:
    write_tables(tmp_path)
    lines = witnesses.programs("hypot", tmp_path)
    assert lines[0] == f"2 of 3 cases of {tmp_path}"
    assert [line.split()[4] for line in lines[1:]] == ["f64-00001", "f64-00002"]
    assert "6. D = WX" in witnesses.programs("matmul", tmp_path)[0]


# The page and the command.


def test_everything_is_explained_in_a_hundred_columns(tmp_path: Path) -> None:
    for name in ("std", "linalg.norm", "where", "minigrad.softmax"):
        text = shown(explain(name, ("minigrad",), tmp_path))
        assert max(map(len, text.splitlines())) <= 100


def test_the_sections_come_in_the_order_of_the_question(tmp_path: Path) -> None:
    titles = [title for title, _ in explained("hypot", tmp_path)]
    assert titles[0] == "np.hypot(x, y)"
    words = ["Formula", "Rule", "Gate", "Domain", "At", "On", "Accuracy", "Programs"]
    assert [title.split()[0].rstrip(",") for title in titles[1:]] == words


def test_a_function_without_a_gradient_is_explained_too(tmp_path: Path) -> None:
    assert "is 0 wherever there is one" in section(explained("sign", tmp_path), "Formula")
    assert section(explained("greater", tmp_path), "Gate") == "blocks: a condition has the derivative zero"


def test_the_command_prints_the_page_and_writes_the_picture(tmp_path: Path, capsys: Capture) -> None:
    picture = tmp_path / "tanh.svg"
    words = ["explain", "np.tanh", "--parties", "minigrad", "--run", str(tmp_path), "--svg", str(picture)]
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("np.tanh(x)\n  Compute hyperbolic tangent element-wise.\n\nFormula")
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")


def test_a_picture_of_what_no_gradient_comes_through_is_refused(tmp_path: Path, capsys: Capture) -> None:
    picture = tmp_path / "sign.svg"
    assert cli.main(["explain", "sign", "--svg", str(picture)]) == 2
    assert "there is nothing to draw" in capsys.readouterr().err
    assert not picture.exists()


def test_a_party_that_is_not_installed_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    from oracles import adapters

    monkeypatch.setattr(adapters, "missing", lambda names: [name for name in names if name in ("torch", "jax")])
    assert cli.main(["explain", "sign", "--run", str(tmp_path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("torch: not installed; make setup, or pip install")
    assert lines[1].startswith("jax: not installed; ")
