"""The walk back: chain rule, forks and broadcasting, for every function at once.

A forward pass leaves a graph of Tensors, each knowing the call that made it and its parents.
`walk` visits them from the result to the inputs, in reverse order of creation, so that one is
reached only after all of its uses: iteratively, so that a chain of any length works.  Gradients
that meet at a fork are added; each rule runs once per operand that needs it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import float64

from minigrad.errors import ShapeError
from minigrad.protocol import FUNCTIONS, RULES


def walk(roots: list[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield each Tensor that the roots depend on with its gradient; `roots` are pairs (tensor, cotangent).

    The list of roots is emptied, and what has been visited is let go: where nobody else holds the
    graph, its memory is freed as the walk goes.  No gradient that is yielded may be written to: it
    can share memory with another.
    """
    pending: dict[Any, Any] = {}
    queue: list[tuple[int, Any]] = []
    sent: Any = (roots.pop() for _ in range(len(roots)))
    while True:
        for tensor, gradient in sent:
            if tensor in pending:
                pending[tensor] = pending[tensor] + gradient
            else:
                pending[tensor] = gradient
                heapq.heappush(queue, (-tensor.born, tensor))
        if not queue:
            return
        tensor = heapq.heappop(queue)[1]
        gradient = pending.pop(tensor)
        yield tensor, gradient
        sent = contributions(tensor, gradient) if tensor.parents else ()


def contributions(tensor: Any, g: Any) -> list[tuple[Any, Any]]:
    """What a Tensor sends to each of its parents."""
    sent: list[tuple[Any, Any]] = []
    rule = RULES[tensor.function]
    for vjp, parent in zip(rule.vjps, tensor.parents):  # noqa: B905 (equally many, and run for each step)
        if vjp is None or parent is None:
            continue
        gradient = vjp(g, tensor.value, *tensor.operands, **tensor.parameters)
        if isinstance(parent, (list, tuple)):
            sent += parts(gradient, parent, tensor)
        else:
            sent.append((parent, fit(gradient, parent, tensor)))
    return sent


def parts(gradient: Any, parent: Any, tensor: Any) -> Iterator[tuple[Any, Any]]:
    """The gradients of an operand that is a list, at any depth, each with the Tensor that it is for."""
    if isinstance(parent, (list, tuple)):
        for member, part in zip(parent, gradient, strict=True):
            yield from parts(part, member, tensor)
    elif parent is not None:
        yield parent, fit(gradient, parent, tensor)


def fit(gradient: Any, parent: Any, tensor: Any) -> Any:
    """Give a gradient its operand's shape, by undoing broadcasting where there was any, and dtype."""
    value = parent.value
    if type(gradient) is float64 is type(value):  # the usual number, of which nothing is left to ask
        return gradient
    if not hasattr(gradient, "dtype"):
        gradient = np.asarray(gradient)[()]
        if gradient is None:
            raise ShapeError(f"the rule of {FUNCTIONS[tensor.function].name} returned None; let it return an array")
    if gradient.shape != value.shape:
        if not (RULES[tensor.function].broadcasts and broadcasts_to(value.shape, gradient.shape)):
            raise ShapeError(
                f"the rule of {FUNCTIONS[tensor.function].name} returned shape {gradient.shape} for an operand of "
                f"shape {value.shape}; return the operand's shape, or with broadcasts=True one that it broadcasts to"
            )
        gradient = unbroadcast(gradient, value.shape)
    return gradient if gradient.dtype == value.dtype else np.astype(gradient, value.dtype)


def broadcasts_to(shape: tuple[int, ...], wide: tuple[int, ...]) -> bool:
    return len(shape) <= len(wide) and all(n in (1, m) for n, m in zip(shape[::-1], wide[::-1], strict=False))


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which an operand of this shape was repeated."""
    wide = gradient.shape
    new = len(wide) - len(shape)
    stretched = tuple(i for i, n in enumerate(wide) if i < new or (shape[i - new] == 1 and n != 1))
    summed = np.sum(gradient, axis=stretched)
    return summed if summed.shape == shape else np.reshape(summed, shape)
