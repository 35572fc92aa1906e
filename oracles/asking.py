"""Questions to a party, and the form of its answers: who writes to what is handed in, or changes its mind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.programs import Program
from minigrad.protocol import leaves
from oracles.adapters import Adapter, load
from oracles.cases import Case, FloatArray
from oracles.errors import Unsupported
from oracles.verdict import Answer, Label


class Clock(dict[str, float]):
    """Seconds by name."""

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - start


GUESTS: ContextVar[Mapping[str, Any] | None] = ContextVar("GUESTS", default=None)
"""Adapters that were made here rather than loaded, by name."""


@contextmanager
def seated(name: str, adapter: Any) -> Iterator[None]:
    """Have an adapter answer to `name`."""
    token = GUESTS.set({**(GUESTS.get() or {}), name: adapter})
    try:
        yield
    finally:
        GUESTS.reset(token)


def party(spec: str) -> Adapter:
    """The adapter of this name: a guest, or one that is loaded once a process."""
    guest: Adapter | None = (GUESTS.get() or {}).get(spec)
    return guest or loaded(spec)


@lru_cache(maxsize=16)
def loaded(spec: str) -> Adapter:
    return load(spec)


def ask(spec: str, case: Case, order: int, clock: Clock | None = None, adapter: Any = None) -> Answer:
    """One party's answer; whatever it raises becomes part of it."""
    adapter = adapter or party(spec)
    inputs, vectors = ([x.copy() for x in arrays] for arrays in (case.inputs, case.vectors))
    cotangent = case.cotangent.copy()
    constants = [(array, array.copy()) for array in constants_of(case.program)]
    try:
        with (Clock() if clock is None else clock).of(spec):
            if order == 1:
                answered = adapter.vjp(case.program, inputs, cotangent)
                if not (isinstance(answered, tuple) and len(answered) == 2):
                    why = f"vjp returned a {type(answered).__name__}; it must return (value, gradients)"
                    return Answer(spec, label=Label.STRUCTURE, why=why)
                arrays = [answered[0], *answered[1]]
            else:
                if not hasattr(adapter, "hvp"):
                    raise Unsupported("the adapter has no hvp")
                arrays = list(adapter.hvp(case.program, inputs, cotangent, vectors))
    except Unsupported as error:
        return Answer(spec, label=Label.UNSUPPORTED, why=str(error))
    except Exception as error:  # an engine on trial may raise anything at all
        return Answer(spec, label=Label.ERRORED, why=f"{type(error).__name__}: {error}"[:500])
    finally:
        altered = restored(constants)
    fault = altered or ownership_fault(case, inputs, arrays) or contraction_fault(case, cotangent, vectors)
    return Answer(spec, arrays, Label.STRUCTURE if fault else None, fault)


def constants_of(program: Program) -> list[FloatArray]:
    """The arrays that a program holds."""
    held = [leaf for step in program.steps for leaf in leaves([*step.operands, *step.parameters.values()])]
    return [x for x in held if isinstance(x, np.ndarray)]


def restored(constants: Sequence[tuple[FloatArray, FloatArray]]) -> str:
    """Whether a constant was written to; it is as it was again, so that the truth is of the same program."""
    altered = [(array, own) for array, own in constants if array.tobytes() != own.tobytes()]
    for array, own in altered:
        array[...] = own
    return "a constant of the program was written to" if altered else ""


def ownership_fault(case: Case, inputs: Sequence[FloatArray], arrays: Sequence[Any]) -> str:
    """Whether an input was written to, or shares its memory with a gradient."""
    for declared, given, original in zip(case.program.inputs, inputs, case.inputs, strict=True):
        if given.tobytes() != original.tobytes():
            return f"input {declared.name} was written to"
    gradients = [a for a in arrays[-len(inputs) :] if isinstance(a, np.ndarray)]
    if any(np.shares_memory(g, x) for g in gradients for x in inputs):
        return "a gradient shares memory with an input"
    return ""


def contraction_fault(case: Case, cotangent: FloatArray, vectors: Sequence[FloatArray]) -> str:
    """Whether what the derivative is contracted with was written to."""
    if cotangent.tobytes() != case.cotangent.tobytes():
        return "the cotangent was written to"
    if any(given.tobytes() != vector.tobytes() for given, vector in zip(vectors, case.vectors, strict=True)):
        return "a vector was written to"
    return ""


def steadfast(answer: Answer, case: Case, order: int) -> Answer:
    """The subject's answer; at fault if it is not the same when asked again."""
    if answer.label is not None:
        return answer
    why = differing(answer, case, order)
    return replace(answer, label=Label.STRUCTURE, why=why) if why else answer


def differing(answer: Answer, case: Case, order: int, adapter: Any = None) -> str:
    """Where an answer is another one, in any bit, when the same party is asked the same again; empty if nowhere.

    An engine that draws numbers, or keeps gradients from one call to the next, may stay within the noise.
    """
    again = ask(answer.party, case, order, adapter=adapter)
    if again.label != answer.label or len(again.arrays) != len(answer.arrays):
        return f"asked again, it was {again.label or 'able to answer'}: {again.why}"
    for number, (first, second) in enumerate(zip(answer.arrays, again.arrays, strict=True)):
        if np.asarray(first).tobytes() != np.asarray(second).tobytes():
            return f"asked again, it gave something else as array {number}"
    return ""
