"""What goes wrong between the rules: in the walk back, where gradients meet, and in what the caller gets to hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from minigrad import backward, transforms
from oracles.faults.fault import Plant, Target
from oracles.faults.planting import Planted, replaced

UNBROADCAST, FORK, WALK, CAST, MEMORY = "unbroadcast", "fork", "walk", "cast", "memory"

MECHANISMS = (UNBROADCAST, FORK, WALK, CAST, MEMORY)
"""Undoing broadcasting; adding up what meets; the order of visits; the gradient's dtype; who holds which array."""

Own = Callable[..., Any]


def instead(module: Any, name: str, make: Callable[[Own], Own]) -> Plant:
    """In place of a module's function, what `make` makes of it: once per planted fault, so that it may remember."""

    def plant(target: Target) -> Planted:
        function = make(getattr(module, name))
        return Planted(lambda: replaced(vars(module), name, function))

    return plant


# Broadcasting.


def unbroadcast_by(change: Callable[[Any, tuple[int, ...], Own], Any]) -> Plant:
    return instead(backward, "unbroadcast", lambda own: lambda gradient, shape: change(gradient, shape, own))


def first_alone(gradient: Any, shape: tuple[int, ...], own: Own) -> Any:
    new = gradient.ndim - len(shape)
    kept = gradient[(0,) * new + tuple(slice(n) for n in shape)] if 0 not in gradient.shape else own(gradient, shape)
    return np.reshape(kept, shape)


def mean_instead(gradient: Any, shape: tuple[int, ...], own: Own) -> Any:
    return own(gradient, shape) * np.asarray(math.prod(shape) / max(np.size(gradient), 1), gradient.dtype)


def other_axis(gradient: Any, shape: tuple[int, ...], own: Own) -> Any:
    """Where it can, along the last axis rather than the first."""
    alike = gradient.ndim > 1 and gradient.shape[0] == gradient.shape[-1] and gradient.ndim == len(shape) + 1
    return np.sum(gradient, axis=-1) if alike and gradient.shape[1:] == shape else own(gradient, shape)


def axes_kept(gradient: Any, shape: tuple[int, ...], own: Own) -> Any:
    new = gradient.ndim - len(shape)
    return np.reshape(own(gradient, shape), (1,) * new + shape)


# Forks, and the order of visits.


def joined_by(add: Callable[[Any, Any], Any]) -> Plant:
    """Another way to join the gradients that meet at a fork."""
    return instead(transforms, "walk", lambda own: lambda roots: own(roots, add))


@contextmanager
def visits_in_order_of_arrival() -> Iterator[None]:
    """A value is visited when the first of its uses has been, and again for the next."""

    class Queue:
        """In the place of ``heapq``."""

        @staticmethod
        def heappush(queue: list[Any], item: Any) -> None:
            queue.append(item)

        @staticmethod
        def heappop(queue: list[Any]) -> Any:
            return queue.pop(0)

    with replaced(vars(backward), "heapq", Queue):
        yield


def out_of_order(target: Target) -> AbstractContextManager[None]:
    return Planted(visits_in_order_of_arrival)


# Dtypes.


def cast_by(change: Callable[[Any, Any], Any]) -> Plant:
    """Another cast on the way from a rule to its operand."""

    def make(own: Own) -> Own:
        return lambda gradient, parent, tensor: change(own(gradient, parent, tensor), parent)

    return instead(backward, "fit", make)


def to_float32(gradient: Any, parent: Any) -> Any:
    wide = gradient.dtype == np.float64
    return np.astype(np.astype(gradient, np.float32), np.float64) if wide else gradient


def to_float64(gradient: Any, parent: Any) -> Any:
    return np.astype(gradient, np.float64)


# What the caller gets to hold.


def pulled_by(make: Callable[[], Callable[[Any, Sequence[Any]], Sequence[Any]]]) -> Plant:
    """Other gradients in the caller's hands: ``change(trace, gradients)``, where `make` makes `change`."""

    def plant(target: Target) -> Planted:
        own, change = transforms.Trace.pull, make()

        def pull(trace: Any, cotangents: Sequence[Any], free: bool = False) -> Any:
            return change(trace, own(trace, cotangents, free))

        return Planted(lambda: pull_instead(pull))

    return plant


@contextmanager
def pull_instead(pull: Own) -> Iterator[None]:
    own = transforms.Trace.pull
    transforms.Trace.pull = pull  # type: ignore[method-assign]
    try:
        yield
    finally:
        transforms.Trace.pull = own  # type: ignore[method-assign]


def plain_arrays(trace: Any, gradients: Sequence[Any]) -> bool:
    """Whether these are gradients that a caller gets, of arrays with entries to write to."""
    pairs = zip(trace.inputs, gradients, strict=True)
    return all(isinstance(x.value, np.ndarray) and isinstance(g, np.ndarray) for x, g in pairs)


def in_place_of_input(trace: Any, gradients: Sequence[Any]) -> Sequence[Any]:
    """The gradient comes in the memory of the input."""
    if not plain_arrays(trace, gradients):
        return gradients
    for tensor, gradient in zip(trace.inputs, gradients, strict=True):
        tensor.value[...] = gradient
    return [tensor.value for tensor in trace.inputs]


def scribbled_on(trace: Any, gradients: Sequence[Any]) -> Sequence[Any]:
    """The first input is written to, once its gradient is done."""
    if plain_arrays(trace, gradients):
        trace.inputs[0].value[...] *= 2
    return gradients


not_copied = instead(transforms, "owned", lambda own: lambda gradient: gradient)
"""Gradients may share memory with each other, and with the cotangent."""


def accumulated() -> Callable[[Any, Sequence[Any]], Sequence[Any]]:
    """Gradients of the call before, where it was the same question, are still there to be added to."""
    before: list[Any] = [None, []]

    def change(trace: Any, gradients: Sequence[Any]) -> Sequence[Any]:
        key = [x.value.tobytes() if isinstance(x.value, (np.ndarray, np.generic)) else None for x in trace.inputs]
        if None in key:
            return gradients
        same, left = before[0] == key, before[1]
        before[:] = key, gradients
        return [g + old for g, old in zip(gradients, left, strict=True)] if same else gradients

    return change


def stale() -> Callable[[Any, Sequence[Any]], Sequence[Any]]:
    """Gradients stay in their buffers: the next backward pass with the same shapes gives them again."""
    buffers: dict[Any, Sequence[Any]] = {}

    def change(trace: Any, gradients: Sequence[Any]) -> Sequence[Any]:
        if not plain_arrays(trace, gradients):
            return gradients
        return buffers.setdefault(tuple((g.shape, g.dtype.name) for g in gradients), gradients)

    return change
