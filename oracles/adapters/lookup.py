"""Spelling for engines that carry NumPy's names in a namespace of their own: each function is looked up there first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from minigrad.programs import OPERATORS, Program, Spelling
from oracles.adapters import spelled
from oracles.errors import Unsupported


class LookupSpelling(Spelling):
    """A function goes by NumPy's name in the engine's namespace; constants and dtypes stay NumPy's own.

    What is not there, or there without a derivative, is refused by name before anything runs.  What is there and
    then raises, or quietly gives up the gradient, is the engine's own doing, and judged as such.
    """

    engine = ""
    """Its name in messages."""
    home = ""
    """Where NumPy's names are, as in ``anp``."""
    names: Mapping[str, Any] = {}
    """What the source of a program may name: the modules."""
    others: Mapping[str, str] = {}
    """Functions that go by another name, or a template (see `oracles.adapters.spelled`)."""

    def refusal(self, found: Any, parameters: Mapping[str, Any]) -> str:
        """Why a function that was found cannot be differentiated with these parameters, or nothing."""
        return ""

    def call(self, function: str, operands: Sequence[str], parameters: Mapping[str, Any]) -> str:
        if function in OPERATORS or function in ("getitem", "negative"):
            return super().call(function, operands, parameters)
        spelling = self.others.get(function, f"{self.home}.{function}")
        texts = {key: self.parameter(value) for key, value in parameters.items()}
        if "{" not in spelling:
            found = self.found(spelling)
            why = "no such function" if found is None else self.refusal(found, parameters)
            if why:
                raise Unsupported(f"{function}: {self.engine} has {why}")
        return spelled(spelling, operands, texts)

    def found(self, path: str) -> Any:
        """What a dotted path leads to, or None."""
        first, *rest = path.split(".")
        thing = self.names.get(first)
        for name in rest:
            thing = getattr(thing, name, None)
        return thing

    def compiled(self, program: Program) -> Callable[..., Any]:
        """The program as a Python function of the engine's arrays."""
        namespace = dict(self.names)
        exec(program.source(spelling=self), namespace)
        return namespace["program"]  # type: ignore[no-any-return]


@contextlib.contextmanager
def refusals(*messages: str) -> Iterator[None]:
    """What an engine says that it has not implemented is unsupported, not an error.

    `messages` are those by which it says so in assertions.
    """
    try:
        yield
    except NotImplementedError as error:
        raise Unsupported(str(error)) from None
    except AssertionError as error:
        if str(error) in messages:
            raise Unsupported(str(error)) from None
        raise
