"""What the command line shows of itself: help by example, what was meant, completion, and what is under way."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

import minigrad
from oracles import cli
from oracles.cli import progress
from oracles.cli.options import PROGRAM

Capture = pytest.CaptureFixture[str]

ROOT = Path(__file__).parents[1]

COMMANDS = [*cli.parsers()[1]]


def examples_of(text: str) -> list[list[str]]:
    """The words of every example in a help."""
    lines = [line.strip() for line in text.splitlines() if line.startswith(f"  {PROGRAM} ")]
    words = [re.split(r" {2,}| > | && ", line.removeprefix(f"{PROGRAM} "))[0] for line in lines]
    return [shlex.split(each) for each in words]


# Help.


def test_without_a_command_the_overview_is_shown(capsys: Capture) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"usage: {PROGRAM} ")
    assert all(re.search(rf"^    {command} ", captured.err, re.M) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_ends_with_examples_that_are_understood(command: str) -> None:
    top, commands = cli.parsers()
    text = commands[command].format_help()
    examples = examples_of(text.partition("\nexamples:\n")[2])
    assert 2 <= len(examples) <= 4
    assert {words[0] for words in examples} == {command}
    for words in examples:
        assert top.parse_args(words).command == command
    assert max(map(len, text.splitlines())) <= 100


def test_every_example_of_the_overview_is_understood() -> None:
    examples = examples_of(cli.EXAMPLES)
    assert len(examples) > 6
    assert max(map(len, cli.EXAMPLES.splitlines())) <= 100
    for words in examples:
        if "--help" not in words:
            assert cli.parser().parse_args(words).command == words[0]


def test_the_version_is_told(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out == f"oracles {minigrad.__version__}\n"


# What was meant.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verfy"], "there is no command 'verfy' (did you mean verify?); see python -m oracles --help"),
        (["dif", "a", "b"], "there is no command 'dif' (did you mean diff?); see python -m oracles --help"),
        (["qqq"], f"there is no command 'qqq', only {', '.join(COMMANDS)}; see python -m oracles --help"),
        (["report", "--outt"], "report does not take '--outt'; see python -m oracles report --help"),
        (
            ["explain", "a", "--svgg"],
            "explain does not take '--svgg' (did you mean --svg?); see python -m oracles explain --help",
        ),
        (["report", "a", "b"], "report does not take 'b'; see python -m oracles report --help"),
        (["diff", "a"], "the following arguments are required: after; see python -m oracles diff --help"),
        (["diff", "a", "b", "--format", "xml"], "--format 'xml': choose from text,md,json"),
        (
            ["atlas", "--function", "reshape"],
            (
                "--function 'reshape': reshape has no special points to look at; "
                "leave it out, or ask python -m oracles explain reshape"
            ),
        ),
        (["atlas", "--function", "hypto"], "--function 'hypto': hypto is not known (did you mean hypot?)"),
        (["completion", "fish"], "shell 'fish': choose from bash,zsh,tcsh"),
    ],
)
def test_a_mistake_is_met_with_what_was_meant(words: list[str], message: str, capsys: Capture) -> None:
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"oracles: {message}\n")


# Completion.


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = subprocess.run([sys.executable, "-m", "oracles", "completion", "bash"], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    script = tmp_path_factory.mktemp("completion") / "oracles"
    script.write_bytes(done.stdout)
    return script


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        (["oracles", "ver"], {"verify"}),
        (["oracles", "explain", "hyp"], {"hypot"}),
        (["oracles", "atlas", "--function", "maxi"], {"maximum"}),
        (["oracles", "atlas", "--function", "linalg.vec"], {"linalg.vector_norm"}),
        (["oracles", "verify", "--su"], {"--subject"}),
        (["oracles", "bench", "--only", "cha"], {"chain"}),
        (["oracles", "diff", "a", "b", "--format", "m"], {"md"}),
    ],
)
def test_bash_completes_commands_options_and_functions(begun: list[str], offered: set[str], bash_script: Path) -> None:
    words = shlex.join(begun)
    program = (
        f"source {shlex.quote(str(bash_script))}; COMP_WORDS=({words}); COMP_CWORD={len(begun) - 1}; "
        'COMPREPLY=(); f=$(complete -p oracles | sed "s/.*-F \\([^ ]*\\).*/\\1/"); $f; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert {word.strip() for word in done.stdout.split()} == offered


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_their_script(shell: str, capsys: Capture) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "oracles" in script.splitlines()[0] + script.splitlines()[2]
    assert "hypot" in script


# What is under way.


def test_what_is_quick_says_nothing(capsys: Capture) -> None:
    with progress.status("thinking"):
        pass
    assert capsys.readouterr() == ("", "")


def test_what_takes_long_says_so_in_one_plain_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with progress.status("thinking"):
        for _ in range(200):  # until the line is there
            if told := capsys.readouterr().err:
                break
            time.sleep(0.01)
    assert told == "thinking ...\n"


def in_a_terminal(program: str, **environment: str) -> str:
    """What a Python program writes to a terminal."""
    parent, child = pty.openpty()
    words = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    done = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=child, env=words | {"TERM": "xterm-256color"} | environment
    )
    os.close(child)
    told = b""
    try:
        while part := os.read(parent, 4096):
            told += part
    except OSError:  # the other end is closed
        pass
    os.close(parent)
    assert done.wait() == 0
    return told.decode()


STATUS = "import time; from oracles.cli.progress import status\nwith status('thinking'): time.sleep(0.3)"

BAR = """
from oracles.campaign import Tally
from oracles.cli.progress import display
with display() as show:
    show(Tally(total=3, cases=2, doing="f64-00002"))
"""

COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])(?:;\d+)*m")


@pytest.mark.parametrize(("program", "words"), [(STATUS, "thinking"), (BAR, "f64-00002")], ids=["status", "bar"])
def test_a_terminal_shows_what_is_under_way_and_no_color_is_respected(program: str, words: str) -> None:
    plain, colored = in_a_terminal(program, NO_COLOR="1"), in_a_terminal(program)
    assert words in plain
    assert words in colored
    assert COLOR.search(colored)
    assert not COLOR.search(plain)


def test_lines_are_plain_and_stable_where_there_is_no_terminal(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "oracles", "explain", "sign", "--parties", "minigrad", "--run", str(tmp_path)]
    texts = {subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(texts) == 1
    assert "\x1b" not in texts.pop()


def test_a_reader_who_has_seen_enough_is_no_crash(tmp_path: Path) -> None:
    command = f"{sys.executable} -m oracles explain sign --parties minigrad --run {tmp_path} | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
