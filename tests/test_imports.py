"""What the packages import, what minigrad offers, and which of its files may lean on which."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import minigrad

ROOT = Path(minigrad.__file__).parents[1]
MINIGRAD = ROOT / "minigrad"
ORACLES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "oracles").rglob("*.py"))

PUBLIC = [
    "Circuit",
    "ConversionError",
    "DtypeError",
    "GradientError",
    "MinigradError",
    "MutationError",
    "Program",
    "ProgramError",
    "ShapeError",
    "Staged",
    "Tensor",
    "TracedControlFlowError",
    "UnsupportedError",
    "check_grads",
    "checkpoint",
    "circuit",
    "defvjp",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "log_softmax",
    "logsumexp",
    "primitive",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "stage",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
]

BASE = {"errors", "protocol"}
WALK = BASE | {"backward", "tensor"}
RULES = ["absent", "common", "elementwise", "linalg", "places", "products", "reductions", "special"]
PROGRAMS = ["circuit", "program", "staging", "tracing"]

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "protocol": {"errors"},
    "gates": BASE,
    "rules.common": BASE | {"gates"},
    "rules.absent": BASE,
    "rules.special": BASE | {"gates", "rules.common"},
    "rules.elementwise": BASE | {"gates", "rules.common"},
    "rules.products": BASE | {"rules.common"},
    "rules.places": BASE | {"rules.common"},
    "rules.reductions": BASE | {"gates", "rules.common", "rules.elementwise"},
    "rules.linalg": BASE | {"gates", "rules.common", "rules.places", "rules.reductions"},
    "rules.__init__": {f"rules.{name}" for name in RULES},
    "backward": BASE,
    "tensor": BASE | {"backward"},
    "transforms": WALK,
    "checking": WALK | {"transforms"},
    "programs.program": BASE,
    "programs.tracing": BASE | {"tensor", "programs.program"},
    "programs.passes": WALK | {"programs.program", "programs.tracing"},
    "programs.simplifying": BASE | {"programs.passes", "programs.program"},
    "programs.listing": BASE | {"programs.passes", "programs.program", "programs.simplifying"},
    "programs.compiling": {"programs.program"},
    "programs.staging": BASE
    | {"tensor"}
    | {f"programs.{name}" for name in ("program", "passes", "simplifying", "listing", "compiling")},
    "programs.circuit": WALK | {"programs.program", "programs.tracing"},
    "programs.__init__": {f"programs.{name}" for name in PROGRAMS},
    "__init__": WALK | {"rules", "gates", "transforms", "checking", "programs", "programs.circuit"},
}
"""What each file may lean on: never on one that leans on it, and the rules never on what walks through them."""

FILES = list(MAY_IMPORT)

LOADS_NONE_OF = {
    "minigrad": "torch jax pandas hypothesis rich jinja2 pebble",
    "oracles": "torch jax autograd mygrad pandas hypothesis",
    "oracles.asserting": "torch jax autograd mygrad pandas hypothesis jinja2 rich pytest",
    "oracles.pytest_plugin": "torch jax autograd mygrad pandas hypothesis flint numpy minigrad",
    "oracles.cli": "torch jax autograd mygrad pandas hypothesis",
    "oracles.report": "torch jax hypothesis",
    "oracles.bench": "torch jax autograd pandas hypothesis",
}

# The benchmark times what people write, not what adapters spell; it too loads a framework only when asked to.
ONLY_IN = {
    "torch": ["oracles/adapters/torch.py", "oracles/bench.py", "oracles/faults/checkers.py"],
    "jax": ["oracles/adapters/jax.py", "oracles/bench.py", "oracles/faults/checkers.py"],
    "autograd": ["oracles/adapters/autograd.py", "oracles/bench.py", "oracles/faults/checkers.py"],
    "mygrad": ["oracles/adapters/mygrad.py"],
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


def test_public_names_are_those_that_the_package_imports() -> None:
    tree = ast.parse((MINIGRAD / "__init__.py").read_text())
    names = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted({*names} - {"rules"}) == PUBLIC


def file_of(name: str) -> Path:
    return MINIGRAD / f"{name.replace('.', '/')}.py"


def test_every_file_of_minigrad_has_its_place() -> None:
    files = {path.relative_to(MINIGRAD).with_suffix("") for path in MINIGRAD.rglob("*.py")}
    assert {".".join(path.parts) for path in files} == {*FILES}


@pytest.mark.parametrize("name", FILES)
def test_file_of_minigrad_imports_only_those_before_it(name: str) -> None:
    def leant_on(module: str) -> str:
        """The file that a full name belongs to, which may be that of something inside the file."""
        below = module.removeprefix("minigrad.")
        return below if below in MAY_IMPORT or "." not in below else leant_on(below.rpartition(".")[0])

    modules = {module for module in imported(file_of(name)) if module.startswith("minigrad.")}
    # "from minigrad.rules import common" names the folder first: it says nothing of its own.
    found = {leant_on(module) for module in modules} - {name.partition(".")[0]}
    assert found <= MAY_IMPORT[name]


@pytest.mark.parametrize("name", FILES)
def test_file_of_minigrad_imports_nothing_but_numpy_and_the_standard_library(name: str) -> None:
    optree = {"optree"} if name in ("transforms", "checking", "programs.circuit") else set()
    assert packages(file_of(name)) - sys.stdlib_module_names <= {"minigrad", "numpy"} | optree


def test_what_minigrad_imports_is_installed_with_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {re.split("[^a-z]", requirement)[0] for requirement in project["dependencies"]}
    assert set().union(*map(packages, map(file_of, FILES))) - sys.stdlib_module_names - {"minigrad"} == installed


def test_order_of_the_files_has_no_circle() -> None:
    before: set[str] = set()
    for name, below in MAY_IMPORT.items():
        assert {f"{file}.__init__" if file in ("rules", "programs") else file for file in below} <= before
        before.add(name)


@pytest.mark.parametrize("path", ORACLES)
def test_file_of_oracles_imports_no_tests(path: str) -> None:
    assert "tests" not in packages(ROOT / path)


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_imported_by_its_adapter_and_what_compares_with_it_alone(library: str) -> None:
    assert [path for path in ORACLES if library in packages(ROOT / path)] == ONLY_IN[library]


@pytest.mark.parametrize("path", [*(path for path in ORACLES if "/report/" in path), "oracles/journal.py"])
def test_reading_a_run_needs_nothing_that_made_it(path: str) -> None:
    modules = imported(ROOT / path)
    made_it = {"oracles.adapters", "oracles.asking", "oracles.campaign", "oracles.examine"}
    assert not {".".join(module.split(".")[:2]) for module in modules} & made_it
    assert packages(ROOT / path).isdisjoint({"hypothesis", "torch", "jax"})
