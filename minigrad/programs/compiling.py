"""What is compiled of a staged source: the same lines, with changes that no result shows.

The arguments are looked at first.  A gradient that is another one goes by that one's name.  A sign that a
later line would change back, or could take off where it adds, is not changed: each would be a walk
through an array.  And each variable is let go after its last use.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Iterator, Sequence

from minigrad.programs.program import Input

FIELDS = operator.attrgetter("name", "shape", "dtype")


def as_run(source: str, inputs: Sequence[Input]) -> ast.Module:
    """The source as it runs."""
    module = ast.parse(source)
    function = module.body[-1]
    assert isinstance(function, ast.FunctionDef)
    leave_out_names(function)
    move_signs(function)
    if any(declared.shape for declared in inputs):
        let_go(function)
    if inputs:
        names = ", ".join(declared.name for declared in inputs)
        check = f"if not ({as_declared(inputs)}):\n    {names}, = _checked({names})\n"
        check += f"    if _differs({names}): return _apart({names})"
        function.body[:0] = ast.parse(check).body
    return ast.fix_missing_locations(module)


def as_declared(inputs: Sequence[Input]) -> str:
    """The quickest question that tells arguments as they were declared from most others."""
    numbers: dict[str, list[str]] = {}
    parts = []
    for name, shape, dtype in map(FIELDS, inputs):
        if shape:
            parts.append(
                f"type({name}) is np.ndarray and {name}.shape == {shape} and {name}.dtype is _dtypes[{dtype!r}]"
            )
        else:
            numbers.setdefault(dtype, []).append(f"type({name})")
    return " and ".join([" is ".join([*types, f"np.{dtype}"]) for dtype, types in numbers.items()] + parts)


def let_go(function: ast.FunctionDef) -> None:
    """Delete each variable after its last use: arrays that follow find its memory still in a cache."""
    *lines, ending = function.body
    names = [{node.id: node.ctx for node in ast.walk(line) if isinstance(node, ast.Name)} for line in function.body]
    own = {name for line in names for name, use in line.items() if isinstance(use, ast.Store)}
    needed = own - names.pop().keys()
    function.body = [ending]
    for line, used in zip(reversed(lines), reversed(names), strict=True):
        if last := sorted(needed & used.keys()):
            needed -= used.keys()
            function.body.append(ast.Delete([ast.Name(name, ast.Del()) for name in last]))
        function.body.append(line)
    function.body.reverse()


class Renamed(ast.NodeTransformer):
    """Writes other names for some."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


def leave_out_names(function: ast.FunctionDef) -> None:
    """Leave out lines such as ``dv2 = dv3``, of variables that are assigned to no more."""
    assigned = Counter(name_of(line) for line in function.body if isinstance(line, (ast.Assign, ast.AugAssign)))
    renamed, kept = Renamed(), list[ast.stmt]()
    for line in map(renamed.visit, function.body):
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Name):
            target, value = name_of(line), line.value.id
            if is_gradient(target) and assigned[target] == 1 >= assigned[value]:
                renamed.names[target] = value
                continue
        kept.append(line)
    function.body = kept


def move_signs(function: ast.FunctionDef) -> None:
    """Compute gradients with the other sign where every line that uses them can do with it.

    Products and quotients have the same bits but for the sign, and to add is to take off what has the other one.
    """
    turnable, turned = turnable_gradients(function), set[str]()
    for line in function.body:
        if isinstance(line, ast.AugAssign):
            other, line.value = unsigned(line.value, turned)
            line.op = opposite(line.op) if other else line.op
        elif isinstance(line, ast.Assign) and is_gradient(target := name_of(line)):
            other, value = unsigned(line.value, turned)
            if other and target in turnable:
                turned.add(target)
            line.value = negated(value) if other and target not in turnable else value


def turnable_gradients(function: ast.FunctionDef) -> set[str]:
    """The gradients that may have the other sign in all lines that use them, at no cost."""
    nodes = [node for line in function.body for node in ast.walk(line)]
    uses = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    added_to = {name_of(node) for node in nodes if isinstance(node, ast.AugAssign)}
    does_without, found = Counter[str](), set[str]()
    for line in reversed(function.body):
        if isinstance(line, ast.AugAssign):
            does_without.update(signed_names(line.value))
        elif isinstance(line, ast.Assign) and is_gradient(target := name_of(line)):
            if does_without[target] == uses[target] and target not in added_to:
                found.add(target)
            # A change of sign makes an array of its own, which `dx = -dy` must where `dx` is added to or returned.
            if is_sum(line.value) or target in found or (is_product(line.value) and takes_sign(line.value)):
                does_without.update(signed_names(line.value))
    return found


def name_of(line: ast.Assign | ast.AugAssign) -> str:
    target = line.target if isinstance(line, ast.AugAssign) else line.targets[0]
    assert isinstance(target, ast.Name)
    return target.id


def is_gradient(name: str) -> bool:
    """Whether a variable that is assigned to holds one, which is of floats: an integer's sign is not always free."""
    return name.startswith("d")


def is_sum(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))


def is_product(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div))


def signed_names(node: ast.expr) -> Iterator[str]:
    """The names in an expression that may have the other sign: factors, and what is added second."""
    match node:
        case ast.Name():
            yield node.id
        case ast.UnaryOp(ast.USub()):
            yield from signed_names(node.operand)
        case ast.BinOp() if is_product(node) or is_sum(node):
            yield from signed_names(node.right)
            yield from signed_names(node.left) if is_product(node) else ()


def takes_sign(node: ast.expr) -> bool:
    """Whether a change of sign costs nothing, or is there already."""
    if isinstance(node, ast.BinOp) and is_product(node):
        return takes_sign(node.left) or takes_sign(node.right)
    return isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub))


def unsigned(node: ast.expr, turned: set[str]) -> tuple[bool, ast.expr]:
    """Whether an expression has the other sign than what is left of it without signs, where some names have it too."""
    match node:
        case ast.Name():
            return node.id in turned, node
        case ast.UnaryOp(ast.USub()):
            other, value = unsigned(node.operand, turned)
            return not other, value
        case ast.BinOp() if is_product(node):
            (one, left), (two, right) = unsigned(node.left, turned), unsigned(node.right, turned)
            return one != two, ast.BinOp(left, node.op, right)
        case ast.BinOp() if is_sum(node):
            other, right = unsigned(node.right, turned)
            return False, ast.BinOp(node.left, opposite(node.op) if other else node.op, right)
    return False, node


def opposite(op: ast.operator) -> ast.operator:
    return ast.Sub() if isinstance(op, ast.Add) else ast.Add()


def negated(node: ast.expr) -> ast.expr:
    """The expression with the other sign, by a number in it if there is one."""
    if isinstance(node, ast.BinOp) and is_product(node):
        if takes_sign(node.right) and not takes_sign(node.left):
            return ast.BinOp(node.left, node.op, negated(node.right))
        return ast.BinOp(negated(node.left), node.op, node.right)
    return ast.UnaryOp(ast.USub(), node)
