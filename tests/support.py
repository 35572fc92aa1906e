"""What several test files share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import numpy.testing as npt

import minigrad.rules  # noqa: F401 (it fills the tables)
from minigrad.protocol import DEFINITIONS, FUNCTIONS, NAMES, RULES, Function, name_of

jax.config.update("jax_enable_x64", True)

OWN_RULES = {function: name_of(function) for function in RULES}
"""The functions with a rule, by name: taken on import, before any test or doctest adds one, or SciPy's arrive."""

OWN_DEFINITIONS = {function: name_of(function) for function in DEFINITIONS}
"""The functions with a definition, likewise."""


def bits(x: Any) -> tuple[str, tuple[int, ...], bytes]:
    """Equal for two arrays that agree in every bit, dtype and shape included."""
    array = np.asarray(x)
    return array.dtype.name, array.shape, array.tobytes()


def assert_close(got: Any, want: Any, rtol: float = 1e-12, about: str = "") -> None:
    """Two sequences of arrays agree in shape, and in value up to rounding."""
    assert len(got) == len(want), about
    for g, w in zip(got, want, strict=True):
        assert np.shape(g) == np.shape(w), about
        scale = np.max(np.abs(w), initial=1.0)
        npt.assert_allclose(g, w, rtol=rtol, atol=rtol * scale, err_msg=about)


def complaints(stderr: str) -> str:
    """What a command says on stderr, but for the line that names what takes long on a busy machine."""
    return re.sub(r"^.* \.\.\.\n", "", stderr, flags=re.MULTILINE)


@contextmanager
def scratch_registry() -> Iterator[None]:
    """Primitives that are made inside are forgotten afterwards."""
    tables: tuple[dict[Any, Any], ...] = (FUNCTIONS, NAMES, RULES)
    saved = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, before in zip(tables, saved, strict=True):
            table.clear()
            table.update(before)


def forget_primitives() -> Iterator[None]:
    """A fixture, for the files that name it so: primitives that a test makes are forgotten afterwards."""
    with scratch_registry():
        yield


def jitted(f: Function) -> Function:
    """``jax.jit`` that spends no time on optimising."""
    compiled: Function = jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})
    return compiled
