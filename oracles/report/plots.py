"""Pictures as SVG text that takes its colours from the page, so that they change with light and dark.

What tells parties apart is a marker and a kind of line besides the colour, which is one of Okabe and
Ito's for colour-blind eyes.  The same tables give the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import pandas as pd

from oracles.report.frames import MAGNITUDES, ULPS

INK, FAINT = "#010101", "#c8c8c8"
PARTY = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""What Matplotlib draws in; the page has a colour of its own for each, light and dark."""

MARKERS = "osD^vX"
LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 1, 1, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)))

CSS_OF = {INK: "currentColor", FAINT: "var(--line)", **{color: f"var(--p{k})" for k, color in enumerate(PARTY)}}

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "oracles",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
} | {f"{part}color": INK for part in ("text.", "axes.edge", "axes.label", "xtick.", "ytick.")}

SHORT = {"1024": "1K", "1048576": "1M"}


def drawn(size: tuple[float, float], draw: Callable[[Any], None], title: str) -> str:
    """What `draw` puts on a figure, as an SVG element with a title."""
    # Half a second to load, which those who take a template from this package need not spend.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    text = io.StringIO()
    with rc_context(SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(
            text, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return trimmed(text.getvalue(), title)


def trimmed(svg: str, title: str) -> str:
    """Without what an SVG inside a page does not need, coordinates to a tenth of a point, in the page's colours."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (xmlns|xmlns:xlink|version|width|height)="[^"]*"', "", svg, count=5)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg.replace("xlink:href", "href"))
    svg = re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    for color, css in CSS_OF.items():
        svg = svg.replace(color, css)
    return svg.replace(">", f' role="img"><title>{title}</title>', 1)


def panels(
    figure: Any, rows: Sequence[Any], columns: Sequence[Any], title: str, **shared: Any
) -> list[tuple[Any, Any]]:
    """A grid of axes, each with what it is about."""
    grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True, **shared)
    found = [
        (axes, about)
        for line, row in zip(grid, rows, strict=True)
        for axes, about in zip(line, product([row], columns), strict=True)
    ]
    for axes, about in found:
        axes.set_title(title.format(*about))
        axes.tick_params(length=0)
    return found


def timings_plot(timings: pd.DataFrame, parties: Sequence[str]) -> str:
    """Quartiles of microseconds per party, a panel per dtype and phase."""
    dtypes, phases = (sorted(timings[name].unique(), reverse=name == "dtype") for name in ("dtype", "phase"))

    def draw(figure: Any) -> None:
        for axes, (dtype, phase) in panels(figure, dtypes, phases, "{1}, {0}", sharey=True):
            here = timings[(timings["dtype"] == dtype) & (timings["phase"] == phase)].set_index("party")
            for place, party in enumerate(parties):
                if party in here.index:
                    row, color = here.loc[party], PARTY[place]
                    axes.plot([row["q1_us"], row["q3_us"]], [place] * 2, color=color, linewidth=5, alpha=0.45)
                    axes.plot([row["median_us"]], [place], MARKERS[place], color=color, markersize=7)
            axes.set(xscale="log", yticks=range(len(parties)), yticklabels=parties, ylim=(len(parties) - 0.5, -0.5))
            axes.grid(visible=False, axis="y")
            axes.minorticks_off()
        figure.supxlabel("microseconds per case: quartiles, and the median as a marker", fontsize=9)

    size = (9, 0.8 + len(dtypes) * (0.5 + 0.24 * len(parties)))
    return drawn(size, draw, "Time per case: quartiles and median of each party; the table below has the numbers")


def accuracy_plot(cases: pd.DataFrame, parties: Sequence[str]) -> str:
    """The share of cases within so many ULPs, a panel per dtype and order and a line per party."""
    judged = cases[cases["label"].isin(["agrees", "ill-conditioned", "unstable", "wrong", "flush", "signed-zero"])]
    dtypes, orders = (
        sorted(judged[name].astype(object).unique(), reverse=name == "dtype") for name in ("dtype", "order")
    )
    bounds = [*ULPS.values()][:-1]
    if judged.empty:
        return ""

    def draw(figure: Any) -> None:
        for axes, (dtype, order) in panels(figure, dtypes, orders, "{0}, order {1}", sharey=True):
            for place, party in enumerate(parties):
                at = (judged["dtype"] == dtype) & (judged["order"] == order) & (judged["party"] == party)
                ulp = judged.loc[at, "ulp"].astype(float)
                if len(ulp):
                    shares = [100 * float((ulp <= bound).mean()) for bound in bounds]
                    style = {"color": PARTY[place], "marker": MARKERS[place], "linestyle": LINES[place]}
                    axes.plot(range(len(bounds)), shares, label=party, markersize=4.5, linewidth=1.4, **style)
            axes.set(xticks=range(len(bounds)), xticklabels=[SHORT.get(name, name) for name in [*ULPS][:-1]])
        figure.supxlabel("within so many ULPs of the certified truth", fontsize=9)
        figure.supylabel("% of cases", fontsize=9)
        handles = {h.get_label(): h for axes in figure.axes for h in axes.get_lines()}
        figure.legend(handles=[*handles.values()], loc="outside upper left", ncols=len(parties))

    size = (9, 1.2 + 1.7 * len(dtypes))
    return drawn(
        size,
        draw,
        "Share of cases within so many ULPs of the truth, by party; accuracy.csv and errors.csv have numbers",
    )


# Of one function and party: hundreds on a page, so that each is two paths in small whole numbers, a bin being 1 wide,
# which the page's style sheet stretches and puts in their places.

TALL = 24
"""The height of a histogram; that of the band below it counts bins of ULPs."""


def small(errors: Mapping[float, Mapping[str, Any]]) -> str:
    """The histogram of a party's ULPs, and below it how they grow with the magnitude of the inputs."""
    counts = [sum(int(row[f"ulp_{name}"]) for row in errors.values()) for name in ULPS]
    return f"<path d={histogram(counts)} /><path d={band(errors)} />" if any(counts) else ""


def histogram(counts: Sequence[int]) -> str:
    """A step per bin; where there is anything, it is seen."""
    filled = [place for place, count in enumerate(counts) if count]
    points = [(filled[0], TALL)]
    for place in range(filled[0], filled[-1] + 1):
        height = max(1, round(TALL * counts[place] / max(counts))) if counts[place] else 0
        points += [(place, TALL - height), (place + 1, TALL - height)]
    return outline([*points, (filled[-1] + 1, TALL)])


def height_of(ulp: float) -> int:
    """Where a number of ULPs stands, counted from above."""
    return sum(ulp <= bound for bound in ULPS.values()) - 1


def band(errors: Mapping[float, Mapping[str, Any]]) -> str:
    """There along the maxima, back along the medians, magnitude by magnitude; broken off where there are no cases."""
    path, there, back = "", list[tuple[int, int]](), list[tuple[int, int]]()
    for place, least in enumerate((*MAGNITUDES, math.nan)):
        if least in errors:
            most, middle = (height_of(errors[least][name]) for name in ("ulp_max", "ulp_median"))
            there += [(place, most), (place + 1, most)]
            back += [(place, middle), (place + 1, middle)]
        elif there:
            path += outline([back[0], *there, *back[:0:-1]])
            there, back = [], []
    return path


def outline(points: Sequence[tuple[int, int]]) -> str:
    """A closed path along points, each straight above or beside the one before."""
    strokes, before = list[str](), None
    for (x, y), (to_x, to_y) in pairwise(points):
        way = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
        if way == before:
            strokes.pop()
        if any(way):
            strokes.append(f"H{to_x}" if way[0] else f"V{to_y}")
            before = way
    return f"M{points[0][0]},{points[0][1]}{''.join(strokes)}z"
