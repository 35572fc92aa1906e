"""The command line: ``python -m oracles``, or ``oracles`` where it is installed.

Exit codes: 0 pass, 1 the subject failed or does worse, a planted fault was missed, or a party to the
benchmark is wrong, 2 usage, 3 incomplete (something is missing, the run was interrupted, or it tested
too little).

A map, each file leaning only on those above it:

==============  ======================================================================
``options``     what an option may say, and how it is refused
``progress``    what is under way, on stderr
``runs``        verify, repro, report, diff
``studies``     atlas, faults, bench
``questions``   explain, doctor, completion
==============  ======================================================================
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from oracles.cli import questions, runs, studies
from oracles.cli.options import INCOMPLETE, PROGRAM, USAGE, Parser, Version, understood
from oracles.errors import OraclesError

EXAMPLES = """\
to start with:
  python -m oracles doctor                               is everything here, and in which version?
  python -m oracles verify                               the default campaign, to reports/latest

when something was found:
  python -m oracles repro f64-00012                      one case of the latest run again
  python -m oracles explain hypot                        a function: its rule, and who chooses what
  python -m oracles diff reports/before reports/latest   "I upgraded torch, what changed?"

at length:
  python -m oracles verify --examples 20000 --seed 7     a long campaign, on other cases
  python -m oracles verify --subject mylib.trial:Engine  your own engine on trial
  python -m oracles atlas --function maximum,hypot       every kink and edge of two functions
  python -m oracles bench --only f-64x64,chain           time two of the benchmark's workloads

The help of each command has more: python -m oracles verify --help

exit codes: 0 the subject passed, 1 it failed or does worse than before, 2 a mistake in the command,
3 nothing is proved: something is missing or crashed, or the drawn cases fall short of a quota
"""


def parser() -> Parser:
    """What the command line understands."""
    return parsers()[0]


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the command line, and by name those of its commands."""
    top = Parser(
        prog=PROGRAM,
        description="Judge gradients: those of an autodiff engine, of PyTorch and of JAX, against certified truth.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("-V", "--version", action=Version, nargs=0, help="show the version")
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser, metavar="command")
    adders: list[Callable[[Any], None]] = [
        *(runs.add_verify, runs.add_repro, runs.add_report, runs.add_diff),
        *(studies.add_atlas, studies.add_faults, studies.add_bench),
        *(questions.add_explain, questions.add_doctor, questions.add_completion),
    ]
    for add in adders:
        add(commands)
    return top, dict(commands.choices)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; expected errors are one line on stderr."""
    words = sys.argv[1:] if arguments is None else arguments
    top, commands = parsers()
    if not words:
        top.print_help(sys.stderr)
        return USAGE
    try:
        options = understood(top, commands, words)
        run: Callable[[Any], int] = options.run
        code = run(options)
        sys.stdout.flush()
        return code
    except OraclesError as error:
        print("oracles:", " ".join(str(error).split()), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCOMPLETE
    except KeyboardInterrupt:
        kept = "; verify with the same options and --resume goes on from here" if words[0] == "verify" else ""
        print(f"oracles: interrupted{kept}", file=sys.stderr)
        return INCOMPLETE
