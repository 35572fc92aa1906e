"""Where minigrad says what the derivative of a function is: the lines of its tables, and what they name."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import minigrad
from minigrad import gates
from minigrad.programs import OPERATORS
from minigrad.protocol import FUNCTIONS, Function, Signature
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
    """What it says: one of `ONE` or `MANY`."""

    @property
    def place(self) -> str:
        path = Path(inspect.getfile(self.module)).relative_to(ROOT)
        return f"{path.as_posix()}:{self.call.lineno}"

    @property
    def vjps(self) -> list[ast.expr]:
        """The rule of each operand, or the definition."""
        return self.call.args[1:]

    @cached_property
    def helpers(self) -> dict[str, FunctionType]:
        """What the entry calls that is written out in minigrad: what a reader looks up next."""
        found, names = {}, names_in(self.module)
        for node in self.vjps if self.word in ONE else ():
            for leaf in ast.walk(node):
                function = names.get(leaf.id) if isinstance(leaf, ast.Name) else None
                function = inspect.unwrap(function) if callable(function) else None
                if isinstance(function, FunctionType) and function.__module__.startswith("minigrad"):
                    found[function.__name__] = function
        return found


def names_in(module: ModuleType) -> dict[str, Any]:
    """What the words of a table mean."""
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
    module = "" if own.name.startswith(("minigrad.", "scipy.")) else "np."
    return f"{module}{own.name}({', '.join([*operands, *(f'{name}=' for name in own.parameters)])})"


# In words and in the notation of calculus.


def formulas(function: Function, entry: Entry) -> list[str]:
    """A line per operand: what becomes of ``g``, the gradient with respect to the result; and what helpers mean."""
    own = FUNCTIONS[function]
    called = written_call(own)
    if entry.word == "zero":
        return [f"the derivative of {called} is 0 wherever there is one"]
    if entry.word == "moving":
        return [f"{called} only moves numbers: the gradient of each goes back to where it came from"]
    if entry.word == "define":
        lines = [f"{called} {definition(entry, own.parameters)}"]
    else:
        lines = [rule(name, vjp, called) for name, vjp in zip(own.operands, entry.vjps, strict=False)]
    return [*lines, *helper_lines(entry)]


def written_call(own: Signature) -> str:
    """A call as formulas have it: ``√x``, ``(x / y)``, ``hypot(x, y)``."""
    if own.name in OPERATORS:
        return f"({Formula({})(ast.parse(f' {OPERATORS[own.name]} '.join(own.operands), mode='eval').body)})"
    call = f"{own.name.removeprefix('minigrad.').removeprefix('scipy.special.')}({', '.join(own.operands)})"
    return Formula({})(ast.parse(call, mode="eval").body)


def rule(name: str, vjp: ast.expr, called: str) -> str:
    """One operand's rule."""
    match vjp:
        case ast.Constant(None):
            return f"{name} is not differentiated"
        case ast.Lambda(args, body):
            names = [arg.arg for arg in args.args]
            needed = len(names) - len(args.defaults)
            return f"d{name} = {Formula({'ans': called}, names[needed:])(body)}"
    return f"d{name} = {ast.unparse(vjp)}, applied to g"


def definition(entry: Entry, parameters: Sequence[str]) -> str:
    """What a function is worked out by, if that is a formula."""
    match entry.vjps[0]:
        case ast.Lambda(_, body):
            return f"= {Formula({}, parameters)(body)}"
        case ast.Name(name) if returned := single_return(entry.helpers.get(name)):
            return f"= {Formula({}, parameters)(returned)}"
    return "is worked out by other functions, which have rules of their own: see the code"


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


def summary(function: Any) -> str:
    """What NumPy's own documentation says of it, after the signature; or what minigrad's does."""
    paragraphs = [" ".join(text.split()) for text in (function.__doc__ or "").strip().split("\n\n")]
    name = getattr(function, "__name__", "")
    told = [text for text in paragraphs if text and not text.startswith(f"{name}(")]
    return told[0].replace("`", "") if told else ""


def code(entry: Entry) -> list[str]:
    """The entry, and the helpers that it names, as they are written."""
    lines = [re.sub(r"(?<=\S) {2,}", " ", line) for line in entry.source.splitlines()]
    for helper in entry.helpers.values():
        path = Path(inspect.getfile(helper)).relative_to(ROOT)
        source, line = inspect.getsourcelines(helper)
        text = re.sub(r" +# noqa.*", "", textwrap.dedent("".join(source)))
        lines += ["", f"# {path.as_posix()}:{line}", *text.splitlines()]
    return lines
