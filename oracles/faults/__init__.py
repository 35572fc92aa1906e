"""What the harness would miss: faults planted in minigrad one at a time, and how soon each is caught.

Each of these is a subject like any other, under the fault's name:
``python -m oracles verify --subject oracles.faults:sign@hypot.1``.

A map, each file leaning only on those above it:

===============  =====================================================================
``fault``        a kind of fault, a place, and minigrad with that fault as a subject
``planting``     how a fault gets into minigrad's tables, and out again
``bends``        what goes wrong with a gradient on its way out of a rule
``readings``     what a rule reads wrongly
``mechanisms``   what goes wrong between the rules
``kinds``        all kinds, a line each, with where they make sense
``targets``      all places, and the programs that reach them
``equivalents``  which faults cannot show, and why
``bank``         the cases of a campaign that can show a fault, with what is true of them
``trial``        a fault put to them until it is caught
``checkers``     the gradient checkers of PyTorch, JAX and HIPS autograd
``floor``        the smallest error that is caught, here and by these
``run``          every fault, on several seeds and workers
``tables``       what came of it
===============  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def __getattr__(name: str) -> Callable[[], Any]:
    """A subject by the name of its fault, which is no identifier: ``kind@place``."""
    if "@" not in name:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from oracles.faults.fault import FaultyAdapter
    from oracles.faults.targets import fault_named

    return partial(FaultyAdapter, fault_named(name))
