"""The atlas: what every party returns at the special points of every function, beside the certified truth.

Each point of each call makes a case of one step, which is examined like any other.  What there is at
the end of a domain that the domain leaves out, or where NumPy has no finite value, is shown but not
judged: nobody says what it should be.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
import platform
import re
import shlex
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from pebble import ProcessExpired, ProcessPool

import minigrad as mg
from oracles.campaign import TIMEOUT, Tally, check_out, describe, start_worker
from oracles.cases import Case, FloatArray, write_text
from oracles.catalogue import CATALOGUE, ROWS, Row
from oracles.exact import Status
from oracles.examine import Setup, examine
from oracles.known import traced
from oracles.points import sort_of, tabulated
from oracles.report import environment
from oracles.verdict import EXCUSED, RULES, Answer, Facts, Label, Verdict, formed, ranked, ulp_distance

NAMES = tuple(row.name for row in ROWS if sort_of(row))
"""The functions that have special points."""

PARTIES = ("minigrad", "torch", "jax")
"""Who is asked, unless told."""

CSV = "atlas.csv"

# Calls, where they are not a function's name with its operands.

BY_KIND = {"binary": "{}(x, y)", "scan": "{}(x, axis=0)"}

CALLS: dict[str, tuple[str, ...]] = {
    "power": ("np.power(x, y)", "np.power(x, 0)", "np.power(x, 2)", "np.power(x, -1)", "np.power(x, 0.5)"),
    "float_power": ("np.float_power(x, y).astype(x.dtype)",),
    "maximum": ("np.maximum(x, y)", "np.maximum(x, 0)"),
    "minimum": ("np.minimum(x, y)", "np.minimum(x, 0)"),
    "modf": ("np.modf(x)[0]",),
    "divmod": ("np.divmod(x, y)[1]",),
    "ldexp": ("np.ldexp(x, 3)", "np.ldexp(x, -1)"),
    "clip": ("np.clip(x, -0.5, 0.5)",),
    "nan_to_num": ("np.nan_to_num(x, nan=0.5)",),
    "var": ("np.var(x, ddof=0)",),
    "std": ("np.std(x, ddof=0)",),
    "average": ("np.average(x, weights=np.arange(1, len(x) + 1, dtype=x.dtype))",),
    "quantile": ("np.quantile(x, 0.25)",),
    "percentile": ("np.percentile(x, 50)",),
    "nancumsum": ("np.nancumsum(x, axis=0)",),
    "nancumprod": ("np.nancumprod(x, axis=0)",),
    "minigrad.running_max": ("np.maximum.accumulate(x, axis=0)",),
    "minigrad.running_min": ("np.minimum.accumulate(x, axis=0)",),
    "minigrad.running_logsumexp": ("np.logaddexp.accumulate(x, axis=0)",),
    "diff": ("np.diff(x, n=1, axis=0)",),
    "trapezoid": ("np.trapezoid(x, dx=0.5, axis=0)",),
    "partition": ("np.partition(x, 1, axis=0)[1]",),
    "linalg.norm": (
        *("np.linalg.norm(x)", "np.linalg.norm(x, ord=1, axis=0)", "np.linalg.norm(x, ord=3, axis=0)"),
        *("np.linalg.norm(x, ord=np.inf, axis=0)", "np.linalg.norm(x, ord=-np.inf, axis=0)"),
    ),
    "where": ("np.where(x > 0, x, 0.5 * x)", "np.where(x > 0, np.log(x), 0)"),
    "linalg.matrix_norm": tuple(f"np.linalg.matrix_norm(x{p})" for p in ("", ", ord=2", ", ord='nuc'", ", ord=1")),
    "linalg.slogdet": ("np.linalg.slogdet(x)[1]",),
    "linalg.matrix_power": ("np.linalg.matrix_power(x, 3)", "np.linalg.matrix_power(x, -1)"),
    "linalg.solve": ("np.linalg.solve(x, np.arange(1, len(x) + 1, dtype=x.dtype))",),
    "linalg.tensorsolve": ("np.linalg.tensorsolve(x, np.arange(1, len(x) + 1, dtype=x.dtype))",),
    "linalg.tensorinv": ("np.linalg.tensorinv(x, ind=1)",),
    # Eigenvectors, and singular ones, are what they are but for a sign.
    "linalg.eigh": ("np.square(np.linalg.eigh(x)[1])",),
    "linalg.svd": ("np.square(np.linalg.svd(x)[0])",),
    "linalg.qr": ("np.square(np.linalg.qr(x)[1])",),
    "linalg.vector_norm": ("np.linalg.vector_norm(x)", "np.linalg.vector_norm(x, ord=3)"),
}

MODULES = (("minigrad.", "mg."), ("scipy.special.", "sp."))


def calls(row: Row) -> Sequence[str]:
    """How a function is called, in NumPy's words."""
    name = f"np.{row.name}"
    for module, short in MODULES:
        name = name.replace(f"np.{module}", short)
    return CALLS.get(row.name, (BY_KIND.get(row.kind, "{}(x)").format(name),))


# One point.


@dataclass(frozen=True)
class Spot:
    """A call at a point."""

    function: str
    call: str
    words: str
    """The point in words."""
    at: Mapping[str, FloatArray]
    """Operands by name."""
    order: int

    def case(self) -> Case:
        """What is asked of the parties: powers of 2 tell the elements of a result, or of a direction, apart."""
        dtype = next(iter(self.at.values())).dtype.name
        program, inputs = traced(self.call, self.at, dtype)
        shape = np.shape(program(*inputs))
        places = iter(range(sum(x.size for x in inputs)))
        vectors = tuple(np.reshape([2.0 ** next(places) for _ in range(x.size)], x.shape) for x in inputs)
        return Case(
            f"{self.call} at {self.words}",
            program,
            inputs,
            np.reshape(2.0 ** np.arange(int(np.prod(shape))), shape).astype(dtype),
            tuple(v.astype(dtype) for v in vectors),
        )

    def has_value(self) -> bool:
        """Whether NumPy computes it, as it does no inverse of a singular matrix."""
        try:
            with np.errstate(all="ignore"):
                self.case()
        except (np.linalg.LinAlgError, mg.MinigradError):
            return False
        return True

    @property
    def operands(self) -> str:
        return "; ".join(f"{name} = {listed(x, lambda each: str(each))}" for name, x in self.at.items())

    @property
    def operands_hex(self) -> str:
        return "; ".join(f"{name} = {listed(x, lambda each: float(each).hex())}" for name, x in self.at.items())


def listed(x: FloatArray, write: Callable[[Any], str]) -> str:
    return f"[{', '.join(listed(part, write) for part in x)}]" if np.ndim(x) else write(np.asarray(x)[()])


def spots(functions: Iterable[str], dtype: str, order: int) -> list[Spot]:
    """Every point of every call of some functions, but those at which NumPy raises."""
    found = [
        Spot(name, call, words, dict(zip("xy", operands, strict=False)), order)
        for name in functions
        for call in calls(CATALOGUE[name])
        for words, operands in tabulated(CATALOGUE[name], dtype, 2 if "y" in call_names(call) else 1)
    ]
    return [spot for spot in found if sort_of(CATALOGUE[spot.function]) != "matrix" or spot.has_value()]


def call_names(call: str) -> set[str]:
    """The names that a call is compiled with: those of its operands among others."""
    return {*compile(call, "<call>", "eval").co_names}


@dataclass(frozen=True)
class Truth:
    """What is certain of one element, as the tables say it."""

    element: str
    status: str
    """`certain`, `kink`, `edge`, `nonfinite`, `unknown`; or `outside` of the domain, or
    `no value` where NumPy has no finite one."""
    value: Any = np.nan
    low: float = np.nan
    high: float = np.nan

    @property
    def is_one(self) -> bool:
        return self.status == "certain"

    @property
    def shown(self) -> str:
        if self.is_one:
            return short(self.value)
        if self.status == "kink":
            return f"{short(self.low)} to {short(self.high)}"
        return {"nonfinite": "-", "unknown": "?"}.get(self.status, "none")


@dataclass(frozen=True)
class Reply:
    """What one party said about one element."""

    label: Label
    value: Any = None
    """None where there is none."""
    ulp: int | None = None
    """From the truth, where that is one number."""


@dataclass(frozen=True)
class Entry:
    """All about one point."""

    spot: Spot
    truths: Sequence[Truth]
    replies: Mapping[str, Sequence[Reply]]
    """By party, a reply per element."""
    failed: bool = False
    """Whether minigrad fails, by the rules of a campaign."""


def unjudged(spot: Spot, case: Case) -> str:
    """Why nobody says what the answer is, as a status, or nothing."""
    row, inputs = CATALOGUE[spot.function], case.inputs
    if not all(row.domain_of(place).contains(x[np.isfinite(x)]) for place, x in enumerate(inputs)):
        return "outside"
    # What leaves NaN out is judged by what it leaves in; the referee would leave infinities out as well.
    if any(np.isinf(x).any() for x in inputs):
        return "nonfinite"
    # As for drawn points: where NumPy itself overflows, or has no number, nothing is said of gradients.
    finite = all(np.isfinite(x).all() for x in inputs)
    return "no value" if finite and not np.isfinite(case.program(*inputs)).all() else ""


def look(spot: Spot, parties: Sequence[str]) -> Entry:
    """Ask the parties about a point, and judge what they say."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        case = spot.case()
        found = examine(case, Setup(parties[0], tuple(parties[1:]), (spot.order,), shown=True))
        left_alone = unjudged(spot, case)
    facts = found.facts[spot.order]
    elements = [*facts.elements()]
    truths = [truth_of(name, facts, k, place, left_alone) for name, k, place in elements]
    replies = {
        verdict.party: replies_of(answer, verdict, facts, [(k, place) for _, k, place in elements], left_alone)
        for answer, verdict in zip(found.answers[spot.order], found.verdicts, strict=True)
    }
    raised = any(v.party == "minigrad" and v.label in (Label.ERRORED, Label.STRUCTURE) for v in found.verdicts)
    return Entry(spot, truths, replies, raised or (not left_alone and found.failed("minigrad")))


def truth_of(name: str, facts: Facts, k: int, place: tuple[int, ...], left_alone: str) -> Truth:
    truth = facts.truths[k]
    if left_alone:
        return Truth(name, left_alone)
    status = Status(int(truth.status[place])).name.lower()
    if status == "certain":
        return Truth(name, status, truth.value[place])
    if status == "kink":
        return Truth(name, status, low=float(truth.low[place]), high=float(truth.high[place]))
    return Truth(name, status)


def replies_of(
    answer: Answer, verdict: Verdict, facts: Facts, elements: Sequence[tuple[int, tuple[int, ...]]], left_alone: str
) -> list[Reply]:
    """An answer element by element; which label one that is off has was found out for the whole."""
    arrays = formed(answer, facts) if answer.label is None and len(answer.arrays) == len(facts.names) else []
    if not arrays or any(a.shape != t.value.shape for a, t in zip(arrays, facts.truths, strict=True)):
        return [Reply(verdict.label) for _ in elements]
    labels = [
        ranked(mine, truth, noise, facts.forward if k == 0 else None)[0]
        for k, (mine, truth, noise) in enumerate(zip(arrays, facts.truths, facts.noise, strict=True))
    ]
    own = [tuple(Label)[int(labels[k][place])] for k, place in elements]
    replies = []
    for label, (k, place) in zip(own, elements, strict=True):
        truth, value = facts.truths[k], arrays[k][place]
        one = not left_alone and truth.status[place] == Status.CERTAIN and value.dtype == truth.value.dtype
        ulp = int(ulp_distance(value, truth.value[place])) if one else None
        replies.append(Reply(LEFT_ALONE.get(left_alone) or settled(label, own, verdict.label), value, ulp))
    return replies


LEFT_ALONE = {"outside": Label.EDGE, "no value": Label.EDGE, "nonfinite": Label.NONFINITE}


def settled(label: Label, all_labels: Sequence[Label], verdict: Label) -> Label:
    """An element's label in the light of the verdict: what is off may be excused, and what was excused be off."""
    if verdict == Label.PROMOTION:
        return verdict
    if label == Label.WRONG and verdict != Label.UNDECIDED:
        return verdict
    if label in EXCUSED and verdict in (Label.UNSTABLE, Label.WRONG) and Label.WRONG not in all_labels:
        return verdict  # it was off when the point was moved off the kink
    return label


def given_up(spot: Spot, parties: Sequence[str], why: str) -> Entry:
    """A point that a worker died or hung of: nothing is known of it."""
    unknown = Truth(why, "unknown")
    return Entry(spot, [unknown], {party: [Reply(Label.ERRORED)] for party in parties}, "minigrad" in parties)


# All points.


@dataclass(frozen=True)
class Options:
    """What the atlas was asked for."""

    functions: tuple[str, ...] = NAMES
    dtype: str = "float64"
    order: int = 1
    parties: tuple[str, ...] = PARTIES
    workers: int = 1
    out: Path = Path("reports/atlas")

    @property
    def command(self) -> str:
        """The command line that repeats it."""
        words = ["python", "-m", "oracles", "atlas", "--dtype", self.dtype, "--order", str(self.order)]
        words += ["--parties", ",".join(self.parties)]
        return shlex.join(words if self.functions == NAMES else [*words, "--function", ",".join(self.functions)])


def chart(options: Options, on_progress: Callable[[Tally], None] = lambda tally: None) -> list[Entry]:
    """An entry per point, in the order of the catalogue."""
    every = spots(options.functions, options.dtype, options.order)
    tally = Tally(total=len(every))
    found = []
    with ProcessPool(options.workers, context=multiprocessing.get_context("spawn"), initializer=start_worker) as pool:
        try:
            for entry in looked_at(pool, every, options):
                found.append(entry)
                tally.cases += 1
                tally.failures += entry.failed
                tally.doing = entry.spot.call
                on_progress(tally)
        except BaseException:
            pool.stop()
            raise
    return found


def looked_at(pool: Any, every: Sequence[Spot], options: Options) -> Iterator[Entry]:
    pending: deque[tuple[Spot, Future[Entry]]] = deque()

    def first() -> Entry:
        spot, future = pending.popleft()
        try:
            return future.result()
        except (ProcessExpired, TimeoutError) as error:
            return given_up(spot, options.parties, describe(error))

    for spot in every:
        pending.append((spot, pool.schedule(look, (spot, options.parties), timeout=TIMEOUT)))
        while len(pending) >= 8 * options.workers or (pending and pending[0][1].done()):
            yield first()
    while pending:
        yield first()


# The table.

COLUMNS = (
    *("function", "call", "point", "operands", "operands_hex", "dtype", "order", "element"),
    *("status", "truth", "truth_hex", "low", "high", "low_hex", "high_hex"),
    *("party", "value", "value_hex", "label", "ulp"),
)


def table(entries: Iterable[Entry], dtype: str) -> str:
    """The table as CSV: a row per point, element and party."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for entry in entries:
        spot = entry.spot
        point = (spot.function, spot.call, spot.words, spot.operands, spot.operands_hex, dtype, spot.order)
        for k, truth in enumerate(entry.truths):
            one = [*spelt(truth.value if truth.is_one else None)]
            low, high = ([*spelt(end if truth.status == "kink" else None)] for end in (truth.low, truth.high))
            about = (truth.element, truth.status, *one, low[0], high[0], low[1], high[1])
            for party, replies in entry.replies.items():
                reply = replies[k]
                ulp = "" if reply.ulp is None else reply.ulp
                rows.writerow((*point, *about, party, *spelt(reply.value), reply.label.value, ulp))
    return text.getvalue()


def spelt(x: Any) -> tuple[str, str]:
    """A number with all its digits, and in hexadecimal."""
    return ("", "") if x is None else (str(x), float(x).hex())


# The pages.

PLAIN = (Label.AGREES, Label.ILL_CONDITIONED, Label.CONVENTION, Label.EDGE, Label.NONFINITE)
"""Labels of what is the truth, or as good as any other where there is none: these go without saying."""

SHOWN_AT_MOST = 6
"""Points listed in a cell of the summary."""


def short(x: Any) -> str:
    """A number in six digits."""
    return f"{float(x):.6g}"


@dataclass(frozen=True)
class Cell:
    """What a party returned at a point, in short."""

    text: str
    mark: str = ""
    """The label, where it does not go without saying."""


@dataclass(frozen=True)
class Line:
    """A point, as the pages show it."""

    call: str
    words: str
    truth: str
    cells: Sequence[Cell]
    is_choice: bool
    """Whether it is a kink, where there is something to choose."""
    is_break: bool
    """Whether it is a kink, an edge, or the end of a domain."""
    is_split: bool
    """Whether the parties differ where the truth leaves room for it."""

    @property
    def marks(self) -> list[str]:
        return [cell.mark for cell in self.cells if cell.mark]

    @property
    def is_told(self) -> bool:
        return bool(self.marks) or self.is_split


def line_of(entry: Entry) -> Line:
    truths, parties = entry.truths, [*entry.replies.values()]
    value = [k for k, truth in enumerate(truths) if truth.element.startswith("value")]
    slope = [k for k in range(len(truths)) if k not in value]
    # A value is shown where anybody's is off.
    shown = [value, slope] if any(replies[k].label not in PLAIN for replies in parties for k in value) else [[], slope]
    free = [k for k in slope if not truths[k].is_one]
    said = {tuple(zeros_alike(short(replies[k].value)) for k in free) for replies in parties if has_values(replies)}
    status = {truths[k].status for k in slope}
    return Line(
        entry.spot.call,
        entry.spot.words,
        written(shown, [truth.shown for truth in truths]),
        [cell_of(replies, truths, shown) for replies in parties],
        "kink" in status,
        bool(status & {"kink", "edge", "outside"}),
        len(said) > 1,
    )


def written(shown: Sequence[Sequence[int]], texts: Sequence[str]) -> str:
    value, slope = (", ".join(texts[k] for k in places) for places in shown)
    return f"value {value}; {slope}" if value else slope


def zeros_alike(text: str) -> str:
    return re.sub(r"(?<![\w.])-0(?![\w.])", "0", text)


def has_values(replies: Sequence[Reply]) -> bool:
    return all(reply.value is not None for reply in replies)


def cell_of(replies: Sequence[Reply], truths: Sequence[Truth], shown: Sequence[Sequence[int]]) -> Cell:
    if not has_values(replies):
        return Cell("", replies[0].label.value)
    marks = [replies[k].label for places in shown for k in places if replies[k].label not in PLAIN]
    worst = max(marks, key=[*Label].index).value if marks else ""
    return Cell(written(shown, [*map(telling, replies, truths)]), worst)


def telling(reply: Reply, truth: Truth) -> str:
    """In six digits; in all, if what is off could not be told from the truth otherwise."""
    text = short(reply.value)
    return str(reply.value) if reply.label not in PLAIN and text == truth.shown else text


@dataclass(frozen=True)
class Group:
    """Points of a call at which the tables say the same."""

    call: str
    points: Sequence[str]
    truth: str = ""
    cells: Sequence[Cell] = ()
    party: str = ""
    label: str = ""

    @property
    def shown(self) -> str:
        more = len(self.points) - SHOWN_AT_MOST
        return "; ".join(self.points[:SHOWN_AT_MOST]) + (f"; {more} more" if more > 0 else "")


def choices(lines: Iterable[Line]) -> list[Group]:
    """The kinks at which the parties choose differently; those of a call together where they do so alike."""
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        if line.is_choice and line.is_split:
            alike = [(zeros_alike(cell.text), cell.mark) for cell in line.cells]
            groups.setdefault((line.call, line.truth, *alike), []).append(line)
    return [Group(a.call, [line.words for line in (a, *more)], a.truth, a.cells) for a, *more in groups.values()]


def faults(lines: Iterable[Line], parties: Sequence[str]) -> list[Group]:
    """What is off, the worst first: by label, party and call."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for line in lines:
        for party, cell in zip(parties, line.cells, strict=True):
            if cell.mark:
                groups.setdefault((cell.mark, party, line.call), []).append(line.words)
    order = [label.value for label in Label]
    ranked_groups = sorted(groups.items(), key=lambda item: (-order.index(item[0][0]), parties.index(item[0][1])))
    return [Group(call, points, party=party, label=label) for (label, party, call), points in ranked_groups]


@dataclass(frozen=True)
class Section:
    """A call: the points worth telling, and those at which all say the same."""

    call: str
    function: str
    points: int
    told: Sequence[Line]
    """Where somebody is off or the parties differ; and then kinks and edges as well."""
    breaks: Sequence[Line]
    """Kinks and edges, where nobody is off and all say the same throughout."""
    others: Sequence[str]


def section(lines: Sequence[Line], function: str) -> Section:
    breaks = [line for line in lines if line.is_break]
    if not any(line.is_told for line in lines):
        return Section(lines[0].call, function, len(lines), [], breaks, [])
    told = [line for line in lines if line.is_told or line.is_break]
    return Section(lines[0].call, function, len(lines), told, [], [line.words for line in lines if line not in told])


def context(entries: Sequence[Entry], options: Options) -> dict[str, Any]:
    """Everything that the pages show."""
    by_call: dict[tuple[str, str], list[Line]] = {}
    for entry in entries:
        by_call.setdefault((entry.spot.function, entry.spot.call), []).append(line_of(entry))
    lines = [line for some in by_call.values() for line in some]
    sections = [section(some, function) for (function, _), some in by_call.items()]
    counts = Counter(
        (party, cell.mark) for line in lines for party, cell in zip(options.parties, line.cells, strict=True)
    )
    marks = [label.value for label in Label if any(mark == label for _, mark in counts)]
    found = faults(lines, options.parties)
    return {
        "options": options,
        "versions": versions(options.parties),
        "points": len(lines),
        "functions": len({function for function, _ in by_call}),
        "counts": [(party, counts[party, ""], [counts[party, mark] for mark in marks]) for party in options.parties],
        "marks": marks,
        "rules": {label.value: rule for label, rule in RULES.items() if label.value in marks},
        "faults": found,
        "choices": choices(lines),
        "sections": [s for s in sections if s.told],
        "quiet": [s for s in sections if not s.told],
    }


def versions(parties: Sequence[str]) -> dict[str, str]:
    """Of everything that the answers depend on."""
    packages = ["numpy", "scipy", "python-flint", *dict.fromkeys(p.partition(".")[0] for p in parties)]
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = mg.__version__ if package == "minigrad" else version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def atlas(options: Options, on_progress: Callable[[Tally], None] = lambda tally: None) -> list[Entry]:
    """Look at every point, and write the table and the pages."""
    check_out(options.out, (CSV,))
    entries = chart(options, on_progress)
    write_text(options.out / CSV, table(entries, options.dtype))
    shown, env = context(entries, options), environment()
    for name in ("atlas.md", "index.html"):
        template = "atlas.html.j2" if name == "index.html" else "atlas.md.j2"
        write_text(options.out / name, env.get_template(template).render(**shown))
    return entries
