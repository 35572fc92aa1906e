"""What is under way, on stderr: moving on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oracles.campaign import Tally

PATIENCE = 2.0
"""Seconds that something may take before a line says what it is."""

EVERY = 10.0
"""Seconds between two plain lines of a count."""


@contextmanager
def status(doing: str) -> Iterator[None]:
    """Say what is under way: at once on a terminal, elsewhere in a line if it takes long."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console

        with Console(stderr=True).status(doing):
            yield
        return
    late = threading.Timer(PATIENCE, print, [f"{doing} ..."], {"file": sys.stderr, "flush": True})
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


@contextmanager
def display(things: str = "cases", counted: str = "failed") -> Iterator[Callable[[Tally], None]]:
    """A progress bar on a terminal; elsewhere a plain line now and then."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    start = time.monotonic()

    def rate(tally: Tally) -> float:
        return tally.cases / max(time.monotonic() - start, 1e-9)

    console = Console(stderr=True)
    if not console.is_terminal:
        last, cases = start, 0

        def plain(tally: Tally) -> None:
            nonlocal last, cases
            now = time.monotonic()
            finishes = cases < tally.cases == tally.total
            if now - last >= EVERY or finishes:
                last, cases = now, tally.cases
                print(
                    f"{tally.cases}/{tally.total} {things}, {rate(tally):.1f}/s, {tally.failures} {counted}, "
                    f"{tally.doing}",
                    file=sys.stderr,
                    flush=True,
                )

        yield plain
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(
            f"{things}  {{task.fields[rate]:5.1f}}/s  {{task.fields[failures]}} {counted}  {{task.fields[doing]}}"
        ),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=None, rate=0.0, failures=0, doing="starting workers")

        def bar(tally: Tally) -> None:
            progress.update(
                task,
                total=tally.total,
                completed=tally.cases,
                rate=rate(tally),
                failures=tally.failures,
                doing=tally.doing,
            )

        yield bar
