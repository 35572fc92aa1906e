"""`circuit`: the course notes' picture of a computation.

Inputs and gates stand from left to right, joined by wires.  On each wire stand its value, green and above, and the
gradient of the result with respect to it, red and below.  From right to left the red numbers show how gradients flow:
an add gate *distributes* its own, a multiply gate *swaps* (each operand gets it times the other operand), a max gate
*routes* it to the larger operand, and where a wire forks the gradients of its branches *add*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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
FLOWS = {"add": "distributes", "multiply": "swaps", "maximum": "routes", "minimum": "routes"}
GREEN, RED, GRAY = "#0a7d28", "#c8102e", "#888"
ROW, BOX, CHAR = 60, 36, 9  # pixels: from a wire to the next below, the height of a gate, the width of a character


class Wire(NamedTuple):
    """What an input or a gate puts out.  Constants are part of the gate's symbol, as in ``1 +``."""

    value: Any
    gradient: Any
    symbol: str
    call: str
    flow: str
    sources: list[str]

    @property
    def tags(self) -> tuple[str, str]:
        return show(self.value), show(self.gradient)


@dataclass(frozen=True, eq=False)
class Circuit:
    """Wires by name: those of the inputs, then v1, v2, ... of gates (1), (2), ..., the last of which is the result."""

    wires: dict[str, Wire]

    def __str__(self) -> str:
        used = [source for wire in self.wires.values() for source in wire.sources]
        rows = [("wire", "value", "gradient", "")]
        for name, wire in self.wires.items():
            flows = filter(None, [wire.flow, "fork adds" * (used.count(name) > 1)])
            rows.append((f"{name} = {wire.call}" if wire.sources else name, *wire.tags, ", ".join(flows)))
        a, b, c, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(f"{call:{a}}  {value:>{b}}  {grad:>{c}}  {flow}".rstrip() for call, value, grad, flow in rows)

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
        shapes, right, before = list[str](), 8, dict[str, int]()
        for column, rows in zip(ends, heights, strict=True):
            joints = [
                (before[s], rows[w] + BOX * (2 * k + 1 - len(into)) // (2 * len(into) + 2))
                for w, into in column.items()
                for k, s in enumerate(into)
            ]
            new = {name: self.wires[name] for name in column if name not in before}
            boxes = {name: max(BOX, CHAR * len(wire.symbol) + 18) for name, wire in new.items()}
            start, left = right, right + 24 + max((abs(y - z) for y, z in joints), default=0) // 4
            middle, centre, label = (start + left) // 2, left + max(boxes.values()) // 2, left + max(boxes.values()) + 6
            right = label + 10 + CHAR * max(len(tag) for wire in new.values() for tag in wire.tags)
            shapes += [f'<path d="M{start} {y}C{middle} {y} {middle} {z} {left} {z}H{centre}"/>' for y, z in joints]
            shapes += [f'<path d="M{centre} {y}H{right}"/>' for y in rows.values()]
            forks = Counter(y for y, _ in joints)
            shapes += [f'<circle cx="{start}" cy="{y}" r="3" fill="{GRAY}"/>' for y in forks if forks[y] > 1]
            for name, wire in new.items():
                y, box = rows[name], boxes[name]
                shapes.append(
                    f'<rect x="{centre - box // 2}" y="{y - BOX // 2}" width="{box}" height="{BOX}" rx="{BOX // 2}" '
                    f'fill="white" stroke-width="{1.5 * bool(wire.sources)}"><title>{escape(wire.call)}</title></rect>'
                )
                for x, drop, anchor, color, text in (
                    (centre, 5, "middle", "black", wire.symbol),
                    (label, -6, "start", GREEN, wire.tags[0]),
                    (label, 17, "start", RED, wire.tags[1]),
                ):
                    at = f'x="{x}" y="{y + drop}" text-anchor="{anchor}"'
                    shapes.append(f'<text {at} fill="{color}" stroke="none">{escape(text)}</text>')
            before = rows
        heights_ = [y for rows in heights for y in rows.values()]
        top, height, width = min(heights_) - ROW // 2 - 4, max(heights_) - min(heights_) + ROW + 8, right + 8
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top} {width} {height}" width="{width}" height="{height}" role="img" '
                f'font-family="monospace" font-size="14" fill="none" stroke="{GRAY}" stroke-width="1.5">',
                "<title>A circuit: on each wire its value, green and above, and its gradient, red and below</title>",
                f'<rect y="{top}" width="100%" height="100%" fill="white" stroke="none"/>',
                *shapes,
                "</svg>",
            ]
        )

    _repr_svg_ = svg


def layout(sources: dict[str, list[str]]) -> tuple[list[dict[str, list[str]]], list[dict[str, int]]]:
    """Per column, what leads from the one before into each wire there, and the wires' heights.

    A gate's column follows its last source's.  Until its last use a wire has a height in each column, clear of gates.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for gate, ends in sources.items():
        first[gate] = last[gate] = 1 + max((first[s] for s in ends), default=-1)
        last |= {s: max(last[s], first[gate] - 1) for s in ends}
    columns = [
        {w: ends if first[w] == c else [w] for w, ends in sources.items() if first[w] <= c <= last[w]}
        for c in range(max(first.values()) + 1)
    ]
    rows = [{w: float(i) for i, w in enumerate(column)} for column in columns]
    for c in [*range(len(columns))] * 20:
        # The mean over neighbours gives the order; rows that are then too close are pushed apart, half up and half down.
        pulls = {w: [row, *(rows[c - 1][s] for s in columns[c][w])] for w, row in rows[c].items()}
        for w, ends in columns[c + 1].items() if c + 1 < len(columns) else ():
            for s in ends:
                pulls[s].append(rows[c + 1][w])
        mean = {w: sum(pull) / len(pull) for w, pull in pulls.items()}
        order = sorted(mean, key=mean.__getitem__)
        slack = np.array([mean[w] - i for i, w in enumerate(order)])
        slack = (np.maximum.accumulate(slack) + np.minimum.accumulate(slack[::-1])[::-1]) / 2
        rows[c] = {w: float(slack[i]) + i for i, w in enumerate(order)}
    return columns, [{w: round(ROW * height) for w, height in column.items()} for column in rows]


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
    wire           value  gradient
    x                 -2        -4
    y                  5        -4
    z                 -4         3
    v1 = x + y         3        -4  distributes
    v2 = v1 * z      -12         1  swaps
    """
    level, given = fresh_level(), _names(f, len(args))
    inputs = [Tensor.at(level, as_floats(arg, name)) for arg, name in zip(args, given, strict=True)]
    result = f(*inputs)
    value = as_floats(result, "the function's result")
    root = result.node if isinstance(result, Tensor) and result.level == level else Node(value)
    gradients = dict(walk(root, as_cotangent(cotangent, root.ans)))
    nodes = sorted(gradients, key=lambda node: node.born)
    names = {root: "constant"} | {tensor.node: name for tensor, name in zip(inputs, given, strict=True)}
    names |= {node: f"v{i}" for i, node in enumerate((node for node in nodes if node.parents), 1)}
    wires = {
        names[node]: Wire(
            owned(innermost(node.ans)),
            owned(innermost(gradients[node])),
            spell(node, dict.fromkeys(names, "")) or names[node],
            spell(node, names),
            FLOWS.get(FUNCTIONS[node.function].name, "") if node.function else "",
            [names[parent] for parent in leaves(node.parents) if parent in gradients],
        )
        for node in nodes
    }
    return Circuit(wires)
