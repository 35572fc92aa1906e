"""The report's tables and small pictures: what they say is what the journal says."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from minigrad.programs import encode_array
from oracles.exact import Status
from oracles.examine import Setup, examine
from oracles.journal import Run
from oracles.report.findings import shown
from oracles.report.frames import (
    MAGNITUDES,
    ULPS,
    ConventionTable,
    TimingTable,
    by_function,
    cases_frame,
    choice,
    counts_frame,
    errors_frame,
    in_order,
)
from oracles.report.matrix import cell, short
from oracles.report.plots import accuracy_plot, band, histogram, outline, timings_plot
from oracles.verdict import Label
from tests import trial
from tests.trial import case_of, spec

# Tables.


def record(**changes: Any) -> dict[str, Any]:
    """A case of two functions, one of them twice, that one party answered 3 ULPs off."""
    verdict = {"party": "one", "order": 1, "label": "agrees", "units": 1.0, "ulp": 3, "where": "", "why": ""}
    told = {"id": "a", "origin": {}, "dtype": "float64", "functions": ["sin", "exp", "sin"], "forks": 0, "seconds": 1.0}
    told |= {"events": [], "vacuous": False, "verdicts": [verdict], "timings": {}, "truth": {}, "values": {}}
    return told | {"inputs": [encode_array(np.array([-20.0, 3.0, np.inf, np.nan]))]} | changes


def verdicts(*labels: str, ulp: int = 0) -> list[dict[str, Any]]:
    return [{**record()["verdicts"][0], "label": label, "ulp": ulp, "party": f"p{k}"} for k, label in enumerate(labels)]


def test_magnitude_is_that_of_the_largest_finite_input() -> None:
    assert cases_frame(Run({}, [record()], {}))["magnitude"].tolist() == [20.0]
    [none] = cases_frame(Run({}, [record(inputs=[encode_array(np.array(np.nan))])], {}))["magnitude"]
    assert none == 0


def test_a_case_counts_once_towards_each_of_its_functions() -> None:
    counts = counts_frame(by_function(cases_frame(Run({}, [record(), record(id="b")], {}))))
    assert counts[["function", "n", "agrees", "ulp_max"]].values.tolist() == [["exp", 2, 2, 3], ["sin", 2, 2, 3]]


@pytest.mark.parametrize(
    ("ulp", "column"), [(0, "ulp_0"), (3, "ulp_4"), (16, "ulp_16"), (17, "ulp_64"), (2**64 - 1, "ulp_more")]
)
def test_every_distance_falls_into_one_bin(ulp: int, column: str) -> None:
    run = Run({}, [record(verdicts=verdicts("agrees", ulp=ulp))], {})
    row = errors_frame(by_function(cases_frame(run))).iloc[0]
    assert row[[f"ulp_{name}" for name in ULPS]].sum() == row[column] == row["n"] == 1
    assert row["magnitude"] == 10.0
    assert row["ulp_max"] == float(ulp)


@pytest.mark.parametrize("label", ["unsupported", "errored", "structure"])
def test_who_has_no_distance_is_in_no_histogram(label: str) -> None:
    cases = cases_frame(Run({}, [record(verdicts=verdicts("agrees", label))], {}))
    assert set(errors_frame(by_function(cases))["party"]) == {"p0"}
    assert counts_frame(by_function(cases)).groupby("party")["ulp_max"].max().isna().tolist() == [False, True]


def test_tables_lead_with_the_subject_and_float64() -> None:
    rows = [(party, dtype) for party in "ab" for dtype in ("float32", "float64")]
    table = in_order(pd.DataFrame(rows, columns=["party", "dtype"]), ["b", "a"])
    assert table.values.tolist() == [["b", "float64"], ["b", "float32"], ["a", "float64"], ["a", "float32"]]


@pytest.mark.parametrize(("seconds", "is_unstable"), [([1.0, 1.0, 1.3], False), ([0.7, 1.0, 1.3], True)])
def test_times_that_vary_within_a_case_are_unstable(seconds: list[float], is_unstable: bool) -> None:
    table = TimingTable()
    table.add(record(timings={"one": {"forward": seconds}}))
    table.add(record(id="b", timings={"one": {"forward": [1e3 * s for s in seconds]}}))
    [row] = table.frame().to_dict("records")
    assert (row["unstable"], row["median_us"]) == (is_unstable, pytest.approx(1e6 * 500.5))


@pytest.mark.parametrize(
    ("mine", "bounds", "word"),
    [
        (0.0, (0.0, 1.0), "zero"),
        (1.0, (0.0, 1.0), "an end"),
        (-1.0, (-1.0, 0.0), "an end"),
        (0.5, (0.0, 1.0), "the middle"),
        (0.1, (0.0, 1.0), "in between"),
        (2.0, (0.0, 1.0), "outside"),
        (2.0, (2.0, 2.0), "a number"),
        (2.0, (0.0, math.inf), "a number"),
        (math.nan, (0.0, 1.0), "NaN"),
    ],
)
def test_a_choice_at_a_kink_has_its_word(mine: float, bounds: tuple[float, float], word: str) -> None:
    assert choice(Status.KINK, mine, *bounds) == word


@pytest.mark.parametrize(
    ("mine", "word"), [(0.0, "zero"), (3.0, "a number"), (-math.inf, "infinite"), (math.nan, "NaN")]
)
def test_an_answer_past_an_edge_has_its_word(mine: float, word: str) -> None:
    assert choice(Status.EDGE, mine, math.nan, math.nan) == word


def test_conventions_are_those_of_the_answers() -> None:
    case = case_of(np.abs, [0.0, 0.0, 2.0])
    table = ConventionTable()
    table.add(examine(case, Setup(oracles=("torch", "jax"), orders=(1,))).as_data())
    found = {(row["party"], row["choice"]): row["elements"] for row in table.frame().to_dict("records")}
    assert found == {("minigrad", "zero"): 2, ("torch", "zero"): 2, ("jax", "an end"): 2}


# Cells.


def counted(n: int, **labels: int) -> dict[str, Any]:
    return {"n": n, "ulp_median": 1.5, "ulp_max": 2e9} | {label.value: 0 for label in Label} | labels


def test_a_cell_says_why_there_is_no_number() -> None:
    words = [
        cell(row)["word"]
        for row in (
            None,
            counted(2, unsupported=2),
            counted(2, unsupported=1, errored=1),
            counted(2, convention=1, edge=1),
            counted(2, edge=2),
            counted(2, agrees=1, convention=1),
        )
    ]
    assert words == ["not run", "unsupported", "errored", "convention", "edge", ""]


def test_a_cell_has_a_mark_for_each_label_that_is_not_mere_agreement() -> None:
    said = cell(counted(9, agrees=4, wrong=2, unstable=1, convention=2))
    assert said == {"grave": "✗2 ~1", "mild": "◇2", "word": "", "median": "1.5", "max": "2e9"}


@pytest.mark.parametrize(
    ("ulp", "text"), [(0.0, "0"), (2.5, "2.5"), (9999.0, "9999"), (12345.0, "1e4"), (2.0**64, "2e19")]
)
def test_distances_are_told_in_few_characters(ulp: float, text: str) -> None:
    assert short(ulp) == text


# Pictures.


def points(path: str) -> list[tuple[int, int]]:
    """The corners of a path that `outline` drew."""
    x, y = map(int, re.match(r"M(\d+),(\d+)", path).groups())  # type: ignore[union-attr]
    found = [(x, y)]
    for stroke, number in re.findall(r"([HV])(\d+)", path):
        x, y = (int(number), y) if stroke == "H" else (x, int(number))
        found.append((x, y))
    return found


def test_an_outline_has_no_needless_corner() -> None:
    assert outline([(0, 9), (0, 3), (1, 3), (1, 3), (2, 3), (2, 9)]) == "M0,9V3H2V9z"
    assert outline([(0, 5), (0, 5), (1, 5), (2, 5), (2, 5), (1, 5)]) == "M0,5H2H1z"


def test_a_histogram_shows_whatever_there_is() -> None:
    assert points(histogram([0, 1000, 0, 1, 0])) == [
        (1, 24),
        (1, 0),
        (2, 0),
        (2, 24),
        (3, 24),
        (3, 23),
        (4, 23),
        (4, 24),
    ]


def test_a_band_goes_from_the_median_to_the_maximum_and_breaks_off_where_there_is_nothing() -> None:
    rows = {MAGNITUDES[k]: {"ulp_median": 0, "ulp_max": most} for k, most in ((0, 0), (1, math.inf), (3, 1))}
    parts = [points(part) for part in re.findall(r"M[^M]+", band(rows))]
    assert parts == [[(0, 9), (1, 9), (1, 0), (2, 0), (2, 9), (1, 9)], [(3, 9), (3, 8), (4, 8), (4, 9)]]


@pytest.fixture(scope="module")
def off() -> dict[str, Any]:
    """A shrunk failure, as the journal has it."""
    subject = spec(trial.TanhOff)
    found = examine(case_of(lambda x: np.tanh(x) * 2, [0.5, 3.0]), Setup(subject, ("minigrad",), (1,)))
    mark = {"label": "wrong", "order": 1, "function": "tanh multiply", "event": ""}
    return found.as_data() | {"accused": subject, "found_as": "f64-00001", "known": "", "fingerprint": mark}


def test_plots_tell_parties_apart_without_colour_and_take_it_from_the_page() -> None:
    table = TimingTable()
    parties = ["one", "two"]
    table.add(record(timings={party: {"forward": [1.0, 2.0, 3.0]} for party in parties}))
    plots = timings_plot(table.frame(), parties), accuracy_plot(cases_frame(Run({}, [record()], {})), ["one"])
    for plot in plots:
        assert plot.startswith("<svg viewBox=")
        assert "<title>" in plot
        assert not re.search("#[0-9a-f]{6}|Date|xmlns", plot)
    markers = re.findall(r'<path id="(m[0-9a-f]+)"', plots[0])
    assert len(set(markers)) == len(parties)


def test_a_finding_has_everybodys_numbers_the_truth_and_the_bound_of_its_error(off: dict[str, Any]) -> None:
    case = shown(off, "run")
    first = case["elements"][0]
    assert first["name"] == case["where"] == "d/dx[0]"
    assert re.fullmatch(r"± \d\.\de-\d+", first["truth"]["bound"])
    assert {*first["told"]} == {off["accused"], "minigrad"}
    told = first["told"]
    assert told["minigrad"]["ulp"] <= 4 < told[off["accused"]]["ulp"]
    assert float.fromhex(told["minigrad"]["hex"]) == float(told["minigrad"]["decimal"])
    assert case["reproduce"] == f"python run/repro/{off['id']}.py"


def test_an_answer_of_another_form_is_told_as_such(off: dict[str, Any]) -> None:
    arrays = off["values"]["1"][off["accused"]]
    forms = {"a": [arrays[0], encode_array(np.ones(3))], "b": [arrays[0], None], "c": arrays[:1]}
    first = shown({**off, "values": {"1": forms}}, "run")["elements"][0]
    assert {party: told["decimal"] for party, told in first["told"].items()} == {
        "a": "shape (3,)",
        "b": "0.0 (none)",
        "c": "0.0 (none)",
    }


def test_a_findings_circuit_has_numpys_values_and_the_certified_gradient(off: dict[str, Any]) -> None:
    scalar = examine(case_of(np.tanh, 0.5), Setup(off["accused"], (), (1,))).as_data()
    svg = shown({**off, **scalar}, "run")["circuit"]
    assert all(f">{text}<" in svg for text in ("tanh", "0.50", "0.46", "0.79"))
