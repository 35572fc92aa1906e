"""`stage`: forward and backward pass of a function as one program, in the notes' own notation.

The function is run once on Tensors of Recorders, so that every number of both passes leaves a
step.  What is left after simplifying is written out as source that a reader of the course notes
recognises: forward lines numbered (1) to (n), backward lines in reverse order under the same
numbers, ``dx += ...`` where a value forks, forward values reused.  That source is what runs, each variable
of its own let go after its last use.
"""

from __future__ import annotations

import ast
import hashlib
import operator
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.backward import contributions
from minigrad.errors import DtypeError, ShapeError
from minigrad.programs.program import Program, Ref, Spelling, Step, literal, path_of
from minigrad.programs.tracing import Recorder, Tape, argument_names
from minigrad.protocol import FUNCTIONS, NAMES, Array, Function, innermost, leaves, map_operand, name_of
from minigrad.tensor import Tensor, as_cotangent, as_floats, fresh_level, of_level

RESERVED = ("np", "staged", "constants", "cotangent", "float")
"""Names that the source uses itself."""

SPEC = operator.attrgetter("shape", "dtype")

REDUCTIONS = ("sum", "mean", "prod", "max", "min")
"""Functions that an array has as methods with the same parameters."""


@dataclass(frozen=True)
class Send:
    """What one value on the way back sends to the gradient of another: the first (=), or one more at a fork (+=)."""

    source: Ref
    upstream: Any
    """The gradient of `source`."""
    target: Ref
    gradient: Any
    """The contribution."""
    total: Any
    """The gradient of `target` with it."""
    joins: bool


class Staged:
    """The staged passes of a function: ``staged(*args)`` returns its value and a gradient per argument.

    For a result that is not a scalar, the cotangent is the last argument.  `source` is the Python
    that runs, `program` the same steps as data, `constants` what is too long for the source.  Gradients
    are the engine's, bit for bit; or to rounding if they are `reordered`: if a value that the function
    computes several times is computed once, so that what comes back to it adds up before it goes on.
    Raises `ShapeError` and `DtypeError` for arguments unlike those it was staged for.
    """

    def __init__(self, program: Program, source: str, constants: dict[str, Any], reordered: bool = False):
        self.program = program
        self.source = source
        self.constants = constants
        self.reordered = reordered
        namespace: dict[str, Any] = {"constants": constants}
        self._expected = [(declared.shape, np.dtype(declared.dtype)) for declared in program.inputs]
        self._scalars = [i for i, declared in enumerate(program.inputs) if not declared.shape]
        only_scalars = len(self._scalars) == len(self._expected)
        self._types = [dtype.type for _, dtype in self._expected] if only_scalars else None
        exec(compile(source if only_scalars else letting_go(source), "<staged>", "exec"), namespace)
        self._run: Function = namespace["staged"]

    def __call__(self, *args: Any) -> Any:
        if [*map(type, args)] == self._types:  # the quickest question, and enough for numbers
            return self._run(*args)
        try:
            as_expected = list(map(SPEC, args)) == self._expected
        except AttributeError:  # a Python number
            as_expected = False
        given = list(args) if as_expected else self._checked(args)
        for i in self._scalars:
            given[i] = given[i][()]  # lest `+=` write into an array without axes
        return self._run(*given)

    def _checked(self, args: Sequence[Any]) -> list[Any]:
        """The arguments as arrays, if they are what the function was staged for."""
        if len(args) != len(self._expected):
            names = ", ".join(declared.name for declared in self.program.inputs)
            raise TypeError(f"the staged function takes {len(self._expected)} arguments ({names}), got {len(args)}")
        arrays = [arg if isinstance(arg, Array) else np.asarray(arg) for arg in args]
        for array, declared in zip(arrays, self.program.inputs, strict=True):
            if array.shape != declared.shape:
                raise ShapeError(
                    f"{declared.name} has shape {array.shape}, but the function was staged for {declared.shape}; "
                    "stage it again with an example of the new shape"
                )
            if array.dtype != declared.dtype:
                raise DtypeError(
                    f"{declared.name} has dtype {array.dtype}, but the function was staged for {declared.dtype}; "
                    "stage it again with an example of the new dtype"
                )
        return arrays

    def __reduce__(self) -> Any:
        return Staged, (self.program, self.source, self.constants, self.reordered)

    def __repr__(self) -> str:
        return f"<Staged of {len(self.program.inputs)} inputs and {len(self.program.steps)} steps>"


def letting_go(source: str) -> ast.Module:
    """The source with each variable deleted after its last use: arrays that follow find its memory still in a cache."""
    module = ast.parse(source)
    function = module.body[-1]
    assert isinstance(function, ast.FunctionDef)
    *lines, ending = function.body
    names = [{node.id: node.ctx for node in ast.walk(line) if isinstance(node, ast.Name)} for line in function.body]
    own = {name for line in names for name, use in line.items() if isinstance(use, ast.Store)}
    needed = own - names.pop().keys()
    function.body = [ending]
    for line, used in zip(reversed(lines), reversed(names), strict=True):
        if last := sorted(needed & used.keys()):
            needed -= used.keys()
            function.body.append(ast.Delete([ast.Name(name, ast.Del()) for name in last]))
        function.body.append(line)
    function.body.reverse()
    return ast.fix_missing_locations(module)


def stage(f: Function, *example_args: Any, cotangent: Any = None) -> Staged:
    """Write out forward and backward pass of `f` for arguments of these shapes and dtypes.

    Float arguments get a gradient, others None.  Without an example `cotangent`, that of a scalar
    result is 1.  Raises `TracedControlFlowError` where Python control flow depends on a value.

    >>> import numpy as np
    >>> from minigrad import stage
    >>> staged = stage(lambda x, y: np.exp(x * y) + x, 2.0, 3.0)
    >>> print(staged.source)
    import numpy as np
    <BLANKLINE>
    def staged(x, y):
        # forward pass
        v1 = x * y        #(1)
        v2 = np.exp(v1)   #(2)
        v3 = v2 + x       #(3)
        # backward pass
        dv2 = 1.0         #(3)
        dx = 1.0          #(3)
        dv1 = v2          #(2)
        dx += dv1 * y     #(1)
        dy = dv1 * x      #(1)
        return v3, (dx, dy)
    >>> value, (dx, dy) = staged(2.0, 3.0)
    """
    for i, arg in enumerate(example_args):
        if isinstance(arg, (dict, list, tuple)):
            raise DtypeError(
                f"argument {i} is a {type(arg).__name__}; stage takes arrays: pass each as its own argument"
            )
    values = [np.asarray(arg)[()] for arg in example_args]
    names = free_names(f, len(values))
    result = innermost(
        as_floats(f(*(Tensor(x) if x.dtype.kind == "f" else x for x in values)), "the function's result")
    )
    if result.dtype.kind != "f":
        raise DtypeError(f"the function's result has dtype {result.dtype}; derivatives need floats")
    if cotangent is not None or np.ndim(result):
        values.append(np.ones_like(result) if cotangent is None else as_cotangent(cotangent, result))
        names.append("cotangent")
    tape = SharingTape(names, values)
    given, level = tape.recorders(), fresh_level()
    inputs = [Tensor.lift(x, level) if x.dtype.kind == "f" else x for x in given]
    result = f(*inputs[: len(example_args)])
    if not isinstance(result, Array):
        result = as_floats(result, "the function's result")
    forward = len(tape.values)
    if len(given) > len(example_args):
        seed = given[-1]
    else:
        one = as_cotangent(None, innermost(result))
        seed = tape.add(np.positive, [one], {}, one)
    sends, found = walked_back(result, seed, tape) if of_level(result, level) else ([], {})
    result = result.value if of_level(result, level) else result
    gradients = [
        None if not isinstance(x, Tensor) else referred(found.get(x.value.ref.index, np.zeros(x.shape, x.dtype)[()]))
        for x in inputs[: len(example_args)]
    ]
    return Writer(tape, forward, sends, referred(result), gradients).staged()


def free_names(f: Function, count: int) -> list[str]:
    """The function's names for its arguments, apart from those that the source uses itself."""
    names: list[str] = []
    for name in argument_names(f, count):
        while name in (*RESERVED, *names):
            name += "_"
        names.append(name)
    return names


def walked_back(result: Tensor, seed: Any, tape: SharingTape) -> tuple[list[Send], dict[int, Any]]:
    """All that is sent on the way back from the result, in order, and the gradient of each value by its number.

    Tensors of the same value are one: their gradients add up before anything is sent on.
    """
    sends: list[Send] = []
    found: dict[int, Any] = {}
    pending: dict[int, tuple[Tensor, Any]] = {result.value.ref.index: (result, seed)}
    met: dict[int, Tensor] = {}
    while pending:
        number = max(pending)
        tensor, gradient = pending.pop(number)
        found[number] = gradient
        same = [(tensor, gradient)]
        for each, g in same:  # grows by Tensors that a step made of one with the same value
            for parent, part in contributions(each, g) if each.parents else ():
                target = parent.value.ref
                if target.index == number:
                    same.append((parent, part))
                    continue
                joins = target.index in pending
                tape.reordered |= met.setdefault(target.index, parent) is not parent
                total = tape.sum_at_fork(pending[target.index][1], part) if joins else part
                pending[target.index] = parent, total
                sends.append(Send(Ref(number), referred(gradient), target, referred(part), referred(total), joins))
    return sends, found


class SharingTape(Tape):
    """A tape on which a call that was made before, or that changes nothing, is the value that there is already."""

    checks = True

    def __init__(self, names: Sequence[str], values: Sequence[Any]):
        super().__init__(names, values)
        self.known: dict[Any, Recorder] | None = {}
        self.reordered = False
        """Whether gradients add up that the function would send back each for itself."""

    def add(self, function: Function, operands: Sequence[Any], parameters: dict[str, Any], value: Any) -> Recorder:
        place = place_of_equal(FUNCTIONS[function].name, operands, value, innermost)
        same = None if place is None else operands[place]
        if isinstance(same, Recorder):
            return same
        if self.known is None:
            return super().add(function, operands, parameters, value)
        key = fingerprint(FUNCTIONS[function].name, map_operand(self.reference, [*operands]), parameters)
        if key not in self.known:
            self.known[key] = super().add(function, operands, parameters, value)
        return self.known[key]

    def sum_at_fork(self, x: Any, y: Any) -> Any:
        """``x + y``, as a step of its own."""
        known, self.known = self.known, None
        ans = np.add(x, y)
        self.known = known
        return ans


def place_of_equal(function: str, operands: Sequence[Any], value: Any, value_of: Function) -> int | None:
    """Which operand a call results in, bit for bit; None if it changes something."""
    place = 0
    if function == "multiply" and is_one(operands[0]):
        place = 1
    elif not (
        function in ("positive", "broadcast_to", "reshape", "astype", "copy")
        or (function in ("multiply", "divide") and is_one(operands[1]))
    ):
        return None
    like = value_of(operands[place])
    same = np.shape(like) == np.shape(value) and getattr(like, "dtype", None) == value.dtype
    return place if same else None


def fingerprint(*parts: Any) -> Any:
    """Equal for equal calls: arrays are compared by their bits."""

    def bits(x: Any) -> Any:
        return (
            (x.dtype, x.shape, hashlib.sha256(x.tobytes()).digest()) if isinstance(x, (np.ndarray, np.generic)) else x
        )

    return repr(map_operand(bits, parts))


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.generic)) or (isinstance(x, np.ndarray) and not x.ndim)


def is_one(x: Any) -> bool:
    return is_number(x) and bool(x == 1)


def referred(x: Any) -> Any:
    """A recorded value by its number, anything else as it is."""
    return x.ref if isinstance(x, Recorder) else x


class Writer:
    """From what was recorded to simplified steps and source."""

    def __init__(self, tape: SharingTape, forward: int, sends: list[Send], result: Any, gradients: list[Any]):
        self.tape, self.forward = tape, forward
        self.inputs = len(tape.inputs)
        joins = {send.total.index for send in sends if send.joins and isinstance(send.total, Ref)}
        self.same: dict[int, Any] = {i: Ref(i) for i in range(self.inputs)}
        """What each recorded value is replaced by: itself, an earlier one, or a constant."""
        self.steps: dict[int, Step] = {}
        seen: dict[Any, Ref] = {}
        self.narrow: dict[int, Any] = {}
        """For values that repeat others, these: they do as well where a ufunc would broadcast them."""
        for i, step in enumerate(tape.steps, self.inputs):
            if i not in joins:
                step = self.narrowed(Step(step.function, self.now(step.operands), step.parameters), i)
            else:
                step = Step(step.function, self.now(step.operands), step.parameters)
            self.steps[i] = step = self.negated(step, i)
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
                if is_number(factor) and factor == -1 and SPEC(self.like(x)) == SPEC(self.tape.values[i]):
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

    def staged(self) -> Staged:
        text = Source(self)
        order = [i for i in self.steps if i in self.live]
        renumbered = {old: Ref(new) for new, old in enumerate([*range(self.inputs), *order])}

        def renumber(leaf: Any) -> Any:
            return renumbered[leaf.index] if isinstance(leaf, Ref) else leaf

        steps = tuple(self.steps[i].mapped(renumber) for i in order)
        output = map_operand(renumber, (self.result, tuple(self.gradients)))
        return Staged(Program(self.tape.inputs, steps, output), text.source(), text.constants, self.tape.reordered)


class Source(Spelling):
    """Staged steps as Python source: a line per forward step, and one per gradient that it sends back."""

    def __init__(self, writer: Writer):
        self.writer, self.tape = writer, writer.tape
        self.temporaries = 0
        self.bare = not any(np.result_type(x) in (np.float16, np.float32) for x in leaves(self.tape.values))
        """Whether a float64 constant may be written as a Python number, which takes on the dtype of what it meets."""
        self.constants: dict[str, Any] = {}
        self.imports: dict[str, dict[str, None]] = {}
        self.lines: list[tuple[str, int]] = []
        self.names: dict[int, str] = {i: declared.name for i, declared in enumerate(self.tape.inputs)}
        """The variable that holds a recorded value by now."""
        self.owned: set[str] = set()
        """Variables whose array nothing else refers to, or that hold a number: these may be added to by ``+=``."""

    def source(self) -> str:
        w = self.writer
        numbers: dict[int, int] = {}
        for i in w.steps:
            if i < w.forward and w.uses[i]:
                numbers[i] = len(numbers) + 1
                self.lines.append((f"v{numbers[i]} = {self.expression(w.steps[i])}", numbers[i]))
                self.names[i] = f"v{numbers[i]}"
        forward = len(self.lines)
        gradients = self.gradient_names()
        counts = Counter(send.target.index for send in w.sends)
        for send in w.sends:
            number = max((n for i, n in numbers.items() if i <= send.source.index), default=0)
            before = dict(self.names)
            made_of = leaves(w.steps[send.source.index].operands)
            used = {send.source, *(leaf for leaf in made_of if isinstance(leaf, Ref))}
            # A forward value that comes back as a gradient goes by that name, unless the rule uses it as well.
            if isinstance(send.upstream, Ref) and send.source.index in gradients and send.upstream not in used:
                self.names[send.upstream.index] = gradients[send.source.index]
            self.send(send, gradients[send.target.index], counts[send.target.index] == 1, number)
            if isinstance(send.upstream, Ref) and send.upstream.index < w.forward:
                self.names[send.upstream.index] = before[send.upstream.index]
        results = [
            self.returned(w.result, None),
            *(self.returned(g, gradients.get(i)) for i, g in enumerate(w.gradients)),
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
        targets = {send.target.index: None for send in self.writer.sends}
        for i in sorted(targets, key=lambda i: self.writer.same[i] != Ref(i)):
            if i not in names:
                value = self.writer.same[i]
                name = "d" + (self.names.get(value.index, "") if isinstance(value, Ref) else "")
                while name in names.values() or name in self.names.values():
                    name += "_"
                names[i] = name
        return names

    def send(self, send: Send, name: str, only: bool, number: int) -> None:
        """One line: ``dx = ...``, or ``dx += ...`` at a fork."""
        part = send.gradient
        fresh = isinstance(part, Ref) and part.index not in self.names
        if fresh and not only and self.writer.uses[part.index] > 1:
            self.value(part, number)
            fresh = False
        sign = "+"
        if fresh:
            step = self.writer.steps[part.index]
            if send.joins and step.function == "negative":
                sign, text = "-", ast.unparse(ast.parse(self.value(step.operands[0], number)))
            else:
                text = self.expression(step, number)
        else:
            text = self.value(part)
        if not send.joins:
            self.lines.append((f"{name} = {text}", number))
            array = self.writer.like(part)
            made = fresh and step.function != "broadcast_to" and getattr(array, "base", None) is None
            if made or not isinstance(array, np.ndarray):
                self.owned.add(name)
        else:
            # In place only where no other variable would change along.
            in_place = name in self.owned
            self.lines.append((f"{name} {sign}= {text}" if in_place else f"{name} = {name} {sign} {text}", number))
            self.owned.add(name)
        if isinstance(send.total, Ref) and ((fresh and only) or send.joins):
            self.names[send.total.index] = name

    def returned(self, value: Any, variable: str | None) -> str:
        """A result as it is returned: a gradient as an array of its own, a constant as NumPy's number."""
        if value is None:
            return "None"
        if isinstance(value, Ref):
            text = variable or self.value(value)
            shared = value is not self.writer.result and text not in self.owned
            return f"np.copy({text})" if shared and np.ndim(self.writer.like(value)) else text
        if np.ndim(value):
            return f"np.copy({self.value(value)})"
        return f"np.{value.dtype}({variable})" if variable else super().array(np.asarray(value))

    def value(self, operand: Any, number: int = 0) -> str:
        """A name or literal for a value; one that is used again gets its own line first."""
        if not isinstance(operand, Ref):
            return self.operand(operand, self.value)
        i = operand.index
        if i not in self.names:
            step = self.writer.steps[i]
            if self.writer.uses[i] == 1:
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
        if isinstance(x, Ref) and step.function in REDUCTIONS:
            named = (f"{key}={self.parameter(value)}" for key, value in step.parameters.items())
            return f"({name(x)}).{step.function}({', '.join(named)})"
        if isinstance(x, Ref) and step.function == "expand_dims" and np.size(axes := step.parameters["axis"]):
            ndim = np.ndim(self.writer.like(x)) + np.size(axes)
            added = [axis % ndim for axis in np.atleast_1d(axes)]
            return f"({name(x)})[{', '.join('None' if i in added else ':' for i in range(ndim))}]"
        return super().step(step, name)

    def call(self, function: str, operands: Sequence[str], parameters: Any) -> str:
        if function == "transpose" and not parameters:
            return f"({operands[0]}).T"
        text = super().call(function, operands, parameters)
        home, _, name = path_of(function).rpartition(".")
        if "." not in function or not text.startswith(f"{home}.{name}("):
            return text
        taken = any(declared.name == name for declared in self.tape.inputs)
        if getattr(sys.modules.get(home), name, None) is NAMES[function]:
            self.imports.setdefault(home, {})[name + f" as {name}_" * taken] = None
        else:  # defined within another function
            self.constants[name + "_" * taken] = NAMES[function]
        return name + "_" * taken + text.removeprefix(f"{home}.{name}")

    def array(self, value: Any) -> str:
        if not np.ndim(value):
            return literal(value.item()) if self.bare and value.dtype == np.float64 else super().array(value)
        for name, known in self.constants.items():
            if fingerprint(known) == fingerprint(value):
                return name
        name = f"c{len(self.constants) + 1}"
        self.constants[name] = value
        return name

    def constant_source(self, name: str) -> str:
        value = self.constants[name]
        if callable(value):
            return f'constants["{name}"]  # {name_of(value)}, of staged.constants'
        return (
            super().array(value)
            if value.size <= 64
            else f'constants["{name}"]  # {value.dtype}{list(value.shape)}, of staged.constants'
        )
