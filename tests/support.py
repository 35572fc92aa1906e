"""What several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import numpy.testing as npt

from minigrad.protocol import FUNCTIONS, NAMES, RULES, Function, name_of

jax.config.update("jax_enable_x64", True)

OWN_RULES = {
    function: name
    for function, name in ((function, name_of(function)) for function in RULES)
    if "." not in name or name.startswith("minigrad.")
}
"""minigrad's own rules by name: taken on import, before any test or doctest adds one."""


def bits(x: Any) -> tuple[str, tuple[int, ...], bytes]:
    """Equal for two arrays that agree in every bit, dtype and shape included."""
    array = np.asarray(x)
    return array.dtype.name, array.shape, array.tobytes()


def assert_close(got: Any, want: Any, rtol: float = 1e-12) -> None:
    """Two sequences of arrays agree in shape, and in value up to rounding."""
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert np.shape(g) == np.shape(w)
        scale = np.max(np.abs(w), initial=1.0)
        npt.assert_allclose(g, w, rtol=rtol, atol=rtol * scale)


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
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})
