"""Where minigrad says what the derivative of a function is: the lines of its tables, and what they name."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import minigrad
from minigrad import gates
from minigrad.protocol import FUNCTIONS, Function
from minigrad.rules import absent, elementwise, linalg, places, products, reductions, special
from oracles.explain.formula import Formula

TABLES: tuple[ModuleType, ...] = (gates, elementwise, products, places, reductions, linalg, special, absent)

ONE = ("broadcasting", "defvjp", "elementwise", "define")
"""Words of the tables that say something of one function."""

MANY = ("moving", "zero")
"""Words that say the same of several."""

ROOT = Path(minigrad.__file__).parents[1]


@dataclass(frozen=True)
class Entry:
    """The statement of a table about a function."""

    module: ModuleType
    call: ast.Call
    source: str
    word: str

    @property
    def place(self) -> str:
        path = Path(inspect.getfile(self.module)).relative_to(ROOT)
        return f"{path.as_posix()}:{self.call.lineno}"

    @property
    def names(self) -> dict[str, Any]:
        """What the table's words mean."""
        return names_in(self.module)

    @cached_property
    def vjps(self) -> list[ast.expr]:
        """The rule of each operand, or the definition."""
        return self.call.args[1:]

    @cached_property
    def helpers(self) -> dict[str, FunctionType]:
        """What the entry calls that is written out in minigrad: what a reader looks up next."""
        found = {}
        for node in self.call.args[1:] if self.word in ONE else ():
            for leaf in ast.walk(node):
                function = self.names.get(leaf.id) if isinstance(leaf, ast.Name) else None
                function = inspect.unwrap(function) if callable(function) else None
                if isinstance(function, FunctionType) and function.__module__.startswith("minigrad"):
                    found[function.__name__] = function
        return found


def names_in(module: ModuleType) -> dict[str, Any]:
    return {**vars(module), "sp": sys.modules.get("scipy.special")}


@lru_cache(maxsize=1)
def entries() -> list[tuple[Entry, tuple[Function, ...]]]:
    """Every entry of the tables, with the functions that it is about."""
    found = []
    for module in TABLES:
        text = inspect.getsource(module)
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Expr(ast.Call(ast.Name(word), args) as call) if word in ONE + MANY:
                    source = textwrap.dedent(ast.get_source_segment(text, call, padded=True) or "")
                    named = args[:1] if word in ONE else [leaf for arg in args for leaf in leaves(arg)]
                    functions = tuple(filter(callable, (meant(each, module) for each in named)))
                    found.append((Entry(module, call, source, word), functions))
    return found


def leaves(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Tuple):
        for item in node.elts:
            yield from leaves(item)
    else:
        yield node


def meant(node: ast.expr, module: ModuleType) -> Any:
    """What an expression of a table is, if that is to be had here."""
    try:
        return eval(ast.unparse(node), names_in(module))
    except (AttributeError, NameError):
        return None


def entry_of(function: Function) -> Entry | None:
    """The entry about a function."""
    return next((entry for entry, functions in entries() if any(f is function for f in functions)), None)


def signature(function: Function) -> str:
    """How it is called: its operands, and what it takes by name."""
    own = FUNCTIONS[function]
    operands = ["*operands"] if own.variadic else [*own.operands]
    return f"{own.name}({', '.join([*operands, *(f'{name}=' for name in own.parameters)])})"


# In words and in the notation of calculus.


def formulas(function: Function, entry: Entry) -> list[str]:
    """A line per operand: what becomes of ``g``, the gradient with respect to the result; and what helpers mean."""
    own = FUNCTIONS[function]
    called = f"{own.name.rpartition('.')[2]}({', '.join(own.operands)})"
    if entry.word == "zero":
        return [f"the derivative of {called} is 0 wherever there is one"]
    if entry.word == "moving":
        return [f"{called} only moves numbers: the gradient of each goes back to where it came from"]
    if entry.word == "define":
        lines = [f"{called} = {definition(entry)}"]
    else:
        lines = [f"d{name} = {rule(vjp, called)}" for name, vjp in zip(own.operands, entry.vjps, strict=False)]
    return [*lines, *helper_lines(entry)]


def rule(node: ast.expr, called: str) -> str:
    """One operand's rule."""
    match node:
        case ast.Constant(None):
            return "none: it is not differentiated"
        case ast.Lambda(args, body):
            names = [arg.arg for arg in args.args]
            needed = len(names) - len(args.defaults)
            return Formula({"ans": called}, names[needed:])(body)
    return f"{ast.unparse(node)}, applied to g"


def definition(entry: Entry) -> str:
    """What a function is worked out by: its formula if it is one, else the name of what does it."""
    match entry.vjps[0]:
        case ast.Lambda(_, body):
            return Formula({})(body)
        case ast.Name(name) if returned := single_return(entry.helpers.get(name)):
            return Formula({})(returned)
    return f"{ast.unparse(entry.vjps[0])}, differentiated step by step"


def single_return(function: FunctionType | None) -> ast.expr | None:
    """What a function returns, if it does nothing else."""
    match ast.parse(textwrap.dedent(inspect.getsource(function))).body if function else []:
        case [ast.FunctionDef(body=[*_, ast.Return(ast.expr() as value)] as body)]:
            documented = len(body) == 2 and isinstance(body[0], ast.Expr)
            return value if documented or len(body) == 1 else None
    return None


def helper_lines(entry: Entry) -> list[str]:
    """What the helpers are, of those that say so."""
    return [
        f"{name}({', '.join(inspect.signature(helper).parameters)}): {first_sentence(helper)}"
        for name, helper in entry.helpers.items()
        if helper.__doc__
    ]


def first_sentence(function: Any) -> str:
    """How a function's documentation begins, without its markup."""
    return " ".join((function.__doc__ or "").strip().partition("\n\n")[0].split()).replace("`", "")


def code(entry: Entry) -> list[str]:
    """The entry, and the helpers that it names, as they are written."""
    lines = entry.source.splitlines()
    for helper in entry.helpers.values():
        path = Path(inspect.getfile(helper)).relative_to(ROOT)
        source, line = inspect.getsourcelines(helper)
        lines += ["", f"# {path.as_posix()}:{line}", *textwrap.dedent("".join(source)).splitlines()]
    return lines
