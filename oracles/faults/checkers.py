"""The gradient checkers of PyTorch, JAX and HIPS autograd, at their defaults, on a rule of minigrad's.

Each gets the case's program as one NumPy function of one vector, in which all inputs are joined, and
for its derivatives minigrad's backward pass: a custom rule, as its users would have it checked.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

import minigrad as mg
from oracles.cases import Case, FloatArray


class Rule:
    """A program as a function of one vector, with its pullback, and that of the pullback; all NumPy in, NumPy out."""

    def __init__(self, case: Case, planted: AbstractContextManager[None]):
        self.program, self.planted = case.program, planted
        self.shapes = [x.shape for x in case.inputs]
        self.point = joined(case.inputs)

    def apart(self, x: Any) -> list[Any]:
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes)])
        return [np.reshape(x[start:end], shape) for start, end, shape in zip(ends, ends[1:], self.shapes, strict=False)]

    def value(self, x: Any) -> FloatArray:
        return np.asarray(self.program(*self.apart(x)))

    def pull(self, x: Any, g: Any) -> FloatArray:
        """The gradient of ``sum(g * value(x))``."""
        with self.planted:
            return joined(mg.vjp(self.program, *self.apart(x))[1](g))

    def pull_of_pull(self, x: Any, g: Any, v: Any) -> tuple[FloatArray, FloatArray]:
        """The gradients of ``sum(v * pull(x, g))``."""

        def along(x: Any, g: Any) -> Any:
            gradients = mg.vjp(self.program, *self.apart(x))[1](g)
            return np.concatenate([np.reshape(gradient, -1) for gradient in gradients])

        with self.planted:
            dx, dg = mg.vjp(along, x, g)[1](v)
        return np.asarray(dx), np.asarray(dg)


def joined(arrays: Sequence[Any]) -> FloatArray:
    return np.concatenate([np.ravel(array) for array in arrays])


def torch_accepts(rule: Rule, order: int) -> bool:
    """``torch.autograd.gradcheck``, and for the second order ``gradgradcheck``."""
    import torch
    from torch.autograd import Function, gradcheck, gradgradcheck

    def tensor(x: Any) -> Any:
        return torch.from_numpy(np.array(x))

    class Pull(Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, g: Any) -> Any:
            ctx.save_for_backward(x, g)
            return tensor(rule.pull(x.numpy(), g.numpy()))

        @staticmethod
        def backward(ctx: Any, v: Any) -> Any:
            x, g = ctx.saved_tensors
            return tuple(map(tensor, rule.pull_of_pull(x.numpy(), g.numpy(), v.numpy())))

    class Value(Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return tensor(rule.value(x.numpy()))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return Pull.apply(*ctx.saved_tensors, g)

    check = gradcheck if order == 1 else gradgradcheck
    return bool(check(Value.apply, (tensor(rule.point).requires_grad_(),), raise_exception=False))


def jax_accepts(rule: Rule, order: int) -> bool:
    """What ``jax.test_util.check_grads`` does in mode "rev": `check_vjp`, and for the second order of the pullback."""
    from jax.test_util import check_vjp

    def value_and_pullback(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        return rule.value(x), lambda g: (rule.pull(x, np.asarray(g)),)

    def second(x: Any) -> Any:
        return rule.pull(x, rule.value(x))

    def second_and_pullback(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        def pullback(v: Any) -> Any:
            dx, dg = rule.pull_of_pull(x, rule.value(x), np.asarray(v))
            return (dx + rule.pull(x, dg),)

        return second(x), pullback

    try:
        if order == 1:
            check_vjp(rule.value, value_and_pullback, (rule.point,))
        else:
            check_vjp(second, second_and_pullback, (rule.point,))
    except AssertionError:
        return False
    return True


def autograd_accepts(rule: Rule, order: int) -> bool:
    """``autograd.test_util.check_grads`` in mode "rev"."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    value = primitive(rule.value)
    pull = primitive(rule.pull)
    defvjp(value, lambda ans, x: lambda g: pull(x, g))
    defvjp(
        pull,
        lambda ans, x, g: lambda v: rule.pull_of_pull(x, g, v)[0],
        lambda ans, x, g: lambda v: rule.pull_of_pull(x, g, v)[1],
    )
    np.random.seed(0)  # the checker draws its directions from NumPy's global state
    try:
        if order == 1:
            check_grads(value, modes=["rev"], order=1)(rule.point)
        else:
            direction = np.random.standard_normal(np.shape(rule.value(rule.point)))
            check_grads(pull, (0, 1), modes=["rev"], order=1)(rule.point, direction)
    except AssertionError:
        return False
    return True


CHECKERS: dict[str, Callable[[Rule, int], bool]] = {
    "torch": torch_accepts,
    "jax": jax_accepts,
    "autograd": autograd_accepts,
}
"""By the library: ``accepts(rule, order)``."""


def installed() -> list[str]:
    return [name for name in CHECKERS if importlib.util.find_spec(name) is not None]


def accepts(name: str, rule: Rule, order: int) -> bool:
    """Whether a checker has nothing against a rule; one that raises has."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return CHECKERS[name](rule, order)
        except Exception:
            return False
