"""The walk back: chain rule, forks and broadcasting, for every function at once.

A forward pass leaves a graph of `Node`s.  `walk` visits them from the result to the inputs, in
reverse order of creation, so that a node is reached only after all of its uses: iteratively, so
that a chain of any length works.  Gradients that meet at a fork are added; the rule of each node
runs once per operand that needs it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.errors import ShapeError
from minigrad.protocol import FUNCTIONS, Function
from minigrad.rules import RULES, Rule

_births = itertools.count()


class Node:
    """One recorded call, or an input: what the backward pass needs to know of it."""

    __slots__ = ("__weakref__", "ans", "born", "function", "grad", "operands", "parameters", "parents", "rule")

    def __init__(
        self,
        ans: Any,
        function: Function | None = None,
        operands: list[Any] | None = None,
        parameters: dict[str, Any] | None = None,
        parents: list[Any] | None = None,
    ):
        self.ans = ans
        self.function = function
        self.rule: Rule | None = None if function is None else RULES[function]
        self.operands = operands or []
        self.parameters = parameters or {}
        self.parents = parents or []
        """Per operand: its Node, None for a constant, or a list of these for a list of arrays."""
        self.born = next(_births)
        self.grad: Any = None


def walk(root: Node, cotangent: Any) -> Iterator[tuple[Node, Any]]:
    """Yield each node that `root` depends on with its gradient; `cotangent` is that of `root`.

    Gradients are freed as the walk goes.  None that is yielded may be written to: it can share
    memory with another.
    """
    pending = {root: cotangent}
    queue = [(-root.born, root)]
    while queue:
        _, node = heapq.heappop(queue)
        g = pending.pop(node)
        yield node, g
        for parent, contribution in contributions(node, g):
            if parent in pending:
                pending[parent] = pending[parent] + contribution
            else:
                pending[parent] = contribution
                heapq.heappush(queue, (-parent.born, parent))


def contributions(node: Node, g: Any) -> Iterator[tuple[Node, Any]]:
    """What `node` sends to each of its parents."""
    if node.rule is None:
        return
    for vjp, parent in zip(node.rule.vjps, node.parents, strict=True):
        if vjp is None or parent is None:
            continue
        gradient = vjp(g, node.ans, *node.operands, **node.parameters)
        if isinstance(parent, Node):
            yield parent, fit(np.stack(gradient) if isinstance(gradient, list) else gradient, parent, node)
        else:
            for member, part in zip(parent, gradient, strict=True):
                if member is not None:
                    yield member, fit(part, member, node)


def fit(gradient: Any, parent: Node, node: Node) -> Any:
    """Give a gradient its operand's shape, by undoing broadcasting where there was any, and dtype."""
    shape, dtype = np.shape(parent.ans), parent.ans.dtype
    if np.shape(gradient) != shape:
        assert node.rule is not None
        assert node.function is not None
        if not (node.rule.broadcasts and broadcasts_to(shape, np.shape(gradient))):
            raise ShapeError(
                f"the rule of {FUNCTIONS[node.function].name} returned shape {np.shape(gradient)} for an operand of "
                f"shape {shape}; return the operand's shape, or with broadcasts=True one that it broadcasts to"
            )
        gradient = unbroadcast(gradient, shape)
    return gradient if gradient.dtype == dtype else np.astype(gradient, dtype)


def broadcasts_to(shape: tuple[int, ...], wide: tuple[int, ...]) -> bool:
    return len(shape) <= len(wide) and all(n in (1, m) for n, m in zip(shape[::-1], wide[::-1], strict=False))


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which an operand of this shape was repeated."""
    wide = np.shape(gradient)
    new = len(wide) - len(shape)
    stretched = tuple(i for i, n in enumerate(wide) if i < new or (shape[i - new] == 1 and n != 1))
    return np.reshape(np.sum(gradient, axis=stretched), shape)
