"""The plugin of pytest: options and a marker for `assert_grads`, the fixture `gradients_agree`, and what was judged.

It loads with every run of pytest where this project is installed, so that it imports nothing but pytest and the
standard library; what judges is loaded when a test asks for it, and a framework when it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import pytest

import oracles
from oracles.errors import OraclesError, UsageError, VacuousWarning
from oracles.session import CHOICES, SESSION, Defaults, Session

HELP = {
    "subject": "who is on trial in gradient tests: minigrad, torch, jax or package.module:factory (default minigrad)",
    "oracles": "who is asked besides and shown, such as torch,jax (default nobody)",
    "order": "of the derivatives: 1, 2 or 1,2 (default 1)",
    "dtypes": "what inputs are cast to, such as float64,float32 (default as they are)",
    "seed": "what cotangents and vectors are drawn with (default 0)",
}

MARKER = "gradients(subject, oracles, order, dtypes, seed): what assert_grads goes by in this test"

BEFORE = pytest.StashKey[Session]()
CHOSEN = pytest.StashKey[Defaults]()


def option(key: str) -> str:
    return f"--grad-{key}"


def ini(key: str) -> str:
    return f"grad_{key}"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradients", "gradients against certified truth (oracles)")
    for key, words in HELP.items():
        group.addoption(option(key), dest=ini(key), metavar=key.upper(), help=words)
        parser.addini(ini(key), words, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Read the choices; they hold until the end of the run, or of the test whose marker has others."""
    config.addinivalue_line("markers", MARKER)
    from_ini = {key: config.getini(ini(key)) for key in CHOICES}
    from_options = {key: config.getoption(ini(key)) for key in CHOICES}
    defaults = Defaults()
    try:
        defaults = defaults.having({key: v for key, v in from_ini.items() if v}, ini)
        defaults = defaults.having({key: v for key, v in from_options.items() if v is not None}, option)
    except OraclesError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[BEFORE] = replace(SESSION)
    config.stash[CHOSEN] = defaults
    words = tuple(f"{option(key)}={value}" for key, value in from_options.items() if value is not None)
    state = Session(defaults, config.rootpath, config.invocation_params.dir, words)
    vars(SESSION).update(vars(state))
    config.pluginmanager.register(Tally(), "gradients-tally")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave things as they were, for whoever runs pytest within pytest."""
    if BEFORE in config.stash:
        vars(SESSION).update(vars(config.stash[BEFORE]))


def pytest_report_header(config: pytest.Config) -> str | None:
    """The choices that are not the usual ones."""
    usual, chosen = vars(Defaults()), vars(config.stash[CHOSEN])
    parts = [f"{key} {in_words(value)}" for key, value in chosen.items() if value != usual[key]]
    return f"gradients: {', '.join(parts)}" if parts else None


def in_words(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Go by the test's own markers, of which the closest counts."""
    given: dict[str, Any] = {}
    mistake = ""
    try:
        for marker in item.iter_markers("gradients"):
            given = {**read_marker(marker), **given}
        SESSION.defaults = item.config.stash[CHOSEN].having(given, "marker gradients: {}".format)
    except OraclesError as error:
        mistake = str(error)
    if mistake:
        pytest.fail(mistake, pytrace=False)


def read_marker(marker: pytest.Mark) -> Mapping[str, Any]:
    unknown = [repr(value) for value in marker.args] + [key for key in marker.kwargs if key not in CHOICES]
    if unknown:
        raise UsageError(
            f"marker gradients: {unknown[0]} is not known; choose from {', '.join(CHOICES)}, each by keyword"
        )
    return marker.kwargs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Say with the test's report how much was judged, which under xdist travels from worker to controller."""
    before = SESSION.judged, SESSION.vacuous
    try:
        result = yield
    finally:
        judged, vacuous = SESSION.judged - before[0], SESSION.vacuous - before[1]
        if judged:
            item.user_properties += [("gradients_judged", judged), ("gradients_vacuous", vacuous)]
    if judged == vacuous > 0 and getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        item.warn(VacuousWarning("no gradient in this test shows anything: all are zero, none, or mostly noise"))
    return result


def pytest_runtest_teardown(item: pytest.Item) -> None:
    SESSION.defaults = item.config.stash[CHOSEN]


class Tally:
    """Counts what was judged, from the reports of all tests, for the last lines of the run."""

    def __init__(self) -> None:
        self.judged = self.vacuous = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            found: dict[str, Any] = dict(report.user_properties)
            self.judged += found.get("gradients_judged", 0)
            self.vacuous += found.get("gradients_vacuous", 0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.judged:
            silent = f", {self.vacuous:,} of them with a gradient that shows nothing" if self.vacuous else ""
            terminalreporter.write_line(f"gradients: {self.judged:,} passed{silent}")


@pytest.fixture(scope="session")
def gradients_agree() -> Callable[..., Any]:
    """Judge a function's gradients at a point by certified truth: `oracles.assert_grads`.

    Its defaults are the test's marker ``gradients``, then the options ``--grad-...``, then the settings ``grad_...``.
    """
    assert_grads: Callable[..., Any] = oracles.assert_grads
    return assert_grads
