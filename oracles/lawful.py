"""Who breaks a metamorphic law: answers held to those to the law's other cases, and to a party's forward mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oracles.asking import ask, party
from oracles.cases import Case, FloatArray
from oracles.errors import Unsupported
from oracles.exact import EFFORTS, Status
from oracles.facts import Point
from oracles.laws import HOLDS_AT_KINKS, TRANSPOSED, Variant, pairing, variant_of
from oracles.second_looks import Error, follows_rounding, looked_at
from oracles.verdict import EXCUSED, FATAL, UNITS, Answer, Facts, Label, Verdict, formed, judge, units_outside

LAWFUL = (Label.AGREES, Label.ILL_CONDITIONED, Label.SIGNED_ZERO, *EXCUSED)
"""Labels of answers that are held to a law."""


def put_to_law(
    point: Point, verdicts: list[Verdict], answers: Mapping[int, Sequence[Answer]], facts: Mapping[int, Facts]
) -> None:
    """Hold the answers to the law that the case names; who breaks it takes the verdict from there."""
    law = point.case.origin["law"]
    variant = None if law == TRANSPOSED else variant_of(point.case, law)
    for number, verdict in enumerate(verdicts):
        if verdict.label not in LAWFUL or verdict.moved:
            continue
        order = verdict.order
        [answer] = [a for a in answers[order] if a.party == verdict.party]
        if variant is not None:
            held = against_variant(variant, verdict, answer, facts[order], at_kinks=law in HOLDS_AT_KINKS)
        elif law == TRANSPOSED and order == 1:
            held = against_forward_mode(point, verdict, answer, facts[order])
        else:
            held = None
        if held is not None:
            why = f"by the law {law!r}: {held.why}" if held.broken else held.why
            verdicts[number] = replace(held, law=law, why=why)


def against_variant(variant: Variant, verdict: Verdict, answer: Answer, facts: Facts, at_kinks: bool) -> Verdict | None:
    """The verdict, or that on an answer to the law's cases which is at fault; None if there is no answer to these.

    What they give back is judged by what is known of the case; only where it is off is more found out about them.
    """
    order, cases = verdict.order, variant.cases
    asked = [ask(verdict.party, case, order) for case in cases]
    if any(a.label == Label.UNSUPPORTED for a in asked):
        return None
    back = given_back(variant, asked, order)
    sound = back is not None and judge(replace(answer, arrays=back), order, facts).label in LAWFUL
    if back is not None and sound and not (at_kinks and chosen_otherwise(answer, back, facts, facts.noise)):
        return verdict
    points = [Point(case, order) for case in cases]
    for number, (other, near) in enumerate(zip(asked, points, strict=True)):
        own = looked_at(near, order, other)
        if own.label in FATAL or own.label == Label.UNSTABLE:
            return replace(own, broken=True, variant=number)
    if back is None or not at_kinks:
        return verdict
    found = [near.facts(order, len(EFFORTS) - 1).noise[-len(near.case.inputs) :] for near in points]
    value, own_noise = facts.noise[: -len(found[0])], facts.noise[-len(found[0]) :]
    spread = [*value, *(a + b for a, b in zip(own_noise, variant.back(found), strict=True))]
    why = chosen_otherwise(answer, back, facts, spread)
    return replace(verdict, label=Label.WRONG, why=why, broken=True) if why else verdict


def given_back(variant: Variant, asked: Sequence[Answer], order: int) -> list[FloatArray | None] | None:
    """The answer that those to a law's cases amount to; None if one of them is not of sound form."""
    gradients = []
    for answer, case in zip(asked, variant.cases, strict=True):
        if answer.label is not None or len(answer.arrays) != len(case.inputs) + (order == 1):
            return None
        pairs = [*zip(answer.arrays[order == 1 :], case.inputs, strict=True)]
        own = [np.zeros_like(x) if g is None else g for g, x in pairs]
        if any(
            getattr(g, "shape", None) != x.shape or g.dtype != x.dtype for g, (_, x) in zip(own, pairs, strict=True)
        ):
            return None
        gradients.append(own)
    return [*asked[0].arrays[: order == 1], *variant.back(gradients)]


def chosen_otherwise(
    answer: Answer, back: Sequence[FloatArray | None], facts: Facts, spread: Sequence[FloatArray]
) -> str:
    """Where at a kink the law's cases give back another choice than the case; empty if nowhere."""
    mine, theirs = formed(answer, facts), formed(replace(answer, arrays=back), facts)
    for name, a, b, truth, noise_of in zip(facts.names, mine, theirs, facts.truths, spread, strict=True):
        compared = (truth.status == Status.KINK) & np.isfinite(a) & np.isfinite(b)
        units = np.where(compared, units_outside(b, a, a, noise_of), 0)
        if np.any(units > UNITS):
            place = np.unravel_index(int(np.argmax(units)), units.shape)
            return (
                f"{name}[{', '.join(map(str, place))}] is {float(a[place])!r}, and given back {float(b[place])!r}: "
                f"{float(units[place]):.3g} units of noise apart, where {UNITS:g} are allowed"
            )
    return ""


def against_forward_mode(point: Point, verdict: Verdict, answer: Answer, facts: Facts) -> Verdict | None:
    """The verdict, or a worse one if <Jv, w> is not <v, J'w>; None where the party has no forward mode, or no truth."""
    case, spec = point.case, verdict.party
    if not hasattr(party(spec), "jvp") or any(np.any(truth.status != Status.CERTAIN) for truth in facts.truths):
        return None
    try:
        along = forward_mode(case, spec)
    except Unsupported:
        return None
    except Exception as error:  # an engine on trial may raise anything at all
        return replace(verdict, label=Label.ERRORED, why=f"{type(error).__name__}: {error}"[:500], broken=True)
    if np.shape(along) != case.cotangent.shape:
        why = f"Jv has shape {np.shape(along)} instead of {case.cotangent.shape}"
        return replace(verdict, label=Label.STRUCTURE, why=why, broken=True)
    forward, backward = pairing([along], [case.cotangent]), pairing(case.vectors, formed(answer, facts)[1:])
    apart, allowed = abs(forward - backward), pairing([abs(v) for v in case.vectors], facts.noise[1:])
    if not np.isfinite(backward) or apart <= UNITS * allowed:
        return verdict
    allowed += point.noise_of_forward_mode()
    if not np.isfinite(allowed) or apart <= UNITS * allowed:
        return verdict
    why = f"<Jv, w> = {forward!r}, <v, J'w> = {backward!r}: {apart / allowed:.3g} units of noise apart"
    why = f"{why}, where {UNITS:g} are allowed"
    if right_where := forward_mode_loses_digits(point, spec):
        return replace(verdict, label=Label.UNSTABLE, why=f"{why}; {right_where}", broken=True)
    return replace(verdict, label=Label.WRONG, why=why, broken=True)


def forward_mode(case: Case, spec: str) -> Any:
    """A party's derivative of the value along the vectors."""
    found = party(spec).jvp(case.program, [x.copy() for x in case.inputs], [v.copy() for v in case.vectors])
    return np.zeros_like(case.cotangent) if found is None else found


def forward_mode_loses_digits(point: Point, spec: str) -> str:
    """Where the formula of a forward mode that is off is right, as `loses_digits` tells; empty if it is wrong."""
    here, is_single = forward_error_at(point, spec), point.case.dtype == "float32"
    other = forward_error_at(point.in_dtype("float64" if is_single else "float32"), spec)
    ordinary = [forward_error_at(each, spec) for each in point.ordinary()]
    if is_single and other.agrees:
        return "" if all(map(here.is_like, ordinary)) else "in float64 it agrees"
    nearby = [forward_error_at(near, spec) for near in point.nearby()]
    at_the_point_alone = all(map(here.collapses_to, nearby)) and not follows_rounding(here, other)
    if here.is_like(other) or at_the_point_alone:
        return ""
    return "at ordinary points it agrees" if any(map(here.is_answered_by, ordinary)) else ""


def forward_error_at(point: Point | None, spec: str) -> Error:
    """How far the cotangent's product with a party's forward mode is off at a point, if that is one."""
    if point is None:
        return Error()
    case, facts = point.case, point.facts(1, len(EFFORTS) - 1)
    truths = facts.truths[1:]
    if any(np.any(truth.status != Status.CERTAIN) for truth in truths):
        return Error()
    try:
        forward = pairing([forward_mode(case, spec)], [case.cotangent])
    except Exception:  # what it is right about elsewhere may raise here
        return Error()
    truth = pairing(case.vectors, [truth.value for truth in truths])
    allowed = pairing([abs(v) for v in case.vectors], facts.noise[1:]) + point.noise_of_forward_mode()
    apart, share = abs(forward - truth), forward / truth if truth else np.nan
    size, unit = apart / (abs(truth) or 1.0), float(np.finfo(case.dtype).eps)
    return Error(size, bool(apart <= UNITS * allowed), tells=True, factors=np.array([share]), unit=unit)
