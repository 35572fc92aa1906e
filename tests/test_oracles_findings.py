"""What is known of the others, what is worth showing, and the scripts that show it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracles.adapters import STRANGERS
from oracles.examine import Examination, Setup, examine
from oracles.findings import Ledger, Suspect, fingerprint, is_telling, known_as, nobody_agrees
from oracles.known import Finding, findings
from oracles.repro import script
from tests import trial
from tests.trial import case_of, spec

KNOWN = findings()


def examined(finding: Finding) -> Examination:
    if finding.party in STRANGERS:
        pytest.importorskip(finding.party, reason="it is in the extra strangers: pip install -e '.[strangers]'")
    return examine(finding.case(), Setup(finding.party, (), (finding.order,)))


# The table.


@pytest.mark.parametrize("finding", KNOWN, ids=lambda finding: finding.id)
def test_a_known_finding_has_the_label_on_record(finding: Finding) -> None:
    [verdict] = examined(finding).verdicts
    assert verdict.label == finding.label, verdict.why


@pytest.mark.parametrize("finding", KNOWN, ids=lambda finding: finding.id)
def test_minigrad_is_right_where_others_are_known_to_be_off(finding: Finding) -> None:
    found = examine(finding.case(), Setup("minigrad", ("minigrad.stage",), (finding.order,)))
    assert {verdict.label for verdict in found.verdicts} <= {"agrees", "ill-conditioned", "convention", "nonfinite"}


def test_known_findings_have_ids_of_their_own() -> None:
    assert len({finding.id for finding in KNOWN}) == len(KNOWN)


@pytest.mark.parametrize("finding", KNOWN, ids=lambda finding: finding.id)
def test_a_known_finding_has_no_step_that_nothing_takes(finding: Finding) -> None:
    program = finding.case().program
    assert program.without_dead_steps()[0] == program


# Which cases show something, and which show the same.


def record_of(case: str, *functions: str) -> dict[str, Any]:
    return {"id": case, "functions": [*functions], "verdicts": []}


def verdict_of(party: str, label: str = "wrong", order: int = 1) -> dict[str, Any]:
    return {"party": party, "label": label, "order": order}


def ledger_of(*noted: tuple[dict[str, Any], dict[str, Any]]) -> Ledger:
    ledger = Ledger("minigrad")
    for record, verdict in noted:
        ledger.note(record, verdict)
    return ledger


def ids(suspects: list[Suspect]) -> list[str]:
    return [suspect.record["id"] for suspect in suspects]


@pytest.mark.parametrize(
    ("verdict", "telling"),
    [
        (verdict_of("torch"), True),
        (verdict_of("jax", "unstable"), True),
        (verdict_of("jax", "convention"), False),
        (verdict_of("jax", "unsupported"), False),
        (verdict_of("minigrad"), False),
    ],
)
def test_findings_are_about_others_than_the_subject(verdict: dict[str, Any], telling: bool) -> None:
    assert is_telling(verdict, "minigrad") == telling


def test_a_short_case_explains_the_longer_ones_of_its_party_and_label() -> None:
    ledger = ledger_of(
        (record_of("long", "ldexp", "exp"), verdict_of("torch")),
        (record_of("short", "ldexp"), verdict_of("torch")),
        (record_of("unstable", "ldexp", "exp"), verdict_of("torch", "unstable")),
        (record_of("elsewhere", "ldexp", "exp"), verdict_of("jax")),
        (record_of("other", "sin"), verdict_of("torch")),
    )
    short = ledger.suspects()[1]
    assert ids(ledger.suspects()) == ["other", "short", "elsewhere", "long", "unstable"]
    ledger.explain(short, ["ldexp"])
    assert ids(ledger.suspects()) == ["other", "elsewhere", "unstable"]
    assert ledger.count["torch", "wrong"] == 3


def test_a_framework_is_one_compiled_or_not() -> None:
    ledger = ledger_of(
        (record_of("plain", "ldexp"), verdict_of("jax")), (record_of("compiled", "ldexp", "exp"), verdict_of("jax.jit"))
    )
    ledger.explain(ledger.suspects()[0], ["ldexp"])
    assert ledger.suspects() == []


def test_of_cases_of_the_same_functions_the_first_is_kept() -> None:
    ledger = ledger_of(*((record_of(case, "sin", "exp"), verdict_of("torch")) for case in ("first", "second")))
    assert ids(ledger.suspects()) == ["first"]


def test_what_is_on_record_comes_before_shorter_cases_that_are_new_and_after_the_subject() -> None:
    ledger = ledger_of(
        (record_of("f64-00001", "sin"), verdict_of("torch")),
        (record_of("known-torch-x", "cos", "exp"), verdict_of("torch")),
        (record_of("known-torch-y", "tan"), {**verdict_of("torch"), "moved": True}),
        (record_of("f64-00002", "sin", "exp", "cos"), verdict_of("minigrad")),
    )
    assert ids(ledger.suspects()) == ["f64-00002", "known-torch-x", "f64-00001", "known-torch-y"]


def test_the_subject_comes_first_and_a_batch_has_no_function_twice() -> None:
    ledger = ledger_of(
        (record_of("one", "sin"), verdict_of("torch")),
        (record_of("two", "sin", "exp"), verdict_of("torch")),
        (record_of("three", "cos", "exp"), verdict_of("torch")),
        (record_of("own", "sin", "exp", "cos"), verdict_of("minigrad")),
    )
    assert ids(ledger.batch(9)) == ["own", "one", "three"]
    assert ids(ledger.batch(2)) == ["own", "one"]


def mark_of(finding: Finding) -> dict[str, Any]:
    data = examined(finding).as_data()
    return fingerprint(Suspect(finding.party, finding.label, finding.order, data), data)


def test_a_fingerprint_tells_findings_apart() -> None:
    marks = [mark_of(finding) for finding in KNOWN[:4]]
    assert marks[0] == {
        "party": "torch",
        "label": "wrong",
        "order": 1,
        "function": "ldexp",
        "event": "",
        "dtype": "float64",
        "shape": "scalar",
        "law": "",
    }
    assert all(one != other for one in marks for other in marks if one is not other)


def test_a_finding_is_known_by_party_label_and_function() -> None:
    [entry, *_] = KNOWN
    mark = mark_of(entry)
    assert known_as(mark, KNOWN) == f"{entry.explanation}, in {entry.versions}"
    assert known_as(mark | {"function": "exp ldexp"}, KNOWN) == known_as(mark, KNOWN)
    for other in ({"function": "exp"}, {"label": "unstable"}, {"party": "minigrad"}):
        assert known_as(mark | other, KNOWN) == ""
    indexed = {"party": "autograd", "label": "wrong", "order": 1, "law": "", "function": "repeat"}
    assert "repeat" in known_as(indexed, KNOWN) or "axis" in known_as(indexed, KNOWN)
    jitted = mark | {"party": "jax.jit"}
    assert known_as(jitted, KNOWN) == known_as(mark | {"party": "jax"}, KNOWN) != known_as(mark, KNOWN)


# Scripts.


def ran(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script, run on its own in some folder."""
    (folder / "repro.py").write_text(text)
    # An engine that is made of NumPy warns of what overflows.
    environment = {"PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    return subprocess.run([sys.executable, "repro.py"], cwd=folder, env=environment, capture_output=True, text=True)


FIRST = {(f.party, f.order, f.law): f for f in reversed(KNOWN)}
"""A finding for each party and order, and for each law that alone shows it."""


@pytest.mark.parametrize("finding", FIRST.values(), ids=lambda finding: finding.id)
def test_the_script_of_a_finding_needs_that_framework_and_numpy_alone(finding: Finding, tmp_path: Path) -> None:
    text = script(examined(finding), finding.order)
    needed = {line.split()[1].partition(".")[0] for line in re.findall(r"^(?:import|from) .*", text, re.MULTILINE)}
    assert needed == {"sys", "numpy", finding.party}
    done = ran(text, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "OFF" in done.stdout
    assert re.search(r"^    got    \S+  (-?0x\S+|nan|-?inf)$", done.stdout, re.MULTILINE)
    assert re.search(r"^    truth  \S+  -?0x\S+$", done.stdout, re.MULTILINE)
    assert f"as {finding.label}: " in text


def test_the_script_of_who_is_right_ends_well(tmp_path: Path) -> None:
    case = KNOWN[0].case()
    for order in (1, 2):
        done = ran(script(examine(case, Setup("jax", (), (order,))), order), tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "right" in done.stdout
        assert "OFF" not in done.stdout


def test_the_script_of_ones_own_engine_says_where_it_must_run(tmp_path: Path) -> None:
    text = script(examine(KNOWN[0].case(), Setup(spec(trial.Certified), (), (1,))), 1)
    assert "from tests.trial import Certified\n" in text
    assert "Needs NumPy and minigrad and tests, and to be run from the folder of tests.trial.\n" in text


ENGINE = """
import numpy as np
import minigrad as mg
from oracles.adapters import Adapter

class TakesNeither(Adapter):
    name, version = "neither", "1"

    def vjp(self, program, inputs, cotangent):
        return program(*inputs), [np.zeros_like(x) for x in inputs]
"""


def test_the_script_of_what_is_off_only_together_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either number may have the gradient of a tie, but one must; of an engine of one's own, run from its folder."""
    (tmp_path / "mine.py").write_text(ENGINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    case = case_of(np.maximum, 2.0, 2.0)
    text = script(examine(case, Setup("mine:TakesNeither", (), (1,))), 1)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "repro.py").write_text(text)
    done = subprocess.run([sys.executable, "scripts/repro.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "all together, each times its weight: OFF\n    got    0.0\n" in done.stdout
    assert done.stdout.count("right") == 3


def labelled(**labels: str) -> dict[str, Any]:
    verdicts = [{"party": party.replace("_", "."), "order": 1, "label": label} for party, label in labels.items()]
    return {"id": "-".join(labels), "functions": ["sin"], "verdicts": verdicts}


@pytest.mark.parametrize(
    ("record", "alone"),
    [
        (labelled(minigrad="wrong", minigrad_stage="wrong", torch="wrong", jax="wrong", jax_jit="wrong"), True),
        (labelled(minigrad="wrong", torch="wrong", jax="unsupported"), True),
        (labelled(minigrad="wrong", torch="wrong", jax="agrees"), False),
        (labelled(minigrad="wrong", minigrad_stage="wrong", jax="errored"), False),
        (labelled(minigrad="unstable", torch="unstable", jax="unstable"), False),
    ],
)
def test_where_nobody_agrees_with_the_referee_it_is_a_suspect(record: dict[str, Any], alone: bool) -> None:
    assert nobody_agrees(record, 1) is alone
    assert nobody_agrees(record, 2) is False


def test_where_nobody_agrees_comes_first() -> None:
    ledger = ledger_of(
        (record_of("own", "exp"), verdict_of("minigrad")),
        (labelled(minigrad="wrong", torch="wrong", jax="wrong") | {"id": "all"}, verdict_of("torch")),
    )
    assert ids(ledger.suspects()) == ["all", "own"]


def test_a_script_goes_by_who_shows_it() -> None:
    found = {
        case: Suspect("jax.jit", "wrong", 1, record_of(case)).title for case in ("f64-00012", "known-torch-np-x-1")
    }
    assert found == {"f64-00012": "jax-jit-f64-00012", "known-torch-np-x-1": "jax-jit-np-x-1"}
