"""From a journal to tables and pages.  Needs pandas, jinja2, Matplotlib and python-flint, but no framework.

``reports/README.md`` is the dictionary of every file and column written here.

A map, each file leaning only on those above it:

============  ======================================================================
``frames``    the tables, in one pass over the journal
``plots``     pictures as SVG: Matplotlib's, and small ones by the hundred
``matrix``    functions by parties, a table per dtype and order
``findings``  what failed or was found, and what everybody gets there
``page``      the page, the summary, and a CSV file beside every table
============  ======================================================================
"""

from oracles.report.frames import accuracy_frame, cases_frame, functions_frame
from oracles.report.page import environment, write_reports

__all__ = ["accuracy_frame", "cases_frame", "environment", "functions_frame", "write_reports"]
