"""Commands about runs: to make one, to judge a case of one again, to rebuild its pages, to compare two."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oracles.cli.options import (
    FAILED,
    INCOMPLETE,
    LATEST,
    PASS,
    add_command,
    check_libraries,
    check_parties,
    choices,
    one_of,
    whole,
)
from oracles.cli.progress import display, status
from oracles.errors import UsageError

ORACLES = ("torch", "jax", "jax.jit", "minigrad.stage", "exact")
"""What ``--oracles`` takes; the exact referee judges whether it is named or not."""


def add_verify(commands: Any) -> None:
    command = add_command(
        commands,
        "verify",
        "run a campaign and write its reports",
        ("verify", "the default campaign: 220 programs in each dtype"),
        ("verify --examples 20000 --seed 7", "a long one, on other cases"),
        ("verify --oracles exact", "the referee alone, without PyTorch and JAX"),
        ("verify --subject mylib.trial:Engine --out reports/mine", "your own engine on trial"),
    )
    command.add_argument(
        "--examples", type=whole("--examples", 1), default=220, help="drawn programs per dtype (default 220)"
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
    command.add_argument("--out", type=Path, default=Path(LATEST), help="folder of the run (default reports/latest)")
    command.add_argument("--resume", action="store_true", help="go on with the interrupted run in that folder")
    command.set_defaults(run=run_verify)


def run_verify(options: argparse.Namespace) -> int:
    check_parties(options)
    check_libraries("flint", "hypothesis", "jinja2", "matplotlib", "pandas", "pebble", "rich")
    from oracles.campaign import Campaign, Options
    from oracles.examine import Setup
    from oracles.journal import read_run
    from oracles.quotas import missed

    setup = Setup(options.subject, options.oracles, tuple(int(order) for order in options.orders))
    workers = options.workers or os.cpu_count() or 1
    chosen = Options(options.examples, options.seed, options.dtypes, workers, options.out, setup, options.resume)
    with display() as show:
        footer = Campaign(chosen, show).run()
    from oracles.report import write_reports

    with status(f"writing the pages of {options.out}"):
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


def add_repro(commands: Any) -> None:
    command = add_command(
        commands,
        "repro",
        "judge one case again, and show it",
        ("repro f64-00012", "a case of the latest run, by its id in cases.csv"),
        ("repro f64-00012 --run reports/mine", "of another run"),
        ("repro reports/latest/repro/CASE.json --oracles torch", "a case file, with PyTorch alone beside the subject"),
    )
    command.add_argument("case", help="a case file, or the id of a case in the run")
    command.add_argument(
        "--run",
        dest="folder",
        type=Path,
        default=Path(LATEST),
        help="where ids are looked up (default reports/latest)",
    )
    command.add_argument("--subject", default="minigrad", help="who is judged")
    command.add_argument(
        "--oracles", type=choices(ORACLES, "--oracles"), default=ORACLES, help="who is judged beside it"
    )
    command.set_defaults(run=run_repro)


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
        # Shrunk cases first, for which nothing has to be read once more.
        records = itertools.chain(run.footer["shrunk"], run.cases)
        found = next((record for record in records if record["id"] == options.case), None)
        if found is None:
            raise UsageError(
                f"case {options.case!r} is not in {options.folder}; give an id from cases.csv, or a case file"
            )
        case = Case.from_data(found)
        case.check()
    recorded = recalled(case)
    orders = (1, 2) if recorded is None else (recorded.order,)
    with status(f"asking {', '.join([options.subject, *options.oracles])} about {case.id}"):
        found_now = examine(case, Setup(options.subject, options.oracles, orders))
    if recorded is not None:
        print(recorded, Judgement(case, recorded.order, found_now), sep="\n\n")
        is_still_off = recorded.verdict.label in FAILING
        return FAILED if is_still_off or found_now.failed(options.subject) else PASS
    print(case.program)
    names = [declared.name for declared in case.program.inputs]
    given = [*zip(names, case.inputs, strict=True), ("cotangent", case.cotangent)]
    for name, x in (*given, *zip([f"vector for {name}" for name in names], case.vectors, strict=True)):
        print(f"{name} = {x.tolist()!r}")
    width = max(len(verdict.party) for verdict in found_now.verdicts)
    for verdict in found_now.verdicts:
        print(
            f"{verdict.party:>{width}}  order {verdict.order}  {verdict.label:<15} {verdict.units:8.3g} units of noise,"
            f" {verdict.ulp:,} ULP  {verdict.where} {verdict.why}".rstrip()
        )
    return FAILED if found_now.failed(options.subject) else PASS


def add_report(commands: Any) -> None:
    command = add_command(
        commands,
        "report",
        "rebuild tables and pages from a run's journal",
        ("report", "those of reports/latest"),
        ("report reports/mine", "those of another run"),
    )
    command.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(LATEST),
        help="folder of the run (default reports/latest)",
    )
    command.set_defaults(run=run_report)


def run_report(options: argparse.Namespace) -> int:
    check_libraries("flint", "jinja2", "matplotlib", "pandas")
    from oracles.journal import read_run
    from oracles.report import write_reports

    folder = options.folder.parent if options.folder.is_file() else options.folder
    with status(f"reading {folder} and writing its pages"), whole_journal(str(folder)):
        run = read_run(options.folder)
        write_reports(run, folder)
    print(f"{run.footer['verdict']}: rebuilt {folder / 'index.html'} from its journal")
    return PASS


@contextmanager
def whole_journal(name: str) -> Iterator[None]:
    """What a journal that somebody or another version wrote may lack."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{name}: the journal lacks or garbles {error}; run verify again") from None


def add_diff(commands: Any) -> None:
    command = add_command(
        commands,
        "diff",
        "compare two runs: new, fixed, more accurate, faster",
        ("diff reports/before reports/latest", "after verify --out reports/before, an upgrade, and verify"),
        ("diff reports/before reports/latest --format md", "the same for a pull request"),
        ("diff A B && deploy", "exit code 1 if the subject does worse in B"),
    )
    command.add_argument("before", type=Path, help="folder of a run, such as reports/before")
    command.add_argument("after", type=Path, help="folder of the run to compare with it")
    formats = ("text", "md", "json")
    command.add_argument(
        "--format", type=one_of(formats, "--format"), default="text", help=f"one of {','.join(formats)} (default text)"
    )
    command.set_defaults(run=run_diff)


def run_diff(options: argparse.Namespace) -> int:
    check_libraries("flint", "jinja2", "pandas")
    from oracles.diff import compare
    from oracles.diff.printing import PRINTED
    from oracles.journal import read_run

    names = f"{options.before} or {options.after}"
    with status(f"comparing {options.before} with {options.after}"), whole_journal(names):
        changes = compare(read_run(options.before), read_run(options.after))
        text = PRINTED[options.format](changes)
    print(text)
    return FAILED if changes.worse else PASS
