"""What an option may say, and how it is refused: in one line, with what was meant or what there is."""

from __future__ import annotations

import argparse
import importlib.util
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from oracles.errors import MissingError, UsageError, did_you_mean

PASS, FAILED, USAGE, INCOMPLETE = 0, 1, 2, 3
"""Exit codes."""

FEW = 12
"""So many words are listed rather than guessed among."""

PROGRAM = "python -m oracles"

LATEST = "reports/latest"
"""The folder of a run, unless told."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


class Version(argparse.Action):
    """Prints the version; looked up only then, since it takes NumPy, which no help should wait for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from minigrad import __version__

        print(f"oracles {__version__}")
        parser.exit()


def add_command(commands: Any, name: str, about: str, *examples: tuple[str, str]) -> Parser:
    """A command, and what its help ends with: examples, each below what it does."""
    lines = [f"  # {meaning}\n  {PROGRAM} {words}" for words, meaning in examples]
    command: Parser = commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog="\n".join(["examples:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return command


def understood(top: Parser, commands: dict[str, Parser], words: Sequence[str]) -> argparse.Namespace:
    """The options that were given; raises `UsageError` for a command or an option that there is not."""
    if words and not words[0].startswith("-") and words[0] not in commands:
        hint = did_you_mean(words[0], commands) or f", only {', '.join(commands)}"
        raise UsageError(f"there is no command {words[0]!r}{hint}; see {PROGRAM} --help")
    options, rest = top.parse_known_args(words)
    if rest:
        command = commands[options.command]
        known = re.findall(r"--[\w-]+", command.format_usage())
        hint = did_you_mean(rest[0], known)
        raise UsageError(f"{options.command} does not take {rest[0]!r}{hint}; see {command.prog} --help")
    return options


def choices(allowed: Sequence[str], name: str) -> Callable[[str], tuple[str, ...]]:
    """A comma-separated list drawn from `allowed`, without repetition."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        unknown = [part for part in chosen if part not in allowed]
        if unknown or not chosen:
            word = unknown[0] if unknown else "nothing"
            hint = did_you_mean(word, allowed) if len(allowed) > FEW else ""
            hint = hint or f"; choose from {','.join(allowed)}"
            raise UsageError(f"{name} {text!r}: {word} is not known{hint}")
        return chosen

    return parse


def one_of(allowed: Sequence[str], name: str) -> Callable[[str], str]:
    """A word of those in `allowed`."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise UsageError(f"{name} {text!r}: choose from {','.join(allowed)}")
        return text

    return parse


def whole(name: str, least: int) -> Callable[[str], int]:
    """A whole number that is at least `least`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise UsageError(f"{name} {text!r}: give a whole number, at least {least}")
        return number

    return parse


def check_libraries(*names: str) -> None:
    """Raise `MissingError` that names what is not installed, and how to install it."""
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
