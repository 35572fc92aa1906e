"""One function, explained: its formula, its rule in code, what it does to gradients, and what everybody makes of it.

A map, each file leaning only on those above it:

=============  ======================================================================
``formula``    a rule in the notation of calculus
``rules``      where minigrad says what a derivative is
``gates``      what a gate does to a gradient, and a picture of it
``witnesses``  domain, kinks and who chooses what there, accuracy, what is on record
=============  ======================================================================
"""

from __future__ import annotations

import operator
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.programs import OPERATORS
from minigrad.protocol import FUNCTIONS, METHODS, NAMES, UNSUPPORTED
from minigrad.rules.special import load as load_special
from oracles import atlas
from oracles.catalogue import CATALOGUE
from oracles.errors import UsageError, did_you_mean
from oracles.explain import gates, rules, witnesses

WIDTH = 100
"""Columns of a page of text."""

MODULES = ("", "minigrad.", "linalg.", "scipy.special.")
"""Where a function is looked for that is given without its module."""


@dataclass(frozen=True)
class Section:
    """A heading, and what stands under it."""

    title: str
    lines: Sequence[str]


def known_names() -> list[str]:
    """What can be explained, by the name that is least to write."""
    load_special()
    public = [name for name in NAMES if name in CATALOGUE or not name.startswith("minigrad.")]
    last = [name.rpartition(".")[2] for name in public]
    return [short if in_tables(short) == name else name for short, name in zip(last, public, strict=True)]


def in_tables(name: str) -> str:
    """A function's name with its module, or nothing."""
    return next((f"{module}{name}" for module in MODULES if f"{module}{name}" in NAMES), "")


def name_of(word: str) -> str:
    """The name in the tables of a function, however it is called: ``np.tanh``, ``mg.relu``, ``linalg.norm``, ``*``.

    Raises `UsageError` for a function that minigrad refuses, with what to use instead, and for one that is not known.
    """
    load_special()
    by_sign = {sign: name for name, sign in OPERATORS.items()}
    name = re.sub(r"^(np|numpy)\.", "", by_sign.get(word, word))
    name = re.sub(r"^mg\.", "minigrad.", re.sub(r"^(sp|special)\.", "scipy.special.", name))
    if found := in_tables(name):
        return found
    try:
        function = operator.attrgetter(name)(np)
    except AttributeError:
        hint = (
            did_you_mean(name.rpartition(".")[2], known_names())
            or "; functions.csv of a run lists those that programs have"
        )
        raise UsageError(f"function {word!r} is not known{hint}") from None
    ufunc = getattr(function, "__self__", None)
    if isinstance(ufunc, np.ufunc):
        function = METHODS.get((ufunc, function.__name__), function)
    if callable(function) and function in FUNCTIONS:
        return FUNCTIONS[function].name
    instead = UNSUPPORTED.get(name) or UNSUPPORTED.get(name.rpartition(".")[0])
    raise UsageError(f"np.{name} has no derivative here{f'; instead: {instead}' if instead else ''}")


def explain(name: str, parties: Sequence[str], run: Path) -> list[Section]:
    """Everything about a function; `parties` are asked what they choose, and `run` is where accuracy was measured."""
    function, row, entry = NAMES[name], CATALOGUE.get(name), rules.entry_of(NAMES[name])
    sections = [Section(rules.signature(function), [rules.summary(function)])]
    if entry is not None:
        sections.append(Section("Formula, from g, the gradient of the result", rules.formulas(function, entry)))
        sections.append(Section(f"Rule in code, {entry.place}", rules.code(entry)))
    if row is not None:
        sections.append(Section("Gate", [gates.flow(row), *(gates.pictured(name) if gates.has_picture(name) else [])]))
        sections.append(Section("Domain", witnesses.domain(row)))
        if name in atlas.NAMES:
            title = f"At kinks, edges and extremes, in float64: {', '.join(parties)}"
            sections.append(Section(title, witnesses.choices(row, parties)))
    sections.append(Section("On record", witnesses.record(name) or ["nothing is known against anybody"]))
    sections.append(Section("Accuracy, in ULPs from the certified truth", witnesses.accuracy(name, run)))
    sections.append(Section("Programs that have it", witnesses.programs(name, run)))
    return sections


def shown(sections: Sequence[Section]) -> str:
    """Sections one below the other."""
    blocks = ([each.title, *(part for line in each.lines for part in folded(f"  {line}"))] for each in sections)
    return "\n\n".join(map("\n".join, blocks))


def folded(line: str) -> list[str]:
    """A line that is too long in several, which are indented more."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]
