"""What the harness raises on purpose; the command line prints each as one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OraclesError(Exception):
    """Base of the harness's errors; `exit_code` is what the command line ends with."""

    exit_code = 2


class UsageError(OraclesError):
    """An option, a file or a subject that cannot be used; the message says what to do instead."""


class MissingError(OraclesError):
    """A framework or library that is not installed; the message says how to install it."""

    exit_code = 3


class HarnessError(OraclesError):
    """The harness itself failed on a case; the message says which, and where it was kept."""

    exit_code = 3


class Unsupported(Exception):  # noqa: N818 (an answer rather than an error)
    """Raised by an adapter for a program that its engine has no function for."""


class GradientMismatch(AssertionError):  # noqa: N818 (a finding rather than an error)
    """A gradient is not what it should be; raised by `oracles.assert_grads`, whose docstring says when."""


class VacuousWarning(UserWarning):
    """A check that passed, but shows nothing: the gradient is zero, does not exist, or is mostly rounding noise."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What was meant by a word that is not known, for a message; nothing if nothing is like it.

    >>> did_you_mean("verfy", ["verify", "report"])
    ' (did you mean verify?)'
    """
    near = difflib.get_close_matches(word, [*known], n=2)
    return f" (did you mean {' or '.join(near)}?)" if near else ""
