"""What failed or was found, as the page shows it: the smallest case, and what everybody gets there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.programs import Program, decode_array
from minigrad.programs.circuit import circuit_of
from oracles.cases import FloatArray
from oracles.exact import Status
from oracles.findings import nobody_agrees
from oracles.journal import Run
from oracles.report.frames import reproduce, verdict_on_the_accused
from oracles.verdict import FINDINGS, Label, ulp_distance

MOST_ELEMENTS = 4
"""Of a finding's elements on which somebody is off."""

MOST_HEX = 9
"""Longer inputs are shown in decimals alone; the script beside the page has all of them."""


def in_order(run: Run) -> list[dict[str, Any]]:
    """Where nobody agrees with the referee; what the subject fails; what is new about others; what is on record.

    Of each the gravest labels come first.
    """

    def rank(record: Mapping[str, Any]) -> tuple[bool, bool, bool, int]:
        label, alone = Label(record["fingerprint"]["label"]), nobody_agrees(record, record["fingerprint"]["order"])
        return not alone, record["accused"] != run.header["subject"], bool(record["known"]), FINDINGS.index(label)

    return sorted(run.footer["shrunk"], key=rank)


def shown(record: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """A shrunk case as the pages show it."""
    program, mark = Program.from_data(record["program"]), record["fingerprint"]
    order, verdict = mark["order"], verdict_on_the_accused(record)
    inputs = [decode_array(x) for x in record["inputs"]]
    given = [(declared.name, x) for declared, x in zip(program.inputs, inputs, strict=True)]
    given.append(("cotangent", decode_array(record["cotangent"])))
    if order == 2:
        vectors = zip(program.inputs, record["vectors"], strict=True)
        given += [(f"vector for {declared.name}", decode_array(v)) for declared, v in vectors]
    elements = [*differing(record, order)]
    return {
        "id": record["id"],
        "found_as": record["found_as"],
        "accused": record["accused"],
        "label": mark["label"],
        "order": order,
        "dtype": record["dtype"],
        "functions": mark["function"].split(),
        "event": mark["event"],
        "known": record["known"],
        "nobody_agrees": nobody_agrees(record, order),
        "law": verdict.get("law", "") if verdict.get("broken") else "",
        "program": str(program),
        "given": [{"name": name, "spec": spec(x), "decimal": decimal(x), "hex": hexadecimal(x)} for name, x in given],
        "where": verdict.get("where", ""),
        "why": verdict.get("why", ""),
        "others": [v for v in record["verdicts"] if v["order"] == order and v["party"] != record["accused"]],
        "elements": elements[:MOST_ELEMENTS],
        "more": len(elements[MOST_ELEMENTS:]),
        "circuit": picture(program, inputs, record, order),
        "reproduce": reproduce(record, folder),
    }


def spec(x: FloatArray) -> str:
    return f"{x.dtype.name}[{','.join(map(str, x.shape))}]"


def decimal(x: FloatArray) -> str:
    return np.array2string(x, separator=", ", formatter={"float_kind": str}, threshold=64, max_line_width=88)


def hexadecimal(x: FloatArray) -> str:
    return " ".join(float(item).hex() for item in x.ravel()) if x.size <= MOST_HEX else ""


def picture(program: Program, inputs: Sequence[FloatArray], record: Mapping[str, Any], order: int) -> str:
    """The circuit, with NumPy's values on its wires, and at the inputs the certified derivatives."""
    names, truths = record["names"].get(str(order), []), record["truth"].get(str(order), [])
    gradients = {
        name.partition("/d")[2]: decode_array(truth["value"])
        for name, truth in zip(names, truths, strict=bool(truths))
        if "/d" in name and not np.any(truth.get("status", 0))
    }
    with np.errstate(all="ignore"):
        svg = circuit_of(program, inputs, gradients).svg()
    return svg.replace(' xmlns="http://www.w3.org/2000/svg"', "")  # which a page implies


def differing(record: Mapping[str, Any], order: int) -> Iterator[dict[str, Any]]:
    """The elements on which somebody's bits are not the truth's: the deciding one first, then the farthest off."""
    names, truths = (record[key].get(str(order), []) for key in ("names", "truth"))
    answers = record["values"].get(str(order), {})
    where = verdict_on_the_accused(record).get("where", "")
    found = []
    for place, (name, data) in enumerate(zip(names, truths, strict=bool(truths))):
        truth = decode_array(data["value"])
        status = np.array(data.get("status", np.zeros(truth.shape, int)))
        arrays = {party: mine[place] if place < len(mine) else None for party, mine in answers.items()}
        for index in np.ndindex(truth.shape):
            told = {party: told_of(array, index, truth) for party, array in arrays.items()}
            title = name + (f"[{', '.join(map(str, index))}]" if index else "")
            if status[index] or any(value["ulp"] for value in told.values()) or title == where:
                known = truth_at(data, Status(int(status[index])), index)
                far = max((value["ulp"] for value in told.values()), default=0)
                found.append(
                    (title != where, -far, {"name": title, "truth": known, "told": told, "certain": not status[index]})
                )
    yield from (element for _, _, element in sorted(found, key=lambda entry: entry[:2]))


def told_of(array: Any, index: tuple[int, ...], truth: FloatArray) -> dict[str, Any]:
    """What a party returned for one element; no array is zeros, and one of another shape has no such element."""
    mine = np.zeros_like(truth) if array is None else decode_array(array)
    if mine.shape != truth.shape:
        return {"decimal": f"shape {mine.shape}", "hex": "", "ulp": 2**64 - 1}
    value = mine[index]
    # An answer in another dtype is off by its dtype, and told in the truth's.
    ulp = int(ulp_distance(np.asarray(value, truth.dtype), truth[index]))
    return {"decimal": repr(float(value)) + " (none)" * (array is None), "hex": float(value).hex(), "ulp": ulp}


def truth_at(data: Mapping[str, Any], status: Status, index: tuple[int, ...]) -> dict[str, str]:
    """The certified number with the bound of its error, or what there is instead."""
    if status == Status.KINK:
        low, high = (float(decode_array(data[bound])[index]) for bound in ("low", "high"))
        return {"decimal": f"{low!r} to {high!r}", "hex": f"{low.hex()} to {high.hex()}", "bound": "any between"}
    if status != Status.CERTAIN:
        words = {Status.EDGE: "none: an edge", Status.NONFINITE: "none: not finite", Status.UNKNOWN: "not known"}
        return {"decimal": words[status], "hex": "", "bound": ""}
    value = float(decode_array(data["value"])[index])
    return {
        "decimal": repr(value),
        "hex": value.hex(),
        "bound": f"± {data['radius']:.1e}" if data["radius"] else "± 0",
    }
