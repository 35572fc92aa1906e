"""The README's commands are commands, and its links lead somewhere; its Python is run as doctests."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from oracles.cli import parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)

LINES = [line for language, block in BLOCKS if not language for line in block.splitlines()]
"""Of the blocks without a language, which are for a shell, but for a marker of pytest."""

TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("python -m oracles")])
def test_a_command_is_one_that_is_understood(line: str) -> None:
    assert callable(parser().parse_args(shlex.split(line, comments=True)[3:]).run)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make")])
def test_a_target_is_one_of_make(line: str) -> None:
    target, *settings = shlex.split(line, comments=True)[1:]
    assert target in TARGETS
    for setting in settings:
        name, _, options = setting.partition("=")
        assert name == "ARGS"
        assert callable(parser().parse_args([target, *shlex.split(options)]).run)


def test_every_line_for_a_shell_is_a_command_or_a_target() -> None:
    known = ("python -m oracles", "python -m pytest", "make", "@pytest")
    assert not [line for line in LINES if not line.startswith(known)]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_a_link_within_the_project_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_the_lines_that_add_a_function_are_those_of_the_tables() -> None:
    [block] = [block for language, block in BLOCKS if language == "python" and "Row(" in block]
    for line in block.splitlines():
        code, _, path = line.partition("  #")
        known = ["".join(each.split()).rstrip(",") for each in (ROOT / path.strip()).read_text().splitlines()]
        assert "".join(code.split()) in known


def test_the_accuracy_table_is_that_of_the_campaign() -> None:
    """Party, dtype and order, how many functions, with how many of them within 1 ULP, and the medians over them."""
    row_of_numbers = r"^\| (\w+) \| (float\d\d) \| ([12]) \| (\d+) \| (\d+) \| (\S+) \| (\S+) \|$"
    said = re.findall(row_of_numbers, README, re.MULTILINE)
    found = pd.read_csv(ROOT / "docs" / "accuracy.csv").astype({"order": str})
    measured = {(row.party, row.dtype, row.order): row for row in found.itertuples()}
    assert len(said) == 12
    for party, dtype, order, functions, within, median, worst in said:
        row = measured[party, dtype, order]
        assert (int(functions), int(within), float(median)) == (row.functions, row.within_one, row.ulp_median)
        assert float(worst.replace(",", "")) == pytest.approx(row.ulp_p99, rel=0.05)
