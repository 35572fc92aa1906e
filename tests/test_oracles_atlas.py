"""The atlas: which points it has, what is in the table, what the pages show, and what the command refuses."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracles import cli
from oracles.atlas import (
    COLUMNS,
    NAMES,
    Cell,
    Entry,
    Line,
    Options,
    Reply,
    Spot,
    Truth,
    calls,
    choices,
    context,
    given_up,
    line_of,
    look,
    settled,
    spots,
    table,
)
from oracles.cases import FloatArray
from oracles.catalogue import CATALOGUE
from oracles.points import MOST_TABULATED, tabulated
from oracles.verdict import Label

ROOT = Path(__file__).parents[1]

FUNCTIONS = "absolute,maximum,sqrt,tanh,hypot,ldexp"

Rows = list[dict[str, str]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The atlas of a few functions."""
    out = tmp_path_factory.mktemp("atlas")
    assert cli.main(["atlas", "--function", FUNCTIONS, "--workers", "2", "--out", str(out)]) in (0, 1)
    return out


@pytest.fixture(scope="module")
def rows(folder: Path) -> Rows:
    with (folder / "atlas.csv").open() as file:
        return list(csv.DictReader(file))


def gradient(rows: Rows, call: str, point: str) -> dict[str, tuple[str, ...]]:
    """What each party gave for the gradient at a point."""
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if (row["call"], row["point"]) == (call, point) and row["element"] != "value":
            found[row["party"]] = (*found.get(row["party"], ()), row["value"])
    return found


# Points.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_a_call_has_a_few_points_each_of_them_once(name: str, dtype: str) -> None:
    for count in (1, 2):
        found = tabulated(CATALOGUE[name], dtype, count)
        assert 8 <= len(found) <= MOST_TABULATED
        assert len({tuple(x.tobytes() for x in operands) for _, operands in found}) == len(found)
        assert len({words for words, _ in found}) == len(found)
        assert {x.dtype for _, operands in found for x in operands} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absolute", ["-0", "0", "0 - 1 ULP", "0 + 1 ULP", "inf", "-inf", "nan", "max"]),
        ("arcsin", ["1", "-1", "1 - 1 ULP", "-1 + 1 ULP"]),
        ("log", ["0", "0 + 1 ULP"]),
        ("scipy.special.logit", ["0", "1", "1 - 1 ULP"]),
        ("modf", ["1", "2", "2 - 1 ULP"]),
        ("tanh", ["20", "-20", "sqrt(smallest)", "sqrt(max)"]),
        ("prod", ["one zero", "two zeros", "zeros of both signs"]),
        ("max", ["tie of the largest", "the largest 1 ULP apart", "nan among others"]),
    ],
)
def test_kinks_edges_and_their_neighbours_are_there(name: str, words: Sequence[str]) -> None:
    assert {*words} <= {found for found, _ in tabulated(CATALOGUE[name], "float64")}


@pytest.mark.parametrize(
    ("name", "words"),
    [("maximum", ["0 and 0", "1 and 1", "1 and 1 + 1 ULP"]), ("power", ["0 and 2"]), ("divide", ["1 and 0"])],
)
def test_pairs_are_there(name: str, words: Sequence[str]) -> None:
    assert {*words} <= {found for found, _ in tabulated(CATALOGUE[name], "float64", 2)}


@pytest.mark.parametrize("name", NAMES)
def test_every_call_is_one_of_its_function(name: str) -> None:
    for call in calls(CATALOGUE[name]):
        spot = next(spot for spot in spots([name], "float64", 1) if spot.call == call)
        with np.errstate(all="ignore"):
            assert name in {step.function for step in spot.case().program.steps}


# The table.


def test_the_dictionary_has_every_column(rows: Rows) -> None:
    dictionary = (ROOT / "reports" / "README.md").read_text()
    [section] = [part for part in dictionary.split("\n## ") if part.startswith("`atlas.csv`")]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert [name for line in lines for name in re.findall("`([^`]+)`", line.split("|")[1])] == [*rows[0]]
    assert [*rows[0]] == [*COLUMNS]


def test_the_table_has_every_point_element_and_party(rows: Rows) -> None:
    keys = [(row["call"], row["point"], row["element"], row["party"]) for row in rows]
    assert len({*keys}) == len(keys)
    points = {(call, point) for call, point, _, _ in keys}
    assert points == {(spot.call, spot.words) for spot in spots(FUNCTIONS.split(","), "float64", 1)}
    assert {party for *_, party in keys} == {"minigrad", "torch", "jax"}
    assert {row["element"] for row in rows} == {"value", "d/dx", "d/dy"}


def test_numbers_and_their_hexadecimal_are_the_same(rows: Rows) -> None:
    for row in rows:
        for name in ("value", "truth", "low", "high"):
            assert (row[name] == "") == (row[f"{name}_hex"] == "")
            if row[name]:
                assert np.array_equal(float(row[name]), float.fromhex(row[f"{name}_hex"]), equal_nan=True)


@pytest.mark.parametrize(
    ("call", "point", "expected"),
    [
        ("np.absolute(x)", "0", {"torch": ("0.0",), "jax": ("1.0",), "minigrad": ("0.0",)}),
        ("np.maximum(x, y)", "0 and 0", dict.fromkeys(("minigrad", "torch", "jax"), ("0.5", "0.5"))),
        ("np.sqrt(x)", "0", dict.fromkeys(("minigrad", "torch", "jax"), ("inf",))),
        ("np.tanh(x)", "20", {"minigrad": ("1.6993417021166355e-17",), "torch": ("0.0",), "jax": ("0.0",)}),
        ("np.hypot(x, y)", "0 and 0", {"minigrad": ("0.0", "0.0"), "torch": ("nan", "nan"), "jax": ("0.5", "0.5")}),
        ("np.ldexp(x, -1)", "1", {"minigrad": ("0.5",), "torch": ("0.0",), "jax": ("0.5",)}),
        ("np.ldexp(x, 3)", "0", {"minigrad": ("8.0",), "torch": ("8.0",), "jax": ("1.0",)}),
    ],
)
def test_values_are_those_that_were_measured(
    call: str, point: str, expected: Mapping[str, tuple[str, ...]], rows: Rows
) -> None:
    assert gradient(rows, call, point) == expected


@pytest.mark.parametrize(
    ("call", "point", "status", "labels"),
    [
        ("np.absolute(x)", "0", "kink", {"minigrad": "convention", "torch": "convention", "jax": "convention"}),
        ("np.absolute(x)", "1", "certain", {"minigrad": "agrees", "torch": "agrees", "jax": "agrees"}),
        ("np.absolute(x)", "nan", "nonfinite", {"minigrad": "nonfinite", "torch": "nonfinite", "jax": "nonfinite"}),
        ("np.sqrt(x)", "0", "edge", {"minigrad": "edge", "torch": "edge", "jax": "edge"}),
        ("np.tanh(x)", "20", "certain", {"minigrad": "agrees", "torch": "unstable", "jax": "unstable"}),
        ("np.hypot(x, y)", "0 and 0", "kink", {"minigrad": "convention", "torch": "wrong", "jax": "convention"}),
        ("np.ldexp(x, -1)", "1", "certain", {"minigrad": "agrees", "torch": "wrong", "jax": "agrees"}),
    ],
)
def test_labels_are_those_of_the_judge(
    call: str, point: str, status: str, labels: Mapping[str, str], rows: Rows
) -> None:
    found = [row for row in rows if (row["call"], row["point"], row["element"]) == (call, point, "d/dx")]
    assert {row["party"]: row["label"] for row in found} == labels
    assert {row["status"] for row in found} == {status}


def test_the_bounds_of_a_kink_are_there(rows: Rows) -> None:
    row = next(row for row in rows if (row["call"], row["point"], row["element"]) == ("np.absolute(x)", "0", "d/dx"))
    assert (row["low"], row["high"], row["truth"]) == ("-1.0", "1.0", "")


def test_the_same_is_written_twice(folder: Path, tmp_path: Path) -> None:
    # Once with other workers, into a folder that holds an atlas already.
    for workers in ("1", "2"):
        assert cli.main(["atlas", "--function", "absolute,sqrt", "--workers", workers, "--out", str(tmp_path)]) == 0
        files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert {*files} == {"atlas.csv", "atlas.md", "index.html"}
        if workers == "1":
            first = files
    assert first == files
    lines = (folder / "atlas.csv").read_text().splitlines()
    assert first["atlas.csv"].decode().splitlines()[1:] == [
        line for line in lines if line.startswith(("absolute,", "sqrt,"))
    ]


def test_other_dtypes_orders_and_parties(tmp_path: Path) -> None:
    words = ["--function", "absolute", "--dtype", "float32", "--order", "2", "--parties", "minigrad.stage"]
    assert cli.main(["atlas", *words, "--workers", "1", "--out", str(tmp_path)]) == 0
    with (tmp_path / "atlas.csv").open() as file:
        found = list(csv.DictReader(file))
    assert {(row["dtype"], row["order"], row["party"], row["element"]) for row in found} == {
        ("float32", "2", "minigrad.stage", "H/dx")
    }
    assert "max" in {row["point"] for row in found if row["operands"] == "x = 3.4028235e+38"}


# One point.


def at(function: str, call: str, words: str = "there", **operands: Any) -> Spot:
    arrays: dict[str, FloatArray] = {name: np.array(x) for name, x in operands.items()}
    return Spot(function, call, words, arrays, 1)


@pytest.mark.parametrize(
    ("spot", "status"),
    [
        (at("log", "np.log(x)", x=0.0), "outside"),
        (at("divide", "np.divide(x, y)", x=0.0, y=0.0), "outside"),
        (at("arctanh", "np.arctanh(x)", x=1.0), "outside"),
        (at("exp", "np.exp(x)", x=np.inf), "nonfinite"),
        (at("nansum", "np.nansum(x)", x=[np.inf, 1.0]), "nonfinite"),
        (at("exp", "np.exp(x)", x=1e3), "no value"),
        (at("mean", "np.mean(x)", x=[1.5e308, 1.5e308]), "no value"),
    ],
)
def test_where_nobody_knows_what_is_right_nobody_is_judged(spot: Spot, status: str) -> None:
    entry = look(spot, ("minigrad",))
    assert {truth.status for truth in entry.truths} == {status}
    assert {reply.label for reply in entry.replies["minigrad"]} <= {Label.EDGE, Label.NONFINITE}
    assert not entry.failed
    assert line_of(entry).cells[0].mark == ""


def test_what_leaves_nan_out_is_judged_there() -> None:
    entry = look(at("nansum", "np.nansum(x)", x=[np.nan, 1.0]), ("minigrad",))
    assert [(truth.status, truth.shown) for truth in entry.truths] == [("certain", text) for text in "101"]


def test_elements_of_a_result_are_told_apart() -> None:
    entry = look(at("sort", "np.sort(x, axis=0)", x=[3.0, 1.0, 2.0]), ("minigrad",))
    assert [float(reply.value) for reply in entry.replies["minigrad"]] == [1, 2, 3, 4, 1, 2]


@pytest.mark.parametrize(
    ("label", "others", "verdict", "expected"),
    [
        (Label.WRONG, [Label.WRONG], Label.UNSTABLE, Label.UNSTABLE),
        (Label.WRONG, [Label.WRONG], Label.UNDECIDED, Label.WRONG),
        (Label.AGREES, [Label.WRONG], Label.WRONG, Label.AGREES),
        (Label.CONVENTION, [Label.CONVENTION], Label.WRONG, Label.WRONG),
        (Label.CONVENTION, [Label.WRONG], Label.WRONG, Label.CONVENTION),
        (Label.AGREES, [Label.AGREES], Label.PROMOTION, Label.PROMOTION),
    ],
)
def test_an_element_has_the_verdict_where_it_decided_it(
    label: Label, others: list[Label], verdict: Label, expected: Label
) -> None:
    assert settled(label, [label, *others], verdict) == expected


def test_a_point_that_a_worker_died_of_is_in_the_table() -> None:
    entry = given_up(at("exp", "np.exp(x)", x=1.0), ("minigrad", "torch"), "the worker died")
    assert entry.failed
    found = [*csv.DictReader(table([entry], "float64").splitlines())]
    assert [(row["party"], row["element"], row["status"], row["label"]) for row in found] == [
        (party, "the worker died", "unknown", "errored") for party in ("minigrad", "torch")
    ]
    assert line_of(entry).cells == [Cell("", "errored")] * 2


# The pages.


def entry_of(spot: Spot, truth: Truth, **replies: Reply) -> Entry:
    return Entry(spot, [truth], {party: [reply] for party, reply in replies.items()})


def line(truth: Truth, mine: Any, theirs: Any, label: Label = Label.AGREES) -> Line:
    spot = at("absolute", "np.absolute(x)", x=0.0)
    return line_of(entry_of(spot, truth, minigrad=Reply(Label.AGREES, mine), torch=Reply(label, theirs)))


def test_what_is_off_has_its_label_and_the_digits_that_tell() -> None:
    told = line(Truth("d/dx", "certain", 1.0), 1.0, 1.0 + 1e-9, Label.WRONG)
    assert told.cells == [Cell("1"), Cell("1.000000001", "wrong")]
    assert told.is_told
    assert not told.is_split


def test_zeros_of_either_sign_are_one_choice() -> None:
    kink = Truth("d/dx", "kink", low=-1.0, high=1.0)
    assert not line(kink, 0.0, -0.0).is_split
    assert line(kink, 0.0, 1.0).is_split
    [group] = choices([line(kink, 0.0, 1.0), line(kink, -0.0, 1.0), line(kink, 0.0, 0.0)])
    assert (group.truth, len(group.points)) == ("-1 to 1", 2)


def test_functions_on_which_all_agree_take_a_line() -> None:
    spot = at("sqrt", "np.sqrt(x)", x=0.0)
    entry = entry_of(spot, Truth("d/dx", "edge"), minigrad=Reply(Label.EDGE, np.inf), torch=Reply(Label.EDGE, np.inf))
    shown = context([entry], Options(("sqrt",), parties=("minigrad", "torch")))
    assert (shown["sections"], [part.call for part in shown["quiet"]]) == ([], ["np.sqrt(x)"])
    assert [each.words for each in shown["quiet"][0].breaks] == ["there"]


def test_the_pages_show_what_the_table_has(folder: Path) -> None:
    markdown, html = ((folder / name).read_text() for name in ("atlas.md", "index.html"))
    assert "| `np.absolute(x)` | -0; 0 | -1 to 1 | 0 | 0 | 1 |" in markdown
    assert "| 20 | 1.69934e-17 | 1.69934e-17 | 0 **unstable** | 0 **unstable** |" in markdown
    assert "<td>20</td><td>1.69934e-17</td><td>1.69934e-17</td><td>0 <b>unstable</b></td>" in html
    assert f"--function {FUNCTIONS}" in markdown
    assert "torch 2." in markdown


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    html = (folder / "index.html").read_text()
    assert not re.search(r"http|<script|javascript|@import|url\(", html)
    assert "color-scheme: light dark" in html
    assert len(html) < 2**20


def test_the_page_escapes_what_it_shows(folder: Path) -> None:
    from oracles.report import environment

    spot = at("exp", "np.exp(x)", "<script>", x=1.0)
    entry = entry_of(spot, Truth("d/dx", "certain", 1.0), minigrad=Reply(Label.WRONG, 2.0))
    shown = context([entry], Options(("exp",), parties=("minigrad",)))
    assert "<script>" not in environment().get_template("atlas.html.j2").render(**shown)


# The command.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--function", "frobnicate"], "--function 'frobnicate': frobnicate is not known; choose from positive,"),
        (["--function", "reshape"], "--function 'reshape': reshape has no special points to look at; leave it out"),
        (["--function", ""], "--function '': nothing is not known; choose from positive,"),
        (["--parties", "tf"], "--parties 'tf': tf is not known; choose from minigrad,minigrad.stage,torch,jax,jax.jit"),
        (["--dtype", "float16"], "--dtype 'float16': choose from float64,float32"),
        (["--order", "3"], "--order '3': choose from 1,2"),
        (["--workers", "0"], "--workers '0': give a whole number, at least 1"),
    ],
)
def test_an_unknown_value_is_refused_with_the_known_ones(
    words: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    assert cli.main(["atlas", "--out", str(tmp_path / "out"), *words]) == 2
    assert capsys.readouterr().err.startswith(f"oracles: {message}")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "thesis.tex").write_text("")
    assert cli.main(["atlas", "--function", "absolute", "--out", str(tmp_path)]) == 2
    assert "holds files that are no run's" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_party_that_is_not_installed_is_named_or_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "jax" else find(name, *more))
    out = ["--function", "square", "--workers", "1", "--out", str(tmp_path)]
    assert cli.main(["atlas", "--parties", "minigrad,jax", *out]) == 3
    assert capsys.readouterr().err.endswith("or choose others with --parties\n")
    assert cli.main(["atlas", *out]) == 0
    assert capsys.readouterr().err.startswith("jax: not installed; make setup, or pip install -e '.[jax]'")
    assert ",jax," not in (tmp_path / "atlas.csv").read_text()
