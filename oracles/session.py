"""What `assert_grads` goes by where a call does not say, and what it counts: a run of pytest sets and reads both.

It loads nothing but the standard library, so that the plugin of pytest does not either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from oracles.errors import UsageError

FOLDER = Path(".oracles")
"""Where failing cases are kept, below the root of the tests or where Python was started."""


@dataclass(frozen=True)
class Defaults:
    """What a call leaves out; the marker and the options of the plugin have these names."""

    subject: str = "minigrad"
    """Who is on trial, where the call does not give a vjp."""
    oracles: tuple[str, ...] = ()
    """Who is asked besides, and shown."""
    order: tuple[int, ...] = (1,)
    """Of the derivatives."""
    dtypes: tuple[str, ...] = ()
    """What the inputs are cast to, one after the other; if there is none, they stay as they are."""
    seed: int = 0
    """What cotangents and vectors are drawn with."""

    def having(self, given: Mapping[str, Any], called: Callable[[str], str]) -> Defaults:
        """These, with what is given instead; `called` says how the user knows a name.

        Raises `UsageError` for anything that is not one of the choices.
        """
        return replace(self, **{key: READERS[key](value, called(key)) for key, value in given.items()})


def chosen(value: Any, allowed: Collection[Any], name: str) -> tuple[Any, ...]:
    """One of the `allowed` or several of them, without repetition; in a text, commas stand between them."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, Iterable) else [value]
    words = [str(getattr(item, "__name__", item)).strip() for item in items]  # np.float32 is known by its name
    known = {str(item): item for item in allowed}
    for word in words:
        if word not in known:
            raise UsageError(f"{name} {value!r}: {word or 'nothing'} is not known; choose from {','.join(known)}")
    return tuple(dict.fromkeys(known[word] for word in words))


def read_subject(value: Any, name: str) -> str:
    """A party by name, or ``package.module:factory``; loading it may still fail."""
    from oracles.adapters import KNOWN, check_installed

    if not isinstance(value, str) or not (value in KNOWN or ":" in value):
        raise UsageError(f"{name} {value!r}: choose from {','.join(KNOWN)}, or write package.module:factory")
    check_installed([value], name)
    return value


def read_oracles(value: Any, name: str) -> tuple[str, ...]:
    """Parties by name; ``exact`` may stand among them as on the command line, though it judges in any case."""
    from oracles.adapters import KNOWN, check_installed

    names = tuple(word for word in chosen(value, (*KNOWN, "exact"), name) if word != "exact")
    check_installed(names, name)
    return names


def read_order(value: Any, name: str) -> tuple[int, ...]:
    orders = chosen(value, (1, 2), name)
    if not orders:
        raise UsageError(f"{name} is empty; give 1, 2 or both")
    return orders


def read_dtypes(value: Any, name: str) -> tuple[str, ...]:
    return chosen(value, ("float64", "float32"), name)


def read_seed(value: Any, name: str) -> int:
    """A whole number, as such or as text."""
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdecimal():
        raise UsageError(f"{name} {value!r}: give a whole number, at least 0")
    return int(text)


READERS: dict[str, Callable[[Any, str], Any]] = {
    "subject": read_subject,
    "oracles": read_oracles,
    "order": read_order,
    "dtypes": read_dtypes,
    "seed": read_seed,
}
"""From what users write to what `Defaults` holds, by name."""

CHOICES = tuple(field.name for field in fields(Defaults))


@dataclass
class Session:
    """The state of one process: what holds now, and what was judged so far."""

    defaults: Defaults = Defaults()
    root: Path | None = None
    """What `FOLDER` lies below; where Python runs now, if nobody says."""
    start: Path | None = None
    """What paths are printed relative to, likewise."""
    options: tuple[str, ...] = ()
    """What a command that runs a test again must be told."""
    judged: int = 0
    """Gradients and Hessian products that `assert_grads` compared with the truth."""
    vacuous: int = 0
    """Those of them that were zero all through, had no truth to be compared with, or were mostly rounding noise."""


SESSION = Session()
