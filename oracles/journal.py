"""The journal of a run: JSON lines, a header first, one line per case, a footer last.

Reports read journals only.  While a run is under way its journal is called ``run.jsonl.partial``;
it takes its final name once the footer is written, so a ``run.jsonl`` is always whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from oracles.errors import UsageError

FORMAT = "minigrad-run"
VERSION = 1
NAME = "run.jsonl"


@dataclass(frozen=True)
class Run:
    """A journal, read."""

    header: dict[str, Any]
    cases: list[dict[str, Any]]
    footer: dict[str, Any]


class JournalWriter:
    """Writes a run's journal line by line; a context manager."""

    def __init__(self, folder: Path, header: dict[str, Any]):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self.partial = folder / f"{NAME}.partial"
        self._file: TextIO = self.partial.open("w")
        self._write({"kind": "header", "format": FORMAT, "version": VERSION, **header})

    def case(self, record: dict[str, Any]) -> None:
        self._write(record)

    def close(self, footer: dict[str, Any]) -> None:
        """Write the footer and give the journal its final name."""
        self._write({"kind": "footer", **footer})
        self._file.close()
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


def read_run(path: Path) -> Run:
    """Read a journal, given as the file or as the folder of its run.

    Raises `UsageError` for one that is missing, empty, malformed or truncated.
    """
    if path.is_dir():
        path = path / NAME
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        if path.with_name(f"{NAME}.partial").exists():
            raise UsageError(f"{path.parent}: the run was cut off before its end; run verify again") from None
        raise UsageError(f"{path}: {error.strerror or error}; run `python -m oracles verify` first") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a journal; give the folder of a run") from None
    if not lines:
        raise UsageError(f"{path}: the journal is empty; run verify again")
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            raise UsageError(f"{path}: line {number} breaks off or is no JSON; run verify again") from None
    first, last = records[0], records[-1]
    if not isinstance(first, dict) or first.get("format") != FORMAT or first.get("version") != VERSION:
        raise UsageError(f"{path}: line 1 is no header of a version-{VERSION} journal; run verify again")
    if not isinstance(last, dict) or last.get("kind") != "footer":
        raise UsageError(f"{path}: truncated: there is no footer after line {len(lines)}; run verify again")
    cases = records[1:-1]
    if not cases:
        raise UsageError(f"{path}: the journal holds no case; run verify again")
    for number, record in enumerate(cases, 2):
        if not isinstance(record, dict) or record.get("kind") != "case" or "verdicts" not in record:
            raise UsageError(f"{path}: line {number} is no case; run verify again")
    return Run(first, cases, last)
