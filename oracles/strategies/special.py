"""Special cases: short programs at the points where functions bend, end, overflow, underflow and saturate.

The program is drawn first, at ordinary points.  Then special numbers take the place of some of them,
as many as leave every value finite with room to spare: a point at which NumPy itself overflows says
nothing of gradients, nor does one so close to it that a cotangent does.  Infinities and NaN are a kind of
their own, to which this does not apply.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.errors import ProgramError
from minigrad.programs import Program, Ref, Step
from minigrad.protocol import NAMES, leaves
from oracles.cases import Case
from oracles.catalogue import BOUNDED, CATALOGUE, CONDITIONED, REALS, Interval, drawn_within
from oracles.points import exponents, neighbours, share_of, special
from oracles.strategies.builder import Builder
from oracles.strategies.draft import CHAINS, Allowed, Draw
from oracles.strategies.entries import arrays, numbers_in, weights
from oracles.strategies.operands import dominant
from oracles.strategies.palette import Palette, Shape

AFTER = ("multiply", "add", "sum", "square", "subtract", "mean")
"""What may go after the function: smooth, so that whatever is found is found of that function."""

FACTORS = (-1.0, 2.0, 0.5)
"""What an input may be multiplied by before it gets to the function: undone without rounding."""

SPECTRAL = (2, -2, "nuc")
"""The norms of matrices that are made of singular values."""

MAGNITUDES = ("extreme", "subnormals", "representations")
"""Kinds for functions alone: in a chain, what overflows or underflows is mostly its links, for any engine.

For the same reason the neighbours of 0 are left out there.
"""

HEADROOM = 2.0**-10
"""Of the largest number, the part that finite values stay within: a cotangent, or a sum of a few, fits in above."""

NONFINITE_EVERY = 8
"""One special case in so many has infinities or NaN."""


class Conditioned(Builder):
    """Of the inputs, matrices that are to be decomposed or inverted are in good condition as they are."""

    def new_input(self, allowed: Allowed = lambda value: True, within: Interval = REALS) -> Ref | None:
        ref = super().new_input(allowed, within)
        if ref is not None and within is BOUNDED:
            self.values[ref.index] = dominant(self.values[ref.index])
        return ref


@st.composite
def special_cases(draw: Draw, dtype: str = "float64", palette: Palette | None = None, *, must: str) -> Case:
    """A case of one function, with at most a factor before and two smooth steps after it, at a special point."""
    builder = short_program(Conditioned(draw, dtype, (palette or Palette.of(0)).narrow), must)
    program, used = builder.program().without_dead_steps()
    point = SpecialPoint(draw, must, program, [builder.values[i] for i in used], [builder.kinds[i] for i in used])
    point.leave_ordinary()
    cotangent = draw(weights(dtype, np.shape(builder.values[builder.output.index])))
    vectors = tuple(draw(weights(dtype, declared.shape)) for declared in program.inputs)
    origin = {"kinds": point.kinds, "must": must, "sort": "special"}
    return Case("drawn", program, tuple(point.inputs), cotangent, vectors, origin)


def short_program(builder: Builder, must: str) -> Builder:
    draw = builder.draw
    if CATALOGUE[must].kind not in CONDITIONED and draw(st.integers(0, 5)) == 5:
        x = builder.new_input(lambda value: builder.fits(must, np.shape(value)), drawn_within(must))
        if x is not None:
            builder.append("multiply", (x, draw(st.sampled_from(FACTORS))), {})
    builder.add_certainly(must)
    for _ in range(draw(st.integers(0, 2))):
        if builder.is_float(-1) and not builder.is_odd(-1):
            builder.add_step(draw(st.sampled_from(AFTER)))
    return builder


@dataclass(frozen=True)
class Role:
    """Which operand of the function an input ends up in, and what it is multiplied by on the way."""

    place: int
    factor: float = 1.0


def call_of(program: Program, must: str) -> Step:
    return next(step for step in program.steps if step.function == must)


def roles(program: Program, must: str) -> dict[int, Role]:
    """What each input is to the first call of a function, as far as it gets there."""
    count, found = len(program.inputs), dict[int, Role]()

    def follow(operand: Any, role: Role) -> None:
        for leaf in leaves(operand):
            if isinstance(leaf, Ref) and leaf.index < count:
                found.setdefault(leaf.index, role)
            elif isinstance(leaf, Ref):
                step = program.steps[leaf.index - count]
                for each in step.operands:
                    follow(each, replace(role, factor=role.factor * factor_of(step)))

    for place, operand in enumerate(call_of(program, must).operands):
        follow(operand, Role(place))
    return found


def factor_of(step: Step) -> float:
    constant = step.operands[-1]
    return constant if step.function == "multiply" and isinstance(constant, float) else 1.0


class SpecialPoint:
    """The inputs of a program, which are ordinary to begin with."""

    def __init__(self, draw: Draw, must: str, program: Program, inputs: list[Any], kinds: list[str]):
        self.draw = draw
        self.row = CATALOGUE[must]
        self.program = program
        self.inputs = inputs
        self.kinds = kinds
        self.dtype = program.inputs[0].dtype
        self.roles = roles(program, must)
        decomposes = self.row.kind in CONDITIONED or call_of(program, must).parameters.get("ord") in SPECTRAL
        self.is_elementary = not decomposes
        others = any(step.function not in (must, "getitem") for step in program.steps)
        self.is_alone = self.is_elementary and not others and must not in CHAINS
        # LAPACK may refuse to decompose what is not finite, and prints what it thinks of it.
        self.finite = decomposes or draw(st.integers(1, NONFINITE_EVERY)) < NONFINITE_EVERY
        self.numbers: dict[str, list[float]] = {}
        """Those drawn last of each kind: where another operand has them too, the two tie."""

    def leave_ordinary(self) -> None:
        """Put special numbers into one or more of the inputs that the function gets."""
        first, *others = self.roles
        kind = self.draw_kind(first)
        made = self.make_special(first, kind)
        for i in others:
            # Kinks of two operands are mostly ties, for which it takes both.
            if kind == "kinks" or not made or self.draw(st.booleans()):
                same = kind in self.kinds_of(i) and (kind == "kinks" or self.draw(st.booleans()))
                made |= self.make_special(i, kind if same else self.draw_kind(i))
        if not made:
            reject()

    def kinds_of(self, i: int) -> list[str]:
        numbers = special(self.row, self.roles[i].place, self.dtype)
        barred: Sequence[str] = () if self.is_alone else MAGNITUDES
        return [kind for kind in numbers if (kind != "nonfinite") == self.finite and kind not in barred]

    def draw_kind(self, i: int) -> str:
        return self.draw(st.sampled_from(self.kinds_of(i)))  # type: ignore[no-any-return]

    def make_special(self, i: int, kind: str) -> bool:
        """Whether any number of the kind could be put into an input."""
        if not self.is_elementary and self.roles[i].place == 0:
            kind, made = "extreme", self.scale(i)
        else:
            made = self.fill(i, self.draw_array(kind, self.roles[i], self.inputs[i].shape))
        if made:
            self.kinds[i] = kind
        return made

    def scale(self, i: int) -> bool:
        """Multiply a matrix by a power of 2: the one drawn, or else a less extreme one."""
        exponent: int = self.draw(st.sampled_from(exponents(self.dtype)))
        with np.errstate(over="ignore"):
            while exponent and not self.put(i, np.ldexp(self.inputs[i], exponent)):
                exponent = int(exponent / 2)
        return exponent != 0

    def draw_array(self, kind: str, role: Role, shape: Shape) -> Any:
        if kind == "representations":
            entries = representations(self.row.domain_of(role.place), self.dtype)
        else:
            entries = st.sampled_from(self.draw_numbers(kind, role.place))
        drawn = self.draw(arrays(self.dtype, shape, entries))
        with np.errstate(over="ignore"):
            return np.where(np.isnan(drawn), drawn, drawn / role.factor)

    def draw_numbers(self, kind: str, place: int) -> list[float]:
        """A few numbers, so that entries tie: special ones, or for the sake of ties any number and its neighbours."""
        domain = self.row.domain_of(place)
        found = [x for x in self.numbers.get(kind, ()) if domain.contains(x)]
        if not (found and self.draw(st.integers(0, 3)) < 3):
            if kind == "kinks" and self.draw(st.integers(0, 3)) == 3:
                near = neighbours({"drawn": self.draw(numbers_in(domain))}, self.dtype)
                found = [x for x in near.values() if domain.contains(x)]
            else:
                tiny = np.finfo(self.dtype).tiny
                numbers = [
                    x for x in special(self.row, place, self.dtype)[kind] if self.is_alone or not 0 < abs(x) < tiny
                ]
                found = self.draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=3))
        self.numbers[kind] = found
        return found

    def fill(self, i: int, drawn: Any) -> bool:
        """Put in all entries of an array or some: one by one those that may be, if they may not be all together."""
        chosen = np.ones(drawn.shape, bool)
        if self.draw(st.booleans()):
            chosen = self.draw(hnp.arrays(np.bool_, drawn.shape, fill=st.nothing()))
            chosen[(0,) * chosen.ndim] = True
        if self.put(i, np.where(chosen, drawn, self.inputs[i])):
            return True
        made = False
        for entry in np.ndindex(chosen.shape):
            if chosen[entry]:
                value = self.inputs[i].copy()
                value[entry] = drawn[entry]
                made |= self.put(i, value)
        return made

    def put(self, i: int, value: Any) -> bool:
        """Make this the value of an input, if the program is valid there."""
        inputs = [*self.inputs[:i], value, *self.inputs[i + 1 :]]
        valid = runs(self.program, inputs, self.finite)
        if valid:
            self.inputs = inputs
        return valid


def representations(domain: Interval, dtype: str) -> st.SearchStrategy[float]:
    """Any bit pattern of a number of the domain, each as likely as the others."""
    # Of large integers Hypothesis prefers the small ones; of bytes it has no favourites.
    return st.binary(min_size=8, max_size=8).map(lambda bits: share_of(domain, dtype, int.from_bytes(bits)))


def runs(program: Program, inputs: Sequence[Any], finite: bool) -> bool:
    """Whether NumPy has a value for each step: if `finite`, a finite one, of operands within their domains."""
    if finite and not all(map(has_headroom, inputs)):
        return False
    valid = True

    def watch(number: int, step: Step, operands: Sequence[Any], ans: Any) -> Any:
        nonlocal valid
        valid = valid and (not finite or is_finite(step, operands, ans))
        return ans

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")  # such as for the mean of NaNs alone
            program.run(inputs, NAMES.__getitem__, watch)
    except (ProgramError, RuntimeWarning):
        return False
    return valid


def is_finite(step: Step, operands: Sequence[Any], ans: Any) -> bool:
    """Whether a step stays within domains and range, but for a NaN that it puts in itself."""
    if any(isinstance(operand, float) and np.isnan(operand) for operand in step.operands):
        return True
    inside = all(
        CATALOGUE[step.function].domain_of(place).contains(operand)
        for place, operand in enumerate(operands)
        if isinstance(operand, (np.ndarray, np.generic, int, float))
    )
    return inside and all(map(has_headroom, leaves(ans)))


def has_headroom(array: Any) -> bool:
    if np.result_type(array).kind != "f":
        return True
    return bool(np.all(np.abs(array) <= HEADROOM * np.finfo(np.result_type(array)).max))
