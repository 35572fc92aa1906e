"""What is known of a case whoever answers: at its very point, and at others that are asked about.

Facts are found when they are asked for, and once, however many parties are held against them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from minigrad.errors import MinigradError
from minigrad.programs import Program, Step
from minigrad.protocol import leaves, map_operand
from oracles.adapters.minigrad import MinigradAdapter
from oracles.cases import Case, FloatArray, all_values
from oracles.events import find_events, met
from oracles.exact import Referee, Status, Truth
from oracles.noise import (
    Crossing,
    Noisy,
    Passes,
    Summing,
    Unavoidable,
    beyond,
    floor_of,
    is_narrower,
    noise,
    rounds_simply,
)
from oracles.shrink import all_cotangents
from oracles.spectra import with_signs_of, with_values_alone
from oracles.verdict import Facts

QUICK_REPLAYS, SURE_REPLAYS = 6, 64
"""Replays for the noise of every case, and of those where somebody lies outside it."""

EXCESSIVE, SLACK = 64.0, 8.0
"""Noise of so many roundings of the largest element is held against what ideal rules would lose, with some slack."""

SMALL_STEP = 2.0**-12
"""How far, relatively, points lie that are asked about to tell one point's trouble from its surroundings'."""

MANY_NEARBY = 24
"""How many points to ask about before what is off is said to be so at one point alone."""

OFF_STEPS = (2.0**-10, 2.0**-6)
"""How far to go from a kink or an edge until there is none."""

WITHIN_AND_BEYOND_1 = (0.6, 1.6)
"""What is not finite becomes, off it: some functions are defined below 1, and some above."""

OFF_SIDES = 12
"""In how many directions, after upwards and downwards: some domains end above, and others below."""

ARITHMETIC = ("add", "subtract", "multiply", "divide")
"""Functions of which a whole number is one among others."""

ORDINARY = ((0.3, 0.9), (1.3, 1.9))
"""Magnitudes at which few functions have any trouble."""


class Point:
    """A case, its facts for orders up to `order`, and the points that questions about it lead to."""

    def __init__(self, case: Case, order: int):
        self.case, self.order = case, order
        read = with_values_alone(case)
        # Where values are not finite, eigvalsh may raise although eigh does not.
        self.read = read if read is case or can_run(read) else case
        """The case as the referee takes it."""
        self.events = find_events(self.read)
        self.referee = Referee(self.read, order, **met(self.events))
        self.known: dict[tuple[int, int], Facts] = {}
        self.spreads: dict[tuple[int, int, type[Noisy]], list[FloatArray]] = {}
        self.recorded: dict[int, Passes] = {}
        self.others: dict[Any, Point | None] = {}
        self.signed: dict[str, Point] = {}

    # What is known here.

    def facts(self, order: int, effort: int = 0) -> Facts:
        """The facts of one order; the same object again where more `effort` can find nothing else."""
        effort = min(effort, max(1, self.referee.most_effort(order)))
        if (order, effort) not in self.known:
            self.known[order, effort] = self.gathered(order, effort)
        return self.known[order, effort]

    def gathered(self, order: int, effort: int) -> Facts:
        case, replays = self.case, SURE_REPLAYS if effort else QUICK_REPLAYS
        names = [f"{'d' if order == 1 else 'H'}/d{i.name}" for i in case.program.inputs]
        if order == 1:
            names = ["value", *names]
        spread = self.spread(order, replays)
        truths = self.referee.truths(order, spread, effort)
        excessive = any(np.any(n > EXCESSIVE * floor_of(t.value)) for n, t in zip(spread, truths, strict=True))
        # What is within rounding of a kink may be beyond it, though every float there may be on the same side.
        excessive = excessive or (effort > 0 and any(event.is_break for event in self.events))
        simply = self.rounds_simply
        untold = self.untold(order, spread, truths)
        if excessive and (simply or effort or any(map(np.any, untold))):
            ideal = self.referee.rounding(order, truths, replays)
            if simply:
                # The engine's own rules may be what is noisy here, which excuses nobody.
                rest = [self.spread(order, replays, kind) for kind in (Summing, Unavoidable)]
                spread = [np.minimum(n, SLACK * i + s + u) for n, i, s, u in zip(spread, ideal, *rest, strict=True)]
            # Between two floats there may be a turn of a sine, so that the engine's replays see the same few phases.
            told = self.referee.rounding(order, truths, replays, unclear=0.0)
            spread = [
                np.where(t.status == Status.CERTAIN, np.maximum(n, i), n)
                for n, i, t in zip(spread, told, truths, strict=True)
            ]
            spread = [
                np.where(u, np.maximum(SLACK * i, floor_of(t.low)), n)
                for n, i, t, u in zip(spread, ideal, truths, untold, strict=True)
            ]
            truths = self.referee.truths(order, spread, effort)
        forward = self.referee.forward if order == 1 else None
        together = rounded = None
        if any(np.any(t.status == Status.KINK) for t in truths):
            # Other choices, which rounding makes where what is computed ties, are none of its noise.
            outside = self.beyond(order, replays, truths)
            # This project's own choice may be one that rounds less than others.
            each = self.choices(order, truths) if effort else [np.zeros(t.value.shape) for t in truths]
            spread = [
                np.where(t.status == Status.KINK, np.maximum(np.minimum(n, np.maximum(o, SLACK * e)), e), n)
                for n, o, e, t in zip(spread, outside, each, truths, strict=True)
            ]
            together = self.referee.together(order, spread, effort)
            rounded = self.rounded(order, replays, truths) if together is not None else None
        return Facts(names, np.dtype(case.dtype), spread, truths, forward, self.referee.reason, together, rounded)

    @property
    def rounds_simply(self) -> bool:
        """Whether ideal rules tell all that rounds, as they do not of decompositions and casts to a narrower dtype."""
        return all(rounds_simply(step.function) and not narrows(step, self.case) for step in self.case.program.steps)

    def untold(self, order: int, spread: Sequence[FloatArray], truths: Sequence[Truth]) -> list[Any]:
        """Of which numbers the engine's own replays say nothing: behind an edge, or where it comes to none itself."""
        untold = [t.behind & np.isinf(n) for t, n in zip(truths, spread, strict=True)]
        certain = [(t.status == Status.CERTAIN) & np.isinf(n) for t, n in zip(truths, spread, strict=True)]
        if not any(map(np.any, certain)):
            return untold
        each = zip(untold, certain, self.finite_at_times(order), strict=True)
        return [behind | (known & ~at_times) for behind, known, at_times in each]

    def spread(self, order: int, replays: int, kind: type[Noisy] = Noisy) -> list[FloatArray]:
        """How far rounding, or some of it, moves this project's own derivative."""
        key = order, replays, kind
        if key not in self.spreads:
            self.spreads[key] = self.measured(*key)
        return self.spreads[key]

    def measured(self, order: int, replays: int, kind: type[Noisy]) -> list[FloatArray]:
        case = self.case
        try:
            return noise(self.passes(order), replays, seed_of(case), kind)
        except Exception:  # whatever the engine lacks or gets wrong here, others may still be judged
            shapes = [case.cotangent.shape] * (order == 1) + [x.shape for x in case.inputs]
            truths = self.referee.truths(order, [np.zeros(shape) for shape in shapes])
            return [floor_of(t.value) + np.zeros(t.value.shape) for t in truths]

    def beyond(self, order: int, replays: int, truths: Sequence[Truth]) -> list[FloatArray]:
        """How far rounding moves this project's own derivative out of what lies nearby."""
        bounds = [(t.low, t.high) for t in truths]
        try:
            return beyond(self.passes(order), replays, seed_of(self.case), bounds)
        except Exception:  # see `measured`
            return [np.full(t.value.shape, np.inf) for t in truths]

    def choices(self, order: int, truths: Sequence[Truth]) -> list[FloatArray]:
        """How far rounding moves each choice at a kink, with ideal rules.

        What it moves farther than the choices lie apart it chooses itself, as the direction of what cancels to zero:
        that is none of its noise, and 0 here.
        """
        found = self.referee.rounding_of_choices(order, [t.value.shape for t in truths])
        return [np.where(e <= t.highest - t.lowest, e, 0.0) for e, t in zip(found, truths, strict=True)]

    def rounded(self, order: int, replays: int, truths: Sequence[Truth]) -> FloatArray:
        """What rounding makes of all elements with ideal rules, a row each time."""
        found = self.referee.rounded(order, truths, replays)
        return np.array([np.concatenate([x.ravel() for x in arrays]) for arrays in found])

    def finite_at_times(self, order: int) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
        """Where rounding decides whether this project's own derivative is finite."""
        passes, seed = self.passes(order), seed_of(self.case)
        found = [passes.plain, *(passes.replay(Noisy, seed, number) for number in range(SURE_REPLAYS))]
        each = [np.isfinite(np.asarray(arrays, np.float64)) for arrays in zip(*found, strict=True)]
        return [np.any(finite, axis=0) & ~np.all(finite, axis=0) for finite in each]

    def beside_a_pole(self, order: int) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
        """Which elements depend on a division by what rounding may take through 0."""
        passes, seed = self.passes(order), seed_of(self.case)
        found = [passes.replay(Crossing, seed, number) for number in range(SURE_REPLAYS)]
        each = zip(passes.plain, *found, strict=True)
        return [np.isfinite(plain) & ~np.all(np.isfinite(np.asarray(arrays)), axis=0) for plain, *arrays in each]

    def passes(self, order: int) -> Passes:
        """This project's own derivative, of which only the noise is taken: how far rounding moves it."""
        if order not in self.recorded:
            self.recorded[order] = Passes(self.read, lambda case: reference(case, order))
        return self.recorded[order]

    def noise_of_forward_mode(self) -> float:
        """How far rounding moves the cotangent's product with this project's own derivative along the vectors."""

        def compute(case: Case) -> Sequence[Any]:
            return [np.sum(case.cotangent * MinigradAdapter().jvp(case.program, case.inputs, case.vectors))]

        try:
            [spread] = noise(Passes(self.case, compute), SURE_REPLAYS, seed_of(self.case))
        except Exception:  # whatever the engine lacks here: then nobody is accused
            return np.inf
        return float(spread)

    def as_signed(self, party: str) -> Point:
        """The point with the signs that a party's vectors have, where those of decompositions are others than NumPy's.

        What the party answers to this case is what it has to say there.
        """
        if party not in self.signed:
            case = with_signs_of(party, self.case)
            self.signed[party] = self if case is None else Point(case, self.order)
        return self.signed[party]

    # Other points.

    def other(self, case: Case) -> Point | None:
        """The point of a case of the same program, or None if it has no value there."""
        key = case.dtype, *(x.tobytes() for x in case.inputs)
        if key not in self.others:
            self.others[key] = Point(case, self.order) if can_run(case) else None
        return self.others[key]

    def in_dtype(self, dtype: str) -> Point | None:
        """The same point, as far as the dtype can hold it."""
        return self.other(cast(self.case, dtype))

    def flushed(self) -> Point | None:
        """The point with zeros for the numbers below the normal range."""
        tiny = np.finfo(self.case.dtype).tiny
        return self.other(
            replace(self.case, inputs=tuple(np.where(np.abs(x) < tiny, 0 * x, x) for x in self.case.inputs))
        )

    def nearby(self, again: bool = False) -> Iterator[Point | None]:
        """Two points a small step away: zeros no longer zero, large numbers smaller, others larger.

        If asked `again`, many further ones: what rounding does shows at some of them.
        """
        random, inputs = np.random.default_rng(seed_of(self.case) + again), self.case.inputs
        smallest = min([1.0, *(abs(float(x)) for array in inputs for x in array.ravel() if x != 0)])
        for _ in range(MANY_NEARBY if again else 2):
            steps = [SMALL_STEP * random.uniform(0.5, 1, x.shape) * np.where(np.abs(x) > 1, -1, 1) for x in inputs]
            moved = [np.where(x == 0, s * smallest, x * (1 + s)) for x, s in zip(inputs, steps, strict=True)]
            yield self.other(replace(self.case, inputs=tuple(x.astype(self.case.dtype) for x in moved)))

    def ordinary(self, again: bool = False) -> Iterator[Point | None]:
        """Points of the same signs that are neither large nor small; of square matrices, one far from singular too.

        If asked `again`, further ones: in which others of two operands are the larger.
        """
        random, inputs = np.random.default_rng(seed_of(self.case) + again), self.case.inputs
        ranges = [(each, 0) for each in ORDINARY]
        for (low, high), diagonal in ranges * 3 if again else (*ranges, (ORDINARY[0], 1)):
            sizes = [random.uniform(low, high, x.shape) + diagonal * along_diagonal(x.shape) for x in inputs]
            moved = [size * np.where(x < 0, -1, 1) for size, x in zip(sizes, inputs, strict=True)]
            if not diagonal or any(np.any(along_diagonal(x.shape)) for x in inputs):
                yield self.other(replace(self.case, inputs=tuple(x.astype(self.case.dtype) for x in moved)))

    def tamed(self) -> Point | None:
        """The case with ordinary constants: those beyond 1, or tiny, are divided by the power of 2 above the largest.

        It may add 16 to whatever it is given, so that no point of its own is ordinary.  None if it adds no such thing.
        """
        tiny = np.finfo(self.case.dtype).eps
        scales: list[int] = []

        def tame(leaf: Any, counts: bool) -> Any:
            """The constant, if it is one of floats, or a whole number in arithmetic: others may be places."""
            is_number = type(leaf) is float or (type(leaf) is int and not counts)
            is_float = is_number or (isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f")
            largest = np.max(np.abs(leaf), initial=0.0) if is_float else 0.0
            if not (1 < largest < np.inf or 0 < largest < tiny):
                return leaf
            scales.append(int(np.frexp(largest)[1]))
            scaled = np.ldexp(float(leaf) if is_number else leaf, -scales[-1])
            return float(scaled) if is_number else scaled

        steps = [s.mapped(partial(tame, counts=s.function not in ARITHMETIC)) for s in self.case.program.steps]
        tamed = replace(self.case, program=replace(self.case.program, steps=tuple(steps)))
        return Point(tamed, self.order) if scales and can_run(tamed) else None

    def off_the_event(self) -> Point | None:
        """A nearby point, no farther out of any domain, with no kinks and edges, or fewer where some are everywhere.

        What is not finite is an ordinary number there.  If there is none nearby, as far out of a domain, a point of
        ordinary positive numbers; None if that is no better.
        """
        random = np.random.default_rng(len(self.case.program.steps))
        fewest, found = self.troubles or 1, None
        for side, size in itertools.product(range(2 + OFF_SIDES), OFF_STEPS):
            parts = [random.uniform(0.5, 1, x.shape) for x in self.case.inputs]
            signs = [(1, -1)[side] if side < 2 else random.choice([-1, 1], x.shape) for x in self.case.inputs]
            ordinary = WITHIN_AND_BEYOND_1[side % 2]
            finite = [np.where(np.isfinite(x), x, np.copysign(x.dtype.type(ordinary), x)) for x in self.case.inputs]
            steps = [s * size * (1 + np.abs(x)) * p for x, p, s in zip(finite, parts, signs, strict=True)]
            moved = tuple((x + s).astype(x.dtype) for x, s in zip(finite, steps, strict=True))
            point = self.other(replace(self.case, inputs=moved))
            if point is not None and point.losses <= self.losses and point.troubles < fewest:
                # Where what is sent back leaves the range, nothing is said of choices or edges.
                troubles = point.troubles or int(point.sends_back_too_much or point.reaches_the_end_of_the_range)
                if troubles < fewest:
                    fewest, found = troubles, point
            if not fewest:
                break
        # Of what lies far out of a domain only an ordinary point is in it.
        within = self.in_the_open() if found is None else None
        return within if within is not None and within.troubles < fewest else found

    def in_the_open(self) -> Point | None:
        """A point of positive numbers that are neither large nor small."""
        random, (low, high) = np.random.default_rng(seed_of(self.case)), ORDINARY[0]
        moved = [np.asarray(random.uniform(low, high, x.shape), x.dtype) for x in self.case.inputs]
        return self.other(replace(self.case, inputs=tuple(moved)))

    @property
    def sends_back_too_much(self) -> bool:
        """Whether a gradient on the way back is too large for float32, which float64 tells."""
        wide = self.in_dtype("float64") if self.case.dtype == "float32" else None
        if wide is None:
            return False
        sent = all_cotangents(wide.case, all_values(wide.case)).values()
        return any(np.any(np.abs(each) > np.finfo(np.float32).max) for pair in sent for each in pair)

    @property
    def reaches_the_end_of_the_range(self) -> bool:
        """Whether a value or a gradient does, so that what it is made of may not be finite."""
        return any(self.facts(order).reach_the_end_of_the_range for order in range(1, self.order + 1))

    @property
    def troubles(self) -> int:
        """At how many elements on the way there is a kink, an edge or no finite number."""
        return sum(int(event.mask.sum()) for event in self.events if event.is_break) + self.losses

    @property
    def losses(self) -> int:
        """At how many there is no finite number."""
        return sum(int(event.mask.sum()) for event in self.events if event.is_loss)


def reference(case: Case, order: int) -> Sequence[Any]:
    """This project's own derivative."""
    engine = MinigradAdapter()
    if order == 1:
        value, gradients = engine.vjp(case.program, case.inputs, case.cotangent)
        return [value, *gradients]
    return engine.hvp(case.program, case.inputs, case.cotangent, case.vectors)


def narrows(step: Step, case: Case) -> bool:
    """Whether a step casts to a dtype that holds fewer digits than the case's."""
    return any(is_narrower(x, case.dtype) for x in leaves(step.operands) if isinstance(x, (np.dtype, type)))


def along_diagonal(shape: tuple[int, ...]) -> FloatArray:
    """Of square matrices, or a stack of them, their size along the diagonal; zeros elsewhere, and for other arrays."""
    is_square = len(shape) > 1 and shape[-1] == shape[-2]
    return np.zeros(shape) + (shape[-1] * np.eye(shape[-1]) if is_square else 0.0)


def seed_of(case: Case) -> int:
    """The same for the same case, wherever it is examined."""
    return int.from_bytes(hashlib.sha256(repr(case.program).encode() + case.cotangent.tobytes()).digest()[:8])


def can_run(case: Case) -> bool:
    """Whether there is a value: what is positive definite need not be so a little off, nor in another dtype."""
    try:
        case.program(*case.inputs)
    except MinigradError:
        return False
    return True


def cast(case: Case, dtype: str) -> Case:
    """The case at the same point in another dtype: with the program's arrays, and what it casts, of its own dtype."""

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, (np.dtype, type)):
            return np.dtype(dtype) if np.dtype(leaf) == case.dtype else leaf
        return leaf.astype(dtype) if isinstance(leaf, np.ndarray) and leaf.dtype == case.dtype else leaf

    steps = tuple(
        replace(s.mapped(moved), parameters={key: map_operand(moved, x) for key, x in s.parameters.items()})
        for s in case.program.steps
    )
    program = Program(tuple(replace(i, dtype=dtype) for i in case.program.inputs), steps, case.program.output)
    inputs, vectors = (tuple(x.astype(dtype) for x in arrays) for arrays in (case.inputs, case.vectors))
    return replace(case, program=program, inputs=inputs, cotangent=case.cotangent.astype(dtype), vectors=vectors)
