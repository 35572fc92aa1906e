"""Staged steps as the source that a reader of the course notes recognises."""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.programs.passes import RESERVED, SPELLED, Send, fingerprint
from minigrad.programs.program import Ref, Spelling, Step, literal, path_of
from minigrad.programs.simplifying import Simplified
from minigrad.protocol import NAMES, leaves, name_of

REDUCTIONS = ("sum", "mean", "prod", "max", "min")
"""Functions that an array has as methods with the same parameters."""


class Listing(Spelling):
    """Staged steps as Python source: a line per forward step, and one per gradient that it sends back."""

    def __init__(self, left: Simplified):
        self.left, self.tape = left, left.tape
        self.temporaries = 0
        self.bare = not any(np.result_type(x) in (np.float16, np.float32) for x in leaves(self.tape.values))
        """Whether a float64 constant may be written as a Python number, which takes on the dtype of what it meets."""
        self.constants: dict[str, Any] = {}
        self.imports: dict[str, dict[str, None]] = {}
        self.lines: list[tuple[str, int]] = []
        self.names: dict[int, str] = {i: declared.name for i, declared in enumerate(self.tape.inputs)}
        """The variable that holds a recorded value by now."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        """Of the gradients so far, which may repeat their numbers where all that takes them does."""
        self.functions: dict[str, str] = {}
        """What functions that are imported, or handed over, go by."""
        self.gradients: dict[int, str] = {}
        self.repacked = False
        """Whether a constant lies in memory in another order than where it was met, by which sums of it round."""
        self.owned: set[str] = set()
        """Variables whose array nothing else refers to, or that hold a number: these may be added to by ``+=``."""

    def source(self) -> str:
        left = self.left
        numbers: dict[int, int] = {}
        for i in left.steps:
            if i < left.forward and left.uses[i]:
                numbers[i] = len(numbers) + 1
                self.lines.append((f"v{numbers[i]} = {self.expression(left.steps[i])}", numbers[i]))
                self.names[i] = f"v{numbers[i]}"
        forward = len(self.lines)
        self.gradients = gradients = self.gradient_names()
        counts = Counter(send.ways[1] for send in left.sends)
        for send in left.sends:
            number = max((n for i, n in numbers.items() if i <= send.source.index), default=0)
            before = dict(self.names)
            made_of = leaves(left.steps[send.source.index].operands)
            used = {send.source, *(leaf for leaf in made_of if isinstance(leaf, Ref))}
            # A forward value that comes back as a gradient goes by that name, unless the rule uses it as well.
            origin, target = send.ways
            if isinstance(send.upstream, Ref) and origin in gradients and send.upstream not in used:
                self.names[send.upstream.index] = gradients[origin]
            self.send(send, gradients[target], counts[target] == 1, number)
            if isinstance(send.upstream, Ref) and (i := send.upstream.index) < left.forward:
                self.names.pop(i, None)  # of no forward line, as where no number of it is used, it had none
                self.names |= {i: before[i]} if i in before else {}
        of_inputs = {send.target.index: gradients[send.ways[1]] for send in left.sends}
        results = [
            self.returned(left.result, None),
            *(self.returned(g, of_inputs.get(i)) for i, g in enumerate(left.gradients)),
        ]
        width = max((len(text) for text, _ in self.lines), default=0)
        body = [f"    {text:<{min(width, 60)}}   #({number})" for text, number in self.lines]
        ending = ", ".join(results[1:]) + "," * (len(results) == 2)
        return "\n".join(
            [
                "import numpy as np",
                *(f"from {home} import {', '.join(names)}" for home, names in self.imports.items()),
                *(f"{name} = {self.constant_source(name)}" for name in self.constants),
                "",
                f"def staged({', '.join(declared.name for declared in self.tape.inputs)}):",
                "    # forward pass",
                *body[:forward],
                "    # backward pass",
                *body[forward:],
                f"    return {results[0]}, ({ending})",
            ]
        )

    def gradient_names(self) -> dict[int, str]:
        """A name for the gradient of each value, ``dx`` for that of ``x``."""
        names: dict[int, str] = {}
        targets = {send.ways[1]: send.target.index for send in self.left.sends}
        for way, i in sorted(targets.items(), key=lambda each: self.left.same[each[1]] != Ref(each[1])):
            value = self.left.same[i]
            name = "d" + (self.names.get(value.index, "") if isinstance(value, Ref) else "")
            taken = {*names.values(), *self.names.values(), *self.functions.values()}
            while name in taken or keyword.iskeyword(name):
                name += "_"
            names[way] = name
        return names

    def send(self, send: Send, name: str, only: bool, number: int) -> None:
        """One line: ``dx = ...``, or ``dx += ...`` at a fork."""
        part = send.gradient
        fresh = isinstance(part, Ref) and part.index not in self.names
        if fresh and not only and self.left.uses[part.index] > 1:
            self.value(part, number)
            fresh = False
        sign = "+"
        if fresh:
            step = self.left.steps[part.index]
            if send.joins and step.function == "negative":
                sign, text = "-", self.value(step.operands[0], number)
            else:
                text = self.expression(step, number)
        else:
            text = self.value(part)
        shape = np.shape(self.left.like(part))
        if not send.joins:
            self.lines.append((f"{name} = {text}", number))
            if self.is_number(part) or (fresh and self.makes_its_own(part.index)):
                self.owned.add(name)
        else:
            # In place only where no other variable would change along, and there is room.
            shape = np.broadcast_shapes(shape, self.shapes[name])
            room = self.shapes[name] == () or (self.shapes[name] == shape and self.lies_alike(send.total))
            in_place = name in self.owned and room
            line = f"{name} {sign}= {text}" if in_place else f"{name} = {name} {sign} ({text})"
            self.lines.append((ast.unparse(ast.parse(line)), number))
            self.owned.add(name)
        self.shapes[name] = shape
        if isinstance(send.total, Ref) and ((fresh and only) or send.joins):
            self.names[send.total.index] = name

    def lies_alike(self, total: Any) -> bool:
        """Whether a sum lies in memory as its first term does, and so would in place."""
        if not isinstance(total, Ref):
            return True
        terms = self.left.like(self.left.steps[total.index].operands[0]), self.left.like(total)
        first, both = (np.asarray(x).flags for x in terms)
        return (first.c_contiguous, first.f_contiguous) == (both.c_contiguous, both.f_contiguous)

    def is_number(self, value: Any) -> bool:
        """Whether it is sure to be a number, of which `+=` makes another; an array of no axes would be written to."""
        if np.ndim(self.left.like(value)):
            return False
        if not isinstance(value, Ref) or value.index < self.left.inputs:
            return True
        function = self.left.steps[value.index].function
        return function in REDUCTIONS or isinstance(NAMES[function], np.ufunc)

    def makes_its_own(self, i: int) -> bool:
        """Whether a step makes an array with axes that nothing else refers to: no view, and not what it was given."""
        array, step = self.left.tape.values[i], self.left.steps[i]
        given = map(self.left.like, leaves(step.operands))
        is_view = array.base is not None or step.function == "broadcast_to"
        # A function of one's own may give what it was given, or what it keeps, for other numbers than these.
        home = getattr(NAMES[step.function], "__module__", None) or "numpy"
        known = home.partition(".")[0] in ("numpy", "scipy", "minigrad", "_operator")
        return np.ndim(array) > 0 and known and not is_view and not any(array is x for x in given)

    def returned(self, value: Any, variable: str | None) -> str:
        """A result as it is returned: a gradient as an array of its own, a constant as NumPy's number."""
        if value is None:
            return "None"
        if isinstance(value, Ref):
            text = variable or self.value(value)
            if value is self.left.result or text in self.owned or self.is_number(value):
                return text
            return f"np.copy({text})" if np.ndim(self.left.like(value)) else f"{text}[()]"
        if np.ndim(value):
            return f"np.copy({self.value(value)})"
        return f"np.{value.dtype}({variable})" if variable else super().array(np.asarray(value))

    def value(self, operand: Any, number: int = 0) -> str:
        """A name or literal for a value; one that is used again gets its own line first."""
        if not isinstance(operand, Ref):
            return self.operand(operand, self.value)
        i = operand.index
        if i not in self.names:
            step = self.left.steps[i]
            if self.left.uses[i] == 1:
                return f"({self.expression(step, number)})"
            text = self.expression(step, number)
            self.temporaries += 1
            self.names[i] = f"t{self.temporaries}"
            self.lines.append((f"{self.names[i]} = {text}", number))
        return self.names[i]

    def expression(self, step: Step, number: int = 0) -> str:
        return ast.unparse(ast.parse(self.step(step, lambda ref: self.value(ref, number))))

    def step(self, step: Step, name: Callable[[Ref], str]) -> str:
        """As one writes it for arrays, by methods and indices of their own, which cost less than NumPy's functions."""
        x = step.operands[0] if step.operands else None
        if not isinstance(x, Ref):
            return super().step(step, name)
        if step.function == "square" and not step.parameters and name(x).isidentifier():
            is_product = np.result_type(self.left.like(x)).kind == "f"  # True * True is no number
            return f"{name(x)} * {name(x)}" if is_product else super().step(step, name)
        if not getattr(self.left.like(x), "ndim", 0):  # numbers may be Python's
            return super().step(step, name)
        if step.function == "transpose" and not step.parameters:
            return f"({name(x)}).T"
        if step.function in REDUCTIONS:
            named = ", ".join(f"{key}={self.parameter(value)}" for key, value in step.parameters.items())
            if step.function == "mean" and (count := self.averaged(step)):
                return f"({name(x)}).sum({named}) / {count}"
            return f"({name(x)}).{step.function}({named})"
        if step.function == "expand_dims" and np.size(axes := step.parameters["axis"]):
            ndim = np.ndim(self.left.like(x)) + np.size(axes)
            added = [axis % ndim for axis in np.atleast_1d(axes)]
            return f"({name(x)})[{', '.join('None' if i in added else ':' for i in range(ndim))}]"
        return super().step(step, name)

    def averaged(self, step: Step) -> int:
        """How many numbers a mean is of that is their sum divided by it, bit for bit; 0 for others."""
        x = self.left.like(step.operands[0])
        plain = step.parameters.keys() <= {"axis", "keepdims"} and x.dtype in (np.float32, np.float64)
        return int(x.size / np.size(np.mean(x, **step.parameters))) if plain and x.size else 0

    def call(self, function: str, operands: Sequence[str], parameters: Any) -> str:
        text = super().call(function, operands, parameters)
        home, _, name = path_of(function).rpartition(".")
        if "." not in function or not text.startswith(f"{home}.{name}("):
            return text
        alias = self.function_name(function, home, name)
        return alias + text.removeprefix(f"{home}.{name}")

    def function_name(self, function: str, home: str, name: str) -> str:
        """What the source calls a function by, which no variable and no other function is called."""
        if function not in self.functions:
            declared = (each.name for each in self.tape.inputs)
            taken = {*declared, *self.gradients.values(), *self.functions.values(), *RESERVED}
            alias = name
            while alias in taken or re.fullmatch(r"d?[ctv]\d+", alias):
                alias += "_"
            self.functions[function] = alias
            if getattr(sys.modules.get(home), name, None) is NAMES[function]:
                self.imports.setdefault(home, {})[name + f" as {alias}" * (alias != name)] = None
            else:  # defined within another function
                self.constants[alias] = NAMES[function]
        return self.functions[function]

    def parameter(self, value: Any) -> str:
        """A parameter, by its name among the constants if it cannot be written down."""
        if isinstance(value, (list, tuple)):
            items = ", ".join(self.parameter(item) for item in value)
            return f"[{items}]" if isinstance(value, list) else f"({items}{',' * (len(value) == 1)})"
        if isinstance(value, (*SPELLED, np.ndarray, np.generic)):
            return super().parameter(value)
        name = next((name for name, known in self.constants.items() if known is value), f"c{len(self.constants) + 1}")
        self.constants[name] = value
        return name

    def array(self, value: Any) -> str:
        if not np.ndim(value):
            return literal(value.item()) if self.bare and value.dtype == np.float64 else super().array(value)
        for name, known in self.constants.items():
            if fingerprint(known) == fingerprint(value):
                return name
        name = f"c{len(self.constants) + 1}"
        self.repacked |= not value.flags.forc
        self.constants[name] = value
        return name

    def constant_source(self, name: str) -> str:
        value = self.constants[name]
        if callable(value):
            return f'constants["{name}"]  # {name_of(value)}, of staged.constants'
        if not isinstance(value, np.ndarray):
            return f'constants["{name}"]  # a {type(value).__name__}, of staged.constants'
        if value.size > 64:
            return f'constants["{name}"]  # {value.dtype}{list(value.shape)}, of staged.constants'
        return super().array(value).removesuffix(")") + (', order="F")' if np.isfortran(value) else ")")
