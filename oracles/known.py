"""What is known of the other parties, as ``known.toml`` has it: other meanings, and findings that open campaigns."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

import minigrad as mg
from oracles.cases import Case, FloatArray


@dataclass(frozen=True)
class Finding:
    """A place where a party is known to be off, with its smallest program."""

    party: str
    label: str
    call: str
    at: Mapping[str, Any]
    order: int
    reason: str
    versions: str
    """The version of the party that it was last seen in."""
    dtype: str = "float64"
    cite: str = ""
    law: str = ""
    """The metamorphic law that it shows by, where none of the party's answers is off by itself."""

    @property
    def explanation(self) -> str:
        """The reason, and where it is written down."""
        return cited(self.reason, self.cite)

    @property
    def id(self) -> str:
        words = "".join(c if c.isalnum() else "-" for c in self.call).strip("-")
        return f"known-{self.party}-{words}-{self.order}" + ("" if self.dtype == "float64" else "-f32")

    def case(self) -> Case:
        """The case that shows it."""
        program, inputs = traced(self.call, self.at, self.dtype)
        value = np.asarray(program(*inputs))
        vectors = tuple(np.linspace(1, 2, x.size).reshape(x.shape).astype(self.dtype) for x in inputs)
        origin = {"name": self.id} | ({"law": self.law} if self.law else {})
        return Case(self.id, program, inputs, np.ones(value.shape, self.dtype), vectors, origin)


def cited(reason: str, cite: str) -> str:
    return f"{reason} ({cite})" if cite else reason


def traced(call: str, at: Mapping[str, Any], dtype: str) -> tuple[mg.Program, tuple[FloatArray, ...]]:
    """The program that a call makes, without steps that nothing takes, and its inputs, by the call's names for them."""
    inputs = tuple(np.array(x, dtype) for x in at.values())
    formula = eval(f"lambda {', '.join(at)}: {call}", {"np": np, "mg": mg, "sp": special()})
    program, used = mg.trace(formula, *inputs).without_dead_steps()
    return program, tuple(inputs[place] for place in used)


def special() -> Any:
    """``scipy.special``, or None where SciPy is not installed."""
    try:
        import scipy.special
    except ImportError:
        return None
    return scipy.special


@lru_cache(maxsize=1)
def entries() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(files("oracles").joinpath("known.toml").read_text())


def findings() -> list[Finding]:
    """All known findings whose function can be had here."""
    found = [Finding(**entry) for entry in entries()["finding"]]
    return [f for f in found if "sp." not in f.call or special() is not None]
