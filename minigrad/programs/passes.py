"""Both passes of a function, recorded on one tape: what comes back to a value, and which step sent it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigrad.backward import contributions
from minigrad.errors import DtypeError, UnsupportedError
from minigrad.programs.program import Ref
from minigrad.programs.tracing import Recorder, Tape, argument_names
from minigrad.protocol import FUNCTIONS, Array, Function, innermost, leaves, map_operand
from minigrad.tensor import Tensor, as_cotangent, as_floats, as_plain, fresh_level, of_level

RESERVED = (
    *("np", "staged", "constants", "cotangent", "float", "slice", "type"),
    *("_apart", "_checked", "_differs", "_dtypes"),
)
"""Names that the source of staged passes uses itself."""


@dataclass(frozen=True)
class Send:
    """What one value on the way back sends to the gradient of another: the first (=), or one more at a fork (+=)."""

    source: Ref
    upstream: Any
    """The gradient of `source`."""
    target: Ref
    ways: tuple[int, int]
    """The numbers of these two gradients: a value has several if there are several ways that it comes to the result."""
    gradient: Any
    """The contribution."""
    total: Any
    """The gradient of `target` with it."""
    joins: bool


class Passes(NamedTuple):
    """What running a function forward and back left behind."""

    tape: SharingTape
    forward: int
    """How many of the tape's values the function made, arguments included; the others are of the way back."""
    sends: list[Send]
    result: Any
    gradients: list[Any]
    """One for each argument of the function; None for those that are not of floats."""


def both_passes(f: Function, example_args: Sequence[Any], cotangent: Any) -> Passes:
    """Run `f` on Tensors of Recorders, and walk back from its result, so that every number of both leaves a step."""
    for i, arg in enumerate(example_args):
        if isinstance(arg, (dict, list, tuple)):
            raise DtypeError(
                f"argument {i} is a {type(arg).__name__}; stage takes arrays: pass each as its own argument"
            )
    values = [as_plain(arg, f"argument {i}") for i, arg in enumerate(example_args)]
    for i, value in enumerate(values):
        if value.dtype.kind not in "fiubc":
            raise DtypeError(f"argument {i} has dtype {value.dtype}; stage takes numbers: fix the rest before")
    values = [native(value)[()] for value in values]
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
    tape.known = None  # which holds recorders, and they the tape: nothing would be freed soon
    return Passes(tape, forward, sends, referred(result), gradients)


def native(x: Any) -> Any:
    """The array in this machine's byte order, in which all results are."""
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def free_names(f: Function, count: int) -> list[str]:
    """The function's names for its arguments, apart from those that the source uses itself."""
    names: list[str] = []
    for name in argument_names(f, count):
        while name in (*RESERVED, *names):
            name += "_"
        names.append(name)
    return names


def walked_back(result: Tensor, seed: Any, tape: SharingTape) -> tuple[list[Send], dict[int, Any]]:
    """All that is sent on the way back from the result, in order, and the gradient of each input by its number.

    Tensors that are the same value, computed of the same ones, are one: their gradients add up before anything
    is sent on.
    """
    sends: list[Send] = []
    way = ways_of(result)
    first: dict[int, Tensor] = {}
    for tensor, number in way.items():
        first.setdefault(number, tensor)
    pending: dict[int, Any] = {way[result]: seed}
    found: dict[int, Any] = {}
    met: dict[int, Tensor] = {}
    earliest = result.born
    while pending:
        number = max(pending, key=lambda n: (first[n].value.ref.index, n))
        tensor, gradient = first[number], pending.pop(number)
        if not tensor.parents:
            found[tensor.value.ref.index] = gradient
            continue
        # What is computed again, of an earlier value, is come to later than by the engine.
        tape.reordered |= tensor.born > earliest
        earliest = min(earliest, tensor.born)
        for parent, part in contributions(tensor, gradient):
            target = way[parent]
            joins = target in pending
            tape.reordered |= met.setdefault(target, parent) is not parent
            total = tape.sum_at_fork(pending[target], part) if joins else part
            pending[target] = total
            at, to = tensor.value.ref, parent.value.ref
            sends.append(Send(at, referred(gradient), to, (number, target), referred(part), referred(total), joins))
    return sends, found


def ways_of(result: Tensor) -> dict[Tensor, int]:
    """A number for each Tensor that the result depends on, in order of birth: the same for those that are one."""
    reached, ends = {result}, [result]
    while ends:
        for parent in leaves(ends.pop().parents):
            if parent is not None and parent not in reached:
                reached.add(parent)
                ends.append(parent)
    known: dict[Any, int] = {}
    ways: dict[Tensor, int] = {}
    for tensor in sorted(reached, key=lambda tensor: tensor.born):
        parents = [parent for parent in leaves(tensor.parents) if parent is not None]
        at = getattr(tensor.value, "ref", Ref(-1)).index
        equal = [parent for parent in parents if parent.value.ref.index == at]
        if equal and tensor.function in FUNCTIONS and FUNCTIONS[tensor.function].name in PASSING:
            ways[tensor] = ways[equal[0]]
        elif any(parent.value.ref.index >= at for parent in parents):
            raise UnsupportedError(
                "a checkpointed function that returns its argument, or a constant, cannot be staged; "
                "leave checkpoint away from it"
            )
        else:
            made_of = map_operand(lambda parent: None if parent is None else ways[parent], tensor.parents)
            ways[tensor] = known.setdefault((at, repr(made_of)) if parents else tensor, len(known))
    return ways


class SharingTape(Tape):
    """A tape on which a call that was made before, or that changes nothing, is the value that there is already."""

    checks = True

    def __init__(self, names: Sequence[str], values: Sequence[Any]):
        super().__init__(names, values)
        self.known: dict[Any, Recorder] | None = {}
        self.reordered = False
        """Whether gradients add up that the function would send back each for itself, or a constant has gaps in memory,
        which its copy has not, so that sums of it round otherwise."""

    def add(self, function: Function, operands: Sequence[Any], parameters: dict[str, Any], value: Any) -> Recorder:
        self.reordered |= any(isinstance(x, np.ndarray) and not x.flags.forc for x in leaves([*operands]))
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


PASSING = ("positive", "broadcast_to", "reshape", "astype", "copy", "multiply", "divide")
"""Functions that may result in an operand, bit for bit."""


def place_of_equal(function: str, operands: Sequence[Any], value: Any, value_of: Function) -> int | None:
    """Which operand a call results in, bit for bit; None if it changes something."""
    place = 0
    if function == "multiply" and is_one(operands[0]):
        place = 1
    elif not (function in PASSING and (function not in ("multiply", "divide") or is_one(operands[1]))):
        return None
    like = value_of(operands[place])
    same = np.shape(like) == np.shape(value) and getattr(like, "dtype", None) == value.dtype
    return place if same else None


def fingerprint(*parts: Any) -> Any:
    """Equal for equal calls: arrays are compared by their bits, and their order, by which what adds them up rounds."""

    def bits(x: Any) -> Any:
        if isinstance(x, dict):
            return [(key, map_operand(bits, value)) for key, value in x.items()]
        if isinstance(x, (np.ndarray, np.generic)):
            return x.dtype, x.shape, np.isfortran(x), hashlib.sha256(x.tobytes()).digest()
        return x if isinstance(x, SPELLED) else id(x)

    return repr(map_operand(bits, parts))


SPELLED = (bool, int, float, complex, str, bytes, slice, type, np.dtype, Ref, type(None), type(...))
"""What is told by its `repr`."""


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.generic)) or (isinstance(x, np.ndarray) and not x.ndim)


def is_one(x: Any) -> bool:
    return is_number(x) and bool(x == 1)


def referred(x: Any) -> Any:
    """A recorded value by its number, anything else as it is."""
    return x.ref if isinstance(x, Recorder) else x
