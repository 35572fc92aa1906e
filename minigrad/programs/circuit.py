"""`circuit`: the course notes' picture of a computation.

Inputs and gates stand from left to right, joined by wires.  On each wire stand its value, green and above, and the
gradient of the result with respect to it, red and below.  From right to left the red numbers show how gradients flow:
an add gate *distributes* its own, a multiply gate *swaps* (each operand gets it times the other operand), a max gate
*routes* it to the larger operand, and where a wire forks the gradients of its branches *add*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, Protocol
from xml.sax.saxutils import escape

import numpy as np
import optree

from minigrad.backward import walk
from minigrad.programs.program import OPERATORS, Program, Ref, Step, slice_text
from minigrad.programs.tracing import argument_names
from minigrad.protocol import FUNCTIONS, NAMES, Function, innermost, leaves, map_operand
from minigrad.tensor import Tensor, as_cotangent, as_floats, fresh_level, of_level, owned

CALLS = {name: f"{{}} {sign} {{}}" for name, sign in (OPERATORS | {"power": "**"}).items()}
CALLS |= {
    "negative": "{} *-1",
    "square": "{} ** 2",
    "getitem": "{}[{}]",
    "maximum": "max({all})",
    "minimum": "min({all})",
}
FLOWS = {"add": "distributes", "multiply": "swaps"} | dict.fromkeys(("maximum", "minimum", "max", "min"), "routes")
GREEN, RED, GRAY = "#0a7d28", "#c8102e", "#777"
ROW, GAP, BOX, CHAR = 32, 56, 36, 9  # pixels: half a lane, between columns, a gate's height, a character's width


class Wire(NamedTuple):
    """What an input, which has no sources, or a gate puts out; constants are part of the gate's symbol and call."""

    value: Any
    gradient: Any
    symbol: str
    call: str
    flow: str
    sources: tuple[str, ...]

    @property
    def tags(self) -> tuple[str, str]:
        return show(self.value), "" if self.gradient is None else show(self.gradient)


class Circuit(NamedTuple):
    """Wires by name: of the inputs that are used, then v1, v2, ... of gates (1), (2), ...; the last is the result."""

    wires: Mapping[str, Wire]

    def uses(self, name: str) -> list[str]:
        """The gates that a wire leads into; one that it enters twice counts twice."""
        return [gate for gate, wire in self.wires.items() for source in wire.sources if source == name]

    def __str__(self) -> str:
        rows = [("", "wire", "value", "gradient", "")]
        for name, wire in self.wires.items():
            number, text = (f"({name[1:]})", f"{name} = {wire.call}") if wire.sources else ("", name)
            flow = ", ".join(filter(None, [wire.flow, "fork adds" * (len(self.uses(name)) > 1)]))
            rows.append((number, text, *wire.tags, flow))
        n, t, v, g, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(f"{r[0]:{n}}  {r[1]:{t}}  {r[2]:>{v}}  {r[3]:>{g}}  {r[4]}".rstrip() for r in rows)

    def dot(self) -> str:
        """The same as Graphviz text."""
        lines = ["digraph circuit {", "  rankdir=LR", "  node [shape=box style=rounded]", '  "" [shape=point]']
        tag = f'[label=<<font color="{GREEN}">{{}}</font><br/><font color="{RED}">{{}}</font>>]'.format
        for name, wire in self.wires.items():
            lines.append(f'  "{name}" [label=<{escape(wire.symbol)}>]')
            lines += [f'  "{name}" -> "{gate}" {tag(*wire.tags)}' for gate in self.uses(name) or [""]]
        return "\n".join([*lines, "}"])

    def svg(self) -> str:
        """The same as a standalone SVG document, on a light ground of its own for pages light and dark."""
        # A gate's column follows its last source's.  Its wire keeps one lane up to its last use, clear of other gates.
        first, last, rows = dict[str, int](), dict[str, int](), dict[str, int]()
        for name, wire in self.wires.items():
            first[name] = last[name] = 1 + max((first[s] for s in wire.sources), default=-1)
            last |= {s: max(last[s], first[name] - 1) for s in wire.sources}
        # Inputs start in the order in which the result's formula, written out, would name them.  Then each wire moves,
        # column by column and time and again, to the free lane that is nearest to the mean of its neighbours'.
        formula = [*self.wires][-1:]
        for i, name in enumerate(formula):
            formula[i + 1 : i + 1] = [s for s in self.wires[name].sources if s not in formula]
        for name in sorted(formula, key=first.__getitem__) * 10:
            near = [rows[other] for other in (*self.wires[name].sources, *self.uses(name)) if other in rows]
            mean = round(sum(near) / len(near)) if near else 2 * len(rows)
            full = {rows[o] for o in rows if o != name and first[o] <= last[name] and first[name] <= last[o]}
            rows[name] = next(y for i in count() for y in (mean - i, mean + i) if full.isdisjoint((y - 1, y, y + 1)))
        boxes = {name: max(BOX, CHAR * len(wire.symbol) + 18) for name, wire in self.wires.items()}
        rights, strokes, shapes = [-GAP], list[str](), list[str]()
        for column in range(max(first.values()) + 1):
            new = [name for name in first if first[name] == column]
            rights.append(rights[-1] + GAP + max(boxes[n] + 16 + CHAR * max(map(len, self.wires[n].tags)) for n in new))
        for name, wire in self.wires.items():
            start, y, box = rights[first[name]], ROW * rows[name], boxes[name]
            left, middle = start + GAP, f'x="{start + GAP + box // 2}" text-anchor="middle"'
            strokes.append(f"M{left + BOX // 2} {y}H{rights[last[name] + 1]}")
            for k, s in enumerate(wire.sources, 1):
                rise = y - BOX // 2 + BOX * k // (len(wire.sources) + 1) - ROW * rows[s]
                strokes.append(f"M{start} {ROW * rows[s]}c{GAP // 2} 0 {GAP // 2} {rise} {GAP} {rise}h{BOX // 2}")
                if sum(first[gate] >= first[name] for gate in self.uses(s)) > 1:
                    shapes.append(f'<circle cx="{start}" cy="{ROW * rows[s]}" r="3"/>')
            shapes.append(
                f'<rect x="{left}" y="{y - BOX // 2}" width="{box}" height="{BOX}" rx="{BOX // 2}" fill="white" '
                f'stroke="{GRAY if wire.sources else "white"}"/><text y="{y + 5}" {middle}>{escape(wire.symbol)}</text>'
                f'<text y="{y - 22}" {middle} font-size="12" fill="{GRAY}">{name if wire.sources else ""}</text>'
                f'<text x="{left + box + 6}" y="{y - 6}" fill="{GREEN}">{wire.tags[0]}</text>'
                f'<text x="{left + box + 6}" y="{y + 17}" fill="{RED}">{wire.tags[1]}</text>'
            )
        width, top = rights[-1] + 16, ROW * (min(rows.values()) - 1) - 8
        height = ROW * (max(rows.values()) + 1) - top
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="-8 {top} {width} {height}" role="img" font-family="monospace" font-size="14">\n'
            "<title>On each wire its value, green and above, and its gradient, red and below</title>\n"
            f'<rect x="-8" y="{top}" width="100%" height="100%" fill="white"/>\n'
            f'<path d="{"".join(strokes)}" fill="none" stroke="{GRAY}"/>\n' + "\n".join([*shapes, "</svg>"])
        )

    def _repr_svg_(self) -> str:
        return self.svg()


class Call(Protocol):
    """What a Tensor remembers of the call that made it: operands, and in their places where those came from."""

    @property
    def operands(self) -> Sequence[Any]: ...
    @property
    def parents(self) -> Sequence[Any]: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...


class Record(NamedTuple):
    """The same of a Program's step."""

    operands: Sequence[Any]
    parents: Sequence[Any]
    parameters: Mapping[str, Any]


def show(value: Any, source: Any = None, names: Mapping[Any, str] | None = None) -> str:
    """A wire by its name, a number in a few digits, an array as dtype and shape, any other constant as in Python."""
    if isinstance(value, (list, tuple)):
        sources = source if isinstance(source, (list, tuple)) else [None] * len(value)
        text = ", ".join(filter(None, (show(v, s, names) for v, s in zip(value, sources, strict=True))))
        return f"[{text}]" if text and isinstance(value, list) else text
    if names and source in names:
        return names[source]
    if isinstance(value, slice):
        return slice_text(value)
    array = np.asarray(innermost(value))
    if array.shape:
        return f"{array.dtype}[{','.join(map(str, array.shape))}]"
    if array.dtype.kind not in "iuf":
        return "..." if value is ... else str(value)
    x = float(array)
    return f"{x:.2f}" if x % 1 and 0.1 <= abs(x) < 1e4 else f"{x + 0.0:.{2 if x % 1 else 4}g}"


def spell(function: str, node: Call, names: Mapping[Any, str]) -> str:
    """A call, or with blanks for the names what its gate says: ``+``, ``1 +``, ``exp``."""
    texts = [show(o, p, names) for o, p in zip(node.operands, node.parents, strict=True)]
    texts += [f"{k}={v if isinstance(v, tuple) else show(v)}" for k, v in node.parameters.items()]
    form = CALLS.get(function, function.rpartition(".")[2] + "({all})")
    return form.format(*texts, all=", ".join(filter(None, texts))).strip().removesuffix("()")


def circuit(f: Function, *args: Any, cotangent: Any = None) -> Circuit:
    """Run ``f(*args)`` and back: the circuit of its scalar, or of an array with its `cotangent`.

    Arguments are arrays, nested or not: each has a wire, called such as ``d['w']``.

    >>> from minigrad.programs.circuit import circuit
    >>> print(circuit(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0))
         wire         value  gradient
         x               -2        -4
         y                5        -4
         z               -4         3
    (1)  v1 = x + y       3        -4  distributes
    (2)  v2 = v1 * z    -12         1  swaps
    """
    level, names_of_arguments = fresh_level(), argument_names(f, len(args))
    paths, arrays, structure = optree.tree_flatten_with_accessor(args)
    given = [path[1:].codify(names_of_arguments[path[0].entry]) for path in paths]
    inputs = [Tensor.lift(as_floats(array, name), level) for array, name in zip(arrays, given, strict=True)]
    result = f(*structure.unflatten(inputs))
    root = result if of_level(result, level) else Tensor.lift(as_floats(result, "the function's result"), level)
    gradients = dict(walk([(root, as_cotangent(cotangent, root.value))]))
    nodes, names = [root], dict(zip(inputs, given, strict=True))
    for node in nodes:  # grows on the way; the walk alone would miss those that pass no gradient on, such as conditions
        nodes += {parent for parent in leaves(node.parents) if parent is not None}.difference(nodes)
    wires: dict[str, Wire] = {}
    for node in sorted(nodes, key=lambda node: node.born):
        name = names.setdefault(node, f"v{len(names) - len(inputs) + 1}")
        function = FUNCTIONS[node.function].name if node.function else ""
        symbol, call = (spell(function, node, known) or name for known in (dict.fromkeys(names, ""), names))
        sources = tuple(names[parent] for parent in leaves(node.parents) if parent is not None)
        value = owned(innermost(node.value))
        gradient = owned(innermost(gradients.get(node, np.zeros_like(value))))
        wires[name] = Wire(value, gradient, symbol, call, FLOWS.get(function, ""), sources)
    return Circuit(wires)


def circuit_of(program: Program, inputs: Sequence[Any], gradients: Mapping[str, Any]) -> Circuit:
    """The circuit of what a program's result depends on, run on plain NumPy; gradients are those given by wire."""
    program, used = program.without_dead_steps()
    inputs = [inputs[place] for place in used]
    names = {Ref(place): declared.name for place, declared in enumerate(program.inputs)}
    wires = {
        name: Wire(value, gradients.get(name), name, name, "", ())
        for name, value in zip(names.values(), inputs, strict=True)
    }

    def watch(number: int, step: Step, operands: Sequence[Any], result: Any) -> Any:
        parents = map_operand(lambda leaf: leaf if isinstance(leaf, Ref) else None, step.operands)
        record = Record(step.operands, parents, step.parameters)
        name = names[Ref(len(names))] = f"v{len(names) - len(inputs) + 1}"
        symbol, call = (spell(step.function, record, known) or name for known in (dict.fromkeys(names, ""), names))
        sources = tuple(names[parent] for parent in leaves(parents) if parent is not None)
        wires[name] = Wire(result, gradients.get(name), symbol, call, FLOWS.get(step.function, ""), sources)
        return result

    program.run(inputs, NAMES.__getitem__, watch)
    return Circuit(wires)
