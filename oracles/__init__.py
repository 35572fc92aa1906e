"""oracles: who judges gradients, and how.

PyTorch and JAX are asked the same questions as the engine on trial, on programs and shapes drawn
by Hypothesis; ``python -m oracles verify`` runs a campaign of them and writes its reports.

A map, each file leaning only on those above it:

==============  ======================================================================
``errors``      what the command line prints as one line
``catalogue``   one row per function that programs may use
``cases``       a program, the point, and what the derivative is contracted with
``points``      special numbers: kinks, edges, extremes, and what is next to them
``journal``     JSON lines: what reports are made from
``adapters``    minigrad, PyTorch, JAX and anyone's engine behind one protocol
``strategies``  Hypothesis draws valid programs, shapes and values
``named``       the worked systems of the course notes
``noise``       what rounding alone may do to a gradient
``events``      kinks and edges, and what depends on them
``exact``       the referee: values and derivatives with proved bounds
``verdict``     one label per party and order, with the inequality that decided
``examine``     a case, from the questions to the verdicts
``shrink``      a failing case made small
``repro``       a stand-alone script per failure
``campaign``    many cases on many workers
``report``      tables and pages from a journal
``workloads``   what the benchmark times, with its passes by hand
``bench``       minigrad beside hand-written NumPy, PyTorch, JAX and autograd
``cli``         the command line
==============  ======================================================================
"""

from oracles.errors import MissingError, OraclesError, Unsupported, UsageError

__all__ = ["MissingError", "OraclesError", "Unsupported", "UsageError"]
