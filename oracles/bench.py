"""The benchmark: a value and its gradients, timed side by side in one process.

Parties: NumPy with the backward pass written by hand, minigrad as it comes and staged, PyTorch in
eager mode, ``jax.jit`` and HIPS autograd.  All but the first get the same formula, in their own
namespace, with arguments that are already arrays of their own.  `oracles.workloads` has the
formulas and the hand-written passes.

Before anything is timed, all others must agree with the hand-written passes at two points.  Then
every round measures every party once, for 2 ms or more after a call that does not count, on one
thread, with garbage collection off, and another party goes first.  A machine's speed drifts less
within a round than between rounds, so that what counts is the ratio to the hand-written time of
the same round.  Compilation, and conversion of arguments, are not timed.
"""

from __future__ import annotations

import contextlib
import csv
import ctypes
import functools
import gc
import importlib.metadata
import importlib.util
import io
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

import minigrad as mg
from oracles.adapters import INSTALL, load
from oracles.cases import write_text
from oracles.errors import OraclesError
from oracles.workloads import WORKLOADS, Answer, Workload

LEAST = 2e-3
"""Seconds that a measurement takes at least, far above the resolution of the clock."""

UNSTABLE = 0.2
"""The interquartile range, relative to the median, beyond which a ratio is marked."""

Times = Mapping[str, Sequence[float]]
"""Seconds per call by party, one for each round."""


class WrongAnswerError(OraclesError):
    """A party's value or gradients are not the hand-written ones, so that its speed means nothing."""

    exit_code = 1


class Runner(NamedTuple):
    """A party at work: what is timed, and how it likes its arguments."""

    call: Callable[..., Answer]
    convert: Callable[[Any], Any] = lambda x: x


def bound(f: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    return functools.partial(f, *first) if first else f


def with_hand(workload: Workload) -> Runner:
    return Runner(bound(workload.by_hand, *workload.constants))


def with_minigrad(workload: Workload) -> Runner:
    f = bound(workload.formula, np, *workload.constants)
    return Runner(mg.value_and_grad(f, range(len(workload.args))))


def with_staged(workload: Workload) -> Runner:
    return Runner(mg.stage(bound(workload.formula, np, *workload.constants), *workload.args))


def with_torch(workload: Workload) -> Runner:
    load("torch")  # sets one thread
    import torch

    f = bound(workload.formula, torch, *map(torch.tensor, workload.constants))

    def call(*leaves: Any) -> Answer:
        value = f(*leaves)
        return value, torch.autograd.grad(value, leaves)

    return Runner(call, lambda x: torch.tensor(x, requires_grad=True))


def with_jax(workload: Workload) -> Runner:
    load("jax")  # sets 64-bit floats
    import jax

    # Constants are arguments here, so that XLA computes nothing of them at compile time.
    places = tuple(np.arange(len(workload.args)) + len(workload.constants))
    compiled = jax.jit(jax.value_and_grad(bound(workload.formula, jax.numpy), places))
    f = bound(compiled, *map(jax.numpy.asarray, workload.constants))
    return Runner(lambda *args: jax.block_until_ready(f(*args)), jax.numpy.asarray)


def with_autograd(workload: Workload) -> Runner:
    import autograd

    f = bound(workload.formula, autograd.numpy, *workload.constants)
    return Runner(autograd.value_and_grad(f, tuple(range(len(workload.args)))))


PARTIES: dict[str, Callable[[Workload], Runner]] = {
    "hand": with_hand,
    "minigrad": with_minigrad,
    "staged": with_staged,
    "torch": with_torch,
    "jax": with_jax,
    "autograd": with_autograd,
}
EXTRAS = {"torch": "torch", "jax": "jax", "autograd": "bench"}
"""The parties that may be missing, with the extra that installs each."""


class Aim(NamedTuple):
    text: str
    party: str
    rival: str
    limit: float
    workloads: Sequence[str] = tuple(WORKLOADS)


AIMS = (
    Aim("minigrad below 0.5 of torch up to 64x64", "minigrad", "torch", 0.5, ("f-0d", "f-4x4", "f-64x64")),
    Aim("minigrad never slower than autograd", "minigrad", "autograd", 1.0),
    Aim("staged within 1.15 of hand everywhere", "staged", "hand", 1.15),
    Aim("staged ahead of torch everywhere", "staged", "torch", 1.0),
)


class Row(NamedTuple):
    """A line of ``bench.csv``."""

    workload: str
    party: str
    rounds: int
    calls: int
    best_us: str
    ratio_q1: str
    ratio_median: str
    ratio_q3: str
    unstable: bool


def check(name: str, workload: Workload, runners: Mapping[str, Runner]) -> None:
    """Refuse whoever disagrees with the hand-written pass, at the arguments timed or at others."""
    labels = ["value", *(f"gradient {i}" for i in range(len(workload.args)))]
    for scale in (1.0, 0.9):
        args = [x * scale for x in workload.args]
        value, gradients = runners["hand"].call(*args)
        for party, runner in runners.items():
            found_value, found = runner.call(*map(runner.convert, args))
            if len(found) != len(gradients):
                raise WrongAnswerError(f"{party} on {name}: it gives {len(found)} gradients, not {len(gradients)}")
            answers = [found_value.item(), *map(np.asarray, found)]
            for label, answer, wanted in zip(labels, answers, [value, *gradients], strict=True):
                # Entries that cancel to almost nothing keep fewer digits.
                slack = 1e-12 * np.max(np.abs(wanted))
                if np.shape(answer) != np.shape(wanted) or not np.allclose(answer, wanted, rtol=1e-9, atol=slack):
                    raise WrongAnswerError(f"{party} on {name}: its {label} is not the hand-written one")


def keep_memory() -> None:
    """Have glibc keep what is freed, where there is a glibc.

    Whether it gives megabytes back to the system, and pays a page fault for each page that it asks for
    again, depends on what happens to lie next to them: a matter of luck that can double a time.
    """
    trim_threshold, mmap_threshold = -1, -3
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**25)


def measure(runner: Runner, args: Sequence[Any], calls: int) -> float:
    """Seconds per call, once the caches hold what this party uses."""
    call = runner.call
    call(*args)
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(calls):
            call(*args)
        return (time.perf_counter() - start) / calls
    finally:
        gc.enable()


def calls_needed(runner: Runner, args: Sequence[Any]) -> int:
    """How many calls make a measurement; trying them is the warm-up."""
    calls = 1
    # The least of three, lest an interruption pass for a slow call.
    while (seconds := min(measure(runner, args, calls) for _ in range(3))) * calls < LEAST:
        calls = max(2 * calls, math.ceil(LEAST / seconds))
    return calls


def time_parties(workload: Workload, runners: Mapping[str, Runner], rounds: int) -> tuple[Times, Mapping[str, int]]:
    """The times of each party, and how many calls each measurement was."""
    args = {party: [*map(runner.convert, workload.args)] for party, runner in runners.items()}
    calls = {party: calls_needed(runner, args[party]) for party, runner in runners.items()}
    times: dict[str, list[float]] = {party: [] for party in runners}
    order = list(runners)
    for _ in range(rounds):
        for party in order:
            times[party].append(measure(runners[party], args[party], calls[party]))
        order = [*order[1:], order[0]]
    return times, calls


def quartiles(times: Times, party: str, rival: str) -> Sequence[float]:
    """Of the ratio of two parties' times, round by round."""
    return np.quantile(np.divide(times[party], times[rival]), [0.25, 0.5, 0.75]).tolist()  # type: ignore[no-any-return]


def row(name: str, party: str, times: Times, calls: int) -> Row:
    q1, median, q3 = quartiles(times, party, "hand")
    texts = (f"{1e6 * min(times[party]):.2f}", f"{q1:.3f}", f"{median:.3f}", f"{q3:.3f}")
    return Row(name, party, len(times[party]), calls, *texts, q3 - q1 > UNSTABLE * median)


def show(console: Console, rows: Sequence[Row]) -> None:
    """A table on a terminal, a line per party elsewhere."""
    table = Table("party", "best us", "ratio to hand", "quartiles", "", title=rows[0].workload, title_justify="left")
    for r in rows:
        cells = (r.party, r.best_us, r.ratio_median, f"{r.ratio_q1} - {r.ratio_q3}", "unstable" if r.unstable else "")
        table.add_row(*cells)
        if not console.is_terminal:
            print("{:<12} {:<9} {:>10} us {:>8} ({}) {}".format(r.workload, *cells).rstrip(), flush=True)
    if console.is_terminal:
        console.print(table)


def judged(aim: Aim, results: Mapping[str, Times]) -> str:
    """The aim with yes or no, by the medians."""
    medians = {
        name: quartiles(times, aim.party, aim.rival)[1]
        for name, times in results.items()
        if name in aim.workloads and times.keys() >= {aim.party, aim.rival}
    }
    if not medians:
        return f"not measured: {aim.text}"
    worst = max(medians, key=medians.__getitem__)
    answer = "yes" if medians[worst] <= aim.limit else "no"
    return f"{answer}: {aim.text}; the worst of {len(medians)} is {medians[worst]:.3f}, at {worst}"


def bench(names: Sequence[str], parties: Sequence[str], rounds: int, out: Path) -> None:
    """Time `parties`, and the hand-written pass, on the workloads `names`; print it, and write ``bench.csv`` in `out`.

    A framework that is not installed is left out.  Raises `WrongAnswerError` for a wrong answer.
    """
    absent = [party for party in parties if party in EXTRAS and importlib.util.find_spec(party) is None]
    present = [party for party in PARTIES if party == "hand" or (party in parties and party not in absent)]
    packages = ["numpy", *(party for party in present if party in EXTRAS)]
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    print(f"Python {platform.python_version()}, {versions}; one thread; ratios to hand over {rounds} rounds")
    for party in absent:
        print(f"{party}: not installed; {INSTALL.format(extra=EXTRAS[party])}")
    keep_memory()
    console = Console()
    results: dict[str, Times] = {}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Row._fields)
    for name in names:
        workload = WORKLOADS[name]()
        runners = {party: PARTIES[party](workload) for party in present}
        check(name, workload, runners)
        results[name], calls = time_parties(workload, runners, rounds)
        rows = [row(name, party, results[name], calls[party]) for party in present]
        show(console, rows)
        table.writerows(rows)
    write_text(out / "bench.csv", text.getvalue())
    for aim in AIMS:
        print(judged(aim, results))
    print(f"see {out / 'bench.csv'}")
