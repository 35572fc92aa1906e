"""Metamorphic laws: what they make of a case, that a sound engine keeps them, and who is caught by nothing else."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.programs import Program, Ref
from oracles import campaign
from oracles.campaign import LAW_EVERY, Options, drawn_cases, has_law, in_turn, shrink_data
from oracles.cases import Case
from oracles.examine import Examination, Setup, examine
from oracles.facts import cast
from oracles.findings import Ledger, Suspect, fingerprint, known_as
from oracles.journal import Run
from oracles.known import findings
from oracles.laws import LAW_NAMES, LAWS, RARE, TRANSPOSED, law_for, pairing, variant_of
from oracles.report.frames import cases_frame, laws_frame
from oracles.repro import script
from oracles.verdict import Label
from tests import trial
from tests.support import assert_close, bits
from tests.trial import case_of, spec


def everything(x: Any, y: Any) -> Any:
    """All laws say something about it: it broadcasts, has a fork, and steps that may be in another order."""
    a, b = np.sin(x), np.cos(y)
    fork = a * b
    return np.exp(fork) + fork


X, Y = np.linspace(0.2, 1.4, 6).reshape(2, 3), [0.3, -0.7, 1.1]
WEIGHTS = [[1.5, -0.25, 0.75], [-2.0, 1.25, 0.5]]
ALONG = [[[0.5, -1.0, 0.25], [1.5, 0.75, -0.5]], [2.0, -0.5, 1.0]]


def whole_case(dtype: str = "float64") -> Case:
    return case_of(everything, X, Y, cotangent=WEIGHTS, vectors=ALONG, dtype=dtype)


def under(case: Case, law: str) -> Case:
    return replace(case, origin={"law": law})


def judged(subject: type, case: Case, law: str, orders: Sequence[int] = (1,)) -> Examination:
    return examine(under(case, law), Setup(spec(subject), (), tuple(orders)))


# What they make of a case.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("law", LAWS)
def test_a_law_leaves_the_value_as_it_is_and_gives_back_the_certified_gradients(law: str, dtype: str) -> None:
    case, truth = whole_case(dtype), trial.Certified()
    variant = LAWS[law](case, np.random.default_rng(0))
    assert variant is not None
    for other in variant.cases:
        other.check()
        with np.errstate(divide="ignore"):  # of the dead branch
            assert bits(other.program(*other.inputs)) == bits(case.program(*case.inputs))
    for order in (1, 2):
        back = variant.back([truth.answer(other, order)[order == 1 :] for other in variant.cases])
        own = truth.answer(case, order)[order == 1 :]
        assert_close(back, own, rtol=4 * float(np.finfo(dtype).eps), about=law)


@pytest.mark.parametrize("law", LAWS)
def test_a_law_asks_something_else(law: str) -> None:
    case = whole_case()
    variant = variant_of(case, law)
    assert variant is not None
    for other in variant.cases:
        assert other.as_data() != case.as_data()


@pytest.mark.parametrize("law", LAWS)
def test_the_same_case_has_the_same_variant(law: str) -> None:
    one, two = (variant_of(whole_case(), law) for _ in range(2))
    assert one is not None
    assert two is not None
    assert [c.as_data() for c in one.cases] == [c.as_data() for c in two.cases]


def test_cotangents_add_up_exactly() -> None:
    for case in [whole_case(), case_of(np.tanh, 0.5, cotangent=0.1)]:
        variant = variant_of(case, "linear")
        assert variant is not None
        one, two = (other.cotangent for other in variant.cases)
        assert bits(one + two) == bits(case.cotangent)
        assert np.all(one * two < 0)


def sources(law: str, case: Case) -> list[str]:
    variant = variant_of(case, law)
    return [] if variant is None else [other.program.source() for other in variant.cases]


def test_what_was_broadcast_is_tiled() -> None:
    [source] = sources("tiled", case_of(np.multiply, np.ones((2, 3)), np.ones(3)))
    assert "v1 = np.tile(x2, (2, 1))" in source
    assert "v2 = x1 * v1" in source


def test_the_dead_branch_is_infinite_and_unused() -> None:
    [source] = sources("dead", case_of(np.tanh, 0.5))
    assert "np.log(v2)" in source
    assert source.endswith("return v1")


def test_another_order_has_the_same_steps() -> None:
    case = whole_case()
    variant = variant_of(case, "reordered")
    assert variant is not None
    [other] = variant.cases
    names, others = ([s.function for s in c.program.steps] for c in (case, other))
    assert names != others
    assert sorted(names) == sorted(others)


def test_a_fork_is_computed_twice() -> None:
    case = case_of(lambda x: np.exp(np.sin(x) * 1.0) + 0.0, 0.5)
    assert sources("twice", case) == []
    [source] = sources("twice", whole_case())
    assert source.count(" * ") == 2


def test_a_law_says_nothing_where_there_is_nothing_to_say() -> None:
    chain = case_of(lambda x: np.tanh(np.sin(x)), 0.5)
    assert [law for law in LAWS if variant_of(chain, law) is None] == ["permuted", "tiled", "reordered", "twice"]


def test_a_law_that_would_change_the_value_says_nothing() -> None:
    assert variant_of(case_of(np.tanh, 1.7e308), "doubled") is None
    assert variant_of(case_of(np.tanh, 0.5, cotangent=1.7e308), "linear") is None


def test_an_input_may_be_the_output() -> None:
    case = Case(
        "case", Program(whole_case().program.inputs, (), Ref(0)), *(whole_case().inputs,), X, whole_case().vectors
    )
    for law in LAWS:
        variant = variant_of(case, law)
        assert (variant is None) == (law in ("tiled", "reordered", "twice"))


def test_products_are_summed_without_rounding() -> None:
    assert pairing([np.array([1e16, 1.0, -1e16])], [np.ones(3)]) == 1.0
    assert np.isnan(pairing([np.array([np.inf, -np.inf])], [np.ones(2)]))
    assert np.isnan(pairing([np.array([1e308, 1e308])], [np.ones(2)]))


# Who keeps them.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("law", LAW_NAMES)
def test_sound_engines_keep_every_law(law: str, dtype: str) -> None:
    setup = Setup("minigrad", ("minigrad.stage", "torch", "jax"))
    found = examine(under(whole_case(dtype), law), setup)
    for verdict in found.verdicts:
        put = law != TRANSPOSED or (verdict.order == 1 and verdict.party != "minigrad.stage")
        assert (verdict.label, verdict.law, verdict.broken) == ("agrees", law if put else "", False), verdict


def test_sound_engines_keep_every_law_on_drawn_cases() -> None:
    for dtype in ("float64", "float32"):
        for law, case in zip(itertools.cycle(LAW_NAMES), itertools.islice(drawn_cases(dtype, Options(seed=3)), 27)):
            for verdict in examine(under(case, law), Setup("minigrad", ())).verdicts:
                assert not verdict.broken, (case.program, law, verdict)


def test_at_a_kink_choices_may_differ_from_case_to_case_but_not_with_the_cotangent() -> None:
    tie = case_of(np.maximum, [1.0, 1.0, 2.0], [1.0, 1.0, 3.0], cotangent=[1.0, -2.0, 0.5])
    for law in LAW_NAMES:
        [verdict] = judged(trial.TieToFirst, tie, law).verdicts
        assert (verdict.label, verdict.broken) == ("convention", False)


# Who breaks them: engines that answer the case itself rightly.

TIE = case_of(np.maximum, [1.0, 2.0], [1.0, 2.0], cotangent=[1.0, -2.0])
WITHIN = case_of(lambda x, y: np.sin(x) * np.cos(y), 0.5, 0.25)
BREAKERS: list[tuple[str, type, Case]] = [
    ("linear", trial.ChoosesBySign, TIE),
    ("doubled", trial.OnceAStep, whole_case()),
    ("permuted", trial.TakesAgain, case_of(np.tanh, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])),
    ("reshaped", trial.ColumnsFirst, case_of(lambda x: np.tanh(x), X)),
    ("tiled", trial.FirstTile, case_of(np.multiply, X, Y, cotangent=WEIGHTS)),
    ("dead", trial.WholeTape, case_of(np.sin, X)),
    ("reordered", trial.Peephole, WITHIN),
    ("twice", trial.ComputesOnce, whole_case()),
    (TRANSPOSED, trial.ForwardOff, whole_case()),
]


@pytest.mark.parametrize(("law", "subject", "case"), BREAKERS, ids=[law for law, *_ in BREAKERS])
def test_a_fault_that_shows_only_under_its_law_is_caught(law: str, subject: type, case: Case) -> None:
    for other in LAW_NAMES:
        [verdict] = judged(subject, case, other).verdicts
        assert verdict.broken == (other == law), verdict
        if other == law:
            assert verdict.label == Label.WRONG
            assert verdict.why.startswith(f"by the law '{law}': ")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_forward_mode_that_loses_digits_is_not_taken_for_a_wrong_formula(dtype: str) -> None:
    case = cast(case_of(np.arccosh, [1.0003, 1.25]), dtype)
    [verdict] = judged(trial.ForwardCancels, case, TRANSPOSED).verdicts
    assert (verdict.label, verdict.broken) == (Label.UNSTABLE, True), verdict
    [verdict] = judged(trial.ForwardOff, case, TRANSPOSED).verdicts
    assert (verdict.label, verdict.broken) == (Label.WRONG, True), verdict


def test_there_is_a_fault_for_every_law() -> None:
    assert [law for law, *_ in BREAKERS] == [*LAW_NAMES]


def test_a_law_is_not_asked_of_an_engine_that_lacks_a_function() -> None:
    [verdict] = judged(trial.NoTiles, whole_case(), "tiled").verdicts
    assert (verdict.label, verdict.law) == ("agrees", "")


@pytest.mark.parametrize("subject", [trial.WrongShape, trial.Raises, trial.TanhOff])
def test_whoever_is_at_fault_anyway_is_not_put_to_a_law(subject: type) -> None:
    [verdict] = judged(subject, case_of(np.tanh, X), "reshaped").verdicts
    assert verdict.label != "agrees"
    assert not verdict.law


def test_what_is_wrong_with_a_variant_is_shrunk_as_a_case_of_its_own() -> None:
    law, subject, case = BREAKERS[4]
    found = judged(subject, case, law)
    [verdict] = found.verdicts
    suspect = Suspect(verdict.party, verdict.label, 1, found.as_data(), variant=verdict.variant)
    assert "tile" in suspect.functions
    record, script = shrink_data(suspect, "small")
    assert record["functions"] == ["tile"]
    assert "law" not in record["origin"]
    assert "np.tile(" in script


def test_what_is_wrong_with_a_dead_branch_is_shrunk_with_it() -> None:
    found = judged(trial.WholeTape, case_of(lambda x: np.sin(x) * 2.0, X), "dead")
    [verdict] = found.verdicts
    record, _ = shrink_data(Suspect(verdict.party, "wrong", 1, found.as_data(), variant=verdict.variant), "small")
    assert len(record["functions"]) == 3
    assert record["functions"][-1] == "log"


def test_a_broken_law_alone_is_shrunk_with_its_law() -> None:
    found = judged(trial.ChoosesBySign, case_of(lambda x, y: np.tanh(np.maximum(x, y)), [1.0], [1.0]), "linear")
    [verdict] = found.verdicts
    assert (verdict.variant, verdict.label) == (None, "wrong")
    ledger = Ledger(verdict.party)
    ledger.note(found.as_data(), found.as_data()["verdicts"][0])
    [suspect] = ledger.suspects()
    assert (suspect.law, suspect.variant) == ("linear", None)
    record, script = shrink_data(suspect, "small")
    assert (record["functions"], record["origin"]["law"]) == (["maximum"], "linear")
    assert "what breaks the law is asked by python -m oracles repro" in script
    assert examine(Case.from_data(record), Setup(verdict.party, (), (1,))).failed(verdict.party)


def test_a_broken_law_explains_no_case_that_is_wrong_by_itself() -> None:
    record = judged(trial.ForwardOff, case_of(np.tanh, 0.5), TRANSPOSED).as_data()
    ledger = Ledger("minigrad")
    ledger.note(record, record["verdicts"][0])
    ledger.note(record, {**record["verdicts"][0], "broken": False})
    by_law, by_itself = sorted(ledger.suspects(), key=lambda suspect: suspect.law, reverse=True)
    ledger.explain(by_law, record["functions"])
    assert ledger.suspects() == [by_itself]
    mark = fingerprint(by_law, record)
    assert (mark["law"], known_as(mark, findings())) == (TRANSPOSED, "")


# In a campaign.

DRAWN = 70


def drawn() -> list[Case]:
    return [*itertools.islice(drawn_cases("float64", Options(seed=4)), DRAWN)]


@pytest.fixture(scope="module")
def put() -> list[Case]:
    return drawn()


def test_the_drawn_cases_are_what_they_are_without_laws(put: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    def told(case: Case) -> dict[str, Any]:
        data = case.as_data()
        return data | {"origin": {key: value for key, value in data["origin"].items() if key != "law"}}

    monkeypatch.setattr(campaign, "law_for", lambda *_: "")
    plain = drawn()
    assert not any("law" in case.origin for case in plain)
    assert [told(case) for case in put] == [told(case) for case in plain]


def test_laws_take_turns(put: list[Case]) -> None:
    served = Counter(case.origin["law"] for case in put if "law" in case.origin)
    assert served.total() >= DRAWN // LAW_EVERY
    assert {*served} >= {*LAW_NAMES} - {*RARE}
    assert law_for(whole_case(), Counter(linear=1)) == "doubled"
    assert law_for(case_of(np.tanh, 0.5), {}, RARE) == ""
    assert law_for(whole_case(), {}, RARE) == "reordered"


def test_every_function_comes_to_a_law() -> None:
    functions = in_turn("float64", 0)
    put = {place for turn in range(LAW_EVERY) for place in range(len(functions)) if has_law(turn, place)}
    assert put == {*range(len(functions))}


def test_reports_count_who_was_put_to_which_law_and_who_broke_it() -> None:
    law, subject, case = BREAKERS[6]
    records = [judged(subject, case, each).as_data() for each in (law, "linear")]
    cases = cases_frame(Run({}, records, {}))
    assert cases["law"].tolist() == [law, "linear"]
    assert laws_frame(cases)[["law", "answers", "broken"]].values.tolist() == [["linear", 1, 0], [law, 1, 1]]
    assert laws_frame(cases[cases["law"] == "none"]).empty


@pytest.mark.parametrize("party", ["minigrad", "torch", "jax"])
def test_the_script_of_a_broken_forward_mode_asks_forward_mode(party: str, tmp_path: Path) -> None:
    """Here of engines that are right, with the verdict of one that is not: the script has to find them right."""
    found = judged(trial.ForwardOff, whole_case(), TRANSPOSED)
    [verdict] = found.verdicts
    found.verdicts[0] = replace(verdict, party=party)
    path = tmp_path / "script.py"
    path.write_text(script(found, 1))
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("<Jv, w>: right")
