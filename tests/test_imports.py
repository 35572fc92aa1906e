"""What the packages import, what minigrad offers, and which of its files may lean on which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad

ROOT = Path(minigrad.__file__).parents[1]
MINIGRAD = ROOT / "minigrad"
ORACLES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "oracles").rglob("*.py"))

PUBLIC = [
    "ConversionError",
    "DtypeError",
    "MinigradError",
    "MutationError",
    "Program",
    "ProgramError",
    "ShapeError",
    "Tensor",
    "TracedControlFlowError",
    "UnsupportedError",
    "defvjp",
    "grad",
    "primitive",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
]

MAY_IMPORT = {
    "errors": set(),
    "protocol": {"errors"},
    "rules": {"errors", "protocol"},
    "backward": {"errors", "protocol", "rules"},
    "tensor": {"errors", "protocol", "rules", "backward"},
    "transforms": {"errors", "protocol", "rules", "backward", "tensor"},
    "program": {"errors", "protocol"},
    "tracing": {"errors", "protocol", "tensor", "program"},
    "__init__": {"errors", "program", "protocol", "rules", "tensor", "tracing", "transforms"},
}

LOADS_NONE_OF = {
    "minigrad": "torch jax pandas hypothesis rich jinja2 pebble",
    "oracles": "torch jax pandas hypothesis",
    "oracles.cli": "torch jax pandas hypothesis",
    "oracles.report": "torch jax hypothesis",
    "oracles.bench": "torch jax autograd pandas hypothesis",
}

# The benchmark times what people write, not what adapters spell; it too loads a framework only when asked to.
ONLY_IN = {
    "torch": ["oracles/adapters/torch.py", "oracles/bench.py"],
    "jax": ["oracles/adapters/jax.py", "oracles/bench.py"],
    "autograd": ["oracles/bench.py"],
}


def imported(path: Path) -> set[str]:
    """The full names of all modules that a file imports, inside functions too."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported(path)}


@pytest.mark.parametrize("module", LOADS_NONE_OF)
def test_import_loads_nothing_heavy(module: str) -> None:
    heavy = LOADS_NONE_OF[module].split()
    program = f"import sys, {module}; print(sorted(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_public_names() -> None:
    assert minigrad.__all__ == PUBLIC


def test_public_names_exist() -> None:
    assert [name for name in PUBLIC if not hasattr(minigrad, name)] == []


def test_every_file_of_minigrad_has_its_place() -> None:
    assert {path.stem for path in MINIGRAD.glob("*.py")} == MAY_IMPORT.keys()


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_file_of_minigrad_imports_only_those_before_it(name: str) -> None:
    modules = {module for module in imported(MINIGRAD / f"{name}.py") if module.split(".")[0] == "minigrad"}
    assert {".".join(module.split(".")[:2]) for module in modules} <= {
        f"minigrad.{other}" for other in MAY_IMPORT[name]
    }


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_file_of_minigrad_imports_nothing_but_numpy_and_the_standard_library(name: str) -> None:
    assert packages(MINIGRAD / f"{name}.py") - sys.stdlib_module_names <= {"minigrad", "numpy"}


@pytest.mark.parametrize("path", ORACLES)
def test_file_of_oracles_imports_no_tests(path: str) -> None:
    assert "tests" not in packages(ROOT / path)


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_by_its_adapter_and_the_benchmark_alone(library: str) -> None:
    assert [path for path in ORACLES if library in packages(ROOT / path)] == ONLY_IN[library]


@pytest.mark.parametrize("path", ["oracles/report.py", "oracles/journal.py"])
def test_reading_a_run_needs_nothing_that_made_it(path: str) -> None:
    modules = imported(ROOT / path)
    made_it = {"oracles.adapters", "oracles.campaign", "oracles.examine"}
    assert not {".".join(module.split(".")[:2]) for module in modules} & made_it
    assert packages(ROOT / path).isdisjoint({"hypothesis", "torch", "jax"})
