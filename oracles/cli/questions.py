"""Commands that answer a question: about a function, about this machine; and what shells ask when a word is begun."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oracles.cli.options import INCOMPLETE, LATEST, PASS, add_command, check_libraries, choices, one_of
from oracles.cli.progress import status
from oracles.errors import UsageError


def add_doctor(commands: Any) -> None:
    command = add_command(
        commands,
        "doctor",
        "show what there is to judge with, and what is missing",
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


def add_explain(commands: Any) -> None:
    command = add_command(
        commands,
        "explain",
        "explain a function: its rule, gate, kinks, accuracy",
        ("explain hypot", "everything that is known of it here"),
        ("explain linalg.norm --parties minigrad,torch", "without JAX, and sooner"),
        ("explain np.tanh --svg tanh.svg", "and the picture of its gate, as the course notes draw it"),
        ("explain '*'", "operators have names too"),
    )
    command.add_argument("function", help="such as hypot, np.tanh, linalg.norm, mg.relu")
    command.add_argument("--parties", help="who is asked at its kinks (default minigrad,torch,jax)")
    command.add_argument(
        "--run",
        dest="folder",
        type=Path,
        default=Path(LATEST),
        help=f"where its accuracy is read from (default {LATEST})",
    )
    command.add_argument("--svg", type=Path, help="write the picture of its gate to this file")
    command.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> int:
    check_libraries("flint", "hypothesis", "jinja2", "pandas", "pebble")
    with status(f"explaining {options.function}"):
        from oracles.cases import write_text
        from oracles.explain import explain, gates, name_of, shown

        name = name_of(options.function)
        if options.svg is not None and not gates.has_picture(name):
            raise UsageError(f"--svg {options.svg}: no gradient comes through {name}, so there is nothing to draw")
        text = shown(explain(name, asked(options.parties), options.folder))
    print(text)
    if options.svg is not None:
        write_text(options.svg, gates.picture(gates.example(name)).svg())
        print(f"\nsee {options.svg}")
    return PASS


def asked(parties: str | None) -> tuple[str, ...]:
    """Who is asked at special points: those named, or whoever of the usual ones is installed."""
    from oracles import atlas
    from oracles.adapters import KNOWN, check_installed, how_to_install, missing

    if parties is not None:
        chosen = choices(tuple(KNOWN), "--parties")(parties)
        check_installed(chosen, "--parties")
        return chosen
    for name in missing(atlas.PARTIES):
        print(f"{name}: not installed; {how_to_install([name])}", file=sys.stderr)
    return tuple(name for name in atlas.PARTIES if not missing([name]))


SHELLS = ("bash", "zsh", "tcsh")


def add_completion(commands: Any) -> None:
    command = add_command(
        commands,
        "completion",
        "print a script with which a shell completes `oracles`",
        ("completion bash > ~/.local/share/bash-completion/completions/oracles", "for bash, from the next one on"),
        ("completion zsh > ~/.zfunc/_oracles", "for zsh, where fpath has ~/.zfunc"),
        ("completion tcsh > ~/.oracles.tcsh", "for tcsh, which has to source it"),
    )
    command.add_argument("shell", type=one_of(SHELLS, "shell"), help=f"one of {','.join(SHELLS)}")
    command.set_defaults(run=run_completion)


def run_completion(options: argparse.Namespace) -> int:
    check_libraries("shtab", "flint", "hypothesis", "jinja2", "pandas", "pebble", "rich")
    import shtab

    from oracles import cli

    top, commands = cli.parsers()
    top.prog = "oracles"
    for name, command in commands.items():
        words = words_of(name)
        for action in command._actions:  # there is no other list of them
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.dest in words:
                action.choices = words[action.dest]
    print(shtab.complete(top, options.shell))
    return PASS


def words_of(command: str) -> dict[str, Sequence[str]]:
    """What the options of a command may say, by the name of the option, where that can be listed."""
    from oracles import atlas, bench, workloads
    from oracles.adapters import KNOWN
    from oracles.cli.runs import ORACLES
    from oracles.diff.printing import PRINTED
    from oracles.explain import known_names

    own: dict[str, dict[str, Sequence[str]]] = {
        "explain": {"function": known_names()},
        "atlas": {"function": atlas.NAMES},
        "bench": {"only": tuple(workloads.WORKLOADS), "parties": tuple(bench.PARTIES)},
    }
    common: dict[str, Sequence[str]] = {"oracles": ORACLES, "format": tuple(PRINTED), "shell": SHELLS}
    common |= dict.fromkeys(("parties", "subject"), tuple(KNOWN))
    common |= dict.fromkeys(("dtype", "dtypes"), ("float64", "float32")) | dict.fromkeys(
        ("order", "orders"), ("1", "2")
    )
    return common | own.get(command, {})
