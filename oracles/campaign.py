"""A campaign: draw cases, have workers examine them, journal what they find.

The cases are drawn here, in order, and travel to the workers as data, so the same seed gives the
same cases on any number of workers.  A worker that crashes or hangs costs one case: each party is
then asked alone, to find out who brought it down.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
import platform
import random
import shlex
import shutil
import signal
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from pebble import ProcessExpired, ProcessPool

from oracles import strategies
from oracles.adapters import KNOWN
from oracles.asking import ask, party
from oracles.cases import SHORT, Case, write_text
from oracles.catalogue import DIFFERENTIATED
from oracles.census import Census
from oracles.errors import HarnessError, UsageError
from oracles.examine import Examination, Setup, examine
from oracles.facts import Point
from oracles.findings import AT_MOST, Ledger, Suspect, fingerprint, is_telling, known_as
from oracles.journal import NAME, STARTED, JournalWriter
from oracles.known import Finding, findings
from oracles.laws import LAW_NAMES, RARE, law_for, shown_by
from oracles.named import NAMED
from oracles.quotas import missed, quotas
from oracles.repro import script
from oracles.shrink import shrink
from oracles.verdict import Label, Verdict, is_failure

BLOCK = 8
"""Draws per block, all with a certain function; Hypothesis is seeded anew for each."""

TIMEOUT = 60.0
"""Seconds that a worker may spend on one case, the first imports included."""

AT_LENGTH = 900.0
"""And once more, without the parties that hang alone: the referee may be what is slow, as beside ties of gammaln."""

PATIENCE = 8
"""A party that has killed or hung this many workers is not asked again."""

SILENCED = f"not asked again after {PATIENCE} times: "

SHRINKING = 40.0
"""Seconds after which the smallest case found so far has to do."""

TIMED_EVERY = 25
"""One drawn case in this many is timed; the named ones and the findings on record all are."""

LAW_EVERY = 4
"""One drawn case in this many is put to a metamorphic law besides, and each to which one of the `RARE` applies
(see `oracles.laws`)."""

RARELY = {"jax.jit": 10}
"""Parties that are asked about one drawn case in so many: compiling a program whole takes longer than all else."""

JUDGED = frozenset(Label) - {Label.UNSUPPORTED}


@dataclass(frozen=True)
class Options:
    """What a campaign was asked to do."""

    examples: int = 220
    """Drawn programs per dtype, besides the named ones."""
    seed: int = 0
    dtypes: tuple[str, ...] = ("float64", "float32")
    workers: int = 1
    out: Path = Path("reports/latest")
    setup: Setup = field(default_factory=Setup)
    resume: bool = False
    """Go on with the interrupted run in the folder."""

    @property
    def command(self) -> str:
        """The command line that repeats this campaign."""
        words = ["python", "-m", "oracles", "verify", "--examples", self.examples, "--seed", self.seed]
        words += ["--subject", self.setup.subject, "--oracles", ",".join(self.setup.oracles) or "exact"]
        words += ["--dtypes", ",".join(self.dtypes), "--orders", ",".join(map(str, self.setup.orders))]
        return shlex.join(map(str, words))


@dataclass
class Tally:
    """How a campaign stands: what the progress display shows."""

    total: int
    cases: int = 0
    failures: int = 0
    findings: int = 0
    doing: str = "starting workers"
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)


class SeededProvider(HypothesisProvider):
    """Hypothesis's way of drawing, less the constants that it finds in the modules that happen to be loaded.

    With those, the same seed would draw other cases whenever a subject's module is imported.
    """

    def _maybe_draw_constant(self, *args: Any, **kwargs: Any) -> None:
        return None


AVAILABLE_PROVIDERS["minigrad-seeded"] = SeededProvider


SPECIAL_EVERY = 3
"""One drawn case in this many is at a special point."""


def draw_block(
    dtype: str,
    campaign_seed: int,
    must: str,
    block: int,
    palette: strategies.Palette,
    special: bool = False,
    draws: int = BLOCK,
) -> list[Case]:
    """The cases of one block, all of which contain one function: a function of its arguments alone.

    With fewer `draws`, the first of them.
    """
    drawn: list[Case] = []
    digest = hashlib.sha256(f"{campaign_seed}/{dtype}/{must}/{block}{'/special' * special}".encode()).digest()
    sort = strategies.special_cases if special else strategies.cases

    @seed(int.from_bytes(digest[:8]))
    @settings(
        max_examples=draws,
        backend="minigrad-seeded",
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(sort(dtype, palette, must=must))
    def collect(case: Case) -> None:
        drawn.append(case)

    collect()
    return drawn[1:]  # Hypothesis begins with the simplest draw, which is the same in every block


def cases_with(
    must: str,
    dtype: str,
    options: Options,
    palette: strategies.Palette,
    special: bool = False,
    at_first: int = 2,
) -> Iterator[Case]:
    """Drawn cases that contain one function, without end.

    A short campaign takes one or two of each function, so that no more draws are made `at_first`.
    """
    for block in itertools.count():
        served = 0
        for draws in (at_first, BLOCK) if block == 0 and at_first < BLOCK else (BLOCK,):
            cases = draw_block(dtype, options.seed, must, block, palette, special, draws)
            for number, case in enumerate(cases[served:], served):
                yield replace(case, origin={**case.origin, "seed": options.seed, "block": block, "draw": number})
            served = len(cases)


def in_turn(dtype: str, campaign_seed: int) -> list[str]:
    """The functions of the catalogue, in the order in which they take turns."""
    functions = [*DIFFERENTIATED]
    random.Random(f"{campaign_seed}/{dtype}").shuffle(functions)
    return functions


def is_special(turn: int, place: int) -> bool:
    """Whether a turn is at a special point; which ones are differs by place, so that any stretch of cases has some."""
    return (turn + place + 1) % SPECIAL_EVERY == 0


def has_law(turn: int, place: int) -> bool:
    """Whether a turn is put to a law besides; shifted from turn to turn, so that every function comes to it.

    The remainder is one that the turns of those who are asked `RARELY` have, too.
    """
    return (turn + place) % LAW_EVERY == 1


def drawn_cases(dtype: str, options: Options) -> Iterator[Case]:
    """Drawn cases without end; every function in its turn must occur, at a special point every so many turns.

    Programs at ordinary points are new as long as a function has any.
    """
    palette = strategies.Palette.of(options.seed)
    functions = in_turn(dtype, options.seed)
    streams = [[cases_with(must, dtype, options, palette, special) for special in (False, True)] for must in functions]
    seen, served = set(), Counter[str]()
    for number in itertools.count():
        turn, place = divmod(number, len(functions))
        special = is_special(turn, place)
        stream = streams[place][special]
        case = next(stream)
        for other in itertools.islice(stream, BLOCK * (not special and case.program in seen)):
            case = other
            if case.program not in seen:
                break
        if not special:
            seen.add(case.program)
        if law := law_for(case, served, LAW_NAMES if has_law(turn, place) else RARE):
            served[law] += 1
            case = replace(case, origin={**case.origin, "law": law})
        yield replace(case, id=f"{SHORT[dtype]}-{number + 1:05d}")


def all_cases(options: Options) -> Iterator[Case]:
    """The named cases and the known findings, then the drawn ones, the dtypes taking turns."""
    for dtype in options.dtypes:
        for named in NAMED:
            yield named.case(dtype)
    for known in known_findings(options):
        yield known.case()
    streams = [itertools.islice(drawn_cases(dtype, options), options.examples) for dtype in options.dtypes]
    for together in zip(*streams, strict=True):
        yield from together


def known_findings(options: Options) -> list[Finding]:
    """The known findings that this campaign can show: about a party and an order that it asks for."""
    setup = options.setup
    return [f for f in findings() if f.party in setup.parties and f.order in setup.orders]


def setup_for(case: Case, number: int, setup: Setup) -> Setup:
    """Who is asked about the drawn case of this number."""
    if "block" not in case.origin:
        return setup
    return replace(setup, oracles=tuple(o for o in setup.oracles if number % RARELY.get(o, 1) == 0))


# In the workers.


def examine_data(data: Mapping[str, Any], setup: Setup, silent: Mapping[str, str], timed: bool) -> dict[str, Any]:
    return examine(Case.from_data(data), setup, silent, timed).as_data()


def probe(data: Mapping[str, Any], spec: str, orders: tuple[int, ...]) -> None:
    """Ask one party alone; whether this returns is all that matters."""
    for order in orders:
        ask(spec, Case.from_data(data), order)


def shrink_data(suspect: Suspect, name: str) -> tuple[dict[str, Any], str]:
    """Shrink a case for as long as its party gets its label; the journal record, under a new id, and the script.

    What shows at a case that a law makes is shrunk as long as it does, and then that case as any other: it is put to
    its law only if that alone shows it.  A finding on record is small as it is.
    """
    if suspect.is_on_record:
        return as_found(suspect, name)
    setup = Setup(suspect.party, (), (suspect.order,))
    deadline = time.monotonic() + SHRINKING

    def shows_it(found: Examination, variant: int | None = None) -> bool:
        verdict = found.verdicts[0]
        return (verdict.label, verdict.moved, verdict.variant) == (suspect.label, False, variant)

    def shrunk(case: Case, variant: int | None = None) -> Case:
        return shrink(case, lambda c: time.monotonic() < deadline and shows_it(examine(c, setup), variant))

    case = case_of(suspect)
    if suspect.variant is not None:
        case = shown_by(shrunk(Case.from_data(suspect.record), suspect.variant), suspect.variant)
    if not suspect.law:
        case = replace(case, origin={key: value for key, value in case.origin.items() if key != "law"})
    small = replace(shrunk(case), id=name)
    found = examine(small, setup)
    if not shows_it(found):  # it fails once in a while
        return as_found(suspect, name)
    return found.as_data(), script(found, suspect.order)


def as_found(suspect: Suspect, name: str) -> tuple[dict[str, Any], str]:
    """The same unshrunk, of a case that may not survive being examined again; nobody is asked who did not answer.

    At the very case it has everybody's answers.
    """
    case = replace(case_of(suspect), id=name)
    silent = {v["party"]: v["why"] for v in suspect.record["verdicts"] if v["label"] == Label.ERRORED}
    found = examine(case, Setup(suspect.party, (), (suspect.order,)), silent)
    if suspect.moved or suspect.variant is not None:
        return found.as_data(), script(found, suspect.order)
    told = [v for v in suspect.record["verdicts"] if v["order"] == suspect.order]
    return {**suspect.record, "id": name, "verdicts": told}, script(found, suspect.order)


def case_of(suspect: Suspect) -> Case:
    """The case as it shows: the one that a law made of it, or at another point, where that is so."""
    case = Case.from_data(suspect.record)
    if suspect.variant is not None:
        return shown_by(case, suspect.variant)
    moved = Point(case, suspect.order).off_the_event() if suspect.moved else None
    return case if moved is None else moved.case


def start_worker() -> None:
    """Keep each worker to one thread and quiet, and let Ctrl-C reach the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


# In the parent.


class Campaign:
    """Runs a campaign; `on_progress` is called with the `Tally` after every case."""

    def __init__(self, options: Options, on_progress: Callable[[Tally], None] = lambda tally: None):
        self.options = options
        self.on_progress = on_progress
        self.known = known_findings(options)
        self.tally = Tally(total=len(options.dtypes) * (options.examples + len(NAMED)) + len(self.known))
        self.blows: Counter[str] = Counter()
        self.silent: dict[str, str] = {}
        self.ledger = Ledger(options.setup.subject)
        self.stale: list[dict[str, str]] = []
        self.cost: Counter[str] = Counter()
        self.census = Census(options.setup.subject)

    def run(self) -> dict[str, Any]:
        """Examine every case; returns the footer of the journal, which ends in ``run.jsonl``."""
        options, setup = self.options, self.options.setup
        adapters = {setup.subject: party(setup.subject)}
        check_out(options.out)
        start = time.time()
        context = multiprocessing.get_context("spawn")
        head = header(options, {s: str(a.version) for s, a in adapters.items()})
        with JournalWriter(options.out, head, options.resume) as journal:
            with ProcessPool(options.workers, context=context, initializer=start_worker) as self.pool:
                try:
                    for number, record in enumerate(self.examined(journal.earlier())):
                        if number >= journal.kept:
                            journal.case(record)
                        self.count(record)
                    shrunk = self.shrink_failures()
                except BaseException:
                    self.pool.stop()
                    raise
            # A pass means that every oracle was asked every time, that the subject could answer, and that it was tried.
            judged = sum(n for (who, label), n in self.tally.labels.items() if who == setup.subject and label in JUDGED)
            if not judged:
                self.silent.setdefault(setup.subject, "unable to answer a single case")
            found = quotas(self.census, options.dtypes)
            verdict = "FAIL" if self.tally.failures else "INCOMPLETE" if self.silent else "PASS"
            verdict = "TESTED TOO LITTLE" if verdict == "PASS" and missed(found) else verdict
            footer = {
                "verdict": verdict,
                "cases": self.tally.cases,
                "failures": self.tally.failures,
                "findings": self.tally.findings,
                "stale": self.stale,
                "quotas": found,
                "cost": dict(self.cost),
                "silent": self.silent,
                "seconds": journal.spent + time.time() - start,
                "shrunk": [record for record, _ in shrunk],
            }
            write_repros(options.out, shrunk)
            journal.close(footer)
        return footer

    def examined(self, earlier: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """A record per case, in the order of the cases; the first are those of the run that is resumed."""
        setup = self.options.setup
        pending: deque[tuple[Case, Future[dict[str, Any]]]] = deque()
        drawn = Counter[str]()
        for case in all_cases(self.options):
            drawn[case.dtype] += "block" in case.origin
            if (record := next(earlier, None)) is not None:
                check_same(case, record)
                self.silent |= {v["party"]: v["why"] for v in record["verdicts"] if v["why"].startswith(SILENCED)}
                yield record
                continue
            timed = "block" not in case.origin or drawn[case.dtype] % TIMED_EVERY == 0
            task = (case.as_data(), setup_for(case, drawn[case.dtype], setup), dict(self.silent), timed)
            future = self.pool.schedule(examine_data, task, timeout=TIMEOUT)
            pending.append((case, future))
            while len(pending) >= 8 * self.options.workers or (pending and pending[0][1].done()):
                yield self.result_of(*pending.popleft())
        while pending:
            yield self.result_of(*pending.popleft())

    def result_of(self, case: Case, future: Future[dict[str, Any]]) -> dict[str, Any]:
        """The record of a case, also when a worker died of it."""
        try:
            return future.result()
        except (ProcessExpired, TimeoutError):
            pass
        except Exception as error:
            kept = self.options.out / f"{case.id}.json"
            write_text(kept, json.dumps(case.as_data(), indent=1) + "\n")
            fault = f"{type(error).__name__}: {error}"
            raise HarnessError(f"case {case.id} could not be examined, and was kept as {kept}: {fault}") from error
        setup = self.options.setup
        data = case.as_data()
        guilty = dict(self.silent)
        for spec in setup.parties:
            if spec in guilty:
                continue
            try:
                self.pool.schedule(probe, (data, spec, setup.orders), timeout=TIMEOUT).result()
            except (ProcessExpired, TimeoutError) as error:
                guilty[spec] = describe(error)
                self.blows[spec] += 1
                if self.blows[spec] == PATIENCE:
                    self.silent[spec] = SILENCED + guilty[spec]
        try:
            arguments = (data, setup, guilty, False)
            return self.pool.schedule(examine_data, arguments, timeout=AT_LENGTH).result()  # type: ignore[no-any-return]
        except (ProcessExpired, TimeoutError) as error:
            why = f"{describe(error, AT_LENGTH)}, though every party left answered when asked alone"
            return given_up(case, setup, why)

    def count(self, record: dict[str, Any]) -> None:
        subject = self.options.setup.subject
        self.tally.cases += 1
        self.census.add(record)
        self.tally.doing = record["id"]
        self.cost.update(record["cost"])
        verdicts = [Verdict(v["party"], v["order"], Label(v["label"])) for v in record["verdicts"]]
        failed = False
        for data, verdict in zip(record["verdicts"], verdicts, strict=True):
            self.tally.labels[verdict.party, verdict.label] += 1
            fails = verdict.party == subject and is_failure(verdict, verdicts)
            failed = failed or fails
            self.tally.findings += is_telling(data, subject)
            if fails or is_telling(data, subject):
                self.ledger.note(record, data)
        self.tally.failures += failed
        self.note_stale(record["id"], verdicts)
        self.on_progress(self.tally)

    def note_stale(self, case: str, verdicts: Sequence[Verdict]) -> None:
        """A known finding that is one no more."""
        for known in self.known:
            for verdict in verdicts:
                is_its = (known.id, known.party, known.order) == (case, verdict.party, verdict.order)
                if is_its and verdict.label != known.label:
                    self.stale.append({"id": case, "was": known.label, "is": str(verdict.label)})

    def shrink_failures(self) -> list[tuple[dict[str, Any], str]]:
        """The most telling cases, shrunk, until they explain all others or are enough."""
        shrunk: list[tuple[dict[str, Any], str]] = []
        while len(shrunk) < AT_MOST and (batch := self.ledger.batch(AT_MOST - len(shrunk))):
            names = [f"{s.title}-small{len(shrunk) + number}" for number, s in enumerate(batch, 1)]
            futures = [  # the longest, which come last in the batch, begin first, so that no worker waits for them
                self.pool.schedule(shrink_data, arguments, timeout=2 * TIMEOUT)
                for arguments in zip(batch[::-1], names[::-1], strict=True)
            ][::-1]
            found: list[tuple[dict[str, Any], str]] = []
            for suspect, name, future in zip(batch, names, futures, strict=True):
                self.tally.doing = f"shrinking {suspect.record['id']}"
                self.on_progress(self.tally)
                try:
                    found.append(future.result())
                except Exception:  # whatever stops the shrinking, the failure itself must be shown
                    found.append(self.pool.schedule(as_found, (suspect, name), timeout=TIMEOUT).result())
                self.ledger.explain(suspect, found[-1][0]["functions"])
            everybody = self.asked_of_all(batch, [small for small, _ in found])
            for suspect, (small, text), record in zip(batch, found, everybody, strict=True):
                mark = fingerprint(suspect, small)
                found_as = {"accused": suspect.party, "found_as": suspect.record["id"], "fingerprint": mark}
                shrunk.append((record | found_as | {"known": known_as(mark, self.known)}, text))
        return shrunk

    def asked_of_all(self, suspects: Sequence[Suspect], shrunk: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records of shrunk cases with every party's answers.

        A record as it is, where it has them, a party dies of the case or it shows no more.
        """
        futures = []
        for suspect, small in zip(suspects, shrunk, strict=True):
            setup = replace(self.options.setup, orders=(suspect.order,))
            task = (Case.from_data(small).as_data(), setup, dict(self.silent), False)
            has_all = {v["party"] for v in small["verdicts"]} == {*setup.parties}
            futures.append(None if has_all else self.pool.schedule(examine_data, task, timeout=TIMEOUT))
        for suspect, small, future in zip(suspects, shrunk, futures, strict=True):
            if future is None:
                yield small
                continue
            try:
                record = future.result()
            except Exception:  # the finding is about one party, whatever the others do
                yield small
                continue
            labels = [{v["label"] for v in r["verdicts"] if v["party"] == suspect.party} for r in (record, small)]
            yield record if labels[0] == labels[1] else small


def check_same(case: Case, record: Mapping[str, Any]) -> None:
    """Refuse to resume a run that drew other cases."""
    for key, value in json.loads(json.dumps(case.as_data())).items():
        if key != "format" and record.get(key) != value:
            raise UsageError(
                f"--resume: case {record.get('id')} of the interrupted run is not what is drawn now, as the code has "
                "changed; leave --resume away"
            )


def given_up(case: Case, setup: Setup, why: str) -> dict[str, Any]:
    """The record of a case that the referee does not get done with."""
    verdicts = [Verdict(p, order, Label.UNDECIDED, why=why) for order in setup.orders for p in setup.parties]
    return Examination(case, verdicts, {}, {}, [], False).as_data()


def describe(error: Exception, limit: float = TIMEOUT) -> str:
    if isinstance(error, TimeoutError):
        return f"did not answer within {limit:g} s"
    return f"the worker died ({error})"


def check_out(out: Path, names: Sequence[str] = (NAME, f"{NAME}.partial")) -> None:
    """Refuse to write among files that are not a run's, one of which goes by one of these names."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in names):
        raise UsageError(f"--out {out} holds files that are no run's; name a new or empty folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; name a folder that can be written to") from None


def header(options: Options, versions: dict[str, str]) -> dict[str, Any]:
    """Everything needed to repeat the run, and to know what it was run with."""
    packages = [
        "numpy",
        "hypothesis",
        "pandas",
        *dict.fromkeys(o.partition(".")[0] for o in options.setup.oracles if o in KNOWN),
    ]
    for package in packages:
        if package in versions:  # the subject has said its own
            continue
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return {
        "command": options.command,
        "seed": options.seed,
        "examples": options.examples,
        "dtypes": list(options.dtypes),
        "orders": list(options.setup.orders),
        "subject": options.setup.subject,
        "oracles": list(options.setup.oracles),
        "workers": options.workers,
        "versions": {"python": platform.python_version(), **versions},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "started": time.strftime(STARTED, time.gmtime()),
    }


def write_repros(out: Path, shrunk: list[tuple[dict[str, Any], str]]) -> None:
    """Replace the scripts and case files of the run before."""
    folder = out / "repro"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for record, text in shrunk:
        case = Case.from_data(record)
        write_text(folder / f"{case.id}.py", text)
        write_text(folder / f"{case.id}.json", json.dumps(case.as_data(), indent=1) + "\n")
