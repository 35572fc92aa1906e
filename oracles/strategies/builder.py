"""Draws a program step by step: functions anyone may use, and one that must be there."""

from __future__ import annotations

import numpy as np
from hypothesis import reject

from minigrad.programs import Ref
from oracles.catalogue import CATALOGUE, drawn_within
from oracles.strategies.choices import CHOICES, PAIRS
from oracles.strategies.draft import INPUT_NAMES
from oracles.strategies.operands import Operands
from oracles.strategies.palette import Shape

TRIES = 40
"""How often operands are drawn for a function that a case must contain."""


ELEMENTWISE = ("unary", "binary", "special")
"""Kinds of functions that take arrays without entries."""


class Builder(Operands):
    """Adds steps to a program, each with operands that fit."""

    def add_step(self, name: str) -> None:
        """Draw operands and parameters for one function; add nothing where none fit."""
        x = self.first_operand(drawn_within(name).contains)
        if x is not None:
            self.add_call(name, x)

    def add_call(self, name: str, x: Ref) -> Ref | None:
        """The same, given the first operand; returns what the call results in."""
        made = getattr(self, f"draw_{CATALOGUE[name].kind}")(name, x)
        return None if made is None else made if isinstance(made, Ref) else self.append(name, *made)

    def add_certainly(self, name: str) -> None:
        """Add one function, with operands of its own where what is there does not fit."""
        domain, self.certain = drawn_within(name), True
        for attempt in range(TRIES):
            before = len(self.steps), dict(self.kinds), self.values[:]
            last = self.fit(domain.contains)[:1] if attempt == 0 else []
            x = last[0] if last else self.new_input(lambda value: self.fits(name, np.shape(value)), domain)
            if x is None:  # the inputs are used up: begin anew
                self.steps, self.kinds, self.values, self.hidden = [], {}, [None] * len(INPUT_NAMES), set()
                continue
            ans = self.add_call(name, x) if self.fits(name, self.shape_of(x)) else None
            if ans is not None and name in [step.function for step in self.steps] and self.is_float(ans.index):
                self.sure, self.certain = {ans.index}, False
                return
            del self.steps[before[0] :]
            _, self.kinds, self.values = before
            self.hidden = {index for index in self.hidden if index < len(self.values)}
        reject()

    def fits(self, name: str, shape: Shape) -> bool:
        """Whether there are parameters, and other operands, for an array of this shape."""
        kind = CATALOGUE[name].kind
        if 0 in shape:
            return kind in ELEMENTWISE
        if name in PAIRS:
            return any(PAIRS[name](shape, other) for other in self.palette.certain)
        if name in CHOICES and not CHOICES[name](shape):
            return False
        if kind in ("regular", "definite", "symmetric"):
            return len(shape) > 1 and shape[-1] == shape[-2] > 1
        return len(shape) >= {"distinct": 2, "scan": 1, "update": 1, "sums": 1}.get(kind, 0)
