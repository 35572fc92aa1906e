"""The command line: what it refuses, in one line each, and what it says when something is missing."""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracles import cli
from oracles.examine import Setup, examine
from oracles.journal import JournalWriter, read_run
from tests import trial
from tests.trial import case_of, spec

ROOT = Path(__file__).parents[1]

CASE = case_of(lambda x, y: np.tanh(x) * y, [1.0, 2.0], [3.0, 4.0])

PARTIES = "torch,jax,jax.jit,minigrad.stage,exact"

Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, *words: Any, code: int = 2) -> str:
    """Run a command that must end with this code and one line on stderr; returns the line."""
    assert cli.main([*map(str, words)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith("oracles: ")
    return line.removeprefix("oracles: ")


# Options.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--oracles", "tf"], f"--oracles 'tf': tf is not known; choose from {PARTIES}"),
        (["--oracles", "torch,tf"], f"--oracles 'torch,tf': tf is not known; choose from {PARTIES}"),
        (["--dtypes", "float16"], "--dtypes 'float16': float16 is not known; choose from float64,float32"),
        (["--orders", "3"], "--orders '3': 3 is not known; choose from 1,2"),
        (["--examples", "0"], "--examples '0': give a whole number, at least 1"),
        (["--examples", "-1"], "--examples '-1': give a whole number, at least 1"),
        (["--examples", "x"], "--examples 'x': give a whole number, at least 1"),
        (["--examples", "1.5"], "--examples '1.5': give a whole number, at least 1"),
        (["--workers", "0"], "--workers '0': give a whole number, at least 1"),
        (["--seed", "-1"], "--seed '-1': give a whole number, at least 0"),
    ],
)
def test_an_unknown_value_is_refused_with_the_known_ones(
    words: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    assert refused(capsys, "verify", "--out", tmp_path / "run", *words) == message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--oracles", "--dtypes", "--orders"])
def test_an_empty_list_is_refused(option: str, capsys: Capture) -> None:
    assert refused(capsys, "verify", option, ",").startswith(f"{option} ',': ")


@pytest.mark.parametrize("words", [["frobnicate"], ["verify", "--frob"], ["verify", "--examples"], ["repro"]])
def test_a_command_that_is_not_understood_points_to_the_help(words: list[str], capsys: Capture) -> None:
    about = " ".join(["", *words[:1]]) if words[0] in ("verify", "repro") else ""
    assert refused(capsys, *words).endswith(f"; see python -m oracles{about} --help")


def test_lists_are_read_without_repetition() -> None:
    options = cli.parser().parse_args(["verify", "--oracles", "jax, torch,jax", "--orders", "2"])
    assert (options.oracles, options.orders) == (("jax", "torch"), ("2",))


def test_help_shows_examples(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "python -m oracles verify --examples 20000 --seed 7" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["verify", "repro", "report"])
def test_every_command_has_its_help(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m oracles {command} ")


def test_the_package_runs_as_a_module() -> None:
    words = [sys.executable, "-m", "oracles", "verify", "--orders", "3"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "oracles: --orders '3': 3 is not known; choose from 1,2\n"


# Subjects.


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (
            "tensorflow",
            "subject 'tensorflow' is not known; choose from minigrad, minigrad.stage, torch, jax, jax.jit, autograd",
        ),
        ("no_such_module:Engine", "subject no_such_module:Engine: importing it raised ModuleNotFoundError: "),
        ("tests.trial:NoSuchEngine", "subject tests.trial:NoSuchEngine: module 'tests.trial' has no attribute"),
        (spec(trial.not_an_adapter), "subject tests.trial:not_an_adapter: not_an_adapter() returned a int without"),
        (spec(trial.fails_to_start), "subject tests.trial:fails_to_start: importing it raised OSError: the engine's"),
        (":Engine", "subject :Engine: "),
    ],
)
@pytest.mark.parametrize("command", ["verify", "repro"])
def test_a_subject_that_cannot_be_used_is_named(
    command: str, subject: str, message: str, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(CASE.as_data()))
    words = {"verify": ["verify", "--out", tmp_path / "run"], "repro": ["repro", file]}[command]
    assert refused(capsys, *words, "--subject", subject).startswith(message)


# What is not installed.


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Pretend that these modules are not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in names else find(name, *more))


@pytest.mark.parametrize(
    ("names", "extra"), [(["torch"], "torch"), (["jax"], "jax"), (["torch", "jax"], "both")], ids=str
)
@pytest.mark.parametrize("command", ["verify", "repro"])
def test_a_missing_framework_is_named_with_how_to_install_it(
    command: str, names: list[str], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    without(monkeypatch, *names)
    words = {"verify": ["verify", "--out", tmp_path / "run"], "repro": ["repro", "f64-circuit"]}[command]
    message = refused(capsys, *words, code=3)
    assert message.startswith(
        f"not installed: {', '.join(names)}; install with make setup, or pip install -e '.[{extra}]'"
    )
    assert not (tmp_path / "run").exists()


def test_the_referee_alone_needs_no_framework_and_the_subject_is_asked_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    without(monkeypatch, "torch", "jax")
    words = ["--examples", "1", "--dtypes", "float64", "--orders", "1", "--workers", "1", "--out", str(tmp_path)]
    assert cli.main(["verify", "--subject", "minigrad.stage", "--oracles", "minigrad.stage,exact", *words]) == 0
    run = read_run(tmp_path)
    assert {tuple(v["party"] for v in record["verdicts"]) for record in run.cases} == {("minigrad.stage",)}
    assert "--oracles exact " in run.header["command"]
    assert "failed; see " in capsys.readouterr().out
    assert "minigrad.stage against the referee alone" in (tmp_path / "summary.md").read_text()


def test_a_framework_that_nobody_asks_for_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    without(monkeypatch, "jax")
    file = tmp_path / "case.json"
    file.write_text(json.dumps(CASE.as_data()))
    assert cli.main(["repro", str(file), "--oracles", "torch"]) == 0
    assert "not installed" not in capsys.readouterr().err


def test_a_referee_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    without(monkeypatch, "flint")
    assert refused(capsys, "repro", "f64-circuit", "--oracles", "exact", code=3).startswith("not installed: flint; ")


@pytest.mark.parametrize("name", ["flint", "hypothesis", "jinja2", "matplotlib", "pandas", "pebble", "rich"])
def test_a_missing_library_is_named_with_how_to_install_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    without(monkeypatch, name)
    message = refused(capsys, "verify", "--out", tmp_path / "run", code=3)
    assert message.startswith(f"not installed: {name}; install with make setup, or pip install -e '.[report]'")


def test_report_needs_neither_an_engine_nor_hypothesis(tmp_path: Path) -> None:
    write_journal(tmp_path)
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'jax', 'hypothesis', 'pebble', 'rich'])); "
        "from oracles import cli; sys.exit(cli.main(['report', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").exists()


# Journals.


def write_journal(folder: Path) -> list[str]:
    """A small sound journal; returns its lines."""
    header = {
        "command": "python -m oracles verify",
        "seed": 0,
        "examples": 1,
        "dtypes": ["float64"],
        "orders": [1],
        "subject": "minigrad",
        "oracles": ["torch", "jax"],
        "versions": {},
    }
    footer = {"verdict": "PASS", "cases": 1, "failures": 0, "findings": 0, "silent": {}, "seconds": 1.0}
    with JournalWriter(folder, header) as journal:
        journal.case(examine(CASE, Setup(orders=(1,))).as_data())
        journal.close(footer | {"stale": [], "quotas": [], "cost": {}, "shrunk": []})
    return (folder / "run.jsonl").read_text().splitlines()


def test_a_sound_journal_is_read(tmp_path: Path) -> None:
    write_journal(tmp_path)
    assert [record["id"] for record in read_run(tmp_path).cases] == [CASE.id]
    assert list(read_run(tmp_path / "run.jsonl").cases) == [read_run(tmp_path).cases[0]] == read_run(tmp_path).cases[:1]


def test_the_journal_before_is_kept(tmp_path: Path) -> None:
    before = write_journal(tmp_path)
    with JournalWriter(tmp_path, {}):  # a run that is interrupted takes nothing away
        assert (tmp_path / "run.jsonl").read_text().splitlines() == before
    write_journal(tmp_path)
    assert (tmp_path / "previous.jsonl").read_text().splitlines() == before


def test_a_journal_is_partial_until_it_is_closed(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, {}) as journal:
        assert {path.name for path in tmp_path.iterdir()} == {"run.jsonl.partial"}
        journal.close({})
    assert {path.name for path in tmp_path.iterdir()} == {"run.jsonl"}


def test_a_journal_that_is_cut_short_stays_partial(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, {}) as journal:
        journal.case({"kind": "case", "verdicts": []})
    assert {path.name for path in tmp_path.iterdir()} == {"run.jsonl.partial"}


LACKING = "the footer lacks cost, failures, findings, quotas, seconds, shrunk, silent, stale, verdict; run verify again"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lines: [], "the journal is empty; run verify again"),
        (lambda lines: lines[:-1], "truncated: there is no footer after line 2; run verify again"),
        (lambda lines: lines[:1], "truncated: there is no footer after line 1; run verify again"),
        (lambda lines: [*lines[:-1], lines[-1][:40]], "line 3 breaks off or is no JSON; run verify again"),
        (lambda lines: [lines[0], lines[1][:40], lines[2]], "line 2 breaks off or is no JSON; run verify again"),
        (lambda lines: ["not JSON"], "line 1 breaks off or is no JSON; run verify again"),
        (lambda lines: ["[]", *lines[1:]], "line 1 is no header of a version-1 journal; run verify again"),
        (lambda lines: [lines[0], "{}", lines[2]], "line 2 is no case; run verify again"),
        (
            lambda lines: [lines[0], lines[1].replace('"program"', '"code"'), lines[2]],
            "line 2 is no case; run verify again",
        ),
        (lambda lines: [*lines[:2], '{"kind": "footer", "cases": 1}'], LACKING),
        (lambda lines: lines[1:], "line 1 is no header of a version-1 journal; run verify again"),
    ],
)
def test_an_unsound_journal_is_refused_at_its_line(
    spoil: Callable[[list[str]], list[str]], message: str, tmp_path: Path, capsys: Capture
) -> None:
    lines = spoil(write_journal(tmp_path))
    (tmp_path / "run.jsonl").write_text("".join(f"{line}\n" for line in lines))
    assert refused(capsys, "report", tmp_path) == f"{tmp_path / 'run.jsonl'}: {message}"
    assert {path.name for path in tmp_path.iterdir()} == {"run.jsonl"}


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path, capsys: Capture) -> None:
    lines = write_journal(tmp_path)
    header = {**json.loads(lines[0]), "version": 2}
    (tmp_path / "run.jsonl").write_text("\n".join([json.dumps(header), *lines[1:]]))
    assert "line 1 is no header of a version-1 journal" in refused(capsys, "report", tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "run.jsonl").write_bytes(b"\xff\xfe\x00")
    assert refused(capsys, "report", tmp_path).endswith("not a journal; give the folder of a run")


@pytest.mark.parametrize("command", [["report"], ["repro", "f64-circuit", "--run"]])
def test_a_folder_that_is_missing_is_refused(command: list[str], tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "nowhere"
    message = refused(capsys, *command, folder)
    assert message == f"{folder}: No such file or directory; run `python -m oracles verify` first"


def test_a_folder_without_a_journal_is_refused(tmp_path: Path, capsys: Capture) -> None:
    message = refused(capsys, "report", tmp_path)
    assert message.startswith(f"{tmp_path / 'run.jsonl'}: No such file or directory; run ")


# Cases.


def test_a_case_file_is_judged_again(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(CASE.as_data()))
    assert cli.main(["repro", str(file), "--oracles", "torch,jax"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("def program(x: float64[2], y: float64[2]):\n    v1 = np.tanh(x)")
    assert "x = [1.0, 2.0]\ny = [3.0, 4.0]\n" in shown
    assert shown.count("agrees") == 6


def test_a_case_file_is_judged_with_a_subject_of_ones_own(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(CASE.as_data()))
    assert cli.main(["repro", str(file), "--subject", spec(trial.TanhOff), "--oracles", "exact"]) == 1
    assert capsys.readouterr().out.count("wrong") == 2


def test_an_unknown_id_is_refused(tmp_path: Path, capsys: Capture) -> None:
    write_journal(tmp_path)
    message = refused(capsys, "repro", "f64-99999", "--run", tmp_path)
    assert message == f"case 'f64-99999' is not in {tmp_path}; give an id from cases.csv, or a case file"


def test_a_case_file_that_is_missing_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert refused(capsys, "repro", tmp_path / "case.json") == f"{tmp_path / 'case.json'}: No such file or directory"


@pytest.mark.parametrize("text", ["", "{", json.dumps(CASE.as_data())[:-20], "def program(x):"])
def test_a_case_file_that_is_no_json_is_refused(text: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "case.json"
    file.write_text(text)
    message = refused(capsys, "repro", file)
    assert message.startswith(f"{file}: not JSON (")
    assert message.endswith("; write it again or give another file")


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda case: case["program"]["steps"][0].update(function="tahn"), "step (1) calls 'tahn', which is no known"),
        (lambda case: case["program"]["steps"][0].update(operands=["v2"]), "step (1) uses the value of v2, which is"),
        (lambda case: case["program"]["steps"][0].update(operands=["v1"]), "step (1) uses the value of v1, which is"),
        (lambda case: case["program"]["steps"][1].update(operands=["v1", "z"]), "there is no value called 'z'"),
        (lambda case: case["program"]["steps"][0].update(parameters={"loud": 1}), "step (1) tanh cannot run: "),
        (lambda case: case["program"].update(version=9), "program version 9 is not 1"),
        (lambda case: case["program"].update(steps=3), "the inputs: malformed"),
        (lambda case: case["inputs"][0].update(shape=[3]), "cannot reshape array of size 2 into shape (3,)"),
        (lambda case: case["inputs"][0].update(shape=[2, 1]), "input x has shape (2, 1)"),
        (lambda case: case["inputs"].pop(), "the program takes 2 inputs, got 1"),
        (lambda case: case["cotangent"].update(shape=[1, 2]), "give it the result's, (2,)"),
        (lambda case: case["cotangent"].update(data=["one", "two"]), "the case's arrays are malformed"),
        (lambda case: case["cotangent"].update(data=["nan", "0x1p+0"]), "the cotangent and the vectors must be finite"),
        (lambda case: case["vectors"].pop(), "there must be one vector per input"),
        (lambda case: case.pop("cotangent"), "the case lacks the entry 'cotangent'"),
        (lambda case: case.pop("program"), 'not a case: expected an object with "program"'),
        (lambda case: case.update(inputs=None), "the case's arrays are malformed"),
    ],
)
def test_a_case_that_makes_no_sense_is_refused_at_its_place(
    change: Change, message: str, tmp_path: Path, capsys: Capture
) -> None:
    data = copy.deepcopy(CASE.as_data())
    change(data)
    file = tmp_path / "case.json"
    file.write_text(json.dumps(data))
    assert message in refused(capsys, "repro", file)
