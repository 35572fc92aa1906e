"""A journal of any length, in memory: real records, with answers of every party on every function."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from oracles.catalogue import DIFFERENTIATED
from oracles.journal import Run

PARTIES = ("minigrad", "torch", "jax", "jax.jit", "minigrad.stage")

LABELS = ["agrees"] * 30 + ["ill-conditioned", "convention", "edge", "kink-chain", "unstable", "wrong", "errored"]

MAGNITUDES = (1e-35, 1e-20, 1e-4, 0.5, 3.0, 40.0, 800.0, 1e9, 1e33)


def long_run(real: Run, length: int, parties: Sequence[str] = PARTIES) -> Run:
    """As many cases as wanted, as unlike each other as can be: a page of them is as large as a page gets."""
    draw = random.Random(0)
    functions = itertools.cycle(DIFFERENTIATED)
    inputs = [[{"shape": [], "dtype": "float64", "data": [x.hex()]}] for x in MAGNITUDES]
    cases = []
    for number, record in enumerate(itertools.islice(itertools.cycle(list(real.cases)), length)):
        verdicts = [
            {"party": party, "order": order, "label": draw.choice(LABELS), "units": 1.0, "where": "d/dx", "why": "off"}
            | {"ulp": min(2**64 - 1, int(draw.lognormvariate(1, 4)))}
            for order in (1, 2)
            for party in parties
        ]
        unlike = {"id": f"case-{number}", "dtype": ("float64", "float32")[number // len(DIFFERENTIATED) % 2]}
        unlike |= {"functions": [next(functions)], "inputs": draw.choice(inputs), "verdicts": verdicts}
        cases.append(record | unlike)
    header = real.header | {"subject": parties[0], "oracles": [*parties[1:]]}
    return Run(header, cases, real.footer | {"cases": length})
