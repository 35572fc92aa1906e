"""Faults that are none: they cannot change any answer that there is a truth about, each with the reason."""

from __future__ import annotations

from oracles.faults.fault import Fault


def reason(fault: Fault) -> str:
    """Why a fault changes nothing; empty where it does."""
    return ""
