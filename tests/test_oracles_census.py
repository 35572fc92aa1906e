"""The census of a campaign, and the quotas that a campaign which tests little fails."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from oracles import campaign, cli
from oracles.campaign import Options, drawn_cases
from oracles.cases import Case
from oracles.census import Census, exercised
from oracles.journal import Run, read_run
from oracles.points import SPECIAL_KINDS
from oracles.quotas import KINDS, least, missed, quotas
from oracles.strategies import KINDS as ORDINARY_KINDS
from tests import trial
from tests.trial import spec

BOTH = ("float64", "float32")

Record = dict[str, Any]


def verify(folder: Path, *options: Any) -> tuple[int, str]:
    """A short campaign against the referee alone: its exit code, and what it printed."""
    words = ["verify", "--out", folder, "--oracles", "exact", "--orders", 1, "--workers", 1, *options]
    with redirect_stdout(io.StringIO()) as printed:
        code = cli.main([*map(str, words)])
    return code, printed.getvalue()


def case_of(f: Callable[..., Any], *inputs: Any) -> Case:
    arrays = tuple(np.asarray(x, float) for x in inputs)
    program = mg.trace(f, *arrays)
    return Case("case", program, arrays, np.ones(np.shape(program(*arrays))), arrays)


# A case.


def test_a_chain_is_as_long_as_its_longest_path() -> None:
    had = exercised(case_of(lambda x, y: np.sin(np.cos(np.exp(x))) + np.tanh(y), 1.0, 2.0))
    assert (had["depth"], had["forks"]) == (4, 0)
    assert had["pairs"] == [["cos", "sin"], ["exp", "cos"], ["sin", "add"], ["tanh", "add"]]


@pytest.mark.parametrize(
    ("f", "forks"),
    [
        (np.sin, 0),
        (lambda x: x * x, 1),
        (lambda x: np.sin(x) * np.cos(x), 1),
        (lambda x: np.square(x * x) * (x * x), 1),
    ],
)
def test_a_fork_is_a_value_used_twice(f: Callable[..., Any], forks: int) -> None:
    assert exercised(case_of(f, 0.5))["forks"] == forks


@pytest.mark.parametrize(
    ("f", "shapes", "stretched"),
    [
        (lambda x, y: x + y, [(2, 3), (2, 3)], 0),
        (lambda x, y: x + y, [(2, 3), (3,)], 1),
        (lambda x, y: x * y - x, [(2, 1), (3,)], 2),
        (lambda x: x * np.ones((2, 3)), [(3,)], 1),
        (lambda x: 2.0 * x, [(3,)], 0),
        (lambda x, y: np.where(x > 0, x, y), [(3,), ()], 1),
        (lambda x: np.broadcast_to(x, (2, 3)), [(3,)], 0),
    ],
)
def test_a_step_stretches_what_must_be_summed_over_again(
    f: Callable[..., Any], shapes: list[tuple[int, ...]], stretched: int
) -> None:
    assert exercised(case_of(f, *(np.full(shape, 0.5) for shape in shapes)))["stretched"] == stretched


@pytest.mark.parametrize(
    ("f", "inputs", "nearest"),
    [
        (np.sin, [0.0], None),
        (np.abs, [0.0], 0.0),
        (np.abs, [-3e-8], 1e-7),
        (np.abs, [0.5], 1.0),
        (np.abs, [[0.5, -0.02]], 0.1),
        (np.maximum, [1.0, 1.0], 0.0),
        (np.maximum, [1.0, np.nextafter(1.0, 2.0)], 0.0),
        (np.maximum, [1e6, 1e6 + 5.0], 1e-5),
        (np.maximum, [1.0, -1.0], 1.0),
        (np.sqrt, [3e-4], 1e-3),
        (np.arcsin, [0.995], 1e-2),
        (np.max, [[1.0, 2.0, 2.0005]], 1e-3),
        (np.linalg.norm, [[0.0, 2e-5]], 1e-4),
        (lambda x: np.abs(np.sqrt(x)), [1e-4], 1e-4),
    ],
)
def test_the_nearest_kink_or_edge_is_told_by_decades(f: Callable[..., Any], inputs: Any, nearest: float | None) -> None:
    assert exercised(case_of(f, *inputs))["nearest"] == nearest


# A sound campaign.

EXAMPLES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    code, printed = verify(folder, "--examples", EXAMPLES, "--seed", 3)
    assert (code, "too little" in printed) == (0, False), printed
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return read_run(folder)


def drawn(run: Run) -> list[Record]:
    return [record for record in run.cases if "block" in record["origin"]]


def census_of(records: list[Record], subject: str = "minigrad") -> Census:
    census = Census(subject)
    for record in records:
        census.add(record)
    return census


def missed_by(records: list[Record], dtypes: tuple[str, ...] = BOTH) -> list[str]:
    return [text.partition(" (")[0] for text in missed(quotas(census_of(records), dtypes))]


def test_a_sound_campaign_meets_its_quotas(run: Run) -> None:
    assert run.footer["verdict"] == "PASS"
    assert missed(run.footer["quotas"]) == []
    asked = [quota["quota"] for quota in run.footer["quotas"] if quota["least"]]
    assert {"programs that fork", "programs that broadcast", "functions", "numbers: grid"} <= {*asked}


@pytest.mark.parametrize("count", [1, 4, 20, 60])
def test_so_do_shorter_ones(run: Run, count: int) -> None:
    assert missed_by(drawn(run)[: 2 * count]) == []


def test_only_drawn_cases_count(run: Run) -> None:
    census = census_of(run.cases)
    assert census.drawn == 2 * EXAMPLES < len(run.cases)
    assert census.counts == census_of(drawn(run)).counts


def test_a_case_is_at_a_kink_or_an_edge_where_it_has_such_an_event(run: Run) -> None:
    for record in drawn(run):
        assert (record["nearest"] == 0) == any(e["what"].startswith(("kink", "edge")) for e in record["events"])


def test_the_table_has_what_was_counted(folder: Path, run: Run) -> None:
    rows = [*csv.DictReader(io.StringIO((folder / "census.csv").read_text()))]
    found = {(row["what"], row["value"]): int(row["cases"]) for row in rows}
    forking = sum(record["forks"] == 1 for record in drawn(run))
    assert found["forks", "1"] == forking
    assert found["dtype", "float32"] == found["dtype", "float64"] == EXAMPLES
    assert found["nearest kink or edge", "at one"] == sum(record["nearest"] == 0 for record in drawn(run))
    assert all(int(row["cases"]) / (2 * EXAMPLES) == float(row["share"]) <= 1 for row in rows)


def test_the_dictionary_has_everything_that_is_counted(run: Run) -> None:
    text = (Path(__file__).parents[1] / "reports" / "README.md").read_text().partition("\n## `census.csv`")[2]
    table = text.partition("| what |")[2].partition("\n## ")[0]
    described = {what for line in table.splitlines()[2:] for what in line.split("|")[1:2] for what in what.split(", ")}
    assert {what.strip() for what in described} - {""} == {what for what, _ in census_of(run.cases).counts}


def test_every_kind_of_numbers_has_a_quota() -> None:
    assert {*KINDS} == {*ORDINARY_KINDS, *SPECIAL_KINDS, "domain"}


# What tests little.


def altered(run: Run, **changes: Any) -> list[Record]:
    """The same cases with other facts."""
    return [deepcopy(record) | changes for record in drawn(run)]


@pytest.mark.parametrize(
    ("changes", "quota"),
    [
        ({"forks": 0}, "programs that fork"),
        ({"stretched": 0}, "programs that broadcast"),
        ({"depth": 1}, "chains of three steps or more"),
        ({"dtype": "float64"}, "cases in float32"),
        ({"vacuous": True}, "cases fit to prove something"),
        ({"functions": ["sin"]}, "functions"),
        ({"pairs": [["sin", "cos"]]}, "pairs of functions"),
        ({"origin": {"block": 0, "kinds": ["ordinary"]}}, "numbers: grid"),
        ({"origin": {"block": 0, "kinds": [*KINDS]}}, "cases at special points"),
        ({"verdicts": [{"party": "minigrad", "label": "convention"}]}, "cases fit to prove something"),
        ({"verdicts": [{"party": "minigrad", "label": "ill-conditioned"}]}, "cases fit to prove something"),
    ],
)
def test_what_lacks_one_thing_misses_its_quota(run: Run, changes: Record, quota: str) -> None:
    assert quota in missed_by(altered(run, **changes))


def test_nothing_else_is_missed_for_lack_of_forks(run: Run) -> None:
    [text] = missed(quotas(census_of(altered(run, forks=0)), BOTH))
    assert text == f"programs that fork (0 of at least {least(0.2, 2 * EXAMPLES)})"


def test_what_another_party_is_excused_from_is_nobodys_loss(run: Run) -> None:
    excused = [{"party": "minigrad", "label": "agrees"}, {"party": "torch", "label": "edge"}]
    assert missed_by(altered(run, verdicts=excused)) == []


def test_what_the_subject_lacks_is_not_the_draws_fault(run: Run) -> None:
    records = altered(run, verdicts=[{"party": "minigrad", "label": "unsupported"}], vacuous=False)
    assert missed_by(records) == []
    assert census_of(records).of("outcome") == {"unsupported": 2 * EXAMPLES}


def test_a_dtype_that_is_not_asked_for_has_no_quota(run: Run) -> None:
    alone = [record for record in drawn(run) if record["dtype"] == "float32"]
    assert missed_by(alone, ("float32",)) == []
    assert "cases in float64" in missed_by(alone)


def test_a_quota_grows_with_the_campaign() -> None:
    for share in (0.008, 0.2, 0.65):
        needs = [least(share, drawn) for drawn in (1, 10, 100, 1000, 10_000)]
        assert needs == sorted(needs)
        assert needs[0] == 0 < needs[-1] < share * 10_000


def test_chance_alone_misses_hardly_any_quota() -> None:
    """Not even of a strategy that gives no more than the share asked for."""
    rng = np.random.default_rng(0)
    for share in (0.012, 0.14, 0.65):
        for count in (20, 260, 2000):
            assert np.mean(rng.binomial(count, share, 4000) < least(share, count)) < 0.005


# A strategy that draws next to nothing.


def feeble_cases(dtype: str, options: Options) -> Iterator[Case]:
    """One function of one number, again and again."""
    case = next(drawn_cases(dtype, options))
    small = case_of(np.tanh, 0.5)
    one = np.ones((), dtype)
    number = 0
    while True:
        number += 1
        origin = {**case.origin, "kinds": ["ordinary"]}
        inputs = (np.asarray(number / 100, dtype),)
        yield replace(small, id=f"{dtype}-{number}", inputs=inputs, cotangent=one, vectors=(one,), origin=origin)


@pytest.fixture(scope="module")
def feeble(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    folder = tmp_path_factory.mktemp("feeble")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign, "drawn_cases", feeble_cases)
        return folder, *verify(folder, "--examples", EXAMPLES)


def test_a_feeble_campaign_fails(feeble: tuple[Path, int, str]) -> None:
    folder, code, printed = feeble
    assert (code, read_run(folder).footer["verdict"]) == (3, "TESTED TOO LITTLE")
    assert printed.startswith("TESTED TOO LITTLE: minigrad on ")
    for shortfall in (
        f"programs that fork (0 of at least {least(0.2, 2 * EXAMPLES)})",
        f"programs that broadcast (0 of at least {least(0.14, 2 * EXAMPLES)})",
        f"functions (1 of at least {EXAMPLES})",
    ):
        assert f"tested too little: {shortfall}\n" in printed


@pytest.mark.parametrize("page", ["summary.md", "index.html"])
def test_its_pages_say_so(feeble: tuple[Path, int, str], page: str) -> None:
    shown = (feeble[0] / page).read_text()
    assert "TESTED TOO LITTLE" in shown
    assert "Tested too little: " in shown
    assert f"programs that fork (0 of at least {least(0.2, 2 * EXAMPLES)})" in shown


def test_its_pages_are_rebuilt_from_the_journal(feeble: tuple[Path, int, str]) -> None:
    folder = feeble[0]
    before = {name: (folder / name).read_text() for name in ("census.csv", "summary.md", "index.html")}
    for name in before:
        (folder / name).unlink()
    assert cli.main(["report", str(folder)]) == 0
    assert {name: (folder / name).read_text() for name in before} == before


def test_a_failure_counts_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "drawn_cases", feeble_cases)
    code, printed = verify(tmp_path, "--examples", 30, "--dtypes", "float64", "--subject", spec(trial.TanhOff))
    assert (code, read_run(tmp_path).footer["verdict"]) == (1, "FAIL")
    assert "tested too little: functions (1 of at least 30)" in printed


@pytest.mark.parametrize(
    ("lost", "message"),
    [("nearest", ": the journal lacks or garbles 'nearest'"), ("quotas", "/run.jsonl: the footer lacks quotas")],
)
def test_a_journal_of_before_the_census_is_refused(
    run: Run, lost: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [run.header, *run.cases, run.footer]
    lines = [json.dumps({key: value for key, value in record.items() if key != lost}) for record in records]
    (tmp_path / "run.jsonl").write_text("\n".join(lines))
    assert cli.main(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"oracles: {tmp_path}{message}; run verify again\n"
