"""Commands that answer a question: about a function, about this machine; and what shells ask when a word is begun."""

from __future__ import annotations

import argparse
from typing import Any

from oracles.cli.options import INCOMPLETE, PASS, add_command
from oracles.cli.progress import status


def add_doctor(commands: Any) -> None:
    command = add_command(
        commands,
        "doctor",
        "show what there is to judge with, what is missing, and how to install it",
        ("doctor", "versions, devices, threads, subnormal numbers; exit code 3 if verify lacks something"),
        ("doctor > machine.txt", "for a bug report"),
    )
    command.set_defaults(run=run_doctor)


def run_doctor(options: argparse.Namespace) -> int:
    from oracles.doctor import MISSING, examine, shown

    with status("importing everything, to see whether it works"):
        checks = examine()
    print(shown(checks))
    return INCOMPLETE if any(check.mark == MISSING for check in checks) else PASS
