"""Subjects on trial, ``--subject tests.trial:TanhOff`` and so on, and helpers for the harness's tests.

The first ones are adapters of minigrad with one thing broken, while it answers and no longer; the
last ones are no engines at all, but know the certified truth, and say it or something near it.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import backward
from minigrad.programs import Ref, Step
from minigrad.protocol import NAMES, RULES, leaves
from oracles import Unsupported
from oracles.adapters.minigrad import MinigradAdapter
from oracles.cases import Case
from oracles.events import find_events, met
from oracles.exact import Referee, Status
from oracles.examine import Examination, Setup, examine
from oracles.facts import Point, reference
from oracles.noise import Noisy, Passes
from oracles.verdict import Label


class Honest(MinigradAdapter):
    """minigrad as it is, under another name."""

    name = "honest"


class Broken(MinigradAdapter):
    """minigrad, answering inside `broken`."""

    name = "broken"

    @contextmanager
    def broken(self) -> Iterator[None]:
        yield

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with self.broken():
            return super().vjp(program, inputs, cotangent)

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        with self.broken():
            return super().hvp(program, inputs, cotangent, vectors)


@contextmanager
def ruled(function: Callable[..., Any], *vjps: Any) -> Iterator[None]:
    """Other rules for a function, for a while."""
    own = RULES[function]
    RULES[function] = own._replace(vjps=vjps)
    try:
        yield
    finally:
        RULES[function] = own


class TanhOff(Broken):
    """The rule of tanh is off by a thousandth."""

    def broken(self) -> Any:
        return ruled(np.tanh, lambda g, ans, x: g * (1 - ans * ans) * 1.001)


class WrongButAtZero(Broken):
    """The rule of abs is half as much again as it should be, but for its kink."""

    def broken(self) -> Any:
        return ruled(np.absolute, lambda g, ans, x: g * 1.5 * np.sign(x))


class NoUnbroadcast(Broken):
    """The gradient of an operand that was broadcast is averaged, not summed: right shape, wrong value."""

    @contextmanager
    def broken(self) -> Iterator[None]:
        own = backward.unbroadcast

        def averaged(gradient: Any, shape: tuple[int, ...]) -> Any:
            return own(gradient, shape) * (math.prod(shape) / max(np.size(gradient), 1))

        backward.unbroadcast = averaged
        try:
            yield
        finally:
            backward.unbroadcast = own


class TieToFirst(Broken):
    """Not a fault: at a tie the first operand of maximum gets everything, a subgradient too."""

    def broken(self) -> Any:
        return ruled(
            np.maximum,
            lambda g, ans, x, y: np.where(x >= y, g, 0),
            lambda g, ans, x, y: np.where(x >= y, 0, g),
        )


class FlatRoot(Broken):
    """Not a fault: the slope of sqrt at 0 is taken for 0 rather than infinite."""

    def broken(self) -> Any:
        return ruled(np.sqrt, lambda g, ans, x: np.where(x == 0, 0, 0.5 * g / ans))


class LostFork(Broken):
    """Of a value that is used several times, only the last use counts."""

    @contextmanager
    def broken(self) -> Iterator[None]:
        own = backward.contributions
        reached = set()

        def first_to_arrive(node: Any, g: Any) -> Iterator[tuple[Any, Any]]:
            for parent, contribution in own(node, g):
                if parent not in reached:
                    reached.add(parent)
                    yield parent, contribution

        backward.contributions = first_to_arrive
        try:
            yield
        finally:
            backward.contributions = own


# These answer a question rightly, but break a law.


class ChoosesBySign(Broken):
    """At a tie, who of the two gets everything depends on the sign of the cotangent: either is a subgradient."""

    def broken(self) -> Any:
        return ruled(
            np.maximum,
            lambda g, ans, x, y: np.where((x > y) | ((x == y) & (g > 0)), g, 0),
            lambda g, ans, x, y: np.where((x < y) | ((x == y) & (g <= 0)), g, 0),
        )


class OnceAStep(Broken):
    """A step sends a value only one gradient, also where it takes it twice."""

    @contextmanager
    def broken(self) -> Iterator[None]:
        own = backward.contributions
        backward.contributions = lambda node, g: [*dict(own(node, g)).items()]
        try:
            yield
        finally:
            backward.contributions = own


class Rewritten(MinigradAdapter):
    """minigrad, with something else in place of the results of some steps."""

    name = "rewritten"

    def result(self, step: Step, operands: list[Any], result: Any, before: list[Step]) -> Any:
        return result

    def value(self, value: Any, results: list[Any]) -> Any:
        return value

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        def run(*primals: Any) -> Any:
            before: list[Step] = []
            results: list[Any] = []

            def watch(number: int, step: Step, operands: list[Any], result: Any) -> Any:
                results.append(self.result(step, operands, result, before))
                before.append(step)
                return results[-1]

            return self.value(program.run(primals, NAMES.__getitem__, watch), results)

        value, pullback = mg.vjp(run, *inputs)
        return value, pullback(cotangent)


def with_slope_of(other: Any, value: Any) -> Any:
    return other + mg.stop_gradient(value - other)


class TakesAgain(Rewritten):
    """What was taken in some order is sent back as if it had been taken in the inverse order."""

    def result(self, step: Step, operands: list[Any], result: Any, before: list[Step]) -> Any:
        if step.function != "take":
            return result
        return with_slope_of(np.take(operands[0], np.argsort(operands[1]), **step.parameters), result)


class ColumnsFirst(Rewritten):
    """What was reshaped is sent back with its columns first."""

    def result(self, step: Step, operands: list[Any], result: Any, before: list[Step]) -> Any:
        if step.function != "reshape":
            return result
        return with_slope_of(np.reshape(operands[0], step.parameters["shape"][::-1]).T, result)


class FirstTile(Rewritten):
    """Of what was tiled, only the first tile counts."""

    def result(self, step: Step, operands: list[Any], result: Any, before: list[Step]) -> Any:
        if step.function != "tile":
            return result
        first = np.zeros(np.shape(result))
        first[tuple(slice(n // m) for n, m in zip(np.shape(result), operands[1], strict=True))] = 1
        return with_slope_of(first * result, result)


class WholeTape(Rewritten):
    """Every step is sent a gradient, zero if nobody uses it; and zero times an infinite slope is NaN."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        with ruled(np.log, lambda g, ans, x: g * (1 / x)):
            return super().vjp(program, inputs, cotangent)

    def value(self, value: Any, results: list[Any]) -> Any:
        return value + sum(np.sum(np.where(np.zeros(np.shape(r), bool), r, 0)) for r in results)


class Peephole(Rewritten):
    """Two steps that follow one another are made one, whose rule is wrong."""

    def result(self, step: Step, operands: list[Any], result: Any, before: list[Step]) -> Any:
        fused = step.function == "multiply" and before and before[-1].function == "sin"
        return with_slope_of(1.5 * result, result) if fused else result


class ComputesOnce(Rewritten):
    """What has been computed before is not again; but then only the first of its uses counts."""

    def result(self, step: Step, operands: list[Any], result: Any, before: list[Step]) -> Any:
        alike = [s for s in before if (s.function, repr(s.operands)) == (step.function, repr(step.operands))]
        return mg.stop_gradient(result) if alike else result


class ForwardOff(MinigradAdapter):
    """Forward mode is off by a thousandth."""

    def jvp(self, program: mg.Program, inputs: Sequence[Any], vectors: Sequence[Any]) -> Any:
        return super().jvp(program, inputs, vectors) * 1.001


class ForwardCancels(MinigradAdapter):
    """Forward mode of a function with an edge at 1 loses the digits that its distance from there has."""

    def jvp(self, program: mg.Program, inputs: Sequence[Any], vectors: Sequence[Any]) -> Any:
        (x,) = inputs
        return super().jvp(program, inputs, vectors) * ((x * x - 1) / ((x - 1) * (x + 1)))


class NoTiles(MinigradAdapter):
    """Not a fault: the engine lacks a function."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        if any(step.function == "tile" for step in program.steps):
            raise Unsupported("this engine has no tile")
        return super().vjp(program, inputs, cotangent)


class Altered(MinigradAdapter):
    """minigrad, with its first gradient passed through `alter`."""

    name = "altered"

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return gradient

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, (first, *others) = super().vjp(program, inputs, cotangent)
        return value, [self.alter(first, inputs), *others]


class WrongShape(Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.asarray(gradient)[None]


class WrongDtype(Altered):
    """Gradients of float32 come back as float64."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.asarray(gradient, np.float64)


class GivesList(Altered):
    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return np.asarray(gradient).tolist()


class Mutates(Altered):
    """An input is written to."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        inputs[0][...] += 1
        return gradient


class Aliases(Altered):
    """An input is returned as its gradient."""

    def alter(self, gradient: Any, inputs: Sequence[Any]) -> Any:
        return inputs[0]


class TooFew(MinigradAdapter):
    """A gradient is missing."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, gradients = super().vjp(program, inputs, cotangent)
        return value, gradients[1:]


class Raises(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        raise RuntimeError("broken on purpose")


class ReturnsNonsense(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> Any:
        return 42


class Unable(MinigradAdapter):
    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        raise Unsupported("this engine has no functions at all")


class FirstOrderOnly:
    """An adapter of the fewest parts: hvp and forward are left out."""

    name = "first-order"
    version = "1"
    vjp = MinigradAdapter.vjp


class Crashes(MinigradAdapter):
    """The process ends where tanh occurs."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        if any(step.function == "tanh" for step in program.steps):
            os._exit(7)
        return super().vjp(program, inputs, cotangent)


class Certified:
    """The honest engine: the certified truth, the middle of what is allowed at a kink, NaN where there is none."""

    name = "certified"
    version = "1"

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        value, *gradients = self.answer(self.case_of(program, inputs, cotangent, inputs), 1)
        return value, gradients

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        return self.answer(self.case_of(program, inputs, cotangent, vectors), 2)

    def case_of(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Case:
        return Case("asked", program, (*inputs,), cotangent, (*vectors,))

    def answer(self, case: Case, order: int) -> Sequence[Any]:
        shapes = [case.cotangent.shape] * (order == 1) + [x.shape for x in case.inputs]
        tiny = [np.full(shape, np.finfo(case.dtype).tiny) for shape in shapes]
        referee = referee_of(case, order)
        truths = referee.truths(order, tiny)
        # At a tie the elements' middles need not go together: a mixture of gradients nearby does.
        rows = referee.together(order, tiny, 0)
        mixture = np.full(sum(t.value.size for t in truths), np.nan) if rows is None else rows.mean(axis=0)
        ends = np.cumsum([t.value.size for t in truths])
        found = []
        for truth, part in zip(truths, np.split(mixture, ends[:-1]), strict=True):
            mixed = (truth.status == Status.KINK) & np.isfinite(part.reshape(truth.value.shape))
            answer = np.where(mixed, part.reshape(truth.value.shape), truth.value)
            found.append(np.where(truth.status <= Status.KINK, answer, np.nan).astype(case.dtype))
        return found


def referee_of(case: Case, order: int) -> Referee:
    with np.errstate(all="ignore"):
        return Referee(case, order, **met(find_events(case)))


class RoundsOtherwise(MinigradAdapter):
    """Not a fault: all results on the way, there and back, are off by up to a rounding unit, as another library's."""

    def vjp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any) -> tuple[Any, Sequence[Any]]:
        still = [np.zeros_like(x) for x in inputs]
        value, *gradients = self.replayed(Case("asked", program, (*inputs,), cotangent, (*still,)), 1)
        return value, gradients

    def hvp(self, program: mg.Program, inputs: Sequence[Any], cotangent: Any, vectors: Sequence[Any]) -> Sequence[Any]:
        return self.replayed(Case("asked", program, (*inputs,), cotangent, (*vectors,)), 2)

    def replayed(self, case: Case, order: int) -> Sequence[Any]:
        passes = Passes(case, lambda case: reference(case, order))
        seed = zlib.crc32(b"".join(x.tobytes() for x in passes.given))
        pairs = zip(passes.replay(Noisy, seed), passes.plain, strict=True)
        return [np.asarray(replayed, plain.dtype).reshape(plain.shape) for replayed, plain in pairs]


class Spoiled(Certified):
    """It knows better: `spoil` makes something else of one of its gradients, or Hessian products."""

    def answer(self, case: Case, order: int) -> Sequence[Any]:
        arrays = [*super().answer(case, order)]
        first = len(arrays) - len(case.inputs)
        for k in range(len(case.inputs)):
            spoiled = np.asarray(self.spoil(arrays[first + k], case, order, k), case.dtype)
            if spoiled.tobytes() != arrays[first + k].tobytes():
                arrays[first + k] = spoiled
                break
        return arrays

    def spoil(self, gradient: Any, case: Case, order: int, k: int) -> Any:
        return gradient


class EightUnits(Spoiled):
    """One element is off by twice what is allowed."""

    def spoil(self, gradient: Any, case: Case, order: int, k: int) -> Any:
        facts = Point(case, order).facts(order, effort=1)
        truth, noise = (found[k - len(case.inputs)] for found in (facts.truths, facts.noise))
        certain = (truth.status == Status.CERTAIN) & np.isfinite(noise)
        if np.any(certain):
            place = np.unravel_index(int(np.argmax(certain)), certain.shape)
            gradient = gradient.copy()
            gradient[place] += 8 * noise[place]
        return gradient


class OtherSign(Spoiled):
    def spoil(self, gradient: Any, case: Case, order: int, k: int) -> Any:
        return np.where(gradient == 0, gradient, -gradient)


class Transposed(Spoiled):
    """The elements of a matrix are right, but in the order of its transpose."""

    def spoil(self, gradient: Any, case: Case, order: int, k: int) -> Any:
        return gradient.T.reshape(gradient.shape)


class HalfOfFork(Spoiled):
    """Of an input that is used several times, half of the gradient is missing."""

    def spoil(self, gradient: Any, case: Case, order: int, k: int) -> Any:
        operands = [list(step.operands) for step in case.program.steps]
        uses = sum(isinstance(leaf, Ref) and leaf.index == k for leaf in leaves(operands))
        return gradient / 2 if uses > 1 else gradient


def not_an_adapter() -> int:
    return 3


def fails_to_start() -> None:
    raise OSError("the engine's library is not there")


# Helpers.


def case_of(
    f: Callable[..., Any], *inputs: Any, cotangent: Any = None, vectors: Any = None, dtype: str = "float64"
) -> Case:
    """A case from a NumPy function and a point; cotangent and vectors are ones unless given."""
    arrays = tuple(np.array(x, dtype) for x in inputs)
    program = mg.trace(f, *arrays)
    shape = np.shape(program(*arrays))
    along = [np.ones_like(x) for x in arrays] if vectors is None else [np.array(v, dtype) for v in vectors]
    return Case("case", program, arrays, np.array(np.ones(shape) if cotangent is None else cotangent, dtype), (*along,))


def on_trial(subject: type, case: Case, orders: tuple[int, ...] = (1,)) -> Examination:
    """A case, judged with one of the classes above as the subject."""
    return examine(case, Setup(spec(subject), orders=orders))


def label_of(subject: type, case: Case, order: int = 1) -> Label:
    return on_trial(subject, case, (order,)).verdict(spec(subject), order).label


def spec(subject: Callable[..., Any]) -> str:
    return f"tests.trial:{subject.__name__}"
