"""``circuit``: what it knows of a computation, and the three ways it shows it."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.testing as npt
import pytest

import minigrad as mg
from minigrad import DtypeError, ShapeError, Tensor
from minigrad.programs.circuit import GAP, GREEN, RED, Circuit, circuit, circuit_of, show
from minigrad.protocol import Function
from tests.support import forget_primitives

_registry = pytest.fixture(forget_primitives, autouse=True)


def three(x: Any, y: Any, z: Any) -> Any:
    return (x + y) * z


def neuron(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def forty(x: Any, y: Any, z: Any, w: Any) -> Any:
    """Long wires, forks near and far, a list of operands, large and tiny numbers."""
    a, b = np.tanh(x * y + z), 1 / (1 + np.exp(-(y * w - x)))
    c = np.maximum(a * b, z)
    stacked = np.stack([a, b, c, x])
    e = np.sum(stacked * stacked)
    h = np.exp(-e * w) + np.log(c * c + 1.5)
    k = (a + b) * (c + h) - (x - w) ** 2 / (e + 1)
    m = np.sin(k) * np.cos(a) + np.minimum(b, h) * x
    return np.sqrt(m * m + 1) * k / (1e5 + y) + np.where(k > 0, m * z, k * w) * 1e-17


def layers(W1: Any, b: Any, W2: Any, x: Any) -> Any:
    scores = W2 @ np.maximum(W1 @ x + b, 0)
    return -scores[1] + np.log(np.sum(np.exp(scores - np.max(scores)), axis=0)) + 0.5 * np.sum(W1 * W1)


THREE = circuit(three, -2.0, 5.0, -4.0)
NEURON = circuit(neuron, 2.0, -1.0, -3.0, -2.0, -3.0)
FORTY = circuit(forty, 0.5, -1.2, 0.7, 2.0)
LAYERS = circuit(layers, np.ones((5, 4)), np.ones(5), np.arange(15.0).reshape(3, 5), np.ones(4))
STACK = circuit(lambda x, y: np.sum(np.concatenate([np.stack([x, y]), np.stack([y, 1.0]), np.ones(2)])), 2.0, 3.0)
SQUARE = circuit(lambda x: x * x, 3.0)
PICTURES = {"three": THREE, "neuron": NEURON, "forty": FORTY, "layers": LAYERS, "stack": STACK, "square": SQUARE}

drawn = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


def tags(picture: Circuit) -> dict[str, tuple[str, str]]:
    return {name: wire.tags for name, wire in picture.wires.items()}


# What it knows.


def test_figure_of_three_inputs() -> None:
    want = {"x": (-2, -4), "y": (5, -4), "z": (-4, 3), "v1": (3, -4), "v2": (-12, 1)}
    assert {name: (wire.value, wire.gradient) for name, wire in THREE.wires.items()} == want


def test_figure_of_the_neuron() -> None:
    assert tags(NEURON) == {
        "w0": ("2", "-0.20"),
        "x0": ("-1", "0.39"),
        "w1": ("-3", "-0.39"),
        "x1": ("-2", "-0.59"),
        "w2": ("-3", "0.20"),
        "v1": ("-2", "0.20"),
        "v2": ("6", "0.20"),
        "v3": ("4", "0.20"),
        "v4": ("1", "0.20"),
        "v5": ("-1", "-0.20"),
        "v6": ("0.37", "-0.53"),
        "v7": ("1.37", "-0.53"),
        "v8": ("0.73", "1"),
    }


def test_gradients_are_those_of_grad() -> None:
    want = mg.grad(forty, argnums=(0, 1, 2, 3))(0.5, -1.2, 0.7, 2.0)
    npt.assert_array_equal([FORTY.wires[name].gradient for name in "xyzw"], want)


def test_sources_come_in_the_order_of_the_operands() -> None:
    picture = circuit(lambda x, y: (y - x) / y, 2.0, 3.0)
    assert [wire.sources for wire in picture.wires.values()] == [(), (), ("y", "x"), ("v1", "y")]


def test_members_of_a_list_are_sources_and_constants() -> None:
    wires = STACK.wires
    assert [wires[name].sources for name in ("v1", "v2", "v3")] == [("x", "y"), ("y",), ("v1", "v2")]
    assert [wires[name].call for name in ("v1", "v2")] == ["stack([x, y])", "stack([y, 1])"]
    assert wires["v3"].call == "concatenate([v1, v2, float64[2]])"


@pytest.mark.parametrize(
    ("f", "symbol", "call"),
    [
        (lambda x: x + x, "+", "x + x"),
        (lambda x: x - x, "-", "x - x"),
        (lambda x: 1 + x, "1 +", "1 + x"),
        (lambda x: x + 1, "+ 1", "x + 1"),
        (lambda x: 1 / x, "1 /", "1 / x"),
        (lambda x: x**2, "** 2", "x ** 2"),
        (lambda x: 0.125 * x, "0.12 *", "0.12 * x"),
        (lambda x: x @ np.ones(2), "@ float64[2]", "x @ float64[2]"),
        (lambda x: -x, "*-1", "x *-1"),
        (lambda x: np.exp(x), "exp", "exp(x)"),
        (lambda x: np.maximum(x, x), "max", "max(x, x)"),
        (lambda x: np.minimum(0, x), "min(0)", "min(0, x)"),
        (lambda x: np.sum(x, axis=0), "sum(axis=0)", "sum(x, axis=0)"),
        (lambda x: x.reshape(2, 1), "reshape(shape=(2, 1))", "reshape(x, shape=(2, 1))"),
        (lambda x: x[1], "[1]", "x[1]"),
        (lambda x: x[..., 1:, None], "[..., 1:, None]", "x[..., 1:, None]"),
        (lambda x: x[[0, 1]], "[[0, 1]]", "x[[0, 1]]"),
        (lambda x: x[np.array([0, 1])], "[int64[2]]", "x[int64[2]]"),
        (lambda x: np.where([True, False], x, 0), "where(bool[2], 0)", "where(bool[2], x, 0)"),
        (lambda x: x.astype(np.float32), "astype(float32)", "astype(x, float32)"),
        (lambda x: np.stack([x, x]), "stack", "stack([x, x])"),
    ],
)
def test_symbol_and_call(f: Function, symbol: str, call: str) -> None:
    x = np.array([1.0, 2.0])
    gate = circuit(f, x, cotangent=np.ones_like(f(Tensor(x)).value)).wires["v1"]
    assert (gate.symbol, gate.call) == (symbol, call)


def test_inputs_have_the_names_of_the_parameters() -> None:
    assert list(circuit(lambda height, width: height * width, 2.0, 3.0).wires) == ["height", "width", "v1"]


def test_inputs_without_names_are_numbered() -> None:
    assert list(circuit(lambda *args: args[0] * args[1], 2.0, 3.0).wires) == ["x1", "x2", "v1"]


def test_only_what_the_result_was_computed_from() -> None:
    def f(x: Any, unused: Any) -> Any:
        np.sin(x)
        return x + np.floor(x) + (x * x - x * x if x < 0 else 0)

    picture = circuit(f, 1.5, 3.0)
    assert [wire.call for wire in picture.wires.values()] == ["x", "x + 1", "v1 + 0"]


def test_wire_that_passes_no_gradient_on_has_gradient_zero() -> None:
    wires = circuit(lambda x, y: np.where(x, y, 2 * y), np.float32(5), 3.0).wires
    assert (wires["x"].value, wires["x"].gradient, wires["x"].gradient.dtype) == (5, 0, "float32")
    assert wires["v2"].sources == ("x", "y", "v1")


def test_gates_are_numbered_in_the_order_of_computation() -> None:
    gates = [wire for wire in FORTY.wires.values() if wire.sources]
    assert list(FORTY.wires) == [*"xyzw", *(f"v{i}" for i in range(1, len(gates) + 1))]
    assert len(gates) >= 40


def test_result_that_is_an_input() -> None:
    picture = circuit(lambda x: x, 3.0)
    assert tags(picture) == {"x": ("3", "1")}
    assert len(boxes(picture)) == 1


def test_result_that_depends_on_nothing() -> None:
    assert tags(circuit(lambda x: 7.0, 3.0)) == {"v1": ("7", "1")}


def test_result_of_another_derivative_is_a_constant() -> None:
    outer = Tensor(2.0) * 3
    assert tags(circuit(lambda x: outer, 3.0)) == {"v1": ("6", "1")}


def test_array_as_a_result_needs_a_cotangent() -> None:
    with pytest.raises(ShapeError, match=r"shape \(2,\), not \(\)"):
        circuit(lambda x: 2 * x, np.ones(2))


def test_cotangent() -> None:
    wires = circuit(lambda x: 2 * x, np.ones(2), cotangent=np.array([1.0, 10.0])).wires
    npt.assert_array_equal(wires["v1"].gradient, [1, 10])
    npt.assert_array_equal(wires["x"].gradient, [2, 20])


def test_cotangent_of_another_shape() -> None:
    with pytest.raises(ShapeError, match="cotangent has shape"):
        circuit(lambda x: 2 * x, np.ones(2), cotangent=np.ones(3))


def test_integer_is_refused_by_name() -> None:
    with pytest.raises(DtypeError, match="height has dtype int64"):
        circuit(lambda height: height * 2, 3)


def test_result_that_is_no_float() -> None:
    with pytest.raises(DtypeError, match="result"):
        circuit(lambda x: x > 0, 3.0)


def test_keeps_nothing_of_the_arguments() -> None:
    x = np.ones(2)
    picture = circuit(lambda x: np.sum(x), x)
    x[:] = 7
    npt.assert_array_equal(picture.wires["x"].value, [1, 1])


def test_within_another_derivative() -> None:
    x = Tensor(2.0)
    assert tags(circuit(lambda y: x * y * y, x * x))["y"] == ("4", "16")


# Numbers.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.7310585786300049, "0.73"),
        (-0.19661193324148185, "-0.20"),
        (0.5, "0.50"),
        (1 - 1e-9, "1.00"),
        (1.0, "1"),
        (-12.0, "-12"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.018, "0.018"),
        (1.2e-17, "1.2e-17"),
        (-1.234e-300, "-1.2e-300"),
        (4321.5, "4321.50"),
        (12345.6, "1.2e+04"),
        (1234567.0, "1.235e+06"),
        (9.87e30, "9.87e+30"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        (np.float32(0.1), "0.10"),
        (np.array(0.25), "0.25"),
        (np.ones((3, 4)), "float64[3,4]"),
        (np.ones((0,), np.float32), "float32[0]"),
        (Tensor(2.0), "2"),
    ],
)
def test_number(value: Any, text: str) -> None:
    assert show(value) == text


def test_infinity_and_nan_are_shown() -> None:
    with np.errstate(all="ignore"):
        picture = circuit(lambda x: (x - x) / x, 0.0)
    assert tags(picture)["v2"] == ("nan", "1")
    assert tags(picture)["v1"] == ("0", "inf")


# As text.


def test_listing() -> None:
    picture = circuit(lambda x: np.maximum(x * np.ones((3, 4)), 0)[1, 2], 0.5)
    assert str(picture).splitlines() == [
        "     wire                          value      gradient",
        "     x                              0.50             1",
        "(1)  v1 = x * float64[3,4]  float64[3,4]  float64[3,4]  swaps",
        "(2)  v2 = max(v1, 0)        float64[3,4]  float64[3,4]  routes",
        "(3)  v3 = v2[1, 2]                  0.50             1",
    ]


@drawn
def test_listing_has_every_wire_and_numbers_the_gates(picture: Circuit) -> None:
    _, *lines = str(picture).splitlines()
    assert len(lines) == len(picture.wires)
    number = 0
    for line, (name, wire) in zip(lines, picture.wires.items(), strict=True):
        number += bool(wire.sources)
        start = f"({number}) {name} = {wire.call}" if wire.sources else name
        assert " ".join(line.split()).startswith(" ".join([start, *wire.tags]))


@pytest.mark.parametrize(
    ("f", "flow"),
    [
        (lambda x: x + 1, "distributes"),
        (lambda x: x * 3, "swaps"),
        (lambda x: np.maximum(x, 1), "routes"),
        (lambda x: np.minimum(x, 1), "routes"),
        (lambda x: np.max(x), "routes"),
        (lambda x: x / 3, ""),
    ],
)
def test_flow(f: Function, flow: str) -> None:
    x, v1 = str(circuit(f, 2.0)).splitlines()[1:]
    assert re.split(r"\s{2,}", v1)[4:] == [flow] * bool(flow)
    assert "adds" not in x + v1


def test_fork_adds() -> None:
    x, y, v1, v2, v3 = str(circuit(lambda x, y: (x * y + y) * x, 2.0, 3.0)).splitlines()[1:]
    assert [line.endswith("fork adds") for line in (x, y, v1, v2, v3)] == [True, True, False, False, False]


def test_gate_whose_wire_forks_has_both_flows() -> None:
    def f(x: Any) -> Any:
        y = x + 1
        return y * y

    assert "distributes, fork adds" in str(circuit(f, 2.0))


# As Graphviz text.


@drawn
def test_dot_has_every_wire_with_its_value_above_its_gradient(picture: Circuit) -> None:
    found = re.findall(
        r'^  "(\w+)" -> "(\w*)" \[label=<<font color="(.*?)">(.*?)</font><br/><font color="(.*?)">(.*?)</font>>\]$',
        picture.dot(),
        re.MULTILINE,
    )
    wires = [(s, name) for name, wire in picture.wires.items() for s in wire.sources] + [(list(picture.wires)[-1], "")]
    want = [(s, name, GREEN, tags(picture)[s][0], RED, tags(picture)[s][1]) for s, name in wires]
    assert sorted(found) == sorted(want)
    assert picture.dot().count('" -> "') == len(want)


@drawn
def test_dot_has_every_gate(picture: Circuit) -> None:
    found = dict(re.findall(r'^  "(\w+)" \[label=<(.*?)>\]$', picture.dot(), re.MULTILINE))
    assert found == {name: wire.symbol for name, wire in picture.wires.items()}


# As a picture.

GLYPH = 8.43  # the widest that a character of a usual monospaced font is at 14 pixels


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def disjoint(self, other: Box) -> bool:
        apart = self.right <= other.left or other.right <= self.left
        return apart or self.bottom <= other.top or other.bottom <= self.top


class Text(NamedTuple):
    text: str
    fill: str | None
    size: float
    box: Box


def elements(picture: Circuit, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(picture.svg()).iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def boxes(picture: Circuit) -> list[Box]:
    """Those of inputs and gates, in the order of the wires."""
    rects = [{k: float(v) for k, v in e.items() if k not in ("fill", "stroke")} for e in elements(picture, "rect")[1:]]
    return [Box(r["x"], r["y"], r["x"] + r["width"], r["y"] + r["height"]) for r in rects]


def texts(picture: Circuit) -> list[Text]:
    found = []
    for e in elements(picture, "text"):
        if e.text:
            x, y, size = float(e.attrib["x"]), float(e.attrib["y"]), float(e.get("font-size", 14))
            width = len(e.text) * GLYPH * size / 14
            left = x - width / 2 if e.get("text-anchor") == "middle" else x
            found.append(Text(e.text, e.get("fill"), size, Box(left, y - 0.75 * size, left + width, y + 0.2 * size)))
    return found


def lanes(picture: Circuit) -> list[tuple[float, float, float]]:
    """Where each wire runs straight, in the order of the wires: from where, to where, and at what height."""
    found = re.findall(r"M(-?\d+) (-?\d+)H(-?\d+)", elements(picture, "path")[0].attrib["d"])
    return [(float(start), float(end), float(y)) for start, y, end in found]


def bends(picture: Circuit) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """From where to where wires cross the gap between two columns, in the order of the gates' operands."""
    found = re.findall(r"M(-?\d+) (-?\d+)c\S+ 0 \S+ \S+ (\d+) (-?\d+)h", elements(picture, "path")[0].attrib["d"])
    return [((float(x), float(y)), (float(x) + float(dx), float(y) + float(dy))) for x, y, dx, dy in found]


@drawn
def test_everything_is_within_the_picture(picture: Circuit) -> None:
    svg = ElementTree.fromstring(picture.svg())
    x, y, width, height = map(float, svg.attrib["viewBox"].split())
    assert (float(svg.attrib["width"]), float(svg.attrib["height"])) == (width, height)
    for box in boxes(picture) + [text.box for text in texts(picture)]:
        assert x <= box.left < box.right <= x + width
        assert y <= box.top < box.bottom <= y + height
    ground = elements(picture, "rect")[0].attrib
    assert ground == {"x": f"{x:.0f}", "y": f"{y:.0f}", "width": "100%", "height": "100%", "fill": "white"}


@drawn
def test_boxes_and_labels_are_disjoint(picture: Circuit) -> None:
    symbols = [wire.symbol for wire in picture.wires.values()]
    labels = [text.box for text in texts(picture) if text.fill]
    everything = boxes(picture) + labels
    assert len(everything) == len(symbols) + 2 * len(symbols) + sum(bool(w.sources) for w in picture.wires.values())
    assert [(a, b) for a, b in combinations(everything, 2) if not a.disjoint(b)] == []


@drawn
def test_symbols_are_inside_their_boxes(picture: Circuit) -> None:
    symbols = [text for text in texts(picture) if not text.fill]
    for box, text, wire in zip(boxes(picture), symbols, picture.wires.values(), strict=True):
        assert text.text == wire.symbol
        assert box.left < text.box.left < text.box.right < box.right
        assert box.top < text.box.top < text.box.bottom < box.bottom


@drawn
def test_value_is_green_above_the_wire_and_gradient_red_below(picture: Circuit) -> None:
    values = [text for text in texts(picture) if text.fill == GREEN]
    gradients = [text for text in texts(picture) if text.fill == RED]
    assert [(v.text, g.text) for v, g in zip(values, gradients, strict=True)] == list(tags(picture).values())
    for value, gradient, (start, end, y) in zip(values, gradients, lanes(picture), strict=True):
        assert value.box.bottom < y < gradient.box.top
        assert all(start < text.box.left < text.box.right < end for text in (value, gradient))


@drawn
def test_text_is_legible(picture: Circuit) -> None:
    assert min(text.size for text in texts(picture)) >= 12


@drawn
def test_no_wire_runs_under_a_gate_or_a_label_of_another(picture: Circuit) -> None:
    found = lanes(picture)
    gates = boxes(picture)
    labels = [text.box for text in texts(picture) if text.fill]
    for (start, end, y), own in zip(found, gates, strict=True):
        line = Box(start, y, end, y + 1)
        assert all(line.disjoint(box) for box in gates if box != own)
        assert all(line.disjoint(box) for box in labels)


@drawn
def test_wires_of_two_lanes_do_not_touch(picture: Circuit) -> None:
    pairs = combinations([Box(start, y, end, y + 1) for start, end, y in lanes(picture)], 2)
    assert all(a.disjoint(b) for a, b in pairs)


@drawn
def test_bends_lead_from_each_source_to_its_gate_through_empty_columns(picture: Circuit) -> None:
    gates, runs = (
        dict(zip(picture.wires, boxes(picture), strict=True)),
        dict(zip(picture.wires, lanes(picture), strict=True)),
    )
    ends = [(s, name) for name, wire in picture.wires.items() for s in wire.sources]
    occupied = boxes(picture) + [text.box for text in texts(picture)]
    for ((x, y), (to, height)), (s, name) in zip(bends(picture), ends, strict=True):
        start, end, lane = runs[s]
        assert (y, to) == (lane, gates[name].left)
        assert start < x <= end
        assert gates[name].top < height < gates[name].bottom
        assert to - x == GAP
        assert all(box.right <= x or to <= box.left for box in occupied)


def test_operands_enter_a_gate_at_different_heights_from_top_to_bottom() -> None:
    (_, (_, first)), (_, (_, second)) = bends(SQUARE)
    assert first < second


def forks(picture: Circuit) -> set[tuple[float, float]]:
    return {(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in elements(picture, "circle")}


def test_no_dot_without_a_fork() -> None:
    assert forks(THREE) == forks(NEURON) == set()


def test_dot_where_a_wire_forks() -> None:
    assert forks(SQUARE) == {start for start, _ in bends(SQUARE)}


def test_dot_only_where_the_wire_goes_on_as_well() -> None:
    picture = circuit(lambda x: np.sin(np.exp(x)) * x, 2.0)
    near, far = [start for start, _ in bends(picture) if start[1] == lanes(picture)[0][2]]
    assert forks(picture) == {near}
    assert near < far


@drawn
def test_columns_are_the_longest_paths_from_the_inputs(picture: Circuit) -> None:
    columns: dict[str, int] = {}
    for name, wire in picture.wires.items():
        columns[name] = 1 + max((columns[s] for s in wire.sources), default=-1)
    lefts = sorted({box.left for box in boxes(picture)})
    assert [lefts.index(box.left) for box in boxes(picture)] == list(columns.values())


def test_chain_of_gates_runs_straight() -> None:
    assert len({y for _, _, y in lanes(NEURON)[-5:]}) == 1


def test_gate_stands_between_its_operands() -> None:
    x, y, z, v1, v2 = [height for _, _, height in lanes(THREE)]
    assert x < v1 < y
    assert v1 < v2 < z


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b, c, d: (a * d) + (b * c),
        lambda a, b, c, d: np.sin(a * d) + b * c,
        lambda a, b, c, d: np.exp(-(d - (c - (b - a)))),
        lambda a, b, c, d: np.stack([d, a]) @ np.stack([c, b]),
    ],
)
def test_tree_is_drawn_without_crossings(f: Function) -> None:
    crossings = combinations(bends(circuit(f, 1.0, 2.0, 3.0, 4.0)), 2)
    assert all(a[0] != b[0] or (a[1] - b[1]) * (c - d) >= 0 for (a, (_, c)), (b, (_, d)) in crossings)


def test_gates_are_framed_and_inputs_are_not() -> None:
    rects = elements(THREE, "rect")[1:]
    assert {rect.attrib["fill"] for rect in rects} == {"white"}
    assert [rect.attrib["stroke"] != "white" for rect in rects] == [False, False, False, True, True]


def test_gate_has_its_name_above() -> None:
    names = [text for text in texts(NEURON) if text.size == 12]
    assert [text.text for text in names] == [f"v{i}" for i in range(1, 9)]
    for name, box in zip(names, boxes(NEURON)[5:], strict=True):
        assert box.left <= name.box.left < name.box.right <= box.right
        assert 0 <= box.top - name.box.bottom < 5


def test_arrays_show_their_shapes() -> None:
    shown = [text.text for text in texts(LAYERS) if text.fill in (GREEN, RED)]
    assert shown[:2] == ["float64[5,4]", "float64[5,4]"]
    assert "@" in [text.text for text in texts(LAYERS)]


def test_text_is_escaped() -> None:
    @mg.primitive
    def odd(x: Any, mode: str = "") -> Any:
        return x

    mg.defvjp(odd, lambda g, ans, x, mode="": g)
    picture = circuit(lambda x: odd(x, mode="<&>"), 2.0)
    assert picture.wires["v1"].symbol == "odd(mode=<&>)"
    assert "odd(mode=<&>)" in [text.text for text in texts(picture)]
    assert '"v1" [label=<odd(mode=&lt;&amp;&gt;)>]' in picture.dot()


def test_picture_has_a_title() -> None:
    assert "green and above" in str(elements(THREE, "title")[0].text)


def test_notebook_shows_the_picture() -> None:
    assert THREE._repr_svg_() == THREE.svg()


# A program's circuit, for which nothing walks back.


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (three, (-2.0, 5.0, -4.0)),
        (neuron, (2.0, -1.0, -3.0, -2.0, -3.0)),
        (lambda x, y: np.sum(np.stack([x, y])[::-1] * np.ones(2)), (2.0, 3.0)),
        (lambda x: np.sum(np.max(x, axis=0)[0:2]), (np.arange(6.0).reshape(2, 3),)),
        (lambda x, y, z: (np.exp(y), x * z)[1], (2.0, 3.0, 4.0)),
    ],
)
def test_circuit_of_a_program_is_that_of_its_function(f: Function, inputs: tuple[Any, ...]) -> None:
    walked = circuit(f, *inputs)
    gradients = {name: wire.gradient for name, wire in walked.wires.items()}
    run = circuit_of(mg.trace(f, *inputs), [np.asarray(x) for x in inputs], gradients)
    assert str(run) == str(walked)
    assert run.svg() == walked.svg()


def test_circuit_of_a_program_shows_the_gradients_that_it_is_given_and_no_others() -> None:
    program = mg.trace(three, -2.0, 5.0, -4.0)
    picture = circuit_of(program, [np.asarray(x) for x in (-2.0, 5.0, -4.0)], {"x": np.asarray(7.0)})
    assert tags(picture) == {"x": ("-2", "7"), "y": ("5", ""), "z": ("-4", ""), "v1": ("3", ""), "v2": ("-12", "")}


# The picture in the README.


def test_the_picture_in_the_readme_is_what_is_drawn() -> None:
    def gated(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
        return mg.sigmoid(w0 * x0 + w1 * x1 + w2)

    drawn = circuit(gated, 2.0, -1.0, -3.0, -2.0, -3.0).svg()
    assert (Path(__file__).parents[1] / "docs" / "circuit.svg").read_text() == drawn


def test_nested_arguments_have_a_wire_each() -> None:
    drawn = circuit(lambda p, y: p["w"] * p["b"][0] + y, {"w": 2.0, "b": (3.0,)}, 4.0)
    assert tags(drawn) == {
        "p['b'][0]": ("3", "2"),
        "p['w']": ("2", "3"),
        "y": ("4", "1"),
        "v1": ("6", "1"),
        "v2": ("10", "1"),
    }
    assert "v1 = p['w'] * p['b'][0]" in str(drawn)
