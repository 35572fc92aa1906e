"""Two runs compared: what is said first, what is new or fixed, and what chance explains."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import cli
from oracles.campaign import Campaign, Options
from oracles.diff import Changes, compare
from oracles.diff.measures import interval
from oracles.examine import Setup
from oracles.journal import JournalWriter, Run, read_run
from tests.trial import case_of

Capture = pytest.CaptureFixture[str]

AGREES = {"minigrad": "agrees", "torch": "agrees"}

HEADER = {"seed": 0, "subject": "minigrad", "oracles": ["torch"], "orders": [1], "dtypes": ["float64"]}
HEADER |= {"command": "python -m oracles verify", "examples": 9, "versions": {"torch": "2.12.0", "numpy": "2.4.6"}}

FUNCTIONS = {"tanh": np.tanh, "exp": np.exp, "sin": np.sin, "hypot": lambda x: np.hypot(x, 1.0)}


def record(
    name: str,
    function: str = "tanh",
    labels: Mapping[str, str] = AGREES,
    ulps: Mapping[str, int] | None = None,
    x: float = 1.0,
    times: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A case as a journal has it, with these verdicts."""
    verdicts = [
        {"party": party, "order": 1, "label": label, "units": 0.0, "ulp": (ulps or {}).get(party, 0)}
        | {"where": "", "why": ""}
        for party, label in labels.items()
    ]
    facts = {"kind": "case", "dtype": "float64", "functions": [function], "vacuous": False, "events": [], "forks": 0}
    facts |= {"depth": 1, "pairs": [], "stretched": 0, "nearest": None, "names": {}, "values": {}, "truth": {}}
    timings = {party: {"gradient": [seconds]} for party, seconds in (times or {}).items()}
    data = case_of(FUNCTIONS[function], x).as_data() | {"id": name, "origin": {"seed": 0, "block": 0}}
    return data | facts | {"verdicts": verdicts, "timings": timings, "cost": {}, "seconds": 0.1}


def small(accused: str, label: str, function: str, known: str = "") -> dict[str, Any]:
    """What a finding was shrunk to."""
    mark = {"party": accused, "label": label, "order": 1, "function": function, "event": "", "dtype": "float64"}
    return record(f"{function}-small", function, {accused: label}) | {
        "accused": accused,
        "found_as": "f64-00001",
        "fingerprint": mark | {"shape": "scalar", "law": ""},
        "known": known,
    }


def run_of(cases: Sequence[dict[str, Any]], shrunk: Sequence[dict[str, Any]] = (), **header: Any) -> Run:
    subject = header.get("subject", "minigrad")
    failures = sum(v["party"] == subject and v["label"] == "wrong" for case in cases for v in case["verdicts"])
    footer = {"verdict": "FAIL" if failures else "PASS", "failures": failures, "shrunk": [*shrunk], "silent": {}}
    footer |= {"cases": len(cases), "findings": 0, "stale": [], "quotas": [], "cost": {}, "seconds": 1.0}
    return Run(HEADER | header, [*cases], footer)


def ten(function: str = "tanh", **verdicts: Any) -> list[dict[str, Any]]:
    return [record(f"f64-{number:05d}", function, x=float(number), **verdicts) for number in range(10)]


def line_about(words: str, changes: Changes) -> str:
    [line] = [line for line in changes.lines() if words in line]
    return line


# Two real runs.


def campaign(folder: Path, subject: str = "minigrad", seed: int = 0) -> Run:
    options = Options(6, seed, ("float64",), 1, folder, Setup(subject, (), (1,)))
    Campaign(options).run()
    return read_run(folder)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return campaign(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return campaign(tmp_path_factory.mktemp("broken"), "oracles.faults:sign@multiply.1")


@pytest.fixture(scope="module")
def other_seed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return campaign(tmp_path_factory.mktemp("seed"), seed=1)


def test_a_broken_subject_is_said_first_and_then_what_is_broken(good: Run, broken: Run) -> None:
    changes = compare(good, broken)
    first, second = changes.lines()[:2]
    assert first == "PASS -> FAIL: the subject, which is minigrad before and oracles.faults:sign@multiply.1 after"
    assert second.startswith("the subject: ")
    assert " new failure" in second
    assert "wrong in multiply (" in second
    assert changes.worse


def test_a_mended_subject_is_no_worse_and_its_failures_are_fixed(good: Run, broken: Run) -> None:
    changes = compare(broken, good)
    first, second = changes.lines()[:2]
    assert first.startswith("FAIL -> PASS: ")
    assert " fixed failure" in second
    assert "wrong in multiply (" in second
    assert not changes.worse


def test_a_run_does_not_differ_from_itself(good: Run) -> None:
    changes = compare(good, good)
    assert changes.lines()[:2] == ["PASS in both runs: minigrad", "minigrad: no failure in either run"]
    assert changes.answers.are_same
    assert set(changes.tables()) == {"Accuracy over all functions, in ULPs", "Speed"}
    assert not changes.worse


def test_runs_of_different_seeds_say_that_they_drew_other_cases(good: Run, other_seed: Run) -> None:
    changes = compare(good, other_seed)
    named = {record["id"] for record in good.cases if "block" not in record["origin"]}
    assert changes.lines()[2].startswith(f"seeds 0 and 1 draw other cases: {len(named)} of 18 and 18 are the same;")
    assert changes.answers.shared == named
    assert not changes.worse


# What came and what went.


def test_what_only_the_later_run_shows_of_the_same_question_is_new() -> None:
    before, after = ten(), ten(labels=AGREES | {"torch": "wrong"})
    changes = compare(run_of(before), run_of(after, [small("torch", "wrong", "tanh")]))
    assert line_about("finding", changes) == "torch: 1 new finding: wrong in tanh (10 cases, first f64-00000)"
    [row] = changes.findings.to_dict("records")
    assert (row["state"], row["before"], row["after"], row["cases"]) == ("new", "agrees", "wrong", 10)
    assert not changes.worse  # the subject is as good as before


def test_what_only_the_earlier_run_shows_of_the_same_question_is_fixed() -> None:
    changes = compare(run_of(ten(labels=AGREES | {"torch": "unstable"})), run_of(ten()))
    assert line_about("finding", changes) == "torch: 1 fixed finding: unstable in tanh (10 cases, first f64-00000)"


def test_what_is_shown_as_something_else_is_changed() -> None:
    before, after = (run_of(ten(labels=AGREES | {"torch": label})) for label in ("wrong", "unstable"))
    assert "1 changed finding: wrong -> unstable in tanh" in line_about("finding", compare(before, after))


def test_a_function_that_a_party_has_lost_is_not_mended() -> None:
    before, after = (run_of(ten(labels=AGREES | {"torch": label})) for label in ("wrong", "unsupported"))
    assert "1 changed finding" in line_about("finding", compare(before, after))


def test_what_other_cases_show_was_met_and_is_not_called_new() -> None:
    wrong = AGREES | {"torch": "wrong"}
    before = [record(f"f64-{n}", "exp", x=float(n)) for n in range(9)]
    after = [record(f"f64-{n}", "tanh", wrong, x=20.0 + n) for n in range(9)]
    changes = compare(run_of(before), run_of(after, seed=1))
    assert "torch: 1 finding met only after: wrong in tanh" in line_about("finding", changes)
    assert "seeds 0 and 1 draw other cases: 0 of 9 and 9 are the same" in line_about("seeds", changes)


def test_what_both_runs_show_in_other_cases_is_not_told() -> None:
    wrong = AGREES | {"torch": "wrong"}
    runs = [run_of([record(f"f64-{n}", "tanh", wrong, x=at + n) for n in range(9)]) for at in (0.0, 20.0)]
    assert "the others: the same findings in both runs" in compare(*runs).lines()


def test_a_failure_that_the_subject_was_not_met_with_is_worse_and_one_that_it_was_is_not() -> None:
    fails = {"minigrad": "wrong", "torch": "agrees"}
    tanh, exp, tanh_again = (
        run_of([record(f"f64-{n}", function, fails, x=at + n) for n in range(9)])
        for function, at in (("tanh", 0.0), ("exp", 20.0), ("tanh", 40.0))
    )
    assert compare(tanh, exp).worse
    assert not compare(tanh, tanh_again).worse
    assert (
        "minigrad: the same failures in both runs, in 9 cases before and 9 after" in compare(tanh, tanh_again).lines()
    )


def test_the_subject_that_fails_because_another_party_mended_itself_is_told() -> None:
    """Who loses digits fails where anybody keeps them."""
    before, after = (run_of(ten(labels={"minigrad": "unstable", "torch": label})) for label in ("unstable", "agrees"))
    changes = compare(before, after)
    assert changes.worse
    assert "minigrad: 1 new failure: unstable in tanh" in line_about("failure", changes)


def test_a_party_that_only_one_run_asked_is_named_and_not_compared() -> None:
    alone = run_of(ten(labels={"minigrad": "agrees"}), oracles=[])
    changes = compare(alone, run_of(ten(labels=AGREES | {"torch": "wrong"})))
    assert "parties asked only after: torch" in changes.lines()
    assert changes.findings.empty


def test_a_longer_run_of_the_same_seed_is_compared_case_by_case() -> None:
    changes = compare(run_of(ten()[:6]), run_of(ten()))
    assert "6 cases are the same, of 6 before and 10 after" in changes.lines()
    assert changes.answers.are_same


def test_the_subject_is_compared_with_the_subject_whatever_their_names() -> None:
    mine = [
        run_of(ten(labels={"minigrad": "agrees"})),
        run_of(ten(labels={"lib:Engine": "wrong"}), subject="lib:Engine", oracles=[]),
    ]
    changes = compare(*mine)
    assert changes.lines()[0] == "PASS -> FAIL: the subject, which is minigrad before and lib:Engine after"
    assert changes.lines()[1].startswith("the subject: 1 new failure: wrong in tanh")


def test_versions_that_differ_are_told() -> None:
    after = run_of(ten(), versions=HEADER["versions"] | {"torch": "2.13.0"})  # type: ignore[operator]
    assert "versions: torch 2.12.0 -> 2.13.0" in compare(run_of(ten()), after).lines()


def test_a_party_that_fell_silent_is_told_right_after_the_verdict() -> None:
    after = run_of(ten())
    after.footer.update(verdict="INCOMPLETE", silent={"torch": "not asked again after 8 times"})
    lines = compare(run_of(ten()), after).lines()
    assert lines[:2] == ["PASS -> INCOMPLETE: minigrad", "torch was not asked again after 8 times (run after)"]


# Accuracy.


def test_the_function_that_most_of_the_moved_cases_share_is_named() -> None:
    """A case in which several functions occur counts against one of them."""

    def cases(ulp: int) -> list[dict[str, Any]]:
        both = [record(f"f64-{n}", "tanh", ulps={"torch": ulp}, x=float(n)) for n in range(4)]
        for each in both[:2]:
            each["functions"] = ["tanh", "exp"]
        return [*both, *(record(f"f64-1{n}", "exp", ulps={"torch": 1}, x=float(n)) for n in range(8))]

    changes = compare(run_of(cases(1)), run_of(cases(40)))
    assert "torch: farther from the truth in 1 function: tanh" in changes.lines()
    [row] = changes.accuracy.to_dict("records")
    assert (row["cases"], row["farther"], row["nearer"], row["median_before"], row["max_after"]) == (4, 4, 0, 1, 40)
    assert "torch: nearer to the truth in 1 function: tanh" in compare(run_of(cases(40)), run_of(cases(1))).lines()


def test_a_distance_that_is_told_as_a_finding_is_not_told_twice() -> None:
    after = ten(labels=AGREES | {"torch": "wrong"}, ulps={"torch": 2**60})
    assert compare(run_of(ten()), run_of(after)).accuracy.empty


def test_medians_of_other_cases_differ_only_if_chance_cannot_explain_it() -> None:
    def cases(at: float, ulps: Sequence[int]) -> list[dict[str, Any]]:
        return [record(f"f64-{n}", "tanh", ulps={"torch": ulp}, x=at + n) for n, ulp in enumerate(ulps)]

    low = [1, 2, 3, 4] * 10
    same, far = compare(run_of(cases(0, low)), run_of(cases(50, low[::-1]))), [40 + ulp for ulp in low]
    assert same.accuracy.empty
    assert "accuracy: no difference that chance does not explain" in same.lines()
    changed = compare(run_of(cases(0, low)), run_of(cases(50, far)))
    assert "torch: farther from the truth in 1 function: tanh" in changed.lines()
    few = compare(run_of(cases(0, low[:8])), run_of(cases(50, far[:8])))
    assert few.accuracy.empty


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60), st.floats(0.5, 4.0))
def test_the_interval_of_a_median_holds_the_sample_median(sample: list[float], sigmas: float) -> None:
    low, high = interval(sample, sigmas)
    assert low <= float(np.median(sample)) <= high


def test_the_interval_of_a_median_holds_the_populations() -> None:
    draw = np.random.default_rng(0)
    ends = [interval(draw.lognormal(size=30), 2.0) for _ in range(400)]
    held = np.mean([low <= 1.0 <= high for low, high in ends])
    assert 0.93 < held < 1
    assert interval([1.0, 2.0, 3.0]) == (-math.inf, math.inf)  # too few to say


def test_shares_of_labels_differ_only_if_chance_cannot_explain_it() -> None:
    def cases(at: float, unstable: int) -> list[dict[str, Any]]:
        labels = [AGREES | {"torch": "unstable"} if n < unstable else AGREES for n in range(60)]
        return [record(f"f64-{n}", "tanh", label, x=at + n) for n, label in enumerate(labels)]

    near = compare(run_of(cases(0, 6)), run_of(cases(90, 9)))
    assert set(near.shares["reading"]) == {"within chance"}
    far = compare(run_of(cases(0, 3)), run_of(cases(90, 50)))
    assert "torch: unstable in 5.0% of its answers before and 83.3% after, more than chance explains" in far.lines()


# Speed.


def timed(minigrad: float, torch: float, spread: float = 0.05) -> Run:
    noise = np.random.default_rng(1).lognormal(sigma=spread, size=(2, 40))
    return run_of(
        [
            record(f"f64-{n}", x=float(n), times={"minigrad": minigrad * a, "torch": torch * b})
            for n, (a, b) in enumerate(noise.T.tolist())
        ]
    )


def test_who_takes_twice_as_long_beside_a_rival_is_slower() -> None:
    line = line_about("slower", compare(timed(1e-5, 2e-5), timed(2e-5, 2e-5)))
    assert line.startswith("minigrad: slower, beside torch in the same run: gradient in float64 x2.00")


def test_a_machine_that_is_slower_for_everybody_is_not_told() -> None:
    changes = compare(timed(1e-5, 2e-5), timed(3e-5, 6e-5))
    assert "speed: all within noise, beside torch in the same run" in changes.lines()


def test_a_difference_within_the_noise_is_marked_so() -> None:
    changes = compare(timed(1e-5, 2e-5, 0.8), timed(1.05e-5, 2e-5, 0.8))
    readings = dict(zip(changes.speed["party"], changes.speed["reading"], strict=True))
    assert readings == {"minigrad": "within noise", "torch": "the measure"}


def test_a_rival_whose_version_changed_is_no_measure_if_there_is_another() -> None:
    """If PyTorch was upgraded, its own time is what may have changed."""
    before = timed(1e-5, 2e-5)
    after = timed(1e-5, 5e-5)
    for run, torch in ((before, "2.12.0"), (after, "2.13.0")):
        for case in run.cases:
            case["timings"]["jax"] = {"gradient": [3e-5]}
            case["verdicts"].append(case["verdicts"][1] | {"party": "jax"})
        run.header.update(oracles=["torch", "jax"], versions={"torch": torch, "jax": "0.10.2"})
    line = line_about("slower", compare(before, after))
    assert line.startswith("torch: slower, beside jax in the same run: gradient in float64 x2.5")


def test_without_a_rival_the_machine_is_said_to_be_in_it() -> None:
    runs = [timed(us, 2e-5) for us in (1e-5, 2e-5)]
    for run in runs:
        run.header["oracles"] = []
        for case in run.cases:
            del case["timings"]["torch"]
    assert "minigrad: slower, no rival ran in both" in line_about("slower", compare(*runs))


# The command.


def written(folder: Path, run: Run) -> Path:
    header = {key: value for key, value in run.header.items() if key not in ("kind", "format", "version")}
    with JournalWriter(folder, header) as journal:
        for case in run.cases:
            journal.case(case)
        journal.close(run.footer)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    fails = run_of(ten(labels={"minigrad": "wrong", "torch": "agrees"}), [small("minigrad", "wrong", "tanh")])
    return written(tmp_path / "good", run_of(ten())), written(tmp_path / "bad", fails)


def test_the_command_says_by_its_exit_code_whether_the_subject_got_worse(
    folders: tuple[Path, Path], capsys: Capture
) -> None:
    good, bad = map(str, folders)
    codes = [cli.main(["diff", *pair]) for pair in ((good, bad), (bad, good), (good, good), (bad, bad))]
    assert codes == [1, 0, 0, 0]
    assert capsys.readouterr().err == ""
    assert cli.main(["diff", good, str(folders[0] / "nowhere")]) == 2


def test_the_command_prints_headlines_first_and_then_tables(folders: tuple[Path, Path], capsys: Capture) -> None:
    cli.main(["diff", *map(str, folders)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "PASS -> FAIL: minigrad"
    assert lines[1] == "minigrad: 1 new failure: wrong in tanh (10 cases, first f64-00000)"
    table = lines.index("Failures and findings that differ")
    assert lines[table + 1].split()[:3] == ["state", "party", "function"]
    assert lines[table + 2].split()[:4] == ["new", "minigrad", "tanh", "wrong"]


def test_the_command_prints_markdown(folders: tuple[Path, Path], capsys: Capture) -> None:
    cli.main(["diff", *map(str, folders), "--format", "md"])
    text = capsys.readouterr().out
    assert text.startswith("- PASS -> FAIL: minigrad\n- minigrad: 1 new failure")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith(" |") for line in rows)
    assert "| new | minigrad | tanh | wrong | agrees | wrong | 1 | 10 | f64-00000 | no |" in rows


def test_the_command_prints_json_with_every_row(folders: tuple[Path, Path], capsys: Capture) -> None:
    cli.main(["diff", *map(str, folders), "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told["worse"] is True
    assert told["lines"][0] == "PASS -> FAIL: minigrad"
    assert told["tables"]["Failures and findings that differ"][0]["cases"] == 10


def test_a_journal_that_lacks_what_is_compared_is_refused_in_one_line(
    folders: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    odd = run_of(ten())
    del odd.footer["shrunk"]
    damaged = copy.deepcopy(odd)
    damaged.cases[0]["verdicts"][1]["label"] = "wrong"
    assert cli.main(["diff", str(folders[0]), str(written(tmp_path / "odd", damaged))]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "the footer lacks shrunk; run verify again" in line


def test_a_long_table_is_cut_and_says_so(tmp_path: Path, capsys: Capture) -> None:
    labels = ["agrees", "unstable"]
    before, after = (
        run_of([record(f"f64-{n}", "tanh", AGREES | {"torch": label}, x=float(n)) for n in range(30)])
        for label in labels
    )
    for number, case in enumerate(after.cases):
        case["functions"] = [f"function{number}"]
    cli.main(["diff", str(written(tmp_path / "a", before)), str(written(tmp_path / "b", after))])
    out = capsys.readouterr().out
    assert "torch: 30 new findings: unstable in function0 (f64-0);" in out
    assert "; and 25 more" in out
    assert "and 15 more rows, which --format json has" in out


def test_tables_are_frames_without_an_empty_one() -> None:
    tables = compare(run_of(ten()), run_of(ten(labels=AGREES | {"torch": "wrong"}))).tables()
    assert all(isinstance(table, pd.DataFrame) and len(table) for table in tables.values())
    assert next(iter(tables)) == "Failures and findings that differ"
