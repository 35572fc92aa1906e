"""Engines that nobody asked: HIPS autograd and MyGrad behind the adapter protocol.

MyGrad is in no extra that ``make setup`` installs, so that its tests run where the extra ``strangers`` is.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from oracles import cli
from oracles.adapters import STRANGERS, Adapter, load
from oracles.errors import Unsupported
from oracles.examine import Examination, Setup, examine
from oracles.repro import script
from oracles.verdict import Label
from tests.trial import case_of

Capture = pytest.CaptureFixture[str]
Function = Callable[..., Any]


def engine(name: str) -> Adapter:
    """The adapter, or a skip that says how to have it."""
    pytest.importorskip(name, reason=f"{name} is in the extra strangers: pip install -e '.[strangers]'")
    return load(name)


def judged(name: str, f: Function, *inputs: Any, order: int = 1, **further: Any) -> Examination:
    engine(name)
    return examine(case_of(f, *inputs, **further), Setup(name, (), (order,)))


def verdict_of(name: str, f: Function, *inputs: Any, order: int = 1, **further: Any) -> tuple[Label, str]:
    [verdict] = judged(name, f, *inputs, order=order, **further).verdicts
    return verdict.label, verdict.why


X, Y = np.array([[0.5, -1.5], [2.0, 0.25]]), np.array([1.5, -0.5])

SOUND: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "operators": (lambda x, y: (2.0 - x) * y / (x * x + 3) - y, (X, Y)),
    "functions": (lambda x, y: np.exp(np.sin(x)) + np.arctan2(x, y), (X, Y)),
    "reductions": (lambda x, y: np.sum(x, axis=1, keepdims=True) * np.mean(y), (X, Y)),
    "products": (lambda x, y: x @ (x @ y), (X, Y)),
    "sums": (lambda x, y: np.einsum("ij,j->i", x, y), (X, Y)),
    "shapes": (lambda x, y: np.concatenate([np.reshape(x, (4,)), y])[1:] ** 2, (X, Y)),
    "choices": (lambda x, y: np.where(x > 0.3, x * x, np.broadcast_to(y, (2, 2)) * 1.0) * np.transpose(x), (X, X)),
    "gates": (lambda x: mg.sigmoid(x) * x, (X,)),
    "numbers": (lambda x, y: np.tanh(x) * np.square(y), (0.5, -2.0)),
    "no input used": (lambda x, y: x * 2.0, (X, Y)),
}


@pytest.mark.parametrize("program", SOUND)
@pytest.mark.parametrize("name", STRANGERS)
def test_stranger_is_right_about_the_first_derivative(name: str, program: str) -> None:
    f, inputs = SOUND[program]
    assert verdict_of(name, f, *inputs)[0] == Label.AGREES


@pytest.mark.parametrize("program", SOUND)
def test_autograd_is_right_about_the_second_derivative(program: str) -> None:
    f, inputs = SOUND[program]
    assert verdict_of("autograd", f, *inputs, order=2)[0] == Label.AGREES


def test_mygrad_has_no_second_derivative() -> None:
    assert verdict_of("mygrad", np.sin, 1.0, order=2) == (Label.UNSUPPORTED, "MyGrad has first derivatives only")


@pytest.mark.parametrize("name", STRANGERS)
def test_value_alone_is_numpys(name: str) -> None:
    program = mg.trace(SOUND["functions"][0], X, Y)
    value = engine(name).forward(program, (X, Y))
    assert isinstance(value, np.ndarray)
    np.testing.assert_allclose(value, program(X, Y), rtol=1e-14)


# What it has not is unsupported, and what it has and cannot do is not.


@pytest.mark.parametrize(
    ("name", "f", "why"),
    [
        ("autograd", np.cbrt, "cbrt: HIPS autograd has no derivative of it"),
        ("autograd", mg.relu, "minigrad.relu: HIPS autograd has no such function"),
        ("autograd", lambda x: np.pad(x, 1, mode="edge"), "Only constant mode padding is supported."),
        ("autograd", lambda x: np.linalg.svd(x)[0], "Gradient of svd not implemented for full_matrices=True"),
        ("mygrad", np.sort, "sort: MyGrad has no such function"),
        ("mygrad", lambda x: np.fmod(x, 2.0), "fmod: MyGrad has no derivative of it"),
        ("mygrad", lambda x: np.linalg.norm(x, ord=2), "mygrad.linalg.norm does not support matrix norms"),
        ("mygrad", lambda x: np.astype(x, np.float64), "astype: MyGrad has no such function"),
        ("mygrad", lambda x: np.ravel(x, order="F"), "ravel: MyGrad has no parameter order of it"),
    ],
)
def test_what_an_engine_lacks_is_unsupported_by_name(name: str, f: Function, why: str) -> None:
    assert verdict_of(name, f, X) == (Label.UNSUPPORTED, why)


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_lacking_is_known_before_anything_runs(name: str) -> None:
    program = mg.trace(lambda x: np.trapezoid(np.exp(x)), X[0])
    with pytest.raises(Unsupported, match=r"^trapezoid: "):
        engine(name).vjp(program, [None], None)


FOUND = {
    "autograd trace": ("autograd", Label.ERRORED, lambda x: np.trace(x, axis1=1, axis2=0), (X,)),
    "autograd full_like": ("autograd", Label.WRONG, lambda x, y: np.full_like(x, y), (X, 2.0)),
    "autograd repeat": ("autograd", Label.WRONG, lambda x: np.repeat(x, 2, axis=-1), (Y,)),
    "autograd select": ("autograd", Label.STRUCTURE, lambda x: np.select([x > 0], [x], 0.5), (np.float32([1, -1]),)),
    "autograd where": ("autograd", Label.STRUCTURE, lambda x, y: np.where(x > 0, x, y), (X, 2.0)),
    "mygrad full_like": ("mygrad", Label.STRUCTURE, lambda x, y: np.full_like(x, y), (X, 2.0)),
    "mygrad maximum": ("mygrad", Label.WRONG, lambda x: np.maximum(x, x), (2.0,)),
    "mygrad int": ("mygrad", Label.STRUCTURE, lambda x: 3 * x, (np.float32(2.0),)),
}
"""A crash in a rule, gradients that are given up or wrong, shapes and dtypes that are lost: none is unsupported."""


@pytest.mark.parametrize("found", FOUND)
def test_what_it_has_and_gets_wrong_is_held_against_it(found: str) -> None:
    name, label, f, inputs = FOUND[found]
    cotangent = np.arange(1, 1 + np.size(f(*inputs)), dtype=float).reshape(np.shape(f(*inputs)))
    dtype = np.asarray(inputs[0]).dtype.name
    assert verdict_of(name, f, *inputs, cotangent=cotangent, dtype=dtype)[0] == label


@pytest.mark.parametrize("found", [name for name in FOUND if "select" not in name])
def test_script_of_a_finding_needs_numpy_and_that_engine_alone(found: str, tmp_path: Path) -> None:
    name, label, f, inputs = FOUND[found]
    dtype = np.asarray(inputs[0]).dtype.name
    cotangent = np.arange(1, 1 + np.size(f(*inputs)), dtype=float).reshape(np.shape(f(*inputs)))
    done, text = ran(judged(name, f, *inputs, cotangent=cotangent, dtype=dtype), 1, tmp_path)
    assert done.returncode == 1
    assert f"as {label}: " in text
    assert (
        ("raised TypeError" in done.stdout and "the truth is" in done.stdout)
        if label == Label.ERRORED
        else ("OFF" in done.stdout or "instead" in done.stdout)
    )


@pytest.mark.parametrize(("name", "order"), [("autograd", 1), ("autograd", 2), ("mygrad", 1)])
def test_script_of_who_is_right_ends_well(name: str, order: int, tmp_path: Path) -> None:
    def f(x: Any, y: Any) -> Any:
        return mg.sigmoid(x) * np.sum(y, axis=0) + np.array([1.0, 2.0])

    done, _ = ran(judged(name, f, X, Y, order=order), order, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "right" in done.stdout


def ran(found: Examination, order: int, folder: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """The script of an examination, run on its own, and its text."""
    text = script(found, order)
    (folder / "repro.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "repro.py"], cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    return done, text


# On trial by name.


def test_a_campaign_on_a_stranger_counts_what_it_lacks(tmp_path: Path, capsys: Capture) -> None:
    engine("autograd")
    words = ["--oracles", "exact", "--examples", "30", "--dtypes", "float64", "--orders", "1", "--workers", "1"]
    assert cli.main(["verify", "--subject", "autograd", *words, "--out", str(tmp_path)]) in (0, 1)
    assert "autograd on " in capsys.readouterr().out
    rows = (tmp_path / "cases.csv").read_text().splitlines()
    assert any(",autograd,unsupported," in row for row in rows)
    assert any(",autograd,agrees," in row for row in rows)


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_that_is_missing_is_named_with_how_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert cli.main(["verify", "--subject", name, "--oracles", "exact"]) == 3
    told = capsys.readouterr().err
    assert told.startswith(f"oracles: not installed: {name}; install with pip install ")
    assert "-e '.[strangers]' in this folder" in told
