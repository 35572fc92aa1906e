"""Judging one function at one point: what every party returns for it, beside the certified truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg
from minigrad.errors import ConversionError
from minigrad.programs import follow
from minigrad.protocol import Array
from oracles.adapters import check_installed, load, missing
from oracles.cases import Case
from oracles.errors import UsageError
from oracles.exact import Status
from oracles.examine import Examination, Setup, examine
from oracles.verdict import Label, Verdict, formed, ulp_distance

if TYPE_CHECKING:
    import pandas as pd

PARTIES = ("minigrad", "minigrad.stage", "torch", "jax", "jax.jit")

COLUMNS_AT_MOST = 6
"""How many elements are shown side by side; of larger answers, only the deciding one."""


@dataclass(frozen=True)
class Judgement:
    """The verdicts on each party, and all that they rest on; prints as a table."""

    case: Case
    order: int
    examination: Examination

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """By party."""
        return {v.party: v for v in self.examination.verdicts}

    @property
    def agrees(self) -> bool:
        """Whether every party that has the function agrees with the truth, or makes a choice that is allowed."""
        fine = (Label.AGREES, Label.ILL_CONDITIONED, Label.CONVENTION, Label.EDGE, Label.NONFINITE, Label.UNSUPPORTED)
        return all(v.label in fine for v in self.examination.verdicts)

    def to_frame(self) -> pd.DataFrame:
        """A row per party and element: ``party, label, element, got, truth, low, high, ulp, noise``.

        `got` to `high` and `noise` are float64, also for a case of float32.  `truth` is NaN where there is no single
        one; at a kink `low` and `high` bound what is allowed.  `ulp` (UInt64) is the distance from the truth in floats
        of the case's dtype, missing where there is no single truth; `noise` is what rounding alone may do.
        """
        import pandas as pd

        facts = self.examination.facts[self.order]
        rows = []
        for answer in self.examination.answers[self.order]:
            if answer.label is not None or self.verdicts[answer.party].label == Label.STRUCTURE:
                continue
            arrays = formed(answer, facts)
            for name, k, place in facts.elements():
                truth, got = facts.truths[k], arrays[k][place]
                certain = truth.status[place] == Status.CERTAIN
                rows.append(
                    {
                        "party": answer.party,
                        "label": str(self.verdicts[answer.party].label),
                        "element": name,
                        "got": float(got),
                        "truth": float(truth.value[place]) if certain else np.nan,
                        "low": float(truth.low[place]),
                        "high": float(truth.high[place]),
                        "ulp": int(ulp_distance(got, truth.value[place])) if certain else pd.NA,
                        "noise": float(facts.noise[k][place]),
                    }
                )
        return pd.DataFrame(rows).astype({"ulp": "UInt64"} if rows else {})

    def __str__(self) -> str:
        whys = [f"{v.party}: {v.where} {v.why}".replace(":  ", ": ") for v in self.examination.verdicts if v.why]
        return "\n".join([*question(self.case, self.order), "", *self.table(), *whys])

    def table(self) -> list[str]:
        """A line per party, and one for the truth."""
        facts = self.examination.facts[self.order]
        elements = list(facts.elements())
        shown = elements if len(elements) <= COLUMNS_AT_MOST else []
        table = [["", *(name for name, _, _ in shown), "verdict", "units of noise", "ULP"]]
        table.append(["truth", *(stated(facts.truths[k], place) for _, k, place in shown), "", "", ""])
        for answer, verdict in zip(self.examination.answers[self.order], self.examination.verdicts, strict=True):
            arrays = formed(answer, facts) if answer.label is None and verdict.label != Label.STRUCTURE else None
            got = [repr(float(arrays[k][place])) if arrays is not None else "" for _, k, place in shown]
            row = [answer.party, *got, str(verdict.label), f"{verdict.units:.2g}", str(verdict.ulp)]
            table.append(row if arrays is not None else [*row[:-2], "", ""])
        return aligned(table)


def question(case: Case, order: int) -> list[str]:
    """What is asked: the program, the point, and what the derivative is contracted with."""
    lines = [str(case.program)]
    lines += [f"{i.name} = {shortly(x)}" for i, x in zip(case.program.inputs, case.inputs, strict=True)]
    if case.cotangent.shape or case.cotangent != 1:
        lines.append(f"cotangent = {shortly(case.cotangent)}")
    if order == 2:
        lines.append(f"vectors = {', '.join(map(shortly, case.vectors))}")
    return lines


NUMBERS_AT_MOST = 100
"""How many numbers of an array are printed."""


def shortly(array: Any) -> str:
    """An array's numbers, or of a large one its shape and the ends of its range."""
    if array.size <= NUMBERS_AT_MOST:
        return repr(array.tolist())
    return f"{array.dtype}[{','.join(map(str, array.shape))}] from {array.min()!s} to {array.max()!s}"


def stated(truth: Any, place: tuple[int, ...]) -> str:
    """The truth about an element, in a table's cell; in parentheses, if it is one that nobody need come to."""
    status = truth.status[place]
    if status == Status.CERTAIN:
        return repr(float(truth.value[place]))
    low, high = float(truth.low[place]), float(truth.high[place])
    if status == Status.KINK:
        return f"{low!r} to {high!r}"
    return f"({low!r})" if low == high else "none"


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, the first column to the left and all others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *others in table:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def judge(
    function: Callable[..., Any] | mg.Program,
    *inputs: Any,
    cotangent: Any = None,
    vectors: Sequence[Any] | None = None,
    order: int = 1,
    parties: Sequence[str] | None = None,
    seed: int = 0,
) -> Judgement:
    """Judge the derivatives of a NumPy function at a point, by certified truth.

    `function` takes the `inputs`, all arrays or numbers of float64 or all of float32, and returns one
    array; it is traced, along the branches that these inputs take, and asked of each of `parties` (minigrad,
    its staged form, and of PyTorch and JAX what is installed).  At order 1 that is the gradient of
    ``sum(cotangent * function(*inputs))``, at order 2 the product of its Hessian with `vectors`, of which
    there is one per input, in its shape; what is not given is drawn with `seed`, or 1 where there is but one
    number.

    Raises `UsageError` for anything that does not fit, `MissingError` for a party that is not installed, and
    what the function raises itself.

    >>> import numpy as np
    >>> from oracles import judge
    >>> print(judge(lambda x, y: np.hypot(x, y), 3.0, 4.0, parties=["minigrad"]))
    def program(x: float64[], y: float64[]):
        v1 = np.hypot(x, y)   #(1)
        return v1
    x = 3.0
    y = 4.0
    <BLANKLINE>
              value  d/dx  d/dy  verdict  units of noise  ULP
    truth       5.0   0.6   0.8
    minigrad    5.0   0.6   0.8   agrees               0    0
    """
    if order not in (1, 2) or isinstance(order, bool):
        raise UsageError(f"order {order!r}: give 1 or 2")
    if not callable(function):
        raise UsageError(f"function is {function!r:.40}; give a function of NumPy arrays, or a Program")
    arrays = checked(inputs)
    try:
        program = function if isinstance(function, mg.Program) else follow(function, *arrays)[0]
    except ConversionError as error:
        raise UsageError(
            "the function makes plain numbers of its inputs or of what it computes, as float() and math.sin do, "
            "and cannot be recorded; let it call NumPy on arrays all the way"
        ) from error
    case = posed(program, arrays, cotangent, vectors, seed, plain=True)
    if isinstance(parties, str):
        raise UsageError(f"parties is {parties!r}; give a list, such as [{parties!r}]")
    if odd := [p for p in parties or () if not isinstance(p, str)]:
        raise UsageError(f"parties holds {odd[0]!r}; give names, such as {PARTIES[0]!r}")
    chosen = [p for p in PARTIES if not missing([p])] if parties is None else list(dict.fromkeys(parties))
    if not chosen:
        raise UsageError("parties is empty; name at least one")
    check_installed(chosen, "parties")
    for name in chosen:
        load(name, "parties")
    return Judgement(case, order, examine(case, Setup(chosen[0], tuple(chosen[1:]), (order,), shown=True)))


NOT_ONE = (-1.5, -0.75, 0.625, 1.25)
"""What a single number is weighed with in a test: who forgets a factor of 1 goes unnoticed."""


def posed(
    program: mg.Program, arrays: Sequence[Any], cotangent: Any, vectors: Sequence[Any] | None, seed: int, plain: bool
) -> Case:
    """The case at a point; what is None is drawn, but if `plain` is 1 where it is a single number.

    Raises `UsageError` for what does not fit, the function's result included.
    """
    with np.errstate(all="ignore"):
        result = program(*arrays)
    kind = f"a {type(result).__name__}" if isinstance(result, (tuple, list)) else str(np.asarray(result).dtype)
    if kind != arrays[0].dtype:
        raise UsageError(
            f"the function returns {kind} for inputs of {arrays[0].dtype}; let it return one array of that dtype"
        )
    value = np.asarray(result)
    if not (isinstance(seed, (int, np.integer)) and seed >= 0):
        raise UsageError(f"seed is {seed!r}; give a whole number, 0 or more")
    random = np.random.default_rng(seed)

    def weights(given: Any, shape: tuple[int, ...], name: str) -> Any:
        if given is None:
            drawn = np.round(random.uniform(0.25, 2, shape) * random.choice([-1, 1], shape), 3)
            single = 1.0 if plain else random.choice(NOT_ONE)
            return np.asarray(drawn if shape else single, value.dtype)
        given = array_of(given, name)
        if given.dtype.kind not in "biuf":
            raise UsageError(f"{name} has dtype {given.dtype}; give real numbers")
        given = given.astype(value.dtype)
        if given.shape != shape:
            raise UsageError(f"{name} has shape {given.shape}; give it the shape {shape}")
        if not np.all(np.isfinite(given)):
            raise UsageError(f"{name} has entries that are NaN or infinite, which would excuse anything; give numbers")
        return given

    vectors = [None] * len(arrays) if vectors is None else vectors
    if not isinstance(vectors, Sequence) or isinstance(vectors, str):
        raise UsageError(f"vectors is a {type(vectors).__name__}; give a list, with one per input")
    if len(vectors) != len(arrays):
        raise UsageError(f"there are {len(vectors)} vectors for {len(arrays)} inputs; give one per input")
    along = tuple(weights(v, x.shape, "a vector") for v, x in zip(vectors, arrays, strict=True))
    return Case("judged", program, tuple(arrays), weights(cotangent, value.shape, "cotangent"), along)


def array_of(x: Any, name: str) -> Any:
    """What is given as an array; raises `UsageError` for what is none, or only looks like one."""
    if isinstance(x, np.ma.MaskedArray):
        raise UsageError(f"{name} is a masked array, of which the mask would be lost; give x.filled(...)")
    if isinstance(x, Array):
        raise UsageError(f"{name} is a {type(x).__name__}; give its plain value, as x.value")
    try:
        array = np.asarray(x)
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    except ValueError:
        raise UsageError(f"{name} is a list of lists of unequal length; give an array of numbers") from None


def checked(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The inputs as arrays of one float dtype."""
    arrays = tuple(array_of(x, f"input {i}").copy() for i, x in enumerate(inputs))
    dtypes = sorted({x.dtype.name for x in arrays})
    if dtypes not in (["float64"], ["float32"]):
        each = ", ".join(x.dtype.name for x in arrays) if len(dtypes) > 1 else dtypes[0] if dtypes else ""
        raise UsageError(
            f"the inputs have {each or 'no dtype, there being none'}; give at least one, "
            "and all of float64 (such as 3.0) or all of float32; bind what is not differentiated in a lambda"
        )
    return arrays
