"""Whole campaigns, small: what they find, what they leave behind, and that they can be repeated."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oracles.report  # noqa: F401 (what is imported has a say in what Hypothesis draws)
from oracles import campaign, cli
from oracles.asking import ask
from oracles.campaign import RARELY, Options, cases_with, draw_block, drawn_cases, setup_for
from oracles.catalogue import CATALOGUE
from oracles.examine import Setup, examine
from oracles.journal import Run, read_run
from oracles.known import Finding, findings
from oracles.named import NAMED
from oracles.strategies import Palette
from oracles.verdict import FATAL, FINDINGS, Label
from tests import trial
from tests.trial import case_of, spec

ROOT = Path(__file__).parents[1]

PARTIES = {"minigrad", "torch", "jax"}

KNOWN = [finding for finding in findings() if finding.party in PARTIES]

TABLES = ["cases", "findings", "functions", "errors", "labels", "laws", "accuracy", "timings", "census", "quotas"]
TABLES = [f"{name}.csv" for name in (*TABLES, "conventions")]

PAGES = ["index.html", "summary.md"]


@dataclass
class Outcome:
    """A finished campaign."""

    code: int
    folder: Path
    printed: str
    complaints: str

    @cached_property
    def run(self) -> Run:
        return read_run(self.folder)

    def table(self, name: str) -> list[dict[str, str]]:
        return [*csv.DictReader(io.StringIO((self.folder / name).read_text()))]

    def labels(self, party: str) -> Counter[str]:
        return Counter(row["label"] for row in self.table("cases.csv") if row["party"] == party)


def verify(folder: Path, *options: Any) -> Outcome:
    printed, complaints = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(complaints):
        code = cli.main(["verify", "--out", str(folder), *map(str, options)])
    return Outcome(code, folder, printed.getvalue(), complaints.getvalue())


def text_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# minigrad itself.

EXAMPLES = 8


OPTIONS = ("--examples", EXAMPLES, "--seed", 5, "--oracles", "torch,jax")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return verify(tmp_path_factory.mktemp("honest"), *OPTIONS, "--workers", 2)


def test_minigrad_passes(honest: Outcome) -> None:
    assert honest.code == 0, honest.printed
    assert honest.run.footer["verdict"] == "PASS"


def test_one_line_says_it_all(honest: Outcome) -> None:
    total, others = 2 * (EXAMPLES + len(NAMED)) + len(KNOWN), honest.run.footer["shrunk"]
    line = honest.printed.splitlines()[0]
    assert line.startswith(f"PASS: minigrad on {total} cases against certified truth: 0 failed; ")
    assert f" findings about torch, jax, {len(others)} of them different, " in line
    assert str(honest.folder / "index.html") in line


def test_the_next_line_says_who_took_the_time(honest: Outcome) -> None:
    cost, line = honest.run.footer["cost"], honest.printed.splitlines()[1]
    assert {*cost} == PARTIES | {"referee", "second looks", "laws"}
    shares = dict(re.findall(r"([\w. ]+) (\d+)%", line.removeprefix("time:")))
    assert {name.strip() for name in shares} == {*cost}
    assert abs(sum(map(int, shares.values())) - 100) <= len(cost) / 2
    assert cost["jax"] == pytest.approx(sum(record["cost"]["jax"] for record in honest.run.cases))


def test_a_run_leaves_these_files_and_no_others(honest: Outcome) -> None:
    names = {path.name for path in honest.folder.iterdir()}
    assert names == {"run.jsonl", "repro", *TABLES, *PAGES}


def test_nothing_failed_so_what_can_be_reproduced_is_about_others(honest: Outcome) -> None:
    shrunk = honest.run.footer["shrunk"]
    assert {record["accused"] for record in shrunk} == {"torch", "jax"}
    ends = {".py", ".json"}
    assert {p.name for p in (honest.folder / "repro").iterdir()} == {r["id"] + end for r in shrunk for end in ends}


def test_every_shrunk_case_was_asked_of_all(honest: Outcome) -> None:
    for record in honest.run.footer["shrunk"]:
        order = record["fingerprint"]["order"]
        assert {(v["party"], v["order"]) for v in record["verdicts"]} == {(party, order) for party in PARTIES}
        answered = {v["party"] for v in record["verdicts"] if v["label"] not in ("unsupported", "errored", "structure")}
        assert {*record["values"][str(order)]} == answered


def test_every_known_finding_is_found_again_and_known(honest: Outcome) -> None:
    assert honest.run.footer["stale"] == []
    found = {(r["accused"], r["fingerprint"]["label"], f) for r in honest.run.footer["shrunk"] for f in r["functions"]}
    shown = [finding for finding in KNOWN if finding.label in FINDINGS]
    for finding in shown:
        assert (finding.party, finding.label, finding.case().program.steps[0].function) in found
    reasons = {record["known"] for record in honest.run.footer["shrunk"]}
    assert all(any(known.startswith(f.reason) for known in reasons) for f in shown)


def test_a_finding_on_record_is_shown_as_it_is_there(honest: Outcome) -> None:
    on_record = {(f.id, f.party, f.label, f.order): f.case().as_data() for f in KNOWN}
    marks = [(r, r["fingerprint"]) for r in honest.run.footer["shrunk"]]
    shown = [(r, (r["found_as"], r["accused"], mark["label"], mark["order"])) for r, mark in marks]
    assert {mark for _, mark in shown} & {*on_record}
    for record, mark in shown:
        if (case := on_record.get(mark)) is not None:
            assert (record["program"], record["inputs"]) == (case["program"], case["inputs"])


def test_named_cases_come_first_then_known_findings_then_the_dtypes_take_turns(honest: Outcome) -> None:
    ids = [record["id"] for record in honest.run.cases]
    named = [f"{short}-{named.name}" for short in ("f64", "f32") for named in NAMED]
    drawn = [f"{short}-{k:05d}" for k in range(1, EXAMPLES + 1) for short in ("f64", "f32")]
    assert ids == named + [finding.id for finding in KNOWN] + drawn


def test_truth_and_values_are_kept_where_somebody_is_off(honest: Outcome) -> None:
    for record in honest.run.cases:
        telling = {v["label"] for v in record["verdicts"]} > {"agrees", "ill-conditioned"}
        assert {*record["truth"]} == {*record["values"]}
        assert not telling or {*record["truth"]} == {"1", "2"}
        for order, truths in record["truth"].items():
            assert len(truths) == len(record["names"][order])


def test_every_case_has_a_verdict_for_every_party_and_order(honest: Outcome) -> None:
    for record in honest.run.cases:
        got = [(v["order"], v["party"]) for v in record["verdicts"]]
        assert sorted(got) == sorted((order, party) for order in (1, 2) for party in PARTIES)


def test_the_header_says_how_to_repeat_the_run(honest: Outcome) -> None:
    header = honest.run.header
    options = {key: header[key] for key in ("seed", "examples", "dtypes", "orders", "subject", "oracles")}
    assert options == {
        "seed": 5,
        "examples": EXAMPLES,
        "dtypes": ["float64", "float32"],
        "orders": [1, 2],
        "subject": "minigrad",
        "oracles": ["torch", "jax"],
    }
    assert header["command"].startswith(f"python -m oracles verify --examples {EXAMPLES} --seed 5 ")
    assert set(header["versions"]) >= {"python", "numpy", "hypothesis", *PARTIES}
    assert "unknown" not in header["versions"].values()


def test_the_command_in_the_header_is_one_that_is_understood(honest: Outcome) -> None:
    words = honest.run.header["command"].split()
    options = cli.parser().parse_args(words[3:])
    assert (options.seed, options.examples) == (5, EXAMPLES)


def test_cases_csv_has_a_row_per_case_party_and_order(honest: Outcome) -> None:
    rows = [(row["case"], row["party"], row["order"]) for row in honest.table("cases.csv")]
    assert len(rows) == len(set(rows)) == 6 * len(honest.run.cases)


def test_functions_csv_counts_every_case_of_a_function_once(honest: Outcome) -> None:
    for row in honest.table("functions.csv"):
        records = [r for r in honest.run.cases if row["function"] in r["functions"] and r["dtype"] == row["dtype"]]
        assert int(row["n"]) == len(records) == sum(int(row[label.value]) for label in Label)


def test_functions_csv_has_the_functions_that_occurred(honest: Outcome) -> None:
    occurred = {function for record in honest.run.cases for function in record["functions"]}
    assert {row["function"] for row in honest.table("functions.csv")} == occurred <= set(CATALOGUE)


def test_timings_csv_has_every_party_dtype_and_phase(honest: Outcome) -> None:
    rows = {(row["party"], row["dtype"], row["phase"]) for row in honest.table("timings.csv")}
    phases = ("forward", "gradient")
    assert rows == {(p, d, phase) for p in PARTIES for d in ("float64", "float32") for phase in phases}


def test_timings_csv_compares_with_pytorch(honest: Outcome) -> None:
    ratios = {row["ratio_to_torch"] for row in honest.table("timings.csv") if row["party"] == "torch"}
    assert ratios == {"1.0"}


def test_quartiles_are_in_order(honest: Outcome) -> None:
    for row in honest.table("timings.csv"):
        assert 0 < float(row["q1_us"]) <= float(row["median_us"]) <= float(row["q3_us"])


def test_the_page_leads_with_the_verdict_and_the_command(honest: Outcome) -> None:
    page = (honest.folder / "index.html").read_text()
    assert re.search(r"<h1>.*PASS</span> minigrad <small>against torch, jax</small></h1>", page)
    assert honest.run.header["command"] in re.sub("</?span>", "", page)


def test_the_page_needs_nothing_from_elsewhere(honest: Outcome) -> None:
    page = (honest.folder / "index.html").read_text()
    assert not re.search(r"(?:src|href|url)\W+https?://|<script .*src|<link|@import", page)


def test_the_summary_leads_with_the_verdict(honest: Outcome) -> None:
    assert (honest.folder / "summary.md").read_text().startswith("# PASS: minigrad against torch, jax\n")


def test_report_rebuilds_the_same_bytes_from_the_journal(honest: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    before = text_of(honest.folder)
    for name in TABLES + PAGES:
        (honest.folder / name).unlink()
    assert cli.main(["report", str(honest.folder)]) == 0
    assert text_of(honest.folder) == before
    assert capsys.readouterr().out.startswith("PASS: rebuilt ")


@pytest.mark.parametrize("table", TABLES)
def test_the_dictionary_has_every_column(honest: Outcome, table: str) -> None:
    dictionary = (ROOT / "reports" / "README.md").read_text()
    [section] = [part for part in dictionary.split("\n## ") if part.startswith(f"`{table}`")]
    described = {
        name
        for line in section.splitlines()
        if line.startswith("|")
        for name in re.findall("`([^`]+)`", line.split("|")[1])
    }
    header = (honest.folder / table).read_text().splitlines()[0]
    assert described == set(header.split(","))


@pytest.mark.parametrize("line", ["header", "case", "footer", "shrunk case"])
def test_the_dictionary_has_every_key_of_the_journal(honest: Outcome, line: str) -> None:
    run, cases = honest.run, honest.run.cases
    records = {"header": [run.header], "case": cases, "footer": [run.footer], "shrunk case": run.footer["shrunk"]}
    keys = {key for record in records[line] for key in record} - {"kind", "format", "version"}
    if line == "shrunk case":
        keys -= {*cases[0]}
    [table] = re.findall(rf"^\| key of an? {line} \|.*\n((?:\|.*\n)*)", dictionary_of_journal(), re.MULTILINE)
    described = {name for row in table.splitlines() for name in re.findall("`([^`]+)`", row.split("|")[1])}
    assert described == keys


def dictionary_of_journal() -> str:
    text = (ROOT / "reports" / "README.md").read_text().partition("\n## `run.jsonl`")[2]
    return text.replace("key of the", "key of a")


def test_the_dictionary_has_every_file(honest: Outcome) -> None:
    dictionary = (ROOT / "reports" / "README.md").read_text()
    for path in honest.folder.iterdir():
        assert f"`{path.name}" in dictionary


def test_a_case_of_the_run_can_be_judged_again(honest: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["repro", "f64-circuit", "--run", str(honest.folder), "--oracles", "torch,jax"]) == 0
    shown = capsys.readouterr().out
    assert "v1 = x + y" in shown
    assert all(re.search(rf"{party} +order {order} +agrees", shown) for party in PARTIES for order in (1, 2))


# The same again.

REPEATED = ("--examples", 6, "--seed", 5, "--oracles", "minigrad.stage")


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """Twice the same, the second time on one worker."""
    one, two = (verify(tmp_path_factory.mktemp("repeated"), *REPEATED, "--workers", n) for n in (2, 1))
    return one, two


def repeatable(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("timings", "seconds", "cost")}


def test_the_same_seed_gives_the_same_cases_and_verdicts_on_any_number_of_workers(
    repeated: tuple[Outcome, Outcome],
) -> None:
    one, two = ([repeatable(record) for record in outcome.run.cases] for outcome in repeated)
    assert one == two


def test_the_same_seed_gives_the_same_header_but_for_workers_and_time(repeated: tuple[Outcome, Outcome]) -> None:
    one, two = (outcome.run.header for outcome in repeated)
    assert {key for key in one if one[key] != two[key]} <= {"workers", "started"}


def test_another_seed_gives_other_cases() -> None:
    one, other = (next(drawn_cases("float64", Options(seed=seed))) for seed in (5, 6))
    assert one.as_data()["program"] != other.as_data()["program"]


def test_compiling_programs_whole_is_asked_about_few_drawn_cases() -> None:
    setup, drawn = Setup(oracles=("jax", "jax.jit")), next(drawn_cases("float64", Options()))
    asked = [setup_for(drawn, number, setup).oracles for number in range(1, 21)]
    assert asked.count(("jax", "jax.jit")) == 20 // RARELY["jax.jit"]
    assert asked.count(("jax",)) == 20 - 20 // RARELY["jax.jit"]
    assert setup_for(NAMED[0].case("float64"), 1, setup) == setup_for(findings()[0].case(), 1, setup) == setup


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("must", ["hypot", "matmul", "linalg.svd", "where"])
def test_the_first_block_is_the_same_however_far_it_is_drawn(must: str, special: bool) -> None:
    options, palette = Options(seed=3), Palette.of(3)
    blocks = [case.as_data() for number in (0, 1) for case in draw_block("float32", 3, must, number, palette, special)]
    served = [*itertools.islice(cases_with(must, "float32", options, palette, special), len(blocks))]
    for number, (case, data) in enumerate(zip(served, blocks, strict=True)):
        place = {"seed": 3, "block": number // (len(blocks) // 2), "draw": number % (len(blocks) // 2)}
        assert case.as_data() == data | {"origin": data["origin"] | place}


def test_a_program_is_compiled_whole_once_however_often_it_is_asked_about() -> None:
    import jax

    seen: list[str] = []

    def listen(event: str, seconds: float, **rest: Any) -> None:
        if event.endswith("backend_compile_duration"):
            seen.append(event)

    case = NAMED[0].case("float64")
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for order in (1, 2):
            ask("jax.jit", case, order)
        first = len(seen)
        for order in (1, 2):
            ask("jax.jit", case, order)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert first >= 2
    assert len(seen) == first


def test_a_known_finding_that_no_longer_reproduces_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mended = Finding("minigrad.stage", "wrong", "np.sin(x)", {"x": 0.5}, 1, "it was off", "0")
    elsewhere = Finding("torch", "wrong", "np.sin(x)", {"x": 0.5}, 1, "nobody asks", "0")
    monkeypatch.setattr(campaign, "findings", lambda: [elsewhere, mended])
    outcome = verify(tmp_path, "--examples", 1, "--dtypes", "float64", "--orders", 1, "--oracles", "minigrad.stage")
    assert outcome.code == 0
    assert [record["id"] for record in outcome.run.cases[len(NAMED) :]] == [mended.id, "f64-00001"]
    assert outcome.run.footer["stale"] == [{"id": mended.id, "was": "wrong", "is": "agrees"}]
    assert f"stale: {mended.id} was wrong, and is agrees now; see oracles/known.toml" in outcome.printed


# A run that was cut short.

BRIEF = ("--examples", 4, "--dtypes", "float64", "--oracles", "exact", "--workers", 2)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return verify(tmp_path_factory.mktemp("brief"), *BRIEF)


def cut_short(outcome: Outcome, folder: Path, cases: int, change: Callable[[str], str] = str) -> Path:
    """A folder with what the run left if it was killed in the middle of the line after so many cases."""
    head, *lines = (outcome.folder / "run.jsonl").read_text().splitlines(keepends=True)
    kept = "".join([head, *lines[:cases]])
    (folder / "run.jsonl.partial").write_text(change(kept) + lines[cases][:40])
    return folder


@pytest.mark.parametrize("cases", [0, 3, len(NAMED) + 2])
def test_an_interrupted_run_is_resumed(cases: int, brief: Outcome, tmp_path: Path) -> None:
    again = verify(cut_short(brief, tmp_path, cases), *BRIEF, "--resume")
    assert again.code == brief.code, again.complaints
    lines = [(outcome.folder / "run.jsonl").read_text().splitlines() for outcome in (brief, again)]
    assert lines[0][: cases + 1] == lines[1][: cases + 1]
    told = [[(r["id"], r["program"], r["verdicts"]) for r in outcome.run.cases] for outcome in (brief, again)]
    assert told[0] == told[1]
    footers = [{k: v for k, v in o.run.footer.items() if k not in ("cost", "seconds")} for o in (brief, again)]
    assert footers[0] == footers[1]
    assert not (tmp_path / "run.jsonl.partial").exists()


def test_a_run_killed_at_its_very_end_is_resumed(brief: Outcome, tmp_path: Path) -> None:
    (tmp_path / "run.jsonl.partial").write_bytes((brief.folder / "run.jsonl").read_bytes())
    again = verify(tmp_path, *BRIEF, "--resume")
    assert (again.code, len(again.run.cases)) == (brief.code, len(brief.run.cases)), again.complaints


def test_who_was_not_asked_again_stays_silent(brief: Outcome, tmp_path: Path) -> None:
    why = f"{campaign.SILENCED}the worker died"

    def silence(text: str) -> str:
        *before, last = text.splitlines()
        record = json.loads(last)
        record["verdicts"][0] |= {"label": "errored", "why": why}
        return "\n".join([*before, json.dumps(record)]) + "\n"

    again = verify(cut_short(brief, tmp_path, 2, silence), *BRIEF, "--resume")
    assert again.run.footer["silent"] == {"minigrad": why}
    assert all(v["label"] == "errored" for r in again.run.cases[2:] for v in r["verdicts"])


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        (("--seed", 7), str, "--resume: the interrupted run has seed 0, and this one 7; ask for the same, or leave"),
        ((), lambda text: text.replace('"numpy":"', '"numpy":"old-'), "--resume: the interrupted run has versions {"),
        (
            (),
            lambda text: text.replace('"program":', '"another":'),
            "is not what is drawn now, as the code has changed",
        ),
        ((), lambda text: "", "holds no journal of this version; leave --resume away"),
    ],
)
def test_what_cannot_be_resumed_is_refused_and_kept(
    options: tuple[Any, ...], change: Callable[[str], str], message: str, brief: Outcome, tmp_path: Path
) -> None:
    path = cut_short(brief, tmp_path, 2, change) / "run.jsonl.partial"
    before = path.read_text()
    refused = verify(tmp_path, *BRIEF, *options, "--resume")
    assert refused.code == 2
    assert message in refused.complaints
    assert path.read_text().startswith(before[: before.rfind("\n") + 1])


def test_nothing_to_resume_is_refused(tmp_path: Path) -> None:
    refused = verify(tmp_path, *BRIEF, "--resume")
    assert refused.code == 2
    assert f"--resume: {tmp_path} holds no interrupted run; leave --resume away" in refused.complaints


# The honest engine, and what spoils it.

TRIED = 60


@pytest.mark.parametrize("subject", [trial.Certified, trial.RoundsOtherwise])
def test_an_honest_engine_passes(subject: Callable[..., Any], tmp_path: Path) -> None:
    """The judge accuses nobody of knowing the truth, of making an allowed choice, or of rounding in another way."""
    options = ("--subject", spec(subject), "--oracles", "exact", "--workers", 2)
    outcome = verify(tmp_path, "--examples", TRIED, "--seed", 7, *options)
    assert (outcome.code, outcome.run.footer["failures"]) == (0, 0), outcome.printed
    assert outcome.labels(spec(subject))["agrees"] > TRIED


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("subject", [trial.EightUnits, trial.OtherSign, trial.Transposed, trial.HalfOfFork])
def test_a_spoiled_truth_is_caught(subject: Callable[..., Any], dtype: str, order: int) -> None:
    setup = Setup(spec(subject), (), (order,))
    cases = itertools.islice(drawn_cases(dtype, Options(seed=7)), TRIED)
    label = next(v.label for case in cases for v in examine(case, setup).verdicts if v.label in FATAL)
    assert label == Label.WRONG


# Broken subjects.

BROKEN: list[tuple[Callable[..., Any], int]] = [(trial.TanhOff, 4), (trial.NoUnbroadcast, 20), (trial.LostFork, 4)]


@pytest.fixture(scope="module", params=BROKEN, ids=lambda param: param[0].__name__)
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    subject, examples = request.param
    folder = tmp_path_factory.mktemp(subject.__name__)
    options = ("--examples", examples, "--dtypes", "float64", "--workers", 2)
    return verify(folder, "--subject", spec(subject), "--oracles", "minigrad.stage", *options)


def accusations(outcome: Outcome) -> list[dict[str, Any]]:
    """The shrunk failures of the subject."""
    return [r for r in outcome.run.footer["shrunk"] if r["accused"] == outcome.run.header["subject"]]


def test_a_broken_subject_fails(broken: Outcome) -> None:
    assert broken.code == 1
    assert broken.run.footer["verdict"] == "FAIL"
    assert broken.run.footer["failures"] > 0


def test_a_broken_subject_is_wrong_and_who_sits_beside_it_is_not(broken: Outcome) -> None:
    assert broken.labels(broken.run.header["subject"])["wrong"] > 0
    assert not {*FATAL} & {*broken.labels("minigrad.stage")}


def test_every_failure_shrinks_to_three_steps_at_most(broken: Outcome) -> None:
    assert accusations(broken)
    for record in accusations(broken):
        assert len(record["functions"]) <= 3, record["functions"]


def test_a_shrunk_failure_remembers_what_it_came_from(broken: Outcome) -> None:
    ids = {record["id"] for record in broken.run.cases}
    assert {record["found_as"] for record in accusations(broken)} <= ids


def test_every_failure_is_printed_with_its_script(broken: Outcome) -> None:
    for record in accusations(broken):
        script = broken.folder / "repro" / f"{record['id']}.py"
        assert f"shrunk to {', '.join(record['functions'])}; reproduce: python {script}" in broken.printed
        assert script.exists()


def test_the_script_fails_on_its_own_and_prints_what_it_got_and_the_truth(broken: Outcome) -> None:
    record = accusations(broken)[0]
    script = broken.folder / "repro" / f"{record['id']}.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    for line in (r"\S+: OFF \(\d+ ULP from the truth\)", r" +got +\S+ +-?0x\S+", r" +truth +\S+ +-?0x\S+"):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), done.stdout


def test_the_case_file_fails_again_but_not_for_minigrad(broken: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    record = accusations(broken)[0]
    file = str(broken.folder / "repro" / f"{record['id']}.json")
    assert cli.main(["repro", file, "--oracles", "exact", "--subject", broken.run.header["subject"]]) == 1
    assert "wrong" in capsys.readouterr().out
    assert cli.main(["repro", file, "--oracles", "exact"]) == 0


def test_a_shrunk_case_is_found_by_its_id(broken: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    record = accusations(broken)[0]
    words = ["repro", record["id"], "--run", str(broken.folder), "--subject", broken.run.header["subject"]]
    assert cli.main([*words, "--oracles", "exact"]) == 1
    assert capsys.readouterr().out.startswith("def program(")


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_show_the_failure(broken: Outcome, page: str) -> None:
    shown = (broken.folder / page).read_text()
    assert "FAIL" in shown
    for record in accusations(broken):
        assert f"repro/{record['id']}.py" in shown


# A subject that brings its worker down.


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    options = ("--examples", 4, "--dtypes", "float64", "--orders", 1, "--workers", 2)
    return verify(
        tmp_path_factory.mktemp("crashed"), "--subject", spec(trial.Crashes), "--oracles", "minigrad.stage", *options
    )


def test_a_campaign_outlives_its_workers(crashed: Outcome) -> None:
    assert crashed.code == 1
    assert len(crashed.run.cases) == crashed.run.footer["cases"] == 4 + len(NAMED)


def test_a_crash_costs_the_cases_that_it_concerns_and_no_others(crashed: Outcome) -> None:
    for record in crashed.run.cases:
        labels = {v["party"]: v["label"] for v in record["verdicts"]}
        assert (labels[spec(trial.Crashes)] == "errored") == ("tanh" in record["functions"]), record["id"]
        assert labels["minigrad.stage"] != "errored"


def test_a_crash_is_told_as_one(crashed: Outcome) -> None:
    reasons = {row["why"] for row in crashed.table("cases.csv") if row["label"] == "errored"}
    assert all(reason.startswith("the worker died") for reason in reasons)


def test_a_crash_can_be_reproduced(crashed: Outcome) -> None:
    record = accusations(crashed)[0]
    script = crashed.folder / "repro" / f"{record['id']}.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 7


class Limits:
    """A pool whose workers get done with a question in so many seconds, if they may take as long."""

    def __init__(self, **seconds: float):
        self.seconds = seconds

    def schedule(self, function: Callable[..., Any], arguments: Any, timeout: float) -> Future[Any]:
        future: Future[Any] = Future()
        if timeout < self.seconds[function.__name__]:
            future.set_exception(TimeoutError())
        else:
            future.set_result(f"done by {timeout:g} s")
        return future


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [
        ({"probe": 1.0, "examine_data": 100.0}, "done by 900 s"),
        ({"probe": 1.0, "examine_data": 1000.0}, "did not answer within 900 s, though every party left answered"),
        ({"probe": 100.0, "examine_data": 1.0}, "done by 900 s"),
    ],
    ids=["slow", "endless", "hung"],
)
def test_a_slow_referee_is_given_time(seconds: dict[str, float], outcome: str) -> None:
    """What is hard to certify is no fault of those who are judged; the party that hung is out by then."""
    run = campaign.Campaign(Options(setup=Setup("minigrad", ("torch",), (1,))))
    run.pool = Limits(**seconds)  # type: ignore[assignment]
    timed_out: Future[Any] = Future()
    timed_out.set_exception(TimeoutError())
    record = run.result_of(case_of(np.exp, 0.5), timed_out)
    assert outcome in str(record)
    assert bool(run.blows) == (seconds["probe"] > campaign.TIMEOUT)


# Where it may write.


@pytest.mark.parametrize("foreign", ["notes.txt", ".hidden", "index.html"])
def test_a_folder_with_files_of_others_is_left_alone(foreign: str, tmp_path: Path) -> None:
    (tmp_path / foreign).write_text("mine")
    outcome = verify(tmp_path, "--examples", 1)
    assert outcome.code == 2
    assert len(outcome.complaints.splitlines()) == 1
    assert text_of(tmp_path) == {foreign: "mine"}


def test_out_must_not_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    outcome = verify(file, "--examples", 1)
    assert (outcome.code, file.read_text()) == (2, "mine")
    assert outcome.complaints == f"oracles: --out {file} is a file; name a folder\n"


def test_a_folder_of_a_run_before_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("a journal of old")
    (tmp_path / "repro").mkdir()
    (tmp_path / "repro" / "f64-old.py").write_text("")
    options = ("--examples", 1, "--dtypes", "float64", "--orders", 1, "--oracles", "exact")
    assert verify(tmp_path, *options).code == 0
    assert len(read_run(tmp_path).cases) == 1 + len(NAMED)
    assert not (tmp_path / "repro" / "f64-old.py").exists()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    options = ("--examples", 1, "--dtypes", "float32", "--orders", 1, "--subject", "minigrad.stage")
    outcome = verify(folder, *options, "--oracles", "minigrad.stage,exact")
    assert outcome.code == 0
    assert json.loads((folder / "run.jsonl").read_text().splitlines()[0])["oracles"] == []
