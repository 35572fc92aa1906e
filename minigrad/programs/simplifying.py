"""What was recorded of both passes, with fewer steps: dead code, common subexpressions and constants are gone."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.programs.passes import Passes, fingerprint, is_number, place_of_equal
from minigrad.programs.program import Program, Ref, Step
from minigrad.protocol import NAMES, leaves, map_operand

SPEC = operator.attrgetter("shape", "dtype")


class Simplified:
    """What is left: `steps` by the numbers of their values, and of these the `live` ones, which the results need."""

    def __init__(self, passes: Passes):
        tape, self.forward, sends, result, gradients = passes
        self.tape = tape
        self.inputs = len(tape.inputs)
        joins = {send.total.index for send in sends if send.joins and isinstance(send.total, Ref)}
        self.same: dict[int, Any] = {i: Ref(i) for i in range(self.inputs)}
        """What each recorded value is replaced by: itself, an earlier one, or a constant."""
        self.steps: dict[int, Step] = {}
        seen: dict[Any, Ref] = {}
        self.narrow: dict[int, Any] = {}
        """For values that repeat others, these: they do as well where a ufunc would broadcast them."""
        for i, step in enumerate(tape.steps, self.inputs):
            step = replace(step, operands=self.now(step.operands))
            self.steps[i] = step = self.negated(step if i in joins else self.narrowed(step, i), i)
            constant = not any(isinstance(leaf, Ref) for leaf in leaves(step.operands))
            replaced = self.simplified(step, i) if constant or i not in joins else None
            key = i if i in joins else fingerprint(step.function, step.operands, step.parameters)
            self.same[i] = seen.setdefault(key, Ref(i)) if replaced is None else replaced
        self.result, self.gradients = self.now(result), self.now(gradients)
        self.joins = joins
        self.live = self.reached([self.result, *self.gradients])
        """The steps that the results depend on."""
        sent = [self.now(send.gradient) for send in sends]
        lines = [self.steps[g.index].operands for g in sent if isinstance(g, Ref) and g.index in self.steps]
        self.entire = self.live | self.reached(lines)
        """Those of which some line of the source takes all entries, though it may lead nowhere."""
        self.sends = [
            replace(s, upstream=self.now(s.upstream), gradient=self.shown(s.gradient), total=self.shown(s.total))
            for s in sends
        ]
        self.uses: Counter[int] = Counter()
        """How often the source refers to each value; to a sum at a fork it refers by its variable."""
        self.count([self.result, *self.gradients, *(send.gradient for send in self.sends)])
        for i in reversed(self.steps):
            if self.uses[i]:
                self.count(self.steps[i].operands)

    def now(self, operand: Any) -> Any:
        return map_operand(lambda leaf: self.same[leaf.index] if isinstance(leaf, Ref) else leaf, operand)

    def shown(self, gradient: Any) -> Any:
        """A gradient as the source has it: not repeated where every use of it would broadcast."""
        gradient = self.now(gradient)
        repeats = isinstance(gradient, Ref) and gradient.index not in self.entire
        return self.narrow.get(gradient.index, gradient) if repeats else gradient

    def count(self, operands: Any) -> None:
        self.uses.update(
            leaf.index for leaf in leaves(operands) if isinstance(leaf, Ref) and leaf.index not in self.joins
        )

    def reached(self, operands: Any) -> set[int]:
        """The steps that these operands depend on."""
        found: set[int] = set()
        open_ends = [leaf.index for leaf in leaves(operands) if isinstance(leaf, Ref)]
        while open_ends:
            i = open_ends.pop()
            if i >= self.inputs and i not in found:
                found.add(i)
                open_ends += [leaf.index for leaf in leaves(self.steps[i].operands) if isinstance(leaf, Ref)]
        return found

    def narrowed(self, step: Step, i: int) -> Step:
        """The step with constants in place of arrays that repeat them, where that gives the same bits."""
        value = self.tape.values[i]
        x = step.operands[0] if step.operands else None
        x = self.narrow.get(x.index, x) if isinstance(x, Ref) else x
        if step.function == "broadcast_to" and self.like(x).dtype == value.dtype:
            self.narrow[i] = x
        if step.function in ("broadcast_to", "expand_dims", "reshape") and isinstance(x, np.generic):
            self.narrow[i] = x
            return Step("broadcast_to", (x,), {"shape": value.shape})
        if not isinstance(NAMES[step.function], np.ufunc) or step.function == "matmul":
            return step
        narrow = [self.narrow.get(x.index, x) if isinstance(x, Ref) else x for x in step.operands]
        if all(is_number(x) for x in narrow) and np.ndim(value):
            self.narrow[i] = np.asarray(NAMES[step.function](*narrow, **step.parameters), value.dtype)[()]
            return Step("broadcast_to", (self.narrow[i],), {"shape": value.shape})
        pairs = list(zip(step.operands, narrow, strict=True))
        if any(x is y and np.shape(self.like(x)) == value.shape for x, y in pairs):
            return replace(step, operands=tuple(narrow))
        return step

    def negated(self, step: Step, i: int) -> Step:
        """The step as a change of sign, where it multiplies by -1."""
        if step.function == "multiply":
            for factor, x in (step.operands, step.operands[::-1]):
                is_minus_one = is_number(factor) and factor == -1
                if is_minus_one and isinstance(x, Ref) and SPEC(self.like(x)) == SPEC(self.tape.values[i]):
                    return Step("negative", (x,), {})
        return step

    def like(self, operand: Any) -> Any:
        return self.tape.values[operand.index] if isinstance(operand, Ref) else operand

    def simplified(self, step: Step, i: int) -> Any:
        """A constant or an earlier value that this step is equal to, bit for bit; None if there is none."""
        value = self.tape.values[i]
        if not any(isinstance(leaf, Ref) for leaf in leaves(step.operands)):
            return None if i in self.narrow and np.ndim(value) else value
        place = place_of_equal(step.function, step.operands, value, self.like)
        return None if place is None else step.operands[place]

    def program(self) -> Program:
        """The steps that are left, with the result and the gradients for output."""
        order = [i for i in self.steps if i in self.live]
        renumbered = {old: Ref(new) for new, old in enumerate([*range(self.inputs), *order])}

        def renumber(leaf: Any) -> Any:
            return renumbered[leaf.index] if isinstance(leaf, Ref) else leaf

        steps = tuple(self.steps[i].mapped(renumber) for i in order)
        output = map_operand(renumber, (self.result, tuple(self.gradients)))
        return Program(self.tape.inputs, steps, output)
