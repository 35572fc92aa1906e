"""Who breaks a metamorphic law: answers held to those to the law's other cases, and to a party's forward mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from oracles.asking import ask, party
from oracles.cases import FloatArray
from oracles.errors import Unsupported
from oracles.exact import EFFORTS, Status
from oracles.facts import Point
from oracles.laws import HOLDS_AT_KINKS, TRANSPOSED, Variant, pairing, variant_of
from oracles.second_looks import looked_at
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
    case, adapter = point.case, party(verdict.party)
    if not hasattr(adapter, "jvp") or any(np.any(truth.status != Status.CERTAIN) for truth in facts.truths):
        return None
    try:
        along = adapter.jvp(case.program, [x.copy() for x in case.inputs], [v.copy() for v in case.vectors])
    except Unsupported:
        return None
    except Exception as error:  # an engine on trial may raise anything at all
        return replace(verdict, label=Label.ERRORED, why=f"{type(error).__name__}: {error}"[:500], broken=True)
    along = np.zeros_like(case.cotangent) if along is None else along
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
    return replace(verdict, label=Label.WRONG, why=f"{why}, where {UNITS:g} are allowed", broken=True)
