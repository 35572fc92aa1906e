"""The journal of a run: JSON lines, a header first, one line per case, a footer last.

Reports read journals only.  While a run is under way its journal is called ``run.jsonl.partial``;
it takes its final name once the footer is written, so a ``run.jsonl`` is always whole.  A run that
was interrupted can be resumed from what its journal holds.
"""

from __future__ import annotations

import calendar
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, overload

from oracles.errors import UsageError

FORMAT = "minigrad-run"
VERSION = 1
NAME = "run.jsonl"
PREVIOUS = "previous.jsonl"
"""The journal of the run before in the same folder, which reports compare with."""

STARTED = "%Y-%m-%dT%H:%M:%SZ"
"""How a header says when the run was started."""

OF_THE_MOMENT = ("command", "started", "workers", "machine")
"""What two headers may differ in where the same cases are put to the same parties."""


class Cases(Sequence[dict[str, Any]]):
    """The cases of a journal, read anew whenever somebody goes through them, as a long run's would fill the memory."""

    def __init__(self, path: Path, offsets: Sequence[int]):
        self.path, self.offsets = path, offsets

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            file.seek(self.offsets[0])
            for line in islice(file, len(self)):
                yield json.loads(line)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        with self.path.open("rb") as file:
            file.seek(self.offsets[place])
            return json.loads(file.readline())


@dataclass(frozen=True)
class Run:
    """A journal, read."""

    header: dict[str, Any]
    cases: Sequence[dict[str, Any]]
    footer: dict[str, Any]


class JournalWriter:
    """Writes a run's journal line by line; a context manager.

    With `resume`, it goes on after the last whole line of an interrupted run's, whose cases are `earlier`.
    Raises `UsageError` if there is none, or if it is of another run than the header's.
    """

    def __init__(self, folder: Path, header: dict[str, Any], resume: bool = False):
        if not resume:
            folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self.partial = folder / f"{NAME}.partial"
        header = {"kind": "header", "format": FORMAT, "version": VERSION, **header}
        if resume:
            self.kept, end, self.spent = interrupted(self.partial, header)
            self._file: TextIO = self.partial.open("r+")
            self._file.truncate(end)
            self._file.seek(end)
        else:
            self.kept, self.spent = 0, 0.0
            self._file = self.partial.open("w")
            self._write(header)

    def earlier(self) -> Iterator[dict[str, Any]]:
        """The cases that were there already."""
        with self.partial.open("rb") as file:
            for line in islice(file, 1, self.kept + 1):
                yield json.loads(line)

    def case(self, record: dict[str, Any]) -> None:
        self._write(record)

    def close(self, footer: dict[str, Any]) -> None:
        """Write the footer and give the journal its final name; the one that had it is kept as the previous one."""
        self._write({"kind": "footer", **footer})
        self._file.close()
        if self.path.exists():
            self.path.replace(self.path.with_name(PREVIOUS))
        self.partial.replace(self.path)

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def interrupted(path: Path, header: dict[str, Any]) -> tuple[int, int, float]:
    """Of an interrupted run's journal, how many cases are whole, where they end, and how many seconds they took."""
    number = end = 0
    try:
        with path.open("rb") as file:
            first = file.readline()
            for number, line in enumerate(itertools.chain([first], file)):
                if not line.endswith(b"\n") or line.startswith(b'{"kind":"footer"'):
                    number -= 1
                    break
                end += len(line)
        found = json.loads(first)
    except OSError:
        raise UsageError(f"--resume: {path.parent} holds no interrupted run; leave --resume away") from None
    except ValueError:
        found = None
    if not is_header(found):
        raise UsageError(f"--resume: {path.parent} holds no journal of this version; leave --resume away")
    for key in header.keys() - OF_THE_MOMENT:
        if (was := found.get(key)) != header[key]:
            raise UsageError(
                f"--resume: the interrupted run has {key} {was!r}, and this one {header[key]!r}; ask for the same, "
                "or leave --resume away"
            )
    return max(number, 0), end, path.stat().st_mtime - calendar.timegm(time.strptime(found["started"], STARTED))


FOOTER = {"verdict", "cases", "failures", "findings", "stale", "quotas", "cost", "silent", "seconds", "shrunk"}
"""What the last line of a journal tells."""


def read_run(path: Path) -> Run:
    """Read a journal, given as the file or as the folder of its run.

    Raises `UsageError` for one that is missing, empty, malformed or truncated.
    """
    if path.is_dir():
        path = path / NAME
    offsets, number, first, last = list[int](), 0, None, None
    try:
        for number, (offset, record) in enumerate(records(path), 1):
            if number == 1 and not is_header(record):
                raise UsageError(f"{path}: line 1 is no header of a version-{VERSION} journal; run verify again")
            if number > 2 and not is_case(last):
                raise UsageError(f"{path}: line {number - 1} is no case; run verify again")
            first, last = first or record, record
            offsets.append(offset)
    except OSError as error:
        if path.with_name(f"{NAME}.partial").exists():
            raise UsageError(f"{path.parent}: the run was cut off before its end; run verify again") from None
        raise UsageError(f"{path}: {error.strerror or error}; run `python -m oracles verify` first") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a journal; give the folder of a run") from None
    if first is None:
        raise UsageError(f"{path}: the journal is empty; run verify again")
    if not isinstance(last, dict) or last.get("kind") != "footer":
        raise UsageError(f"{path}: truncated: there is no footer after line {number}; run verify again")
    if lacking := sorted(FOOTER - last.keys()):
        raise UsageError(f"{path}: the footer lacks {', '.join(lacking)}; run verify again")
    if number == 2:
        raise UsageError(f"{path}: the journal holds no case; run verify again")
    return Run(first, Cases(path, offsets[1:-1]), last)


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """Every line of a journal as data, and where it begins."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield offset, json.loads(line.decode())
            except json.JSONDecodeError:
                raise UsageError(f"{path}: line {number} breaks off or is no JSON; run verify again") from None
            offset += len(line)


def is_header(record: Any) -> bool:
    return isinstance(record, dict) and (record.get("format"), record.get("version")) == (FORMAT, VERSION)


def is_case(record: Any) -> bool:
    return isinstance(record, dict) and record.get("kind") == "case" and record.keys() >= {"id", "program", "verdicts"}
