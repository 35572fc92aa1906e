"""The command line: ``python -m oracles verify | repro | report | atlas | faults | bench``.

Exit codes: 0 pass, 1 the subject failed, a planted fault was
missed, or a party to the benchmark is wrong, 2 usage, 3 incomplete
(something is missing, the run was interrupted, or it tested too
little).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from oracles.errors import MissingError, OraclesError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oracles.campaign import Tally

PASS, FAILED, USAGE, INCOMPLETE = 0, 1, 2, 3

ORACLES = ("torch", "jax", "jax.jit", "minigrad.stage", "exact")
"""What ``--oracles`` takes; the exact referee judges whether it is named or not."""

EXAMPLES = """\
exit codes of verify: 0 the subject passed, 1 it failed, 2 a mistake in the command,
3 nothing is proved: something is missing or crashed, or the drawn cases fall short of a quota

examples:
  python -m oracles verify                                 the default campaign
  python -m oracles verify --examples 20000 --seed 7       a long one, on other cases
  python -m oracles verify --subject mylib.trial:Adapter   your own engine on trial
  python -m oracles repro f64-00012                        one case of the latest run again
  python -m oracles report reports/latest                  rebuild the pages from the journal
  python -m oracles atlas --function maximum,hypot         every kink and edge of two functions, party by party
  python -m oracles faults --only '*@hypot.*' --seeds 2     what the harness would miss in one function's rules
  python -m oracles bench --only f-64x64,chain             time two of the benchmark's workloads
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see python -m oracles --help")


def choices(allowed: Sequence[str], name: str) -> Callable[[str], tuple[str, ...]]:
    """A comma-separated list drawn from `allowed`, without repetition."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        unknown = [part for part in chosen if part not in allowed]
        if unknown or not chosen:
            raise UsageError(
                f"{name} {text!r}: {unknown[0] if unknown else 'nothing'} is not known; choose from {','.join(allowed)}"
            )
        return chosen

    return parse


def one_of(allowed: Sequence[str], name: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise UsageError(f"{name} {text!r}: choose from {','.join(allowed)}")
        return text

    return parse


def whole(name: str, least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise UsageError(f"{name} {text!r}: give a whole number, at least {least}")
        return number

    return parse


def parser() -> Parser:
    top = Parser(
        prog="python -m oracles",
        description="Judge gradients: those of an autodiff engine, of PyTorch and of JAX, against certified truth.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="command")
    for add in (add_verify, add_repro, add_report, add_atlas, add_faults, add_bench):
        add(commands)
    return top


def add_verify(commands: Any) -> None:
    command = commands.add_parser("verify", help="run a campaign and write its reports")
    command.add_argument(
        "--examples", type=whole("--examples", 1), default=300, help="drawn programs per dtype (default 300)"
    )
    command.add_argument("--seed", type=whole("--seed", 0), default=0, help="what is drawn (default 0)")
    command.add_argument(
        "--subject",
        default="minigrad",
        help="who is on trial: minigrad, torch, jax, autograd, mygrad or package.module:factory",
    )
    command.add_argument(
        "--oracles",
        type=choices(ORACLES, "--oracles"),
        default=ORACLES,
        help="who is judged beside it; exact alone needs no framework (default torch,jax,jax.jit,minigrad.stage,exact)",
    )
    command.add_argument(
        "--dtypes",
        type=choices(("float64", "float32"), "--dtypes"),
        default=("float64", "float32"),
        help="default float64,float32",
    )
    command.add_argument(
        "--orders", type=choices(("1", "2"), "--orders"), default=("1", "2"), help="of derivatives (default 1,2)"
    )
    command.add_argument(
        "--workers", type=whole("--workers", 1), default=None, help="processes (default: one per core)"
    )
    command.add_argument(
        "--out", type=Path, default=Path("reports/latest"), help="folder of the run (default reports/latest)"
    )
    command.set_defaults(run=run_verify)


def add_repro(commands: Any) -> None:
    command = commands.add_parser("repro", help="judge one case again")
    command.add_argument("case", help="a case file, or the id of a case in the run")
    command.add_argument(
        "--run",
        dest="folder",
        type=Path,
        default=Path("reports/latest"),
        help="where ids are looked up (default reports/latest)",
    )
    command.add_argument("--subject", default="minigrad", help="who is judged")
    command.add_argument(
        "--oracles", type=choices(ORACLES, "--oracles"), default=ORACLES, help="who is judged beside it"
    )
    command.set_defaults(run=run_repro)


def add_report(commands: Any) -> None:
    command = commands.add_parser("report", help="rebuild tables and pages from a run's journal")
    command.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("reports/latest"),
        help="folder of the run (default reports/latest)",
    )
    command.set_defaults(run=run_report)


def add_atlas(commands: Any) -> None:
    command = commands.add_parser("atlas", help="tabulate what every party returns at special points, beside the truth")
    command.add_argument(
        "--function", help="of the catalogue, such as maximum,linalg.norm (default all with such points)"
    )
    command.add_argument(
        "--dtype",
        type=one_of(("float64", "float32"), "--dtype"),
        default="float64",
        help="of operands (default float64)",
    )
    command.add_argument("--order", type=one_of(("1", "2"), "--order"), default="1", help="of derivatives (default 1)")
    command.add_argument("--parties", help="who is asked, such as torch,jax.jit (default minigrad,torch,jax)")
    command.add_argument(
        "--workers", type=whole("--workers", 1), default=None, help="processes (default: one per core)"
    )
    command.add_argument("--out", type=Path, default=Path("reports/atlas"), help="folder (default reports/atlas)")
    command.set_defaults(run=run_atlas)


def add_faults(commands: Any) -> None:
    command = commands.add_parser("faults", help="plant faults in minigrad, one at a time, and see which are caught")
    command.add_argument(
        "--seeds", type=whole("--seeds", 1), default=10, help="campaigns that each fault meets (default 10)"
    )
    command.add_argument(
        "--examples",
        type=whole("--examples", 200),
        default=5000,
        help="drawn programs per dtype before a campaign gives up on a fault (default 5000)",
    )
    command.add_argument("--only", help="a pattern for names of faults, such as 'sign@*'; leaves out the floors")
    command.add_argument(
        "--workers", type=whole("--workers", 1), default=None, help="processes (default: one per core)"
    )
    command.add_argument("--out", type=Path, default=Path("reports/faults"), help="folder (default reports/faults)")
    command.set_defaults(run=run_faults)


def add_bench(commands: Any) -> None:
    command = commands.add_parser(
        "bench", help="time minigrad, hand-written NumPy, torch, jax and autograd side by side"
    )
    command.add_argument("--rounds", type=whole("--rounds", 1), default=150, help="of measurements (default 150)")
    command.add_argument("--only", help="workloads, such as f-64x64,chain (default all)")
    command.add_argument("--parties", help="who is timed besides hand, such as minigrad,torch (default all)")
    command.add_argument("--out", type=Path, default=Path("reports/bench"), help="folder (default reports/bench)")
    command.set_defaults(run=run_bench)


def check_libraries(*names: str) -> None:
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if absent:
        raise MissingError(
            f"not installed: {', '.join(absent)}; install with make setup, or pip install -e '.[report]' in this folder"
        )


def check_parties(options: argparse.Namespace) -> None:
    """The subject is asked once, and everybody must be installed."""
    from oracles.adapters import check_installed

    options.oracles = tuple(name for name in options.oracles if name not in (options.subject, "exact"))
    check_installed([options.subject, *options.oracles])


def run_verify(options: argparse.Namespace) -> int:
    check_parties(options)
    check_libraries("flint", "hypothesis", "jinja2", "pandas", "pebble", "rich")
    from oracles.campaign import Campaign, Options
    from oracles.examine import Setup
    from oracles.journal import read_run
    from oracles.quotas import missed

    setup = Setup(options.subject, options.oracles, tuple(int(order) for order in options.orders))
    workers = options.workers or os.cpu_count() or 1
    chosen = Options(options.examples, options.seed, options.dtypes, workers, options.out, setup)
    with display() as show:
        footer = Campaign(chosen, show).run()
    from oracles.report import write_reports

    write_reports(read_run(options.out), options.out)
    for record in footer["shrunk"]:
        if record["accused"] == options.subject:
            print(
                f"failed: {record['found_as']}, shrunk to {', '.join(record['functions'])}; "
                f"reproduce: python {options.out}/repro/{record['id']}.py"
            )
    others = [record for record in footer["shrunk"] if record["accused"] != options.subject]
    found = (
        f" {footer['findings']:,} findings about {', '.join(options.oracles)}, {len(others)} of them different, "
        f"{sum(not record['known'] for record in others)} new;"
    )
    print(
        f"{footer['verdict']}: {options.subject} on {footer['cases']:,} cases against certified truth: "
        f"{footer['failures']:,} failed;{found if options.oracles else ''} see {options.out / 'index.html'}"
    )
    for shortfall in missed(footer["quotas"]):
        print(f"tested too little: {shortfall}")
    print(f"time: {shares(footer['cost'])}")
    for stale in footer["stale"]:
        print(f"stale: {stale['id']} was {stale['was']}, and is {stale['is']} now; see oracles/known.toml")
    for who, reason in footer["silent"].items():
        print(f"{who} was {reason}")
    return {"PASS": PASS, "FAIL": FAILED}.get(footer["verdict"], INCOMPLETE)


def shares(cost: Mapping[str, float]) -> str:
    """Who took which part of the time that went into asking and judging."""
    total = sum(cost.values()) or 1.0
    parts = sorted(cost.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in parts)


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
            if now - last >= 10 or finishes:
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


def run_repro(options: argparse.Namespace) -> int:
    check_parties(options)
    check_libraries("flint")
    from oracles.cases import Case, read_case
    from oracles.examine import Setup, examine
    from oracles.judgement import Judgement
    from oracles.mismatch import FAILING, recalled

    if options.case.endswith(".json") or Path(options.case).exists():
        case = read_case(Path(options.case))
    else:
        from oracles.journal import read_run

        run = read_run(options.folder)
        found = [record for record in [*run.cases, *run.footer["shrunk"]] if record["id"] == options.case]
        if not found:
            raise UsageError(
                f"case {options.case!r} is not in {options.folder}; give an id from cases.csv, or a case file"
            )
        case = Case.from_data(found[0])
        case.check()
    if (recorded := recalled(case)) is not None:
        found_now = examine(case, Setup(options.subject, options.oracles, (recorded.order,)))
        print(recorded, Judgement(case, recorded.order, found_now), sep="\n\n")
        is_still_off = recorded.verdict.label in FAILING
        return FAILED if is_still_off or found_now.failed(options.subject) else PASS
    found_now = examine(case, Setup(options.subject, options.oracles))
    print(case.program)
    for declared, x in zip(case.program.inputs, case.inputs, strict=True):
        print(f"{declared.name} = {x.tolist()!r}")
    for verdict in found_now.verdicts:
        print(
            f"{verdict.party:>10}  order {verdict.order}  {verdict.label:<15} {verdict.units:8.3g} units of noise"
            f"  {verdict.where} {verdict.why}".rstrip()
        )
    return FAILED if found_now.failed(options.subject) else PASS


def run_report(options: argparse.Namespace) -> int:
    check_libraries("jinja2", "pandas")
    from oracles.journal import read_run
    from oracles.report import write_reports

    folder = options.folder.parent if options.folder.is_file() else options.folder
    run = read_run(options.folder)
    try:
        write_reports(run, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder}: the journal lacks or garbles {error}; run verify again") from None
    print(f"{run.footer['verdict']}: rebuilt {folder / 'index.html'} from its journal")
    return PASS


def run_atlas(options: argparse.Namespace) -> int:
    check_libraries("flint", "hypothesis", "jinja2", "pandas", "pebble", "rich")
    from oracles import atlas
    from oracles.adapters import INSTALL, KNOWN, check_installed, missing

    functions = choices(atlas.NAMES, "--function")(options.function) if options.function is not None else atlas.NAMES
    if options.parties is not None:
        parties = choices(tuple(KNOWN), "--parties")(options.parties)
        check_installed(parties, "--parties")
    else:
        parties = tuple(name for name in atlas.PARTIES if not missing([name]))
        for name in missing(atlas.PARTIES):
            print(f"{name}: not installed; {INSTALL.format(extra=name)}", file=sys.stderr)
    workers = options.workers or os.cpu_count() or 1
    chosen = atlas.Options(functions, options.dtype, int(options.order), parties, workers, options.out)
    with display() as show:
        entries = atlas.atlas(chosen, show)
    failed = [entry.spot for entry in entries if entry.failed]
    for spot in failed:
        print(f"failed: minigrad, {spot.call} at {spot.words}")
    print(f"{len(entries):,} points, {len(failed):,} failed; see {options.out / 'index.html'}")
    return FAILED if failed else PASS


def run_faults(options: argparse.Namespace) -> int:
    check_libraries("flint", "hypothesis", "pandas", "pebble", "rich")
    from oracles.faults.checkers import CHECKERS, installed
    from oracles.faults.run import Options, run
    from oracles.faults.tables import FAILED as MISSED
    from oracles.faults.tables import write_tables

    for name in CHECKERS.keys() - installed():
        print(f"{name}: not installed, so that its column of floor.csv stays empty", file=sys.stderr)
    workers, start = options.workers or os.cpu_count() or 1, time.monotonic()
    chosen = Options(options.seeds, options.examples, options.only or "*", options.only is None, workers)
    with display("faults", "caught") as show:
        outcomes, floors = run(chosen, show)
    faults = write_tables(outcomes, floors, options.out)
    missed = faults[faults.status.isin(MISSED)]
    for name, status in zip(missed.fault, missed.status, strict=True):
        print(f"{status}: {name}")
    counts = ", ".join(f"{count:,} {status}" for status, count in faults.status.value_counts().items())
    print(f"{len(faults):,} faults: {counts}; {time.monotonic() - start:.0f} s; see {options.out / 'summary.md'}")
    return FAILED if len(missed) else PASS


def run_bench(options: argparse.Namespace) -> int:
    check_libraries("rich")
    # Linear algebra (the first four) and XLA (the last) read these when they are loaded.
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPROC")
    os.environ.update(dict.fromkeys(threads, "1"))
    from oracles.bench import PARTIES, bench
    from oracles.workloads import WORKLOADS

    names = choices(tuple(WORKLOADS), "--only")(options.only or ",".join(WORKLOADS))
    parties = choices(tuple(PARTIES), "--parties")(options.parties or ",".join(PARTIES))
    bench(names, parties, options.rounds, options.out)
    return PASS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; expected errors are one line on stderr."""
    try:
        options = parser().parse_args(arguments)
        run: Callable[[Any], int] = options.run
        return run(options)
    except OraclesError as error:
        print("oracles:", " ".join(str(error).split()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("oracles: interrupted; a campaign's journal so far is kept as run.jsonl.partial", file=sys.stderr)
        return INCOMPLETE
