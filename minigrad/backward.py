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

from minigrad.errors import ShapeError
from minigrad.protocol import FUNCTIONS, RULES, Function


def walk(roots: list[tuple[Any, Any]], add: Function = np.add) -> Iterator[tuple[Any, Any]]:
    """Yield each Tensor that the roots depend on with its gradient; `roots` are pairs (tensor, cotangent).

    The list of roots is emptied, and what has been visited is let go: where nobody else holds the
    graph, its memory is freed as the walk goes.  No gradient that is yielded may be written to: it
    can share memory with another.  `add` joins gradients at a fork.
    """
    pending: dict[Any, Any] = {}
    queue: list[tuple[int, Any]] = []

    def receive(tensor: Any, gradient: Any) -> None:
        if tensor in pending:
            pending[tensor] = add(pending[tensor], gradient)
        else:
            pending[tensor] = gradient
            heapq.heappush(queue, (-tensor.born, tensor))

    while roots:
        receive(*roots.pop())
    while queue:
        tensor = heapq.heappop(queue)[1]
        g = pending.pop(tensor)
        yield tensor, g
        if tensor.function is not None:
            for parent, contribution in contributions(tensor, g):
                receive(parent, contribution)


def contributions(tensor: Any, g: Any) -> Iterator[tuple[Any, Any]]:
    """What a Tensor sends to each of its parents."""
    vjps, broadcasts = RULES[tensor.function]
    for vjp, parent in zip(vjps, tensor.parents, strict=True):
        if vjp is None or parent is None:
            continue
        gradient = vjp(g, tensor.value, *tensor.operands, **tensor.parameters)
        if isinstance(parent, (list, tuple)):
            for member, part in zip(parent, gradient, strict=True):
                if member is not None:
                    yield member, fit(part, member, tensor, broadcasts)
        else:
            yield parent, fit(gradient, parent, tensor, broadcasts)


def fit(gradient: Any, parent: Any, tensor: Any, broadcasts: bool) -> Any:
    """Give a gradient its operand's shape, by undoing broadcasting where there was any, and dtype."""
    if not hasattr(gradient, "dtype"):
        gradient = np.asarray(gradient)[()]
    shape, dtype = parent.value.shape, parent.value.dtype
    if gradient.shape != shape:
        if not (broadcasts and broadcasts_to(shape, gradient.shape)):
            raise ShapeError(
                f"the rule of {FUNCTIONS[tensor.function].name} returned shape {gradient.shape} for an operand of "
                f"shape {shape}; return the operand's shape, or with broadcasts=True one that it broadcasts to"
            )
        gradient = unbroadcast(gradient, shape)
    return gradient if gradient.dtype == dtype else np.astype(gradient, dtype)


def broadcasts_to(shape: tuple[int, ...], wide: tuple[int, ...]) -> bool:
    return len(shape) <= len(wide) and all(n in (1, m) for n, m in zip(shape[::-1], wide[::-1], strict=False))


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which an operand of this shape was repeated."""
    wide = gradient.shape
    new = len(wide) - len(shape)
    stretched = tuple(i for i, n in enumerate(wide) if i < new or (shape[i - new] == 1 and n != 1))
    summed = np.sum(gradient, axis=stretched)
    return summed if summed.shape == shape else np.reshape(summed, shape)
