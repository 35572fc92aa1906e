"""The plugin of pytest, in test files of strangers."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import oracles.asserting  # noqa: F401 (pytest within pytest forgets what it loads, which NumPy does not bear twice)
from oracles.session import SESSION
from tests.support import complaints

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
Run = Callable[..., pytest.RunResult]

STRANGER = """
import numpy as np
import pytest

def layer(x, W, b):
    return np.tanh(x @ W + b)

def layer_vjp(g, y, x, W, b):
    g = g * (1 - y * y)
    return g @ W.T, x.T @ g, np.sum(g, axis=0)

def hasty_vjp(g, y, x, W, b):
    g = g * (1 - y * y)
    return g @ W.T, x.T @ g, g

POINT = np.ones((3, 2)), np.full((2, 2), 0.25), np.array([0.5, -0.5])
"""

PASSING = """
def test_layer(gradients_agree):
    gradients_agree(layer, *POINT, vjp=layer_vjp)
"""

FAILING = """
def test_hasty(gradients_agree):
    gradients_agree(layer, *POINT, vjp=hasty_vjp)
"""

JUDGED = """
def told(judged):
    return [(j.order, j.case.dtype, *j.verdicts) for j in judged]
"""

BARE = ("-p", "no:cacheprovider", "-p", "oracles.pytest_plugin")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest on a stranger's file, with this project's plugin."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)

    def run(source: str, *words: str, apart: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_mine=STRANGER + JUDGED + source)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        return start(*BARE, "--strict-markers", *words)

    return run


def again(text: str, where: Path) -> subprocess.CompletedProcess[str]:
    """Run the command that a report holds, as it stands."""
    [line] = re.findall("^E +reproduce: (.*)$", text, re.MULTILINE)
    _, *words = shlex.split(line)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=where, env=environment)


# What it loads.


def test_a_run_that_asks_for_nothing_loads_nothing(run: Run) -> None:
    source = """
import sys
HEAVY = "torch jax autograd mygrad flint minigrad pandas hypothesis oracles.adapters".split()
def test_nothing(request):
    assert request.config.pluginmanager.has_plugin("oracles.pytest_plugin")
    assert sys.modules.keys().isdisjoint(HEAVY)
"""
    run(source, "-W", "error", apart=True).assert_outcomes(passed=1)


def test_a_run_that_judges_loads_no_framework(run: Run) -> None:
    source = (
        PASSING
        + """
def test_nothing():
    import sys
    assert "oracles.asserting" in sys.modules
    assert sys.modules.keys().isdisjoint("torch jax autograd mygrad pandas hypothesis".split())
"""
    )
    run(source, "-W", "error", apart=True).assert_outcomes(passed=2)


def test_an_entry_point_and_an_option_may_both_name_it(run: Run, pytester: pytest.Pytester) -> None:
    """As where it is installed, and named besides."""
    info = pytester.mkdir("installed_oracles-1.dist-info")
    [line] = re.findall("^.*oracles.pytest_plugin. = .*$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-oracles\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + line.replace('"', "") + "\n")
    for words in (BARE, BARE[:2]):
        pytester.makepyfile(test_mine=STRANGER + PASSING)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{pytester.path}")
            pytester.runpytest_subprocess(*words, "-W", "error").assert_outcomes(passed=1)


# What a test says.


def test_the_report_of_a_failure_has_the_command_that_shows_it_again(run: Run, pytester: pytest.Pytester) -> None:
    result = run(PASSING + FAILING, apart=True)
    result.assert_outcomes(passed=1, failed=1)
    text = result.stdout.str()
    assert "structure: hasty_vjp: d/db has shape (3, 2) instead of (2,) (order 1, float64)" in text
    assert "or: python -m pytest test_mine.py::test_hasty" in text
    assert re.search(r"^>       gradients_agree\(layer, \*POINT, vjp=hasty_vjp\)$", text, re.MULTILINE)
    assert "asserting.py" not in text
    assert ".oracles/layer-" in text
    done = again(text, pytester.path)
    assert (done.returncode, complaints(done.stderr)) == (1, "")
    [got] = re.findall("^E +(got .*)$", text, re.MULTILINE)
    assert f"    {got}\n" in done.stdout


def test_commands_fit_the_folder_that_pytest_was_started_in(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]")
    pytester.makepyfile(test_mine=STRANGER + FAILING)
    below = pytester.mkdir("below")
    command = [sys.executable, "-m", "pytest", *BARE, "../test_mine.py", "--grad-seed", "7"]
    done = subprocess.run(command, cwd=below, capture_output=True, text=True)
    assert "or: python -m pytest ../test_mine.py::test_hasty --grad-seed=7" in done.stdout
    assert len([*(pytester.path / ".oracles").glob("layer-*.json")]) == 1
    assert again(done.stdout, below).returncode == 1


def test_the_last_lines_count_what_passed(run: Run) -> None:
    source = (
        PASSING
        + """
@pytest.mark.filterwarnings("ignore::oracles.VacuousWarning")
def test_zero(gradients_agree):
    gradients_agree(np.floor, 1.5)
    gradients_agree(np.sin, 1.5, order=(1, 2))
"""
    )
    run(source).stdout.fnmatch_lines(["gradients: 4 passed, 1 of them with a gradient that shows nothing"])
    run(PASSING).stdout.fnmatch_lines(["gradients: 1 passed"])
    run("def test_nothing(): pass").stdout.no_fnmatch_line("gradients:*")


# Choices.


def test_what_a_call_leaves_out_comes_from_the_marker_then_the_options_then_the_settings(
    run: Run,
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\ngrad_order = 2\ngrad_dtypes = float32\ngrad_seed = 5\ngrad_oracles = minigrad.stage")
    source = """
from oracles import assert_grads

def test_settings(gradients_agree):
    judged = gradients_agree(np.sin, np.ones(2))
    assert told(judged) == [(1, "float32", "minigrad", "minigrad.stage"), (2, "float32", "minigrad", "minigrad.stage")]
    assert judged[0].case.cotangent.tolist() != gradients_agree(np.sin, np.ones(2), seed=0)[0].case.cotangent.tolist()

def test_a_plain_call_goes_by_them_too():
    assert told(assert_grads(np.sin, 1.0))[0] == (1, "float32", "minigrad", "minigrad.stage")

@pytest.mark.gradients(order=1, oracles=[], dtypes=["float64", np.float32])
class TestMarked:
    def test_class(self, gradients_agree):
        assert told(gradients_agree(np.sin, 1.0)) == [(1, "float64", "minigrad"), (1, "float32", "minigrad")]

    @pytest.mark.gradients(dtypes=(), subject="minigrad.stage")
    def test_closest(self, gradients_agree):
        assert told(gradients_agree(np.sin, 1.0)) == [(1, "float64", "minigrad.stage")]
        assert told(gradients_agree(np.sin, 1.0, order=2)) == [(2, "float64", "minigrad.stage")]

def test_after_the_marker(gradients_agree):
    assert len(gradients_agree(np.sin, 1.0)) == 2
"""
    result = run(source, "--grad-order", "1,2")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["gradients: oracles minigrad.stage, order 1,2, dtypes float32, seed 5"])
    assert (SESSION.defaults.order, SESSION.defaults.seed) == ((1,), 0)


def test_nothing_is_said_of_the_usual_choices(run: Run) -> None:
    run("def test_nothing(): pass").stdout.no_fnmatch_line("gradients:*")


def test_frameworks_are_shown_where_they_are_chosen(run: Run) -> None:
    result = run(
        PASSING.replace("    grad", "    print(*told(grad").replace("layer_vjp)", "layer_vjp)))"),
        "--grad-oracles=torch",
        "-s",
        apart=True,
    )
    result.stdout.fnmatch_lines(["gradients: oracles torch", "*(1, 'float64', 'layer_vjp', 'torch')*"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grad-order", "3"], "--grad-order '3': 3 is not known; choose from 1,2"),
        (["--grad-oracles", "torch,tf"], "--grad-oracles 'torch,tf': tf is not known; choose from minigrad,*"),
        (["--grad-dtypes", ""], "--grad-dtypes '': nothing is not known; choose from float64,float32"),
        (["--grad-seed", "x"], "--grad-seed 'x': give a whole number, at least 0"),
        (["--grad-subject", "tf"], "--grad-subject 'tf': choose from minigrad,*, or write package.module:factory"),
        (["-o", "grad_order=0"], "grad_order '0': 0 is not known; choose from 1,2"),
    ],
)
def test_a_choice_that_does_not_exist_is_a_mistake_of_the_command(
    words: list[str],
    message: str,
    run: Run,
) -> None:
    result = run(PASSING, *words, apart=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert len([line for line in result.errlines if line]) == 1


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("orders=2", "marker gradients: orders is not known; choose from subject, oracles, order, *, each by keyword"),
        ("'torch'", "marker gradients: 'torch' is not known; choose from subject, oracles, order, *, each by keyword"),
        ("order=3", "marker gradients: order 3: 3 is not known; choose from 1,2"),
    ],
)
def test_a_choice_that_does_not_exist_is_a_mistake_of_the_marked_test(
    marker: str,
    message: str,
    run: Run,
) -> None:
    result = run(f"@pytest.mark.gradients({marker}){PASSING}{PASSING.replace('layer(', 'other(')}")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([message])


def test_a_framework_that_is_missing_is_named_with_what_installs_it(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oracles.adapters.missing", lambda names: ["torch"])
    result = run(PASSING, "--grad-oracles", "torch")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not installed: torch; install with *, or choose others with --grad-oracles"])


# Beside other plugins.


def test_it_counts_and_writes_on_several_workers(run: Run, pytester: pytest.Pytester) -> None:
    source = """
@pytest.mark.parametrize("k", range(6))
def test_many(k, gradients_agree):
    gradients_agree(layer, *POINT, vjp=layer_vjp if k % 2 else hasty_vjp, seed=k)
"""
    result = run(source, "-n", "2", "--grad-order", "1", apart=True)
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["gradients: 3 passed"])
    assert len([*(pytester.path / ".oracles").glob("layer-*.json")]) == 3
    for line in re.findall("reproduce: (.*)$", result.stdout.str(), re.MULTILINE):
        assert (pytester.path / shlex.split(line)[4]).exists()


def test_hypothesis_shrinks_what_fails_and_keeps_that_one(run: Run, pytester: pytest.Pytester) -> None:
    source = """
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

@settings(derandomize=True, database=None, deadline=None)
@given(x=hnp.arrays("float64", st.integers(0, 4), elements=st.floats(-10, 10)))
def test_square(x, gradients_agree):
    gradients_agree(lambda x: x * x, x, vjp=lambda g, ans, x: 2 * g * np.minimum(x, 3))
"""
    result = run(source, "-W", "error", apart=True)
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "x=array([4.])" in text
    assert "x = [4.0]" in text
    assert len([*(pytester.path / ".oracles").glob("function-*.json")]) <= 3
    done = again(text, pytester.path)
    assert "x = [4.0]" in done.stdout
    assert done.returncode == 1


def test_a_given_test_may_meet_zero_gradients_but_not_only_these(run: Run) -> None:
    source = """
from hypothesis import given, settings, strategies as st

@settings(derandomize=True, database=None, deadline=None, max_examples=20)
@given(x=st.floats(-10, 10))
def test_FUNCTION(x, gradients_agree):
    gradients_agree(np.FUNCTION, x)
"""
    run(source.replace("FUNCTION", "square"), "-W", "error", apart=True).assert_outcomes(passed=1)
    result = run(source.replace("FUNCTION", "zeros_like"), "-W", "default", apart=True)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*VacuousWarning: no gradient in this test shows anything*"])


def test_markers_and_the_fixture_are_listed(run: Run) -> None:
    run(PASSING, "--markers").stdout.fnmatch_lines(["@pytest.mark.gradients(subject, oracles, order, dtypes, seed): *"])
    run(PASSING, "--fixtures").stdout.fnmatch_lines(["gradients_agree ?session scope? -- *pytest_plugin.py:*"])


def test_the_readme_prints_what_pytest_prints(run: Run, pytester: pytest.Pytester) -> None:
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## In your own tests") : text.index("## How to read a verdict")]
    [(file, printed)] = re.findall(r"```python\n(# test_loss.py\n.*?)```.*?```text\n(.*?)\n```", section, re.DOTALL)
    pytester.makepyfile(test_loss=file)
    result = run("", "test_loss.py", apart=True)
    result.assert_outcomes(passed=1, failed=1)
    assert printed in "\n".join(line.rstrip() for line in result.outlines)
    assert again(result.stdout.str(), pytester.path).returncode == 1
