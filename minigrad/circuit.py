"""`circuit`: the course notes' picture of a computation.

Inputs and gates stand from left to right, joined by wires.  On each wire stand its value, green and above, and the
gradient of the result with respect to it, red and below.  From right to left the red numbers show how gradients flow:
an add gate *distributes* its own, a multiply gate *swaps* (each operand gets it times the other operand), a max gate
*routes* it to the larger operand, and where a wire forks the gradients of its branches *add*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from minigrad.backward import Node, walk
from minigrad.program import OPERATORS, slice_text
from minigrad.protocol import FUNCTIONS, Function, innermost, leaves
from minigrad.tensor import Tensor, as_cotangent, as_floats, fresh_level, owned
from minigrad.tracing import _names

CALLS = {name: f"{{}} {sign} {{}}" for name, sign in (OPERATORS | {"power": "**"}).items()}
CALLS |= {"negative": "{} *-1", "getitem": "{}[{}]", "maximum": "max({all})", "minimum": "min({all})"}
FLOWS: dict[Any, str] = {np.add: "distributes", np.multiply: "swaps", np.maximum: "routes", np.minimum: "routes"}
GREEN, RED, GRAY = "#0a7d28", "#c8102e", "#777"
ROW, BOX, CHAR, GAP = 60, 36, 9, 64  # pixels: between rows, the height of a gate, a character, between columns


class Wire(NamedTuple):
    """What an input, which has no sources, or a gate puts out; constants are part of the symbol and of the call."""

    name: str
    symbol: str
    call: str
    sources: list[str]
    value: Any
    gradient: Any
    flow: str

    @property
    def tags(self) -> tuple[str, str]:
        return show(self.value), show(self.gradient)


class Circuit(NamedTuple):
    """Wires by name: those of the inputs, then v1, v2, ... of gates (1), (2), ..., the last of which is the result."""

    wires: Mapping[str, Wire]

    def __str__(self) -> str:
        uses = [source for wire in self.wires.values() for source in wire.sources]
        rows = [("", "wire", "value", "gradient", "")]
        for name, symbol, call, sources, _, _, flow in self.wires.values():
            flows = [flow] * bool(flow) + ["fork adds"] * (uses.count(name) > 1)
            number, text = (f"({name[1:]})", f"{name} = {call}") if sources else ("", name)
            rows.append((number, text, *self.wires[name].tags, ", ".join(flows)))
        n, t, v, g, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(f"{r[0]:{n}}  {r[1]:{t}}  {r[2]:>{v}}  {r[3]:>{g}}  {r[4]}".rstrip() for r in rows)

    def dot(self) -> str:
        """The same as Graphviz text."""
        lines = ["digraph circuit {", "  rankdir=LR", "  node [shape=box style=rounded]"]
        tag = f'[label=<<font color="{GREEN}">{{}}</font><br/><font color="{RED}">{{}}</font>>]'.format
        for name, wire in self.wires.items():
            lines.append(f'  "{name}" [label=<{escape(wire.symbol)}>]')
            lines += [f'  "{s}" -> "{name}" {tag(*self.wires[s].tags)}' for s in wire.sources]
        return "\n".join([*lines, f'  "{name}" -> "" {tag(*wire.tags)}', "}"])

    def svg(self) -> str:
        """The same as a standalone SVG document, on a light ground of its own for pages light and dark."""
        ends, heights = layout({name: wire.sources for name, wire in self.wires.items()})
        forks = [end for into in ends.values() for end in into]
        box = max(BOX, CHAR * max(len(wire.symbol) for wire in self.wires.values()) + 18)
        run = CHAR * max(len(tag) for wire in self.wires.values() for tag in wire.tags) + 12
        paths, shapes = [], []
        for place, into in ends.items():
            (column, name), y = place, heights[place]
            left = (box + run + GAP) * column
            centre, right = left + box // 2, left + box + run
            paths.append(f"M{centre} {y}H{right}")
            for k, end in enumerate(into, 1):
                start, port = heights[end], y + BOX * k // (len(into) + 1) - BOX // 2
                paths.append(f"M{left - GAP} {start}c{GAP // 2} 0 {GAP // 2} {port - start} {GAP} {port - start}H{centre}")
            if forks.count(place) > 1:
                shapes.append(f'<circle cx="{right}" cy="{y}" r="3"/>')
            if (column - 1, name) not in into:
                wire, middle = self.wires[name], (left + box + right) // 2
                value, gradient = wire.tags
                width = max(BOX, CHAR * len(wire.symbol) + 18)
                shapes += [
                    f'<rect x="{centre - width / 2}" y="{y - BOX / 2}" width="{width}" height="{BOX}" rx="{BOX / 2}" fill="white"',
                    f' stroke="{GRAY if into else "white"}"/><text x="{centre}" y="{y + 5}">{escape(wire.symbol)}</text>',
                    f'<text x="{middle}" y="{y - 6}" fill="{GREEN}">{value}</text>',
                    f'<text x="{middle}" y="{y + 17}" fill="{RED}">{gradient}</text>',
                ]
        top, width = min(heights.values()) - ROW // 2, right + 16
        height = max(heights.values()) - top + ROW // 2
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="-8 {top} {width} {height}"'
                ' role="img" font-family="monospace" font-size="14" text-anchor="middle">',
                "<title>A circuit: on each wire its value, green and above, and its gradient, red and below</title>",
                f'<rect x="-8" y="{top}" width="100%" height="100%" fill="white"/>',
                f'<path d="{" ".join(paths)}" fill="none" stroke="{GRAY}"/>',
                *shapes,
                "</svg>",
            ]
        )

    _repr_svg_ = svg


Place = tuple[int, str]


def layout(sources: Mapping[str, list[str]]) -> tuple[dict[Place, list[Place]], dict[Place, int]]:
    """For each place, which is a column and the wire there: the places that lead into it, and its height.

    A gate's column follows its last source's.  Until its last use a wire has a place in each column, clear of gates.
    """
    columns: dict[str, int] = {}
    ends: dict[Place, list[Place]] = {}
    for gate, into in sources.items():
        columns[gate] = 1 + max((columns[s] for s in into), default=-1)
        ends |= {(c, s): [(c - 1, s)] for s in into for c in range(columns[s] + 1, columns[gate])}
        ends[columns[gate], gate] = [(columns[gate] - 1, s) for s in into]
    near = {place: list(into) for place, into in ends.items()}
    for place, into in ends.items():
        for end in into:
            near[end].append(place)
    rows: dict[Place, float] = {}
    for column in [*range(max(columns.values()) + 1)] * 20:
        # The mean over neighbours gives the order; those then too close are pushed apart, half up and half down.
        here = [place for place in ends if place[0] == column]
        mean = {place: np.mean([rows[p] for p in near[place] if p in rows] or [i]) for i, place in enumerate(here)}
        order = sorted(here, key=mean.__getitem__)
        slack = np.array([mean[place] - i for i, place in enumerate(order)])
        slack = (np.maximum.accumulate(slack) + np.minimum.accumulate(slack[::-1])[::-1]) / 2
        rows |= {place: slack[i] + i for i, place in enumerate(order)}
    return ends, {place: round(ROW * row) for place, row in rows.items()}


def show(value: Any, source: Any = None, names: Mapping[Any, str] | None = None) -> str:
    """A wire by its name, a number in a few digits, an array as dtype and shape, any other constant as in Python."""
    if isinstance(value, (list, tuple)):
        sources = source if isinstance(source, (list, tuple)) else [None] * len(value)
        return ", ".join(filter(None, (show(v, s, names) for v, s in zip(value, sources, strict=True))))
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
    return f"{x:.2f}" if x % 1 and 0.1 <= abs(x) < 1e4 else f"{x + 0.0:.4g}"


def spell(node: Node, names: Mapping[Node, str]) -> str:
    """A node's call, or with blanks for the names what its gate says: ``+``, ``1 +``, ``exp``."""
    if node.function is None:
        return names[node]
    texts = [show(o, p, names) for o, p in zip(node.operands, node.parents, strict=True)]
    texts += [f"{key}={show(value)}" for key, value in node.parameters.items()]
    function = FUNCTIONS[node.function].name
    form = CALLS.get(function, function.rpartition(".")[2] + "({all})")
    return form.format(*texts, all=", ".join(filter(None, texts))).strip().removesuffix("()")


def circuit(f: Function, *args: Any, cotangent: Any = None) -> Circuit:
    """Run ``f(*args)`` and back: the circuit of its scalar, or of an array with its `cotangent`.

    >>> from minigrad.circuit import circuit
    >>> print(circuit(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0))
         wire         value  gradient
         x               -2        -4
         y                5        -4
         z               -4         3
    (1)  v1 = x + y       3        -4  distributes
    (2)  v2 = v1 * z    -12         1  swaps
    """
    level, given = fresh_level(), _names(f, len(args))
    inputs = [Tensor.at(level, as_floats(arg, name)) for arg, name in zip(args, given, strict=True)]
    result = f(*inputs)
    value = as_floats(result, "the function's result")
    root = result.node if isinstance(result, Tensor) and result.level == level else Node(value)
    gradients = dict(walk(root, as_cotangent(cotangent, root.ans)))
    names = {tensor.node: name for tensor, name in zip(inputs, given, strict=True)}
    wires = {}
    for node in sorted(gradients, key=lambda node: node.born):
        name = names.setdefault(node, f"v{len(names) - len(inputs) + 1}")
        sources = [names[parent] for parent in leaves(node.parents) if parent in names]
        symbol = spell(node, dict.fromkeys(names, "")) or name
        ans, gradient = owned(innermost(node.ans)), owned(innermost(gradients[node]))
        wires[name] = Wire(name, symbol, spell(node, names), sources, ans, gradient, FLOWS.get(node.function, ""))
    return Circuit(wires)
