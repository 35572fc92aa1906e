"""A failed assertion: in words, and as a case file from which it is shown again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad.programs import decode_array, encode_array
from oracles.adapters import PARTIES
from oracles.asking import seated
from oracles.cases import Case, write_text
from oracles.errors import Unsupported, UsageError
from oracles.exact import Status
from oracles.facts import Point
from oracles.second_looks import judged_fairly
from oracles.session import FOLDER, SESSION
from oracles.verdict import FATAL, RULES, UNITS, Answer, Facts, Label, Verdict, formed, ranked, ulp_distance

ALLOWABLE = (Label.UNSTABLE, Label.KINK_CHAIN, Label.UNDECIDED, Label.UNSUPPORTED)
"""Labels that fail unless they are allowed: they need not be the fault of who is on trial."""

FAILING = (*FATAL, *ALLOWABLE)

NUMBERS, MORE = 6, 3
"""How many numbers of an array without the right form are shown, and how many further elements are named."""

Row = tuple[str, Any, str]
"""What a number is called, the number, and what is said of it."""


class Mismatch(NamedTuple):
    """One party's failure at one case, and all that decided it."""

    case: Case
    order: int
    answer: Answer
    verdict: Verdict
    facts: Facts

    def __str__(self) -> str:
        label, where = self.verdict.label, f"(order {self.order}, {self.case.dtype})"
        rule = f"    rule   {label}: {RULES[label].removeprefix('none of the above, and ')}"
        if not self.verdict.where:
            return "\n".join([f"{label}: {self.answer.party}: {self.verdict.why} {where}", *self.forms(), rule])
        k, place = self.element()
        got = formed(self.answer, self.facts)[k][place]
        beside, rows = self.beside(k, place)
        is_what = f"{self.verdict.where} of {self.answer.party} is {decimal(got)}"
        lines = in_columns([("got", got, ""), *rows])
        if self.facts.truths[k].status[place] == Status.CERTAIN:
            ulp = int(ulp_distance(got, self.facts.truths[k].value[place]))
            lines.append(f"    apart  {ulp:,} ULP; {self.verdict.why.partition(': ')[2]}")
        else:
            lines.append(f"    why    {self.verdict.why}")
        return "\n".join([f"{label}: {is_what}, {beside} {where}", *lines, *self.others(k, place), rule])

    def element(self) -> tuple[int, tuple[int, ...]]:
        """The array and the place of the deciding element."""
        name, _, inside = self.verdict.where.partition("[")
        return [*self.facts.names].index(name), tuple(int(i) for i in inside.rstrip("]").split(",") if i)

    def beside(self, k: int, place: tuple[int, ...]) -> tuple[str, list[Row]]:
        """What should be there, in words, and as rows of numbers with what is said of each."""
        truth = self.facts.truths[k]
        low, high, lowest, highest = (t[place] for t in (truth.low, truth.high, truth.lowest, truth.highest))
        if truth.status[place] == Status.CERTAIN:
            value = truth.value[place]
            within = f"certified to within {truth.radius[place]:.2g}, then rounded"
            return f"the truth is {decimal(value)}", [("truth", value, within)]
        if truth.status[place] != Status.KINK:
            return "there is no truth", []
        chained = [("chain", lowest, "what chained choices give: from"), ("", highest, "to")]
        if low == high:
            return f"every gradient nearby is {decimal(low)}", [("truth", low, "every gradient nearby"), *chained]
        nearby = [("truth", low, "the gradients nearby: from"), ("", high, "to")]
        return f"the gradients nearby go from {decimal(low)} to {decimal(high)}", [*nearby, *chained]

    def others(self, k: int, place: tuple[int, ...]) -> list[str]:
        """Which further elements are off, if any."""
        arrays, off = formed(self.answer, self.facts), []
        for i, (name, truth, noise) in enumerate(
            zip(self.facts.names, self.facts.truths, self.facts.noise, strict=True)
        ):
            units = ranked(arrays[i], truth, noise, None)[1]
            off += [
                name + (str(list(map(int, at))) if len(at) else "")
                for at in np.argwhere(units > UNITS)
                if (i, (*at,)) != (k, place)
            ]
        shown = ", ".join(off[:MORE]) + (f" and {len(off) - MORE} more" if len(off) > MORE else "")
        return [f"    also   off: {shown}"] if off else []

    def forms(self) -> list[str]:
        """What was returned beside what should be, where the form of it decided."""
        facts, arrays = self.facts, self.answer.arrays
        lines = []
        for name, array, truth in zip(facts.names, arrays, facts.truths, strict=False):
            wanted = truth.value.shape, facts.dtype
            if not isinstance(array, (np.ndarray, np.generic)) or (array.shape, array.dtype) != wanted:
                lines += [f"    got    {name} {form(array)}", f"    truth  {name} {form(truth.value)}"]
        return lines


def decimal(x: Any) -> str:
    """The shortest decimal that gives back a float64; of a float32 all digits that it has as one."""
    return repr(float(x))


def in_columns(rows: Sequence[Row]) -> list[str]:
    """Numbers below each other, in decimal and in hexadecimal."""
    numbers = [(decimal(x), float(x).hex()) for _, x, _ in rows]
    wide, wider = (max(map(len, column)) for column in zip(*numbers, strict=True))
    return [
        f"    {name:<5}  {ten:>{wide}}  {sixteen:>{wider}}" + (f"  ({remark})" if remark else "")
        for (name, _, remark), (ten, sixteen) in zip(rows, numbers, strict=True)
    ]


def form(array: Any) -> str:
    """An array's dtype and shape, and its first numbers in decimal and in hexadecimal."""
    if not isinstance(array, (np.ndarray, np.generic)):
        return "None" if array is None else f"a {type(array).__name__}"
    kind = f"{array.dtype}[{','.join(map(str, array.shape))}]"
    if array.dtype.kind != "f":
        return kind
    numbers = [f"{decimal(x)} ({float(x).hex()})" for x in array.ravel()[:NUMBERS]]
    return f"{kind}  {', '.join(numbers)}" + (", ..." if array.size > NUMBERS else "")


# The file.


def kept(mismatch: Mismatch, name: str, key: str, seed: int) -> Path:
    """Write the case with what was answered, and return the file's path.

    It is named by a hash of its content, or of `key` where many would follow each other, as while Hypothesis shrinks.
    """
    asserted = {
        "party": mismatch.answer.party,
        "order": mismatch.order,
        "seed": seed,
        "verdict": mismatch.verdict.as_data(),
        "arrays": [stored(array) for array in mismatch.answer.arrays],
    }
    case = replace(mismatch.case, origin={"name": name, "asserted": asserted})
    name = "".join(c if c.isalnum() or c == "_" else "-" for c in name)
    digest = hashlib.sha256((key or json.dumps(case.as_data(), sort_keys=True)).encode()).hexdigest()[:12]
    case = replace(case, id=f"{name}-{digest}")
    folder = (SESSION.root or Path.cwd()) / FOLDER
    if not (folder / ".gitignore").exists():
        write_text(folder / ".gitignore", "*\n")
    write_text(folder / f"{case.id}.json", json.dumps(case.as_data(), indent=1))
    return folder / f"{case.id}.json"


def stored(array: Any) -> Any:
    """An array as JSON; None if it was none, or not one of numbers."""
    is_numbers = (
        isinstance(array, (np.ndarray, np.generic)) and array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
    )
    return encode_array(array) if is_numbers else None


def how_to_see_again(path: Path, oracles: Sequence[str], subject: str) -> str:
    """The command that judges a case file again, and asks a `subject` again that has a name of its own."""
    start = SESSION.start or Path.cwd()
    shown = path.relative_to(start) if path.is_relative_to(start) else path
    others = ",".join([name for name in oracles if name in PARTIES] or ["exact"])
    words = ["python", "-m", "oracles", "repro", str(shown), "--oracles", others]
    return shlex.join(words + (["--subject", subject] if subject else []))


class Gone:
    """Whoever answered when the case was recorded, and cannot be asked again."""

    name, version = "gone", ""

    def vjp(self, *question: Any) -> Any:
        raise Unsupported("it is not to be had from the file")

    hvp = vjp


def recalled(case: Case) -> Mismatch | None:
    """The failure that a case file records, judged again; None if it records none.

    What was found by asking the party elsewhere, or from the form of its answer, stands as it was.
    """
    asserted = case.origin.get("asserted")
    if asserted is None:
        return None
    try:
        was, order = asserted["verdict"], int(asserted["order"])
        verdict = Verdict(was["party"], order, Label(was["label"]), where=str(was["where"]), why=str(was["why"]))
        arrays = [None if array is None else decode_array(array) for array in asserted["arrays"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"case {case.id}: the entry asserted lacks or garbles {error}; run the test again") from None
    at_once = None if verdict.where else verdict.label
    answer = Answer(verdict.party, arrays, at_once, verdict.why if at_once else "")
    with seated(answer.party, Gone()):
        [now], facts = judged_fairly(Point(case, order), order, [answer])
    return Mismatch(case, order, answer, verdict if now.is_off else now, facts)
