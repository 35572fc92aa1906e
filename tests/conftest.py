"""Hypothesis profiles: fresh draws at every run while developing, the same ones in continuous integration."""

import os

import pytest
from hypothesis import settings

# Deadlines would turn a slow machine into a failing test.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long on a slow machine says no more than on a fast one."""
    monkeypatch.setattr("oracles.cli.progress.PATIENCE", 3600.0)
