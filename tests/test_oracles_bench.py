"""The benchmark: its hand-written gradients, whom it refuses or leaves out, and what it tells; never how fast."""

from __future__ import annotations

import csv
import functools
import gc
import importlib.util
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from rich.console import Console

import minigrad as mg
from oracles import bench, cli, workloads
from oracles.bench import Aim, Row, Runner
from oracles.workloads import Answer, Workload

ROOT = Path(__file__).parents[1]

TINY: dict[str, Callable[[], Workload]] = {
    "f-0d": workloads.staged_function,
    "f-4x4": functools.partial(workloads.staged_function, 2, 3),
    "mlp-32": functools.partial(workloads.mlp, 3, 4, 5, 2),
    "chain": functools.partial(workloads.chain, 4),
}

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workloads that take no time; the command's threads are put back as they were."""
    for module in (bench, workloads):
        monkeypatch.setattr(module, "WORKLOADS", TINY)
    monkeypatch.setattr(bench, "LEAST", 1e-6)
    before = os.environ.copy()
    yield
    os.environ.clear()
    os.environ.update(before)


# Workloads.


@pytest.mark.parametrize("name", TINY)
def test_hand_written_gradients_are_minigrads(name: str) -> None:
    workload = TINY[name]()
    value, gradients = bench.with_hand(workload).call(*workload.args)
    expected_value, expected = bench.with_minigrad(workload).call(*workload.args)
    npt.assert_allclose(value, expected_value, rtol=1e-12)
    for gradient, wanted in zip(gradients, expected, strict=True):
        npt.assert_allclose(gradient, wanted, rtol=1e-10)


@pytest.mark.parametrize("name", TINY)
def test_hand_written_gradients_are_slopes(name: str) -> None:
    workload = TINY[name]()
    rng = np.random.default_rng(1)
    directions = [rng.standard_normal(np.shape(x)) for x in workload.args]
    _, gradients = bench.with_hand(workload).call(*workload.args)

    def along(step: float) -> float:
        moved = [x + step * d for x, d in zip(workload.args, directions, strict=True)]
        return float(workload.formula(np, *workload.constants, *moved))

    slope = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
    npt.assert_allclose((along(1e-5) - along(-1e-5)) / 2e-5, slope, rtol=1e-7)


@pytest.mark.parametrize("name", TINY)
def test_the_hand_written_pass_leaves_its_arguments_alone(name: str) -> None:
    workload = TINY[name]()
    before = [np.copy(x) for x in (*workload.constants, *workload.args)]
    bench.with_hand(workload).call(*workload.args)
    npt.assert_equal([*workload.constants, *workload.args], before)


def test_the_chain_has_a_thousand_steps() -> None:
    workload = workloads.WORKLOADS["chain"]()
    assert len(mg.trace(functools.partial(workload.formula, np), *workload.args).steps) == 1000


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_workloads_are_in_float64_and_of_the_size_in_their_name(name: str) -> None:
    workload = workloads.WORKLOADS[name]()
    arrays = (*workload.args, *workload.constants)
    assert {x.dtype for x in arrays} == {np.dtype("float64")}
    size = name.partition("-")[2]
    if name.startswith("f-"):
        assert {"x".join(map(str, x.shape)) or "0d" for x in arrays} == {size}
    elif name.startswith("mlp-"):
        assert [x.shape for x in workload.args] == [(64, 128), (128,), (128, 10), (10,)]
        assert {str(len(x)) for x in workload.constants} == {size}


# Answers.


@pytest.mark.parametrize("name", TINY)
def test_all_parties_agree(name: str) -> None:
    workload = TINY[name]()
    bench.check(name, workload, {party: prepare(workload) for party, prepare in bench.PARTIES.items()})


def spoilt(spoil: Callable[[Any, Any, tuple[Any, ...]], Answer]) -> Callable[[Workload], Runner]:
    """The hand-written party with its answers changed; sees the value, the gradients and the arguments."""

    def prepare(workload: Workload) -> Runner:
        call = bench.with_hand(workload).call
        return Runner(lambda *args: spoil(*call(*args), args))

    return prepare


def right_once(value: Any, gradients: Any, args: tuple[Any, ...]) -> Answer:
    """As if staged with the numbers of the example."""
    return (value if np.array_equal(args[0], TINY["f-4x4"]().args[0]) else value + 1), gradients


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda value, gradients, args: (value + 1, gradients), "its value is not the hand-written one"),
        (lambda value, gradients, args: (value, (gradients[0], gradients[1] * (1 + 1e-8))), "its gradient 1 is not"),
        (lambda value, gradients, args: (value, (gradients[0] * np.nan, gradients[1])), "its gradient 0 is not"),
        (lambda value, gradients, args: (value, (gradients[0][None], gradients[1])), "its gradient 0 is not"),
        (lambda value, gradients, args: (value, gradients[:1]), "it gives 1 gradients, not 2"),
        (right_once, "its value is not"),
    ],
)
def test_a_wrong_answer_is_refused(
    spoil: Any, what: str, tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(bench.PARTIES, "torch", spoilt(spoil))
    words = ["bench", "--only", "f-4x4", "--parties", "torch", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 1
    assert capsys.readouterr().err.startswith(f"oracles: torch on f-4x4: {what}")
    assert not (tmp_path / "out").exists()


# Measuring.


def test_garbage_collection_is_off_while_the_clock_runs() -> None:
    seen: list[bool] = []
    bench.measure(Runner(lambda: seen.append(gc.isenabled()) or (0.0, ())), (), calls=2)
    assert (seen, gc.isenabled()) == ([True, False, False], True)


def test_garbage_collection_is_on_again_after_an_error() -> None:
    calls = iter([0])
    with pytest.raises(StopIteration):
        bench.measure(Runner(lambda: next(calls)), (), calls=1)
    assert gc.isenabled()


def test_a_measurement_takes_as_many_calls_as_the_clock_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "measure", lambda runner, args, calls: 3e-6)
    calls = bench.calls_needed(Runner(lambda: (0.0, ())), ())
    assert 2e-3 <= 3e-6 * calls < 4e-3


def test_parties_take_turns_and_the_first_of_a_round_rotates(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    monkeypatch.setattr(bench, "calls_needed", lambda runner, args: 1)
    monkeypatch.setattr(bench, "measure", lambda runner, args, calls: float(turns.append(runner.call()) or 1))
    runners: dict[str, Any] = {name: Runner(functools.partial(str, name)) for name in "abc"}
    times, calls = bench.time_parties(TINY["chain"](), runners, rounds=4)
    assert "".join(turns) == "abcbcacababc"
    assert (times, calls) == (dict.fromkeys("abc", [1.0] * 4), dict.fromkeys("abc", 1))


# What it tells.

TIMES = {
    "hand": [1.0, 2.0, 1.0, 4.0, 1.0],
    "minigrad": [2.0, 4.0, 2.0, 8.0, 2.1],
    "torch": [3.0, 2.0, 5.0, 4.0, 1.0],
}


def test_ratios_are_taken_round_by_round() -> None:
    assert bench.row("chain", "minigrad", TIMES, 7) == Row(
        "chain", "minigrad", 5, 7, "2000000.00", "2.000", "2.000", "2.000", False
    )


def test_a_ratio_that_varies_is_marked() -> None:
    row = bench.row("chain", "torch", TIMES, 7)
    assert (row.ratio_q1, row.ratio_median, row.ratio_q3, row.unstable) == ("1.000", "1.000", "3.000", True)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_a_table_and_others_lines(terminal: bool, capsys: Capture) -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=terminal, width=100)
    bench.show(console, [bench.row("chain", party, TIMES, 7) for party in TIMES])
    lines = (drawn.getvalue() if terminal else capsys.readouterr().out).splitlines()
    [line] = [line for line in lines if "torch" in line]
    assert re.findall(r"[\w.]+", line) == [
        *(["chain"] if not terminal else []),
        *("torch", "1000000.00"),
        *(["us"] if not terminal else []),
        *("1.000", "1.000", "3.000", "unstable"),
    ]
    assert len(lines) == 3 or terminal


@pytest.mark.parametrize(
    ("aim", "line"),
    [
        (Aim("quick", "minigrad", "hand", 2.0), "yes: quick; the worst of 2 is 2.000, at chain"),
        (Aim("quick", "minigrad", "hand", 1.9), "no: quick; the worst of 2 is 2.000, at chain"),
        (Aim("quick", "minigrad", "hand", 1.9, ("mlp-32",)), "yes: quick; the worst of 1 is 1.000, at mlp-32"),
        (Aim("quick", "minigrad", "torch", 1.9, ("mlp-32",)), "not measured: quick"),
        (Aim("quick", "minigrad", "hand", 1.9, ("f-0d",)), "not measured: quick"),
    ],
)
def test_aims_are_answered_by_their_worst_median(aim: Aim, line: str) -> None:
    results = {"mlp-32": {"hand": [1.0], "minigrad": [1.0]}, "chain": TIMES}
    assert bench.judged(aim, results) == line


def test_a_run_writes_its_table(tiny: None, tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["bench", "--rounds", "2", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    with (tmp_path / "bench.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [path.name for path in tmp_path.iterdir()] == ["bench.csv"]
    assert [(row["workload"], row["party"]) for row in rows] == [
        (name, party) for name in TINY for party in bench.PARTIES
    ]
    assert {row["ratio_median"] for row in rows if row["party"] == "hand"} == {"1.000"}
    for row in rows:
        assert int(row["rounds"]) == 2
        assert float(row["ratio_q1"]) <= float(row["ratio_median"]) <= float(row["ratio_q3"])
        assert f"{row['workload']:<12} {row['party']:<9}" in shown
    for aim in bench.AIMS:
        assert re.search(rf"^(yes|no): {aim.text}; ", shown, re.MULTILINE)


def test_only_what_is_asked_for_is_timed(tiny: None, tmp_path: Path, capsys: Capture) -> None:
    words = ["bench", "--rounds", "1", "--only", "chain", "--parties", "autograd", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    lines = (tmp_path / "bench.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["chain", "hand"], ["chain", "autograd"]]
    assert "torch" not in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("party", bench.EXTRAS)
def test_a_party_that_is_not_installed_is_left_out(
    party: str, tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == party else find(name, *more))
    words = ["bench", "--rounds", "1", "--only", "chain", "--parties", f"minigrad,{party}", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    assert re.search(rf"^{party}: not installed; make setup, or pip install -e ", capsys.readouterr().out, re.MULTILINE)
    assert party not in (tmp_path / "bench.csv").read_text()


def test_the_dictionary_has_every_column() -> None:
    dictionary = (ROOT / "reports" / "README.md").read_text()
    [section] = [part for part in dictionary.split("\n## ") if part.startswith("`bench.csv`")]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert [name for line in lines for name in re.findall("`([^`]+)`", line.split("|")[1])] == list(Row._fields)


# The command.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "f-5x5"], "--only 'f-5x5': f-5x5 is not known; choose from f-0d,f-4x4,"),
        (["--parties", "tf"], "--parties 'tf': tf is not known; choose from hand,minigrad,staged,torch,jax,autograd"),
        (["--rounds", "0"], "--rounds '0': give a whole number, at least 1"),
    ],
)
def test_an_unknown_value_is_refused_with_the_known_ones(
    words: list[str], message: str, tiny: None, tmp_path: Path, capsys: Capture
) -> None:
    assert cli.main(["bench", "--out", str(tmp_path / "out"), *words]) == 2
    assert capsys.readouterr().err.startswith(f"oracles: {message}")
    assert not (tmp_path / "out").exists()


def test_the_command_has_its_help(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m oracles bench ")


def test_the_help_loads_neither_numpy_nor_a_framework() -> None:
    # NumPy's linear algebra asks how many threads to use when it is loaded: after the command has said one.
    program = (
        "import sys; from oracles import cli\n"
        "try: cli.main(['bench', '--help'])\n"
        "except SystemExit: print(sorted(sys.modules.keys() & {'numpy', 'torch', 'jax', 'autograd'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")
