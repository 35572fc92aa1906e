"""Planted faults: that they are there and gone again, that they are caught, and what the tables say of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import minigrad as mg
from minigrad import backward, transforms
from minigrad.protocol import DEFINITIONS, FUNCTIONS, NAMES, RULES
from oracles import UsageError, campaign, cli
from oracles.adapters import load
from oracles.adapters.minigrad import MinigradAdapter
from oracles.catalogue import CATALOGUE
from oracles.examine import Setup, examine
from oracles.faults.bank import Bank
from oracles.faults.checkers import CHECKERS, accepts
from oracles.faults.equivalents import NOT_REACHED_FIRST, reason
from oracles.faults.fault import FaultyAdapter
from oracles.faults.floor import EPSILONS, Floor, floor_of, rule_with, smallest
from oracles.faults.kinds import KINDS
from oracles.faults.run import tasks_of
from oracles.faults.tables import FAULT_COLUMNS, FLOOR_COLUMNS, fault_frame, status_of, write_tables
from oracles.faults.targets import HOSTS, all_faults, fault_named, hosts, targets
from oracles.faults.trial import Outcome, try_fault
from oracles.verdict import Label
from tests.support import bits
from tests.trial import case_of

ROOT = Path(__file__).parents[1]

FAULTS = all_faults()

SMALL = campaign.Options(examples=800, dtypes=("float64", "float32"))

HYPOT = case_of(lambda x, y: np.hypot(x, y), [3.0, -1.0], [4.0, 0.5])


def tried(name: str, options: campaign.Options = SMALL) -> Outcome:
    fault = fault_named(name)
    return try_fault(fault, options.seed, Bank(hosts(fault.target), options))


# What is planted.


def test_every_rule_and_definition_of_minigrad_is_a_target_and_can_be_reached() -> None:
    planted = {target.name for target in targets()}
    own = {FUNCTIONS[f].name for f in (*RULES, *DEFINITIONS)}
    undrawn = {name for name in own - planted if name.startswith("minigrad.") or name in CATALOGUE}
    assert undrawn == {"minigrad.recomputed"}
    assert all(name in CATALOGUE for target in targets() for name in hosts(target))
    assert HOSTS.keys() - planted == set()
    assert HOSTS.keys() >= NOT_REACHED_FIRST


def test_names_are_unique_and_lead_back() -> None:
    assert len({str(fault) for fault in FAULTS}) == len(FAULTS)
    assert all(fault_named(str(fault)) == fault for fault in FAULTS[::97])
    with pytest.raises(UsageError, match=re.escape("'sing@hypot.1' is not known")):
        fault_named("sing@hypot.1")


def test_every_kind_is_planted_somewhere() -> None:
    assert {fault.kind for fault in FAULTS} == {*KINDS}


def state() -> object:
    walk = backward.contributions, backward.fit, backward.unbroadcast, backward.heapq
    pulls = transforms.walk, transforms.owned, transforms.Trace.pull
    return dict(RULES), dict(DEFINITIONS), dict(FUNCTIONS), dict(NAMES), walk, pulls


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.name}-{kind.group}")
def test_a_fault_is_gone_once_it_has_answered(kind: object) -> None:
    fault = next(fault for fault in FAULTS if fault.kind is kind)
    before, planted = state(), fault.kind.plant(fault.target)
    for _ in range(2):
        with planted:
            assert state() != before
        assert state() == before


def test_a_fault_is_gone_although_its_rule_raised() -> None:
    before = state()
    with pytest.raises(ZeroDivisionError), np.errstate(all="ignore"):
        FaultyAdapter(fault_named("zero-size@tanh.0")).vjp(mg.trace(np.tanh, np.ones(0)), [np.ones(0)], np.ones(0))
    assert state() == before


def test_a_fault_is_a_subject_by_its_name() -> None:
    adapter = load("oracles.faults:sign@hypot.1")
    _, (dx, dy) = adapter.vjp(HYPOT.program, HYPOT.inputs, HYPOT.cotangent)
    _, (ux, uy) = MinigradAdapter().vjp(HYPOT.program, HYPOT.inputs, HYPOT.cotangent)
    assert bits(dx) == bits(ux)
    assert bits(dy) == bits(-uy)
    verdicts = examine(HYPOT, Setup("oracles.faults:sign@hypot.1", ("minigrad",))).verdicts
    assert {v.label for v in verdicts if v.party == "minigrad"} == {Label.AGREES}
    assert {v.label for v in verdicts if v.party != "minigrad"} == {Label.WRONG}


def test_an_unknown_fault_is_refused_as_a_subject() -> None:
    with pytest.raises(UsageError, match="sign@nothing"):
        load("oracles.faults:sign@nothing")


# What is caught.

SAMPLE = [
    *("sign@tanh.0", "factor-1e-12@multiply.1", "factor-1e-14@add.0", "lost@concatenate.0", "dropped-term@tan.0"),
    *("swapped-operands@divide.0", "swapped-rules@subtract.0", "saved-ans@sin.0", "saved-operand@exp.0"),
    *("not-summed@unbroadcast", "averaged@unbroadcast", "axes-kept@unbroadcast", "other-axis@unbroadcast"),
    *("summed-elsewhere@hypot.1", "keepdims@sum.0", "next-axis@mean.0", "negative-axis@cumsum.0"),
    *("transposed@linalg.inv.0", "untransposed@matmul.0", "vector@matmul.0", "repeated-index@getitem.0"),
    *("ties@max.0", "zero@sin.0", "negative@square.0", "next-to-edge@log.0", "overflowing-exp@minigrad.sigmoid.0"),
    *("overflowing-square@divide.1", "float32@exp.0", "float64@cast", "float32@cast", "0-d@multiply.0"),
    *("zero-size@hypot.0", "size-1@multiply.0", "non-contiguous@multiply.0", "second-order@median"),
    *("stopped@multiply.0", "downcast@add.0", "unsteady@tanh.0", "last-use@fork", "first-use@fork"),
    *("counted-twice@fork", "out-of-order@walk", "in-place@memory", "scribbled@memory", "accumulated@memory"),
    "stale@memory",
]

HARMLESS = {"conjugated", "edge", "not-copied"}
"""Kinds of which no fault changes an answer that there is a truth about."""


def test_the_sample_has_a_fault_of_every_kind() -> None:
    def kind(fault: object) -> str:
        return str(fault).split("@")[0].partition("-1e-")[0]

    assert {kind(fault) for fault in FAULTS} - HARMLESS == {kind(name) for name in SAMPLE}


@pytest.mark.parametrize("name", SAMPLE)
def test_it_is_caught(name: str) -> None:
    outcome = tried(name, replace(SMALL, examples=5000))
    assert outcome.caught, outcome
    assert outcome.cases > 0
    assert outcome.program.startswith(("float64: ", "float32: "))


@pytest.mark.parametrize(
    "name", ["stopped@add.0", "swapped-rules@add.1", "saved-operand@sin.0", "conjugated@vecdot.0", "dropped-term@exp.0"]
)
def test_an_equivalent_fault_is_not_caught(name: str) -> None:
    assert reason(fault_named(name))
    assert not tried(name).caught


def test_the_cases_are_those_of_the_campaign() -> None:
    options = campaign.Options(examples=400, seed=3)
    drawn = dict(enumerate(campaign.all_cases(options), 1))
    found = list(Bank(("tanh",), options))
    assert len(found) > 4
    for question in found:
        case = drawn[question.number]
        assert case.program == question.case.program
        assert [bits(x) for x in case.inputs] == [bits(x) for x in question.case.inputs]


# The same question twice.


def test_a_subject_that_does_not_stand_by_its_answer_is_at_fault() -> None:
    spec = "oracles.faults:unsteady@tanh.0"
    case = case_of(np.tanh, np.linspace(-1, 1, 7))
    verdicts = [examine(case, Setup(spec, (), (1,))).verdicts[0] for _ in range(4)]
    assert Label.STRUCTURE in {v.label for v in verdicts}
    assert "asked again" in next(v.why for v in verdicts if v.label == Label.STRUCTURE)


# Floors.


def test_bisection_finds_how_many_are_caught() -> None:
    for count in (0, 1, 17, len(EPSILONS)):
        catches = [eps in EPSILONS[:count] for eps in EPSILONS]
        assert smallest(lambda eps: catches[EPSILONS.index(eps)], 0) == count  # noqa: B023
    assert smallest(lambda eps: False, 5) == 5


def test_the_floor_of_a_smooth_function_is_a_few_rounding_units_and_far_below_that_of_the_checkers() -> None:
    floor = floor_of("tanh", "float64", 1)
    assert floor.units < 64
    assert floor.checkers.keys() == CHECKERS.keys()
    for eps in floor.checkers.values():
        assert isinstance(eps, float)
        assert eps / floor.oracles > 1e6


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", CHECKERS)
def test_a_checker_accepts_the_sound_rule_and_no_rule_that_is_off_by_a_tenth(name: str, order: int) -> None:
    case = case_of(lambda x: np.tanh(x) * x, [0.3, -0.7])
    program = case_of(np.tanh, [0.3, -0.7])
    assert accepts(name, rule_with(case, "tanh", order, 0.0), order)
    assert not accepts(name, rule_with(program, "tanh", order, 0.1), order)


# Tables.


def outcome(caught: bool = False, escaped: str = "", fault: str = "sign@tanh.0", seed: int = 0) -> Outcome:
    shown = int(caught or bool(escaped))
    if not caught:
        return Outcome(fault, seed, 3, shown, escaped)
    return Outcome(fault, seed, 3, shown, escaped, "wrong", 1, 90 + seed, 2.0, 1, 2 + seed, "float64: ...")


@pytest.mark.parametrize(
    ("fault", "tried", "status"),
    [
        ("sign@tanh.0", [outcome(True), outcome(True)], "caught"),
        ("sign@tanh.0", [outcome(True), outcome()], "caught"),
        ("sign@tanh.0", [outcome(True), outcome(escaped="nonfinite")], "caught"),
        ("sign@tanh.0", [outcome(True), outcome(escaped="agrees")], "by luck"),
        ("sign@tanh.0", [outcome(), outcome(escaped="agrees edge")], "survived"),
        ("sign@tanh.0", [outcome(), outcome(escaped="edge")], "excused"),
        ("sign@tanh.0", [outcome(), outcome()], "unreached"),
        ("factor-1e-15@tanh.0", [outcome(True), outcome(escaped="agrees")], "below the floor"),
        ("factor-1e-12@tanh.0", [outcome(True), outcome(escaped="agrees")], "by luck"),
        ("stopped@add.0", [outcome()], "equivalent"),
        ("stopped@add.0", [outcome(True)], "refuted"),
        ("not-copied@memory", [outcome()], "out of reach"),
    ],
)
def test_a_status_says_what_became_of_a_fault_over_all_seeds(fault: str, tried: list[Outcome], status: str) -> None:
    assert status_of(fault_named(fault), tried) == status


def test_the_smallest_case_of_all_seeds_is_shown() -> None:
    [row] = fault_frame([outcome(True, seed=2), outcome(True, seed=1), outcome(seed=0)]).to_dict("records")
    assert (row["seeds"], row["caught"], row["steps"], row["size"]) == (3, 2, 1, 3)
    assert (row["cases_median"], row["cases_max"]) == (91.5, 92)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("faults")
    assert cli.main(["faults", "--seeds", "1", "--only", "*@sinh.0", "--workers", "1", "--out", str(out)]) == 0
    return out


def test_the_command_writes_a_row_per_fault_and_says_what_it_missed(folder: Path) -> None:
    faults = pd.read_csv(folder / "faults.csv", keep_default_na=False)
    assert set(faults.fault) == {str(fault) for fault in FAULTS if str(fault.target) == "sinh.0"}
    assert (faults[faults.fault == "sign@sinh.0"].status == "caught").all()
    text = (folder / "summary.md").read_text()
    assert "Nothing was missed." in text
    assert "| sign | 1 | 1 | 100.0% |" in text


def test_what_was_missed_comes_first(tmp_path: Path) -> None:
    floors = [
        Floor("tanh", "float64", 1, 1e-15, 4.5, {"torch": 1e-3, "jax": "rejects the sound rule", "autograd": 1e-6})
    ]
    write_tables([outcome(escaped="agrees"), outcome(True, fault="lost@tanh.0")], floors, tmp_path)
    text = (tmp_path / "summary.md").read_text()
    assert text.index("sign@tanh.0") < text.index("## By kind")
    [row] = pd.read_csv(tmp_path / "floor.csv").to_dict("records")
    assert row["orders_finer"] == 9.0


@pytest.mark.parametrize(("table", "columns"), [("faults.csv", FAULT_COLUMNS), ("floor.csv", FLOOR_COLUMNS)])
def test_the_dictionary_has_every_column(table: str, columns: tuple[str, ...]) -> None:
    dictionary = (ROOT / "reports" / "README.md").read_text()
    [section] = [part for part in dictionary.split("\n## ") if part.startswith(f"`{table}`")]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert {name for line in lines for name in re.findall("`([^`]+)`", line.split("|")[1])} == {*columns}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "sing@*"], "--only 'sing@*': no fault is called so"),
        (["--seeds", "0"], "--seeds '0': give a whole number, at least 1"),
        (["--examples", "10"], "--examples '10': give a whole number, at least 200"),
    ],
)
def test_an_unknown_value_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["faults", *words]) == 2
    assert capsys.readouterr().err.startswith(f"oracles: {message}")


def test_equivalents_are_tried_on_the_first_seed_alone() -> None:
    chosen = [fault_named("stopped@add.0"), fault_named("sign@add.0")]
    assert [task.faults for task in tasks_of(chosen, [0, 1], 400)] == [("stopped@add.0", "sign@add.0"), ("sign@add.0",)]
