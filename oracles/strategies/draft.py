"""A program under construction, with the value of everything computed so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad.programs import Input, Program, Ref, Step
from minigrad.protocol import NAMES, leaves, map_operand
from oracles.catalogue import REALS, WITH_NAN, Interval
from oracles.strategies.entries import KINDS, arrays, elements, numbers_in
from oracles.strategies.palette import Palette, Shape

Draw = Any
Allowed = Callable[[Any], bool]

INPUT_NAMES = "xyz"

# Far enough inside the range of the dtype that the products of a gradient's chain stay inside it.
RANGE = {"float64": (1e-30, 1e30), "float32": (1e-5, 1e5)}

NEVER_ZERO = ("exp", "exp2", "minigrad.sigmoid", "scipy.special.expit", "minigrad.softplus", "scipy.special.erfc")
"""Functions that are zero only where they underflow."""

CHAINS = ("prod", "nanprod", "cumprod", "nancumprod", "cumulative_prod", "linalg.multi_dot", "einsum")
"""Functions that multiply several numbers: a zero among these hides how far the others' product goes."""


class Draft:
    """What has been drawn of a program, and what it is drawn with.

    There is a place for each of the `INPUT_NAMES` at the front of the values; inputs are made when a
    step wants one, of a shape that fits it.
    """

    def __init__(self, draw: Draw, dtype: str, palette: Palette):
        self.draw = draw
        self.dtype = dtype
        self.palette = palette
        self.kinds: dict[int, str] = {}
        self.steps: list[Step] = []
        self.values: list[Any] = [None] * len(INPUT_NAMES)
        self.sure: set[int] | None = None
        """Once the function that a case must contain is there, what depends on it."""
        self.hidden: set[int] = set()
        """Values of which a part is anyone's choice, such as the sign of an eigenvector: not to be used as they are."""
        self.certain = False
        """Whether a function is being added that the case must contain, which may result in any shape."""

    def new_input(self, allowed: Allowed = lambda value: True, within: Interval = REALS) -> Ref | None:
        """Draw an input in the next free place, if one is free and `allowed` what was drawn."""
        place = len(self.kinds)
        common = self.palette.common if self.certain and self.draw(st.integers(0, 7)) < 6 else ()
        wider = self.palette.certain if self.certain else self.palette.inputs
        shapes = [s for s in common if allowed(np.ones(s))] or [s for s in wider if allowed(np.ones(s))]
        if place == len(INPUT_NAMES) or not shapes:
            return None
        if within in (REALS, WITH_NAN):
            kind = self.draw(st.sampled_from(KINDS))
            entries = elements(kind, self.dtype)
        else:
            kind, entries = "domain", numbers_in(within)
        value = self.draw(arrays(self.dtype, self.draw(st.sampled_from(shapes)), entries))
        if not allowed(value):
            return None
        self.values[place], self.kinds[place] = value, kind
        return Ref(place)

    def is_float(self, index: int) -> bool:
        value = self.values[index]
        return isinstance(value, (np.ndarray, np.generic)) and value.dtype.name == self.dtype

    def is_odd(self, index: int) -> bool:
        """Whether a value's shape is none that further steps work on."""
        return np.shape(self.values[index]) not in self.palette.results

    def fit(self, allowed: Allowed) -> list[Ref]:
        """The values that a step may use, the most recent first."""
        return [
            Ref(i)
            for i in reversed(range(len(self.values)))
            if self.is_float(i) and i not in self.hidden and allowed(self.values[i])
        ]

    def first_operand(self, allowed: Allowed) -> Ref | None:
        """Mostly the latest value, so that chains grow deep and little is left unused."""
        fit = [ref for ref in self.fit(allowed) if self.sure is None or ref.index in self.sure]
        if fit and self.draw(st.integers(0, 7)) == 7:
            return self.draw(st.sampled_from(fit))  # type: ignore[no-any-return]
        return fit[0] if fit else None

    def other_operand(self, allowed: Allowed, within: Interval = REALS) -> Ref | None:
        """A new input as often as a value used before, at which the gradient forks."""
        if self.draw(st.booleans()) and (fresh := self.new_input(allowed, within)) is not None:
            return fresh
        fit = self.fit(allowed)
        return self.draw(st.sampled_from(fit)) if fit else self.new_input(allowed, within) if self.certain else None

    def shape_of(self, ref: Ref) -> Shape:
        return np.shape(self.values[ref.index])

    def append(self, name: str, operands: Sequence[Any], parameters: dict[str, Any], force: bool = False) -> Ref | None:
        """Run a step and keep it if it is valid and its result is tame."""

        def resolve(leaf: Any) -> Any:
            return self.values[leaf.index] if isinstance(leaf, Ref) else leaf

        values = [map_operand(resolve, operand) for operand in operands]
        with np.errstate(all="ignore"):
            result = NAMES[name](*values, **parameters)
            hidden = NAMES[name](*map_operand(without_zeros, values), **parameters) if name in CHAINS else result
        underflows = name in NEVER_ZERO and not np.all(result)
        if not force and (underflows or not self.is_tame(result) or not self.is_tame(hidden)):
            return None
        self.steps.append(Step(name, tuple(operands), parameters))
        self.values.append(result)
        ans = Ref(len(self.values) - 1)
        if self.sure is not None and any(isinstance(x, Ref) and x.index in self.sure for x in leaves(list(operands))):
            self.sure.add(ans.index)
        return ans

    def is_tame(self, result: Any) -> bool:
        if isinstance(result, (tuple, list)):
            return all(map(self.is_tame, result))
        result = np.asarray(result)
        if not self.certain and result.shape not in self.palette.results:
            return False
        if result.dtype.kind != "f":
            return True
        low, high = RANGE[self.dtype]
        size = np.abs(result)
        return bool(np.all(np.isfinite(result) & ((size == 0) | ((size > low) & (size < high)))))

    @property
    def output(self) -> Ref:
        """The last value that can be differentiated, and that depends on what the case must contain."""
        return next(ref for ref in self.fit(lambda _: True) if self.sure is None or ref.index in self.sure)

    def program(self) -> Program:
        """The program that ends in `output`; inputs that were never made are there, but unused."""
        shapes = [np.shape(value) for value in self.values[: len(INPUT_NAMES)]]
        inputs = tuple(Input(name, shape, self.dtype) for name, shape in zip(INPUT_NAMES, shapes, strict=True))
        return Program(inputs, tuple(self.steps), self.output)


def without_zeros(operand: Any) -> Any:
    is_array = isinstance(operand, (np.ndarray, np.generic))
    return np.where(operand == 0, 1, operand).astype(operand.dtype) if is_array else operand
