"""What the doctor finds: what is there, what is missing and its mend, what a verdict may depend on."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracles import cli, doctor
from oracles.adapters import subnormals
from oracles.doctor import MISSING, NOTE, OK, Check

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def found() -> dict[str, Check]:
    return {check.what: check for check in doctor.examine()}


def broken(monkeypatch: pytest.MonkeyPatch, errors: Mapping[str, Exception]) -> None:
    """Pretend that importing these modules raises."""
    load = importlib.import_module

    def fails(name: str, *more: Any, **named: Any) -> Any:
        if name in errors:
            raise errors[name]
        return load(name, *more, **named)

    monkeypatch.setattr(importlib, "import_module", fails)


def run_doctor(capsys: Capture) -> tuple[int, list[str]]:
    code = cli.main(["doctor"])
    captured = capsys.readouterr()
    return code, captured.out.splitlines()


def test_everything_that_verify_takes_is_here(found: dict[str, Check]) -> None:
    assert not [check for check in found.values() if check.mark == MISSING]
    names = {"python", "numpy", "python-flint", "hypothesis", "jinja2", "pandas", "pebble", "rich", "torch", "jax"}
    assert names <= found.keys()


def test_the_exit_code_is_that_of_a_verify_that_could_run(capsys: Capture) -> None:
    code, lines = run_doctor(capsys)
    assert code == 0
    assert lines[-1] == "verify can run: python -m oracles verify"


def test_each_line_is_marked_in_words(capsys: Capture) -> None:
    _, lines = run_doctor(capsys)
    assert {line.split()[0] for line in lines[:-1]} <= {OK, NOTE, MISSING}


def test_devices_threads_precision_and_subnormals_are_told(found: dict[str, Check]) -> None:
    assert found["torch: threads"].found == "1"
    assert found["torch: devices"].found.startswith("cpu")
    assert found["jax: x64"].found == "enabled"
    assert found["numpy: subnormals"] == Check(OK, "numpy: subnormals", "kept")
    # XLA's CPU backend takes them as zero, which the verdicts call flush.
    assert found["jax: subnormals"].mark == NOTE
    assert "taken as zero" in found["jax: subnormals"].found
    assert "flush" in found["jax: subnormals"].mend


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_subnormals_that_are_taken_as_zero_are_measured(dtype: str) -> None:
    def flushing(x: Any) -> Any:
        half = x / 2
        return np.where((x.dtype == dtype) & (half < np.finfo(x.dtype).tiny), 0, half)

    assert subnormals(flushing) == f"taken as zero in {dtype}"
    assert subnormals(lambda x: x / 2) == "kept"


def test_a_framework_that_is_not_installed_is_missing_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    broken(monkeypatch, {"jax": ModuleNotFoundError("No module named 'jax'", name="jax")})
    code, lines = run_doctor(capsys)
    assert code == 3
    [line] = [line for line in lines if line.startswith("missing")]
    assert line.split()[:4] == ["missing", "jax", "not", "installed"]
    assert "pip install -e '.[jax]' in this folder; or verify --oracles torch,exact" in line
    assert lines[-1] == "verify cannot run as it is: jax"


def test_a_framework_that_fails_to_import_is_reported_with_its_error_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    broken(monkeypatch, {"torch": OSError("libtorch_cpu.so: cannot open\nshared object file")})
    code, lines = run_doctor(capsys)
    assert code == 3
    [line] = [line for line in lines if line.startswith("missing")]
    assert "cannot be imported: OSError: libtorch_cpu.so: cannot open shared object file" in line


def test_a_library_that_lacks_another_is_told_apart_from_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch, {"pandas": ModuleNotFoundError("No module named 'dateutil'", name="dateutil")})
    [check] = doctor.harness("pandas", "pandas", {})
    assert check.mark == MISSING
    assert check.found == "cannot be imported: ModuleNotFoundError: No module named 'dateutil'"


def test_what_verify_can_do_without_is_a_note_with_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, {"shtab": ModuleNotFoundError("No module named 'shtab'", name="shtab")})
    [check] = doctor.optional("shtab", {})
    assert check.mark == NOTE
    assert check.found == "not installed: there is no shell completion"
    assert check.mend == "pip install -c constraints.txt -e '.[report]' in this folder"


@pytest.mark.parametrize(
    ("package", "pins", "mark", "words"),
    [
        ("numpy", {"numpy": np.__version__}, OK, np.__version__),
        ("numpy", {"numpy": "1.0"}, NOTE, f"{np.__version__}, tested with 1.0"),
        ("numpy", {}, OK, np.__version__),
        ("no-such-package", {}, NOTE, "imported, though no package of this name is installed"),
    ],
)
def test_a_version_is_compared_with_the_one_that_is_tested(
    package: str, pins: dict[str, str], mark: str, words: str
) -> None:
    check = doctor.installed(package, pins)
    assert (check.mark, check.found) == (mark, words)


def test_a_local_build_of_a_pinned_version_is_that_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", lambda package: "2.13.0+cpu")
    assert doctor.installed("torch", {"torch": "2.13.0"}) == Check(OK, "torch", "2.13.0+cpu")


def test_the_pinned_versions_are_those_of_the_repository() -> None:
    pins = doctor.pinned()
    assert {"numpy", "torch", "jax", "python-flint", "jinja2", "shtab"} <= pins.keys()


def test_outside_of_the_repository_nothing_is_pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "CONSTRAINTS", tmp_path / "constraints.txt")
    assert doctor.pinned() == {}


def test_a_folder_that_cannot_be_written_is_missing_and_none_is_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    marks = {check.what: check.mark for check in doctor.machine(file / "latest")}
    assert marks["reports"] == MISSING
    assert {check.what: check.mark for check in doctor.machine(tmp_path / "a" / "b")}["reports"] == OK
    assert not (tmp_path / "a").exists()


def test_the_cache_of_what_jax_compiled_is_measured(tmp_path: Path) -> None:
    (tmp_path / "entry").write_bytes(bytes(3_000_000))
    assert doctor.cached(tmp_path) == Check(OK, "jax: cache", f"{tmp_path}, 1 files, 3 MB")


def test_threads_that_the_environment_sets_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threads = [check.found for check in doctor.numpy_lines({}) if check.what == "numpy: threads"]
    assert "OMP_NUM_THREADS=3" in threads[0]
