"""`assert_grads`: gradients held against certified truth, in anyone's tests."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg
from oracles.adapters import KNOWN, Adapter, complete
from oracles.asking import seated
from oracles.cases import Case
from oracles.errors import GradientMismatch, UsageError, VacuousWarning
from oracles.exact import Status
from oracles.examine import Setup, examine
from oracles.facts import Point
from oracles.given import Given, formula_of, name_of
from oracles.judgement import Judgement, checked, posed, question
from oracles.mismatch import ALLOWABLE, FAILING, Mismatch, how_to_see_again, kept
from oracles.session import SESSION, Defaults
from oracles.verdict import Label

Function = Callable[..., Any]


def assert_grads(
    function: Function | mg.Program,
    *inputs: Any,
    vjp: Function | None = None,
    formula: Function | None = None,
    subject: str | Adapter | None = None,
    cotangent: Any = None,
    vectors: Sequence[Any] | None = None,
    order: int | Sequence[int] | None = None,
    dtypes: Any = None,
    oracles: str | Sequence[str] | None = None,
    seed: int | None = None,
    allow: str | Collection[str] = (),
) -> tuple[Judgement, ...]:
    """Raise `GradientMismatch` unless the gradients of a function at a point agree with the certified truth.

    `function` takes the `inputs`, arrays or numbers of float64 or all of float32, and returns one array.  It is traced
    along the branches that it takes there, and the truth is that of its NumPy calls; what cannot be traced (a compiled
    kernel, one that writes into arrays) is given with its `formula`, the same function in plain NumPy.  On trial is

    - minigrad's derivative of the function, with the rules of the primitives that the function calls;
    - or the function's own backward pass, ``vjp(g, ans, *inputs)``, which like the rules of `minigrad.defvjp` takes the
      cotangent, the result and the inputs, and returns a tuple with the gradient of ``sum(g * function(*inputs))`` for
      each input (None for zero), or for a single input just that;
    - or any other engine's derivative of the traced program: `subject` is an `oracles.adapters.Adapter`, a name such
      as ``"torch"``, or ``"package.module:factory"``.

    At `order` 2, or both with ``(1, 2)``, it is the Hessian of that sum times `vectors`; a vjp is then differentiated
    by minigrad.  `cotangent` and `vectors` are drawn with `seed` unless given.  `dtypes` casts the inputs to each, such
    as ``("float64", "float32")``.  `oracles`, such as ``("torch", "jax")``, are asked besides and shown, and decide
    nothing.  What is left out is as pytest's marker and options say, or one gradient by minigrad, without frameworks.

    It fails by the labels wrong, structure, errored, unstable, kink-chain, undecided and unsupported
    (`oracles.verdict.RULES` has their rules), of which the last four may be allowed: ``allow="kink-chain"``.  At a kink
    every gradient between those nearby agrees.  A check that passes but shows nothing, since the gradient is zero all
    through or there is none, gives a `VacuousWarning`, except within ``@given``.  Returns a table for each that was
    judged.  Raises `UsageError` for what does not fit.

    >>> import numpy as np
    >>> from oracles import assert_grads
    >>> def layer(W, b, x):
    ...     return np.tanh(W @ x + b)
    >>> def layer_vjp(g, y, W, b, x):
    ...     g = g * (1 - y * y)
    ...     return np.outer(g, x), g, W.T @ g
    >>> W, b, x = np.array([[1.0, 2.0], [3.0, 4.0]]) / 8, np.array([0.5, -0.5]), np.array([1.0, -1.0])
    >>> [judgement] = assert_grads(layer, W, b, x, vjp=layer_vjp)
    >>> print(judgement.verdicts["layer_vjp"].label)
    agrees
    """
    __tracebackhide__ = True
    given = {"order": order, "dtypes": dtypes, "oracles": oracles, "seed": seed}
    given |= {"subject": subject} if isinstance(subject, str) else {}
    chosen = SESSION.defaults.having({key: value for key, value in given.items() if value is not None}, str)
    allowed = allowed_labels(allow)
    if vjp is not None and subject is not None:
        raise UsageError("vjp and subject are both given; one party at a time is on trial")
    judged = []
    for arrays in points(inputs, chosen.dtypes):
        trial = Trial.of(function, arrays, vjp, formula, chosen.subject if subject is None else subject)
        case = posed(trial.program, arrays, cotangent, vectors, chosen.seed, plain=False)
        for each in chosen.order:
            judgement = trial.judged(case, each, chosen.oracles)
            label = judgement.verdicts[trial.name].label
            if label in FAILING and label not in allowed:
                raised = getattr(trial.adapter, "raised", None) if label == Label.ERRORED else None
                raise GradientMismatch(
                    failure(trial, judgement, case, name_of(function) or "function", chosen)
                ) from raised
            judged.append(judgement)
    count(judged, name_of(function) or "the function")
    return tuple(judged)


def allowed_labels(allow: str | Collection[str]) -> tuple[str, ...]:
    """The labels that shall not fail."""
    labels = (allow,) if isinstance(allow, str) else tuple(allow)
    for label in labels:
        if label not in ALLOWABLE:
            raise UsageError(f"allow {label!r}: choose from {', '.join(ALLOWABLE)}")
    return labels


def points(inputs: Sequence[Any], dtypes: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The inputs as arrays of one dtype, or of each of the dtypes."""
    arrays = [np.array(x) for x in inputs]
    for dtype in dtypes or ("",):
        yield checked([a.astype(dtype) if dtype and a.dtype.kind == "f" else a for a in arrays])


@dataclass(frozen=True)
class Trial:
    """Who is on trial, for which function."""

    name: str
    program: mg.Program
    """What the truth is taken from."""
    adapter: Any
    """Who answers to the name; None for a party that is known by its name."""

    @classmethod
    def of(
        cls,
        function: Function | mg.Program,
        arrays: Sequence[Any],
        vjp: Function | None,
        formula: Function | None,
        subject: str | Adapter,
    ) -> Trial:
        """Sort out what was given; raises `UsageError` for what leaves nothing to judge."""
        program, own, branched = formula_of(formula or function, arrays)
        if not (branched or program.live() & {*range(len(arrays))}):
            raise UsageError("the result depends on none of the inputs, so that there is no gradient to judge")
        if vjp is None and not isinstance(subject, str):
            name = complete(subject, f"subject: an object of type {type(subject).__name__}").name
            return cls(f"{name} (given)" if name in KNOWN else name, program, subject)
        if vjp is None and subject != "minigrad":
            return cls(str(subject), program, None)
        if formula is not None:
            own = [name_of(function) or "the function"]
        guest = Given(function, vjp, formula, own, branched)
        return cls(guest.name, program, guest)

    def judged(self, case: Case, order: int, oracles: Sequence[str]) -> Judgement:
        """The judgement; where an excuse does not hold a little off a kink or an edge, the one there."""
        setup = Setup(self.name, tuple(name for name in oracles if name != self.name), (order,))
        with nullcontext() if self.adapter is None else seated(self.name, self.adapter):
            judgement = Judgement(case, order, examine(case, setup))
            moved = Point(case, order).off_the_event() if judgement.verdicts[self.name].moved else None
            if moved is None:
                return judgement
            there = Judgement(moved.case, order, examine(moved.case, setup))
            return there if there.verdicts[self.name].label in FAILING else judgement


# What is said.


def failure(trial: Trial, judgement: Judgement, given: Case, name: str, chosen: Defaults) -> str:
    """All about a failure, and the commands that show it again."""
    case, order, verdict = judgement.case, judgement.order, judgement.verdicts[trial.name]
    answers = {answer.party: answer for answer in judgement.examination.answers[order]}
    mismatch = Mismatch(case, order, answers[trial.name], verdict, judgement.examination.facts[order])
    moved = ["    point  a little off the given one, which lies at a kink or an edge"] if case is not given else []
    others = [f"{v.party}: {v.where} {v.why}" for v in judgement.verdicts.values() if v.party != trial.name and v.why]
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    key = f"{test} {name} {trial.name} {order} {case.dtype} {verdict.label}" if is_exploring() else ""
    try:
        path = kept(mismatch, name, key, chosen.seed)
    except OSError as error:
        again = [f"(the case could not be written: {error})"]
    else:
        again = [f"reproduce: {how_to_see_again(path, chosen.oracles, '' if trial.adapter else trial.name)}"]
    if test:
        again.append(f"      or: {how_to_test_again(test)}")
    asked = question(case, order)
    return "\n".join([str(mismatch), *moved, "", *asked, "", *judgement.table(), *others, "", *again])


def how_to_test_again(test: str) -> str:
    """The command that runs a test again, by its id."""
    file, colons, rest = test.partition("::")
    if SESSION.root is not None and SESSION.start is not None:
        file = os.path.relpath(SESSION.root / file, SESSION.start)
    return shlex.join(["python", "-m", "pytest", file + colons + rest, *SESSION.options])


def is_exploring() -> bool:
    """Whether Hypothesis is calling, for which a point that shows nothing is one of many."""
    hypothesis = sys.modules.get("hypothesis")
    return hypothesis is not None and hypothesis.currently_in_test_context()


def count(judged: Sequence[Judgement], name: str) -> None:
    """Count what passed, and warn if it shows nothing."""
    silent = [judgement for judgement in judged if shows_nothing(judgement)]
    SESSION.judged += len(judged)
    SESSION.vacuous += len(silent)
    if len(silent) == len(judged) and not is_exploring():
        warnings.warn(
            f"{name}: the derivative {shows_nothing(judged[0])}, so that this check shows nothing; move the inputs",
            VacuousWarning,
            stacklevel=3,
        )


def shows_nothing(judgement: Judgement) -> str:
    """What about the gradient makes agreeing with it no achievement; empty if nothing does."""
    facts = judgement.examination.facts[judgement.order]
    derivatives = facts.truths[1:] if judgement.order == 1 else facts.truths
    known = [t.status <= Status.KINK for t in derivatives]
    if any(np.any(k & ((t.low != 0) | (t.high != 0))) for k, t in zip(known, derivatives, strict=True)):
        shaky = judgement.examination.verdicts[0].label == Label.ILL_CONDITIONED
        return "is mostly rounding noise" if shaky else ""
    return "is zero in every element" if all(map(np.all, known)) else "is zero or does not exist, in every element"
