"""Commands that study everybody at length: the atlas of special points, planted faults, the benchmark."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from oracles.cli.options import FAILED, PASS, add_command, check_libraries, choices, one_of, whole
from oracles.cli.progress import display
from oracles.errors import UsageError


def add_atlas(commands: Any) -> None:
    command = add_command(
        commands,
        "atlas",
        "tabulate what everybody returns at special points",
        ("atlas", "every kink, edge and extreme of every function"),
        ("atlas --function maximum,hypot --parties torch,jax.jit", "two functions, as two parties have them"),
        ("atlas --dtype float32 --order 2 --out reports/atlas32", "second derivatives in float32"),
    )
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


def run_atlas(options: argparse.Namespace) -> int:
    check_libraries("flint", "hypothesis", "jinja2", "pandas", "pebble", "rich")
    from oracles import atlas
    from oracles.adapters import KNOWN, check_installed, how_to_install, missing
    from oracles.catalogue import CATALOGUE

    functions = atlas.NAMES
    if options.function is not None:
        functions = choices(tuple(CATALOGUE), "--function")(options.function)
        if plain := [name for name in functions if name not in atlas.NAMES]:
            raise UsageError(
                f"--function {options.function!r}: {plain[0]} has no special points to look at; "
                f"leave it out, or ask python -m oracles explain {plain[0]}"
            )
    if options.parties is not None:
        parties = choices(tuple(KNOWN), "--parties")(options.parties)
        check_installed(parties, "--parties")
    else:
        parties = tuple(name for name in atlas.PARTIES if not missing([name]))
        for name in missing(atlas.PARTIES):
            print(f"{name}: not installed; {how_to_install([name])}", file=sys.stderr)
    workers = options.workers or os.cpu_count() or 1
    chosen = atlas.Options(functions, options.dtype, int(options.order), parties, workers, options.out)
    with display() as show:
        entries = atlas.atlas(chosen, show)
    failed = [entry.spot for entry in entries if entry.failed]
    for spot in failed:
        print(f"failed: minigrad, {spot.call} at {spot.words}")
    print(f"{len(entries):,} points, {len(failed):,} failed; see {options.out / 'index.html'}")
    return FAILED if failed else PASS


def add_faults(commands: Any) -> None:
    command = add_command(
        commands,
        "faults",
        "plant faults in minigrad, and see which are caught",
        ("faults --only '*@hypot.*' --seeds 2", "what the harness would miss in one function's rules"),
        ("faults", "everything: half an hour on two cores"),
    )
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


def run_faults(options: argparse.Namespace) -> int:
    check_libraries("flint", "hypothesis", "jinja2", "pandas", "pebble", "rich")
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


def add_bench(commands: Any) -> None:
    command = add_command(
        commands,
        "bench",
        "time minigrad beside hand-written NumPy and others",
        ("bench --only f-64x64,chain", "two of the workloads"),
        ("bench --parties minigrad,torch --rounds 30", "two parties, quickly"),
    )
    command.add_argument("--rounds", type=whole("--rounds", 1), default=150, help="of measurements (default 150)")
    command.add_argument("--only", help="workloads, such as f-64x64,chain (default all)")
    command.add_argument("--parties", help="who is timed besides hand, such as minigrad,torch (default all)")
    command.add_argument("--out", type=Path, default=Path("reports/bench"), help="folder (default reports/bench)")
    command.set_defaults(run=run_bench)


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
