"""What can go wrong, by name: each class shows a program that fails and the one that works."""

from __future__ import annotations


class MinigradError(Exception):
    """Base of every error that minigrad raises on purpose."""


class UnsupportedError(MinigradError, NotImplementedError):
    """A NumPy function, or one of its keywords, has no derivative rule here.

    Fails::

        grad(lambda a: np.sum(np.linalg.eigvals(a)))(a)        # may be complex

    Works::

        grad(lambda a: np.sum(np.linalg.eigvalsh(a)))(a)
    """


class MutationError(MinigradError, TypeError):
    """An array that a gradient depends on was about to be overwritten.

    Fails::

        def f(x):
            y = np.zeros(3)
            y += x                # a plain array cannot hold a Tensor
            return np.sum(y)

    Works::

        def f(x):
            y = np.zeros(3)
            y = y + x
            return np.sum(y)
    """


class ConversionError(MinigradError, TypeError):
    """A differentiated or traced value was about to become a plain number or array.

    The derivative would be lost without a word.  Fails::

        grad(lambda x: math.exp(x))(1.0)

    Works::

        grad(lambda x: np.exp(x))(1.0)
    """


class TracedControlFlowError(MinigradError, TypeError):
    """Python control flow asked for a value while a Program was being traced.

    A Program is a straight line, so it cannot hold both branches.  Fails::

        trace(lambda x: x if x > 0 else -x, 3.0)

    Works::

        trace(lambda x: np.where(x > 0, x, -x), 3.0)
    """


class DtypeError(MinigradError, TypeError):
    """A value to differentiate is not a float, or a cotangent has the wrong dtype.

    Fails::

        grad(np.square)(3)

    Works::

        grad(np.square)(3.0)
    """


class ShapeError(MinigradError, ValueError):
    """Shapes do not fit: of a function's result, a cotangent, or a Program's inputs.

    Fails::

        grad(lambda x: 2 * x)(np.ones(3))             # not a scalar

    Works::

        grad(lambda x: np.sum(2 * x))(np.ones(3))
    """


class ProgramError(MinigradError, ValueError):
    """A Program is malformed, or one of its steps cannot run on the given inputs.

    The message names the step as it is numbered in print: (1), (2), ...
    """


class GradientError(MinigradError, AssertionError):
    """A gradient that `check_grads` compared with the limit it should be is something else."""
