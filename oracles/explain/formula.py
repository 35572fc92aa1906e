"""A rule in the notation of calculus: Python's expression, less what only arranges arrays."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

SUM, PRODUCT, POWER, ATOM = range(4)
"""How firmly the parts of a formula hold together."""

SIGNS = {ast.Add: ("+", SUM), ast.Sub: ("-", SUM), ast.Mult: ("·", PRODUCT), ast.Div: ("/", PRODUCT)}
SIGNS |= {ast.MatMult: ("", PRODUCT), ast.BitAnd: ("and", SUM), ast.BitOr: ("or", SUM), ast.Mod: ("mod", PRODUCT)}
COMPARED = {ast.Eq: "=", ast.NotEq: "≠", ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥"}
NAMES = {"math.pi": "π", "np.pi": "π", "np.inf": "∞", "LN2": "ln 2", "LN10": "ln 10"}
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
TRANSPOSED = ("mt", "np.matrix_transpose")

Part = tuple[str, int]


class Formula:
    """Writes expressions; `meaning` has names to be written otherwise, `arranging` those that are left out."""

    def __init__(self, meaning: Mapping[str, str], arranging: Sequence[str] = ()):
        self.meaning = NAMES | dict(meaning)
        self.arranging = {*arranging}

    def __call__(self, node: ast.expr) -> str:
        return self.part(node)[0]

    def part(self, node: ast.expr) -> Part:
        """An expression, and how firmly it holds together."""
        name = ast.unparse(node)
        if name in self.meaning:
            return self.meaning[name], ATOM
        match node:
            case ast.BinOp(left, ast.Pow(), right):
                return self.power(left, right)
            case ast.BinOp(left, op, right) if type(op) in SIGNS:
                sign, rank = SIGNS[type(op)]
                return f"{self.at(left, rank)} {sign} {self.at(right, rank + 1)}".replace("  ", " "), rank
            case ast.UnaryOp(ast.USub(), operand):
                return f"-{self.at(operand, PRODUCT)}", PRODUCT
            case ast.Compare(left, [op], [right]) if type(op) in COMPARED:
                return f"{self.at(left, SUM)} {COMPARED[type(op)]} {self.at(right, SUM)}", SUM
            case ast.IfExp(test, body, orelse):
                return f"{{{self(body)} if {self(test)}, else {self(orelse)}}}", ATOM
            case ast.Call(func, args):
                return self.call(ast.unparse(func), [arg for arg in args if not self.arranges(arg)])
            case ast.Attribute(value, "T"):
                return f"{self.at(value, ATOM)}ᵀ", POWER
            case ast.Subscript(value, index) if not {*map(type, ast.walk(index))} - {ast.Tuple, ast.Constant, ast.Load}:
                # An index of ... and None only adds axes.
                plain = all(c.value in (..., None) for c in ast.walk(index) if isinstance(c, ast.Constant))
                place = ast.unparse(index).strip("()")
                return self.part(value) if plain else (f"{self.at(value, ATOM)}[{place}]", ATOM)
        return name.replace("np.", ""), ATOM

    def at(self, node: ast.expr, rank: int) -> str:
        """An expression as a part of one that holds together as firmly as `rank`."""
        text, own = self.part(node)
        return text if own >= rank else f"({text})"

    def power(self, base: ast.expr, exponent: ast.expr) -> Part:
        match exponent:
            case ast.Constant(int()) | ast.UnaryOp(ast.USub(), ast.Constant(int())):
                return self.at(base, ATOM) + ast.unparse(exponent).translate(RAISED), POWER
        return f"{self.at(base, ATOM)}^{self.at(exponent, ATOM)}", POWER

    def call(self, function: str, args: Sequence[ast.expr]) -> Part:
        match function.removeprefix("np."), args:
            case "square", [x]:
                return f"{self.at(x, ATOM)}²", POWER
            case "sqrt" | "math.sqrt", [x]:
                return f"√{self.at(x, ATOM) if isinstance(x, ast.Name) else f'({self(x)})'}", POWER
            case "abs", [x]:
                return f"|{self(x)}|", ATOM
            case "linalg.inv", [x]:
                return f"{self.at(x, ATOM)}⁻¹", POWER
            case "where", [test, x, y]:
                return f"{{{self(x)} if {self(test)}, else {self(y)}}}", ATOM
            case "swapaxes", [x, *axes] if [ast.unparse(axis) for axis in axes] == ["-1", "-2"]:
                return f"{self.at(x, ATOM)}ᵀ", POWER
            case _, [x] if function in TRANSPOSED:
                return f"{self.at(x, ATOM)}ᵀ", POWER
            case name, _:
                return f"{name}({', '.join(map(self, args))})", ATOM

    def arranges(self, node: ast.expr) -> bool:
        """Whether an argument is made of nothing but what says where numbers go."""
        called = {id(leaf.func) for leaf in ast.walk(node) if isinstance(leaf, ast.Call)}
        names = {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and id(leaf) not in called}
        return bool(names) and names - {"np", "math"} <= self.arranging
