"""What this machine has to judge with: versions, devices, threads, subnormal numbers, what is missing and its mend.

Each framework is asked by its adapter; one that cannot be imported is a line here, not a crash.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from oracles.adapters import how_to_install, subnormals

OK, NOTE, MISSING = "ok", "note", "missing"

HARNESS = {
    "flint": "python-flint",
    **{name: name for name in ("hypothesis", "jinja2", "matplotlib", "optree", "pandas", "pebble", "rich")},
}
"""Modules that every campaign takes, with the packages that they come in."""

OPTIONAL = {
    "scipy": ("dev", "its special functions are left out of programs"),
    "shtab": ("report", "there is no shell completion"),
    "autograd": ("strangers", "it can be neither on trial nor in the benchmark"),
    "mygrad": ("strangers", "it cannot be on trial"),
}
"""Packages that a campaign can do without: the extra that has them, and what is lost."""

FRAMEWORKS = ("torch", "jax")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What linear algebra reads when it is loaded; the workers of a campaign set it to 1."""

CONSTRAINTS = Path(minigrad.__file__).parents[1] / "constraints.txt"


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    mark: str
    """`OK`, `NOTE` for what a verdict may depend on or do without, `MISSING` for what verify needs."""
    what: str
    found: str
    mend: str = ""
    """The command or change that mends it."""


def examine(out: Path = Path("reports/latest")) -> list[Check]:
    """Everything that a campaign's answers depend on."""
    pins = pinned()
    found = [*machine(out), python(), *numpy_lines(pins)]
    found += [line for module, package in HARNESS.items() for line in harness(module, package, pins)]
    found += [line for name in FRAMEWORKS for line in framework(name, pins)]
    return found + [line for name in OPTIONAL for line in optional(name, pins)]


def python() -> Check:
    return Check(OK, "python", f"{platform.python_version()}, {sys.executable}")


def machine(out: Path) -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check(OK, "machine", f"{platform.system()} {platform.machine()}, {cores} cores, so many workers unless told")
    if is_writable(out):
        yield Check(OK, "reports", f"{out} can be written")
    else:
        yield Check(MISSING, "reports", f"{out} cannot be written", "name another folder with --out")


def is_writable(folder: Path) -> bool:
    """Whether a folder can be made and filled; asked of what there is of it, so that nothing is made."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def numpy_lines(pins: Mapping[str, str]) -> Iterator[Check]:
    """NumPy, which computes what minigrad answers: its linear algebra, threads and subnormal numbers."""
    yield installed("numpy", pins)
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    threads = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    kept = subnormals(lambda x: x / 2)
    yield Check(OK, "numpy: BLAS", f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip())
    yield Check(OK, "numpy: threads", ", ".join(threads) or "as many as BLAS likes; 1 in each worker")
    yield Check(OK if kept == "kept" else NOTE, "numpy: subnormals", kept, kept_by(kept))


def kept_by(said: str) -> str:
    mend = "a library in this process, compiled with -ffast-math, may have switched them off"
    return "" if said == "kept" else mend


def harness(module: str, package: str, pins: Mapping[str, str]) -> Iterator[Check]:
    """A library without which there is no campaign, imported: it may be there and broken."""
    if trouble := failure(module):
        yield Check(MISSING, package, trouble, mend("report"))
    else:
        yield installed(package, pins)


def framework(name: str, pins: Mapping[str, str]) -> Iterator[Check]:
    """PyTorch or JAX, as its adapter finds it."""
    if trouble := failure(name) or failure(f"oracles.adapters.{name}"):
        without = ",".join([*(other for other in FRAMEWORKS if other != name), "exact"])
        yield Check(MISSING, name, trouble, f"{how_to_install([name])}; or verify --oracles {without}")
        return
    yield installed(name, pins)
    if name == "jax":
        yield installed("jaxlib", pins)
    facts = dict(importlib.import_module(f"oracles.adapters.{name}").describe())
    cache = facts.pop("cache", None)
    for what, said in facts.items():
        plain = what != "subnormals" or "zero" not in said
        yield Check(OK if plain else NOTE, f"{name}: {what}", said, "" if plain else "such answers are labelled flush")
    if cache is not None:
        yield cached(Path(cache))


def cached(folder: Path) -> Check:
    """Where JAX keeps what it has compiled: without it every campaign starts slowly."""
    files = [path for path in folder.glob("*") if path.is_file()] if folder.is_dir() else []
    size = sum(path.stat().st_size for path in files) / 1e6
    if is_writable(folder):
        return Check(OK, "jax: cache", f"{folder}, {len(files):,} files, {size:,.0f} MB")
    return Check(
        NOTE, "jax: cache", f"{folder} cannot be written", "set JAX_COMPILATION_CACHE_DIR to a folder that can"
    )


def optional(name: str, pins: Mapping[str, str]) -> Iterator[Check]:
    extra, loss = OPTIONAL[name]
    if trouble := failure(name):
        yield Check(NOTE, name, f"{trouble}: {loss}", mend(extra))
    else:
        yield installed(name, pins)


def failure(module: str) -> str:
    """Why a module cannot be imported, in one line, or nothing."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return "not installed" if error.name == module else f"cannot be imported: {one_line(error)}"
    except Exception as error:  # a broken installation may raise anything at all
        return f"cannot be imported: {one_line(error)}"
    return ""


def one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def installed(package: str, pins: Mapping[str, str]) -> Check:
    """The version, and whether it is the one that this project is tested with."""
    try:
        here = version(package)
    except PackageNotFoundError:
        return Check(NOTE, package, "imported, though no package of this name is installed")
    pin = pins.get(plain(package))
    if pin is None or here.partition("+")[0] == pin:
        return Check(OK, package, here)
    return Check(NOTE, package, f"{here}, tested with {pin}", f"pip install {package}=={pin}")


def pinned() -> dict[str, str]:
    """The versions in constraints.txt, where this is the repository."""
    lines = CONSTRAINTS.read_text().splitlines() if CONSTRAINTS.exists() else []
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {plain(name): number.strip() for name, number in pairs}


def plain(package: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def mend(extra: str) -> str:
    return f"pip install -c constraints.txt -e '.[{extra}]' in this folder"


def shown(checks: Sequence[Check]) -> str:
    """A line per check, in columns, and what all of them come to."""
    wide = max(len(check.what) for check in checks)
    lines = [
        f"{check.mark:7}  {check.what:{wide}}  {check.found}{f' ({check.mend})' if check.mend else ''}"
        for check in checks
    ]
    missing = [check.what for check in checks if check.mark == MISSING]
    end = f"verify cannot run as it is: {', '.join(missing)}" if missing else "verify can run: python -m oracles verify"
    return "\n".join([*lines, end])
