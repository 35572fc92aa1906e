"""oracles: who judges gradients, and how.

PyTorch and JAX are asked the same questions as the engine on trial, on programs and shapes drawn
by Hypothesis, and all are judged against truth certified in ball arithmetic.  ``python -m oracles
verify`` runs a campaign of them and writes its reports; `judge` does the same for one function.

A map, each file leaning only on those above it:

================  ======================================================================
``errors``        what the command line prints as one line
``catalogue``     one row per function that programs may use
``cases``         a program, the point, and what the derivative is contracted with
``points``        special numbers: kinks, edges, extremes, and what is next to them
``journal``       JSON lines: what reports are made from
``adapters``      minigrad, PyTorch, JAX, strangers and anyone's engine behind one protocol
``strategies``    Hypothesis draws valid programs, shapes and values
``named``         the worked systems of the course notes
``exact``         the referee: values and derivatives with proved bounds
``noise``         what rounding alone may do to a gradient
``events``        kinks, edges and numbers out of range on the way
``known``         what is known of the other parties
``meaning``       what they mean by a function where that is not what NumPy means
``verdict``       one label per party and order, with the inequality that decided
``facts``         what is known of a case, found once whoever answers
``laws``          cases whose gradients must give back those of another
``findings``      which cases are worth showing, and which show the same
``census``        what the cases of a campaign exercise
``quotas``        what they must exercise
``asking``        questions to a party, and the form of its answers
``second_looks``  before anybody is accused, and at whoever is excused
``lawful``        who breaks a law
``examine``       a case, from the questions to the verdicts
``judgement``     one function at one point, as a table
``session``       what tests go by, unless a call says otherwise
``given``         functions, rules and backward passes of anyone's, as parties
``mismatch``      a failed assertion in words, and the file that shows it again
``asserting``     gradients asserted in tests
``pytest_plugin`` the same as a fixture, with options and a marker
``shrink``        a failing case made small
``repro``         a stand-alone script per failure
``campaign``      many cases on many workers
``report``        tables and pages from a journal
``diff``          two runs compared: what is new, what is fixed, who is nearer to the truth
``atlas``         special points of every function, tabulated party by party
``workloads``     what the benchmark times, with its passes by hand
``bench``         minigrad beside hand-written NumPy, PyTorch, JAX and autograd
``faults``        what the harness would miss: mistakes planted in minigrad, one at a time
``explain``       one function: formula, rule, gate, kinks and who chooses what there, accuracy
``doctor``        what this machine has to judge with, and what is missing
``cli``           the command line
================  ======================================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oracles.errors import GradientMismatch, MissingError, OraclesError, Unsupported, UsageError, VacuousWarning

if TYPE_CHECKING:
    from oracles.asserting import assert_grads
    from oracles.judgement import Judgement, judge

__all__ = [
    "GradientMismatch",
    "Judgement",
    "MissingError",
    "OraclesError",
    "Unsupported",
    "UsageError",
    "VacuousWarning",
    "assert_grads",
    "judge",
]


HOMES = {"Judgement": "judgement", "assert_grads": "asserting", "judge": "judgement"}
"""Where to find what takes python-flint, which is loaded when it is first used."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"oracles.{HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"not installed: {error.name}; install with make setup, or pip install -e '.[test]' in this folder"
        ) from None
